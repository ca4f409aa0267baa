// SPDX-License-Identifier: GPL-2.0-only
/*
 * mounts bind FROM TO SOURCE...: make the bind mounts /run/binds/FROM to /run/binds/(TO - 1), of
 * the directories SOURCE in turn.
 * mounts unbind FROM TO: unmount them again.
 * mounts namespaces COUNT EACH SOURCE...: start COUNT processes, each with its own mount namespace
 * and EACH bind mounts that are only there. Prints "ready" and keeps them until SIGTERM.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACE "/run/binds"

static void die(const char *what)
{
	fprintf(stderr, "mounts: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		die(path);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!*text || *end) {
		errno = EINVAL;
		die(text);
	}
	return n;
}

static void bind_all(unsigned long from, unsigned long to, char **source, unsigned long sources)
{
	char path[64];

	make_dir(PLACE);
	for (unsigned long i = from; i < to; i++) {
		snprintf(path, sizeof(path), PLACE "/%lu", i);
		make_dir(path);
		if (mount(source[i % sources], path, NULL, MS_BIND, NULL) < 0)
			die(path);
	}
}

static void unbind_all(unsigned long from, unsigned long to)
{
	char path[64];

	for (unsigned long i = to; i-- > from;) {
		snprintf(path, sizeof(path), PLACE "/%lu", i);
		if (umount2(path, MNT_DETACH) < 0)
			die(path);
	}
}

/* The mount points are on a separate tmpfs, so that they are not visible outside. */
static void child(unsigned long each, char **source, unsigned long sources, int ready)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS) < 0)
		die("unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0)
		die("/mnt");
	for (unsigned long i = 0; i < each; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/mnt/%lu", i);
		make_dir(path);
		if (mount(source[i % sources], path, NULL, MS_BIND, NULL) < 0)
			die(path);
	}
	if (write(ready, "", 1) != 1)
		die("pipe");
	for (;;)
		pause();
}

static void namespaces(unsigned long count, unsigned long each, char **source,
		       unsigned long sources)
{
	int ready[2];
	char c;

	if (pipe(ready) < 0)
		die("pipe");
	for (unsigned long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			close(ready[0]);
			child(each, source, sources, ready[1]);
		}
	}
	close(ready[1]);
	for (unsigned long i = 0; i < count; i++)
		if (read(ready[0], &c, 1) != 1) {
			errno = ECHILD;
			die("a namespace was not made");
		}
	printf("ready\n");
	if (fflush(stdout))
		die("stdout");
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	if (argc > 4 && !strcmp(argv[1], "bind")) {
		bind_all(number(argv[2]), number(argv[3]), argv + 4, (unsigned long)argc - 4);
	} else if (argc == 4 && !strcmp(argv[1], "unbind")) {
		unbind_all(number(argv[2]), number(argv[3]));
	} else if (argc > 4 && !strcmp(argv[1], "namespaces")) {
		namespaces(number(argv[2]), number(argv[3]), argv + 4, (unsigned long)argc - 4);
	} else {
		fprintf(stderr, "usage: mounts bind FROM TO SOURCE... | mounts unbind FROM TO |\n"
			"       mounts namespaces COUNT EACH SOURCE...\n");
		return 2;
	}
	return 0;
}
