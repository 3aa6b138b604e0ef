/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * list.h - intrusive lists: a circular double one and a single FIFO.
 *
 * The caller locks. Entries are embedded in what they link; container_of()
 * leads back.
 */
#ifndef PULSE__LIST_H
#define PULSE__LIST_H

#include "base/base.h"

/* Both a head and an entry; an empty head and a lone entry point to themselves. */
struct pulse__list {
	struct pulse__list *next;
	struct pulse__list *prev;
};

#define PULSE__LIST_INIT(name)	{ &(name), &(name) }

static inline void pulse__list_init(struct pulse__list *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool pulse__list_empty(const struct pulse__list *head)
{
	return head->next == head;
}

static inline void pulse__list_insert(struct pulse__list *entry,
				      struct pulse__list *prev,
				      struct pulse__list *next)
{
	entry->prev = prev;
	entry->next = next;
	prev->next = entry;
	next->prev = entry;
}

/* At the front. */
static inline void pulse__list_add(struct pulse__list *head,
				   struct pulse__list *entry)
{
	pulse__list_insert(entry, head, head->next);
}

/* At the end. */
static inline void pulse__list_add_tail(struct pulse__list *head,
					struct pulse__list *entry)
{
	pulse__list_insert(entry, head->prev, head);
}

/* Leaves the entry alone with itself, so that deleting it again does no harm. */
static inline void pulse__list_del(struct pulse__list *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	pulse__list_init(entry);
}

/* Moves all of @from to the end of @to and leaves @from empty. */
static inline void pulse__list_splice_tail(struct pulse__list *to,
					   struct pulse__list *from)
{
	if (pulse__list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	pulse__list_init(from);
}

static inline struct pulse__list *pulse__list_pop(struct pulse__list *head)
{
	struct pulse__list *entry = head->next;

	if (entry == head)
		return NULL;
	pulse__list_del(entry);
	return entry;
}

#define pulse__list_entry(ptr, type, member)	container_of(ptr, type, member)

#define pulse__list_first_entry(head, type, member)			\
	container_of((head)->next, type, member)

#define pulse__list_for_each(pos, head)					\
	for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)

/* @tmp allows @pos to be deleted or freed. */
#define pulse__list_for_each_safe(pos, tmp, head)			\
	for ((pos) = (head)->next, (tmp) = (pos)->next; (pos) != (head);	\
	     (pos) = (tmp), (tmp) = (pos)->next)

#define pulse__list_for_each_entry(pos, head, member)			\
	for ((pos) = container_of((head)->next, __typeof__(*(pos)), member); \
	     &(pos)->member != (head);					\
	     (pos) = container_of((pos)->member.next, __typeof__(*(pos)), \
				  member))

/* Single links, first in first out; all zero is empty. */
struct pulse__snode {
	struct pulse__snode *next;
};

struct pulse__fifo {
	struct pulse__snode *first;
	struct pulse__snode *last;
};

static inline void pulse__fifo_push(struct pulse__fifo *q,
				    struct pulse__snode *n)
{
	n->next = NULL;
	if (q->first)
		q->last->next = n;
	else
		q->first = n;
	q->last = n;
}

static inline struct pulse__snode *pulse__fifo_pop(struct pulse__fifo *q)
{
	struct pulse__snode *n = q->first;

	if (n)
		q->first = n->next;
	return n;
}

#endif /* PULSE__LIST_H */
