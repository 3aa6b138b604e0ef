// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one user may have of Pulse: contexts, workers and pages.
 *
 * The uid is that of whoever opened the device, and all that a context uses is
 * counted on it, whoever does the call. A charge comes before the allocation it
 * is for. The limits are module parameters at load time and sysfs attributes
 * afterwards; lowering one takes nothing away from anybody, it refuses the
 * next charge.
 *
 * pulse_users_lock protects the list, the counts and the references. It is
 * taken for a few instructions, in process context, by open, SETUP, WORKER_ADD
 * and their ends; never by park or wake.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/list.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "quota.h"

struct pulse_user {
	struct list_head link;
	kuid_t uid;
	unsigned int refs;
	unsigned long used[PULSE_NR_QUOTAS];
};

struct pulse_limit {
	unsigned int now;
	unsigned int most;
};

static struct pulse_limit pulse_limits[PULSE_NR_QUOTAS] = {
	[PULSE_QUOTA_CONTEXTS]	= { .now = 256,		.most = 1U << 20 },
	[PULSE_QUOTA_WORKERS]	= { .now = 16384,	.most = 1U << 22 },
	[PULSE_QUOTA_PAGES]	= { .now = 262144,	.most = 1U << 30 },
};

module_param_named(max_contexts_per_user,
		   pulse_limits[PULSE_QUOTA_CONTEXTS].now, uint, 0444);
MODULE_PARM_DESC(max_contexts_per_user, "open contexts a user, at most");
module_param_named(max_workers_per_user,
		   pulse_limits[PULSE_QUOTA_WORKERS].now, uint, 0444);
MODULE_PARM_DESC(max_workers_per_user, "registered workers a user, at most");
module_param_named(max_pages_per_user,
		   pulse_limits[PULSE_QUOTA_PAGES].now, uint, 0444);
MODULE_PARM_DESC(max_pages_per_user, "pages of kernel memory a user, at most");

static DEFINE_SPINLOCK(pulse_users_lock);
static LIST_HEAD(pulse_users);

static struct pulse_user *pulse_user_find(kuid_t uid)
{
	struct pulse_user *user;

	lockdep_assert_held(&pulse_users_lock);
	list_for_each_entry(user, &pulse_users, link)
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

/**
 * pulse_user_get() - the account of a uid, made if there is none
 * @uid: whose
 *
 * Return: a reference for pulse_user_put(), or NULL without memory.
 */
struct pulse_user *pulse_user_get(kuid_t uid)
{
	struct pulse_user *user, *fresh;

	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return NULL;
	fresh->uid = uid;

	spin_lock(&pulse_users_lock);
	user = pulse_user_find(uid);
	if (!user) {
		list_add(&fresh->link, &pulse_users);
		user = fresh;
		fresh = NULL;
	}
	user->refs++;
	spin_unlock(&pulse_users_lock);

	kfree(fresh);
	return user;
}

/**
 * pulse_user_put() - drop a reference
 * @user: from pulse_user_get()
 */
void pulse_user_put(struct pulse_user *user)
{
	bool last;

	spin_lock(&pulse_users_lock);
	last = !--user->refs;
	if (last)
		list_del(&user->link);
	spin_unlock(&pulse_users_lock);

	if (last)
		kfree(user);
}

/**
 * pulse_quota_charge() - take a number of something on a user's account
 * @user: whose account
 * @what: of what
 * @n: how many
 *
 * Return: 0, or -EDQUOT with nothing taken.
 */
int pulse_quota_charge(struct pulse_user *user, enum pulse_quota what,
		       unsigned long n)
{
	unsigned long limit = pulse_quota_limit(what);
	int ret = -EDQUOT;

	spin_lock(&pulse_users_lock);
	if (n <= limit && user->used[what] <= limit - n) {
		user->used[what] += n;
		ret = 0;
	}
	spin_unlock(&pulse_users_lock);
	return ret;
}

/**
 * pulse_quota_uncharge() - give back what was charged
 * @user: whose account
 * @what: of what
 * @n: how many
 */
void pulse_quota_uncharge(struct pulse_user *user, enum pulse_quota what,
			  unsigned long n)
{
	spin_lock(&pulse_users_lock);
	if (!WARN_ON_ONCE(user->used[what] < n))
		user->used[what] -= n;
	spin_unlock(&pulse_users_lock);
}

/**
 * pulse_quota_limit() - how many of something a user may have
 * @what: of what
 *
 * Return: the limit as it is now.
 */
unsigned int pulse_quota_limit(enum pulse_quota what)
{
	return READ_ONCE(pulse_limits[what].now);
}

/**
 * pulse_quota_set_limit() - change a limit
 * @what: of what
 * @limit: 1 to the most that the module knows to handle
 *
 * Return: 0, or -ERANGE with the limit as it was.
 */
int pulse_quota_set_limit(enum pulse_quota what, unsigned int limit)
{
	if (limit < 1 || limit > pulse_limits[what].most)
		return -ERANGE;
	WRITE_ONCE(pulse_limits[what].now, limit);
	return 0;
}

/**
 * pulse_quota_init() - refuse module parameters outside their range
 *
 * Return: 0 or -ERANGE, which fails the load.
 */
int pulse_quota_init(void)
{
	enum pulse_quota what;

	for (what = 0; what < PULSE_NR_QUOTAS; what++) {
		int ret = pulse_quota_set_limit(what, pulse_quota_limit(what));

		if (ret) {
			pr_err("max_*_per_user: outside its range\n");
			return ret;
		}
	}
	return 0;
}
