// SPDX-License-Identifier: GPL-2.0-only
/* Knobs: values that cannot be, all or nothing, callbacks, rollback, readers. */
#include "base/base.h"
#include "ktap.h"

#include <pthread.h>

#include <pulse-u/control.h>

static struct pulse_control *make(void)
{
	PULSE_OPTS(pulse_knob, size, .name = "size", .doc = "how much",
		   .unit = "bytes", .type = PULSE_KNOB_INT, .min = 10,
		   .max = 1 << 20, .value = 100);
	PULSE_OPTS(pulse_knob, fast, .name = "fast", .type = PULSE_KNOB_BOOL);
	PULSE_OPTS(pulse_knob, title, .name = "title", .type = PULSE_KNOB_TEXT,
		   .text = "none");
	struct pulse_control *c = NULL;

	KT_EQ(pulse_control_create(NULL, &c), 0);
	KT_EQ(pulse_control_define(c, &size), 0);
	KT_EQ(pulse_control_define(c, &fast), 1);
	KT_EQ(pulse_control_define(c, &title), 2);
	return c;
}

static char why[PULSE_WHY_MAX];

static int set1(struct pulse_control *c, const char *name, const char *value)
{
	struct pulse_setting s = { name, value };

	return pulse_control_reload(c, &s, 1, why, sizeof(why));
}

static struct pulse_control_stats stats_of(struct pulse_control *c)
{
	PULSE_OPTS(pulse_control_stats, s);

	KT_EQ(pulse_control_stats(c, &s), 0);
	return s;
}

KT_TEST(values_are_read_as_they_were_set)
{
	struct pulse_setting s[] = { { "size", "2K" }, { "fast", "yes" },
				     { "title", "a b" }, { "size", "0x40" } };
	struct pulse_control *c = make();
	struct pulse_config *old = pulse_control_config(c), *new;
	int64_t v = 0;

	KT_EQ(pulse_control_int(c, 0, -1), 100);
	KT_EQ(pulse_control_int(c, 2, -1), -1);		/* a text */
	KT_EQ(pulse_control_int(c, 7, -1), -1);
	KT_EQ(pulse_control_reload(c, s, 3, why, sizeof(why)), 0);
	KT_STREQ(why, "");
	KT_EQ(pulse_control_int(c, 0, -1), 2048);
	KT_EQ(pulse_control_reload(c, s, 4, NULL, 0), 0);	/* the later one */
	KT_EQ(pulse_control_int(c, 0, -1), 64);
	KT_EQ(set1(c, "size", "010"), 0);
	KT_EQ(pulse_control_int(c, 0, -1), 10);		/* not octal */
	new = pulse_control_config(c);
	KT_EQ(pulse_config_int(new, "fast", &v), 0);
	KT_EQ(v, 1);
	KT_STREQ(pulse_config_text(new, "title"), "a b");
	KT_EQ(pulse_config_int(new, "title", &v), -EPROTOTYPE);
	KT_EQ(pulse_config_int(new, "none", &v), -ENOENT);
	/* Who holds an old one sees the old one. */
	KT_EQ(pulse_config_int(old, "size", &v), 0);
	KT_EQ(v, 100);
	KT_STREQ(pulse_config_text(old, "title"), "none");
	KT_CHECK(pulse_config_version(new) > pulse_config_version(old));
	pulse_control_destroy(c);
	/* And may hold it for longer than the control lives. */
	KT_STREQ(pulse_config_text(new, "title"), "a b");
	pulse_config_put(old);
	pulse_config_put(new);
}

KT_TEST(a_value_that_cannot_be_is_named_and_nothing_changes)
{
	static const struct {
		const char *name, *value;
		int err;
		const char *says;
	} bad[] = {
		{ "size", "9", -ERANGE, "size: 9 is out of range; it may be 10 to 1048576 bytes" },
		{ "size", "2M", -ERANGE, "size: 2M is out of range" },
		{ "size", "99999999999999999999", -ERANGE, "size: 99999999999999999999" },
		{ "size", "9999999999999999G", -ERANGE, "size: 9999999999999999G" },
		{ "size", "", -EINVAL, "size: \"\" is no number" },
		{ "size", "12x", -EINVAL, "size: \"12x\" is no number" },
		{ "size", " 12", -EINVAL, "size: \" 12\"" },
		{ "size", "12KK", -EINVAL, "size: \"12KK\"" },
		{ "fast", "perhaps", -EINVAL, "fast: \"perhaps\" is neither on nor off" },
		{ "sise", "12", -ENOENT, "there is no knob \"sise\"" },
		{ "size", NULL, -EINVAL, "setting 2 has no name or no value" },
	};
	struct pulse_control *c = make();
	uint64_t version = stats_of(c).version;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct pulse_setting s[] = { { "title", "changed" },
					     { bad[i].name, bad[i].value } };
		struct pulse_config *config;

		KT_EQ(pulse_control_reload(c, s, 2, why, sizeof(why)), bad[i].err);
		KT_CHECKF(strstr(why, bad[i].says) == why, "%s", why);
		config = pulse_control_config(c);
		KT_STREQ(pulse_config_text(config, "title"), "none");
		pulse_config_put(config);
	}
	KT_EQ(stats_of(c).version, version);
	KT_EQ(stats_of(c).refused, ARRAY_SIZE(bad));
	pulse_control_destroy(c);
}

