// SPDX-License-Identifier: GPL-2.0-only
/*
 * A container has a mount namespace of its own. In the PID namespace of the machine the daemon
 * finds all mount namespaces of the machine through /proc, and can serve. In another PID namespace
 * it would report a good backup although none of the machine's file systems was frozen.
 */
#include <stddef.h>
#include <sys/stat.h>

#include "container.h"

/* Inode numbers of the initial namespaces, on every machine (linux/proc_ns.h, since 3.8). */
#define FIRST_USER_NS	0xeffffffdU
#define FIRST_PID_NS	0xeffffffcU

static uint64_t inode(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_ino;
}

/**
 * container_check() - can the daemon serve from these namespaces?
 * @pid_ns: inode number of the PID namespace; 0: unknown
 * @user_ns: inode number of the user namespace; 0: unknown, or the kernel has none
 * Return: NULL if it can, otherwise the reason why not.
 */
const char *container_check(uint64_t pid_ns, uint64_t user_ns)
{
	if (user_ns && user_ns != FIRST_USER_NS)
		return "this is a container with a user namespace of its own, which may not freeze "
		       "the file systems of the machine";
	if (pid_ns && pid_ns != FIRST_PID_NS)
		return "this is a container with a PID namespace of its own, which does not see "
		       "the file systems of the machine";
	return NULL;
}

/**
 * container_problem() - can the daemon serve from the namespaces of this process?
 * Return: NULL if it can, otherwise the reason why not.
 */
const char *container_problem(void)
{
	return container_check(inode("/proc/self/ns/pid"), inode("/proc/self/ns/user"));
}
