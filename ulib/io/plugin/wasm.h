/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * wasm.h - between the library and its WebAssembly runtime, a plug-in.
 *
 * The library (io/wasm.c) keeps instances and counts, the runtime loads programs
 * and runs them within the bounds of struct pulse_wasm_call, as what pulse-wasm-cc
 * makes does. Either side includes this header and nothing of the other.
 *
 * An instance is used by one thread at a time, a program by any.
 */
#ifndef PULSE__IO_PLUGIN_WASM_H
#define PULSE__IO_PLUGIN_WASM_H

#include <pulse-u/wasm.h>

#define PULSE__WASM_RUNTIME_ABI	1

/* The only symbol of the plug-in: struct pulse__wasm_runtime pulse__wasm_runtime. */
struct pulse__wasm_runtime {
	uint32_t abi;
	uint32_t call_bytes;	/* sizeof(struct pulse_wasm_call) */
	/* A file of WebAssembly: 0; -ENOEXEC, -ENOMEM, and @why in one sentence. */
	int (*load)(const char *path, uint32_t max_pages, void **program, char *why,
		    size_t len);
	/* As struct pulse_wasm_module: */
	void *(*make)(void *program, struct pulse_wasm_call *call);
	void (*run)(void *instance, struct pulse_wasm_call *call);
	void (*end)(void *instance);
	/* All instances have ended. */
	void (*unload)(void *program);
};

#endif /* PULSE__IO_PLUGIN_WASM_H */
