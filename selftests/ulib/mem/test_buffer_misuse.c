// SPDX-License-Identifier: GPL-2.0-only
/* Buffers in wrong hands, in a forked child, and in many threads. */
#include <pthread.h>
#include <sys/wait.h>

#include "buffers.h"

/* Ran @fn in a child: was it stopped with an abort? */
static bool aborts(void (*fn)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		/* The message is expected: keep it out of the log. */
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		signal(SIGABRT, SIG_DFL);
		fn();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void put_twice(void)
{
	struct pulse_buffer *buf;

	start();
	buf = take(100);
	pulse_buffer_put(buf);
	pulse_buffer_put(buf);
}

static void put_slice_twice(void)
{
	struct pulse_buffer *buf, *slice = NULL;

	start();
	buf = take(100);
	pulse_buffer_slice(buf, 0, 10, &slice);
	pulse_buffer_put(slice);
	pulse_buffer_put(slice);
}

static void put_large_twice(void)
{
	struct pulse_buffer *buf;

	start();
	buf = take(100000);
	pulse_buffer_put(buf);
	pulse_buffer_put(buf);
}

static void use_after_release(void)
{
	struct pulse_buffer *buf;

	start();
	buf = take(100);
	pulse_buffer_put(buf);
	pulse_buffer_data(buf);
}

static void write_after_release(void)
{
	struct pulse_buffer *buf;
	char *data;

	start();
	buf = take(100);
	data = pulse_buffer_data(buf);
	pulse_buffer_put(buf);
	data[50] = 1;
	for (int i = 0; i < 1000; i++)
		take(100);
}

static void too_many_references(void)
{
	struct pulse_buffer *buf;

	start();
	buf = take(100);
	WRITE_ONCE(buf->refs, PULSE__BUFFER_REFS_MAX);
	pulse_buffer_get(buf);
}

/* W04 */
KT_TEST(a_debug_build_stops_at_misuse)
{
#ifdef PULSE_DEBUG
	KT_CHECK(aborts(put_twice));
	KT_CHECK(aborts(put_slice_twice));
	KT_CHECK(aborts(put_large_twice));
	KT_CHECK(aborts(use_after_release));
	KT_CHECK(aborts(write_after_release));
	KT_CHECK(aborts(too_many_references));
#else
	(void)aborts;
	(void)put_twice;
	(void)put_slice_twice;
	(void)put_large_twice;
	(void)use_after_release;
	(void)write_after_release;
	(void)too_many_references;
	KT_SKIP("this is no debug build (-DPULSE_DEBUG)");
#endif
}

KT_TEST(the_reference_count_does_not_wrap)
{
#ifdef PULSE_DEBUG
	KT_SKIP("a debug build aborts instead");
#else
	struct pulse_buffer *buf, *slice = NULL;

	start();
	buf = take(100);
	WRITE_ONCE(buf->refs, PULSE__BUFFER_REFS_MAX);
	KT_EQ(pulse_buffer_get(buf), -EOVERFLOW);
	KT_EQ(pulse_buffer_slice(buf, 0, 1, &slice), -EOVERFLOW);
	KT_CHECK(!slice);
	KT_EQ(READ_ONCE(buf->refs), PULSE__BUFFER_REFS_MAX);
	WRITE_ONCE(buf->refs, 1);
	pulse_buffer_put(buf);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
#endif
}

/* U09 */
KT_TEST(a_forked_child_is_told_and_can_destroy)
{
	struct pulse_buffer *buf, *large;
	int status = 0;
	pid_t pid;

	start();
	buf = take(100);
	large = take(100000);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		struct pulse_buffer *out = NULL;
		bool ok = pulse_buffer_pool_get(pool, 1, 0, &out) == -EOWNERDEAD;

		ok &= pulse_buffer_slice(buf, 0, 1, &out) == -EOWNERDEAD;
		ok &= pulse_buffer_copy(buf, 0, &out) == -EOWNERDEAD;
		pulse_buffer_put(buf);
		ok &= pulse_buffer_pool_destroy(pool) == 0;
		_exit(ok ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	KT_CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	pulse_buffer_put(buf);
	pulse_buffer_put(large);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

/* ---- threads ------------------------------------------------------------- */

#define SLOTS 64

static struct pulse_buffer *slots[SLOTS];

/* Puts buffers where others take them: most are given back elsewhere. */
static void *trade(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;

	for (long i = kt_scale(100000); i > 0; i--) {
		size_t bytes = rand_r(&seed) % 64 ? rand_r(&seed) % 9000 : 50000;
		struct pulse_buffer *buf = NULL, *slice = NULL, *old;
		unsigned char *data;

		if (pulse_buffer_pool_get(pool, bytes + 2, PULSE_NODE_HERE,
					  &buf)) {
			KT_FAIL("get");
			break;
		}
		data = pulse_buffer_data(buf);
		data[0] = (unsigned char)i;
		data[bytes + 1] = (unsigned char)i;
		if (i % 3 == 0) {
			/* The slice travels, the buffer stays behind. */
			KT_EQ(pulse_buffer_slice(buf, 0, bytes + 2, &slice), 0);
			pulse_buffer_put(buf);
			buf = slice;
		}
		old = __atomic_exchange_n(&slots[rand_r(&seed) % SLOTS], buf,
					  __ATOMIC_ACQ_REL);
		if (!old)
			continue;
		data = pulse_buffer_data(old);
		KT_EQ(data[0], data[pulse_buffer_len(old) - 1]);
		pulse_buffer_put(old);
	}
	return NULL;
}

KT_TEST(buffers_are_given_back_by_whatever_thread)
{
	pthread_t t[3];

	start();
	for (long i = 0; i < 3; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, trade, (void *)(i + 1)));
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < SLOTS; i++) {
		pulse_buffer_put(slots[i]);
		slots[i] = NULL;
	}
	KT_EQ(stats().in_use, 0);
	KT_EQ(stats().views, 0);
	KT_EQ(stats().gets, 3 * kt_scale(100000));
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

static int most, now;

static void *up_to_the_limit(void *arg)
{
	struct pulse_buffer *buf = NULL;

	for (long i = kt_scale(50000); i > 0; i--) {
		int n, err = pulse_buffer_pool_get(pool, 100, PULSE_NODE_HERE,
						   &buf);

		if (err) {
			KT_EQ(err, -ENOBUFS);
			continue;
		}
		n = __atomic_add_fetch(&now, 1, __ATOMIC_RELAXED);
		if (n > READ_ONCE(most))
			WRITE_ONCE(most, n);
		__atomic_sub_fetch(&now, 1, __ATOMIC_RELAXED);
		pulse_buffer_put(buf);
	}
	return arg;
}

KT_TEST(the_limit_holds_for_all_threads_together)
{
	PULSE_OPTS(pulse_buffer_pool_opts, o, .limit_buffers = 2);
	pthread_t t[4];

	most = now = 0;
	KT_REQUIRE(!pulse_buffer_pool_create(&o, &pool));
	for (int i = 0; i < 4; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, up_to_the_limit, NULL));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	KT_CHECK(most >= 1 && most <= 2);
	KT_EQ(pool->used_buffers, 0);
	KT_EQ(pool->used_bytes, 0);
	KT_EQ(pulse_buffer_pool_destroy(pool), 0);
}

KT_MAIN()
