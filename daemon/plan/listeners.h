/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Processes that permit access to files (fanotify, used by virus scanners). While such a process
 * waits for a frozen file system, for example to write its log, all processes that open a file wait
 * for it, and may keep another file system from being frozen. So the file systems on which it has
 * files open are frozen last.
 */
#ifndef HV_VSS_LISTENERS_H
#define HV_VSS_LISTENERS_H

#include "mounts.h"

int listeners_mark(struct mounts *m, const char *proc);

#endif
