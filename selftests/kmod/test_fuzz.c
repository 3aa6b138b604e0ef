// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's fuzzer (fuzz_module.c), for a short while: that it searches, and that
 * what it does comes through to every command, is the first thing to show; then that
 * the module stands it. Longer: build/selftests/kmod/fuzz_module in a VM.
 */
#include "fuzz/box.h"

/* ------------------------------------------------------------ the search alone */

#define DEPTH	10

/* A maze: one command after the other opens the next door. How far @p comes. */
static uint64_t walk(struct fuzz_engine *e, const struct fuzz_prog *p)
{
	static const uint8_t doors[DEPTH] = { 3, 11, 0, 7, 14, 9, 2, 12, 5, 1 };
	uint64_t level = 0;

	for (uint32_t i = 0; i < p->nr && level < DEPTH; i++)
		if (p->op[i].kind == FUZZ_IOCTL && p->op[i].cmd == doors[level])
			fuzz_signal(e, 1, ++level);
	return level;
}

/* How many programs until the last door was open, or @most. */
static uint64_t runs_through_maze(uint64_t seed, bool blind, uint64_t most)
{
	struct fuzz_engine *e = fuzz_engine_new(seed);
	uint64_t deepest = 0, runs;
	struct fuzz_prog p;

	if (!e)
		return 0;
	e->blind = blind;
	while (deepest < DEPTH && e->runs < most) {
		uint64_t level;

		fuzz_choose(e, &p);
		level = walk(e, &p);
		fuzz_learn(e, &p);
		deepest = level > deepest ? level : deepest;
	}
	runs = e->runs;
	free(e);
	return runs;
}

KT_TEST(what_was_new_leads_to_where_chance_does_not)
{
	uint64_t guided = runs_through_maze(1, false, 500000);

	kt_note("through the maze in %llu programs", (unsigned long long)guided);
	KT_CHECK(guided && guided < 500000);
	KT_EQ(runs_through_maze(1, true, guided), guided);
	/* no luck of that seed */
	KT_CHECK(runs_through_maze(2, false, 500000) < 500000);
}

/* @nr programs, of which those of a new length are news; 0 if one is none at all. */
static uint64_t sum_of_programs(struct fuzz_engine *e, int nr)
{
	uint64_t sum = 1;
	struct fuzz_prog p;

	while (nr-- && sum) {
		fuzz_choose(e, &p);
		for (size_t i = 0; i < offsetof(struct fuzz_prog, op[p.nr]); i++)
			sum = sum * 31 + ((const uint8_t *)&p)[i];
		fuzz_signal(e, 2, p.nr);
		fuzz_learn(e, &p);
		if (!fuzz_prog_ok(&p))
			sum = 0;
	}
	return sum;
}

static uint64_t sum_of_seed(uint64_t seed)
{
	struct fuzz_engine *e = fuzz_engine_new(seed);
	uint64_t sum = e ? sum_of_programs(e, 2000) : 0;

	free(e);
	return sum;
}

KT_TEST(a_seed_gives_the_same_programs_again)
{
	uint64_t one = sum_of_seed(7);

	KT_CHECK(one != 0);
	KT_CHECK(one == sum_of_seed(7));
	KT_CHECK(one != sum_of_seed(8));
}

