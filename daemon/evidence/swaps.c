// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "evidence.h"

/* By its name in the kernel, or by a node of another name in /dev. */
static bool is_device(const char *path, const struct diskstats_line *device)
{
	const char *name = strrchr(path, '/');
	struct stat st;

	if (name && !strcmp(name + 1, device->name))
		return true;
	return !strncmp(path, "/dev/", 5) && !stat(path, &st) && S_ISBLK(st.st_mode) &&
	       st.st_rdev == device->dev;
}

/**
 * evidence_has_swap() - is a device in use as swap?
 * @proc: where procfs is mounted
 * @device: the device; NULL: is there a swap file, and no swap in memory (zram)?
 *
 * The kernel writes to both past all file systems. What it writes to a file can only be told from
 * the pages that it has swapped out, which it does not count apart for each swap.
 * Return: true if so.
 */
bool evidence_has_swap(const char *proc, const struct diskstats_line *device)
{
	char path[256], kind[32], line[512];
	bool found = false, zram = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/swaps", proc);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		const char *name;

		if (sscanf(line, "%255s %31s", path, kind) != 2)
			continue;
		name = strrchr(path, '/');
		zram |= name && !strncmp(name + 1, "zram", 4);
		found |= device ? !strcmp(kind, "partition") && is_device(path, device) :
				  !strcmp(kind, "file");
	}
	if (f)
		fclose(f);
	return found && (device || !zram);
}
