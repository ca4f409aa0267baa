// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault.so: preloaded into a freeze daemon to cause a fault at an exact step.
 *
 *	HV_FAULT=POINT[:N]=ACTION LD_PRELOAD=fault.so hv-vss-daemon
 *
 * POINT	read-freeze, read-thaw		the daemon has just read that request
 *		fifreeze-before, fifreeze-after	around the N-th FIFREEZE (default 1)
 *		fithaw-before, fithaw-after	around the N-th FITHAW or HV_VSS_IOC_THAW
 *		reply-freeze-before, reply-freeze-after, reply-thaw-before, reply-thaw-after
 *						around the answer to that request
 *		open-PATH			before PATH is opened
 *		undumpable-before		before the process disables its core dump
 * ACTION	KILL, SEGV, ABRT, STOP, TERM	a signal to the whole process
 *		sleep-MS			this thread sleeps
 *		errno-N				the call is not made, and fails with that error
 *						(…-before only)
 *
 * The fault happens once. It works with the stock daemon as well: both call glibc for these calls.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "../../include/uapi/hv_vss.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define OP_FREEZE	5
#define OP_THAW		6
#define OP_REGISTER_MIN	128

static struct {
	char point[32];
	unsigned int nth;
	char action[32];
} plan;

static atomic_uint seen;
static atomic_flag fired = ATOMIC_FLAG_INIT;
static atomic_int registered;
static atomic_int asked;	/* the latest request that was read */

__attribute__((constructor))
static void fault_init(void)
{
	const char *text = getenv("HV_FAULT");
	char *colon;

	plan.nth = 1;
	if (!text)
		return;
	if (sscanf(text, "%31[^=]=%31s", plan.point, plan.action) != 2) {
		fprintf(stderr, "fault.so: HV_FAULT=%s not understood\n", text);
		_exit(2);
	}
	colon = strchr(plan.point, ':');
	if (colon) {
		*colon = '\0';
		plan.nth = strtoul(colon + 1, NULL, 10);
	}
}

static int signal_number(const char *name)
{
	static const struct { const char *name; int nr; } table[] = {
		{ "KILL", SIGKILL }, { "SEGV", SIGSEGV }, { "ABRT", SIGABRT },
		{ "STOP", SIGSTOP }, { "TERM", SIGTERM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (!strcmp(table[i].name, name))
			return table[i].nr;
	}
	return 0;
}

/* Returns an errno value if the call must fail and not be made. */
static int fault_at(const char *point)
{
	struct timespec ts;
	unsigned long value;
	int nr;

	if (strcmp(point, plan.point) || atomic_fetch_add(&seen, 1) + 1 != plan.nth)
		return 0;
	if (atomic_flag_test_and_set(&fired))
		return 0;
	nr = signal_number(plan.action);
	if (nr) {
		kill(getpid(), nr);
		return 0;
	}
	if (sscanf(plan.action, "sleep-%lu", &value) == 1) {
		ts.tv_sec = value / 1000;
		ts.tv_nsec = value % 1000 * 1000000;
		nanosleep(&ts, NULL);
	} else if (sscanf(plan.action, "errno-%lu", &value) == 1) {
		return value;
	}
	return 0;
}

/* Checked at every call, because the device has another number after a new offer. */
static int is_device(int fd)
{
	struct stat node, file;

	return !stat("/dev/vmbus/hv_vss", &node) && !fstat(fd, &file) &&
	       S_ISCHR(file.st_mode) && file.st_rdev == node.st_rdev;
}

int ioctl(int fd, unsigned long request, ...)
{
	const char *before = NULL, *after = NULL;
	va_list ap;
	void *arg;
	int ret, err;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);

	if (request == FIFREEZE) {
		before = "fifreeze-before";
		after = "fifreeze-after";
	} else if (request == FITHAW || request == HV_VSS_IOC_THAW) {
		before = "fithaw-before";
		after = "fithaw-after";
	}
	if (before) {
		err = fault_at(before);
		if (err) {
			errno = err;
			return -1;
		}
	}
	ret = syscall(SYS_ioctl, fd, request, arg);
	if (after) {
		err = errno;
		fault_at(after);
		errno = err;
	}
	return ret;
}

ssize_t read(int fd, void *buf, size_t count)
{
	ssize_t n = syscall(SYS_read, fd, buf, count);
	int err = errno;

	if (n >= 12 && registered && is_device(fd)) {
		asked = *(unsigned char *)buf;
		if (asked == OP_FREEZE)
			fault_at("read-freeze");
		else if (asked == OP_THAW)
			fault_at("read-thaw");
	}
	errno = err;
	return n;
}

int prctl(int option, ...)
{
	unsigned long arg[4];
	va_list ap;
	int err;

	va_start(ap, option);
	for (size_t i = 0; i < ARRAY_SIZE(arg); i++)
		arg[i] = va_arg(ap, unsigned long);
	va_end(ap);
	err = option == PR_SET_DUMPABLE && !arg[0] ? fault_at("undumpable-before") : 0;
	if (err) {
		errno = err;
		return -1;
	}
	return syscall(SYS_prctl, option, arg[0], arg[1], arg[2], arg[3]);
}

static int open_at(const char *path, int flags, mode_t mode)
{
	char point[sizeof(plan.point)];

	if ((size_t)snprintf(point, sizeof(point), "open-%s", path) < sizeof(point)) {
		int err = fault_at(point);

		if (err) {
			errno = err;
			return -1;
		}
	}
	return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | __O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return open_at(path, flags, mode);
}

/* Called in place of open() by a program that is compiled with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open_at(path, flags, 0);
}

/* The same for read(). */
ssize_t __read_chk(int fd, void *buf, size_t count, size_t size);
ssize_t __read_chk(int fd, void *buf, size_t count, size_t size)
{
	if (count > size)
		abort();
	return read(fd, buf, count);
}

static const char *reply_point(bool after)
{
	if (asked == OP_FREEZE)
		return after ? "reply-freeze-after" : "reply-freeze-before";
	if (asked == OP_THAW)
		return after ? "reply-thaw-after" : "reply-thaw-before";
	return "none";
}

ssize_t write(int fd, const void *buf, size_t count)
{
	int device = count == 12 && is_device(fd), answer = 0, err;
	ssize_t n;

	if (device) {
		/* An answer starts with an HRESULT, 0 or 0x8000xxxx; a registration does not. */
		unsigned char op = *(const unsigned char *)buf;

		if (registered && op < OP_REGISTER_MIN)
			answer = 1;
		else
			registered = 1;
	}
	if (answer) {
		err = fault_at(reply_point(false));
		if (err) {
			errno = err;
			return -1;
		}
	}
	n = syscall(SYS_write, fd, buf, count);
	if (answer) {
		err = errno;
		fault_at(reply_point(true));
		errno = err;
	}
	return n;
}
