// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "hv_vss.h"
#include "sysops.h"

static int real_open(const char *path, int flags)
{
	int fd = open(path, flags);

	return fd < 0 ? -errno : fd;
}

static int real_close(int fd)
{
	return close(fd) < 0 ? -errno : 0;
}

static ssize_t real_read(int fd, void *buf, size_t len)
{
	ssize_t got;

	do {
		got = read(fd, buf, len);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static ssize_t real_write(int fd, const void *buf, size_t len)
{
	ssize_t put;

	do {
		put = write(fd, buf, len);
	} while (put < 0 && errno == EINTR);
	return put < 0 ? -errno : put;
}

static int real_poll_in(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do {
		n = poll(&p, 1, timeout_ms);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? p.revents : 0;
}

static int real_freeze(int fd)
{
	return ioctl(fd, FIFREEZE, 0) < 0 ? -errno : 0;
}

static int real_thaw(int fd)
{
	return ioctl(fd, FITHAW, 0) < 0 ? -errno : 0;
}

static int real_readonly(int fd)
{
	struct statvfs st;

	return fstatvfs(fd, &st) < 0 ? -errno : !!(st.f_flag & ST_RDONLY);
}

static int real_sync(int fd)
{
	return syncfs(fd) < 0 ? -errno : 0;
}

/*
 * When dirty_writeback_centisecs is set to another value than 0, the kernel writes all dirty pages
 * (dirty_writeback_centisecs_handler() in mm/page-writeback.c, since "make changes of
 * dirty_writeback_centisecs take effect immediately", 4.15).
 */
static int real_wake_flushers(void)
{
	int fd = real_open("/proc/sys/vm/dirty_writeback_centisecs", O_RDWR | O_CLOEXEC);
	char old[16], other[16];
	ssize_t got;
	int len, err;

	if (fd < 0)
		return fd;
	got = pread(fd, old, sizeof(old) - 1, 0);
	if (got <= 0) {
		err = got ? -errno : -ENODATA;
		goto out;
	}
	old[got] = '\0';
	/* If we are killed in between, this value remains: 0.01 s more, or the kernel's default. */
	len = snprintf(other, sizeof(other), "%u", atoi(old) ? atoi(old) + 1U : 500U);
	err = pwrite(fd, other, len, 0) < 0 || pwrite(fd, old, got, 0) < 0 ? -errno : 0;
out:
	real_close(fd);
	return err;
}

static int64_t amount(const char *text, const char *name)
{
	const char *found = strstr(text, name);

	return found ? strtoll(found + strlen(name), NULL, 10) : -ENODATA;
}

static int64_t real_dirty_kib(void)
{
	int fd = real_open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	int64_t dirty, writing;
	char text[4096];
	ssize_t got;

	if (fd < 0)
		return fd;
	got = real_read(fd, text, sizeof(text) - 1);
	real_close(fd);
	if (got < 0)
		return got;
	text[got] = '\0';
	dirty = amount(text, "\nDirty:");
	writing = amount(text, "\nWriteback:");
	return dirty < 0 ? dirty : writing < 0 ? writing : dirty + writing;
}

static int real_guard(int dev, unsigned long cmd, int fd, uint32_t cookie)
{
	struct hv_vss_guard arg = { .fd = fd, .cookie = cookie };

	int ret = ioctl(dev, cmd, &arg);

	return ret < 0 ? -errno : ret;
}

static int real_limits(int dev, struct hv_vss_limits *limits)
{
	return ioctl(dev, HV_VSS_IOC_LIMITS, limits) < 0 ? -errno : 0;
}

static void real_sleep_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L };

	nanosleep(&ts, NULL);
}

const struct sysops sysops_real = {
	.open = real_open,
	.close = real_close,
	.read = real_read,
	.write = real_write,
	.poll_in = real_poll_in,
	.freeze = real_freeze,
	.thaw = real_thaw,
	.sync = real_sync,
	.readonly = real_readonly,
	.guard = real_guard,
	.limits = real_limits,
	.wake_flushers = real_wake_flushers,
	.dirty_kib = real_dirty_kib,
	.now_us = clock_now_us,
	.sleep_ms = real_sleep_ms,
};
