// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes of the agent one that runs beside a whole system: when it has found the root disk,
 * process 1 becomes that disk's own init, and the agent goes on as its child. Linked with
 * --wrap=boot_system.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../guest/boot.h"
#include "system_boot.h"

#define SYSTEM_INIT	"/sbin/init"

/**
 * __wrap_boot_system() - boot_system(), and from there on the disk's own system
 *
 * Context: as process 1 in the initramfs.
 * Return: in the child, which is the agent: 0; a negative errno if there is no child.
 */
int __wrap_boot_system(void)
{
	char *const argv[] = { SYSTEM_INIT, NULL };
	char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb", NULL };
	int err = __real_boot_system();
	pid_t pid;

	if (err)
		return err;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		return 0;
	execve(argv[0], argv, env);
	boot_say("%s: %s", argv[0], strerror(errno));
	return -errno;
}
