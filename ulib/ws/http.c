// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * http.c - plain answers: pages, and refusals in the status's own words.
 */
#include "ws/ws_int.h"

#include <stdio.h>
#include <strings.h>

#define NAME_MAX_BYTES	256

static const char *words(int status)
{
	static const struct {
		int status;
		const char *words;
	} table[] = {
		{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" },
		{ 204, "No Content" },
		{ 301, "Moved Permanently" }, { 302, "Found" },
		{ 303, "See Other" }, { 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" }, { 400, "Bad Request" },
		{ 401, "Unauthorized" }, { 403, "Forbidden" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 408, "Request Timeout" }, { 409, "Conflict" },
		{ 411, "Length Required" }, { 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 426, "Upgrade Required" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].status == status)
			return table[i].words;
	return "Status";
}

/* Has the program said it itself? */
static bool says(const struct pulse__ws_head *head, const char *field)
{
	const char *at = head ? head->reply : NULL;
	size_t len = strlen(field);

	while (at) {
		if (!strncasecmp(at, field, len))
			return true;
		at = strchr(at, '\n');
		at = at && at[1] ? at + 1 : NULL;
	}
	return false;
}

/* What some statuses have to say besides. */
static const char *extra(const struct pulse_ws_conn *conn, int status)
{
	switch (status) {
	case 405:
		return says(conn->head, "Allow:") ? "" : "Allow: GET, HEAD\r\n";
	case 426:
		return "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
	default:
		return "";
	}
}

int pulse__ws_end_head(struct pulse_ws_conn *conn)
{
	const struct pulse__ws_head *head = conn->head;
	int err = 0;

	if (head && head->reply)
		err = pulse__ws_put_raw(conn, head->reply, head->reply_len);
	return err ? err : pulse__ws_put_raw(conn, "\r\n", 2);
}

/* A status without a body must not name a length, or the peer may wait. */
static bool bodiless(int status)
{
	return status == 204 || status == 304;
}

static int answer(struct pulse_ws_conn *conn, int status, const char *type,
		  const void *body, size_t len)
{
	char head[512];
	int n, err;

	n = snprintf(head, sizeof(head),
		     "HTTP/1.1 %d %s\r\n%sConnection: %sclose\r\n", status,
		     words(status), extra(conn, status),
		     status == 426 ? "Upgrade, " : "");
	if (!bodiless(status))
		n += snprintf(head + n, sizeof(head) - (size_t)n,
			      "Content-Type: %s\r\nContent-Length: %zu\r\n",
			      type, len);
	err = pulse__ws_put_raw(conn, head, (size_t)n);
	if (!err)
		err = pulse__ws_end_head(conn);
	if (!err && len && !conn->head_only && !bodiless(status))
		err = pulse__ws_put_raw(conn, body, len);
	return err;
}

void pulse__ws_refuse_with(struct pulse_ws_conn *conn, int status,
			   const char *text, size_t len)
{
	if (answer(conn, status, "text/plain", text, len))
		pulse__ws_doom(conn, conn->end);
	else
		pulse__ws_end(conn, PULSE_WS_END_REFUSED);
}

void pulse__ws_refuse(struct pulse_ws_conn *conn, int status)
{
	char body[64];
	int n = snprintf(body, sizeof(body), "%d %s\n", status, words(status));

	pulse__ws_refuse_with(conn, status, body, (size_t)n);
}

void pulse__ws_plain(struct pulse_ws_conn *conn,
		     const struct pulse_ws_request *request)
{
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;

	if (!cfg->h.on_http) {
		pulse__ws_refuse(conn, 426);
		return;
	}
	conn->in_http = true;
	cfg->h.on_http(conn, request, cfg->arg);
	conn->in_http = false;
	if (pulse__ws_state(conn) == PULSE__WS_HEAD && !conn->doomed)
		pulse__ws_refuse(conn, 404);
}

/* A type is printed into a head: nothing that could end its line. */
static bool type_ok(const char *type)
{
	size_t len = 0;

	if (!type)
		return false;
	for (; type[len]; len++)
		if ((unsigned char)type[len] < 0x20 || type[len] == 0x7f)
			return false;
	return len > 0 && len <= 200;
}

int pulse_ws_http_reply(struct pulse_ws_conn *conn, int status,
			const char *type, const void *body, size_t len)
{
	if (!conn || status < 200 || status > 599 || !type_ok(type) ||
	    (!body && len) || len > UINT32_MAX / 2)
		return -EINVAL;
	if (!pulse__ws_on_loop(conn->loop) || !conn->in_http ||
	    pulse__ws_state(conn) != PULSE__WS_HEAD || conn->doomed)
		return -EINVAL;
	if (answer(conn, status, type, body, len)) {
		/* Half an answer would be worse than none. */
		pulse__ws_doom(conn, conn->end);
		return -ENOMEM;
	}
	pulse__ws_end(conn, PULSE_WS_END_HTTP);
	return 0;
}

/* Two of them would let others read the answer otherwise than it is meant. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {
		"Connection", "Content-Length", "Content-Type",
		"Transfer-Encoding", "Upgrade",
	};

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (!strcasecmp(name, ours[i]))
			return true;
	return !strncasecmp(name, "Sec-WebSocket-", 14);
}

static const char *field_wrong(const char *name, const char *value)
{
	if (!pulse__ws_head_name_ok(name) || strlen(name) > NAME_MAX_BYTES)
		return "its name is to be a token of up to 256 bytes";
	if (is_ours(name))
		return "the server sets it itself";
	if (!pulse__ws_head_value_ok(value))
		return "its value is not to have line breaks or control signs";
	return NULL;
}

bool pulse__ws_field_ok(const char *name, const char *value)
{
	const char *wrong = field_wrong(name, value);

	if (wrong)
		pulse_log(PULSE_LOG_WARN, "ws: header field %s refused: %s",
			  pulse__ws_head_name_ok(name) ? name : "", wrong);
	return !wrong;
}

char *pulse__ws_reply_grow(struct pulse__ws_head *head, size_t len)
{
	char *reply = pulse__realloc(head->reply, head->reply_len + len + 1);

	if (!reply)
		return NULL;
	head->reply = reply;
	reply += head->reply_len;
	head->reply_len += (uint32_t)len;
	return reply;
}

int pulse_ws_http_field(struct pulse_ws_conn *conn, const char *name,
			const char *value)
{
	struct pulse__ws_head *head;
	size_t len;
	char *reply;

	if (!conn || !name || !value || !pulse__ws_on_loop(conn->loop) ||
	    conn->client || pulse__ws_state(conn) != PULSE__WS_HEAD ||
	    conn->doomed || !conn->head || !conn->head->done)
		return -EINVAL;
	if (!pulse__ws_field_ok(name, value))
		return -EINVAL;
	head = conn->head;
	len = strlen(name) + strlen(value) + 4;		/* ": ", CR, LF */
	if (len > PULSE__WS_REPLY_MAX - head->reply_len)
		return -EMSGSIZE;
	reply = pulse__ws_reply_grow(head, len);
	if (!reply)
		return -ENOMEM;
	snprintf(reply, len + 1, "%s: %s\r\n", name, value);
	return 0;
}

const char *pulse_ws_request_method(const struct pulse_ws_request *request)
{
	return request ? pulse__ws_head_method(request->head) : NULL;
}

const void *pulse_ws_request_body(const struct pulse_ws_request *request,
				  size_t *len)
{
	const struct pulse__ws_head *head = request ? request->head : NULL;

	if (len)
		*len = head ? head->body_len : 0;
	return head && head->body_len ? head->body : NULL;
}

const char *pulse_ws_request_path(const struct pulse_ws_request *request)
{
	return request ? request->path : NULL;
}

const char *pulse_ws_request_query(const struct pulse_ws_request *request)
{
	return request ? request->query : NULL;
}

const char *pulse_ws_request_header(const struct pulse_ws_request *request,
				    const char *name, unsigned int n)
{
	struct pulse__ws_field f = { 0 };

	if (!request || !name)
		return NULL;
	while (pulse__ws_head_next(request->head, &f)) {
		const char *a = f.name, *b = name;

		/* Kept names are in small letters already. */
		while (*a && *a == (*b >= 'A' && *b <= 'Z' ? *b | 0x20 : *b)) {
			a++;
			b++;
		}
		if (!*a && !*b && !n--)
			return f.value;
	}
	return NULL;
}
