// SPDX-License-Identifier: GPL-2.0-only
/*
 * plan.c - frames to send and answers to expect, made before the run.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define FIN	0x80
#define RSV1	0x40

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Something like the JSON that servers get: letters and digits by chance. */
static void fill_text(uint8_t *p, size_t n, uint64_t seed)
{
	static const char form[] =
		"{\"id\":######,\"name\":\"@@@@@@@@\",\"ok\":true,\"at\":##.###},";

	for (size_t i = 0; i < n; i++) {
		char c = form[i % (sizeof(form) - 1)];

		p[i] = (uint8_t)(c == '#' ? '0' + next_random(&seed) % 10 :
				 c == '@' ? 'a' + next_random(&seed) % 26 :
				 (uint8_t)c);
	}
}

static void fill(uint8_t *p, const struct args *a, unsigned int variant)
{
	uint64_t seed = 0x9e3779b97f4a7c15ULL * (variant + 1);

	if (a->text)
		fill_text(p, a->size, seed);
	else
		for (size_t i = 0; i < a->size; i++)
			p[i] = (uint8_t)(next_random(&seed) >> 24);
	if (a->size)		/* no two are alike */
		p[0] = (uint8_t)('A' + variant);
}

static size_t header(uint8_t *h, const struct args *a, size_t len, bool mask)
{
	size_t n = 2;

	h[0] = (uint8_t)(FIN | (a->text ? 1 : 2) | (a->deflate ? RSV1 : 0));
	h[1] = (uint8_t)(len < 126 ? len : len < 65536 ? 126 : 127);
	if (h[1] >= 126) {
		n = h[1] == 126 ? 4 : 10;
		for (size_t i = n; i > 2; i--, len >>= 8)
			h[i - 1] = (uint8_t)len;
	}
	if (mask)
		h[1] |= 0x80;
	return n;
}

/* The payload as it goes into a frame; its bytes, or 0 for want of memory. */
static uint8_t *body(const struct args *a, const uint8_t *payload, size_t *len)
{
	z_stream z = { 0 };
	uint8_t *out;
	size_t room;

	if (!a->deflate) {
		*len = a->size;
		return (uint8_t *)payload;
	}
	if (deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	room = deflateBound(&z, a->size) + 64;
	out = malloc(room);
	if (out) {
		z.next_in = (uint8_t *)payload;
		z.avail_in = (uInt)a->size;
		z.next_out = out;
		z.avail_out = (uInt)room;
		deflate(&z, Z_SYNC_FLUSH);
		*len = room - z.avail_out - 4;	/* RFC 7692, section 7.2.1 */
	}
	deflateEnd(&z);
	return out;
}

struct piece {
	uint8_t *bytes;
	size_t len;
};

static int frame(struct piece *f, const struct args *a, const uint8_t *payload,
		 unsigned int variant)
{
	static const uint8_t some_key[4] = { 0x37, 0xfa, 0x21, 0x3d };
	uint8_t key[4];
	size_t len, n;
	uint8_t *data = body(a, payload, &len);

	if (!data)
		return -ENOMEM;
	f->bytes = malloc(len + 14);
	if (f->bytes) {
		n = header(f->bytes, a, len, true);
		for (int i = 0; i < 4; i++)
			f->bytes[n++] = key[i] =
				(uint8_t)(some_key[i] + 17 * variant);
		for (size_t i = 0; i < len; i++)
			f->bytes[n + i] = data[i] ^ key[i & 3];
		f->len = n + len;
	}
	if (data != payload)
		free(data);
	return f->bytes ? 0 : -ENOMEM;
}

static int answer(struct piece *f, const struct args *a, const uint8_t *payload)
{
	size_t n;

	f->bytes = malloc(a->size + 14);
	if (!f->bytes)
		return -ENOMEM;
	n = header(f->bytes, a, a->size, false);
	memcpy(f->bytes + n, payload, a->size);
	f->len = n + a->size;
	return 0;
}

static int lay_out(struct strip *s, const struct piece *f, unsigned int variants,
		   uint32_t depth)
{
	size_t nr = variants + depth, all = 0;

	s->at = calloc(nr + 1, sizeof(*s->at));
	if (!s->at)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		s->at[i] = all;
		all += f[i % variants].len;
	}
	s->at[nr] = all;
	s->bytes = malloc(all);
	if (!s->bytes)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		memcpy(s->bytes + s->at[i], f[i % variants].bytes,
		       f[i % variants].len);
	return 0;
}

static int request(struct plan *p)
{
	const struct args *a = p->args;
	int n;

	/* The key of RFC 6455, section 1.3, whose answer is known. */
	n = asprintf(&p->request,
		     "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
		     a->path, a->host, a->deflate ?
		     "Sec-WebSocket-Extensions: permessage-deflate; "
		     "client_no_context_takeover; server_no_context_takeover\r\n" :
		     "");
	if (n < 0)
		return -ENOMEM;
	p->request_len = (size_t)n;
	return 0;
}

int plan_make(struct plan *p, const struct args *a)
{
	struct piece out[MAX_VARIANTS] = { 0 }, in[MAX_VARIANTS] = { 0 };
	int err;

	*p = (struct plan){ .args = a };
	p->variants = a->size <= 4096 ? MAX_VARIANTS : 2;
	err = request(p);
	for (unsigned int v = 0; v < p->variants && !err; v++) {
		p->payload[v] = malloc(a->size + 1);
		if (!p->payload[v]) {
			err = -ENOMEM;
			break;
		}
		fill(p->payload[v], a, v);
		err = frame(&out[v], a, p->payload[v], v) ?:
		      answer(&in[v], a, p->payload[v]);
	}
	if (!err)
		err = lay_out(&p->out, out, p->variants, a->depth);
	/* What a server compresses is its own affair. */
	if (!err && !a->deflate)
		err = lay_out(&p->in, a->raw ? out : in, p->variants, a->depth);
	for (unsigned int v = 0; v < p->variants; v++) {
		free(out[v].bytes);
		free(in[v].bytes);
	}
	return err;
}

void plan_free(struct plan *p)
{
	for (unsigned int v = 0; v < p->variants; v++)
		free(p->payload[v]);
	free(p->out.bytes);
	free(p->out.at);
	free(p->in.bytes);
	free(p->in.at);
	free(p->request);
}
