// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nsthread.h"

/* All memory is locked while file systems are frozen; the default stack would lock 8 MiB. */
#define NSTHREAD_STACK	(256 * 1024)

/**
 * nsthread_run() - run a function in a new thread, and wait until it has returned
 * @run: the function
 * @arg: its argument
 * Context: worker, not the main thread.
 * Return: 0, or a negative errno if the thread could not be created.
 */
int nsthread_run(void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	err = pthread_attr_setstacksize(&attr, NSTHREAD_STACK);
	if (!err)
		err = pthread_create(&thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	if (!err)
		err = pthread_join(thread, NULL);
	return -err;
}

/**
 * nsthread_enter() - enter a mount namespace; the root directory is that of the namespace then
 * @ns: descriptor of the namespace
 * Context: thread of nsthread_run() only.
 * Return: 0 or a negative errno; -EPERM without CAP_SYS_ADMIN and CAP_SYS_CHROOT.
 */
int nsthread_enter(int ns)
{
	/* setns() fails while root and working directory are shared with other threads. */
	return unshare(CLONE_FS) || setns(ns, CLONE_NEWNS) ? -errno : 0;
}

/**
 * nsthread_open_mountinfo() - open the mount table of this thread's namespace
 * @proc: descriptor of /proc of our own namespace
 * Return: a descriptor that stays valid when the thread has ended, or a negative errno.
 */
int nsthread_open_mountinfo(int proc)
{
	char path[64];
	int fd;

	/* Not /proc/thread-self: Linux 3.17 introduced it. */
	snprintf(path, sizeof(path), "self/task/%ld/mountinfo", (long)syscall(SYS_gettid));
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
