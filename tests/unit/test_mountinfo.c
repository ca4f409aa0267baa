// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/sysattr.c daemon/plan/blockdev.c daemon/plan/fstypes.c
// Sources: daemon/plan/journals.c daemon/plan/lookup.c daemon/plan/mountinfo.c
// Sources: daemon/plan/mounts.c daemon/plan/order.c daemon/plan/pattern.c daemon/plan/policy.c
// Sources: tests/unit/quiet.c
// Libraries: mount dl
/* The reader of other namespaces' mount tables, compared with libmount. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "plan/mountinfo.h"
#include "plan/mounts.h"
#include "test.h"

static bool old_libmount;

/* Replaces the library's function: before version 2.33 it fails for an empty source. */
int mnt_table_parse_stream(struct libmnt_table *tb, FILE *f, const char *name)
{
	int (*real)(struct libmnt_table *tb, FILE *f, const char *name);
	char line[512];
	int err = 0;

	while (old_libmount && fgets(line, sizeof(line), f))
		err |= strstr(line, " - tmpfs  ") ? -EBADMSG : 0;
	if (old_libmount)
		return err;
	real = (int (*)(struct libmnt_table *, FILE *, const char *))
		dlsym(RTLD_NEXT, "mnt_table_parse_stream");
	return real(tb, f, name);
}

static int file_of(const char *text, size_t len)
{
	int fd = memfd_create("table", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void assert_same(const struct mountinfo_entry *e, struct libmnt_fs *fs)
{
	const char *source = mnt_fs_get_source(fs), *options = mnt_fs_get_fs_options(fs);

	assert_int_equal(e->id, mnt_fs_get_id(fs));
	assert_int_equal(e->parent, mnt_fs_get_parent_id(fs));
	assert_int_equal(e->dev, mnt_fs_get_devno(fs));
	assert_string_equal(e->root, mnt_fs_get_root(fs));
	assert_string_equal(e->target, mnt_fs_get_target(fs));
	assert_string_equal(e->type, mnt_fs_get_fstype(fs));
	assert_string_equal(e->source, source ? source : "");
	assert_string_equal(e->options, options ? options : "");
}

static void compare(const char *path)
{
	struct libmnt_table *table = mnt_new_table();
	struct libmnt_iter *it = mnt_new_iter(MNT_ITER_FORWARD);
	struct mountinfo_entry entry;
	struct mountinfo reader;
	struct libmnt_fs *fs;
	FILE *f = fopen(path, "r");
	size_t n = 0;

	assert_non_null(f);
	assert_int_equal(mnt_table_parse_stream(table, f, path), 0);
	rewind(f);
	assert_int_equal(lseek(fileno(f), 0, SEEK_SET), 0);
	assert_int_equal(mountinfo_open(&reader, fileno(f)), 0);
	while (!mnt_table_next_fs(table, it, &fs)) {
		assert_int_equal(mountinfo_next(&reader, &entry), 1);
		assert_same(&entry, fs);
		n++;
	}
	assert_int_equal(mountinfo_next(&reader, &entry), 0);
	assert_true(n > 0);
	mountinfo_close(&reader);
	fclose(f);
	mnt_free_iter(it);
	mnt_free_table(table);
}

static void reads_all_recorded_tables_as_libmount_does(void **state)
{
	DIR *dir = opendir("tables");
	struct dirent *d;
	int n = 0;

	(void)state;
	assert_non_null(dir);
	while ((d = readdir(dir))) {
		char path[512];

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "tables/%s", d->d_name);
		compare(path);
		n++;
	}
	closedir(dir);
	assert_true(n >= 5);
	compare("/proc/self/mountinfo");
}

static const char table_with_empty_source[] =
	"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
	"2 1 0:50 / /x rw,relatime - tmpfs  rw\n"
	"3 1 8:2 / /data rw - ext4 /dev/sda2 rw\n";

static int add_own(struct mounts *m, const char *text)
{
	int fd = file_of(text, strlen(text)), err;
	FILE *f = fdopen(fd, "r");

	assert_non_null(f);
	err = mounts_add_table(m, f, "table");
	fclose(f);
	return err;
}

static void empty_source_is_accepted(void **state)
{
	(void)state;
	for (int old = 0; old <= 1; old++) {
		struct mounts m = { 0 };

		old_libmount = old;
		assert_int_equal(add_own(&m, table_with_empty_source), 0);
		old_libmount = false;
		assert_int_equal(m.n, 3);
		assert_string_equal(mounts_find(&m, makedev(0, 50))->source, "none");
		assert_non_null(mounts_find(&m, makedev(8, 2)));
		mounts_free(&m);
	}
}

static void invalid_line_is_refused_with_old_libmount(void **state)
{
	struct mounts m = { 0 };

	(void)state;
	old_libmount = true;
	assert_int_equal(add_own(&m, "1 0 8:1 / / rw - tmpfs  rw\nhello\n"), -EBADMSG);
	old_libmount = false;
	mounts_free(&m);
}

/* The options of a superblock have no maximum length; paths have one. */
static void long_line_is_cut_at_its_end(void **state)
{
	struct mountinfo_entry e;
	struct mountinfo reader;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int fd;

	(void)state;
	for (int i = 1; i <= 3; i++) {
		fprintf(f, "%d 0 8:%d / /m%d rw - ext4 /dev/sda rw,", i, i, i);
		for (int j = 0; j < 65000 * i; j++)
			putc('x', f);
		putc('\n', f);
	}
	fprintf(f, "9 0 8:9 / /last rw - ext4 /dev/sda rw");
	fclose(f);
	fd = file_of(text, len);
	assert_int_equal(mountinfo_open(&reader, fd), 0);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(mountinfo_next(&reader, &e), 1);
		assert_int_equal(e.id, i);
		assert_memory_equal(e.options, "rw,xxx", 6);
	}
	assert_int_equal(mountinfo_next(&reader, &e), 1);
	assert_string_equal(e.target, "/last");
	assert_int_equal(mountinfo_next(&reader, &e), 0);
	mountinfo_close(&reader);
	close(fd);
	free(text);
}

