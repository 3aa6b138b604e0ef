// SPDX-License-Identifier: GPL-2.0-only
/*
 * RFC 7692, section 7.2: compressed messages, right and wrong, over real
 * sockets; the peer compresses with zlib itself.
 */
#include "keeping.h"

#include <zlib.h>

#define B(text) text, sizeof(text) - 1
#define PMD	"permessage-deflate"

/* A peer that compresses. */
struct packer {
	struct peer p;
	z_stream *tx, *rx;	/* zlib wants them where they were made */
};

static struct packer packer_open(struct pulse_ws_server *server,
				 const char *offer, int tx_bits, int rx_bits)
{
	struct packer k = { 0 };
	char head[1024], *answer;

	snprintf(head, sizeof(head), "%.*sSec-WebSocket-Extensions: %s\r\n\r\n",
		 (int)strlen(UPGRADE) - 2, UPGRADE, offer);
	k.p = peer_connect(server);
	KT_CHECK(peer_say(&k.p, head));
	answer = peer_head(&k.p);
	KT_CHECK(answer && strstr(answer, "Extensions: " PMD));
	k.tx = calloc(1, sizeof(*k.tx));
	k.rx = calloc(1, sizeof(*k.rx));
	KT_EQ(deflateInit2(k.tx, 6, Z_DEFLATED, -tx_bits, 8, 0), Z_OK);
	KT_EQ(inflateInit2(k.rx, -rx_bits), Z_OK);
	return k;
}

static void packer_close(struct packer *k)
{
	deflateEnd(k->tx);
	inflateEnd(k->rx);
	free(k->tx);
	free(k->rx);
	peer_close(&k->p);
}

/* The bytes of a message, to be freed. */
static uint8_t *packed(struct packer *k, const void *data, size_t len,
		       size_t *out)
{
	size_t room = len + len / 8 + 256;
	uint8_t *mem = malloc(room);

	*out = 1;
	mem[0] = 0;
	if (!len)	/* section 7.2.3.6 */
		return mem;
	k->tx->next_in = (void *)(uintptr_t)data;
	k->tx->avail_in = (unsigned int)len;
	k->tx->next_out = mem;
	k->tx->avail_out = (unsigned int)room;
	KT_EQ(deflate(k->tx, Z_SYNC_FLUSH), Z_OK);
	*out = room - k->tx->avail_out - 4;
	return mem;
}

static bool send_packed(struct packer *k, uint8_t op, const void *data,
			size_t len)
{
	size_t n;
	uint8_t *mem = packed(k, data, len, &n);
	bool ok = peer_send_frame(&k->p, 0xc0 | op, mem, n);

	free(mem);
	return ok;
}

/* Is the next message this one? Compressed or not; *was tells which. */
static bool expect(struct packer *k, uint8_t op, const void *data, size_t len,
		   bool *was)
{
	static const uint8_t tail[4] = { 0, 0, 0xff, 0xff };
	struct frame f;
	uint8_t *out;
	bool same;

	if (!peer_next(&k->p, &f) || (f.first & 0xbf) != (0x80 | op))
		return false;
	if (was)
		*was = f.first & 0x40;
	if (!(f.first & 0x40))
		return f.len == len && (!len || !memcmp(f.data, data, len));
	out = malloc(len + 64);
	k->rx->next_out = out;
	k->rx->avail_out = (unsigned int)len + 64;
	for (int i = 0; i < 2; i++) {
		k->rx->next_in = i ? (void *)(uintptr_t)tail : f.data;
		k->rx->avail_in = i ? 4 : (unsigned int)f.len;
		KT_EQ(inflate(k->rx, Z_SYNC_FLUSH), Z_OK);
	}
	same = len + 64 - k->rx->avail_out == len &&
	       (!len || !memcmp(out, data, len));
	free(out);
	return same;
}

static struct pulse_ws_server *serve_packed(struct pulse_ws_deflate_opts *d,
					    uint64_t max)
{
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h, .deflate = d,
		   .max_message_bytes = max);

	return serve(&o);
}

