// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * spec.c - specs of children: checked, with the reason in the log, and copied.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "sup/sup_int.h"

#define SPEC_VER0	pulse__size_to(struct pulse_child_spec, state_free)
#define OPS_VER0	pulse__size_to(struct pulse_child_ops, free)
#define ID_MAX		255U
#define ALL_FLAGS	(PULSE_CHILD_SIGNIFICANT | PULSE_CHILD_READY |	\
			 PULSE_CHILD_CANCEL | PULSE_CHILD_GROUP |	\
			 PULSE_CHILD_CATCH_STOP | PULSE_CHILD_NO_NEW_PRIVS)
#define SHUTDOWN_MS	5000

#define REFUSE(id, ...)							\
	({								\
		char text_[160];					\
									\
		snprintf(text_, sizeof(text_), __VA_ARGS__);		\
		pulse_log(PULSE_LOG_ERROR, "child \"%s\": %s",		\
			  (id) ? (id) : "", text_);			\
		-EINVAL;						\
	})

static int check_process(const struct pulse_child_spec *s)
{
	if (!s->fn == !s->path)
		return REFUSE(s->id, "a process has either fn or path");
	if (s->path && *s->path != '/' && *s->path != '.')
		return REFUSE(s->id, "path \"%s\" is not searched for; begin it with / or .",
			      s->path);
	if (s->nr_rlimits > PULSE__MAX_RLIMITS)
		return REFUSE(s->id, "nr_rlimits is %u; at most %d",
			      s->nr_rlimits, PULSE__MAX_RLIMITS);
	if (s->nr_rlimits && !s->rlimits)
		return REFUSE(s->id, "nr_rlimits is %u and rlimits NULL",
			      s->nr_rlimits);
	for (uint32_t i = 0; i < s->nr_rlimits; i++) {
		if (s->rlimits[i].resource < 0 ||
		    s->rlimits[i].resource >= (int)RLIMIT_NLIMITS)
			return REFUSE(s->id, "rlimits[%u].resource is %d; use a RLIMIT_*",
				      i, s->rlimits[i].resource);
		if (s->rlimits[i].soft > s->rlimits[i].hard)
			return REFUSE(s->id, "rlimits[%u] has soft over hard", i);
	}
	if (s->stop_signal < 0 || s->stop_signal > SIGRTMAX)
		return REFUSE(s->id, "stop_signal is %d; use 1 to %d",
			      s->stop_signal, SIGRTMAX);
	if ((s->flags & PULSE_CHILD_CATCH_STOP) && s->path)
		return REFUSE(s->id, "CATCH_STOP is for fn; a program catches its signals itself");
	return 0;
}

static int check_kind(const struct pulse_child_spec *s)
{
	switch (s->kind) {
	case PULSE_CHILD_THREAD:
		return s->fn ? 0 : REFUSE(s->id, "a thread needs fn");
	case PULSE_CHILD_PROCESS:
		return check_process(s);
	case PULSE_CHILD_SUPERVISOR:
		return s->supervisor ? 0 :
			REFUSE(s->id, "kind is SUPERVISOR and supervisor NULL");
	case PULSE_CHILD_OPS:
		if (!s->ops || s->ops->sz < OPS_VER0 || !s->ops->start ||
		    !s->ops->stop)
			return REFUSE(s->id, "ops needs sz, start and stop");
		return 0;
	default:
		return REFUSE(s->id, "kind is %d; use a PULSE_CHILD_*", s->kind);
	}
}

static int check(const struct pulse_sup *sup, const struct pulse_child_spec *s)
{
	size_t n = s->id ? strnlen(s->id, ID_MAX + 1) : 0;

	if (!n || n > ID_MAX)
		return REFUSE(n ? NULL : s->id, "an id has 1 to %u bytes", ID_MAX);
	if (s->restart < PULSE_CHILD_PERMANENT ||
	    s->restart > PULSE_CHILD_TEMPORARY)
		return REFUSE(s->id, "restart is %d; use PULSE_CHILD_PERMANENT, _TRANSIENT or _TEMPORARY",
			      s->restart);
	if (s->shutdown_ms < PULSE_SHUTDOWN_INFINITY)
		return REFUSE(s->id, "shutdown_ms is %d; use 1 or more, BRUTAL or INFINITY",
			      s->shutdown_ms);
	if (s->priority < PULSE_CHILD_PRIO_NORMAL ||
	    s->priority > PULSE_CHILD_PRIO_BATCH)
		return REFUSE(s->id, "priority is %d; use a PULSE_CHILD_PRIO_*",
			      s->priority);
	if ((s->flags & ~ALL_FLAGS) || s->reserved)
		return REFUSE(s->id, "unknown flags %#x", s->flags & ~ALL_FLAGS);
	if (s->flags & PULSE_CHILD_SIGNIFICANT) {
		if (s->restart == PULSE_CHILD_PERMANENT)
			return REFUSE(s->id, "a significant child is transient or temporary");
		if (sup->o.auto_shutdown == PULSE_AUTO_NEVER)
			return REFUSE(s->id, "significant, but auto_shutdown of its supervisor is NEVER");
	}
	if (sup->o.strategy == PULSE_SIMPLE_ONE_FOR_ONE &&
	    s->kind == PULSE_CHILD_SUPERVISOR)
		return REFUSE(s->id, "simple_one_for_one cannot make supervisors; use one_for_one");
	return check_kind(s);
}

