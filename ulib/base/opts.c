// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * opts.c - options and results that grow over versions.
 *
 * The rules of the kernel's copy_struct_from_user(), for structs that begin
 * with size_t sz: an older caller's struct is shorter, and what is missing is
 * zero; a newer caller's is longer, and its tail must be zero.
 */
#include "base/base.h"

/* No struct of ours comes near; keeps a wild sz from being believed. */
#define PULSE__OPTS_MAX 4096

static PULSE__COLD int pulse__opts_bad(void *dst, size_t known, int err)
{
	memset(dst, 0, known);
	return err;
}

int pulse__opts_load(void *dst, size_t known, size_t min, const void *src)
{
	const unsigned char *bytes = src;
	size_t sz;

	if (!src) {
		memset(dst, 0, known);
		memcpy(dst, &known, sizeof(known));
		return 0;
	}
	memcpy(&sz, src, sizeof(sz));
	if (likely(sz == known && known >= min)) {
		memcpy(dst, src, known);
		return 0;
	}
	if (sz < min || sz < sizeof(sz))
		return pulse__opts_bad(dst, known, -EINVAL);
	if (sz > PULSE__OPTS_MAX)
		return pulse__opts_bad(dst, known, -E2BIG);
	for (size_t i = known; i < sz; i++) {
		if (bytes[i])
			return pulse__opts_bad(dst, known, -E2BIG);
	}
	memset(dst, 0, known);
	memcpy(dst, src, sz < known ? sz : known);
	memcpy(dst, &known, sizeof(known));
	return 0;
}

int pulse__out_check(const void *dst, size_t min)
{
	size_t sz;

	if (!dst)
		return -EINVAL;
	memcpy(&sz, dst, sizeof(sz));
	if (sz < min || sz < sizeof(sz))
		return -EINVAL;
	return sz > PULSE__OPTS_MAX ? -E2BIG : 0;
}

void pulse__out_store(void *dst, const void *src, size_t known)
{
	size_t sz;

	memcpy(&sz, dst, sizeof(sz));
	memcpy(dst, src, sz < known ? sz : known);
	if (sz > known)
		memset((unsigned char *)dst + known, 0, sz - known);
	memcpy(dst, &sz, sizeof(sz));
}
