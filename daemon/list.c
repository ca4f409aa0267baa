// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "json.h"
#include "list.h"
#include "log.h"

static const char * const action_name[] = { "freeze", "sync", "skip" };

/**
 * list_text() - print a name so that it stays on its line
 * @f: where to
 * @text: a mount point may hold anything but a zero byte; control characters and backslashes come
 *	out in octal
 */
void list_text(FILE *f, const char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text) || *text == '\\')
			fprintf(f, "\\%03o", (unsigned char)*text);
		else
			putc(*text, f);
}

static void print_fs(FILE *f, const struct mounts_fs *fs, const char *first)
{
	char dev[32];

	snprintf(dev, sizeof(dev), "%u:%u", major(fs->dev), minor(fs->dev));
	fprintf(f, "%-6s %-8s %-9s ", first, dev, fs->type);
	list_text(f, mounts_fs_path(fs));
	fputs(" (", f);
	list_text(f, fs->source);
	putc(')', f);
	if (fs->mounts > 1)
		fprintf(f, ", mounted %zu times", fs->mounts);
	if (fs->reason[0])
		fprintf(f, ": %s", fs->reason);
	putc('\n', f);
}

static void json_fs(struct json *j, const struct mounts_fs *fs, unsigned int order)
{
	char dev[32];

	snprintf(dev, sizeof(dev), "%u:%u", major(fs->dev), minor(fs->dev));
	json_object(j, NULL);
	json_string(j, "action", action_name[fs->action]);
	if (fs->action == MOUNTS_FREEZE)
		json_int(j, "order", order);
	json_string(j, "path", mounts_fs_path(fs));
	json_string(j, "type", fs->type);
	json_string(j, "source", fs->source);
	json_string(j, "device", dev);
	json_string(j, "reason", fs->reason[0] ? fs->reason : NULL);
	json_array(j, "mounts");
	for (size_t i = 0; i < fs->mounts; i++) {
		const struct mounts_mount *mount = &fs->mount[i];

		json_object(j, NULL);
		json_string(j, "path", mount->path);
		if (mount->pid)
			json_int(j, "namespace_of_pid", mount->pid);
		if (mount->deleted)
			json_bool(j, "deleted", true);
		json_end(j);
	}
	json_end(j);
	json_end(j);
}

/**
 * list_print() - print a plan
 * @f: where to
 * @m: planned
 * @json: as JSON
 */
void list_print(FILE *f, const struct mounts *m, bool json)
{
	unsigned int count = 0;
	struct json j;

	json_begin(&j, f);
	if (json) {
		json_object(&j, NULL);
		json_array(&j, "file_systems");
	}
	for (int action = MOUNTS_FREEZE; action <= MOUNTS_SKIP; action++)
		for (size_t i = 0; i < m->n; i++) {
			const struct mounts_fs *fs = &m->fs[m->order[i]];
			char number[16];

			if ((int)fs->action != action)
				continue;
			snprintf(number, sizeof(number), "%u", ++count);
			if (json)
				json_fs(&j, fs, count);
			else
				print_fs(f, fs, action == MOUNTS_FREEZE ? number :
					 action_name[action]);
		}
	if (json) {
		json_end(&j);
		json_end(&j);
	}
}

/**
 * list_plan() - print what would be frozen
 * @config: the options of the plan
 * @json: as JSON
 * Return: 0 or a negative errno.
 */
int list_plan(const struct fsset_config *config, bool json)
{
	struct mountview view = { 0 };
	struct mounts m = { 0 };
	int err;

	err = mountview_open(&view, config->own_namespace_only);
	if (!err)
		err = mountview_read(&view, &m);
	if (!err)
		err = mounts_plan(&m, &config->policy, config->sysfs);
	if (!err)
		list_print(stdout, &m, json);
	else
		log_msg(LOG_ERR, "cannot make a plan: %s", strerror(-err));
	mounts_free(&m);
	mountview_close(&view);
	return err;
}
