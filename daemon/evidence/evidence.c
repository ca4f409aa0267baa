// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/array.h"
#include "base/sysattr.h"
#include "evidence.h"

#define SETTLE_TRIES	5	/* a write that was begun before the freeze may be in flight */
#define SETTLE_MS	2
#define VMSTAT_SIZE	16384	/* of /proc/vmstat, 6 KiB or so */

static int open_in(const char *dir, const char *name)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -ENAMETOOLONG;
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int64_t pages_swapped(const struct evidence *e)
{
	unsigned long long pages = 0;
	ssize_t len = 0, n = 1;
	const char *at;

	if (e->vmstat < 0 || lseek(e->vmstat, 0, SEEK_SET) < 0)
		return -1;
	while (n > 0 && len < VMSTAT_SIZE - 1) {
		n = read(e->vmstat, e->vmstat_text + len, VMSTAT_SIZE - 1 - len);
		len += n > 0 ? n : 0;
	}
	e->vmstat_text[len] = '\0';
	at = strstr(e->vmstat_text, "\npswpout ");
	return n == 0 && at && sscanf(at, " pswpout %llu", &pages) == 1 ? (int64_t)pages : -1;
}

/**
 * evidence_prepare() - open the counters and allocate what reading them needs
 * @e: empty
 * @proc: where procfs is mounted
 * Context: before anything is frozen.
 * Return: 0 or a negative errno; then @e is empty, and no evidence will be taken.
 */
int evidence_prepare(struct evidence *e, const char *proc)
{
	int fd = diskstats_open(proc), err;

	if (fd < 0)
		return fd;
	*e = (struct evidence){ .prepared = true, .fd = fd, .vmstat = -1 };
	err = diskstats_reserve(&e->before, e->fd);
	if (!err)
		err = diskstats_reserve(&e->after, e->fd);
	if (!err && evidence_has_swap(proc, NULL)) {
		e->vmstat = open_in(proc, "vmstat");
		e->vmstat_text = calloc(1, VMSTAT_SIZE);
		err = e->vmstat_text ? 0 : -ENOMEM;
		if (!err)
			pages_swapped(e);	/* the kernel's buffer for the descriptor */
	}
	if (err)
		evidence_free(e);
	return err;
}

static unsigned int writes_in_flight(int fd)
{
	unsigned int writes;
	char text[32];
	ssize_t len;

	len = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	return sscanf(text, "%*u %u", &writes) == 1 ? writes : 0;
}

/**
 * evidence_add_disk() - a disk that nothing may be written to
 * @e: with evidence_prepare()
 * @sysfs: where sysfs is mounted
 * @disk: a whole disk; may be known already
 *
 * Return: 0 or -ENOMEM.
 */
int evidence_add_disk(struct evidence *e, const char *sysfs, dev_t disk)
{
	char dir[PATH_MAX], value[16];
	struct evidence_disk *more, *added;

	for (size_t i = 0; i < e->n; i++)
		if (e->disk[i].dev == disk)
			return 0;
	snprintf(dir, sizeof(dir), "%s/dev/block/%u:%u", sysfs, major(disk), minor(disk));
	more = array_resize(e->disk, e->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	e->disk = more;
	added = &e->disk[e->n++];
	*added = (struct evidence_disk){ .dev = disk, .inflight = open_in(dir, "inflight") };
	added->uncounted = !sysattr_read(value, sizeof(value), dir, "queue/iostats") &&
			   !strcmp(value, "0");
	writes_in_flight(added->inflight);	/* the kernel's buffer for the descriptor */
	return 0;
}

static bool is_settled(const struct evidence *e)
{
	for (size_t i = 0; i < e->n; i++)
		if (writes_in_flight(e->disk[i].inflight))
			return false;
	return true;
}

/**
 * evidence_begin() - take the first snapshot
 * @e: may be empty
 * @sleep_ms: waits
 *
 * Writes in flight were begun before the freeze; they are waited for, 10 ms at most.
 * Context: everything is frozen.
 */
void evidence_begin(struct evidence *e, void (*sleep_ms)(unsigned int ms))
{
	int err;

	if (!e->prepared)
		return;
	/* First: what is being swapped out now is counted by the disk when it is done. */
	e->swapped[0] = pages_swapped(e);
	for (int i = 0; i < SETTLE_TRIES && !is_settled(e); i++)
		sleep_ms(SETTLE_MS);
	err = diskstats_read(&e->before, e->fd);
	e->begun = err ? err : 1;
}

/**
 * evidence_end() - take the second snapshot
 * @e: with evidence_begin(); may be empty
 * Context: everything is still frozen.
 */
void evidence_end(struct evidence *e)
{
	int err;

	if (!e->prepared)
		return;
	err = diskstats_read(&e->after, e->fd);
	e->swapped[1] = pages_swapped(e);
	e->ended = err ? err : 1;
}

/**
 * evidence_free() - close and free
 * @e: may be empty
 */
void evidence_free(struct evidence *e)
{
	if (!e->prepared)
		return;
	close(e->fd);
	if (e->vmstat >= 0)
		close(e->vmstat);
	for (size_t i = 0; i < e->n; i++)
		if (e->disk[i].inflight >= 0)
			close(e->disk[i].inflight);
	diskstats_free(&e->before);
	diskstats_free(&e->after);
	free(e->vmstat_text);
	free(e->disk);
	*e = (struct evidence){ 0 };
}
