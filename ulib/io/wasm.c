// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * wasm.c - modules that pulse-wasm-cc compiled, or WebAssembly itself where there
 * is a runtime for it (plugin/wasm.h), loaded and run.
 *
 * Instances that nobody runs lie in a list behind a lock. A run takes one, or has
 * one made; after a trap it is thrown away, because its memory may be anything.
 */
#include "base/base.h"
#include "io/plugin.h"
#include "io/plugin/wasm.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <pulse-u/wasm.h>

/* A recursion without an end takes memory of a runtime until the fuel is used up. */
#define COMPILED_FUEL	(1ULL << 32)
#define RUNTIME_FUEL	(1ULL << 24)

struct instance {
	struct instance *next;
	void *self;
};

struct pulse_wasm {
	struct pulse_wasm_opts o;
	char *path;
	void *lib;				/* one of these two, ... */
	const struct pulse_wasm_module *module;
	const struct pulse__wasm_runtime *runtime;
	void *program;
	void (*run)(void *instance, struct pulse_wasm_call *call); /* ... whose these are */
	void (*end)(void *instance);
	pthread_mutex_t lock;		/* the words below */
	struct instance *idle;
	uint32_t nr;			/* instances that there are */
	uint32_t running;
	bool said;			/* a trap was logged */
	struct pulse_wasm_stats n;
};

/* One run: what the module says in it. */
struct host {
	const struct pulse_wasm *wasm;
	void *reply;
	size_t reply_len;
	bool replied;
};

const char *pulse_wasm_trap_name(int trap)
{
	static const char *const names[] = {
		[PULSE_WASM_TRAP_NONE] = "no trap",
		[PULSE_WASM_TRAP_BOUNDS] = "access out of bounds",
		[PULSE_WASM_TRAP_OVERFLOW] = "integer overflow",
		[PULSE_WASM_TRAP_DIVISION] = "division by zero",
		[PULSE_WASM_TRAP_CONVERSION] = "conversion of what is no number",
		[PULSE_WASM_TRAP_UNREACHABLE] = "unreachable code",
		[PULSE_WASM_TRAP_INDIRECT] = "indirect call of another type",
		[PULSE_WASM_TRAP_EXCEPTION] = "uncaught exception",
		[PULSE_WASM_TRAP_STACK] = "stack exhausted",
		[PULSE_WASM_TRAP_FUEL] = "out of fuel",
		[PULSE_WASM_TRAP_DEADLINE] = "out of time",
		[PULSE_WASM_TRAP_MEMORY] = "out of memory",
		[PULSE_WASM_TRAP_EXIT] = "it called exit()",
	};

	return trap >= 0 && (size_t)trap < ARRAY_SIZE(names) ? names[trap] :
	       "unknown trap";
}

/* ---- what the module calls ---------------------------------------------------- */

static void host_log(void *arg, int level, const char *text, size_t len)
{
	const struct host *host = arg;
	const struct pulse_wasm *wasm = host->wasm;

	if (wasm->o.on_log)
		wasm->o.on_log(level, text, len, wasm->o.arg);
	else
		pulse_log(level, "wasm: %s: %.*s", wasm->path,
			  len > 512 ? 512 : (int)len, text);
}

static int host_reply(void *arg, const void *data, size_t len)
{
	struct host *host = arg;
	void *more;

	if (len > host->wasm->o.max_reply_bytes)
		return -1;
	more = pulse__realloc(host->reply, len + 1);
	if (!more)
		return -1;
	memcpy(more, data, len);
	host->reply = more;
	host->reply_len = len;
	host->replied = true;
	return 0;
}

/* ---- instances ----------------------------------------------------------------- */

static struct pulse_wasm_call call_for(const struct pulse_wasm *wasm,
				       struct host *host)
{
	return (struct pulse_wasm_call){
		.fuel = wasm->o.fuel,
		.deadline_ns = pulse__deadline_after(pulse_now_ns(),
						     wasm->o.timeout_ns),
		.stack_bytes = wasm->o.stack_bytes,
		.host = host,
		.log = host_log,
		.reply = host_reply,
	};
}

