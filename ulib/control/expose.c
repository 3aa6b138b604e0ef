// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * expose.c - a registry as Prometheus text, version 0.0.4.
 *
 * Source of the format: "Exposition formats", prometheus.io/docs. Help texts
 * have \ and line breaks escaped, values of labels quotes as well.
 */
#include "control/metrics.h"
#include "control/text.h"

#include <math.h>

struct expose {
	struct pulse__text t;
	const char *family;		/* whose head was written last */
};

static void escaped(struct pulse__text *t, const char *s, bool quotes)
{
	for (; *s; s++) {
		if (*s == '\\')
			pulse__text_puts(t, "\\\\");
		else if (*s == '\n')
			pulse__text_puts(t, "\\n");
		else if (*s == '"' && quotes)
			pulse__text_puts(t, "\\\"");
		else
			pulse__text_add(t, s, 1);
	}
}

static void number(struct pulse__text *t, double v)
{
	if (isnan(v))
		pulse__text_puts(t, "NaN");
	else if (isinf(v))
		pulse__text_puts(t, v < 0 ? "-Inf" : "+Inf");
	else
		pulse__text_f64(t, v, 17);
}

/* name_suffix{a="b",le="1"} value */
static void begin(struct pulse__text *t, const struct pulse_sample *s,
		  const char *suffix, const char *le)
{
	bool any = false;

	pulse__text_puts(t, s->name);
	pulse__text_puts(t, suffix);
	for (size_t i = 0; s->labels[i]; i++, any = true) {
		pulse__text_puts(t, any ? "," : "{");
		pulse__text_puts(t, s->labels[i]);
		pulse__text_puts(t, "=\"");
		escaped(t, s->values[i], true);
		pulse__text_puts(t, "\"");
	}
	if (le) {
		pulse__text_puts(t, any ? "," : "{");
		pulse__text_puts(t, "le=\"");
		pulse__text_puts(t, le);
		pulse__text_puts(t, "\"");
		any = true;
	}
	pulse__text_puts(t, any ? "} " : " ");
}

static void histogram(struct pulse__text *t, const struct pulse_sample *s)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i <= s->nr_bounds; i++) {
		char le[48] = "+Inf";
		struct pulse__text bound = { le, sizeof(le), 0 };

		if (i < s->nr_bounds)
			/* 15 digits: what the product is off by is not seen. */
			pulse__text_f64(&bound, (double)s->bounds[i] * s->scale,
					15);
		sum += s->counts[i];
		begin(t, s, "_bucket", le);
		pulse__text_printf(t, "%llu\n", (unsigned long long)sum);
	}
	begin(t, s, "_sum", NULL);
	number(t, s->value);
	pulse__text_puts(t, "\n");
	begin(t, s, "_count", NULL);
	pulse__text_printf(t, "%llu\n", (unsigned long long)s->count);
}

static int expose(const struct pulse_sample *s, void *arg)
{
	static const char *const types[] = {
		[PULSE_METRIC_COUNTER] = "counter",
		[PULSE_METRIC_GAUGE] = "gauge",
		[PULSE_METRIC_HISTOGRAM] = "histogram",
	};
	struct expose *e = arg;
	struct pulse__text *t = &e->t;

	if (e->family != s->name) {
		e->family = s->name;
		pulse__text_puts(t, "# HELP ");
		pulse__text_puts(t, s->name);
		pulse__text_puts(t, " ");
		escaped(t, s->help, false);
		pulse__text_puts(t, "\n# TYPE ");
		pulse__text_puts(t, s->name);
		pulse__text_puts(t, " ");
		pulse__text_puts(t, types[s->type]);
		pulse__text_puts(t, "\n");
	}
	if (s->type == PULSE_METRIC_HISTOGRAM) {
		histogram(t, s);
		return 0;
	}
	begin(t, s, "", NULL);
	number(t, s->value);
	pulse__text_puts(t, "\n");
	return 0;
}

int64_t pulse_metrics_text(struct pulse_metrics *metrics, char *buf, size_t len)
{
	struct expose e = { .family = NULL };
	int err;

	if (!metrics || (len && !buf))
		return -EINVAL;
	e.t = pulse__text_on(buf, len);
	err = pulse_metrics_each(metrics, expose, &e);
	return err ? err : (int64_t)e.t.len;
}
