// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "help.h"
#include "hv_vss.h"
#include "options.h"

#ifndef HV_VSS_VERSION
#define HV_VSS_VERSION "unknown"
#endif

enum {
	OPT_BUSY = 256,
	OPT_CHECK,
	OPT_DEAD,
	OPT_DEVICE,
	OPT_EXCLUDE,
	OPT_EXIT_IF_ABSENT,
	OPT_FIFREEZE_TIMEOUT,
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
	OPT_KERNEL_FAULTS,
	OPT_KVP,
	OPT_KVP_WRITER,
	OPT_MAX_AGE,
	OPT_REMOVE_KVP,
	OPT_RUN_DIR,
	OPT_STATUS,
	OPT_STRICT,
	OPT_SYNC_TIMEOUT,
	OPT_THAW_LEFTOVERS,
	OPT_THIS_NAMESPACE,
	OPT_TREE,
	OPT_UNREAD_NAMESPACES,
	OPT_WATCH,
};

static const struct option long_options[] = {
	{ "busy", required_argument, NULL, OPT_BUSY },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "dead", required_argument, NULL, OPT_DEAD },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "exclude", required_argument, NULL, OPT_EXCLUDE },
	{ "exit-if-absent", no_argument, NULL, OPT_EXIT_IF_ABSENT },
	{ "fifreeze-timeout", required_argument, NULL, OPT_FIFREEZE_TIMEOUT },
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
	{ "kernel-faults", required_argument, NULL, OPT_KERNEL_FAULTS },
	{ "kvp", required_argument, NULL, OPT_KVP },
	{ "kvp-writer", no_argument, NULL, OPT_KVP_WRITER },
	{ "list", no_argument, NULL, 'l' },
	{ "max-age", required_argument, NULL, OPT_MAX_AGE },
	{ "no-daemon", no_argument, NULL, 'n' },
	{ "remove-kvp", no_argument, NULL, OPT_REMOVE_KVP },
	{ "run-dir", required_argument, NULL, OPT_RUN_DIR },
	{ "status", no_argument, NULL, OPT_STATUS },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "sync-timeout", required_argument, NULL, OPT_SYNC_TIMEOUT },
	{ "thaw-leftovers", no_argument, NULL, OPT_THAW_LEFTOVERS },
	{ "this-namespace", no_argument, NULL, OPT_THIS_NAMESPACE },
	{ "tree", no_argument, NULL, OPT_TREE },
	{ "unread-namespaces", required_argument, NULL, OPT_UNREAD_NAMESPACES },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "watch", no_argument, NULL, OPT_WATCH },
	{ 0 }
};

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

/* Parses one age, and sets @end behind it; 0 if it is invalid. */
static int64_t parse_age(const char *text, char **end)
{
	static const char units[] = "smhd";
	static const int seconds[] = { 1, 60, 3600, 86400 };
	const char *unit;
	long value;

	errno = 0;
	value = strtol(text, end, 10);
	if (errno || *end == text || value < 1 || value > 1000000)
		return 0;
	unit = **end ? strchr(units, **end) : NULL;
	if (!unit)
		return value * SECOND;
	(*end)++;
	return value * seconds[unit - units] * SECOND;
}

/* "26h", or "26h,2d": then the first one is for the warning. */
static int parse_max_age(struct status_limits *limits, const char *text)
{
	char *end;

	limits->warn_us = 0;
	limits->max_us = parse_age(text, &end);
	if (limits->max_us && *end == ',') {
		limits->warn_us = limits->max_us;
		limits->max_us = parse_age(end + 1, &end);
	}
	if (limits->max_us && !*end && limits->warn_us <= limits->max_us)
		return 0;
	fprintf(stderr, "hv-vss-daemon: --max-age=%s: neither a time like 90m, 26h or 3d nor two "
		"of them, the shorter one first\n", text);
	return EXIT_USAGE;
}

/* "fail" or "skip". */
static int parse_policy(const char *name, const char *text, bool *skip)
{
	*skip = !strcmp(text, "skip");
	if (*skip || !strcmp(text, "fail"))
		return 0;
	fprintf(stderr, "hv-vss-daemon: --%s=%s: neither fail nor skip\n", name, text);
	return EXIT_USAGE;
}

static int parse_busy(const char *text, bool *wait)
{
	*wait = !strcmp(text, "wait");
	if (*wait || !strcmp(text, "fail"))
		return 0;
	fprintf(stderr, "hv-vss-daemon: --busy=%s: neither fail nor wait\n", text);
	return EXIT_USAGE;
}

static int parse_kernel_faults(const char *text, bool *hush)
{
	*hush = !strcmp(text, "ignore");
	if (*hush || !strcmp(text, "warn"))
		return 0;
	fprintf(stderr, "hv-vss-daemon: --kernel-faults=%s: neither warn nor ignore\n", text);
	return EXIT_USAGE;
}

