// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/reason.c daemon/base/sysattr.c daemon/base/format.c daemon/plan/blockdev.c
// Sources: daemon/plan/fstypes.c daemon/plan/journals.c daemon/plan/lookup.c daemon/plan/luns.c
// Sources: daemon/plan/mountinfo.c daemon/plan/mounts.c daemon/plan/order.c daemon/plan/pattern.c
// Sources: daemon/plan/policy.c tests/unit/quiet.c
// Libraries: mount
/*
 * From the host's list of disks to file systems, with a simulated sysfs:
 *
 *	8:0 sda (SCSI, LUN 0): 8:1 sda1		8:16 sdb (SCSI, LUN 1)
 *	8:32 sdc (IDE, channel 0, position 1)	253:0 dm-0 on sda1 and sdb
 *	7:0 loop0, a file on 8:16		9:0 md0 on sdc
 */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "plan/luns.h"
#include "test.h"

static char sysfs[64];

static void path_of(char *path, const char *name)
{
	snprintf(path, 512, "%s/%s", sysfs, name);
}

static void make_parents(char *path)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

static void file(const char *name, const char *content)
{
	char path[512];
	FILE *f;

	path_of(path, name);
	make_parents(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(content, f);
	assert_int_equal(fclose(f), 0);
}

/* Makes a link to another place in the simulated sysfs. */
static void link_to(const char *name, const char *target)
{
	char path[512], to[512];

	path_of(path, name);
	make_parents(path);
	path_of(to, target);
	assert_int_equal(symlink(to, path), 0);
}

#define SCSI	"bus/vmbus/devices/ba6163d9-04a1-4d29-b605-72e2ffb1dc7f"
#define IDE	"bus/vmbus/devices/00000000-0001-8899-0000-000000000000"
#define SDA	SCSI "/host2/target2:0:0/2:0:0:0/block/sda"
#define SDB	SCSI "/host2/target2:0:0/2:0:0:1/block/sdb"
#define SDC	IDE "/host0/target0:0:0/0:0:0:0/block/sdc"

static int make_sysfs(void **state)
{
	(void)state;
	snprintf(sysfs, sizeof(sysfs), "/tmp/hv-vss-test.XXXXXX");
	assert_non_null(mkdtemp(sysfs));
	file(SCSI "/device_id", "{ba6163d9-04a1-4d29-b605-72e2ffb1dc7f}\n");
	file(SCSI "/class_id", "{BA6163D9-04A1-4D29-B605-72E2FFB1DC7F}\n");
	file(IDE "/device_id", "{00000000-0001-8899-0000-000000000000}\n");
	file(IDE "/class_id", "{32412632-86cb-44a2-9b5c-50d1417354f5}\n");
	file(SDA "/dev", "8:0\n");
	file(SDA "/sda1/dev", "8:1\n");
	file(SDA "/sda1/partition", "1\n");
	file(SDB "/dev", "8:16\n");
	file(SDC "/dev", "8:32\n");
	file(SCSI "/host2/target2:0:0/2:0:0:0/scsi_disk/uevent", "\n");
	link_to("dev/block/8:1", SDA "/sda1");
	link_to("dev/block/8:16", SDB);
	link_to("dev/block/8:32", SDC);
	file("devices/virtual/block/dm-0/dev", "253:0\n");
	link_to("devices/virtual/block/dm-0/slaves/sda1", SDA "/sda1");
	link_to("devices/virtual/block/dm-0/slaves/sdb", SDB);
	link_to("dev/block/253:0", "devices/virtual/block/dm-0");
	file("devices/virtual/block/md0/dev", "9:0\n");
	link_to("devices/virtual/block/md0/slaves/sdc", SDC);
	link_to("dev/block/9:0", "devices/virtual/block/md0");
	file("devices/virtual/block/loop0/loop/backing_file", "/srv/image\n");
	file("devices/virtual/block/loop0/dev", "7:0\n");
	link_to("dev/block/7:0", "devices/virtual/block/loop0");
	link_to("class/block/sdc", SDC);
	file("proc/fs/jbd2/sda1-8/info", "\n");
	file("proc/fs/jbd2/dm-0-8/info", "\n");
	file("proc/fs/jbd2/loop0-8/info", "\n");
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int remove_sysfs(void **state)
{
	(void)state;
	return nftw(sysfs, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct hv_vss_lun scsi_disk(unsigned int lun)
{
	return (struct hv_vss_lun){
		.bus_type = 1, .port = 9, .lun = lun,
		.controller = { 0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d,
				0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f },
	};
}

static struct hv_vss_lun ide_disk(unsigned int channel, unsigned int position)
{
	return (struct hv_vss_lun){ .bus_type = 2, .port = channel, .target = position };
}

static void named_disks_are_found(void **state)
{
	struct hv_vss_lun lun = scsi_disk(1);
	dev_t disk;

	(void)state;
	assert_int_equal(luns_find_disk(sysfs, &lun, &disk), 0);
	assert_int_equal(disk, makedev(8, 16));
	lun = scsi_disk(0);
	assert_int_equal(luns_find_disk(sysfs, &lun, &disk), 0);
	assert_int_equal(disk, makedev(8, 0));
	lun = ide_disk(0, 1);
	assert_int_equal(luns_find_disk(sysfs, &lun, &disk), 0);
	assert_int_equal(disk, makedev(8, 32));
}

static void unknown_disks_are_not_found(void **state)
{
	struct hv_vss_lun lun = scsi_disk(2);
	dev_t disk;

	(void)state;
	assert_int_equal(luns_find_disk(sysfs, &lun, &disk), -ENODEV);
	lun = scsi_disk(1);
	lun.target = 1;
	assert_int_equal(luns_find_disk(sysfs, &lun, &disk), -ENODEV);
	lun = scsi_disk(1);
	lun.controller[15] = 0;
	assert_int_equal(luns_find_disk(sysfs, &lun, &disk), -ENODEV);
	lun = ide_disk(1, 1);
	assert_int_equal(luns_find_disk(sysfs, &lun, &disk), -ENODEV);
	lun = ide_disk(0, 1);
	lun.bus_type = 1;
	assert_int_equal(luns_find_disk(sysfs, &lun, &disk), -ENODEV);
	assert_int_equal(luns_find_disk("/nonexistent", &lun, &disk), -ENODEV);
}

static const char table[] =
	"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
	"2 1 8:16 / /srv rw - xfs /dev/sdb rw\n"
	"3 1 253:0 / /lvm rw - ext4 /dev/mapper/x rw\n"
	"4 1 7:0 / /loop rw - ext4 /dev/loop0 rw\n"
	"5 1 9:0 / /md rw - xfs /dev/md0 rw\n"
	"6 1 0:77 / /zfs rw - zfs pool rw\n"
	"7 1 0:78 / /nfs rw - nfs4 server:/ rw\n";

/* The file systems to be frozen or synced, as a string of mount points. */
static int selected(const struct luns *luns, bool only, char *text, char *why)
{
	const struct mounts_policy policy = { 0 };
	struct mounts m = { 0 };
	char proc[512];
	FILE *f = fmemopen((void *)table, strlen(table), "r");
	int err;

	assert_non_null(f);
	path_of(proc, "proc");
	m.proc = proc;
	assert_int_equal(mounts_add_table(&m, f, "table"), 0);
	fclose(f);
	assert_int_equal(mounts_plan(&m, &policy, sysfs), 0);
	why[0] = '\0';
	err = luns_select(&m, luns, only, sysfs, why);
	text[0] = '\0';
	for (size_t i = 0; i < m.n; i++) {
		if (m.fs[i].action == MOUNTS_SKIP)
			continue;
		strcat(text, mounts_fs_path(&m.fs[i]));
		strcat(text, " ");
	}
	mounts_free(&m);
	return err;
}

static void only_file_systems_on_named_disks_are_frozen(void **state)
{
	struct luns luns = { .known = true, .n = 1 };
	char text[256], why[REASON_SIZE];

	(void)state;
	/* A dm device counts if one of its disks does, a loop device if its file's disk does. */
	luns.lun[0] = scsi_disk(1);
	assert_int_equal(selected(&luns, true, text, why), 0);
	assert_string_equal(text, "/srv /lvm /loop /zfs ");
	luns.lun[0] = scsi_disk(0);
	assert_int_equal(selected(&luns, true, text, why), 0);
	assert_string_equal(text, "/ /lvm /zfs ");
	luns.lun[1] = ide_disk(0, 1);
	luns.n = 2;
	assert_int_equal(selected(&luns, true, text, why), 0);
	assert_string_equal(text, "/ /lvm /md /zfs ");
}

/* Only its journal is on a named disk, but the file system needs it. */
static void journal_on_a_named_disk_counts(void **state)
{
	struct luns luns = { .known = true, .n = 1 };
	char text[256], why[REASON_SIZE], name[512];

	(void)state;
	luns.lun[0] = ide_disk(0, 1);
	assert_int_equal(selected(&luns, true, text, why), 0);
	assert_string_equal(text, "/md /zfs ");
	/* The journal of the file system on dm-0 is on the named disk now. */
	path_of(name, "proc/fs/jbd2/dm-0-8/info");
	assert_int_equal(remove(name), 0);
	*strrchr(name, '/') = '\0';
	assert_int_equal(remove(name), 0);
	file("proc/fs/jbd2/sdc/info", "\n");
	assert_int_equal(selected(&luns, true, text, why), 0);
	assert_string_equal(text, "/lvm /md /zfs ");
}

static void without_the_option_everything_is_frozen(void **state)
{
	struct luns luns = { .known = true, .verbose = true, .n = 1, .lun = { { 0 } } };
	char text[256], why[REASON_SIZE];

	(void)state;
	assert_int_equal(selected(&luns, false, text, why), 0);
	assert_string_equal(text, "/ /srv /lvm /loop /md /zfs ");
	assert_string_equal(why, "");
}

static void list_that_does_not_match_is_refused(void **state)
{
	struct luns luns = { .known = true, .n = 2 };
	char text[256], why[REASON_SIZE];

	(void)state;
	luns.lun[0] = scsi_disk(1);
	luns.lun[1] = scsi_disk(7);
	assert_int_equal(selected(&luns, true, text, why), -ENODEV);
	assert_string_equal(why, "--freeze-luns: no such disk: SCSI "
			    "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f port 9 target 0 lun 7");
	luns.n = 0;
	assert_int_equal(selected(&luns, true, text, why), -ENODATA);
	luns.preflight = true;
	assert_int_equal(selected(&luns, true, text, why), 0);
	luns.known = false;
	assert_int_equal(selected(&luns, true, text, why), -EOPNOTSUPP);
	assert_string_equal(why, "--freeze-luns: this driver does not tell which disks the host "
			    "names");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(named_disks_are_found),
		cmocka_unit_test(unknown_disks_are_not_found),
		cmocka_unit_test(only_file_systems_on_named_disks_are_frozen),
		cmocka_unit_test(without_the_option_everything_is_frozen),
		cmocka_unit_test(journal_on_a_named_disk_counts),
		cmocka_unit_test(list_that_does_not_match_is_refused),
	};

	return cmocka_run_group_tests(tests, make_sysfs, remove_sysfs);
}
