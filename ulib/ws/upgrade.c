// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * upgrade.c - the opening handshake (RFC 6455, section 4.2), once its request
 * is complete.
 */
#include "ws/key.h"
#include "ws/ws_int.h"

#include <stdio.h>
#include <strings.h>

/* Cuts the target into path and query; false: neither form a server knows. */
static bool split_target(struct pulse__ws_head *head,
			 struct pulse_ws_request *request)
{
	char *target = (char *)pulse__ws_head_target(head), *query;

	if (*target != '/') {		/* http://host/path */
		char *host = strstr(target, "://");

		if (!host)
			return false;
		target = host + 3;
		target += strcspn(target, "/?");
	}
	query = strchr(target, '?');
	if (query)
		*query++ = 0;
	request->query = query;
	request->path = *target ? target : "/";
	return true;
}

/* The value of a field that must stand there exactly once. */
static const char *once(const struct pulse__ws_head *head, const char *name)
{
	const char *value = pulse__ws_head_get(head, name, 0);

	return value && !pulse__ws_head_get(head, name, 1) ? value : NULL;
}

/*
 * uri-host [ ":" port ] of RFC 3986, or nothing: signs that are none of a host's
 * are refused (RFC 9112, section 3.2), so that nobody behind us reads them
 * otherwise.
 */
static bool host_ok(const char *host)
{
	static const char name[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"-._~%!$&'()*+,;=";
	const char *end = host + strspn(host, name);

	if (*host == '[') {
		end = host + 1 + strspn(host + 1, "0123456789abcdefABCDEF:.");
		if (*end++ != ']')
			return false;
	}
	if (*end == ':')
		end += 1 + strspn(end + 1, "0123456789");
	return !*end;
}

/* The one field Host of HTTP/1.1; older requests may do without. */
static bool one_host(const struct pulse__ws_head *head)
{
	const char *host = pulse__ws_head_get(head, "host", 0);

	if (!host)
		return head->minor < 1;
	return !pulse__ws_head_get(head, "host", 1) && host_ok(host);
}

static bool has_body(const struct pulse__ws_head *head)
{
	const char *len;

	for (unsigned int i = 0; (len = pulse__ws_head_get(head,
							   "content-length", i));
	     i++)
		if (strcmp(len, "0"))
			return true;
	return pulse__ws_head_get(head, "transfer-encoding", 0);
}

static int check(const struct pulse__ws_head *head, bool head_only)
{
	const char *version, *key;

	if (strcmp(pulse__ws_head_method(head), "GET") && !head_only)
		return 405;
	if (strcmp(pulse__ws_head_method(head), "GET") || head->minor < 1 ||
	    !pulse__ws_head_lists(head, "connection", "upgrade") ||
	    has_body(head))
		return 400;
	version = once(head, "sec-websocket-version");
	if (!version || strcmp(version, "13"))
		return 426;
	key = once(head, "sec-websocket-key");
	return key && pulse__ws_key_valid(key) ? 0 : 400;
}

static bool origin_ok(const struct pulse__ws_cfg *cfg,
		      const struct pulse__ws_head *head)
{
	const char *origin = pulse__ws_head_get(head, "origin", 0);

	if (!cfg->origins || !origin)
		return true;
	if (!once(head, "origin"))
		return false;
	for (char **o = cfg->origins; *o; o++)
		if (!strcasecmp(*o, origin))
			return true;
	return false;
}

unsigned int pulse__ws_subprotocol(const struct pulse__ws_cfg *cfg,
				   const char *name, size_t len)
{
	for (unsigned int i = 0; cfg->subprotocols && cfg->subprotocols[i]; i++)
		if (strlen(cfg->subprotocols[i]) == len &&
		    !memcmp(cfg->subprotocols[i], name, len))
			return i + 1;
	return 0;
}

static unsigned int choose_subprotocol(const struct pulse__ws_cfg *cfg,
				       const struct pulse__ws_head *head)
{
	struct pulse__ws_list list = { 0 };
	const char *name;
	size_t len;

	if (!cfg->subprotocols)
		return 0;
	while ((name = pulse__ws_head_list_next(head, "sec-websocket-protocol",
						&list, &len))) {
		unsigned int n = pulse__ws_subprotocol(cfg, name, len);

		if (n)
			return n;
	}
	return 0;
}

/* Asks the program; 0 or an HTTP status. */
static int ask(struct pulse_ws_conn *conn, const struct pulse_ws_request *request)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	unsigned int n = choose_subprotocol(cfg, request->head);
	struct pulse_ws_answer a = {
		.subprotocol = n ? cfg->subprotocols[n - 1] : NULL,
		.user = conn->user,
	};
	int status;

	if (cfg->h.on_request) {
		status = cfg->h.on_request(conn, request, &a, cfg->arg);
		if (status)
			return status >= 300 && status <= 599 ? status : 500;
		n = a.subprotocol ? pulse__ws_subprotocol(cfg, a.subprotocol,
						     strlen(a.subprotocol)) : 0;
		if (a.subprotocol && !n)
			return 500;
		WRITE_ONCE(conn->user, a.user);
	}
	conn->subprotocol = (uint16_t)n;
	return 0;
}

/* What both can of permessage-deflate; 0 or an HTTP status. */
static int agree(const struct pulse__ws_cfg *cfg,
		 const struct pulse__ws_head *head,
		 struct pulse__ws_agreed *agreed)
{
	const char *field;

	for (unsigned int i = 0; cfg->deflate.on; i++) {
		field = pulse__ws_head_get(head, "sec-websocket-extensions", i);
		if (!field)
			break;
		if (pulse__ws_deflate_offer(&cfg->deflate, field, agreed))
			return 400;
	}
	return 0;
}

