// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/help.c daemon/options.c
/* Options are parsed, and wrong ones are refused before anything starts. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "test.h"

static struct options o;

static int parse(const char *line)
{
	static char buf[512];
	char *argv[24] = { "hv-vss-daemon" };
	int argc = 1;

	snprintf(buf, sizeof(buf), "%s", line);
	for (char *word = strtok(buf, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	optind = 0;
	options_free(&o);
	return options_parse(&o, argc, argv);
}

static int quiet(void **state)
{
	(void)state;
	return freopen("/dev/null", "w", stderr) ? 0 : -1;
}

static int clean_up(void **state)
{
	(void)state;
	options_free(&o);
	return 0;
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(parse(""), -1);
	assert_int_equal(o.action, ACTION_SERVE);
	assert_string_equal(o.device, "/dev/vmbus/hv_vss");
	assert_string_equal(o.run_dir, "/run/hv-vss");
	assert_int_equal(o.freezer.hold_us, 60000000);
	assert_int_equal(o.freezer.fifreeze_us, 10000000);
	assert_false(o.freezer.wait_busy);
	assert_false(o.plan.policy.strict || o.plan.own_namespace_only || o.freezer.strict);
	assert_null(o.plan.policy.include);
	assert_false(o.ignore_kernel_faults || o.no_kvp);
	assert_false(o.json || o.plan.only_luns || o.freezer.skip_foreign || o.freezer.sync_us);
	/* The kernel ends a thaw after 30 s. */
	assert_true(o.freezer.thaw_us < 30000000);
}

static void values_are_stored(void **state)
{
	(void)state;
	assert_int_equal(parse("-n -v --hold=7 --freeze-timeout 9 --device /d --run-dir=/r "
			       "--strict --this-namespace --exclude=type:vfat --exclude /mnt/* "
			       "--include=device:/dev/sd* --foreign=skip --freeze-luns "
			       "--sync-timeout=30 --fifreeze-timeout=4 --busy=wait "
			       "--unread-namespaces=fail --kernel-faults=ignore --kvp=no"), -1);
	assert_true(o.no_kvp);
	assert_true(o.ignore_kernel_faults);
	assert_int_equal(o.freezer.fifreeze_us, 4000000);
	assert_true(o.freezer.wait_busy);
	assert_false(o.plan.skip_unread);
	assert_int_equal(o.freezer.hold_us, 7000000);
	assert_int_equal(o.freezer.freeze_us, 9000000);
	assert_string_equal(o.device, "/d");
	assert_string_equal(o.run_dir, "/r");
	assert_true(o.verbose && o.freezer.strict && o.plan.policy.strict);
	assert_true(o.plan.own_namespace_only && o.plan.only_luns && o.freezer.skip_foreign);
	assert_int_equal(o.freezer.sync_us, 30000000);
	assert_string_equal(o.plan.policy.exclude[0], "type:vfat");
	assert_string_equal(o.plan.policy.exclude[1], "/mnt/*");
	assert_null(o.plan.policy.exclude[2]);
	assert_string_equal(o.plan.policy.include[0], "device:/dev/sd*");
	assert_null(o.plan.policy.include[1]);
}

static void options_of_hooks(void **state)
{
	(void)state;
	assert_int_equal(parse(""), -1);
	assert_string_equal(o.hooks.where, "/etc/hv-vss/hooks.d");
	assert_string_equal(o.hooks.run_dir, "/run/hv-vss");
	assert_int_equal(o.hooks.timeout_us, 30000000);
	assert_true(o.hooks.optional && !o.hooks.keep_going);
	assert_int_equal(parse("--hooks=/h --hook-timeout=5 --hook-failure=continue --run-dir=/r"),
			 -1);
	assert_string_equal(o.hooks.where, "/h");
	assert_string_equal(o.hooks.run_dir, "/r");
	assert_int_equal(o.hooks.timeout_us, 5000000);
	assert_true(!o.hooks.optional && o.hooks.keep_going);
	assert_int_equal(parse("--hook-failure=continue --hook-failure=fail --hooks=none"), -1);
	assert_null(o.hooks.where);
	assert_false(o.hooks.keep_going);
	assert_int_equal(parse("--hook-runner"), -1);
	assert_int_equal(o.action, ACTION_HOOK_RUNNER);
	assert_int_equal(parse("--hooks=relative"), EXIT_USAGE);
	assert_int_equal(parse("--hooks="), EXIT_USAGE);
	assert_int_equal(parse("--hook-timeout=0"), EXIT_USAGE);
	assert_int_equal(parse("--hook-failure=maybe"), EXIT_USAGE);
}

