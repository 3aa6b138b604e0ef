// SPDX-License-Identifier: GPL-2.0-only
/* The registry: what is refused, what is counted, how it is written. */
#include "base/base.h"
#include "ktap.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>

#include <pulse-u/control.h>
#include <pulse-u/metrics.h>

static struct pulse_metrics *make(void)
{
	struct pulse_metrics *m = NULL;

	KT_EQ(pulse_metrics_create(&m), 0);
	return m;
}

static const char *const by_path[] = { "path", NULL };

static struct pulse_metric *family(struct pulse_metrics *m, const char *name,
				   int type, const char *const *labels)
{
	PULSE_OPTS(pulse_metric_opts, o, .name = name, .type = type,
		   .labels = labels, .help = "Help.");
	struct pulse_metric *f = NULL;

	KT_EQ(pulse_metrics_define(m, &o, &f), 0);
	return f;
}

static struct pulse_series *series(struct pulse_metric *f, const char *value)
{
	const char *values[] = { value, NULL };
	struct pulse_series *s = NULL;

	KT_EQ(pulse_metric_series(f, value ? values : NULL, &s), 0);
	return s;
}

static char text[1 << 16];

static const char *text_of(struct pulse_metrics *m)
{
	int64_t n = pulse_metrics_text(m, text, sizeof(text));

	KT_EQ(n, strlen(text));
	return text;
}

KT_TEST(each_type_is_written_as_the_format_has_it)
{
	static const uint64_t bounds[] = { 1000, 2500000, 1000000000 };
	struct pulse_metrics *m = make();
	PULSE_OPTS(pulse_metric_opts, o, .name = "t_seconds", .help = "Time.",
		   .type = PULSE_METRIC_HISTOGRAM, .bounds = bounds,
		   .nr_bounds = 3, .scale = 1e-9, .labels = by_path);
	struct pulse_metric *f;
	struct pulse_series *s;

	pulse_series_add(series(family(m, "c_total", PULSE_METRIC_COUNTER,
				       NULL), NULL), 7);
	s = series(family(m, "g", PULSE_METRIC_GAUGE, NULL), NULL);
	pulse_series_set(s, 2);
	pulse_series_change(s, -2.5);
	KT_EQ(pulse_metrics_define(m, &o, &f), 0);
	s = series(f, "/");
	pulse_series_observe(s, 0);
	pulse_series_observe(s, 1000);		/* a bound belongs to its bucket */
	pulse_series_observe(s, 1001);
	pulse_series_observe(s, 2000000000);
	KT_EQ(pulse_series_read(s), 4);
	KT_STREQ(text_of(m),
		 "# HELP c_total Help.\n# TYPE c_total counter\nc_total 7\n"
		 "# HELP g Help.\n# TYPE g gauge\ng -0.5\n"
		 "# HELP t_seconds Time.\n# TYPE t_seconds histogram\n"
		 "t_seconds_bucket{path=\"/\",le=\"1e-06\"} 2\n"
		 "t_seconds_bucket{path=\"/\",le=\"0.0025\"} 3\n"
		 "t_seconds_bucket{path=\"/\",le=\"1\"} 3\n"
		 "t_seconds_bucket{path=\"/\",le=\"+Inf\"} 4\n"
		 "t_seconds_sum{path=\"/\"} 2.000002001\n"
		 "t_seconds_count{path=\"/\"} 4\n");
	pulse_metrics_destroy(m);
}

/* A04: quotes, backslashes and line breaks in a label's value are escaped. */
KT_TEST(what_would_break_a_line_is_escaped)
{
	struct pulse_metrics *m = make();
	PULSE_OPTS(pulse_metric_opts, o, .name = "x", .type = PULSE_METRIC_GAUGE,
		   .help = "a \"quote\"\\ and\nmore", .labels = by_path);
	struct pulse_metric *f;

	KT_EQ(pulse_metrics_define(m, &o, &f), 0);
	pulse_series_set(series(f, "a\"b\\c\nd\xc3\xa9} 1"), INFINITY);
	pulse_series_set(series(f, ""), NAN);
	KT_STREQ(text_of(m),
		 "# HELP x a \"quote\"\\\\ and\\nmore\n# TYPE x gauge\n"
		 "x{path=\"a\\\"b\\\\c\\nd\xc3\xa9} 1\"} +Inf\n"
		 "x{path=\"\"} NaN\n");
	pulse_metrics_destroy(m);
}

