// SPDX-License-Identifier: GPL-2.0-only
/*
 * System call numbers depend on the task: a 64-bit x86 kernel runs 32-bit and 64-bit programs, and
 * the daemon may be either. A task whose stack pointer is below 4 GiB is assumed to be a 32-bit
 * one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "syscalls.h"

#define BY_PATH		(-1)	/* the call has a path and always writes */
#define BY_PATH_FLAGS(n) (-2 - (n))	/* it has a path; flags in argument n: O_CREAT, O_TRUNC */
#define BTRFS_MAGIC	0x94	/* the "type" of its ioctls, and of those for clones */

struct call {
	short nr;
	short fd;		/* the argument with the descriptor; or BY_PATH... */
	const char *name;
};

#ifdef SYS_modify_ldt	/* x86 */
static const struct call calls64[] = {
	{ 1, 0, "write" }, { 18, 0, "pwrite64" }, { 20, 0, "writev" }, { 296, 0, "pwritev" },
	{ 328, 0, "pwritev2" }, { 40, 0, "sendfile" }, { 275, 2, "splice" },
	{ 326, 2, "copy_file_range" }, { 77, 0, "ftruncate" }, { 285, 0, "fallocate" },
	{ 16, 0, "ioctl" }, { 2, BY_PATH_FLAGS(1), "open" }, { 257, BY_PATH_FLAGS(2), "openat" },
	{ 85, BY_PATH, "creat" }, { 76, BY_PATH, "truncate" }, { 82, BY_PATH, "rename" },
	{ 264, BY_PATH, "renameat" }, { 316, BY_PATH, "renameat2" }, { 87, BY_PATH, "unlink" },
	{ 263, BY_PATH, "unlinkat" }, { 83, BY_PATH, "mkdir" }, { 258, BY_PATH, "mkdirat" },
	{ 0, 0, NULL }
};

static const struct call calls32[] = {
	{ 4, 0, "write" }, { 181, 0, "pwrite64" }, { 146, 0, "writev" }, { 334, 0, "pwritev" },
	{ 379, 0, "pwritev2" }, { 187, 0, "sendfile" }, { 239, 0, "sendfile64" },
	{ 313, 2, "splice" }, { 377, 2, "copy_file_range" }, { 93, 0, "ftruncate" },
	{ 194, 0, "ftruncate64" }, { 324, 0, "fallocate" }, { 54, 0, "ioctl" },
	{ 5, BY_PATH_FLAGS(1), "open" }, { 295, BY_PATH_FLAGS(2), "openat" },
	{ 8, BY_PATH, "creat" }, { 92, BY_PATH, "truncate" }, { 38, BY_PATH, "rename" },
	{ 302, BY_PATH, "renameat" }, { 353, BY_PATH, "renameat2" }, { 10, BY_PATH, "unlink" },
	{ 301, BY_PATH, "unlinkat" }, { 39, BY_PATH, "mkdir" }, { 296, BY_PATH, "mkdirat" },
	{ 0, 0, NULL }
};
#else
static const struct call calls64[] = {
	{ SYS_write, 0, "write" }, { SYS_pwrite64, 0, "pwrite64" }, { SYS_writev, 0, "writev" },
	{ SYS_pwritev, 0, "pwritev" }, { SYS_sendfile, 0, "sendfile" }, { SYS_splice, 2, "splice" },
#ifdef SYS_pwritev2
	{ SYS_pwritev2, 0, "pwritev2" },
#endif
#ifdef SYS_copy_file_range
	{ SYS_copy_file_range, 2, "copy_file_range" },
#endif
	{ SYS_ftruncate, 0, "ftruncate" }, { SYS_fallocate, 0, "fallocate" },
	{ SYS_ioctl, 0, "ioctl" }, { SYS_openat, BY_PATH_FLAGS(2), "openat" },
	{ SYS_truncate, BY_PATH, "truncate" }, { SYS_unlinkat, BY_PATH, "unlinkat" },
	{ SYS_mkdirat, BY_PATH, "mkdirat" },
#ifdef SYS_renameat2
	{ SYS_renameat2, BY_PATH, "renameat2" },
#endif
	{ 0, 0, NULL }
};

#define calls32 calls64
#endif

/**
 * syscalls_parse() - parse the text of /proc/PID/syscall
 * @line: filled in
 * @text: the text
 * Return: 0; -EAGAIN if the task is running; -EPROTO for an unknown format.
 */
int syscalls_parse(struct syscall_line *line, const char *text)
{
	unsigned long long *a = line->arg, pc;
	int n;

	if (!strncmp(text, "running", 7))
		return -EAGAIN;
	n = sscanf(text, "%ld %llx %llx %llx %llx %llx %llx %llx %llx", &line->nr, &a[0], &a[1],
		   &a[2], &a[3], &a[4], &a[5], &line->sp, &pc);
	if (n == 3 && line->nr == -1)	/* not in a system call: a page fault */
		return 0;
	return n == 9 ? 0 : -EPROTO;
}

/* The ioctls that write for a long time, by their number. */
static const char *ioctl_name(unsigned int cmd)
{
	if ((cmd >> 8 & 0xff) != BTRFS_MAGIC)
		return NULL;
	switch (cmd & 0xff) {
	case 27:
		return "btrfs scrub";
	case 12:
	case 32:
		return "btrfs balance";
	case 53:
		return "btrfs replace";
	case 3:
		return "btrfs resize";
	case 10:
	case 11:
	case 58:
		return "btrfs device";
	case 2:
	case 16:
		return "btrfs defragment";
	case 9:
	case 13:
		return "ioctl(FICLONE)";
	case 54:
		return "ioctl(FIDEDUPERANGE)";
	default:
		return NULL;
	}
}

static bool creates(const struct syscall_line *line, int which)
{
	return line->arg[which] & (O_CREAT | O_TRUNC);
}

/**
 * syscalls_writes() - does a system call keep a file system from being frozen?
 * @w: filled in if so
 * @line: from syscalls_parse()
 * Return: 0 if so, or -ENOENT.
 */
int syscalls_writes(struct syscall_write *w, const struct syscall_line *line)
{
	const struct call *c = line->sp >> 32 ? calls64 : calls32;

	/* No call in the tables has number 0. */
	if (line->nr <= 0)
		return -ENOENT;
	while (c->name && c->nr != line->nr)
		c++;
	if (!c->name)
		return -ENOENT;
	w->name = c->name;
	w->fd = c->fd >= 0 ? (int)line->arg[c->fd] : -1;
	if (!strcmp(c->name, "ioctl"))
		w->name = ioctl_name(line->arg[1]);
	else if (c->fd <= BY_PATH_FLAGS(0) && !creates(line, -2 - c->fd))
		return -ENOENT;
	return w->name ? 0 : -ENOENT;
}
