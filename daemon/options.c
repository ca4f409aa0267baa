// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <limits.h>
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
	OPT_FOREIGN,
	OPT_FREEZE_LUNS,
	OPT_FREEZE_TIMEOUT,
	OPT_GUARDIAN,
	OPT_HOLD,
	OPT_HOOKS,
	OPT_HOOK_FAILURE,
	OPT_HOOK_RUNNER,
	OPT_HOOK_TIMEOUT,
	OPT_INCLUDE,
	OPT_JSON,
	OPT_RUN_DIR,
	OPT_STATUS,
	OPT_STRICT,
	OPT_SYNC_TIMEOUT,
	OPT_THAW_LEFTOVERS,
	OPT_THIS_NAMESPACE,
};

static const struct option long_options[] = {
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "exclude", required_argument, NULL, OPT_EXCLUDE },
	{ "exit-if-absent", no_argument, NULL, OPT_EXIT_IF_ABSENT },
	{ "foreign", required_argument, NULL, OPT_FOREIGN },
	{ "foreground", no_argument, NULL, 'n' },
	{ "freeze-luns", no_argument, NULL, OPT_FREEZE_LUNS },
	{ "freeze-timeout", required_argument, NULL, OPT_FREEZE_TIMEOUT },
	{ "guardian", required_argument, NULL, OPT_GUARDIAN },
	{ "help", no_argument, NULL, 'h' },
	{ "hold", required_argument, NULL, OPT_HOLD },
	{ "hook-failure", required_argument, NULL, OPT_HOOK_FAILURE },
	{ "hook-runner", no_argument, NULL, OPT_HOOK_RUNNER },
	{ "hook-timeout", required_argument, NULL, OPT_HOOK_TIMEOUT },
	{ "hooks", required_argument, NULL, OPT_HOOKS },
	{ "include", required_argument, NULL, OPT_INCLUDE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "list", no_argument, NULL, 'l' },
	{ "no-daemon", no_argument, NULL, 'n' },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "status", no_argument, NULL, OPT_STATUS },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "sync-timeout", required_argument, NULL, OPT_SYNC_TIMEOUT },
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
"      --status           print what the daemon does, and how the last backups went;\n"
"                         exit with 0: running, 1: the last backup has failed,\n"
"                         3: not running, 4: not known\n"
"      --json             with --list or --status: as JSON\n"
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
"      --foreign=POLICY   a file system that somebody else has frozen makes the backup\n"
"                         fail (the default), or is left as it is: skip\n"
"      --freeze-luns      freeze only what is on the disks that the host names; fail if\n"
"                         they can't be told\n"
"      --hold=SECONDS     thaw if the host has not asked for it after this time, or if\n"
"                         freezing alone takes that long (default 60)\n"
"      --freeze-timeout=SECONDS\n"
"                         give up if not frozen after this time (default 600)\n"
"      --sync-timeout=SECONDS\n"
"                         give up if not written out before the freeze after this time\n"
"                         (default: as long as --freeze-timeout)\n"
"\n"
"      --hooks=PATH       directory of programs that are called with \"freeze\" before\n"
"                         the file systems are frozen and with \"thaw\" afterwards, or\n"
"                         one program, or none (default " HOOKS_DIR ")\n"
"      --hook-timeout=SECONDS\n"
"                         kill a hook that takes longer (default 30)\n"
"      --hook-failure=POLICY\n"
"                         a hook that fails makes the backup fail (the default), or\n"
"                         is only logged: continue\n"
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

static int parse_foreign(const char *text, bool *skip)
{
	*skip = !strcmp(text, "skip");
	if (*skip || !strcmp(text, "fail"))
		return 0;
	fprintf(stderr, "hv-vss-daemon: --foreign=%s: neither fail nor skip\n", text);
	return EXIT_USAGE;
}

static int parse_hooks(struct hooks_config *hooks, const char *text)
{
	if (strcmp(text, "none") && (text[0] != '/' || strlen(text) >= PATH_MAX)) {
		fprintf(stderr, "hv-vss-daemon: --hooks=%s: neither an absolute path nor none\n",
			text);
		return EXIT_USAGE;
	}
	hooks->where = strcmp(text, "none") ? text : NULL;
	hooks->optional = false;
	return 0;
}

