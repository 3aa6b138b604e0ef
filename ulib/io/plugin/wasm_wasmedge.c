// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * wasm_wasmedge.c - the WebAssembly runtime: WasmEdge's interpreter behind
 * struct pulse__wasm_runtime.
 *
 * Fuel is WasmEdge's cost of instructions, one each. A time limit takes a thread
 * of its own for the run, because that is the only way in which WasmEdge can be
 * told to end it; whoever asked for the run waits meanwhile, so that host functions
 * have the instance for themselves. A host function that finds something wrong
 * writes down which trap it is and fails.
 */
#include "wasi.h"
#include "wasm.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <wasmedge/wasmedge.h>

#define PAGE		65536U
/* Of a start function, which cannot be ended from outside. */
#define START_FUEL	(1U << 24)

struct program {
	WasmEdge_ConfigureContext *conf;
	WasmEdge_ASTModuleContext *code;
	pthread_mutex_t lock;		/* of instantiating */
	uint32_t max_pages;
};

struct instance {
	WasmEdge_StatisticsContext *count;
	WasmEdge_StoreContext *store;
	WasmEdge_ExecutorContext *executor;
	WasmEdge_ModuleInstanceContext *pulse, *wasi, *module;
	const WasmEdge_FunctionInstanceContext *handle;
	WasmEdge_MemoryInstanceContext *memory;
	struct pulse__wasi w;
	/* Of the run under way: */
	struct pulse_wasm_call *call;
	int32_t trap;
};

static WasmEdge_String text(const char *s)
{
	return WasmEdge_StringWrap(s, (uint32_t)strlen(s));
}

static bool is(WasmEdge_String s, const char *what)
{
	return WasmEdge_StringIsEqual(s, text(what));
}

/* ---- what the module calls ---------------------------------------------------- */

static uint8_t *at(struct instance *in, uint32_t from, uint32_t len)
{
	static uint8_t nothing;
	uint64_t there = !in->memory ? 0 :
			 (uint64_t)WasmEdge_MemoryInstanceGetPageSize(in->memory) * PAGE;

	if ((uint64_t)from + len > there)
		return NULL;
	return len ? WasmEdge_MemoryInstanceGetPointer(in->memory, from, len) :
	       &nothing;
}

static struct instance *called(void *arg, const WasmEdge_CallingFrameContext *frame)
{
	struct instance *in = arg;

	in->memory = WasmEdge_CallingFrameGetMemoryInstance(frame, 0);
	return in;
}

static WasmEdge_Result trap(struct instance *in, int why)
{
	in->trap = why;
	return WasmEdge_ResultGen(WasmEdge_ErrCategory_UserLevelError, (uint32_t)why);
}

static uint32_t u32(const WasmEdge_Value *v)
{
	return (uint32_t)WasmEdge_ValueGetI32(*v);
}

static WasmEdge_Result answer(WasmEdge_Value *out, uint32_t v)
{
	*out = WasmEdge_ValueGenI32((int32_t)v);
	return WasmEdge_Result_Success;
}

static WasmEdge_Result do_log(void *arg, const WasmEdge_CallingFrameContext *frame,
			      const WasmEdge_Value *p, WasmEdge_Value *out)
{
	struct instance *in = called(arg, frame);
	const uint8_t *s = at(in, u32(&p[1]), u32(&p[2]));
	uint32_t level = u32(&p[0]);

	(void)out;
	if (!s)
		return trap(in, PULSE_WASM_TRAP_BOUNDS);
	if (in->call->log)
		in->call->log(in->call->host, level < 3 ? (int)level : 3,
			      (const char *)s, u32(&p[2]));
	return WasmEdge_Result_Success;
}

static WasmEdge_Result do_message_len(void *arg,
				      const WasmEdge_CallingFrameContext *frame,
				      const WasmEdge_Value *p, WasmEdge_Value *out)
{
	(void)p;
	return answer(out, (uint32_t)called(arg, frame)->call->len);
}

