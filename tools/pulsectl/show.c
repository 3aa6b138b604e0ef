// SPDX-License-Identifier: GPL-2.0-only
/*
 * status, ctx, workers: what there is.
 */
#include <stdlib.h>
#include <string.h>

#include <netlink/attr.h>

#include <linux/pulse.h>
#include <linux/pulse_netlink.h>

#include "ctl.h"

#define SYSFS	"/sys/class/misc/pulse/"

static const char *const features[] = {
	[0] = "kstate", [1] = "preempted", [2] = "nring", [3] = "wake_node",
	[4] = "death", [8] = "beat", [9] = "handoff", [10] = "handoff_cpu",
	[11] = "yield_to", [12] = "hint", [13] = "hint_slice",
	[14] = "hint_uclamp", [16] = "events", [17] = "shared", [18] = "watch",
	[19] = "uring",
};

static const char *const totals[] = {
	"contexts", "workers", "parks", "wakes", "deaths", "netlink_drops",
};

static uint64_t figure(const struct ctl *c, const char *name)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), SYSFS "%s", name);
	return ctl_read(c, path, text, sizeof(text)) ?
		strtoull(text, NULL, 0) : 0;
}

static void show_features(struct json *j, uint64_t bits)
{
	if (j)
		json_begin(j, "features", '[');
	else
		printf("features:     ");
	for (size_t i = 0; i < sizeof(features) / sizeof(*features); i++) {
		if (!(bits >> i & 1) || !features[i])
			continue;
		if (j)
			json_string(j, NULL, features[i]);
		else
			printf(" %s", features[i]);
	}
	if (j)
		json_end(j, ']');
	else
		putchar('\n');
}

int ctl_status(struct ctl *c, int argc, char **argv)
{
	struct json j = { .to = stdout };
	bool loaded = ctl_loaded(c);

	if (argc > 1)
		return ctl_bad("status takes no argument", argv[1]);
	if (!c->json) {
		if (!loaded)
			return ctl_say_not_loaded(c);
		printf("module:        loaded, ABI %u\n",
		       (unsigned int)figure(c, "abi"));
		show_features(NULL, figure(c, "features"));
		for (size_t i = 0; i < sizeof(totals) / sizeof(*totals); i++) {
			char name[32];

			snprintf(name, sizeof(name), "%s:", totals[i]);
			printf("%-14s %llu\n", name,
			       (unsigned long long)figure(c, totals[i]));
		}
		return CTL_OK;
	}
	json_begin(&j, NULL, '{');
	json_bool(&j, "loaded", loaded);
	if (loaded) {
		json_u64(&j, "abi", figure(c, "abi"));
		show_features(&j, figure(c, "features"));
		for (size_t i = 0; i < sizeof(totals) / sizeof(*totals); i++)
			json_u64(&j, totals[i], figure(c, totals[i]));
	}
	json_end(&j, '}');
	putchar('\n');
	return loaded ? CTL_OK : CTL_NO_MODULE;
}

static const struct field ctx_fields[] = {
	{ PULSE_NL_CTX_ID, FIELD_U32, "ctx", 5 },
	{ PULSE_NL_CTX_UID, FIELD_U32, "uid", 6 },
	{ PULSE_NL_CTX_PID, FIELD_U32, "pid", 7 },
	{ PULSE_NL_CTX_WORKERS, FIELD_U32, "workers", 7 },
	{ PULSE_NL_CTX_MAX_WORKERS, FIELD_U32, "max_workers", 11 },
	{ PULSE_NL_CTX_NODES, FIELD_U32, "nodes", 5 },
	{ PULSE_NL_CTX_RING_ENTRIES, FIELD_U32, "ring_entries", 12 },
	{ PULSE_NL_CTX_HEAP_BYTES, FIELD_U32, "heap_bytes", 10 },
	{ PULSE_NL_CTX_EVENT_BYTES, FIELD_U32, "event_bytes", 11 },
	{ PULSE_NL_CTX_DROPPED, FIELD_U64, "dropped", 7 },
	{ PULSE_NL_CTX_PAGES, FIELD_U64, "pages", 7 },
	{ PULSE_NL_CTX_WATCHES, FIELD_U32, "watches", 7 },
	{ PULSE_NL_CTX_SPIN_US, FIELD_U32, "spin_us", 7 },
	{ PULSE_NL_CTX_WAKE_SPILL, FIELD_U32, "wake_spill", 10 },
	{ PULSE_NL_CTX_FLAGS, FIELD_U32, "flags", 5 },
	{ 0, 0, NULL, 0 },
};

