// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * alloc.c - heap memory with a fault point, for tests of running out of it.
 *
 * pulse__alloc_left counts down to the allocation that is to fail. 0 = off:
 * then the cost is one load of a line that nobody writes.
 */
#include "base/base.h"

static long pulse__alloc_left;
static bool pulse__alloc_hit;

void pulse__alloc_fail_at(long n)
{
	WRITE_ONCE(pulse__alloc_hit, false);
	WRITE_ONCE(pulse__alloc_left, n > 0 ? n : 0);
}

bool pulse__alloc_failed(void)
{
	return READ_ONCE(pulse__alloc_hit);
}

bool pulse__alloc_fault(void)
{
	long left = READ_ONCE(pulse__alloc_left);

	if (likely(!left))
		return false;
	/* Each allocation takes one step; several threads may be at it. */
	while (left) {
		if (pulse__cas(&pulse__alloc_left, &left, left - 1,
			       __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			if (left > 1)
				return false;
			WRITE_ONCE(pulse__alloc_hit, true);
			return true;
		}
	}
	return false;
}

void *pulse__malloc(size_t bytes)
{
	return pulse__alloc_fault() ? NULL : malloc(bytes ? bytes : 1);
}

void *pulse__calloc(size_t nr, size_t bytes)
{
	size_t all;

	if (pulse__alloc_fault() || pulse__mul_overflow(nr, bytes, &all))
		return NULL;
	return calloc(1, all ? all : 1);
}

void *pulse__aligned_alloc(size_t align, size_t bytes)
{
	void *p;

	if (pulse__alloc_fault() || bytes > SIZE_MAX - align)
		return NULL;
	/* aligned_alloc() wants a multiple of the alignment. */
	bytes = pulse__align_up(bytes ? bytes : 1, align);
	p = aligned_alloc(align, bytes);
	if (p)
		memset(p, 0, bytes);
	return p;
}

void *pulse__realloc(void *p, size_t bytes)
{
	return pulse__alloc_fault() ? NULL : realloc(p, bytes ? bytes : 1);
}

char *pulse__strdup(const char *s)
{
	size_t bytes = strlen(s) + 1;
	char *copy = pulse__malloc(bytes);

	if (copy)
		memcpy(copy, s, bytes);
	return copy;
}

void pulse__free(void *p)
{
	free(p);
}
