// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread gets a copy of all mounts for itself, takes away there what covers the mount point, and
 * opens it. The copy goes with the thread; the descriptor stays. Nobody else sees any of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "uncover.h"

#define LAYERS_MAX	64

struct uncover {
	const struct sysops *ops;
	const struct mounts_fs *fs;
	const char *path;
	int result;
};

/* The superblock behind a mount of this thread's namespace; 0 if it is not told. */
static dev_t device_of_mount(int mount_id)
{
	unsigned int maj, min;
	char line[PATH_MAX];
	dev_t dev = 0;
	FILE *f;
	int id;

	f = fopen("/proc/thread-self/mountinfo", "re");
	if (!f)
		return 0;
	while (!dev && fgets(line, sizeof(line), f))
		if (sscanf(line, "%d %*d %u:%u ", &id, &maj, &min) == 3 && id == mount_id)
			dev = makedev(maj, min);
	fclose(f);
	return dev;
}

static bool is_on(int fd, const struct mounts_fs *fs)
{
	int id = fsset_mount_id(fd);
	struct stat st;

	if (id >= 0 && device_of_mount(id) == fs->dev)
		return true;
	return !fstat(fd, &st) && st.st_dev == fs->dev;
}

/*
 * Take the topmost layer away: what is mounted on the path, or else on the deepest directory above
 * it that is a mount point. Whatever a look-up meets before it gets to ours is part of the cover.
 */
static int take_layer(const char *path)
{
	char dir[PATH_MAX];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	do {
		if (!umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW))
			return 0;
		slash = strrchr(dir, '/');
		if (slash)
			*slash = '\0';
	} while (slash && slash != dir);
	return -ENOENT;
}

static int open_below(struct uncover *u)
{
	int err = 0;

	for (int i = 0; !err && i < LAYERS_MAX; i++) {
		int fd, path_fd = u->ops->open(u->path, O_PATH | O_CLOEXEC | O_NOFOLLOW);

		if (path_fd >= 0 && is_on(path_fd, u->fs)) {
			fd = fsset_reopen(u->ops, path_fd);
			u->ops->close(path_fd);
			return fd;
		}
		if (path_fd >= 0)
			u->ops->close(path_fd);
		err = take_layer(u->path);
	}
	return err ? err : -ELOOP;
}

static void *run(void *arg)
{
	struct uncover *u = arg;

	/* Private before anything is taken away, or it would be taken away for everybody. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		u->result = -errno;
	else
		u->result = open_below(u);
	return NULL;
}

/**
 * uncover_open() - open a file system that other mounts cover
 * @ops: system calls
 * @fs: from a plan; none of its mounts could be opened
 * Context: worker, before anything is frozen.
 * Return: a descriptor or a negative errno.
 */
int uncover_open(const struct sysops *ops, const struct mounts_fs *fs)
{
	struct uncover u = { .ops = ops, .fs = fs, .result = -EXDEV };

	for (size_t i = 0; i < fs->mounts; i++) {
		const struct mounts_mount *mount = &fs->mount[i];
		pthread_t thread;
		int err;

		if (mount->deleted || mount->remote || mount->pid)
			continue;
		u.path = mount->path;
		err = pthread_create(&thread, NULL, run, &u);
		if (err)
			return -err;
		pthread_join(thread, NULL);
		if (u.result >= 0)
			break;
	}
	return u.result;
}
