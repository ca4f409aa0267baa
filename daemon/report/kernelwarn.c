// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/log.h"
#include "base/procfs.h"
#include "kernelwarn.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup	425	/* the same on all architectures */
#endif

/* EFAULT or EPERM: the system call exists. */
static bool has_io_uring(int proc)
{
	char text[16];

	if (procfs_read(proc, "sys/kernel/io_uring_disabled", text, sizeof(text)) > 0 &&
	    atoi(text) == 2)
		return false;
	return syscall(SYS_io_uring_setup, 0, NULL) < 0 && (errno == EFAULT || errno == EPERM);
}

static bool has_quota(int proc)
{
	char text[32];

	return procfs_read(proc, "sys/fs/quota/allocated_dquots", text, sizeof(text)) > 0 &&
	       atoi(text) > 0;
}

/**
 * kernelwarn_read_kernel() - find out which kernel is running
 * @k: filled in, except for ->guard, which is false
 * @proc: where procfs is mounted
 * Context: any user.
 * Return: 0 or a negative errno: then its version is unknown.
 */
int kernelwarn_read_kernel(struct kernel *k, const char *proc)
{
	int dir = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char signature[128] = "";
	struct utsname uts;

	*k = (struct kernel){ 0 };
	if (dir >= 0) {
		if (procfs_read(dir, "version_signature", signature, sizeof(signature)) < 0)
			signature[0] = '\0';
		k->io_uring = has_io_uring(dir);
		k->quota = has_quota(dir);
		close(dir);
	}
	return uname(&uts) ? -errno : kernelfaults_kernel(k, uts.release, uts.version, signature);
}

/**
 * kernelwarn_log() - warn of known faults of the running kernel that concern a plan
 * @k: the kernel
 * @set: the plan
 *
 * One line with the fixes; --list shows the effects.
 */
void kernelwarn_log(const struct kernel *k, const struct fsset *set)
{
	struct kernelfaults found = { .n = 0 };
	char text[640] = "";
	size_t len = 0;

	for (size_t i = 0; i < set->n; i++) {
		const struct kernelfaults_fs fs = {
			.type = set->target[i].type, .source = set->target[i].source,
		};

		if (set->target[i].freezable)
			kernelfaults_find(&found, k, &fs);
	}
	for (size_t i = 0; i < found.n && len < sizeof(text); i++)
		len += snprintf(text + len, sizeof(text) - len, "%s%s: %s", i ? "; " : "",
				found.fault[i]->types ? found.fault[i]->types : "all",
				found.fault[i]->fix);
	if (found.n)
		log_msg(LOG_NOTICE, "by its version (%u.%u.%u) this kernel may lack fixes that "
			"concern a freeze: %s. hv-vss-daemon --list describes the faults; "
			"--kernel-faults=ignore disables this message",
			k->version[0], k->version[1], k->version[2], text);
}
