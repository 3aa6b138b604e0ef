// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/misc/pulse/ctx<id>/: there while the context is, true, and for its
 * owner and root alone.
 */
#include <dirent.h>
#include <grp.h>
#include <sys/stat.h>

#include "dev.h"

static char folder[64];

/* The one folder there is, or none, or (-1) many. */
static int find_folder(void)
{
	DIR *dir = opendir(SYSFS_DIR);
	struct dirent *e;
	int found = 0;

	folder[0] = 0;
	while (dir && (e = readdir(dir)))
		if (!strncmp(e->d_name, "ctx", 3)) {
			snprintf(folder, sizeof(folder), "%.40s/", e->d_name);
			found++;
		}
	if (dir)
		closedir(dir);
	return found > 1 ? -1 : found;
}

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s%s", folder, name);
	return path;
}

#define READ(name)		sysfs_read(in_folder(name))
#define WRITE(name, value)	sysfs_write(in_folder(name), value)

KT_TEST(the_folder_is_there_from_setup_to_the_end)
{
	struct dev d;
	int fd;

	NEED_DEVICE();
	KT_CHECK(EVENTUALLY(find_folder() == 0));
	fd = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0);
	KT_EQ(find_folder(), 0);
	KT_EQ(dev_setup(fd, 0, 2, 0), -EINVAL);
	KT_EQ(find_folder(), 0);
	close(fd);

	KT_REQUIRE(!dev_begin_events(&d, 7, 8192, PULSE_CTX_SHARED));
	KT_REQUIRE(find_folder() == 1);
	KT_EQ(READ("uid"), getuid());
	KT_EQ(READ("pid"), getpid());
	KT_EQ(READ("shared"), 1);
	KT_EQ(READ("workers"), 0);
	KT_EQ(READ("max_workers"), 7);
	KT_EQ(READ("nodes"), d.info.nr_nodes);
	KT_EQ(READ("ring_entries"), 64);
	KT_EQ(READ("heap_bytes"), 0);
	KT_EQ(READ("event_bytes"), 8192);
	KT_EQ(READ("events_dropped"), 0);
	KT_EQ(READ("watches"), 0);
	KT_CHECK(READ("pages") >= 4);
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	KT_EQ(READ("workers"), 1);
	KT_CHECK(watch(d.fd, (struct pulse_watch) { .blocked_ns = 1 }) > 0);
	KT_EQ(READ("watches"), 1);
	dev_end(&d);
	KT_CHECK(EVENTUALLY(find_folder() == 0));
}

/* N08 */
KT_TEST(knobs_of_a_context_are_written_strictly)
{
	static const char *const einval[] = {
		"-1", "+5", "1e2", "0x10", " 5", "5 ", "five", "\n", "5\n\n",
	};
	char page[4096];
	struct dev d;

	NEED_DEVICE();
	KT_EQ(sysfs_write("spin_us", 9), 0);
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_EQ(sysfs_write("spin_us", 0), 0);
	KT_REQUIRE(find_folder() == 1);
	KT_EQ(READ("spin_us"), 9);
	KT_EQ(READ("wake_spill"), 0);
	for (size_t i = 0; i < sizeof(einval) / sizeof(*einval); i++)
		KT_CHECKF(sysfs_write_bytes(in_folder("spin_us"), einval[i],
					    strlen(einval[i])) == -EINVAL,
			  "\"%s\"", einval[i]);
	KT_EQ(sysfs_write_bytes(in_folder("spin_us"), "5\0", 2), -EINVAL);
	memset(page, '1', sizeof(page));
	KT_CHECK(sysfs_write_bytes(in_folder("spin_us"), page, sizeof(page)) < 0);
	KT_EQ(WRITE("spin_us", 1001), -ERANGE);
	KT_EQ(WRITE("wake_spill", 2), -ERANGE);
	KT_EQ(READ("spin_us"), 9);
	KT_EQ(WRITE("spin_us", 1000), 0);
	KT_EQ(WRITE("wake_spill", 1), 0);
	KT_EQ(READ("spin_us"), 1000);
	KT_EQ(READ("wake_spill"), 1);
	KT_EQ(sysfs_read("spin_us"), 0);
	KT_EQ(sysfs_write_bytes(in_folder("max_workers"), "3", 1), -EACCES);
	dev_end(&d);
}

static int try_all(int want)
{
	static const char *const names[] = { "uid", "workers", "spin_us" };
	int fd;

	for (int i = 0; i < 3; i++) {
		char path[256];

		snprintf(path, sizeof(path), SYSFS_DIR "%s", in_folder(names[i]));
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if ((fd < 0 ? -errno : 0) != want)
			return i + 1;
	}
	return WRITE("spin_us", 7) == want ? 0 : 10;
}

static int stranger(void *arg)
{
	(void)arg;
	return become(4002) ? 99 : try_all(-EACCES);
}

/* Sets up a context of its own in what root opened, and looks at that. */
static int owner(void *arg)
{
	int fd = *(int *)arg;

	if (become(4001))
		return 98;
	if (dev_setup(fd, 2, 2, 0) || find_folder() != 1)
		return 97;
	return try_all(0) ?: READ("spin_us") != 7 ? 96 : 0;
}

