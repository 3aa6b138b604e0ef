/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * module.h - for tests that unload the module and load it again. Their programs
 * end with kt_main_loading(), not with KT_MAIN(), and leave it loaded.
 */
#ifndef PULSE_SELFTESTS_MODULE_H
#define PULSE_SELFTESTS_MODULE_H

#include <sys/stat.h>
#include <sys/utsname.h>

#include "dev.h"

/* 0 or -errno. */
static inline int unload(void)
{
	return syscall(SYS_delete_module, "pulse", O_NONBLOCK) ? -errno : 0;
}

/* It goes for good a moment after the last file: the reaper may be at it. */
static inline int unload_soon(void)
{
	int ret = -1;

	EVENTUALLY(!(ret = unload()));
	return ret;
}

/* The file that was built for this kernel, or what the VM was started with. */
static inline const char *module_file(void)
{
	static char path[128];
	const char *ko = getenv("PULSE_VM_MODULE");
	struct utsname u;
	int major, minor;

	if (ko)
		return ko;
	uname(&u);
	if (sscanf(u.release, "%d.%d", &major, &minor) != 2)
		return "";
	snprintf(path, sizeof(path), "build/kmod/%d.%d/pulse.ko", major, minor);
	return path;
}

static char state_source[32];	/* as it was found */

static inline void keep_state_source(void)
{
	FILE *f = fopen("/sys/module/pulse/parameters/state_source", "re");

	if (f && fscanf(f, "%31s", state_source) != 1)
		state_source[0] = 0;
	if (f)
		fclose(f);
}

static void *module_image;
static size_t module_bytes;

/*
 * Read once: a load whose allocations fail must not be the one that reads the
 * file. A file system that is refused memory keeps pages of it that say EINVAL.
 */
static inline int read_module(void)
{
	FILE *f = module_image ? NULL : fopen(module_file(), "re");
	struct stat st;
	int ret;

	if (module_image)
		return 0;
	if (!f)
		return -errno;
	ret = fstat(fileno(f), &st) ? -errno : 0;
	module_image = ret ? NULL : malloc((size_t)st.st_size);
	if (!module_image ||
	    fread(module_image, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
		ret = ret ? ret : -EIO;
		free(module_image);
		module_image = NULL;
	} else {
		module_bytes = (size_t)st.st_size;
	}
	fclose(f);
	return ret;
}

/* With its state source as it was found, unless the parameters name one. */
static inline int load(const char *parameters)
{
	int ret = read_module();
	char all[256];

	if (ret)
		return ret;
	snprintf(all, sizeof(all), "%s%s %s", *state_source ? "state_source=" : "",
		 state_source, parameters);
	return syscall(SYS_init_module, module_image, module_bytes, all) ? -errno : 0;
}

#define NEED_MODULE_FILE()						\
	do {								\
		NEED_DEVICE();						\
		if (access(module_file(), R_OK))			\
			KT_SKIP("no %s to load again", module_file());	\
	} while (0)

static inline bool anything_left(void)
{
	return !access(PULSE_DEVICE_PATH, F_OK) || !access(SYSFS_DIR, F_OK) ||
	       !access("/sys/module/pulse", F_OK) ||
	       !access("/sys/kernel/tracing/events/pulse", F_OK);
}

/*
 * Each load and unload makes the kernel patch its own running scheduler. QEMU
 * before 8.1 loses such a patch now and then when another emulated CPU runs the
 * same code ("Oops: int3"); so there all CPUs but the first are taken offline
 * meanwhile. Real machines keep theirs.
 */
static inline bool emulated(void)
{
	char line[256];
	bool yes = false;
	FILE *f = fopen("/proc/cpuinfo", "re");

	while (f && fgets(line, sizeof(line), f))
		yes |= strstr(line, "QEMU TCG") != NULL;
	if (f)
		fclose(f);
	return yes;
}

static inline void set_online(const char *value)
{
	char path[64];

	for (int cpu = 1; cpu < 64; cpu++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online",
			 cpu);
		if (file_put(path, value) == -ENOENT)
			break;
	}
}

static inline int kt_main_loading(int argc, char **argv)
{
	bool alone = emulated();
	int ret;

	keep_state_source();
	if (alone)
		set_online("0");
	ret = kt_main(argc, argv);
	if (alone)
		set_online("1");
	return ret;
}

#endif /* PULSE_SELFTESTS_MODULE_H */
