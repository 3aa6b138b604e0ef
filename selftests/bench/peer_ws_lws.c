// SPDX-License-Identifier: GPL-2.0-only
/*
 * peer_ws_lws.c - a WebSocket echo by libwebsockets, as its examples write one:
 * a queue of what came, one message out a writable callback.
 *
 * usage: peer_ws_lws PORT; prints the port. Without the library it says so.
 */
#include <stdio.h>
#include <stdlib.h>

#if __has_include(<libwebsockets.h>)
#include <libwebsockets.h>
#include <string.h>

struct piece {
	struct piece *next;
	size_t len;
	int flags;
	unsigned char data[];	/* LWS_PRE bytes, then the payload */
};

struct session {
	struct piece *first, **last;
	size_t queued;
	int stopped;
};

#define HIGH	(4 << 20)

static void take(struct lws *wsi, struct session *s, const void *in, size_t len)
{
	struct piece *p = malloc(sizeof(*p) + LWS_PRE + len + 1);

	if (!p)
		exit(1);
	p->next = NULL;
	p->len = len;
	p->flags = lws_write_ws_flags(lws_frame_is_binary(wsi) ?
				      LWS_WRITE_BINARY : LWS_WRITE_TEXT,
				      lws_is_first_fragment(wsi),
				      lws_is_final_fragment(wsi));
	memcpy(p->data + LWS_PRE, in, len);
	*s->last = p;
	s->last = &p->next;
	s->queued += len;
	if (s->queued > HIGH && !s->stopped) {
		s->stopped = 1;
		lws_rx_flow_control(wsi, 0);
	}
	lws_callback_on_writable(wsi);
}

static int give(struct lws *wsi, struct session *s)
{
	struct piece *p = s->first;

	if (!p)
		return 0;
	if (lws_write(wsi, p->data + LWS_PRE, p->len,
		      (enum lws_write_protocol)p->flags) < (int)p->len)
		return -1;
	s->first = p->next;
	if (!s->first)
		s->last = &s->first;
	s->queued -= p->len;
	free(p);
	if (s->stopped && s->queued < HIGH / 2) {
		s->stopped = 0;
		lws_rx_flow_control(wsi, 1);
	}
	if (s->first)
		lws_callback_on_writable(wsi);
	return 0;
}

static int echo(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		void *in, size_t len)
{
	struct session *s = user;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		memset(s, 0, sizeof(*s));
		s->last = &s->first;
		break;
	case LWS_CALLBACK_RECEIVE:
		take(wsi, s, in, len);
		break;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return give(wsi, s);
	case LWS_CALLBACK_CLOSED:
		while (s->first) {
			struct piece *p = s->first;

			s->first = p->next;
			free(p);
		}
		break;
	default:
		break;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct lws_protocols protocols[] = {
		{ "echo", echo, sizeof(struct session), 65536, 0, NULL, 0 },
		{ NULL, NULL, 0, 0, 0, NULL, 0 },
	};
	struct lws_context_creation_info info = {
		.port = argc > 1 ? atoi(argv[1]) : 7999,
		.iface = "127.0.0.1", .protocols = protocols,
		.pt_serv_buf_size = 256 << 10,
	};
	struct lws_context *context;

	lws_set_log_level(LLL_ERR, NULL);
	context = lws_create_context(&info);
	if (!context)
		return 1;
	printf("%d\n", info.port);
	fflush(stdout);
	while (lws_service(context, 0) >= 0)
		;
	lws_context_destroy(context);
	return 0;
}
#else
int main(void)
{
	fputs("built without libwebsockets; fix: apt install libwebsockets-dev\n",
	      stderr);
	return 77;
}
#endif