static char **copy_strings(char *const *from)
{
	size_t n = 0, bytes = 0;
	char **to, *text;

	while (from[n])
		bytes += strlen(from[n++]) + 1;
	to = pulse__malloc((n + 1) * sizeof(*to) + bytes);
	if (!to)
		return NULL;
	text = (char *)(to + n + 1);
	for (size_t i = 0; i < n; i++) {
		to[i] = text;
		text = stpcpy(text, from[i]) + 1;
	}
	to[n] = NULL;
	return to;
}

static int copy_all(struct pulse_child_spec *s,
		    const struct pulse_child_spec *from)
{
	static char *const none[] = { NULL };

	s->id = pulse__strdup(from->id);
	if (!s->id)
		return -ENOMEM;
	if (from->kind != PULSE_CHILD_PROCESS)
		return 0;
	if (from->path) {
		char *const only[] = { (char *)from->path, NULL };

		s->path = pulse__strdup(from->path);
		s->argv = copy_strings(from->argv ? from->argv : only);
		if (from->envp)
			s->envp = copy_strings(from->envp);
		if (!s->path || !s->argv || (from->envp && !s->envp))
			return -ENOMEM;
	} else {
		s->argv = copy_strings(none);
		if (!s->argv)
			return -ENOMEM;
	}
	if (from->chdir) {
		s->chdir = pulse__strdup(from->chdir);
		if (!s->chdir)
			return -ENOMEM;
	}
	if (from->cgroup) {
		s->cgroup = pulse__strdup(from->cgroup);
		if (!s->cgroup)
			return -ENOMEM;
	}
	return 0;
}

static void set_defaults(struct pulse_child_spec *s)
{
	if (!s->shutdown_ms)
		s->shutdown_ms = s->kind == PULSE_CHILD_SUPERVISOR ?
				 PULSE_SHUTDOWN_INFINITY : SHUTDOWN_MS;
	if (!s->health_interval_ms)
		s->health_interval_ms = 1000;
	if (!s->health_timeout_ms)
		s->health_timeout_ms = s->health_interval_ms;
	if (!s->stop_signal)
		s->stop_signal = SIGTERM;
}

static const struct pulse_child_ops *ops_of(const struct pulse_child_spec *s)
{
	switch (s->kind) {
	case PULSE_CHILD_THREAD:
		return &pulse__thread_ops;
	case PULSE_CHILD_PROCESS:
		return &pulse__process_ops;
	case PULSE_CHILD_SUPERVISOR:
		return &pulse__nested_ops;
	default:
		return s->ops;
	}
}

/* @from was checked; what it points to is copied. */
static int spec_copy(const struct pulse_child_spec *from,
		     struct pulse__spec **out)
{
	struct pulse__spec *spec = pulse__calloc(1, sizeof(*spec));
	int err;

	if (!spec)
		return -ENOMEM;
	spec->refs = 1;
	spec->s = *from;
	spec->s.id = spec->s.path = spec->s.chdir = spec->s.cgroup = NULL;
	spec->s.argv = spec->s.envp = NULL;
	spec->s.rlimits = spec->rlimits;
	if (from->nr_rlimits)
		memcpy(spec->rlimits, from->rlimits,
		       from->nr_rlimits * sizeof(*from->rlimits));
	spec->ops = ops_of(from);
	set_defaults(&spec->s);
	err = copy_all(&spec->s, from);
	if (err) {
		pulse__spec_put(spec);
		return err;
	}
	*out = spec;
	return 0;
}

int pulse__spec_create(const struct pulse_sup *sup,
		       const struct pulse_child_spec *from,
		       struct pulse__spec **out)
{
	struct pulse_child_spec s;
	int err;

	if (!from)
		return -EINVAL;
	err = pulse__opts_load(&s, sizeof(s), SPEC_VER0, from);
	if (err)
		return err;
	err = check(sup, &s);
	return err ? err : spec_copy(&s, out);
}

int pulse__spec_derive(struct pulse__spec *from, uint64_t number, void *arg,
		       struct pulse__spec **out)
{
	char id[ID_MAX + 24];
	struct pulse_child_spec s = from->s;

	snprintf(id, sizeof(id), "%s_%llu", from->s.id,
		 (unsigned long long)number);
	s.id = id;
	s.arg = arg;
	s.state = NULL;
	s.state_free = NULL;
	return spec_copy(&s, out);
}

void pulse__spec_get(struct pulse__spec *spec)
{
	pulse__add_relaxed(&spec->refs, 1);
}

void pulse__spec_put(struct pulse__spec *spec)
{
	/* The last one sees what all others did with it. */
	if (__atomic_sub_fetch(&spec->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (spec->owns_arg && spec->s.kind == PULSE_CHILD_OPS && spec->s.ops->free)
		spec->s.ops->free(spec->s.arg);
	if (spec->owns_arg && spec->s.kind == PULSE_CHILD_SUPERVISOR)
		pulse__sup_free(spec->s.supervisor);
	pulse__free((char *)spec->s.id);
	pulse__free((char *)spec->s.path);
	pulse__free((char *)spec->s.chdir);
	pulse__free((char *)spec->s.cgroup);
	pulse__free((void *)spec->s.argv);
	pulse__free((void *)spec->s.envp);
	pulse__free(spec);
}
