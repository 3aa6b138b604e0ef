/* SPDX-License-Identifier: GPL-2.0-only */
/* plugins.h - tells the library, which a test has linked in, where its plug-ins are. */
#ifndef PULSE_SELFTESTS_PLUGINS_H
#define PULSE_SELFTESTS_PLUGINS_H

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* build[/asan]/lib/pulse-u of a program below build[/asan]/selftests. */
__attribute__((constructor)) static void find_plugins(void)
{
	char path[PATH_MAX] = "";
	char *at = NULL;

	if (getenv("PULSE_PLUGIN_DIR") ||
	    readlink("/proc/self/exe", path, sizeof(path) - 32) < 0)
		return;
	for (char *p = path; (p = strstr(p, "/selftests/")); p++)
		at = p;
	if (at) {
		strcpy(at, "/lib/pulse-u");
		setenv("PULSE_PLUGIN_DIR", path, 1);
	}
}

#endif /* PULSE_SELFTESTS_PLUGINS_H */
