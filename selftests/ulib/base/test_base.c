// SPDX-License-Identifier: GPL-2.0-only
/* What every area leans on: options, errors, log, clock, fork, fault point. */
#include <pthread.h>
#include <sys/wait.h>

#include "base/base.h"
#include "base/list.h"
#include "ktap.h"

struct sample_opts {
	size_t sz;
	uint32_t a;
	uint32_t b;
};

/* The same, as a version that knows more would have it. */
struct sample_opts_new {
	size_t sz;
	uint32_t a;
	uint32_t b;
	uint64_t more[4];
};

#define MIN pulse__size_to(struct sample_opts, a)

KT_TEST(no_options_are_the_defaults)
{
	struct sample_opts o = { 99, 99, 99 };

	KT_EQ(pulse__opts_load(&o, sizeof(o), MIN, NULL), 0);
	KT_EQ(o.sz, sizeof(o));
	KT_EQ(o.a, 0);
	KT_EQ(o.b, 0);
}

/* U02 */
KT_TEST(options_without_a_believable_size_are_refused)
{
	struct sample_opts src = { 0, 1, 2 }, o;

	KT_EQ(pulse__opts_load(&o, sizeof(o), MIN, &src), -EINVAL);
	src.sz = 1;
	KT_EQ(pulse__opts_load(&o, sizeof(o), MIN, &src), -EINVAL);
	src.sz = MIN - 1;
	KT_EQ(pulse__opts_load(&o, sizeof(o), MIN, &src), -EINVAL);
	/* Never read that far: there is nothing behind it. */
	src.sz = SIZE_MAX;
	KT_EQ(pulse__opts_load(&o, sizeof(o), MIN, &src), -E2BIG);
	src.sz = 4097;
	KT_EQ(pulse__opts_load(&o, sizeof(o), MIN, &src), -E2BIG);
}

KT_TEST(options_of_an_older_caller_miss_what_came_later)
{
	struct sample_opts src = { MIN, 1, 2 }, o;

	KT_EQ(pulse__opts_load(&o, sizeof(o), MIN, &src), 0);
	KT_EQ(o.a, 1);
	KT_EQ(o.b, 0);
	KT_EQ(o.sz, sizeof(o));
}

/* U02 */
KT_TEST(options_of_a_newer_caller_pass_with_a_zero_tail_only)
{
	struct sample_opts_new src = { .sz = sizeof(src), .a = 1, .b = 2 };
	struct sample_opts o;

	KT_EQ(pulse__opts_load(&o, sizeof(o), MIN, &src), 0);
	KT_EQ(o.b, 2);
	for (size_t i = sizeof(o); i < sizeof(src); i++) {
		unsigned char *byte = (unsigned char *)&src + i;

		*byte = 1;
		KT_EQ(pulse__opts_load(&o, sizeof(o), MIN, &src), -E2BIG);
		*byte = 0;
	}
}

KT_TEST(opts_macro_zeroes_what_is_not_named)
{
	PULSE_OPTS(sample_opts, o, .b = 7);

	KT_EQ(o.sz, sizeof(o));
	KT_EQ(o.a, 0);
	KT_EQ(o.b, 7);
}

KT_TEST(answers_fit_the_callers_struct)
{
	struct sample_opts answer = { sizeof(answer), 1, 2 };
	struct sample_opts_new large = { .sz = sizeof(large),
					 .more = { 9, 9, 9, 9 } };
	struct sample_opts small = { MIN, 9, 9 };

	KT_EQ(pulse__out_check(NULL, MIN), -EINVAL);
	KT_EQ(pulse__out_check(&small, MIN), 0);
	pulse__out_store(&small, &answer, sizeof(answer));
	KT_EQ(small.sz, MIN);
	KT_EQ(small.a, 1);
	KT_EQ(small.b, 9);
	pulse__out_store(&large, &answer, sizeof(answer));
	KT_EQ(large.sz, sizeof(large));
	KT_EQ(large.b, 2);
	KT_EQ(large.more[0] | large.more[3], 0);
}

KT_TEST(every_error_has_a_text)
{
	KT_STREQ(pulse_strerror(0), "success");
	KT_STREQ(pulse_strerror(-EINVAL), pulse_strerror(EINVAL));
	KT_CHECK(strstr(pulse_strerror(-EOWNERDEAD), "fork") != NULL);
	for (int err = -4200; err < 4200; err++)
		KT_CHECK(pulse_strerror(err) && *pulse_strerror(err));
	KT_STREQ(pulse_strerror(INT_MIN), "unknown error");
	KT_STREQ(pulse_strerror(INT_MAX), "unknown error");
	errno = 77;
	pulse_strerror(-ENOENT);
	KT_EQ(errno, 77);
}

