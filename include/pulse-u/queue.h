/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * queue.h - bounded queue between threads or processes: one or many senders,
 * one or many receivers, over memory of its own or shared.
 *
 * Each sender has a lane to itself, a ring that nobody else writes. So
 *
 *  - a push is a store and needs no atomic read-modify-write;
 *  - what one sender pushed comes out in its order; between senders there is
 *    no order (for that there is <pulse-u/ring.h>);
 *  - a sender that is stopped in the middle of a push holds up nobody, and one
 *    that is killed there has pushed nothing: what it had pushed before comes
 *    out, and its lane is taken over by the next sender that opens;
 *  - likewise a receiver: where there are many, one that is killed in the
 *    middle of a pop has taken nothing. The only one of its kind may have had
 *    an element in hand; its successor gets that again.
 *
 * There are no pointers in the shared part. All of its words are untrusted:
 * the handle keeps its own sizes, every index is bounded, every loop ends. A
 * hostile peer can take, forge or lose elements of this queue, can hold a lane
 * for ever and can make it answer -EPROTO; it can do no more.
 *
 * A process is known by its pid and the time of its start, so peers should see
 * each other's pids; where they do not, nobody is ever taken for dead.
 */
#ifndef PULSE_U_QUEUE_H
#define PULSE_U_QUEUE_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PULSE_QUEUE_ELEM_MAX	65536	/* bytes of an element */
#define PULSE_QUEUE_LANES_MAX	256	/* senders at a time */

struct pulse_queue;
struct pulse_queue_tx;
struct pulse_queue_rx;

/* How many may send and receive at a time. */
enum pulse_queue_kind {
	PULSE_QUEUE_SPSC = 0,	/* one sender, one receiver */
	PULSE_QUEUE_MPSC = 1,	/* @lanes senders, one receiver */
	PULSE_QUEUE_MPMC = 2,	/* @lanes senders, any number of receivers */
};

/* What a push does that finds its lane full. */
enum pulse_queue_overflow {
	PULSE_QUEUE_ERROR = 0,	  /* say -EAGAIN */
	PULSE_QUEUE_DROP_NEW = 1, /* drop what was to be pushed, and count it */
	PULSE_QUEUE_DROP_OLD = 2, /* drop the lane's oldest, and count it */
	PULSE_QUEUE_BLOCK = 3,	  /* wait until there is room */
};

/* Flags of struct pulse_queue_opts. */
#define PULSE_QUEUE_ON_NODE (1U << 0)	/* @node counts; create only */
#define PULSE_QUEUE_HUGE    (1U << 1)	/* huge pages where they can be had; create only */

/**
 * struct pulse_queue_opts - options of a queue
 * @sz: sizeof(struct pulse_queue_opts)
 * @kind: enum pulse_queue_kind
 * @overflow: enum pulse_queue_overflow
 * @entries: of each lane, a power of two from 2 to 2^20; default 1024
 * @elem_bytes: size of an element, 1 to PULSE_QUEUE_ELEM_MAX; default 8
 * @lanes: senders at a time, up to PULSE_QUEUE_LANES_MAX; default 16, and
 *	always 1 with PULSE_QUEUE_SPSC
 * @flags: PULSE_QUEUE_ON_NODE, PULSE_QUEUE_HUGE or 0
 * @node: with PULSE_QUEUE_ON_NODE: the memory's NUMA node
 * @block_ns: with PULSE_QUEUE_BLOCK: how long a push waits at most; default
 *	for ever
 * @start: first position, for tests of the wrap of counters; default 0
 */
struct pulse_queue_opts {
	size_t sz;
	uint32_t kind;
	uint32_t overflow;
	uint32_t entries;
	uint32_t elem_bytes;
	uint32_t lanes;
	uint32_t flags;
	int32_t node;
	uint32_t reserved;
	int64_t block_ns;
	uint64_t start;
};

/**
 * pulse_queue_create() - make a queue in memory of its own
 * @opts: or NULL for the defaults
 * @out: the queue
 *
 * Return: 0; -EINVAL also: no such node; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_queue_create(const struct pulse_queue_opts *opts,
				 struct pulse_queue **out);

/**
 * pulse_queue_bytes() - how much memory pulse_queue_format() needs
 * @opts: or NULL for the defaults
 *
 * Return: bytes; 0 for options that cannot be.
 */
