// SPDX-License-Identifier: GPL-2.0-only
/* Spans; traceparent and tracestate as W3C Trace Context, level 1, has them. */
#include "base/base.h"
#include "../ws/peer.h"

#include <pulse-u/context.h>
#include <pulse-u/tracer.h>
#include <pulse-u/ws_live.h>

#define ID	"0af7651916cd43dd8448eb211c80319c"
#define SPAN	"b7ad6b7169203331"
#define GOOD	"00-" ID "-" SPAN "-01"

KT_TEST(a_traceparent_is_taken_strictly)
{
	static const struct {
		const char *text;
		int err;
		bool sampled;
	} cases[] = {
		{ GOOD, 0, true },
		{ "00-" ID "-" SPAN "-00", 0, false },
		{ "00-" ID "-" SPAN "-02", 0, false },	/* other flags: ignored */
		{ "00-" ID "-" SPAN "-ff", 0, true },
		{ "cc-" ID "-" SPAN "-01", 0, true },	/* a later version */
		{ "cc-" ID "-" SPAN "-01-more", 0, true },
		{ "cc-" ID "-" SPAN "-01.more", -EBADMSG, false },
		{ "cc-" ID "-" SPAN "-0", -EBADMSG, false },
		{ "00-" ID "-" SPAN "-01-more", -EBADMSG, false },
		{ "00-" ID "-" SPAN "-01-", -EBADMSG, false },
		{ "00-" ID "-" SPAN "-01 ", -EBADMSG, false },
		{ " " GOOD, -EBADMSG, false },
		{ "ff-" ID "-" SPAN "-01", -EBADMSG, false },
		{ "0-" ID "-" SPAN "-01", -EBADMSG, false },
		{ "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", -EBADMSG, false },
		{ "00-" ID "-B7AD6B7169203331-01", -EBADMSG, false },
		{ "00-00000000000000000000000000000000-" SPAN "-01", -EBADMSG, false },
		{ "00-" ID "-0000000000000000-01", -EBADMSG, false },
		{ "00-" ID "_" SPAN "-01", -EBADMSG, false },
		{ "00_" ID "-" SPAN "-01", -EBADMSG, false },
		{ "00-" ID "-" SPAN "_01", -EBADMSG, false },
		{ "00-" ID "-" SPAN "-0g", -EBADMSG, false },
		{ "00-" ID "-" SPAN "-.1", -EBADMSG, false },
		{ "00-" ID "-" SPAN "-1", -EBADMSG, false },
		{ "00-0af7651916cd43dd8448eb211c80319-" SPAN "-01x", -EBADMSG, false },
		{ "", -EBADMSG, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pulse_trace_context tc;
		int err = pulse_trace_extract(cases[i].text, NULL, &tc);

		KT_CHECKF(err == cases[i].err, "\"%s\": %d", cases[i].text, err);
		KT_CHECK(tc.sampled == cases[i].sampled);
		KT_EQ(tc.trace_id[0], err ? 0 : 0x0a);
	}
	/* Cut anywhere it is none. */
	for (size_t n = 0; n < strlen(GOOD); n++) {
		struct pulse_trace_context tc;
		char *cut = strndup(GOOD, n);

		KT_EQ(pulse_trace_extract(cut, NULL, &tc), -EBADMSG);
		free(cut);
	}
}

KT_TEST(what_is_injected_is_what_was_extracted)
{
	struct pulse_trace_context tc;
	char tp[PULSE_TRACEPARENT_MAX];

	KT_EQ(pulse_trace_extract("7f-" ID "-" SPAN "-03-x", "a=1", &tc), 0);
	KT_EQ(pulse_trace_inject(&tc, tp), 0);
	KT_STREQ(tp, GOOD);		/* our version, the flag we know */
	tc.sampled = false;
	KT_EQ(pulse_trace_inject(&tc, tp), 0);
	KT_STREQ(tp, "00-" ID "-" SPAN "-00");
	memset(tc.span_id, 0, sizeof(tc.span_id));
	KT_EQ(pulse_trace_inject(&tc, tp), -EINVAL);
}

KT_TEST(a_tracestate_against_the_rules_is_left_out)
{
	char key256[260], key257[260], value256[300], value257[300], many[400];
	const struct {
		const char *text, *want;
	} cases[] = {
		{ "rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7" },
		{ "rojo=1 ,\tcongo=t61rcWkgMzE", "rojo=1,congo=t61rcWkgMzE" },
		{ "a=1,,b=2,", "a=1,b=2" },		/* empty ones are allowed */
		{ "", "" },
		{ "a=b c", "a=b c" },			/* blanks within */
		{ "a= b", "a= b" },
		{ "1a=1", "" },				/* begins with a digit */
		{ "1a@vendor=1", "1a@vendor=1" },	/* a tenant may */
		{ "fw529a3039@dt=FfnsgaF", "fw529a3039@dt=FfnsgaF" },
		{ "a@1b=1", "" },
		{ "a@b@c=1", "" },
		{ "a@=1", "" },
		{ "@a=1", "" },
		{ "a@abcdefghijklmn=1", "a@abcdefghijklmn=1" },
		{ "a@abcdefghijklmno=1", "" },		/* 15 */
		{ "a-_*/9=1", "a-_*/9=1" },
		{ "A=1", "" },
		{ "a.b=1", "" },
		{ "a=1=2", "" },
		{ "a", "" },
		{ "a=", "" },
		{ "=1", "" },
		{ "a=\x1f", "" },
		{ "a=\x7f", "" },
		{ "a=\xc3\xa9", "" },
		{ "a=1,a=2", "" },			/* a key twice */
		{ "a=1,b=2,c=\x01", "" },
		{ key256, key256 },
		{ key257, "" },
		{ value256, value256 },
		{ value257, "" },
		{ many, "" },
	};
	char *to = many;

	memset(key256, 'k', 256);
	strcpy(key256 + 256, "=1");
	memset(key257, 'k', 257);
	strcpy(key257 + 257, "=1");
	strcpy(value256, "v=");
	memset(value256 + 2, 'x', 256);
	value256[258] = 0;
	strcpy(value257, "v=");
	memset(value257 + 2, 'x', 257);
	value257[259] = 0;
	for (int i = 0; i < 33; i++)
		to += sprintf(to, "%sk%d=%d", i ? "," : "", i, i);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pulse_trace_context tc;

		KT_EQ(pulse_trace_extract(GOOD, cases[i].text, &tc), 0);
		KT_CHECKF(!strcmp(tc.tracestate, cases[i].want),
			  "\"%s\" became \"%s\"", cases[i].text, tc.tracestate);
	}
	/* 32 are all right. */
	*strrchr(many, ',') = 0;
	{
		struct pulse_trace_context tc;

		KT_EQ(pulse_trace_extract(GOOD, many, &tc), 0);
		KT_STREQ(tc.tracestate, many);
	}
}

