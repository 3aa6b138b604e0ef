/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * metrics.h - counters, gauges and histograms with labels, and Prometheus text.
 *
 *	static const char *const names[] = { "path", NULL };
 *	PULSE_OPTS(pulse_metric_opts, o, .name = "requests_total",
 *		   .help = "Requests.", .type = PULSE_METRIC_COUNTER,
 *		   .labels = names);
 *	pulse_metrics_define(metrics, &o, &family);
 *	pulse_metric_series(family, (const char *[]){ "/ws", NULL }, &series);
 *	...
 *	pulse_series_add(series, 1);
 *
 * To record is one atomic addition to a line of the calling thread's (of a few
 * that threads are spread over), without a lock. Families and series stay until
 * the registry ends: asking for one that is there returns it with its value, so
 * that counters do not go back when what counts is made anew.
 */
#ifndef PULSE_U_METRICS_H
#define PULSE_U_METRICS_H

#include <pulse-u/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_actors;
struct pulse_bus;
struct pulse_control;
struct pulse_mailbox;
struct pulse_metric;
struct pulse_metrics;
struct pulse_pool;
struct pulse_series;
struct pulse_sup;
struct pulse_ws_server;

/* What a family's series are. */
enum pulse_metric_type {
	PULSE_METRIC_COUNTER = 1,	/* only grows */
	PULSE_METRIC_GAUGE = 2,
	PULSE_METRIC_HISTOGRAM = 3,
};

#define PULSE_METRIC_LABELS_MAX	16	/* labels of a family */
#define PULSE_METRIC_VALUE_MAX	1024	/* bytes of a label's value */
#define PULSE_METRIC_BUCKETS_MAX 64	/* bounds of a histogram */

/**
 * pulse_metrics_create() - make an empty registry
 * @out: the registry
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
PULSE_API int pulse_metrics_create(struct pulse_metrics **out);

/**
 * pulse_metrics_destroy() - end a registry, its families and series
 * @metrics: nobody records or reads any more
 *
 * Return: 0; -EINVAL.
 */
PULSE_API int pulse_metrics_destroy(struct pulse_metrics *metrics);

/**
 * struct pulse_metric_opts - a family of series
 * @sz: sizeof(struct pulse_metric_opts)
 * @name: letters, digits, "_" and ":", not a digit first; copied
 * @help: one sentence; copied; default ""
 * @labels: names of labels, NULL at the end: letters, digits and "_", not a
 *	digit or "__" first, of a histogram not "le"; copied; default: none
 * @bounds: of a histogram: upper bounds of its buckets in the unit that is
 *	recorded, growing; copied; default 2^10, 2^12, ... 2^34
 * @nr_bounds: how many, up to PULSE_METRIC_BUCKETS_MAX
 * @type: enum pulse_metric_type
 * @max_series: more are refused with -ENOSPC, so that a label with too many
 *	values costs no more memory than this; default 1000
 * @scale: what is shown is what was recorded times this, 1e-9 for nanoseconds
 *	shown as seconds; default 1; bounds and sums of histograms, and gauges
 */
struct pulse_metric_opts {
	size_t sz;
	const char *name;
	const char *help;
	const char *const *labels;
	const uint64_t *bounds;
	uint32_t nr_bounds;
	int type;
	uint32_t max_series;
	uint32_t reserved;
	double scale;
};

/**
 * pulse_metrics_define() - a family of series, made or found
 * @metrics: the registry
 * @opts: name and type at least
 * @out: the family; as long as the registry
 *
 * Return: 0; -EEXIST there is one of this name with another type, other labels
 * or other bounds; -EINVAL; -E2BIG unknown options; -ENOMEM.
 */
PULSE_API int pulse_metrics_define(struct pulse_metrics *metrics,
				   const struct pulse_metric_opts *opts,
				   struct pulse_metric **out);

/**
 * pulse_metric_series() - the series with these values of the labels
 * @metric: the family
 * @values: one for each label, UTF-8, any characters; copied; NULL where the
 *	family has no labels
 * @out: the series, made or found; as long as the registry. Keep it: to look
 *	it up takes a lock
 *
 * Return: 0; -EINVAL; -EILSEQ not UTF-8; -EMSGSIZE a value is too long;
 * -ENOSPC max_series; -ENOMEM.
 */
