// SPDX-License-Identifier: GPL-2.0-only
/* The parsers by themselves: request head, frame header, masking, UTF-8, key. */
#include "ktap.h"
#include "ws/codec.h"
#include "ws/frame.h"
#include "ws/head.h"
#include "ws/key.h"

static struct pulse__ws_head head;

/* Feeds a text in pieces; the result of the last feed, or of the first error. */
static int64_t feed(const char *text, size_t len, size_t piece)
{
	size_t at = 0;
	int64_t n = 0;

	pulse__ws_head_free(&head);
	pulse__ws_head_init(&head, 4096);
	while (at < len && !head.done) {
		size_t part = len - at < piece ? len - at : piece;

		n = pulse__ws_head_feed(&head, (const uint8_t *)text + at, part);
		if (n < 0)
			return n;
		at += (size_t)n;
	}
	return (int64_t)at;
}

static const char good[] =
	"GET /a/b?c=%20d HTTP/1.1\r\n"
	"Host: example.org\r\n"
	"X-Empty:\r\n"
	"UPGRADE:   h2c ,WebSocket\t \r\n"
	"Connection: keep-alive\r\n"
	"connection: , Upgrade\r\n"
	"X-Dup: one\r\nX-Dup: two words\r\n"
	"X-High: \xc3\xa4\r\n"
	"\r\n";

static void check_good(void)
{
	KT_REQUIRE(head.done);
	KT_STREQ(pulse__ws_head_method(&head), "GET");
	KT_STREQ(pulse__ws_head_target(&head), "/a/b?c=%20d");
	KT_EQ(head.minor, 1);
	KT_STREQ(pulse__ws_head_get(&head, "host", 0), "example.org");
	KT_STREQ(pulse__ws_head_get(&head, "x-empty", 0), "");
	KT_STREQ(pulse__ws_head_get(&head, "x-dup", 1), "two words");
	KT_CHECK(!pulse__ws_head_get(&head, "x-dup", 2));
	KT_STREQ(pulse__ws_head_get(&head, "x-high", 0), "\xc3\xa4");
	KT_CHECK(pulse__ws_head_lists(&head, "upgrade", "websocket"));
	KT_CHECK(pulse__ws_head_lists(&head, "connection", "upgrade"));
	KT_CHECK(pulse__ws_head_lists(&head, "connection", "keep-alive"));
	KT_CHECK(!pulse__ws_head_lists(&head, "connection", "keep"));
	KT_CHECK(!pulse__ws_head_lists(&head, "x-none", "upgrade"));
}

KT_TEST(a_head_is_the_same_in_pieces_of_any_size)
{
	for (size_t piece = 1; piece <= sizeof(good); piece++) {
		KT_EQ(feed(good, sizeof(good) - 1, piece), sizeof(good) - 1);
		check_good();
	}
	/* Split in two at each byte. */
	for (size_t cut = 0; cut < sizeof(good); cut++) {
		pulse__ws_head_free(&head);
		KT_EQ(pulse__ws_head_feed(&head, (const uint8_t *)good, cut),
		      cut);
		KT_EQ(pulse__ws_head_feed(&head, (const uint8_t *)good + cut,
					  sizeof(good) - 1 - cut),
		      sizeof(good) - 1 - cut);
		check_good();
	}
	pulse__ws_head_free(&head);
}

KT_TEST(what_follows_a_head_is_left_alone)
{
	static const char text[] = "\r\n\r\nGET / HTTP/1.0\r\n\r\n\x81\x80more";

	KT_EQ(feed(text, sizeof(text) - 1, 1000), 22);
	KT_CHECK(head.done);
	KT_EQ(head.minor, 0);
	KT_CHECK(!pulse__ws_head_get(&head, "host", 0));
	pulse__ws_head_free(&head);
}

