/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PULSE_SHARE_H
#define PULSE_SHARE_H

#include <linux/uidgid.h>

#include "pulse.h"

struct mm_struct;

/**
 * struct pulse_share - the processes that a context is open to
 * @shared: any but its creator at all
 * @uid: the creator's, and that of all who join
 * @joined: PULSE_MAX_JOINED places, each NULL or the mm of a process, referenced
 *	as a struct and charged with the context's pages; under pulse_ctx.lock,
 *	read without
 */
struct pulse_share {
	bool shared;
	kuid_t uid;
	struct mm_struct **joined;
};

int pulse_share_alloc(struct pulse_ctx *ctx, bool shared);
void pulse_share_free(struct pulse_ctx *ctx);
bool pulse_share_has(struct pulse_ctx *ctx, const struct mm_struct *mm);
int pulse_share_join(struct pulse_ctx *ctx);

#endif /* PULSE_SHARE_H */
