// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/blockers/culprit.c daemon/evidence/diskstats.c daemon/evidence/evidence.c
// Sources: daemon/base/sysops.c daemon/evidence/swaps.c daemon/evidence/verdict.c
// Sources: daemon/plan/blockdev.c daemon/report/history.c daemon/base/sysattr.c
// Sources: daemon/report/kvline.c daemon/report/record.c daemon/kvp/kvpverdict.c
// Sources: tests/unit/quiet.c
/* What the host reads about the last backup: true, valid UTF-8, and never too long. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "hv_vss.h"
#include "kvp/kvpverdict.h"
#include "test.h"

static struct history h;
static struct kvpverdict v;

static struct record *add_backup(bool ok, int64_t seconds)
{
	struct record r = {
		.id = ++h.last_id, .op = HV_VSS_OP_FREEZE, .ok = ok, .time = seconds * 1000000,
		.freeze = ANSWER_OK, .thaw = ok ? ANSWER_OK : ANSWER_FAILED, .held_us = 946600,
	};

	if (!ok)
		strcpy(r.reason, "/srv: cannot be frozen");
	history_add(&h, &r);
	return history_last(&h);
}

static const char *text(const char *key)
{
	for (size_t i = 0; i < v.n; i++)
		if (!strcmp(v.item[i].key, key))
			return v.item[i].text;
	return NULL;
}

static int setup(void **state)
{
	(void)state;
	strcpy(h.daemon.version, "1.2");
	strcpy(h.daemon.driver, "hv_vss");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	history_free(&h);
	return 0;
}

static void without_a_backup_nothing_is_said_about_one(void **state)
{
	(void)state;
	h.daemon.driver[0] = '\0';
	kvpverdict_fill(&v, &h, "serving");
	assert_int_equal(v.n, 2);
	assert_string_equal(text("HvVssState"), "serving");
	assert_string_equal(text("HvVssVersion"), "1.2");
	assert_false(v.item[0].depends);
}

static void a_good_backup(void **state)
{
	struct record_fs *fs;
	struct record *r = add_backup(true, 1700000000);

	(void)state;
	strcpy(r->evidence, "nothing was written to 2 disks");
	record_add_fs(r, "/", "ext4", "/dev/sda1", NULL)->action = RECORD_FROZEN;
	record_add_fs(r, "/boot/efi", "vfat", "/dev/sda2", NULL)->action = RECORD_SYNCED;
	record_add_fs(r, "/run", "tmpfs", "tmpfs", "not on a disk")->action = RECORD_SKIPPED;
	fs = record_add_fs(r, "/old", "nilfs2", "/dev/sdb", "excluded");
	fs->action = RECORD_SKIPPED;
	fs->unsafe = true;
	kvpverdict_fill(&v, &h, "serving");
	assert_string_equal(v.item[0].key, "HvVssLastBackup");
	assert_string_equal(text("HvVssLastBackup"), "ok");
	assert_string_equal(text("HvVssLastBackupTime"), "2023-11-14T22:13:20Z");
	assert_string_equal(text("HvVssLastGoodBackup"), "2023-11-14T22:13:20Z");
	assert_string_equal(text("HvVssFrozenMs"), "947");
	assert_string_equal(text("HvVssReason"), "none");
	assert_string_equal(text("HvVssEvidence"), "nothing was written to 2 disks");
	assert_string_equal(text("HvVssSkipped"),
			    "/boot/efi (vfat): synced only; /old (nilfs2): excluded");
	assert_string_equal(text("HvVssDriver"), "hv_vss");
	assert_int_equal(v.n, KVPVERDICT_KEYS);
}

static void a_failed_backup_after_a_good_one(void **state)
{
	(void)state;
	add_backup(true, 1700000000);
	add_backup(false, 1700000060);
	kvpverdict_fill(&v, &h, "serving");
	assert_string_equal(text("HvVssLastBackup"), "failed");
	assert_string_equal(text("HvVssLastBackupTime"), "2023-11-14T22:14:20Z");
	assert_string_equal(text("HvVssLastGoodBackup"), "2023-11-14T22:13:20Z");
	assert_string_equal(text("HvVssReason"), "/srv: cannot be frozen");
	assert_string_equal(text("HvVssSkipped"), "none");
}

static void a_backup_whose_disks_were_written_to(void **state)
{
	(void)state;
	add_backup(true, 1700000000)->written = 1;
	kvpverdict_fill(&v, &h, "serving");
	assert_string_equal(text("HvVssLastBackup"), "warning");
}

static void the_same_history_gives_the_same_bytes(void **state)
{
	static struct kvpverdict w;

	(void)state;
	add_backup(true, 1700000000);
	memset(&v, 0x55, sizeof(v));
	memset(&w, 0xaa, sizeof(w));
	kvpverdict_fill(&v, &h, "serving");
	kvpverdict_fill(&w, &h, "serving");
	assert_memory_equal(&v, &w, sizeof(v));
}

static const char *cleaned(const char *reason)
{
	history_free(&h);
	snprintf(add_backup(false, 0)->reason, REASON_SIZE, "%s", reason);
	kvpverdict_fill(&v, &h, "serving");
	return text("HvVssReason");
}

static void what_is_not_a_character_is_replaced(void **state)
{
	(void)state;
	assert_string_equal(cleaned("/\xc3\xa4/\xe2\x82\xac/\xf0\x9f\x98\x80"),
			    "/\xc3\xa4/\xe2\x82\xac/\xf0\x9f\x98\x80");
	assert_string_equal(cleaned("a\tb\nc\033[1m\x7f"), "a?b?c?[1m?");
	assert_string_equal(cleaned("\xff\xfe\x80"), "???");
	assert_string_equal(cleaned("\xc0\xaf"), "??");			/* overlong */
	assert_string_equal(cleaned("\xe0\x80\xaf"), "???");
	assert_string_equal(cleaned("\xed\xa0\x80"), "???");		/* a surrogate */
	assert_string_equal(cleaned("\xef\xbf\xbf"), "???");		/* not a character */
	assert_string_equal(cleaned("\xf4\x90\x80\x80"), "????");	/* beyond the last one */
	assert_string_equal(cleaned("\xc2\x9b"), "??");			/* a control character */
	assert_string_equal(cleaned("\xe2\x82"), "??");			/* cut off */
	assert_string_equal(cleaned("x\xc3"), "x?");
}