KT_TEST(our_entry_goes_in_front_and_others_make_room)
{
	struct pulse_trace_context tc;
	char many[400], *to = many, big[300], want[1000];

	KT_EQ(pulse_trace_extract(GOOD, "a=1,pulse=old,b=2", &tc), 0);
	KT_EQ(pulse_tracestate_set(&tc, "pulse", "new"), 0);
	KT_STREQ(tc.tracestate, "pulse=new,a=1,b=2");
	KT_EQ(pulse_tracestate_set(&tc, "PULSE", "x"), -EBADMSG);
	KT_EQ(pulse_tracestate_set(&tc, "pulse", "x,y"), -EBADMSG);
	KT_EQ(pulse_tracestate_set(&tc, "pulse", ""), -EBADMSG);
	/* The 33rd goes. */
	for (int i = 0; i < 32; i++)
		to += sprintf(to, "%sk%d=%d", i ? "," : "", i, i);
	KT_EQ(pulse_trace_extract(GOOD, many, &tc), 0);
	KT_EQ(pulse_tracestate_set(&tc, "pulse", "1"), 0);
	KT_CHECK(!strncmp(tc.tracestate, "pulse=1,k0=0,", 13));
	KT_CHECK(strstr(tc.tracestate, "k30=30") && !strstr(tc.tracestate, "k31"));
	/* Too long: the one of more than 128 bytes before the last. */
	memset(big, 'x', 200);
	big[200] = 0;
	snprintf(want, sizeof(want), "a=1,long=%s,b=%.120s,c=%.120s", big, big, big);
	KT_EQ(pulse_trace_extract(GOOD, want, &tc), 0);
	KT_STREQ(tc.tracestate, want);
	big[120] = 0;
	KT_EQ(pulse_tracestate_set(&tc, "pulse", big), 0);
	snprintf(want, sizeof(want), "pulse=%s,a=1,b=%s,c=%s", big, big, big);
	KT_STREQ(tc.tracestate, want);
}