static int trap_err(int trap)
{
	switch (trap) {
	case PULSE_WASM_TRAP_NONE:
	case PULSE_WASM_TRAP_MEMORY:
		return -ENOMEM;
	case PULSE_WASM_TRAP_FUEL:
	case PULSE_WASM_TRAP_DEADLINE:
		return -ETIMEDOUT;
	default:
		return -EFAULT;
	}
}

/* The first one of a module is said aloud, the rest for those who look. */
static void note_trap(struct pulse_wasm *wasm, int trap)
{
	bool first;

	pthread_mutex_lock(&wasm->lock);
	first = !wasm->said;
	wasm->said = true;
	wasm->n.traps++;
	wasm->n.timeouts += trap == PULSE_WASM_TRAP_FUEL ||
			    trap == PULSE_WASM_TRAP_DEADLINE;
	wasm->n.last_trap = (uint32_t)trap;
	pthread_mutex_unlock(&wasm->lock);
	pulse_log(first ? PULSE_LOG_WARN : PULSE_LOG_DEBUG, "wasm: %s: %s",
		  wasm->path, pulse_wasm_trap_name(trap));
}

static struct instance *instance_new(struct pulse_wasm *wasm, int *err)
{
	struct host host = { .wasm = wasm };
	struct pulse_wasm_call call = call_for(wasm, &host);
	struct instance *in = pulse__malloc(sizeof(*in));

	*err = -ENOMEM;
	if (!in)
		return NULL;
	in->self = wasm->runtime ? wasm->runtime->make(wasm->program, &call) :
		   wasm->module->make(&call, wasm->o.max_pages);
	pulse__free(host.reply);
	if (in->self) {
		*err = 0;
		return in;
	}
	if (call.trap)
		note_trap(wasm, call.trap);
	*err = trap_err(call.trap);
	pulse__free(in);
	return NULL;
}

/* One that nobody runs, or a new one; counted as running. */
static struct instance *take(struct pulse_wasm *wasm, int *err)
{
	struct instance *in;

	*err = 0;
	pthread_mutex_lock(&wasm->lock);
	in = wasm->idle;
	if (in) {
		wasm->idle = in->next;
	} else if (wasm->nr == wasm->o.max_instances) {
		wasm->n.refused++;
		*err = -EAGAIN;
	} else {
		wasm->nr++;
	}
	wasm->running += !*err;
	pthread_mutex_unlock(&wasm->lock);
	if (in || *err)
		return in;
	in = instance_new(wasm, err);
	pthread_mutex_lock(&wasm->lock);
	if (in) {
		wasm->n.instances++;
	} else {
		wasm->nr--;
		wasm->running--;
	}
	pthread_mutex_unlock(&wasm->lock);
	return in;
}

static void give_back(struct pulse_wasm *wasm, struct instance *in, bool whole,
		      uint64_t fuel)
{
	if (!whole)
		wasm->end(in->self);
	pthread_mutex_lock(&wasm->lock);
	wasm->running--;
	wasm->n.runs++;
	wasm->n.fuel += fuel;
	if (whole) {
		in->next = wasm->idle;
		wasm->idle = in;
		in = NULL;
	} else {
		wasm->nr--;
	}
	pthread_mutex_unlock(&wasm->lock);
	pulse__free(in);
}

/* ---- runs ---------------------------------------------------------------------- */

