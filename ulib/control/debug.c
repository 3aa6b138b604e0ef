// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * debug.c - the registry of probes, and the JSON they write.
 *
 * A dump goes from probe to probe under the lock, and runs each without it: a
 * reference keeps the probe in the list, its runner keeps others out of it. Who
 * finds one that has been in there for long (BUSY_NS) does not wait for it, so that
 * a probe that hangs is one dump's fate and no other's.
 */
#include "base/list.h"
#include "control/debug.h"

#include <math.h>
#include <pthread.h>
#include <time.h>

#include "ws/codec.h"

/* A probe that takes longer than this is not waited for. */
#define BUSY_NS	(100 * PULSE__NSEC_PER_MSEC)

struct probe {
	struct pulse__list link;
	char *name;
	pulse_probe_fn fn;
	void *arg;
	void (*release)(void *arg);	/* or NULL */
	/* Under the lock of the registry: */
	uint32_t refs;			/* dumps that stand at it */
	int64_t since;			/* one of them runs it, since then; else 0 */
	bool removed;			/* not to be run again */
};

struct pulse_debug {
	pthread_mutex_t lock;		/* the list, and what the probes say */
	pthread_cond_t changed;		/* one was left */
	struct pulse__list probes;
};

/* The registry whose probe this thread runs. */
static __thread const struct pulse_debug *dumping;