KT_TEST(bad_heads_are_refused_in_pieces_of_any_size)
{
	static const char *const bad[] = {
		" GET / HTTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1 \r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
		"GET / HTTP/1.x\r\n\r\n", "GET / HTTP/1.11\r\n\r\n",
		"GET / http/1.1\r\n\r\n", "GET /\r\n\r\n", "GET\r\n\r\n",
		"GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n",
		"GET / HTTP/1.1\rX", "G@T / HTTP/1.1\r\n\r\n",
		"GET /\x01 HTTP/1.1\r\n\r\n", "GET /\xff HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"GET / HTTP/1.1\r\n: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost\r\n\r\n",
		"GET / HTTP/1.1\r\n folded: a\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\x01\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n",
		"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
		"GET / HTTP/1.1\r\n\rX", "\r\r\n", "\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01", "{\"json\": 1}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t len = strlen(bad[i]);

		for (size_t piece = 1; piece <= len; piece++)
			KT_CHECKF(feed(bad[i], len, piece) == -EPROTO,
				  "%s in pieces of %zu", bad[i], piece);
	}
	KT_EQ(feed("GET / HTTP/1.1\r\nA: b\0\r\n\r\n", 25, 100), -EPROTO);
	KT_EQ(feed("GET /\0 HTTP/1.1\r\n\r\n", 20, 100), -EPROTO);
	pulse__ws_head_free(&head);
}

KT_TEST(only_bytes_limit_a_head)
{
	char text[5000];
	size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\n");

	while (n + 4 <= 4094)
		n += (size_t)sprintf(text + n, "a:\r\n");
	while (n < 4092)
		text[n - 2] = 'x', text[n - 1] = '\r', text[n++] = '\n';
	n = 4092;
	memcpy(text + n, "\r\n\r\n", 4);
	text[4091] = 'b';
	memcpy(text + 4088, "a:bb", 4);
	KT_EQ(feed(text, 4096, 1), 4096);
	KT_CHECK(head.done);
	memmove(text + 17, text + 16, 4080);
	memcpy(text + 16, "ab", 2);
	KT_EQ(feed(text, 4097, 1), -E2BIG);
	KT_EQ(feed(text, 4097, 4097), -E2BIG);
	memset(text, 'A', sizeof(text));
	KT_EQ(feed(text, 4096, 7), 4096);
	KT_CHECK(!head.done);
	KT_EQ(feed(text, 4097, 7), -E2BIG);
	pulse__ws_head_free(&head);
}

/* ---- frame headers -------------------------------------------------------- */

static const struct pulse__ws_rules server = { .masked = true };

KT_TEST(lengths_survive_writing_and_reading)
{
	static const uint64_t lens[] = { 0, 1, 125, 126, 127, 255, 256, 65535,
					 65536, 1 << 20, 1ULL << 32,
					 (1ULL << 63) - 1 };
	const struct pulse__ws_rules client = { 0 };
	struct pulse__ws_frame f;
	const char *why;
	uint8_t buf[16];

	for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t n = pulse__ws_frame_write(buf, PULSE__WS_FIN |
						 PULSE__WS_BINARY, lens[i]);

		for (size_t part = 0; part < n; part++)
			KT_EQ(pulse__ws_frame_read(buf, part, &client, &f, &why),
			      0);
		KT_EQ(pulse__ws_frame_read(buf, n, &client, &f, &why), n);
		KT_EQ(f.len, lens[i]);
		KT_EQ(f.op, PULSE__WS_BINARY);
		KT_CHECK(f.fin);
		KT_EQ(pulse__ws_frame_read(buf, n, &server, &f, &why), -EPROTO);
	}
}

KT_TEST(the_key_is_read)
{
	static const uint8_t frame[] = { 0x01, 0x80 | 5, 1, 2, 3, 4 };
	struct pulse__ws_frame f;
	const char *why;

	for (size_t part = 0; part < sizeof(frame); part++)
		KT_EQ(pulse__ws_frame_read(frame, part, &server, &f, &why), 0);
	KT_EQ(pulse__ws_frame_read(frame, sizeof(frame), &server, &f, &why), 6);
	KT_EQ(f.key, pulse__ws_key(frame + 2));
	KT_EQ(f.len, 5);
	KT_CHECK(!f.fin);
}

