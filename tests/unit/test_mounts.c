// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/procfs.c daemon/base/sysattr.c daemon/plan/blockdev.c daemon/plan/fstypes.c
// Sources: daemon/plan/journals.c daemon/plan/listeners.c daemon/plan/lookup.c
// Sources: daemon/plan/mountinfo.c daemon/plan/mounts.c daemon/plan/order.c daemon/plan/pattern.c
// Sources: daemon/plan/policy.c tests/unit/quiet.c
// Libraries: mount
/* The plan, from recorded mount tables and a simulated sysfs in a temporary directory. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "plan/listeners.h"
#include "plan/mounts.h"
#include "test.h"

static char sysfs[32] = "/tmp/hv-vss-sysfs-XXXXXX";

static int make_sysfs(void **state)
{
	(void)state;
	return mkdtemp(sysfs) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_sysfs(void **state)
{
	(void)state;
	return nftw(sysfs, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Makes the file <sysfs>/<path> with @text, or a directory; also the directories above it. */
static void sys_add(const char *path, const char *text)
{
	char full[512], *slash;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s%s", sysfs, path, text ? "" : "/");
	for (slash = full + strlen(sysfs) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		assert_true(!mkdir(full, 0755) || errno == EEXIST);
		*slash = '/';
	}
	if (!text)
		return;
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void sys_link(const char *path, const char *to)
{
	char full[512], target[512];

	snprintf(full, sizeof(full), "%s/%s", sysfs, path);
	snprintf(target, sizeof(target), "%s/%s", sysfs, to);
	assert_true(!symlink(target, full) || errno == EEXIST);
}

static void add_table(struct mounts *m, const char *name, pid_t pid)
{
	const struct mounts_other other = { .pid = pid, .ns = -1 };
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "tables/%s.mountinfo", name);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(pid ? mounts_add_other(m, fileno(f), &other) :
			       mounts_add_table(m, f, path), 0);
	fclose(f);
}

static void plan(struct mounts *m, const char *name, const struct mounts_policy *policy)
{
	static const struct mounts_policy none;

	*m = (struct mounts){ 0 };
	add_table(m, name, 0);
	assert_int_equal(mounts_plan(m, policy ? policy : &none, sysfs), 0);
}

static int add_string(struct mounts *m, const char *text)
{
	FILE *f = fmemopen((void *)text, strlen(text), "r");
	int err;

	assert_non_null(f);
	err = mounts_add_table(m, f, "string");
	fclose(f);
	return err;
}

static int add_other(struct mounts *m, const char *text, const struct mounts_other *other)
{
	FILE *f = tmpfile();
	int err;

	assert_non_null(f);
	fputs(text, f);
	rewind(f);
	err = mounts_add_other(m, fileno(f), other);
	fclose(f);
	return err;
}

static void assert_order(const struct mounts *m, const char *expected)
{
	char order[1024] = "";

	for (size_t i = 0; i < m->n; i++) {
		const struct mounts_fs *fs = &m->fs[m->order[i]];

		if (fs->action != MOUNTS_FREEZE)
			continue;
		if (order[0])
			strcat(order, " ");
		strcat(order, mounts_fs_path(fs));
	}
	assert_string_equal(order, expected);
}

static void assert_not_frozen(const struct mounts *m, unsigned int maj, unsigned int min,
			      enum mounts_action action, const char *reason)
{
	const struct mounts_fs *fs = mounts_find(m, makedev(maj, min));

	assert_non_null(fs);
	assert_int_equal(fs->action, action);
	assert_string_equal(fs->reason, reason);
}

static void server_freezes_file_systems_on_disks(void **state)
{
	struct mounts m;

	(void)state;
	plan(&m, "server", NULL);
	assert_order(&m, "/mnt/odd /mnt/robind /srv/nfs/local /var/lib/data /var /");
	mounts_free(&m);
}

static void server_has_a_reason_for_every_skipped_one(void **state)
{
	struct mounts m;

	(void)state;
	plan(&m, "server", NULL);
	assert_not_frozen(&m, 8, 1, MOUNTS_SYNC, "this type can't be frozen");
	assert_not_frozen(&m, 8, 48, MOUNTS_SKIP, "read-only");
	assert_not_frozen(&m, 7, 3, MOUNTS_SKIP, "read-only type");
	assert_not_frozen(&m, 0, 46, MOUNTS_SKIP, "network file system");
	assert_not_frozen(&m, 0, 50, MOUNTS_SKIP, "served by a process (fuse)");
	assert_not_frozen(&m, 8, 80, MOUNTS_SKIP, "served by a process (fuse)");
	assert_not_frozen(&m, 0, 60, MOUNTS_SKIP, "lies on other file systems");
	assert_not_frozen(&m, 0, 29, MOUNTS_SKIP, "not on a disk");
	assert_not_frozen(&m, 0, 70, MOUNTS_SKIP, "unknown type without a block device");
	for (size_t i = 0; i < m.n; i++)
		assert_true(m.fs[i].action == MOUNTS_FREEZE || m.fs[i].reason[0]);
	mounts_free(&m);
}