KT_TEST(a_decimal_comma_does_not_get_in)
{
	struct pulse_metrics *m = make();
	const char *old = setlocale(LC_NUMERIC, NULL);

	pulse_series_set(series(family(m, "g", PULSE_METRIC_GAUGE, NULL), NULL),
			 0.5);
	if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
		kt_note("no locale with a comma here: the point only");
	KT_CHECK(strstr(text_of(m), "\ng 0.5\n"));
	setlocale(LC_NUMERIC, old);
	pulse_metrics_destroy(m);
}

KT_TEST(a_text_that_does_not_fit_is_cut_and_its_length_told)
{
	struct pulse_metrics *m = make();
	char small[10];
	int64_t n;

	series(family(m, "abc", PULSE_METRIC_GAUGE, NULL), NULL);
	n = pulse_metrics_text(m, NULL, 0);
	KT_EQ(n, strlen(text_of(m)));
	KT_EQ(pulse_metrics_text(m, small, sizeof(small)), n);
	KT_STREQ(small, "# HELP ab");
	KT_EQ(pulse_metrics_text(m, NULL, 5), -EINVAL);
	pulse_metrics_destroy(m);
}

KT_TEST(what_cannot_be_named_is_refused)
{
	static const char *const le[] = { "le", NULL }, *const twice[] = { "a",
		"a", NULL }, *const own[] = { "__a", NULL };
	static const uint64_t falling[] = { 2, 2 };
	static const struct pulse_metric_opts bad[] = {
		{ .sz = sizeof(bad[0]), .name = NULL, .type = 1 },
		{ .sz = sizeof(bad[0]), .name = "", .type = 1 },
		{ .sz = sizeof(bad[0]), .name = "1a", .type = 1 },
		{ .sz = sizeof(bad[0]), .name = "a b", .type = 1 },
		{ .sz = sizeof(bad[0]), .name = "a\xc3\xa9", .type = 1 },
		{ .sz = sizeof(bad[0]), .name = "a", .type = 0 },
		{ .sz = sizeof(bad[0]), .name = "a", .type = 4 },
		{ .sz = sizeof(bad[0]), .name = "a", .type = 3, .labels = le },
		{ .sz = sizeof(bad[0]), .name = "a", .type = 1, .labels = twice },
		{ .sz = sizeof(bad[0]), .name = "a", .type = 1, .labels = own },
		{ .sz = sizeof(bad[0]), .name = "a", .type = 3,
		  .bounds = falling, .nr_bounds = 2 },
		{ .sz = sizeof(bad[0]), .name = "a", .type = 1,
		  .bounds = falling, .nr_bounds = 1 },
		{ .sz = sizeof(bad[0]), .name = "a", .type = 1, .scale = -1 },
	};
	struct pulse_metrics *m = make();
	struct pulse_metric *f;
	struct pulse_series *s;
	char longer[PULSE_METRIC_VALUE_MAX + 2];
	const char *values[] = { longer, NULL, NULL };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (pulse_metrics_define(m, &bad[i], &f) != -EINVAL)
			KT_FAIL("number %zu is taken", i);
	f = family(m, "a", PULSE_METRIC_COUNTER, by_path);
	memset(longer, 'l', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	KT_EQ(pulse_metric_series(f, values, &s), -EMSGSIZE);
	values[0] = "\xc3";
	KT_EQ(pulse_metric_series(f, values, &s), -EILSEQ);
	values[0] = "\xed\xa0\x80";
	KT_EQ(pulse_metric_series(f, values, &s), -EILSEQ);
	values[0] = "x";
	values[1] = "one too many";
	KT_EQ(pulse_metric_series(f, values, &s), -EINVAL);
	KT_EQ(pulse_metric_series(f, NULL, &s), -EINVAL);
	KT_STREQ(text_of(m), "");
	pulse_metrics_destroy(m);
}

KT_TEST(who_asks_again_gets_the_same_series)
{
	PULSE_OPTS(pulse_metric_opts, o, .name = "a", .type = PULSE_METRIC_GAUGE,
		   .labels = by_path);
	struct pulse_metrics *m = make();
	struct pulse_metric *f = family(m, "a", PULSE_METRIC_COUNTER, by_path);
	struct pulse_metric *g;

	KT_CHECK(family(m, "a", PULSE_METRIC_COUNTER, by_path) == f);
	KT_CHECK(series(f, "x") == series(f, "x"));
	KT_CHECK(series(f, "x") != series(f, "y"));
	KT_EQ(pulse_metrics_define(m, &o, &g), -EEXIST);
	o.type = PULSE_METRIC_COUNTER;
	o.labels = NULL;
	KT_EQ(pulse_metrics_define(m, &o, &g), -EEXIST);
	pulse_metrics_destroy(m);
}

KT_TEST(a_label_with_too_many_values_is_bounded)
{
	PULSE_OPTS(pulse_metric_opts, o, .name = "a", .labels = by_path,
		   .type = PULSE_METRIC_COUNTER, .max_series = 3);
	struct pulse_metrics *m = make();
	struct pulse_metric *f;
	struct pulse_series *s;

	KT_EQ(pulse_metrics_define(m, &o, &f), 0);
	for (int i = 0; i < 3; i++) {
		char v[2] = { (char)('a' + i), 0 };

		KT_CHECK(series(f, v));
	}
	KT_EQ(pulse_metric_series(f, (const char *const[]){ "d", NULL }, &s),
	      -ENOSPC);
	KT_CHECK(!s);
	pulse_series_add(s, 1);		/* does nothing */
	KT_CHECK(series(f, "b"));
	pulse_metrics_destroy(m);
}

/* A04: a counter goes on where it was when what it follows begins anew. */
KT_TEST(a_counter_that_follows_never_goes_back)
{
	struct pulse_metrics *m = make();
	struct pulse_series *s = series(family(m, "c", PULSE_METRIC_COUNTER,
					       NULL), NULL);

	pulse_series_follow(s, 10);
	pulse_series_follow(s, 15);
	KT_EQ(pulse_series_read(s), 15);
	pulse_series_follow(s, 4);
	KT_EQ(pulse_series_read(s), 19);
	pulse_series_follow(s, 0);
	KT_EQ(pulse_series_read(s), 19);
	pulse_series_follow(s, 1);
	KT_EQ(pulse_series_read(s), 20);
	pulse_metrics_destroy(m);
}

static struct pulse_metrics *inside;

static void bad_collector(void *arg)
{
	int *calls = arg;

	++*calls;
	KT_EQ(pulse_metrics_text(inside, NULL, 0), -EDEADLK);
	KT_EQ(pulse_metrics_remove(inside, 1), -EDEADLK);
	KT_EQ(pulse_metrics_collect(inside, bad_collector, arg), -EDEADLK);
}

KT_TEST(collectors_run_before_each_reading_and_once_when_they_go)
{
	int calls = 0, id;

	inside = make();
	id = pulse_metrics_collect(inside, bad_collector, &calls);
	KT_CHECK(id > 0);
	text_of(inside);
	KT_EQ(calls, 1);
	KT_EQ(pulse_metrics_remove(inside, id), 0);
	KT_EQ(calls, 2);
	KT_EQ(pulse_metrics_remove(inside, id), -ENOENT);
	text_of(inside);
	KT_EQ(calls, 2);
	pulse_metrics_destroy(inside);
}

struct work {
	struct pulse_series *counter, *gauge, *histogram;
	long rounds;
};

static void *record(void *arg)
{
	const struct work *w = arg;

	for (long i = 0; i < w->rounds; i++) {
		pulse_series_add(w->counter, 1);
		pulse_series_change(w->gauge, i & 1 ? -1 : 1);
		pulse_series_observe(w->histogram, (uint64_t)i);
	}
	return NULL;
}

static int check_sums(const struct pulse_sample *s, void *arg)
{
	double *last = arg;
	uint64_t sum = 0;

	if (s->type == PULSE_METRIC_COUNTER) {
		KT_CHECK(s->value >= *last);
		*last = s->value;
	}
	for (uint32_t i = 0; s->counts && i <= s->nr_bounds; i++)
		sum += s->counts[i];
	KT_EQ(sum, s->count);
	return 0;
}

KT_TEST(threads_that_record_lose_nothing)
{
	struct pulse_metrics *m = make();
	struct work w = {
		.counter = series(family(m, "c", PULSE_METRIC_COUNTER, NULL), NULL),
		.gauge = series(family(m, "g", PULSE_METRIC_GAUGE, NULL), NULL),
		.histogram = series(family(m, "h", PULSE_METRIC_HISTOGRAM, NULL),
				    NULL),
		.rounds = kt_scale(100000) * 2,
	};
	pthread_t t[12];		/* more than there are lanes */
	double last = 0;

	for (int i = 0; i < 12; i++)
		pthread_create(&t[i], NULL, record, &w);
	for (int i = 0; i < 50; i++)
		KT_EQ(pulse_metrics_each(m, check_sums, &last), 0);
	for (int i = 0; i < 12; i++)
		pthread_join(t[i], NULL);
	KT_EQ(pulse_series_read(w.counter), 12 * w.rounds);
	KT_EQ(pulse_series_read(w.gauge), 0);
	KT_EQ(pulse_series_read(w.histogram), 12 * w.rounds);
	pulse_metrics_destroy(m);
}

KT_TEST(running_out_of_memory_is_an_error)
{
	bool failed = true;

	for (long n = 1; failed; n++) {
		PULSE_OPTS(pulse_metric_opts, o, .name = "h", .labels = by_path,
			   .type = PULSE_METRIC_HISTOGRAM);
		struct pulse_metrics *m = make();
		struct pulse_metric *f;
		struct pulse_series *s = NULL;
		int err;

		pulse__alloc_fail_at(n);
		err = pulse_metrics_define(m, &o, &f);
		if (!err)
			err = pulse_metric_series(f, (const char *const[]){ "v",
						  NULL }, &s);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_EQ(err, failed ? -ENOMEM : 0);
		pulse_series_observe(s, 1);
		text_of(m);
		pulse_metrics_destroy(m);
	}
}

KT_TEST(figures_of_other_areas_are_published_under_a_name)
{
	struct pulse_metrics *m = make();
	PULSE_OPTS(pulse_knob, k, .name = "n", .type = PULSE_KNOB_INT);
	struct pulse_setting s = { "n", "1" };
	struct pulse_control *c;
	int id;

	for (int round = 1; round < 4; round++) {
		char want[64];

		KT_EQ(pulse_control_create(NULL, &c), 0);
		pulse_control_define(c, &k);
		id = pulse_metrics_add_control(m, "main", c);
		KT_CHECK(id > 0);
		KT_EQ(pulse_control_reload(c, &s, 1, NULL, 0), 0);
		sprintf(want, "pulse_control_reloads_total{name=\"main\"} %d\n", round);
		KT_CHECKF(strstr(text_of(m), want), "%s", text);
		KT_EQ(pulse_metrics_remove(m, id), 0);
		pulse_control_destroy(c);
		/* What is gone stays as it was. */
		KT_CHECK(strstr(text_of(m), want));
	}
	pulse_metrics_destroy(m);
}

KT_MAIN()
