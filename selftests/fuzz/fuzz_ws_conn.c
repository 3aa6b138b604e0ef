// SPDX-License-Identifier: GPL-2.0-only
/*
 * A whole connection over a transport of memory: whatever the peer sends after
 * a handshake, and however it is cut, the answers are frames, and all is given
 * back.
 */
#include "../ulib/ws/mock.h"

#include <pulse-u/ws.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char upgrade[] =
	"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
	"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	"Sec-WebSocket-Extensions: permessage-deflate\r\n"
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static void echo(struct pulse_ws_conn *conn, int opcode, const void *data,
		 size_t len, void *arg)
{
	(void)arg;
	if (len == 5 && !memcmp(data, "close", 5))
		pulse_ws_close(conn, 1000, "as you wish", 11);
	pulse_ws_send(conn, opcode, data, len);
}

/* Pieces are as they must be, and come back as pieces. */
static void echo_piece(struct pulse_ws_conn *conn, int opcode, const void *data,
		       size_t len, int piece, void *arg)
{
	static bool open;

	(void)arg;
	if (piece & PULSE_WS_CHUNK_BEGIN) {
		open = !pulse_ws_send_begin(conn, opcode);
		pulse_ws_subscribe(conn, "all");
	}
	if (!len && !piece)
		abort();
	if (open)
		pulse_ws_send_piece(conn, data, len);
	if (piece & PULSE_WS_CHUNK_END && open) {
		pulse_ws_send_end(conn);
		open = false;
	}
}

/* Plain requests of any method come back, with their bodies. */
static void page(struct pulse_ws_conn *conn,
		 const struct pulse_ws_request *request, void *arg)
{
	size_t len;
	const void *body = pulse_ws_request_body(request, &len);

	(void)arg;
	pulse_ws_http_reply(conn, 200, "text/plain", body, len);
}

/* @kind: 1: with compression; 2: messages come in pieces. */
static struct pulse_ws_server *server_once(int kind)
{
	static struct pulse_ws_server *servers[4];
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1, .min_bytes = 1);
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo, .on_http = page);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .send_high_bytes = 300,
		   .max_message_bytes = 70000, .max_head_bytes = 2048,
		   .any_method = PULSE_ON, .max_body_bytes = 500,
		   .deflate = kind & 1 ? &d : NULL);

	if (kind & 2) {
		h.on_message = NULL;
		h.on_chunk = echo_piece;
	}
	if (!servers[kind] && pulse_ws_server_create(&o, &servers[kind]))
		abort();
	return servers[kind];
}

/* The answers are whole frames without a mask; nothing follows a close. */
static void check_answers(const uint8_t *p, size_t n, int kind)
{
	const struct pulse__ws_rules rules = {
		.masked = false, .rsv = kind & 1 ? PULSE__WS_RSV1 : 0,
	};
	struct pulse__ws_frame f = { 0 };
	const char *why;

	while (n) {
		int r = pulse__ws_frame_read(p, n, &rules, &f, &why);

		if (r <= 0 || (!f.fin && !(kind & 2)) ||
		    f.len > n - (size_t)r)
			abort();
		p += (size_t)r + f.len;
		n -= (size_t)r + f.len;
		if (f.op == PULSE__WS_CLOSE && n)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mock m = { 0 };
	uint8_t *in;
	size_t skip;
	int kind;

	if (size < 3)
		return 0;
	/* The first three bytes are the mood. */
	m.read_max = data[0] & 0x40 ? data[0] & 0x3f : 0;
	m.send_max = data[1] & 0x40 ? data[1] & 0x3f : 0;
	m.refuse = data[2] & 3 ? (data[2] & 3) + 1 : 0;
	m.async = data[2] & 4;
	kind = data[2] >> 4 & 3;
	skip = data[2] & 8 ? 0 : sizeof(upgrade) - 1;
	in = malloc(skip + size - 3 + 1);
	if (!in)
		return 0;
	memcpy(in, upgrade, skip);
	memcpy(in + skip, data + 3, size - 3);
	m.in = in;
	m.in_len = skip + size - 3;
	if (mock_connect(&m, server_once(kind)))
		abort();
	mock_run(&m);
	if (m.broken || !m.closed)
		abort();
	if (skip) {
		const uint8_t *end = memmem(m.out, m.out_len, "\r\n\r\n", 4);

		if (!end)
			abort();
		check_answers(end + 4, m.out_len - (size_t)(end + 4 - m.out),
			      kind);
	}
	free(m.out);
	free(in);
	return 0;
}
