// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * w3c.c - traceparent and tracestate.
 *
 * Source: W3C Recommendation "Trace Context", level 1 (2021), sections 3.2, 3.3
 * and 4.
 */
#include "base/base.h"

#include <stdio.h>

#include <pulse-u/tracer.h>

/* version - trace id - parent id - flags */
#define TRACEPARENT_LEN	55
#define MEMBERS_MAX	32
#define LONG_MEMBER	128

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower case only; false also where the text ends before. */
static bool unhex(const char *text, uint8_t *out, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		int high = digit(text[2 * i]);
		int low = high < 0 ? -1 : digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static char *hex(char *to, const uint8_t *from, size_t bytes)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes; i++) {
		*to++ = digits[from[i] >> 4];
		*to++ = digits[from[i] & 15];
	}
	return to;
}

static bool is_zero(const uint8_t *p, size_t bytes)
{
	while (bytes && !p[bytes - 1])
		bytes--;
	return !bytes;
}

/* ---- tracestate ----------------------------------------------------------- */

static bool lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool key_chars(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!lower_or_digit(s[i]) && !strchr("_-*/", s[i]))
			return false;
	return true;
}

/*
 * simple-key: lcalpha and up to 255 more; or tenant-id, which may begin with a
 * digit and has up to 241, @, and system-id, lcalpha and up to 13 more.
 */
static bool key_ok(const char *key, size_t len)
{
	const char *at = memchr(key, '@', len);
	size_t tenant = at ? (size_t)(at - key) : 0;
	size_t system = at ? len - tenant - 1 : 0;

	if (!len || memchr(key, 0, len))
		return false;
	if (!at)
		return len <= 256 && *key >= 'a' && *key <= 'z' &&
		       key_chars(key, len);
	return tenant >= 1 && tenant <= 241 && lower_or_digit(*key) &&
	       key_chars(key, tenant) && system >= 1 && system <= 14 &&
	       at[1] >= 'a' && at[1] <= 'z' && key_chars(at + 1, system);
}

/* Up to 256 of 0x20 to 0x7e without "," and "=", not a blank last. */
static bool value_ok(const char *value, size_t len)
{
	if (!len || len > 256 || value[len - 1] == ' ')
		return false;
	for (size_t i = 0; i < len; i++)
		if (value[i] < 0x20 || value[i] > 0x7e || value[i] == ',' ||
		    value[i] == '=')
			return false;
	return true;
}

struct member {
	const char *text;
	size_t len, key_len;
};

/* The members, without blanks around them; false: against the rules. */
static bool split(const char *state, struct member *m, size_t *nr)
{
	*nr = 0;
	for (const char *s = state; *s;) {
		size_t len = strcspn(s, ",");
		const char *next = s + len, *eq;

		while (len && (*s == ' ' || *s == '\t')) {
			s++;
			len--;
		}
		while (len && (s[len - 1] == ' ' || s[len - 1] == '\t'))
			len--;
		if (len) {
			eq = memchr(s, '=', len);
			if (!eq || *nr == MEMBERS_MAX ||
			    !key_ok(s, (size_t)(eq - s)) ||
			    !value_ok(eq + 1, len - (size_t)(eq + 1 - s)))
				return false;
			m[*nr] = (struct member){ s, len, (size_t)(eq - s) };
			for (size_t i = 0; i < *nr; i++)
				if (m[i].key_len == m[*nr].key_len &&
				    !memcmp(m[i].text, s, m[i].key_len))
					return false;
			++*nr;
		}
		s = *next ? next + 1 : next;
	}
	return true;
}

static size_t length_of(const struct member *m, size_t nr)
{
	size_t len = 0;

	for (size_t i = 0; i < nr; i++)
		len += m[i].len + (i > 0);
	return len;
}

/* Drops members until the rest fits: long ones first, then from the end. */
static void join(struct member *m, size_t nr, size_t keep, char *out)
{
	char text[PULSE_TRACESTATE_MAX], *to = text;

	while (length_of(m, nr) >= PULSE_TRACESTATE_MAX) {
		size_t drop = nr - 1;

		for (size_t i = nr; i-- > keep;)
			if (m[i].len > LONG_MEMBER) {
				drop = i;
				break;
			}
		nr--;
		memmove(m + drop, m + drop + 1, (nr - drop) * sizeof(*m));
	}
	/* Aside first: the members may lie in @out. */
	for (size_t i = 0; i < nr; i++) {
		if (i)
			*to++ = ',';
		memcpy(to, m[i].text, m[i].len);
		to += m[i].len;
	}
	*to = 0;
	strcpy(out, text);
}

int pulse_tracestate_set(struct pulse_trace_context *tc, const char *key,
			 const char *value)
{
	struct member m[MEMBERS_MAX + 1];
	char mine[256 + 1 + 256 + 1];
	size_t nr, len;

	if (!tc || !key || !value)
		return -EINVAL;
	if (!key_ok(key, strlen(key)) || !value_ok(value, strlen(value)))
		return -EBADMSG;
	len = (size_t)snprintf(mine, sizeof(mine), "%s=%s", key, value);
	if (!split(tc->tracestate, m + 1, &nr))
		nr = 0;
	m[0] = (struct member){ mine, len, strlen(key) };
	nr++;
	for (size_t i = 1; i < nr; i++)
		if (m[i].key_len == m[0].key_len &&
		    !memcmp(m[i].text, key, m[0].key_len)) {
			nr--;
			memmove(m + i, m + i + 1, (nr - i) * sizeof(*m));
			break;
		}
	if (nr > MEMBERS_MAX)
		nr = MEMBERS_MAX;
	/* The new one stays: alone it always fits, or is refused. */
	if (len >= PULSE_TRACESTATE_MAX)
		return -EBADMSG;
	join(m, nr, 1, tc->tracestate);
	return 0;
}

/* ---- traceparent ------------------------------------------------------------ */

int pulse_trace_extract(const char *tp, const char *tracestate,
			struct pulse_trace_context *out)
{
	struct member m[MEMBERS_MAX];
	uint8_t version, flags;
	size_t len, nr;

	if (!tp || !out)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	len = strlen(tp);
	if (len < TRACEPARENT_LEN || !unhex(tp, &version, 1) || version == 0xff ||
	    tp[2] != '-' || !unhex(tp + 3, out->trace_id, 16) || tp[35] != '-' ||
	    !unhex(tp + 36, out->span_id, 8) || tp[52] != '-' ||
	    !unhex(tp + 53, &flags, 1) || is_zero(out->trace_id, 16) ||
	    is_zero(out->span_id, 8) ||
	    (len > TRACEPARENT_LEN && (!version || tp[TRACEPARENT_LEN] != '-'))) {
		memset(out, 0, sizeof(*out));
		return -EBADMSG;
	}
	out->sampled = flags & 1;
	if (tracestate && split(tracestate, m, &nr))
		join(m, nr, 0, out->tracestate);
	return 0;
}

int pulse_trace_inject(const struct pulse_trace_context *tc, char *tp)
{
	if (!tc || !tp || is_zero(tc->trace_id, 16) || is_zero(tc->span_id, 8))
		return -EINVAL;
	memcpy(tp, "00-", 3);
	tp = hex(tp + 3, tc->trace_id, 16);
	*tp++ = '-';
	tp = hex(tp, tc->span_id, 8);
	memcpy(tp, tc->sampled ? "-01" : "-00", 4);
	return 0;
}
