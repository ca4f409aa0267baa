// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sysattr.h"

/**
 * sysattr_read() - read the first line of an attribute, without the newline
 * @value: filled in; empty after an error
 * @size: of @value, in bytes; a longer line is cut
 * @dir: directory of the object
 * @name: of the attribute, may have slashes
 *
 * Allocates nothing: ENOMEM must not make an attribute look as if it did not exist.
 * Return: 0 or a negative errno; -ENOENT also if the attribute is empty.
 */
int sysattr_read(char *value, size_t size, const char *dir, const char *name)
{
	char path[PATH_MAX];
	ssize_t got;
	int fd, err;

	value[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, value, size - 1);
	err = got < 0 ? -errno : got ? 0 : -ENOENT;
	close(fd);
	value[got < 0 ? 0 : got] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return err;
}