PULSE_API size_t pulse_queue_bytes(const struct pulse_queue_opts *opts);

/**
 * pulse_queue_format() - make a queue in memory that others may share
 * @mem: aligned to PULSE_CACHE_PAIR; stays the caller's and must outlive the
 *	handle
 * @bytes: length of @mem
 * @opts: or NULL for the defaults; PULSE_QUEUE_ON_NODE and _HUGE are refused
 * @out: a handle
 *
 * Nobody else may use the memory until this returned.
 *
 * Return: 0; -EINVAL also: @mem is too small; -E2BIG; -ENOMEM.
 */
PULSE_API int pulse_queue_format(void *mem, size_t bytes,
				 const struct pulse_queue_opts *opts,
				 struct pulse_queue **out);

/**
 * pulse_queue_attach() - use a queue that somebody else formatted
 * @mem: where it is mapped here; addresses may differ between processes
 * @bytes: length of @mem
 * @out: a handle
 *
 * The sizes in @mem are read once and held against @bytes.
 *
 * Return: 0; -EINVAL; -EPROTO there is no queue in @mem, one of another version
 * or one that would not fit; -ENOMEM.
 */
PULSE_API int pulse_queue_attach(void *mem, size_t bytes,
				 struct pulse_queue **out);

/**
 * pulse_queue_destroy() - give the handle back, and memory of its own
 * @queue: the queue
 *
 * Return: 0; -EINVAL; -EBUSY senders or receivers of this handle are open.
 * Always allowed in a forked child, where those go too.
 */
PULSE_API int pulse_queue_destroy(struct pulse_queue *queue);

/**
 * pulse_queue_tx_open() - become a sender
 * @queue: the queue
 * @out: the sender; for one thread at a time
 *
 * Return: 0; -EBUSY all lanes have senders that live; -EPROTO; -EINVAL;
 * -ENOMEM; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_queue_tx_open(struct pulse_queue *queue,
				  struct pulse_queue_tx **out);

/**
 * pulse_queue_tx_close() - stop sending
 * @tx: the sender; what was reserved and not committed is not sent
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_queue_tx_close(struct pulse_queue_tx *tx);

/**
 * pulse_queue_rx_open() - become a receiver
 * @queue: the queue
 * @out: the receiver; for one thread at a time
 *
 * The second receiver of a queue in memory of its own pays for what the first
 * saved as long as it was alone: a membarrier(2).
 *
 * Return: 0; -EBUSY there can be only one and it lives; -EPERM the kernel
 * refuses the membarrier that it granted before (a seccomp filter that came
 * later), so that there can be no second one; -EINVAL; -ENOMEM; -EOWNERDEAD in
 * a forked child.
 */
PULSE_API int pulse_queue_rx_open(struct pulse_queue *queue,
				  struct pulse_queue_rx **out);

/**
 * pulse_queue_rx_close() - stop receiving
 * @rx: the receiver; what was peeked at and not released stays
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_queue_rx_close(struct pulse_queue_rx *rx);

/**
 * pulse_queue_push() - put an element in
 * @tx: the sender
 * @elem: copied
 * @bytes: length of @elem; what is missing to a whole element is zero
 *
 * Return: 0 (also where it was dropped, which the statistics count); -EAGAIN
 * full; -EMSGSIZE @bytes is more than an element has; -ETIMEDOUT still full
 * after block_ns; -EPIPE it would wait for a receiver that died; -EPROTO the
 * shared words cannot be true; -EINVAL; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_queue_push(struct pulse_queue_tx *tx, const void *elem,
			       size_t bytes);

/**
 * pulse_queue_push_word() - put an element of 8 bytes in
 * @tx: the sender
 * @word: the element
 *
 * As pulse_queue_push(), inline where there is room and nobody sleeps.
 *
 * Return: as pulse_queue_push(); -EMSGSIZE elements do not have 8 bytes.
 */
PULSE_API int pulse_queue_push_word(struct pulse_queue_tx *tx, uint64_t word);

