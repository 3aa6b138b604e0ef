// SPDX-License-Identifier: GPL-2.0-only
/*
 * L03: the n-th allocation or user copy of a load fails, for each n, with each
 * state source. The load says so, nothing of the module is left anywhere, and
 * the next load succeeds.
 *
 * The kernel's own part that comes before the module's is left out: its tracing
 * warns when it has no memory for the fields of a module's events.
 */
#include "fail.h"
#include "module.h"
#include "nl.h"

#define WAY_BACK	20

static struct nl n;

static int open_family(void)
{
	int ret = nl_open(&n);

	nl_close(&n);
	return ret;
}

static bool file_names(const char *path, const char *what)
{
	char line[256];
	bool found = false;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		found |= strstr(line, what) != NULL;
	if (f)
		fclose(f);
	return found;
}

/* What a user can see of it, and what the kernel keeps lists of. */
static void nothing_is_left(int point)
{
	KT_CHECKF(!anything_left(), "after failure %d", point);
	KT_CHECKF(!file_names("/proc/misc", " pulse\n"), "after failure %d", point);
	KT_CHECKF(!file_names("/sys/devices/system/cpu/hotplug/states", "pulse"),
		  "after failure %d", point);
	KT_CHECKF(!file_names("/proc/modules", "pulse "), "after failure %d", point);
	if (point % 3 == 0)
		KT_CHECKF(open_family() == -ENOENT, "after failure %d", point);
}

/*
 * How much could have failed until the module itself begins. It looks at its
 * parameters first; the way back from there counts a few more.
 */
static int points_before_module(void)
{
	int many = 1000000, left;

	fail_at(many);
	KT_EQ(load("max_contexts_per_user=0"), -ERANGE);
	left = fail_left();
	fail_at(0);
	return nth < 0 || many - left < WAY_BACK ? 0 : many - left - WAY_BACK;
}

static void sweep_load(const char *parameters)
{
	int first, point, refused = 0, spared = 0;
	/* on slow machines one in a few, another one each time */
	int step = 5 / (int)kt_scale(5) ? 5 / (int)kt_scale(5) : 1;

	NEED_MODULE_FILE();
	KT_EQ(read_module(), 0);
	KT_EQ(unload_soon(), 0);
	fail_nth_open();
	first = points_before_module();
	first += getpid() % step;
	kt_note("from failure %d on, each %d.", first + 1, step);
	for (point = first + 1; point < first + 20000; point += step) {
		int ret;

		failed = false;
		fail_at(point);
		failing = true;
		ret = load(parameters);
		stop_failing();
		if (ret == 0) {
			/* nothing failed, or nothing that the load hangs on */
			KT_EQ(unload_soon(), 0);
			spared++;
			if (!failed)
				break;
		} else {
			KT_CHECKF(failed, "failure %d was not met: %d", point, ret);
			refused++;
		}
		nothing_is_left(point);
		if (kt_failed)
			break;		/* the next would say the same */
	}
	fail_nth_close();
	kt_note("failures %d to %d: %d loads were refused, %d went well", first + 1,
		point, refused, spared);
	KT_CHECK(spared > 0);
	KT_CHECK(refused > 5 || point <= step + 1);
	KT_EQ(load(""), 0);
	KT_EQ(open_family(), 0);
}

KT_TEST(a_load_that_fails_anywhere_leaves_nothing)
{
	sweep_load("");
}

KT_TEST(nor_does_one_whose_switches_are_told_by_tracepoints)
{
	sweep_load("state_source=tracepoint");
}

int main(int argc, char **argv)
{
	return kt_main_loading(argc, argv);
}