static int even(const char *name, int64_t value, const char *text, char *say,
		size_t len, void *arg)
{
	(void)text;
	if (value % 2 == 0)
		return 0;
	snprintf(say, len, "%s: %lld is %s", name, (long long)value,
		 (const char *)arg);
	return -EDOM;
}

KT_TEST(a_knob_may_have_a_check_of_its_own)
{
	char odd[] = "odd";
	PULSE_OPTS(pulse_knob, k, .name = "even", .type = PULSE_KNOB_INT,
		   .check = even, .arg = odd);
	struct pulse_control *c = make();

	KT_EQ(pulse_control_define(c, &k), 3);
	KT_EQ(pulse_control_define(c, &k), -EEXIST);
	KT_EQ(set1(c, "even", "-7"), -EDOM);
	KT_STREQ(why, "even: -7 is odd");
	KT_EQ(set1(c, "even", "-8"), 0);
	pulse_control_destroy(c);
}

KT_TEST(a_knob_that_cannot_be_is_refused)
{
	struct pulse_control *c = make();
	struct pulse_knob k = { .sz = sizeof(k), .type = PULSE_KNOB_INT };

	KT_EQ(pulse_control_define(c, &k), -EINVAL);		/* no name */
	k.name = "no blanks";
	KT_EQ(pulse_control_define(c, &k), -EINVAL);
	k.name = "ok";
	k.type = 9;
	KT_EQ(pulse_control_define(c, &k), -EINVAL);
	k.type = PULSE_KNOB_INT;
	k.min = 5;
	k.max = 9;
	KT_EQ(pulse_control_define(c, &k), -EINVAL);	/* default out of range */
	k.value = 5;
	k.flags = 1;
	KT_EQ(pulse_control_define(c, &k), -EINVAL);
	k.flags = 0;
	KT_EQ(pulse_control_define(c, &k), 3);
	pulse_control_destroy(c);
}

/* ---- callbacks -------------------------------------------------------------- */

static char order[64];
static int refuse_at;

struct seen {
	char letter;
	struct pulse_control *control;
	int64_t size;
};

static int on_reload(const struct pulse_config *now,
		     const struct pulse_config *next, char *say, size_t len,
		     void *arg)
{
	struct seen *s = arg;
	int64_t before = 0, after = 0;

	pulse_config_int(now, "size", &before);
	pulse_config_int(next, "size", &after);
	sprintf(order + strlen(order), "%c", s->letter);
	KT_EQ(before, s->size);
	if (refuse_at == s->letter) {
		snprintf(say, len, "%c will not have it", s->letter);
		return -EBUSY;
	}
	s->size = after;
	if (s->control) {
		struct pulse_setting again = { "size", "11" };

		/* Readers are let in, changes are not. */
		KT_EQ(pulse_control_int(s->control, 0, -1), before);
		KT_EQ(pulse_control_reload(s->control, &again, 1, NULL, 0),
		      -EDEADLK);
		KT_EQ(pulse_control_off_reload(s->control, 1), -EDEADLK);
		KT_EQ(pulse_control_destroy(s->control), -EDEADLK);
	}
	return 0;
}

KT_TEST(callbacks_run_in_order_and_a_refusal_undoes_those_before)
{
	struct pulse_control *c = make();
	struct seen a = { 'a', c, 100 }, b = { 'b', NULL, 100 },
		    d = { 'd', NULL, 100 };
	int id;

	order[0] = 0;
	refuse_at = 0;
	KT_CHECK(pulse_control_on_reload(c, on_reload, &a) > 0);
	id = pulse_control_on_reload(c, on_reload, &b);
	KT_CHECK(id > 0);
	KT_CHECK(pulse_control_on_reload(c, on_reload, &d) > 0);
	KT_EQ(set1(c, "size", "200"), 0);
	KT_STREQ(order, "abd");
	KT_EQ(d.size, 200);
	order[0] = 0;
	KT_EQ(set1(c, "size", "200"), 0);	/* nothing changes: nobody asked */
	KT_STREQ(order, "");
	refuse_at = 'd';
	a.control = NULL;
	KT_EQ(set1(c, "size", "300"), -EBUSY);
	KT_STREQ(why, "d will not have it");
	KT_STREQ(order, "abdba");
	KT_EQ(a.size, 200);
	KT_EQ(b.size, 200);
	KT_EQ(pulse_control_int(c, 0, -1), 200);
	KT_EQ(stats_of(c).undone, 2);
	/* One that is taken out is not asked any more. */
	KT_EQ(pulse_control_off_reload(c, id), 0);
	KT_EQ(pulse_control_off_reload(c, id), -ENOENT);
	refuse_at = 0;
	order[0] = 0;
	KT_EQ(set1(c, "size", "300"), 0);
	KT_STREQ(order, "ad");
	pulse_control_destroy(c);
}

