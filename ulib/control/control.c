// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * control.c - defining knobs, reloading them, telling who wants to know.
 *
 * A reload under the lock: copy, parse and check, callbacks in order, swap. The
 * swap cannot fail, so what the callbacks agreed to is what will hold.
 */
#include "control/control_int.h"
#include "control/text.h"

/* The control whose callback this thread runs. */
static __thread const struct pulse_control *inside;

/* ---- life ----------------------------------------------------------------- */

int pulse_control_create(const struct pulse_control_opts *opts,
			 struct pulse_control **out)
{
	struct pulse_control *control;
	struct pulse_control_opts o;
	struct pulse_config *none;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = pulse__opts_load(&o, sizeof(o),
			       pulse__size_to(typeof(o), reserved), opts);
	if (err)
		return err;
	if (o.max_waiting > 4096 || o.reserved)
		return -EINVAL;
	control = pulse__aligned_alloc(PULSE_CACHE_PAIR, sizeof(*control));
	if (!control)
		return -ENOMEM;
	control->refs = 1;
	control->max_waiting = o.max_waiting ? o.max_waiting : 16;
	control->next_id = 1;
	pulse__list_init(&control->callbacks);
	err = -pthread_mutex_init(&control->lock, NULL);
	if (err)
		goto put;
	none = pulse__config_copy(control, NULL, 0);
	err = none ? pulse__snap_init(&control->snap, &none->version) : -ENOMEM;
	if (err) {
		pulse_config_put(none);
		pthread_mutex_destroy(&control->lock);
		goto put;
	}
	*out = control;
	return 0;
put:
	pulse__control_put(control);
	return err;
}

int pulse_control_destroy(struct pulse_control *control)
{
	struct pulse__list *l, *tmp;

	if (!control)
		return -EINVAL;
	if (inside == control)
		return -EDEADLK;
	pulse__list_for_each_safe(l, tmp, &control->callbacks) {
		struct pulse__on_reload *on;

		on = pulse__list_entry(l, struct pulse__on_reload, link);
		if (on->release)
			on->release(on->arg);
		pulse__free(on);
	}
	pulse__snap_end(&control->snap);
	pthread_mutex_destroy(&control->lock);
	pulse__control_put(control);
	return 0;
}

int pulse__control_enter(struct pulse_control *control)
{
	if (inside == control)
		return -EDEADLK;
	if (__atomic_fetch_add(&control->waiting, 1, __ATOMIC_RELAXED) >=
	    control->max_waiting) {
		__atomic_fetch_sub(&control->waiting, 1, __ATOMIC_RELAXED);
		pulse__add_relaxed(&control->n.busy, 1);
		return -EAGAIN;
	}
	pthread_mutex_lock(&control->lock);
	return 0;
}

void pulse__control_leave(struct pulse_control *control)
{
	pthread_mutex_unlock(&control->lock);
	__atomic_fetch_sub(&control->waiting, 1, __ATOMIC_RELAXED);
}

/* Under the lock, which all writers hold. */
static struct pulse_config *current(struct pulse_control *control)
{
	return container_of(control->snap.cur, struct pulse_config, version);
}

static void swap(struct pulse_control *control, struct pulse_config *next)
{
	pulse__snap_lock(&control->snap);
	pulse__snap_swap(&control->snap, &next->version);
	pulse__snap_unlock(&control->snap);
}

struct pulse_config *pulse_control_config(struct pulse_control *control)
{
	if (!control)
		return NULL;
	return container_of(pulse__snap_get(&control->snap), struct pulse_config,
			    version);
}

int64_t pulse_control_int(struct pulse_control *control, int knob,
			  int64_t otherwise)
{
	struct pulse_config *config = pulse_control_config(control);

	if (config && knob >= 0 && (size_t)knob < config->nr &&
	    !config->value[knob].text)
		otherwise = config->value[knob].i;
	pulse_config_put(config);
	return otherwise;
}

/* ---- knobs ---------------------------------------------------------------- */

static bool name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len && len <= PULSE_KNOB_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
	       == len;
}

