/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * wasm.h - a link of a chain (handler.h) that is a WebAssembly module.
 *
 * A module is compiled ahead of time: pulse-wasm-cc makes a shared object of it
 * (WAT, WebAssembly or C, by way of wabt's wasm2c), which is loaded here. Every
 * access to its memory is checked; each call and each turn of a loop costs a unit
 * of fuel, and there is a time limit; memory and stack are bounded. What goes beyond is a
 * trap: the run fails with an error, the instance is thrown away, and the next
 * event gets a fresh one. The shared object itself is trusted as any other: it is
 * the module that need not be.
 *
 * A file of WebAssembly itself is run where there is a runtime for it (a plug-in,
 * wasm-runtime.so, over WasmEdge as Debian 13 has it), in the same way: fuel is an
 * instruction there, and the stack is bounded by the fuel. A time limit costs a
 * thread a run, which the caller waits for; what the module calls is called by it.
 *
 * A module exports its memory as "memory" and
 *
 *	pulse_handle(type: i32) -> i32		0: go on with the chain;
 *						1: handled, the chain ends here;
 *						below 0: it failed (an errno)
 *
 * and may import, from "pulse",
 *
 *	log(level: i32, text: i32, len: i32)
 *	message_len() -> i32
 *	message_read(to: i32, from: i32, len: i32) -> i32	bytes that were read
 *	reply(data: i32, len: i32) -> i32	0; -1: too long
 *
 * and of WASI (wasi_snapshot_preview1), as the C library of wasi-libc does: fd_write
 * to standard output and error, which is logged by lines (PULSE_LOG_INFO, _WARN);
 * clock_time_get, random_get, no arguments, no environment, no folders; proc_exit
 * is a trap. The rest answers ENOSYS. "_initialize" is called when an instance is
 * made (pulse-wasm-cc --wasi makes such modules).
 *
 * Its globals and memory last from one event to the next of the same instance;
 * which events share one is not defined.
 */
#ifndef PULSE_U_WASM_H
#define PULSE_U_WASM_H

#include <pulse-u/base.h>
#include <pulse-u/handler.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pulse_wasm;

/* Why a run ended in a trap. */
enum pulse_wasm_trap {
	PULSE_WASM_TRAP_NONE = 0,
	PULSE_WASM_TRAP_BOUNDS = 1,	/* outside of its memory or a table */
	PULSE_WASM_TRAP_OVERFLOW = 2,	/* of integers */
	PULSE_WASM_TRAP_DIVISION = 3,	/* by zero */
	PULSE_WASM_TRAP_CONVERSION = 4,	/* no number, to an integer */
	PULSE_WASM_TRAP_UNREACHABLE = 5,
	PULSE_WASM_TRAP_INDIRECT = 6,	/* a call of nothing, or of another type */
	PULSE_WASM_TRAP_EXCEPTION = 7,	/* that nobody caught */
	PULSE_WASM_TRAP_STACK = 8,
	PULSE_WASM_TRAP_FUEL = 9,
	PULSE_WASM_TRAP_DEADLINE = 10,
	PULSE_WASM_TRAP_MEMORY = 11,	/* it needs more than it may have */
	PULSE_WASM_TRAP_EXIT = 12,	/* it called exit() */
};

/**
 * struct pulse_wasm_opts - options of pulse_wasm_open()
 * @sz: sizeof(struct pulse_wasm_opts)
 * @path: what pulse-wasm-cc made, or WebAssembly where there is a runtime
 * @fuel: calls and turns of loops that a run may make; default 2^32. Instructions of
 *	a runtime, default 2^24; there a recursion without an end takes up to some 100
 *	bytes of memory for each before it is stopped
 * @timeout_ns: time that a run may take, looked at each 65536 units of fuel; default
 *	1 s. A start function in a runtime has its fuel alone, 2^24 at most
 * @max_pages: of 64 KiB that an instance may have, its first ones included;
 *	growing beyond answers -1 in the module; up to 65535; default 1024
 * @max_reply_bytes: a longer reply is refused; default 1 MiB
 * @max_instances: that there are at once; up to 4096; default 64
 * @stack_bytes: of the thread's stack that a run may use; at least 16 KiB;
 *	default 256 KiB. Not of a runtime, which has its own
 * @on_reply: a run went well, and the module had replied: @data lasts during the
 *	call; or NULL
 * @on_log: the module logs; default: pulse_log() with its path in front
 * @arg: for both
 */
struct pulse_wasm_opts {
	size_t sz;
	const char *path;
	uint64_t fuel;
	int64_t timeout_ns;
	uint32_t max_pages;
	uint32_t max_reply_bytes;
	uint32_t max_instances;
	uint32_t stack_bytes;
	void (*on_reply)(struct pulse_chain_event *event, const void *data, size_t len,
			 void *arg);
	void (*on_log)(int level, const char *text, size_t len, void *arg);
	void *arg;
};

/**
 * pulse_wasm_open() - load a module
 * @opts: the path at least
 * @out: the module
 *
 * Makes an instance, so that what is wrong is told now, and in the log.
 *
 * Return: 0; -EINVAL; -E2BIG unknown options; -ENOENT and the like; -ENOEXEC it
 * is not what pulse-wasm-cc makes, nor what a runtime takes; -ENOPKG it is
 * WebAssembly that was not compiled, and there is no runtime; -EPROTO made for
 * another version;
 * -EFAULT its start traps; -ENOMEM.
 */
PULSE_API int pulse_wasm_open(const struct pulse_wasm_opts *opts,
			      struct pulse_wasm **out);

/**
 * pulse_wasm_close() - unload a module
 * @wasm: no run is under way; no chain has it
 *
 * Return: 0; -EINVAL; -EBUSY a run is under way.
 */
PULSE_API int pulse_wasm_close(struct pulse_wasm *wasm);

/**
 * pulse_wasm_run() - let the module handle an event
 * @wasm: the module
 * @event: its data is the message, its type the argument of pulse_handle
 *
 * From any thread; several at once use several instances.
 *
 * Return: what pulse_handle returned: 0 go on, 1 handled (so is more than 1), an
 * errno; -EFAULT a trap; -ETIMEDOUT out of fuel or time; -EAGAIN max_instances
 * are in use; -ENOMEM; -EINVAL.
 */
PULSE_API int pulse_wasm_run(struct pulse_wasm *wasm,
			     struct pulse_chain_event *event);

/**
 * pulse_wasm_link() - the module as a link
 * @event: the event
 * @next: run where the module says 0
 * @wasm: the module: the link's arg
 *
 * A pulse_middleware_fn:
 *
 *	PULSE_OPTS(pulse_link, l, .name = "filter", .fn = pulse_wasm_link,
 *		   .arg = wasm);
 *
 * Return: as pulse_wasm_run(); what the rest returned.
 */
PULSE_API int pulse_wasm_link(struct pulse_chain_event *event,
			      const struct pulse_next *next, void *wasm);

/**
 * struct pulse_wasm_stats - what a module has done
 * @sz: sizeof(struct pulse_wasm_stats), set by the caller
 * @runs: events
 * @traps: runs that ended in one, those out of fuel or time included
 * @timeouts: those of them
 * @refused: runs that found no instance
 * @instances: that were made
 * @fuel: that was used, of all runs
 * @last_trap: enum pulse_wasm_trap
 * @reserved: 0
 */
struct pulse_wasm_stats {
	size_t sz;
	uint64_t runs;
	uint64_t traps;
	uint64_t timeouts;
	uint64_t refused;
	uint64_t instances;
	uint64_t fuel;
	uint32_t last_trap;
	uint32_t reserved;
};

/**
 * pulse_wasm_stats() - look at a module's figures
 * @wasm: the module
 * @out: the figures; its sz must be set
 *
 * Return: 0; -EINVAL; -E2BIG.
 */
PULSE_API int pulse_wasm_stats(struct pulse_wasm *wasm,
			       struct pulse_wasm_stats *out);

/**
 * pulse_wasm_trap_name() - a trap in words
 * @trap: enum pulse_wasm_trap
 *
 * Return: static, never NULL.
 */
PULSE_API const char *pulse_wasm_trap_name(int trap);

/* ---- between the library and what pulse-wasm-cc makes ---------------------------- */

#define PULSE_WASM_ABI		1
#define PULSE_WASM_SYMBOL	"pulse_wasm_module"

/**
 * struct pulse_wasm_call - one run
 * @fuel: in: what it may use; out: what it used
 * @deadline_ns: absolute CLOCK_MONOTONIC
 * @stack_bytes: that it may use
 * @message: what came
 * @len: bytes
 * @type: for pulse_handle
 * @trap: out: enum pulse_wasm_trap
 * @result: out: of pulse_handle, if there was no trap
 * @host: for the functions
 * @log: the module logs
 * @reply: the module replies: 0 or -1
 */
struct pulse_wasm_call {
	uint64_t fuel;
	int64_t deadline_ns;
	size_t stack_bytes;
	const void *message;
	size_t len;
	int32_t type;
	int32_t trap;
	int32_t result;
	void *host;
	void (*log)(void *host, int level, const char *text, size_t len);
	int (*reply)(void *host, const void *data, size_t len);
};

/**
 * struct pulse_wasm_module - the symbol PULSE_WASM_SYMBOL of a compiled module
 * @abi: PULSE_WASM_ABI
 * @call_bytes: sizeof(struct pulse_wasm_call)
 * @make: an instance with so many pages at most, its start run within @call's
 *	bounds; NULL: no memory, or @call->trap says why
 * @run: pulse_handle, within @call's bounds
 * @end: frees an instance
 */
struct pulse_wasm_module {
	uint32_t abi;
	uint32_t call_bytes;
	void *(*make)(struct pulse_wasm_call *call, uint32_t max_pages);
	void (*run)(void *instance, struct pulse_wasm_call *call);
	void (*end)(void *instance);
};

#ifdef __cplusplus
}
#endif

#endif /* PULSE_U_WASM_H */
