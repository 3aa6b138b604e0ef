/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * seeds.h - programs by hand, one for each way through the module that chance takes
 * long to find; they run first, and others are made of them.
 */
#ifndef PULSE_SELFTESTS_FUZZ_SEEDS_H
#define PULSE_SELFTESTS_FUZZ_SEEDS_H

#include "engine.h"

static inline void *fuzz_seed_op(struct fuzz_prog *p, uint32_t nr, uint32_t thread,
				 uint32_t how)
{
	struct fuzz_op *op = fuzz_add(p, FUZZ_IOCTL, thread);

	op->cmd = fuzz_cmd_by_nr(nr);
	op->how = (uint8_t)(FUZZ_SIZE | how);
	return op->bytes;
}

/* A shared context with events, mapped, and a worker in each of two threads. */
static inline void fuzz_seed_begin(struct fuzz_prog *p)
{
	struct pulse_setup *s;

	memset(p, 0, sizeof(*p));
	fuzz_add(p, FUZZ_OPEN, 0);
	s = fuzz_seed_op(p, PULSE_IOC_SETUP, 0, 0);
	s->flags = PULSE_CTX_SHARED;
	s->max_workers = 4;
	s->ring_entries = 16;
	s->heap_bytes = 4096;
	s->event_bytes = 4096;
	for (uint8_t i = 0; i < 6; i++) {
		struct fuzz_op *op = fuzz_add(p, FUZZ_MMAP, 0);

		op->bytes[0] = op->bytes[1] = i;
	}
	for (uint32_t t = 0; t < 2; t++) {
		struct pulse_worker_add *a = fuzz_seed_op(p, PULSE_IOC_WORKER_ADD, t, 0);

		a->node = PULSE_NODE_ANY;
	}
}

/* To be given a permit, of which both workers have one, and to wait for none. */
static inline void fuzz_seed_parks(struct fuzz_prog *p)
{
	struct pulse_wake *w = fuzz_seed_op(p, PULSE_IOC_WAKE, 0, FUZZ_LIST);
	struct pulse_handoff *h;
	struct pulse_park *k;

	w->nr = 2;
	p->op[p->nr - 1].bytes[FUZZ_LIST_AT + 4] = 1;
	k = fuzz_seed_op(p, PULSE_IOC_PARK, 0, FUZZ_OWN | FUZZ_MATCH | FUZZ_SOON);
	k->word = PULSE_PARK_PARKING;
	w = fuzz_seed_op(p, PULSE_IOC_WAKE, 0, FUZZ_LIST);
	w->nr = 2;
	p->op[p->nr - 1].bytes[FUZZ_LIST_AT + 4] = 1;
	h = fuzz_seed_op(p, PULSE_IOC_HANDOFF, 0, FUZZ_OWN | FUZZ_MATCH | FUZZ_SOON);
	h->target = 1;
	/* thread 1 came second, or is 0 */
	h = fuzz_seed_op(p, PULSE_IOC_HANDOFF, 0, FUZZ_OWN | FUZZ_MATCH | FUZZ_SOON);
	h->target = 0;
	/* thread 1 is there to be handed to for as long as that may take thread 0 */
	for (int i = 0; i < 4; i++) {
		k = fuzz_seed_op(p, PULSE_IOC_PARK, 1, FUZZ_OWN | FUZZ_MATCH | FUZZ_SOON);
		k->word = PULSE_PARK_PARKING;
		p->op[p->nr - 1].bytes[FUZZ_LIST_AT] = 250;
	}
	((struct pulse_wake_node *)fuzz_seed_op(p, PULSE_IOC_WAKE_NODE, 0, 0))->nr = 4;
}

static inline void fuzz_seed_rest(struct fuzz_prog *p)
{
	struct pulse_hint *h;
	struct pulse_watch *w;

	((struct pulse_beat *)fuzz_seed_op(p, PULSE_IOC_BEAT, 0, FUZZ_OWN))->period_ns =
		1000000;
	h = fuzz_seed_op(p, PULSE_IOC_HINT, 0, FUZZ_OWN);
	h->mask = PULSE_HINT_NICE | PULSE_HINT_CLASS;
	h->nice = 3;
	w = fuzz_seed_op(p, PULSE_IOC_WATCH, 0, 0);
	w->stuck_ns = w->blocked_ns = w->starved_ns = 1000000;
	w = fuzz_seed_op(p, PULSE_IOC_WATCH, 0, FUZZ_SELF);
	w->kind = PULSE_WATCH_PROCESS;
	w->rss_bytes = 4096;
	((struct pulse_unwatch *)fuzz_seed_op(p, PULSE_IOC_UNWATCH, 0, 0))->id = 1;
	fuzz_seed_op(p, PULSE_IOC_EVENTFD, 0, FUZZ_SELF);
	fuzz_seed_op(p, PULSE_IOC_INFO, 1, 0);
	fuzz_seed_op(p, PULSE_IOC_YIELD_TO, 1, 0);
	fuzz_add(p, FUZZ_EPOLL, 1);
	fuzz_seed_op(p, PULSE_IOC_WORKER_DEL, 0, FUZZ_OWN);
	/* thread 1 ends as a worker, which is told */
}

