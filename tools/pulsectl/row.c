// SPDX-License-Identifier: GPL-2.0-only
/*
 * How messages are shown: in columns, as words, as JSON.
 */
#include <string.h>

#include <linux/pulse.h>

#include "ctl.h"

static const char *state_name(uint64_t state)
{
	static const char *const names[] = {
		"free", "running", "preempted", "blocked", "parked", "dead",
	};

	return state < sizeof(names) / sizeof(*names) ? names[state] : "unknown";
}

static const char *verdict_name(uint64_t verdict)
{
	switch (verdict) {
	case PULSE_HANG_STUCK:
		return "stuck";
	case PULSE_HANG_STARVED:
		return "starved";
	case PULSE_HANG_BLOCKED:
		return "blocked";
	}
	return "unknown";
}

static bool has(const struct row *row, const struct field *f)
{
	return row->has >> f->attr & 1;
}

/* What another program could have put into a name does not reach a terminal. */
static void printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void value_text(const struct field *f, const struct row *row, char *text,
		       size_t len)
{
	uint64_t v = row->num[f->attr];

	if (!has(row, f)) {
		snprintf(text, len, "-");
		return;
	}
	switch (f->kind) {
	case FIELD_TEXT:
		snprintf(text, len, "%s", row->text);
		printable(text);
		break;
	case FIELD_STATE:
		snprintf(text, len, "%s", state_name(v));
		break;
	case FIELD_VERDICT:
		snprintf(text, len, "%s", verdict_name(v));
		break;
	case FIELD_MS:
		snprintf(text, len, "%llu.%03llu",
			 (unsigned long long)(v / 1000000),
			 (unsigned long long)(v / 1000 % 1000));
		break;
	case FIELD_S32:
	case FIELD_SIGNAL:
		snprintf(text, len, "%d", (int)v);
		break;
	default:
		snprintf(text, len, "%llu", (unsigned long long)v);
	}
}

void row_heading(const struct field *fields)
{
	for (; fields->name; fields++) {
		char name[32];
		size_t i;

		snprintf(name, sizeof(name), "%s", fields->name);
		for (i = 0; name[i]; i++)
			if (name[i] >= 'a' && name[i] <= 'z')
				name[i] += 'A' - 'a';
		printf("%*s%s", fields->width, name, fields[1].name ? " " : "\n");
	}
}

void row_columns(const struct field *fields, const struct row *row)
{
	for (; fields->name; fields++) {
		char text[ROW_TEXT];

		value_text(fields, row, text, sizeof(text));
		printf("%*s%s", fields->width, text, fields[1].name ? " " : "\n");
	}
}

void row_words(const struct field *fields, const struct row *row)
{
	for (; fields->name; fields++) {
		char text[ROW_TEXT];

		if (!has(row, fields))
			continue;
		value_text(fields, row, text, sizeof(text));
		printf(" %s=%s", fields->name, text);
	}
}

void row_json(struct json *j, const struct field *fields, const struct row *row)
{
	for (; fields->name; fields++) {
		uint64_t v = row->num[fields->attr];
		char name[40];

		if (!has(row, fields))
			continue;
		switch (fields->kind) {
		case FIELD_TEXT:
			json_string(j, fields->name, row->text);
			break;
		case FIELD_STATE:
			json_string(j, fields->name, state_name(v));
			break;
		case FIELD_VERDICT:
			json_string(j, fields->name, verdict_name(v));
			break;
		case FIELD_MS:
			snprintf(name, sizeof(name), "%.*s_ns",
				 (int)strcspn(fields->name, "_"), fields->name);
			json_u64(j, name, v);
			break;
		case FIELD_S32:
		case FIELD_SIGNAL:
			json_s64(j, fields->name, (int32_t)v);
			break;
		default:
			json_u64(j, fields->name, v);
		}
	}
}
