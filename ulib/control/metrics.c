// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * metrics.c - the registry: families, series, collectors.
 */
#include "control/metrics.h"

#include <ctype.h>

#include "ws/codec.h"

/* The registry whose collector this thread runs. */
static __thread const struct pulse_metrics *collecting;

/* ---- life ----------------------------------------------------------------- */

int pulse_metrics_create(struct pulse_metrics **out)
{
	struct pulse_metrics *m;

	if (!out)
		return -EINVAL;
	*out = NULL;
	m = pulse__calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	if (pthread_mutex_init(&m->reading, NULL))
		goto free_metrics;
	if (pthread_mutex_init(&m->lock, NULL))
		goto destroy_reading;
	pulse__list_init(&m->collectors);
	pulse__list_init(&m->families);
	m->next_id = 1;
	*out = m;
	return 0;
destroy_reading:
	pthread_mutex_destroy(&m->reading);
free_metrics:
	pulse__free(m);
	return -ENOMEM;
}

static void free_texts(char **texts)
{
	for (char **t = texts; t && *t; t++)
		pulse__free(*t);
	pulse__free(texts);
}

static void series_free(struct pulse_series *s)
{
	free_texts(s->values);
	pulse__free(s->lanes);
	pulse__free(s);
}

static void metric_free(struct pulse_metric *f)
{
	struct pulse__list *l;

	while ((l = pulse__list_pop(&f->series)))
		series_free(pulse__list_entry(l, struct pulse_series, link));
	free_texts(f->labels);
	pulse__free(f->bounds);
	pulse__free(f->name);
	pulse__free(f->help);
	pulse__free(f);
}

int pulse_metrics_destroy(struct pulse_metrics *m)
{
	struct pulse__list *l;

	if (!m)
		return -EINVAL;
	while ((l = pulse__list_pop(&m->collectors))) {
		struct pulse__collector *c;

		c = pulse__list_entry(l, struct pulse__collector, link);
		if (c->release)
			c->release(c->arg);
		pulse__free(c);
	}
	while ((l = pulse__list_pop(&m->families)))
		metric_free(pulse__list_entry(l, struct pulse_metric, link));
	pthread_mutex_destroy(&m->lock);
	pthread_mutex_destroy(&m->reading);
	pulse__free(m);
	return 0;
}

/* ---- families --------------------------------------------------------------- */

static bool word_ok(const char *s, bool colons)
{
	if (!s || !*s || isdigit((unsigned char)*s))
		return false;
	for (; *s; s++)
		if (!(isascii((unsigned char)*s) && isalnum((unsigned char)*s)) &&
		    *s != '_' && !(colons && *s == ':'))
			return false;
	return true;
}

static bool labels_ok(const struct pulse_metric_opts *o, uint32_t *nr)
{
	*nr = 0;
	for (const char *const *l = o->labels; l && *l; l++) {
		if (++*nr > PULSE_METRIC_LABELS_MAX || !word_ok(*l, false) ||
		    !strncmp(*l, "__", 2) ||
		    (o->type == PULSE_METRIC_HISTOGRAM && !strcmp(*l, "le")))
			return false;
		for (const char *const *k = o->labels; k < l; k++)
			if (!strcmp(*k, *l))
				return false;
	}
	return true;
}

static bool bounds_ok(const struct pulse_metric_opts *o)
{
	if (o->nr_bounds > PULSE_METRIC_BUCKETS_MAX || !o->nr_bounds != !o->bounds)
		return false;
	for (uint32_t i = 1; i < o->nr_bounds; i++)
		if (o->bounds[i] <= o->bounds[i - 1])
			return false;
	return !o->nr_bounds || o->type == PULSE_METRIC_HISTOGRAM;
}

static bool same(const struct pulse_metric *f, const struct pulse_metric_opts *o,
		 uint32_t nr_labels)
{
	if (f->type != o->type || f->nr_labels != nr_labels ||
	    f->scale != o->scale || f->nr_bounds != o->nr_bounds)
		return false;
	for (uint32_t i = 0; i < nr_labels; i++)
		if (strcmp(f->labels[i], o->labels[i]))
			return false;
	return !o->nr_bounds || !memcmp(f->bounds, o->bounds,
					o->nr_bounds * sizeof(*o->bounds));
}

static char **copy_texts(const char *const *from, uint32_t nr)
{
	char **to = pulse__calloc(nr + 1, sizeof(*to));

	for (uint32_t i = 0; to && i < nr; i++) {
		to[i] = pulse__strdup(from[i]);
		if (!to[i]) {
			free_texts(to);
			return NULL;
		}
	}
	return to;
}

