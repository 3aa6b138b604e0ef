// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module goes when nobody uses it and not before, comes back, and refuses
 * to come with bad parameters. Leaves it loaded, as it was found.
 */
#include "module.h"
#include "nl.h"

static struct dev d;

static void *add_and_wait(void *arg)
{
	worker_add(d.fd, PULSE_NODE_ANY);
	(void)!read(*(int *)arg, &(char){ 0 }, 1);
	return NULL;
}

/* L01 */
KT_TEST(in_use_by_descriptor_mapping_or_worker_it_stays)
{
	struct parker p = { .word = 1 };
	const void *hdr;
	pthread_t t;
	int fds[2];
	int fd;

	NEED_MODULE_FILE();
	fd = dev_open(O_RDONLY);
	KT_REQUIRE(fd >= 0);
	KT_EQ(unload(), -EWOULDBLOCK);
	close(fd);

	/* a mapping alone */
	KT_REQUIRE(!dev_begin(&d, 4));
	hdr = d.hdr;
	close(d.fd);
	KT_EQ(unload(), -EWOULDBLOCK);
	munmap(d.uwork, d.info.uwork_bytes);
	munmap((void *)(uintptr_t)d.kstate, d.info.kstate_bytes);
	KT_EQ(unload(), -EWOULDBLOCK);
	munmap((void *)(uintptr_t)hdr, d.info.hdr_bytes);

	/* a parked worker */
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(parker_start(&p, &d, PULSE_NODE_ANY));
	KT_EQ(unload(), -EWOULDBLOCK);
	parker_stop(&p);
	dev_end(&d);

	/* a worker alone, without descriptor and mapping */
	KT_REQUIRE(!pipe(fds));
	KT_REQUIRE(!dev_begin(&d, 4));
	KT_REQUIRE(!pthread_create(&t, NULL, add_and_wait, &fds[0]));
	KT_CHECK(EVENTUALLY(d.hdr->nr_workers == 1));
	dev_end(&d);
	KT_EQ(unload(), -EWOULDBLOCK);
	KT_EQ(write(fds[1], "x", 1), 1);
	pthread_join(t, NULL);
	close(fds[0]);
	close(fds[1]);

	KT_EQ(unload_soon(), 0);
	KT_CHECK(!anything_left());
	KT_EQ(load(""), 0);
}

/* L02 */
KT_TEST(it_goes_and_comes_back_again_and_again)
{
	NEED_MODULE_FILE();
	for (long n = kt_scale(1000); n--;) {
		KT_REQUIRE(!dev_begin(&d, 4));
		KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
		dev_end(&d);
		KT_EQ(unload_soon(), 0);
		KT_CHECK(!anything_left());
		KT_REQUIRE(!load(""));
		KT_EQ(sysfs_read("contexts"), 0);
		KT_EQ(sysfs_read("parks"), 0);
	}
}

static int use_and_die(void *arg)
{
	struct parker p = { .word = 1 };

	(void)arg;
	if (dev_begin(&d, 8) || !parker_start(&p, &d, PULSE_NODE_ANY))
		return 1;
	raise(SIGKILL);
	return 2;
}

/* The reaper and the unload meet. */
KT_TEST(it_goes_right_after_a_process_was_killed)
{
	NEED_MODULE_FILE();
	for (int n = 0; n < 5; n++) {
		KT_EQ(in_child(use_and_die, NULL), -SIGKILL);
		while (unload() == -EWOULDBLOCK)
			;
		KT_CHECK(!anything_left());
		KT_REQUIRE(!load(""));
	}
}

KT_TEST(parameters_outside_their_range_fail_the_load)
{
	static const char *const bad[] = {
		"max_contexts_per_user=0", "max_workers_per_user=0",
		"max_pages_per_user=0", "max_pages_per_user=4294967295",
		"max_workers_per_user=-1", "max_contexts_per_user=many",
		"state_source=guess", "state_source=",
		"beat_floor_us=19", "watch_interval_ms=0", "spin_us=1001",
		"wake_spill=2",
	};

	NEED_MODULE_FILE();
	KT_EQ(unload_soon(), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		KT_CHECK(load(bad[i]) < 0);
		KT_CHECK(!anything_left());
	}
	KT_EQ(load("max_workers_per_user=77"), 0);
	KT_EQ(sysfs_read("max_workers_per_user"), 77);
	KT_EQ(unload_soon(), 0);
	KT_EQ(load(""), 0);
}

