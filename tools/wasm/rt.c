// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * rt.c - what a module that wasm2c turned into C runs on.
 *
 * pulse-wasm-cc compiles this file beside the module's C into one shared object;
 * <wasm-rt.h> is wabt's, the functions it declares are ours. Memory accesses are
 * compared with the memory's size (no signal handler). pulse-wasm-cc puts a call of
 * pulse__wasm_step() at each label and at the beginning of each function of that C:
 * no loop and no recursion does without one. There fuel and stack are looked at.
 * A trap is a jump to the frame of the run: the module's frames hold nothing.
 *
 * An instance is used by one thread at a time; the run under way is the thread's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include MODULE_H

#include <pulse-u/wasm.h>

#include "wasi.h"

#define SLICE	65536U		/* steps from one look at the clock to the next */
#define PAGE	65536U
#define TABLE_MAX 1000000U

struct run {
	struct pulse_wasm_call *call;
	struct Z_pulse_instance_t *self;
	uint32_t left;			/* steps of this slice */
	uint64_t used;			/* of slices before */
	uint64_t stack_end;
	uint32_t max_pages;
	jmp_buf out;
};

/* What imports are given: of the instance they belong to. */
struct Z_wasi_snapshot_preview1_instance_t {
	struct pulse__wasi wasi;
};

struct Z_pulse_instance_t {
	MODULE_T module;
	uint32_t max_pages;
	struct Z_wasi_snapshot_preview1_instance_t wasi;
};

/* A word of static TLS: a step costs no call to find it. */
static __thread struct run *now __attribute__((tls_model("initial-exec")));

static __attribute__((noreturn)) void trap(int why)
{
	now->call->trap = why;
	longjmp(now->out, 1);
}

/* ---- fuel and stack ---------------------------------------------------------- */

static uint32_t slice(const struct run *r)
{
	uint64_t rest = r->call->fuel - r->used;

	return rest < SLICE ? (uint32_t)rest : SLICE;
}

static __attribute__((noinline)) void slice_over(struct run *r, uint32_t was)
{
	struct timespec ts;

	r->used += was;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (r->used >= r->call->fuel)
		trap(PULSE_WASM_TRAP_FUEL);
	if (ts.tv_sec * 1000000000LL + ts.tv_nsec >= r->call->deadline_ns)
		trap(PULSE_WASM_TRAP_DEADLINE);
	r->left = slice(r);
}

void pulse__wasm_step(void);
void pulse__wasm_step(void)
{
	struct run *r = now;

	/* While it is loaded, and when an instance is freed. */
	if (__builtin_expect(!r, 0))
		return;
	if ((uintptr_t)__builtin_frame_address(0) < r->stack_end)
		trap(PULSE_WASM_TRAP_STACK);
	if (!--r->left)
		slice_over(r, slice(r));
}

/* What a host function does for the module costs as well. */
static void cost(uint32_t n)
{
	struct run *r = now;

	while (n >= r->left) {
		n -= r->left;
		slice_over(r, slice(r));
	}
	r->left -= n;
}

/* ---- what the module's C calls ------------------------------------------------ */

void wasm_rt_trap(wasm_rt_trap_t why)
{
	switch (why) {
	case WASM_RT_TRAP_OOB:
		trap(PULSE_WASM_TRAP_BOUNDS);
	case WASM_RT_TRAP_INT_OVERFLOW:
		trap(PULSE_WASM_TRAP_OVERFLOW);
	case WASM_RT_TRAP_DIV_BY_ZERO:
		trap(PULSE_WASM_TRAP_DIVISION);
	case WASM_RT_TRAP_INVALID_CONVERSION:
		trap(PULSE_WASM_TRAP_CONVERSION);
	case WASM_RT_TRAP_CALL_INDIRECT:
		trap(PULSE_WASM_TRAP_INDIRECT);
	case WASM_RT_TRAP_UNCAUGHT_EXCEPTION:
		trap(PULSE_WASM_TRAP_EXCEPTION);
	case WASM_RT_TRAP_EXHAUSTION:
		trap(PULSE_WASM_TRAP_STACK);
	default:
		trap(PULSE_WASM_TRAP_UNREACHABLE);
	}
}

bool wasm_rt_is_initialized(void)
{
	return true;
}

/* Types of functions by their parameters and results; made while it is loaded. */
static struct type {
	struct type *next;
	uint32_t id, params, results;
	uint8_t kind[];
} *types;

/* The same parameters and results get the same number. */
uint32_t wasm_rt_register_func_type(uint32_t params, uint32_t results, ...)
{
	uint32_t nr = params + results;
	struct type *t = calloc(1, sizeof(*t) + nr);
	va_list ap;

	if (!t)
		abort();	/* while it is loaded; nothing runs yet */
	t->params = params;
	t->results = results;
	va_start(ap, results);
	for (uint32_t i = 0; i < nr; i++)
		t->kind[i] = (uint8_t)va_arg(ap, int);
	va_end(ap);
	for (struct type *o = types; o; o = o->next)
		if (o->params == params && o->results == results &&
		    !memcmp(o->kind, t->kind, nr)) {
			free(t);
			return o->id;
		}
	t->id = types ? types->id + 1 : 1;
	t->next = types;
	types = t;
	return t->id;
}

