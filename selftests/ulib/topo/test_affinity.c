// SPDX-License-Identifier: GPL-2.0-only
/* Masks of threads: set, read, pinned, restored. */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#include <pulse-u/affinity.h>

#include "base/base.h"
#include "ktap.h"

static uint32_t may[1024];
static int nr_may;

/* What we may use to begin with; false: a test of two CPUs makes no sense. */
static bool two_cpus(void)
{
	nr_may = pulse_thread_get_affinity(pthread_self(), may, 1024);
	KT_CHECK(nr_may >= 1);
	return nr_may >= 2;
}

static void expect(const uint32_t *cpus, int nr)
{
	uint32_t now[1024];

	KT_EQ(pulse_thread_get_affinity(pthread_self(), now, 1024), nr);
	for (int i = 0; i < nr; i++)
		KT_EQ(now[i], cpus[i]);
}

/* U01 */
KT_TEST(nothing_given_is_an_error_not_a_crash)
{
	struct pulse_affinity *aff = NULL;
	uint32_t cpu = 0;

	KT_EQ(pulse_thread_set_current_affinity(NULL, 1), -EINVAL);
	KT_EQ(pulse_thread_set_current_affinity(&cpu, 0), -EINVAL);
	KT_EQ(pulse_thread_set_affinity(pthread_self(), NULL, 1), -EINVAL);
	KT_EQ(pulse_thread_get_affinity(pthread_self(), NULL, 1), -EINVAL);
	KT_EQ(pulse_thread_get_affinity(pthread_self(), &cpu, -1), -EINVAL);
	KT_EQ(pulse_affinity_create(NULL), -EINVAL);
	KT_EQ(pulse_affinity_pin(NULL, &cpu, 1), -EINVAL);
	KT_EQ(pulse_affinity_unpin(NULL), -EINVAL);
	KT_EQ(pulse_affinity_get(NULL, &cpu, 1), -EINVAL);
	KT_EQ(pulse_affinity_destroy(NULL), -EINVAL);
	KT_EQ(pulse_affinity_create(&aff), 0);
	KT_REQUIRE(aff != NULL);
	KT_EQ(pulse_affinity_pin(aff, NULL, 1), -EINVAL);
	KT_EQ(pulse_affinity_pin(aff, &cpu, 0), -EINVAL);
	KT_EQ(pulse_affinity_get(aff, NULL, 1), -EINVAL);
	KT_EQ(pulse_affinity_unpin(aff), -EALREADY);
	KT_EQ(pulse_affinity_get(aff, NULL, 0), 0);
	KT_EQ(pulse_affinity_destroy(aff), 0);
}

KT_TEST(cpus_that_are_not_there_are_refused_and_nothing_changes)
{
	static const uint32_t absent[] = { 4000, UINT32_MAX };
	struct pulse_affinity *aff = NULL;

	two_cpus();
	KT_EQ(pulse_affinity_create(&aff), 0);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
		KT_EQ(pulse_thread_set_current_affinity(&absent[i], 1),
		      -EINVAL);
		KT_EQ(pulse_affinity_pin(aff, &absent[i], 1), -EINVAL);
		KT_EQ(pulse_affinity_get(aff, NULL, 0), 0);
	}
	expect(may, nr_may);
	KT_EQ(pulse_affinity_destroy(aff), 0);
}

KT_TEST(a_thread_runs_where_it_was_put)
{
	bool two = two_cpus();

	for (int i = 0; i < nr_may && i < 8; i++) {
		KT_EQ(pulse_thread_set_current_affinity(&may[i], 1), 0);
		expect(&may[i], 1);
		KT_EQ(pulse_cpu_current(), may[i]);
		KT_CHECK(pulse_node_current() >= 0);
	}
	KT_EQ(pulse_thread_set_current_affinity(may, (size_t)nr_may), 0);
	expect(may, nr_may);
	if (!two)
		KT_SKIP("one CPU only");
}

KT_TEST(unpin_restores_what_was_before_the_first_pin)
{
	struct pulse_affinity *aff = NULL;
	uint32_t pinned[4];

	if (!two_cpus())
		KT_SKIP("one CPU only");
	KT_EQ(pulse_affinity_create(&aff), 0);
	KT_REQUIRE(aff != NULL);
	KT_EQ(pulse_affinity_pin(aff, &may[1], 1), 0);
	expect(&may[1], 1);
	KT_EQ(pulse_affinity_get(aff, pinned, 4), 1);
	KT_EQ(pinned[0], may[1]);
	KT_EQ(pulse_affinity_pin(aff, &may[0], 1), 0);
	expect(&may[0], 1);
	KT_EQ(pulse_affinity_unpin(aff), 0);
	expect(may, nr_may);
	KT_EQ(pulse_affinity_unpin(aff), -EALREADY);
	/* Again, and destroy unpins. */
	KT_EQ(pulse_affinity_pin(aff, &may[0], 1), 0);
	KT_EQ(pulse_affinity_destroy(aff), 0);
	expect(may, nr_may);
}

static void *try_to_use(void *arg)
{
	struct pulse_affinity *aff = arg;
	uint32_t cpu = 0;

	KT_EQ(pulse_affinity_pin(aff, &cpu, 1), -EPERM);
	KT_EQ(pulse_affinity_unpin(aff), -EPERM);
	KT_EQ(pulse_affinity_get(aff, &cpu, 1), -EPERM);
	KT_EQ(pulse_affinity_destroy(aff), -EPERM);
	return NULL;
}

KT_TEST(a_pin_belongs_to_its_thread)
{
	struct pulse_affinity *aff = NULL;
	pthread_t t;

	two_cpus();
	KT_EQ(pulse_affinity_create(&aff), 0);
	KT_EQ(pulse_affinity_pin(aff, &may[0], 1), 0);
	KT_REQUIRE(!pthread_create(&t, NULL, try_to_use, aff));
	pthread_join(t, NULL);
	KT_EQ(pulse_affinity_destroy(aff), 0);
	expect(may, nr_may);
}

/* U04 */
KT_TEST(each_allocation_that_fails_changes_nothing)
{
	struct pulse_affinity *aff = NULL;
	uint32_t cpu;
	long n;
	int err;

	two_cpus();
	cpu = may[0];
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_affinity_create(&aff), -ENOMEM);
	KT_CHECK(aff == NULL);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_thread_set_current_affinity(&cpu, 1), -ENOMEM);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_thread_get_affinity(pthread_self(), &cpu, 1), -ENOMEM);
	pulse__alloc_fail_at(0);
	KT_EQ(pulse_affinity_create(&aff), 0);
	for (n = 1; n < 10; n++) {
		pulse__alloc_fail_at(n);
		err = pulse_affinity_pin(aff, &cpu, 1);
		if (!pulse__alloc_failed())
			break;
		pulse__alloc_fail_at(0);
		KT_EQ(err, -ENOMEM);
		KT_EQ(pulse_affinity_get(aff, NULL, 0), 0);
		expect(may, nr_may);
	}
	pulse__alloc_fail_at(0);
	KT_EQ(n, 3);
	KT_EQ(err, 0);
	KT_EQ(pulse_affinity_destroy(aff), 0);
	expect(may, nr_may);
}

KT_MAIN()
