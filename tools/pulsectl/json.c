// SPDX-License-Identifier: GPL-2.0-only
/*
 * JSON, written as it goes. Strings may hold anything: a thread's name is what
 * its program made it. Bytes that are no UTF-8 become U+FFFD.
 */
#include "ctl.h"

/* Length of the UTF-8 sequence at s, or 0: it is none. */
static int sequence(const unsigned char *s)
{
	int n, i;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
	    s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* too long a form, a surrogate, beyond the last */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return n;
}

static void quoted(FILE *to, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	fputc('"', to);
	while (*s) {
		int n = sequence(s);

		if (!n) {
			fputs("\\ufffd", to);
			s++;
			continue;
		}
		if (*s == '"' || *s == '\\')
			fprintf(to, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(to, "\\u%04x", *s);
		else
			fwrite(s, 1, (size_t)n, to);
		s += n;
	}
	fputc('"', to);
}

static void named(struct json *j, const char *name)
{
	if (j->more)
		fputc(',', j->to);
	j->more = true;
	if (name) {
		quoted(j->to, name);
		fputc(':', j->to);
	}
}

void json_begin(struct json *j, const char *name, char bracket)
{
	named(j, name);
	fputc(bracket, j->to);
	j->more = false;
}

void json_end(struct json *j, char bracket)
{
	fputc(bracket, j->to);
	j->more = true;
}

void json_string(struct json *j, const char *name, const char *value)
{
	named(j, name);
	quoted(j->to, value);
}

void json_u64(struct json *j, const char *name, uint64_t value)
{
	named(j, name);
	fprintf(j->to, "%llu", (unsigned long long)value);
}

void json_s64(struct json *j, const char *name, int64_t value)
{
	named(j, name);
	fprintf(j->to, "%lld", (long long)value);
}

void json_bool(struct json *j, const char *name, bool value)
{
	named(j, name);
	fputs(value ? "true" : "false", j->to);
}
