// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * probe.c - can the kernel backend be had, and if not, why not.
 *
 * Each failure has one sentence that names it and one that mends it. What the
 * module can do is asked by feature bits; the ABI number only says that the
 * two sides must not talk at all.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"

/* Without these there is no backend; the rest has a substitute. */
#define PULSE__FEATURES_NEEDED	PULSE_FEAT_NRING

/* Does a small file hold this word? */
static bool pulse__file_says(const char *path, const char *word)
{
	char text[4096];
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0)
		return false;
	text[got] = 0;
	return strstr(text, word) != NULL;
}

/* No device node: no module, or only no node? */
static void pulse__explain_absent(struct pulse__probe *out)
{
	const char *const lockdown = "/sys/kernel/security/lockdown";
	struct stat st;

	if (!stat("/sys/class/misc/" PULSE_DEVICE_NAME, &st)) {
		out->reason = "the module is loaded, but there is no /dev/pulse here";
		out->fix = "let the device into this container or chroot, for example --device /dev/pulse";
	} else if (stat("/proc/modules", &st) && !stat("/proc/self", &st)) {
		out->reason = "the module is not loaded, and this kernel takes no modules";
		out->fix = "run on a kernel with loadable modules, then modprobe pulse";
	} else if (pulse__file_says(lockdown, "[integrity]") ||
		   pulse__file_says(lockdown, "[confidentiality]")) {
		out->reason = "the module is not loaded (no /dev/pulse), and this kernel is locked down: it takes signed modules only";
		out->fix = "sign pulse.ko with a key enrolled by mokutil --import, then modprobe pulse";
	} else {
		out->reason = "the module is not loaded (no /dev/pulse)";
		out->fix = "modprobe pulse, or insmod pulse.ko from the build";
	}
}

static void pulse__explain_open(int err, struct pulse__probe *out)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		pulse__explain_absent(out);
		break;
	case -EACCES:
		out->reason = "no permission for /dev/pulse";
		out->fix = "add the user to the group pulse-u (usermod -aG pulse-u NAME) and log in again";
		break;
	case -EPERM:
		out->reason = "a seccomp filter or the container's device rules forbid /dev/pulse";
		out->fix = "allow the device, for example --device /dev/pulse, and openat in the seccomp profile";
		break;
	case -ENOSYS:
		out->reason = "a seccomp filter answers ENOSYS to opening /dev/pulse";
		out->fix = "allow openat in the seccomp profile";
		break;
	case -ENODEV:
	case -ENXIO:
		out->reason = "/dev/pulse is there, but no driver is behind it";
		out->fix = "modprobe pulse, or insmod pulse.ko from the build";
		break;
	case -EMFILE:
		out->reason = "this process has too many open files to open /dev/pulse";
		out->fix = "raise the limit of open files (ulimit -n)";
		break;
	case -ENFILE:
		out->reason = "the system has too many open files to open /dev/pulse";
		out->fix = "raise fs.file-max";
		break;
	case -EDQUOT:
		out->reason = "this user has as many contexts of /dev/pulse as the module allows";
		out->fix = "end some, or raise the module's limits for a user";
		break;
	default:
		out->reason = "/dev/pulse cannot be opened";
		out->fix = "look into the kernel log (dmesg)";
	}
}

static void pulse__explain_info(int err, struct pulse__probe *out)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		out->reason = "a seccomp filter or security module forbids ioctl on /dev/pulse";
		out->fix = "allow ioctl with type 0xD7 in the seccomp profile";
		break;
	case -ENOSYS:
		out->reason = "a seccomp filter answers ENOSYS to ioctl";
		out->fix = "allow ioctl with type 0xD7 in the seccomp profile";
		break;
	case -ENOTTY:
		out->reason = "/dev/pulse is not the device of this module";
		out->fix = "remove the file, then modprobe pulse";
		break;
	case -E2BIG:
		out->reason = "the module is older than this library";
		out->fix = "install the pulse-dkms of the library's version and load it anew";
		break;
	case -EINVAL:
		out->reason = "the module is newer than this library";
		out->fix = "install the libpulse-u of the module's version";
		break;
	default:
		out->reason = "/dev/pulse does not answer";
		out->fix = "look into the kernel log (dmesg)";
	}
}

void pulse__probe_explain(enum pulse__probe_step step, int err,
			  struct pulse__probe *out)
{
	out->err = err;
	if (step == PULSE__PROBE_OPEN)
		pulse__explain_open(err, out);
	else
		pulse__explain_info(err, out);
}

int pulse__probe_judge(const struct pulse_info *info, struct pulse__probe *out)
{
	out->abi = info->abi;
	out->features = info->features;
	if (info->abi > PULSE_ABI_VERSION) {
		out->err = -EPROTONOSUPPORT;
		out->reason = "the module's ABI is newer than this library knows";
		out->fix = "install the libpulse-u of the module's version";
	} else if (info->abi < PULSE_ABI_VERSION) {
		out->err = -EPROTONOSUPPORT;
		out->reason = "the module's ABI is older than this library speaks";
		out->fix = "install the pulse-dkms of the library's version and load it anew";
	} else if ((info->features & PULSE__FEATURES_NEEDED) !=
		   PULSE__FEATURES_NEEDED) {
		out->err = -EOPNOTSUPP;
		out->reason = "the module lacks a feature that this library needs (node rings)";
		out->fix = "install the pulse-dkms of the library's version and load it anew";
	} else {
		out->err = 0;
		out->reason = info->features & PULSE_FEAT_KSTATE_PROBE ?
			"/dev/pulse answers; it learns of switches by a tracepoint" :
			"/dev/pulse answers";
		out->fix = "";
	}
	return out->err;
}

int pulse__probe(const char *path, struct pulse__probe *out)
{
	struct pulse_info info = { .size = sizeof(info) };
	int fd, err = 0, saved = errno;

	memset(out, 0, sizeof(*out));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		pulse__probe_explain(PULSE__PROBE_OPEN, -errno, out);
	} else {
		if (ioctl(fd, PULSE_IOC_INFO, &info) < 0)
			err = -errno;
		close(fd);
		if (err)
			pulse__probe_explain(PULSE__PROBE_INFO, err, out);
		else
			pulse__probe_judge(&info, out);
	}
	errno = saved;
	return out->err;
}
