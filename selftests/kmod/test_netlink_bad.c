// SPDX-License-Identifier: GPL-2.0-only
/*
 * The netlink family "pulse": a request that is wrong in any way is refused with a
 * text, and changes nothing.
 */
#include "nl.h"

static struct nl n;

#define NEED_FAMILY()							\
	do {								\
		NEED_DEVICE();						\
		KT_REQUIRE(!nl_open(&n));				\
	} while (0)

static void see_ctx(const struct nl_msg *m, void *arg)
{
	*(int *)arg += nl_num(m, PULSE_NL_CTX_PID) == (__u64)getpid();
}

/* Contexts of this process, or -errno. */
static int nr_contexts(void)
{
	int count = 0, ret;

	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_DUMP);
	ret = nl_talk(&n, see_ctx, &count);
	return ret ? ret : count;
}

/* Before 6.2 texts have no values in them, and dumps no texts of the family's. */
static bool before_6_2(void)
{
	FILE *f = fopen("/proc/sys/kernel/osrelease", "re");
	int major = 0, minor = 0;

	if (f) {
		(void)!fscanf(f, "%d.%d", &major, &minor);
		fclose(f);
	}
	return major * 100 + minor < 602;
}

static bool names_value(const char *value)
{
	return before_6_2() || strstr(n.text, value);
}

KT_TEST(a_refused_knob_names_the_range_and_points_at_the_value)
{
	static const struct { const char *name, *range; __u32 value; } bad[] = {
		{ "beat_floor_us", "20 to 1000000", 19 },
		{ "beat_floor_us", "20 to 1000000", 1000001 },
		{ "watch_interval_ms", "1 to 60000", 0 },
		{ "max_workers_per_user", "1 to 4194304", 4294967295U },
		{ "spin_us", "0 to 1000", 1001 },
		{ "wake_spill", "0 to 1", 2 },
	};

	NEED_FAMILY();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		long long was = sysfs_read(bad[i].name);
		char value[16];
		long at;

		nl_ask(&n, PULSE_NL_CMD_KNOB_SET, NL_ACK);
		nl_put_str(&n, PULSE_NL_KNOB_NAME, bad[i].name);
		at = nl_put_u32(&n, PULSE_NL_KNOB_VALUE, bad[i].value);
		KT_EQ(nl_talk(&n, NULL, NULL), -ERANGE);
		KT_CHECKF(strstr(n.text, bad[i].name) &&
			  strstr(n.text, bad[i].range), "\"%s\"", n.text);
		snprintf(value, sizeof(value), "not %u", bad[i].value);
		KT_CHECKF(names_value(value), "\"%s\"", n.text);
		KT_EQ(n.bad_offset, at);
		KT_EQ(sysfs_read(bad[i].name), was);
	}
	nl_ask(&n, PULSE_NL_CMD_KNOB_SET, NL_ACK);
	nl_put_str(&n, PULSE_NL_KNOB_NAME, "warp_us");
	nl_put_u32(&n, PULSE_NL_KNOB_VALUE, 9);
	KT_EQ(nl_talk(&n, NULL, NULL), -ENOENT);
	KT_CHECKF(names_value("warp_us") && strstr(n.text, "knob"), "\"%s\"", n.text);
	nl_close(&n);
}

/* ---------------------------------------------------- N04: malformed requests */

/* The error, and that it came with a text. */
#define REFUSED(want)							\
	do {								\
		KT_EQ(nl_talk(&n, NULL, NULL), want);			\
		KT_CHECKF(n.text[0], "no text");			\
	} while (0)
#define REFUSED_DUMP(want)						\
	do {								\
		KT_EQ(nl_talk(&n, NULL, NULL), want);			\
		KT_CHECKF(n.text[0] || before_6_2(), "no text");	\
	} while (0)