static struct pulse_metric *metric_new(const struct pulse_metric_opts *o,
				       uint32_t nr_labels)
{
	struct pulse_metric *f = pulse__calloc(1, sizeof(*f));
	size_t line = PULSE_CACHE_LINE / sizeof(uint64_t);

	if (!f)
		return NULL;
	pulse__list_init(&f->series);
	f->type = o->type;
	f->scale = o->scale;
	f->nr_labels = nr_labels;
	f->nr_bounds = o->nr_bounds;
	f->max_series = o->max_series ? o->max_series : 1000;
	f->nr_lanes = o->type == PULSE_METRIC_GAUGE ? 1 : PULSE__METRIC_LANES;
	f->words = o->type == PULSE_METRIC_HISTOGRAM ? o->nr_bounds + 2 : 1;
	f->stride = pulse__align_up(f->words, line);
	f->name = pulse__strdup(o->name);
	f->help = pulse__strdup(o->help ? o->help : "");
	f->labels = copy_texts(o->labels, nr_labels);
	f->bounds = pulse__calloc(o->nr_bounds + 1, sizeof(*f->bounds));
	if (!f->name || !f->help || !f->labels || !f->bounds) {
		metric_free(f);
		return NULL;
	}
	if (o->nr_bounds)
		memcpy(f->bounds, o->bounds, o->nr_bounds * sizeof(*f->bounds));
	return f;
}

static struct pulse_metric *find(struct pulse_metrics *m, const char *name)
{
	struct pulse_metric *f;

	pulse__list_for_each_entry(f, &m->families, link)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

int pulse_metrics_define(struct pulse_metrics *m,
			 const struct pulse_metric_opts *opts,
			 struct pulse_metric **out)
{
	uint64_t by_default[13];
	struct pulse_metric_opts o;
	struct pulse_metric *f;
	uint32_t nr_labels;
	int err;

	if (!m || !opts || !out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o), pulse__size_to(typeof(o), scale),
			       opts);
	if (err)
		return err;
	if (o.type < PULSE_METRIC_COUNTER || o.type > PULSE_METRIC_HISTOGRAM ||
	    o.reserved || !word_ok(o.name, true) || !labels_ok(&o, &nr_labels) ||
	    !bounds_ok(&o) || !(o.scale >= 0))
		return -EINVAL;
	if (o.scale == 0)
		o.scale = 1;
	if (o.type == PULSE_METRIC_HISTOGRAM && !o.nr_bounds) {
		for (uint32_t i = 0; i < ARRAY_SIZE(by_default); i++)
			by_default[i] = 1ULL << (10 + 2 * i);
		o.bounds = by_default;
		o.nr_bounds = ARRAY_SIZE(by_default);
	}
	pthread_mutex_lock(&m->lock);
	f = find(m, o.name);
	if (f) {
		err = same(f, &o, nr_labels) ? 0 : -EEXIST;
	} else {
		f = metric_new(&o, nr_labels);
		if (f) {
			f->metrics = m;
			pulse__list_add_tail(&m->families, &f->link);
		} else {
			err = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&m->lock);
	if (!err)
		*out = f;
	return err;
}

/* ---- series ----------------------------------------------------------------- */

static int values_check(const struct pulse_metric *f, const char *const *values)
{
	const struct pulse__ws_codec *codec = pulse__ws_codec_get(0);

	if (f->nr_labels && !values)
		return -EINVAL;
	for (uint32_t i = 0; i < f->nr_labels; i++) {
		uint32_t utf8 = 0;
		size_t len;

		if (!values[i])
			return -EINVAL;
		len = strnlen(values[i], PULSE_METRIC_VALUE_MAX + 1);
		if (len > PULSE_METRIC_VALUE_MAX)
			return -EMSGSIZE;
		if (!codec->utf8(&utf8, (const uint8_t *)values[i], len) || utf8)
			return -EILSEQ;
	}
	return values && f->nr_labels < PULSE_METRIC_LABELS_MAX &&
	       values[f->nr_labels] ? -EINVAL : 0;
}

static struct pulse_series *series_find(struct pulse_metric *f,
					const char *const *values)
{
	struct pulse_series *s;

	pulse__list_for_each_entry(s, &f->series, link) {
		uint32_t i = 0;

		while (i < f->nr_labels && !strcmp(s->values[i], values[i]))
			i++;
		if (i == f->nr_labels)
			return s;
	}
	return NULL;
}

static struct pulse_series *series_new(struct pulse_metric *f,
				       const char *const *values)
{
	struct pulse_series *s = pulse__calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->metric = f;
	s->values = copy_texts(values, f->nr_labels);
	s->lanes = pulse__aligned_alloc(PULSE_CACHE_PAIR, f->nr_lanes *
					f->stride * sizeof(*s->lanes));
	if (s->values && s->lanes)
		return s;
	series_free(s);
	return NULL;
}

int pulse_metric_series(struct pulse_metric *f, const char *const *values,
			struct pulse_series **out)
{
	struct pulse_series *s;
	int err;

