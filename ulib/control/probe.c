// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * probe.c - the probes that come with us.
 */
#include "control/debug.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <linux/pulse.h>

#include <pulse-u/backend.h>
#include <pulse-u/metrics.h>
#include <pulse-u/pool.h>
#include <pulse-u/tracer.h>
#include <pulse-u/ws_live.h>

static const char *state_name(uint32_t state)
{
	switch (state) {
	case PULSE_STATE_RUNNING:
		return "running";
	case PULSE_STATE_PREEMPTED:
		return "preempted";
	case PULSE_STATE_BLOCKED:
		return "blocked";
	case PULSE_STATE_PARKED:
		return "parked";
	default:
		return "other";
	}
}

/* ---- threads ----------------------------------------------------------------- */

/* A file of /proc/self/task/TID; "" where it cannot be read. */
static void task_file(const char *tid, const char *file, char *buf, size_t len)
{
	char path[64 + NAME_MAX];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%s/%s", tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, len - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = 0;
	buf[strcspn(buf, "\n")] = 0;
}

static void one_thread(struct pulse_dump *d, const char *tid)
{
	char text[512], state[2] = "";
	unsigned long utime = 0, stime = 0;
	long hz = sysconf(_SC_CLK_TCK);
	const char *after;
	int cpu = -1;

	pulse_dump_begin(d, NULL);
	pulse_dump_i64(d, "tid", atol(tid));
	task_file(tid, "comm", text, sizeof(text));
	pulse_dump_str(d, "name", text);
	task_file(tid, "stat", text, sizeof(text));
	/* The name may hold anything, a ")" too. */
	after = strrchr(text, ')');
	if (after && sscanf(after + 1,
			    " %1c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %d",
			    state, &utime, &stime, &cpu) == 4) {
		pulse_dump_str(d, "state", state);
		pulse_dump_i64(d, "cpu", cpu);
		pulse_dump_u64(d, "user_ms", utime * 1000 / (unsigned long)hz);
		pulse_dump_u64(d, "system_ms", stime * 1000 / (unsigned long)hz);
	}
	task_file(tid, "wchan", text, sizeof(text));
	if (*text && strcmp(text, "0"))
		pulse_dump_str(d, "waits_in", text);
	pulse_dump_end(d);
}

static int dump_threads(struct pulse_dump *d, void *arg)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *e;

	(void)arg;
	if (!dir)
		return -errno;
	pulse_dump_begin_list(d, "threads");
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			one_thread(d, e->d_name);
	pulse_dump_end(d);
	closedir(dir);
	return 0;
}

int pulse_debug_add_threads(struct pulse_debug *debug, const char *name)
{
	return pulse_debug_add(debug, name, dump_threads, NULL);
}

/* ---- workers of a context ------------------------------------------------------ */

struct ctx_probe {
	struct pulse_ctx *ctx;
	uint32_t max_workers;
};

static void one_worker(struct pulse_dump *d, uint32_t index,
		       const struct pulse_worker_state *s)
{
	pulse_dump_begin(d, NULL);
	pulse_dump_u64(d, "index", index);
	pulse_dump_str(d, "state", state_name(s->state));
	pulse_dump_i64(d, "tid", s->tid);
	pulse_dump_u64(d, "cpu", s->cpu);
	pulse_dump_i64(d, "node", s->node);
	pulse_dump_u64(d, "preempted", s->n_preempt);
	pulse_dump_u64(d, "blocked", s->n_block);
	pulse_dump_u64(d, "migrated", s->n_migrate);
	pulse_dump_u64(d, "parked", s->n_park);
	pulse_dump_u64(d, "run_ns", s->run_ns);
	pulse_dump_u64(d, "wait_ns", s->wait_ns);
	pulse_dump_u64(d, "beats", s->beats);
	pulse_dump_u64(d, "missed", s->missed);
	pulse_dump_end(d);
}

static int dump_ctx(struct pulse_dump *d, void *arg)
{
	const struct ctx_probe *p = arg;

	pulse_dump_begin_list(d, "workers");
	for (uint32_t i = 0; i < p->max_workers; i++) {
		PULSE_OPTS(pulse_worker_state, s);
		int err = pulse_worker_state(p->ctx, (int)i, &s);

		if (!err)
			one_worker(d, i, &s);
		else if (err != -ESRCH && err != -EINVAL)
			return err;
	}
	pulse_dump_end(d);
	return 0;
}

int pulse_debug_add_ctx(struct pulse_debug *debug, const char *name,
			struct pulse_ctx *ctx, uint32_t max_workers)
{
	struct ctx_probe *p;
	int err;

	if (!ctx || max_workers > INT_MAX)
		return -EINVAL;
	p = pulse__malloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct ctx_probe){ ctx, max_workers };
	err = pulse__debug_add(debug, name, dump_ctx, p, pulse__free);
	if (err)
		pulse__free(p);
	return err;
}

/* ---- a pool -------------------------------------------------------------------- */

