// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "leftover.h"
#include "log.h"

#define RECORD	128	/* bytes; the first one is the mark, the last one a newline */

/*
 * A daemon with a thread that hangs in the kernel keeps its lock when it is killed; its main
 * thread is a zombie then.
 */
static bool is_alive(pid_t pid)
{
	char path[64], line[256], *state;
	bool alive = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fgets(line, sizeof(line), f)) {
		state = strrchr(line, ')');
		alive = state && state[1] && !strchr("ZXx", state[2]);
	}
	fclose(f);
	return alive;
}

static pid_t noted_pid(int fd)
{
	char record[RECORD + 1] = "";
	int pid = 0;

	if (pread(fd, record, RECORD, 0) < 0 || sscanf(record, "# %d", &pid) != 1)
		return 0;
	return pid;
}

static void format_record(char *record, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void format_record(char *record, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(record, RECORD, fmt, ap);
	va_end(ap);
	if (len < 0)
		len = 0;
	if (len > RECORD - 1)
		len = RECORD - 1;
	for (int i = 0; i < len; i++)
		if (iscntrl((unsigned char)record[i]))
			record[i] = '?';
	memset(record + len, ' ', RECORD - 1 - len);
	record[RECORD - 1] = '\n';
}

/**
 * leftover_lock() - become the one daemon of this machine
 * @l: filled in
 * @dir: where to keep the notes; made if need be
 * Return: 0; -EBUSY if another one is alive (logged); another negative errno.
 */
int leftover_lock(struct leftover *l, const char *dir)
{
	char path[PATH_MAX];
	pid_t pid;

	*l = (struct leftover){ .dir = dir, .fd = -1 };
	if ((size_t)snprintf(path, sizeof(path), "%s/frozen", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0)
		return -errno;
	if (!flock(l->fd, LOCK_EX | LOCK_NB))
		return 0;
	pid = noted_pid(l->fd);
	if (!pid || is_alive(pid)) {
		log_msg(LOG_ERR, "another hv-vss-daemon is running (pid %d)", pid);
		close(l->fd);
		l->fd = -1;
		return -EBUSY;
	}
	log_msg(LOG_WARNING, "pid %d is dead, but one of its threads hangs in the kernel", pid);
	return 0;
}

static int thaw_one(const struct mounts_fs *fs, const struct sysops *ops)
{
	int fd, err;

	fd = fsset_open_mount(ops, fs);
	if (fd < 0) {
		log_msg(LOG_ERR, "%s: left frozen, and cannot be opened: %s", mounts_fs_path(fs),
			strerror(-fd));
		return fd;
	}
	err = ops->thaw(fd);
	ops->close(fd);
	if (!err)
		log_msg(LOG_WARNING, "%s: had been left frozen; thawed", mounts_fs_path(fs));
	else if (err != -EINVAL)	/* not frozen any more */
		log_msg(LOG_ERR, "%s: left frozen, and cannot be thawed: %s", mounts_fs_path(fs),
			strerror(-err));
	return err == -EINVAL ? 0 : err;
}

static int thaw_record(const char *record, const struct mounts *m, const struct sysops *ops)
{
	const struct mounts_fs *fs;
	unsigned int maj, min;
	char type[32];

	if (sscanf(record + 1, " %u:%u %31s", &maj, &min, type) != 3)
		return -EBADMSG;
	fs = mounts_find(m, makedev(maj, min));
	if (!fs || strcmp(fs->type, type)) {
		log_msg(LOG_WARNING, "%u:%u (%s) may have been left frozen, and is not mounted",
			maj, min, type);
		return 0;
	}
	return thaw_one(fs, ops);
}

/**
 * leftover_thaw() - thaw what the notes say that a dead daemon had frozen
 * @l: locked
 * @config: for the mount tables
 * @ops: system calls
 *
 * Only what that daemon froze itself: one that is frozen by somebody else is not in the notes.
 * Context: before our first freeze.
 * Return: 0, or the first negative errno; the others are thawed all the same.
 */
int leftover_thaw(struct leftover *l, const struct fsset_config *config, const struct sysops *ops)
{
	struct mountview view = { 0 };
	struct mounts m = { 0 };
	char record[RECORD];
	int err = 0, ret = 0;

	for (off_t pos = RECORD; pread(l->fd, record, RECORD, pos) == RECORD; pos += RECORD) {
		record[RECORD - 1] = '\0';
		if (record[0] != MARK_INTENT && record[0] != MARK_FROZEN)
			continue;
		if (!view.n)
			err = mountview_open(&view, config->own_namespace_only);
		if (!err && !m.n)
			err = mountview_read(&view, &m);
		if (!err)
			err = thaw_record(record, &m, ops);
		if (err && !ret)
			ret = err;
	}
	mounts_free(&m);
	mountview_close(&view);
	if (ret)
		return ret;
	format_record(record, "# %d", getpid());
	if (ftruncate(l->fd, 0) || pwrite(l->fd, record, RECORD, 0) != RECORD)
		return -EIO;
	return 0;
}

static int map_notes(struct leftover *l, size_t records)
{
	if (l->map)
		munmap(l->map, l->size);
	l->map = NULL;
	l->size = records * RECORD;
	if (ftruncate(l->fd, 0) || posix_fallocate(l->fd, 0, l->size))
		return -ENOSPC;
	l->map = mmap(NULL, l->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, l->fd, 0);
	if (l->map == MAP_FAILED) {
		l->map = NULL;
		return -errno;
	}
	return 0;
}

/**
 * leftover_note() - prepare notes for what is about to be frozen
 * @l: locked
 * @set: the file systems; their ->mark is set
 *
 * Not with a guard: after the daemon's death the kernel thaws, and then a note could only lead to
 * the thaw of somebody else's freeze.
 * Context: worker, before anything is frozen; no earlier set may have a job in flight.
 * Return: 0 or a negative errno; then no ->mark is set.
 */
int leftover_note(struct leftover *l, struct fsset *set)
{
	struct stat st;
	int err;

	if (set->guard || l->fd < 0)
		return 0;
	if (fstat(l->fd, &st))
		return -errno;
	for (size_t i = 0; i < set->n; i++)
		if (set->target[i].dev == st.st_dev)
			return -EXDEV;	/* the notes would be frozen too */
	err = map_notes(l, set->n + 1);
	if (err)
		return err;
	format_record(l->map, "# %d", getpid());
	for (size_t i = 0; i < set->n; i++) {
		struct target *t = &set->target[i];
		char *record = l->map + (i + 1) * RECORD;

		format_record(record, "%c %u:%u %s %s", MARK_NONE, major(t->dev), minor(t->dev),
			      t->type, t->path);
		t->mark = record;
	}
	return 0;
}
