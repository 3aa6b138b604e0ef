// SPDX-License-Identifier: GPL-2.0-only
/*
 * WebAssembly modules as links: what they do right, and every way to misbehave.
 * The modules are wasm/NAME.wat, and are compiled here by tools/wasm/pulse-wasm-cc;
 * or PULSE_TEST_WASM is a folder of NAME.wasm, which a runtime runs.
 */
#include "base/base.h"
#include "ktap.h"
#include "plugins.h"

#include "../ulib/all/no_memory.h"

#include <limits.h>
#include <pthread.h>
#include <sys/wait.h>

#include <pulse-u/handler.h>
#include <pulse-u/wasm.h>

static char dir[] = "/tmp/pulse-wasm-XXXXXX";
static char module_path[PATH_MAX], why_not[128];

/* The folder of the runtime's modules; NULL: they are compiled. */
static const char *for_runtime(void)
{
	return getenv("PULSE_TEST_WASM");
}

static void clean_up(void)
{
	char command[PATH_MAX];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	(void)!system(command);
}

/* The folder that tools/ and selftests/ are in. */
static bool root(char *path, size_t len)
{
	char exe[PATH_MAX - 64];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n < 0)
		return false;
	exe[n] = 0;
	for (char *slash; (slash = strrchr(exe, '/'));) {
		*slash = 0;
		snprintf(path, len, "%s/tools/wasm/pulse-wasm-cc", exe);
		if (!access(path, X_OK)) {
			snprintf(path, len, "%s", exe);
			return true;
		}
	}
	return false;
}

