/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages between the daemon and its guardian, through a socket. */
#ifndef HV_VSS_GUARDLINK_H
#define HV_VSS_GUARDLINK_H

#include <stddef.h>
#include <stdint.h>

enum guardlink_type {
	GUARDLINK_NOTES,	/* descriptor of the notes; always the first command */
	GUARDLINK_WATCH,	/* file systems that will be frozen, in the order of the notes */
	GUARDLINK_RELEASE,	/* nothing is frozen any more: close the file systems */
};

#define GUARDLINK_FDS	200	/* in one command; the kernel's limit is 253 */

struct guardlink_command {
	enum guardlink_type what;
	uint32_t number;	/* of a RELEASE, or of a WATCH: the same in all its parts */
	uint32_t total;		/* number of descriptors in all parts of a WATCH */
};

/* The answer to a RELEASE, and to the last part of a WATCH. */
struct guardlink_answer {
	uint32_t number;
	int32_t error;
};

int guardlink_send(int link, const struct guardlink_command *command, const int *fd, size_t n);
int guardlink_receive(int link, struct guardlink_command *command, int fd[GUARDLINK_FDS]);
int guardlink_wait_answer(int link, uint32_t number, int timeout_ms);

#endif
