/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file in /run lists the hooks that were called with "freeze" and not yet with "thaw". If all our
 * processes are killed, the next daemon calls them with "thaw".
 *
 * The first line describes the backup, each further line is the path of a hook. The process that
 * calls hooks holds a lock on the file.
 */
#ifndef HV_VSS_HOOKNOTES_H
#define HV_VSS_HOOKNOTES_H

#include <stdbool.h>
#include <stddef.h>

struct hook_backup {
	char id[32];
	long long time;		/* of the request, seconds since the epoch */
	long long type;		/* of the host's request; -1: unknown */
};

struct hooknotes {
	int fd;
	char *text;
	char **path;		/* point into text[]; set by hooknotes_read() only */
	size_t n;
};

bool hooknotes_exist(const char *dir);
int hooknotes_open(struct hooknotes *notes, const char *dir, int wait_ms);
int hooknotes_begin(struct hooknotes *notes, const struct hook_backup *backup);
int hooknotes_add(struct hooknotes *notes, const char *path);
int hooknotes_read(struct hooknotes *notes, struct hook_backup *backup);
int hooknotes_remove(struct hooknotes *notes, const char *path);
void hooknotes_close(struct hooknotes *notes);

#endif