/**
 * pulse_queue_push_n() - put several elements in with one publication
 * @tx: the sender
 * @elems: whole elements, one after the other
 * @nr: how many, at least 1
 *
 * Return: how many went in, at least 1 (with PULSE_QUEUE_DROP_NEW from 0, with
 * PULSE_QUEUE_DROP_OLD all that a lane has room for); or as pulse_queue_push().
 */
PULSE_API int pulse_queue_push_n(struct pulse_queue_tx *tx, const void *elems,
				 unsigned int nr);

/**
 * pulse_queue_reserve() - room for elements to be written in place
 * @tx: the sender
 * @nr: how many are wanted, at least 1
 * @out: where the first goes; the others follow at pulse_queue_stride()
 *
 * Nobody sees them before pulse_queue_commit(). A second call gives the same
 * room again.
 *
 * Return: how many there is room for in one piece, 1 to @nr; or as
 * pulse_queue_push(), where full is -EAGAIN with PULSE_QUEUE_DROP_NEW too.
 */
PULSE_API int pulse_queue_reserve(struct pulse_queue_tx *tx, unsigned int nr,
				  void **out);

/**
 * pulse_queue_commit() - publish elements that were written in place
 * @tx: the sender
 * @nr: the first so many of what was reserved; 0 gives the room back
 *
 * Return: 0; -EINVAL more than was reserved; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_queue_commit(struct pulse_queue_tx *tx, unsigned int nr);

/**
 * pulse_queue_pop() - take an element out
 * @rx: the receiver
 * @elem: out: the element
 * @bytes: in: room in @elem; out: bytes of the element. NULL: there is room
 *	for a whole element.
 *
 * Lanes take turns, so that no sender keeps others from being heard.
 *
 * Return: 0; -EAGAIN empty, or too many others at work; -EMSGSIZE not room
 * enough (the element stays); -EPROTO the shared words cannot be true; -EINVAL;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_queue_pop(struct pulse_queue_rx *rx, void *elem,
			      size_t *bytes);

/**
 * pulse_queue_pop_word() - take an element of 8 bytes out
 * @rx: the receiver
 * @word: out: the element
 *
 * As pulse_queue_pop(), inline where there is one sender at most and one
 * receiver.
 *
 * Return: as pulse_queue_pop(); -EMSGSIZE elements do not have 8 bytes.
 */
PULSE_API int pulse_queue_pop_word(struct pulse_queue_rx *rx, uint64_t *word);

/**
 * pulse_queue_pop_n() - take several elements out, of one sender
 * @rx: the receiver
 * @elems: out: whole elements, one after the other
 * @nr: room for how many, at least 1
 *
 * Return: how many came out, 1 to @nr; or as pulse_queue_pop().
 */
PULSE_API int pulse_queue_pop_n(struct pulse_queue_rx *rx, void *elems,
				unsigned int nr);

/**
 * pulse_queue_peek() - look at elements in place
 * @rx: the receiver
 * @nr: how many at most, at least 1
 * @out: the first; the others follow at pulse_queue_stride()
 *
 * They stay, and are not written to, until pulse_queue_release(). A second
 * call without that looks at the same sender's again.
 *
 * Return: how many, 1 to @nr; -EOPNOTSUPP where others may take them away:
 * PULSE_QUEUE_MPMC and PULSE_QUEUE_DROP_OLD; or as pulse_queue_pop().
 */
PULSE_API int pulse_queue_peek(struct pulse_queue_rx *rx, unsigned int nr,
			       const void **out);

/**
 * pulse_queue_release() - done with elements that were looked at in place
 * @rx: the receiver
 * @nr: the first so many of what was peeked at
 *
 * Return: 0; -EINVAL more than were peeked at; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_queue_release(struct pulse_queue_rx *rx, unsigned int nr);

/**
 * pulse_queue_wait() - sleep until there is something to pop
 * @rx: the receiver
 * @deadline_ns: absolute, as pulse_now_ns(); PULSE_FOREVER for none
 *
 * Return: 0 there is, or was a moment ago; -ETIMEDOUT; -EPROTO; -EINVAL;
 * -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_queue_wait(struct pulse_queue_rx *rx, int64_t deadline_ns);

/**
 * pulse_queue_fd() - a file descriptor for poll() and epoll
 * @queue: the queue
 *
 * An eventfd, made at the first call. It stays the queue's. It becomes readable
 * only after pulse_queue_arm() said 0: at the first push from then on, once.
 * Each process that sends must have it (inherited, or sent over a socket) and
 * say so with pulse_queue_set_fd().
 *
 * Return: the descriptor; -EINVAL; -EMFILE and the like; -EOWNERDEAD.
 */
