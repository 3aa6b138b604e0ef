// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * route_path.c - paths of routes and of requests, segment by segment, and what
 * stands in them as %XX.
 */
#include "ws/route.h"
#include "ws/ws_int.h"

/* ---- signs ------------------------------------------------------------------ */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * The sign at @s, of @left that there are: its value, and by how much to go on.
 * -1: a "%" without two digits, or one that stands for 0.
 */
static int sign(const char *s, size_t left, size_t *step)
{
	int high, low;

	*step = 1;
	if (*s != '%')
		return (unsigned char)*s;
	*step = 3;
	high = left > 2 ? hex(s[1]) : -1;
	low = high >= 0 ? hex(s[2]) : -1;
	return low < 0 || !(high | low) ? -1 : high << 4 | low;
}

/* Bytes of what @s says, with a 0 behind it in @buf. */
static int undo(const char *s, size_t len, bool plus, char *buf, size_t room)
{
	size_t at = 0, step;

	for (size_t i = 0; i < len; i += step) {
		int c = sign(s + i, len - i, &step);

		if (c < 0)
			return -EBADMSG;
		if (at + 1 >= room)
			return -ENOSPC;
		buf[at++] = plus && step == 1 && c == '+' ? ' ' : (char)c;
	}
	if (!room)
		return -ENOSPC;
	buf[at] = 0;
	return (int)at;
}

/* Does @s say @word? */
static bool says(const char *s, size_t len, bool plus, const char *word,
		 size_t word_len)
{
	size_t at = 0, step;

	for (size_t i = 0; i < len; i += step, at++) {
		int c = sign(s + i, len - i, &step);

		if (plus && step == 1 && c == '+')
			c = ' ';
		if (c < 0 || at == word_len || (unsigned char)word[at] != c)
			return false;
	}
	return at == word_len;
}

static bool makes_sense(const char *path)
{
	size_t left = strlen(path), step;

	for (; left; path += step, left -= step)
		if (sign(path, left, &step) < 0)
			return false;
	return true;
}

/* ---- routes ------------------------------------------------------------------- */