static WasmEdge_Result do_message_read(void *arg,
				       const WasmEdge_CallingFrameContext *frame,
				       const WasmEdge_Value *p, WasmEdge_Value *out)
{
	struct instance *in = called(arg, frame);
	uint32_t from = u32(&p[1]), len = u32(&p[2]);
	size_t there = in->call->len;
	uint8_t *to;

	if (from >= there)
		return answer(out, 0);
	if (len > there - from)
		len = (uint32_t)(there - from);
	to = at(in, u32(&p[0]), len);
	if (!to)
		return trap(in, PULSE_WASM_TRAP_BOUNDS);
	memcpy(to, (const char *)in->call->message + from, len);
	return answer(out, len);
}

static WasmEdge_Result do_reply(void *arg, const WasmEdge_CallingFrameContext *frame,
				const WasmEdge_Value *p, WasmEdge_Value *out)
{
	struct instance *in = called(arg, frame);
	const void *data = at(in, u32(&p[0]), u32(&p[1]));

	if (!data)
		return trap(in, PULSE_WASM_TRAP_BOUNDS);
	if (!in->call->reply)
		return answer(out, UINT32_MAX);
	return answer(out, (uint32_t)in->call->reply(in->call->host, data, u32(&p[1])));
}

#define WASI(name, call)							\
static WasmEdge_Result wasi_##name(void *arg,					\
				   const WasmEdge_CallingFrameContext *frame,	\
				   const WasmEdge_Value *p, WasmEdge_Value *out) \
{										\
	struct pulse__wasi *w = &called(arg, frame)->w;				\
										\
	(void)w;								\
	(void)p;								\
	return answer(out, call);						\
}

WASI(fd_write, pulse__wasi_fd_write(w, u32(&p[0]), u32(&p[1]), u32(&p[2]), u32(&p[3])))
WASI(fd_fdstat_get, pulse__wasi_fd_fdstat_get(w, u32(&p[0]), u32(&p[1])))
WASI(fd_prestat_get, PULSE__WASI_NO_FOLDERS)
WASI(clock_time_get, pulse__wasi_clock_time_get(w, u32(&p[0]), 0, u32(&p[2])))
WASI(random_get, pulse__wasi_random_get(w, u32(&p[0]), u32(&p[1])))
WASI(args_sizes_get, pulse__wasi_none(w, u32(&p[0]), u32(&p[1])))
WASI(args_get, PULSE__WASI_OK)
WASI(environ_sizes_get, pulse__wasi_none(w, u32(&p[0]), u32(&p[1])))
WASI(environ_get, PULSE__WASI_OK)
WASI(nosys, PULSE__WASI_NOSYS)

static WasmEdge_Result wasi_proc_exit(void *arg,
				      const WasmEdge_CallingFrameContext *frame,
				      const WasmEdge_Value *p, WasmEdge_Value *out)
{
	(void)p;
	(void)out;
	return trap(called(arg, frame), PULSE_WASM_TRAP_EXIT);
}

struct host {
	const char *name, *params;	/* i: 32 bits, I: 64 bits */
	bool answers;
	WasmEdge_HostFunc_t fn;
};

static const struct host pulse_host[] = {
	{ "log", "iii", false, do_log },
	{ "message_len", "", true, do_message_len },
	{ "message_read", "iii", true, do_message_read },
	{ "reply", "ii", true, do_reply },
	{ NULL, NULL, false, NULL },
};

static const struct host wasi_host[] = {
#define ENTRY(name, params) { #name, params, true, wasi_##name },
	PULSE__WASI_CALLS(ENTRY)
	{ "proc_exit", "i", false, wasi_proc_exit },
	{ NULL, NULL, false, NULL },
};

static const struct host *find(const struct host *h, WasmEdge_String name)
{
	while (h->name && !is(name, h->name))
		h++;
	return h->name ? h : NULL;
}

/* ---- loading ------------------------------------------------------------------ */

