// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "journal.h"

#define VALUE_MAX	1024

/* The protocol wants 64 bits in little endian on every machine. */
static void put_size(char *to, size_t size)
{
	for (int i = 0; i < 8; i++)
		to[i] = (char)((uint64_t)size >> (8 * i));
}

/**
 * journal_add() - add a field
 * @fields: where to add it; all zero at first
 * @key: capital letters, digits and underscores; several fields may have the same key
 * @fmt: printf format of the value, which may contain newlines
 *
 * Context: allocates nothing. No floating point.
 */
void journal_add(struct journal_fields *fields, const char *key, const char *fmt, ...)
{
	char value[VALUE_MAX], *to = fields->buf + fields->len;
	size_t name = strlen(key), len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	len = (size_t)n < sizeof(value) ? (size_t)n : sizeof(value) - 1;
	if (fields->len + name + 1 + 8 + len + 1 > sizeof(fields->buf))
		return;
	memcpy(to, key, name);
	to += name;
	if (memchr(value, '\n', len)) {
		*to++ = '\n';
		put_size(to, len);
		to += 8;
	} else {
		*to++ = '=';
	}
	memcpy(to, value, len);
	to[len] = '\n';
	fields->len = to + len + 1 - fields->buf;
}

/**
 * journal_connect() - connect to the journal
 * @path: its socket
 * Return: a descriptor or a negative errno.
 */
int journal_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, err;

	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/**
 * journal_open() - connect to the journal if a stream is connected to it
 * @stream: our stderr
 *
 * $JOURNAL_STREAM has the device and inode number of the stream that the service manager has
 * connected to the journal. A stderr that has been redirected since is another file: then the
 * log has to go there.
 * Return: a descriptor or a negative errno.
 */
int journal_open(int stream)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!env || sscanf(env, "%llu:%llu", &dev, &ino) != 2)
		return -ENOENT;
	if (fstat(stream, &st))
		return -errno;
	if (st.st_dev != dev || st.st_ino != ino)
		return -EXDEV;
	return journal_connect(JOURNAL_SOCKET);
}

/**
 * journal_send() - send an entry
 * @fd: from journal_connect()
 * @priority: LOG_ERR ... LOG_DEBUG of <syslog.h>
 * @text: the message, without a newline
 * @len: of @text
 * @fields: further fields
 *
 * Context: never blocks.
 * Return: 0 or a negative errno: -EAGAIN if the journal's queue is full.
 */
int journal_send(int fd, int priority, const char *text, size_t len,
		 const struct journal_fields *fields)
{
	char head[80];
	struct iovec iov[] = {
		{ .iov_base = head },
		{ .iov_base = (void *)text, .iov_len = len },
		{ .iov_base = "\n", .iov_len = 1 },
		{ .iov_base = (void *)fields->buf, .iov_len = fields->len },
	};
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 4 };

	iov[0].iov_len = snprintf(head, sizeof(head),
				  "PRIORITY=%d\nSYSLOG_IDENTIFIER=hv-vss-daemon\nMESSAGE=",
				  priority);
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
