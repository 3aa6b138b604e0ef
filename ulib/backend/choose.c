// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * choose.c - which backend this process uses: chosen once, said in one line.
 *
 * pulse_backend_select() comes first, then the environment variable
 * PULSE_BACKEND, then whether the module can be had. A demand for the kernel
 * backend that cannot be met chooses nothing: it may be tried again, or
 * another backend selected.
 */
#include <pthread.h>

#include "backend/backend.h"

static pthread_mutex_t pulse__choice_lock = PTHREAD_MUTEX_INITIALIZER;
/* Set once under the lock, with release; all of pulse__choice before it. */
static const struct pulse__backend_ops *pulse__chosen;
static struct pulse__probe pulse__choice;
static bool pulse__said_no;

/* What the environment asks for; an unknown word is said and ignored. */
static int pulse__env_kind(void)
{
	const char *env = secure_getenv("PULSE_BACKEND");

	if (!env || !*env || !strcmp(env, "auto"))
		return PULSE_BACKEND_AUTO;
	if (!strcmp(env, "kernel"))
		return PULSE_BACKEND_KERNEL;
	if (!strcmp(env, "user"))
		return PULSE_BACKEND_USER;
	pulse__warn_once("PULSE_BACKEND=%.32s is none of auto, kernel, user; auto it is",
			 env);
	return PULSE_BACKEND_AUTO;
}

static void pulse__choose(const struct pulse__backend_ops *ops)
{
	const struct pulse__probe *c = &pulse__choice;

	if (ops == &pulse__kernel_ops)
		pulse_log(PULSE_LOG_INFO,
			  "backend kernel: %s, ABI %u, features %#llx",
			  c->reason, c->abi, (unsigned long long)c->features);
	else if (*c->fix)
		pulse_log(PULSE_LOG_INFO,
			  "backend user: %s; for the kernel backend: %s",
			  c->reason, c->fix);
	else
		pulse_log(PULSE_LOG_INFO, "backend user: %s", c->reason);
	pulse__store_release(&pulse__chosen, ops);
}

/* Under the lock, nothing chosen yet. @kind: what the program demands. */
static int pulse__decide(int kind)
{
	bool from_env = kind == PULSE_BACKEND_AUTO;
	struct pulse__probe *c = &pulse__choice;

	if (from_env)
		kind = pulse__env_kind();
	if (kind == PULSE_BACKEND_USER) {
		memset(c, 0, sizeof(*c));
		c->reason = from_env ? "PULSE_BACKEND=user asks for it" :
				       "the program asks for it";
		c->fix = from_env ? "unset PULSE_BACKEND" : "";
		pulse__choose(&pulse__user_ops);
		return 0;
	}
	if (!pulse__probe(PULSE_DEVICE_PATH, c)) {
		pulse__choose(&pulse__kernel_ops);
		return 0;
	}
	if (kind == PULSE_BACKEND_AUTO) {
		c->abi = 0;
		c->features = 0;
		pulse__choose(&pulse__user_ops);
		return 0;
	}
	if (!pulse__said_no)
		pulse_log(PULSE_LOG_ERROR,
			  "the kernel backend is demanded (%s) and cannot be had: %s (%s); %s",
			  from_env ? "PULSE_BACKEND=kernel" : "by the program",
			  c->reason, pulse_strerror(c->err), c->fix);
	pulse__said_no = true;
	return c->err;
}

int pulse__backend_ops(const struct pulse__backend_ops **ops,
		       uint64_t *features)
{
	int err = 0;

	/* Acquire: pairs with the release in pulse__choose(). */
	*ops = pulse__load_acquire(&pulse__chosen);
	if (!*ops) {
		pthread_mutex_lock(&pulse__choice_lock);
		if (!pulse__chosen)
			err = pulse__decide(PULSE_BACKEND_AUTO);
		*ops = pulse__chosen;
		pthread_mutex_unlock(&pulse__choice_lock);
	}
	if (!err)
		*features = pulse__choice.features;
	return err;
}

int pulse_backend_info(struct pulse_backend_info *info)
{
	struct pulse_backend_info got = { .sz = sizeof(got) };
	const struct pulse__backend_ops *ops;
	uint64_t features;
	int err = pulse__out_check(info, sizeof(got));

	if (err)
		return err;
	err = pulse__backend_ops(&ops, &features);
	/* Not met: the demand, and the last probe's answer to it. */
	pthread_mutex_lock(&pulse__choice_lock);
	got.kind = ops ? ops->kind : PULSE_BACKEND_KERNEL;
	got.name = ops ? ops->name : "kernel";
	got.err = pulse__choice.err;
	got.reason = pulse__choice.reason;
	got.fix = pulse__choice.fix;
	got.abi = pulse__choice.abi;
	got.features = pulse__choice.features;
	pthread_mutex_unlock(&pulse__choice_lock);
	pulse__out_store(info, &got, sizeof(got));
	return err;
}

int pulse_backend_select(int kind)
{
	int err = 0;

	if (kind != PULSE_BACKEND_AUTO && kind != PULSE_BACKEND_KERNEL &&
	    kind != PULSE_BACKEND_USER)
		return -EINVAL;
	pthread_mutex_lock(&pulse__choice_lock);
	if (!pulse__chosen)
		err = pulse__decide(kind);
	else if (kind != PULSE_BACKEND_AUTO && kind != pulse__chosen->kind)
		err = -EBUSY;
	pthread_mutex_unlock(&pulse__choice_lock);
	return err;
}
