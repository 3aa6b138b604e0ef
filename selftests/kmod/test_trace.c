// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trace events, counted through tracefs: each is there, comes as often as what
 * it tells of, and says nothing that it should not.
 */
#include "dev.h"

#define WORD	PULSE_PARK_WORD(4, PULSE_PARK_PARKING)

static const char *tracefs;

static const char *const events[] = {
	"worker_add", "worker_del", "death", "sched_in", "sched_out", "park", "wake",
	"handoff", "beat",
};

#define NR_EVENTS	(sizeof(events) / sizeof(events[0]))

static bool find_tracefs(void)
{
	static const char *const places[] = {
		"/sys/kernel/tracing", "/sys/kernel/debug/tracing",
	};

	for (int i = 0; i < 2; i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/events/pulse", places[i]);
		if (!access(path, R_OK)) {
			tracefs = places[i];
			return true;
		}
	}
	return false;
}

static int put(const char *name, const char *text)
{
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", tracefs, name);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	n = fd < 0 ? -1 : write(fd, text, strlen(text));
	if (fd >= 0)
		close(fd);
	return n < 0 ? -errno : 0;
}

static int seen[NR_EVENTS];
static int odd, parked_out;

/* Reads the whole trace and counts. */
static void count(void)
{
	char path[256], line[1024];
	FILE *f;

	memset(seen, 0, sizeof(seen));
	odd = parked_out = 0;
	snprintf(path, sizeof(path), "%s/trace", tracefs);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		for (size_t i = 0; i < NR_EVENTS; i++) {
			char what[64];

			snprintf(what, sizeof(what), ": %s: ", events[i]);
			seen[i] += strstr(line, what) != NULL;
		}
		parked_out += strstr(line, ": sched_out: ") &&
			      strstr(line, "state=parked");
		odd += strstr(line, "ffff8") || strstr(line, "____ptrval____");
	}
	if (f)
		fclose(f);
}

static int seen_of(const char *name)
{
	for (size_t i = 0; i < NR_EVENTS; i++)
		if (!strcmp(events[i], name))
			return seen[i];
	return -1;
}

static struct dev d;

static void *add_and_end(void *arg)
{
	worker_add(d.fd, PULSE_NODE_ANY);
	return arg;
}

KT_TEST(each_event_comes_as_often_as_what_it_tells_of)
{
	struct parker p = { .word = WORD };
	__u64 beats;
	pthread_t t;

	NEED_DEVICE();
	if (!find_tracefs())
		KT_SKIP("no tracefs with events of pulse");
	KT_REQUIRE(!dev_begin(&d, 8));
	KT_EQ(put("trace", ""), 0);
	KT_EQ(put("events/pulse/enable", "1"), 0);

	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	set_word(&d, 0, WORD);
	KT_EQ(wake_one(d.fd, 0), 1);
	KT_EQ(park(d.fd, 0, WORD, 0), 0);
	KT_EQ(park(d.fd, 0, WORD, 0), -ETIMEDOUT);
	KT_EQ(beat(d.fd, 0, NS_PER_MS), 0);
	while (kstate_read(&d, 0).beats < 3)
		;
	KT_EQ(beat(d.fd, 0, 0), 0);
	beats = kstate_read(&d, 0).beats;
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	set_word(&d, 0, PULSE_PARK_WORD(4, PULSE_PARK_RUNNING));
	for (int n = 1; n <= 5; n++) {
		KT_EQ(wake_node(d.fd, 0, 1, PULSE_WAKE_SPILL), 1);
		KT_CHECK(EVENTUALLY(parker_returns(&p) == n));
		KT_CHECK(EVENTUALLY(state_of(&d, p.index) == PULSE_STATE_PARKED));
	}
	KT_EQ(handoff(d.fd, 0, p.index, PULSE_PARK_WORD(4, 0), 0), -ETIMEDOUT);
	KT_CHECK(EVENTUALLY(parker_returns(&p) == 6));
	/* refused calls leave no event */
	KT_EQ(handoff(d.fd, 0, 0, 0, 0), -EINVAL);
	KT_EQ(wake_node(d.fd, 0, 0, 0), -EINVAL);
	for (int n = 0; n < 3; n++) {
		KT_REQUIRE(!pthread_create(&t, NULL, add_and_end, NULL));
		pthread_join(t, NULL);
	}
	KT_CHECK(EVENTUALLY(d.hdr->nr_workers == 2));
	parker_stop(&p);
	dev_end(&d);

	KT_EQ(put("events/pulse/enable", "0"), 0);
	count();
	KT_EQ(seen_of("worker_add"), 5);
	KT_EQ(seen_of("worker_del"), 2);
	KT_EQ(seen_of("death"), 3);
	KT_EQ(seen_of("wake"), 1 + 5 + 1);
	KT_EQ(seen_of("handoff"), 1);
	KT_CHECKF(seen_of("park") >= 2 + 5, "%d parks", seen_of("park"));
	KT_EQ(seen_of("beat"), beats);
	KT_CHECKF(parked_out >= 5, "%d times parked", parked_out);
	/* the three that died were switched out without coming back */
	KT_CHECKF(seen_of("sched_out") >= seen_of("sched_in"),
		  "%d out, %d in", seen_of("sched_out"), seen_of("sched_in"));
	KT_EQ(odd, 0);
	put("trace", "");
}

KT_TEST(no_event_has_a_pointer_for_a_field)
{
	NEED_DEVICE();
	if (!find_tracefs())
		KT_SKIP("no tracefs with events of pulse");
	for (size_t i = 0; i < NR_EVENTS; i++) {
		char path[256], line[512];
		int fields = 0;
		FILE *f;

		snprintf(path, sizeof(path), "%s/events/pulse/%s/format", tracefs,
			 events[i]);
		f = fopen(path, "re");
		KT_CHECKF(f, "no event %s", events[i]);
		while (f && fgets(line, sizeof(line), f)) {
			if (!strstr(line, "field:"))
				continue;
			fields++;
			KT_CHECKF(!strchr(line, '*'), "%s: %s", events[i], line);
		}
		KT_CHECK(fields > 4);
		if (f)
			fclose(f);
	}
}

KT_MAIN()
