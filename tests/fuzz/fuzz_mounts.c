// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/sysattr.c daemon/plan/blockdev.c daemon/plan/fstypes.c
// Sources: daemon/plan/journals.c daemon/plan/lookup.c daemon/plan/mountinfo.c
// Sources: daemon/plan/mounts.c daemon/plan/order.c daemon/plan/pattern.c daemon/plan/policy.c
// Libraries: mount
/*
 * Mount tables: the input is our own one, and after a 0xff byte that of another mount namespace. If
 * they are accepted, the plan must be consistent.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "plan/mounts.h"

void log_msg(int priority, const char *fmt, ...)
{
	(void)priority;
	(void)fmt;
}

static int add_own(struct mounts *m, const uint8_t *data, size_t size)
{
	FILE *f;
	int err;

	if (!size)
		return 0;
	f = fmemopen((void *)data, size, "r");
	if (!f)
		abort();
	err = mounts_add_table(m, f, "fuzz");
	fclose(f);
	return err;
}

/* Errors are ignored: the daemon can skip namespaces that it can't read. */
static void add_other(struct mounts *m, const uint8_t *data, size_t size)
{
	const struct mounts_other other = { .pid = 4711, .ns = -1, .lines_max = 100 };
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET))
		abort();
	mounts_add_other(m, fd, &other);
	close(fd);
}

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct mounts *m)
{
	bool *seen = calloc(m->n + 1, sizeof(*seen));

	require(seen);
	for (size_t i = 0; i < m->n; i++) {
		const struct mounts_fs *fs = &m->fs[i];

		require(m->order[i] < m->n && !seen[m->order[i]]);
		seen[m->order[i]] = true;
		require(fs->mounts && fs->type && fs->source && mounts_fs_path(fs));
		require(fs->action == MOUNTS_FREEZE || fs->reason[0]);
		require(mounts_find(m, fs->dev) == fs);
		require(fs->action != MOUNTS_FREEZE || !fs->readonly);
		for (size_t j = 0; j < fs->backings; j++)
			require(fs->backing[j] < m->n && fs->backing[j] != i);
	}
	free(seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mounts_policy none;
	const uint8_t *split = memchr(data, 0xff, size);
	size_t own = split ? (size_t)(split - data) : size;
	struct mounts m = { 0 };
	int err;

	err = add_own(&m, data, own);
	if (!err && split)
		add_other(&m, split + 1, size - own - 1);
	if (!err && !mounts_plan(&m, &none, "/nonexistent"))
		check(&m);
	mounts_free(&m);
	return 0;
}
