// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/format.c daemon/base/nsthread.c daemon/base/procfs.c daemon/base/reason.c
// Sources: daemon/base/sysattr.c daemon/driver/guardfd.c daemon/evidence/diskstats.c
// Sources: daemon/evidence/evidence.c daemon/evidence/swaps.c daemon/evidence/verdict.c
// Sources: daemon/plan/blockdev.c daemon/plan/fstypes.c daemon/plan/journals.c
// Sources: daemon/plan/listeners.c daemon/plan/lookup.c daemon/plan/luns.c
// Sources: daemon/plan/mountinfo.c daemon/plan/mounts.c daemon/plan/mountview.c
// Sources: daemon/plan/namespaces.c daemon/plan/order.c daemon/plan/pattern.c
// Sources: daemon/plan/policy.c daemon/targets/build.c daemon/targets/covered.c
// Sources: daemon/targets/disks.c daemon/targets/fsset.c daemon/targets/openfs.c
// Sources: tests/unit/quiet.c
// Libraries: mount
/* Reasons for which making a plan fails before any file system is opened. */
#include <errno.h>
#include <string.h>

#include "targets/build.h"
#include "test.h"

static void include_that_matches_nothing_fails(void **state)
{
	char typo[] = "/no/such/mount/point", *include[2] = { typo };
	const struct build_config config = {
		.policy = { .include = include }, .own_namespace_only = true, .sysfs = "/sys",
	};
	char why[REASON_SIZE] = "";

	(void)state;
	assert_int_equal(build_dry_run(&config, why), -ENOENT);
	assert_string_equal(why, "--include=/no/such/mount/point matches no file system");
}

static void excluding_everything_fails(void **state)
{
	char all[] = "**", *exclude[2] = { all };
	const struct build_config config = {
		.policy = { .exclude = exclude }, .own_namespace_only = true, .sysfs = "/sys",
	};
	char why[REASON_SIZE] = "";

	(void)state;
	assert_int_equal(build_dry_run(&config, why), -ENODATA);
	assert_string_equal(why, "there is nothing to freeze: --include and --exclude leave no "
			    "file system");
}

static void unread_namespace_fails_unless_skipped(void **state)
{
	const struct mountview view = {
		.unread = {
			{ .pid = 11, .why = "first" },
			{ .pid = -1, .inode = 99, .why = "second" },
		},
		.unread_count = 2,
	};
	struct build_config config = { .skip_unread = true };
	char why[REASON_SIZE] = "";

	(void)state;
	assert_int_equal(build_check_unread(&config, &view, 0, why), 0);
	assert_string_equal(why, "");
	config.skip_unread = false;
	assert_int_equal(build_check_unread(&config, &view, 2, why), 0);
	assert_int_equal(build_check_unread(&config, &view, 1, why), -E2BIG);
	assert_string_equal(why, "the mount namespace mnt:[99]: second, and "
			    "--unread-namespaces=fail is set");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(include_that_matches_nothing_fails),
		cmocka_unit_test(excluding_everything_fails),
		cmocka_unit_test(unread_namespace_fails_unless_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
