/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pulsectl: what its parts share.
 */
#ifndef PULSECTL_CTL_H
#define PULSECTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit status. */
#define CTL_OK		0
#define CTL_FAILED	1	/* it could not be done; doctor: something is wrong */
#define CTL_USAGE	2	/* wrong arguments */
#define CTL_NO_MODULE	3	/* the module is not loaded */
#define CTL_DENIED	4	/* not allowed */

struct ctl {
	bool json;
	const char *root;	/* in front of /proc, /sys, /dev, ...; "" */
};

/* main.c */
int ctl_bad(const char *what, const char *value);
int ctl_number(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* One a sub-command; argv[0] is its name. The exit status. */
int ctl_status(struct ctl *c, int argc, char **argv);
int ctl_ctx(struct ctl *c, int argc, char **argv);
int ctl_workers(struct ctl *c, int argc, char **argv);
int ctl_knob(struct ctl *c, int argc, char **argv);
int ctl_monitor(struct ctl *c, int argc, char **argv);
int ctl_doctor(struct ctl *c, int argc, char **argv);

/* files.c: small files below the root; false: not there, or not to be read. */
bool ctl_exists(const struct ctl *c, const char *path);
bool ctl_read(const struct ctl *c, const char *path, char *text, size_t len);
bool ctl_loaded(const struct ctl *c);
int ctl_say_not_loaded(const struct ctl *c);

/* json.c: a value at a time, commas where they belong. */
struct json {
	FILE *to;
	bool more;		/* a value stands before this one */
};

void json_begin(struct json *j, const char *name, char bracket);
void json_end(struct json *j, char bracket);
void json_string(struct json *j, const char *name, const char *value);
void json_u64(struct json *j, const char *name, uint64_t value);
void json_s64(struct json *j, const char *name, int64_t value);
void json_bool(struct json *j, const char *name, bool value);

/* row.c: a message of the family, and how it is shown. */
#define ROW_ATTRS	32
#define ROW_TEXT	64

struct row {
	int cmd;
	uint32_t has;		/* bit i: attribute i */
	uint64_t num[ROW_ATTRS];
	char text[ROW_TEXT];	/* the one string of a message */
};

enum field_kind { FIELD_U32, FIELD_S32, FIELD_U64, FIELD_TEXT, FIELD_STATE,
		  FIELD_VERDICT, FIELD_MS, FIELD_SIGNAL };

struct field {
	int attr;
	enum field_kind kind;
	const char *name;
	int width;		/* of its column */
};

void row_heading(const struct field *fields);
void row_columns(const struct field *fields, const struct row *row);
void row_words(const struct field *fields, const struct row *row);
void row_json(struct json *j, const struct field *fields, const struct row *row);

/* nl.c: requests to the family. */
struct link;
struct nl_msg;

struct rows {
	struct row *row;
	size_t nr;
};

/* 0 or the exit status; what is wrong is said. */
int link_open(const struct ctl *c, struct link **link);
void link_close(struct link *link);

/* Builds a request to which attributes are put; NULL: no memory, said. */
struct nl_msg *link_request(struct link *link, int cmd, bool dump);

/*
 * Sends a request, frees it, and collects the answers; 0 or a negative errno.
 * What the kernel says about an error stands in link_text().
 */
int link_ask(struct link *link, struct nl_msg *msg, struct rows *rows);
const char *link_text(const struct link *link);
void rows_free(struct rows *rows);

/* Says why a request failed; the exit status. */
int link_failed(const struct link *link, const char *what, int err);

/* Events, one by one, until fn says false; the exit status. */
int link_listen(struct link *link, bool (*fn)(const struct row *row, void *arg),
		void *arg);

#endif /* PULSECTL_CTL_H */
