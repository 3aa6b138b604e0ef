/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * testing.h - for tests of programs that use the library: connections made of
 * memory, with faults by script; a loop whose time is the test's; buffers that
 * notice what was written outside of them; allocations that fail.
 *
 *	struct pulse_fault cut[] = { { .kind = PULSE_FAULT_CUT, .at = 1000,
 *				       .value = -ECONNRESET } };
 *	PULSE_OPTS(pulse_mock_opts, o, .faults = cut, .nr_faults = 1);
 *	err = pulse_mock_pair(poller, &o, NULL, &a, &b);
 *
 * The same run gives the same events each time: no sockets, no chance.
 */
#ifndef PULSE_U_TESTING_H
#define PULSE_U_TESTING_H

#include <pulse-u/base.h>
#include <pulse-u/batch.h>
#include <pulse-u/buffer.h>
#include <pulse-u/poller.h>
#include <pulse-u/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What goes wrong with what one end sends and receives. */
enum pulse_fault_kind {
	PULSE_FAULT_SHORT_SEND = 1,	/* a send takes @value bytes at most */
	PULSE_FAULT_SHORT_RECV = 2,	/* a receive gives @value bytes at most */
	PULSE_FAULT_REFUSE = 3,		/* each @at-th send is -EAGAIN */
	PULSE_FAULT_DELAY = 4,		/* it arrives @value turns of the loop later */
	PULSE_FAULT_LOSE = 5,		/* each @at-th send is lost */
	PULSE_FAULT_DOUBLE = 6,		/* each @at-th arrives twice */
	PULSE_FAULT_SWAP = 7,		/* each @at-th arrives before the one before */
	PULSE_FAULT_CUT = 8,		/* broken with @value behind @at bytes sent; 0: an end */
	PULSE_FAULT_SEND_ERROR = 9,	/* the @at-th send fails with @value */
	PULSE_FAULT_RECV_ERROR = 10,	/* the @at-th receive fails with @value */
	PULSE_FAULT_ASYNC = 11,		/* sends keep the memory for @value turns */
};

/**
 * struct pulse_fault - one line of a script
 * @kind: enum pulse_fault_kind
 * @reserved: 0
 * @at: see there; counted from 1
 * @value: see there
 */
struct pulse_fault {
	uint32_t kind;
	uint32_t reserved;
	uint64_t at;
	int64_t value;
};

/**
 * struct pulse_mock_opts - one end of a connection made of memory
 * @sz: sizeof(struct pulse_mock_opts)
 * @faults: the script; copied
 * @nr_faults: its lines, up to 64
 * @features: enum pulse_transport_feature; default: those of tcp. Without
 *	PULSE_TRANSPORT_STREAM each send is a message
 * @room_bytes: what may be on its way to the peer; default 64 KiB
 * @reserved: 0
 * @ops: what is not NULL (or 0) of it takes the place of the mock's own: a
 *	carrier of the test's; it may call pulse_mock_ops(). Must outlive the end
 */
struct pulse_mock_opts {
	size_t sz;
	const struct pulse_fault *faults;
	uint32_t nr_faults;
	uint32_t features;
	uint32_t room_bytes;
	uint32_t reserved;
	const struct pulse_transport_ops *ops;
};

/**
 * pulse_mock_pair() - two transports that are connected
 * @poller: the loop of both
 * @a_opts: what happens to what @a sends; or NULL
 * @b_opts: likewise
 * @a: one end; needs a handler, and to be closed
 * @b: the other
 *
 * Return: 0; -EINVAL; -E2BIG; -ENOMEM.
 */
PULSE_API int pulse_mock_pair(struct pulse_poller *poller,
			      const struct pulse_mock_opts *a_opts,
			      const struct pulse_mock_opts *b_opts,
			      struct pulse_transport **a,
			      struct pulse_transport **b);

/**
 * pulse_mock_ops() - the mock's own operations
 *
 * Return: for a test's operations to call.
 */
PULSE_API const struct pulse_transport_ops *pulse_mock_ops(void);

/**
 * pulse_mock_poller() - a loop that never waits
 * @out: for all functions of poller.h
 *
 * Its clock, pulse_poller_now(), stands but when the loop would wait: then it
 * goes on to the time it would have waited for. Descriptors are not looked at;
 * what happens to them is said by pulse_mock_poller_event(). A wait for ever
 * without anything to do ends at once.
 *
 * Return: as of pulse_poller_create().
 */
PULSE_API int pulse_mock_poller(struct pulse_poller **out);

/**
 * pulse_mock_poller_event() - let something happen to a descriptor
 * @poller: of pulse_mock_poller()
 * @fd: registered with it
 * @events: enum pulse_poller_event; those that are watched for are told in the
 *	next turn, once
 *
 * Return: 0; -EINVAL; -ENOENT it is not registered.
 */
PULSE_API int pulse_mock_poller_event(struct pulse_poller *poller, int fd,
				      uint32_t events);

/**
 * struct pulse_mock_buffer - what became of a buffer of pulse_mock_buffer()
 * @released: how often its last reference was put: 1, when all is well
 * @overrun: bytes before or behind it were changed
 * @memory: the mock's
 * @bytes: the mock's
 */
struct pulse_mock_buffer {
	uint32_t released;
	uint32_t overrun;
	void *memory;
	size_t bytes;
};

/**
 * pulse_mock_buffer() - a buffer between two guarded zones
 * @pool: the pool that the handle comes from
 * @bytes: its length
 * @state: told of its end; lives at least until then
 * @out: the buffer; its bytes are overwritten when it is released
 *
 * Return: as of pulse_buffer_wrap().
 */
PULSE_API int pulse_mock_buffer(struct pulse_buffer_pool *pool, size_t bytes,
				struct pulse_mock_buffer *state,
				struct pulse_buffer **out);

/**
 * pulse_mock_batch() - a batch of buffers between guarded zones
 * @pool: the pool that the handles come from
 * @bytes: the length of each
 * @nr: how many
 * @states: told of their ends, @nr of them, in the order of the batch; live at
 *	least until then
 * @batch: of pointers, with room for so many more; they are added at its end
 *
 * Return: 0; -ENOBUFS no room in @batch; as of pulse_mock_buffer(); after an error
 * @batch is as before.
 */
PULSE_API int pulse_mock_batch(struct pulse_buffer_pool *pool, size_t bytes,
			       size_t nr, struct pulse_mock_buffer *states,
			       struct pulse_batch *batch);

/**
 * pulse_mock_batch_check() - did all end as they should?
 * @states: of pulse_mock_batch()
 * @nr: how many
 *
 * Return: 0: each was released once, and nothing was written beside it; else the
 * number of the first of which that is not so, counted from 1; -EINVAL.
 */
PULSE_API int pulse_mock_batch_check(const struct pulse_mock_buffer *states,
				     size_t nr);

/**
 * pulse_mock_alloc_fail() - let one allocation of the library fail
 * @n: 1: the next one, of any thread; 2: the one after it, ...; 0: none
 *
 * Of all that the library allocates: transports, buffers, batches of a queue.
 */
PULSE_API void pulse_mock_alloc_fail(long n);

/**
 * pulse_mock_alloc_failed() - did it?
 *
 * Return: 1 the allocation that was to fail has failed; 0.
 */
PULSE_API int pulse_mock_alloc_failed(void);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_TESTING_H */