/* ---- text ------------------------------------------------------------------- */

static int load(struct pulse_control *c, const char *text, size_t len)
{
	char path[] = "/tmp/pulse-control-XXXXXX";
	int fd = mkstemp(path), err;

	KT_CHECK(write(fd, text, len) == (ssize_t)len);
	close(fd);
	err = pulse_control_load(c, path, why, sizeof(why));
	unlink(path);
	return err;
}

#define LOAD(c, text)	load(c, text, sizeof(text) - 1)

KT_TEST(a_file_is_taken_as_a_whole_and_its_bad_line_is_named)
{
	struct pulse_control *c = make();
	struct pulse_config *config;
	char *big = malloc(2 << 20);

	KT_EQ(LOAD(c, "# all\n\n size = 1K # a remark\r\ntitle=x = y#z\nfast=on"), 0);
	config = pulse_control_config(c);
	KT_EQ(pulse_control_int(c, 0, -1), 1024);
	KT_STREQ(pulse_config_text(config, "title"), "x = y#z");
	pulse_config_put(config);
	KT_EQ(LOAD(c, "size = 12\nfast = off\nsize = 1\n"), -ERANGE);
	KT_CHECKF(strstr(why, "line 3: size: 1 is out of range") == why, "%s", why);
	KT_EQ(LOAD(c, "size = 12\nfoo = off\n"), -ENOENT);
	KT_CHECKF(strstr(why, "line 2: there is no knob \"foo\"") == why, "%s", why);
	KT_EQ(LOAD(c, "size = 12\nhello\n"), -EBADMSG);
	KT_STREQ(why, "line 2: \"hello\" is not \"name = value\"");
	KT_EQ(LOAD(c, "size = 12\n\0fast = on"), -EBADMSG);
	KT_EQ(pulse_control_load(c, "/nowhere/at.all", why, sizeof(why)), -ENOENT);
	KT_CHECK(strstr(why, "/nowhere/at.all: "));
	memset(big, '#', 2 << 20);
	KT_EQ(load(c, big, 2 << 20), -EFBIG);
	KT_EQ(pulse_control_int(c, 0, -1), 1024);
	free(big);
	pulse_control_destroy(c);
}

KT_TEST(commands_answer_in_words)
{
	struct pulse_control *c = make();
	char r[512], tiny[4];

	KT_EQ(pulse_control_command(c, "get size\n", r, sizeof(r)), 0);
	KT_STREQ(r, "100");
	KT_EQ(pulse_control_command(c, "  set  title  two words ", r, sizeof(r)), 0);
	KT_STREQ(r, "ok");
	KT_EQ(pulse_control_command(c, "get title", r, sizeof(r)), 0);
	KT_STREQ(r, "two words");
	KT_EQ(pulse_control_command(c, "set size 7", r, sizeof(r)), -ERANGE);
	KT_STREQ(r, "size: 7 is out of range; it may be 10 to 1048576 bytes");
	KT_EQ(pulse_control_command(c, "list", r, sizeof(r)), 0);
	KT_CHECK(strstr(r, "size = 100\t# bytes, how much\n"));
	KT_EQ(pulse_control_command(c, "list", tiny, sizeof(tiny)), 0);
	KT_STREQ(tiny, "siz");
	KT_EQ(pulse_control_command(c, "get", r, sizeof(r)), -EBADMSG);
	KT_EQ(pulse_control_command(c, "", r, sizeof(r)), -EBADMSG);
	KT_EQ(pulse_control_command(c, "frobnicate", r, sizeof(r)), -EBADMSG);
	KT_CHECK(strstr(r, "\"frobnicate\" is no command; commands: get"));
	KT_EQ(pulse_control_command(c, "help", r, sizeof(r)), 0);
	pulse_control_destroy(c);
}

