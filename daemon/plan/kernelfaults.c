// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernelfaults.h"

enum condition {
	ALWAYS,
	IF_IO_URING,
	IF_QUOTA,
	IF_MAPPED,	/* on LVM, device mapper or DRBD, which can freeze it themselves */
};

/*
 * The first release with the fix: of a stable series, or (el) the build of an EL's kernel version.
 */
struct fixed_in {
	unsigned int version[3];
	unsigned int el;
	unsigned int build;
};

struct row {
	struct kernelfault fault;
	enum condition condition;
	unsigned int since[3];
	unsigned int fixed[3];	/* the first mainline release with the fix; 0: none yet */
	struct fixed_in fixed_stable[7];	/* up to a version of 0 */
};

#define STABLE(a, b, c)		{ .version = { a, b, c } }
#define EL(n, a, b, c, number)	{ .version = { a, b, c }, .el = n, .build = number }

#define READONLY_HANGS	"an error that makes it read-only while it is frozen leaves its writers " \
			"hanging forever"

static const struct row rows[KERNELFAULTS_MAX + 1] = {
	{
		.fault = {
			.types = "ext3 ext4",
			.effect = READONLY_HANGS,
			.fix = "CVE-2024-50191 (d3476f3dad4a; Linux 6.12, 6.11.4, 6.6.57, 6.1.113, "
			       "5.15.168, EL 9.6)",
			.guarded = true,
		},
		.fixed = { 6, 12 },
		.fixed_stable = {
			STABLE(6, 11, 4), STABLE(6, 6, 57), STABLE(6, 1, 113), STABLE(5, 15, 168),
			EL(9, 5, 14, 0, 570),
		},
	}, {
		.fault = {
			.types = "ext2 jfs nilfs2 reiserfs",
			.effect = READONLY_HANGS,
			.fix = "no kernel",
			.guarded = true,
		},
	}, {
		.fault = {
			.types = "f2fs",
			.effect = READONLY_HANGS,
			.fix = "930c6ab93492 (Linux 6.12, 6.11.2, 6.6.87)",
			.guarded = true,
		},
		.since = { 6, 5 },
		.fixed = { 6, 12 },
		.fixed_stable = { STABLE(6, 11, 2), STABLE(6, 6, 87) },
	}, {
		.fault = {
			.types = "f2fs",
			.effect = "its background threads may write to it while it is frozen",
			.fix = "dc6febb6bcec (Linux 4.14)",
		},
		.fixed = { 4, 14 },
	}, {
		.fault = {
			.types = "xfs",
			.effect = "when the kernel drops inodes from its cache while it is "
				  "frozen, it may not be possible to thaw it",
			.fix = "ab23a7768739 (Linux 5.15, EL 9.2)",
		},
		.fixed = { 5, 15 },
		.fixed_stable = { EL(9, 5, 14, 0, 284) },
	}, {
		.fault = {
			.types = "xfs",
			.effect = "FIFREEZE and the kernel's own clearing of blocks beyond the "
				  "end of files may block each other forever",
			.fix = "4b674b9ac852 (Linux 5.7, 5.6.9, 5.4.37, 4.19.120, EL 8.4)",
		},
		.since = { 4, 18 },
		.fixed = { 5, 7 },
		.fixed_stable = {
			STABLE(5, 6, 9), STABLE(5, 4, 37), STABLE(4, 19, 120),
			EL(8, 4, 18, 0, 305),
		},
	}, {
		.fault = {
			.types = "btrfs",
			.effect = "FIFREEZE may wait for itself forever after files were deleted",
			.fix = "9e7cc91a6d18 (Linux 4.8, EL 7.9)",
		},
		.fixed = { 4, 8 },
		.fixed_stable = { EL(7, 3, 10, 0, 1160) },
	}, {
		.fault = {
			.effect = "direct writes that a program has begun by AIO may reach the "
				  "disk after FIFREEZE",
			.fix = "70fe2f48152e (Linux 4.9)",
		},
		.fixed = { 4, 9 },
	}, {
		.fault = {
			.effect = "FIFREEZE and a program that writes by io_uring with O_DIRECT "
				  "may block each other forever",
			.fix = "CVE-2024-53052 (1d60d74e8526; Linux 6.12, 6.11.7, 6.6.60, 6.1.116, "
			       "5.15.172, 5.10.230, EL 9.7)",
		},
		.condition = IF_IO_URING,
		.since = { 5, 1 },
		.fixed = { 6, 12 },
		.fixed_stable = {
			STABLE(6, 11, 7), STABLE(6, 6, 60), STABLE(6, 1, 116), STABLE(5, 15, 172),
			STABLE(5, 10, 230), EL(9, 5, 14, 0, 572),
		},
	}, {
		.fault = {
			.effect = "FIFREEZE may go on for as long as a program waits to change a "
				  "disk quota there, if the kernel is not preemptible",
			.fix = "CVE-2026-45895 (77449e453dfc; Linux 7.0, 6.19.4, 6.18.14, 6.12.75, "
			       "6.6.128)",
		},
		.condition = IF_QUOTA,
		.since = { 6, 5 },
		.fixed = { 7, 0 },
		.fixed_stable = {
			STABLE(6, 19, 4), STABLE(6, 18, 14), STABLE(6, 12, 75), STABLE(6, 6, 128),
		},
	}, {
		.fault = {
			.effect = "after a snapshot inside the guest during a backup its device "
				  "may not be mountable any more",
			.fix = "Linux 7.4, 7.3.4, 7.2.13, 6.12.117",
			.guarded = true,
		},
		.condition = IF_MAPPED,
		.since = { 6, 8 },
		.fixed = { 7, 4 },
		.fixed_stable = { STABLE(7, 3, 4), STABLE(7, 2, 13), STABLE(6, 12, 117) },
	},
	/* The rest is empty. */
};

