/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Known faults of kernels that affect a freeze, by version and file system: a table.
 * tests/KERNELFAULTS.md describes each row and the tests.
 *
 * By its version a kernel may have a fault, but distributions also fix old versions. Where their
 * version shows that (Debian, Ubuntu, some of EL) it is taken into account.
 */
#ifndef HV_VSS_KERNELFAULTS_H
#define HV_VSS_KERNELFAULTS_H

#include <stdbool.h>
#include <stddef.h>

/* What is known of the running kernel. */
struct kernel {
	unsigned int version[3];	/* of the upstream kernel that it is based on */
	unsigned int el;		/* release of Enterprise Linux: 7, 8, ...; 0: not EL */
	unsigned int build;		/* EL's build number: 570 of 5.14.0-570.el9 */
	bool guard;			/* our module is in use, with its guard */
	bool io_uring;			/* programs can use io_uring */
	bool quota;			/* disk quotas are in use */
};

struct kernelfault {
	const char *types;	/* file systems, separated by spaces; NULL: all */
	const char *effect;	/* what may happen */
	const char *fix;	/* versions, commit and CVE of the fix */
	bool guarded;		/* our module prevents it */
};

/* A file system of the plan. */
struct kernelfaults_fs {
	const char *type;
	const char *source;
};

#define KERNELFAULTS_MAX	16	/* more than the table has */

/* The faults that concern the file systems of a plan, each once. */
struct kernelfaults {
	const struct kernelfault *fault[KERNELFAULTS_MAX];
	size_t n;
};

int kernelfaults_kernel(struct kernel *k, const char *release, const char *build,
			const char *signature);
void kernelfaults_find(struct kernelfaults *found, const struct kernel *k,
		       const struct kernelfaults_fs *fs);

#endif