void wasm_rt_allocate_memory(wasm_rt_memory_t *m, uint32_t pages,
			     uint32_t max_pages)
{
	uint32_t bound = now->max_pages;

	memset(m, 0, sizeof(*m));
	if (pages > bound)
		trap(PULSE_WASM_TRAP_MEMORY);
	m->data = calloc(pages ? pages : 1, PAGE);
	if (!m->data)
		trap(PULSE_WASM_TRAP_MEMORY);
	m->pages = pages;
	m->size = pages * PAGE;
	m->max_pages = max_pages < bound ? max_pages : bound;
}

uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *m, uint32_t delta)
{
	uint32_t old = m->pages;
	uint8_t *data;

	if (delta > m->max_pages - old)
		return UINT32_MAX;
	if (!delta)
		return old;
	data = realloc(m->data, (size_t)(old + delta) * PAGE);
	if (!data)
		return UINT32_MAX;
	memset(data + m->size, 0, (size_t)delta * PAGE);
	m->data = data;
	m->pages = old + delta;
	m->size = m->pages * PAGE;
	return old;
}

void wasm_rt_free_memory(wasm_rt_memory_t *m)
{
	free(m->data);
	memset(m, 0, sizeof(*m));
}

void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t *t, uint32_t nr,
				    uint32_t max)
{
	memset(t, 0, sizeof(*t));
	if (nr > TABLE_MAX)
		trap(PULSE_WASM_TRAP_MEMORY);
	t->data = calloc(nr ? nr : 1, sizeof(*t->data));
	if (!t->data)
		trap(PULSE_WASM_TRAP_MEMORY);
	t->size = nr;
	t->max_size = max < TABLE_MAX ? max : TABLE_MAX;
}

void wasm_rt_free_funcref_table(wasm_rt_funcref_table_t *t)
{
	free(t->data);
	memset(t, 0, sizeof(*t));
}

uint32_t wasm_rt_grow_funcref_table(wasm_rt_funcref_table_t *t, uint32_t delta,
				    wasm_rt_funcref_t init)
{
	uint32_t old = t->size;
	void *data;

	if (delta > t->max_size - old)
		return UINT32_MAX;
	data = realloc(t->data, (size_t)(old + delta + 1) * sizeof(*t->data));
	if (!data)
		return UINT32_MAX;
	t->data = data;
	for (uint32_t i = old; i < old + delta; i++)
		t->data[i] = init;
	t->size = old + delta;
	return old;
}

/* ---- what a module may import -------------------------------------------------- */

/* Bytes of the module's memory, or a trap. */
static uint8_t *memory(struct Z_pulse_instance_t *self, uint32_t at, uint32_t len)
{
	wasm_rt_memory_t *m = MODULE_MEMORY(&self->module);

	if ((uint64_t)at + len > m->size)
		trap(PULSE_WASM_TRAP_BOUNDS);
	return m->data + at;
}

void Z_pulseZ_log(struct Z_pulse_instance_t *self, uint32_t level, uint32_t text,
		  uint32_t len);
void Z_pulseZ_log(struct Z_pulse_instance_t *self, uint32_t level, uint32_t text,
		  uint32_t len)
{
	const char *s = (const char *)memory(self, text, len);

	cost(len / 4);
	if (now->call->log)
		now->call->log(now->call->host, level < 3 ? (int)level : 3, s, len);
}

uint32_t Z_pulseZ_message_len(struct Z_pulse_instance_t *self);
uint32_t Z_pulseZ_message_len(struct Z_pulse_instance_t *self)
{
	(void)self;
	return (uint32_t)now->call->len;
}

uint32_t Z_pulseZ_message_read(struct Z_pulse_instance_t *self, uint32_t to,
			       uint32_t from, uint32_t len);
uint32_t Z_pulseZ_message_read(struct Z_pulse_instance_t *self, uint32_t to,
			       uint32_t from, uint32_t len)
{
	size_t there = now->call->len;

	if (from >= there)
		return 0;
	if (len > there - from)
		len = (uint32_t)(there - from);
	cost(len / 16);
	memcpy(memory(self, to, len), (const char *)now->call->message + from, len);
	return len;
}

uint32_t Z_pulseZ_reply(struct Z_pulse_instance_t *self, uint32_t data,
			uint32_t len);
uint32_t Z_pulseZ_reply(struct Z_pulse_instance_t *self, uint32_t data,
			uint32_t len)
{
	const void *p = memory(self, data, len);

	cost(len / 16);
	if (!now->call->reply)
		return UINT32_MAX;
	return (uint32_t)now->call->reply(now->call->host, p, len);
}

/* ---- WASI: wasi.h ---------------------------------------------------------------- */

static uint8_t *wasi_memory(void *arg, uint32_t at, uint32_t len)
{
	struct Z_pulse_instance_t *self = arg;
	wasm_rt_memory_t *m = MODULE_MEMORY(&self->module);

	return (uint64_t)at + len > m->size ? NULL : m->data + at;
}