static void desktop_has_a_pinned_namespace_and_a_pool(void **state)
{
	const struct mounts_fs *fs;
	struct mounts m;

	(void)state;
	plan(&m, "desktop", NULL);
	assert_order(&m, "/");
	assert_not_frozen(&m, 0, 50, MOUNTS_SYNC, "zfs can't be frozen; the copies of a pool's "
			  "disks may not be consistent");
	assert_not_frozen(&m, 259, 1, MOUNTS_SYNC, "this type can't be frozen");
	fs = mounts_find(&m, makedev(0, 4));
	assert_int_equal(fs->mounts, 2);
	assert_int_equal(fs->mount[0].pinned_ns, 4026532789);
	assert_int_equal(fs->mount[1].pinned_ns, 0);	/* a network namespace */
	mounts_free(&m);
}

static void path_through_nfs_is_marked(void **state)
{
	const struct mounts_fs *fs;
	struct mounts m;

	(void)state;
	plan(&m, "server", NULL);
	fs = mounts_find(&m, makedev(8, 32));
	assert_int_equal(fs->mounts, 2);
	assert_true(fs->mount[0].remote);
	assert_false(fs->mount[1].remote);
	mounts_free(&m);
}

static void include_and_exclude_select(void **state)
{
	char var[] = "/var/**", also[] = "/var/", xfs[] = "type:xfs", ab[] = "device:/dev/sd[ab]*";
	char *exclude[4] = { var, also, xfs }, *include[2] = { ab };
	const struct mounts_policy without = { .exclude = exclude }, only = { .include = include };
	struct mounts m;

	(void)state;
	plan(&m, "server", &without);
	assert_order(&m, "/mnt/odd /mnt/robind /srv/nfs/local /");
	assert_not_frozen(&m, 8, 16, MOUNTS_SKIP, "excluded");
	mounts_free(&m);
	plan(&m, "server", &only);
	assert_order(&m, "/var/lib/data /");
	assert_not_frozen(&m, 8, 32, MOUNTS_SKIP, "not included");
	mounts_free(&m);
}

/* A directory of the root in a container, at an excluded path, does not exclude the root. */
static void mount_points_in_other_namespaces_exclude_only_their_own(void **state)
{
	static const char * const ours =
		"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
		"2 1 8:2 / /data rw - ext4 /dev/sda2 rw\n";
	static const char * const containers =
		"11 10 0:60 / / rw - overlay none rw\n"
		"12 11 8:1 /var/lib/volumes/db /data rw - ext4 /dev/sda1 rw\n"
		"13 11 8:3 / /data/own rw - ext4 /dev/sda3 rw\n";
	char data[] = "/data", below[] = "/data/**", *patterns[] = { data, below, NULL };
	const struct mounts_policy policy = { .exclude = patterns };
	struct mounts m = { 0 };

	(void)state;
	assert_int_equal(add_string(&m, ours), 0);
	assert_int_equal(add_other(&m, containers, &(struct mounts_other){ .pid = 4711 }), 0);
	assert_int_equal(mounts_plan(&m, &policy, sysfs), 0);
	assert_order(&m, "/");
	assert_not_frozen(&m, 8, 2, MOUNTS_SKIP, "excluded");
	assert_not_frozen(&m, 8, 3, MOUNTS_SKIP, "excluded");
	mounts_free(&m);
}

/* A file system is excluded only if each of its mount points matches one of the patterns. */
static void all_mount_points_must_be_excluded(void **state)
{
	static const char * const table =
		"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
		"2 1 8:1 /srv/data /data/root rw - ext4 /dev/sda1 rw\n"
		"3 1 8:2 / /scratch rw - ext4 /dev/sda2 rw\n"
		"4 1 8:2 / /data/scratch rw - ext4 /dev/sda2 rw\n"
		"5 1 8:2 /gone /old//deleted rw - ext4 /dev/sda2 rw\n";
	char data[] = "/data/**", scratch[] = "/scratch", *patterns[] = { data, scratch, NULL };
	struct mounts_policy policy = { .exclude = patterns };
	struct mounts m = { 0 };

	(void)state;
	assert_int_equal(add_string(&m, table), 0);
	assert_int_equal(mounts_plan(&m, &policy, sysfs), 0);
	assert_order(&m, "/");
	assert_not_frozen(&m, 8, 2, MOUNTS_SKIP, "excluded");
	mounts_free(&m);

	m = (struct mounts){ 0 };
	patterns[1] = NULL;
	assert_int_equal(add_string(&m, table), 0);
	assert_int_equal(mounts_plan(&m, &policy, sysfs), 0);
	assert_order(&m, "/scratch /");
	mounts_free(&m);
}

