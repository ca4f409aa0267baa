/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mount tables of the machine: our own and those of the other mount namespaces, kept open, so
 * that the kernel tells by poll() whether one has changed since it was read.
 */
#ifndef HV_VSS_MOUNTVIEW_H
#define HV_VSS_MOUNTVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "mounts.h"

struct mountview_table {
	int fd;
	ino_t ns;
	pid_t pid;		/* 0: our own */
};

struct mountview {
	struct mountview_table *table;
	size_t n;
};

int mountview_open(struct mountview *v, bool own_only);
int mountview_read(const struct mountview *v, struct mounts *m);
int mountview_changed(const struct mountview *v, bool own_only);
void mountview_close(struct mountview *v);

#endif
