/* SPDX-License-Identifier: GPL-2.0-only */
/* More processes of the daemon's own program. */
#ifndef HV_VSS_SELFSPAWN_H
#define HV_VSS_SELFSPAWN_H

#include <sys/types.h>

#define SELFSPAWN_FD	3

int selfspawn(pid_t *pid, char **argv, int fd);

#endif
