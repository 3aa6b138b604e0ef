// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * plugin.c - finding and loading a plug-in.
 *
 * Programs that are linked with the static library have no library to look
 * beside; they look beside themselves, or where $PULSE_PLUGIN_DIR says. A
 * program with more rights than its user ignores that variable.
 */
#include "io/plugin.h"

#include <dlfcn.h>
#include <stdio.h>

static void *load(const char *dir, size_t len, const char *kind,
		  const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%.*s/%s-%s.so", (int)len, dir,
			 kind, name);

	return (size_t)n < sizeof(path) ? dlopen(path, RTLD_NOW | RTLD_LOCAL) :
					  NULL;
}

/* The folder pulse-u beside the file that this function is in. */
static void *load_beside(const char *kind, const char *name)
{
	char dir[PATH_MAX];
	const char *slash;
	Dl_info info;
	int n;

	if (!dladdr(&pulse__plugin_symbol, &info) || !info.dli_fname)
		return NULL;
	slash = strrchr(info.dli_fname, '/');
	n = snprintf(dir, sizeof(dir), "%.*s/pulse-u",
		     slash ? (int)(slash - info.dli_fname) : 1,
		     slash ? info.dli_fname : ".");
	return (size_t)n < sizeof(dir) ? load(dir, (size_t)n, kind, name) : NULL;
}

const void *pulse__plugin_symbol(const char *kind, const char *name,
				 const char *symbol)
{
	const char *dir = secure_getenv("PULSE_PLUGIN_DIR");
	void *lib = NULL, *found;

	if (dir && *dir)
		lib = load(dir, strlen(dir), kind, name);
	else
		lib = load_beside(kind, name);
	if (!lib) {
		const char *why = dlerror();

		pulse__warn_once("%s \"%s\" is not to be had: %s; fix: install the plug-in and the library it needs",
				 kind, name, why ? why : "no such file");
		return NULL;
	}
	found = dlsym(lib, symbol);
	if (!found)
		pulse__warn_once("%s-%s.so is not a plug-in: no %s in it",
				 kind, name, symbol);
	return found;
}