KT_TEST(bad_frame_headers_are_refused)
{
	struct pulse__ws_rules deflate = { .masked = true, .rsv = PULSE__WS_RSV1 };
	struct pulse__ws_frame f;
	const char *why;

	for (unsigned int first = 0; first < 256; first++) {
		for (unsigned int second = 0; second < 256; second++) {
			uint8_t b[14] = { (uint8_t)first, (uint8_t)second };
			unsigned int op = first & 15, len = second & 127;
			bool ok = second & 128 && !(first & 0x70) &&
				  (op <= 2 || (op >= 8 && op <= 10));

			if (op >= 8)
				ok = ok && first & 128 && len <= 125;
			if (len == 126)
				b[2] = 1;	/* 256 */
			if (len == 127)
				b[7] = 1;	/* 65536 */
			KT_CHECKF((pulse__ws_frame_read(b, 14, &server, &f,
							&why) > 0) == ok,
				  "%02x %02x", first, second);
		}
	}
	KT_EQ(pulse__ws_frame_read((const uint8_t *)"\xc1\x80\0\0\0\0", 6,
				   &deflate, &f, &why), 6);
	KT_EQ(f.rsv, PULSE__WS_RSV1);
	KT_EQ(pulse__ws_frame_read((const uint8_t *)"\xc9\x80\0\0\0\0", 6,
				   &deflate, &f, &why), -EPROTO);
	/* Not the shortest form, and the top bit. */
	KT_EQ(pulse__ws_frame_read((const uint8_t *)"\x82\xfe\x00\x7d", 4,
				   &server, &f, &why), -EPROTO);
	KT_EQ(pulse__ws_frame_read((const uint8_t *)
				   "\x82\xff\0\0\0\0\0\0\xff\xff", 10,
				   &server, &f, &why), -EPROTO);
	KT_EQ(pulse__ws_frame_read((const uint8_t *)
				   "\x82\xff\x80\0\0\0\0\1\0\0", 10,
				   &server, &f, &why), -EPROTO);
}

KT_TEST(close_codes)
{
	for (unsigned int code = 0; code < 65536; code++) {
		bool ok = (code >= 1000 && code <= 1003) ||
			  (code >= 1007 && code <= 1014) ||
			  (code >= 3000 && code <= 4999);

		KT_CHECKF(pulse__ws_code_valid(code) == ok, "%u", code);
	}
}

/* ---- masking, UTF-8, key -------------------------------------------------- */

KT_TEST(masking_is_its_own_inverse_at_any_place)
{
	uint8_t raw[200], out[200], key[4] = { 0x12, 0xf4, 0x56, 0x9a };
	const struct pulse__ws_codec *codec = &pulse__ws_codec_word;

	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)(i * 37 + 11);
	for (size_t from = 0; from < 9; from++) {
		for (size_t len = 0; len + from < 140; len++) {
			for (size_t cut = 0; cut <= len; cut += 1 + len / 7) {
				uint32_t k = pulse__ws_key(key);
				size_t bad = 0;

				memcpy(out, raw, sizeof(out));
				codec->mask(out + from, out + from, cut, k);
				codec->mask(out + from + cut, out + from + cut,
					    len - cut, pulse__ws_key_after(k, cut));
				for (size_t i = 0; i < sizeof(out); i++) {
					bool in = i >= from && i < from + len;
					uint8_t x = in ? key[(i - from) & 3] : 0;

					bad += out[i] != (raw[i] ^ x);
				}
				KT_EQ(bad, 0);
			}
		}
	}
}

/* One character by the book: decode, and look at the number. */
static bool is_char(const uint8_t *p, size_t n)
{
	uint32_t v;

	if (n == 1)
		return p[0] < 0x80;
	if (p[0] < 0xc0 || p[0] > 0xf7 ||
	    n != (p[0] < 0xe0 ? 2U : p[0] < 0xf0 ? 3U : 4U))
		return false;
	v = p[0] & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return false;
		v = v << 6 | (p[i] & 0x3f);
	}
	return v >= (n == 2 ? 0x80U : n == 3 ? 0x800U : 0x10000U) &&
	       v <= 0x10ffff && (v < 0xd800 || v > 0xdfff);
}

