// SPDX-License-Identifier: GPL-2.0-only
/*
 * WebAssembly modules as links: what they do right, and every way to misbehave.
 * The modules are compiled here, by tools/wasm/pulse-wasm-cc.
 */
#include "base/base.h"
#include "ktap.h"

#include <limits.h>
#include <pthread.h>
#include <sys/wait.h>

#include <pulse-u/handler.h>
#include <pulse-u/wasm.h>

/*
 * What it does is told by the event's type. It keeps a count from event to event.
 */
static const char module_text[] =
	"(module\n"
	" (import \"pulse\" \"log\" (func $log (param i32 i32 i32)))\n"
	" (import \"pulse\" \"message_len\" (func $len (result i32)))\n"
	" (import \"pulse\" \"message_read\" (func $read (param i32 i32 i32) (result i32)))\n"
	" (import \"pulse\" \"reply\" (func $reply (param i32 i32) (result i32)))\n"
	" (memory (export \"memory\") 1 8)\n"
	" (table 4 funcref)\n"
	" (type $v (func)) (type $i (func (result i32)))\n"
	" (func $nothing (type $v))\n"
	" (elem (i32.const 1) $nothing)\n"
	" (global $count (mut i32) (i32.const 0))\n"
	" (data (i32.const 16) \"hello\")\n"
	" (func $deep (param i32) (result i32)\n"
	"  (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))\n"
	" (func (export \"pulse_handle\") (param $t i32) (result i32)\n"
	"  (local $n i32)\n"
	"  (global.set $count (i32.add (global.get $count) (i32.const 1)))\n"
	/* 1: log, and reply with the message and the count */
	"  (if (i32.eq (local.get $t) (i32.const 1)) (then\n"
	"   (call $log (i32.const 2) (i32.const 16) (i32.const 5))\n"
	"   (local.set $n (call $read (i32.const 1024) (i32.const 0) (call $len)))\n"
	"   (i32.store8 (i32.add (i32.const 1024) (local.get $n))\n"
	"    (i32.add (i32.const 48) (global.get $count)))\n"
	"   (drop (call $reply (i32.const 1024) (i32.add (local.get $n) (i32.const 1))))\n"
	"   (return (i32.const 1))))\n"
	/* 2: go on; 3: an error; 4: what is no errno */
	"  (if (i32.eq (local.get $t) (i32.const 2)) (then (return (i32.const 0))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 3)) (then (return (i32.const -13))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 4)) (then (return (i32.const -100000))))\n"
	/* 10: unreachable; 11: loads beyond the end; 12: stores; 13: an endless loop */
	"  (if (i32.eq (local.get $t) (i32.const 10)) (then unreachable))\n"
	"  (if (i32.eq (local.get $t) (i32.const 11)) (then (return (i32.load (i32.const 65533)))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 12)) (then (i64.store offset=4294967290 (i32.const -1) (i64.const 1))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 13)) (then (loop $l (br $l))))\n"
	/* 14: endless recursion; 15: division; 16: overflow; 17: conversion */
	"  (if (i32.eq (local.get $t) (i32.const 14)) (then (return (call $deep (i32.const 0)))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 15)) (then (return (i32.div_u (i32.const 1) (i32.sub (local.get $t) (i32.const 15))))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 16)) (then (return (i32.div_s (i32.const -2147483648) (i32.sub (i32.const 15) (local.get $t))))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 17)) (then (return (i32.trunc_f32_s (f32.const nan)))))\n"
	/* 18: an empty place of the table; 19: another type; 20: beyond the table */
	"  (if (i32.eq (local.get $t) (i32.const 18)) (then (call_indirect (type $v) (i32.const 0))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 19)) (then (return (call_indirect (type $i) (i32.const 1)))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 20)) (then (call_indirect (type $v) (i32.const 99))))\n"
	/* 21: text, 22: a message, 23: a reply beyond the end of its memory */
	"  (if (i32.eq (local.get $t) (i32.const 21)) (then (call $log (i32.const 0) (i32.const 65530) (i32.const 7))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 22)) (then (return (call $read (i32.const -1) (i32.const 0) (i32.const 3)))))\n"
	"  (if (i32.eq (local.get $t) (i32.const 23)) (then (return (call $reply (i32.const 0) (i32.const -1)))))\n"
	/* 30: grow as far as it goes, and write to the last byte: answers the pages */
	"  (if (i32.eq (local.get $t) (i32.const 30)) (then\n"
	"   (loop $g (br_if $g (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))\n"
	"   (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 7))\n"
	"   (return (memory.size))))\n"
	/* 31: grow by more than there can be */
	"  (if (i32.eq (local.get $t) (i32.const 31)) (then (return (i32.add (i32.const 2) (memory.grow (i32.const 65536))))))\n"
	/* 32: a reply of one page */
	"  (if (i32.eq (local.get $t) (i32.const 32)) (then (return (i32.add (i32.const 2) (call $reply (i32.const 0) (i32.const 65536))))))\n"
	"  (i32.const 1)))\n";