static int init_sync(struct pulse_debug *debug)
{
	pthread_condattr_t attr;
	int err = pthread_mutex_init(&debug->lock, NULL);

	if (err)
		return -ENOMEM;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	err = pthread_cond_init(&debug->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (err)
		pthread_mutex_destroy(&debug->lock);
	return err ? -ENOMEM : 0;
}

/* ---- JSON ------------------------------------------------------------------- */

/* Bytes of a character that is whole and allowed; 0: it is none. */
static size_t character(const char *s)
{
	const struct pulse__ws_codec *codec = pulse__ws_codec_get(0);
	size_t len = strnlen(s, 4);

	for (size_t n = 1; n <= len; n++) {
		uint32_t utf8 = 0;

		if (codec->utf8(&utf8, (const uint8_t *)s, n) && !utf8)
			return n;
	}
	return 0;
}

static void quoted(struct pulse__text *t, const char *s)
{
	pulse__text_puts(t, "\"");
	while (*s) {
		unsigned char c = (unsigned char)*s;
		size_t n = 1;

		if (c == '"' || c == '\\') {
			char pair[2] = { '\\', (char)c };

			pulse__text_add(t, pair, 2);
		} else if (c == '\n') {
			pulse__text_puts(t, "\\n");
		} else if (c < 0x20 || c == 0x7f) {
			pulse__text_printf(t, "\\u%04x", c);
		} else if (c < 0x80) {
			pulse__text_add(t, s, 1);
		} else {
			n = character(s);
			if (n)
				pulse__text_add(t, s, n);
			else
				pulse__text_puts(t, "\\ufffd");
			n = n ? n : 1;
		}
		s += n;
	}
	pulse__text_puts(t, "\"");
}

/* What stands before a value; false: not here. */
static bool before(struct pulse_dump *d, const char *key)
{
	if (!d || d->err)
		return false;
	if (!key != d->list[d->depth]) {
		d->err = -EINVAL;
		return false;
	}
	if (!d->first)
		pulse__text_puts(&d->t, ",");
	d->first = false;
	if (key) {
		quoted(&d->t, key);
		pulse__text_puts(&d->t, ":");
	}
	return true;
}

void pulse_dump_i64(struct pulse_dump *d, const char *key, int64_t value)
{
	if (before(d, key))
		pulse__text_printf(&d->t, "%lld", (long long)value);
}

void pulse_dump_u64(struct pulse_dump *d, const char *key, uint64_t value)
{
	if (before(d, key))
		pulse__text_printf(&d->t, "%llu", (unsigned long long)value);
}

void pulse_dump_f64(struct pulse_dump *d, const char *key, double value)
{
	if (!before(d, key))
		return;
	if (isfinite(value))
		pulse__text_f64(&d->t, value, 17);
	else
		pulse__text_puts(&d->t, "null");
}

void pulse_dump_bool(struct pulse_dump *d, const char *key, bool value)
{
	if (before(d, key))
		pulse__text_puts(&d->t, value ? "true" : "false");
}

void pulse_dump_str(struct pulse_dump *d, const char *key, const char *value)
{
	if (!before(d, key))
		return;
	if (value)
		quoted(&d->t, value);
	else
		pulse__text_puts(&d->t, "null");
}

static void open_one(struct pulse_dump *d, const char *key, bool list)
{
	if (d && !d->err && d->depth == PULSE_DUMP_DEPTH_MAX)
		d->err = -ELOOP;
	if (!before(d, key))
		return;
	pulse__text_puts(&d->t, list ? "[" : "{");
	d->list[++d->depth] = list;
	d->first = true;
}

void pulse_dump_begin(struct pulse_dump *d, const char *key)
{
	open_one(d, key, false);
}

void pulse_dump_begin_list(struct pulse_dump *d, const char *key)
{
	open_one(d, key, true);
}

void pulse_dump_end(struct pulse_dump *d)
{
	if (!d || d->err)
		return;
	if (d->depth == d->floor) {
		d->err = -EINVAL;
		return;
	}
	pulse__text_puts(&d->t, d->list[d->depth--] ? "]" : "}");
	d->first = false;
}

/* ---- the registry ------------------------------------------------------------- */

int pulse_debug_create(struct pulse_debug **out)
{
	struct pulse_debug *debug;

	if (!out)
		return -EINVAL;
	*out = NULL;
	debug = pulse__calloc(1, sizeof(*debug));
	if (!debug)
		return -ENOMEM;
	if (init_sync(debug)) {
		pulse__free(debug);
		return -ENOMEM;
	}
	pulse__list_init(&debug->probes);
	*out = debug;
	return 0;
}

static void probe_free(struct probe *p)
{
	if (p->release)
		p->release(p->arg);
	pulse__free(p->name);
	pulse__free(p);
}

int pulse_debug_destroy(struct pulse_debug *debug)
{
	struct pulse__list *l;

	if (!debug)
		return -EINVAL;
	while ((l = pulse__list_pop(&debug->probes)))
		probe_free(pulse__list_entry(l, struct probe, link));
	pthread_cond_destroy(&debug->changed);
	pthread_mutex_destroy(&debug->lock);
	pulse__free(debug);
	return 0;
}

static struct probe *find(struct pulse_debug *debug, const char *name)
{
	struct probe *p;

	pulse__list_for_each_entry(p, &debug->probes, link)
		if (!p->removed && !strcmp(p->name, name))
			return p;
	return NULL;
}

int pulse__debug_add(struct pulse_debug *debug, const char *name,
		     pulse_probe_fn fn, void *arg, void (*release)(void *arg))
{
	struct probe *p;
	int err = 0;

	if (!debug || !name || !fn || !*name ||
	    strlen(name) > PULSE_PROBE_NAME_MAX)
		return -EINVAL;
	if (dumping == debug)
		return -EDEADLK;
	p = pulse__calloc(1, sizeof(*p));
	if (p)
		p->name = pulse__strdup(name);
	if (!p || !p->name) {
		pulse__free(p);
		return -ENOMEM;
	}
	p->fn = fn;
	p->arg = arg;
	p->release = release;
	pthread_mutex_lock(&debug->lock);
	if (find(debug, name))
		err = -EEXIST;
	else
		pulse__list_add_tail(&debug->probes, &p->link);
	pthread_mutex_unlock(&debug->lock);
	if (err) {
		p->release = NULL;
		probe_free(p);
	}
	return err;
}

int pulse_debug_add(struct pulse_debug *debug, const char *name,
		    pulse_probe_fn fn, void *arg)
{
	return pulse__debug_add(debug, name, fn, arg, NULL);
}

int pulse_debug_remove(struct pulse_debug *debug, const char *name)
{
	struct probe *p;

	if (!debug || !name)
		return -EINVAL;
	if (dumping == debug)
		return -EDEADLK;
	pthread_mutex_lock(&debug->lock);
	p = find(debug, name);
	if (p) {
		p->removed = true;
		while (p->refs)
			pthread_cond_wait(&debug->changed, &debug->lock);
		pulse__list_del(&p->link);
	}
	pthread_mutex_unlock(&debug->lock);
	if (!p)
		return -ENOENT;
	probe_free(p);
	return 0;
}

/* Under the lock: until nobody runs it, or it has taken too long; 0, -EBUSY. */
static int wait_for(struct pulse_debug *debug, const struct probe *p)
{
	while (p->since) {
		int64_t until = p->since + BUSY_NS;
		struct timespec ts;

		if (pulse_now_ns() >= until)
			return -EBUSY;
		pulse__ns_to_timespec(until, &ts);
		pthread_cond_timedwait(&debug->changed, &debug->lock, &ts);
	}
	return 0;
}

/* Under the lock, which is given up while the probe runs. */
static int run(struct pulse_debug *debug, struct pulse_dump *d, struct probe *p)
{
	const struct pulse_debug *before = dumping;
	int err = wait_for(debug, p);

	if (err)
		return err;
	p->since = pulse_now_ns();
	pthread_mutex_unlock(&debug->lock);
	dumping = debug;
	err = p->fn(d, p->arg);
	dumping = before;
	pthread_mutex_lock(&debug->lock);
	p->since = 0;
	pthread_cond_broadcast(&debug->changed);
	return err;
}

/* One probe; what it wrote before it failed is taken back. */
static void ask(struct pulse_debug *debug, struct pulse_dump *d, struct probe *p)
{
	struct pulse_dump start = *d;
	int err;

	pulse_dump_begin(d, p->name);
	d->floor = d->depth;
	err = run(debug, d, p);
	if (!err)
		err = d->err;
	if (!err && d->depth != d->floor)
		err = -EINVAL;		/* something was not ended */
	d->floor = start.floor;
	if (!err) {
		pulse_dump_end(d);
		return;
	}
	*d = start;
	pulse_dump_begin(d, p->name);
	pulse_dump_str(d, "error", pulse_strerror(err));
	pulse_dump_end(d);
}

int64_t pulse_debug_dump(struct pulse_debug *debug, const char *prefix,
			 char *buf, size_t len)
{
	struct pulse_dump d = { .first = true };
	struct probe *p;

	if (!debug || (len && !buf))
		return -EINVAL;
	if (dumping == debug)
		return -EDEADLK;
	prefix = prefix ? prefix : "";
	d.t = pulse__text_on(buf, len);
	pulse__text_puts(&d.t, "{");
	pthread_mutex_lock(&debug->lock);
	/* One that we have a reference to stays where it is in the list. */
	pulse__list_for_each_entry(p, &debug->probes, link) {
		if (p->removed || strncmp(p->name, prefix, strlen(prefix)))
			continue;
		p->refs++;
		ask(debug, &d, p);
		if (!--p->refs)
			pthread_cond_broadcast(&debug->changed);
	}
	pthread_mutex_unlock(&debug->lock);
	pulse__text_puts(&d.t, "}");
	return (int64_t)d.t.len;
}
