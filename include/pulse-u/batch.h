/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * batch.h - many things handled in one go: an array with a length.
 *
 * A batch stands on an array of a fixed capacity, of elements of any size or
 * of pointers; the array is the caller's. Splitting and slicing make views of
 * the same array: nothing is copied or allocated, and a change through one is
 * seen through all. A view has no room to append, so that it never writes over
 * what stands behind it.
 *
 * struct pulse_batch is a small struct to be kept anywhere and copied freely.
 * It has no lock.
 */
#ifndef PULSE_U_BATCH_H
#define PULSE_U_BATCH_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct pulse_batch - an array with a length
 * @items: the array; pulse_batch_underlying()
 * @len: elements in it
 * @capacity: elements there is room for; of a view: its @len
 * @item_bytes: size of an element
 *
 * To be read at will; changed by the functions below.
 */
struct pulse_batch {
	void *items;
	size_t len;
	size_t capacity;
	size_t item_bytes;
};

/**
 * pulse_batch_init() - an empty batch on an array
 * @batch: the batch
 * @items: the array, aligned for its elements; must stay as long as the batch
 *	and its views are used
 * @item_bytes: size of an element, at least 1
 * @capacity: elements there is room for
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_batch_init(struct pulse_batch *batch, void *items,
			       size_t item_bytes, size_t capacity);

/* For an array whose size the compiler knows. */
#define PULSE_BATCH_ON(array)						\
	{ (array), 0, sizeof(array) / sizeof((array)[0]), sizeof((array)[0]) }

/**
 * pulse_batch_append() - add a copy of an element at the end
 * @batch: the batch
 * @item: the element, item_bytes of it
 *
 * Return: 0; -ENOBUFS it is full, or a view; -EINVAL.
 */
PULSE_API int pulse_batch_append(struct pulse_batch *batch, const void *item);

/**
 * pulse_batch_append_ptr() - add a pointer to a batch of pointers
 * @batch: the batch; item_bytes is sizeof(void *)
 * @ptr: the pointer, NULL included
 *
 * Return: 0; -ENOBUFS it is full, or a view; -EINVAL.
 */
PULSE_API int pulse_batch_append_ptr(struct pulse_batch *batch, void *ptr);

/**
 * pulse_batch_get() - an element
 * @batch: the batch
 * @index: below its length
 *
 * Return: where the element is; NULL there is none.
 */
PULSE_API void *pulse_batch_get(const struct pulse_batch *batch, size_t index);

/**
 * pulse_batch_get_ptr() - a pointer out of a batch of pointers
 * @batch: the batch; item_bytes is sizeof(void *)
 * @index: below its length
 *
 * Return: the pointer; NULL there is none.
 */
PULSE_API void *pulse_batch_get_ptr(const struct pulse_batch *batch,
				    size_t index);

/**
 * pulse_batch_len() - how many elements are in it
 * @batch: the batch
 *
 * Return: elements; 0 for a NULL @batch.
 */
PULSE_API size_t pulse_batch_len(const struct pulse_batch *batch);

/**
 * pulse_batch_slice() - a view of a part
 * @batch: the batch or view
 * @from: first element of the part
 * @to: where it ends, not included; up to the length of @batch
 * @out: the view; may be @batch itself
 *
 * Return: 0; -EINVAL, also for a part that is not there.
 */
PULSE_API int pulse_batch_slice(const struct pulse_batch *batch, size_t from,
				size_t to, struct pulse_batch *out);

/**
 * pulse_batch_split() - views of what is before and what is from an element on
 * @batch: the batch or view
 * @at: the first element of @tail; 0 up to the length of @batch
 * @head: the view before; may be @batch itself, or NULL
 * @tail: the view from @at on; may be @batch itself, or NULL
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_batch_split(const struct pulse_batch *batch, size_t at,
				struct pulse_batch *head,
				struct pulse_batch *tail);

/**
 * pulse_batch_reset() - empty it
 * @batch: the batch: it has all its room again, a view too, whose elements
 *	are then overwritten for all who see them
 *
 * Return: 0 or -EINVAL.
 */
PULSE_API int pulse_batch_reset(struct pulse_batch *batch);

/**
 * pulse_batch_underlying() - the array
 * @batch: the batch
 *
 * Return: its first element; NULL for a NULL @batch.
 */
PULSE_API void *pulse_batch_underlying(const struct pulse_batch *batch);

/**
 * typedef pulse_batch_fn - called for an element
 * @item: where the element is
 * @index: which one it is
 * @arg: as given to pulse_batch_each()
 *
 * Return: 0 to go on; anything else ends the iteration.
 */
typedef int (*pulse_batch_fn)(void *item, size_t index, void *arg);

/**
 * pulse_batch_each() - call a function for each element, in order
 * @batch: the batch
 * @fn: the function; may change elements, must not append
 * @arg: for @fn
 *
 * Return: 0; what @fn returned to end it; -EINVAL.
 */
PULSE_API int pulse_batch_each(const struct pulse_batch *batch,
			       pulse_batch_fn fn, void *arg);

/**
 * pulse_batch_for_each() - go over the elements
 * @pos: a pointer to the type of the elements
 * @batch: the batch
 *
 *	struct frame *f;
 *	pulse_batch_for_each(f, &batch)
 *		handle(f);
 */
#ifdef __cplusplus
#define pulse_batch_for_each(pos, batch)				\
	for ((pos) = static_cast<decltype(pos)>((batch)->items);	\
	     (pos) < static_cast<decltype(pos)>((batch)->items) +	\
		     (batch)->len;					\
	     (pos)++)
#else
#define pulse_batch_for_each(pos, batch)				\
	for ((pos) = (batch)->items;					\
	     (size_t)((const char *)(pos) -				\
		      (const char *)(batch)->items) <			\
	     (batch)->len * sizeof(*(pos));				\
	     (pos)++)
#endif

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_BATCH_H */
