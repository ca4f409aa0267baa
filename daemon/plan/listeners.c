// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/procfs.h"
#include "listeners.h"

#define CLASS_PERMISSION	0x0c	/* FAN_CLASS_CONTENT | FAN_CLASS_PRE_CONTENT */

struct scan {
	struct mounts *m;
	int proc;
	struct procfs_list processes;
	struct procfs_list files;
	char text[2048];
};

static bool is_fanotify(const struct scan *l, int pid, int fd)
{
	static const char name[] = "anon_inode:[fanotify]";
	char path[PROCFS_PATH], target[sizeof(name)];
	ssize_t n;

	snprintf(path, sizeof(path), "%d/fd/%d", pid, fd);
	n = readlinkat(l->proc, path, target, sizeof(target));
	return n == sizeof(name) - 1 && !memcmp(target, name, n);
}

/*
 * Its fdinfo has a line "fanotify flags:4 event-flags:8000". Listeners of another class are only
 * notified: no process waits for them.
 */
static bool is_permission_listener(struct scan *l, int pid, int fd)
{
	char path[PROCFS_PATH];
	const char *flags;

	if (!is_fanotify(l, pid, fd))
		return false;
	snprintf(path, sizeof(path), "%d/fdinfo/%d", pid, fd);
	if (procfs_read(l->proc, path, l->text, sizeof(l->text)) <= 0)
		return false;
	flags = strstr(l->text, "fanotify flags:");
	return flags && strtoul(flags + strlen("fanotify flags:"), NULL, 16) & CLASS_PERMISSION;
}

static void mark_file(struct scan *l, int pid, int fd)
{
	enum mounts_listener kind = LISTENER_READS;
	char path[PROCFS_PATH];
	const char *flags;
	int id;

	snprintf(path, sizeof(path), "%d/fdinfo/%d", pid, fd);
	id = procfs_mount_id(l->proc, path, l->text, sizeof(l->text));
	flags = strstr(l->text, "flags:");
	if (flags && strtoul(flags + strlen("flags:"), NULL, 8) & O_ACCMODE)
		kind = LISTENER_WRITES;
	for (size_t i = 0; id >= 0 && i < l->m->n; i++) {
		struct mounts_fs *fs = &l->m->fs[i];

		for (size_t j = 0; j < fs->mounts; j++)
			if (fs->mount[j].id == id && fs->listener < kind)
				fs->listener = kind;
	}
}

static bool list_files(struct scan *l, int pid)
{
	char path[PROCFS_PATH];

	snprintf(path, sizeof(path), "%d/fd", pid);
	return !procfs_list_open(&l->files, l->proc, path);
}

static void scan_process(struct scan *l, int pid)
{
	bool found = false;
	int fd;

	if (!list_files(l, pid))
		return;
	while (!found && (fd = procfs_list_next(&l->files)) >= 0)
		found = is_permission_listener(l, pid, fd);
	procfs_list_close(&l->files);
	if (!found || !list_files(l, pid))
		return;
	while ((fd = procfs_list_next(&l->files)) >= 0)
		mark_file(l, pid, fd);
	procfs_list_close(&l->files);
}

/* It needs CAP_SYS_ADMIN: its user is root, or it is not dumpable, and then root owns its files. */
static bool may_be_listener(const struct scan *l, int pid)
{
	char path[PROCFS_PATH];
	struct stat st;

	snprintf(path, sizeof(path), "%d", pid);
	return pid != getpid() && !fstatat(l->proc, path, &st, 0) && !st.st_uid;
}

/**
 * listeners_mark() - mark the file systems on which such processes have files open
 * @m: with the mounts of all tables; ->listener is set
 * @proc: where procfs is mounted
 *
 * Reads only names and fdinfo of descriptors, and so waits for no file system.
 * Context: nothing is frozen.
 * Return: 0 or a negative errno.
 */
int listeners_mark(struct mounts *m, const char *proc)
{
	struct scan *l = calloc(1, sizeof(*l));
	int err, pid;

	if (!l)
		return -ENOMEM;
	l->m = m;
	l->proc = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = l->proc < 0 ? -errno : procfs_list_open(&l->processes, l->proc, ".");
	while (!err && (pid = procfs_list_next(&l->processes)) > 0)
		if (may_be_listener(l, pid))
			scan_process(l, pid);
	if (!err)
		procfs_list_close(&l->processes);
	if (l->proc >= 0)
		close(l->proc);
	free(l);
	return err;
}
