/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A reader of /proc/PID/mountinfo that keeps one line at a time in memory: for tables of other
 * mount namespaces, which any user can fill and which may have any length.
 */
#ifndef HV_VSS_MOUNTINFO_H
#define HV_VSS_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Strings are in the reader's buffer, and valid until the next line is read. */
struct mountinfo_entry {
	int id;
	int parent;
	dev_t dev;
	const char *root;	/* the directory of the file system that is mounted */
	const char *target;
	const char *type;
	const char *source;	/* may be "" */
	const char *options;	/* the superblock's */
};

struct mountinfo {
	int fd;
	char *buf;
	size_t at;		/* start of the next line in @buf */
	size_t end;		/* end of the data in @buf */
	bool eof;
	bool skip_rest;		/* the next data are the rest of a line that was too long */
	size_t lines;		/* read so far */
};

int mountinfo_open(struct mountinfo *r, int fd);
int mountinfo_next(struct mountinfo *r, struct mountinfo_entry *e);
void mountinfo_close(struct mountinfo *r);
int mountinfo_parse(char *line, struct mountinfo_entry *e);
int mountinfo_mount_id(int proc, int fd);

#endif