/* ---- spans --------------------------------------------------------------------- */

static char seen[4096];
static struct pulse_span_data last;
static struct pulse_trace_context last_tc;
static uint8_t last_parent[8];

static void note(const struct pulse_span_data *d, void *arg)
{
	char *to = arg;

	to += strlen(to);
	to += sprintf(to, "%s", d->name);
	for (uint32_t i = 0; i < d->nr_attrs; i++)
		if (d->attrs[i].type == PULSE_ATTR_STR)
			to += sprintf(to, " %s=%s", d->attrs[i].key, d->attrs[i].str);
		else
			to += sprintf(to, " %s=%lld", d->attrs[i].key,
				      (long long)d->attrs[i].i64);
	for (uint32_t i = 0; i < d->nr_events; i++)
		to += sprintf(to, " !%s", d->events[i].name);
	sprintf(to, "\n");
	last = *d;
	last_tc = d->context;
	memcpy(last_parent, d->parent_id, 8);
}

static struct pulse_tracer *make(double ratio, uint32_t ring, bool never)
{
	PULSE_OPTS(pulse_tracer_opts, o, .sample_ratio = ratio,
		   .ring_spans = ring, .never = never);
	struct pulse_tracer *t = NULL;

	KT_EQ(pulse_tracer_create(&o, &t), 0);
	return t;
}

static struct pulse_tracer_stats stats_of_tracer(struct pulse_tracer *t)
{
	PULSE_OPTS(pulse_tracer_stats, s);

	KT_EQ(pulse_tracer_stats(t, &s), 0);
	return s;
}

KT_TEST(a_span_tells_what_was_put_into_it)
{
	struct pulse_tracer *t = make(0, 0, false);
	struct pulse_span *a, *b;
	PULSE_OPTS(pulse_span_opts, o, .kind = PULSE_SPAN_CLIENT);
	struct pulse_trace_context tc;

	seen[0] = 0;
	KT_EQ(pulse_span_start(t, "outer", NULL, &a), 0);
	o.parent = a;
	KT_EQ(pulse_span_start(t, "inner", &o, &b), 0);
	KT_EQ(pulse_span_set_i64(b, "n", 1), 0);
	KT_EQ(pulse_span_set_str(b, "s", "text"), 0);
	KT_EQ(pulse_span_set_str(b, "n", "now a text"), 0);
	KT_EQ(pulse_span_event(b, "half way"), 0);
	pulse_span_fail(b, -EIO);
	KT_EQ(pulse_tracer_destroy(t), -EBUSY);
	pulse_span_end(b);
	KT_EQ(pulse_tracer_drain(t, note, seen, 0), 1);
	KT_STREQ(seen, "inner n=now a text s=text !half way\n");
	KT_EQ(last.err, -EIO);
	KT_EQ(last.kind, PULSE_SPAN_CLIENT);
	KT_CHECK(last.duration_ns >= 0 && last.start_ns > 0 && !last.remote_parent);
	KT_EQ(pulse_span_context(a, &tc), 0);
	KT_CHECK(!memcmp(last_tc.trace_id, tc.trace_id, 16));
	KT_CHECK(!memcmp(last_parent, tc.span_id, 8));
	pulse_span_end(a);
	KT_EQ(pulse_tracer_drain(t, note, seen, 0), 1);
	KT_CHECK(!memcmp(last_parent, "\0\0\0\0\0\0\0", 8));
	KT_EQ(pulse_tracer_destroy(t), 0);
}

