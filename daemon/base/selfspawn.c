// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#include "selfspawn.h"

/* $JOURNAL_STREAM tells that stderr is the journal. The other variables are for the daemon only. */
static char **environment(void)
{
	static char *kept[2];

	for (char **e = environ; *e; e++)
		if (!strncmp(*e, "JOURNAL_STREAM=", 15))
			kept[0] = *e;
	return kept;
}

static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t all;
	int err;

	sigfillset(&all);
	/* The new process unblocks signals when it can handle them. */
	err = posix_spawnattr_setsigmask(attr, &all);
	/* A signal to the daemon's process group must not kill both. */
	if (!err)
		err = posix_spawnattr_setpgroup(attr, 0);
	if (!err)
		err = posix_spawnattr_setflags(attr,
					       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	return err;
}

/**
 * selfspawn() - start our own program in another process
 * @pid: set to the process, or to 0 after an error
 * @argv: its arguments
 * @fd: a descriptor that the process gets as SELFSPAWN_FD; itself close-on-exec
 *
 * The process has all signals blocked, a process group of its own, and only JOURNAL_STREAM in its
 * environment.
 * Context: main thread, because PR_SET_PDEATHSIG is about the thread that is the parent.
 * Return: 0 or a negative errno.
 */
int selfspawn(pid_t *pid, char **argv, int fd)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int err;

	*pid = 0;
	err = posix_spawn_file_actions_init(&actions);
	if (err)
		return -err;
	err = posix_spawnattr_init(&attr);
	if (err)
		goto out_actions;
	err = set_attributes(&attr);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&actions, fd, SELFSPAWN_FD);
	if (!err)
		err = posix_spawn(pid, "/proc/self/exe", &actions, &attr, argv, environment());
	if (err)
		*pid = 0;
	posix_spawnattr_destroy(&attr);
out_actions:
	posix_spawn_file_actions_destroy(&actions);
	return -err;
}
