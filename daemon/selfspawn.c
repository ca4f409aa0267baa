// SPDX-License-Identifier: GPL-2.0-only
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#include "selfspawn.h"

/* Whatever else the daemon was started with is not meant for its helpers. */
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
	/* Until it is ready for them, signals must wait. */
	err = posix_spawnattr_setsigmask(attr, &all);
	/* Whoever kills the daemon's process group is not to get both. */
	if (!err)
		err = posix_spawnattr_setpgroup(attr, 0);
	if (!err)
		err = posix_spawnattr_setflags(attr,
					       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	return err;
}

/**
 * selfspawn() - start our own program once more
 * @pid: set to the process, or 0
 * @argv: its arguments
 * @fd: a descriptor that it gets as SELFSPAWN_FD; itself close-on-exec
 *
 * All signals are blocked in it, it has a process group of its own, and of the environment only
 * what tells that stderr is the journal.
 * Context: main thread: a process may want to be told of its death.
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