/* Is it a function of these parameters, with one answer of 32 bits or none? */
static bool fits(const WasmEdge_FunctionTypeContext *type, const char *params,
		 bool answers)
{
	uint32_t n = WasmEdge_FunctionTypeGetParametersLength(type);
	WasmEdge_ValType v[8];

	if (n != strlen(params) || n > 8 ||
	    WasmEdge_FunctionTypeGetReturnsLength(type) != answers)
		return false;
	WasmEdge_FunctionTypeGetParameters(type, v, n);
	for (uint32_t i = 0; i < n; i++)
		if (params[i] == 'i' ? !WasmEdge_ValTypeIsI32(v[i]) :
		    !WasmEdge_ValTypeIsI64(v[i]))
			return false;
	WasmEdge_FunctionTypeGetReturns(type, v, 1);
	return !answers || WasmEdge_ValTypeIsI32(v[0]);
}

/* The rest of WASI answers that it is not there; it must be able to. */
static bool can_say_nosys(const WasmEdge_FunctionTypeContext *type)
{
	WasmEdge_ValType v;

	return WasmEdge_FunctionTypeGetReturns(type, &v, 1) == 1 &&
	       WasmEdge_FunctionTypeGetReturnsLength(type) == 1 &&
	       WasmEdge_ValTypeIsI32(v);
}

static bool import_is_there(const struct program *prog,
			    const WasmEdge_ImportTypeContext *import)
{
	WasmEdge_String module = WasmEdge_ImportTypeGetModuleName(import);
	WasmEdge_String name = WasmEdge_ImportTypeGetExternalName(import);
	bool wasi = is(module, "wasi_snapshot_preview1");
	const WasmEdge_FunctionTypeContext *type;
	const struct host *h;

	if (WasmEdge_ImportTypeGetExternalType(import) !=
	    WasmEdge_ExternalType_Function || (!wasi && !is(module, "pulse")))
		return false;
	type = WasmEdge_ImportTypeGetFunctionType(prog->code, import);
	h = find(wasi ? wasi_host : pulse_host, name);
	return h ? fits(type, h->params, h->answers) : wasi && can_say_nosys(type);
}

/* Calls @fn with each import until it answers not 0, and answers that. */
static int each_import(const struct program *prog,
		       int (*fn)(const struct program *prog,
				 const WasmEdge_ImportTypeContext *import, void *arg),
		       void *arg)
{
	uint32_t n = WasmEdge_ASTModuleListImportsLength(prog->code);
	const WasmEdge_ImportTypeContext **all = calloc(n + 1, sizeof(*all));
	int err = all ? 0 : -ENOMEM;

	if (all)
		WasmEdge_ASTModuleListImports(prog->code, all, n);
	for (uint32_t i = 0; i < n && !err; i++)
		err = fn(prog, all[i], arg);
	free(all);
	return err;
}

struct why {
	char *text;
	size_t len;
};

static int check_import(const struct program *prog,
			const WasmEdge_ImportTypeContext *import, void *arg)
{
	WasmEdge_String module = WasmEdge_ImportTypeGetModuleName(import);
	WasmEdge_String name = WasmEdge_ImportTypeGetExternalName(import);
	struct why *why = arg;

	if (import_is_there(prog, import))
		return 0;
	snprintf(why->text, why->len, "it imports what is not there: %.*s.%.*s",
		 (int)(module.Length < 64 ? module.Length : 64), module.Buf,
		 (int)(name.Length < 64 ? name.Length : 64), name.Buf);
	return -ENOEXEC;
}

static int check_exports(const struct program *prog, struct why *why)
{
	uint32_t n = WasmEdge_ASTModuleListExportsLength(prog->code);
	const WasmEdge_ExportTypeContext **all = calloc(n + 1, sizeof(*all));
	bool handle = false, memory = false;

	if (!all)
		return -ENOMEM;
	WasmEdge_ASTModuleListExports(prog->code, all, n);
	for (uint32_t i = 0; i < n; i++) {
		WasmEdge_String name = WasmEdge_ExportTypeGetExternalName(all[i]);
		int type = (int)WasmEdge_ExportTypeGetExternalType(all[i]);

		if (type == WasmEdge_ExternalType_Memory && is(name, "memory"))
			memory = true;
		if (type == WasmEdge_ExternalType_Function && is(name, "pulse_handle"))
			handle = fits(WasmEdge_ExportTypeGetFunctionType(prog->code, all[i]),
				      "i", true);
	}
	free(all);
	if (handle && memory)
		return 0;
	snprintf(why->text, why->len, "it exports no %s",
		 handle ? "memory named \"memory\"" : "pulse_handle(i32) -> i32");
	return -ENOEXEC;
}

