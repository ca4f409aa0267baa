// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/mounts.c daemon/order.c daemon/blockdev.c daemon/fstypes.c
// Sources: daemon/sysattr.c
// Libraries: mount
/*
 * Mount tables: the input is our own one, and behind a 0xff byte that of another mount namespace.
 * Whatever is accepted must give a plan that holds together.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "mounts.h"

void log_msg(int priority, const char *fmt, ...)
{
	(void)priority;
	(void)fmt;
}

static int add(struct mounts *m, const uint8_t *data, size_t size, pid_t pid)
{
	FILE *f;
	int err;

	if (!size)
		return 0;
	f = fmemopen((void *)data, size, "r");
	if (!f)
		abort();
	err = mounts_add_table(m, f, "fuzz", pid);
	fclose(f);
	return err;
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
		for (size_t j = 0; j < fs->belows; j++)
			require(fs->below[j] < m->n && fs->below[j] != i);
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

	err = add(&m, data, own, 0);
	if (!err && split)
		err = add(&m, split + 1, size - own - 1, 4711);
	if (!err && !mounts_plan(&m, &none, "/nonexistent"))
		check(&m);
	mounts_free(&m);
	return 0;
}
