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
// Sources: daemon/plan/order.c daemon/plan/pattern.c daemon/plan/policy.c
// Sources: daemon/report/history.c daemon/report/kvline.c daemon/report/record.c
// Sources: daemon/targets/build.c daemon/targets/disks.c daemon/targets/fsset.c
// Sources: daemon/targets/recheck.c tests/unit/machine.c tests/unit/nomem.c tests/unit/quiet.c
// Libraries: mount dl
/*
 * Memory runs out during a plan, a backup, or its record. Nothing may crash, leak or stay frozen,
 * and an incomplete result must not be reported as a success.
 */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "freeze/freezer.h"
#include "report/history.h"
#include "targets/build.h"
#include "targets/recheck.h"
#include "nomem.h"
#include "machine.h"
#include "test.h"

#define TEXT	8192

static char complete[TEXT];	/* the result with enough memory */
static char text[TEXT];
static int err;

static void add_text(const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	va_end(ap);
	assert_true(strlen(text) < sizeof(text) - 1);
}

/* The result is complete, or there is an error. */
static void check_text(bool failed)
{
	if (!failed)
		strcpy(complete, text);
	if (err)
		assert_true(failed && err == -ENOMEM);
	else
		assert_string_equal(text, complete);
	text[0] = '\0';
}

/* A plan */

static const char *table;
static bool old_libmount;
static struct mounts plan;

static void describe(const struct mounts_fs *fs)
{
	add_text("%u:%u %s %s %d %s %s mounts %zu%s%s%s:", major(fs->dev), minor(fs->dev),
		 fs->type, fs->source, fs->action, mounts_fs_path(fs), fs->reason, fs->mounts,
		 fs->disks_only ? " hardware" : "", fs->beside ? " beside" : "",
		 fs->journal_unknown ? " log?" : "");
	for (size_t i = 0; i < fs->backings; i++)
		add_text(" on %zu", fs->backing[i]);
	for (size_t i = 0; i < fs->journals; i++)
		add_text(" log %u:%u", major(fs->journal[i]), minor(fs->journal[i]));
	add_text("\n");
}

static void make_plan(void)
{
	char data[] = "/data/**", *exclude[] = { data, NULL };
	const struct mounts_policy policy = { .exclude = exclude };
	struct mounts_other other = { .pid = 4711, .ns = -1 };
	FILE *own = machine_table(table), *foreign = machine_table(machine_others);

	plan = (struct mounts){ .proc = machine_proc };
	err = own && foreign ? 0 : -ENOMEM;
	machine_libmount(old_libmount);
	if (!err)
		err = mounts_add_table(&plan, own, "table");
	machine_libmount(false);
	if (!err)
		err = mounts_add_other(&plan, fileno(foreign), &other);
	if (!err)
		err = mounts_plan(&plan, &policy, machine_sysfs);
	if (own)
		fclose(own);
	if (foreign)
		fclose(foreign);
}

static void check_plan(bool failed)
{
	for (size_t i = 0; i < plan.n && !err; i++)
		describe(&plan.fs[plan.order[i]]);
	mounts_free(&plan);
	check_text(failed);
}

static void plan_is_complete_or_fails(void **state)
{
	(void)state;
	table = machine_own;
	for (int old = 0; old <= 1; old++) {
		const struct nomem_scenario s = {
			.name = old ? "plan, old libmount" : "plan",
			.act = make_plan, .check = check_plan,
		};

		old_libmount = old;
		nomem_sweep(&s);
		assert_non_null(strstr(complete, " on "));
		assert_non_null(strstr(complete, "hardware beside"));
		assert_non_null(strstr(complete, " log 8:32"));
	}
	old_libmount = false;
}

/* A backup */

static struct freezer freezer;
static struct guard *guard;
static struct record record;
static struct history kept, read_back;
static enum freezer_event event[4];
static unsigned int events;
static uint64_t all_frozen;	/* the frozen file systems with enough memory */
static bool was_frozen;		/* FREEZE was answered with success */
static int saved, loaded;

static void on_report(void *ctx, enum freezer_event what)
{
	(void)ctx;
	assert_true(events < 4);
	event[events++] = what;
}

static void on_record(void *ctx, const struct freezer *f)
{
	(void)ctx;
	record_fill(&record, f);
}

