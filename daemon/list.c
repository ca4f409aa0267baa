// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "hooklist.h"
#include "json.h"
#include "list.h"
#include "log.h"
#include "words.h"

static const char * const action_name[] = { "freeze", "sync", "skip" };

static void print_fs(FILE *f, const struct mounts_fs *fs, const char *first)
{
	char dev[32];

	snprintf(dev, sizeof(dev), "%u:%u", major(fs->dev), minor(fs->dev));
	fprintf(f, "%-6s %-8s %-9s ", first, dev, fs->type);
	words_print(f, mounts_fs_path(fs));
	fputs(" (", f);
	words_print(f, fs->source);
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

static void print_plan(const struct mounts *m, struct json *j)
{
	unsigned int count = 0;

	for (int action = MOUNTS_FREEZE; action <= MOUNTS_SKIP; action++)
		for (size_t i = 0; i < m->n; i++) {
			const struct mounts_fs *fs = &m->fs[m->order[i]];
			char number[16];

			if ((int)fs->action != action)
				continue;
			snprintf(number, sizeof(number), "%u", ++count);
			if (j)
				json_fs(j, fs, count);
			else
				print_fs(stdout, fs, action == MOUNTS_FREEZE ? number :
					 action_name[action]);
		}
}

static void print_hook(struct json *j, const char *path, const char *why_not)
{
	if (!j) {
		printf("%-6s ", why_not ? "refuse" : "hook");
		words_print(stdout, path);
		printf(why_not ? ": %s\n" : "\n", why_not);
		return;
	}
	json_object(j, NULL);
	json_string(j, "action", why_not ? "refuse" : "call");
	json_string(j, "path", path);
	json_string(j, "reason", why_not);
	json_end(j);
}

static void print_hooks(const struct hooklist *list, struct json *j)
{
	for (size_t i = 0; i < list->n; i++)
		print_hook(j, list->path[i], NULL);
	for (size_t i = 0; i < list->refused; i++)
		print_hook(j, list->refusal[i].path, list->refusal[i].why);
}

static void print_json(const struct mounts *m, const struct hooklist *list, int hooks_err)
{
	struct json j;

	json_begin(&j, stdout);
	json_object(&j, NULL);
	json_array(&j, "file_systems");
	print_plan(m, &j);
	json_end(&j);
	json_array(&j, "hooks");
	print_hooks(list, &j);
	json_end(&j);
	json_string(&j, "hooks_error", hooks_err ? strerror(-hooks_err) : NULL);
	json_end(&j);
}

static int read_hooks(const struct hooks_config *config, struct hooklist *list)
{
	int err = config->where ? hooklist_read(list, config->where, geteuid()) : 0;

	return err == -ENOENT && config->optional ? 0 : err;
}

/**
 * list_all() - print what would be frozen, and which hooks would be called; do neither
 * @plan: its options
 * @hooks: their options
 * @json: as JSON
 * Return: 0 or a negative errno, logged; that of the hooks after the plan was printed.
 */
int list_all(const struct fsset_config *plan, const struct hooks_config *hooks, bool json)
{
	struct mountview view = { 0 };
	struct hooklist list = { 0 };
	struct mounts m = { 0 };
	int err, hooks_err;

	err = mountview_open(&view, plan->own_namespace_only);
	if (!err)
		err = mountview_read(&view, &m);
	if (!err)
		err = mounts_plan(&m, &plan->policy, plan->sysfs);
	if (err) {
		log_msg(LOG_ERR, "cannot make a plan: %s", strerror(-err));
		goto out;
	}
	hooks_err = read_hooks(hooks, &list);
	if (json) {
		print_json(&m, &list, hooks_err);
	} else {
		print_plan(&m, NULL);
		print_hooks(&list, NULL);
	}
	if (hooks_err)
		log_msg(LOG_ERR, "hooks: %s: %s", hooks->where, strerror(-hooks_err));
	err = hooks_err;
	hooklist_free(&list);
out:
	mounts_free(&m);
	mountview_close(&view);
	return err;
}
