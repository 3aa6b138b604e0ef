/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * usdt.h - probe points that tracers find in the library's file.
 *
 * With <sys/sdt.h> (package systemtap-sdt-dev) at build time, a point is one nop
 * and a note in the ELF file: provider "pulse_u", the point's name, where its
 * arguments lie. perf and bpftrace list and arm them. Without it, or with
 * -DPULSE_NO_USDT, there is nothing.
 */
#ifndef PULSE__USDT_H
#define PULSE__USDT_H

#if !defined(PULSE_NO_USDT) && defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define PULSE__USDT 1
#endif
#endif

#ifdef PULSE__USDT
#define PULSE__PROBE1(name, a)		DTRACE_PROBE1(pulse_u, name, a)
#define PULSE__PROBE2(name, a, b)	DTRACE_PROBE2(pulse_u, name, a, b)
#define PULSE__PROBE3(name, a, b, c)	DTRACE_PROBE3(pulse_u, name, a, b, c)
#define PULSE__PROBE4(name, a, b, c, d)	DTRACE_PROBE4(pulse_u, name, a, b, c, d)
#else
#define PULSE__PROBE1(name, a)		((void)(a))
#define PULSE__PROBE2(name, a, b)	((void)(a), (void)(b))
#define PULSE__PROBE3(name, a, b, c)	((void)(a), (void)(b), (void)(c))
#define PULSE__PROBE4(name, a, b, c, d)	((void)(a), (void)(b), (void)(c), (void)(d))
#endif

#endif /* PULSE__USDT_H */
