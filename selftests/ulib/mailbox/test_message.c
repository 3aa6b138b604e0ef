// SPDX-License-Identifier: GPL-2.0-only
/* Messages: every field, one allocation, payloads that are handed over. */
#include "mailbox/message.h"

#include "helpers.h"

static const char text[] = "request data";

KT_TEST(a_message_has_all_that_it_was_built_of)
{
	PULSE_OPTS(pulse_message_opts, opts, .payload = text,
		   .payload_bytes = strlen(text), .sender = "client_service",
		   .id = "msg_1", .correlation = "request_123",
		   .reply_to = "response_queue", .ttl_ns = 1000000000000,
		   .tag = 42, .priority = PULSE_MESSAGE_HIGH,
		   .signal = PULSE_SIGNAL_HEALTH_CHECK);
	struct pulse_message_times times = { .sz = sizeof(times) };
	int64_t before = pulse_now_ns();
	struct pulse_message *msg;
	size_t bytes;

	KT_REQUIRE(!pulse_message_create(&opts, &msg));
	KT_STREQ(pulse_message_payload(msg, &bytes), text);
	KT_CHECK(pulse_message_payload(msg, NULL) != text);
	KT_CHECK(pulse__is_aligned(pulse_message_payload(msg, NULL), 16));
	KT_EQ(bytes, strlen(text));
	KT_STREQ(pulse_message_sender(msg), "client_service");
	KT_STREQ(pulse_message_id(msg), "msg_1");
	KT_STREQ(pulse_message_correlation(msg), "request_123");
	KT_STREQ(pulse_message_reply_to(msg), "response_queue");
	KT_EQ(pulse_message_tag(msg), 42);
	KT_EQ(pulse_message_priority(msg), PULSE_MESSAGE_HIGH);
	KT_EQ(pulse_message_signal(msg), PULSE_SIGNAL_HEALTH_CHECK);
	KT_EQ(pulse_message_expired(msg), 0);
	KT_EQ(pulse_message_times(msg, &times), 0);
	KT_CHECK(times.created_ns >= before);
	KT_CHECK(times.created_ns <= pulse_now_ns());
	KT_EQ(times.expires_ns, times.created_ns + opts.ttl_ns);
	KT_EQ(times.sent_ns, 0);
	KT_EQ(times.received_ns, 0);
	/* The builder's other way: afterwards. */
	KT_EQ(pulse_message_set_correlation(msg, "correlation_123"), 0);
	KT_EQ(pulse_message_set_correlation(msg, "correlation_456"), 0);
	KT_EQ(pulse_message_set_reply_to(msg, NULL), 0);
	KT_EQ(pulse_message_set_tag(msg, 43), 0);
	KT_STREQ(pulse_message_correlation(msg), "correlation_456");
	KT_CHECK(!pulse_message_reply_to(msg));
	KT_EQ(pulse_message_tag(msg), 43);
	pulse_message_put(msg);
}

KT_TEST(an_empty_message_is_a_normal_one)
{
	struct pulse_message_times times = { .sz = sizeof(times) };
	struct pulse_message *msg;
	size_t bytes = 1;

	KT_REQUIRE(!pulse_message_create(NULL, &msg));
	KT_CHECK(!pulse_message_payload(msg, &bytes));
	KT_EQ(bytes, 0);
	KT_CHECK(!pulse_message_sender(msg) && !pulse_message_id(msg));
	KT_EQ(pulse_message_priority(msg), PULSE_MESSAGE_NORMAL);
	KT_EQ(pulse_message_signal(msg), PULSE_SIGNAL_NONE);
	KT_EQ(pulse_message_times(msg, &times), 0);
	KT_EQ(times.expires_ns, PULSE_FOREVER);
	pulse_message_put(msg);
	pulse_message_put(NULL);
}

