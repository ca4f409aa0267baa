// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/format.c daemon/base/reason.c daemon/base/sysattr.c
// Sources: daemon/blockers/culprit.c daemon/driver/guardfd.c daemon/evidence/diskstats.c
// Sources: daemon/evidence/evidence.c daemon/evidence/swaps.c daemon/evidence/verdict.c
// Sources: daemon/freeze/abandoned.c daemon/freeze/blockers.c daemon/freeze/deadlines.c
// Sources: daemon/freeze/freezer.c daemon/freeze/freezing.c daemon/freeze/fsjob.c
// Sources: daemon/freeze/phases.c daemon/freeze/planning.c daemon/freeze/syncing.c
// Sources: daemon/freeze/thawing.c daemon/freeze/verifying.c daemon/freeze/writeback.c
// Sources: daemon/plan/blockdev.c daemon/plan/fstypes.c daemon/plan/journals.c
// Sources: daemon/plan/lookup.c daemon/plan/luns.c daemon/plan/mountinfo.c daemon/plan/mounts.c
// Sources: daemon/plan/order.c daemon/plan/pattern.c daemon/plan/policy.c daemon/report/record.c
// Sources: daemon/targets/build.c daemon/targets/disks.c daemon/targets/fsset.c
// Sources: daemon/targets/recheck.c tests/unit/machine.c tests/unit/quiet.c
// Libraries: mount dl
/* File systems that a backup skips are in its record, with the reason. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "report/record.h"
#include "test.h"

static const struct fsset_skip *find(const struct fsset *set, const char *path)
{
	for (size_t i = 0; i < set->skips; i++)
		if (!strcmp(set->skip[i].path, path))
			return &set->skip[i];
	return NULL;
}

static void optional_file_system_that_cannot_be_opened_is_skipped(void **state)
{
	struct build_config config = { .sysfs = machine_sysfs, .skip_unread = true };
	struct fsset *set = calloc(1, sizeof(*set));
	const struct fsset_skip *skip;

	(void)state;
	machine_reset();
	machine.closed_minor = 3;
	set->ops = &machine_ops;
	assert_int_equal(build_fsset(&config, set), 0);
	skip = find(set, "/boot/efi");
	assert_non_null(skip);
	assert_true(skip->unsafe);
	assert_string_equal(skip->reason, "it cannot be opened, and is not synced either");
	fsset_free(set);
	assert_int_equal(machine.open, 0);
}

/* A file system that can be frozen is never skipped in this way. */
static void other_file_system_that_cannot_be_opened_fails_the_plan(void **state)
{
	struct build_config config = { .sysfs = machine_sysfs, .skip_unread = true };
	struct fsset *set = calloc(1, sizeof(*set));

	(void)state;
	machine_reset();
	machine.closed_minor = 9;
	set->ops = &machine_ops;
	assert_int_equal(build_fsset(&config, set), -EACCES);
	assert_string_equal(set->why, "/b: cannot be opened: Permission denied (ext4, 8:9)");
	fsset_free(set);
	assert_int_equal(machine.open, 0);
}

static int setup(void **state)
{
	(void)state;
	return machine_setup();
}

static int teardown(void **state)
{
	(void)state;
	return machine_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(optional_file_system_that_cannot_be_opened_is_skipped),
		cmocka_unit_test(other_file_system_that_cannot_be_opened_fails_the_plan),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