static void export_it(const struct pulse_span_data *d, void *arg)
{
	struct pulse_tracer *t = *(struct pulse_tracer **)arg;

	KT_CHECK(t && d->sz == sizeof(*d));
	note(d, seen);
	for (uint32_t i = 0; i < d->nr_attrs; i++) {
		const struct pulse_attr *a = &d->attrs[i];

		if (a->type == PULSE_ATTR_F64)
			KT_CHECK(!strcmp(a->key, "f") && a->f64 == 0.25);
		if (a->type == PULSE_ATTR_BOOL)
			KT_CHECK(!strcmp(a->key, "b") && a->i64 == 1);
	}
}

/* Given to an exporter by who ended them, and not kept. */
KT_TEST(spans_of_each_kind_go_to_the_exporter)
{
	static const int kinds[] = {
		PULSE_SPAN_INTERNAL, PULSE_SPAN_SERVER, PULSE_SPAN_CLIENT,
		PULSE_SPAN_PRODUCER, PULSE_SPAN_CONSUMER,
	};
	struct pulse_tracer *t = NULL;
	PULSE_OPTS(pulse_tracer_opts, o, .export_fn = export_it, .arg = &t);
	struct pulse_attr bad = { "x", 9, 0, 0, NULL };
	struct pulse_span *s;

	KT_EQ(pulse_tracer_create(&o, &t), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		PULSE_OPTS(pulse_span_opts, so, .kind = kinds[i]);
		struct pulse_attr f = { "f", PULSE_ATTR_F64, 0, 0.25, NULL };
		struct pulse_attr b = { "b", PULSE_ATTR_BOOL, 77, 0, NULL };
		struct pulse_attr n = { "n", PULSE_ATTR_I64, -5, 0, NULL };
		struct pulse_attr w = { "w", PULSE_ATTR_STR, 0, 0, "word" };

		seen[0] = 0;
		KT_EQ(pulse_span_start(t, "x", &so, &s), 0);
		KT_EQ(pulse_span_set(s, &f), 0);
		KT_EQ(pulse_span_set(s, &b), 0);
		KT_EQ(pulse_span_set(s, &n), 0);
		KT_EQ(pulse_span_set(s, &w), 0);
		KT_EQ(pulse_span_set(s, &bad), -EINVAL);
		KT_EQ(pulse_span_set(s, NULL), -EINVAL);
		KT_STREQ(seen, "");
		pulse_span_end(s);
		KT_STREQ(seen, "x f=0 b=1 n=-5 w=word\n");
		KT_EQ(last.kind, kinds[i]);
		KT_EQ(last.nr_attrs, 4);
	}
	KT_EQ(stats_of_tracer(t).exported, ARRAY_SIZE(kinds));
	KT_EQ(stats_of_tracer(t).waiting, 0);
	seen[0] = 0;
	KT_EQ(pulse_tracer_drain(t, note, seen, 0), 0);
	PULSE_OPTS(pulse_span_opts, wrong, .kind = 5);
	KT_EQ(pulse_span_start(t, "x", &wrong, &s), -EINVAL);
	KT_CHECK(!s);
	KT_EQ(pulse_tracer_destroy(t), 0);
}

KT_TEST(a_context_carries_the_place_of_a_span)
{
	struct pulse_tracer *t = make(0, 0, false);
	struct pulse_context *ctx, *below;
	PULSE_OPTS(pulse_context_opts, co);
	PULSE_OPTS(pulse_span_opts, o);
	struct pulse_trace_context tc;
	struct pulse_span *s;

	KT_EQ(pulse_trace_extract(GOOD, "a=1", &tc), 0);
	KT_EQ(pulse_context_create(NULL, &ctx), 0);
	KT_EQ(pulse_trace_from_context(ctx, &tc), -ENOENT);
	KT_EQ(pulse_trace_extract(GOOD, "a=1", &tc), 0);
	o.remote = &tc;
	KT_EQ(pulse_span_start(t, "x", &o, &s), 0);
	KT_EQ(pulse_span_to_context(s, ctx), 0);
	co.parent = ctx;
	KT_EQ(pulse_context_create(&co, &below), 0);
	KT_EQ(pulse_trace_from_context(below, &tc), 0);
	KT_EQ(tc.trace_id[15], 0x9c);
	KT_CHECK(tc.sampled);
	KT_STREQ(tc.tracestate, "a=1");
	KT_CHECK(tc.span_id[0] != 0xb7 || tc.span_id[7] != 0x31);
	pulse_span_end(s);
	seen[0] = 0;
	pulse_tracer_drain(t, note, seen, 0);
	KT_CHECK(last.remote_parent && last_parent[0] == 0xb7);
	pulse_context_put(below);
	pulse_context_put(ctx);
	pulse_tracer_destroy(t);
}

