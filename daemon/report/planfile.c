// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "list.h"
#include "planfile.h"

static int open_new(const char *path, FILE **f)
{
	int fd, err;

	/* What is there may be from a daemon that was killed. */
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	*f = fdopen(fd, "w");
	if (*f)
		return 0;
	err = -errno;
	close(fd);
	unlink(path);
	return err;
}

/**
 * planfile_write() - write the file
 * @plan: options of the plan, with the disks that the host names
 * @hooks: options of the hooks; the file is in ->run_dir
 *
 * A hook never sees a part of it. FREEZE makes a plan of its own later, and never reads this file.
 * Context: worker; nothing is frozen. Accesses no file system of the plan.
 * Return: 0 or a negative errno: then there is no file.
 */
int planfile_write(const struct build_config *plan, const struct hooks_config *hooks)
{
	char path[PATH_MAX], temp[PATH_MAX];
	int err;
	FILE *f;

	if (hooks_plan_path(path, sizeof(path), hooks->run_dir) ||
	    (size_t)snprintf(temp, sizeof(temp), "%s.new", path) >= sizeof(temp))
		return -ENAMETOOLONG;
	unlink(path);
	err = open_new(temp, &f);
	if (err)
		return err;
	err = list_json(f, plan, hooks);
	if (ferror(f) && !err)
		err = -EIO;
	if (fclose(f) && !err)
		err = -errno;
	if (!err && rename(temp, path))
		err = -errno;
	if (err)
		unlink(temp);
	return err;
}
