// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * bind.c - knobs of what serves: a WebSocket server's limits, a pool's controls.
 *
 * A binding defines its knobs with the values of that moment and sets all of
 * them on a reload, forwards or back: the object keeps no trace of which.
 */
#include "control/control_int.h"
#include "control/text.h"

#include <pulse-u/pool_stats.h>
#include <pulse-u/ws_live.h>

#define KNOBS_MAX 16

struct binding {
	void *object;
	size_t nr;
	char name[KNOBS_MAX][PULSE_KNOB_NAME_MAX + 1];
};

struct spec {
	const char *name, *doc, *unit;
	int64_t min, max;
};

/*
 * Defines the knobs with these values and adds the callback. Knobs that were
 * defined before one failed stay: there is no way to take one out, and they do
 * nothing.
 */
static int bind(struct pulse_control *control, const char *prefix,
		struct binding *b, const struct spec *specs, size_t nr,
		const int64_t *values, pulse_reload_fn fn)
{
	int err = 0;

	for (size_t i = 0; i < nr && err >= 0; i++) {
		PULSE_OPTS(pulse_knob, k, .name = b->name[i],
			   .doc = specs[i].doc, .unit = specs[i].unit,
			   .type = PULSE_KNOB_INT, .min = specs[i].min,
			   .max = specs[i].max, .value = values[i]);

		if (snprintf(b->name[i], sizeof(b->name[i]), "%s.%s", prefix,
			     specs[i].name) >= (int)sizeof(b->name[i]))
			err = -EINVAL;
		else
			err = pulse_control_define(control, &k);
	}
	b->nr = nr;
	if (err >= 0)
		err = pulse__control_on_reload(control, fn, b, pulse__free);
	if (err < 0)
		pulse__free(b);
	return err;
}

/* The binding's values in a configuration. */
static int values_of(const struct binding *b, const struct pulse_config *config,
		     int64_t *values)
{
	int err = 0;

	for (size_t i = 0; i < b->nr && !err; i++)
		err = pulse_config_int(config, b->name[i], &values[i]);
	return err;
}

/* ---- a WebSocket server ------------------------------------------------------ */

static const struct spec ws_specs[] = {
	{ "max_message_bytes", "longer messages close with 1009", "bytes", 1,
	  INT64_MAX },
	{ "max_head_bytes", "longer request heads get 431", "bytes", 1024,
	  INT32_MAX },
	{ "send_high_bytes", "unsent bytes from which sends are refused", "bytes",
	  2, UINT32_MAX },
	{ "send_low_bytes", "unsent bytes from which it goes on", "bytes", 1,
	  UINT32_MAX - 1 },
	{ "handshake_timeout_ms", "for the whole request head; -1: none", "ms",
	  -1, INT32_MAX },
	{ "ping_interval_ms", "silence after which a peer is pinged; -1: none",
	  "ms", -1, INT32_MAX },
	{ "idle_timeout_ms", "silence after which it is closed; -1: none", "ms",
	  -1, INT32_MAX },
	{ "write_timeout_ms", "how long a peer may take nothing; -1: none", "ms",
	  -1, INT32_MAX },
	{ "close_timeout_ms", "how long closing may take; -1: none", "ms", -1,
	  INT32_MAX },
	{ "max_lifetime_ms", "age at which it is closed; -1: none", "ms", -1,
	  INT32_MAX },
	{ "lifetime_jitter_ms", "by how much that may be earlier; -1: none",
	  "ms", -1, INT32_MAX },
};

/* 0 would mean "as it is". */
static int32_t ms(int64_t v)
{
	return v ? (int32_t)v : -1;
}

