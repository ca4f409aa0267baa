/* SPDX-License-Identifier: GPL-2.0-only */
/* Starts further processes of the daemon's own program. */
#ifndef HV_VSS_SELFSPAWN_H
#define HV_VSS_SELFSPAWN_H

#include <sys/types.h>

#define SELFSPAWN_FD	3	/* the descriptor that the new process gets */

int selfspawn(pid_t *pid, char **argv, int fd);

#endif
