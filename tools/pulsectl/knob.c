// SPDX-License-Identifier: GPL-2.0-only
/*
 * knob: what an administrator may set.
 */
#include <errno.h>
#include <string.h>

#include <netlink/attr.h>

#include <linux/pulse_netlink.h>

#include "ctl.h"

static const struct field knob_fields[] = {
	{ PULSE_NL_KNOB_NAME, FIELD_TEXT, "name", -24 },
	{ PULSE_NL_KNOB_VALUE, FIELD_U32, "value", 10 },
	{ PULSE_NL_KNOB_MIN, FIELD_U32, "min", 10 },
	{ PULSE_NL_KNOB_MAX_VALUE, FIELD_U32, "max", 10 },
	{ 0, 0, NULL, 0 },
};

/* What is asked for. */
struct want {
	int cmd;
	bool dump;
	uint64_t ctx;		/* 0: the module's */
	const char *name;
	uint64_t value;
};

static void show_list(const struct ctl *c, const struct rows *rows)
{
	struct json j = { .to = stdout };

	if (!c->json) {
		row_heading(knob_fields);
		for (size_t i = 0; i < rows->nr; i++)
			row_columns(knob_fields, &rows->row[i]);
		return;
	}
	json_begin(&j, NULL, '[');
	for (size_t i = 0; i < rows->nr; i++) {
		json_begin(&j, NULL, '{');
		row_json(&j, knob_fields, &rows->row[i]);
		json_end(&j, '}');
	}
	json_end(&j, ']');
	putchar('\n');
}

static void show_one(const struct ctl *c, const struct rows *rows)
{
	struct json j = { .to = stdout };

	if (!rows->nr)
		return;
	if (!c->json) {
		printf("%llu\n", (unsigned long long)
		       rows->row[0].num[PULSE_NL_KNOB_VALUE]);
		return;
	}
	json_begin(&j, NULL, '{');
	row_json(&j, knob_fields, &rows->row[0]);
	json_end(&j, '}');
	putchar('\n');
}

static int say_why(const struct link *link, const struct want *want, int err)
{
	char what[128];

	if (want->cmd == PULSE_NL_CMD_KNOB_SET)
		snprintf(what, sizeof(what), "%.40s = %llu", want->name,
			 (unsigned long long)want->value);
	else if (want->name)
		snprintf(what, sizeof(what), "%.40s", want->name);
	else
		snprintf(what, sizeof(what), "context %llu",
			 (unsigned long long)want->ctx);
	if (err == -ENOENT && want->name)
		strcat(what, " (pulsectl knob list names them)");
	return link_failed(link, what, err);
}

static int talk(struct ctl *c, const struct want *want)
{
	struct rows rows = { NULL, 0 };
	struct link *link;
	struct nl_msg *msg;
	int ret;

	ret = link_open(c, &link);
	if (ret)
		return ret;
	ret = CTL_FAILED;
	msg = link_request(link, want->cmd, want->dump);
	if (!msg)
		goto out;
	if (want->ctx)
		nla_put_u32(msg, PULSE_NL_KNOB_CTX_ID, (uint32_t)want->ctx);
	if (want->name)
		nla_put_string(msg, PULSE_NL_KNOB_NAME, want->name);
	if (want->cmd == PULSE_NL_CMD_KNOB_SET)
		nla_put_u32(msg, PULSE_NL_KNOB_VALUE, (uint32_t)want->value);
	ret = link_ask(link, msg, &rows);
	if (ret)
		ret = say_why(link, want, ret);
	else if (want->dump)
		show_list(c, &rows);
	else
		show_one(c, &rows);
out:
	rows_free(&rows);
	link_close(link);
	return ret;
}

int ctl_knob(struct ctl *c, int argc, char **argv)
{
	struct want want = { .cmd = PULSE_NL_CMD_KNOB_GET };
	const char *verb;
	int n;

	argv++;
	argc--;
	if (argc >= 1 && !strcmp(argv[0], "--ctx")) {
		if (argc < 2 || ctl_number(argv[1], 1, INT32_MAX, &want.ctx))
			return ctl_bad("--ctx takes the number of a context",
				       argc < 2 ? "" : argv[1]);
		argv += 2;
		argc -= 2;
	}
	if (argc < 1)
		return ctl_bad("knob takes list, get or set", "");
	verb = argv[0];
	n = !strcmp(verb, "list") ? 1 : !strcmp(verb, "get") ? 2 :
	    !strcmp(verb, "set") ? 3 : 0;
	if (!n)
		return ctl_bad("knob takes list, get or set", verb);
	if (argc != n)
		return ctl_bad(n == 1 ? "knob list takes no argument" :
			       n == 2 ? "knob get takes NAME" :
			       "knob set takes NAME and VALUE",
			       argc > n ? argv[n] : "");
	want.dump = n == 1;
	if (n >= 2) {
		want.name = argv[1];
		if (!*want.name || strlen(want.name) >= PULSE_NL_KNOB_NAME_BYTES)
			return ctl_bad("no knob has such a name", want.name);
	}
	if (n == 3) {
		want.cmd = PULSE_NL_CMD_KNOB_SET;
		if (ctl_number(argv[2], 0, UINT32_MAX, &want.value))
			return ctl_bad("VALUE is a number from 0 to 4294967295",
				       argv[2]);
	}
	return talk(c, &want);
}
