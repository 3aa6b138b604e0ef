// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * forwarded.c - X-Forwarded-For and Forwarded (RFC 7239): lists to which each proxy
 * adds at the end whom it has heard the request from. What is at the beginning may
 * have been written by anybody; so they are read from the end, as long as those who
 * wrote are trusted.
 *
 * That is done in one pass from the beginning: whom the list up to an element leads
 * to is the element itself, unless it is trusted and what is before it is an
 * address; then it is what that led to.
 */
#include "ws/forwarded.h"
#include "ws/ws_int.h"

#include "io/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

/* What the list so far leads to. */
struct walk {
	const struct pulse__nets *trusted;
	bool known;
	struct sockaddr_storage to;
};

static void step(struct walk *w, bool valid, const struct sockaddr_storage *at)
{
	if (valid && !(w->known && pulse__nets_have(w->trusted, at)))
		w->to = *at;
	w->known = valid;
}

/* ---- one address ------------------------------------------------------------ */

/* "", ":80", or ":_name", which hides it. */
static bool port_of(const char *text, in_port_t *port)
{
	unsigned int value = 0;

	*port = 0;
	if (!*text)
		return true;
	if (*text++ != ':' || !*text || strlen(text) > 64)
		return false;
	if (*text == '_')
		return true;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || value > 65535)
			return false;
		value = value * 10 + (unsigned int)(*text - '0');
	}
	*port = htons((uint16_t)value);
	return value <= 65535;
}

/* 1.2.3.4, 1.2.3.4:80, ::1, [::1], [::1]:80 */
static bool address_of(const char *text, size_t len, struct sockaddr_storage *sa)
{
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)sa;
	struct sockaddr_in *sin = (struct sockaddr_in *)sa;
	char buf[128], *end;
	in_port_t port = 0;

	memset(sa, 0, sizeof(*sa));
	if (!len || len >= sizeof(buf))
		return false;
	memcpy(buf, text, len);
	buf[len] = 0;
	if (*buf == '[') {
		end = strchr(buf, ']');
		if (!end || !port_of(end + 1, &port))
			return false;
		*end = 0;
		sa->ss_family = AF_INET6;
		sin6->sin6_port = port;
		return inet_pton(AF_INET6, buf + 1, &sin6->sin6_addr) == 1;
	}
	end = strchr(buf, ':');
	if (end && strchr(end + 1, ':')) {
		sa->ss_family = AF_INET6;
		return inet_pton(AF_INET6, buf, &sin6->sin6_addr) == 1;
	}
	if (end && !port_of(end, &port))
		return false;
	if (end)
		*end = 0;
	sa->ss_family = AF_INET;
	sin->sin_port = port;
	return inet_pton(AF_INET, buf, &sin->sin_addr) == 1;
}

/* ---- X-Forwarded-For --------------------------------------------------------- */

static void walk_plain(const struct pulse__ws_head *head, struct walk *w)
{
	struct pulse__ws_list list = { 0 };
	struct sockaddr_storage at;
	const char *element;
	size_t len;

	while ((element = pulse__ws_head_list_next(head, "x-forwarded-for", &list,
						   &len)))
		step(w, address_of(element, len, &at), &at);
}

/* ---- Forwarded ---------------------------------------------------------------- */

static const char *blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/*
 * token = token, or = "quoted \"text\"", which is undone into @value. Where it ends,
 * or NULL.
 */
static const char *pair(const char *at, const char **name, size_t *name_len,
			char *value, size_t room)
{
	static const char token[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"!#$%&'*+-.^_`|~";
	size_t n = 0;
	bool quoted;

	*name = at;
	*name_len = strspn(at, token);
	at += *name_len;
	if (!*name_len || *at++ != '=')
		return NULL;
	quoted = *at == '"';
	at += quoted;
	while (quoted ? *at && *at != '"' : *at && strchr(token, *at)) {
		if (quoted && *at == '\\' && !*++at)
			return NULL;
		if (n + 1 == room)
			return NULL;
		value[n++] = *at++;
	}
	value[n] = 0;
	if (quoted && *at++ != '"')
		return NULL;
	return n || quoted ? at : NULL;
}

/*
 * An element: pairs between ";". Where it ends, at a "," or the end; NULL: this is
 * none, and nothing behind it can be told apart.
 */
static const char *element(const char *at, struct walk *w)
{
	struct sockaddr_storage from = { 0 };
	bool seen = false, valid = false;
	char value[256];
	const char *name;
	size_t len;

	for (;;) {
		at = pair(blanks(at), &name, &len, value, sizeof(value));
		if (!at)
			return NULL;
		if (len == 3 && !strncasecmp(name, "for", 3)) {
			valid = !seen && address_of(value, strlen(value), &from);
			seen = true;
		}
		at = blanks(at);
		if (*at != ';')
			break;
		at++;
	}
	if (*at && *at != ',')
		return NULL;
	step(w, valid, &from);
	return at;
}

static void walk_forwarded(const struct pulse__ws_head *head, struct walk *w)
{
	const char *at;

	for (unsigned int i = 0; (at = pulse__ws_head_get(head, "forwarded", i));
	     i++) {
		for (at = blanks(at); *at; at = blanks(at)) {
			if (*at == ',') {
				at++;
				continue;
			}
			at = element(at, w);
			if (!at) {
				w->known = false;
				break;
			}
		}
	}
}

bool pulse__ws_forwarded(const struct pulse__ws_head *head, int by,
			 const struct pulse__nets *trusted,
			 struct sockaddr_storage *peer)
{
	struct walk w = { .trusted = trusted };

	if (!pulse__nets_have(trusted, peer))
		return false;
	if (by == PULSE_WS_FORWARDED_RFC7239)
		walk_forwarded(head, &w);
	else
		walk_plain(head, &w);
	if (!w.known)
		return false;
	*peer = w.to;
	return true;
}

/* ---- the program's question ----------------------------------------------------- */

int pulse_ws_request_client(struct pulse_ws_conn *conn,
			    const struct pulse_ws_request *request, char *buf,
			    size_t len)
{
	char text[PULSE_ADDRESS_MAX];
	const struct pulse__ws_cfg *cfg;
	struct pulse__addr addr;
	const char *rest = text;
	int err;

	if (!request)
		return -EINVAL;
	err = pulse_ws_conn_address(conn, buf, len);
	if (err)
		return err;
	cfg = conn->loop->cfg;
	if (!cfg->forwarded_from)
		return 0;
	err = pulse_transport_address(conn->t, true, text, sizeof(text));
	if (err)
		return err;
	if (!strncmp(rest, "tls:", 4))
		rest += 4;
	/* A unix socket without a name has an address that says no more. */
	if (!strncmp(rest, "unix:", 5)) {
		memset(&addr, 0, sizeof(addr));
		addr.sa.ss_family = AF_UNIX;
	} else if (pulse__addr_parse(rest, &addr)) {
		return 0;
	}
	if (!pulse__ws_forwarded(request->head, cfg->forwarded_by,
				 cfg->forwarded_from, &addr.sa))
		return 0;
	return pulse__addr_format(&addr.sa, buf, len);
}
