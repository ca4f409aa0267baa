// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opens a file system that no path of our own namespace leads to: it is mounted in another
 * namespace, or other mounts cover it. A thread enters the namespace. If other mounts cover the
 * file system, the thread creates a private copy of the namespace, unmounts there what covers the
 * mount point, and opens it. The copy ends with the thread, the descriptor stays open. No other
 * process is affected.
 *
 * Before each step the path is simulated with the mount table: the covering mount may be one of a
 * dead server, which must not be accessed. Unmounting does not access it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/ioflusher.h"
#include "base/nsthread.h"
#include "covered.h"
#include "plan/lookup.h"
#include "plan/mountinfo.h"

#define LAYERS_MAX	64	/* covering mounts that are unmounted */
#define PREFIXES_MAX	4096	/* mounts on all prefixes of a path */

struct covered {
	const struct sysops *ops;
	const struct mounts_fs *fs;
	const struct mounts_mount *mount;
	int proc;
	bool private;		/* in a private copy of the namespace */
	int result;
};

static bool is_prefix(const char *target, const char *path)
{
	size_t len = strlen(target);

	return len == 1 || (!strncmp(target, path, len) && (!path[len] || path[len] == '/'));
}

static int add_mount(struct lookup *l, const struct mountinfo_entry *entry)
{
	enum fstype_kind kind = fstype_kind(entry->type);
	struct lookup_mount *more;
	char *path;

	if (l->n == PREFIXES_MAX)
		return -E2BIG;
	more = array_resize(l->mount, l->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->mount = more;
	path = strdup(entry->target);
	if (!path)
		return -ENOMEM;
	more[l->n++] = (struct lookup_mount){
		.id = entry->id, .parent = entry->parent, .path = path,
		.remote = fstype_may_hang(kind),
	};
	return 0;
}

/* Reads the mounts on all prefixes of the path. @ids: those of the file system to be opened. */
static int read_table(const struct covered *u, struct lookup *l, int *ids, size_t *n)
{
	struct mountinfo reader;
	struct mountinfo_entry entry;
	int err, fd = nsthread_open_mountinfo(u->proc);

	if (fd < 0)
		return fd;
	err = mountinfo_open(&reader, fd);
	while (!err && (err = mountinfo_next(&reader, &entry)) > 0) {
		err = 0;
		if (!is_prefix(entry.target, u->mount->path))
			continue;
		err = add_mount(l, &entry);
		if (!err && entry.dev == u->fs->dev && !strcmp(entry.target, u->mount->path))
			ids[(*n)++] = entry.id;
	}
	mountinfo_close(&reader);
	close(fd);
	return err;
}

/* Chooses a mount of the file system that is not on a remote one, and not covered if possible. */
static int choose(const struct lookup *l, const int *ids, size_t n, struct lookup_result *best,
		  int *id)
{
	int err = -EXDEV;

	for (size_t i = 0; i < n; i++) {
		struct lookup_result found = lookup_path(l, ids[i]);

		if (found.on_remote && err)
			err = -EHOSTUNREACH;
		if (found.on_remote || (!err && found.covered_at))
			continue;
		*best = found;
		*id = ids[i];
		err = 0;
	}
	return err;
}

static void free_lookup(struct lookup *l)
{
	for (size_t i = 0; i < l->n; i++)
		free((char *)l->mount[i].path);
	lookup_free(l);
}

static int check_opened(const struct covered *u, int fd, int id)
{
	int got = mountinfo_mount_id(u->proc, fd);
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	/* Opening a device node has side effects, and a mount point can be one. */
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return -ENOTDIR;
	return got < 0 ? st.st_dev == u->fs->dev ? 0 : -EXDEV : got == id ? 0 : -EXDEV;
}

static int open_mount(const struct covered *u, int id)
{
	int err, fd = u->ops->open(u->mount->path, O_PATH | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return fd;
	err = check_opened(u, fd, id);
	if (err)
		u->ops->close(fd);
	return err ? err : fd;
}

/* Without MS_PRIVATE unmounting would propagate to the original namespace. */
static int make_private(struct covered *u)
{
	/*
	 * Nothing is frozen yet. With the flag of main.c some kernels have little memory for the
	 * counters of many mounts.
	 */
	prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	u->private = true;
	return 0;
}

/* Returns a descriptor, an error, or -EAGAIN if the mounts were changed and it must be retried. */
static int try_open(struct covered *u)
{
	int err, id = -1, *ids = calloc(PREFIXES_MAX, sizeof(*ids));
	struct lookup_result found = { 0 };
	struct lookup l = { 0 };
	size_t n = 0;

	if (!ids)
		return -ENOMEM;
	err = read_table(u, &l, ids, &n);
	if (!err)
		err = lookup_init(&l);
	if (!err)
		err = choose(&l, ids, n, &found, &id);
	if (!err && !found.covered_at)
		err = open_mount(u, id);
	else if (!err && !u->private)
		err = make_private(u) ? -EXDEV : -EAGAIN;
	else if (!err)
		err = umount2(found.covered_at, MNT_DETACH | UMOUNT_NOFOLLOW) ? -EXDEV : -EAGAIN;
	free_lookup(&l);
	free(ids);
	return err;
}

static void *open_in_namespace(void *arg)
{
	struct covered *u = arg;

	u->result = u->mount->pid ? nsthread_enter(u->mount->ns) : 0;
	if (u->result)
		return NULL;
	u->result = -EAGAIN;
	for (int i = 0; u->result == -EAGAIN && i < LAYERS_MAX; i++)
		u->result = try_open(u);
	if (u->result == -EAGAIN)
		u->result = -ELOOP;
	return NULL;
}

/**
 * covered_open() - open a file system that other mounts cover, or that is in another namespace
 * @ops: system calls
 * @fs: from a plan
 * @mount: one of its mounts
 * Context: worker, before anything is frozen.
 * Return: an O_PATH descriptor or a negative errno: -EXDEV if what covers it can't be unmounted,
 *	-EHOSTUNREACH if it lies on a remote file system.
 */
int covered_open(const struct sysops *ops, const struct mounts_fs *fs,
		 const struct mounts_mount *mount)
{
	struct covered u = { .ops = ops, .fs = fs, .mount = mount };
	int err;

	if (mount->pid && mount->ns < 0)
		return -ESTALE;
	u.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (u.proc < 0)
		return -errno;
	err = nsthread_run(open_in_namespace, &u);
	close(u.proc);
	return err ? err : u.result;
}
