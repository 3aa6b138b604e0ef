// SPDX-License-Identifier: GPL-2.0-only
/*
 * wasm-filter.c - a WebSocket server whose messages a WebAssembly module handles.
 *
 *	pulse-wasm-cc wasm/shout.c -o shout.so && wasm-filter shout.so
 *
 * A module that traps or never ends costs its own message an answer that says so,
 * and nothing else. Prints its address; ends when its standard input does.
 */
#include <pulse-u/handler.h>
#include <pulse-u/transport.h>
#include <pulse-u/wasm.h>
#include <pulse-u/ws.h>

#include <stdio.h>

static struct pulse_chain *chain;

static void on_message(struct pulse_ws_conn *conn, int opcode, const void *data,
		       size_t len, void *arg)
{
	PULSE_OPTS(pulse_chain_event, e, .type = opcode, .data = data, .len = len,
		   .source = conn);

	(void)arg;
	pulse_chain_run(chain, &e);
}

/* What the module replied. */
static void on_reply(struct pulse_chain_event *e, const void *data, size_t len,
		     void *arg)
{
	(void)arg;
	pulse_ws_send(e->source, e->type, data, len);
}

static int on_error(struct pulse_chain_event *e, int err, const char *who, void *arg)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "%s failed: %s", who,
			 pulse_strerror(err));

	(void)arg;
	return pulse_ws_send(e->source, PULSE_WS_TEXT, text, (size_t)n);
}

int main(int argc, char **argv)
{
	PULSE_OPTS(pulse_wasm_opts, wo, .path = argv[1], .on_reply = on_reply,
		   .timeout_ns = 100000000);
	PULSE_OPTS(pulse_chain_opts, co, .on_error = on_error);
	PULSE_OPTS(pulse_link, link, .name = "module", .fn = pulse_wasm_link);
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = on_message);
	PULSE_OPTS(pulse_ws_opts, so, .handlers = &h);
	struct pulse_ws_server *server;
	char where[PULSE_ADDRESS_MAX];
	struct pulse_wasm *wasm;

	if (argc != 2) {
		fprintf(stderr, "usage: wasm-filter MODULE.so\n");
		return 2;
	}
	if (pulse_wasm_open(&wo, &wasm)) {
		fprintf(stderr, "wasm-filter: %s is no module that can be used\n",
			argv[1]);
		return 1;
	}
	link.arg = wasm;
	if (pulse_chain_create(&co, &chain) || pulse_chain_use(chain, &link, NULL) ||
	    pulse_ws_server_create(&so, &server) || pulse_ws_server_start(server) ||
	    pulse_ws_server_address(server, where, sizeof(where)))
		return 1;
	printf("%s\n", where);
	fflush(stdout);
	while (getchar() != EOF)
		;
	pulse_ws_server_destroy(server);
	pulse_chain_destroy(chain);
	return pulse_wasm_close(wasm) ? 1 : 0;
}