static void wasi_log(void *arg, int level, const char *text, size_t len)
{
	(void)arg;
	if (now->call->log)
		now->call->log(now->call->host, level, text, len);
}

/* Those that a module does not import are thrown away by the linker. */
#define WASI(name) Z_wasi_snapshot_preview1Z_##name
#define WASI_DEF(name, params, answer)						\
	uint32_t WASI(name)(struct Z_wasi_snapshot_preview1_instance_t *i,	\
			    WASI_ARGS params);					\
	uint32_t WASI(name)(struct Z_wasi_snapshot_preview1_instance_t *i,	\
			    WASI_ARGS params)					\
	{									\
		return answer;							\
	}
#define WASI_ARGS(...) __VA_ARGS__

/* As much as it could take, whatever it does. */
WASI_DEF(fd_write, (uint32_t fd, uint32_t iovs, uint32_t nr, uint32_t out),
	 (cost(512), pulse__wasi_fd_write(&i->wasi, fd, iovs, nr, out)))
WASI_DEF(fd_fdstat_get, (uint32_t fd, uint32_t out),
	 pulse__wasi_fd_fdstat_get(&i->wasi, fd, out))
WASI_DEF(fd_prestat_get, (uint32_t fd, uint32_t out),
	 ((void)i, (void)fd, (void)out, PULSE__WASI_NO_FOLDERS))
WASI_DEF(clock_time_get, (uint32_t id, uint64_t precision, uint32_t out),
	 pulse__wasi_clock_time_get(&i->wasi, id, precision, out))
WASI_DEF(random_get, (uint32_t at, uint32_t len),
	 (cost(len / 2), pulse__wasi_random_get(&i->wasi, at, len)))
WASI_DEF(args_sizes_get, (uint32_t nr, uint32_t bytes),
	 pulse__wasi_none(&i->wasi, nr, bytes))
WASI_DEF(args_get, (uint32_t at, uint32_t text),
	 ((void)i, (void)at, (void)text, PULSE__WASI_OK))
WASI_DEF(environ_sizes_get, (uint32_t nr, uint32_t bytes),
	 pulse__wasi_none(&i->wasi, nr, bytes))
WASI_DEF(environ_get, (uint32_t at, uint32_t text),
	 ((void)i, (void)at, (void)text, PULSE__WASI_OK))

void WASI(proc_exit)(struct Z_wasi_snapshot_preview1_instance_t *i, uint32_t code);
void WASI(proc_exit)(struct Z_wasi_snapshot_preview1_instance_t *i, uint32_t code)
{
	(void)i;
	(void)code;
	trap(PULSE_WASM_TRAP_EXIT);
}

/* ---- runs ---------------------------------------------------------------------- */

static void begin(struct run *r, struct pulse_wasm_call *call, char *here)
{
	r->call = call;
	r->used = 0;
	r->left = slice(r);
	r->stack_end = (uintptr_t)here - call->stack_bytes;
	call->trap = PULSE_WASM_TRAP_NONE;
	now = r;
}

static void finish(struct run *r, struct run *outer, struct pulse__wasi *wasi)
{
	pulse__wasi_flush(wasi);
	r->call->fuel = r->used + slice(r) - r->left;
	now = outer;
}

static void end(void *instance)
{
	struct Z_pulse_instance_t *self = instance;

	MODULE_FREE(&self->module);
	free(self);
}

static void *make(struct pulse_wasm_call *call, uint32_t max_pages)
{
	struct Z_pulse_instance_t *self = calloc(1, sizeof(*self));
	struct run r = { .max_pages = max_pages }, *outer = now;
	char here;

	if (!self)
		return NULL;
	self->wasi.wasi.arg = self;
	self->wasi.wasi.memory = wasi_memory;
	self->wasi.wasi.log = wasi_log;
	begin(&r, call, &here);
	if (!setjmp(r.out)) {
		MODULE_INSTANTIATE(&self->module, self);
#ifdef MODULE_INITIALIZE
		MODULE_INITIALIZE(&self->module);
#endif
	}
	finish(&r, outer, &self->wasi.wasi);
	if (!call->trap)
		return self;
	end(self);
	return NULL;
}

static void run(void *instance, struct pulse_wasm_call *call)
{
	struct Z_pulse_instance_t *self = instance;
	struct run r = { .self = self }, *outer = now;
	char here;

	begin(&r, call, &here);
	if (!setjmp(r.out))
		call->result = (int32_t)MODULE_HANDLE(&self->module,
						      (uint32_t)call->type);
	finish(&r, outer, &self->wasi.wasi);
}

__attribute__((constructor)) static void loaded(void)
{
	MODULE_INIT();
}

__attribute__((destructor)) static void unloaded(void)
{
	while (types) {
		struct type *t = types;

		types = t->next;
		free(t);
	}
}

extern const struct pulse_wasm_module pulse_wasm_module;
__attribute__((visibility("default")))
const struct pulse_wasm_module pulse_wasm_module = {
	.abi = PULSE_WASM_ABI,
	.call_bytes = sizeof(struct pulse_wasm_call),
	.make = make,
	.run = run,
	.end = end,
};