#define TRACEPARENT_MAX	256
#define TRACESTATE_MAX	512	/* what the standard asks for */

/* All fields of a name as one list; "" where that is too long. */
static void join(const struct pulse__ws_head *head, const char *name, char *to,
		 size_t max)
{
	const char *value;
	size_t at = 0;

	for (unsigned int i = 0; (value = pulse__ws_head_get(head, name, i));
	     i++) {
		size_t len = strlen(value);

		if (at + len + 1 > max) {
			at = 0;
			break;
		}
		if (i)
			to[at++] = ',';
		memcpy(to + at, value, len);
		at += len;
	}
	to[at] = 0;
}

/*
 * What the request says of the peer's trace, for those who look on (live.c).
 * Without memory it is not known.
 */
static void keep_trace(struct pulse_ws_conn *conn)
{
	const char *parent = once(conn->head, "traceparent");
	size_t len = parent ? strlen(parent) : 0;
	struct pulse__ws_more *more;
	char *text;

	if (!len || len > TRACEPARENT_MAX)
		return;
	more = pulse__ws_more(conn);
	text = more ? pulse__malloc(len + 1 + TRACESTATE_MAX + 1) : NULL;
	if (!text)
		return;
	memcpy(text, parent, len + 1);
	join(conn->head, "tracestate", text + len + 1, TRACESTATE_MAX);
	more->trace = text;
}

static int say_yes(struct pulse_ws_conn *conn,
		   const struct pulse__ws_agreed *agreed)
{
	char accept[PULSE__WS_ACCEPT_LEN + 1], text[768];
	char ext[PULSE__WS_ANSWER_MAX] = "";
	const char *sub = pulse_ws_conn_subprotocol(conn);
	int n, err;

	if (agreed->on)
		pulse__ws_deflate_answer(agreed, ext);
	pulse__ws_key_accept(pulse__ws_head_get(conn->head, "sec-websocket-key",
						0), accept);
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 101 Switching Protocols\r\n"
		     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		     "Sec-WebSocket-Accept: %s\r\n%s%s%s%s%s%s", accept,
		     sub ? "Sec-WebSocket-Protocol: " : "", sub ? sub : "",
		     sub ? "\r\n" : "",
		     *ext ? "Sec-WebSocket-Extensions: " : "", ext,
		     *ext ? "\r\n" : "");
	err = pulse__ws_put_raw(conn, text, (size_t)n);
	return err ? err : pulse__ws_end_head(conn);
}

bool pulse__ws_opened(struct pulse_ws_conn *conn,
		      const struct pulse__ws_agreed *agreed)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	if (agreed->on) {
		conn->pmd = pulse__ws_pmd_new(agreed, cfg->deflate.level);
		if (!conn->pmd)
			return false;
	}
	pulse__ws_head_free(conn->head);
	pulse__free(conn->head);
	conn->head = NULL;
	WRITE_ONCE(conn->deflates, agreed->on);
	__atomic_store_n(&conn->state, PULSE__WS_OPEN, __ATOMIC_RELAXED);
	conn->opened = true;
	conn->end = PULSE_WS_END_LOST;
	conn->heard_tick = pulse__ws_tick(conn->loop);
	pulse__ws_arm(conn);
	pulse__ws_count(conn->loop, opened, 1);
	if (cfg->h.on_open)
		cfg->h.on_open(conn, cfg->arg);
	if (conn->more && conn->more->link)
		pulse__ws_link_up(conn);
	return true;
}

static int open_it(struct pulse_ws_conn *conn,
		   const struct pulse__ws_agreed *agreed)
{
	return say_yes(conn, agreed) || !pulse__ws_opened(conn, agreed) ?
	       -ENOMEM : 0;
}

void pulse__ws_upgrade(struct pulse_ws_conn *conn)
{
	struct pulse__ws_head *head = conn->head;
	struct pulse_ws_request request = { .head = head };
	const char *method = pulse__ws_head_method(head);
	struct pulse__ws_agreed agreed = { 0 };
	bool plain = !pulse__ws_head_lists(head, "upgrade", "websocket");
	int status = 0;

	conn->head_only = !strcmp(method, "HEAD");
	if (strcmp(method, "GET") && !conn->head_only &&
	    !conn->loop->cfg->any_method)
		status = 405;
	else if (plain)
		status = pulse__ws_body_begin(conn);
	if (unlikely(status == -EAGAIN))
		return;
	if (!status && (!split_target(head, &request) || !one_host(head)))
		status = 400;
	if (!status && plain) {
		pulse__ws_plain(conn, &request);
		return;
	}
	if (!status)
		status = check(head, conn->head_only);
	if (!status && !origin_ok(conn->loop->cfg, head))
		status = 403;
	if (!status)
		status = agree(conn->loop->cfg, head, &agreed);
	if (!status)
		status = ask(conn, &request);
	if (!status && unlikely(conn->loop->cfg->hook))
		keep_trace(conn);
	if (status) {
		pulse__ws_defer_over(conn, -ECONNREFUSED, status);
		pulse__ws_refuse(conn, status);
	} else if (!conn->doomed && !pulse__ws_is_deferred(conn) &&
		   open_it(conn, &agreed)) {
		pulse__ws_doom(conn, conn->end);
	}
}

int pulse__ws_upgrade_go(struct pulse_ws_conn *conn)
{
	struct pulse__ws_agreed agreed = { 0 };

	/* As it did before, from the same words. */
	(void)agree(conn->loop->cfg, conn->head, &agreed);
	return open_it(conn, &agreed);
}
