// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of the kernel, below the root that --root names.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

bool ctl_exists(const struct ctl *c, const char *path)
{
	char full[4096];

	snprintf(full, sizeof(full), "%s%s", c->root, path);
	return !access(full, F_OK);
}

bool ctl_read(const struct ctl *c, const char *path, char *text, size_t len)
{
	char full[4096];
	size_t n;
	FILE *f;

	text[0] = 0;
	snprintf(full, sizeof(full), "%s%s", c->root, path);
	f = fopen(full, "re");
	if (!f)
		return false;
	n = fread(text, 1, len - 1, f);
	text[n] = 0;
	fclose(f);
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = 0;
	return true;
}

bool ctl_loaded(const struct ctl *c)
{
	return ctl_exists(c, "/sys/class/misc/pulse/abi");
}

int ctl_say_not_loaded(const struct ctl *c)
{
	bool modules = ctl_exists(c, "/proc/modules");

	fprintf(stderr, "pulsectl: the module is not loaded; %s\n", modules ?
		"fix: modprobe pulse (or make load in the source tree)" :
		"this kernel has no loadable modules: programs run on the user backend");
	return CTL_NO_MODULE;
}
