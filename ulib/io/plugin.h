/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * plugin.h - what needs other people's libraries, loaded when asked for.
 */
#ifndef PULSE__IO_PLUGIN_H
#define PULSE__IO_PLUGIN_H

#include "base/base.h"

/*
 * A symbol of pulse-u/KIND-NAME.so, "transport-tls.so" for one: looked for in $PULSE_PLUGIN_DIR, then
 * beside the library. Once loaded it stays. NULL: not to be had, and the log
 * says what is missing.
 */
const void *pulse__plugin_symbol(const char *kind, const char *name,
				 const char *symbol);

#endif /* PULSE__IO_PLUGIN_H */
