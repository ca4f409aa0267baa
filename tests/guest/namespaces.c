// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mount namespaces like those of containers, build systems and curious users. Each prints "ready"
 * and runs until it is killed.
 *
 * namespaces many COUNT: that many processes, each in its own namespace.
 * namespaces processes COUNT: that many processes in this namespace.
 * namespaces thread DEVICE DIRECTORY: a namespace with only a thread in it, where an ext4 is
 *	mounted. Descriptor 9 is the mount point.
 * namespaces churn MILLISECONDS: each time a new namespace of an unprivileged user, for a moment.
 * namespaces mounts COUNT: a namespace of an unprivileged user with at least that many mounts.
 * namespaces stack COUNT: the same with exactly that many mounts, one over the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY	65534

static void die(const char *what)
{
	fprintf(stderr, "namespaces: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void wait_for_death(void)
{
	for (;;)
		pause();
}

static void say_ready(void)
{
	printf("ready\n");
	if (fflush(stdout))
		die("stdout");
}

static void spawn(unsigned long count, int flags)
{
	int ready[2];
	char c;

	if (pipe(ready) < 0)
		die("pipe");
	for (unsigned long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(flags) < 0 || write(ready[1], "", 1) != 1)
			die("child");
		wait_for_death();
	}
	close(ready[1]);
	for (unsigned long i = 0; i < count; i++)
		if (read(ready[0], &c, 1) != 1)
			die("a child");
}

static void be_nobody(void)
{
	if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
		die("setuid");
}

static void private_mounts(int flags)
{
	if (unshare(flags) < 0)
		die("unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("/");
}

static void *hide(void *arg)
{
	char **argv = arg;
	int fd;

	private_mounts(CLONE_FS | CLONE_NEWNS);
	if (mount(argv[0], argv[1], "ext4", 0, NULL) < 0)
		die(argv[1]);
	fd = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (fd < 0 || dup2(fd, 9) < 0)
		die(argv[1]);
	close(fd);
	say_ready();
	wait_for_death();
	return NULL;
}

static void churn(unsigned long ms)
{
	const struct timespec ts = { .tv_nsec = (long)ms * 1000000 };

	be_nobody();
	say_ready();
	for (;;) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			private_mounts(CLONE_NEWUSER | CLONE_NEWNS);
			mount("/run", "/mnt", NULL, MS_BIND, NULL);
			_exit(0);
		}
		nanosleep(&ts, NULL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
}

/* Uses descriptors, because a path lookup would go through all mounts that are there already. */
static void stack(unsigned long count)
{
	be_nobody();
	private_mounts(CLONE_NEWUSER | CLONE_NEWNS);
	if (mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0 || chdir("/mnt") < 0)
		die("/mnt");
	for (unsigned long i = 0; i < count; i++) {
		int fd = (int)syscall(SYS_open_tree, AT_FDCWD, ".", OPEN_TREE_CLONE | O_CLOEXEC);

		if (fd < 0 || syscall(SYS_move_mount, fd, "", AT_FDCWD, ".",
				      MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(fd) < 0)
			die("/mnt");
		close(fd);
	}
	say_ready();
	wait_for_death();
}

/* Each step doubles the number of mounts. */
static void wide(unsigned long count)
{
	char path[32];

	private_mounts(CLONE_NEWNS);
	if (mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0)
		die("/mnt");
	for (int i = 0; i < 32; i++) {
		snprintf(path, sizeof(path), "/mnt/%d", i);
		if (mkdir(path, 0755) < 0)
			die(path);
	}
	be_nobody();
	private_mounts(CLONE_NEWUSER | CLONE_NEWNS);
	for (unsigned long n = 1, i = 0; n < count; n *= 2, i++) {
		snprintf(path, sizeof(path), "/mnt/%lu", i);
		if (mount("/mnt", path, NULL, MS_BIND | MS_REC, NULL) < 0)
			die(path);
	}
	say_ready();
	wait_for_death();
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	pthread_t thread;

	if (!strcmp(what, "many") && n) {
		spawn(n, CLONE_NEWNS);
		say_ready();
		wait_for_death();
	} else if (!strcmp(what, "processes") && n) {
		spawn(n, 0);
		say_ready();
		wait_for_death();
	} else if (!strcmp(what, "thread") && argc == 4) {
		if (pthread_create(&thread, NULL, hide, argv + 2))
			die("thread");
		wait_for_death();
	} else if (!strcmp(what, "churn") && n) {
		churn(n);
	} else if (!strcmp(what, "mounts") && n) {
		wide(n);
	} else if (!strcmp(what, "stack") && n) {
		stack(n);
	}
	fprintf(stderr, "usage: namespaces many|processes|churn|mounts|stack NUMBER\n"
			"       namespaces thread DEVICE DIRECTORY\n");
	return 2;
}