/* With --strict a FUSE file system on a disk is to be synced, which fails the freeze. */
static void strict_keeps_fuse_on_disks_in_the_plan(void **state)
{
	static const char * const table =
		"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
		"2 1 8:2 / /ntfs rw - fuseblk /dev/sda2 rw\n"
		"3 1 8:3 / /readonly rw - fuseblk /dev/sda3 ro\n"
		"4 1 0:50 / /sshfs rw - fuse.sshfs host: rw\n"
		"5 1 8:4 / /excluded rw - fuseblk /dev/sda4 rw\n";
	char excluded[] = "/excluded", *patterns[] = { excluded, NULL };
	struct mounts_policy policy = { .exclude = patterns };
	struct mounts m = { 0 };

	(void)state;
	assert_int_equal(add_string(&m, table), 0);
	assert_int_equal(mounts_plan(&m, &policy, sysfs), 0);
	assert_int_equal(mounts_find(&m, makedev(8, 2))->action, MOUNTS_SKIP);
	mounts_free(&m);
	policy.strict = true;
	assert_int_equal(add_string(&m, table), 0);
	assert_int_equal(mounts_plan(&m, &policy, sysfs), 0);
	assert_int_equal(mounts_find(&m, makedev(8, 2))->action, MOUNTS_SYNC);
	assert_int_equal(mounts_find(&m, makedev(8, 3))->action, MOUNTS_SKIP);
	assert_int_equal(mounts_find(&m, makedev(8, 4))->action, MOUNTS_SKIP);
	assert_int_equal(mounts_find(&m, makedev(0, 50))->action, MOUNTS_SKIP);
	mounts_free(&m);
}

static void nested_file_systems_are_frozen_before_their_holders(void **state)
{
	struct mounts m;

	(void)state;
	/* /mnt/two lies in /mnt/one, that in /data; /mnt/part lies in /mnt/crypt, that in /. */
	sys_add("devices/loop0/loop/backing_file", "/data/img\n");
	sys_add("devices/loop1/loop/backing_file", "/mnt/one/img (deleted)\n");
	sys_add("devices/loop2/loop/backing_file", "/mnt/crypt/disk.img\n");
	sys_add("devices/loop2/loop2p1/partition", "1\n");
	sys_add("devices/loop9/loop/backing_file", "/root/crypt.img\n");
	sys_add("devices/dm-7/slaves", NULL);
	sys_add("dev/block", NULL);
	sys_link("devices/dm-7/slaves/loop9", "devices/loop9");
	sys_link("dev/block/7:0", "devices/loop0");
	sys_link("dev/block/7:1", "devices/loop1");
	sys_link("dev/block/259:0", "devices/loop2/loop2p1");
	sys_link("dev/block/254:7", "devices/dm-7");
	plan(&m, "nested", NULL);
	assert_order(&m, "/mnt/part /mnt/crypt /mnt/two /mnt/one /data /");
	mounts_free(&m);
}

static bool beside(const struct mounts *m, unsigned int maj, unsigned int min)
{
	return mounts_find(m, makedev(maj, min))->beside;
}

