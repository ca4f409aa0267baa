// SPDX-License-Identifier: GPL-2.0-only
/* Frames on a virtio-serial port. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"

/**
 * frame_now() - the guest's monotonic clock
 *
 * Return: nanoseconds since boot.
 */
uint64_t frame_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	/* If the other end is closed, poll() returns POLLHUP immediately, so wait a moment. */
	if (poll(&p, 1, -1) > 0 && (p.revents & POLLHUP))
		poll(NULL, 0, 20);
	return 0;
}

static int write_all(int fd, const void *data, size_t size)
{
	const char *p = data;
	ssize_t n;

	while (size) {
		n = write(fd, p, size);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n <= 0) {
			wait_for(fd, POLLOUT);
			continue;
		}
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

static int read_all(int fd, void *data, size_t size)
{
	char *p = data;
	ssize_t n;

	while (size) {
		n = read(fd, p, size);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n <= 0) {
			wait_for(fd, POLLIN);
			continue;
		}
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

/**
 * frame_send() - send one frame with the current time
 * @fd: the port
 * @id: command it belongs to, 0 for none
 * @type: its type
 * @data: payload, may be NULL if @size is 0
 * @size: bytes of it
 *
 * Context: blocks until the harness has read it.
 * Return: 0 or a negative errno.
 */
int frame_send(int fd, uint32_t id, enum frame_type type, const void *data, size_t size)
{
	struct frame frame = {
		.size = (uint32_t)size, .id = id, .type = type, .time = frame_now(),
	};
	int err;

	err = write_all(fd, &frame, sizeof(frame));
	if (!err && size)
		err = write_all(fd, data, size);
	return err;
}

/**
 * frame_receive() - receive one frame
 * @fd: the port
 * @frame: header received
 * @data: where the payload goes
 * @room: bytes there
 *
 * Context: blocks until the whole frame is there.
 * Return: 0 or a negative errno; -EMSGSIZE leaves the port out of step.
 */
int frame_receive(int fd, struct frame *frame, void *data, size_t room)
{
	int err;

	err = read_all(fd, frame, sizeof(*frame));
	if (err)
		return err;
	if (frame->size > room)
		return -EMSGSIZE;
	return read_all(fd, data, frame->size);
}
