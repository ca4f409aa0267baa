// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <linux/btrfs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/sysattr.h"
#include "btrfsop.h"

#define DEVICES_MAX	1024	/* device ids are assigned in order; larger ones are not checked */

/*
 * Reads the operation from sysfs (5.10 and later). A paused balance does not block a freeze; nor
 * does a swap file, except for the moment of its activation.
 */
static int exclusive_operation(const __u8 *id, const char *sysfs, char *what, size_t size)
{
	char dir[PATH_MAX], uuid[40];
	int n = 0;

	for (int i = 0; i < 16; i++)
		n += snprintf(uuid + n, sizeof(uuid) - n, "%s%02x",
			      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
	if ((size_t)snprintf(dir, sizeof(dir), "%s/fs/btrfs/%s", sysfs, uuid) >= sizeof(dir))
		return -ENAMETOOLONG;
	n = sysattr_read(what, size, dir, "exclusive_operation");
	if (n)
		return n;
	return strcmp(what, "none") != 0 && strcmp(what, "balance paused") != 0 &&
	       strcmp(what, "swap activate") != 0;
}

static bool is_balancing(int fd)
{
	struct btrfs_ioctl_balance_args args = { 0 };

	return !ioctl(fd, BTRFS_IOC_BALANCE_PROGRESS, &args) &&
	       (args.state & BTRFS_BALANCE_STATE_RUNNING);
}

/* The ioctl fails with ENOTCONN while no scrub runs. */
static bool is_scrubbing(int fd, __u64 devices)
{
	struct btrfs_ioctl_scrub_args args;

	for (__u64 id = 1; id <= devices && id <= DEVICES_MAX; id++) {
		memset(&args, 0, sizeof(args));
		args.devid = id;
		if (!ioctl(fd, BTRFS_IOC_SCRUB_PROGRESS, &args))
			return true;
	}
	return false;
}

/**
 * btrfsop_running() - does an operation run that has to end before the file system can be frozen?
 * @fd: open on the file system
 * @sysfs: where sysfs is mounted
 * @what: gets the name of the operation
 * @size: of @what
 *
 * Context: worker; the kernel may wait for a commit of the file system.
 * Return: 1 if so, 0 if not, or a negative errno.
 */
int btrfsop_running(int fd, const char *sysfs, char *what, size_t size)
{
	struct btrfs_ioctl_fs_info_args info = { 0 };
	int found;

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &info))
		return -errno;
	found = exclusive_operation(info.fsid, sysfs, what, size);
	if (found > 0)
		return 1;
	if (found < 0 && is_balancing(fd)) {
		snprintf(what, size, "balance");
		return 1;
	}
	if (is_scrubbing(fd, info.max_id)) {
		snprintf(what, size, "scrub");
		return 1;
	}
	return 0;
}