KT_TEST(what_is_not_sampled_records_nothing_and_is_carried_on)
{
	struct pulse_tracer *t = make(0, 0, true);
	PULSE_OPTS(pulse_span_opts, o);
	struct pulse_trace_context tc;
	struct pulse_span *s;

	KT_EQ(pulse_span_start(t, "x", NULL, &s), 0);
	KT_EQ(pulse_span_set_i64(s, "n", 1), 0);
	KT_EQ(pulse_span_event(s, "e"), 0);
	KT_EQ(pulse_span_context(s, &tc), 0);
	KT_CHECK(!tc.sampled);
	pulse_span_end(s);
	/* But one that comes sampled from elsewhere is. */
	KT_EQ(pulse_trace_extract(GOOD, NULL, &tc), 0);
	o.remote = &tc;
	KT_EQ(pulse_span_start(t, "y", &o, &s), 0);
	pulse_span_end(s);
	seen[0] = 0;
	KT_EQ(pulse_tracer_drain(t, note, seen, 0), 1);
	KT_STREQ(seen, "y\n");
	KT_EQ(stats_of_tracer(t).started, 2);
	KT_EQ(stats_of_tracer(t).sampled, 1);
	pulse_tracer_destroy(t);
}

KT_TEST(a_share_of_the_traces_is_sampled)
{
	struct pulse_tracer *t = make(0.25, 4, false);
	PULSE_OPTS(pulse_tracer_opts, bad, .sample_ratio = 1.5);
	struct pulse_tracer *none;
	struct pulse_span *s;
	long n = 20000;

	for (long i = 0; i < n; i++) {
		KT_REQUIRE(!pulse_span_start(t, "x", NULL, &s));
		pulse_span_end(s);
	}
	/* 5000; a deviation of 61: six of them do not happen by chance. */
	KT_CHECKF(stats_of_tracer(t).sampled > 4600 &&
		  stats_of_tracer(t).sampled < 5400, "%llu",
		  (unsigned long long)stats_of_tracer(t).sampled);
	/* A full ring keeps the newest, and counts what goes. */
	KT_EQ(stats_of_tracer(t).waiting, 4);
	KT_EQ(stats_of_tracer(t).dropped, stats_of_tracer(t).sampled - 4);
	pulse_tracer_destroy(t);
	KT_EQ(pulse_tracer_create(&bad, &none), -EINVAL);
}

KT_TEST(too_many_attributes_are_dropped_and_counted)
{
	struct pulse_tracer *t = make(0, 0, false);
	struct pulse_span *s;

	KT_EQ(pulse_span_start(t, "x", NULL, &s), 0);
	for (int i = 0; i < PULSE_SPAN_ATTRS_MAX + 5; i++) {
		char key[8];

		sprintf(key, "k%d", i);
		KT_EQ(pulse_span_set_i64(s, key, i),
		      i < PULSE_SPAN_ATTRS_MAX ? 0 : -ENOSPC);
	}
	for (int i = 0; i < PULSE_SPAN_EVENTS_MAX + 2; i++)
		pulse_span_event(s, "e");
	pulse_span_end(s);
	seen[0] = 0;
	pulse_tracer_drain(t, note, seen, 0);
	KT_EQ(last.dropped, 7);
	KT_EQ(last.nr_attrs, PULSE_SPAN_ATTRS_MAX);
	pulse_tracer_destroy(t);
	/* A span that is not there takes everything. */
	KT_EQ(pulse_span_set_i64(NULL, "k", 1), 0);
	KT_EQ(pulse_span_event(NULL, "e"), 0);
	pulse_span_fail(NULL, -1);
	pulse_span_end(NULL);
}

