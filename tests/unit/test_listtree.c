// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/cells.c daemon/base/procfs.c daemon/base/sysattr.c daemon/base/sysops.c
// Sources: daemon/base/term.c daemon/evidence/diskstats.c daemon/evidence/evidence.c
// Sources: daemon/evidence/swaps.c daemon/evidence/verdict.c daemon/plan/blockdev.c
// Sources: daemon/plan/devtree.c daemon/plan/fstypes.c daemon/plan/journals.c daemon/plan/lookup.c
// Sources: daemon/plan/mountinfo.c daemon/plan/mounts.c daemon/plan/order.c daemon/plan/pattern.c
// Sources: daemon/plan/policy.c daemon/report/listtree.c daemon/report/treerows.c
// Sources: tests/unit/golden.c tests/unit/quiet.c
// Libraries: mount
/* The tree of --list: layers of devices in a simulated sysfs, and file systems on them. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <wchar.h>

#include "golden.h"
#include "report/listtree.h"
#include "report/treerows.h"
#include "test.h"

static struct {
	char top[64];		/* with sysfs and a part of procfs */
	struct mounts m;
	struct mounts_policy policy;
} m;

static void shell(const char *commands)
{
	char cmd[4096];

	snprintf(cmd, sizeof(cmd), "set -e; cd %s; %s", m.top, commands);
	assert_int_equal(system(cmd), 0);
}

/* The functions of the shell that make devices. */
#define DEVICES \
	"device() { mkdir -p devices/$1/slaves dev/block; echo $2 >devices/$1/dev; " \
	"echo $(($3 * 2048)) >devices/$1/size; ln -s ../../devices/$1 dev/block/$2; }; " \
	"partition() { device $1 $2 $3; echo 1 >devices/$1/partition; }; " \
	"on() { ln -s ../../$2 devices/$1/slaves/; }; " \
	"mapping() { mkdir devices/$1/dm; echo \"$2\" >devices/$1/dm/name; " \
	"echo \"$3\" >devices/$1/dm/uuid; }; " \
	"raid() { mkdir devices/$1/md; echo $2 >devices/$1/md/level; }; " \
	"loop() { mkdir devices/$1/loop; echo \"$2\" >devices/$1/loop/backing_file; }; "

static int setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	strcpy(m.top, "/tmp/hv-vss-tree-XXXXXX");
	return mkdtemp(m.top) && setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

static int clean_up(void **state)
{
	char cmd[128];

	(void)state;
	mounts_free(&m.m);
	snprintf(cmd, sizeof(cmd), "rm -r %s", m.top);
	return system(cmd);
}

static void read_file(FILE *f)
{
	assert_non_null(f);
	m.m.proc = m.top;
	assert_int_equal(mounts_add_table(&m.m, f, "table"), 0);
	fclose(f);
	assert_int_equal(mounts_plan(&m.m, &m.policy, m.top), 0);
}

static void read_table(const char *table)
{
	read_file(fmemopen((char *)table, strlen(table), "r"));
}

static char *tree(const struct term *t)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(listtree_print(f, &m.m, m.top, t), 0);
	fclose(f);
	return text;
}

static void tree_is(const char *name, const struct term *t)
{
	char *text = tree(t);

	golden_is(name, text);
	free(text);
}

/* All lines but the titles. */
static void tree_lines_are(const char *text, const char *want)
{
	assert_string_equal(strchr(text, '\n') + 1, want);
}

