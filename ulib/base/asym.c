// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* asym.c - membarrier(2) for asym.h and rseq.h, asked for once a process. */
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/asym.h"
#include "base/rseq.h"

/* Fork generation in which it was granted, or its complement: refused. */
static uint32_t pulse__asym_state[4];

#define PULSE__ASYM_RSEQ 3	/* of rseq.h: behind enum pulse__asym */

static long pulse__membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0U, 0);
}

static bool pulse__asym_register(int kind, int command, int use)
{
	uint32_t now = pulse__fork_generation();
	uint32_t state = READ_ONCE(pulse__asym_state[kind]);

	if (state == now)
		return true;
	if (state == ~now)
		return false;
	/* Two threads may both ask: they get the same answer. */
	state = !pulse__membarrier(command) && !pulse__membarrier(use) ?
		now : ~now;
	WRITE_ONCE(pulse__asym_state[kind], state);
	return state == now;
}

bool pulse__asym_local(void)
{
	return pulse__asym_register(PULSE__ASYM_LOCAL,
				    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
				    MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

bool pulse__asym_global(void)
{
	return pulse__asym_register(PULSE__ASYM_GLOBAL,
				    MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
				    MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}

void pulse__asym_heavy(enum pulse__asym kind)
{
	pulse__full_barrier();
	if (pulse__membarrier(kind == PULSE__ASYM_LOCAL ?
			      MEMBARRIER_CMD_PRIVATE_EXPEDITED :
			      MEMBARRIER_CMD_GLOBAL_EXPEDITED))
		/* It was granted before: a filter came later. */
		pulse__bug("membarrier: granted at first, then refused (errno %d); a seccomp filter must be there before libpulse-u is used, or allow membarrier",
			   errno);
	pulse__full_barrier();
}

bool pulse__rseq_ready(void)
{
#ifdef PULSE__RSEQ
	return __rseq_size &&
	       pulse__asym_register(PULSE__ASYM_RSEQ,
				    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
				    MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ);
#else
	return false;
#endif
}

int pulse__rseq_fence(void)
{
	return pulse__membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ) ?
	       -EPERM : 0;
}
