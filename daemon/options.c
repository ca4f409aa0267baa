// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../include/uapi/hv_vss.h"
#include "array.h"
#include "options.h"

#ifndef HV_VSS_VERSION
#define HV_VSS_VERSION "unknown"
#endif

#define SECOND		1000000LL	/* in us */

enum {
	OPT_DEVICE = 256,
	OPT_EXCLUDE,
	OPT_EXIT_IF_ABSENT,
	OPT_FREEZE_TIMEOUT,
	OPT_GUARDIAN,
	OPT_HOLD,
	OPT_INCLUDE,
	OPT_RUN_DIR,
	OPT_STRICT,
	OPT_THAW_LEFTOVERS,
	OPT_THIS_NAMESPACE,
};

static const struct option long_options[] = {
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "exclude", required_argument, NULL, OPT_EXCLUDE },
	{ "exit-if-absent", no_argument, NULL, OPT_EXIT_IF_ABSENT },
	{ "foreground", no_argument, NULL, 'n' },
	{ "freeze-timeout", required_argument, NULL, OPT_FREEZE_TIMEOUT },
	{ "guardian", required_argument, NULL, OPT_GUARDIAN },
	{ "help", no_argument, NULL, 'h' },
	{ "hold", required_argument, NULL, OPT_HOLD },
	{ "include", required_argument, NULL, OPT_INCLUDE },
	{ "list", no_argument, NULL, 'l' },
	{ "no-daemon", no_argument, NULL, 'n' },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "thaw-leftovers", no_argument, NULL, OPT_THAW_LEFTOVERS },
	{ "this-namespace", no_argument, NULL, OPT_THIS_NAMESPACE },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 }
};

static const char help[] =
"usage: hv-vss-daemon [OPTION]...\n"
"Freeze and thaw the file systems of this guest when the Hyper-V host backs it up.\n"
"\n"
"  -l, --list             print what would be frozen, in which order, and why not\n"
"                         the rest; freeze nothing\n"
"      --thaw-leftovers   thaw what a killed daemon has left frozen, and exit\n"
"\n"
"      --include=PATTERN  freeze only what matches (may be given several times)\n"
"      --exclude=PATTERN  don't freeze what matches (may be given several times);\n"
"                         PATTERN is a shell pattern for a mount point, or\n"
"                         type:PATTERN, or device:PATTERN\n"
"      --this-namespace   leave file systems alone that are mounted only in other\n"
"                         mount namespaces (containers)\n"
"      --strict           fail if a file system can't be frozen (vfat, ...), instead\n"
"                         of only writing it out\n"
"      --hold=SECONDS     thaw if the host has not asked for it after this time, or if\n"
"                         freezing alone takes that long (default 60)\n"
"      --freeze-timeout=SECONDS\n"
"                         give up if not frozen after this time (default 600)\n"
"\n"
"      --device=PATH      default /dev/" HV_VSS_DEVICE "\n"
"      --exit-if-absent   exit if the device isn't there, instead of waiting for it\n"
"      --run-dir=PATH     where to keep notes, default /run/hv-vss\n"
"  -n, --foreground       accepted and ignored: that is what it always does\n"
"  -v, --verbose          log details\n"
"  -V, --version          print the version\n"
"  -h, --help             print this text\n";

static int parse_seconds(const char *name, const char *text, int64_t *us)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < 1 || value > 3600) {
		fprintf(stderr, "hv-vss-daemon: --%s=%s: not a number of seconds from 1 to 3600\n",
			name, text);
		return EXIT_USAGE;
	}
	*us = value * SECOND;
	return 0;
}

/* Patterns point into argv. */
static int add_pattern(char ***list, const char *name, char *text)
{
	size_t n = 0;
	char **more;

	if (text[0] != '/' && text[0] != '*' && strncmp(text, "type:", 5) != 0 &&
	    strncmp(text, "device:", 7) != 0) {
		fprintf(stderr, "hv-vss-daemon: --%s=%s: neither a path nor type:... nor "
			"device:...\n", name, text);
		return EXIT_USAGE;
	}
	while (*list && (*list)[n])
		n++;
	more = array_resize(*list, n + 2, sizeof(**list));
	if (!more)
		return EXIT_FAILURE;
	more[n] = text;
	more[n + 1] = NULL;
	*list = more;
	return 0;
}

static int apply(struct options *o, int opt)
{
	switch (opt) {
	case OPT_DEVICE:
		o->device = optarg;
		return 0;
	case OPT_EXCLUDE:
		return add_pattern(&o->plan.policy.exclude, "exclude", optarg);
	case OPT_INCLUDE:
		return add_pattern(&o->plan.policy.include, "include", optarg);
	case OPT_EXIT_IF_ABSENT:
		o->exit_if_absent = true;
		return 0;
	case OPT_FREEZE_TIMEOUT:
		return parse_seconds("freeze-timeout", optarg, &o->freezer.freeze_us);
	case OPT_GUARDIAN:
		o->action = ACTION_GUARDIAN;
		o->guarded = atoi(optarg);
		return o->guarded > 0 ? 0 : EXIT_USAGE;
	case OPT_HOLD:
		return parse_seconds("hold", optarg, &o->freezer.hold_us);
	case OPT_RUN_DIR:
		o->run_dir = optarg;
		return 0;
	case OPT_STRICT:
		o->plan.policy.strict = true;
		o->freezer.strict = true;
		return 0;
	case OPT_THIS_NAMESPACE:
		o->plan.own_namespace_only = true;
		return 0;
	case OPT_THAW_LEFTOVERS:
		o->action = ACTION_THAW_LEFTOVERS;
		return 0;
	case 'l':
		o->action = ACTION_LIST;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case 'n':
		return 0;
	default:
		fputs("Try 'hv-vss-daemon --help'.\n", stderr);
		return EXIT_USAGE;
	}
}

/**
 * options_parse() - read the command line
 * @o: filled in, with the defaults for what is not given
 * @argc: of main()
 * @argv: of main(); must outlive @o
 * Return: -1 to go on; or the code to exit with, everything said.
 */
int options_parse(struct options *o, int argc, char **argv)
{
	int opt, ret = 0;

	*o = (struct options){
		.device = "/dev/" HV_VSS_DEVICE,
		.run_dir = "/run/hv-vss",
		.plan = { .sysfs = "/sys" },
		.freezer = {
			.check_us = 20 * SECOND,	/* the kernel waits 30 s for a check ... */
			.freeze_us = 600 * SECOND,	/* ... 15 min for a freeze ... */
			.hold_us = 60 * SECOND,
			.thaw_us = 20 * SECOND,		/* ... and 30 s for a thaw. */
			.patience_us = SECOND,
		},
	};
	while (!ret && (opt = getopt_long(argc, argv, "hlnvV", long_options, NULL)) != -1) {
		if (opt == 'h' || opt == 'V') {
			fputs(opt == 'h' ? help : "hv-vss-daemon " HV_VSS_VERSION "\n", stdout);
			return EXIT_SUCCESS;
		}
		ret = apply(o, opt);
	}
	if (!ret && optind < argc) {
		fprintf(stderr, "hv-vss-daemon: %s: not an option\n", argv[optind]);
		ret = EXIT_USAGE;
	}
	return ret ? ret : -1;
}

/**
 * options_free() - free what options_parse() has allocated
 * @o: the options
 */
void options_free(struct options *o)
{
	free(o->plan.policy.include);
	free(o->plan.policy.exclude);
}
