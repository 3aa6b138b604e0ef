// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * head.c - the request head parser; see head.h.
 *
 * One state a byte, so that it does not matter where a piece ends. Strict: no
 * bare line feeds, no folded lines, no blanks before a colon.
 */
#include "ws/head.h"

#include <strings.h>

enum state {
	START,		/* empty lines before a request are tolerated */
	START_LF,
	METHOD,
	TARGET,
	VERSION,
	VERSION_LF,
	LINE,		/* the first byte of a field's line, or of the last one */
	NAME,
	BLANKS,		/* before a value */
	VALUE,
	VALUE_LF,
	LAST_LF,
	ANSWER,		/* the version of a response */
	STATUS,
	REASON,
};

#define IS_TOKEN	1
#define IS_VALUE	2	/* within a field value */
#define IS_TARGET	4

static bool is(uint8_t c, int what)
{
	if (what & IS_TARGET)
		return c > 0x20 && c < 0x7f;
	if (what & IS_VALUE)
		return (c >= 0x20 && c != 0x7f) || c == '\t';
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

static bool all_are(const char *text, int what)
{
	while (*text && is((uint8_t)*text, what))
		text++;
	return !*text;
}

bool pulse__ws_head_name_ok(const char *name)
{
	return *name && all_are(name, IS_TOKEN);
}

bool pulse__ws_head_value_ok(const char *value)
{
	return all_are(value, IS_VALUE);
}

void pulse__ws_head_init(struct pulse__ws_head *head, uint32_t max_bytes)
{
	*head = (struct pulse__ws_head){ .max = max_bytes };
}

void pulse__ws_head_init_response(struct pulse__ws_head *head,
				  uint32_t max_bytes)
{
	pulse__ws_head_init(head, max_bytes);
	head->response = true;
	head->state = ANSWER;
}

void pulse__ws_head_free(struct pulse__ws_head *head)
{
	pulse__free(head->text);
	pulse__free(head->reply);
	pulse__free(head->body);
	pulse__ws_head_init(head, head->max);
}

/* What is kept is never longer than what was fed, but for a few zeroes. */
static int make_room(struct pulse__ws_head *head, size_t bytes)
{
	size_t want = head->used + bytes + 8;
	char *text;

	if (want <= head->room)
		return 0;
	if (want < 2 * (size_t)head->room)
		want = 2 * (size_t)head->room;
	if (want < 512)
		want = 512;
	text = pulse__realloc(head->text, want);
	if (!text)
		return -ENOMEM;
	head->text = text;
	head->room = (uint32_t)want;
	return 0;
}

static void end_part(struct pulse__ws_head *head)
{
	head->text[head->used++] = 0;
	head->mark = head->used;
}

static bool version_ok(struct pulse__ws_head *head)
{
	const char *v = head->text + head->mark;

	if (head->used - head->mark != 8 || memcmp(v, "HTTP/1.", 7) ||
	    v[7] < '0' || v[7] > '9')
		return false;
	head->minor = (uint8_t)(v[7] - '0');
	head->used = head->fields = head->mark;	/* not kept */
	return true;
}

static void trim_value(struct pulse__ws_head *head)
{
	while (head->used > head->mark &&
	       (head->text[head->used - 1] == ' ' ||
		head->text[head->used - 1] == '\t'))
		head->used--;
}

/* Takes one byte; false: it may not stand here. */
static bool step(struct pulse__ws_head *head, uint8_t c)
{
	bool empty = head->used == head->mark;

	switch ((enum state)head->state) {
	case START:
		if (c == '\r') {
			head->state = START_LF;
			return true;
		}
		head->state = METHOD;
		/* fallthrough */
	case METHOD:
		if (c == ' ' && !empty) {
			end_part(head);
			head->state = TARGET;
			return true;
		}
		head->text[head->used++] = (char)c;
		return is(c, IS_TOKEN);
	case START_LF:
		head->state = START;
		return c == '\n';
	case TARGET:
		if (c == ' ' && !empty) {
			end_part(head);
			head->state = VERSION;
			return true;
		}
		head->text[head->used++] = (char)c;
		return is(c, IS_TARGET);
	case VERSION:
		if (c == '\r') {
			head->state = VERSION_LF;
			return version_ok(head);
		}
		head->text[head->used++] = (char)c;
		return head->used - head->mark <= 8;
	case VERSION_LF:
	case VALUE_LF:
		head->state = LINE;
		return c == '\n';
	case LINE:
		if (c == '\r') {
			head->state = LAST_LF;
			return true;
		}
		head->state = NAME;
		/* fallthrough */
	case NAME:
		if (c == ':' && !empty) {
			end_part(head);
			head->state = BLANKS;
			return true;
		}
		head->text[head->used++] =
			(char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
		return is(c, IS_TOKEN);
	case BLANKS:
		if (c == ' ' || c == '\t')
			return true;
		head->state = VALUE;
		/* fallthrough */
	case VALUE:
		if (c == '\r') {
			trim_value(head);
			end_part(head);
			head->state = VALUE_LF;
			return true;
		}
		head->text[head->used++] = (char)c;
		return is(c, IS_VALUE);
	case LAST_LF:
		head->done = true;
		return c == '\n';
	case ANSWER:
		if (c == ' ') {
			head->state = STATUS;
			return version_ok(head);
		}
		head->text[head->used++] = (char)c;
		return head->used - head->mark <= 8;
	case STATUS:
		if (head->status >= 100 && (c == ' ' || c == '\r')) {
			head->state = c == ' ' ? REASON : VERSION_LF;
			return true;
		}
		head->status = (uint16_t)(head->status * 10 + (c - '0'));
		return c >= '0' && c <= '9' && head->status &&
		       head->status <= 999;
	case REASON:		/* words for people; not kept */
		if (c == '\r') {
			head->state = VERSION_LF;
			return true;
		}
		return is(c, IS_VALUE);
	}
	return false;
}

int64_t pulse__ws_head_feed(struct pulse__ws_head *head, const uint8_t *data,
			    size_t bytes)
{
	size_t left = head->max - head->fed;
	size_t n = bytes < left ? bytes : left, i = 0;

	if (make_room(head, n))
		return -ENOMEM;
	while (i < n && !head->done)
		if (!step(head, data[i++]))
			return -EPROTO;
	head->fed += (uint32_t)i;
	if (!head->done && n < bytes)
		return -E2BIG;
	return (int64_t)i;
}

const char *pulse__ws_head_method(const struct pulse__ws_head *head)
{
	return head->text;
}

const char *pulse__ws_head_target(const struct pulse__ws_head *head)
{
	return head->text + strlen(head->text) + 1;
}

bool pulse__ws_head_next(const struct pulse__ws_head *head,
			 struct pulse__ws_field *f)
{
	if (!f->next)
		f->next = head->text + head->fields;
	if (f->next >= head->text + head->used)
		return false;
	f->name = f->next;
	f->value = f->name + strlen(f->name) + 1;
	f->next = f->value + strlen(f->value) + 1;
	return true;
}

const char *pulse__ws_head_get(const struct pulse__ws_head *head,
			       const char *name, unsigned int n)
{
	struct pulse__ws_field f = { 0 };

	while (pulse__ws_head_next(head, &f))
		if (!strcmp(f.name, name) && !n--)
			return f.value;
	return NULL;
}

/* The next value of this name, in one pass over all fields. */
static const char *next_value(const struct pulse__ws_head *head,
			      const char *name, struct pulse__ws_field *f)
{
	while (pulse__ws_head_next(head, f))
		if (!strcmp(f->name, name))
			return f->value;
	return NULL;
}

const char *pulse__ws_head_list_next(const struct pulse__ws_head *head,
				     const char *name,
				     struct pulse__ws_list *list, size_t *len)
{
	for (;;) {
		const char *element;

		if (!list->at)
			list->at = next_value(head, name, &list->field);
		if (!list->at)
			return NULL;
		element = list->at + strspn(list->at, " \t,");
		if (!*element) {
			list->at = NULL;
			continue;
		}
		*len = strcspn(element, ",");
		list->at = element + *len;
		while (element[*len - 1] == ' ' || element[*len - 1] == '\t')
			(*len)--;
		return element;
	}
}

bool pulse__ws_head_lists(const struct pulse__ws_head *head, const char *name,
			  const char *token)
{
	struct pulse__ws_list list = { 0 };
	const char *element;
	size_t len;

	while ((element = pulse__ws_head_list_next(head, name, &list, &len)))
		if (len == strlen(token) && !strncasecmp(element, token, len))
			return true;
	return false;
}