KT_TEST(wrong_options_are_refused)
{
	char *longest = malloc(PULSE_MESSAGE_TEXT_MAX + 2);
	struct pulse_message *msg = NULL;

	memset(longest, 'x', PULSE_MESSAGE_TEXT_MAX + 1);
	longest[PULSE_MESSAGE_TEXT_MAX + 1] = 0;
#define REFUSED(want, ...)						\
	do {								\
		PULSE_OPTS(pulse_message_opts, o, __VA_ARGS__);		\
		KT_EQ(pulse_message_create(&o, &msg), want);		\
		KT_CHECK(!msg);						\
		KT_EQ(pulse_message_bytes(&o), 0);			\
	} while (0)
	REFUSED(-EINVAL, .priority = 6);
	REFUSED(-EINVAL, .signal = PULSE_SIGNAL_MAX + 1);
	REFUSED(-EINVAL, .ttl_ns = -1);
	REFUSED(-EINVAL, .flags = 4);
	REFUSED(-EINVAL, .reserved = 1);
	REFUSED(-EINVAL, .payload = text);
	REFUSED(-EINVAL, .flags = PULSE_MESSAGE_HAND_OVER);
	REFUSED(-EINVAL, .release_arg = longest);
	REFUSED(-EMSGSIZE, .payload = text, .payload_bytes = 1ULL << 32);
	REFUSED(-ENAMETOOLONG, .sender = longest);
	REFUSED(-ENAMETOOLONG, .reply_to = longest);
	KT_EQ(pulse_message_create(NULL, NULL), -EINVAL);
	longest[PULSE_MESSAGE_TEXT_MAX] = 0;
	PULSE_OPTS(pulse_message_opts, opts, .sender = longest);
	KT_REQUIRE(!pulse_message_create(&opts, &msg));
	KT_STREQ(pulse_message_sender(msg), longest);
	longest[PULSE_MESSAGE_TEXT_MAX] = 'x';
	KT_EQ(pulse_message_set_reply_to(msg, longest), -ENAMETOOLONG);
	KT_EQ(pulse_message_get(NULL), -EINVAL);
	KT_EQ(pulse_message_set_tag(NULL, 1), -EINVAL);
	KT_EQ(pulse_message_times(msg, NULL), -EINVAL);
	pulse_message_put(msg);
	free(longest);
}

KT_TEST(a_message_is_one_allocation)
{
	PULSE_OPTS(pulse_message_opts, opts, .payload = text,
		   .payload_bytes = sizeof(text), .sender = "a", .id = "b",
		   .correlation = "c", .reply_to = "d", .ttl_ns = 1);
	struct pulse_message *msg;

	/* The second would fail, if there were one. */
	pulse__alloc_fail_at(2);
	KT_REQUIRE(!pulse_message_create(&opts, &msg));
	KT_CHECK(!pulse__alloc_failed());
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_message_set_correlation(msg, "other"), -ENOMEM);
	KT_STREQ(pulse_message_correlation(msg), "c");
	pulse_message_put(msg);
	pulse__alloc_fail_at(1);
	KT_EQ(pulse_message_create(&opts, &msg), -ENOMEM);
	KT_CHECK(!msg);
	pulse__alloc_fail_at(0);
}

struct given_back {
	void *payload;
	size_t bytes;
	int times;
};

/* A payload comes back. */
static void give_back(void *payload, size_t bytes, void *arg)
{
	struct given_back *g = arg;

	g->payload = payload;
	g->bytes = bytes;
	g->times++;
}