static int parse_kvp(const char *text, bool *off)
{
	*off = !strcmp(text, "no");
	if (*off || !strcmp(text, "yes"))
		return 0;
	fprintf(stderr, "hv-vss-daemon: --kvp=%s: neither yes nor no\n", text);
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

static bool is_pattern(const char *text)
{
	if (!strncmp(text, "type:", 5))
		return text[5];
	if (!strncmp(text, "device:", 7))
		return text[7];
	return text[0] == '/' || !strcmp(text, "**") || !strncmp(text, "**/", 3);
}

/* Patterns point into argv. */
static int add_pattern(char ***list, const char *name, char *text)
{
	size_t n = 0;
	char **more;

	if (!is_pattern(text)) {
		fprintf(stderr, "hv-vss-daemon: --%s=%s: neither a path nor type:... nor "
			"device:...%s\n", name, text,
			text[0] == '*' ? " (* does not match a /, ** does)" : "");
		return EXIT_USAGE;
	}
	while (*list && (*list)[n])
		n++;
	more = array_resize(*list, n + 2, sizeof(**list));
	if (!more) {
		fputs("hv-vss-daemon: out of memory\n", stderr);
		return EXIT_FAILURE;
	}
	more[n] = text;
	more[n + 1] = NULL;
	*list = more;
	return 0;
}

static int set_action(struct options *o, enum options_action action)
{
	if (o->action != ACTION_SERVE && o->action != action) {
		fputs("hv-vss-daemon: only one of --list, --status, --check, --remove-kvp and "
		      "--thaw-leftovers\n", stderr);
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
	case OPT_BUSY:
		return parse_busy(optarg, &o->freezer.wait_busy);
	case OPT_CHECK:
		return set_action(o, ACTION_CHECK);
	case OPT_DEAD:
		o->plan.skip_dead = !strcmp(optarg, "skip");
		return parse_policy("dead", optarg, &o->freezer.skip_dead);
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
	case OPT_FIFREEZE_TIMEOUT:
		return parse_seconds("fifreeze-timeout", optarg, &o->freezer.fifreeze_us);
	case OPT_FOREIGN:
		return parse_policy("foreign", optarg, &o->freezer.skip_foreign);
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
	case OPT_KERNEL_FAULTS:
		return parse_kernel_faults(optarg, &o->ignore_kernel_faults);
	case OPT_KVP:
		return parse_kvp(optarg, &o->no_kvp);
	case OPT_KVP_WRITER:
		return set_action(o, ACTION_KVP_WRITER);
	case OPT_MAX_AGE:
		return parse_max_age(&o->limits, optarg);
	case OPT_REMOVE_KVP:
		return set_action(o, ACTION_REMOVE_KVP);
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
	case OPT_TREE:
		o->tree = true;
		return 0;
	case OPT_UNREAD_NAMESPACES:
		return parse_policy("unread-namespaces", optarg, &o->plan.skip_unread);
	case OPT_THAW_LEFTOVERS:
		return set_action(o, ACTION_THAW_LEFTOVERS);
	case OPT_WATCH:
		o->watch = true;
		return 0;
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

/* @argument: the first argument that is not an option, or NULL */
static int check_combination(const struct options *o, const char *argument)
{
	if (argument)
		fprintf(stderr, "hv-vss-daemon: %s: not an option\n", argument);
	else if (o->json && o->action != ACTION_LIST && o->action != ACTION_STATUS)
		fputs("hv-vss-daemon: --json needs --list or --status\n", stderr);
	else if (o->tree && (o->action != ACTION_LIST || o->json))
		fputs("hv-vss-daemon: --tree needs --list, without --json\n", stderr);
	else if (o->watch && (o->action != ACTION_STATUS || o->json))
		fputs("hv-vss-daemon: --watch needs --status, without --json\n", stderr);
	else if (o->limits.max_us && o->action != ACTION_CHECK)
		fputs("hv-vss-daemon: --max-age needs --check\n", stderr);
	else
		return 0;
	return EXIT_USAGE;
}

static bool for_monitoring(char **argv)
{
	while (*argv)
		if (!strcmp(*argv++, "--check"))
			return true;
	return false;
}

/**
 * options_parse() - read the command line
 * @o: filled in, with defaults for options that are not given
 * @argc: of main()
 * @argv: of main(); must stay valid longer than @o
 * Return: -1 to go on; or the exit code: errors are printed already.
 */
int options_parse(struct options *o, int argc, char **argv)
{
	int opt, ret = 0;

	*o = (struct options){
		.device = "/dev/" HV_VSS_DEVICE,
		.run_dir = "/run/hv-vss",
		.plan = { .sysfs = "/sys", .skip_unread = true },
		.freezer = {
			.freeze_us = 600 * SECOND,	/* the kernel waits 15 min for the answer */
			.fifreeze_us = 10 * SECOND,	/* all is synced before */
			.hold_us = 60 * SECOND,
			.thaw_us = 20 * SECOND,		/* the kernel waits 30 s for the answer */
			.patience_us = SECOND,
		},
		.hooks = { .where = HOOKS_DIR, .optional = true, .timeout_us = 30 * SECOND },
	};
	while (!ret && (opt = getopt_long(argc, argv, "hlnvV", long_options, NULL)) != -1) {
		if (opt == 'h' || opt == 'V') {
			fputs(opt == 'h' ? help_text :
			      "hv-vss-daemon " HV_VSS_VERSION "\n", stdout);
			return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		}
		ret = apply(o, opt);
	}
	o->hooks.run_dir = o->run_dir;
	o->hooks.verbose = o->verbose;
	if (!ret)
		ret = check_combination(o, argv[optind]);
	/* For monitoring exit code 2 would mean "critical". */
	if (ret == EXIT_USAGE && for_monitoring(argv))
		ret = CHECK_UNKNOWN;
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