static void unload(void *program)
{
	struct program *prog = program;

	if (prog->code)
		WasmEdge_ASTModuleDelete(prog->code);
	if (prog->conf)
		WasmEdge_ConfigureDelete(prog->conf);
	pthread_mutex_destroy(&prog->lock);
	free(prog);
}

static int parse(struct program *prog, const char *path, struct why *why)
{
	WasmEdge_LoaderContext *loader = WasmEdge_LoaderCreate(prog->conf);
	WasmEdge_ValidatorContext *validator = WasmEdge_ValidatorCreate(prog->conf);
	WasmEdge_Result res = WasmEdge_LoaderParseFromFile(loader, &prog->code, path);

	if (WasmEdge_ResultOK(res))
		res = WasmEdge_ValidatorValidate(validator, prog->code);
	WasmEdge_ValidatorDelete(validator);
	WasmEdge_LoaderDelete(loader);
	if (WasmEdge_ResultOK(res))
		return 0;
	snprintf(why->text, why->len, "%s", WasmEdge_ResultGetMessage(res));
	return -ENOEXEC;
}

static int load(const char *path, uint32_t max_pages, void **program, char *text_,
		size_t len)
{
	struct why why = { text_, len };
	struct program *prog = calloc(1, sizeof(*prog));
	int err;

	if (!prog || pthread_mutex_init(&prog->lock, NULL)) {
		free(prog);
		return -ENOMEM;
	}
	WasmEdge_LogOff();	/* it would write to the program's own output */
	prog->max_pages = max_pages;
	prog->conf = WasmEdge_ConfigureCreate();
	WasmEdge_ConfigureStatisticsSetCostMeasuring(prog->conf, true);
	WasmEdge_ConfigureSetForceInterpreter(prog->conf, true);
	WasmEdge_ConfigureSetMaxMemoryPage(prog->conf, max_pages);
	err = parse(prog, path, &why);
	if (!err)
		err = check_exports(prog, &why);
	if (!err)
		err = each_import(prog, check_import, &why);
	if (err)
		unload(prog);
	else
		*program = prog;
	return err;
}

/* ---- runs ---------------------------------------------------------------------- */

static int trap_of(const struct instance *in, WasmEdge_Result res)
{
	if (in->trap)
		return in->trap;
	switch (WasmEdge_ResultGetCode(res)) {
	case WasmEdge_ErrCode_CostLimitExceeded:
		return PULSE_WASM_TRAP_FUEL;
	case WasmEdge_ErrCode_Interrupted:
	case WasmEdge_ErrCode_Terminated:
		return PULSE_WASM_TRAP_DEADLINE;
	case WasmEdge_ErrCode_DivideByZero:
		return PULSE_WASM_TRAP_DIVISION;
	case WasmEdge_ErrCode_IntegerOverflow:
		return PULSE_WASM_TRAP_OVERFLOW;
	case WasmEdge_ErrCode_InvalidConvToInt:
		return PULSE_WASM_TRAP_CONVERSION;
	case WasmEdge_ErrCode_TableOutOfBounds:
	case WasmEdge_ErrCode_MemoryOutOfBounds:
	case WasmEdge_ErrCode_ArrayOutOfBounds:
		return PULSE_WASM_TRAP_BOUNDS;
	case WasmEdge_ErrCode_UninitializedElement:
	case WasmEdge_ErrCode_UndefinedElement:
	case WasmEdge_ErrCode_IndirectCallTypeMismatch:
	case WasmEdge_ErrCode_AccessNullFunc:
		return PULSE_WASM_TRAP_INDIRECT;
	case WasmEdge_ErrCode_UncaughtException:
		return PULSE_WASM_TRAP_EXCEPTION;
	default:
		return PULSE_WASM_TRAP_UNREACHABLE;
	}
}

static int64_t ms_left(int64_t deadline_ns)
{
	struct timespec ts;
	int64_t left;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	left = deadline_ns - (ts.tv_sec * 1000000000LL + ts.tv_nsec);
	left = left / 1000000 + (left > 0);
	return left < 0 ? 0 : left < 3600000 ? left : 3600000;
}