static void a_long_text_is_cut_between_characters(void **state)
{
	char path[1000];

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		struct record *r = add_backup(true, 0);
		const char *cut;

		memset(path, 'x', shift);
		for (size_t i = 0; i < 300; i++)
			memcpy(path + shift + 3 * i, "\xe2\x82\xac", 4);
		record_add_fs(r, path, "vfat", "/dev/sda2", NULL)->action = RECORD_SYNCED;
		kvpverdict_fill(&v, &h, "serving");
		cut = text("HvVssSkipped");
		assert_in_range(strlen(cut), KVPPOOL_TEXT_SIZE - 3, KVPPOOL_TEXT_SIZE - 1);
		assert_int_equal((strlen(cut) - 3 - shift) % 3, 0);
		assert_memory_equal(cut, path, strlen(cut) - 3);
		assert_string_equal(cut + strlen(cut) - 3, "...");
	}
}

static void a_text_that_just_fits_is_not_cut(void **state)
{
	char path[600];

	(void)state;
	for (size_t len = 480; len < 510; len++) {
		struct record *r = add_backup(true, 0);
		size_t whole = len + strlen(" (vfat): synced only");

		memset(path, 'x', len);
		path[len] = '\0';
		record_add_fs(r, path, "vfat", "/dev/sda2", NULL)->action = RECORD_SYNCED;
		kvpverdict_fill(&v, &h, "serving");
		if (whole < KVPPOOL_TEXT_SIZE)
			assert_int_equal(strlen(text("HvVssSkipped")), whole);
		else
			assert_int_equal(strlen(text("HvVssSkipped")), KVPPOOL_TEXT_SIZE - 1);
	}
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_backup_nothing_is_said_about_one),
		TEST(a_good_backup),
		TEST(a_failed_backup_after_a_good_one),
		TEST(a_backup_whose_disks_were_written_to),
		TEST(the_same_history_gives_the_same_bytes),
		TEST(what_is_not_a_character_is_replaced),
		TEST(a_long_text_is_cut_between_characters),
		TEST(a_text_that_just_fits_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
