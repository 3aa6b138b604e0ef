// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * offer.c - the words of permessage-deflate: Sec-WebSocket-Extensions as RFC
 * 6455, section 9.1, writes it, and the parameters of RFC 7692, section 7.1.
 *
 * A client lists what it can live with, best first. Of an offer that the server
 * does not know, or that says something wrong, nothing is taken; the next one
 * may be good.
 */
#include "ws/deflate.h"

#include <stdio.h>
#include <strings.h>

#define VALUE_MAX	2	/* no value that is known is longer */

/* A parameter: its name as it stands in the field, its value without quotes. */
struct param {
	const char *name;
	size_t name_len;
	bool has_value;
	size_t value_len;
	char value[VALUE_MAX];	/* how it begins */
};

static bool is_token(unsigned char c)
{
	return c > 0x20 && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static const char *blanks(const char *p)
{
	return p + strspn(p, " \t");
}

static const char *token(const char *p, const char **begin, size_t *len)
{
	*begin = p;
	while (is_token((unsigned char)*p))
		p++;
	*len = (size_t)(p - *begin);
	return *len ? p : NULL;
}

/*
 * A quoted value must be a token once its escapes are undone (RFC 6455, section
 * 9.1).
 */
static const char *value(const char *p, struct param *out)
{
	bool quoted = *p == '"';

	out->has_value = true;
	for (p += quoted; !(quoted && *p == '"'); p++, out->value_len++) {
		if (quoted && *p == '\\')
			p++;
		if (!is_token((unsigned char)*p)) {
			if (quoted)
				return NULL;
			break;
		}
		if (out->value_len < VALUE_MAX)
			out->value[out->value_len] = *p;
	}
	return out->value_len ? p + quoted : NULL;
}

/* Behind a ";": the parameter, and where it ends; NULL: not one. */
static const char *param(const char *p, struct param *out)
{
	const char *end;

	*out = (struct param){ 0 };
	p = token(blanks(p), &out->name, &out->name_len);
	if (!p)
		return NULL;
	end = p;
	p = blanks(p);
	return *p == '=' ? value(blanks(p + 1), out) : end;
}

static bool is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && !strncasecmp(text, word, len);
}

/* 8 to 15, without a 0 before; 0: something else. */
static unsigned int window_bits(const struct param *p)
{
	if (p->value_len == 1 && (p->value[0] == '8' || p->value[0] == '9'))
		return (unsigned int)(p->value[0] - '0');
	if (p->value_len == 2 && p->value[0] == '1' && p->value[1] >= '0' &&
	    p->value[1] <= '5')
		return 10U + (unsigned int)(p->value[1] - '0');
	return 0;
}

enum {
	SERVER_FORGETS = 1,
	CLIENT_FORGETS = 2,
	SERVER_BITS = 4,
	CLIENT_BITS = 8,
};

/* What the offer says so far. */
struct offer {
	unsigned int seen;
	unsigned int server_bits, client_bits;	/* 0: no number given */
	bool bad;
};

static void look_at(struct offer *o, const struct param *p)
{
	unsigned int which = 0;

	if (is(p->name, p->name_len, "server_no_context_takeover")) {
		which = SERVER_FORGETS;
		o->bad |= p->has_value;
	} else if (is(p->name, p->name_len, "client_no_context_takeover")) {
		which = CLIENT_FORGETS;
		o->bad |= p->has_value;
	} else if (is(p->name, p->name_len, "server_max_window_bits")) {
		which = SERVER_BITS;
		o->server_bits = window_bits(p);
		o->bad |= !o->server_bits;
	} else if (is(p->name, p->name_len, "client_max_window_bits")) {
		which = CLIENT_BITS;
		o->client_bits = window_bits(p);
		o->bad |= p->has_value && !o->client_bits;
	}
	o->bad |= !which || o->seen & which;
	o->seen |= which;
}

/* The server's part of it; false: it cannot take this offer. */
static bool take(const struct pulse__ws_deflate_cfg *cfg, const struct offer *o,
		 struct pulse__ws_agreed *out)
{
	if (o->bad ||
	    (o->server_bits && o->server_bits < PULSE__WS_BITS_MIN))
		return false;
	out->on = true;
	out->tx = cfg->tx;
	out->rx = (struct pulse__ws_window){ PULSE__WS_BITS_MAX, cfg->rx.forget };
	if (o->server_bits && o->server_bits < out->tx.bits)
		out->tx.bits = (uint8_t)o->server_bits;
	out->tell_tx_bits = o->server_bits ||
			    out->tx.bits < PULSE__WS_BITS_MAX;
	out->tx.forget |= !!(o->seen & SERVER_FORGETS);
	out->rx.forget |= !!(o->seen & CLIENT_FORGETS);
	/* Only a client that says it can is told to use a smaller window. */
	if (o->seen & CLIENT_BITS) {
		out->rx.bits = cfg->rx.bits;
		if (o->client_bits && o->client_bits < out->rx.bits)
			out->rx.bits = (uint8_t)o->client_bits;
		out->tell_rx_bits = out->rx.bits < PULSE__WS_BITS_MAX;
	}
	return true;
}

