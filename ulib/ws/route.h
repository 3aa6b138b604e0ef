/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * route.h - the path and the methods of a route, taken apart, and what of a request
 * fits them.
 */
#ifndef PULSE__WS_ROUTE_H
#define PULSE__WS_ROUTE_H

#include <pulse-u/ws_route.h>

#include "base/base.h"

enum pulse__ws_segment_kind {
	PULSE__WS_WORD,
	PULSE__WS_PARAM,
	PULSE__WS_REST,
};

struct pulse__ws_segment {
	enum pulse__ws_segment_kind kind;
	const char *text;		/* the word, or the name */
	size_t len;
};

struct pulse__ws_route {
	struct pulse_ws_route o;
	size_t nr;
	char *path;			/* as it was given; behind the array */
	char *methods;			/* each once, a 0 behind it, "" at the end */
	struct pulse__ws_segment segment[];
};

/* Parameters of a path: places in it, as they came. */
struct pulse__ws_fit {
	size_t nr;
	struct {
		const struct pulse__ws_segment *name;
		const char *at;
		size_t len;
	} param[PULSE_WS_ROUTE_PARAMS_MAX];
};

/* 0; -EINVAL, said in the log; -ENOMEM. */
int pulse__ws_route_new(const struct pulse_ws_route *o,
			struct pulse__ws_route **out);
void pulse__ws_route_free(struct pulse__ws_route *route);
/* Less than 0: @a is looked at before @b; 0: both fit the same paths. */
int pulse__ws_route_order(const struct pulse__ws_route *a,
			  const struct pulse__ws_route *b);
/* 1 it fits; 0 it does not; -EBADMSG a "%" of the path makes no sense. */
int pulse__ws_route_fits(const struct pulse__ws_route *route, const char *path,
			 struct pulse__ws_fit *fit);


/* ---- route_method.c: lists of methods, as a route keeps them ------------------ */

/* "GET, HEAD, " and so on. */
#define PULSE__WS_ALLOW_MAX	1024

/* What is wrong with a list, or NULL. */
const char *pulse__ws_methods_wrong(const char *text);
/* Puts it in order; strlen(@text) + 2 bytes are enough. */
void pulse__ws_methods_set(char *to, const char *text);
/* HEAD is where GET is. */
bool pulse__ws_methods_have(const char *methods, const char *method);
bool pulse__ws_methods_meet(const char *a, const char *b);
/* Adds those that @allow, of PULSE__WS_ALLOW_MAX bytes, does not name yet. */
void pulse__ws_methods_allow(const char *methods, char *allow);

#endif /* PULSE__WS_ROUTE_H */