static char *a_text(size_t len)
{
	char *t = malloc(len + 1);
	size_t at = 0;

	while (at < len)
		at += (size_t)snprintf(t + at, len + 1 - at,
				       "{\"n\":%zu,\"v\":%zu} ", at, at * 7919);
	return t;
}

/* ---- what is right -------------------------------------------------------- */

static void echoes(const char *offer, int tx_bits, int rx_bits, bool tx_forgets,
		   bool rx_forgets)
{
	static const size_t sizes[] = { 0, 1, 63, 64, 300, 300, 5000, 70000,
					300, 1 << 20, 64, 0, 40000 };
	PULSE_OPTS(pulse_ws_deflate_opts, d, .min_bytes = 64);
	struct pulse_ws_server *server = serve_packed(&d, 0);
	struct packer k = packer_open(server, offer, tx_bits, rx_bits);
	char *text = a_text(1 << 20);
	struct pulse_ws_stats s;
	bool was;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (tx_forgets)
			KT_EQ(deflateReset(k.tx), Z_OK);
		if (rx_forgets)
			KT_EQ(inflateReset(k.rx), Z_OK);
		KT_CHECK(send_packed(&k, 1, text, sizes[i]));
		KT_CHECKF(expect(&k, 1, text, sizes[i], &was),
			  "%s: message of %zu bytes", offer, sizes[i]);
		KT_CHECK(was == (sizes[i] >= 64));
	}
	s = stats_of(server);
	KT_EQ(s.inflated, ARRAY_SIZE(sizes));
	KT_EQ(s.deflated, 9);
	KT_CHECK(s.deflated_to < s.bytes_out / 2 &&
		 s.inflated_from < s.bytes_in / 2);
	free(text);
	packer_close(&k);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(messages_of_any_size_with_any_agreement)
{
	echoes(PMD, 15, 15, false, false);
	echoes(PMD "; server_no_context_takeover; client_no_context_takeover",
	       15, 15, true, true);
	echoes(PMD "; server_no_context_takeover", 15, 15, false, true);
	echoes(PMD "; client_no_context_takeover", 15, 15, true, false);
	echoes(PMD "; server_max_window_bits=9; client_max_window_bits=9", 9, 9,
	       false, false);
	echoes(PMD "; client_max_window_bits=12; server_max_window_bits=11", 12,
	       11, false, false);
}