static int dump_pool(struct pulse_dump *d, void *pool)
{
	PULSE_OPTS(pulse_pool_stats, s);
	int err = pulse_pool_stats(pool, &s);

	if (err)
		return err;
	pulse_dump_u64(d, "submitted", s.submitted);
	pulse_dump_u64(d, "completed", s.completed);
	pulse_dump_u64(d, "stolen", s.stolen);
	pulse_dump_u64(d, "queued", s.queued);
	pulse_dump_u64(d, "active_workers", s.active_workers);
	pulse_dump_begin_list(d, "workers");
	for (uint32_t i = 0; i < s.num_workers; i++) {
		PULSE_OPTS(pulse_pool_worker_stats, w);

		if (pulse_pool_worker_stats(pool, i, &w))
			continue;
		pulse_dump_begin(d, NULL);
		pulse_dump_u64(d, "index", i);
		pulse_dump_str(d, "state", state_name(w.state));
		pulse_dump_i64(d, "tid", w.tid);
		pulse_dump_u64(d, "cpu", w.cpu);
		pulse_dump_u64(d, "executed", w.executed);
		pulse_dump_u64(d, "stolen", w.stolen);
		pulse_dump_u64(d, "queued", w.queued);
		pulse_dump_end(d);
	}
	pulse_dump_end(d);
	return 0;
}

int pulse_debug_add_pool(struct pulse_debug *debug, const char *name,
			 struct pulse_pool *pool)
{
	return pool ? pulse_debug_add(debug, name, dump_pool, pool) : -EINVAL;
}

/* ---- a WebSocket server --------------------------------------------------------- */

static int dump_ws(struct pulse_dump *d, void *server)
{
	PULSE_OPTS(pulse_ws_stats, s);
	PULSE_OPTS(pulse_ws_limits, l);
	int err = pulse_ws_server_stats(server, &s);

	if (!err)
		err = pulse_ws_server_limits(server, &l);
	if (err)
		return err;
	pulse_dump_u64(d, "connections", s.connections);
	pulse_dump_u64(d, "accepted", s.accepted);
	pulse_dump_u64(d, "opened", s.opened);
	pulse_dump_u64(d, "messages_in", s.messages_in);
	pulse_dump_u64(d, "messages_out", s.messages_out);
	pulse_dump_u64(d, "bytes_in", s.bytes_in);
	pulse_dump_u64(d, "bytes_out", s.bytes_out);
	pulse_dump_begin(d, "limits");
	pulse_dump_u64(d, "max_message_bytes", l.max_message_bytes);
	pulse_dump_u64(d, "max_head_bytes", l.max_head_bytes);
	pulse_dump_u64(d, "send_high_bytes", l.send_high_bytes);
	pulse_dump_u64(d, "send_low_bytes", l.send_low_bytes);
	pulse_dump_i64(d, "handshake_timeout_ms", l.handshake_timeout_ms);
	pulse_dump_i64(d, "ping_interval_ms", l.ping_interval_ms);
	pulse_dump_i64(d, "idle_timeout_ms", l.idle_timeout_ms);
	pulse_dump_i64(d, "write_timeout_ms", l.write_timeout_ms);
	pulse_dump_i64(d, "close_timeout_ms", l.close_timeout_ms);
	pulse_dump_i64(d, "max_lifetime_ms", l.max_lifetime_ms);
	pulse_dump_i64(d, "lifetime_jitter_ms", l.lifetime_jitter_ms);
	pulse_dump_end(d);
	return 0;
}

int pulse_debug_add_ws(struct pulse_debug *debug, const char *name,
		       struct pulse_ws_server *server)
{
	return server ? pulse_debug_add(debug, name, dump_ws, server) : -EINVAL;
}

/* ---- metrics, a tracer ----------------------------------------------------------- */

static int dump_sample(const struct pulse_sample *s, void *arg)
{
	struct pulse_dump *d = arg;

	pulse_dump_begin(d, NULL);
	pulse_dump_str(d, "name", s->name);
	pulse_dump_begin(d, "labels");
	for (size_t i = 0; s->labels[i]; i++)
		pulse_dump_str(d, s->labels[i], s->values[i]);
	pulse_dump_end(d);
	pulse_dump_f64(d, "value", s->value);
	if (s->type == PULSE_METRIC_HISTOGRAM)
		pulse_dump_u64(d, "count", s->count);
	pulse_dump_end(d);
	return 0;
}

static int dump_metrics(struct pulse_dump *d, void *metrics)
{
	int err;

	pulse_dump_begin_list(d, "series");
	err = pulse_metrics_each(metrics, dump_sample, d);
	pulse_dump_end(d);
	return err;
}

int pulse_debug_add_metrics(struct pulse_debug *debug, const char *name,
			    struct pulse_metrics *metrics)
{
	return metrics ? pulse_debug_add(debug, name, dump_metrics, metrics) :
	       -EINVAL;
}

static int dump_tracer(struct pulse_dump *d, void *tracer)
{
	PULSE_OPTS(pulse_tracer_stats, s);
	int err = pulse_tracer_stats(tracer, &s);

	if (err)
		return err;
	pulse_dump_u64(d, "started", s.started);
	pulse_dump_u64(d, "sampled", s.sampled);
	pulse_dump_u64(d, "ended", s.ended);
	pulse_dump_u64(d, "exported", s.exported);
	pulse_dump_u64(d, "dropped", s.dropped);
	pulse_dump_u64(d, "open", s.open);
	pulse_dump_u64(d, "waiting", s.waiting);
	return 0;
}

int pulse_debug_add_tracer(struct pulse_debug *debug, const char *name,
			   struct pulse_tracer *tracer)
{
	return tracer ? pulse_debug_add(debug, name, dump_tracer, tracer) :
	       -EINVAL;
}