/* Only file systems that lie directly on disks can be frozen at the same time as others. */
static void file_systems_on_disks_are_frozen_together(void **state)
{
	struct mounts m = { 0 };
	const struct mounts_policy none = { 0 };

	(void)state;
	sys_add("devices/pci0000:00/sdp/dev", "8:240\n");
	sys_add("devices/pci0000:00/sdp/sdp1/partition", "1\n");
	sys_add("devices/pci0000:00/sdp/sdp2/partition", "2\n");
	sys_add("devices/pci0000:00/sdp/sdp3/partition", "3\n");
	sys_add("devices/virtual/block/nbd7/dev", "43:7\n");
	sys_add("devices/platform/host9/session1/sdq/dev", "65:0\n");
	sys_add("devices/virtual/block/dm-20/slaves", NULL);
	sys_add("dev/block", NULL);
	sys_link("devices/virtual/block/dm-20/slaves/sdp3", "devices/pci0000:00/sdp/sdp3");
	sys_link("dev/block/8:240", "devices/pci0000:00/sdp");
	sys_link("dev/block/8:241", "devices/pci0000:00/sdp/sdp1");
	sys_link("dev/block/8:242", "devices/pci0000:00/sdp/sdp2");
	sys_link("dev/block/254:20", "devices/virtual/block/dm-20");
	sys_link("dev/block/43:7", "devices/virtual/block/nbd7");
	sys_link("dev/block/65:0", "devices/platform/host9/session1/sdq");
	assert_int_equal(add_string(&m,
				    "1 0 8:241 / / rw - ext4 /dev/sdp1 rw\n"
				    "2 1 8:242 / /a rw - ext4 /dev/sdp2 rw\n"
				    "3 1 254:20 / /b rw - ext4 /dev/mapper/b rw\n"
				    "4 1 43:7 / /nbd rw - ext4 /dev/nbd7 rw\n"
				    "5 1 65:0 / /iscsi rw - ext4 /dev/sdq rw\n"
				    "6 1 8:99 / /unknown rw - ext4 /dev/sdz rw\n"
				    "7 1 8:240 / /c rw - ext4 /dev/sdp rw\n"), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_order(&m, "/unknown /iscsi /nbd /c /b /a /");
	assert_false(beside(&m, 8, 99));
	assert_false(beside(&m, 65, 0));
	assert_false(beside(&m, 43, 7));
	assert_false(beside(&m, 8, 240));	/* not beside /nbd, which may lie anywhere */
	assert_true(beside(&m, 254, 20));
	assert_true(beside(&m, 8, 242));
	assert_false(beside(&m, 8, 241));	/* the root */
	mounts_free(&m);
}

/*
 * The first two may lie in a file on another file system, which can't be known: one is served over
 * the network, the other one's file has a path of another mount namespace. So they come first.
 */
static void file_systems_in_unknown_files_come_first(void **state)
{
	static const char * const table =
		"1 0 8:241 / / rw - ext4 /dev/sdp1 rw\n"
		"2 1 0:30 / /run rw - tmpfs none rw\n"
		"3 2 43:8 / /run/nbd rw - ext4 /dev/nbd8 rw\n"
		"4 2 7:50 / /run/loop rw - ext4 /dev/loop50 rw\n"
		"5 1 8:242 / /holder rw - ext4 /dev/sdp2 rw\n";
	struct mounts m = { 0 };
	const struct mounts_policy none = { 0 };

	(void)state;
	sys_add("devices/virtual/block/nbd8/dev", "43:8\n");
	sys_add("devices/virtual/block/loop50/loop/backing_file", "/run/deep/img\n");
	sys_add("devices/pci0000:00/sdp/dev", "8:240\n");
	sys_add("devices/pci0000:00/sdp/sdp1/partition", "1\n");
	sys_add("devices/pci0000:00/sdp/sdp2/partition", "2\n");
	sys_add("dev/block", NULL);
	sys_link("dev/block/43:8", "devices/virtual/block/nbd8");
	sys_link("dev/block/7:50", "devices/virtual/block/loop50");
	sys_link("dev/block/8:240", "devices/pci0000:00/sdp");
	sys_link("dev/block/8:241", "devices/pci0000:00/sdp/sdp1");
	sys_link("dev/block/8:242", "devices/pci0000:00/sdp/sdp2");
	assert_int_equal(add_string(&m, table), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_order(&m, "/run/loop /run/nbd /holder /");
	mounts_free(&m);
}

/*
 * Each lies in another way on a file of /holder: a bcache without a cache, one of the three devices
 * of a dm-cache, a SCSI target of this kernel.
 */
static void cached_device_lies_on_all_its_devices(void **state)
{
	static const char * const table =
		"1 0 8:241 / / rw - ext4 /dev/sdp1 rw\n"
		"2 1 8:242 / /holder rw - ext4 /dev/sdp2 rw\n"
		"3 1 252:0 / /bcache rw - ext4 /dev/bcache0 rw\n"
		"4 1 254:70 / /cache rw - ext4 /dev/mapper/c rw\n"
		"5 1 65:32 / /tcm rw - ext4 /dev/sds rw\n"
		"6 1 252:16 / /plain rw - ext4 /dev/bcache1 rw\n"
		"7 1 65:96 / /last rw - ext4 /dev/sdw rw\n";
	struct mounts m = { 0 };
	const struct mounts_policy none = { 0 };

	(void)state;
	sys_add("devices/pci0000:00/sdp/dev", "8:240\n");
	sys_add("devices/pci0000:00/sdp/sdp1/partition", "1\n");
	sys_add("devices/pci0000:00/sdp/sdp2/partition", "2\n");
	sys_add("devices/pci0000:00/sdt/dev", "65:48\n");
	sys_add("devices/pci0000:00/sdu/dev", "65:64\n");
	sys_add("devices/pci0000:00/sdu/bcache/label", "x\n");
	sys_add("devices/pci0000:00/sdw/dev", "65:96\n");
	sys_add("devices/virtual/block/loop70/loop/backing_file", "/holder/b\n");
	sys_add("devices/virtual/block/loop70/bcache/label", "x\n");
	sys_add("devices/virtual/block/loop71/loop/backing_file", "/holder/c\n");
	sys_add("devices/virtual/block/bcache0/slaves", NULL);
	sys_link("devices/virtual/block/bcache0/bcache",
		 "devices/virtual/block/loop70/bcache");
	sys_add("devices/virtual/block/bcache1/slaves", NULL);
	sys_link("devices/virtual/block/bcache1/bcache", "devices/pci0000:00/sdu/bcache");
	sys_add("devices/virtual/block/dm-70/slaves", NULL);
	sys_link("devices/virtual/block/dm-70/slaves/sdt", "devices/pci0000:00/sdt");
	sys_link("devices/virtual/block/dm-70/slaves/sdu", "devices/pci0000:00/sdu");
	sys_link("devices/virtual/block/dm-70/slaves/loop71", "devices/virtual/block/loop71");
	sys_add("devices/tcm_loop_0/tcm_loop_adapter_0/host3/target3:0:1/3:0:1:0/block/sds/dev",
		"65:32\n");
	sys_add("dev/block", NULL);
	sys_link("dev/block/8:240", "devices/pci0000:00/sdp");
	sys_link("dev/block/8:241", "devices/pci0000:00/sdp/sdp1");
	sys_link("dev/block/8:242", "devices/pci0000:00/sdp/sdp2");
	sys_link("dev/block/65:48", "devices/pci0000:00/sdt");
	sys_link("dev/block/65:64", "devices/pci0000:00/sdu");
	sys_link("dev/block/65:96", "devices/pci0000:00/sdw");
	sys_link("dev/block/252:0", "devices/virtual/block/bcache0");
	sys_link("dev/block/252:16", "devices/virtual/block/bcache1");
	sys_link("dev/block/254:70", "devices/virtual/block/dm-70");
	sys_link("dev/block/65:32", "devices/tcm_loop_0/tcm_loop_adapter_0/host3/target3:0:1/"
		 "3:0:1:0/block/sds");
	assert_int_equal(add_string(&m, table), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_order(&m, "/tcm /cache /bcache /last /plain /holder /");
	assert_int_equal(mounts_find(&m, makedev(252, 0))->backings, 1);
	assert_int_equal(mounts_find(&m, makedev(254, 70))->backings, 1);
	assert_false(mounts_find(&m, makedev(65, 32))->disks_only);
	assert_true(mounts_find(&m, makedev(252, 16))->disks_only);
	mounts_free(&m);
}

/* One external journal in a file of /holder. It is not known whose of the two it is. */
static void device_of_an_external_journal_counts(void **state)
{
	static const char * const table =
		"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
		"2 1 8:2 / /one rw - ext4 /dev/sda2 rw\n"
		"3 1 8:3 / /two rw - ext4 /dev/sda3 rw\n"
		"4 1 8:4 / /xfs rw - xfs /dev/sda4 rw,logdev=/dev/no-such-device,noquota\n"
		"5 1 8:5 / /holder rw - xfs /dev/sda5 rw,noquota\n";
	struct mounts m = { 0 };
	const struct mounts_policy none = { 0 };
	char proc[64], name[64];

	(void)state;
	sys_add("devices/pci0000:00/sda/dev", "8:0\n");
	sys_add("dev/block", NULL);
	sys_link("dev/block/8:0", "devices/pci0000:00/sda");
	for (int i = 1; i <= 5; i++) {
		snprintf(name, sizeof(name), "devices/pci0000:00/sda/sda%d/partition", i);
		sys_add(name, "1\n");
		snprintf(name, sizeof(name), "devices/pci0000:00/sda/sda%d", i);
		snprintf(proc, sizeof(proc), "dev/block/8:%d", i);
		sys_link(proc, name);
	}
	sys_add("devices/virtual/block/loop80/loop/backing_file", "/holder/journal\n");
	sys_add("devices/virtual/block/loop80/dev", "7:80\n");
	sys_link("dev/block/7:80", "devices/virtual/block/loop80");
	sys_add("class/block", NULL);
	sys_link("class/block/loop80", "devices/virtual/block/loop80");
	sys_add("proc/fs/jbd2/sda1-8/info", "x\n");
	sys_add("proc/fs/jbd2/loop80/info", "x\n");
	snprintf(proc, sizeof(proc), "%s/proc", sysfs);
	m.proc = proc;
	assert_int_equal(add_string(&m, table), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_int_equal(mounts_find(&m, makedev(8, 1))->journals, 0);
	assert_int_equal(mounts_find(&m, makedev(8, 2))->journals, 1);
	assert_int_equal(mounts_find(&m, makedev(8, 2))->backings, 1);
	assert_int_equal(mounts_find(&m, makedev(8, 3))->backings, 1);
	assert_false(mounts_find(&m, makedev(8, 2))->disks_only);
	assert_false(mounts_find(&m, makedev(8, 4))->disks_only);
	assert_true(mounts_find(&m, makedev(8, 5))->disks_only);
	assert_order(&m, "/xfs /two /one /holder /");
	mounts_free(&m);
}

static void process_with(int pid, int fd, const char *link, const char *info)
{
	char name[64], path[128];

	snprintf(name, sizeof(name), "listen/%d/fd", pid);
	sys_add(name, NULL);
	snprintf(path, sizeof(path), "%s/%s/%d", sysfs, name, fd);
	assert_int_equal(symlink(link, path), 0);
	snprintf(name, sizeof(name), "listen/%d/fdinfo/%d", pid, fd);
	sys_add(name, info);
}

static void files_open_in_a_listener_are_frozen_last(void **state)
{
	static const char * const table =
		"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
		"2 1 8:2 / /reads rw - ext4 /dev/sda2 rw\n"
		"3 1 8:3 / /writes rw - ext4 /dev/sda3 rw\n"
		"4 1 8:4 / /told rw - ext4 /dev/sda4 rw\n"
		"5 1 8:5 / /other rw - ext4 /dev/sda5 rw\n";
	const struct mounts_policy none = { 0 };
	struct mounts m = { 0 };
	char proc[64];

	(void)state;
	process_with(70, 3, "anon_inode:[fanotify]", "pos:\t0\nflags:\t02\nmnt_id:\t15\n"
		     "fanotify flags:4 event-flags:8000\n");
	process_with(70, 4, "/x", "pos:\t0\nflags:\t0100000\nmnt_id:\t2\n");
	process_with(70, 5, "/x", "pos:\t0\nflags:\t0100001\nmnt_id:\t3\n");
	process_with(70, 6, "/x", "pos:\t0\nflags:\t0100000\nmnt_id:\t3\n");
	/* A listener without permission events, and a process without fanotify. */
	process_with(71, 3, "anon_inode:[fanotify]", "pos:\t0\nflags:\t02\nmnt_id:\t15\n"
		     "fanotify flags:0 event-flags:8000\n");
	process_with(71, 4, "/x", "pos:\t0\nflags:\t02\nmnt_id:\t4\n");
	process_with(72, 3, "anon_inode:[eventfd]", "pos:\t0\nflags:\t02\nmnt_id:\t15\n");
	process_with(72, 4, "/x", "pos:\t0\nflags:\t02\nmnt_id:\t5\n");
	assert_int_equal(add_string(&m, table), 0);
	snprintf(proc, sizeof(proc), "%s/listen", sysfs);
	assert_int_equal(listeners_mark(&m, proc), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_order(&m, "/other /told /reads /writes /");
	assert_false(beside(&m, 8, 2));
	assert_false(beside(&m, 8, 3));
	assert_int_equal(listeners_mark(&m, "/nonexistent"), -ENOENT);
	mounts_free(&m);
}

static void device_that_disappears_is_ignored(void **state)
{
	struct mounts m = { 0 };
	const struct mounts_policy none = { 0 };

	(void)state;
	sys_add("devices/virtual/block/dm-60/slaves/gone", NULL);
	sys_add("dev/block", NULL);
	sys_link("dev/block/254:60", "devices/virtual/block/dm-60");
	assert_int_equal(add_string(&m,
				    "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
				    "2 1 254:60 / /a rw - ext4 /dev/mapper/a rw\n"), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_order(&m, "/a /");
	mounts_free(&m);
}

/* The vfat in between can't be frozen, but it is part of the chain. */
static void order_is_kept_across_unfreezable(void **state)
{
	struct mounts m = { 0 };
	const struct mounts_policy none = { 0 };

	(void)state;
	sys_add("devices/loop10/loop/backing_file", "/fat/img\n");
	sys_add("devices/loop11/loop/backing_file", "/late/img\n");
	sys_add("dev/block", NULL);
	sys_link("dev/block/7:10", "devices/loop10");
	sys_link("dev/block/7:11", "devices/loop11");
	assert_int_equal(add_string(&m,
				    "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
				    "2 1 7:10 / /inner rw - ext4 /dev/loop10 rw\n"
				    "3 1 7:11 / /fat rw - vfat /dev/loop11 rw\n"
				    "4 1 8:3 / /late rw - ext4 /dev/sda3 rw\n"), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_order(&m, "/inner /late /");
	mounts_free(&m);
}

static void root_on_a_loop_device_precedes_its_holder(void **state)
{
	struct mounts m = { 0 };
	const struct mounts_policy none = { 0 };

	(void)state;
	sys_add("devices/loop20/loop/backing_file", "/host/root.img\n");
	sys_add("dev/block", NULL);
	sys_link("dev/block/7:20", "devices/loop20");
	assert_int_equal(add_string(&m,
				    "1 0 7:20 / / rw - ext4 /dev/loop20 rw\n"
				    "2 1 8:1 / /host rw - ext4 /dev/sda1 rw\n"), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_order(&m, "/ /host");
	mounts_free(&m);
}

/* Since Linux 6.8 a table is sorted by mount id; an initramfs may mount the root late. */
static void root_is_last_at_any_place_in_the_table(void **state)
{
	const struct mounts_policy none = { 0 };
	struct mounts m = { 0 };

	(void)state;
	assert_int_equal(add_string(&m,
				    "20 30 8:2 / /usr rw - ext4 /dev/sda2 rw\n"
				    "30 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				    "31 30 8:3 / /var rw - ext4 /dev/sda3 rw\n"), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_order(&m, "/var /usr /");
	mounts_free(&m);
}

static void cycle_is_broken_and_reported(void **state)
{
	struct mounts m = { 0 };
	const struct mounts_policy none = { 0 };

	(void)state;
	sys_add("devices/loop30/loop/backing_file", "/b/img\n");
	sys_add("devices/loop31/loop/backing_file", "/a/img\n");
	sys_add("dev/block", NULL);
	sys_link("dev/block/7:30", "devices/loop30");
	sys_link("dev/block/7:31", "devices/loop31");
	assert_int_equal(add_string(&m,
				    "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
				    "2 1 7:30 / /a rw - ext4 /dev/loop30 rw\n"
				    "3 1 7:31 / /b rw - ext4 /dev/loop31 rw\n"), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_order(&m, "/b /a /");
	assert_string_equal(mounts_find(&m, makedev(7, 31))->reason,
			    "dependency cycle; frozen in the order of mounting");
	mounts_free(&m);
}

static void covered_mount_point_does_not_hold_the_file(void **state)
{
	struct mounts m = { 0 };
	const struct mounts_policy none = { 0 };

	(void)state;
	sys_add("devices/loop40/loop/backing_file", "/x/img\n");
	sys_add("dev/block", NULL);
	sys_link("dev/block/7:40", "devices/loop40");
	assert_int_equal(add_string(&m,
				    "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
				    "2 1 7:40 / /l rw - ext4 /dev/loop40 rw\n"
				    "3 1 8:2 / /x rw - ext4 /dev/sda2 rw\n"
				    "4 3 8:3 / /x rw - ext4 /dev/sda3 rw\n"), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_int_equal(mounts_find(&m, makedev(7, 40))->backings, 1);
	assert_ptr_equal(&m.fs[mounts_find(&m, makedev(7, 40))->backing[0]],
			 mounts_find(&m, makedev(8, 3)));
	mounts_free(&m);
}

static void odd_names_are_decoded(void **state)
{
	const struct mounts_fs *fs;
	struct mounts m;

	(void)state;
	plan(&m, "odd", NULL);
	fs = mounts_find(&m, makedev(8, 16));
	assert_string_equal(mounts_fs_path(fs), "/mnt/a b\tc\nd\\e");
	assert_string_equal(fs->source, "/dev/sd b");
	fs = mounts_find(&m, makedev(8, 48));
	assert_string_equal(mounts_fs_path(fs), "/mnt/übergröße");
	mounts_free(&m);
}

static void deleted_mount_point_is_recognised(void **state)
{
	const struct mounts_fs *fs;
	struct mounts m;

	(void)state;
	plan(&m, "odd", NULL);
	fs = mounts_find(&m, makedev(8, 32));
	assert_int_equal(fs->mounts, 2);
	assert_true(fs->mount[0].deleted);
	assert_string_equal(mounts_fs_path(fs), "/mnt/here");
	fs = mounts_find(&m, makedev(8, 96));
	assert_int_equal(fs->action, MOUNTS_FREEZE);
	assert_string_equal(mounts_fs_path(fs), "/mnt/only-deleted");
	mounts_free(&m);
}

static void btrfs_subvolumes_are_one_file_system(void **state)
{
	const struct mounts_fs *fs;
	struct mounts m;

	(void)state;
	plan(&m, "odd", NULL);
	fs = mounts_find(&m, makedev(0, 40));
	assert_int_equal(fs->mounts, 2);
	assert_int_equal(fs->action, MOUNTS_FREEZE);
	mounts_free(&m);
}

static void other_namespace_only_adds_new_file_systems(void **state)
{
	const struct mounts_policy none = { 0 };
	const struct mounts_fs *fs;
	struct mounts m = { 0 };

	(void)state;
	add_table(&m, "server", 0);
	add_table(&m, "container", 4711);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	assert_order(&m, "/volume /mnt/odd /mnt/robind /srv/nfs/local /var/lib/data /var /");
	fs = mounts_find(&m, makedev(8, 112));
	assert_int_equal(fs->mount[0].pid, 4711);
	fs = mounts_find(&m, makedev(8, 2));
	assert_int_equal(fs->mounts, 1);
	assert_true(fs->root);
	assert_int_equal(mounts_find(&m, makedev(0, 60))->mounts, 1);
	mounts_free(&m);
}

static void invalid_table_is_refused(void **state)
{
	static const char * const bad[] = {
		"hello\n",
		"28 1 8:2 / / rw,relatime shared:1 ext4 /dev/sda2 rw\n",
		"28 1 8:2 / / rw,relatime - ext4 /dev/sda2 rw\n28 1\n",
		"28 1 8 / / rw,relatime - ext4 /dev/sda2 rw\n",
		NULL
	};

	(void)state;
	for (size_t i = 0; bad[i]; i++) {
		struct mounts m = { 0 };

		assert_int_not_equal(add_string(&m, bad[i]), 0);
		mounts_free(&m);
	}
}

static void thousands_of_mounts_are_fast(void **state)
{
	const struct mounts_policy none = { 0 };
	struct mounts m = { 0 };
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	fprintf(f, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
	for (int i = 0; i < 4000; i++)
		fprintf(f, "%d %d %d:%d / /m/%d rw - %s /dev/x%d rw\n", i + 2, i > 50 ? i - 20 : 1,
			200 + i / 2000, i % 2000, i, i % 2 ? "ext4" : "xfs", i);
	fclose(f);
	alarm(20);	/* takes about a second with sanitizers; hours if it were cubic */
	assert_int_equal(add_string(&m, text), 0);
	assert_int_equal(mounts_plan(&m, &none, sysfs), 0);
	alarm(0);
	assert_int_equal(m.n, 4001);
	assert_string_equal(mounts_fs_path(&m.fs[m.order[0]]), "/m/3999");
	assert_true(m.fs[m.order[4000]].root);
	mounts_free(&m);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_freezes_file_systems_on_disks),
		cmocka_unit_test(server_has_a_reason_for_every_skipped_one),
		cmocka_unit_test(desktop_has_a_pinned_namespace_and_a_pool),
		cmocka_unit_test(path_through_nfs_is_marked),
		cmocka_unit_test(include_and_exclude_select),
		cmocka_unit_test(mount_points_in_other_namespaces_exclude_only_their_own),
		cmocka_unit_test(all_mount_points_must_be_excluded),
		cmocka_unit_test(strict_keeps_fuse_on_disks_in_the_plan),
		cmocka_unit_test(nested_file_systems_are_frozen_before_their_holders),
		cmocka_unit_test(file_systems_on_disks_are_frozen_together),
		cmocka_unit_test(cached_device_lies_on_all_its_devices),
		cmocka_unit_test(device_of_an_external_journal_counts),
		cmocka_unit_test(files_open_in_a_listener_are_frozen_last),
		cmocka_unit_test(order_is_kept_across_unfreezable),
		cmocka_unit_test(root_on_a_loop_device_precedes_its_holder),
		cmocka_unit_test(root_is_last_at_any_place_in_the_table),
		cmocka_unit_test(device_that_disappears_is_ignored),
		cmocka_unit_test(file_systems_in_unknown_files_come_first),
		cmocka_unit_test(cycle_is_broken_and_reported),
		cmocka_unit_test(covered_mount_point_does_not_hold_the_file),
		cmocka_unit_test(odd_names_are_decoded),
		cmocka_unit_test(deleted_mount_point_is_recognised),
		cmocka_unit_test(btrfs_subvolumes_are_one_file_system),
		cmocka_unit_test(other_namespace_only_adds_new_file_systems),
		cmocka_unit_test(invalid_table_is_refused),
		cmocka_unit_test(thousands_of_mounts_are_fast),
	};

	return cmocka_run_group_tests(tests, make_sysfs, remove_sysfs);
}
