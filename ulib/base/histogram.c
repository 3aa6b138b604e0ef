// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * histogram.c - log-linear histograms; the layout stands in histogram.h.
 */
#include "base/histogram.h"

#define PULSE__HIST_BITS	5U
#define PULSE__HIST_BITS_MAX	12U

int pulse_histogram_create(const struct pulse_histogram_opts *user,
			   struct pulse_histogram **out)
{
	struct pulse_histogram_opts o;
	struct pulse_histogram *h;
	uint32_t nr;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), reserved), user);
	if (err)
		return err;
	if (o.bits > PULSE__HIST_BITS_MAX || o.reserved)
		return -EINVAL;
	if (!o.bits)
		o.bits = PULSE__HIST_BITS;
	nr = (65 - o.bits) << o.bits;
	h = pulse__calloc(1, sizeof(*h) + nr * sizeof(h->bucket[0]));
	if (!h)
		return -ENOMEM;
	h->bits = o.bits;
	h->nr = nr;
	*out = h;
	return 0;
}

int pulse_histogram_destroy(struct pulse_histogram *h)
{
	if (!h)
		return -EINVAL;
	pulse__free(h);
	return 0;
}

void pulse_histogram_record(struct pulse_histogram *h, uint64_t value)
{
	if (!h)
		return;
	pulse__add_relaxed(&h->bucket[pulse__hist_index(h->bits, value)], 1);
	pulse__add_relaxed(&h->sum, value);
	pulse__hist_raise(&h->max, value);
	pulse__hist_raise(&h->min, ~value);
}

int pulse_histogram_merge(struct pulse_histogram *to,
			  const struct pulse_histogram *from)
{
	if (!to || !from || to->bits != from->bits)
		return -EINVAL;
	for (uint32_t i = 0; i < from->nr; i++) {
		uint64_t n = READ_ONCE(from->bucket[i]);

		if (n)
			pulse__add_relaxed(&to->bucket[i], n);
	}
	pulse__add_relaxed(&to->sum, READ_ONCE(from->sum));
	pulse__hist_raise(&to->max, READ_ONCE(from->max));
	pulse__hist_raise(&to->min, READ_ONCE(from->min));
	return 0;
}

int pulse_histogram_reset(struct pulse_histogram *h)
{
	if (!h)
		return -EINVAL;
	for (uint32_t i = 0; i < h->nr; i++)
		WRITE_ONCE(h->bucket[i], 0);
	WRITE_ONCE(h->sum, 0);
	WRITE_ONCE(h->max, 0);
	WRITE_ONCE(h->min, 0);
	return 0;
}

static uint64_t pulse__hist_count(const struct pulse_histogram *h)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < h->nr; i++)
		n += READ_ONCE(h->bucket[i]);
	return n;
}

static uint64_t pulse__hist_min(const struct pulse_histogram *h)
{
	uint64_t min = READ_ONCE(h->min);

	/* 0 is "none", or the greatest value there is. */
	return min ? ~min : READ_ONCE(h->max);
}

/* The middle of a bucket. */
static uint64_t pulse__hist_value(const struct pulse_histogram *h, uint32_t i)
{
	uint32_t shift = i >> h->bits;
	uint64_t low;

	if (!shift)
		return i;
	shift--;
	low = ((1ULL << h->bits) + (i & ((1U << h->bits) - 1))) << shift;
	return low + ((1ULL << shift) >> 1);
}

static uint64_t pulse__hist_at(const struct pulse_histogram *h, uint64_t count,
			       double percent)
{
	double want = (double)count * percent / 100;
	uint64_t rank = (uint64_t)want, seen = 0, v = 0;

	if ((double)rank < want || !rank)
		rank++;		/* rounded up, from 1 */
	for (uint32_t i = 0; i < h->nr; i++) {
		seen += READ_ONCE(h->bucket[i]);
		if (seen >= rank) {
			v = pulse__hist_value(h, i);
			break;
		}
	}
	if (v > READ_ONCE(h->max))
		v = READ_ONCE(h->max);
	return v < pulse__hist_min(h) ? pulse__hist_min(h) : v;
}

int pulse_histogram_percentile(const struct pulse_histogram *h, double percent,
			       uint64_t *out)
{
	uint64_t count;

	/* Not a number is refused too. */
	if (!h || !out || !(percent >= 0 && percent <= 100))
		return -EINVAL;
	count = pulse__hist_count(h);
	*out = count ? pulse__hist_at(h, count, percent) : 0;
	return 0;
}

int pulse_histogram_summary(const struct pulse_histogram *h,
			    struct pulse_histogram_summary *out)
{
	struct pulse_histogram_summary s = { .sz = sizeof(s) };
	int err;

	if (!h)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(s), p999));
	if (err)
		return err;
	s.count = pulse__hist_count(h);
	if (s.count) {
		s.sum = READ_ONCE(h->sum);
		s.min = pulse__hist_min(h);
		s.max = READ_ONCE(h->max);
		s.mean = s.sum / s.count;
		s.p50 = pulse__hist_at(h, s.count, 50);
		s.p90 = pulse__hist_at(h, s.count, 90);
		s.p95 = pulse__hist_at(h, s.count, 95);
		s.p99 = pulse__hist_at(h, s.count, 99);
		s.p999 = pulse__hist_at(h, s.count, 99.9);
	}
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
