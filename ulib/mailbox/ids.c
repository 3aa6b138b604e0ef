// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * ids.c - which ids are in a mailbox: a table of chains through the messages
 * themselves, so that nothing is allocated for one.
 */
#include "mailbox/mailbox.h"

#define PULSE__IDS_MIN	64U
#define PULSE__IDS_MAX	65536U

struct pulse__ids {
	uint32_t mask;
	struct pulse_message *chain[];
};

int pulse__ids_create(uint64_t capacity, struct pulse__ids **out)
{
	uint64_t nr = PULSE__IDS_MIN;
	struct pulse__ids *ids;

	while (nr < capacity && nr < PULSE__IDS_MAX)
		nr *= 2;
	ids = pulse__calloc(1, sizeof(*ids) + nr * sizeof(ids->chain[0]));
	if (!ids)
		return -ENOMEM;
	ids->mask = (uint32_t)nr - 1;
	*out = ids;
	return 0;
}

void pulse__ids_destroy(struct pulse__ids *ids)
{
	pulse__free(ids);
}

/* FNV-1a. */
static uint32_t pulse__ids_hash(const char *id)
{
	uint32_t hash = 2166136261U;

	for (; *id; id++)
		hash = (hash ^ (unsigned char)*id) * 16777619U;
	return hash ^ hash >> 16;
}

int pulse__ids_add(struct pulse__ids *ids, struct pulse_message *msg)
{
	const char *id = msg->text[PULSE__TEXT_ID];
	struct pulse_message **chain, *other;

	if (!id)
		return 0;
	msg->id_hash = pulse__ids_hash(id);
	chain = &ids->chain[msg->id_hash & ids->mask];
	for (other = *chain; other; other = other->id_next) {
		if (other->id_hash == msg->id_hash &&
		    !strcmp(other->text[PULSE__TEXT_ID], id))
			return -EEXIST;
	}
	msg->id_next = *chain;
	*chain = msg;
	return 0;
}

void pulse__ids_del(struct pulse__ids *ids, struct pulse_message *msg)
{
	struct pulse_message **at;

	if (!msg->text[PULSE__TEXT_ID])
		return;
	at = &ids->chain[msg->id_hash & ids->mask];
	while (*at && *at != msg)
		at = &(*at)->id_next;
	if (*at)
		*at = msg->id_next;
	msg->id_next = NULL;
}