/* Compiles a file of the tree to dir/NAME.so; the compiler's exit code. */
static int compile(const char *file, const char *name, const char *options)
{
	char top[PATH_MAX], command[4 * PATH_MAX];
	int status;

	if (!root(top, sizeof(top)))
		return 77;
	snprintf(command, sizeof(command),
		 "%s/tools/wasm/pulse-wasm-cc %s %s/%s -o %s/%s.so >%s/out 2>&1", top,
		 options, top, file, dir, name, dir);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The module of wasm/NAME.wat: 0 and its path; or why there is none. */
static int module_of(const char *name, char *path)
{
	char file[64];

	if (for_runtime()) {
		snprintf(path, PATH_MAX, "%s/%s.wasm", for_runtime(), name);
		return 0;
	}
	snprintf(file, sizeof(file), "selftests/abuse/wasm/%s.wat", name);
	snprintf(path, PATH_MAX, "%s/%s.so", dir, name);
	return compile(file, name, "");
}

static bool have_folder(void)
{
	static bool made;

	if (!made && mkdtemp(dir)) {
		made = true;
		atexit(clean_up);
	}
	return made;
}

/* The module of most tests, made once. */
static bool have_module(void)
{
	static int state;

	if (state)
		return state > 0;
	if (!have_folder())
		return false;
	switch (module_of("module", module_path)) {
	case 0:
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
		int err = run(w, cases[i].type, "abcdef"), want = cases[i].err;
		int trap = cases[i].trap;

		/* The stack of a runtime is not the thread's: fuel ends it. */
		if (for_runtime() && trap == PULSE_WASM_TRAP_STACK) {
			trap = PULSE_WASM_TRAP_FUEL;
			want = -ETIMEDOUT;
		}
		KT_CHECKF(err == want && (int)stats_of(w).last_trap == trap,
			  "type %d: %d, %s", cases[i].type, err,
			  pulse_wasm_trap_name((int)stats_of(w).last_trap));
		/* The next event gets an instance that never ran before. */
		KT_EQ(run(w, 1, "ok"), 1);
		KT_STREQ(reply, "ok1");
	}
	KT_EQ(stats_of(w).traps, ARRAY_SIZE(cases));
	KT_EQ(stats_of(w).timeouts, for_runtime() ? 2 : 1);
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

/* In the middle of a run: another one, and an end. */
static struct pulse_wasm *deep;
static int nested, nested_err[8], busy_err;

static void run_again(int level, const char *text, size_t len, void *arg)
{
	int i = nested++;

	(void)level;
	(void)text;
	(void)len;
	(void)arg;
	if (i < (int)ARRAY_SIZE(nested_err))
		nested_err[i] = run(deep, 1, "x");
	busy_err = pulse_wasm_close(deep);
}

KT_TEST(no_more_instances_run_at_once_than_it_may_have)
{
	PULSE_OPTS(pulse_wasm_opts, o, .on_log = run_again, .on_reply = on_reply,
		   .arg = reply);

	NEED_MODULE();
	o.path = module_path;
	for (uint32_t max = 1; max <= 3; max++) {
		o.max_instances = max;
		KT_REQUIRE(pulse_wasm_open(&o, &deep) == 0);
		nested = busy_err = 0;
		KT_EQ(run(deep, 1, "x"), 1);
		/* The innermost found no more; all that had one ran. */
		KT_EQ(nested, max);
		for (uint32_t i = 0; i < max; i++)
			KT_EQ(nested_err[i], i + 1 == max ? -EAGAIN : 1);
		KT_EQ(busy_err, -EBUSY);
		KT_EQ(stats_of(deep).refused, 1);
		KT_EQ(stats_of(deep).instances, max);
		KT_EQ(stats_of(deep).runs, max);
		/* A trap leaves room for another. */
		for (int i = 0; i < 5; i++)
			KT_EQ(run(deep, 10, "x"), -EFAULT);
		nested = 0;
		KT_EQ(run(deep, 1, "x"), 1);
		KT_EQ(nested, max);
		KT_EQ(stats_of(deep).refused, 2);
		KT_EQ(pulse_wasm_close(deep), 0);
	}
	o.max_instances = 4097;
	KT_EQ(pulse_wasm_open(&o, &deep), -EINVAL);
}

/* U04 */
static int life_of_a_module(void)
{
	PULSE_OPTS(pulse_wasm_opts, o, .path = module_path, .on_reply = on_reply,
		   .on_log = on_log, .arg = reply);
	struct pulse_wasm *w = NULL;
	int err;

	from_here();
	err = pulse_wasm_open(&o, &w);
	if (err) {
		KT_CHECK(!w);
		return err;
	}
	/* A trap throws away the instance that it was opened with. */
	KT_EQ(run(w, 10, "x"), -EFAULT);
	reply_len = 0;
	err = run(w, 1, "abc");
	if (err == 1)	/* its answer is told to have gone nowhere */
		err = reply_len == 4 ? 0 : -ENOMEM;
	KT_EQ(run(w, 1, "abc"), 1);
	KT_CHECK(reply_len == 4);
	KT_EQ(pulse_wasm_close(w), 0);
	return err;
}

KT_TEST(each_allocation_of_a_module_may_fail)
{
	NEED_MODULE();
	each_may_fail("a module", life_of_a_module);
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
	o.path = path;		/* a runtime finds that it exports nothing */
	KT_EQ(pulse_wasm_open(&o, &w), for_runtime() ? -ENOEXEC : -ENOPKG);
	unlink(path);
	o.stack_bytes = 100;
	KT_EQ(pulse_wasm_open(&o, &w), -EINVAL);
	KT_CHECK(!w);
}

/* It is told by the compiler, or by the runtime as it loads it. */
static void refused(const char *name)
{
	PULSE_OPTS(pulse_wasm_opts, o);
	char path[PATH_MAX];
	struct pulse_wasm *w;
	int err = module_of(name, path);

	if (for_runtime()) {
		o.path = path;
		err = pulse_wasm_open(&o, &w);
	}
	KT_CHECKF(err == (for_runtime() ? -ENOEXEC : 1), "%s: %d", name, err);
}

KT_TEST(a_module_that_asks_for_too_much_is_told_when_it_is_made)
{
	PULSE_OPTS(pulse_wasm_opts, o, .max_pages = 1);
	struct pulse_wasm *w;
	char path[PATH_MAX];

	NEED_MODULE();
	refused("imports");
	refused("empty");
	refused("type");
	if (!for_runtime())
		KT_EQ(compile("CHANGES", "none", ""), 1);
	o.path = path;
	KT_EQ(module_of("big", path), 0);
	KT_EQ(pulse_wasm_open(&o, &w), -ENOMEM);
	o.max_pages = 2;
	KT_EQ(pulse_wasm_open(&o, &w), 0);
	KT_EQ(pulse_wasm_close(w), 0);
	KT_EQ(module_of("start", path), 0);
	o.fuel = 10000;
	KT_EQ(pulse_wasm_open(&o, &w), -ETIMEDOUT);
}

/* ---- WASI ------------------------------------------------------------------------ */

static char lines[8][64];
static int levels[8], nr_lines;

static void on_line(int level, const char *text, size_t len, void *arg)
{
	(void)arg;
	if (nr_lines == 8)
		return;
	levels[nr_lines] = level;
	snprintf(lines[nr_lines++], sizeof(lines[0]), "%.*s", (int)len, text);
}

KT_TEST(wasi_is_there_in_part_and_the_rest_says_so)
{
	static const struct {
		int type, want;
	} cases[] = {
		{ 1, 15 }, { 2, 8 }, { 3, 21 }, { 4, 21 }, { 5, 1 }, { 6, 28 },
		{ 7, 21 }, { 8, 1 }, { 9, 21 }, { 10, 0 }, { 11, 21 }, { 12, 2 },
		{ 13, 8 }, { 14, 52 }, { 15, 52 }, { 20, -EFAULT }, { 5, 1 },
	};
	PULSE_OPTS(pulse_wasm_opts, o, .on_log = on_line);
	struct pulse_wasm *w;
	char path[PATH_MAX];

	NEED_MODULE();
	KT_EQ(module_of("wasi", path), 0);
	o.path = path;
	KT_REQUIRE(pulse_wasm_open(&o, &w) == 0);
	nr_lines = 0;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int n = run(w, cases[i].type, "");

		KT_CHECKF(n == cases[i].want, "type %d: %d", cases[i].type, n);
	}
	KT_EQ(stats_of(w).traps, 1);
	KT_EQ(stats_of(w).last_trap, PULSE_WASM_TRAP_EXIT);
	/* By lines; what has no end of line is one at the end of the run. */
	KT_STREQ(lines[0], "hello wasi");
	KT_EQ(levels[0], PULSE_LOG_WARN);
	KT_STREQ(lines[1], "more");
	/* What was written before a piece that is not there. */
	KT_STREQ(lines[2], "hello wasi");
	KT_EQ(levels[2], PULSE_LOG_INFO);
	KT_EQ(nr_lines, 4);
	KT_EQ(pulse_wasm_close(w), 0);
}

/* examples/wasm/words.c, with the C library of wasi-libc. */
KT_TEST(a_c_program_with_its_library)
{
	PULSE_OPTS(pulse_wasm_opts, o, .on_log = on_line, .on_reply = on_reply,
		   .arg = reply);
	struct pulse_wasm *w;
	char path[PATH_MAX];

	NEED_MODULE();
	snprintf(path, sizeof(path), "%s/words.%s", for_runtime() ? for_runtime() : dir,
		 for_runtime() ? "wasm" : "so");
	if (!for_runtime()) {
		int err = compile("examples/wasm/words.c", "words", "--wasi");

		if (err == 77)
			KT_SKIP("no wasi-libc, clang or lld (apt install them)");
		KT_EQ(err, 0);
	}
	o.path = path;
	KT_REQUIRE(pulse_wasm_open(&o, &w) == 0);
	nr_lines = 0;
	KT_EQ(run(w, 1, "the cat and the dog and the end"), 1);
	KT_STREQ(reply, "the 3\nand 2\ncat 1\ndog 1\nend 1\n");
	KT_EQ(nr_lines, 1);
	KT_STREQ(lines[0], "5 words");
	KT_EQ(run(w, 1, ""), 1);
	KT_STREQ(reply, "");
	/* It asks for memory until there is none, says so itself, and goes on. */
	KT_EQ(run(w, 1, "!memory"), -ENOMEM);
	KT_EQ(stats_of(w).traps, 0);
	KT_EQ(run(w, 1, "!abort"), -EFAULT);
	KT_EQ(stats_of(w).last_trap, PULSE_WASM_TRAP_UNREACHABLE);
	KT_EQ(run(w, 1, "!exit"), -EFAULT);
	KT_EQ(stats_of(w).last_trap, PULSE_WASM_TRAP_EXIT);
	KT_EQ(run(w, 1, "a b a"), 1);
	KT_STREQ(reply, "a 2\nb 1\n");
	KT_EQ(pulse_wasm_close(w), 0);
}

KT_MAIN()