static void make_machine(void)
{
	shell(DEVICES
	      "device sda 8:0 30720; partition sda/sda1 8:1 512; partition sda/sda2 8:2 30207; "
	      "device dm-0 254:0 30200; on dm-0 sda/sda2; mapping dm-0 luks-1234 CRYPT-LUKS2-1-l; "
	      "device dm-1 254:1 20480; on dm-1 dm-0; mapping dm-1 vg-root LVM-abc; "
	      "device dm-2 254:2 1537; on dm-2 dm-0; mapping dm-2 vg-swap LVM-def; "
	      "device sdb 8:16 1024; partition sdb/sdb1 8:17 100; partition sdb/sdb2 8:18 100; "
	      "partition sdb/sdb3 8:19 100; partition sdb/sdb4 8:20 100; "
	      "device sdc 8:32 2097152; device sdd 8:48 2097152; "
	      "device md0 9:0 2097151; raid md0 raid1; on md0 sdc; on md0 sdd; "
	      "device sde 8:64 10; device sdf 8:80 10; device sdg 8:96 0; "
	      "device loop0 7:0 64; loop loop0 /srv/disk.img; "
	      "device loop1 7:1 64; loop loop1 '/run/a disk.img'; "
	      "device loop2 7:2 64; loop loop2 /nowhere.img; "
	      "device loop3 7:3 0");
	shell("printf 'Filename Type Size Used Priority\\n/dev/dm-2 partition 1 0 -2\\n' >swaps");
	read_file(fopen("tables/layers.mountinfo", "r"));
}

static void machine_in_several_widths(void **state)
{
	static const unsigned int widths[] = { 60, 80, 120 };

	(void)state;
	make_machine();
	for (int i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "list-%u", widths[i]);
		tree_is(name, &(struct term){ .width = widths[i], .utf8 = true });
		snprintf(name, sizeof(name), "list-%u-ascii", widths[i]);
		tree_is(name, &(struct term){ .width = widths[i] });
	}
	tree_is("list-80-colour", &(struct term){ .width = 80, .utf8 = true, .colour = true });
}

static size_t columns_of(const char *line)
{
	wchar_t wide[1000];
	size_t n = mbstowcs(wide, line, 1000), columns = 0;

	assert_true(n < 1000);
	for (size_t i = 0; i < n; i++) {
		assert_true(wcwidth(wide[i]) >= 0);
		columns += wcwidth(wide[i]);
	}
	return columns;
}

static void no_line_is_too_long(void **state)
{
	(void)state;
	make_machine();
	for (unsigned int width = 45; width <= 160; width++) {
		const struct term t = { .width = width, .utf8 = width % 2 };
		char *text = tree(&t), *rest = text, *line;

		while ((line = strsep(&rest, "\n"))) {
			if (columns_of(line) > width)
				fail_msg("too long for %u: %s", width, line);
			if (*line && line[strlen(line) - 1] == ' ')
				fail_msg("a space at the end of: %s", line);
		}
		free(text);
	}
}

/* Every superblock of the table is there: in the tree, or below it. */
static void nothing_is_left_out(void **state)
{
	char *text;

	(void)state;
	make_machine();
	text = tree(&(struct term){ .width = 500, .utf8 = true });
	for (size_t i = 0; i < m.m.n; i++)
		if (m.m.fs[i].kind != FSTYPE_PSEUDO && !strpbrk(mounts_fs_path(&m.m.fs[i]), "\033"))
			assert_non_null(strstr(text, mounts_fs_path(&m.m.fs[i])));
	assert_non_null(strstr(text, "(3 more)"));
	free(text);
}

/* Of two devices that lie on each other neither is a disk at the bottom. */
static void circle_of_devices_ends(void **state)
{
	char *text;

	(void)state;
	shell(DEVICES "device dm-0 254:0 1; device dm-1 254:1 1; on dm-0 dm-1; on dm-1 dm-0; "
	      "mapping dm-0 a x; mapping dm-1 b x");
	read_table("20 1 254:1 / / rw - ext4 /dev/mapper/b rw\n");
	text = tree(&(struct term){ .width = 100 });
	assert_non_null(strstr(text, "\na "));
	assert_non_null(strstr(text, "\n`-b "));
	assert_non_null(strstr(text, "\n  |-a             x       1M (see above)\n"));
	assert_non_null(strstr(text, "\n  `-/ "));
	free(text);
}