static const struct field worker_fields[] = {
	{ PULSE_NL_WORKER_CTX_ID, FIELD_U32, "ctx", 5 },
	{ PULSE_NL_WORKER_INDEX, FIELD_U32, "index", 5 },
	{ PULSE_NL_WORKER_TID, FIELD_U32, "tid", 7 },
	{ PULSE_NL_WORKER_PID, FIELD_U32, "pid", 7 },
	{ PULSE_NL_WORKER_STATE, FIELD_STATE, "state", 9 },
	{ PULSE_NL_WORKER_CPU, FIELD_U32, "cpu", 4 },
	{ PULSE_NL_WORKER_HOME, FIELD_S32, "home", 4 },
	{ PULSE_NL_WORKER_RUN_NS, FIELD_MS, "run_ms", 12 },
	{ PULSE_NL_WORKER_WAIT_NS, FIELD_MS, "wait_ms", 12 },
	{ PULSE_NL_WORKER_N_PREEMPT, FIELD_U64, "preempt", 8 },
	{ PULSE_NL_WORKER_N_BLOCK, FIELD_U64, "block", 8 },
	{ PULSE_NL_WORKER_N_PARK, FIELD_U64, "park", 8 },
	{ PULSE_NL_WORKER_N_MIGRATE, FIELD_U64, "migrate", 7 },
	{ PULSE_NL_WORKER_BEATS, FIELD_U64, "beats", 8 },
	{ PULSE_NL_WORKER_MISSED, FIELD_U64, "missed", 7 },
	{ PULSE_NL_WORKER_INCARNATION, FIELD_U32, "life", 4 },
	{ PULSE_NL_WORKER_COOKIE, FIELD_U64, "cookie", 8 },
	{ PULSE_NL_WORKER_COMM, FIELD_TEXT, "comm", 15 },
	{ 0, 0, NULL, 0 },
};

static void show_rows(const struct ctl *c, const struct field *fields,
		      const struct rows *rows)
{
	struct json j = { .to = stdout };

	if (!c->json) {
		row_heading(fields);
		for (size_t i = 0; i < rows->nr; i++)
			row_columns(fields, &rows->row[i]);
		return;
	}
	json_begin(&j, NULL, '[');
	for (size_t i = 0; i < rows->nr; i++) {
		json_begin(&j, NULL, '{');
		row_json(&j, fields, &rows->row[i]);
		json_end(&j, '}');
	}
	json_end(&j, ']');
	putchar('\n');
}

/* Contexts, or workers of them; all or of one. */
static int show(struct ctl *c, int argc, char **argv, int cmd,
		const struct field *fields)
{
	bool one = argc > 1, dump = !one || cmd == PULSE_NL_CMD_WORKER_GET;
	struct rows rows = { NULL, 0 };
	struct link *link;
	struct nl_msg *msg;
	char what[64];
	uint64_t id = 0;
	int ret;

	if (argc > 2)
		return ctl_bad("one context at most, and no more arguments",
			       argv[2]);
	if (one && ctl_number(argv[1], 1, INT32_MAX, &id))
		return ctl_bad("CTX is the number of a context", argv[1]);
	ret = link_open(c, &link);
	if (ret)
		return ret;
	ret = CTL_FAILED;
	msg = link_request(link, cmd, dump);
	if (!msg)
		goto out;
	if (one)
		nla_put_u32(msg, cmd == PULSE_NL_CMD_CTX_GET ?
			    (int)PULSE_NL_CTX_ID : (int)PULSE_NL_WORKER_CTX_ID,
			    (uint32_t)id);
	ret = link_ask(link, msg, &rows);
	if (!ret) {
		show_rows(c, fields, &rows);
		goto out;
	}
	snprintf(what, sizeof(what), "context %llu", (unsigned long long)id);
	ret = link_failed(link, one ? what : "contexts", ret);
out:
	rows_free(&rows);
	link_close(link);
	return ret;
}

int ctl_ctx(struct ctl *c, int argc, char **argv)
{
	return show(c, argc, argv, PULSE_NL_CMD_CTX_GET, ctx_fields);
}

int ctl_workers(struct ctl *c, int argc, char **argv)
{
	return show(c, argc, argv, PULSE_NL_CMD_WORKER_GET, worker_fields);
}