	if (!f || !out)
		return -EINVAL;
	*out = NULL;
	err = values_check(f, values);
	if (err)
		return err;
	pthread_mutex_lock(&f->metrics->lock);
	s = series_find(f, values);
	if (!s && f->nr_series >= f->max_series) {
		err = -ENOSPC;
	} else if (!s) {
		s = series_new(f, values);
		if (s) {
			pulse__list_add_tail(&f->series, &s->link);
			f->nr_series++;
		} else {
			err = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&f->metrics->lock);
	*out = s;
	return err;
}

/* ---- collectors -------------------------------------------------------------- */

int pulse__metrics_collect(struct pulse_metrics *m, pulse_collect_fn fn,
			   void *arg, void (*release)(void *arg))
{
	struct pulse__collector *c;
	int id;

	if (collecting == m)
		return -EDEADLK;
	c = pulse__malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->fn = fn;
	c->arg = arg;
	c->release = release;
	pthread_mutex_lock(&m->reading);
	id = c->id = m->next_id++;
	pulse__list_add_tail(&m->collectors, &c->link);
	pthread_mutex_unlock(&m->reading);
	return id;
}

int pulse_metrics_collect(struct pulse_metrics *m, pulse_collect_fn fn,
			  void *arg)
{
	return m && fn ? pulse__metrics_collect(m, fn, arg, NULL) : -EINVAL;
}

int pulse_metrics_remove(struct pulse_metrics *m, int id)
{
	struct pulse__collector *c;
	int err = -ENOENT;

	if (!m)
		return -EINVAL;
	if (collecting == m)
		return -EDEADLK;
	pthread_mutex_lock(&m->reading);
	pulse__list_for_each_entry(c, &m->collectors, link) {
		if (c->id != id)
			continue;
		collecting = m;
		c->fn(c->arg);
		collecting = NULL;
		pulse__list_del(&c->link);
		err = 0;
		break;
	}
	pthread_mutex_unlock(&m->reading);
	if (err)
		return err;
	if (c->release)
		c->release(c->arg);
	pulse__free(c);
	return 0;
}

/* ---- reading ----------------------------------------------------------------- */

static int show(const struct pulse_series *s, pulse_sample_fn fn, void *arg)
{
	const struct pulse_metric *f = s->metric;
	uint64_t counts[PULSE_METRIC_BUCKETS_MAX + 1];
	struct pulse_sample sample = {
		.sz = sizeof(sample),
		.name = f->name,
		.help = f->help,
		.labels = (const char *const *)f->labels,
		.values = (const char *const *)s->values,
		.type = f->type,
		.scale = f->scale,
	};

	if (f->type == PULSE_METRIC_COUNTER) {
		sample.value = (double)pulse__series_sum(s, 0);
	} else if (f->type == PULSE_METRIC_GAUGE) {
		sample.value = pulse__series_gauge(s) * f->scale;
	} else {
		/* The count is that of the buckets, so that they agree. */
		for (uint32_t i = 0; i <= f->nr_bounds; i++) {
			counts[i] = pulse__series_sum(s, i);
			sample.count += counts[i];
		}
		sample.value = (double)pulse__series_sum(s, f->nr_bounds + 1) *
			       f->scale;
		sample.bounds = f->bounds;
		sample.counts = counts;
		sample.nr_bounds = f->nr_bounds;
	}
	return fn(&sample, arg);
}

int pulse_metrics_each(struct pulse_metrics *m, pulse_sample_fn fn, void *arg)
{
	struct pulse__collector *c;
	struct pulse_metric *f;
	int err = 0;

	if (!m || !fn)
		return -EINVAL;
	if (collecting == m)
		return -EDEADLK;
	pthread_mutex_lock(&m->reading);
	collecting = m;
	pulse__list_for_each_entry(c, &m->collectors, link)
		c->fn(c->arg);
	pthread_mutex_lock(&m->lock);
	pulse__list_for_each_entry(f, &m->families, link) {
		struct pulse_series *s;

		pulse__list_for_each_entry(s, &f->series, link) {
			err = show(s, fn, arg);
			if (err)
				goto unlock;
		}
	}
unlock:
	pthread_mutex_unlock(&m->lock);
	collecting = NULL;
	pthread_mutex_unlock(&m->reading);
	return err;
}