PULSE_API int pulse_metric_series(struct pulse_metric *metric,
				  const char *const *values,
				  struct pulse_series **out);

/* ---- recording, from any thread, without a lock; NULL does nothing ---------- */

/**
 * pulse_series_add() - count
 * @series: of a counter; of another type this does nothing
 * @by: how many more
 */
PULSE_API void pulse_series_add(struct pulse_series *series, uint64_t by);

/**
 * pulse_series_follow() - let a counter follow one that is kept elsewhere
 * @series: of a counter; of another type this does nothing
 * @value: where the other stands. If that is less than before, the other began
 *	anew: then this one goes on from where it was
 *
 * Takes a lock; not to be mixed with pulse_series_add().
 */
PULSE_API void pulse_series_follow(struct pulse_series *series, uint64_t value);

/**
 * pulse_series_set() - set a gauge
 * @series: of a gauge; of another type this does nothing
 * @value: what it is now
 */
PULSE_API void pulse_series_set(struct pulse_series *series, double value);

/**
 * pulse_series_change() - change a gauge
 * @series: of a gauge; of another type this does nothing
 * @by: added
 */
PULSE_API void pulse_series_change(struct pulse_series *series, double by);

/**
 * pulse_series_observe() - count a value in its bucket
 * @series: of a histogram; of another type this does nothing
 * @value: in the unit of the family's bounds
 */
PULSE_API void pulse_series_observe(struct pulse_series *series,
				    uint64_t value);

/**
 * pulse_series_read() - what a series stands at
 * @series: of a counter: its value; of a gauge: its value; of a histogram: how
 *	many were observed
 *
 * Return: that; 0 for NULL.
 */
PULSE_API double pulse_series_read(struct pulse_series *series);

/* ---- figures kept elsewhere ------------------------------------------------- */

/**
 * typedef pulse_collect_fn - brings series up to date
 * @arg: as given to pulse_metrics_collect()
 *
 * Called before the registry is read, one at a time. It must not read the
 * registry, or add and remove collectors.
 */
typedef void (*pulse_collect_fn)(void *arg);

/**
 * pulse_metrics_collect() - have a function called before each reading
 * @metrics: the registry
 * @fn: the function
 * @arg: for @fn
 *
 * Return: a number for pulse_metrics_remove(), 1 or more; -EINVAL; -ENOMEM;
 * -EDEADLK from a collector.
 */
PULSE_API int pulse_metrics_collect(struct pulse_metrics *metrics,
				    pulse_collect_fn fn, void *arg);

/**
 * pulse_metrics_remove() - not any more
 * @metrics: the registry
 * @id: of pulse_metrics_collect() or pulse_metrics_add_pool() and the like
 *
 * When it returns the function does not run, and will not; figures are brought
 * up to date a last time before, and then stay as they are.
 *
 * Return: 0; -EINVAL; -ENOENT; -EDEADLK from a collector.
 */
PULSE_API int pulse_metrics_remove(struct pulse_metrics *metrics, int id);

/**
 * pulse_metrics_add_pool() - publish a pool's figures, pulse_pool_*
 * @metrics: the registry
 * @name: value of the label "name"; copied
 * @pool: removed with pulse_metrics_remove() before it is destroyed
 *
 * Under a name that was published before, counters go on from where they were:
 * what the object counts from then on is added.
 *
 * Return: as pulse_metrics_collect(); as pulse_metric_series().
 */
PULSE_API int pulse_metrics_add_pool(struct pulse_metrics *metrics,
				     const char *name, struct pulse_pool *pool);

/**
 * pulse_metrics_add_mailbox() - publish a mailbox's figures, pulse_mailbox_*
 * @metrics: the registry
 * @name: value of the label "name"; copied
 * @mailbox: removed before it is destroyed
 *
 * Return: as pulse_metrics_add_pool().
 */
PULSE_API int pulse_metrics_add_mailbox(struct pulse_metrics *metrics,
					const char *name,
					struct pulse_mailbox *mailbox);

