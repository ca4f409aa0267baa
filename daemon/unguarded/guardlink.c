// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sysops.h"
#include "guardlink.h"

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(GUARDLINK_FDS * sizeof(int))];
};

/**
 * guardlink_send() - send a command
 * @link: the socket
 * @command: the command
 * @fd: descriptors to send with it
 * @n: their number, at most GUARDLINK_FDS
 * Return: 0 or a negative errno.
 */
int guardlink_send(int link, const struct guardlink_command *command, const int *fd, size_t n)
{
	struct iovec data = { .iov_base = (void *)command, .iov_len = sizeof(*command) };
	union control control = { 0 };
	struct msghdr msg = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (n) {
		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(*fd));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(*fd));
		memcpy(CMSG_DATA(c), fd, n * sizeof(*fd));
	}
	return sendmsg(link, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int copy_fds(struct msghdr *msg, int *fd)
{
	int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(*fd);
		memcpy(fd, CMSG_DATA(c), n * sizeof(*fd));
	}
	return n;
}

/**
 * guardlink_receive() - receive a command
 * @link: the socket
 * @command: filled in
 * @fd: gets the descriptors that were sent with it
 * Return: the number of descriptors; -EPIPE if the daemon has closed the socket; -EMFILE if not all
 *	descriptors could be received: then none is open; another negative errno.
 */
int guardlink_receive(int link, struct guardlink_command *command, int fd[GUARDLINK_FDS])
{
	struct iovec data = { .iov_base = command, .iov_len = sizeof(*command) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control.room, .msg_controllen = sizeof(control.room),
	};
	ssize_t got = recvmsg(link, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int n;

	if (got <= 0)
		return got ? -errno : -EPIPE;
	n = copy_fds(&msg, fd);
	if (got == sizeof(*command) && !(msg.msg_flags & MSG_CTRUNC))
		return n;
	while (n > 0)
		close(fd[--n]);
	return got == sizeof(*command) ? -EMFILE : -EPROTO;
}

/**
 * guardlink_wait_answer() - wait for the answer to a command
 * @link: the socket
 * @number: of the command
 * @timeout_ms: time limit
 * Return: the error in the answer; -ETIMEDOUT; or another negative errno.
 */
int guardlink_wait_answer(int link, uint32_t number, int timeout_ms)
{
	int64_t deadline = sysops_real.now_us() + timeout_ms * 1000LL;
	struct guardlink_answer answer;

	for (;;) {
		int64_t left = deadline - sysops_real.now_us();
		ssize_t got;

		if (left <= 0 || sysops_real.poll_in(link, (left + 999) / 1000) <= 0)
			return -ETIMEDOUT;
		got = recv(link, &answer, sizeof(answer), MSG_DONTWAIT);
		if (got != sizeof(answer))
			return got < 0 ? -errno : -EPIPE;
		/* Ignore a late answer to an earlier command. */
		if (answer.number == number)
			return answer.error;
	}
}
