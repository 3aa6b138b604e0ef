// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * guest.c - how many connections may come in, in all and from one address.
 *
 * The counts are exact over all loops: one that came in is counted before it is
 * looked at, and goes out when it is torn down, refused or not.
 */
#include "ws/ws_int.h"

/* Refused ones are told so, until there are so many more of them. */
#define PATIENCE	2

struct pulse__ws_guest {
	struct pulse__ws_guest *next;	/* in the bucket */
	uint32_t count;
	char address[];
};

static struct pulse__ws_guest **place(struct pulse__ws_guests *guests,
				      const char *address)
{
	struct pulse__ws_guest **at;
	uint32_t hash = 0x811c9dc5U;	/* FNV-1a */

	for (const char *p = address; *p; p++)
		hash = (hash ^ (uint8_t)*p) * 0x01000193U;
	hash ^= hash >> 16;
	at = &guests->buckets[hash % ARRAY_SIZE(guests->buckets)];
	while (*at && strcmp((*at)->address, address))
		at = &(*at)->next;
	return at;
}

/* How many of this address are in now, this one included; -ENOMEM. */
static int64_t enter(struct pulse_ws_conn *conn, const char *address)
{
	struct pulse__ws_guests *guests = &conn->loop->server->guests;
	struct pulse__ws_more *more = pulse__ws_more(conn);
	struct pulse__ws_guest **at, *g;
	int64_t n = -ENOMEM;

	if (!more)
		return -ENOMEM;
	pthread_mutex_lock(&guests->lock);
	at = place(guests, address);
	g = *at;
	if (!g) {
		g = pulse__calloc(1, sizeof(*g) + strlen(address) + 1);
		if (g) {
			strcpy(g->address, address);
			*at = g;
		}
	}
	if (g) {
		n = ++g->count;
		more->guest = g;
	}
	pthread_mutex_unlock(&guests->lock);
	return n;
}

int pulse__ws_come_in(struct pulse_ws_conn *conn)
{
	struct pulse_ws_server *server = conn->loop->server;
	const struct pulse__ws_cfg *cfg = &server->cfg;
	char address[PULSE_ADDRESS_MAX], *port;
	uint64_t max = cfg->max_connections, n;
	int64_t here;

	if (likely(!max && !cfg->max_per_address))
		return 0;
	conn->guest = true;
	n = __atomic_add_fetch(&server->came_in, 1, __ATOMIC_RELAXED);
	if (max && n > max)
		return n > PATIENCE * max ? -EBUSY : 503;
	if (!cfg->max_per_address ||
	    pulse_transport_address(conn->t, true, address, sizeof(address)))
		return 0;
	port = strrchr(address, ':');
	if (port)
		*port = 0;
	here = enter(conn, address);
	if (here < 0)
		return 503;
	if (here <= cfg->max_per_address)
		return 0;
	return here > PATIENCE * (int64_t)cfg->max_per_address ? -EBUSY : 429;
}

void pulse__ws_go_out(struct pulse_ws_conn *conn)
{
	struct pulse_ws_server *server = conn->loop->server;
	struct pulse__ws_guests *guests = &server->guests;
	struct pulse__ws_guest **at, *g;

	if (likely(!conn->guest))
		return;
	__atomic_fetch_sub(&server->came_in, 1, __ATOMIC_RELAXED);
	g = conn->more ? conn->more->guest : NULL;
	if (!g)
		return;
	conn->more->guest = NULL;
	pthread_mutex_lock(&guests->lock);
	if (!--g->count) {
		at = place(guests, g->address);
		*at = g->next;
		pulse__free(g);
	}
	pthread_mutex_unlock(&guests->lock);
}
