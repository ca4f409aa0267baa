// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/format.c daemon/base/journal.c daemon/base/sysattr.c
// Sources: daemon/evidence/diskstats.c daemon/evidence/evidence.c daemon/evidence/swaps.c
// Sources: daemon/evidence/verdict.c daemon/plan/blockdev.c daemon/report/record.c
// Sources: daemon/report/summary.c tests/unit/quiet.c
/* The line about a backup in the log: its content, also if it would be too long. */
#include <stdio.h>
#include <string.h>

#include "../../include/uapi/hv_vss.h"
#include "base/journal.h"
#include "base/log.h"
#include "report/record.h"
#include "test.h"

static char line[2000];

void log_event(int priority, const struct journal_fields *fields, const char *fmt, ...)
{
	va_list ap;

	(void)priority;
	(void)fields;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
}

static struct record_fs *add(struct record *r, const char *path, const char *reason,
			     enum record_action action)
{
	struct record_fs *fs = record_add_fs(r, path, "ext4", "/dev/x", reason);

	assert_non_null(fs);
	fs->action = action;
	return fs;
}

static void file_systems_that_are_not_frozen_come_first(void **state)
{
	struct record r = { .op = HV_VSS_OP_FREEZE, .ok = true };

	(void)state;
	for (int i = 0; i < 100; i++)
		add(&r, "/one/of/very/many/file/systems", NULL, RECORD_FROZEN);
	add(&r, "/efi", "this type can't be frozen", RECORD_SYNCED);
	add(&r, "/ntfs", "served by a process", RECORD_SKIPPED)->unsafe = true;
	record_log(&r);
	assert_non_null(strstr(line, " /efi (ext4) synced only (this type can't be frozen)"));
	assert_non_null(strstr(line, " /ntfs (ext4) NOT FROZEN (served by a process)"));
	assert_string_equal(line + strlen(line) - 4, " ...");
	record_free(&r);
}

static void file_systems_without_details_are_counted(void **state)
{
	struct record r = { .op = HV_VSS_OP_FREEZE, .ok = true, .more = 3 };

	(void)state;
	add(&r, "/a", NULL, RECORD_FROZEN);
	record_log(&r);
	assert_non_null(strstr(line, " 3 file systems are not listed here;"));
	assert_non_null(strstr(line, " /a (ext4) sync 0 freeze 0 thaw 0 ms"));
	record_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_systems_that_are_not_frozen_come_first),
		cmocka_unit_test(file_systems_without_details_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
