/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Notes of the hooks that were called with "freeze" and not yet with "thaw", in a file in /run:
 * if all of us are killed, whoever comes next calls them.
 *
 * The first line tells of the backup, each other one is the path of a hook. Whoever calls hooks
 * holds the file's lock.
 */
#ifndef HV_VSS_HOOKNOTES_H
#define HV_VSS_HOOKNOTES_H

#include <stdbool.h>
#include <stddef.h>

struct hook_backup {
	char id[32];
	long long time;		/* of the request, seconds since the epoch */
	long long type;		/* what the host calls it; -1: not known */
};

struct hooknotes {
	int fd;
	char *text;
	char **path;		/* points into text[], or NULL while they are being taken */
	size_t n;
};

bool hooknotes_exist(const char *dir);
int hooknotes_open(struct hooknotes *notes, const char *dir, int wait_ms);
int hooknotes_begin(struct hooknotes *notes, const struct hook_backup *backup);
int hooknotes_add(struct hooknotes *notes, const char *path);
int hooknotes_read(struct hooknotes *notes, struct hook_backup *backup);
int hooknotes_drop(struct hooknotes *notes, const char *path);
void hooknotes_close(struct hooknotes *notes);

#endif
