// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * mock_poller.c - a loop whose time and events are the test's; guarded buffers;
 * allocations that fail.
 */
#include "io/poller_int.h"

#include <pulse-u/testing.h>

struct entry {
	struct entry *next;
	uint64_t token;
	int fd;
	uint32_t watched, happened;
};

struct mock_sys {
	struct entry *entries;
};

static struct entry **find(struct pulse_poller *p, int fd)
{
	struct entry **e = &((struct mock_sys *)p->sys)->entries;

	while (*e && (*e)->fd != fd)
		e = &(*e)->next;
	return e;
}

static void mock_del(struct pulse_poller *p, int fd)
{
	struct entry **at = find(p, fd), *e = *at;

	if (!e)
		return;
	*at = e->next;
	pulse__free(e);
}

static void mock_close(struct pulse_poller *p)
{
	struct mock_sys *sys = p->sys;

	while (sys->entries)
		mock_del(p, sys->entries->fd);
	pulse__free(sys);
}

static int mock_add(struct pulse_poller *p, int fd, uint32_t events,
		    uint64_t token)
{
	struct entry **at = find(p, fd);

	if (*at)
		return -EEXIST;
	*at = pulse__calloc(1, sizeof(**at));
	if (!*at)
		return -ENOMEM;
	(*at)->fd = fd;
	(*at)->token = token;
	(*at)->watched = events;
	return 0;
}

static int mock_mod(struct pulse_poller *p, int fd, uint32_t events,
		    uint64_t token)
{
	struct entry *e = *find(p, fd);

	if (!e)
		return -ENOENT;
	e->watched = events;
	e->token = token;
	return 0;
}

/* One that something has happened to, that is watched for. */
static struct entry *next_event(struct pulse_poller *p)
{
	struct entry *e = ((struct mock_sys *)p->sys)->entries;

	while (e && !(e->happened & (e->watched | PULSE_POLLER_ERR)))
		e = e->next;
	return e;
}

static int mock_wait(struct pulse_poller *p, int64_t deadline_ns)
{
	struct entry *e = next_event(p);
	int handled = 0;

	WRITE_ONCE(p->asleep, 0);
	if (!e && deadline_ns != PULSE_FOREVER && deadline_ns > p->now_ns)
		p->now_ns = deadline_ns;
	/* A handler may change the list: begin anew after each. */
	for (; e; e = next_event(p)) {
		uint32_t told = e->happened & (e->watched | PULSE_POLLER_ERR);

		e->happened &= ~told;
		handled += pulse__poller_event(p, e->token, told);
	}
	return handled;
}

static void mock_wake(struct pulse_poller *p)
{
	(void)p;		/* it never sleeps */
}

static const struct pulse__poller_ops mock_ops = {
	.name = "mock",
	.close = mock_close,
	.add = mock_add,
	.mod = mock_mod,
	.del = mock_del,
	.wait = mock_wait,
	.wake = mock_wake,
};

int pulse_mock_poller(struct pulse_poller **out)
{
	struct mock_sys *sys;
	int err;

	if (!out)
		return -EINVAL;
	err = pulse_poller_create(NULL, out);
	if (err)
		return err;
	sys = pulse__calloc(1, sizeof(*sys));
	if (!sys) {
		pulse_poller_destroy(*out);
		*out = NULL;
		return -ENOMEM;
	}
	/* The system's side makes way for ours. */
	(*out)->ops->close(*out);
	(*out)->ops = &mock_ops;
	(*out)->sys = sys;
	return 0;
}

int pulse_mock_poller_event(struct pulse_poller *p, int fd, uint32_t events)
{
	struct entry *e;

	if (!p || p->ops != &mock_ops || !events)
		return -EINVAL;
	e = *find(p, fd);
	if (!e)
		return -ENOENT;
	e->happened |= events;
	return 0;
}

/* ---- buffers -------------------------------------------------------------- */

#define GUARD		64
#define GUARD_BYTE	0xa5
#define DEAD_BYTE	0xdd

static void released(void *data, void *arg)
{
	struct pulse_mock_buffer *state = arg;
	unsigned char *mem = state->memory;

	for (size_t i = 0; i < GUARD; i++)
		if (mem[i] != GUARD_BYTE ||
		    mem[GUARD + state->bytes + i] != GUARD_BYTE)
			state->overrun = 1;
	memset(data, DEAD_BYTE, state->bytes);
	state->released++;
	state->memory = NULL;
	pulse__free(mem);
}

int pulse_mock_buffer(struct pulse_buffer_pool *pool, size_t bytes,
		      struct pulse_mock_buffer *state, struct pulse_buffer **out)
{
	unsigned char *mem;
	int err;

	if (!pool || !state || !out || bytes > SIZE_MAX / 2)
		return -EINVAL;
	mem = pulse__malloc(bytes + 2 * GUARD);
	if (!mem)
		return -ENOMEM;
	memset(mem, GUARD_BYTE, bytes + 2 * GUARD);
	*state = (struct pulse_mock_buffer){ .memory = mem, .bytes = bytes };
	err = pulse_buffer_wrap(pool, mem + GUARD, bytes, released, state, out);
	if (err)
		pulse__free(mem);
	return err;
}

int pulse_mock_batch(struct pulse_buffer_pool *pool, size_t bytes, size_t nr,
		     struct pulse_mock_buffer *states, struct pulse_batch *batch)
{
	struct pulse_buffer *buf;
	size_t before;
	int err = 0;

	if (!pool || !states || !batch || batch->item_bytes != sizeof(void *) ||
	    nr > INT_MAX)
		return -EINVAL;
	before = batch->len;
	if (batch->capacity - before < nr)
		return -ENOBUFS;
	for (size_t i = 0; i < nr && !err; i++) {
		err = pulse_mock_buffer(pool, bytes, &states[i], &buf);
		if (!err)
			err = pulse_batch_append_ptr(batch, buf);
	}
	while (err && batch->len > before) {
		pulse_buffer_put(pulse_batch_get_ptr(batch, batch->len - 1));
		batch->len--;
	}
	return err;
}

int pulse_mock_batch_check(const struct pulse_mock_buffer *states, size_t nr)
{
	if (!states || nr > INT_MAX)
		return -EINVAL;
	for (size_t i = 0; i < nr; i++)
		if (states[i].released != 1 || states[i].overrun)
			return (int)i + 1;
	return 0;
}

/* ---- allocations ---------------------------------------------------------- */

void pulse_mock_alloc_fail(long n)
{
	pulse__alloc_fail_at(n);
}

int pulse_mock_alloc_failed(void)
{
	return pulse__alloc_failed();
}
