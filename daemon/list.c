// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "list.h"
#include "log.h"

/* A mount point may hold anything but a zero byte. */
static void print_text(const char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text) || *text == '\\')
			printf("\\%03o", (unsigned char)*text);
		else
			putchar(*text);
}

static void print_fs(const struct mounts_fs *fs, const char *first)
{
	char dev[32];

	snprintf(dev, sizeof(dev), "%u:%u", major(fs->dev), minor(fs->dev));
	printf("%-6s %-8s %-9s ", first, dev, fs->type);
	print_text(mounts_fs_path(fs));
	printf(" (");
	print_text(fs->source);
	putchar(')');
	if (fs->mounts > 1)
		printf(", mounted %zu times", fs->mounts);
	if (fs->reason[0])
		printf(": %s", fs->reason);
	putchar('\n');
}

/**
 * list_plan() - print what would be frozen
 * @config: the options of the plan
 * Return: 0 or a negative errno.
 */
int list_plan(const struct fsset_config *config)
{
	static const char * const title[] = { "freeze", "sync", "skip" };
	struct mountview view = { 0 };
	struct mounts m = { 0 };
	unsigned int count = 0;
	int err;

	err = mountview_open(&view, config->own_namespace_only);
	if (!err)
		err = mountview_read(&view, &m);
	if (!err)
		err = mounts_plan(&m, &config->policy, config->sysfs);
	for (int action = MOUNTS_FREEZE; !err && action <= MOUNTS_SKIP; action++)
		for (size_t i = 0; i < m.n; i++) {
			const struct mounts_fs *fs = &m.fs[m.order[i]];
			char number[16];

			if ((int)fs->action != action)
				continue;
			snprintf(number, sizeof(number), "%u", ++count);
			print_fs(fs, action == MOUNTS_FREEZE ? number : title[action]);
		}
	if (err)
		log_msg(LOG_ERR, "cannot make a plan: %s", strerror(-err));
	mounts_free(&m);
	mountview_close(&view);
	return err;
}