static char dir[] = "/tmp/pulse-wasm-XXXXXX";
static char module_path[PATH_MAX], why_not[128];

static void clean_up(void)
{
	char command[PATH_MAX];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	(void)!system(command);
}

static bool compiler(char *path, size_t len)
{
	char exe[PATH_MAX - 64];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return false;
	exe[n] = 0;
	for (char *slash; (slash = strrchr(exe, '/'));) {
		*slash = 0;
		snprintf(path, len, "%s/tools/wasm/pulse-wasm-cc", exe);
		if (!access(path, X_OK))
			return true;
	}
	return false;
}

/* Compiles a text; its exit code. */
static int compile(const char *text, const char *name, const char *suffix)
{
	char cc[PATH_MAX], src[PATH_MAX], command[4 * PATH_MAX];
	int status;
	FILE *f;

	if (!compiler(cc, sizeof(cc)))
		return 77;
	snprintf(src, sizeof(src), "%s/%s.%s", dir, name, suffix);
	f = fopen(src, "w");
	fputs(text, f);
	fclose(f);
	snprintf(command, sizeof(command), "%s %s -o %s/%s.so >%s/out 2>&1", cc, src,
		 dir, name, dir);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Compiles the module of this file, once. */
static bool have_module(void)
{
	static int state;

	if (state)
		return state > 0;
	if (!mkdtemp(dir))
		return false;
	atexit(clean_up);
	switch (compile(module_text, "module", "wat")) {
	case 0:
		snprintf(module_path, sizeof(module_path), "%s/module.so", dir);
		state = 1;
		break;
	case 77:
		strcpy(why_not, "pulse-wasm-cc is not here, or lacks a tool (apt install wabt gcc)");
		state = -1;
		break;
	default:
		strcpy(why_not, "it does not compile");
		KT_FAIL("the module does not compile");
		state = -1;
	}
	return state > 0;
}

#define NEED_MODULE()	do { if (!have_module()) KT_SKIP("%s", why_not); } while (0)

static char reply[4096], logged[64];
static size_t reply_len;

static void on_reply(struct pulse_chain_event *event, const void *data, size_t len,
		     void *arg)
{
	KT_CHECK(event && arg == reply);
	reply_len = len;
	memcpy(reply, data, len < sizeof(reply) ? len : sizeof(reply) - 1);
	reply[len < sizeof(reply) ? len : sizeof(reply) - 1] = 0;
}

static void on_log(int level, const char *text, size_t len, void *arg)
{
	(void)arg;
	KT_EQ(level, PULSE_LOG_INFO);
	snprintf(logged, sizeof(logged), "%.*s", (int)len, text);
}

static struct pulse_wasm *open_module(uint32_t max_pages, uint64_t fuel,
				      int64_t timeout_ns)
{
	PULSE_OPTS(pulse_wasm_opts, o, .path = module_path, .fuel = fuel,
		   .timeout_ns = timeout_ns, .max_pages = max_pages,
		   .max_reply_bytes = 4000, .on_reply = on_reply,
		   .on_log = on_log, .arg = reply);
	struct pulse_wasm *w = NULL;

	KT_EQ(pulse_wasm_open(&o, &w), 0);
	return w;
}

static int run(struct pulse_wasm *w, int type, const char *text)
{
	PULSE_OPTS(pulse_chain_event, e, .type = type, .data = text,
		   .len = strlen(text));

	return pulse_wasm_run(w, &e);
}

static struct pulse_wasm_stats stats_of(struct pulse_wasm *w)
{
	PULSE_OPTS(pulse_wasm_stats, s);

	KT_EQ(pulse_wasm_stats(w, &s), 0);
	return s;
}

KT_TEST(a_module_reads_the_message_logs_and_replies)
{
	struct pulse_wasm *w;

	NEED_MODULE();
	w = open_module(0, 0, 0);
	KT_EQ(run(w, 1, "abc"), 1);
	KT_STREQ(reply, "abc1");
	KT_STREQ(logged, "hello");
	KT_EQ(run(w, 1, ""), 1);
	KT_STREQ(reply, "2");		/* its globals last */
	KT_EQ(run(w, 2, "x"), 0);
	KT_EQ(run(w, 3, "x"), -EACCES);
	KT_EQ(run(w, 4, "x"), -EPROTO);
	KT_EQ(stats_of(w).runs, 5);
	KT_EQ(stats_of(w).instances, 1);
	KT_CHECK(stats_of(w).fuel > 0);
	KT_EQ(pulse_wasm_close(w), 0);
}

KT_TEST(each_trap_fails_its_event_alone)
{
	static const struct {
		int type, trap, err;
	} cases[] = {
		{ 10, PULSE_WASM_TRAP_UNREACHABLE, -EFAULT },
		{ 11, PULSE_WASM_TRAP_BOUNDS, -EFAULT },
		{ 12, PULSE_WASM_TRAP_BOUNDS, -EFAULT },
		{ 13, PULSE_WASM_TRAP_FUEL, -ETIMEDOUT },
		{ 14, PULSE_WASM_TRAP_STACK, -EFAULT },
		{ 15, PULSE_WASM_TRAP_DIVISION, -EFAULT },
		{ 16, PULSE_WASM_TRAP_OVERFLOW, -EFAULT },
		{ 17, PULSE_WASM_TRAP_CONVERSION, -EFAULT },
		{ 18, PULSE_WASM_TRAP_INDIRECT, -EFAULT },
		{ 19, PULSE_WASM_TRAP_INDIRECT, -EFAULT },
		{ 20, PULSE_WASM_TRAP_INDIRECT, -EFAULT },
		{ 21, PULSE_WASM_TRAP_BOUNDS, -EFAULT },
		{ 22, PULSE_WASM_TRAP_BOUNDS, -EFAULT },
		{ 23, PULSE_WASM_TRAP_BOUNDS, -EFAULT },
	};
	struct pulse_wasm *w;

	NEED_MODULE();
	w = open_module(0, 1000000, PULSE_FOREVER);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int err = run(w, cases[i].type, "abcdef");

		KT_CHECKF(err == cases[i].err &&
			  (int)stats_of(w).last_trap == cases[i].trap,
			  "type %d: %d, %s", cases[i].type, err,
			  pulse_wasm_trap_name((int)stats_of(w).last_trap));
		/* The next event gets an instance that never ran before. */
		KT_EQ(run(w, 1, "ok"), 1);
		KT_STREQ(reply, "ok1");
	}
	KT_EQ(stats_of(w).traps, ARRAY_SIZE(cases));
	KT_EQ(stats_of(w).timeouts, 1);
	pulse_wasm_close(w);
}

