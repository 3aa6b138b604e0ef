// SPDX-License-Identifier: GPL-2.0-only
/*
 * monitor: events as they come, a line each.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/pulse_netlink.h>

#include "ctl.h"

static const struct field event_fields[] = {
	{ PULSE_NL_EVENT_CTX_ID, FIELD_U32, "ctx", 0 },
	{ PULSE_NL_EVENT_UID, FIELD_U32, "uid", 0 },
	{ PULSE_NL_EVENT_INDEX, FIELD_U32, "index", 0 },
	{ PULSE_NL_EVENT_INCARNATION, FIELD_U32, "life", 0 },
	{ PULSE_NL_EVENT_TID, FIELD_U32, "tid", 0 },
	{ PULSE_NL_EVENT_PID, FIELD_U32, "pid", 0 },
	{ PULSE_NL_EVENT_WATCH, FIELD_U32, "watch", 0 },
	{ PULSE_NL_EVENT_VERDICT, FIELD_VERDICT, "verdict", 0 },
	{ PULSE_NL_EVENT_STATE, FIELD_STATE, "state", 0 },
	{ PULSE_NL_EVENT_FOR_NS, FIELD_MS, "for_ms", 0 },
	{ PULSE_NL_EVENT_EXIT_CODE, FIELD_S32, "exit_code", 0 },
	{ PULSE_NL_EVENT_SIGNAL, FIELD_SIGNAL, "signal", 0 },
	{ PULSE_NL_EVENT_JOB, FIELD_U64, "job", 0 },
	{ PULSE_NL_EVENT_RSS_BYTES, FIELD_U64, "rss_bytes", 0 },
	{ PULSE_NL_EVENT_LIMIT_BYTES, FIELD_U64, "limit_bytes", 0 },
	{ PULSE_NL_EVENT_COOKIE, FIELD_U64, "cookie", 0 },
	{ PULSE_NL_EVENT_KNOB_NAME, FIELD_TEXT, "knob", 0 },
	{ PULSE_NL_EVENT_KNOB_VALUE, FIELD_U32, "value", 0 },
	{ 0, 0, NULL, 0 },
};

static const char *const names[] = {
	[PULSE_NL_CMD_CTX_NEW] = "ctx_new",
	[PULSE_NL_CMD_CTX_DEL] = "ctx_del",
	[PULSE_NL_CMD_WORKER_NEW] = "worker_new",
	[PULSE_NL_CMD_WORKER_DEL] = "worker_del",
	[PULSE_NL_CMD_WORKER_DEATH] = "worker_death",
	[PULSE_NL_CMD_HANG] = "hang",
	[PULSE_NL_CMD_RSS] = "rss",
	[PULSE_NL_CMD_PROCESS_DEATH] = "process_death",
	[PULSE_NL_CMD_KNOB_CHANGED] = "knob_changed",
};

struct watcher {
	bool json;
	uint64_t left;		/* events to go, 0: no end */
	uint64_t seq;		/* of the last, 0: none yet */
};

static void tell_lost(const struct watcher *w, uint64_t lost)
{
	if (w->json)
		printf("{\"event\":\"lost\",\"count\":%llu}\n",
		       (unsigned long long)lost);
	else
		printf("                  lost %llu events\n",
		       (unsigned long long)lost);
}

static bool on_event(const struct row *row, void *arg)
{
	uint64_t seq = row->num[PULSE_NL_EVENT_SEQ];
	uint64_t t = row->num[PULSE_NL_EVENT_TIME_NS];
	struct json j = { .to = stdout };
	struct watcher *w = arg;
	const char *name = NULL;

	if (row->cmd < (int)(sizeof(names) / sizeof(*names)))
		name = names[row->cmd];
	if (w->seq && seq > w->seq + 1)
		tell_lost(w, seq - w->seq - 1);
	w->seq = seq;
	if (!name)
		return true;	/* of a later module */
	if (w->json) {
		json_begin(&j, NULL, '{');
		json_string(&j, "event", name);
		json_u64(&j, "seq", seq);
		json_u64(&j, "time_ns", t);
		row_json(&j, event_fields, row);
		json_end(&j, '}');
	} else {
		printf("%10llu.%06llu %s", (unsigned long long)(t / 1000000000),
		       (unsigned long long)(t / 1000 % 1000000), name);
		row_words(event_fields, row);
	}
	putchar('\n');
	fflush(stdout);
	return !ferror(stdout) && (!w->left || --w->left);
}

int ctl_monitor(struct ctl *c, int argc, char **argv)
{
	struct watcher w = { .json = c->json };
	struct link *link;
	int ret;

	if (argc > 1 && !strcmp(argv[1], "--count")) {
		if (argc < 3 || ctl_number(argv[2], 1, UINT64_MAX, &w.left))
			return ctl_bad("--count takes a number from 1 on",
				       argc < 3 ? "" : argv[2]);
		argv += 2;
		argc -= 2;
	}
	if (argc > 1)
		return ctl_bad("monitor takes no such argument", argv[1]);
	ret = link_open(c, &link);
	if (ret)
		return ret;
	ret = link_listen(link, on_event, &w);
	link_close(link);
	return ret;
}
