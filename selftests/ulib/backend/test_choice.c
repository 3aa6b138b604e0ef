// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which backend, and why: the environment, the program's demand, and each way
 * in which the kernel backend can be away, by its name.
 *
 * A process chooses once, so each case runs in a child of its own.
 */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "helpers.h"
#include "backend/backend.h"

/* In a child: failed checks cannot be counted there, so each has a number. */
#define MUST(n, cond) do { if (!(cond)) { kt_note("case %d: %s", n, #cond); return n; } } while (0)

static char log_line[512];
static int log_lines;

static void catch_log(int level, const char *line, void *arg)
{
	(void)level;
	(void)arg;
	log_lines++;
	snprintf(log_line, sizeof(log_line), "%s", line);
}

/* Whatever PULSE_LOG says. */
static void catch_the_log(void)
{
	pulse_log_set_level(PULSE_LOG_INFO);
	pulse_log_set_sink(catch_log, NULL);
}

static int ask_user(void *arg)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	struct pulse_ctx *ctx;

	(void)arg;
	setenv("PULSE_BACKEND", "user", 1);
	catch_the_log();
	MUST(1, pulse_backend_info(&info) == 0);
	MUST(2, info.kind == PULSE_BACKEND_USER && !strcmp(info.name, "user"));
	MUST(3, info.err == 0 && strstr(info.reason, "PULSE_BACKEND=user"));
	MUST(4, *info.fix && info.abi == 0 && info.features == 0);
	MUST(5, log_lines == 1 && strstr(log_line, "backend user") &&
	     strstr(log_line, info.reason));
	MUST(6, pulse_ctx_create(NULL, &ctx) == 0);
	MUST(7, pulse_ctx_destroy(ctx) == 0);
	MUST(8, pulse_backend_select(PULSE_BACKEND_USER) == 0);
	MUST(9, pulse_backend_select(PULSE_BACKEND_AUTO) == 0);
	MUST(10, pulse_backend_select(PULSE_BACKEND_KERNEL) == -EBUSY);
	MUST(11, log_lines == 1);
	return 0;
}

KT_TEST(the_environment_forces_the_user_backend)
{
	KT_EQ(in_child(ask_user, NULL), 0);
}

static int ask_kernel(void *arg)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	struct pulse_ctx *ctx = (void *)1;
	int err;

	(void)arg;
	setenv("PULSE_BACKEND", "kernel", 1);
	catch_the_log();
	err = pulse_backend_info(&info);
	MUST(1, err == info.err);
	MUST(2, info.kind == PULSE_BACKEND_KERNEL && *info.reason);
	MUST(3, log_lines == 1);
	if (!err) {
		MUST(4, info.abi == PULSE_ABI_VERSION && info.features);
		MUST(5, !*info.fix);
		MUST(6, pulse_ctx_create(NULL, &ctx) == 0 &&
		     pulse_ctx_destroy(ctx) == 0);
		return 0;
	}
	/* It cannot be had here: every create says so, with the same reason. */
	MUST(7, *info.fix && pulse_ctx_create(NULL, &ctx) == err && !ctx);
	MUST(8, pulse_backend_select(PULSE_BACKEND_KERNEL) == err);
	MUST(9, log_lines == 1 && strstr(log_line, info.reason));
	/* A demand that was not met chose nothing. */
	MUST(10, pulse_backend_select(PULSE_BACKEND_USER) == 0);
	MUST(11, pulse_backend_info(&info) == 0 &&
	     info.kind == PULSE_BACKEND_USER);
	return 0;
}

KT_TEST(a_demand_for_the_kernel_backend_is_met_or_refused_by_name)
{
	KT_EQ(in_child(ask_kernel, NULL), 0);
}

static int ask_auto(void *arg)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };
	int there = access(PULSE_DEVICE_PATH, R_OK | W_OK) == 0;

	setenv("PULSE_BACKEND", arg, 1);
	catch_the_log();
	MUST(1, pulse_backend_info(&info) == 0);
	MUST(2, info.kind == (there ? PULSE_BACKEND_KERNEL :
				      PULSE_BACKEND_USER));
	MUST(3, there == !info.err && there == !*info.fix);
	/* An unknown word is said in a line of its own. */
	MUST(4, log_lines == 1 + !!strcmp(arg, "auto"));
	return 0;
}