KT_TEST(running_out_of_memory_leaves_all_as_it_was)
{
	bool failed = true;

	for (long n = 1; failed; n++) {
		struct pulse_control *c = make();
		struct pulse_setting s[] = { { "title", "t" }, { "size", "99" } };
		PULSE_OPTS(pulse_knob, k, .name = "more", .type = PULSE_KNOB_TEXT,
			   .text = "m", .unit = "u");
		int err, id;

		pulse__alloc_fail_at(n);
		err = pulse_control_reload(c, s, 2, NULL, 0);
		id = err ? 0 : pulse_control_define(c, &k);
		failed = pulse__alloc_failed();
		pulse__alloc_fail_at(0);
		KT_CHECK(failed == (err == -ENOMEM || id == -ENOMEM));
		KT_EQ(pulse_control_int(c, 0, -1), err ? 100 : 99);
		pulse_control_destroy(c);
	}
}

/* ---- readers and floods ------------------------------------------------------- */

static struct pulse_control *shared;
static bool stop;

/* Both knobs are always set to the same value. */
static void *reader(void *arg)
{
	long *n = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct pulse_config *config = pulse_control_config(shared);
		int64_t a = 0, b = 1;

		pulse_config_int(config, "a", &a);
		pulse_config_int(config, "b", &b);
		if (a != b)
			KT_FAIL("half a reload was seen: %lld %lld",
				(long long)a, (long long)b);
		pulse_config_put(config);
		__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

KT_TEST(readers_see_all_of_a_reload_or_nothing)
{
	PULSE_OPTS(pulse_knob, a, .name = "a", .type = PULSE_KNOB_INT);
	PULSE_OPTS(pulse_knob, b, .name = "b", .type = PULSE_KNOB_INT);
	long reads = 0, rounds = kt_scale(5000);
	pthread_t t[3];

	stop = false;
	KT_EQ(pulse_control_create(NULL, &shared), 0);
	pulse_control_define(shared, &a);
	pulse_control_define(shared, &b);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, reader, &reads);
	while (!__atomic_load_n(&reads, __ATOMIC_RELAXED))
		usleep(100);
	for (long i = 1; i <= rounds; i++) {
		char v[24];
		struct pulse_setting s[] = { { "a", v }, { "b", v } };

		sprintf(v, "%ld", i);
		KT_REQUIRE(!pulse_control_reload(shared, s, 2, NULL, 0));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	KT_EQ(pulse_control_int(shared, 0, -1), rounds);
	pulse_control_destroy(shared);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static int in_callback;

static int slow(const struct pulse_config *now, const struct pulse_config *next,
		char *say, size_t len, void *arg)
{
	(void)now;
	(void)next;
	(void)say;
	(void)len;
	(void)arg;
	__atomic_store_n(&in_callback, 1, __ATOMIC_RELEASE);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return 0;
}

static long taken, refused;

static void *flood(void *arg)
{
	long me = (long)(intptr_t)arg;

	for (long i = 0; i < 200; i++) {
		char line[40], r[64];
		int err;

		sprintf(line, "set size %ld", 1000 + me * 1000 + i);
		err = pulse_control_command(shared, line, r, sizeof(r));
		if (err == -EAGAIN)
			__atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
		else if (!err)
			__atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
		else
			KT_FAIL("%s", r);
	}
	return NULL;
}

/* A05: more than the bound are refused at once, and who reads is not held up. */
KT_TEST(a_flood_of_commands_is_refused_and_readers_go_on)
{
	pthread_t t[8];

	shared = make();
	taken = refused = 0;
	in_callback = 0;
	KT_CHECK(pulse_control_on_reload(shared, slow, NULL) > 0);
	pthread_mutex_lock(&gate);
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, flood, (void *)(intptr_t)i);
	while (!__atomic_load_n(&in_callback, __ATOMIC_ACQUIRE))
		usleep(100);
	/* One is stuck in its callback; to read needs none of its locks. */
	for (int i = 0; i < 1000; i++)
		KT_REQUIRE(pulse_control_int(shared, 0, -1) == 100);
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	KT_EQ(taken + refused, 1600);
	KT_EQ(stats_of(shared).busy, refused);
	pulse_control_destroy(shared);
}

KT_TEST(beyond_the_bound_a_caller_is_told_to_try_again)
{
	PULSE_OPTS(pulse_control_opts, o, .max_waiting = 1);
	PULSE_OPTS(pulse_knob, k, .name = "size", .type = PULSE_KNOB_INT);
	pthread_t t;

	in_callback = 0;
	taken = refused = 0;
	KT_EQ(pulse_control_create(&o, &shared), 0);
	pulse_control_define(shared, &k);
	pulse_control_on_reload(shared, slow, NULL);
	pthread_mutex_lock(&gate);
	pthread_create(&t, NULL, flood, NULL);
	while (!__atomic_load_n(&in_callback, __ATOMIC_ACQUIRE))
		usleep(100);
	KT_EQ(set1(shared, "size", "5"), -EAGAIN);
	KT_STREQ(why, "too many changes at once; try again");
	pthread_mutex_unlock(&gate);
	pthread_join(t, NULL);
	KT_EQ(taken, 200);
	pulse_control_destroy(shared);
}

KT_MAIN()
