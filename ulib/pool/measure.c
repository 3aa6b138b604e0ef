// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * measure.c - what a pool that was asked to does around each task: time it, name
 * it, trace it. Others pay one look at pool->odd for all of this.
 *
 * The time of the submit travels in the job, above the bit of its epoch.
 */
#include "pool/graph.h"
#include "pool/measure.h"
#include "pool/pipeline.h"
#include "pool/work.h"

void pulse__stamp(struct pulse__job *jobs, unsigned int nr)
{
	uint64_t now = (uint64_t)pulse_now_ns() << 1;

	for (unsigned int i = 0; i < nr; i++)
		jobs[i].epoch = (jobs[i].epoch & 1) | now;
}

void pulse__name_work(struct pulse__worker *w, pulse_work_fn fn, uint64_t id)
{
	const void *code;

	memcpy(&code, &fn, sizeof(code));
	WRITE_ONCE(w->now_code, code);
	WRITE_ONCE(w->now_id, id);
}

static void pulse__name_job(struct pulse__worker *w,
			    const struct pulse__job *job)
{
	bool handle = job->fn == pulse__work_run ||
		      job->fn == pulse__graph_task ||
		      job->fn == pulse__graph_root ||
		      job->fn == pulse__pipe_task;
	const void *code;

	memcpy(&code, &job->fn, sizeof(code));
	WRITE_ONCE(w->now_fn, handle ? NULL : job->fn);
	WRITE_ONCE(w->now_data, handle ? NULL : job->data);
	WRITE_ONCE(w->now_code, code);
	WRITE_ONCE(w->now_id, 0);
}

static void pulse__time_job(struct pulse__worker *w,
			    const struct pulse__job *job)
{
	const struct pulse__cells *c = w->cells;
	uint64_t from = job->epoch >> 1, begin, end;

	begin = (uint64_t)pulse_now_ns();
	if (from > begin)	/* clocks of two CPUs */
		from = begin;
	job->fn(job->data);
	end = (uint64_t)pulse_now_ns();
	pulse__hist_record_own(c->latency[PULSE_LATENCY_QUEUE], begin - from);
	pulse__hist_record_own(c->latency[PULSE_LATENCY_RUN], end - begin);
	pulse__hist_record_own(c->latency[PULSE_LATENCY_TOTAL], end - from);
}

void pulse__job_run_odd(struct pulse__worker *w, const struct pulse__job *job)
{
	const uint32_t odd = READ_ONCE(w->pool->odd);

	if (odd & PULSE__ODD_NAME)
		pulse__name_job(w, job);
	if (odd & PULSE__ODD_TRACE)
		pulse_log(PULSE_LOG_DEBUG, "pool %s: worker %u begins a task",
			  w->pool->name, w->number);
	if (odd & PULSE__ODD_STAMP)
		pulse__time_job(w, job);
	else
		job->fn(job->data);
	if (odd & PULSE__ODD_TRACE)
		pulse_log(PULSE_LOG_DEBUG, "pool %s: worker %u ends a task",
			  w->pool->name, w->number);
}

/* ---- latency --------------------------------------------------------------- */

int pulse__measure_new(struct pulse_pool *pool, bool latency)
{
	int err = pulse__report_new(pool);

	if (!latency || err)
		return err;
	for (uint32_t i = 0; i < pool->nr_workers; i++) {
		struct pulse__cells *c = pulse__calloc(1, sizeof(*c));

		if (!c)
			return -ENOMEM;
		pool->worker[i]->cells = c;
		for (int k = 0; k < PULSE_LATENCY_KINDS; k++) {
			err = pulse_histogram_create(NULL, &c->latency[k]);
			if (err)
				return err;
		}
	}
	pool->odd |= PULSE__ODD_STAMP;
	return 0;
}

int pulse_pool_latency_histogram(struct pulse_pool *pool, int kind,
				 struct pulse_histogram *into)
{
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (kind < 0 || kind >= PULSE_LATENCY_KINDS || !into)
		return -EINVAL;
	if (!(READ_ONCE(pool->odd) & PULSE__ODD_STAMP))
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < pool->nr_workers && !err; i++)
		err = pulse_histogram_merge(into,
					    pool->worker[i]->cells->latency[kind]);
	return err;
}

int pulse_pool_latency(struct pulse_pool *pool, int kind,
		       struct pulse_histogram_summary *out)
{
	struct pulse_histogram *all;
	int err = pulse__pool_check(pool);

	if (!err && !out)
		err = -EINVAL;
	if (!err)
		err = pulse_histogram_create(NULL, &all);
	if (err)
		return err;
	err = pulse_pool_latency_histogram(pool, kind, all);
	if (!err)
		err = pulse_histogram_summary(all, out);
	pulse_histogram_destroy(all);
	return err;
}

