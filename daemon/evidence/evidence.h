/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Was anything written to the disks between FREEZE's answer and THAW? The disks' own counters say
 * so, apart from all that is known of file systems: raw writers, file systems that can't be frozen,
 * a thaw and freeze by another process, a mount namespace that was missed.
 */
#ifndef HV_VSS_EVIDENCE_H
#define HV_VSS_EVIDENCE_H

#include "diskstats.h"

#define EVIDENCE_MAX	8	/* disks that are reported one by one */

struct evidence_disk {
	dev_t dev;
	int inflight;		/* on the number of requests in flight, or negative */
	bool uncounted;		/* its counters are switched off (queue/iostats) */
};

/* All zero: there is none. */
struct evidence {
	bool prepared;
	int fd;			/* on the counters */
	int vmstat;		/* if there is a swap file; else negative */
	char *vmstat_text;
	struct diskstats before;
	struct diskstats after;
	int64_t swapped[2];	/* pages, before and after; negative: not known */
	struct evidence_disk *disk;	/* those that are copied */
	size_t n;
	int begun;		/* 1, or a negative errno */
	int ended;
};

enum evidence_cause {
	WRITTEN_DATA,		/* or what can't be told from it */
	WRITTEN_SWAP,
	WRITTEN_RAID,		/* by md or LVM's RAID itself: its superblock, bitmap, resync */
	WRITTEN_DISCARD,	/* nothing: blocks were discarded that file systems had freed */
};

/* A disk that was written to. */
struct evidence_written {
	char disk[DISKSTATS_NAME];
	char by[DISKSTATS_NAME];	/* the device that was written to; may be @disk */
	uint64_t writes;
	uint64_t kib;
	enum evidence_cause cause;
};

struct evidence_verdict {
	int known;		/* 1; 0: no evidence was taken, or a negative errno */
	size_t disks;		/* whose counters are known */
	size_t uncounted;
	size_t written;		/* disks with data written to them */
	size_t other;		/* disks with other writes only */
	struct evidence_written one[EVIDENCE_MAX];	/* those with data first */
	size_t n;
};

int evidence_prepare(struct evidence *e, const char *proc);
int evidence_add_disk(struct evidence *e, const char *sysfs, dev_t disk);
void evidence_begin(struct evidence *e, void (*sleep_ms)(unsigned int ms));
void evidence_end(struct evidence *e);
void evidence_free(struct evidence *e);

/* verdict.c */
void evidence_judge(const struct evidence *e, const char *proc, const char *sysfs,
		    struct evidence_verdict *verdict);
size_t evidence_describe_disk(const struct evidence_written *w, char *text, size_t size);
void evidence_describe(const struct evidence_verdict *verdict, char *text, size_t size);

/* swaps.c */
bool evidence_has_swap(const char *proc, const struct diskstats_line *device);

#endif
