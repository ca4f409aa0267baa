// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "diskstats.h"

#define LINE_MAX_LEN	256
#define SPARE_LINES	128	/* devices that may appear between two snapshots */

/**
 * diskstats_open() - open the counters
 * @proc: where procfs is mounted
 * Return: a descriptor, or a negative errno.
 */
int diskstats_open(const char *proc)
{
	char path[256];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s/diskstats", proc) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* All of the file from its begin, as far as it fits. The kernel hands out a page at a time. */
static int read_all(int fd, char *text, size_t size, size_t *len)
{
	ssize_t n = 1;

	*len = 0;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	while (n > 0 && *len < size) {
		do {
			n = read(fd, text + *len, size - *len);
		} while (n < 0 && errno == EINTR);
		if (n < 0)
			return -errno;
		*len += n;
	}
	return n ? -E2BIG : 0;
}

/**
 * diskstats_reserve() - allocate what a snapshot needs, and the kernel's buffer for the descriptor
 * @d: empty
 * @fd: from diskstats_open()
 * Return: 0 or a negative errno.
 */
int diskstats_reserve(struct diskstats *d, int fd)
{
	size_t size = SPARE_LINES * LINE_MAX_LEN, len;
	int err;

	do {
		char *text = realloc(d->text, size);

		if (!text)
			return -ENOMEM;
		d->text = text;
		d->size = size;
		err = read_all(fd, text, size - SPARE_LINES * LINE_MAX_LEN / 2, &len);
		size *= 2;
	} while (err == -E2BIG);
	d->len = 0;
	return err;
}

/**
 * diskstats_read() - take a snapshot
 * @d: with diskstats_reserve()
 * @fd: the same
 * Context: small allocations of the kernel; see main.c for what they must not wait for.
 * Return: 0 or a negative errno: -E2BIG if many devices have appeared since.
 */
int diskstats_read(struct diskstats *d, int fd)
{
	int err = read_all(fd, d->text, d->size, &d->len);

	if (err)
		d->len = 0;
	return err;
}

/**
 * diskstats_next() - the next line of a snapshot
 * @d: the snapshot
 * @at: where it begins; 0 at first, moved on
 * @line: set
 * Return: false at the end.
 */
bool diskstats_next(const struct diskstats *d, size_t *at, struct diskstats_line *line)
{
	while (*at < d->len) {
		const char *text = d->text + *at, *end = memchr(text, '\n', d->len - *at);
		unsigned long long writes, sectors, discarded = 0;
		size_t len = end ? (size_t)(end - text) : d->len - *at;
		unsigned int maj, min;
		char copy[LINE_MAX_LEN];

		*at += len + 1;
		if (len >= sizeof(copy))
			continue;
		memcpy(copy, text, len);
		copy[len] = '\0';
		/* Documentation/admin-guide/iostats.rst: fields 5, 7 and, from 4.18 on, 14. */
		if (sscanf(copy, "%u %u %31s %*u %*u %*u %*u %llu %*u %llu %*u %*u %*u %*u %*u %*u "
			   "%llu", &maj, &min, line->name, &writes, &sectors, &discarded) < 5)
			continue;
		line->dev = makedev(maj, min);
		line->writes = writes;
		line->sectors = sectors;
		line->discarded = discarded;
		return true;
	}
	return false;
}

/**
 * diskstats_find() - the line of a device
 * @d: the snapshot
 * @dev: the device
 * @line: set
 * Return: false if there is none.
 */
bool diskstats_find(const struct diskstats *d, dev_t dev, struct diskstats_line *line)
{
	size_t at = 0;

	while (diskstats_next(d, &at, line))
		if (line->dev == dev)
			return true;
	return false;
}

/**
 * diskstats_free() - free a snapshot
 * @d: may be empty
 */
void diskstats_free(struct diskstats *d)
{
	free(d->text);
	*d = (struct diskstats){ 0 };
}