/* Other ways in: @n of them. */
#define FUZZ_NR_WAYS	6

static inline void fuzz_seed_way(struct fuzz_prog *p, int n)
{
	struct fuzz_op *op;

	switch (n) {
	case 0:		/* a child comes in, and is a worker */
		fuzz_add(p, FUZZ_FORK, 2);
		fuzz_seed_op(p, PULSE_IOC_JOIN, 2, 0);
		((struct pulse_worker_add *)
		 fuzz_seed_op(p, PULSE_IOC_WORKER_ADD, 2, 0))->node = PULSE_NODE_ANY;
		fuzz_add(p, FUZZ_EPOLL, 2);
		break;
	case 1:		/* each file of a context, and some of the module's */
		for (uint8_t i = 5; i < 15; i++) {
			op = fuzz_add(p, FUZZ_SYSFS, 2);
			op->how = i < 13 ? 3 : 2;
			op->bytes[0] = i;
		}
		break;
	case 2:		/* dumps, and a knob by its name */
		for (uint8_t i = PULSE_NL_CMD_CTX_GET; i <= PULSE_NL_CMD_KNOB_GET; i++) {
			op = fuzz_add(p, FUZZ_NETLINK, 2);
			op->how = 1;
			op->bytes[0] = i;
		}
		op = fuzz_add(p, FUZZ_NETLINK, 2);
		op->bytes[0] = PULSE_NL_CMD_KNOB_SET;
		op->bytes[1] = 2;
		op->bytes[4] = 3;
		op->bytes[17] = PULSE_NL_KNOB_VALUE;
		break;
	case 3:		/* exec, by a worker beside another one */
		op = fuzz_add(p, FUZZ_EXEC, 1);
		op->bytes[0] = 1;
		break;
	case 4:		/* both ends of the descriptor, on their way to nobody */
		fuzz_add(p, FUZZ_PASS, 0);
		fuzz_add(p, FUZZ_DUP, 0)->bytes[0] = 1;
		fuzz_add(p, FUZZ_CLOSE, 0);
		fuzz_add(p, FUZZ_MREMAP, 1)->how = 6;
		fuzz_add(p, FUZZ_MPROTECT, 1)->how = 7;
		fuzz_add(p, FUZZ_MUNMAP, 1)->bytes[1] = 2;
		op = fuzz_add(p, FUZZ_EXIT, 1);
		op->bytes[0] = op->bytes[1] = 1;
		break;
	case 5:		/* through io_uring: one that waits is woken, others cancelled */
		op = fuzz_add(p, FUZZ_URING, 1);
		op->how = FUZZ_OWN | FUZZ_MATCH;
		((struct pulse_uring_park *)(void *)op->bytes)->deadline_ns =
			PULSE_NO_DEADLINE;
		op = fuzz_add(p, FUZZ_URING, 0);
		op->how = FUZZ_LIST;
		((struct pulse_uring_event_wait *)(void *)op->bytes)->deadline_ns =
			PULSE_NO_DEADLINE;
		((struct pulse_wake_node *)fuzz_seed_op(p, PULSE_IOC_WAKE_NODE, 0, 0))->nr = 4;
		fuzz_add(p, FUZZ_URING_TURN, 1)->bytes[0] = 3;
		fuzz_add(p, FUZZ_URING_TURN, 0)->bytes[0] = 1;
	}
}

/* To be run first. */
static inline void fuzz_plant(struct fuzz_engine *e)
{
	struct fuzz_prog p;

	for (int n = -2; n < FUZZ_NR_WAYS; n++) {
		fuzz_seed_begin(&p);
		if (n == -2)
			fuzz_seed_parks(&p);
		else if (n == -1)
			fuzz_seed_rest(&p);
		else
			fuzz_seed_way(&p, n);
		p.kill_us = FUZZ_PATIENCE_US;
		fuzz_keep(e, &p);
	}
	e->again = e->nr;
}

#endif /* PULSE_SELFTESTS_FUZZ_SEEDS_H */