int pulse_wasm_run(struct pulse_wasm *wasm, struct pulse_chain_event *event)
{
	struct host host = { .wasm = wasm };
	struct pulse_wasm_call call;
	struct instance *in;
	int err;

	if (!wasm || !event ||
	    event->sz < pulse__size_to(struct pulse_chain_event, reply) ||
	    event->len > INT32_MAX)
		return -EINVAL;
	in = take(wasm, &err);
	if (!in)
		return err;
	call = call_for(wasm, &host);
	call.message = event->data;
	call.len = event->len;
	call.type = event->type;
	wasm->run(in->self, &call);
	give_back(wasm, in, !call.trap, call.fuel);
	if (call.trap) {
		note_trap(wasm, call.trap);
		err = trap_err(call.trap);
	} else {
		/* What is no errno would be taken for one elsewhere. */
		err = call.result < -4095 ? -EPROTO : call.result;
		if (err >= 0 && host.replied && wasm->o.on_reply)
			wasm->o.on_reply(event, host.reply, host.reply_len,
					 wasm->o.arg);
	}
	pulse__free(host.reply);
	return err;
}

int pulse_wasm_link(struct pulse_chain_event *event, const struct pulse_next *next,
		    void *wasm)
{
	int err = pulse_wasm_run(wasm, event);

	return err ? err : pulse_next_run(next, event);
}

int pulse_wasm_stats(struct pulse_wasm *wasm, struct pulse_wasm_stats *out)
{
	int err;

	if (!wasm)
		return -EINVAL;
	err = pulse__out_check(out, pulse__size_to(typeof(*out), reserved));
	if (err)
		return err;
	pthread_mutex_lock(&wasm->lock);
	pulse__out_store(out, &wasm->n, sizeof(wasm->n));
	pthread_mutex_unlock(&wasm->lock);
	return 0;
}

/* ---- loading ------------------------------------------------------------------- */

/* What kind of file it is: 0 a shared object, 1 WebAssembly; or an error. */
static int look_at(const char *path)
{
	char magic[4] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, magic, sizeof(magic));
	close(fd);
	if (n == 4 && !memcmp(magic, "\0asm", 4))
		return 1;
	if (n == 4 && !memcmp(magic, "\177ELF", 4))
		return 0;
	pulse_log(PULSE_LOG_ERROR,
		  "wasm: %s is no shared object; fix: pulse-wasm-cc makes one", path);
	return -ENOEXEC;
}

static int load_compiled(struct pulse_wasm *wasm)
{
	char path[PATH_MAX];

	/* A name without a slash would be looked for elsewhere. */
	if (snprintf(path, sizeof(path), "%s%s", strchr(wasm->path, '/') ? "" : "./",
		     wasm->path) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	wasm->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!wasm->lib) {
		pulse_log(PULSE_LOG_ERROR, "wasm: %s", dlerror());
		return -ENOEXEC;
	}
	wasm->module = dlsym(wasm->lib, PULSE_WASM_SYMBOL);
	if (!wasm->module) {
		pulse_log(PULSE_LOG_ERROR,
			  "wasm: %s was not made by pulse-wasm-cc", wasm->path);
		return -ENOEXEC;
	}
	if (wasm->module->abi != PULSE_WASM_ABI ||
	    wasm->module->call_bytes != sizeof(struct pulse_wasm_call)) {
		pulse_log(PULSE_LOG_ERROR,
			  "wasm: %s is of version %u, this library wants %d; fix: compile it again",
			  wasm->path, wasm->module->abi, PULSE_WASM_ABI);
		return -EPROTO;
	}
	wasm->run = wasm->module->run;
	wasm->end = wasm->module->end;
	return 0;
}

