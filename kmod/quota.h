/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_QUOTA_H
#define PULSE_QUOTA_H

#include <linux/uidgid.h>

/* What a user has a limited number of. */
enum pulse_quota {
	PULSE_QUOTA_CONTEXTS,
	PULSE_QUOTA_WORKERS,
	PULSE_QUOTA_PAGES,
	PULSE_NR_QUOTAS,
};

struct pulse_user;

struct pulse_user *pulse_user_get(kuid_t uid);
void pulse_user_put(struct pulse_user *user);
int pulse_quota_charge(struct pulse_user *user, enum pulse_quota what,
		       unsigned long n);
void pulse_quota_uncharge(struct pulse_user *user, enum pulse_quota what,
			  unsigned long n);

#endif /* PULSE_QUOTA_H */
