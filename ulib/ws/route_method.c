// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * route_method.c - which methods a route answers: names, each with a 0 behind it,
 * and an empty one at the end.
 */
#include "ws/head.h"
#include "ws/route.h"

#include <stdio.h>

#define BETWEEN		", \t"

const char *pulse__ws_methods_wrong(const char *text)
{
	char one[PULSE_WS_METHODS_MAX + 1];
	size_t nr = 0, len;

	if (strnlen(text, sizeof(one)) == sizeof(one))
		return "its list of methods is too long";
	for (text += strspn(text, BETWEEN); *text; text += strspn(text, BETWEEN)) {
		len = strcspn(text, BETWEEN);
		memcpy(one, text, len);
		one[len] = 0;
		if (!pulse__ws_head_name_ok(one))
			return "a method is a token, GET for one";
		text += len;
		nr++;
	}
	return nr ? NULL : "its list of methods is empty; NULL stands for GET";
}

static bool names(const char *methods, const char *one, size_t len)
{
	for (; *methods; methods += strlen(methods) + 1)
		if (strlen(methods) == len && !memcmp(methods, one, len))
			return true;
	return false;
}

void pulse__ws_methods_set(char *to, const char *text)
{
	char *at = to;

	*at = 0;
	for (text += strspn(text, BETWEEN); *text; text += strspn(text, BETWEEN)) {
		size_t len = strcspn(text, BETWEEN);

		if (!names(to, text, len)) {
			memcpy(at, text, len);
			at[len] = 0;
			at += len + 1;
			*at = 0;
		}
		text += len;
	}
}

bool pulse__ws_methods_have(const char *methods, const char *method)
{
	return names(methods, method, strlen(method)) ||
	       (!strcmp(method, "HEAD") && names(methods, "GET", 3));
}

bool pulse__ws_methods_meet(const char *a, const char *b)
{
	/* The only one of which there may be two answers without its name. */
	if (pulse__ws_methods_have(a, "HEAD") && pulse__ws_methods_have(b, "HEAD"))
		return true;
	for (; *a; a += strlen(a) + 1)
		if (names(b, a, strlen(a)))
			return true;
	return false;
}

static bool allows(const char *allow, const char *one, size_t len)
{
	while (*allow) {
		size_t n = strcspn(allow, ",");

		if (n == len && !memcmp(allow, one, len))
			return true;
		allow += n;
		allow += strspn(allow, ", ");
	}
	return false;
}

static void allow_one(const char *one, char *allow)
{
	size_t len = strlen(one), at = strlen(allow);

	if (allows(allow, one, len) || at + len + 3 > PULSE__WS_ALLOW_MAX)
		return;
	sprintf(allow + at, "%s%s", at ? ", " : "", one);
}

void pulse__ws_methods_allow(const char *methods, char *allow)
{
	for (; *methods; methods += strlen(methods) + 1) {
		allow_one(methods, allow);
		if (!strcmp(methods, "GET"))
			allow_one("HEAD", allow);
	}
}