static int compare(const unsigned int a[3], const unsigned int b[3])
{
	for (int i = 0; i < 3; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

static bool has_fix(const struct fixed_in *m, const struct kernel *k)
{
	if (m->el)
		return k->el == m->el && !compare(k->version, m->version) && k->build >= m->build;
	return m->version[0] == k->version[0] && m->version[1] == k->version[1] &&
	       m->version[2] <= k->version[2];
}

static bool is_affected(const struct row *row, const struct kernel *k)
{
	if (compare(k->version, row->since) < 0)
		return false;
	if (row->fixed[0] && compare(k->version, row->fixed) >= 0)
		return false;
	for (const struct fixed_in *m = row->fixed_stable; m->version[0]; m++)
		if (has_fix(m, k))
			return false;
	return true;
}

static bool is_one_of(const char *type, const char *types)
{
	size_t len = strlen(type), n;

	for (const char *t = types; *t; t += n + (t[n] == ' ')) {
		n = strcspn(t, " ");
		if (n == len && !strncmp(t, type, n))
			return true;
	}
	return false;
}

static bool is_mapped(const char *source)
{
	return !strncmp(source, "/dev/mapper/", 12) || !strncmp(source, "/dev/dm-", 8) ||
	       !strncmp(source, "/dev/drbd", 9);
}

static bool concerns(const struct row *row, const struct kernel *k,
		     const struct kernelfaults_fs *fs)
{
	if (row->fault.types && !is_one_of(fs->type, row->fault.types))
		return false;
	if (row->fault.guarded && k->guard)
		return false;
	switch (row->condition) {
	case IF_IO_URING:
		return k->io_uring;
	case IF_QUOTA:
		return k->quota;
	case IF_MAPPED:
		return is_mapped(fs->source);
	case ALWAYS:
		break;
	}
	return true;
}

static bool read_version(unsigned int version[3], const char *text)
{
	version[2] = 0;
	return sscanf(text, "%u.%u.%u", &version[0], &version[1], &version[2]) >= 2;
}

/* 5.14.0-570.32.1.el9_6.x86_64 */
static void read_el(struct kernel *k, const char *release)
{
	const char *build = strchr(release, '-'), *el = strstr(release, ".el");

	if (!build || !el || sscanf(build, "-%u", &k->build) != 1 ||
	    sscanf(el, ".el%u", &k->el) != 1)
		k->el = 0;
}

/**
 * kernelfaults_kernel() - find out on which upstream version a kernel is based
 * @k: version, el and build are filled in; the other members are not changed
 * @release: release of uname()
 * @build: version of uname(); on Debian it has the upstream version
 * @signature: text of Ubuntu's /proc/version_signature, or NULL
 * Return: 0; -EINVAL if @release has no version.
 */
int kernelfaults_kernel(struct kernel *k, const char *release, const char *build,
			const char *signature)
{
	static const char debian[] = " Debian ";
	const char *found;

	k->el = 0;
	k->build = 0;
	if (!read_version(k->version, release))
		return -EINVAL;
	read_el(k, release);
	found = strstr(build, debian);
	if (found)
		found += strlen(debian);
	if (signature && !strncmp(signature, "Ubuntu ", 7))
		found = strrchr(signature, ' ') + 1;
	if (found && !read_version(k->version, found))
		read_version(k->version, release);
	return 0;
}

static bool is_in(const struct kernelfaults *found, const struct kernelfault *fault)
{
	for (size_t i = 0; i < found->n; i++)
		if (found->fault[i] == fault)
			return true;
	return false;
}

/**
 * kernelfaults_find() - find the faults of a kernel that concern a file system
 * @found: faults that are not in it yet are added
 * @k: the kernel
 * @fs: the file system
 */
void kernelfaults_find(struct kernelfaults *found, const struct kernel *k,
		       const struct kernelfaults_fs *fs)
{
	for (const struct row *row = rows; row->fault.effect; row++)
		if (is_affected(row, k) && concerns(row, k, fs) && !is_in(found, &row->fault) &&
		    found->n < KERNELFAULTS_MAX)
			found->fault[found->n++] = &row->fault;
}
