// SPDX-License-Identifier: GPL-2.0-only
/*
 * pulsectl - look at the kernel module and its contexts, turn its knobs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

#define VERSION	"0.1.0"

struct sub {
	const char *name;
	int (*fn)(struct ctl *c, int argc, char **argv);
	const char *brief;
	const char *help;
};

static const struct sub subs[] = {
	{ "status", ctl_status, "is the module loaded, and what did it do",
	  "usage: pulsectl [-j] status\n"
	  "\n"
	  "Features and totals of the module. Without it, what to do; exit status 3.\n" },
	{ "ctx", ctl_ctx, "contexts, or one of them",
	  "usage: pulsectl [-j] ctx [CTX]\n"
	  "\n"
	  "A line for each context: your own, and as root everybody's. CTX is the\n"
	  "number of one.\n" },
	{ "workers", ctl_workers, "workers, all or of a context",
	  "usage: pulsectl [-j] workers [CTX]\n"
	  "\n"
	  "A line for each worker: where it is, what it does, and what it did. Times\n"
	  "are in milliseconds, in JSON in nanoseconds.\n" },
	{ "knob", ctl_knob, "list, get and set knobs",
	  "usage: pulsectl [-j] knob [--ctx CTX] list\n"
	  "       pulsectl [-j] knob [--ctx CTX] get NAME\n"
	  "       pulsectl knob [--ctx CTX] set NAME VALUE\n"
	  "\n"
	  "Knobs of the module or, with --ctx, of a context. Setting one is root's; the\n"
	  "owner of a context may write to its files in sysfs.\n" },
	{ "monitor", ctl_monitor, "events as they come",
	  "usage: pulsectl [-j] monitor [--count N]\n"
	  "\n"
	  "A line for each event: contexts and workers that come and go, deaths, hangs,\n"
	  "knobs. Ends after N events or when interrupted; says how many were lost.\n"
	  "Without CAP_NET_ADMIN those of your own contexts alone. Ids are those of the\n"
	  "initial pid namespace.\n" },
	{ "doctor", ctl_doctor, "what stands in the way of the kernel backend",
	  "usage: pulsectl [-j] [--root DIR] doctor\n"
	  "\n"
	  "A line for each check: OK, WARN or FAIL, and below it how to mend it. Exit\n"
	  "status 1 if anything failed. --root looks at files below DIR.\n" },
};

#define NR_SUBS	(sizeof(subs) / sizeof(*subs))

static void usage(FILE *to)
{
	fputs("usage: pulsectl [-j] [--root DIR] COMMAND [ARGUMENT...]\n"
	      "\n"
	      "Looks at the kernel module pulse and its contexts, and turns its knobs.\n"
	      "\n", to);
	for (size_t i = 0; i < NR_SUBS; i++)
		fprintf(to, "  %-9s %s\n", subs[i].name, subs[i].brief);
	fputs("\n"
	      "  -j, --json   JSON instead of text\n"
	      "  --root DIR   look for /proc, /sys, /dev and /lib below DIR (status, doctor)\n"
	      "  -h, --help   this, or after a command: more about it\n"
	      "  --version\n"
	      "\n"
	      "Exit status: 0 done; 1 it could not be done; 2 wrong arguments; 3 the module\n"
	      "is not loaded; 4 not allowed.\n", to);
}

int ctl_bad(const char *what, const char *value)
{
	fprintf(stderr, "pulsectl: %s%s%s%s; see pulsectl --help\n", what,
		*value ? ", not '" : "", value, *value ? "'" : "");
	return CTL_USAGE;
}

int ctl_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	unsigned long long v;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end || v < min || v > max)
		return -EINVAL;
	*out = v;
	return 0;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

static int run(struct ctl *c, int argc, char **argv)
{
	for (size_t i = 0; i < NR_SUBS; i++) {
		int ret;

		if (strcmp(subs[i].name, argv[0]))
			continue;
		if (wants_help(argc, argv)) {
			fputs(subs[i].help, stdout);
			return CTL_OK;
		}
		/* also behind the command */
		if (argc > 1 && (!strcmp(argv[argc - 1], "-j") ||
				 !strcmp(argv[argc - 1], "--json"))) {
			c->json = true;
			argc--;
		}
		ret = subs[i].fn(c, argc, argv);
		if (fflush(stdout) && !ret) {
			fprintf(stderr, "pulsectl: writing: %s\n",
				strerror(errno));
			ret = CTL_FAILED;
		}
		return ret;
	}
	return ctl_bad("COMMAND is status, ctx, workers, knob, monitor or doctor",
		       argv[0]);
}

int main(int argc, char **argv)
{
	struct ctl c = { .root = "" };
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "-j") || !strcmp(argv[i], "--json")) {
			c.json = true;
		} else if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) {
			usage(stdout);
			return CTL_OK;
		} else if (!strcmp(argv[i], "--version")) {
			puts("pulsectl (Pulse) " VERSION);
			return CTL_OK;
		} else if (!strcmp(argv[i], "--root")) {
			if (i + 1 >= argc)
				return ctl_bad("--root takes a folder", "");
			c.root = argv[++i];
		} else {
			return ctl_bad("there is no such option", argv[i]);
		}
	}
	if (i == argc) {
		usage(stderr);
		return CTL_USAGE;
	}
	return run(&c, argc - i, argv + i);
}
