// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"

static int64_t watchdog_interval(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	long long value;

	if (!usec || (pid && atol(pid) != (long)getpid()))
		return 0;
	errno = 0;
	value = strtoll(usec, &end, 10);
	return errno || *end || value <= 0 ? 0 : value;
}

/**
 * notify_init() - connect to the service manager that the environment names, if any
 * @n: filled in
 *
 * The variables are removed, so that child processes don't send notifications in our name.
 */
void notify_init(struct notify *n)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len;

	n->watchdog_us = watchdog_interval();
	n->fd = -1;
	if (!path || (path[0] != '/' && path[0] != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, len);
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd >= 0 && connect(n->fd, (struct sockaddr *)&addr,
				  offsetof(struct sockaddr_un, sun_path) + len) < 0) {
		close(n->fd);
		n->fd = -1;
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

/**
 * notify_send() - notify the service manager
 * @n: from notify_init()
 * @fmt: printf format of "READY=1", "STATUS=..." and so on
 *
 * Context: never blocks. A message that can't be delivered at once is dropped: the service manager
 * itself may be waiting for a frozen file system.
 */
void notify_send(const struct notify *n, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int len;

	if (n->fd < 0)
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	if (send(n->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}
