// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/journal.c daemon/base/log.c daemon/hooks/hooklist.c
// Sources: daemon/hooks/hooknotes.c
/* Which files are hooks, their order, their owners; and the notes of hooks that were called. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hooks/hooklist.h"
#include "hooks/hooknotes.h"
#include "test.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static void put(const char *name, mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/hooks.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void expect_list(const char *expected, size_t refused)
{
	struct hooklist list;
	char text[512] = "";

	assert_int_equal(hooklist_read(&list, dir, geteuid()), 0);
	for (size_t i = 0; i < list.n; i++) {
		strcat(text, hooklist_name(list.path[i]));
		strcat(text, " ");
	}
	assert_string_equal(text, expected);
	assert_int_equal(list.refused, refused);
	hooklist_free(&list);
}

static void hooks_are_sorted_by_bytes(void **state)
{
	static const char * const names[] = { "b", "10-b", "B", "9-a", "a", "_", "10-a.sh" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(names[i], 0755);
	expect_list("10-a.sh 10-b 9-a B _ a b ", 0);
}

static void backup_files_and_samples_are_no_hooks(void **state)
{
	static const char * const names[] = {
		".hidden", "a~", "a.bak", "a.bk", "a.orig", "a.rpmnew", "a.rpmorig", "a.rpmsave",
		"a.sample", "a.dpkg-old", "a.dpkg-new", "a.dpkg-tmp", "a.dpkg-dist", "a.dpkg-bak",
		"a.dpkg-backup", "a.dpkg-remove", "a.ucf-dist", "#a#", "a.swp", "README", "a.old",
		"a.disabled", "a.example",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		put(names[i], 0755);
		assert_true(hooklist_is_ignored(names[i]));
	}
	assert_int_equal(hooklist_has_any(dir), 0);
	put("switched-off", 0644);
	assert_int_equal(mkdir(in_dir("directory"), 0755), 0);
	assert_int_equal(hooklist_has_any(dir), 0);
	expect_list("", 0);
	put("bak", 0755);
	put("sample.sh", 0755);
	assert_int_equal(hooklist_has_any(dir), 1);
	expect_list("bak sample.sh ", 0);
}

static void files_that_others_can_write_are_refused(void **state)
{
	(void)state;
	put("a", 0755);
	put("group", 0775);
	put("world", 0757);
	put("setuid", 04755);
	put("c\nd", 0755);
	expect_list("a setuid ", 3);
}

static void directory_that_others_can_write_is_refused(void **state)
{
	static const mode_t wrong[] = { 0775, 0777, 01777 };
	struct hooklist list;

	(void)state;
	put("a", 0755);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(chmod(dir, wrong[i]), 0);
		assert_int_equal(hooklist_read(&list, dir, geteuid()), -EPERM);
		assert_int_equal(list.refused, 1);
		assert_string_equal(list.refusal[0].path, dir);
		hooklist_free(&list);
	}
	assert_int_equal(hooklist_read(&list, in_dir("none"), geteuid()), -ENOENT);
	assert_int_equal(hooklist_has_any(in_dir("none")), -ENOENT);
}

static void target_of_a_link_is_checked(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_dir("open"), 0777), 0);
	assert_int_equal(chmod(in_dir("open"), 0777), 0);
	assert_int_equal(mkdir(in_dir("closed"), 0755), 0);
	put("open/a", 0755);
	put("closed/a", 0755);
	assert_int_equal(symlink("open/a", in_dir("bad")), 0);
	assert_int_equal(symlink("closed/a", in_dir("good")), 0);
	assert_int_equal(symlink("nowhere", in_dir("dangling")), 0);
	expect_list("good ", 2);
	/* Other users could replace a link there by one to another file of root's. */
	assert_int_equal(symlink("../closed/a", in_dir("open/link")), 0);
	assert_non_null(hooklist_check_trust(in_dir("open/link"), geteuid()));
	assert_int_equal(symlink("open", in_dir("way")), 0);
	assert_non_null(hooklist_check_trust(in_dir("way/link"), geteuid()));
	/* In a sticky directory like /tmp other users can't replace it. */
	assert_int_equal(chmod(in_dir("open"), 01777), 0);
	expect_list("bad good ", 1);
}

static void owner_is_checked(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	put("a", 0755);
	assert_int_equal(chown(in_dir("a"), 12345, 0), 0);
	expect_list("", 1);
	assert_null(hooklist_check_trust(in_dir("a"), 12345));
	assert_int_equal(chown(in_dir("a"), 0, 0), 0);
	assert_int_equal(chown(dir, 12345, 0), 0);
	assert_non_null(hooklist_check_trust(in_dir("a"), 0));
	assert_int_equal(chown(dir, 0, 0), 0);
	expect_list("a ", 0);
}