/* Short names need a narrow column: that must not be taken for a lack of room. */
static void each_level_is_indented(void **state)
{
	char *text;

	(void)state;
	shell(DEVICES "device sda 8:0 10; device md0 9:0 10; raid md0 raid1; on md0 sda; "
	      "device loop0 7:0 1; loop loop0 /s/i; device loop1 7:1 1; loop loop1 /t/i");
	read_table("20 1 9:0 / /s rw - ext4 /dev/md0 rw\n21 20 7:0 / /t rw - ext4 /dev/loop0 rw\n"
		   "22 21 7:1 / /u rw - ext4 /dev/loop1 rw\n");
	text = tree(&(struct term){ .width = 80 });
	assert_non_null(strstr(text, "\n`-md0 "));
	assert_non_null(strstr(text, "\n  `-/s "));
	assert_non_null(strstr(text, "\n    `-loop0 "));
	assert_non_null(strstr(text, "\n      `-/t "));
	assert_non_null(strstr(text, "\n        `-loop1 "));
	assert_non_null(strstr(text, "\n          `-/u "));
	free(text);
}

/* What is deeper than there is room for is not indented further. */
static void deep_stack_has_room_for_names(void **state)
{
	char *text;

	(void)state;
	shell(DEVICES "device dm-0 254:0 1; mapping dm-0 name-0 LVM-x; i=1; while [ $i -lt 60 ]; "
	      "do device dm-$i 254:$i 1; on dm-$i dm-$((i - 1)); mapping dm-$i name-$i LVM-x; "
	      "i=$((i + 1)); done");
	read_table("20 1 254:59 / /srv/data rw - ext4 /dev/mapper/x rw\n");
	text = tree(&(struct term){ .width = 80 });
	assert_non_null(strstr(text, "`-name-59 "));
	assert_non_null(strstr(text, "`-/srv/data "));
	free(text);
}

static void bcache_without_a_cache_lies_on_its_device(void **state)
{
	char *text;

	(void)state;
	shell(DEVICES "device sda 8:0 10; device bcache0 252:0 9; mkdir devices/sda/bcache; "
	      "ln -s ../sda/bcache devices/bcache0/bcache");
	read_table("20 1 252:0 / / rw - ext4 /dev/bcache0 rw\n");
	text = tree(&(struct term){ .width = 80 });
	assert_non_null(strstr(text, "`-bcache0 "));
	assert_non_null(strstr(text, "  `-/ "));
	free(text);
}

/* A btrfs has a device number of its own; sysfs lists its devices. */
static void btrfs_is_on_all_its_devices(void **state)
{
	char node[] = "/dev/shm/hv-vss-node-XXXXXX", line[256], *text;
	int fd = mkstemp(node);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	unlink(node);
	if (mknod(node, S_IFBLK | 0600, makedev(8, 16))) {
		print_message("not root: mknod: %s\n", strerror(errno));
		skip();
	}
	shell(DEVICES "device sda 8:0 10; device sdb 8:16 10; mkdir -p fs/btrfs/u/devices; "
	      "ln -s ../../../../devices/sda ../../../../devices/sdb fs/btrfs/u/devices/");
	snprintf(line, sizeof(line), "20 1 0:40 / /pool rw - btrfs %s rw\n", node);
	read_table(line);
	text = tree(&(struct term){ .width = 80 });
	unlink(node);
	tree_lines_are(text, "sda               disk    10M\n"
		       "`-/pool           btrfs       freeze it, as number 1\n"
		       "sdb               disk    10M\n"
		       "`-/pool           btrfs       (see above)\n");
	free(text);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, clean_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(machine_in_several_widths),
		TEST(no_line_is_too_long),
		TEST(nothing_is_left_out),
		TEST(circle_of_devices_ends),
		TEST(each_level_is_indented),
		TEST(deep_stack_has_room_for_names),
		TEST(bcache_without_a_cache_lies_on_its_device),
		TEST(btrfs_is_on_all_its_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