KT_TEST(attributes_that_are_wrong_are_refused_with_a_text)
{
	static const char no_nul[4] = "spin";
	static char long_name[64];
	__u16 half = 1;
	__u64 twice = 1;
	long at;

	NEED_FAMILY();
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);		/* missing */
	REFUSED(-EINVAL);
	nl_ask(&n, PULSE_NL_CMD_WORKER_GET, NL_ACK);
	nl_put_u32(&n, PULSE_NL_WORKER_CTX_ID, 1);
	REFUSED(-EINVAL);
	nl_ask(&n, PULSE_NL_CMD_KNOB_GET, NL_ACK);
	REFUSED(-EINVAL);
	nl_ask(&n, PULSE_NL_CMD_KNOB_SET, NL_ACK);
	nl_put_str(&n, PULSE_NL_KNOB_NAME, "spin_us");
	REFUSED(-EINVAL);

	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);		/* length */
	nl_put(&n, PULSE_NL_CTX_ID, &half, sizeof(half));
	REFUSED(-EINVAL);
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);
	nl_put(&n, PULSE_NL_CTX_ID, &twice, sizeof(twice));
	REFUSED(-EINVAL);
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);
	nl_put(&n, PULSE_NL_CTX_ID, "", 0);
	REFUSED(-EINVAL);

	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);		/* range */
	nl_put_u32(&n, PULSE_NL_CTX_ID, 0);
	REFUSED(-ERANGE);
	nl_ask(&n, PULSE_NL_CMD_WORKER_GET, NL_ACK);
	nl_put_u32(&n, PULSE_NL_WORKER_CTX_ID, 1);
	at = nl_put_u32(&n, PULSE_NL_WORKER_INDEX, PULSE_MAX_WORKERS);
	REFUSED(-ERANGE);
	KT_EQ(n.bad_offset, at);
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);
	at = nl_put_u32(&n, PULSE_NL_CTX_ID, 4294967295U);
	REFUSED(-ENOENT);
	KT_EQ(n.bad_offset, at);

	nl_ask(&n, PULSE_NL_CMD_KNOB_GET, NL_ACK);		/* strings */
	nl_put(&n, PULSE_NL_KNOB_NAME, no_nul, sizeof(no_nul));
	REFUSED(-EINVAL);
	memset(long_name, 'x', sizeof(long_name) - 1);
	nl_ask(&n, PULSE_NL_CMD_KNOB_GET, NL_ACK);
	nl_put_str(&n, PULSE_NL_KNOB_NAME, long_name);
	REFUSED(-EINVAL);

	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);		/* unknown */
	nl_put_u32(&n, PULSE_NL_CTX_UID, 0);
	REFUSED(-EINVAL);
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_DUMP);
	nl_put_u32(&n, 4000, 1);
	REFUSED(-EINVAL);

	nl_ask(&n, PULSE_NL_CMD_KNOB_SET, NL_ACK);		/* twice */
	nl_put_str(&n, PULSE_NL_KNOB_NAME, "spin_us");
	nl_put_u32(&n, PULSE_NL_KNOB_VALUE, 1);
	at = nl_put_u32(&n, PULSE_NL_KNOB_VALUE, 2);
	REFUSED(-EINVAL);
	KT_EQ(n.bad_offset, at);
	nl_ask(&n, PULSE_NL_CMD_WORKER_GET, NL_DUMP);
	nl_put_u32(&n, PULSE_NL_WORKER_CTX_ID, 1);
	nl_put_u32(&n, PULSE_NL_WORKER_CTX_ID, 1);
	REFUSED_DUMP(-EINVAL);

	nl_ask(&n, PULSE_NL_CMD_KNOB_GET, NL_DUMP);		/* of no use */
	nl_put_str(&n, PULSE_NL_KNOB_NAME, "spin_us");
	REFUSED_DUMP(-EINVAL);
	nl_ask(&n, PULSE_NL_CMD_WORKER_GET, NL_DUMP);
	nl_put_u32(&n, PULSE_NL_WORKER_INDEX, 1);
	REFUSED_DUMP(-EINVAL);
	KT_EQ(sysfs_read("spin_us"), 0);
	nl_close(&n);
}

KT_TEST(messages_that_are_wrong_are_refused)
{
	static char big[60 << 10];
	__u16 lie = 4000;

	NEED_FAMILY();
	nl_ask(&n, 250, NL_ACK);			/* no such command */
	KT_EQ(nl_talk(&n, NULL, NULL), -EOPNOTSUPP);
	nl_ask(&n, PULSE_NL_CMD_CTX_NEW, NL_ACK);	/* that is an event */
	KT_EQ(nl_talk(&n, NULL, NULL), -EOPNOTSUPP);
	nl_ask(&n, PULSE_NL_CMD_KNOB_SET, NL_DUMP);	/* cannot be dumped */
	KT_EQ(nl_talk(&n, NULL, NULL), -EOPNOTSUPP);
	nl_ask(&n, PULSE_NL_CMD_KNOB_GET, NL_DUMP);	/* reserved bytes */
	n.out[NLMSG_HDRLEN + 2] = 1;
	KT_EQ(nl_talk(&n, NULL, NULL), -EINVAL);
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);	/* 60 KiB of nothing */
	nl_put(&n, PULSE_NL_CTX_ID, big, sizeof(big));
	KT_EQ(nl_talk(&n, NULL, NULL), -EINVAL);
	nl_ask(&n, PULSE_NL_CMD_CTX_GET, NL_ACK);	/* longer than it is */
	nl_put_u32(&n, PULSE_NL_CTX_ID, 1);
	memcpy(n.out + NLMSG_HDRLEN + GENL_HDRLEN, &lie, sizeof(lie));
	KT_EQ(nl_talk(&n, NULL, NULL), -EINVAL);

	/* and the family is as well as before */
	KT_CHECK(nr_contexts() >= 0);
	nl_close(&n);
}

static __u32 roll(__u32 *dice)
{
	*dice = *dice * 1664525 + 1013904223;
	return *dice >> 8;
}

/* Attributes of any type, length and content, and messages that end too soon. */
KT_TEST(requests_at_random_do_no_harm)
{
	__u32 dice = 4711;
	char junk[24];
	struct dev d;

	NEED_FAMILY();
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	for (long i = 0; i < kt_scale(50000); i++) {
		int nr = (int)(roll(&dice) % 5);

		nl_ask(&n, (int)(roll(&dice) % 18),
		       roll(&dice) % 3 ? NL_ACK : (int)(roll(&dice) & 0xffff));
		while (nr--) {
			for (size_t k = 0; k < sizeof(junk); k++)
				junk[k] = (char)(roll(&dice) % 4 ? 0 : roll(&dice));
			nl_put(&n, (int)(roll(&dice) % 12), junk,
			       roll(&dice) % 3 ? 4 : roll(&dice) % sizeof(junk));
		}
		if (!(roll(&dice) % 8))
			n.out_len -= roll(&dice) % (n.out_len - NLMSG_HDRLEN);
		nl_send(&n);
		while (recv(n.fd, n.in, sizeof(n.in), MSG_DONTWAIT) >= 0 ||
		       errno == ENOBUFS)
			;
	}
	nl_close(&n);
	KT_REQUIRE(!nl_open(&n));
	KT_EQ(nr_contexts(), 1);
	KT_EQ(sysfs_read("spin_us"), 0);
	dev_end(&d);
	nl_close(&n);
}

KT_MAIN()
