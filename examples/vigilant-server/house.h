/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef VIGILANT_HOUSE_H
#define VIGILANT_HOUSE_H

#include "rooms.h"

/*
 * The house: who is supervised, and what happened to them.
 *
 *	app (one_for_one)
 *	|- scribe	a process
 *	`- rooms	a supervisor: one actor for each room, added as asked for
 */
struct house;

int house_create(struct pulse_pool *pool, struct house **out);
int house_start(struct house *h);
void house_destroy(struct house *h);
struct rooms *house_rooms(struct house *h);
/* Has the supervisor given up? */
bool house_ended(struct house *h);

/*
 * Have one fail: "scribe" (segv, abort, exit, hang) or a room by its name
 * (fail). 0; -ENOENT; -EINVAL; -EAGAIN it does not run just now.
 */
int house_crash(struct house *h, const char *who, const char *way);

/* All accepted lines told and recorded, or -ETIMEDOUT; refuses new ones. */
int house_drain(struct house *h, int64_t deadline_ns);
/* Ends the children. As pulse_app_stop(). */
int house_stop(struct house *h);

/* "ok", "degraded" (somebody does not run), "draining" or "failed". */
const char *house_health(struct house *h);
/* Members of a JSON object: health, children, events, rooms, lines, book. */
void house_text(struct house *h, struct text *t);
/* The same for Prometheus. */
void house_metrics(struct house *h, struct text *t);

#endif /* VIGILANT_HOUSE_H */
