// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "procfs.h"

/* struct linux_dirent64 of the kernel; glibc has no type and no function for it before 2.30. */
struct entry {
	unsigned long long ino;
	long long off;
	unsigned short len;
	unsigned char type;
	char name[];
};

/**
 * procfs_list_open() - begin to read a directory
 * @list: filled in
 * @dir: a directory ...
 * @path: ... and the one to read, relative to it
 * Return: 0 or a negative errno.
 */
int procfs_list_open(struct procfs_list *list, int dir, const char *path)
{
	list->at = 0;
	list->len = 0;
	list->fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return list->fd < 0 ? -errno : 0;
}

/**
 * procfs_list_next() - the next entry that is a number
 * @list: from procfs_list_open()
 * Return: the number; -1 at the end.
 */
int procfs_list_next(struct procfs_list *list)
{
	for (;;) {
		const struct entry *e = (const struct entry *)(list->buf + list->at);
		long got;

		if (list->at < list->len) {
			list->at += e->len;
			if (e->name[0] >= '0' && e->name[0] <= '9')
				return atoi(e->name);
			continue;
		}
		got = syscall(SYS_getdents64, list->fd, list->buf, sizeof(list->buf));
		if (got <= 0)
			return -1;
		list->at = 0;
		list->len = got;
	}
}

/**
 * procfs_list_close() - close a directory
 * @list: from procfs_list_open()
 */
void procfs_list_close(struct procfs_list *list)
{
	close(list->fd);
}

/**
 * procfs_read() - read a small file
 * @dir: a directory ...
 * @path: ... and the file, relative to it
 * @buf: gets the text, with a NUL at its end
 * @size: of @buf; a longer text is cut
 * Return: the length of the text, or a negative errno.
 */
int procfs_read(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	int err;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	got = read(fd, buf, size - 1);
	err = got < 0 ? -errno : (int)got;
	close(fd);
	buf[got < 0 ? 0 : got] = '\0';
	return err;
}

/**
 * procfs_mount_id() - the mount through which a process has opened a file
 * @dir: /proc
 * @fdinfo: relative to @dir: PID/fdinfo/FD, or the same of a thread
 * @buf: gets the whole text of the file
 * @size: of @buf
 *
 * Not by stat() of PID/fd/FD: that would call into the file system, which may hang.
 * Return: the mount's id, or -1 if the kernel does not show it (before 3.15).
 */
int procfs_mount_id(int dir, const char *fdinfo, char *buf, size_t size)
{
	const char *found;

	if (procfs_read(dir, fdinfo, buf, size) <= 0)
		return -1;
	found = strstr(buf, "mnt_id:");
	return found ? atoi(found + strlen("mnt_id:")) : -1;
}
