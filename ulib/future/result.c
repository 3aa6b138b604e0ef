// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* result.c - results, and the contract of what can be cancelled. No state. */
#include "base/base.h"

#include <pulse-u/result.h>

struct pulse_result pulse_result_ok(void *value)
{
	struct pulse_result r = { .value = value };

	return r;
}

struct pulse_result pulse_result_error(int err)
{
	struct pulse_result r = {
		.err = err < 0 && err >= -4095 ? err : -EINVAL,
	};

	return r;
}

/* The first version of the table ends with err. */
static bool is_cancelable(const struct pulse_cancelable *c)
{
	return c && c->ops &&
	       c->ops->sz >= pulse__size_to(struct pulse_cancelable_ops, err);
}

int pulse_cancelable_cancel(const struct pulse_cancelable *c, int reason)
{
	if (reason > 0 || reason < -4095 || !is_cancelable(c) ||
	    !c->ops->cancel)
		return -EINVAL;
	return c->ops->cancel(c->self, reason ? reason : -ECANCELED);
}

int pulse_cancelable_done(const struct pulse_cancelable *c)
{
	if (!is_cancelable(c) || !c->ops->done)
		return -EINVAL;
	return c->ops->done(c->self);
}

int pulse_cancelable_err(const struct pulse_cancelable *c)
{
	if (!is_cancelable(c) || !c->ops->err)
		return -EINVAL;
	return c->ops->err(c->self);
}
