// SPDX-License-Identifier: GPL-2.0-only
/*
 * The suite of all carriers over RDMA: on the device that PULSE_TEST_RDMA names an
 * address of (selftests/ulib/io/rxe makes one), or without any; and what peers and
 * machines do wrong.
 */
#include "carriers.h"
#include "plugins.h"
#include "rdma_inside.h"

#include <endian.h>

static const char *without_device(struct pulse_listener_opts *lo,
				  struct pulse_connect_opts *co)
{
	(void)lo;
	(void)co;
	pulse__rdma_use(&inside_engine);
	return NULL;
}

static const char *on_device(struct pulse_listener_opts *lo,
			     struct pulse_connect_opts *co)
{
	const char *address = getenv("PULSE_TEST_RDMA");

	if (!address)
		return without_device(lo, co);
	pulse__rdma_use(NULL);
	lo->address = address;
	return NULL;
}

/* Few slots, and small ones: eight. */
static const char *narrow(struct pulse_listener_opts *lo,
			  struct pulse_connect_opts *co)
{
	co->ring_bytes = 2 * PULSE__RDMA_RING_MIN;
	return on_device(lo, co);
}

/* As few as there can be: four, the last for credits. */
static const char *narrowest(struct pulse_listener_opts *lo,
			     struct pulse_connect_opts *co)
{
	co->ring_bytes = PULSE__RDMA_RING_MIN;
	return without_device(lo, co);
}

/* The engine without a device is. */
static bool of_one_thread(void)
{
	return !getenv("PULSE_TEST_RDMA");
}

#define RDMA	(STREAM | PULSE_TRANSPORT_ZERO_COPY | PULSE_TRANSPORT_RESET | \
		 PULSE_TRANSPORT_MOVES)

static const struct kind rdma = {
	.name = "rdma", .address = "rdma:127.0.0.1:0", .features = RDMA,
	.prepare = on_device, .one_thread = of_one_thread,
};
STREAM_TESTS(rdma)

static const struct kind rdma_narrow = {
	.name = "rdma", .address = "rdma:[::1]:0", .features = RDMA,
	.prepare = narrow, .one_thread = of_one_thread,
};
STREAM_TESTS(rdma_narrow)

static const struct kind inside_narrowest = {
	.name = "rdma", .address = "rdma:127.0.0.1:0", .features = RDMA,
	.prepare = narrowest,
};

static const struct kind inside = {
	.name = "rdma", .address = "rdma:127.0.0.1:0", .features = RDMA,
	.prepare = without_device,
};

KT_TEST(what_the_device_has_is_unsent_until_it_is_through)
{
	struct pulse_transport_stats s = { .sz = sizeof(s) };

	begin_kind(&inside);
	meet();
	KT_EQ(pulse_transport_watch(server.t, 0), 0);
	KT_EQ(send_some(&client, 0, 100), 100);
	KT_EQ(pulse_transport_stats(client.t, &s), 0);
	KT_EQ(s.unsent, 100);
	UNTIL(!pulse_transport_stats(client.t, &s) && !s.unsent);
	KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
	UNTIL(server.got == 100);
	end();
}

/* All of the above: no message without a slot for it, whatever the order was. */
KT_TEST(credits_have_always_been_kept)
{
	KT_EQ(inside_overruns, 0);
}

/*
 * Neither side reads, both have filled the other; then one reads alone. Its
 * credits come back although the other one's own are used up.
 */
KT_TEST(a_reader_frees_the_writer_while_nobody_reads_there)
{
	long a = 0, b = 0, more;

	begin_kind(&inside_narrowest);
	meet();
	KT_EQ(pulse_transport_watch(client.t, 0), 0);
	KT_EQ(pulse_transport_watch(server.t, 0), 0);
	do {
		more = send_some(&client, a, 1 << 20);
		a += more;
		b += send_some(&server, b, 1 << 20);
		pulse_poller_run_once(poller, 0);
	} while (more);
	KT_CHECK(a > 0 && b > 0);
	KT_EQ(pulse_transport_watch(server.t, PULSE_TRANSPORT_READ), 0);
	for (int i = 0; i < 1000; i++) {
		UNTIL(server.got == a);
		more = send_some(&client, a, 100);
		a += more;
		pulse_poller_run_once(poller, 0);
	}
	KT_CHECKF(a > 1000 * 50, "%ld bytes", a);
	UNTIL(server.got == a);
	KT_EQ(pulse_transport_watch(client.t, PULSE_TRANSPORT_READ), 0);
	UNTIL(client.got == b);
	KT_EQ(inside_overruns, 0);
	end();
}