KT_TEST(a_corpus_is_read_as_it_was_written)
{
	struct fuzz_engine *e = fuzz_engine_new(3);
	struct fuzz_engine *f = fuzz_engine_new(4);
	char path[] = "/tmp/pulse-fuzz-corpus.XXXXXX";
	int fd = mkstemp(path);
	uint32_t far = FUZZ_OPS + 1;

	KT_REQUIRE(e && f && fd >= 0);
	KT_CHECK(sum_of_programs(e, 500));
	KT_CHECK(e->nr > 4);
	KT_EQ(fuzz_save(e, path), 0);
	KT_EQ(fuzz_load(f, path), e->nr);
	KT_EQ(f->nr, e->nr);
	KT_EQ(f->again, e->nr);
	KT_CHECK(!memcmp(e->kept, f->kept, e->nr * sizeof(e->kept[0])));
	/* a program that is longer than one can be */
	KT_EQ(close(fd), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	KT_EQ(pwrite(fd, &far, sizeof(far), 0), sizeof(far));
	KT_EQ(fuzz_load(f, path), -EINVAL);
	close(fd);
	unlink(path);
	KT_EQ(fuzz_load(f, path), 0);
	free(e);
	free(f);
}

/* ------------------------------------------------------------------- the module */

/* Calls that only a program in the right state brings to a good end. */
static const char *const deep[] = {
	"INFO", "SETUP", "WORKER_ADD", "WORKER_DEL", "PARK", "WAKE", "WAKE_NODE",
	"HANDOFF", "BEAT", "HINT", "WATCH", "UNWATCH", "EVENTFD",
};

#define MANY_RUNS	1000
#define AGAIN_RUNS	500
#define NR_DEEP	(sizeof(deep) / sizeof(deep[0]))

static bool done(const char *name)
{
	for (size_t i = 0; i < FUZZ_NR_CMDS; i++)
		if (!strcmp(fuzz_cmds[i].name, name))
			return totals->done[i] > 0;
	return false;
}

/* With KCOV: functions far behind the table of commands, and how much in all. */
static const char *const far_in[] = {
	"pulse_wake_node", "pulse_region_free", "pulse_beat_set", "pulse_nl_knob_set",
};

#define NR_FAR_IN	(sizeof(far_in) / sizeof(far_in[0]))
#define MIN_SIGNALS	1000U	/* pairs of blocks that follow one another, and answers */

static bool far_enough(const struct fuzz_crew *crew)
{
	for (size_t i = 0; i < NR_DEEP; i++)
		if (!done(deep[i]))
			return false;
	if (!crew->box[0].cover)
		return true;
	for (size_t i = 0; i < NR_FAR_IN; i++)
		if (!fuzz_crew_has(crew, far_in[i]))
			return false;
	return crew->e->signals >= MIN_SIGNALS;
}

static void look_at_what_was_reached(const struct fuzz_crew *crew)
{
	const struct fuzz_engine *e = crew->e;

	kt_note("%llu programs, %u kept, %u signals, %llu killed",
		(unsigned long long)e->runs, e->nr, e->signals,
		(unsigned long long)totals->killed);
	for (size_t i = 0; i < NR_DEEP; i++)
		KT_CHECKF(done(deep[i]), "%s never came to a good end", deep[i]);
	/* what only chance does, where it had time for it */
	for (size_t i = 0; i < FUZZ_NR_CMDS; i++)
		KT_CHECKF(totals->refused[i] || e->runs < MANY_RUNS, "%s was never refused",
			  fuzz_cmds[i].name);
	for (int i = 0; i < FUZZ_NR_KINDS; i++)
		KT_CHECKF(totals->kinds[i] || e->runs < MANY_RUNS,
			  "no call of kind %d was made", i);
	KT_CHECK(totals->killed > 0);
	if (!crew->box[0].cover)
		return;
	kt_note("%d of %d functions", fuzz_crew_functions_seen(crew), crew->box[0].cover->nr);
	KT_CHECK(e->signals >= MIN_SIGNALS);
	for (size_t i = 0; i < NR_FAR_IN; i++)
		KT_CHECKF(fuzz_crew_has(crew, far_in[i]), "%s was not reached", far_in[i]);
}

KT_TEST(programs_made_by_chance_reach_every_command_and_harm_nothing)
{
	const char *said = getenv("PULSE_FUZZ_SEED");
	uint64_t seed = said ? strtoull(said, NULL, 0) : 20261121;
	long long least = kt_scale(300) * NS_PER_SEC, began = now_ns();
	long long contexts, workers, patient;
	static struct fuzz_crew crew;
	struct fuzz_engine *e;

	NEED_DEVICE();
	if (geteuid())
		KT_SKIP("not root: it would not be alone");
	kt_note("PULSE_FUZZ_SEED=%llu", (unsigned long long)seed);
	contexts = sysfs_read("contexts");
	workers = sysfs_read("workers");
	e = fuzz_engine_new(seed);
	KT_REQUIRE(e);
	fuzz_plant(e);
	KT_REQUIRE(!fuzz_crew_begin(&crew, e));
	KT_CHECK(totals->family > 0);
	/*
	 * The time it has, and as much again three times where it is slow, or
	 * where that was not enough for chance to do its part. Where it still was
	 * not, as long as the test may wait; what was kept, and so what is known to
	 * get far where threads are in time for each other, is run anew.
	 */
	patient = until_end_ns();
	while (now_ns() - began < least ||
	       (!far_enough(&crew) &&
		(now_ns() - began < 4 * least || e->runs < MANY_RUNS ||
		 until_now_ns() < patient))) {
		if (e->runs && !(e->runs % AGAIN_RUNS) && !far_enough(&crew))
			e->again = e->nr;
		if (!fuzz_crew_step(&crew))
			break;
	}
	fuzz_crew_end(&crew);
	KT_CHECKF(!totals->bug, "%s", totals->bug_text);
	look_at_what_was_reached(&crew);
	fuzz_crew_free(&crew);
	free(e);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
	KT_CHECK(EVENTUALLY(sysfs_read("workers") == workers));
}

KT_MAIN()