/* As the thread of its own goes on: until its end or the deadline. */
static WasmEdge_Result within_time(struct instance *in,
				   const WasmEdge_FunctionInstanceContext *fn,
				   const WasmEdge_Value *params, uint32_t n,
				   WasmEdge_Value *out, uint32_t outs)
{
	WasmEdge_Async *async = WasmEdge_ExecutorAsyncInvoke(in->executor, fn, params, n);
	WasmEdge_Result res;
	bool over = false;
	int64_t ms;

	if (!async) {
		in->trap = PULSE_WASM_TRAP_MEMORY;
		return WasmEdge_Result_Fail;
	}
	while (!over) {
		ms = ms_left(in->call->deadline_ns);
		over = WasmEdge_AsyncWaitFor(async, (uint64_t)ms);
		if (!over && !ms)
			break;
	}
	if (!over)
		WasmEdge_AsyncCancel(async);
	res = WasmEdge_AsyncGet(async, out, outs);
	WasmEdge_AsyncDelete(async);
	/* Even if it ended meanwhile: the next run might hear of the cancelling. */
	if (!over && !in->trap)
		in->trap = PULSE_WASM_TRAP_DEADLINE;
	return res;
}

static void begin(struct instance *in, struct pulse_wasm_call *call, uint64_t fuel)
{
	in->call = call;
	in->trap = PULSE_WASM_TRAP_NONE;
	call->trap = PULSE_WASM_TRAP_NONE;
	WasmEdge_StatisticsClear(in->count);
	WasmEdge_StatisticsSetCostLimit(in->count, fuel);
}

static void finish(struct instance *in, WasmEdge_Result res)
{
	uint64_t used = WasmEdge_StatisticsGetTotalCost(in->count);

	pulse__wasi_flush(&in->w);
	if (in->trap || !WasmEdge_ResultOK(res))
		in->call->trap = trap_of(in, res);
	in->call->fuel = used < in->call->fuel ? used : in->call->fuel;
	in->call = NULL;
}

static void run(void *instance, struct pulse_wasm_call *call)
{
	struct instance *in = instance;
	WasmEdge_Value type = WasmEdge_ValueGenI32(call->type), out;
	WasmEdge_Result res;

	begin(in, call, call->fuel);
	if (call->deadline_ns == INT64_MAX)
		res = WasmEdge_ExecutorInvoke(in->executor, in->handle, &type, 1, &out, 1);
	else
		res = within_time(in, in->handle, &type, 1, &out, 1);
	finish(in, res);
	if (!call->trap)
		call->result = WasmEdge_ValueGetI32(out);
}

/* ---- instances ----------------------------------------------------------------- */

static uint8_t *wasi_memory(void *arg, uint32_t from, uint32_t len)
{
	return at(arg, from, len);
}

static void wasi_log(void *arg, int level, const char *s, size_t len)
{
	struct instance *in = arg;

	if (in->call->log)
		in->call->log(in->call->host, level, s, len);
}

static void end(void *instance)
{
	struct instance *in = instance;

	if (in->module)
		WasmEdge_ModuleInstanceDelete(in->module);
	if (in->executor)
		WasmEdge_ExecutorDelete(in->executor);
	if (in->store)
		WasmEdge_StoreDelete(in->store);
	if (in->pulse)
		WasmEdge_ModuleInstanceDelete(in->pulse);
	if (in->wasi)
		WasmEdge_ModuleInstanceDelete(in->wasi);
	if (in->count)
		WasmEdge_StatisticsDelete(in->count);
	free(in);
}