KT_TEST(version_is_the_one_of_the_header)
{
	char want[32];

	snprintf(want, sizeof(want), "%d.%d.%d", PULSE_VERSION_MAJOR,
		 PULSE_VERSION_MINOR, PULSE_VERSION_PATCH);
	KT_STREQ(pulse_version(), want);
}

static char log_line[256];
static int log_level, log_lines;

static void catch_line(int level, const char *line, void *arg)
{
	*(int *)arg += 1;
	log_level = level;
	snprintf(log_line, sizeof(log_line), "%s", line);
}

KT_TEST(log_sink_gets_the_lines_that_matter_enough)
{
	int before;

	pulse_log_set_sink(catch_line, &log_lines);
	before = pulse_log_set_level(PULSE_LOG_WARN);
	KT_CHECK(before >= PULSE_LOG_ERROR && before <= PULSE_LOG_DEBUG);
	errno = 5;
	pulse_log(PULSE_LOG_WARN, "%s %d", "seven is", 7);
	KT_EQ(errno, 5);
	KT_STREQ(log_line, "seven is 7");
	KT_EQ(log_level, PULSE_LOG_WARN);
	pulse_log(PULSE_LOG_INFO, "not this");
	pulse_log(PULSE_LOG_DEBUG, "nor this");
	KT_EQ(log_lines, 1);
	for (int i = 0; i < 3; i++)
		pulse__warn_once("once");
	KT_EQ(log_lines, 2);
	KT_EQ(pulse_log_set_level(PULSE_LOG_DEBUG), PULSE_LOG_WARN);
	KT_CHECK(pulse__log_wanted(PULSE_LOG_DEBUG));
	KT_EQ(pulse_log_set_level(-1), -EINVAL);
	KT_EQ(pulse_log_set_level(PULSE_LOG_DEBUG + 1), -EINVAL);
	KT_EQ(pulse_log_set_level(before), PULSE_LOG_DEBUG);
	pulse_log_set_sink(NULL, NULL);
}

KT_TEST(a_line_that_is_too_long_is_cut)
{
	char longer[5000];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	pulse_log_set_sink(catch_line, &log_lines);
	pulse_log(PULSE_LOG_ERROR, "%s", longer);
	pulse_log_set_sink(NULL, NULL);
	KT_EQ(log_line[0], 'x');
}