/*
 * The next element of the list, and the 0 or the comma behind it; *name NULL:
 * there is none. NULL: no list.
 */
static const char *element(const char *p, struct offer *o, const char **name,
			   size_t *len)
{
	*o = (struct offer){ 0 };
	*name = NULL;
	for (p = blanks(p); *p == ',';)		/* empty ones are allowed */
		p = blanks(p + 1);
	if (!*p)
		return p;
	p = token(p, name, len);
	if (!p)
		return NULL;
	for (p = blanks(p); *p == ';'; p = blanks(p)) {
		struct param parm;

		p = param(p + 1, &parm);
		if (!p)
			return NULL;
		look_at(o, &parm);
	}
	return *p && *p != ',' ? NULL : p;
}

int pulse__ws_deflate_offer(const struct pulse__ws_deflate_cfg *cfg,
			    const char *p, struct pulse__ws_agreed *out)
{
	const char *name;
	struct offer o;
	size_t len;

	for (;;) {
		p = element(p, &o, &name, &len);
		if (!p)
			return -EPROTO;
		if (!out->on && name && is(name, len, "permessage-deflate"))
			take(cfg, &o, out);
		if (!*p)
			return 0;
	}
}

size_t pulse__ws_deflate_ask(const struct pulse__ws_deflate_cfg *cfg,
			     char text[PULSE__WS_ANSWER_MAX])
{
	char server[40] = "", client[8] = "";

	if (cfg->tx.bits < PULSE__WS_BITS_MAX)
		snprintf(server, sizeof(server), "; server_max_window_bits=%u",
			 cfg->tx.bits);
	if (cfg->rx.bits < PULSE__WS_BITS_MAX)
		snprintf(client, sizeof(client), "=%u",
			 cfg->rx.bits < PULSE__WS_BITS_MIN ?
			 PULSE__WS_BITS_MIN : cfg->rx.bits);
	return (size_t)snprintf(text, PULSE__WS_ANSWER_MAX,
				"permessage-deflate%s%s%s"
				"; client_max_window_bits%s",
				cfg->tx.forget ?
				"; server_no_context_takeover" : "",
				cfg->rx.forget ?
				"; client_no_context_takeover" : "", server,
				client);
}

int pulse__ws_deflate_accept(const struct pulse__ws_deflate_cfg *cfg,
			     const char *p, struct pulse__ws_agreed *out)
{
	const char *name;
	struct offer o;
	size_t len;

	p = element(p, &o, &name, &len);
	/* One element, which was offered; a window has a number here. */
	if (!p || *p || !name || !is(name, len, "permessage-deflate") || o.bad ||
	    (o.seen & CLIENT_BITS && o.client_bits < PULSE__WS_BITS_MIN) ||
	    o.server_bits > cfg->tx.bits ||
	    (cfg->tx.bits < PULSE__WS_BITS_MAX && !o.server_bits) ||
	    (cfg->tx.forget && !(o.seen & SERVER_FORGETS)))
		return -EPROTO;
	out->on = true;
	out->rx.bits = o.server_bits ? (uint8_t)o.server_bits :
		       PULSE__WS_BITS_MAX;
	out->rx.forget = o.seen & SERVER_FORGETS;
	out->tx.bits = o.client_bits ? (uint8_t)o.client_bits :
		       PULSE__WS_BITS_MAX;
	if (cfg->rx.bits < out->tx.bits && cfg->rx.bits >= PULSE__WS_BITS_MIN)
		out->tx.bits = cfg->rx.bits;
	out->tx.forget = o.seen & CLIENT_FORGETS || cfg->rx.forget;
	return 0;
}

size_t pulse__ws_deflate_answer(const struct pulse__ws_agreed *a,
				char text[PULSE__WS_ANSWER_MAX])
{
	char tx[40] = "", rx[40] = "";

	if (a->tell_tx_bits)
		snprintf(tx, sizeof(tx), "; server_max_window_bits=%u",
			 a->tx.bits);
	if (a->tell_rx_bits)
		snprintf(rx, sizeof(rx), "; client_max_window_bits=%u",
			 a->rx.bits);
	return (size_t)snprintf(text, PULSE__WS_ANSWER_MAX,
				"permessage-deflate%s%s%s%s",
				a->tx.forget ?
				"; server_no_context_takeover" : "",
				a->rx.forget ?
				"; client_no_context_takeover" : "", tx, rx);
}
