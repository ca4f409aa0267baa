// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "live.h"

#define MAGIC		"hvvss 1"
#define BIRTH_FIELD	22	/* of /proc/PID/stat, proc(5) */

/* When a process began; 0 if it is dead or not to be seen. */
static uint64_t birth_of(pid_t pid)
{
	char path[64], line[1024], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	/* The name, in parentheses, may hold anything; the state is behind it. */
	p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	if (!p || !p[1] || !p[2] || strchr("ZXx", p[2]))
		return 0;
	p++;
	for (int field = 3; p && field < BIRTH_FIELD; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p, NULL, 10) : 0;
}

static int page_path(char *path, size_t size, const char *dir)
{
	return (size_t)snprintf(path, size, "%s/" LIVE_FILE, dir) < size ? 0 : -ENAMETOOLONG;
}

/*
 * Memory of a file on a disk can't be written while its file system is frozen. (Nor may the other
 * file of --status be there: writing it could take for ever.)
 */
static bool is_in_memory(int fd)
{
	struct statfs fs;

	/* Signed where a long has 32 bits. */
	return !fstatfs(fd, &fs) && ((__u32)fs.f_type == TMPFS_MAGIC ||
				     (__u32)fs.f_type == RAMFS_MAGIC);
}

/**
 * live_start() - be seen
 * @live: filled in
 * @dir: in /run
 *
 * Context: nothing is frozen.
 * Return: 0; -EXDEV if @dir is not in memory; another negative errno.
 */
int live_start(struct live *live, const char *dir)
{
	char path[PATH_MAX];
	void *page;
	int fd, err;

	live->page = NULL;
	err = page_path(path, sizeof(path), dir);
	if (err)
		return err;
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	if (!is_in_memory(fd)) {
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
	live->page->pid = getpid();
	live->page->birth = birth_of(getpid());
	memcpy(live->page->magic, MAGIC, sizeof(live->page->magic));
	return 0;
err_file:
	close(fd);
	unlink(path);
	return err;
}

/**
 * live_set() - tell
 * @live: may not be seen
 * @state: what the daemon does
 * @now: monotonic clock
 *
 * Context: any; a store to memory.
 */
void live_set(struct live *live, enum live_state state, int64_t now)
{
	if (!live->page || atomic_load(&live->page->state) == (int)state)
		return;
	atomic_store(&live->page->since, now);
	atomic_store(&live->page->state, state);
}

/**
 * live_stop() - be seen no more
 * @live: may not be seen
 */
void live_stop(struct live *live)
{
	if (!live->page)
		return;
	live->page->pid = 0;
	munmap(live->page, sizeof(*live->page));
	live->page = NULL;
}

/**
 * live_look() - look what the daemon does
 * @view: filled in
 * @dir: where its page is
 *
 * Context: another process, of any user.
 * Return: 0; or a negative errno if that can't be told.
 */
int live_look(struct live_view *view, const char *dir)
{
	struct live_page page;
	char path[PATH_MAX];
	uint64_t birth;
	ssize_t n;
	int fd, err;

	*view = (struct live_view){ 0 };
	err = page_path(path, sizeof(path), dir);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = read(fd, &page, sizeof(page));
	close(fd);
	if (n != sizeof(page) || memcmp(page.magic, MAGIC, sizeof(page.magic)) != 0)
		return -EPROTO;
	if (page.pid <= 0)
		return 0;
	birth = birth_of(page.pid);
	/* /proc may hide the processes of others; kill() tells all the same. */
	if (birth ? birth != page.birth : access("/proc/1/stat", R_OK) == 0 ||
	    (kill(page.pid, 0) && errno != EPERM))
		return 0;
	view->running = true;
	view->pid = page.pid;
	view->state = atomic_load(&page.state);
	view->since = atomic_load(&page.since);
	return view->state < LIVE_STATES ? 0 : -EPROTO;
}

/**
 * live_state_name() - name what the daemon does
 * @state: that
 * Return: a word, or a few.
 */
const char *live_state_name(enum live_state state)
{
	static const char * const names[] = {
		[LIVE_WAITING] = "waiting for the device", [LIVE_IDLE] = "idle",
		[LIVE_PREPARING] = "preparing", [LIVE_SYNCING] = "writing out",
		[LIVE_FREEZING] = "freezing", [LIVE_FROZEN] = "frozen",
		[LIVE_THAWING] = "thawing",
	};

	return names[state];
}