static int load_webassembly(struct pulse_wasm *wasm)
{
	const struct pulse__wasm_runtime *rt;
	char why[256] = "";
	int err;

	rt = pulse__plugin_symbol("wasm", "runtime", "pulse__wasm_runtime");
	if (rt && (rt->abi != PULSE__WASM_RUNTIME_ABI ||
		   rt->call_bytes != sizeof(struct pulse_wasm_call))) {
		pulse__warn_once("wasm-runtime.so is of another version of the library");
		rt = NULL;
	}
	if (!rt) {
		pulse_log(PULSE_LOG_ERROR,
			  "wasm: %s is WebAssembly that was not compiled, and there is no runtime for that here; fix: pulse-wasm-cc %s -o module.so",
			  wasm->path, wasm->path);
		return -ENOPKG;
	}
	err = rt->load(wasm->path, wasm->o.max_pages, &wasm->program, why, sizeof(why));
	if (err) {
		pulse_log(PULSE_LOG_ERROR, "wasm: %s: %s", wasm->path, why);
		return err;
	}
	wasm->runtime = rt;
	wasm->run = rt->run;
	wasm->end = rt->end;
	if (!wasm->o.fuel)
		wasm->o.fuel = RUNTIME_FUEL;
	return 0;
}

static int load(struct pulse_wasm *wasm)
{
	int kind = look_at(wasm->path);

	if (kind < 0)
		return kind;
	if (kind)
		return load_webassembly(wasm);
	if (!wasm->o.fuel)
		wasm->o.fuel = COMPILED_FUEL;
	return load_compiled(wasm);
}

static int load_opts(struct pulse_wasm_opts *o, const struct pulse_wasm_opts *opts)
{
	int err = pulse__opts_load(o, sizeof(*o), pulse__size_to(typeof(*o), arg),
				   opts);

	if (err)
		return err;
	if (!o->timeout_ns)
		o->timeout_ns = PULSE__NSEC_PER_SEC;
	if (!o->max_pages)
		o->max_pages = 1024;
	if (!o->max_reply_bytes)
		o->max_reply_bytes = 1 << 20;
	if (!o->max_instances)
		o->max_instances = 64;
	if (!o->stack_bytes)
		o->stack_bytes = 256 << 10;
	return !o->path || !*o->path || o->timeout_ns < 0 ||
	       o->max_pages > 65535 || o->max_instances > 4096 ||
	       o->stack_bytes < 16 << 10 ? -EINVAL : 0;
}

static void unload(struct pulse_wasm *wasm)
{
	while (wasm->idle) {
		struct instance *in = wasm->idle;

		wasm->idle = in->next;
		wasm->end(in->self);
		pulse__free(in);
	}
	if (wasm->program)
		wasm->runtime->unload(wasm->program);
	if (wasm->lib)
		dlclose(wasm->lib);
	pthread_mutex_destroy(&wasm->lock);
	pulse__free(wasm->path);
	pulse__free(wasm);
}

int pulse_wasm_open(const struct pulse_wasm_opts *opts, struct pulse_wasm **out)
{
	struct pulse_wasm_opts o;
	struct pulse_wasm *wasm;
	struct instance *in;
	int err;

	if (!out)
		return -EINVAL;
	*out = NULL;
	err = load_opts(&o, opts);
	if (err)
		return err;
	wasm = pulse__calloc(1, sizeof(*wasm));
	if (!wasm)
		return -ENOMEM;
	if (pthread_mutex_init(&wasm->lock, NULL)) {
		pulse__free(wasm);
		return -ENOMEM;
	}
	wasm->o = o;
	wasm->n.sz = sizeof(wasm->n);
	wasm->path = pulse__strdup(o.path);
	err = wasm->path ? load(wasm) : -ENOMEM;
	if (!err) {
		in = take(wasm, &err);
		if (in) {
			in->next = NULL;
			wasm->idle = in;
			wasm->running = 0;
		}
	}
	if (err) {
		unload(wasm);
		return err;
	}
	*out = wasm;
	return 0;
}

int pulse_wasm_close(struct pulse_wasm *wasm)
{
	bool busy;

	if (!wasm)
		return -EINVAL;
	pthread_mutex_lock(&wasm->lock);
	busy = wasm->running;
	pthread_mutex_unlock(&wasm->lock);
	if (busy)
		return -EBUSY;
	unload(wasm);
	return 0;
}
