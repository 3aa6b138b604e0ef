// SPDX-License-Identifier: GPL-2.0-only
/*
 * check.c - what came back, held against what was to come.
 *
 * Whole answers that lie as expected are found by one memcmp(); anything else
 * that is legal (fragments, pings, pieces of a frame) goes the long way. Of
 * compressed answers each variant is inflated once for as long as the server
 * sends the same bytes for it.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct unpack {
	z_stream z;
	uint8_t *out;
	struct {
		uint8_t *bytes;
		size_t len;
	} good[MAX_VARIANTS];
};

int check_init(struct thread *t)
{
	struct unpack *u;

	if (!t->plan->args->deflate)
		return 0;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	t->unpack = u;
	u->out = malloc(t->plan->args->size + 1);
	return u->out && inflateInit2(&u->z, -15) == Z_OK ? 0 : -ENOMEM;
}

void check_free(struct thread *t)
{
	struct unpack *u = t->unpack;

	if (!u)
		return;
	for (int v = 0; v < MAX_VARIANTS; v++)
		free(u->good[v].bytes);
	inflateEnd(&u->z);
	free(u->out);
	free(u);
}

static unsigned int variant(const struct conn *c)
{
	return (unsigned int)(c->answered % c->th->plan->variants);
}

static bool inflates_to(struct unpack *u, const uint8_t *p, size_t n,
			const uint8_t *want, size_t bytes)
{
	static const uint8_t tail[4] = { 0, 0, 0xff, 0xff };
	z_stream *z = &u->z;

	inflateReset(z);
	z->next_out = u->out;
	z->avail_out = (uInt)bytes + 1;
	for (int i = 0; i < 2; i++) {
		z->next_in = (uint8_t *)(i ? tail : p);
		z->avail_in = i ? sizeof(tail) : (uInt)n;
		if (!z->avail_in)
			continue;
		if (inflate(z, Z_SYNC_FLUSH) < 0 || z->avail_in)
			return false;
	}
	return z->avail_out == 1 && !memcmp(u->out, want, bytes);
}

static bool packed_ok(struct conn *c, const uint8_t *p, size_t n)
{
	struct unpack *u = c->th->unpack;
	unsigned int v = variant(c);
	uint8_t *copy;

	if (u->good[v].bytes && u->good[v].len == n &&
	    !memcmp(u->good[v].bytes, p, n))
		return true;
	if (!inflates_to(u, p, n, c->th->plan->payload[v],
			 c->th->plan->args->size))
		return false;
	copy = malloc(n + 1);
	if (copy) {
		memcpy(copy, p, n);
		free(u->good[v].bytes);
		u->good[v].bytes = copy;
		u->good[v].len = n;
	}
	return true;
}

static void answered(struct conn *c, bool ok)
{
	struct thread *t = c->th;

	if (!ok) {
		t->n.mismatched++;
		complain(t, "answer %llu of a connection is not what was sent",
			 (unsigned long long)c->answered);
	} else if (t->plan->args->verify) {
		t->n.verified++;
	}
	conn_answered(c, 1);
}

/* Answers that lie whole and as expected; their bytes. */
static size_t whole(struct conn *c, const uint8_t *p, size_t n)
{
	const struct plan *plan = c->th->plan;
	size_t each = plan->in.at[1], head = each - plan->args->size;
	uint64_t k = n / each, most = c->issued - c->answered;
	const uint8_t *want = plan->in.bytes + plan->in.at[variant(c)];

	if (k > most)
		k = most;
	if (!k)
		return 0;
	if (plan->args->verify) {
		if (memcmp(p, want, k * each))
			return 0;
		c->th->n.verified += k;
	} else {
		for (uint64_t i = 0; i < k && !plan->args->raw; i++)
			if (memcmp(p + i * each, want, head))
				return 0;
	}
	conn_answered(c, k);
	return k * each;
}

static size_t raw(struct conn *c, const uint8_t *p, size_t n)
{
	const struct plan *plan = c->th->plan;
	size_t each = plan->in.at[1], take = each - c->msg_off;
	const uint8_t *want = plan->in.bytes + plan->in.at[variant(c)];

	if (take > n)
		take = n;
	if (c->issued == c->answered)
		return 0;
	if (plan->args->verify && memcmp(p, want + c->msg_off, take))
		c->wrong = true;
	c->msg_off += take;
	if (c->msg_off == each) {
		bool ok = !c->wrong;

		c->msg_off = 0;
		c->wrong = false;
		answered(c, ok);
	}
	return take;
}

static bool broken(struct conn *c, const char *why)
{
	c->th->n.broken++;
	conn_lost(c, why);
	return false;
}

