/* SPDX-License-Identifier: GPL-2.0-only */
/* Snapshots of the kernel's I/O counters, /proc/diskstats. Taking one touches no file system. */
#ifndef HV_VSS_DISKSTATS_H
#define HV_VSS_DISKSTATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DISKSTATS_NAME	32	/* the kernel's DISK_NAME_LEN */

/* A disk, a partition, or a device that is made of others. */
struct diskstats_line {
	dev_t dev;
	char name[DISKSTATS_NAME];
	uint64_t writes;	/* requests that are done, cache flushes too */
	uint64_t sectors;	/* of 512 bytes, written by them */
	uint64_t discarded;	/* sectors; before 4.18 they are in @sectors */
};

struct diskstats {
	char *text;
	size_t size;
	size_t len;
};

int diskstats_open(const char *proc);
int diskstats_reserve(struct diskstats *d, int fd);
int diskstats_read(struct diskstats *d, int fd);
bool diskstats_next(const struct diskstats *d, size_t *at, struct diskstats_line *line);
bool diskstats_find(const struct diskstats *d, dev_t dev, struct diskstats_line *line);
void diskstats_free(struct diskstats *d);

#endif
