/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * poller_int.h - a poller inside, and the contract of what waits for it.
 *
 * Registrations lie in slots; a token names a slot and the generation it is
 * in, so that an event of a registration that is gone finds nobody. All of it
 * is the loop thread's, but the words behind "from any thread".
 */
#ifndef PULSE__IO_POLLER_INT_H
#define PULSE__IO_POLLER_INT_H

#include "base/base.h"
#include "base/list.h"
#include "io/wheel.h"

#include <sys/socket.h>

#include <pulse-u/poller.h>

struct pulse_transport;

/*
 * Adds to a figure that one thread writes and any reads. Compilers take three
 * instructions for what is one, since the store is atomic.
 */
static inline void pulse__add_own(uint64_t *figure, uint64_t v)
{
#if defined(__x86_64__) && !defined(__ILP32__) && !defined(PULSE__TSAN)
	__asm__ volatile ("addq %1, %0" : "+m"(*figure) : "er"(v));
#else
	WRITE_ONCE(*figure, *figure + v);
#endif
}

/* What an operation has come to: a descriptor, 0, or a negative errno. */
typedef void (*pulse__poller_op_fn)(void *arg, int res);

struct pulse__poller_ops {
	const char *name;
	/* Take up and give back the system's side: p->sys, p->wake_fd. */
	int (*open)(struct pulse_poller *p);
	void (*close)(struct pulse_poller *p);
	int (*add)(struct pulse_poller *p, int fd, uint32_t events,
		   uint64_t token);
	int (*mod)(struct pulse_poller *p, int fd, uint32_t events,
		   uint64_t token);
	void (*del)(struct pulse_poller *p, int fd);
	/* Or NULL: after one or more of del, before their files may be closed. */
	void (*deleted)(struct pulse_poller *p);
	/* Or NULL: the caller is going to run the poller. */
	int (*begin)(struct pulse_poller *p);
	/*
	 * Wait until an event, a wake or @deadline_ns, tell a worker's poller
	 * (pulse__poller_worker_awake()), and give each event to
	 * pulse__poller_event(). Returns how many, not counting wakes.
	 */
	int (*wait)(struct pulse_poller *p, int64_t deadline_ns);
	/* End a wait from any thread; once for each call. */
	void (*wake)(struct pulse_poller *p);
	/* The eventfd that does that. */
	int (*bell)(struct pulse_poller *p);
	/* What becomes readable when there is an event, all being armed. */
	int (*fd)(struct pulse_poller *p);
	/* Or NULL: the run ends, nothing may stay prepared. */
	void (*leave)(struct pulse_poller *p);
	/* Or NULL: a transport of a connected socket, in a way of its own. */
	int (*adopt)(struct pulse_poller *p, int fd,
		     struct pulse_transport **out);
	/* ... and whom such a one is of, as pulse__stream_set_peer(). */
	int (*set_peer)(struct pulse_transport *t, const char *text);
	/*
	 * These four or none. Accepts on a socket that listens: tells of each
	 * connection, and of each failure, until the operation is ended.
	 */
	int (*accept)(struct pulse_poller *p, int fd, pulse__poller_op_fn fn,
		      void *arg, void **op);
	/* Connects: tells once, 0 or why not, and is ended then. */
	int (*dial)(struct pulse_poller *p, int fd, const struct sockaddr *sa,
		    socklen_t len, int64_t deadline_ns, pulse__poller_op_fn fn,
		    void *arg, void **op);
	/* Accept none for now, or again. What was accepted already is told. */
	void (*op_hold)(void *op, bool on);
	/* Tells nothing any more; the caller closes the socket. */
	void (*op_end)(void *op);
};

/* ops->wait: something happened that was of nobody's interest. */
#define PULSE__POLLER_AGAIN	(-1)

extern const struct pulse__poller_ops pulse__poller_epoll;
extern const struct pulse__poller_ops pulse__poller_uring;

/* A token that is no registration: the wake-up. Generations begin at 1. */
#define PULSE__POLLER_WAKE	0ULL

struct pulse__poller_slot {
	pulse_poller_fn fn;	/* NULL: free */
	void *arg;
	int fd;			/* or the next free slot, -1: none */
	uint32_t gen;
	uint16_t events;
	uint8_t arming;		/* io_uring: counts the polls of this slot */
	uint8_t armed;		/* ... of which one is under way, or due */
	uint32_t next_due;
};

#define PULSE__SLOT_CHUNK	64

struct pulse_poller {
	const struct pulse__poller_ops *ops;
	void *sys;
	struct pulse__poller_slot **chunks;
	uint32_t nr_chunks;
	int free_slot;
	int64_t now_ns;
	int64_t spin_ns;
	struct pulse_poller_hook *hooks;
	struct pulse_poller_hook *due;	/* called once, behind those */
	struct pulse__poller_worker *worker;	/* worker.c; NULL: nobody's */
	void *buffer;			/* within buffer_mem, a line's beginning */
	void *buffer_mem;
	size_t buffer_bytes;
	uint32_t max_events;
	uint32_t fork_gen;
	uint32_t magic;
	/* What is being sent lies in a view, where nobody writes before the next wait. */
	bool sends_view;
	/* Nobody but its owner knows the thread, who cancels none: see sys.h. */
	bool uncancelled;
	struct pulse_ctx *ctx;
	uint64_t cookie;
	/* Written by the loop's thread, read by any: WRITE_ONCE. */
	uint64_t n_turns, n_events, n_posted, n_timers, n_fds;
	struct pulse__wheel wheel;