static const char *name_wrong(const struct pulse__ws_route *r, size_t i)
{
	static const char signs[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	const struct pulse__ws_segment *s = &r->segment[i];

	if (!s->len || strspn(s->text, signs) < s->len)
		return "a parameter is named by letters, digits, _ and -";
	if (s->kind == PULSE__WS_REST && i + 1 < r->nr)
		return "a * stands at the end alone";
	for (size_t k = 0; k < i; k++)
		if (r->segment[k].kind != PULSE__WS_WORD &&
		    r->segment[k].len == s->len &&
		    !memcmp(r->segment[k].text, s->text, s->len))
			return "two parameters have one name";
	return NULL;
}

/* Takes the copy of the path apart; why it cannot be one, or NULL. */
static const char *take_apart(struct pulse__ws_route *r)
{
	const char *at = r->path, *why = NULL;
	size_t params = 0;

	while (*at == '/' && !why) {
		struct pulse__ws_segment *s = &r->segment[r->nr++];

		s->text = ++at;
		s->len = strcspn(at, "/");
		at += s->len;
		s->kind = *s->text == ':' ? PULSE__WS_PARAM :
			  *s->text == '*' ? PULSE__WS_REST : PULSE__WS_WORD;
		if (s->kind == PULSE__WS_WORD) {
			if (!s->len && *at)
				why = "a segment is empty";
			continue;
		}
		s->text++;
		s->len--;
		if (++params > PULSE_WS_ROUTE_PARAMS_MAX)
			why = "too many parameters";
	}
	for (size_t i = 0; i < r->nr && !why; i++)
		if (r->segment[i].kind != PULSE__WS_WORD)
			why = name_wrong(r, i);
	return why;
}

int pulse__ws_route_new(const struct pulse_ws_route *o,
			struct pulse__ws_route **out)
{
	size_t len = strnlen(o->path, PULSE_WS_ROUTE_PATH_MAX + 1), nr = 0;
	const char *methods = o->methods ? o->methods : "GET";
	struct pulse__ws_route *r;
	const char *why;

	if (*o->path != '/' || len > PULSE_WS_ROUTE_PATH_MAX) {
		pulse_log(PULSE_LOG_ERROR,
			  "ws: route %.40s: a path begins with / and has up to %d bytes",
			  o->path, PULSE_WS_ROUTE_PATH_MAX);
		return -EINVAL;
	}
	why = pulse__ws_methods_wrong(methods);
	if (why) {
		pulse_log(PULSE_LOG_ERROR, "ws: route %s: %s", o->path, why);
		return -EINVAL;
	}
	for (size_t i = 0; i < len; i++)
		nr += o->path[i] == '/';
	r = pulse__calloc(1, sizeof(*r) + nr * sizeof(r->segment[0]) + len + 1 +
			  strlen(methods) + 2);
	if (!r)
		return -ENOMEM;
	r->o = *o;
	r->path = (char *)&r->segment[nr];
	memcpy(r->path, o->path, len + 1);
	r->methods = r->path + len + 1;
	pulse__ws_methods_set(r->methods, methods);
	r->o.methods = NULL;		/* the caller's */
	r->o.path = r->path;
	why = take_apart(r);
	if (why) {
		pulse_log(PULSE_LOG_ERROR, "ws: route %s: %s", r->path, why);
		pulse__free(r);
		return -EINVAL;
	}
	*out = r;
	return 0;
}

void pulse__ws_route_free(struct pulse__ws_route *route)
{
	pulse__free(route);
}

int pulse__ws_route_order(const struct pulse__ws_route *a,
			  const struct pulse__ws_route *b)
{
	for (size_t i = 0; i < a->nr && i < b->nr; i++) {
		const struct pulse__ws_segment *x = &a->segment[i];
		const struct pulse__ws_segment *y = &b->segment[i];
		size_t len = x->len < y->len ? x->len : y->len;
		int order = (int)x->kind - (int)y->kind;

		if (!order && x->kind == PULSE__WS_WORD) {
			order = memcmp(x->text, y->text, len);
			if (!order)
				order = (x->len > y->len) - (x->len < y->len);
		}
		if (order)
			return order;
	}
	return (a->nr > b->nr) - (a->nr < b->nr);
}

/* ---- requests ------------------------------------------------------------------ */

int pulse__ws_route_fits(const struct pulse__ws_route *r, const char *path,
			 struct pulse__ws_fit *fit)
{
	const char *at = path;

	fit->nr = 0;
	if (!makes_sense(path))
		return -EBADMSG;
	for (size_t i = 0; i < r->nr; i++) {
		const struct pulse__ws_segment *s = &r->segment[i];
		size_t len;

		if (*at++ != '/')
			return 0;
		len = s->kind == PULSE__WS_REST ? strlen(at) : strcspn(at, "/");
		if (s->kind == PULSE__WS_WORD) {
			if (!says(at, len, false, s->text, s->len))
				return 0;
		} else {
			if (!len)
				return 0;
			fit->param[fit->nr].name = s;
			fit->param[fit->nr].at = at;
			fit->param[fit->nr++].len = len;
		}
		at += len;
	}
	return !*at;
}

int pulse_ws_route_param(const struct pulse_ws_request *request,
			 const char *name, char *buf, size_t len)
{
	const struct pulse__ws_fit *fit = request ? request->fit : NULL;
	size_t name_len;

	if (!request || !name || !buf || !len)
		return -EINVAL;
	name_len = strlen(name);
	*buf = 0;
	for (size_t i = 0; fit && i < fit->nr; i++) {
		int n;

		if (fit->param[i].name->len != name_len ||
		    memcmp(fit->param[i].name->text, name, name_len))
			continue;
		n = undo(fit->param[i].at, fit->param[i].len, false, buf, len);
		if (n < 0)
			*buf = 0;
		return n;
	}
	return -ENOENT;
}

int pulse_ws_request_arg(const struct pulse_ws_request *request,
			 const char *name, char *buf, size_t len)
{
	const char *at = request ? request->query : NULL;

	if (!request || !name || !*name || !buf || !len)
		return -EINVAL;
	*buf = 0;
	while (at) {
		size_t all = strcspn(at, "&"), word = strcspn(at, "=&");
		size_t skip = word < all ? word + 1 : all;
		int n;

		if (says(at, word, true, name, strlen(name))) {
			n = undo(at + skip, all - skip, true, buf, len);
			if (n < 0)
				*buf = 0;
			return n;
		}
		at = at[all] ? at + all + 1 : NULL;
	}
	return -ENOENT;
}
