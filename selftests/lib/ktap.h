/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ktap.h - one test program: named tests, checks, KTAP on stdout.
 *
 *	#include "ktap.h"
 *
 *	KT_TEST(a_full_queue_says_so)
 *	{
 *		KT_EQ(push(q, 1), -EAGAIN);
 *	}
 *
 *	KT_MAIN()
 *
 * Tests run in the order of the file, each under a watchdog (60 s, or what
 * KT_TIMEOUT= says); a test that hangs has failed and ends its program, by
 * SIGABRT, so that there is a core to look at. "prog -l" lists the names, "prog
 * NAME..." runs only those. A failed check goes on with the test, KT_REQUIRE
 * leaves it. Checks may be used from several threads.
 */
#ifndef PULSE_SELFTESTS_KTAP_H
#define PULSE_SELFTESTS_KTAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct kt_test {
	const char *name;
	void (*fn)(void);
	struct kt_test *next;
};

static struct kt_test *kt_first, **kt_last = &kt_first;
static const char *volatile kt_current = "(none)";
static volatile int kt_number;	/* of the running test */
static int kt_failed;		/* failed checks of the running test */
static int kt_checks;		/* checks of the running test, passed or not */
static char kt_skip_why[256];

static inline void kt_register(struct kt_test *t)
{
	*kt_last = t;
	kt_last = &t->next;
}

#define KT_TEST(id)							\
	static void id(void);						\
	static struct kt_test kt_test_##id = { #id, id, NULL };		\
	__attribute__((constructor)) static void kt_reg_##id(void)	\
	{								\
		kt_register(&kt_test_##id);				\
	}								\
	static void id(void)

__attribute__((format(printf, 1, 2)))
static inline void kt_note(const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	printf("# %s\n", line);
	fflush(stdout);
}

static inline void kt_count(bool ok)
{
	__atomic_fetch_add(&kt_checks, 1, __ATOMIC_RELAXED);
	if (!ok)
		__atomic_fetch_add(&kt_failed, 1, __ATOMIC_RELAXED);
}

#define KT_CHECK(cond)							\
	({								\
		bool kt_ok_ = !!(cond);					\
		kt_count(kt_ok_);					\
		if (!kt_ok_)						\
			kt_note("%s:%d: failed: %s", __FILE__, __LINE__,\
				#cond);					\
		kt_ok_;							\
	})

/* Like KT_CHECK, with a printf text that says what was seen. */
#define KT_CHECKF(cond, ...)						\
	({								\
		bool kt_ok_ = !!(cond);					\
		kt_count(kt_ok_);					\
		if (!kt_ok_) {						\
			kt_note("%s:%d: failed: %s", __FILE__, __LINE__,\
				#cond);					\
			kt_note(__VA_ARGS__);				\
		}							\
		kt_ok_;							\
	})

#define KT_EQ(got, want)						\
	({								\
		long long kt_g_ = (long long)(got);			\
		long long kt_w_ = (long long)(want);			\
		bool kt_ok_ = kt_g_ == kt_w_;				\
		kt_count(kt_ok_);					\
		if (!kt_ok_)						\
			kt_note("%s:%d: %s is %lld, should be %s = %lld",\
				__FILE__, __LINE__, #got, kt_g_, #want, kt_w_);\
		kt_ok_;							\
	})

#define KT_STREQ(got, want)						\
	({								\
		const char *kt_g_ = (got), *kt_w_ = (want);		\
		bool kt_ok_ = kt_g_ && kt_w_ && !strcmp(kt_g_, kt_w_);	\
		kt_count(kt_ok_);					\
		if (!kt_ok_)						\
			kt_note("%s:%d: %s is \"%s\", should be \"%s\"",\
				__FILE__, __LINE__, #got,		\
				kt_g_ ? kt_g_ : "(null)",		\
				kt_w_ ? kt_w_ : "(null)");		\
		kt_ok_;							\
	})

/* Leaves the test (a void function) when the condition does not hold. */
#define KT_REQUIRE(cond)						\
	do {								\
		if (!KT_CHECK(cond))					\
			return;						\
	} while (0)

#define KT_FAIL(...)							\
	do {								\
		kt_count(false);					\
		kt_note(__VA_ARGS__);					\
	} while (0)

/*
 * How much of @n to do: PULSE_TEST_SCALE is a percentage, 100 unless set. Slow
 * machines (emulated CPUs, sanitizers) set it below, a long soak above.
 */
static inline long kt_scale(long n)
{
	const char *percent = getenv("PULSE_TEST_SCALE");
	long scaled = percent ? (long)((double)n * atof(percent) / 100) : n;

	return scaled > 0 ? scaled : 1;
}

/* Leaves the test as skipped, and says why. */
#define KT_SKIP(...)							\
	do {								\
		snprintf(kt_skip_why, sizeof(kt_skip_why), __VA_ARGS__);\
		return;							\
	} while (0)

/* Seconds that a test may take. */
static inline unsigned int kt_limit(void)
{
	const char *limit = getenv("KT_TIMEOUT");

	return limit ? (unsigned int)atoi(limit) : 60;
}

static inline void kt_watchdog(int sig)
{
	char line[256];
	int n = snprintf(line, sizeof(line),
			 "\nnot ok %d - %s\n# it hangs: no end within its time\n",
			 kt_number, kt_current);

	(void)sig;
	if (n > 0)
		(void)!write(STDOUT_FILENO, line, (size_t)n);
	abort();
}

static inline int kt_main(int argc, char **argv)
{
	const unsigned int seconds = kt_limit();
	int total = 0, n = 0, failed = 0;
	struct kt_test *t;

	if (argc > 1 && !strcmp(argv[1], "-l")) {
		for (t = kt_first; t; t = t->next)
			puts(t->name);
		return 0;
	}
	for (t = kt_first; t; t = t->next) {
		bool wanted = argc < 2;

		for (int i = 1; i < argc; i++)
			wanted |= !strcmp(argv[i], t->name);
		if (!wanted)
			t->fn = NULL;
		total += wanted;
	}
	if (!total) {
		fprintf(stderr, "%s: no such test; -l lists them\n", argv[0]);
		return 2;
	}
	signal(SIGALRM, kt_watchdog);
	printf("KTAP version 1\n1..%d\n", total);
	for (t = kt_first; t; t = t->next) {
		if (!t->fn)
			continue;
		kt_number = ++n;
		kt_current = t->name;
		kt_failed = kt_checks = 0;
		kt_skip_why[0] = 0;
		fflush(stdout);
		alarm(seconds);
		t->fn();
		alarm(0);
		if (kt_skip_why[0] && !kt_failed) {
			printf("ok %d - %s # SKIP %s\n", n, t->name, kt_skip_why);
			continue;
		}
		if (!kt_checks) {
			printf("# %s checked nothing\n", t->name);
			kt_failed++;
		}
		failed += kt_failed != 0;
		printf("%sok %d - %s\n", kt_failed ? "not " : "", n, t->name);
	}
	fflush(stdout);
	return failed ? 1 : 0;
}

#define KT_MAIN()							\
	int main(int argc, char **argv)					\
	{								\
		return kt_main(argc, argv);				\
	}

#endif /* PULSE_SELFTESTS_KTAP_H */
