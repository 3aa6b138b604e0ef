/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* kernel.h - what kernel.c and kernel_events.c do with the descriptor. */
#ifndef PULSE__BACKEND_KERNEL_H
#define PULSE__BACKEND_KERNEL_H

#include "backend/events.h"

/* 0 or -errno; errno stays as it is. */
int pulse__ioctl(int fd, unsigned long cmd, void *arg);
/* A region, its address to the pointer that @out points to. 0 or -errno. */
int pulse__map(struct pulse_ctx *ctx, uint32_t region, size_t bytes, int prot,
	       void *out);

#endif /* PULSE__BACKEND_KERNEL_H */