static void one_program_instead_of_a_directory(void **state)
{
	struct hooklist list;

	(void)state;
	put("fsfreeze-hook", 0755);
	assert_int_equal(hooklist_has_any(in_dir("fsfreeze-hook")), 1);
	assert_int_equal(hooklist_read(&list, in_dir("fsfreeze-hook"), geteuid()), 0);
	assert_int_equal(list.n, 1);
	hooklist_free(&list);
	assert_int_equal(chmod(in_dir("fsfreeze-hook"), 0644), 0);
	assert_int_equal(hooklist_read(&list, in_dir("fsfreeze-hook"), geteuid()), 0);
	assert_int_equal(list.n, 0);
	assert_int_equal(list.refused, 1);
	assert_string_equal(list.refusal[0].path, in_dir("fsfreeze-hook"));
	assert_string_equal(list.refusal[0].why, "it is not executable");
	hooklist_free(&list);
}

static void notes_are_kept_until_they_are_removed(void **state)
{
	const struct hook_backup backup = { .id = "17.5-3", .time = 17, .type = 4 };
	struct hook_backup seen;
	struct hooknotes notes, other;

	(void)state;
	assert_false(hooknotes_exist(dir));
	assert_int_equal(hooknotes_open(&notes, dir, 0), 0);
	assert_int_equal(hooknotes_begin(&notes, &backup), 0);
	assert_int_equal(hooknotes_add(&notes, "/a"), 0);
	assert_int_equal(hooknotes_add(&notes, "/b c"), 0);
	assert_true(hooknotes_exist(dir));
	assert_int_equal(hooknotes_open(&other, dir, 0), -EWOULDBLOCK);
	hooknotes_close(&notes);

	assert_int_equal(hooknotes_open(&notes, dir, 0), 0);
	assert_int_equal(hooknotes_read(&notes, &seen), 0);
	assert_string_equal(seen.id, "17.5-3");
	assert_int_equal(seen.time, 17);
	assert_int_equal(seen.type, 4);
	assert_int_equal(notes.n, 2);
	assert_string_equal(notes.path[0], "/a");
	assert_string_equal(notes.path[1], "/b c");
	assert_int_equal(hooknotes_remove(&notes, "/b c"), 0);
	hooknotes_close(&notes);

	assert_int_equal(hooknotes_open(&notes, dir, 0), 0);
	assert_int_equal(hooknotes_read(&notes, &seen), 0);
	assert_int_equal(notes.n, 1);
	assert_int_equal(hooknotes_remove(&notes, "/a"), 0);
	assert_true(hooknotes_exist(dir));
	assert_int_equal(hooknotes_remove(&notes, NULL), 0);
	assert_false(hooknotes_exist(dir));
	hooknotes_close(&notes);
}

static void damaged_notes_do_no_harm(void **state)
{
	static const char * const texts[] = {
		"", "\n", "#\n", "#\n/a", "# x y z\n\n//\n", "/a\n/b", "no path\n", "#",
	};
	struct hook_backup seen;
	struct hooknotes notes;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *f = fopen(in_dir("hooks"), "we");

		assert_non_null(f);
		fputs(texts[i], f);
		fclose(f);
		assert_int_equal(hooknotes_open(&notes, dir, 0), 0);
		assert_int_equal(hooknotes_read(&notes, &seen), 0);
		assert_true(notes.n <= 1);
		assert_int_equal(hooknotes_remove(&notes, "/longer/than/the/text"), -EINVAL);
		assert_int_equal(hooknotes_remove(&notes, NULL), 0);
		hooknotes_close(&notes);
	}
	assert_int_equal(unlink(in_dir("hooks")), 0);
	assert_int_equal(symlink("elsewhere", in_dir("hooks")), 0);
	assert_int_equal(hooknotes_open(&notes, dir, 0), -ELOOP);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hooks_are_sorted_by_bytes),
		TEST(backup_files_and_samples_are_no_hooks),
		TEST(files_that_others_can_write_are_refused),
		TEST(directory_that_others_can_write_is_refused),
		TEST(target_of_a_link_is_checked),
		TEST(owner_is_checked),
		TEST(one_program_instead_of_a_directory),
		TEST(notes_are_kept_until_they_are_removed),
		TEST(damaged_notes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
