// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one user may have of Pulse: contexts, workers and pages.
 *
 * The uid is that of whoever opened the device, and all that a context uses is
 * counted on it, whoever does the call. A charge comes before the allocation it
 * is for. The limits are knobs (knob.c); lowering one takes nothing away from
 * anybody, it refuses the next charge.
 *
 * pulse_users_lock protects the list, the counts and the references. It is
 * taken for a few instructions, in process context, by open, SETUP, WORKER_ADD
 * and their ends; never by park or wake.
 */
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "knob.h"
#include "quota.h"

struct pulse_user {
	struct list_head link;
	kuid_t uid;
	unsigned int refs;
	unsigned long used[PULSE_NR_QUOTAS];
};

/* How many of it a user may have. */
static const enum pulse_knob_id pulse_limits[PULSE_NR_QUOTAS] = {
	[PULSE_QUOTA_CONTEXTS]	= PULSE_KNOB_MAX_CONTEXTS,
	[PULSE_QUOTA_WORKERS]	= PULSE_KNOB_MAX_WORKERS,
	[PULSE_QUOTA_PAGES]	= PULSE_KNOB_MAX_PAGES,
};

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
	unsigned long limit = pulse_knob(pulse_limits[what]);
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