/* Child: says whether the environment gave it the level. */
static int level_of_env(const char *value)
{
	pid_t pid;
	int status = 0;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		char *argv[] = { (char *)"test", (char *)"-level", NULL };

		setenv("PULSE_LOG", value, 1);
		execv("/proc/self/exe", argv);
		_exit(99);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

KT_TEST(environment_sets_the_level)
{
	KT_EQ(level_of_env("error"), PULSE_LOG_ERROR);
	KT_EQ(level_of_env("warn"), PULSE_LOG_WARN);
	KT_EQ(level_of_env("debug"), PULSE_LOG_DEBUG);
	KT_EQ(level_of_env("nonsense"), PULSE_LOG_INFO);
}

static int sink_lines[2];

/* A line must come with the argument that belongs to its sink. */
static void first_sink(int level, const char *line, void *arg)
{
	(void)level;
	(void)line;
	if (KT_CHECK(arg == &sink_lines[0]))
		pulse__add_relaxed((int *)arg, 1);
}

static void second_sink(int level, const char *line, void *arg)
{
	(void)level;
	(void)line;
	if (KT_CHECK(arg == &sink_lines[1]))
		pulse__add_relaxed((int *)arg, 1);
}

static void *write_lines(void *unused)
{
	for (int i = 0; i < 5000; i++)
		pulse_log(PULSE_LOG_ERROR, "line");
	return unused;
}

KT_TEST(sinks_may_change_while_lines_are_written)
{
	pthread_t t;

	pulse_log_set_sink(first_sink, &sink_lines[0]);
	KT_REQUIRE(!pthread_create(&t, NULL, write_lines, NULL));
	for (int i = 0; i < 5000; i++) {
		pulse_log_set_sink(second_sink, &sink_lines[1]);
		pulse_log_set_sink(first_sink, &sink_lines[0]);
	}
	pthread_join(t, NULL);
	pulse_log_set_sink(NULL, NULL);
	KT_EQ(sink_lines[0] + sink_lines[1], 5000);
}

KT_TEST(clock_goes_forward)
{
	int64_t a = pulse_now_ns(), b = pulse_now_ns();

	KT_CHECK(a > 0 && b >= a);
	KT_EQ(pulse__deadline_after(5, 6), 11);
	KT_EQ(pulse__deadline_after(5, PULSE_FOREVER), PULSE_FOREVER);
	KT_EQ(pulse__deadline_after(INT64_MAX - 1, 6), PULSE_FOREVER);
}

/* U09 */
KT_TEST(a_forked_child_is_another_generation)
{
	uint32_t mine = pulse__fork_generation();
	int status = 0;
	pid_t pid;

	KT_CHECK(!pulse__forked(mine));
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(pulse__forked(mine) ? 0 : 1);
	waitpid(pid, &status, 0);
	KT_CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	KT_CHECK(!pulse__forked(mine));
}

/* U04 */
KT_TEST(the_nth_allocation_fails_and_only_that)
{
	for (long n = 1; n <= 3; n++) {
		pulse__alloc_fail_at(n);
		for (long i = 1; i <= 4; i++) {
			void *p = i & 1 ? pulse__malloc(8) :
					  pulse__calloc(2, 8);

			KT_EQ(!p, i == n);
			KT_EQ(pulse__alloc_failed(), i >= n);
			pulse__free(p);
		}
	}
	pulse__alloc_fail_at(1);
	pulse__alloc_fail_at(0);
	KT_CHECK(!pulse__alloc_fault());
	KT_CHECK(!pulse__alloc_failed());
}

KT_TEST(sizes_that_overflow_are_not_allocated)
{
	volatile size_t most = SIZE_MAX;
	size_t product;

	KT_CHECK(pulse__calloc(most / 2, 3) == NULL);
	KT_CHECK(pulse__aligned_alloc(64, most - 10) == NULL);
	KT_CHECK(pulse__mul_overflow(most, (size_t)2, &product));
	KT_EQ(pulse__pow2_up(0), 1);
	KT_EQ(pulse__pow2_up(65), 128);
	KT_EQ(pulse__pow2_up(UINT64_MAX), 0);
	KT_EQ(pulse__log2(1ULL << 40), 40);
}

KT_TEST(aligned_memory_is_aligned_and_zero)
{
	for (size_t align = 16; align <= 4096; align *= 2) {
		unsigned char *p = pulse__aligned_alloc(align, 100);

		KT_REQUIRE(p != NULL);
		KT_CHECK(pulse__is_aligned(p, align));
		KT_EQ(p[0] | p[99], 0);
		pulse__free(p);
	}
}

struct item {
	int value;
	struct pulse__list link;
	struct pulse__snode single;
};

KT_TEST(lists_keep_their_order)
{
	struct pulse__list head = PULSE__LIST_INIT(head);
	struct pulse__list other = PULSE__LIST_INIT(other);
	struct pulse__fifo fifo = { NULL, NULL };
	struct item items[5], *it;
	int want = 0;

	for (int i = 0; i < 5; i++) {
		items[i].value = i;
		pulse__list_add_tail(i < 3 ? &head : &other, &items[i].link);
		pulse__fifo_push(&fifo, &items[i].single);
	}
	pulse__list_splice_tail(&head, &other);
	KT_CHECK(pulse__list_empty(&other));
	pulse__list_for_each_entry(it, &head, link)
		KT_EQ(it->value, want++);
	KT_EQ(want, 5);
	pulse__list_del(&items[2].link);
	pulse__list_del(&items[2].link);
	pulse__list_add(&head, &items[2].link);
	it = container_of(pulse__list_pop(&head), struct item, link);
	KT_EQ(it->value, 2);
	for (int i = 0; i < 5; i++)
		KT_CHECK(pulse__fifo_pop(&fifo) == &items[i].single);
	KT_CHECK(pulse__fifo_pop(&fifo) == NULL);
}

int main(int argc, char **argv)
{
	/* What level_of_env() starts. */
	if (argc == 2 && !strcmp(argv[1], "-level"))
		return pulse_log_set_level(PULSE_LOG_INFO);
	return kt_main(argc, argv);
}
