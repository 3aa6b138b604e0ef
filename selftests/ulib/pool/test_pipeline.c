// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pipelines: each item through each stage once, in order and one at a time where
 * that is asked for, never more than the limit; failures, cancelling, the ends of
 * threads and pools.
 */
#include <stdlib.h>

#include <pulse-u/pipeline.h>

#include "works.h"

#define STAGES 6

struct item {
	long number;
	unsigned int passed;	/* stages, a bit each */
};

struct line {
	long nr;		/* items to be made */
	long made;
	long next[STAGES];	/* of an ordered stage */
	int inside[STAGES];
	long calls[STAGES];
	long wrong;
	int under_way, most;
	long dropped, freed;
	int order[STAGES];
	int fail_at;		/* stage, and its item; 0: none */
	long fail_nr;
	int (*fail)(void);
	int skip;		/* one in so many is made nothing of, in stage 1 */
	int yields;
};

static struct line line;

struct place {
	int stage;
};

static struct place place[STAGES] = { { 0 }, { 1 }, { 2 }, { 3 }, { 4 }, { 5 } };

static void item_free(struct item *it)
{
	__atomic_fetch_sub(&line.under_way, 1, __ATOMIC_SEQ_CST);
	ATOMIC_INC(line.freed);
	free(it);
}

static int makes(void *arg, void **item)
{
	struct item *it;
	int now, err;

	(void)arg;
	if (ATOMIC_INC(line.inside[0]))
		ATOMIC_INC(line.wrong);
	if (line.fail_nr && !line.fail_at && line.made == line.fail_nr) {
		/* It may not come back. */
		line.inside[0] = 0;
		err = line.fail();
		if (err)
			return err;
		line.inside[0] = 1;
	}
	if (line.made < line.nr) {
		it = malloc(sizeof(*it));
		it->number = line.made++;	/* plain: one call at a time */
		it->passed = 1;
		now = __atomic_add_fetch(&line.under_way, 1, __ATOMIC_SEQ_CST);
		if (now > line.most)
			line.most = now;
		*item = it;
	}
	line.calls[0]++;
	__atomic_fetch_sub(&line.inside[0], 1, __ATOMIC_SEQ_CST);
	return 0;
}

static int passes(void *arg, void **item)
{
	int stage = ((struct place *)arg)->stage;
	struct item *it = *item;
	int err = 0;

	if (line.order[stage]) {
		if (ATOMIC_INC(line.inside[stage]))
			ATOMIC_INC(line.wrong);
		line.calls[stage]++;
		if (line.order[stage] == PULSE_STAGE_ORDERED &&
		    !line.skip && line.next[stage]++ != it->number)
			ATOMIC_INC(line.wrong);
		if (line.order[stage] == PULSE_STAGE_ORDERED && line.skip) {
			if (it->number < line.next[stage])
				ATOMIC_INC(line.wrong);
			line.next[stage] = it->number + 1;
		}
	} else {
		ATOMIC_INC(line.calls[stage]);
	}
	if (it->passed != (1u << stage) - 1)
		ATOMIC_INC(line.wrong);
	it->passed |= 1u << stage;
	if (line.yields && it->number % 3 == stage % 3)
		pulse_task_yield();
	if (line.fail_at == stage && it->number == line.fail_nr)
		err = line.fail();
	if (line.order[stage])
		__atomic_fetch_sub(&line.inside[stage], 1, __ATOMIC_SEQ_CST);
	if (!err && stage == 1 && line.skip && it->number % line.skip == 0) {
		item_free(it);
		*item = NULL;
	}
	return err;
}

static int ends(void *arg, void **item)
{
	int err = passes(arg, item);

	if (!err)
		item_free(*item);
	if (!err)
		*item = NULL;
	return err;
}

static void drops(void *arg, void *item)
{
	KT_CHECK(arg == &line);
	ATOMIC_INC(line.dropped);
	item_free(item);
}

static int run(struct pulse_pool *pool, long nr, const int *order, int stages,
	       size_t limit, uint32_t flags)
{
	struct pulse_stage stage[STAGES] = { { .fn = makes } };
	PULSE_OPTS(pulse_pipeline, how, .stages = stage, .nr = (size_t)stages,
		   .limit = limit, .drop = drops, .drop_arg = &line,
		   .task_id = 77, .flags = flags);
	int err;

	line.nr = nr;
	for (int i = 1; i < stages; i++) {
		line.order[i] = order[i];
		stage[i] = (struct pulse_stage){
			.fn = i + 1 == stages ? ends : passes,
			.arg = &place[i], .order = (uint32_t)order[i],
		};
	}
	err = pulse_pipeline_run(pool, &how);
	KT_EQ(line.wrong, 0);
	KT_EQ(line.under_way, 0);
	KT_EQ(line.freed, line.made);
	return err;
}