static bool whole_utf8(const uint8_t *p, size_t n)
{
	uint32_t state = 0;

	return pulse__ws_codec_word.utf8(&state, p, n) && !state;
}

KT_TEST(utf8_takes_each_character_and_nothing_else)
{
	uint8_t p[4];

	for (unsigned int a = 0; a < 256; a++) {
		p[0] = (uint8_t)a;
		KT_EQ(whole_utf8(p, 1), is_char(p, 1));
		for (unsigned int b = 0; b < 256; b++) {
			p[1] = (uint8_t)b;
			KT_EQ(whole_utf8(p, 2), is_char(p, 2) || (a < 128 && b < 128));
			if (a < 0xe0)
				continue;
			for (unsigned int c = 0; c < 256; c++) {
				p[2] = (uint8_t)c;
				if (whole_utf8(p, 3) != is_char(p, 3))
					KT_FAIL("%02x %02x %02x", a, b, c);
				if (a < 0xf0)
					continue;
				for (unsigned int d = 0x70; d < 0xd0; d++) {
					p[3] = (uint8_t)d;
					if (whole_utf8(p, 4) != is_char(p, 4))
						KT_FAIL("%02x %02x %02x %02x", a,
							b, c, d);
				}
			}
		}
	}
}

KT_TEST(utf8_is_the_same_cut_anywhere)
{
	static const char text[] = "plain text, \xc3\xa4\xe2\x82\xac"
		"\xf0\x9f\x98\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf more plain text";
	size_t len = sizeof(text) - 1;
	char bad[sizeof(text)];

	for (size_t cut = 0; cut <= len; cut++) {
		uint32_t s = 0;

		KT_CHECK(pulse__ws_codec_word.utf8(&s, (const uint8_t *)text, cut));
		KT_CHECK(pulse__ws_codec_word.utf8(&s, (const uint8_t *)text + cut,
						   len - cut));
		KT_EQ(s, 0);
	}
	for (size_t at = 0; at < len; at++) {
		memcpy(bad, text, sizeof(text));
		bad[at] = (char)0xff;
		for (size_t cut = 0; cut <= len; cut++) {
			uint32_t s = 0;
			bool ok = pulse__ws_codec_word.utf8(&s,
					(const uint8_t *)bad, cut) &&
				pulse__ws_codec_word.utf8(&s,
					(const uint8_t *)bad + cut, len - cut);

			KT_CHECK(!ok);
		}
	}
}

KT_TEST(the_key_and_its_answer)
{
	static const char *const bad[] = {
		"", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
		"dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25j*Q==",
		"dGhlIHNhbXBsZSBub25jZQAA", "dGhlIHNhbXBsZSBub25jZQ= ",
		"dGhlIHNhbXBsZSBub25jZS4=",
	};
	char out[PULSE__WS_ACCEPT_LEN + 1];
	uint8_t sum[20];

	pulse__ws_key_accept("dGhlIHNhbXBsZSBub25jZQ==", out);
	KT_STREQ(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	KT_CHECK(pulse__ws_key_valid("dGhlIHNhbXBsZSBub25jZQ=="));
	KT_CHECK(pulse__ws_key_valid("AAAAAAAAAAAAAAAAAAAAAA=="));
	KT_CHECK(pulse__ws_key_valid("////////////////////+w=="));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		KT_CHECKF(!pulse__ws_key_valid(bad[i]), "\"%s\"", bad[i]);
	pulse__sha1("", 0, sum);
	KT_CHECK(!memcmp(sum, "\xda\x39\xa3\xee\x5e\x6b\x4b\x0d\x32\x55\xbf\xef"
			 "\x95\x60\x18\x90\xaf\xd8\x07\x09", 20));
	pulse__sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    56, sum);
	KT_CHECK(!memcmp(sum, "\x84\x98\x3e\x44\x1c\x3b\xd2\x6e\xba\xae\x4a\xa1"
			 "\xf9\x51\x29\xe5\xe5\x46\x70\xf1", 20));
}

KT_MAIN()