KT_TEST(an_endless_loop_ends_at_its_deadline)
{
	struct pulse_wasm *w;

	NEED_MODULE();
	w = open_module(0, UINT64_MAX, 20 * PULSE__NSEC_PER_MSEC);
	KT_EQ(run(w, 13, ""), -ETIMEDOUT);
	KT_EQ(stats_of(w).last_trap, PULSE_WASM_TRAP_DEADLINE);
	KT_EQ(run(w, 2, ""), 0);
	pulse_wasm_close(w);
}

KT_TEST(memory_grows_as_far_as_both_sides_allow)
{
	struct pulse_wasm *w;

	NEED_MODULE();
	w = open_module(5, 0, 0);
	KT_EQ(run(w, 30, ""), 5);		/* the host's bound */
	KT_EQ(run(w, 31, ""), 1);		/* -1 + 2: refused */
	pulse_wasm_close(w);
	w = open_module(100, 0, 0);
	KT_EQ(run(w, 30, ""), 8);		/* the module's own */
	reply_len = 0;
	KT_EQ(run(w, 32, ""), 1);		/* a reply too long: told so */
	KT_EQ(reply_len, 0);
	pulse_wasm_close(w);
}

static int handled;

static int handler(struct pulse_chain_event *e, void *arg)
{
	(void)e;
	(void)arg;
	handled++;
	return 7;
}

KT_TEST(a_link_of_a_chain_passes_on_answers_or_fails)
{
	PULSE_OPTS(pulse_chain_opts, co, .handler = handler);
	PULSE_OPTS(pulse_link, l, .name = "wasm", .fn = pulse_wasm_link);
	PULSE_OPTS(pulse_chain_event, e, .data = "m", .len = 1);
	struct pulse_chain *chain;
	struct pulse_wasm *w;

	NEED_MODULE();
	handled = 0;
	w = open_module(0, 100000, 0);
	l.arg = w;
	KT_EQ(pulse_chain_create(&co, &chain), 0);
	KT_EQ(pulse_chain_use(chain, &l, NULL), 0);
	e.type = 2;
	KT_EQ(pulse_chain_run(chain, &e), 7);
	KT_EQ(handled, 1);
	e.type = 1;
	KT_EQ(pulse_chain_run(chain, &e), 1);
	e.type = 10;
	KT_EQ(pulse_chain_run(chain, &e), -EFAULT);
	KT_EQ(handled, 1);
	/* An optional one that traps is as if it were not there. */
	pulse_chain_remove(chain, "wasm");
	l.flags = PULSE_LINK_OPTIONAL;
	KT_EQ(pulse_chain_use(chain, &l, NULL), 0);
	KT_EQ(pulse_chain_run(chain, &e), 7);
	e.type = 13;
	KT_EQ(pulse_chain_run(chain, &e), 7);
	pulse_chain_destroy(chain);
	pulse_wasm_close(w);
}