KT_TEST(running_out_of_memory_costs_the_span_and_nothing_else)
{
	bool failed = true;

	for (long n = 1; failed; n++) {
		struct pulse_tracer *t = make(0, 0, false);
		struct pulse_span *s = NULL;

		pulse__alloc_fail_at(n);
		pulse_span_start(t, "x", NULL, &s);
		pulse_span_set_str(s, "k", "v");
		pulse_span_set_str(s, "k", "w");
		pulse_span_event(s, "e");
		pulse_span_end(s);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		seen[0] = 0;
		pulse_tracer_drain(t, note, seen, 0);
		if (!failed)
			KT_STREQ(seen, "x k=w !e\n");
		KT_EQ(stats_of_tracer(t).open, 0);
		KT_EQ(pulse_tracer_destroy(t), 0);
	}
}

static void *span_maker(void *arg)
{
	long rounds = kt_scale(5000);

	for (long i = 0; i < rounds; i++) {
		struct pulse_span *s;

		if (pulse_span_start(arg, "t", NULL, &s))
			KT_FAIL("no span");
		pulse_span_set_i64(s, "i", i);
		pulse_span_end(s);
	}
	return NULL;
}

static void count(const struct pulse_span_data *d, void *arg)
{
	KT_CHECK(d->nr_attrs == 1);
	++*(long *)arg;
}

KT_TEST(threads_that_end_spans_and_one_that_takes_them_lose_none)
{
	struct pulse_tracer *t = make(0, 64, false);
	long taken = 0, rounds = kt_scale(5000);
	struct pulse_tracer_stats s;
	pthread_t th[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&th[i], NULL, span_maker, t);
	for (int i = 0; i < 2000; i++)
		pulse_tracer_drain(t, count, &taken, 10);
	for (int i = 0; i < 4; i++)
		pthread_join(th[i], NULL);
	pulse_tracer_drain(t, count, &taken, 0);
	s = stats_of_tracer(t);
	KT_EQ(s.ended, 4 * rounds);
	KT_EQ((long)s.dropped + taken, 4 * rounds);
	KT_EQ(s.exported, taken);
	pulse_tracer_destroy(t);
}

/* ---- a server ------------------------------------------------------------------- */

static void traced_echo(struct pulse_ws_conn *conn, int op, const void *data,
			size_t len, void *arg)
{
	(void)arg;
	KT_CHECK(pulse_tracer_current());
	pulse_span_event(pulse_tracer_current(), "echo");
	pulse_ws_send(conn, op, data, len);
}

KT_TEST(a_servers_connections_and_messages_are_spans)
{
	struct pulse_tracer *t = make(0, 0, false);
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = traced_echo);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	struct pulse_ws_server *server;
	struct peer p;

	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	KT_EQ(pulse_tracer_watch_ws(t, server), 0);
	KT_EQ(pulse_ws_server_start(server), 0);
	p = peer_open(server);
	KT_CHECK(peer_send_frame(&p, 0x81, "hello", 5));
	KT_CHECK(peer_expect(&p, 0x81, "hello", 5));
	KT_CHECK(peer_send_close(&p, 1000, ""));
	KT_EQ(peer_close_code(&p), 1000);
	peer_close(&p);
	pulse_ws_server_destroy(server);
	KT_CHECK(!pulse_tracer_current());
	seen[0] = 0;
	pulse_tracer_drain(t, note, seen, 0);
	KT_STREQ(seen, "ws.accept\nws.open\nws.message ws.opcode=1 ws.bytes=5 !echo\n"
		 "ws.close ws.code=1000\n");
	pulse_tracer_destroy(t);
}

#define PEER_TRACE	"4bf92f3577b34da6a3ce929d0e0e4736"
#define PEER_SPAN	"00f067aa0ba902b7"