static void actions(void **state)
{
	(void)state;
	assert_int_equal(parse("--list"), -1);
	assert_int_equal(o.action, ACTION_LIST);
	assert_int_equal(parse("--list --json"), -1);
	assert_true(o.json);
	assert_int_equal(parse("--tree --list"), -1);
	assert_true(o.tree && !o.json);
	assert_int_equal(parse("--status --watch"), -1);
	assert_true(o.watch);
	assert_int_equal(parse("--json --status"), -1);
	assert_int_equal(o.action, ACTION_STATUS);
	assert_int_equal(parse("--thaw-leftovers"), -1);
	assert_int_equal(o.action, ACTION_THAW_LEFTOVERS);
	assert_int_equal(parse("--check"), -1);
	assert_int_equal(o.action, ACTION_CHECK);
	assert_int_equal(o.limits.max_us, 0);
	assert_int_equal(parse("--remove-kvp"), -1);
	assert_int_equal(o.action, ACTION_REMOVE_KVP);
	assert_int_equal(parse("--kvp-writer"), -1);
	assert_int_equal(o.action, ACTION_KVP_WRITER);
	assert_int_equal(parse("--kvp=no --kvp=yes"), -1);
	assert_false(o.no_kvp);
	assert_int_equal(parse("--guardian 42"), -1);
	assert_int_equal(o.guarded, 42);
}

static void ages_of_backups(void **state)
{
	static const char * const wrong[] = {
		"", "x", "h", "0h", "-1h", "3d,2d", "1h,", ",1h", "1h,2h,3h", "1w", "26hh", NULL
	};

	(void)state;
	assert_int_equal(parse("--check --max-age=26h"), -1);
	assert_int_equal(o.limits.max_us, 26 * 3600000000LL);
	assert_int_equal(o.limits.warn_us, 0);
	assert_int_equal(parse("--max-age=90m,3d --check"), -1);
	assert_int_equal(o.limits.warn_us, 90 * 60000000LL);
	assert_int_equal(o.limits.max_us, 3 * 86400000000LL);
	assert_int_equal(parse("--check --max-age=7"), -1);
	assert_int_equal(o.limits.max_us, 7000000);
	assert_int_equal(parse("--max-age=26h --status"), EXIT_USAGE);
	/* For monitoring a wrong option is UNKNOWN, not CRITICAL. */
	for (int i = 0; wrong[i]; i++) {
		char line[64];

		snprintf(line, sizeof(line), "--check --max-age=%s", wrong[i]);
		if (parse(line) != CHECK_UNKNOWN)
			fail_msg("'%s' was not refused", line);
	}
	assert_int_equal(parse("--list --check"), CHECK_UNKNOWN);
	assert_int_equal(parse("--check --json"), CHECK_UNKNOWN);
}

static void wrong_options_are_refused(void **state)
{
	static const char * const wrong[] = {
		"--exclude=*", "--exclude=*/x", "--include=type:", "--unread-namespaces=no",
		"--hold=0", "--hold=3601", "--hold=-1", "--hold=", "--hold=5s", "--hold",
		"--hold=99999999999999999999", "--freeze-timeout=x", "--no-such", "-x", "word",
		"--exclude=relative", "--include=colour:red", "--guardian=0", "--guardian=x",
		"--list word", "--json", "--list --status", "--thaw-leftovers --list",
		"--foreign=maybe", "--foreign", "--sync-timeout=0", "--sync-timeout=1e3",
		"--guardian=99999999999", "--guardian=3x", "--freeze-luns=1", "--busy", "--busy=no",
		"--fifreeze-timeout=0", "--kernel-faults", "--kernel-faults=no",
		"--kvp", "--kvp=", "--kvp=maybe", "--remove-kvp --list",
		"--watch", "--watch --list", "--status --json --watch",
		"--tree", "--tree --status", "--list --json --tree", NULL
	};

	(void)state;
	for (int i = 0; wrong[i]; i++)
		if (parse(wrong[i]) != EXIT_USAGE)
			fail_msg("'%s' was not refused", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(values_are_stored),
		cmocka_unit_test(options_of_hooks),
		cmocka_unit_test(actions),
		cmocka_unit_test(ages_of_backups),
		cmocka_unit_test(wrong_options_are_refused),
	};

	return cmocka_run_group_tests(tests, quiet, clean_up);
}