#define P PULSE_STAGE_PARALLEL
#define O PULSE_STAGE_ORDERED
#define S PULSE_STAGE_SINGLE

static const int orders[][STAGES] = {
	{ 0, P, O, P, S, O }, { 0, O, P, O, P, P }, { 0, P, P, P, P, P },
	{ 0, S, S, O, S, O }, { 0, O, O, O, O, O },
};

KT_TEST(each_item_goes_through_each_stage_in_its_order)
{
	long nr = kt_scale(3000) + 1;

	for (uint32_t workers = 1; workers <= 4; workers++) {
		struct pulse_pool *pool = pool_of(workers, 0);

		KT_REQUIRE(pool);
		for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
			static const size_t limits[] = { 0, 1, 3, 64 };

			for (size_t k = 0; k < ARRAY_SIZE(limits); k++) {
				memset(&line, 0, sizeof(line));
				line.yields = 1;
				KT_EQ(run(pool, nr, orders[i], STAGES,
					  limits[k], 0), 0);
				KT_EQ(line.made, nr);
				KT_EQ(line.calls[0], nr + 1);
				for (int s = 1; s < STAGES; s++)
					KT_EQ(line.calls[s], nr);
				KT_EQ(line.dropped, 0);
				KT_CHECK(line.most <= (limits[k] ? (int)limits[k] :
						       2 * (int)workers));
			}
		}
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

KT_TEST(short_lines_and_no_items)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_stage only = { .fn = makes };
	PULSE_OPTS(pulse_pipeline, how, .stages = &only, .nr = 1);

	KT_REQUIRE(pool);
	for (int stages = 2; stages <= STAGES; stages++) {
		for (long nr = 0; nr < 4; nr++) {
			memset(&line, 0, sizeof(line));
			KT_EQ(run(pool, nr, orders[0], stages, 2, 0), 0);
			KT_EQ(line.calls[stages - 1], nr);
		}
	}
	/* A first stage alone: nobody wants what it makes. */
	memset(&line, 0, sizeof(line));
	line.nr = 0;
	KT_EQ(pulse_pipeline_run(pool, &how), 0);
	KT_EQ(line.calls[0], 1);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_TEST(what_is_made_nothing_of_leaves_no_gap)
{
	struct pulse_pool *pool = pool_of(3, 0);
	long nr = kt_scale(3000) + 1;

	KT_REQUIRE(pool);
	for (int skip = 1; skip < 4; skip++) {
		for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
			memset(&line, 0, sizeof(line));
			line.skip = skip;
			KT_EQ(run(pool, nr, orders[i], STAGES, 5, 0), 0);
			KT_EQ(line.calls[5], nr - (nr + skip - 1) / skip);
		}
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* Queues of two, and a queue that others keep full. */
KT_TEST(carriers_that_find_no_room_are_not_lost)
{
	PULSE_OPTS(pulse_pool_opts, opts, .num_workers = 2, .task_queue_size = 2,
		   .enable_lock_free = PULSE_OFF);
	struct pulse_pool *pool;

	KT_REQUIRE(!pulse_pool_create(&opts, &pool));
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		memset(&line, 0, sizeof(line));
		KT_EQ(run(pool, kt_scale(3000), orders[i], STAGES, 64, 0), 0);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

#define PAIRS	10

struct meet {
	sem_t first[PAIRS], second[PAIRS];
	long calls;
};

/* Only two that are inside at the same time go on. */
static int meets(void *arg, void **item)
{
	struct meet *m = arg;
	long call = __atomic_fetch_add(&m->calls, 1, __ATOMIC_SEQ_CST);
	sem_t *first = &m->first[call / 2], *second = &m->second[call / 2];

	(void)item;
	sem_post(call & 1 ? second : first);
	sem_wait_all(call & 1 ? first : second, 1);
	return 0;
}

/* As many may be under way as there are, so that nobody meets the last one alone. */
KT_TEST(a_parallel_stage_has_several_items_at_once)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct meet m = { .calls = 0 };
	struct pulse_stage stage[3] = {
		{ .fn = makes }, { .fn = meets, .arg = &m },
		{ .fn = ends, .arg = &place[1], .order = O },
	};
	PULSE_OPTS(pulse_pipeline, how, .stages = stage, .nr = 3,
		   .limit = 2 * PAIRS);

	KT_REQUIRE(pool);
	for (int i = 0; i < PAIRS; i++) {
		sem_init(&m.first[i], 0, 0);
		sem_init(&m.second[i], 0, 0);
	}
	memset(&line, 0, sizeof(line));
	line.nr = 2 * PAIRS;
	line.order[1] = O;
	KT_EQ(pulse_pipeline_run(pool, &how), 0);
	KT_EQ(m.calls, 2 * PAIRS);
	KT_EQ(line.wrong, 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* ---- failures ------------------------------------------------------------------ */

static int returns_eio(void)
{
	return -EIO;
}

static int returns_one(void)
{
	return 1;
}

static int fails_from_the_depth(void)
{
	return pulse_task_fail(-EDOM);
}

static int aborts(void)
{
	abort();
}

KT_TEST(a_stage_that_fails_ends_it_and_what_is_under_way_is_dropped)
{
	static const struct {
		int (*fn)(void);
		int err;
	} how[] = {
		{ returns_eio, -EIO }, { returns_one, -EINVAL },
		{ fails_from_the_depth, -EDOM }, { aborts, PULSE_ETASK_PANICKED },
	};
	struct told told;
	struct pulse_pool *pool = told_pool(3, &told, 0);
	int runs = 0;

	KT_REQUIRE(pool);
	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		for (int stage = 0; stage < STAGES; stage++) {
			memset(&line, 0, sizeof(line));
			line.fail = how[i].fn;
			line.fail_at = stage;
			line.fail_nr = 40;
			KT_EQ(run(pool, LONG_MAX, orders[i], STAGES, 8,
				  how[i].fn == aborts ? PULSE_WORK_CONTAIN : 0),
			      how[i].err);
			KT_CHECK(!stage || line.dropped);
			runs++;
		}
	}
	KT_EQ(pulse_pool_wait(pool), 0);
	KT_EQ(told.errors, runs);
	KT_EQ(told.err_id, 77);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int loses_its_thread(void)
{
	/* Its item is lost with it. */
	__atomic_fetch_sub(&line.under_way, line.fail_at ? 1 : 0, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&line.freed, line.fail_at ? 1 : 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&line.inside[line.fail_at], 0, __ATOMIC_SEQ_CST);
	pthread_exit(NULL);
}

static struct item *lost[STAGES * 8];
static int nr_lost;

static int passes_and_tells(void *arg, void **item)
{
	struct item *it = *item;

	if (line.fail_at == ((struct place *)arg)->stage &&
	    it->number == line.fail_nr)
		lost[nr_lost++] = it;
	return passes(arg, item);
}

KT_TEST(a_stage_that_ends_its_thread_ends_it_too)
{
	struct pulse_pool *pool = pool_of(2, 0);

	KT_REQUIRE(pool);
	for (size_t i = 0; i < 4; i++) {
		for (int at = 0; at < STAGES - 1; at++) {
			struct pulse_stage stage[STAGES] = { { .fn = makes } };
			PULSE_OPTS(pulse_pipeline, how, .stages = stage,
				   .nr = STAGES, .limit = 6, .drop = drops,
				   .drop_arg = &line);

			memset(&line, 0, sizeof(line));
			line.nr = 1000;
			line.fail = loses_its_thread;
			line.fail_at = at;
			line.fail_nr = 10;
			for (int k = 1; k < STAGES; k++) {
				line.order[k] = orders[i][k];
				stage[k] = (struct pulse_stage){
					.fn = k + 1 == STAGES ? ends :
					      passes_and_tells,
					.arg = &place[k],
					.order = (uint32_t)orders[i][k],
				};
			}
			KT_EQ(pulse_pipeline_run(pool, &how), PULSE_ETASK_LOST);
			KT_EQ(line.under_way, 0);
			KT_EQ(line.freed, line.made);
		}
	}
	while (nr_lost)
		free(lost[--nr_lost]);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static struct pulse_token *token;

static int cancels(void)
{
	KT_EQ(pulse_token_cancel(token, -ESTALE), 0);
	return 0;
}

KT_TEST(a_token_ends_it)
{
	struct pulse_pool *pool = pool_of(2, 0);
	struct pulse_stage stage[3] = {
		{ .fn = makes }, { .fn = passes, .arg = &place[1] },
		{ .fn = ends, .arg = &place[2], .order = O },
	};
	PULSE_OPTS(pulse_pipeline, how, .stages = stage, .nr = 3, .drop = drops,
		   .drop_arg = &line);

	KT_REQUIRE(pool && !pulse_token_create(NULL, &token));
	memset(&line, 0, sizeof(line));
	line.nr = LONG_MAX;
	line.order[2] = O;
	line.fail = cancels;
	line.fail_at = 1;
	line.fail_nr = 100;
	how.token = token;
	KT_EQ(pulse_pipeline_run(pool, &how), -ESTALE);
	KT_EQ(line.under_way, 0);
	KT_EQ(pulse_pipeline_run(pool, &how), -ESTALE);	/* does not begin */
	pulse_token_put(token);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

static int stops_the_pool(void)
{
	KT_CHECK(pulse_pool_stop(pulse_pool_current()) >= 0);
	return 0;
}

KT_TEST(a_stopped_pool_ends_it)
{
	for (int stage = 0; stage < STAGES; stage++) {
		struct pulse_pool *pool = pool_of(2, 0);

		KT_REQUIRE(pool);
		memset(&line, 0, sizeof(line));
		line.fail = stops_the_pool;
		line.fail_at = stage;
		line.fail_nr = 30;
		KT_EQ(run(pool, LONG_MAX, orders[0], STAGES, 0, 0), -ECANCELED);
		KT_EQ(run(pool, 3, orders[0], STAGES, 0, 0), -ESHUTDOWN);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

/* ---- from tasks, seeds, memory ---------------------------------------------------- */

static void inside_task(void *arg)
{
	memset(&line, 0, sizeof(line));
	line.yields = 1;
	KT_EQ(run(arg, 300, orders[0], STAGES, 4, 0), 0);
	KT_EQ(line.made, 300);
}

KT_TEST(from_a_task_and_where_a_seed_draws)
{
	for (uint64_t seed = 0; seed < 8; seed++) {
		PULSE_OPTS(pulse_pool_opts, opts, .seed = seed,
			   .num_workers = seed ? 3 : 1);
		struct pulse_pool *pool;

		KT_REQUIRE(!pulse_pool_create(&opts, &pool));
		KT_EQ(pulse_pool_submit(pool, inside_task, pool), 0);
		KT_EQ(pulse_pool_wait(pool), 0);
		inside_task(pool);
		KT_EQ(pulse_pool_destroy(pool), 0);
	}
}

/* U01, U02 */
KT_TEST(bad_arguments_are_refused)
{
	struct pulse_pool *pool = pool_of(1, 0);
	struct pulse_stage stage[2] = { { .fn = makes }, { .fn = ends } };
	PULSE_OPTS(pulse_pipeline, how, .stages = stage, .nr = 2);

	KT_REQUIRE(pool);
	memset(&line, 0, sizeof(line));
	KT_EQ(pulse_pipeline_run(NULL, &how), -EINVAL);
	KT_EQ(pulse_pipeline_run(pool, NULL), -EINVAL);
#define REFUSED(member, value)						\
	do {								\
		struct pulse_pipeline bad = how;			\
									\
		bad.member = (value);					\
		KT_EQ(pulse_pipeline_run(pool, &bad), -EINVAL);		\
	} while (0)
	REFUSED(sz, 0);
	REFUSED(stages, NULL);
	REFUSED(nr, 0);
	REFUSED(limit, PULSE_PIPELINE_LIMIT + 1);
	REFUSED(priority, 2);
	REFUSED(flags, 2);
	stage[1].order = 3;
	KT_EQ(pulse_pipeline_run(pool, &how), -EINVAL);
	stage[1].order = 0;
	stage[1].reserved = 1;
	KT_EQ(pulse_pipeline_run(pool, &how), -EINVAL);
	stage[1].reserved = 0;
	stage[1].fn = NULL;
	KT_EQ(pulse_pipeline_run(pool, &how), -EINVAL);
	KT_EQ(line.calls[0], 0);
	KT_EQ(pulse_pool_destroy(pool), 0);
}

/* U04 */
KT_TEST(each_failing_allocation_unwinds)
{
	struct pulse_pool *pool = pool_of(2, 0);
	bool failed = true;

	KT_REQUIRE(pool);
	for (long nth = 1; failed; nth++) {
		int err;

		memset(&line, 0, sizeof(line));
		pulse__alloc_fail_at(nth);
		err = run(pool, 50, orders[0], STAGES, 4, 0);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		/* A worker may have had the failure, and have done without. */
		KT_CHECK(!err || (err == -ENOMEM && failed));
		KT_EQ(line.made, err ? 0 : 50);
	}
	KT_EQ(pulse_pool_destroy(pool), 0);
}

KT_MAIN()