/* Loads it with this source and looks whether that tells of switches and ends. */
static void try_source(const char *name)
{
	struct pulse_event_worker_death worker = { 0 };
	struct pulse_event_process_death death = { 0 };
	char parameter[64], line[64] = "";
	bool probe = !strcmp(name, "tracepoint");
	int ret, status;
	pid_t pid;
	FILE *f;

	snprintf(parameter, sizeof(parameter), "state_source=%s", name);
	KT_EQ(unload_soon(), 0);
	ret = load(parameter);
	if (ret == -EOPNOTSUPP && !probe) {
		kt_note("no notifiers for modules on this kernel");
		KT_EQ(load(""), 0);
		return;
	}
	KT_REQUIRE(ret == 0);
	f = fopen(SYSFS_DIR "state_source", "re");
	KT_REQUIRE(f && fgets(line, sizeof(line), f));
	fclose(f);
	line[strcspn(line, "\n")] = 0;
	KT_CHECKF(!strcmp(line, name), "%s, not %s", line, name);

	KT_REQUIRE(!dev_begin_events(&d, 4, 4096, PULSE_CTX_SHARED));
	KT_EQ(!!(d.info.features & PULSE_FEAT_KSTATE_PROBE), probe);
	KT_EQ(sysfs_read("features"), d.info.features);
	KT_EQ(dev_join(&d, PULSE_NODE_ANY), 0);
	for (int i = 0; i < 20; i++)
		sleep_ms(2);
	KT_CHECK(kstate_read(&d, 0).n_block >= 5);
	pid = fork();
	KT_REQUIRE(pid >= 0);
	if (!pid) {
		if (dev_joins(d.fd) || worker_add(d.fd, PULSE_NODE_ANY) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	KT_CHECK(EVENTUALLY(state_of(&d, 1) == PULSE_STATE_BLOCKED));
	KT_CHECK(watch(d.fd, (struct pulse_watch){ .kind = PULSE_WATCH_PROCESS,
						    .target = (__u32)pid }) > 0);
	kill(pid, SIGKILL);
	KT_EQ(waitpid(pid, &status, 0), pid);
	KT_CHECK(EVENTUALLY(state_of(&d, 1) == PULSE_STATE_FREE));
	KT_EQ(kstate_read(&d, 1).exit_code, SIGKILL);
	/* the worker's end and its process's, as worker and as watched, in any order */
	for (int i = 0; i < 2; i++) {
		const struct pulse_event_hdr *hdr = NULL;

		KT_REQUIRE(EVENTUALLY((hdr = event_next(&d)) != NULL));
		if (hdr->type == PULSE_EVENT_WORKER_DEATH && hdr->len >= sizeof(worker))
			memcpy(&worker, hdr + 1, sizeof(worker));
		else if (hdr->type == PULSE_EVENT_PROCESS_DEATH && hdr->len >= sizeof(death))
			memcpy(&death, hdr + 1, sizeof(death));
		event_done(&d, hdr);
	}
	KT_EQ(worker.signal, SIGKILL);
	KT_EQ(death.pid, pid);
	KT_EQ(death.signal, SIGKILL);
	dev_end(&d);
}

KT_TEST(either_state_source_can_be_chosen)
{
	NEED_MODULE_FILE();
	try_source("notifier");
	try_source("tracepoint");
	KT_EQ(unload_soon(), 0);
	KT_EQ(load(""), 0);
}

/* N10 */
static volatile int reader_end;

static void *reader(void *arg)
{
	while (!reader_end)
		for (int i = 0; i < 3; i++)
			sysfs_read(((const char *[]){ "parks", "abi",
				   "max_pages_per_user" })[i]);
	return arg;
}

KT_TEST(attributes_may_be_read_while_it_goes)
{
	pthread_t t;

	NEED_MODULE_FILE();
	reader_end = 0;
	KT_REQUIRE(!pthread_create(&t, NULL, reader, NULL));
	for (int n = 0; n < 6; n++) {
		KT_EQ(unload_soon(), 0);
		KT_REQUIRE(!load(""));
	}
	reader_end = 1;
	pthread_join(t, NULL);
}

static struct nl n, asks;

static int open_family(void)
{
	int ret = nl_open(&n);

	nl_close(&n);
	return ret;
}

KT_TEST(a_listener_does_not_hold_it_and_a_dump_that_nobody_reads_does)
{
	struct dev many[32];
	int made = 0;

	NEED_MODULE_FILE();
	KT_REQUIRE(!nl_open(&n));
	KT_REQUIRE(!nl_join(&n));
	KT_EQ(unload_soon(), 0);
	KT_CHECK(!anything_left());
	nl_close(&n);
	KT_EQ(open_family(), -ENOENT);
	KT_REQUIRE(!load(""));
	KT_EQ(open_family(), 0);

	/* the dump is not over when its first message is full */
	for (; made < 32; made++)
		KT_REQUIRE(!dev_begin(&many[made], 1));
	KT_REQUIRE(!nl_open(&asks));
	nl_ask(&asks, PULSE_NL_CMD_CTX_GET, NLM_F_DUMP);
	KT_EQ(nl_send(&asks), 0);
	while (made--)
		dev_end(&many[made]);
	KT_CHECK(EVENTUALLY(!sysfs_read("contexts")));
	KT_EQ(unload(), -EWOULDBLOCK);
	nl_close(&asks);
	KT_EQ(unload_soon(), 0);
	KT_CHECK(!anything_left());
	KT_REQUIRE(!load(""));
}

static int ask_as_somebody(void *arg)
{
	(void)arg;
	if (setresgid(4001, 4001, 4001) || setresuid(4001, 4001, 4001))
		return 99;
	return open_family() == -ENOENT && dev_open(O_RDWR) == -ENOENT ? 0 : 1;
}

/* N11: who asks for the family of a module that is not there is told so */
KT_TEST(asking_for_its_family_does_not_load_it)
{
	NEED_MODULE_FILE();
	KT_EQ(unload_soon(), 0);
	KT_EQ(open_family(), -ENOENT);
	KT_EQ(in_child(ask_as_somebody, NULL), 0);
	sleep_ms(50);
	KT_CHECK(!anything_left());
	KT_EQ(load(""), 0);
}

/* N11 */
KT_TEST(it_has_no_alias_by_which_a_user_could_load_it)
{
	char line[512];
	FILE *f;
	int pulse = 0;

	NEED_MODULE_FILE();
	snprintf(line, sizeof(line), "modinfo -F alias %s 2>/dev/null",
		 module_file());
	f = popen(line, "r");
	KT_REQUIRE(f);
	while (fgets(line, sizeof(line), f))
		pulse++;
	pclose(f);
	KT_EQ(pulse, 0);
}

int main(int argc, char **argv)
{
	return kt_main_loading(argc, argv);
}
