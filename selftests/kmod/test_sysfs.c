// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/misc/pulse: what can be read is true, what is written is parsed
 * strictly, and what was refused changed nothing.
 */
#include <grp.h>

#include "dev.h"

static const char *const limits[] = {
	"max_contexts_per_user", "max_workers_per_user", "max_pages_per_user",
};

#define for_each_limit(name)						\
	for (const char *const *at_ = limits, *name;			\
	     at_ < limits + 3 && (name = *at_, true); at_++)

KT_TEST(totals_tell_what_there_is)
{
	long long contexts, workers;
	struct dev d;

	NEED_DEVICE();
	KT_EQ(sysfs_read("abi"), PULSE_ABI_VERSION);
	contexts = sysfs_read("contexts");
	workers = sysfs_read("workers");
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_EQ(sysfs_read("features"), d.info.features);
	KT_EQ(sysfs_read("contexts"), contexts + 1);
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	KT_EQ(sysfs_read("workers"), workers + 1);
	dev_end(&d);
	KT_EQ(sysfs_read("workers"), workers);
	KT_CHECK(EVENTUALLY(sysfs_read("contexts") == contexts));
}

/* N08 */
KT_TEST(bad_writes_are_refused_and_change_nothing)
{
	static const char *const einval[] = {
		"-1", "+5", "1e9", "0x10", " 5", "5 ", "5\n\n", "5 6", "\n", "five",
		"5a", "", "--", "\x80\xff",
	};
	static const char *const erange[] = {
		"0", "4294967295", "4294967296", "99999999999999999999999999",
	};
	static char big[4096];

	NEED_DEVICE();
	memset(big, '7', sizeof(big));
	for_each_limit(name) {
		long long was = sysfs_read(name);

		KT_CHECK(was > 0);
		for (size_t i = 0; i < sizeof(einval) / sizeof(einval[0]); i++) {
			int got = sysfs_write_bytes(name, einval[i],
						    strlen(einval[i]));

			/* a write of nothing does not reach the module */
			KT_CHECKF(got == (einval[i][0] ? -EINVAL : 0),
				  "%s: \"%s\": %d", name, einval[i], got);
			KT_EQ(sysfs_read(name), was);
		}
		for (size_t i = 0; i < sizeof(erange) / sizeof(erange[0]); i++) {
			int got = sysfs_write_bytes(name, erange[i],
						    strlen(erange[i]));

			KT_CHECKF(got == -ERANGE, "%s: \"%s\": %d", name,
				  erange[i], got);
			KT_EQ(sysfs_read(name), was);
		}
		KT_EQ(sysfs_write_bytes(name, "5\0006", 3), -EINVAL);
		KT_EQ(sysfs_write_bytes(name, "5\0", 2), -EINVAL);
		KT_EQ(sysfs_write_bytes(name, "\0", 1), -EINVAL);
		KT_EQ(sysfs_write_bytes(name, big, sizeof(big)), -ERANGE);
		KT_EQ(sysfs_read(name), was);
	}
}

KT_TEST(good_writes_are_taken_with_and_without_a_newline)
{
	NEED_DEVICE();
	for_each_limit(name) {
		long long was = sysfs_read(name);

		KT_EQ(sysfs_write_bytes(name, "123", 3), 0);
		KT_EQ(sysfs_read(name), 123);
		KT_EQ(sysfs_write_bytes(name, "456\n", 4), 0);
		KT_EQ(sysfs_read(name), 456);
		KT_EQ(sysfs_write(name, was), 0);
		KT_EQ(sysfs_read(name), was);
	}
}

KT_TEST(what_is_only_told_cannot_be_written)
{
	static const char *const told[] = {
		"abi", "features", "contexts", "workers", "parks", "wakes", "deaths",
	};

	NEED_DEVICE();
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		long long was = sysfs_read(told[i]);

		KT_CHECK(was >= 0);
		KT_CHECK(sysfs_write_bytes(told[i], "1\n", 2) < 0);
		KT_EQ(sysfs_read(told[i]), was);
	}
}

static int somebody_else(void *arg)
{
	(void)arg;
	if (setgroups(0, NULL) || setgid(4001) || setuid(4001))
		return 99;
	for_each_limit(name)
		if (sysfs_write(name, 5) != -EACCES)
			return 1;
	/* reading is for everybody */
	return sysfs_read("abi") != PULSE_ABI_VERSION;
}

/* N09 */
KT_TEST(an_unprivileged_write_is_eacces)
{
	NEED_DEVICE();
	KT_EQ(in_child(somebody_else, NULL), 0);
}

static volatile int end;

static void *writer(void *arg)
{
	char *text = arg;
	long bad = 0;

	while (!end)
		bad += sysfs_write_bytes("max_workers_per_user", text,
					 strlen(text)) != 0;
	return (void *)bad;
}

/* N08: concurrent writers */
KT_TEST(with_two_writers_a_reader_sees_one_value_or_the_other)
{
	long long was;
	pthread_t t[2];
	void *bad;

	NEED_DEVICE();
	was = sysfs_read("max_workers_per_user");
	KT_EQ(sysfs_write("max_workers_per_user", 1111), 0);
	end = 0;
	KT_REQUIRE(!pthread_create(&t[0], NULL, writer, "1111\n"));
	KT_REQUIRE(!pthread_create(&t[1], NULL, writer, "222222\n"));
	for (int n = 0; n < 500; n++) {
		long long v = sysfs_read("max_workers_per_user");

		KT_CHECKF(v == 1111 || v == 222222, "%lld", v);
	}
	end = 1;
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], &bad);
		KT_EQ((long)bad, 0);
	}
	KT_EQ(sysfs_write("max_workers_per_user", was), 0);
}

KT_MAIN()