KT_TEST(a_payload_that_is_handed_over_is_not_copied_and_given_back_once)
{
	static char big[1 << 20];
	struct given_back g = { 0 };
	PULSE_OPTS(pulse_message_opts, opts, .payload = big,
		   .payload_bytes = sizeof(big), .release = give_back,
		   .release_arg = &g, .flags = PULSE_MESSAGE_HAND_OVER);
	struct pulse_message *msg, *shared;
	void *payload;
	size_t bytes;

	KT_CHECK(pulse_message_bytes(&opts) < 1024);
	KT_REQUIRE(!pulse_message_create(&opts, &msg));
	KT_CHECK(pulse_message_payload(msg, NULL) == big);
	KT_EQ(pulse_message_get(msg), 0);
	pulse_message_put(msg);
	KT_EQ(g.times, 0);
	KT_REQUIRE(!pulse_message_share(msg, &shared));
	KT_EQ(pulse_message_take_payload(msg, &payload, &bytes), -EBUSY);
	KT_EQ(pulse_message_set_tag(shared, 1), 0);
	pulse_message_put(msg);
	KT_EQ(g.times, 0);
	KT_CHECK(pulse_message_payload(shared, &bytes) == big);
	KT_EQ(bytes, sizeof(big));
	pulse_message_put(shared);
	KT_EQ(g.times, 1);
	KT_CHECK(g.payload == big && g.bytes == sizeof(big));

	KT_REQUIRE(!pulse_message_create(&opts, &msg));
	KT_EQ(pulse_message_take_payload(msg, &payload, &bytes), 0);
	KT_CHECK(payload == big && bytes == sizeof(big));
	KT_EQ(pulse_message_take_payload(msg, &payload, &bytes), -EOPNOTSUPP);
	pulse_message_put(msg);
	KT_EQ(g.times, 1);
}

KT_TEST(a_share_of_a_share_keeps_the_first)
{
	PULSE_OPTS(pulse_message_opts, opts, .payload = text,
		   .payload_bytes = sizeof(text), .sender = "me",
		   .priority = PULSE_MESSAGE_LOW);
	struct pulse_message *chain[100];

	KT_REQUIRE(!pulse_message_create(&opts, &chain[0]));
	for (int i = 1; i < 100; i++)
		KT_REQUIRE(!pulse_message_share(chain[i - 1], &chain[i]));
	/* Those behind show its texts. */
	KT_EQ(pulse_message_set_reply_to(chain[50], "x"), -EBUSY);
	for (int i = 0; i < 99; i++)
		pulse_message_put(chain[i]);
	KT_STREQ(pulse_message_payload(chain[99], NULL), text);
	KT_STREQ(pulse_message_sender(chain[99]), "me");
	KT_EQ(pulse_message_priority(chain[99]), PULSE_MESSAGE_LOW);
	pulse_message_put(chain[99]);
}

KT_TEST(references_do_not_overflow)
{
	struct pulse_message *msg;

	KT_REQUIRE(!pulse_message_create(NULL, &msg));
	msg->refs = PULSE__REFS_MAX;
	KT_EQ(pulse_message_get(msg), -EOVERFLOW);
	msg->refs = 1;
	pulse_message_put(msg);
}

KT_TEST(messages_of_a_slab_come_from_there_if_they_fit)
{
	PULSE_OPTS(pulse_message_opts, small, .payload = text,
		   .payload_bytes = sizeof(text));
	PULSE_OPTS(pulse_message_opts, large, .payload_bytes = 100000);
	PULSE_OPTS(pulse_slab_opts, so, .object_bytes =
		   pulse_message_bytes(&small));
	struct pulse_slab_stats s = { .sz = sizeof(s) };
	struct pulse_message *a, *b;
	struct pulse_slab *slab;

	KT_REQUIRE(!pulse_slab_create(&so, &slab));
	small.slab = slab;
	large.slab = slab;
	KT_REQUIRE(!pulse_message_create(&small, &a));
	KT_REQUIRE(!pulse_message_create(&large, &b));
	KT_EQ(pulse_slab_stats(slab, &s), 0);
	KT_EQ(s.in_use, 1);
	pulse_message_put(a);
	pulse_message_put(b);
	KT_EQ(pulse_slab_stats(slab, &s), 0);
	KT_EQ(s.in_use, 0);
	KT_EQ(pulse_slab_destroy(slab), 0);
}