PULSE_API int pulse_queue_fd(struct pulse_queue *queue);

/**
 * pulse_queue_set_fd() - the eventfd that another process made for the queue
 * @queue: the queue, which has none yet
 * @fd: duplicated; the caller keeps its own
 *
 * Return: 0; -EINVAL @fd is not open; -EEXIST it has one; -EMFILE and the like;
 * -EOWNERDEAD.
 */
PULSE_API int pulse_queue_set_fd(struct pulse_queue *queue, int fd);

/**
 * pulse_queue_arm() - ask for a signal on the descriptor
 * @rx: the receiver; pulse_queue_fd() was called before
 *
 * Takes an earlier signal back. To be called before each poll(), when a pop
 * said -EAGAIN.
 *
 * Return: 0 the next push signals; -EAGAIN there is something to pop already;
 * -EPROTO; -EINVAL also: there is no descriptor; -EOPNOTSUPP senders rely on
 * membarrier() and this process is refused it; -EOWNERDEAD in a forked child.
 */
PULSE_API int pulse_queue_arm(struct pulse_queue_rx *rx);

/**
 * pulse_queue_count() - elements in it, about
 * @queue: the queue
 *
 * Return: exact when nobody uses it; 0 for NULL.
 */
PULSE_API size_t pulse_queue_count(const struct pulse_queue *queue);

/**
 * pulse_queue_capacity() - elements each sender has room for
 * @queue: the queue
 *
 * Return: entries of a lane; 0 for NULL.
 */
PULSE_API size_t pulse_queue_capacity(const struct pulse_queue *queue);

/**
 * pulse_queue_elem_bytes() - size of an element
 * @queue: the queue
 *
 * Return: bytes; 0 for NULL.
 */
PULSE_API size_t pulse_queue_elem_bytes(const struct pulse_queue *queue);

/**
 * pulse_queue_stride() - from one element to the next in place
 * @queue: the queue
 *
 * Return: bytes, the size of an element rounded up to 8; 0 for NULL.
 */
PULSE_API size_t pulse_queue_stride(const struct pulse_queue *queue);

/**
 * struct pulse_queue_stats - what happened to a queue
 * @sz: sizeof(struct pulse_queue_stats), set by the caller
 * @pushed: elements that went in
 * @popped: elements that came out or were dropped as the oldest
 * @dropped_new: elements that were dropped instead of going in
 * @dropped_old: elements that were dropped to make room
 * @takeovers: lanes taken over from senders that died
 * @signals: times a sender of this handle woke somebody or wrote the eventfd
 * @errors: times this handle answered -EPROTO
 */
struct pulse_queue_stats {
	size_t sz;
	uint64_t pushed;
	uint64_t popped;
	uint64_t dropped_new;
	uint64_t dropped_old;
	uint64_t takeovers;
	uint64_t signals;
	uint64_t errors;
};

/**
 * pulse_queue_stats() - read a queue's statistics
 * @queue: the queue
 * @out: the answer; its sz must be set
 *
 * Return: 0; -EINVAL; -E2BIG.
 */
PULSE_API int pulse_queue_stats(const struct pulse_queue *queue,
				struct pulse_queue_stats *out);

/* ---- the inline functions ---------------------------------------------- */

/* What they call when it is not the usual case. */
PULSE_API int pulse_queue_push_word_slow(struct pulse_queue_tx *tx,
					 uint64_t word);
PULSE_API int pulse_queue_pop_word_slow(struct pulse_queue_rx *rx,
					uint64_t *word);
PULSE_API void pulse_queue_push_heard(struct pulse_queue_tx *tx);

/*
 * How senders and receivers begin. For the functions below; nothing in here is
 * anybody else's, and it may grow at the end only.
 */
struct pulse_queue_tx_words {
	uint64_t tail;
	uint64_t stop;
	uint64_t *published;
	uint64_t *slot;
	uint64_t mask;
	uint64_t sizes;
	uint64_t copies;
	const uint32_t *slow;
	const uint32_t *waits;
};