/* ---- a peer that breaks the rules ------------------------------------------- */

static unsigned char raw_slots[64][2048];
static struct inside *raw;

/* Meets the listener as an endpoint of its own, with this hello. */
static void raw_meet(const struct pulse__rdma_hello *hello, size_t len)
{
	struct pulse__rdma_news news;
	struct pulse__addr addr;
	void *e = NULL;
	int fd;

	KT_EQ(pulse__addr_parse(where + 5, &addr), 0);
	KT_EQ(inside_dial((struct sockaddr *)&addr.sa, &e, &fd), 0);
	raw = e;
	KT_EQ(inside_news(e, &news), 0);
	KT_EQ(inside_prepare(e, NULL, 0, 64, 64, &fd, &fd), 0);
	for (uint64_t i = 0; i < 64; i++)
		inside_post_recv(e, raw_slots[i], sizeof(raw_slots[i]), i);
	KT_EQ(inside_connect(e, hello, len), 0);
}

static void raw_send(uint32_t bytes, uint16_t credits, uint16_t flags,
		     uint32_t len)
{
	static unsigned char message[70000];
	struct pulse__rdma_head head = {
		.bytes = htole32(bytes), .credits = htole16(credits),
		.flags = htole16(flags),
	};

	memcpy(message, &head, sizeof(head));
	KT_EQ(inside_post_send(raw, message, len, 0), 0);
}

static const struct pulse__rdma_hello good_hello = {
	.magic = PULSE__RDMA_MAGIC, .version = 1, .slots = 16,
	.slot_bytes = 2048,
};

static void begin_raw(void)
{
	begin_kind(&inside);
	raw_meet(&good_hello, sizeof(good_hello));
	UNTIL(server.t);
}

static void end_raw(void)
{
	inside_free(raw);
	raw = NULL;
	end();
}

KT_TEST(a_hello_that_makes_no_sense_is_refused)
{
	struct pulse__rdma_hello bad[] = { good_hello, good_hello, good_hello,
					   good_hello, good_hello, good_hello };
	struct pulse_listener_stats ls = { .sz = sizeof(ls) };

	begin_kind(&inside);
	bad[0].magic++;
	bad[1].version = 2;
	bad[2].slots = 0;
	bad[3].slot_bytes = 16;
	bad[4].slot_bytes = 0xffffffff;
	bad[5].slots = 0xffff;
	for (uint64_t i = 0; i <= ARRAY_SIZE(bad); i++) {
		if (i < ARRAY_SIZE(bad))
			raw_meet(&bad[i], sizeof(bad[i]));
		else
			raw_meet(&good_hello, sizeof(good_hello) - 1);
		do {
			pulse_poller_run_once(poller, pulse_now_ns() + 1000000);
			pulse_listener_stats(listener, &ls);
		} while (ls.failed == i && !accepted);
		KT_EQ(ls.failed, i + 1);
		inside_free(raw);
	}
	KT_EQ(accepted, 0);
	end();
}