static char *binds(int n, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	fprintf(f, "100 99 0:70 / / rw - overlay none rw\n");
	for (int i = 0; i < n; i++)
		fprintf(f, "%d 100 8:1 /srv /m/%d rw - ext4 /dev/sda1 rw\n", i + 101, i);
	for (int i = 0; i < n; i++)
		fprintf(f, "%d 100 0:%d / /t/%d rw - tmpfs none rw\n", n + i + 101, i + 1000, i);
	fprintf(f, "%d 100 8:3 / /own rw - ext4 /dev/sda3 rw\n", 2 * n + 101);
	fclose(f);
	return text;
}

/* Users can make any number of mounts and superblocks in their own namespaces. */
static void memory_grows_with_relevant_mounts_only(void **state)
{
	struct mounts_other other = { .pid = 4711, .ns = -1 };
	struct mounts m = { 0 };
	char *text;
	size_t len;
	int fd;

	(void)state;
	assert_int_equal(add_own(&m, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"), 0);
	text = binds(20000, &len);
	fd = file_of(text, len);
	assert_int_equal(mounts_add_other(&m, fd, &other), 0);
	assert_int_equal(m.n, 2);
	assert_int_equal(m.next_seq, 2);
	assert_int_equal(mounts_find(&m, makedev(8, 3))->mount[0].pid, 4711);
	/* The same again, as in copies of the namespace: only some mounts of each are kept. */
	for (int i = 0; i < 12; i++) {
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(mounts_add_other(&m, fd, &other), 0);
	}
	assert_int_equal(m.n, 2);
	assert_true(m.next_seq < 12);
	mounts_free(&m);
	close(fd);
	free(text);
}

static void limits_are_respected(void **state)
{
	struct mounts_other other = { .pid = 4711, .ns = -1, .lines_max = 1000 };
	struct mounts m = { 0 };
	char *text;
	size_t len;
	int fd;

	(void)state;
	assert_int_equal(add_own(&m, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"), 0);
	text = binds(5000, &len);
	fd = file_of(text, len);
	assert_int_equal(mounts_add_other(&m, fd, &other), -E2BIG);
	other = (struct mounts_other){ .pid = 4711, .ns = -1, .deadline_us = 1 };
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(mounts_add_other(&m, fd, &other), -ETIME);
	mounts_free(&m);
	close(fd);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all_recorded_tables_as_libmount_does),
		cmocka_unit_test(empty_source_is_accepted),
		cmocka_unit_test(invalid_line_is_refused_with_old_libmount),
		cmocka_unit_test(long_line_is_cut_at_its_end),
		cmocka_unit_test(memory_grows_with_relevant_mounts_only),
		cmocka_unit_test(limits_are_respected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