static bool knob_ok(const struct pulse_knob *k)
{
	if (!name_ok(k->name) || k->flags)
		return false;
	switch (k->type) {
	case PULSE_KNOB_INT:
		return k->value >= k->min && k->value <= k->max;
	case PULSE_KNOB_BOOL:
		return k->value == 0 || k->value == 1;
	case PULSE_KNOB_TEXT:
		return !k->text || strnlen(k->text, PULSE_KNOB_TEXT_MAX) <
		       PULSE_KNOB_TEXT_MAX;
	default:
		return false;
	}
}

static void knob_free(struct pulse__knob *knob)
{
	pulse__free(knob->name);
	pulse__free(knob->doc);
	pulse__free(knob->unit);
	pulse__free(knob);
}

static struct pulse__knob *knob_new(const struct pulse_knob *k)
{
	struct pulse__knob *knob = pulse__calloc(1, sizeof(*knob));

	if (!knob)
		return NULL;
	knob->type = k->type;
	knob->min = k->min;
	knob->max = k->max;
	knob->check = k->check;
	knob->arg = k->arg;
	knob->name = pulse__strdup(k->name);
	knob->doc = pulse__strdup(k->doc ? k->doc : "");
	if (k->unit)
		knob->unit = pulse__strdup(k->unit);
	if (knob->name && knob->doc && (knob->unit || !k->unit))
		return knob;
	knob_free(knob);
	return NULL;
}

/* Under the lock. */
static int define(struct pulse_control *control, const struct pulse_knob *k)
{
	struct pulse_config *old = current(control), *next;
	struct pulse__knob *knob;
	size_t i = old->nr;

	if (pulse__config_find(old, k->name) >= 0)
		return -EEXIST;
	if (i == PULSE_KNOBS_MAX)
		return -ENOSPC;
	knob = knob_new(k);
	if (!knob)
		return -ENOMEM;
	next = pulse__config_copy(control, old, i + 1);
	if (next && k->type == PULSE_KNOB_TEXT &&
	    pulse__config_set_text(next, i, k->text ? k->text : "")) {
		pulse_config_put(next);
		next = NULL;
	}
	if (!next) {
		knob_free(knob);
		return -ENOMEM;
	}
	next->value[i].i = k->value;
	/* Before a configuration that has it is there for all to see. */
	control->knob[i] = knob;
	WRITE_ONCE(control->nr_knobs, control->nr_knobs + 1);
	swap(control, next);
	return (int)i;
}

int pulse_control_define(struct pulse_control *control,
			 const struct pulse_knob *user)
{
	struct pulse_knob k;
	int err;

	if (!control || !user)
		return -EINVAL;
	err = pulse__opts_load(&k, sizeof(k), pulse__size_to(typeof(k), arg), user);
	if (err)
		return err;
	if (k.type == PULSE_KNOB_INT && !k.min && !k.max) {
		k.min = INT64_MIN;
		k.max = INT64_MAX;
	}
	if (!knob_ok(&k))
		return -EINVAL;
	if (inside == control)
		return -EDEADLK;
	pthread_mutex_lock(&control->lock);
	err = define(control, &k);
	pthread_mutex_unlock(&control->lock);
	return err;
}

/* ---- reload --------------------------------------------------------------- */

/* Tells the callbacks; where one refuses, tells those before it to go back. */
static int tell(struct pulse_control *control, const struct pulse_config *now,
		const struct pulse_config *next, char *why, size_t len)
{
	struct pulse__on_reload *on;
	struct pulse__list *l;
	int err = 0;

	inside = control;
	pulse__list_for_each(l, &control->callbacks) {
		on = pulse__list_entry(l, struct pulse__on_reload, link);
		err = on->fn(now, next, why, len, on->arg);
		if (err < 0)
			break;
	}
	if (err < 0) {
		char ignored[PULSE_WHY_MAX];

		if (why && len && !*why)
			pulse__why(why, len, "a callback refused it: %s",
				   pulse_strerror(err));
		while ((l = l->prev) != &control->callbacks) {
			on = pulse__list_entry(l, struct pulse__on_reload, link);
			ignored[0] = 0;
			(void)on->fn(next, now, ignored, sizeof(ignored), on->arg);
			WRITE_ONCE(control->n.undone, control->n.undone + 1);
		}
	}
	inside = NULL;
	return err < 0 ? err : 0;
}