KT_TEST(auto_takes_the_kernel_backend_where_it_is)
{
	KT_EQ(in_child(ask_auto, "auto"), 0);
}

KT_TEST(an_unknown_word_in_the_environment_is_said_and_means_auto)
{
	KT_EQ(in_child(ask_auto, "kernell"), 0);
}

static int select_first(void *arg)
{
	struct pulse_backend_info info = { .sz = sizeof(info) };

	(void)arg;
	setenv("PULSE_BACKEND", "kernel", 1);
	catch_the_log();
	MUST(1, pulse_backend_select(99) == -EINVAL);
	MUST(2, pulse_backend_select(-1) == -EINVAL);
	MUST(3, pulse_backend_select(PULSE_BACKEND_USER) == 0);
	MUST(4, pulse_backend_info(&info) == 0);
	MUST(5, info.kind == PULSE_BACKEND_USER && !*info.fix);
	return 0;
}

KT_TEST(the_programs_demand_comes_before_the_environment)
{
	KT_EQ(in_child(select_first, NULL), 0);
}

/* U01, U02 */
static int bad_info(void *arg)
{
	union {
		struct pulse_backend_info info;
		unsigned char bytes[2 * sizeof(struct pulse_backend_info)];
	} u;

	(void)arg;
	catch_the_log();
	MUST(1, pulse_backend_info(NULL) == -EINVAL);
	memset(&u, 0, sizeof(u));
	MUST(2, pulse_backend_info(&u.info) == -EINVAL);
	u.info.sz = 1;
	MUST(3, pulse_backend_info(&u.info) == -EINVAL);
	u.info.sz = (size_t)-1;
	MUST(4, pulse_backend_info(&u.info) == -E2BIG);
	memset(&u, 0xff, sizeof(u));
	u.info.sz = sizeof(u);	/* a newer program: its tail becomes zero */
	MUST(5, pulse_backend_info(&u.info) == 0 && u.info.sz == sizeof(u));
	MUST(6, u.bytes[sizeof(u) - 1] == 0);
	return 0;
}

KT_TEST(backend_info_checks_its_argument)
{
	KT_EQ(in_child(bad_info, NULL), 0);
}

/* Makes one system call answer an errno, where argument @arg has a value. */
static bool deny(int nr, unsigned int arg, uint32_t value, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args) + 8 * arg),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K,
			 SECCOMP_RET_ERRNO | (uint32_t)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
}

struct denied {
	int err;
	bool ioctl;
	const char *word;
};

static int ask_denied(void *arg)
{
	const struct denied *d = arg;
	struct pulse_backend_info info = { .sz = sizeof(info) };
	struct pulse_ctx *ctx;

	setenv("PULSE_BACKEND", "auto", 1);
	catch_the_log();
	if (d->ioctl)
		MUST(1, deny(SYS_ioctl, 1, (uint32_t)PULSE_IOC_INFO, d->err));
	else
		MUST(1, deny(SYS_openat, 2, O_RDWR | O_CLOEXEC, d->err));
	MUST(2, pulse_backend_info(&info) == 0);
	MUST(3, info.kind == PULSE_BACKEND_USER && info.err);
	if (!d->ioctl || access(PULSE_DEVICE_PATH, F_OK) == 0) {
		MUST(4, info.err == -d->err);
		MUST(5, strstr(info.reason, d->word));
	}
	MUST(6, *info.fix && log_lines == 1);
	MUST(7, strstr(log_line, info.fix) && strstr(log_line, info.reason));
	/* And the user backend works in there. */
	MUST(8, pulse_ctx_create(NULL, &ctx) == 0);
	MUST(9, pulse_ctx_destroy(ctx) == 0);
	return 0;
}