static int reload_ws(const struct pulse_config *now,
		     const struct pulse_config *next, char *why, size_t len,
		     void *arg)
{
	struct binding *b = arg;
	int64_t v[KNOBS_MAX];
	int err = values_of(b, next, v);

	(void)now;
	if (!err) {
		PULSE_OPTS(pulse_ws_limits, l,
			   .max_message_bytes = (uint64_t)v[0],
			   .max_head_bytes = (uint32_t)v[1],
			   .send_high_bytes = (uint32_t)v[2],
			   .send_low_bytes = (uint32_t)v[3],
			   .handshake_timeout_ms = ms(v[4]),
			   .ping_interval_ms = ms(v[5]),
			   .idle_timeout_ms = ms(v[6]),
			   .write_timeout_ms = ms(v[7]),
			   .close_timeout_ms = ms(v[8]),
			   .max_lifetime_ms = ms(v[9]),
			   .lifetime_jitter_ms = ms(v[10]));

		err = pulse_ws_server_set_limits(b->object, &l);
	}
	if (err == -EINVAL)
		pulse__why(why, len, "%s: %lld is not less than %s, which is %lld",
			   b->name[3], (long long)v[3], b->name[2],
			   (long long)v[2]);
	return err;
}

int pulse_control_bind_ws(struct pulse_control *control,
			  struct pulse_ws_server *server, const char *prefix)
{
	PULSE_OPTS(pulse_ws_limits, l);
	struct binding *b;
	int err;

	if (!control || !server || !prefix)
		return -EINVAL;
	err = pulse_ws_server_limits(server, &l);
	if (err)
		return err;
	b = pulse__calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->object = server;
	return bind(control, prefix, b, ws_specs, ARRAY_SIZE(ws_specs),
		    (const int64_t[]){ (int64_t)l.max_message_bytes,
				       l.max_head_bytes, l.send_high_bytes,
				       l.send_low_bytes,
				       l.handshake_timeout_ms < 0 ? -1 :
				       l.handshake_timeout_ms,
				       l.ping_interval_ms < 0 ? -1 :
				       l.ping_interval_ms,
				       l.idle_timeout_ms < 0 ? -1 :
				       l.idle_timeout_ms,
				       l.write_timeout_ms < 0 ? -1 :
				       l.write_timeout_ms,
				       l.close_timeout_ms < 0 ? -1 :
				       l.close_timeout_ms,
				       l.max_lifetime_ms < 0 ? -1 :
				       l.max_lifetime_ms,
				       l.lifetime_jitter_ms < 0 ? -1 :
				       l.lifetime_jitter_ms }, reload_ws);
}

/* ---- a pool ------------------------------------------------------------------ */

static const struct spec pool_specs[] = {
	{ "heartbeat_us", "from one heartbeat to the next; 0: none", "us", 0,
	  60000000 },
	{ "promotion_threshold", "forking this many times 5 us shares", NULL, 0,
	  UINT32_MAX },
	{ "min_work_cycles", "work that is worth sharing", "cycles", 0, INT64_MAX },
};

static int reload_pool(const struct pulse_config *now,
		       const struct pulse_config *next, char *why, size_t len,
		       void *arg)
{
	struct binding *b = arg;
	int64_t old[KNOBS_MAX], v[KNOBS_MAX];
	int err = values_of(b, now, old);

	if (!err)
		err = values_of(b, next, v);
	if (!err && v[0] != old[0]) {
		err = pulse_pool_set_heartbeat(b->object, (unsigned int)v[0]);
		if (err == -EINVAL)
			pulse__why(why, len,
				   "%s: %lld us was refused; it may be 0, or 20 to 60000000",
				   b->name[0], (long long)v[0]);
	}
	if (!err && (v[1] != old[1] || v[2] != old[2]))
		err = pulse_pool_set_promotion(b->object, (unsigned int)v[1],
					       (uint64_t)v[2]);
	return err;
}

int pulse_control_bind_pool(struct pulse_control *control,
			    struct pulse_pool *pool, const char *prefix)
{
	PULSE_OPTS(pulse_pool_knobs, k);
	struct binding *b;
	int err;

	if (!control || !pool || !prefix)
		return -EINVAL;
	err = pulse_pool_knobs(pool, &k);
	if (err)
		return err;
	b = pulse__calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->object = pool;
	return bind(control, prefix, b, pool_specs, ARRAY_SIZE(pool_specs),
		    (const int64_t[]){ k.heartbeat_us, k.promotion_threshold,
				       k.min_work_cycles > INT64_MAX ? INT64_MAX :
				       (int64_t)k.min_work_cycles }, reload_pool);
}