KT_TEST(a_message_against_the_rules_is_eproto)
{
	static const struct {
		const char *what;
		uint32_t bytes, len;
		uint16_t credits, flags;
	} bad[] = {
		{ "shorter than its head", 0, 4, 0, 0 },
		{ "more bytes than came", 1000, 108, 0, 0 },
		{ "fewer bytes than came", 10, 108, 0, 0 },
		{ "credits that it never had", 100, 108, 1, 0 },
		{ "a flag that there is not", 100, 108, 0, 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		begin_raw();
		raw_send(bad[i].bytes, bad[i].credits, bad[i].flags, bad[i].len);
		UNTIL(server.broken);
		KT_CHECKF(server.err == -EPROTO, "%s: %d", bad[i].what,
			  server.err);
		KT_EQ(server.got, 0);
		end_raw();
	}
	begin_raw();		/* bytes after the end */
	raw_send(0, 0, PULSE__RDMA_END, 8);
	raw_send(1, 0, 0, 9);
	UNTIL(server.broken);
	KT_EQ(server.err, -EPROTO);
	end_raw();
}

/* As one that is killed: what it has sent is read, and then that it is gone. */
KT_TEST(a_peer_that_vanishes_is_econnreset_after_all_that_it_sent)
{
	begin_raw();
	raw_send(1, 0, 0, 9);
	inside_free(raw);
	raw = NULL;
	UNTIL(server.broken);
	KT_EQ(server.got, 1);
	KT_EQ(server.err, -ECONNRESET);
	end();
}

/* One that says nothing after it was let in is not waited for when it is closed. */
KT_TEST(closing_one_that_never_answers_leaves_nothing_behind)
{
	struct pulse__rdma_hello hello = good_hello;

	hello.slots = 4;
	begin_kind(&inside);
	raw_meet(&hello, sizeof(hello));
	UNTIL(server.t);
	while (send_some(&server, 0, 100))
		;
	KT_EQ(pulse_transport_close(server.t, false), 0);
	server.t = NULL;
	end_raw();
}

/* ---- a machine that has none -------------------------------------------------- */

static int both_refuse(const char *address)
{
	PULSE_OPTS(pulse_listener_opts, lo, .address = address);
	PULSE_OPTS(pulse_connect_opts, co, .address = address);
	struct pulse_transport *t = (void *)&t;
	struct pulse_listener *l = (void *)&l;
	int err;

	err = pulse_listener_open(poller, &lo, on_accept, NULL, &l);
	KT_CHECK(!l);
	KT_CHECKF(pulse_transport_connect(poller, &co, on_end, NULL, &t) == err,
		  "listening is %d", err);
	KT_CHECK(!t);
	return err;
}

static int says_no(char *why, size_t len)
{
	snprintf(why, len, "none here");
	return -EOPNOTSUPP;
}

/* W09 */
KT_TEST(without_a_plugin_or_a_device_it_is_eopnotsupp_at_once)
{
	const char *was = getenv("PULSE_PLUGIN_DIR");
	struct pulse__rdma_engine none = inside_engine;

	begin("127.0.0.1:0");
	setenv("PULSE_PLUGIN_DIR", "/nowhere", 1);
	pulse__rdma_use(NULL);
	KT_EQ(both_refuse("rdma:127.0.0.1:4711"), -EOPNOTSUPP);
	if (was)
		setenv("PULSE_PLUGIN_DIR", was, 1);
	else
		unsetenv("PULSE_PLUGIN_DIR");
	none.probe = says_no;
	pulse__rdma_use(&none);
	KT_EQ(both_refuse("rdma:127.0.0.1:4711"), -EOPNOTSUPP);
	none.probe = inside_probe;
	none.abi++;
	KT_EQ(both_refuse("rdma:127.0.0.1:4711"), -EOPNOTSUPP);
	pulse__rdma_use(NULL);
	/* Addresses are looked at first. */
	KT_EQ(both_refuse("rdma:"), -EINVAL);
	KT_EQ(both_refuse("rdma:unix:@x"), -EINVAL);
	KT_EQ(both_refuse("rdma:127.0.0.1"), -EINVAL);
	end();
}

/* W09: the plug-in itself knows whether there is a device. */
KT_TEST(the_plugin_says_whether_there_is_a_device)
{
	const char *address = getenv("PULSE_TEST_RDMA");

	if (address) {
		begin_kind(&rdma);
		end();
	} else if (access("/sys/class/infiniband_verbs/uverbs0", F_OK)) {
		begin("127.0.0.1:0");
		pulse__rdma_use(NULL);
		KT_EQ(both_refuse("rdma:127.0.0.1:4711"), -EOPNOTSUPP);
		end();
	}
}

KT_TEST(options_out_of_bounds_are_refused)
{
	static const uint32_t bad[] = { 1, 2048, 5000, 128U << 20 };
	PULSE_OPTS(pulse_connect_opts, co, .address = where);
	PULSE_OPTS(pulse_listener_opts, lo, .address = "rdma:127.0.0.1:0",
		   .reuse_port = PULSE_ON);
	struct pulse_listener *l;
	struct pulse_transport *t;

	begin_kind(&inside);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		co.ring_bytes = bad[i];
		KT_EQ(pulse_transport_connect(poller, &co, on_end, NULL, &t),
		      -EINVAL);
	}
	KT_EQ(pulse_listener_open(poller, &lo, on_accept, NULL, &l),
	      -EOPNOTSUPP);
	end();
}

KT_TEST(where_nobody_listens_is_econnrefused)
{
	begin_kind(&inside);
	KT_EQ(pulse_listener_close(listener), 0);
	KT_EQ(dial(), 0);
	UNTIL(client.broken);
	KT_EQ(client.err, -ECONNREFUSED);
	pulse_transport_close(client.t, false);
	KT_EQ(pulse_poller_destroy(poller), 0);
}

KT_MAIN()
