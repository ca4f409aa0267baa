/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol between the agent in the guest and the harness (tests/hvtest/agent.py), over one
 * virtio-serial port: frames of a 24-byte little-endian header and a payload.
 */
#ifndef GUEST_FRAME_H
#define GUEST_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX	(256 * 1024)

enum frame_type {
	/* harness to agent; the harness chooses the id of a command */
	FRAME_EXEC = 1,		/* the argument vector, each string with its NUL */
	FRAME_STDIN = 2,	/* data for the command's standard input; empty: end of file */
	FRAME_KILL = 3,		/* u32 signal, to the command's process group */
	/* agent to harness */
	FRAME_HELLO = 16,	/* kernel release, NUL, boot id, NUL; first frame after each boot */
	FRAME_STARTED = 17,	/* u32 process id */
	FRAME_STDOUT = 18,
	FRAME_STDERR = 19,
	FRAME_EXIT = 20,	/* u32 wait status; the last frame of an id */
	FRAME_KMSG = 21,	/* one record of the kernel log, id 0 */
	FRAME_ERROR = 22,	/* text; id 0: an error of the agent itself */
};

struct frame {
	uint32_t size;		/* of the payload */
	uint32_t id;
	uint32_t type;
	uint32_t reserved;
	uint64_t time;		/* CLOCK_MONOTONIC of the guest, ns; 0 from the harness */
};

int frame_send(int fd, uint32_t id, enum frame_type type, const void *data, size_t size);
int frame_receive(int fd, struct frame *frame, void *data, size_t room);
uint64_t frame_now(void);

#endif /* GUEST_FRAME_H */
