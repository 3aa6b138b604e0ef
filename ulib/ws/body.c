// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * body.c - what comes with a plain request, behind its head (RFC 9112, section 6):
 * as many bytes as the head says, kept as they come.
 */
#include "ws/ws_int.h"

/* Digits and nothing else; more than fits is as much as fits. */
static bool parse(const char *text, uint64_t *value)
{
	*value = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (*value <= UINT32_MAX)
			*value = *value * 10 + (uint64_t)(*text - '0');
	}
	return true;
}

int pulse__ws_body_begin(struct pulse_ws_conn *conn)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const struct pulse__ws_cfg *cfg = conn->loop->cfg;
	struct pulse__ws_head *head = conn->head;
	const char *method = pulse__ws_head_method(head), *text;
	uint64_t len;

	if (head->body_len)		/* it has come */
		return 0;
	/* As servers do that have no use for it. */
	if (!cfg->max_body && (conn->head_only || !strcmp(method, "GET")))
		return 0;
	if (pulse__ws_head_get(head, "transfer-encoding", 0))
		return 411;
	text = pulse__ws_head_get(head, "content-length", 0);
	if (!text)
		return 0;
	if (pulse__ws_head_get(head, "content-length", 1) || !parse(text, &len))
		return 400;
	if (len > cfg->max_body)
		return 413;
	if (!len)
		return 0;
	head->body_left = (uint32_t)len;
	if (head->minor && pulse__ws_head_lists(head, "expect", "100-continue") &&
	    pulse__ws_put_raw(conn, go_on, sizeof(go_on) - 1))
		pulse__ws_doom(conn, conn->end);
	return -EAGAIN;
}

/* Memory for what has come, not for what was promised. */
static int make_room(struct pulse__ws_head *head, uint32_t bytes)
{
	uint64_t most = (uint64_t)head->body_len + head->body_left;
	uint64_t room = (uint64_t)head->body_len + bytes;
	char *body;

	if (room <= head->body_room)
		return 0;
	if (room < 2 * (uint64_t)head->body_room)
		room = 2 * (uint64_t)head->body_room;
	if (room > most)
		room = most;
	body = pulse__realloc(head->body, room + 1);
	if (!body)
		return -ENOMEM;
	head->body = body;
	head->body_room = (uint32_t)room;
	return 0;
}

int64_t pulse__ws_body_feed(struct pulse__ws_head *head, const uint8_t *data,
			    size_t bytes)
{
	uint32_t n = bytes < head->body_left ? (uint32_t)bytes : head->body_left;

	if (make_room(head, n))
		return -ENOMEM;
	memcpy(head->body + head->body_len, data, n);
	head->body_len += n;
	head->body_left -= n;
	head->body[head->body_len] = 0;
	return n;
}
