/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few calls into the kernel that decide about frozen file systems, behind one table, so that
 * the unit tests can make each of them fail, hang or answer late. All of them return a negative
 * errno instead of setting errno.
 */
#ifndef HV_VSS_SYSOPS_H
#define HV_VSS_SYSOPS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sysops {
	int (*open)(const char *path, int flags);
	int (*close)(int fd);
	ssize_t (*read)(int fd, void *buf, size_t len);
	ssize_t (*write)(int fd, const void *buf, size_t len);
	int (*poll_in)(int fd, int timeout_ms);
	int (*freeze)(int fd);
	int (*thaw)(int fd);
	int (*sync)(int fd);
	int (*guard)(int dev, unsigned long cmd, int fd, uint32_t cookie);
	int (*wake_flushers)(void);	/* the kernel's, to write what is dirty; waits for none */
	int64_t (*dirty_kib)(void);	/* what the machine has yet to write out */
	int64_t (*now_us)(void);
	void (*sleep_ms)(unsigned int ms);
};

extern const struct sysops sysops_real;

#endif