/* N09 */
KT_TEST(a_context_is_its_owners_and_roots)
{
	struct dev d;
	int fd;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_REQUIRE(find_folder() == 1);
	KT_EQ(in_child(stranger, NULL), 0);
	dev_end(&d);
	KT_CHECK(EVENTUALLY(find_folder() == 0));
	fd = dev_open(O_RDWR);
	KT_REQUIRE(fd >= 0);
	KT_EQ(in_child(owner, &fd), 0);
	KT_REQUIRE(find_folder() == 1);
	KT_EQ(READ("uid"), 4001);
	close(fd);
	KT_CHECK(EVENTUALLY(find_folder() == 0));
}

static int first_of_its_own(void *arg)
{
	(void)arg;
	return getpid() != 1 || READ("pid") != 0;
}

static int in_pid_namespace(void *arg)
{
	if (unshare(CLONE_NEWPID))
		return 98;
	return in_child(first_of_its_own, arg);
}

KT_TEST(the_pid_is_of_the_readers_namespace)
{
	struct dev d;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_REQUIRE(find_folder() == 1);
	KT_EQ(READ("pid"), getpid());
	KT_EQ(in_child(in_pid_namespace, NULL), 0);
	dev_end(&d);
}

static volatile int end;

static void *reader(void *arg)
{
	long reads = 0;

	(void)arg;
	while (!end) {
		DIR *dir = opendir(SYSFS_DIR);
		struct dirent *e;

		while (dir && (e = readdir(dir))) {
			char path[300];
			char line[64];
			int fd;

			if (strncmp(e->d_name, "ctx", 3))
				continue;
			snprintf(path, sizeof(path), SYSFS_DIR "%s/workers",
				 e->d_name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			/* the context may end with its file open */
			reads += read(fd, line, sizeof(line)) > 0;
			close(fd);
		}
		if (dir)
			closedir(dir);
	}
	return (void *)reads;
}

KT_TEST(reading_while_contexts_come_and_go)
{
	pthread_t t;
	void *reads;

	NEED_DEVICE();
	end = 0;
	KT_REQUIRE(!pthread_create(&t, NULL, reader, NULL));
	for (long i = 0; i < kt_scale(2000); i++) {
		struct dev d;

		KT_REQUIRE(!dev_begin(&d, 2));
		KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
		dev_end(&d);
	}
	end = 1;
	pthread_join(t, &reads);
	KT_CHECK((long)reads >= 0);
	KT_CHECK(EVENTUALLY(find_folder() == 0));
}

/* A file that stays open says that its context is gone. */
KT_TEST(an_open_file_outlives_its_context_and_says_so)
{
	char path[256], line[8];
	struct dev d;
	int fd;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 2));
	KT_REQUIRE(find_folder() == 1);
	snprintf(path, sizeof(path), SYSFS_DIR "%s", in_folder("spin_us"));
	fd = open(path, O_RDWR | O_CLOEXEC);
	KT_REQUIRE(fd >= 0);
	KT_CHECK(pread(fd, line, sizeof(line), 0) > 0);
	dev_end(&d);
	KT_CHECK(EVENTUALLY(find_folder() == 0));
	KT_EQ(pread(fd, line, sizeof(line), 0) < 0 ? -errno : 0, -ENODEV);
	KT_EQ(pwrite(fd, "1\n", 2, 0) < 0 ? -errno : 0, -ENODEV);
	close(fd);
}

static struct parker spinner;

KT_TEST(park_and_wake_work_with_both_knobs_turned)
{
	__u32 word = PULSE_PARK_WORD(3, PULSE_PARK_PARKING);
	struct dev d;

	NEED_DEVICE();
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(find_folder() == 1);
	KT_EQ(WRITE("spin_us", 1000), 0);
	KT_EQ(WRITE("wake_spill", 1), 0);
	spinner = (struct parker) { .word = word };
	/* at home on the last node, woken through the first */
	KT_REQUIRE(parker_start(&spinner, &d, (int)d.info.nr_nodes - 1));
	for (long i = 0; i < kt_scale(2000); i++) {
		int before = parker_returns(&spinner);

		KT_CHECK(wake_node(d.fd, 0, 1, 0) >= 0);
		KT_REQUIRE(EVENTUALLY(parker_returns(&spinner) > before ||
				      wake_node(d.fd, 0, 1, 0) < 0));
	}
	/* a deadline and a permit that was there before */
	KT_EQ(dev_join(&d, 0), 1);
	set_word(&d, 1, word);
	KT_EQ(park(d.fd, 1, word, 0), -ETIMEDOUT);
	KT_EQ(park(d.fd, 1, word, now_ns() + NS_PER_MS), -ETIMEDOUT);
	KT_EQ(wake_one(d.fd, 1), 1);
	KT_EQ(park(d.fd, 1, word, PULSE_NO_DEADLINE), 0);
	parker_stop(&spinner);
	dev_end(&d);
}

KT_MAIN()