	/* From any thread. */
	struct pulse_poller_task *posted PULSE__PAIR_ALIGNED; /* newest first */
	int asleep;
	int stop;
	int running;
	uint64_t n_wakes;
	/* The loop thread's: who is told that the loop goes. */
	struct pulse__list ends PULSE__PAIR_ALIGNED;
	struct pulse__shm_loop *shm;	/* shm_loop.c; NULL: none yet */
};

/* ---- worker.c: pollers of a pool's workers ------------------------------- */

/*
 * For ops->wait of a poller that is a worker's, between the wait and the events;
 * @events: some that are handlers' came.
 */
void pulse__poller_worker_awake(struct pulse_poller *p, bool events);

/* The calling thread runs this poller, and no other. 0 or -errno. */
int pulse__poller_enter(struct pulse_poller *p);
void pulse__poller_leave(struct pulse_poller *p);
void pulse__poller_hooks(struct pulse_poller *p);
/* One turn, by who entered; how much was handled. A worker's: without hooks. */
unsigned int pulse__poller_turn(struct pulse_poller *p, int64_t deadline_ns);
/* Is there something to do that no descriptor tells of? */
bool pulse__poller_posted(const struct pulse_poller *p);

/* Called when the poller is destroyed, after the last posted function. */
struct pulse__poller_end {
	struct pulse__list link;
	void (*fn)(struct pulse__poller_end *end);
};

static inline void pulse__poller_end_add(struct pulse_poller *p,
					 struct pulse__poller_end *end,
					 void (*fn)(struct pulse__poller_end *))
{
	end->fn = fn;
	pulse__list_add_tail(&p->ends, &end->link);
}

static inline void pulse__poller_end_del(struct pulse__poller_end *end)
{
	pulse__list_del(&end->link);
}

static inline void pulse__poller_tell_ends(struct pulse_poller *p)
{
	while (!pulse__list_empty(&p->ends)) {
		struct pulse__list *link = pulse__list_pop(&p->ends);
		struct pulse__poller_end *end =
			container_of(link, struct pulse__poller_end, link);

		pulse__list_init(link);	/* it may be deleted once more */
		end->fn(end);
	}
}

/*
 * Has @hook called once before the next wait, when all hooks have been; it may ask
 * again. Not while it is due. By the loop's thread.
 */
static inline void pulse__poller_hook_once(struct pulse_poller *p,
					   struct pulse_poller_hook *hook)
{
	hook->next = p->due;
	p->due = hook;
}

/* The poller the calling thread runs at this moment. */
extern __thread struct pulse_poller *pulse__poller_current
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* May the caller touch what is the loop thread's? */
static inline bool pulse__poller_mine(const struct pulse_poller *p)
{
	return pulse__poller_current == p ||
	       !__atomic_load_n(&p->running, __ATOMIC_ACQUIRE);
}

static inline struct pulse__poller_slot *
pulse__poller_slot(const struct pulse_poller *p, uint64_t token)
{
	uint32_t n = (uint32_t)token;
	struct pulse__poller_slot *s;

	if (n / PULSE__SLOT_CHUNK >= p->nr_chunks)
		return NULL;
	s = &p->chunks[n / PULSE__SLOT_CHUNK][n % PULSE__SLOT_CHUNK];
	return s->fn && s->gen == token >> 32 ? s : NULL;
}

/* As pulse_poller_buffer(). */
static inline void *pulse__poller_buffer(struct pulse_poller *p, size_t *bytes)
{
	if (unlikely(!p->buffer)) {
		p->buffer_mem = pulse__malloc(p->buffer_bytes + PULSE_CACHE_PAIR - 1);
		if (p->buffer_mem)
			p->buffer = (uint8_t *)p->buffer_mem +
				    -(uintptr_t)p->buffer_mem % PULSE_CACHE_PAIR;
	}
	*bytes = p->buffer_bytes;
	return p->buffer;
}

/*
 * For ops->wait: one event, as a bit set of enum pulse_poller_event. @token was
 * given to ops->add: there is its slot, and one that is free, or another's by now,
 * is of another generation.
 */
static inline bool pulse__poller_event(struct pulse_poller *p, uint64_t token,
				       uint32_t events)
{
	uint32_t n = (uint32_t)token;
	struct pulse__poller_slot *s =
		&p->chunks[n / PULSE__SLOT_CHUNK][n % PULSE__SLOT_CHUNK];

	if (unlikely(s->gen != token >> 32))
		return false;
	s->fn(p, s->fd, events, s->arg);
	return true;
}

/*
 * No post is accepted any more; what was posted is run by the caller. After
 * it a poller that outlives its thread can be posted to without harm.
 */
void pulse__poller_end_posts(struct pulse_poller *p);

#endif /* PULSE__IO_POLLER_INT_H */
