// SPDX-License-Identifier: GPL-2.0-only
/*
 * doctor: what stands between this machine and the kernel backend, a line a
 * check, and how to mend it. Needs nothing: no module, no right, no netlink.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ctl.h"

#define MEMLOCK_BYTES	(8UL << 20)
#define NOFILE		4096

enum verdict { GOOD, DOUBTFUL, WRONG };

struct doctor {
	const struct ctl *c;
	struct json j;
	struct utsname un;
	bool loaded;
	int wrong;
};

__attribute__((format(printf, 5, 6)))
static void say(struct doctor *d, const char *check, enum verdict v,
		const char *fix, const char *fmt, ...)
{
	static const char *const words[] = { "OK", "WARN", "FAIL" };
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->wrong += v == WRONG;
	if (v == GOOD)
		fix = "";
	if (d->c->json) {
		json_begin(&d->j, NULL, '{');
		json_string(&d->j, "check", check);
		json_string(&d->j, "verdict", words[v]);
		json_string(&d->j, "text", text);
		json_string(&d->j, "fix", fix);
		json_end(&d->j, '}');
		return;
	}
	printf("%-4s  %-12s %s\n", words[v], check, text);
	if (*fix)
		printf("      fix:         %s\n", fix);
}

static bool in_modules(const struct doctor *d, const char *name, char *path,
		       size_t len)
{
	snprintf(path, len, "/lib/modules/%s/%s", d->un.release, name);
	return ctl_exists(d->c, path);
}

static void kernel(struct doctor *d)
{
	int major = 0, minor = 0;
	bool known;

	known = sscanf(d->un.release, "%d.%d", &major, &minor) == 2;
	if (strcmp(d->un.machine, "x86_64") && strcmp(d->un.machine, "aarch64"))
		say(d, "kernel", DOUBTFUL, "use a 64-bit kernel",
		    "Linux %s on %s: tested are x86_64 kernels", d->un.release,
		    d->un.machine);
	else if (known && major * 1000 + minor < 6001)
		say(d, "kernel", WRONG, "use Linux 6.1 or later",
		    "Linux %s is too old", d->un.release);
	else
		say(d, "kernel", GOOD, "", "Linux %s", d->un.release);
}

static void loadable(struct doctor *d)
{
	if (ctl_exists(d->c, "/proc/modules"))
		say(d, "modules", GOOD, "", "this kernel loads modules");
	else
		say(d, "modules", WRONG,
		    "start a distribution's kernel, or try make run-vm in the source tree",
		    "this kernel was built without loadable modules");
}

static void headers(struct doctor *d)
{
	char path[256], fix[160];

	snprintf(fix, sizeof(fix), "apt install linux-headers-%.100s",
		 d->un.release);
	if (in_modules(d, "build", path, sizeof(path)))
		say(d, "headers", GOOD, "", "%s", path);
	else
		say(d, "headers", d->loaded ? GOOD : DOUBTFUL, fix,
		    "no %s: the module cannot be built for this kernel", path);
}

static void built(struct doctor *d)
{
	static const char *const places[] = {
		"updates/dkms/pulse.ko", "updates/dkms/pulse.ko.xz",
		"updates/dkms/pulse.ko.zst", "updates/pulse.ko",
		"extra/pulse.ko", "extra/pulse.ko.xz", "extra/pulse.ko.zst",
	};
	char path[256];

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (in_modules(d, places[i], path, sizeof(path))) {
			say(d, "built", GOOD, "", "%s", path);
			return;
		}
	if (d->loaded)
		say(d, "built", DOUBTFUL, "install pulse-dkms, so that it is there after the next start",
		    "loaded, but not installed in /lib/modules/%s",
		    d->un.release);
	else
		say(d, "built", DOUBTFUL, "make load in the source tree, or install pulse-dkms",
		    "no pulse.ko in /lib/modules/%s", d->un.release);
}

static void loaded(struct doctor *d)
{
	char abi[32];

	if (!d->loaded) {
		say(d, "loaded", WRONG, ctl_exists(d->c, "/proc/modules") ?
		    "modprobe pulse (or make load in the source tree)" :
		    "a kernel that loads modules (see above)",
		    "the module is not loaded: programs run on the user backend");
		return;
	}
	ctl_read(d->c, "/sys/class/misc/pulse/abi", abi, sizeof(abi));
	say(d, "loaded", GOOD, "", "the module is loaded, ABI %s", abi);
}

static void signature(struct doctor *d)
{
	char lockdown[128], enforce[16];
	bool locked, forced;

	locked = ctl_read(d->c, "/sys/kernel/security/lockdown", lockdown,
			  sizeof(lockdown)) && !strstr(lockdown, "[none]");
	forced = ctl_read(d->c, "/sys/module/module/parameters/sig_enforce",
			  enforce, sizeof(enforce)) && enforce[0] == 'Y';
	if (!locked && !forced)
		say(d, "signature", GOOD, "", "unsigned modules may be loaded");
	else
		say(d, "signature", d->loaded ? GOOD : DOUBTFUL,
		    "enrol a key with mokutil and sign pulse.ko with the kernel's sign-file",
		    "%s: only signed modules are loaded", locked ?
		    "the kernel is locked down (secure boot)" :
		    "module.sig_enforce is on");
}

/* A line of the kernel's configuration: 'y', 'n', or 0: not known. */
static char config(struct doctor *d, const char *option)
{
	char path[512], line[256];
	char answer = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%.100s/boot/config-%s", d->c->root,
		 d->un.release);
	f = fopen(path, "re");
	if (!f) {
		snprintf(path, sizeof(path), "%.100s/lib/modules/%s/build/.config",
			 d->c->root, d->un.release);
		f = fopen(path, "re");
	}
	if (!f)
		return 0;
	answer = 'n';
	while (fgets(line, sizeof(line), f)) {
		size_t n = strlen(option);

		if (!strncmp(line, option, n) && line[n] == '=')
			answer = line[n + 1] == 'm' ? 'y' : line[n + 1];
	}
	fclose(f);
	return answer;
}

