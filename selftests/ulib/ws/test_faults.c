// SPDX-License-Identifier: GPL-2.0-only
/*
 * A WebSocket connection over the library's own mock (testing.h): whatever the
 * carrier does, the peer gets its echoes or an end, and nothing is left behind.
 */
#include "mock.h"
#include "peer.h"

#include <pulse-u/testing.h>

struct far {
	struct pulse_transport *t;
	uint8_t out[8192];
	size_t out_len, out_at;
	uint8_t got[16384];
	size_t got_len;
	bool ended;
};

static void on_far(struct pulse_transport *t, uint32_t events, void *arg)
{
	struct far *f = arg;
	ssize_t n;

	if (events & PULSE_TRANSPORT_WRITE && f->out_at < f->out_len) {
		struct iovec iov = { f->out + f->out_at, f->out_len - f->out_at };

		n = pulse_transport_send(t, &iov, 1);
		f->out_at += n > 0 ? (size_t)n : 0;
		f->ended |= n < 0 && n != -EAGAIN;
	}
	if (events & PULSE_TRANSPORT_READ) {
		struct iovec iov = { f->got + f->got_len,
				     sizeof(f->got) - f->got_len };

		n = pulse_transport_recv(t, &iov, 1);
		f->got_len += n > 0 ? (size_t)n : 0;
		f->ended |= n <= 0 && n != -EAGAIN;
	}
	if (events & PULSE_TRANSPORT_ERROR)
		f->ended = true;
	pulse_transport_watch(t, f->ended ? 0 : PULSE_TRANSPORT_READ |
			      (f->out_at < f->out_len ? PULSE_TRANSPORT_WRITE : 0));
}

static void make_frames(struct far *f)
{
	static const char text[1500] = "x";

	memcpy(f->out, UPGRADE, strlen(UPGRADE));
	f->out_len = strlen(UPGRADE);
	f->out_len += peer_frame(f->out + f->out_len, 0x82, text, 1);
	f->out_len += peer_frame(f->out + f->out_len, 0x82, text, 1500);
	f->out_len += peer_frame(f->out + f->out_len, 0x89, "ping", 4);
	f->out_len += peer_frame(f->out + f->out_len, 0x82, text, 200);
	f->out_len += peer_frame(f->out + f->out_len, 0x88, "\x03\xe8", 2);
}

static struct pulse_ws_server *quiet_server(void)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .listen = "", .handlers = &h,
		   .handshake_timeout_ms = PULSE_OFF,
		   .ping_interval_ms = PULSE_OFF, .idle_timeout_ms = PULSE_OFF,
		   .write_timeout_ms = PULSE_OFF, .close_timeout_ms = PULSE_OFF);
	struct pulse_ws_server *server = NULL;

	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	return server;
}

/* Runs one connection to its end; how many bytes the peer got. */
static size_t talk(struct pulse_ws_server *server,
		   const struct pulse_fault *faults, uint32_t nr, struct far *f)
{
	PULSE_OPTS(pulse_mock_opts, mo, .faults = faults, .nr_faults = nr);
	struct pulse__ws_loop *loop = server->loops[0];
	struct pulse_transport *near;
	struct pulse_ws_conn *conn;

	memset(f, 0, sizeof(*f));
	make_frames(f);
	KT_EQ(pulse_mock_pair(loop->poller, &mo, &mo, &near, &f->t), 0);
	pulse_transport_set_handler(f->t, on_far, f);
	pulse_transport_watch(f->t, PULSE_TRANSPORT_READ | PULSE_TRANSPORT_WRITE);
	KT_EQ(pulse__ws_conn_new(loop, near, &conn), 0);
	for (int i = 0; i < 100000 && !f->ended; i++)
		pulse_poller_run_once(loop->poller, 0);
	KT_CHECK(f->ended);
	pulse_transport_close(f->t, false);
	for (int i = 0; i < 20; i++)
		pulse_poller_run_once(loop->poller, 0);
	KT_EQ(stats_of(server).connections, 0);
	return f->got_len;
}

KT_TEST(every_fault_that_is_none_gives_the_same_answer)
{
	static const struct pulse_fault scripts[][2] = {
		{ { .kind = PULSE_FAULT_SHORT_SEND, .value = 1 } },
		{ { .kind = PULSE_FAULT_SHORT_RECV, .value = 1 } },
		{ { .kind = PULSE_FAULT_SHORT_SEND, .value = 13 },
		  { .kind = PULSE_FAULT_REFUSE, .at = 2 } },
		{ { .kind = PULSE_FAULT_DELAY, .value = 3 },
		  { .kind = PULSE_FAULT_SHORT_RECV, .value = 100 } },
		{ { .kind = PULSE_FAULT_REFUSE, .at = 3 },
		  { .kind = PULSE_FAULT_DELAY, .value = 1 } },
	};
	struct pulse_ws_server *server = quiet_server();
	static struct far plain, f;

	talk(server, NULL, 0, &plain);
	KT_CHECK(memmem(plain.got, plain.got_len, ACCEPT, strlen(ACCEPT)));
	KT_CHECK(plain.got_len > 1700);
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		talk(server, scripts[i], scripts[i][1].kind ? 2 : 1, &f);
		KT_CHECKF(f.got_len == plain.got_len &&
			  !memcmp(f.got, plain.got, f.got_len),
			  "script %zu: %zu bytes, not %zu", i, f.got_len,
			  plain.got_len);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(cut_at_each_byte_it_ends_and_leaves_nothing)
{
	struct pulse_ws_server *server = quiet_server();
	static struct far f;

	for (uint64_t at = 1; at < 2200; at += 1 + at / 400) {
		struct pulse_fault cut = {
			.kind = PULSE_FAULT_CUT, .at = at,
			.value = at % 2 ? -ECONNRESET : 0,
		};

		talk(server, &cut, 1, &f);
	}
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()