int pulse_pool_metrics(struct pulse_pool *pool, struct pulse_pool_metrics *out)
{
	struct pulse_histogram_summary h = { .sz = sizeof(h) };
	struct pulse_pool_metrics m = { .sz = sizeof(m) };
	struct pulse_pool_stats s = { .sz = sizeof(s) };
	int err = pulse__pool_check(pool);

	if (!err)
		err = pulse__out_check(out, PULSE__END(struct pulse_pool_metrics,
						       p99_ns));
	if (!err && (READ_ONCE(pool->odd) & PULSE__ODD_STAMP))
		err = pulse_pool_latency(pool, PULSE_LATENCY_TOTAL, &h);
	if (!err)
		err = pulse_pool_stats(pool, &s);
	if (err)
		return err;
	m.submitted = s.submitted;
	m.completed = s.completed;
	m.cancelled = s.cancelled;
	m.queue_length = s.queued;
	m.active_workers = s.active_workers;
	m.num_workers = s.num_workers;
	m.work_done = READ_ONCE(pool->report->done);
	m.work_failed = READ_ONCE(pool->report->failed);
	m.work_cancelled = READ_ONCE(pool->report->cancelled);
	pthread_mutex_lock(&pool->lock);
	m.grown = pool->grew;
	m.shrunk = pool->shrank;
	pthread_mutex_unlock(&pool->lock);
	m.average_ns = h.mean;
	m.p50_ns = h.p50;
	m.p95_ns = h.p95;
	m.p99_ns = h.p99;
	pulse__out_store(out, &m, sizeof(m));
	return 0;
}

/* ---- the user's own ---------------------------------------------------------- */

#define PULSE__CUSTOM_NAME	32

/* A row for each place, which its worker alone writes; the last: all others. */
struct pulse__custom {
	uint32_t nr;			/* names there are; grows */
	char name[PULSE_POOL_CUSTOM_MAX][PULSE__CUSTOM_NAME];
	struct pulse__custom_row {
		uint64_t value[PULSE_POOL_CUSTOM_MAX] PULSE__PAIR_ALIGNED;
	} row[];
};

/* Under the lock. */
static struct pulse__custom *pulse__custom_get(struct pulse_pool *pool)
{
	struct pulse__custom *c = pool->custom;

	if (c)
		return c;
	c = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*c) +
				 (pool->nr_workers + 1) * sizeof(c->row[0]));
	/* pairs with pulse__custom_of: it is all zero */
	pulse__store_release(&pool->custom, c);
	return c;
}

static struct pulse__custom *pulse__custom_of(struct pulse_pool *pool, int id)
{
	/* pairs with pulse__custom_get, and with the growing of nr */
	struct pulse__custom *c = pulse__load_acquire(&pool->custom);

	return c && id >= 0 && (uint32_t)id < pulse__load_acquire(&c->nr) ?
	       c : NULL;
}

int pulse_pool_custom_define(struct pulse_pool *pool, const char *name)
{
	struct pulse__custom *c;
	int id = 0, err = pulse__pool_check(pool);

	if (err)
		return err;
	if (!name || !*name)
		return -EINVAL;
	if (strlen(name) >= PULSE__CUSTOM_NAME)
		return -ENAMETOOLONG;
	pthread_mutex_lock(&pool->lock);
	c = pulse__custom_get(pool);
	if (!c) {
		id = -ENOMEM;
		goto out;
	}
	while ((uint32_t)id < c->nr && strcmp(c->name[id], name))
		id++;
	if (id == PULSE_POOL_CUSTOM_MAX) {
		id = -ENOSPC;
	} else if ((uint32_t)id == c->nr) {
		strcpy(c->name[id], name);
		pulse__store_release(&c->nr, c->nr + 1);
	}
out:
	pthread_mutex_unlock(&pool->lock);
	return id;
}

void pulse_pool_custom_add(struct pulse_pool *pool, int id, uint64_t by)
{
	struct pulse__worker *w;
	struct pulse__custom *c;
	uint64_t *word;

	if (pulse__pool_check(pool))
		return;
	c = pulse__custom_of(pool, id);
	if (!c)
		return;
	w = pulse__pool_self_in(pool);
	word = &c->row[w ? w->number : pool->nr_workers].value[id];
	if (w)
		WRITE_ONCE(*word, *word + by);
	else
		pulse__add_relaxed(word, by);
}

int pulse_pool_custom_read(struct pulse_pool *pool, int id, uint64_t *value,
			   const char **name)
{
	struct pulse__custom *c;
	uint64_t sum = 0;
	int err = pulse__pool_check(pool);

	if (err)
		return err;
	if (!value)
		return -EINVAL;
	c = pulse__custom_of(pool, id);
	if (!c)
		return -ENOENT;
	for (uint32_t i = 0; i <= pool->nr_workers; i++)
		sum += READ_ONCE(c->row[i].value[id]);
	*value = sum;
	if (name)
		*name = c->name[id];
	return 0;
}

void pulse__measure_free(struct pulse_pool *pool)
{
	for (uint32_t i = 0; pool->worker && i < pool->nr_workers; i++) {
		struct pulse__cells *c = pool->worker[i] ?
					 pool->worker[i]->cells : NULL;

		for (int k = 0; c && k < PULSE_LATENCY_KINDS; k++)
			pulse__free(c->latency[k]);
		pulse__free(c);
	}
	pulse__free(pool->custom);
	pulse__report_put(pool->report);
}