/* The bytes of RFC 7692, section 7.2.3, each of which says "Hello". */
KT_TEST(the_examples_of_the_rfc)
{
	static const struct { const char *bytes; size_t len; } hello[] = {
		{ B("\xf2\x48\xcd\xc9\xc9\x07\x00") },
		/* its second one: from the window of the one before */
		{ B("\xf2\x00\x11\x00\x00") },
		/* no compression */
		{ B("\x00\x05\x00\xfa\xffHello\x00") },
		/* a block that ends the stream, and an empty one */
		{ B("\xf3\x48\xcd\xc9\xc9\x07\x00\x00") },
		/* the same without the empty one */
		{ B("\xf3\x48\xcd\xc9\xc9\x07\x00") },
		/* two blocks in one message */
		{ B("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00") },
		/* and the window lasts over a stream that ended */
		{ B("\xf2\x00\x11\x00\x00") },
	};
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 9);
	struct pulse_ws_server *server = serve_packed(&d, 0);
	struct packer k = packer_open(server, PMD, 15, 15);

	for (size_t i = 0; i < ARRAY_SIZE(hello); i++) {
		KT_CHECK(peer_send_frame(&k.p, 0xc1, hello[i].bytes,
					 hello[i].len));
		KT_CHECKF(peer_expect(&k.p, 0x81, "Hello", 5), "example %zu", i);
	}
	/* In two fragments, a ping between; one byte each time. */
	KT_CHECK(peer_send_frame(&k.p, 0x41, "\xf2\x48\xcd", 3));
	KT_CHECK(peer_send_frame(&k.p, 0x89, "p", 1));
	KT_CHECK(peer_send_frame(&k.p, 0x80, "\xc9\xc9\x07\x00", 4));
	KT_CHECK(peer_expect(&k.p, 0x8a, "p", 1));
	KT_CHECK(peer_expect(&k.p, 0x81, "Hello", 5));
	/* A stream that ends within the message, a last fragment of nothing. */
	KT_CHECK(peer_send_frame(&k.p, 0x41, "\xf3\x48\xcd\xc9\xc9\x07\x00", 7));
	KT_CHECK(peer_send_frame(&k.p, 0x80, NULL, 0));
	KT_CHECK(peer_expect(&k.p, 0x81, "Hello", 5));
	/* An empty message: one byte as the RFC has it, or none at all. */
	KT_CHECK(peer_send_frame(&k.p, 0xc1, "\0", 1));
	KT_CHECK(peer_expect(&k.p, 0x81, NULL, 0));
	KT_CHECK(peer_send_frame(&k.p, 0xc1, NULL, 0));
	KT_CHECK(peer_expect(&k.p, 0x81, NULL, 0));
	/* Between them one that is not compressed. */
	KT_CHECK(peer_send_frame(&k.p, 0x81, "plain", 5));
	KT_CHECK(peer_expect(&k.p, 0x81, "plain", 5));
	KT_CHECK(peer_send_frame(&k.p, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7));
	KT_CHECK(peer_expect(&k.p, 0x81, "Hello", 5));
	packer_close(&k);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_TEST(fragments_of_a_message_anywhere)
{
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	struct pulse_ws_server *server = serve_packed(&d, 0);
	struct packer k = packer_open(server, PMD, 15, 15);
	char *text = a_text(9000);

	for (size_t piece = 1; piece < 3000; piece = piece * 3 + 1) {
		size_t n, at = 0;
		uint8_t *mem = packed(&k, text, 9000, &n);

		while (at < n) {
			size_t take = piece < n - at ? piece : n - at;
			uint8_t first = at ? 0 : 0x42;

			first |= at + take == n ? 0x80 : 0;
			KT_CHECK(peer_send_frame(&k.p, first, mem + at, take));
			at += take;
		}
		free(mem);
		KT_CHECK(expect(&k, 2, text, 9000, NULL));
	}
	free(text);
	packer_close(&k);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* What cannot be compressed does not grow where nobody needs to know of it. */
KT_TEST(noise_goes_as_it_is_where_the_window_is_forgotten)
{
	PULSE_OPTS(pulse_ws_deflate_opts, d, .flags = PULSE_WS_SERVER_FORGETS);
	struct pulse_ws_server *server = serve_packed(&d, 0);
	struct packer k = packer_open(server, PMD, 15, 15);
	uint8_t noise[4000];
	uint32_t x = 12345;
	bool was = true;

	for (size_t i = 0; i < sizeof(noise); i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (uint8_t)(x >> 24);
	}
	KT_CHECK(send_packed(&k, 2, noise, sizeof(noise)));
	KT_CHECK(expect(&k, 2, noise, sizeof(noise), &was));
	KT_CHECK(!was);
	packer_close(&k);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Two connections, two messages under way at once, one shared stream. */
KT_TEST(messages_under_way_do_not_share_a_stream)
{
	PULSE_OPTS(pulse_ws_deflate_opts, d, .flags = PULSE_WS_CLIENT_FORGETS |
		   PULSE_WS_SERVER_FORGETS);
	struct pulse_ws_server *server = serve_packed(&d, 0);
	struct packer k[3];

	for (int i = 0; i < 3; i++)
		k[i] = packer_open(server, PMD, 15, 15);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++)
			KT_CHECK(peer_send_frame(&k[i].p, 0x41, "\xf2\x48\xcd",
						 3));
		for (int i = 0; i < 3; i++) {
			/* all three have begun once this is answered */
			KT_CHECK(peer_send_frame(&k[i].p, 0x89, NULL, 0));
			KT_CHECK(peer_expect(&k[i].p, 0x8a, NULL, 0));
		}
		for (int i = 2; i >= 0; i--) {
			KT_CHECK(peer_send_frame(&k[i].p, 0x80,
						 "\xc9\xc9\x07\x00", 4));
			KT_CHECK(peer_expect(&k[i].p, 0x81, "Hello", 5));
		}
	}
	for (int i = 0; i < 3; i++)
		packer_close(&k[i]);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* ---- what is wrong -------------------------------------------------------- */

/* A packed message of bytes that are not UTF-8. */
static void bad_text(struct packer *k, const char *bytes, size_t len)
{
	KT_CHECK(send_packed(k, 1, bytes, len));
}

KT_TEST(each_wrong_stream_has_its_code)
{
	static const struct {
		const char *bytes;	/* frames, masked with zeros */
		size_t len;
		int code;
		const char *what;
	} bad[] = {
		{ B("\xa1\x80\0\0\0\0"), 1002, "RSV2" },
		{ B("\x91\x80\0\0\0\0"), 1002, "RSV3" },
		{ B("\xe1\x80\0\0\0\0"), 1002, "RSV1 and RSV2" },
		{ B("\xc9\x80\0\0\0\0"), 1002, "a compressed ping" },
		{ B("\xca\x80\0\0\0\0"), 1002, "a compressed pong" },
		{ B("\xc8\x80\0\0\0\0"), 1002, "a compressed close" },
		{ B("\x41\x83\0\0\0\0\xf2\x48\xcd\xc0\x84\0\0\0\0\xc9\xc9\x07\0"),
		  1002, "RSV1 in a continuation" },
		{ B("\x01\x81\0\0\0\0x\xc0\x80\0\0\0\0"), 1002,
		  "RSV1 in a continuation of a plain one" },
		{ B("\xc1\x81\0\0\0\0\xff"), 1007, "a block of type 3" },
		{ B("\xc1\x83\0\0\0\0\xf2\x48\xcd"), 1007,
		  "an end within a block" },
		{ B("\xc1\x85\0\0\0\0\x00\x05\x00\xfa\xf0"), 1007,
		  "a stored block with a wrong length" },
		{ B("\xc1\x87\0\0\0\0\x00\x05\x00\xfa\xffHe"), 1007,
		  "a stored block cut short" },
		{ B("\xc1\x85\0\0\0\0\xf2\x00\x11\x00\x00"), 1007,
		  "a distance beyond the window" },
	};
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	struct pulse_ws_server *server = serve_packed(&d, 1000);
	char zeros[1001] = "";
	struct packer k;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		for (size_t piece = 1; piece < 100; piece *= 99) {
			int code;

			k = packer_open(server, PMD, 15, 15);
			for (size_t at = 0; at < bad[i].len; at += piece)
				if (!peer_send(&k.p, bad[i].bytes + at,
					       piece < bad[i].len - at ? piece :
					       bad[i].len - at))
					break;
			code = peer_close_code(&k.p);
			KT_CHECKF(code == bad[i].code, "%s: %d, should be %d",
				  bad[i].what, code, bad[i].code);
			packer_close(&k);
		}
	}
	k = packer_open(server, PMD, 15, 15);
	bad_text(&k, "ab\xff", 3);
	KT_EQ(peer_close_code(&k.p), 1007);
	packer_close(&k);
	k = packer_open(server, PMD, 15, 15);
	bad_text(&k, "ab\xc3", 3);
	KT_EQ(peer_close_code(&k.p), 1007);
	packer_close(&k);
	/* The limit is on what comes of it. */
	k = packer_open(server, PMD, 15, 15);
	KT_CHECK(send_packed(&k, 2, zeros, 1000));
	KT_CHECK(expect(&k, 2, zeros, 1000, NULL));
	KT_CHECK(send_packed(&k, 2, zeros, 1001));
	KT_EQ(peer_close_code(&k.p), 1009);
	packer_close(&k);
	/* Fragments together, too. */
	k = packer_open(server, PMD, 15, 15);
	KT_CHECK(peer_send_frame(&k.p, 0x42, NULL, 0));
	for (int i = 0; i < 11; i++) {
		size_t n;
		uint8_t *mem = packed(&k, zeros, 100, &n);

		memcpy(mem + n, "\0\0\xff\xff", 4);
		KT_CHECK(peer_send_frame(&k.p, 0, mem, n + 4));
		free(mem);
	}
	KT_EQ(peer_close_code(&k.p), 1009);
	packer_close(&k);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Blocks that hold nothing: no limit on messages ends them, this one does. */
KT_TEST(empty_blocks_for_ever)
{
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	struct pulse_ws_server *server = serve_packed(&d, 1000);
	struct packer k = packer_open(server, PMD, 15, 15);
	uint8_t blocks[5000];
	bool sent = true;

	for (size_t i = 0; i < sizeof(blocks); i += 5)
		memcpy(blocks + i, "\0\0\0\xff\xff", 5);
	sent = peer_send_frame(&k.p, 0x42, blocks, sizeof(blocks));
	for (int i = 0; i < 30 && sent; i++)
		sent = peer_send_frame(&k.p, 0, blocks, sizeof(blocks));
	KT_EQ(peer_close_code(&k.p), 1009);
	packer_close(&k);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Who did not agree to compression may not use it. */
KT_TEST(without_an_agreement_a_compressed_message_is_an_error)
{
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	struct pulse_ws_server *server = serve_packed(&d, 0);
	struct peer p = peer_open(server);

	KT_CHECK(peer_send_frame(&p, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7));
	KT_EQ(peer_close_code(&p), 1002);
	peer_close(&p);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* U04: whichever allocation fails, the stream stays right or the peer is told. */
KT_TEST(without_memory)
{
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	struct pulse_ws_server *server = serve_packed(&d, 0);
	char *text = a_text(5000);
	int told = 0, through = 0;

	for (long n = 1; n < 60 && !through; n++) {
		struct packer k = packer_open(server, PMD, 15, 15);
		struct frame f;

		pulse__alloc_fail_at(n);
		KT_CHECK(send_packed(&k, 1, text, 5000));
		/* An answer that is right, or 1011, or the end. */
		if (!peer_fill(&k.p, 1)) {
			told++;
		} else if (k.p.in[k.p.at] == 0x88) {
			KT_CHECK(peer_next(&k.p, &f));
			KT_EQ(f.data[0] << 8 | f.data[1], 1011);
			told++;
		} else {
			KT_CHECK(expect(&k, 1, text, 5000, NULL));
			through += !pulse__alloc_failed();
		}
		pulse__alloc_fail_at(0);
		packer_close(&k);
		KT_CHECK(EVENTUALLY(!stats_of(server).connections));
	}
	KT_CHECK(told > 1 && through);
	free(text);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

/* Any thread may send: it is the loop that compresses, in the order of sends. */
KT_TEST(sends_from_another_thread)
{
	PULSE_OPTS(pulse_ws_deflate_opts, d, .level = 1);
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = echo_back);
	PULSE_OPTS(pulse_ws_opts, o, .deflate = &d);
	struct pulse_ws_server *server = serve_keeping(&o, &h);
	struct packer k = packer_open(server, PMD, 15, 15);
	char *text = a_text(3000);
	bool was = false;

	KT_CHECK(EVENTUALLY(kept_conn()));
	KT_CHECK(pulse_ws_conn_deflates(kept_conn()));
	for (size_t i = 0; i < 50; i++)
		KT_EQ(pulse_ws_send(kept_conn(), PULSE_WS_TEXT, text + i,
				    100 + 50 * i), 0);
	for (size_t i = 0; i < 50; i++) {
		KT_CHECK(expect(&k, 1, text + i, 100 + 50 * i, &was));
		KT_CHECK(was);
	}
	pulse_ws_put(kept_conn());
	free(text);
	packer_close(&k);
	KT_EQ(pulse_ws_server_destroy(server), 0);
}

KT_MAIN()