static void run_until_idle_or_frozen(void)
{
	for (int i = 0; i < 1000; i++) {
		machine_work(&freezer);
		if (freezer.state == FREEZER_IDLE || freezer.state == FREEZER_FROZEN)
			return;
		machine_wait(freezer_deadline(&freezer));
		freezer_tick(&freezer);
	}
}

static void back_up(void)
{
	static const struct build_config config = { .sysfs = machine_sysfs, .skip_unread = true };
	static const struct freezer_source source = {
		.build = build_fsset, .verify = recheck_frozen, .appeared = recheck_thaw,
		.ctx = (void *)&config,
	};
	static const struct freezer_config limits = {
		.freeze_us = 100000000, .fifreeze_us = 10000000, .hold_us = 60000000,
		.thaw_us = 20000000, .patience_us = 1000000,
	};

	freezer = (struct freezer){
		.config = &limits, .source = &source, .ops = &machine_ops, .report = on_report,
		.record = on_record,
	};
	err = freezer_begin(&freezer, guard, 77);
	if (err)
		return;
	run_until_idle_or_frozen();
	was_frozen = freezer.state == FREEZER_FROZEN;
	machine.at_answer = machine.frozen;
	if (was_frozen)
		err = freezer_thaw(&freezer);
	run_until_idle_or_frozen();
	history_add(&kept, &record);
	saved = history_save(&kept, machine_dir);
	loaded = history_load(&read_back, machine_dir);
}

static void prepare_backup(void)
{
	machine_reset();
	events = 0;
	was_frozen = false;
	saved = 0;
	loaded = 0;
}

static void check_history(bool failed)
{
	const struct record *r = history_last(&kept), *again = history_last(&read_back);

	assert_true(failed || (!saved && !loaded));
	if (saved) {
		assert_true(saved == -ENOMEM || saved == -EIO);
	} else if (!loaded) {
		assert_int_equal(again->n + again->more, r->n + r->more);
		assert_string_equal(again->reason, r->reason);
	} else {
		assert_int_equal(loaded, -ENOMEM);
	}
	history_free(&kept);
	history_free(&read_back);
}

static void check_backup(bool failed)
{
	assert_int_equal(machine.frozen, 0);
	assert_int_equal(machine.open, 0);
	assert_false(machine.log_held);
	assert_int_equal(freezer.state, FREEZER_IDLE);
	assert_null(freezer.set);
	assert_null(freezer.stuck);
	if (err) {
		assert_true(failed && !events);
		return;
	}
	assert_int_equal(events, 1 + was_frozen);
	assert_int_equal(event[0], was_frozen ? FREEZER_FREEZE_OK : FREEZER_FAILED);
	if (was_frozen && !failed)
		all_frozen = machine.at_answer;
	if (was_frozen)
		assert_true(machine.at_answer == all_frozen);
	if (was_frozen && event[1] == FREEZER_THAW_OK)
		assert_false(freezer.why[0]);
	else
		assert_true(failed && freezer.why[0]);
	assert_true(was_frozen || (failed && kept.record[0].reason[0]));
	check_history(failed);
}

static const struct nomem_scenario backup = {
	.name = "backup", .prepare = prepare_backup, .act = back_up, .check = check_backup,
};

static void backup_is_complete_or_fails(void **state)
{
	(void)state;
	guard = NULL;
	nomem_sweep(&backup);
	assert_true(all_frozen);
}

static void backup_with_the_kernels_guard(void **state)
{
	(void)state;
	guard = guard_new(MACHINE_DEVICE, HV_VSS_FEAT_GUARD | HV_VSS_FEAT_THAW);
	assert_non_null(guard);
	nomem_sweep(&backup);
	assert_int_equal(atomic_load(&guard->refs), 1);
	free(guard);
	guard = NULL;
}

static void check_only(void)
{
	static const struct build_config config = { .sysfs = machine_sysfs, .skip_unread = true };
	char why[REASON_SIZE] = "";

	err = build_dry_run(&config, why);
	snprintf(text, sizeof(text), "%s", err ? "" : "good");
	assert_true(!err || why[0]);
}

static void check_without_memory_fails(void **state)
{
	const struct nomem_scenario s = {
		.name = "check", .prepare = machine_reset, .act = check_only, .check = check_text,
	};

	(void)state;
	nomem_sweep(&s);
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
		cmocka_unit_test(plan_is_complete_or_fails),
		cmocka_unit_test(backup_is_complete_or_fails),
		cmocka_unit_test(backup_with_the_kernels_guard),
		cmocka_unit_test(check_without_memory_fails),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
