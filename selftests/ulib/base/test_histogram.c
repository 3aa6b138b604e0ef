// SPDX-License-Identifier: GPL-2.0-only
/*
 * Histograms: buckets cover all values without a gap, what is read is off by no
 * more than promised, many threads at once lose nothing, merging adds up.
 */
#include <pthread.h>

#include "base/histogram.h"
#include "ktap.h"

static struct pulse_histogram_summary sum_of(const struct pulse_histogram *h)
{
	struct pulse_histogram_summary s = { .sz = sizeof(s) };

	KT_EQ(pulse_histogram_summary(h, &s), 0);
	return s;
}

/* U01, U02 */
KT_TEST(bad_arguments_are_refused)
{
	struct { struct pulse_histogram_opts o; uint64_t tail; } big;
	struct pulse_histogram_summary s = { .sz = sizeof(s) };
	struct pulse_histogram *h = NULL;
	uint64_t v;

	KT_EQ(pulse_histogram_create(NULL, NULL), -EINVAL);
	memset(&big, 0, sizeof(big));
	KT_EQ(pulse_histogram_create(&big.o, &h), -EINVAL);
	big.o.sz = sizeof(big);
	big.tail = 1;
	KT_EQ(pulse_histogram_create(&big.o, &h), -E2BIG);
	big.o.sz = sizeof(big.o);
	big.o.bits = 13;
	KT_EQ(pulse_histogram_create(&big.o, &h), -EINVAL);
	big.o.bits = 0;
	big.o.reserved = 1;
	KT_EQ(pulse_histogram_create(&big.o, &h), -EINVAL);
	KT_CHECK(!h);
	KT_REQUIRE(!pulse_histogram_create(NULL, &h));
	KT_EQ(pulse_histogram_destroy(NULL), -EINVAL);
	KT_EQ(pulse_histogram_reset(NULL), -EINVAL);
	KT_EQ(pulse_histogram_merge(NULL, h), -EINVAL);
	KT_EQ(pulse_histogram_merge(h, NULL), -EINVAL);
	KT_EQ(pulse_histogram_summary(NULL, &s), -EINVAL);
	KT_EQ(pulse_histogram_summary(h, NULL), -EINVAL);
	s.sz = 8;
	KT_EQ(pulse_histogram_summary(h, &s), -EINVAL);
	KT_EQ(pulse_histogram_percentile(NULL, 50, &v), -EINVAL);
	KT_EQ(pulse_histogram_percentile(h, 50, NULL), -EINVAL);
	KT_EQ(pulse_histogram_percentile(h, -0.1, &v), -EINVAL);
	KT_EQ(pulse_histogram_percentile(h, 100.1, &v), -EINVAL);
	KT_EQ(pulse_histogram_percentile(h, __builtin_nan(""), &v), -EINVAL);
	pulse_histogram_record(NULL, 1);
	KT_EQ(pulse_histogram_destroy(h), 0);
	/* U04 */
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_histogram_create(NULL, &h), -ENOMEM);
	pulse__alloc_fail_at(0);
	KT_CHECK(!h);
}

KT_TEST(an_empty_one_says_nothing_but_0)
{
	struct pulse_histogram_summary s;
	struct pulse_histogram *h;
	uint64_t v = 1;

	KT_REQUIRE(!pulse_histogram_create(NULL, &h));
	s = sum_of(h);
	KT_EQ(s.count | s.min | s.max | s.mean | s.p50 | s.p999, 0);
	KT_EQ(pulse_histogram_percentile(h, 100, &v), 0);
	KT_EQ(v, 0);
	pulse_histogram_destroy(h);
}

KT_TEST(buckets_follow_each_other_without_a_gap)
{
	for (uint32_t bits = 1; bits <= 12; bits++) {
		const uint32_t nr = (65 - bits) << bits;
		uint64_t v = 0;
		uint32_t last = 0;

		KT_EQ(pulse__hist_index(bits, 0), 0);
		KT_EQ(pulse__hist_index(bits, UINT64_MAX), nr - 1);
		/* Both sides of each power of two, and in between. */
		for (uint32_t e = 0; e < 64; e++) {
			for (int d = -2; d <= 2; d++) {
				v = (1ULL << e) + (uint64_t)d;
				if (d < 0 && e < 2)
					continue;
				uint32_t i = pulse__hist_index(bits, v);

				KT_CHECK(i >= last && i < nr);
				if (e >= 4)
					last = i;
				if (v)
					KT_CHECK(i - pulse__hist_index(bits, v - 1)
						 <= 1);
			}
		}
	}
}