/* What it imports has the type that it imports it with: load() has looked. */
static int provide(const struct program *prog, const WasmEdge_ImportTypeContext *import,
		   void *arg)
{
	WasmEdge_String name = WasmEdge_ImportTypeGetExternalName(import);
	bool wasi = is(WasmEdge_ImportTypeGetModuleName(import), "wasi_snapshot_preview1");
	const struct host *h = find(wasi ? wasi_host : pulse_host, name);
	struct instance *in = arg;
	WasmEdge_ModuleInstanceContext *to = wasi ? in->wasi : in->pulse;
	WasmEdge_FunctionInstanceContext *fn;

	if (WasmEdge_ModuleInstanceFindFunction(to, name))
		return 0;
	fn = WasmEdge_FunctionInstanceCreate(
		WasmEdge_ImportTypeGetFunctionType(prog->code, import),
		h ? h->fn : wasi_nosys, in, 1);
	if (!fn)
		return -ENOMEM;
	WasmEdge_ModuleInstanceAddFunction(to, name, fn);
	return 0;
}

static bool prepare(struct instance *in, const struct program *prog)
{
	in->count = WasmEdge_StatisticsCreate();
	in->store = WasmEdge_StoreCreate();
	in->executor = WasmEdge_ExecutorCreate(prog->conf, in->count);
	in->pulse = WasmEdge_ModuleInstanceCreate(text("pulse"));
	in->wasi = WasmEdge_ModuleInstanceCreate(text("wasi_snapshot_preview1"));
	in->w = (struct pulse__wasi){ .arg = in, .memory = wasi_memory, .log = wasi_log };
	return in->count && in->store && in->executor && in->pulse && in->wasi &&
	       !each_import(prog, provide, in) &&
	       WasmEdge_ResultOK(WasmEdge_ExecutorRegisterImport(in->executor, in->store,
								 in->pulse)) &&
	       WasmEdge_ResultOK(WasmEdge_ExecutorRegisterImport(in->executor, in->store,
								 in->wasi));
}

/* Does it begin with more memory than it may have? */
static bool too_large(const struct program *prog)
{
	uint32_t n = WasmEdge_ASTModuleListExportsLength(prog->code);
	const WasmEdge_ExportTypeContext **all = calloc(n + 1, sizeof(*all));
	bool large = !all;

	if (all)
		WasmEdge_ASTModuleListExports(prog->code, all, n);
	for (uint32_t i = 0; all && i < n; i++) {
		const WasmEdge_MemoryTypeContext *type;

		if (WasmEdge_ExportTypeGetExternalType(all[i]) !=
		    WasmEdge_ExternalType_Memory)
			continue;
		type = WasmEdge_ExportTypeGetMemoryType(prog->code, all[i]);
		large |= WasmEdge_MemoryTypeGetLimit(type).Min > prog->max_pages;
	}
	free(all);
	return large;
}

/* Its start function, and what C programs have in the place of one. */
static WasmEdge_Result start(struct instance *in, struct program *prog)
{
	const WasmEdge_FunctionInstanceContext *init;
	WasmEdge_Result res;

	pthread_mutex_lock(&prog->lock);
	res = WasmEdge_ExecutorInstantiate(in->executor, &in->module, in->store,
					   prog->code);
	pthread_mutex_unlock(&prog->lock);
	if (!WasmEdge_ResultOK(res))
		return res;
	in->handle = WasmEdge_ModuleInstanceFindFunction(in->module, text("pulse_handle"));
	init = WasmEdge_ModuleInstanceFindFunction(in->module, text("_initialize"));
	return init ? WasmEdge_ExecutorInvoke(in->executor, init, NULL, 0, NULL, 0) : res;
}

static void *make(void *program, struct pulse_wasm_call *call)
{
	struct program *prog = program;
	struct instance *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	if (too_large(prog) || !prepare(in, prog)) {
		call->trap = PULSE_WASM_TRAP_MEMORY;
		end(in);
		return NULL;
	}
	begin(in, call, call->fuel < START_FUEL ? call->fuel : START_FUEL);
	finish(in, start(in, prog));
	if (!call->trap)
		return in;
	end(in);
	return NULL;
}

extern const struct pulse__wasm_runtime pulse__wasm_runtime;
__attribute__((visibility("default")))
const struct pulse__wasm_runtime pulse__wasm_runtime = {
	.abi = PULSE__WASM_RUNTIME_ABI,
	.call_bytes = sizeof(struct pulse_wasm_call),
	.load = load,
	.make = make,
	.run = run,
	.end = end,
	.unload = unload,
};
