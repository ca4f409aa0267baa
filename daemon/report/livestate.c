// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memfs.h"
#include "livestate.h"

#define MAGIC		"hvvss 1"
#define START_TIME_FIELD	22	/* of /proc/PID/stat, proc(5) */

/* Start time of a process; 0 if it is dead or hidden. @state is set as in /proc/PID/stat. */
static uint64_t start_time_of(pid_t pid, char *state)
{
	char path[64], line[1024], *p;
	ssize_t n;
	int fd;

	*state = '?';
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	/* Without stdio: ENOMEM would look like a dead process. */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	line[n < 0 ? 0 : n] = '\0';
	/* The name, in parentheses, may contain any character; the state follows it. */
	p = strrchr(line, ')');
	if (!p || !p[1] || !p[2] || strchr("ZXx", p[2]))
		return 0;
	*state = p[2];
	p++;
	for (int field = 3; p && field < START_TIME_FIELD; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

static int page_path(char *path, size_t size, const char *dir)
{
	return (size_t)snprintf(path, size, "%s/" LIVESTATE_FILE, dir) < size ? 0 : -ENAMETOOLONG;
}

/**
 * livestate_start() - create the page
 * @live: filled in
 * @dir: in /run
 *
 * Context: nothing is frozen.
 * Return: 0; -EXDEV if @dir is not in memory; another negative errno.
 */
int livestate_start(struct livestate *live, const char *dir)
{
	char path[PATH_MAX];
	void *page;
	int fd, err;
	char state;

	live->page = NULL;
	err = page_path(path, sizeof(path), dir);
	if (err)
		return err;
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	/* Also for the file of history.c in this directory: on a disk, writing it could hang. */
	if (!memfs_contains(fd)) {
		err = -EXDEV;
		goto err_file;
	}
	err = fchmod(fd, 0644) ? -errno : -posix_fallocate(fd, 0, sizeof(*live->page));
	if (err)
		goto err_file;
	page = mmap(NULL, sizeof(*live->page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		    fd, 0);
	if (page == MAP_FAILED) {
		err = -errno;
		goto err_file;
	}
	close(fd);
	live->page = page;
	atomic_store(&live->page->left, -1);
	live->page->pid = getpid();
	live->page->start_time = start_time_of(getpid(), &state);
	memcpy(live->page->magic, MAGIC, sizeof(live->page->magic));
	return 0;
err_file:
	close(fd);
	unlink(path);
	return err;
}

/**
 * livestate_set() - publish what the daemon does
 * @live: may be without a page
 * @state: what the daemon does
 * @now: monotonic clock
 *
 * Context: any; only a store to memory.
 */
void livestate_set(struct livestate *live, enum live_state state, int64_t now)
{
	if (!live->page || atomic_load(&live->page->state) == (int)state)
		return;
	atomic_store(&live->page->since, now);
	atomic_store(&live->page->state, state);
}

/**
 * livestate_set_left() - publish how much of the present phase is left
 * @live: may be without a page
 * @left: number of file systems; -1: not known
 *
 * Context: any; only a store to memory.
 */
void livestate_set_left(struct livestate *live, int left)
{
	if (live->page && atomic_load(&live->page->left) != left)
		atomic_store(&live->page->left, left);
}

/**
 * livestate_stop() - publish that the daemon has ended
 * @live: may be without a page
 */
void livestate_stop(struct livestate *live)
{
	if (!live->page)
		return;
	live->page->pid = 0;
	munmap(live->page, sizeof(*live->page));
	live->page = NULL;
}

static int read_page(struct livestate_page *page, const char *dir)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd, err;

	err = page_path(path, sizeof(path), dir);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, page, sizeof(*page));
	close(fd);
	/* After an upgrade the page may be that of a daemon that publishes less. */
	if (n == offsetof(struct livestate_page, left))
		atomic_store(&page->left, -1);
	else if (n != sizeof(*page))
		return -EPROTO;
	return memcmp(page->magic, MAGIC, sizeof(page->magic)) ? -EPROTO : 0;
}

/**
 * livestate_was_interrupted() - whether an earlier daemon was killed during a request
 * @end: filled in if so
 * @dir: the directory with the page
 *
 * Context: before livestate_start(); no other daemon runs.
 * Return: true if so; false also if that is unknown, as after a reboot.
 */
bool livestate_was_interrupted(struct livestate_end *end, const char *dir)
{
	struct livestate_page page;

	if (read_page(&page, dir) || page.pid <= 0)
		return false;
	end->state = atomic_load(&page.state);
	end->since = atomic_load(&page.since);
	return end->state >= LIVE_PREPARING && end->state < LIVE_STATES;
}

/**
 * livestate_read() - read what the daemon does
 * @view: filled in
 * @dir: the directory with the page
 *
 * Context: another process, of any user.
 * Return: 0; or a negative errno if that is unknown.
 */
int livestate_read(struct livestate_view *view, const char *dir)
{
	struct livestate_page page;
	uint64_t start_time;
	char state;
	int err;

	*view = (struct livestate_view){ 0 };
	err = read_page(&page, dir);
	if (err)
		return err == -ENOENT ? 0 : err;
	if (page.pid <= 0)
		return 0;
	start_time = start_time_of(page.pid, &state);
	/* /proc may hide the processes of other users (hidepid); kill() finds them. */
	if (start_time ? start_time != page.start_time : access("/proc/1/stat", R_OK) == 0 ||
	    (kill(page.pid, 0) && errno != EPERM))
		return 0;
	view->running = true;
	view->stopped = state == 'T' || state == 't';
	view->pid = page.pid;
	view->state = atomic_load(&page.state);
	view->since = atomic_load(&page.since);
	view->left = atomic_load(&page.left);
	return view->state < LIVE_STATES ? 0 : -EPROTO;
}

/**
 * livestate_name() - describe a state for people
 * @state: the state
 * Return: text of one or more words.
 */
const char *livestate_name(enum live_state state)
{
	static const char * const names[] = {
		[LIVE_WAITING] = "waiting for the device", [LIVE_IDLE] = "idle",
		[LIVE_PREPARING] = "preparing", [LIVE_SYNCING] = "syncing",
		[LIVE_FREEZING] = "freezing", [LIVE_FROZEN] = "frozen",
		[LIVE_THAWING] = "thawing",
	};

	return names[state];
}

/**
 * livestate_token() - the name of a state for programs
 * @state: the state
 * Return: one word, which never changes.
 */
const char *livestate_token(enum live_state state)
{
	static const char * const tokens[] = {
		[LIVE_WAITING] = "waiting", [LIVE_IDLE] = "idle", [LIVE_PREPARING] = "preparing",
		[LIVE_SYNCING] = "syncing", [LIVE_FREEZING] = "freezing", [LIVE_FROZEN] = "frozen",
		[LIVE_THAWING] = "thawing",
	};

	return tokens[state];
}