static void notifiers(struct doctor *d)
{
	char answer = d->loaded ? 'y' : config(d, "CONFIG_PREEMPT_NOTIFIERS");

	if (answer == 'y')
		say(d, "notifiers", GOOD, "", "the kernel has preempt notifiers");
	else if (answer)
		say(d, "notifiers", WRONG, "use a kernel with CONFIG_KVM, which selects them",
		    "CONFIG_PREEMPT_NOTIFIERS is off: the module cannot be built");
	else
		say(d, "notifiers", DOUBTFUL, "look for CONFIG_PREEMPT_NOTIFIERS=y (CONFIG_KVM selects it)",
		    "the kernel's configuration is not to be found");
}

static void btf(struct doctor *d)
{
	if (ctl_exists(d->c, "/sys/kernel/btf/vmlinux"))
		say(d, "btf", GOOD, "", "the kernel tells its types%s",
		    ctl_exists(d->c, "/sys/kernel/btf/pulse") ?
		    ", and so does the module" : "");
	else
		say(d, "btf", DOUBTFUL, "use a kernel with CONFIG_DEBUG_INFO_BTF=y; only BPF tools need it",
		    "no /sys/kernel/btf/vmlinux");
}

static void device(struct doctor *d)
{
	struct group *group = getgrnam("pulse-u");
	char path[4096], fix[256];
	struct stat st;

	if (!group)
		say(d, "group", DOUBTFUL, "groupadd --system pulse-u",
		    "no group pulse-u: the device is root's alone");
	else
		say(d, "group", GOOD, "", "group pulse-u has number %u",
		    (unsigned int)group->gr_gid);

	snprintf(path, sizeof(path), "%s/dev/pulse", d->c->root);
	if (stat(path, &st)) {
		say(d, "device", WRONG, d->loaded ?
		    "mount devtmpfs on /dev, or start udev" :
		    "load the module (see above)", "no /dev/pulse");
	} else if (!S_ISCHR(st.st_mode)) {
		say(d, "device", WRONG, "rm /dev/pulse, and load the module again",
		    "/dev/pulse is no device");
	} else if (access(path, R_OK | W_OK)) {
		snprintf(fix, sizeof(fix), "%susermod -aG pulse-u USER, and log in again",
			 group && st.st_gid == group->gr_gid ? "" :
			 "install 60-pulse-u.rules of the source tree in /etc/udev/rules.d; ");
		say(d, "device", WRONG, fix, "/dev/pulse (mode %03o) is not for this user",
		    (unsigned int)st.st_mode & 0777);
	} else {
		say(d, "device", GOOD, "", "/dev/pulse can be opened (mode %03o)",
		    (unsigned int)st.st_mode & 0777);
	}
}

static void limit(struct doctor *d, const char *check, int which,
		  unsigned long least, const char *unit, const char *fix)
{
	struct rlimit r;

	if (getrlimit(which, &r)) {
		say(d, check, DOUBTFUL, fix, "cannot be read: %s",
		    strerror(errno));
	} else if (r.rlim_cur == RLIM_INFINITY) {
		say(d, check, GOOD, "", "no limit");
	} else {
		say(d, check, r.rlim_cur < least ? DOUBTFUL : GOOD, fix,
		    "%llu %s%s", (unsigned long long)r.rlim_cur, unit,
		    r.rlim_cur < least ? ", which is little" : "");
	}
}

int ctl_doctor(struct ctl *c, int argc, char **argv)
{
	struct doctor d = { .c = c, .j = { .to = stdout } };

	if (argc > 1)
		return ctl_bad("doctor takes no argument", argv[1]);
	uname(&d.un);
	d.loaded = ctl_loaded(c);
	if (c->json)
		json_begin(&d.j, NULL, '[');
	kernel(&d);
	loadable(&d);
	notifiers(&d);
	headers(&d);
	built(&d);
	signature(&d);
	loaded(&d);
	device(&d);
	limit(&d, "memlock", RLIMIT_MEMLOCK, MEMLOCK_BYTES, "bytes may be locked",
	      "ulimit -l 65536, or LimitMEMLOCK=64M in the unit");
	limit(&d, "nofile", RLIMIT_NOFILE, NOFILE, "files may be open",
	      "ulimit -n 65536, or LimitNOFILE=65536 in the unit");
	btf(&d);
	if (c->json) {
		json_end(&d.j, ']');
		putchar('\n');
	} else if (d.wrong) {
		printf("%d of these keep%s programs from the kernel backend\n",
		       d.wrong, d.wrong == 1 ? "s" : "");
	}
	return d.wrong ? CTL_FAILED : CTL_OK;
}