static int parse_hook_failure(struct hooks_config *hooks, const char *text)
{
	hooks->keep_going = !strcmp(text, "continue");
	if (hooks->keep_going || !strcmp(text, "fail"))
		return 0;
	fprintf(stderr, "hv-vss-daemon: --hook-failure=%s: neither fail nor continue\n", text);
	return EXIT_USAGE;
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

static int set_action(struct options *o, enum options_action action)
{
	if (o->action != ACTION_SERVE && o->action != action) {
		fputs("hv-vss-daemon: only one of --list, --status and --thaw-leftovers\n", stderr);
		return EXIT_USAGE;
	}
	o->action = action;
	return 0;
}

static int set_guarded(struct options *o, const char *text)
{
	char *end;
	long pid;

	errno = 0;
	pid = strtol(text, &end, 10);
	if (errno || *end || pid < 1 || pid > INT_MAX) {
		fprintf(stderr, "hv-vss-daemon: --guardian=%s: not a process\n", text);
		return EXIT_USAGE;
	}
	o->guarded = pid;
	return set_action(o, ACTION_GUARDIAN);
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
	case OPT_FOREIGN:
		return parse_foreign(optarg, &o->freezer.skip_foreign);
	case OPT_FREEZE_LUNS:
		o->plan.only_luns = true;
		return 0;
	case OPT_FREEZE_TIMEOUT:
		return parse_seconds("freeze-timeout", optarg, &o->freezer.freeze_us);
	case OPT_GUARDIAN:
		return set_guarded(o, optarg);
	case OPT_HOLD:
		return parse_seconds("hold", optarg, &o->freezer.hold_us);
	case OPT_HOOKS:
		return parse_hooks(&o->hooks, optarg);
	case OPT_HOOK_FAILURE:
		return parse_hook_failure(&o->hooks, optarg);
	case OPT_HOOK_RUNNER:
		return set_action(o, ACTION_HOOK_RUNNER);
	case OPT_HOOK_TIMEOUT:
		return parse_seconds("hook-timeout", optarg, &o->hooks.timeout_us);
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_RUN_DIR:
		o->run_dir = optarg;
		return 0;
	case OPT_STATUS:
		return set_action(o, ACTION_STATUS);
	case OPT_STRICT:
		o->plan.policy.strict = true;
		o->freezer.strict = true;
		return 0;
	case OPT_SYNC_TIMEOUT:
		return parse_seconds("sync-timeout", optarg, &o->freezer.sync_us);
	case OPT_THIS_NAMESPACE:
		o->plan.own_namespace_only = true;
		return 0;
	case OPT_THAW_LEFTOVERS:
		return set_action(o, ACTION_THAW_LEFTOVERS);
	case 'l':
		return set_action(o, ACTION_LIST);
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
			.freeze_us = 600 * SECOND,	/* the kernel waits 15 min for it ... */
			.hold_us = 60 * SECOND,
			.thaw_us = 20 * SECOND,		/* ... and 30 s for a thaw. */
			.patience_us = SECOND,
		},
		.hooks = { .where = HOOKS_DIR, .optional = true, .timeout_us = 30 * SECOND },
	};
	while (!ret && (opt = getopt_long(argc, argv, "hlnvV", long_options, NULL)) != -1) {
		if (opt == 'h' || opt == 'V') {
			fputs(opt == 'h' ? help : "hv-vss-daemon " HV_VSS_VERSION "\n", stdout);
			return EXIT_SUCCESS;
		}
		ret = apply(o, opt);
	}
	if (!ret && o->json && o->action != ACTION_LIST && o->action != ACTION_STATUS) {
		fputs("hv-vss-daemon: --json goes with --list or --status\n", stderr);
		ret = EXIT_USAGE;
	}
	o->hooks.run_dir = o->run_dir;
	o->hooks.verbose = o->verbose;
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