KT_TEST(a_value_is_read_to_within_what_was_promised)
{
	for (uint32_t bits = 1; bits <= 12; bits += 4) {
		PULSE_OPTS(pulse_histogram_opts, opts, .bits = bits);
		uint64_t v = 1, got;

		for (int i = 0; i < 2000; i++) {
			struct pulse_histogram *h;
			double off;

			v = v * 6364136223846793005ULL + 1442695040888963407ULL;
			uint64_t x = v >> (i % 63);

			KT_REQUIRE(!pulse_histogram_create(&opts, &h));
			/* Three, so that neither least nor greatest helps. */
			pulse_histogram_record(h, 0);
			pulse_histogram_record(h, x);
			pulse_histogram_record(h, UINT64_MAX);
			KT_EQ(pulse_histogram_percentile(h, 50, &got), 0);
			off = x > got ? (double)(x - got) : (double)(got - x);
			KT_CHECKF(off <= (double)x / (double)(2U << bits),
				  "bits %u: %llu read as %llu", bits,
				  (unsigned long long)x, (unsigned long long)got);
			pulse_histogram_destroy(h);
		}
	}
}

KT_TEST(percentiles_of_a_known_spread)
{
	struct pulse_histogram_summary s;
	struct pulse_histogram *h;
	uint64_t v;

	KT_REQUIRE(!pulse_histogram_create(NULL, &h));
	for (uint64_t i = 1; i <= 10000; i++)
		pulse_histogram_record(h, i);
	s = sum_of(h);
	KT_EQ(s.count, 10000);
	KT_EQ(s.sum, 50005000);
	KT_EQ(s.mean, 5000);
	KT_EQ(s.min, 1);
	KT_EQ(s.max, 10000);
#define NEAR(got, want)							\
	KT_CHECKF((got) * 64 <= (want) * 65ULL && (got) * 64 >= (want) * 63ULL, \
		  #got " is %llu", (unsigned long long)(got))
	NEAR(s.p50, 5000);
	NEAR(s.p90, 9000);
	NEAR(s.p95, 9500);
	NEAR(s.p99, 9900);
	NEAR(s.p999, 9990);
	KT_EQ(pulse_histogram_percentile(h, 0, &v), 0);
	KT_EQ(v, 1);
	KT_EQ(pulse_histogram_percentile(h, 100, &v), 0);
	KT_EQ(v, 10000);
	KT_EQ(pulse_histogram_reset(h), 0);
	KT_EQ(sum_of(h).count, 0);
	pulse_histogram_record(h, UINT64_MAX);
	s = sum_of(h);
	KT_CHECK(s.min == UINT64_MAX && s.max == UINT64_MAX && s.p50 == s.max);
	pulse_histogram_destroy(h);
}

KT_TEST(merging_adds_up_and_wants_the_same_bits)
{
	PULSE_OPTS(pulse_histogram_opts, fine, .bits = 8);
	struct pulse_histogram *a, *b, *c;
	struct pulse_histogram_summary s;

	KT_REQUIRE(!pulse_histogram_create(NULL, &a) &&
		   !pulse_histogram_create(NULL, &b) &&
		   !pulse_histogram_create(&fine, &c));
	pulse_histogram_record(a, 10);
	pulse_histogram_record(b, 5);
	pulse__hist_record_own(b, 1000);
	KT_EQ(pulse_histogram_merge(a, b), 0);
	s = sum_of(a);
	KT_EQ(s.count, 3);
	KT_EQ(s.sum, 1015);
	KT_EQ(s.min, 5);
	KT_EQ(s.max, 1000);
	KT_EQ(sum_of(b).count, 2);
	KT_EQ(pulse_histogram_merge(a, c), -EINVAL);
	pulse_histogram_destroy(a);
	pulse_histogram_destroy(b);
	pulse_histogram_destroy(c);
}

static void *record_many(void *arg)
{
	long n = kt_scale(200000);

	for (long i = 0; i < n; i++)
		pulse_histogram_record(arg, (uint64_t)i);
	return NULL;
}

KT_TEST(threads_at_once_lose_nothing)
{
	long n = kt_scale(200000);
	struct pulse_histogram *h;
	pthread_t t[4];

	KT_REQUIRE(!pulse_histogram_create(NULL, &h));
	for (int i = 0; i < 4; i++)
		KT_REQUIRE(!pthread_create(&t[i], NULL, record_many, h));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	KT_EQ(sum_of(h).count, 4 * n);
	KT_EQ(sum_of(h).sum, 4 * (n * (n - 1) / 2));
	KT_EQ(sum_of(h).max, n - 1);
	KT_EQ(sum_of(h).min, 0);
	pulse_histogram_destroy(h);
}

KT_MAIN()