#define PULSE__QUEUE_RX_OWN 6

struct pulse_queue_lane_words {
	uint64_t head;
	uint64_t tail_seen;
	uint64_t *published;
	uint64_t *slot;
	uint64_t mask;
};

struct pulse_queue_rx_words {
	const uint32_t *slow;
	uint64_t own[PULSE__QUEUE_RX_OWN];
	struct pulse_queue_lane_words lane;
};

#ifdef PULSE__QUEUE_TWINS
#define PULSE__QUEUE_INLINE
#else
#define PULSE__QUEUE_INLINE						\
	extern __inline__ __attribute__((__gnu_inline__, __always_inline__))
#endif

/* To be written soon; see ulib/base/base.h:pulse__fetch_to_write. */
#ifdef __x86_64__
#define PULSE__QUEUE_FETCH(p)						\
	__asm__ __volatile__("prefetchw %0" : : "m" (*(p)))
#else
#define PULSE__QUEUE_FETCH(p) __builtin_prefetch(p, 1)
#endif

#define PULSE__QUEUE_NONE (-11)	/* -EAGAIN, without its header */
#define PULSE__QUEUE_RARE(cond) __builtin_expect(!!(cond), 0)

/* The protocol, and what pairs with what: ulib/lockfree/lane_inline.h. */
PULSE__QUEUE_INLINE int pulse_queue_push_word(struct pulse_queue_tx *tx,
					      uint64_t word)
{
	struct pulse_queue_tx_words *t = (struct pulse_queue_tx_words *)tx;
	uint64_t tail;

	/* Not 0 in a child, and where a plain store will not do. */
	if (PULSE__QUEUE_RARE(!t || *t->slow))
		return pulse_queue_push_word_slow(tx, word);
	tail = t->tail;
	if (PULSE__QUEUE_RARE(tail == t->stop))
		return pulse_queue_push_word_slow(tx, word);
	/* A line some lines on, which the receiver read a lap ago. */
	if (!(tail & 7) && t->stop - tail > 32)
		PULSE__QUEUE_FETCH(&t->slot[(tail + 32) & t->mask]);
	__atomic_store_n(&t->slot[tail & t->mask], word, __ATOMIC_RELAXED);
	t->tail = tail + 1;
	__atomic_store_n(t->published, tail + 1, __ATOMIC_RELEASE);
	/* Light: who sleeps on the word had a heavy barrier before. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (PULSE__QUEUE_RARE(__atomic_load_n(t->waits, __ATOMIC_RELAXED)))
		pulse_queue_push_heard(tx);
	return 0;
}

PULSE__QUEUE_INLINE int pulse_queue_pop_word(struct pulse_queue_rx *rx,
					     uint64_t *word)
{
	struct pulse_queue_rx_words *r = (struct pulse_queue_rx_words *)rx;
	struct pulse_queue_lane_words *l;
	uint64_t head, tail, mask, value;
	int err;

	if (PULSE__QUEUE_RARE(!r || !word || *r->slow))
		goto slow;
	l = &r->lane;
	head = l->head;
	mask = l->mask;
	if (PULSE__QUEUE_RARE(head == l->tail_seen)) {
		tail = __atomic_load_n(l->published, __ATOMIC_ACQUIRE);
		if (tail == head)
			return PULSE__QUEUE_NONE;
		if (PULSE__QUEUE_RARE(tail - head > mask + 1))
			goto slow;	/* it cannot be */
		l->tail_seen = tail;
	}
	if (!(head & 7) && l->tail_seen - head > 16)
		__builtin_prefetch(&l->slot[(head + 16) & mask]);
	*word = __atomic_load_n(&l->slot[head & mask], __ATOMIC_RELAXED);
	l->head = head + 1;
	__atomic_store_n(l->published + PULSE_CACHE_PAIR / sizeof(uint64_t),
			 head + 1, __ATOMIC_RELEASE);
	return 0;
slow:
	/* Into a word of our own: the caller's may stay in a register. */
	value = 0;
	err = pulse_queue_pop_word_slow(rx, word ? &value : NULL);
	if (!err)
		*word = value;
	return err;
}

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_QUEUE_H */
