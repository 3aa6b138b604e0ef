// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * shared_queue.c - the places of a shared pool: claimed, filled, run, and taken
 * from the dead. The protocol stands in shared.h.
 *
 * All of it is seq_cst: a task that crosses processes costs more than that.
 */
#include <sched.h>

#include "pool/shared.h"

/* Each so many-th task is looked for from the lowest priority up. */
#define PULSE__SHARED_OUT_OF_TURN	64U

static bool pulse__splace_move(struct pulse__splace *s, uint64_t from,
			       uint64_t to)
{
	return pulse__cas(&s->state, &from, to, __ATOMIC_SEQ_CST,
			  __ATOMIC_RELAXED);
}

static uint64_t pulse__bits(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void pulse__bit_set(uint64_t *map, uint32_t i)
{
	__atomic_fetch_or(&map[i / 64], 1ULL << (i % 64), __ATOMIC_SEQ_CST);
}

static bool pulse__bit_clear(uint64_t *map, uint32_t i)
{
	uint64_t bit = 1ULL << (i % 64);

	return __atomic_fetch_and(&map[i / 64], ~bit, __ATOMIC_SEQ_CST) & bit;
}

/*
 * A place that is in state @from becomes this process's, in state @to; looks
 * at the bits of @map once round from @hint on. -EAGAIN: there is none.
 */
static int pulse__shared_claim(struct pulse_shared_pool *pool,
			       struct pulse__sarena *a, uint64_t *map,
			       uint32_t *hint, uint32_t from, uint32_t to,
			       uint32_t *place)
{
	uint32_t start = READ_ONCE(*hint) % pool->entries;
	uint64_t upper = ~0ULL << (start % 64);

	for (uint32_t k = 0; k <= pool->words; k++) {
		uint32_t w = (start / 64 + k) % pool->words;
		uint64_t bits = pulse__bits(&map[w]);

		if (!k)
			bits &= upper;
		else if (k == pool->words)
			bits &= ~upper;
		for (; bits; bits &= bits - 1) {
			uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(bits);

			if (!pulse__bit_clear(map, i) ||
			    !pulse__splace_move(pulse__splace(pool, a, i),
						PULSE__PLACE(from, 0),
						PULSE__PLACE(to, pool->ticket)))
				continue;
			WRITE_ONCE(*hint, i + 1);
			*place = i;
			return 0;
		}
	}
	return -EAGAIN;
}

void pulse__shared_format(struct pulse_shared_pool *pool)
{
	for (uint32_t n = 0; n < pool->nr_arenas; n++)
		memset(pool->arena[n].free, 0xff, pool->words * sizeof(uint64_t));
}

/* ---- submitting ---------------------------------------------------------- */

static const struct pulse_shared_fn *
pulse__shared_fn(const struct pulse_shared_pool *pool, uint32_t id)
{
	uint32_t low = 0, high = pool->nr_fns;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (pool->fns[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < pool->nr_fns && pool->fns[low].id == id ? &pool->fns[low] :
							       NULL;
}

/* The arena of a node, or of the one the caller runs on; the first by default. */
uint32_t pulse__shared_arena_of(const struct pulse_shared_pool *pool,
				       int node)
{
	unsigned int cpu, here = 0;

	if (pool->nr_arenas == 1)
		return 0;
	if (node < 0)
		node = getcpu(&cpu, &here) ? 0 : (int)here;
	for (uint32_t n = 0; n < pool->nr_arenas; n++) {
		if (pool->arena[n].node == node)
			return n;
	}
	return 0;
}

/* The @n-th nearest to @row, from 0: itself. */
static struct pulse__sarena *pulse__shared_near(struct pulse_shared_pool *pool,
						uint32_t row, uint32_t n)
{
	return &pool->arena[pool->ctx ?
			    pool->ctx->order[row * pool->nr_arenas + n] : n];
}

static int pulse__shared_put(struct pulse_shared_pool *pool,
			     struct pulse__sarena *a,
			     const struct pulse_shared_task *t)
{
	struct pulse__splace *s;
	uint32_t i;
	int err;

	err = pulse__shared_claim(pool, a, a->free, &a->shm->put_hint,
				  PULSE__PLACE_FREE, PULSE__PLACE_FILLING, &i);
	if (err)
		return err;
	s = pulse__splace(pool, a, i);
	WRITE_ONCE(s->id, t->id);
	WRITE_ONCE(s->bytes, (uint32_t)t->bytes);
	WRITE_ONCE(s->attempts, 0);
	WRITE_ONCE(s->priority, (uint32_t)(t->priority - PULSE_PRIO_LOW));
	if (t->bytes)
		memcpy(s->payload, t->payload, t->bytes);
	/* From here on it is accepted, whatever becomes of this process. */
	if (!pulse__splace_move(s, PULSE__PLACE(PULSE__PLACE_FILLING, pool->ticket),
				PULSE__PLACE(PULSE__PLACE_READY, 0)))
		return -EPROTO;
	pulse__bit_set(a->ready[t->priority - PULSE_PRIO_LOW], i);
	return 0;
}

int pulse_shared_pool_submit(struct pulse_shared_pool *pool,
			     const struct pulse_shared_task *task)
{
	struct pulse_shared_task t;
	int err = pulse__shared_check(pool);
	uint32_t first;

	if (err)
		return err;
	if (!task)
		return -EINVAL;
	err = pulse__opts_load(&t, sizeof(t),
			       pulse__size_to(struct pulse_shared_task, reserved),
			       task);
	if (err)
		return err;
	if (t.priority < PULSE_PRIO_LOW || t.priority > PULSE_PRIO_HIGH ||
	    t.node < 0 || t.reserved || (t.bytes && !t.payload))
		return -EINVAL;
	if (t.bytes > pool->payload_bytes)
		return -EMSGSIZE;
	if (!pulse__shared_fn(pool, t.id))
		return -ENOENT;
	if (READ_ONCE(pool->shm->closed))
		return -ESHUTDOWN;
	first = pulse__shared_arena_of(pool, t.node - 1);
	for (uint32_t n = 0; n < pool->nr_arenas; n++) {
		struct pulse__sarena *a = pulse__shared_near(pool, first, n);

		err = pulse__shared_put(pool, a, &t);
		if (!err) {
			pulse__add_relaxed(&pool->submitted, 1);
			pulse__shared_wake(pool, a);
			return 0;
		}
		if (err != -EAGAIN)
			break;
	}
	if (err == -EPROTO)
		pulse__add_relaxed(&pool->errors, 1);
	return err;
}

/* ---- running -------------------------------------------------------------- */

bool pulse__shared_take(struct pulse__sworker *w)
{
	struct pulse_shared_pool *pool = w->pool;
	bool odd = !(++w->turn % PULSE__SHARED_OUT_OF_TURN);

	for (uint32_t p = 0; p < PULSE__SHARED_PRIOS; p++) {
		uint32_t prio = odd ? p : PULSE__SHARED_PRIOS - 1 - p;

		for (uint32_t n = 0; n < pool->nr_arenas; n++) {
			struct pulse__sarena *a = pulse__shared_near(pool, w->home, n);
			struct pulse__splace *s;

			if (pulse__shared_claim(pool, a, a->ready[prio],
						&a->shm->get_hint,
						PULSE__PLACE_READY,
						PULSE__PLACE_RUNNING, &w->place))
				continue;
			w->at = a;
			s = pulse__splace(pool, a, w->place);
			WRITE_ONCE(s->attempts, READ_ONCE(s->attempts) + 1);
			return true;
		}
	}
	return false;
}

void pulse__shared_run(struct pulse__sworker *w)
{
	struct pulse_shared_pool *pool = w->pool;
	struct pulse__splace *s = pulse__splace(pool, w->at, w->place);
	struct pulse_shared_run run = {
		.sz = sizeof(run),
		.payload = w->payload,
		.bytes = READ_ONCE(s->bytes),
		.id = READ_ONCE(s->id),
		.attempt = READ_ONCE(s->attempts),
	};
	const struct pulse_shared_fn *fn = pulse__shared_fn(pool, run.id);

	if (!fn || run.bytes > pool->payload_bytes) {
		pulse__add_relaxed(&pool->errors, 1);
		pulse__warn_once("shared pool %s: a task cannot be true: function %u, %zu bytes",
				 pool->name, run.id, run.bytes);
		return;
	}
	memcpy(w->payload, s->payload, run.bytes);
	fn->fn(fn->arg, &run);
}

void pulse__shared_done(struct pulse__sworker *w)
{
	struct pulse_shared_pool *pool = w->pool;
	struct pulse__sarena *a = w->at;

	w->at = NULL;
	if (pulse__splace_move(pulse__splace(pool, a, w->place),
			       PULSE__PLACE(PULSE__PLACE_RUNNING, pool->ticket),
			       PULSE__PLACE(PULSE__PLACE_FREE, 0))) {
		pulse__bit_set(a->free, w->place);
		pulse__add_relaxed(&pool->completed, 1);
	} else {
		/* Somebody scribbles, or struck us from the table. */
		pulse__add_relaxed(&pool->errors, 1);
	}
	pulse__shared_wake_waiters(pool);
}

bool pulse__shared_any_ready(const struct pulse_shared_pool *pool)
{
	for (uint32_t n = 0; n < pool->nr_arenas; n++) {
		for (uint32_t p = 0; p < PULSE__SHARED_PRIOS; p++) {
			for (uint32_t w = 0; w < pool->words; w++) {
				if (pulse__bits(&pool->arena[n].ready[p][w]))
					return true;
			}
		}
	}
	return false;
}

bool pulse__shared_drained(const struct pulse_shared_pool *pool)
{
	for (uint32_t n = 0; n < pool->nr_arenas; n++) {
		for (uint32_t w = 0; w < pool->words; w++) {
			if (~pulse__bits(&pool->arena[n].free[w]))
				return false;
		}
	}
	/* A bit may be one too many; a state is true. */
	for (uint32_t n = 0; n < pool->nr_arenas; n++) {
		for (uint32_t i = 0; i < pool->entries; i++) {
			const struct pulse__splace *s =
				pulse__splace(pool, &pool->arena[n], i);

			if (pulse__bits(&s->state))
				return false;
		}
	}
	return true;
}

/* ---- deaths ----------------------------------------------------------------- */

static bool pulse__ticket_lives(const struct pulse_shared_pool *pool,
				uint32_t ticket)
{
	uint32_t top = pulse__shared_top(pool);

	/* 0 stands in no place that is somebody's. */
	if (!ticket || ticket == pool->ticket)
		return ticket;
	for (uint32_t m = 0; m < top; m++) {
		if (PULSE__WHO_TICKET(pulse__bits(&pool->shm->member[m].who)) ==
		    ticket)
			return true;
	}
	return false;
}

/* What a place whose owner is dead becomes. */
static uint32_t pulse__splace_turn(struct pulse_shared_pool *pool,
				   const struct pulse__splace *s,
				   uint64_t state)
{
	uint32_t attempts = READ_ONCE(s->attempts);

	if (PULSE__PLACE_STATE(state) != PULSE__PLACE_RUNNING)
		return PULSE__PLACE_FREE;
	return pool->max_attempts && attempts >= pool->max_attempts ?
		PULSE__PLACE_FREE : PULSE__PLACE_READY;
}

static void pulse__splace_bury(struct pulse_shared_pool *pool,
			       struct pulse__sarena *a, uint32_t i)
{
	struct pulse__splace *s = pulse__splace(pool, a, i);
	uint32_t prio = READ_ONCE(s->priority) % PULSE__SHARED_PRIOS;
	uint64_t state = pulse__bits(&s->state);
	uint32_t turn;

	switch (PULSE__PLACE_STATE(state)) {
	case PULSE__PLACE_FILLING:
	case PULSE__PLACE_RUNNING:
		if (pulse__ticket_lives(pool, PULSE__PLACE_TICKET(state)))
			return;
		break;
	default:
		if (state == PULSE__PLACE(PULSE__PLACE_FREE, 0) ||
		    state == PULSE__PLACE(PULSE__PLACE_READY, 0))
			goto mend;
		/* No state that there is. */
		pulse__add_relaxed(&pool->errors, 1);
	}
	turn = pulse__splace_turn(pool, s, state);
	if (!pulse__splace_move(s, state, PULSE__PLACE(turn, 0)))
		return;
	if (turn == PULSE__PLACE_READY) {
		pulse__add_relaxed(&pool->recovered, 1);
	} else if (PULSE__PLACE_STATE(state) == PULSE__PLACE_RUNNING) {
		pulse__add_relaxed(&pool->dropped, 1);
		pulse_log(PULSE_LOG_ERROR,
			  "shared pool %s: a task of function %u is dropped: %u processes died while they ran it",
			  pool->name, READ_ONCE(s->id), pool->max_attempts);
	}
mend:
	/* Died between the state and the bit; one too many does no harm. */
	state = pulse__bits(&s->state);
	if (state == PULSE__PLACE(PULSE__PLACE_FREE, 0) &&
	    !(pulse__bits(&a->free[i / 64]) >> (i % 64) & 1))
		pulse__bit_set(a->free, i);
	if (state == PULSE__PLACE(PULSE__PLACE_READY, 0) &&
	    !(pulse__bits(&a->ready[prio][i / 64]) >> (i % 64) & 1))
		pulse__bit_set(a->ready[prio], i);
}

void pulse__shared_bury(struct pulse_shared_pool *pool)
{
	for (uint32_t n = 0; n < pool->nr_arenas; n++) {
		for (uint32_t i = 0; i < pool->entries; i++)
			pulse__splace_bury(pool, &pool->arena[n], i);
	}
	/* The dead may also have failed to wake somebody. */
	pulse__shared_wake_all(pool);
}

/* ---- figures ------------------------------------------------------------------ */

int pulse_shared_pool_stats(struct pulse_shared_pool *pool,
			    struct pulse_shared_pool_stats *out)
{
	struct pulse_shared_pool_stats s = { 0 };
	int err = pulse__shared_check(pool);
	uint32_t top;

	if (err)
		return err;
	err = pulse__out_check(out, pulse__size_to(struct pulse_shared_pool_stats,
						   reserved));
	if (err)
		return err;
	s.submitted = READ_ONCE(pool->submitted);
	s.completed = READ_ONCE(pool->completed);
	s.recovered = READ_ONCE(pool->recovered);
	s.dropped = READ_ONCE(pool->dropped);
	s.errors = READ_ONCE(pool->errors);
	for (uint32_t n = 0; n < pool->nr_arenas; n++) {
		for (uint32_t i = 0; i < pool->entries; i++) {
			uint64_t state = pulse__bits(&pulse__splace(
				pool, &pool->arena[n], i)->state);

			s.queued += PULSE__PLACE_STATE(state) == PULSE__PLACE_READY;
			s.running += PULSE__PLACE_STATE(state) ==
				     PULSE__PLACE_RUNNING;
		}
	}
	s.capacity = (uint64_t)pool->entries * pool->nr_arenas;
	top = pulse__shared_top(pool);
	for (uint32_t m = 0; m < top; m++)
		s.processes += pulse__bits(&pool->shm->member[m].who) != 0;
	s.num_workers = pool->nr_workers;
	s.kernel = pool->ctx != NULL;
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