/* Under the lock. */
static int apply(struct pulse_control *control, struct pulse_config *next,
		 const struct pulse_setting *settings, size_t nr, char *why,
		 size_t len)
{
	for (size_t k = 0; k < nr; k++) {
		const struct pulse_setting *s = &settings[k];
		int i, err;

		if (!s->name || !s->value) {
			pulse__why(why, len, "setting %zu has no name or no value", k + 1);
			return -EINVAL;
		}
		i = pulse__config_find(next, s->name);
		if (i < 0) {
			pulse__why(why, len, "there is no knob \"%.64s\"", s->name);
			return i;
		}
		err = pulse__knob_parse(control->knob[i], s->value, next,
					(size_t)i, why, len);
		if (err)
			return err;
	}
	return 0;
}

int pulse_control_reload(struct pulse_control *control,
			 const struct pulse_setting *settings, size_t nr,
			 char *why, size_t len)
{
	struct pulse_config *now, *next;
	char mine[PULSE_WHY_MAX];
	int err;

	if (!why || !len) {
		why = mine;
		len = sizeof(mine);
	}
	*why = 0;
	if (!control || (nr && !settings))
		return -EINVAL;
	err = pulse__control_enter(control);
	if (err) {
		pulse__why(why, len, err == -EAGAIN ?
			   "too many changes at once; try again" :
			   "a callback of a reload must not reload");
		return err;
	}
	now = current(control);
	next = pulse__config_copy(control, now, now->nr);
	err = next ? apply(control, next, settings, nr, why, len) : -ENOMEM;
	if (!err && pulse__config_same(now, next)) {
		pulse_config_put(next);
		goto leave;
	}
	if (!err)
		err = tell(control, now, next, why, len);
	if (!err) {
		swap(control, next);
		WRITE_ONCE(control->n.reloads, control->n.reloads + 1);
	} else {
		pulse_config_put(next);
		WRITE_ONCE(control->n.refused, control->n.refused + 1);
		if (!*why)
			pulse__why(why, len, "%s", pulse_strerror(err));
	}
leave:
	pulse__control_leave(control);
	return err;
}

/* ---- callbacks ------------------------------------------------------------- */

int pulse__control_on_reload(struct pulse_control *control, pulse_reload_fn fn,
			     void *arg, void (*release)(void *arg))
{
	struct pulse__on_reload *on;
	int id;

	if (inside == control)
		return -EDEADLK;
	on = pulse__malloc(sizeof(*on));
	if (!on)
		return -ENOMEM;
	on->fn = fn;
	on->arg = arg;
	on->release = release;
	pthread_mutex_lock(&control->lock);
	id = on->id = control->next_id++;
	pulse__list_add_tail(&control->callbacks, &on->link);
	pthread_mutex_unlock(&control->lock);
	return id;
}

int pulse_control_on_reload(struct pulse_control *control, pulse_reload_fn fn,
			    void *arg)
{
	return control && fn ? pulse__control_on_reload(control, fn, arg, NULL) :
	       -EINVAL;
}

int pulse_control_off_reload(struct pulse_control *control, int id)
{
	struct pulse__on_reload *on = NULL;
	struct pulse__list *l;

	if (!control)
		return -EINVAL;
	if (inside == control)
		return -EDEADLK;
	pthread_mutex_lock(&control->lock);
	pulse__list_for_each(l, &control->callbacks) {
		on = pulse__list_entry(l, struct pulse__on_reload, link);
		if (on->id == id)
			break;
		on = NULL;
	}
	if (on)
		pulse__list_del(&on->link);
	pthread_mutex_unlock(&control->lock);
	if (!on)
		return -ENOENT;
	if (on->release)
		on->release(on->arg);
	pulse__free(on);
	return 0;
}

int pulse_control_stats(struct pulse_control *control,
			struct pulse_control_stats *out)
{
	struct pulse_control_stats s = { .sz = sizeof(s) };
	struct pulse_config *config;
	int err;

	if (!control)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(s), knobs));
	if (err)
		return err;
	/* Without the lock, which a reload holds for as long as callbacks take. */
	s.reloads = READ_ONCE(control->n.reloads);
	s.refused = READ_ONCE(control->n.refused);
	s.undone = READ_ONCE(control->n.undone);
	s.busy = READ_ONCE(control->n.busy);
	s.knobs = READ_ONCE(control->nr_knobs);
	config = pulse_control_config(control);
	s.version = config->number;
	pulse_config_put(config);
	pulse__out_store(out, &s, sizeof(s));
	return 0;
}