KT_TEST(time_to_live_ends)
{
	PULSE_OPTS(pulse_message_opts, opts, .ttl_ns = 1);
	PULSE_OPTS(pulse_message_opts, untimed, .flags = PULSE_MESSAGE_UNTIMED);
	struct pulse_message_times times = { .sz = sizeof(times) };
	struct pulse_message *msg;

	KT_REQUIRE(!pulse_message_create(&opts, &msg));
	KT_CHECK(EVENTUALLY(pulse_message_expired(msg) == 1));
	KT_EQ(pulse_message_expired(msg), 1);
	pulse_message_put(msg);
	KT_REQUIRE(!pulse_message_create(&untimed, &msg));
	KT_EQ(pulse_message_times(msg, &times), 0);
	KT_EQ(times.created_ns, 0);
	KT_EQ(pulse_message_expired(msg), 0);
	pulse_message_put(msg);
	opts.ttl_ns = INT64_MAX;
	KT_REQUIRE(!pulse_message_create(&opts, &msg));
	KT_EQ(pulse_message_times(msg, &times), 0);
	KT_EQ(times.expires_ns, PULSE_FOREVER);
	pulse_message_put(msg);
}

KT_TEST(priorities_and_signals_have_names)
{
	static const char *const names[] = {
		[PULSE_SIGNAL_NONE] = "none",
		[PULSE_SIGNAL_RESTART] = "restart",
		[PULSE_SIGNAL_SHUTDOWN] = "shutdown",
		[PULSE_SIGNAL_TERMINATE] = "terminate",
		[PULSE_SIGNAL_EXIT] = "exit",
		[PULSE_SIGNAL_SUSPEND] = "suspend",
		[PULSE_SIGNAL_RESUME] = "resume",
		[PULSE_SIGNAL_HEALTH_CHECK] = "health_check",
		[PULSE_SIGNAL_MEMORY_WARNING] = "memory_warning",
		[PULSE_SIGNAL_CPU_WARNING] = "cpu_warning",
		[PULSE_SIGNAL_DEADLOCK_DETECTED] = "deadlock_detected",
		[PULSE_SIGNAL_MESSAGE_ERR] = "message_err",
		[PULSE_SIGNAL_INFO] = "info",
		[PULSE_SIGNAL_WARNING] = "warning",
		[PULSE_SIGNAL_DEBUG] = "debug",
		[PULSE_SIGNAL_LOG] = "log",
		[PULSE_SIGNAL_ALERT] = "alert",
		[PULSE_SIGNAL_METRIC] = "metric",
		[PULSE_SIGNAL_EVENT] = "event",
		[PULSE_SIGNAL_HEARTBEAT] = "heartbeat",
		[PULSE_SIGNAL_CUSTOM] = "custom",
	};

	KT_STREQ(pulse_priority_name(PULSE_MESSAGE_CRITICAL), "critical");
	KT_STREQ(pulse_priority_name(PULSE_MESSAGE_HIGH), "high");
	KT_STREQ(pulse_priority_name(PULSE_MESSAGE_NORMAL), "normal");
	KT_STREQ(pulse_priority_name(PULSE_MESSAGE_LOW), "low");
	KT_STREQ(pulse_priority_name(PULSE_MESSAGE_BATCH), "batch");
	KT_STREQ(pulse_priority_name(0), "unknown");
	KT_STREQ(pulse_priority_name(6), "unknown");
	KT_STREQ(pulse_signal_name(PULSE_SIGNAL_NONE), "none");
	KT_STREQ(pulse_signal_name(PULSE_SIGNAL_DEADLOCK_DETECTED),
		 "deadlock_detected");
	KT_STREQ(pulse_signal_name(PULSE_SIGNAL_HEARTBEAT), "heartbeat");
	KT_STREQ(pulse_signal_name(PULSE_SIGNAL_CUSTOM + 7), "custom");
	KT_STREQ(pulse_signal_name(-1), "unknown");
	for (int i = 0; i <= PULSE_SIGNAL_CUSTOM; i++)
		KT_STREQ(pulse_signal_name(i), names[i]);
}

KT_MAIN()
