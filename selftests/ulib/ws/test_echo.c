// SPDX-License-Identifier: GPL-2.0-only
/* Messages of each size, cut anywhere, come back as they were. */
#include "peer.h"

static void fill(uint8_t *data, size_t len, size_t salt)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)((i * 131 + salt * 17 + (i >> 8)) & 0xff);
}

KT_TEST(echo_of_each_size)
{
	static const size_t sizes[] = {
		0, 1, 125, 126, 127, 4095, 4096, 16383, 16384, 65521, 65522,
		65535, 65536, 65537, 70000, 1 << 20, (1 << 20) + 1,
	};
	struct pulse_ws_server *server = serve_echo();
	uint8_t *data = malloc(17 << 20);
	struct peer p = peer_open(server);

	KT_REQUIRE(data);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		fill(data, sizes[i], i);
		KT_CHECK(peer_send_frame(&p, 0x82, data, sizes[i]));
		KT_CHECKF(peer_expect(&p, 0x82, data, sizes[i]), "%zu bytes",
			  sizes[i]);
		memset(data, 'a' + (int)i, sizes[i]);
		KT_CHECK(peer_send_frame(&p, 0x81, data, sizes[i]));
		KT_CHECKF(peer_expect(&p, 0x81, data, sizes[i]),
			  "%zu bytes of text", sizes[i]);
	}
	/* The largest there may be. */
	fill(data, 16 << 20, 1);
	KT_CHECK(peer_send_frame(&p, 0x82, data, 16 << 20));
	KT_CHECK(peer_expect(&p, 0x82, data, 16 << 20));
	free(data);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(echo_split_at_each_byte)
{
	struct pulse_ws_server *server = serve_echo();
	struct peer p = peer_open(server);
	uint8_t bytes[512];
	size_t n;

	n = peer_frame(bytes, 0x81, "first", 5);
	n += peer_frame(bytes + n, 0x02, "abc", 3);
	n += peer_frame(bytes + n, 0x89, "ping!", 5);
	n += peer_frame(bytes + n, 0x00, "", 0);
	n += peer_frame(bytes + n, 0x80, "defg", 4);
	n += peer_frame(bytes + n, 0x8a, "unasked pong", 12);
	n += peer_frame(bytes + n, 0x82, bytes, 130);
	for (size_t cut = 0; cut <= n; cut++) {
		uint8_t last[130];

		KT_CHECK(peer_send(&p, bytes, cut));
		if (cut % 8 == 0)
			peer_nap(1);
		KT_CHECK(peer_send(&p, bytes + cut, n - cut));
		KT_CHECK(peer_expect(&p, 0x81, "first", 5));
		KT_CHECK(peer_expect(&p, 0x8a, "ping!", 5));
		KT_CHECK(peer_expect(&p, 0x82, "abcdefg", 7));
		for (int i = 0; i < 130; i++)
			last[i] = bytes[n - 130 + (size_t)i] ^
				  bytes[n - 134 + (size_t)(i & 3)];
		KT_CHECK(peer_expect(&p, 0x82, last, 130));
	}
	/* And all of it byte by byte. */
	for (size_t i = 0; i < n; i++)
		KT_CHECK(peer_send(&p, bytes + i, 1));
	KT_CHECK(peer_expect(&p, 0x81, "first", 5));
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_message_of_many_fragments)
{
	struct pulse_ws_server *server = serve_echo();
	struct peer p = peer_open(server);
	size_t total = 300000, at = 0, step = 1;
	uint8_t *data = malloc(total);

	KT_REQUIRE(data);
	fill(data, total, 5);
	while (at < total) {
		size_t n = step < total - at ? step : total - at;
		uint8_t first = at ? 0 : 2;

		first |= at + n == total ? 0x80 : 0;
		KT_CHECK(peer_send_frame(&p, first, data + at, n));
		at += n;
		step = step * 3 % 7001;
	}
	KT_CHECK(peer_expect(&p, 0x82, data, total));
	free(data);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(a_batch_is_answered_in_one_send)
{
	struct pulse_ws_server *server = serve_echo();
	struct peer p = peer_open(server);
	struct pulse_ws_stats before = stats_of(server), after;
	uint8_t bytes[100 * 26];
	size_t n = 0;

	for (int i = 0; i < 100; i++) {
		char text[21];

		snprintf(text, sizeof(text), "message number %05d", i);
		n += peer_frame(bytes + n, 0x81, text, 20);
	}
	KT_EQ(n, sizeof(bytes));
	KT_CHECK(peer_send(&p, bytes, n));
	for (int i = 0; i < 100; i++) {
		char text[21];

		snprintf(text, sizeof(text), "message number %05d", i);
		KT_CHECK(peer_expect(&p, 0x81, text, 20));
	}
	after = stats_of(server);
	KT_EQ(after.messages_in - before.messages_in, 100);
	KT_EQ(after.bytes_out - before.bytes_out, 2000);
	KT_EQ(after.reads - before.reads, 1);
	KT_EQ(after.sends - before.sends, 1);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()
