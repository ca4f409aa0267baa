/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The system calls that freeze, thaw and sync, in a table of functions, so that the unit tests can
 * make each of them fail, hang or return late. They return a negative errno and don't set errno.
 */
#ifndef HV_VSS_SYSOPS_H
#define HV_VSS_SYSOPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct hv_vss_limits;

struct sysops {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	ssize_t (*read)(int fd, void *buf, size_t len);
	ssize_t (*write)(int fd, const void *buf, size_t len);
	int (*poll_in)(int fd, int timeout_ms);
	int (*freeze)(int fd);
	int (*thaw)(int fd);
	int (*sync)(int fd);
	int (*readonly)(int fd);	/* 1: the file system or the mount is read-only */
	int (*guard)(int dev, unsigned long cmd, int fd, uint32_t cookie);
	int (*limits)(int dev, struct hv_vss_limits *limits);	/* set to the limits in force */
	int (*wake_flushers)(void);	/* makes the kernel's flushers write; does not wait */
	int64_t (*dirty_kib)(void);	/* dirty and writeback pages of the machine */
	int64_t (*now_us)(void);
	void (*sleep_ms)(unsigned int ms);
};

extern const struct sysops sysops_real;

#endif
