// SPDX-License-Identifier: GPL-2.0-only
/*
 * permit LOG DIRECTORY...: like a virus scanner, allow every open() of a file on these file
 * systems, but only after a line was written to LOG, which may be on a frozen file system.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <unistd.h>

static int answer(int group, int log, int fd)
{
	struct fanotify_response response = { .fd = fd, .response = FAN_ALLOW };

	/* Blocks while LOG's file system is frozen. */
	if (write(log, "opened\n", 7) != 7 || fdatasync(log))
		return -1;
	if (write(group, &response, sizeof(response)) != sizeof(response))
		return -1;
	return close(fd);
}

int main(int argc, char **argv)
{
	struct fanotify_event_metadata events[64], *e;
	int group, log;
	ssize_t n;

	if (argc < 3) {
		fprintf(stderr, "usage: permit LOG DIRECTORY...\n");
		return 2;
	}
	log = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_LARGEFILE);
	if (log < 0 || group < 0) {
		perror("permit");
		return 1;
	}
	for (int i = 2; i < argc; i++) {
		if (fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
				  FAN_OPEN_PERM | FAN_ONDIR, AT_FDCWD, argv[i])) {
			perror(argv[i]);
			return 1;
		}
	}
	printf("watching\n");
	fflush(stdout);
	while ((n = read(group, events, sizeof(events))) > 0)
		for (e = events; FAN_EVENT_OK(e, n); e = FAN_EVENT_NEXT(e, n))
			if (e->fd >= 0 && answer(group, log, e->fd))
				return 1;
	return 1;
}
