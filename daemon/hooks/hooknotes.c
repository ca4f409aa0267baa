// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "hooknotes.h"

#define NAME		"hooks"
#define SIZE_MAX_TEXT	(1024 * 1024)	/* more than any real list of hooks */
#define WAIT_MS		50

static int make_path(char *path, size_t size, const char *dir)
{
	return (size_t)snprintf(path, size, "%s/" NAME, dir) < size ? 0 : -ENAMETOOLONG;
}

/**
 * hooknotes_exist() - is there a hook that must be called with "thaw"?
 * @dir: "/run/hv-vss"
 * Return: true if there are notes, also if another process uses them.
 */
bool hooknotes_exist(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;

	return !make_path(path, sizeof(path), dir) && !lstat(path, &st) && st.st_size > 0;
}

/**
 * hooknotes_open() - open and lock the notes
 * @notes: filled in
 * @dir: "/run/hv-vss"; created if it does not exist
 * @wait_ms: how long to wait for another process that holds the lock
 * Return: 0; -EWOULDBLOCK if another process still holds the lock; another negative errno.
 */
int hooknotes_open(struct hooknotes *notes, const char *dir, int wait_ms)
{
	char path[PATH_MAX];
	int err;

	*notes = (struct hooknotes){ .fd = -1 };
	err = make_path(path, sizeof(path), dir);
	if (err)
		return err;
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	notes->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (notes->fd < 0)
		return -errno;
	for (int waited = 0; flock(notes->fd, LOCK_EX | LOCK_NB); waited += WAIT_MS) {
		if (errno != EWOULDBLOCK || waited >= wait_ms) {
			err = -errno;
			close(notes->fd);
			notes->fd = -1;
			return err;
		}
		usleep(WAIT_MS * 1000);
	}
	return 0;
}

/* hooknotes_read() ignores a line without a newline at its end. */
static int append(const struct hooknotes *notes, const char *line, int len)
{
	return write(notes->fd, line, len) == len ? 0 : -EIO;
}

/**
 * hooknotes_begin() - begin the notes of a backup; removes those of an earlier one
 * @notes: open
 * @backup: written into the first line
 * Return: 0 or a negative errno.
 */
int hooknotes_begin(struct hooknotes *notes, const struct hook_backup *backup)
{
	char line[128];
	int len;

	if (ftruncate(notes->fd, 0))
		return -errno;
	len = snprintf(line, sizeof(line), "# %s %lld %lld\n", backup->id, backup->time,
		       backup->type);
	return append(notes, line, len);
}

/**
 * hooknotes_add() - note a hook that is about to be called with "freeze"
 * @notes: hooknotes_begin() was called
 * @path: of the hook
 * Return: 0 or a negative errno.
 */
int hooknotes_add(struct hooknotes *notes, const char *path)
{
	char line[PATH_MAX + 1];
	int len = snprintf(line, sizeof(line), "%s\n", path);

	return (size_t)len < sizeof(line) ? append(notes, line, len) : -ENAMETOOLONG;
}

static int read_text(struct hooknotes *notes)
{
	struct stat st;

	if (fstat(notes->fd, &st))
		return -errno;
	if (st.st_size > SIZE_MAX_TEXT)
		return -EFBIG;
	notes->text = calloc(1, st.st_size + 1);
	if (!notes->text)
		return -ENOMEM;
	return pread(notes->fd, notes->text, st.st_size, 0) == st.st_size ? 0 : -EIO;
}

/**
 * hooknotes_read() - read the notes
 * @notes: open; ->path and ->n are set, in the order of the calls with "freeze"
 * @backup: filled in
 * Return: 0, also if there are none; or a negative errno.
 */
int hooknotes_read(struct hooknotes *notes, struct hook_backup *backup)
{
	char *line, *end, **more;
	int err;

	*backup = (struct hook_backup){ .type = -1 };
	err = read_text(notes);
	for (line = notes->text; !err && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		if (*line == '#')
			sscanf(line, "# %31s %lld %lld", backup->id, &backup->time, &backup->type);
		if (*line != '/')
			continue;
		more = array_resize(notes->path, notes->n + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		notes->path = more;
		notes->path[notes->n++] = line;
	}
	return err;
}

/**
 * hooknotes_remove() - remove the last hook, after it was called with "thaw"
 * @notes: open
 * @path: of that hook; NULL: all hooks have been called, remove the backup too
 * Return: 0 or a negative errno.
 */
int hooknotes_remove(struct hooknotes *notes, const char *path)
{
	struct stat st;
	off_t len = path ? (off_t)strlen(path) + 1 : 0;

	if (fstat(notes->fd, &st))
		return -errno;
	if (st.st_size < len)
		return -EINVAL;
	return ftruncate(notes->fd, path ? st.st_size - len : 0) ? -errno : 0;
}

/**
 * hooknotes_close() - unlock and close the notes; the file remains
 * @notes: open, or not
 */
void hooknotes_close(struct hooknotes *notes)
{
	if (notes->fd >= 0)
		close(notes->fd);
	free(notes->path);
	free(notes->text);
	*notes = (struct hooknotes){ .fd = -1 };
}