/**
 * pulse_metrics_add_bus() - publish a bus's figures, pulse_bus_*
 * @metrics: the registry
 * @name: value of the label "name"; copied
 * @bus: removed before it is destroyed
 *
 * Return: as pulse_metrics_add_pool().
 */
PULSE_API int pulse_metrics_add_bus(struct pulse_metrics *metrics,
				    const char *name, struct pulse_bus *bus);

/**
 * pulse_metrics_add_actors() - publish a system's figures, pulse_actors_*
 * @metrics: the registry
 * @name: value of the label "name"; copied
 * @actors: removed before it is destroyed
 *
 * Return: as pulse_metrics_add_pool().
 */
PULSE_API int pulse_metrics_add_actors(struct pulse_metrics *metrics,
				       const char *name,
				       struct pulse_actors *actors);

/**
 * pulse_metrics_add_sup() - publish a supervisor's figures, pulse_sup_*
 * @metrics: the registry
 * @name: value of the label "name"; copied
 * @sup: removed before it is destroyed
 *
 * Return: as pulse_metrics_add_pool().
 */
PULSE_API int pulse_metrics_add_sup(struct pulse_metrics *metrics,
				    const char *name, struct pulse_sup *sup);

/**
 * pulse_metrics_add_ws() - publish a WebSocket server's figures, pulse_ws_*
 * @metrics: the registry
 * @name: value of the label "name"; copied
 * @server: removed before it is destroyed
 *
 * Return: as pulse_metrics_add_pool().
 */
PULSE_API int pulse_metrics_add_ws(struct pulse_metrics *metrics,
				   const char *name,
				   struct pulse_ws_server *server);

/**
 * pulse_metrics_add_control() - publish a control's figures, pulse_control_*
 * @metrics: the registry
 * @name: value of the label "name"; copied
 * @control: removed before it is destroyed
 *
 * Return: as pulse_metrics_add_pool().
 */
PULSE_API int pulse_metrics_add_control(struct pulse_metrics *metrics,
					const char *name,
					struct pulse_control *control);

/* ---- reading ---------------------------------------------------------------- */

/**
 * struct pulse_sample - a series at one moment
 * @sz: its size
 * @name: of the family
 * @help: of the family
 * @labels: their names, NULL at the end
 * @values: theirs, in the same order
 * @bounds: of a histogram, as recorded
 * @counts: of a histogram: @nr_bounds + 1, each bucket's own
 * @nr_bounds: how many bounds
 * @type: enum pulse_metric_type
 * @value: of a counter, of a gauge; of a histogram the sum of what was observed
 * @scale: the family's
 * @count: of a histogram: the sum of @counts
 */
struct pulse_sample {
	size_t sz;
	const char *name;
	const char *help;
	const char *const *labels;
	const char *const *values;
	const uint64_t *bounds;
	const uint64_t *counts;
	uint32_t nr_bounds;
	int type;
	double value;
	double scale;
	uint64_t count;
};

/**
 * typedef pulse_sample_fn - is shown a series
 * @sample: valid during the call
 * @arg: as given to pulse_metrics_each()
 *
 * Must not use the registry. Not 0 ends the walk.
 */
typedef int (*pulse_sample_fn)(const struct pulse_sample *sample, void *arg);

/**
 * pulse_metrics_each() - a snapshot: every series, family after family
 * @metrics: the registry
 * @fn: called for each, in the order in which they were made
 * @arg: for @fn
 *
 * Return: 0, or what @fn ended it with; -EINVAL; -EDEADLK from a collector.
 */
PULSE_API int pulse_metrics_each(struct pulse_metrics *metrics,
				 pulse_sample_fn fn, void *arg);

/**
 * pulse_metrics_text() - a snapshot as Prometheus text, version 0.0.4
 * @metrics: the registry
 * @buf: out: the text and a 0, cut if it does not fit; NULL where @len is 0
 * @len: room in @buf
 *
 * Return: bytes of the whole text, its 0 left out: if that is @len or more, it
 * was cut; -EINVAL; -EDEADLK from a collector.
 */
PULSE_API int64_t pulse_metrics_text(struct pulse_metrics *metrics, char *buf,
				     size_t len);

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_METRICS_H */