static struct pulse_wasm *shared;

static void *runner(void *arg)
{
	long rounds = (long)(intptr_t)arg;

	for (long i = 0; i < rounds; i++) {
		int type = i % 3 ? 2 : i % 2 ? 10 : 11;
		int err = run(shared, type, "x");

		if (err != (i % 3 ? 0 : -EFAULT))
			KT_FAIL("type %d: %d", type, err);
	}
	return NULL;
}

KT_TEST(threads_run_it_at_once_each_with_its_own_traps)
{
	long rounds = kt_scale(2000);
	pthread_t t[4];

	NEED_MODULE();
	shared = open_module(0, 0, 0);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, runner, (void *)(intptr_t)rounds);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	KT_EQ(stats_of(shared).runs, 4 * rounds);
	KT_EQ(stats_of(shared).traps, 4 * ((rounds + 2) / 3));
	KT_EQ(pulse_wasm_close(shared), 0);
}

KT_TEST(what_is_no_module_is_refused_and_the_fix_told)
{
	PULSE_OPTS(pulse_wasm_opts, o);
	struct pulse_wasm *w;
	char path[PATH_MAX];
	FILE *f;

	KT_EQ(pulse_wasm_open(NULL, &w), -EINVAL);
	o.path = "/nowhere/at.all";
	KT_EQ(pulse_wasm_open(&o, &w), -ENOENT);
	o.path = "/etc/passwd";
	KT_EQ(pulse_wasm_open(&o, &w), -ENOEXEC);
	o.path = "/proc/self/exe";
	KT_EQ(pulse_wasm_open(&o, &w), -ENOEXEC);
	strcpy(path, "/tmp/pulse-wasm-raw-XXXXXX");
	f = fdopen(mkstemp(path), "w");
	fwrite("\0asm\1\0\0\0", 1, 8, f);
	fclose(f);
	o.path = path;
	KT_EQ(pulse_wasm_open(&o, &w), -ENOPKG);
	unlink(path);
	o.stack_bytes = 100;
	KT_EQ(pulse_wasm_open(&o, &w), -EINVAL);
	KT_CHECK(!w);
}

KT_TEST(a_module_that_asks_for_too_much_is_told_when_it_is_made)
{
	PULSE_OPTS(pulse_wasm_opts, o, .path = module_path, .max_pages = 1);
	struct pulse_wasm *w;
	char path[PATH_MAX + 32];

	NEED_MODULE();
	KT_EQ(compile("(module (import \"env\" \"f\" (func)) (memory (export \"memory\") 1)"
		      "(func (export \"pulse_handle\") (param i32) (result i32) (i32.const 0)))",
		      "imports", "wat"), 1);
	KT_EQ(compile("(module (memory (export \"memory\") 1))", "empty", "wat"), 1);
	KT_EQ(compile("(module (memory (export \"memory\") 1)"
		      "(func (export \"pulse_handle\") (result i32) (i32.const 0)))",
		      "type", "wat"), 1);
	KT_EQ(compile("not a module", "none", "wat"), 1);
	/* Starts with more memory than it may have; loops in its start function. */
	KT_EQ(compile("(module (memory (export \"memory\") 2)"
		      "(func (export \"pulse_handle\") (param i32) (result i32) (i32.const 0)))",
		      "big", "wat"), 0);
	snprintf(path, sizeof(path), "%s/big.so", dir);
	o.path = path;
	KT_EQ(pulse_wasm_open(&o, &w), -ENOMEM);
	o.max_pages = 2;
	KT_EQ(pulse_wasm_open(&o, &w), 0);
	KT_EQ(pulse_wasm_close(w), 0);
	KT_EQ(compile("(module (memory (export \"memory\") 1) (func $s (loop $l (br $l))) (start $s)"
		      "(func (export \"pulse_handle\") (param i32) (result i32) (i32.const 0)))",
		      "start", "wat"), 0);
	snprintf(path, sizeof(path), "%s/start.so", dir);
	o.fuel = 10000;
	KT_EQ(pulse_wasm_open(&o, &w), -ETIMEDOUT);
}

KT_MAIN()
