// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sysattr.h"

/**
 * sysattr_read() - the first line of an attribute, without the newline
 * @value: filled in; empty after an error
 * @size: of @value, in bytes; a longer line is cut
 * @dir: directory of the object
 * @name: of the attribute, may have slashes
 * Return: 0 or a negative errno; -ENOENT also if the attribute is empty.
 */
int sysattr_read(char *value, size_t size, const char *dir, const char *name)
{
	char path[PATH_MAX];
	int err = 0;
	FILE *f;

	value[0] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (!fgets(value, size, f))
		err = -ENOENT;
	fclose(f);
	value[strcspn(value, "\n")] = '\0';
	return err;
}