/* Each span by name, with its parent's place where that is elsewhere. */
static void note_place(const struct pulse_span_data *d, void *arg)
{
	struct pulse_trace_context up = d->context;
	char parent[PULSE_TRACEPARENT_MAX] = "", *to = arg;

	memcpy(up.span_id, d->parent_id, sizeof(up.span_id));
	if (d->remote_parent)
		KT_EQ(pulse_trace_inject(&up, parent), 0);
	sprintf(to + strlen(to), "%s %s %s\n", d->name, parent,
		d->context.tracestate);
}

/* What the spans of one connection say whose request has these fields besides. */
static void places_of(const char *fields)
{
	struct pulse_tracer *t = make(0, 0, false);
	PULSE_OPTS(pulse_ws_handlers, h, .on_message = traced_echo);
	PULSE_OPTS(pulse_ws_opts, o, .handlers = &h);
	struct pulse_ws_server *server;
	char text[4096];
	struct peer p;

	KT_EQ(pulse_ws_server_create(&o, &server), 0);
	KT_EQ(pulse_tracer_watch_ws(t, server), 0);
	KT_EQ(pulse_ws_server_start(server), 0);
	p = peer_connect(server);
	snprintf(text, sizeof(text),
		 "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
		 "Connection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n"
		 "Sec-WebSocket-Version: 13\r\n%s\r\n", fields);
	KT_CHECK(peer_say(&p, text));
	KT_EQ(peer_status(&p), 101);
	KT_CHECK(peer_send_frame(&p, 0x81, "hello", 5));
	KT_CHECK(peer_expect(&p, 0x81, "hello", 5));
	KT_CHECK(peer_send_close(&p, 1000, ""));
	KT_EQ(peer_close_code(&p), 1000);
	peer_close(&p);
	pulse_ws_server_destroy(server);
	seen[0] = 0;
	pulse_tracer_drain(t, note_place, seen, 0);
	pulse_tracer_destroy(t);
}

KT_TEST(a_connection_joins_the_trace_of_its_handshake)
{
	static const char none[] = "ws.accept  \nws.open  \nws.message  \n"
				   "ws.close  \n";
	static char many[3000];

	places_of("");
	KT_STREQ(seen, none);
	places_of("TraceParent: 00-" PEER_TRACE "-" PEER_SPAN "-01\r\n"
		  "tracestate: a=1\r\ntracestate: b=2,c=3\r\n");
	KT_STREQ(seen, "ws.accept  \n"
		 "ws.open 00-" PEER_TRACE "-" PEER_SPAN "-01 a=1,b=2,c=3\n"
		 "ws.message 00-" PEER_TRACE "-" PEER_SPAN "-01 a=1,b=2,c=3\n"
		 "ws.close 00-" PEER_TRACE "-" PEER_SPAN "-01 a=1,b=2,c=3\n");
	/* It says that it is not sampled. */
	places_of("traceparent: 00-" PEER_TRACE "-" PEER_SPAN "-00\r\n");
	KT_STREQ(seen, "ws.accept  \n");
	/* A tracestate that is too long is left out. */
	strcpy(many, "traceparent: 00-" PEER_TRACE "-" PEER_SPAN "-01\r\n");
	for (int i = 0; i < 100; i++)
		sprintf(many + strlen(many), "tracestate: a%d=x\r\n", i);
	places_of(many);
	KT_CHECK(strstr(seen, "ws.open 00-" PEER_TRACE "-" PEER_SPAN "-01 \n"));
	/* Two, one that is none, one that is endless: new traces begin. */
	places_of("traceparent: 00-" PEER_TRACE "-" PEER_SPAN "-01\r\n"
		  "traceparent: 00-" PEER_TRACE "-" PEER_SPAN "-01\r\n");
	KT_STREQ(seen, none);
	places_of("traceparent: 00-00000000000000000000000000000000-" PEER_SPAN
		  "-01\r\n");
	KT_STREQ(seen, none);
	strcpy(many, "traceparent: 00-" PEER_TRACE "-" PEER_SPAN "-01-");
	memset(many + strlen(many), '1', 2000);
	strcat(many, "\r\n");
	places_of(many);
	KT_STREQ(seen, none);
}

KT_MAIN()