/* L12 */
KT_TEST(a_seccomp_filter_leads_to_the_user_backend_with_a_reason)
{
	struct denied cases[] = {
		{ EPERM, false, "seccomp" }, { ENOSYS, false, "seccomp" },
		{ EACCES, false, "permission" }, { ENXIO, false, "driver" },
		{ EMFILE, false, "open files" }, { ENFILE, false, "open files" },
		{ EPERM, true, "seccomp" }, { ENOSYS, true, "seccomp" },
		{ ENOTTY, true, "not the device" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		KT_CHECKF(in_child(ask_denied, &cases[i]) == 0,
			  "case %zu: errno %d", i, cases[i].err);
}

/* B07: as uid 65534 with a device node that only root may open. */
static int ask_nobody(void *arg)
{
	struct pulse__probe p;
	const char *path = arg;

	MUST(1, setresgid(65534, 65534, 65534) == 0);
	MUST(2, setresuid(65534, 65534, 65534) == 0);
	MUST(3, pulse__probe(path, &p) == -EACCES && p.err == -EACCES);
	MUST(4, strstr(p.fix, "pulse-u"));
	return 0;
}

KT_TEST(who_is_not_in_the_group_is_told_which_one)
{
	char path[] = "/tmp/pulse-test-XXXXXX";
	int fd = mkstemp(path);

	KT_REQUIRE(fd >= 0);
	fchmod(fd, 0600);
	close(fd);
	if (geteuid() == 0)
		KT_EQ(in_child(ask_nobody, path), 0);
	else
		KT_CHECK(access("/etc/shadow", R_OK) != 0);
	unlink(path);
}

KT_TEST(what_is_at_the_path_is_told_apart)
{
	char path[] = "/tmp/pulse-test-XXXXXX";
	struct pulse__probe p;
	int fd = mkstemp(path);

	KT_REQUIRE(fd >= 0);
	close(fd);
	KT_EQ(pulse__probe(path, &p), -ENOTTY);
	KT_CHECK(strstr(p.reason, "not the device"));
	unlink(path);
	KT_EQ(pulse__probe(path, &p), -ENOENT);
	KT_CHECK(strstr(p.reason, "module") && *p.fix);
	KT_EQ(pulse__probe("/dev/null", &p), -ENOTTY);
	/* A node without a driver: a char major that nobody has. */
	if (mknod(path, S_IFCHR | 0600, (511 << 8) | 77) == 0) {
		KT_EQ(pulse__probe(path, &p), -ENXIO);
		KT_CHECK(strstr(p.reason, "no driver"));
		unlink(path);
	}
}

/* B05: features are asked for, the version only where the two cannot talk. */
KT_TEST(an_older_or_newer_module_is_judged_by_what_it_can_do)
{
	struct pulse_info info = {
		.size = sizeof(info), .abi = PULSE_ABI_VERSION,
		.features = ~0ULL,
	};
	struct pulse__probe p;

	KT_EQ(pulse__probe_judge(&info, &p), 0);
	KT_STREQ(p.fix, "");
	KT_CHECK(strstr(p.reason, "tracepoint"));
	info.features = PULSE_FEAT_NRING;	/* the rest has substitutes */
	KT_EQ(pulse__probe_judge(&info, &p), 0);
	KT_CHECK(!strstr(p.reason, "tracepoint"));
	info.features = PULSE_FEAT_KSTATE;
	KT_EQ(pulse__probe_judge(&info, &p), -EOPNOTSUPP);
	KT_CHECK(strstr(p.reason, "lacks"));
	info.features = ~0ULL;
	info.abi = PULSE_ABI_VERSION + 1;
	KT_EQ(pulse__probe_judge(&info, &p), -EPROTONOSUPPORT);
	KT_CHECK(strstr(p.reason, "newer") && strstr(p.fix, "libpulse-u"));
	info.abi = PULSE_ABI_VERSION - 1;
	KT_EQ(pulse__probe_judge(&info, &p), -EPROTONOSUPPORT);
	KT_CHECK(strstr(p.reason, "older") && strstr(p.fix, "pulse-dkms"));
}

KT_TEST(every_errno_has_a_reason_and_a_fix)
{
	for (int err = 1; err < 134; err++) {
		struct pulse__probe p = { 0 };

		for (int step = 0; step < 2; step++) {
			pulse__probe_explain(step ? PULSE__PROBE_INFO :
					     PULSE__PROBE_OPEN, -err, &p);
			KT_CHECK(p.err == -err && *p.reason && *p.fix);
		}
	}
}

KT_MAIN()