static bool begin_frame(struct conn *c)
{
	uint8_t op = c->hdr[0] & 15, rsv = c->hdr[0] & 0x70;

	c->left = c->hdr[1] & 127;
	if (c->left >= 126) {
		int bytes = c->left == 126 ? 2 : 8;

		c->left = 0;
		for (int i = 0; i < bytes; i++)
			c->left = c->left << 8 | c->hdr[2 + i];
	}
	c->hdr_len = 0;
	c->in_frame = true;
	c->fin = c->hdr[0] & 0x80;
	c->op = op;
	if (op >= 8) {
		if (op > 10 || rsv || !c->fin || c->left > 125)
			return broken(c, "a control frame against the rules");
		return true;
	}
	if (op > 2 || (op == 0) != c->in_msg)
		return broken(c, "a frame against the rules");
	if (rsv && (rsv != 0x40 || !c->th->unpack || !op))
		return broken(c, "reserved bits are set");
	if (!op)
		return true;
	if (c->issued == c->answered)
		return broken(c, "a message that nobody asked for");
	if (op != (c->th->plan->args->text ? 1 : 2))
		c->wrong = true;
	c->in_msg = true;
	c->packed = rsv;
	c->msg_off = c->part_len = 0;
	return true;
}

static size_t header(struct conn *c, const uint8_t *p, size_t n, bool *ok)
{
	size_t used = 0;

	while (used < n) {
		uint8_t len7;

		c->hdr[c->hdr_len++] = p[used++];
		if (c->hdr_len < 2)
			continue;
		if (c->hdr[1] & 0x80) {
			*ok = broken(c, "a frame of the server is masked");
			break;
		}
		len7 = c->hdr[1];
		if (c->hdr_len == (len7 < 126 ? 2 : len7 == 126 ? 4 : 10)) {
			*ok = begin_frame(c);
			break;
		}
	}
	return used;
}

static bool keep(struct conn *c, const uint8_t *p, size_t n)
{
	if (c->part_room - c->part_len < n) {
		size_t room = (c->part_len + n) * 2;
		uint8_t *part = realloc(c->part, room);

		if (!part)
			return broken(c, "out of memory");
		c->part = part;
		c->part_room = room;
	}
	memcpy(c->part + c->part_len, p, n);
	c->part_len += n;
	return true;
}

/* The next bytes of a message; @last: it ends with them. */
static bool data(struct conn *c, const uint8_t *p, size_t n, bool last)
{
	const struct plan *plan = c->th->plan;
	bool verify = plan->args->verify;

	if (c->packed && verify) {
		if (last && !c->part_len)
			c->wrong |= !packed_ok(c, p, n);
		else if (!keep(c, p, n))
			return false;
		else if (last)
			c->wrong |= !packed_ok(c, c->part, c->part_len);
	} else if (!c->packed) {
		if (n > plan->args->size - c->msg_off)
			c->wrong = true;
		else if (verify && memcmp(p, plan->payload[variant(c)] +
					  c->msg_off, n))
			c->wrong = true;
		else
			c->msg_off += n;
		if (last && c->msg_off != plan->args->size)
			c->wrong = true;
	}
	if (last) {
		bool ok = !c->wrong;

		c->in_msg = c->wrong = false;
		answered(c, ok);
	}
	return true;
}

/* A ping's or a close's payload may come in pieces: gathered in hdr's place. */
static bool control(struct conn *c, const uint8_t *p, size_t n)
{
	static const uint8_t key[4] = { 0x12, 0x34, 0x56, 0x78 };

	if (c->op == 8)
		return broken(c, "the server has closed a connection");
	if (c->op != 9 || c->ctl_off)
		return true;
	/* Of several pings the last one is answered (section 5.5.3). */
	if (c->ctl_len && c->left + n == (size_t)(c->hdr[1] & 127))
		c->ctl_len = 0;
	if (!c->ctl_len) {
		c->ctl[0] = 0x8a;
		c->ctl[1] = 0x80 | (c->hdr[1] & 127);
		memcpy(c->ctl + 2, key, 4);
		c->ctl_len = 6;
	}
	for (size_t i = 0; i < n; i++, c->ctl_len++)
		c->ctl[c->ctl_len] = p[i] ^ key[(c->ctl_len - 6) & 3];
	if (!c->left)
		conn_send(c);
	return c->state == CONN_OPEN;
}

static size_t payload(struct conn *c, const uint8_t *p, size_t n, bool *ok)
{
	size_t take = n < c->left ? n : (size_t)c->left;

	c->left -= take;
	if (!c->left)
		c->in_frame = false;
	if (c->op >= 8)
		*ok = control(c, p, take);
	else
		*ok = data(c, p, take, c->fin && !c->left);
	return take;
}

bool check_bytes(struct conn *c, const uint8_t *p, size_t n)
{
	const struct plan *plan = c->th->plan;
	bool ok = true;
	size_t used;

	while (ok && (n || (c->in_frame && !c->left))) {
		used = 0;
		if (n && plan->in.bytes && !c->hdr_len && !c->in_frame &&
		    !c->in_msg && !c->msg_off)
			used = whole(c, p, n);
		if (used)
			;
		else if (plan->args->raw)
			used = raw(c, p, n);
		else if (!c->in_frame)
			used = header(c, p, n, &ok);
		else
			used = payload(c, p, n, &ok);
		if (plan->args->raw && !used)
			return broken(c, "bytes that nobody asked for");
		p += used;
		n -= used;
		ok = ok && c->state == CONN_OPEN;
	}
	return ok;
}
