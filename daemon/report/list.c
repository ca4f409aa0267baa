// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/container.h"
#include "base/log.h"
#include "base/format.h"
#include "hooks/hooklist.h"
#include "faultlist.h"
#include "fsdisks.h"
#include "json.h"
#include "list.h"
#include "listtree.h"
#include "plan/listeners.h"
#include "plan/luns.h"
#include "status.h"

#define TYPE_WIDTH	9

static const char * const action_name[] = { "freeze", "sync", "skip" };

static void print_fs(FILE *f, const struct mounts_fs *fs, const char *first)
{
	char dev[32];

	snprintf(dev, sizeof(dev), "%u:%u", major(fs->dev), minor(fs->dev));
	fprintf(f, "%-6s %-8s ", first, dev);
	format_print_escaped(f, fs->type);
	fprintf(f, "%*s ", strlen(fs->type) < TYPE_WIDTH ? TYPE_WIDTH - (int)strlen(fs->type) : 0,
		"");
	format_print_escaped(f, mounts_fs_path(fs));
	fputs(" (", f);
	format_print_escaped(f, fs->source);
	putc(')', f);
	if (fs->mounts > 1)
		fprintf(f, ", mounted %zu times", fs->mounts);
	if (fs->reason[0]) {
		fputs(": ", f);
		format_print_escaped(f, fs->reason);
	}
	putc('\n', f);
}

static int json_fs(struct json *j, const struct mounts *m, const struct mounts_fs *fs,
		   unsigned int order, const char *sysfs)
{
	char dev[32];
	int err;

	snprintf(dev, sizeof(dev), "%u:%u", major(fs->dev), minor(fs->dev));
	json_object(j, NULL);
	json_string(j, "action", action_name[fs->action]);
	if (fs->action == MOUNTS_FREEZE)
		json_int(j, "order", order);
	json_string(j, "path", mounts_fs_path(fs));
	json_string(j, "type", fs->type);
	json_string(j, "source", fs->source);
	json_string(j, "device", dev);
	err = fsdisks_json(j, m, fs, sysfs);
	json_string(j, "reason", fs->reason[0] ? fs->reason : NULL);
	json_array(j, "mounts");
	for (size_t i = 0; i < fs->mounts; i++) {
		const struct mounts_mount *mount = &fs->mount[i];

		json_object(j, NULL);
		json_string(j, "path", mount->path);
		if (mount->pid > 0)
			json_int(j, "namespace_of_pid", mount->pid);
		else if (mount->pid)
			json_bool(j, "other_namespace", true);
		if (mount->deleted)
			json_bool(j, "deleted", true);
		json_end(j);
	}
	json_end(j);
	json_end(j);
	return err;
}

static int print_plan(const struct mounts *m, struct json *j, const char *sysfs)
{
	unsigned int count = 0;
	int err = 0;

	for (int action = MOUNTS_FREEZE; action <= MOUNTS_SKIP; action++)
		for (size_t i = 0; i < m->n && !err; i++) {
			const struct mounts_fs *fs = &m->fs[m->order[i]];
			char number[16];

			if ((int)fs->action != action)
				continue;
			snprintf(number, sizeof(number), "%u", ++count);
			if (j)
				err = json_fs(j, m, fs, count, sysfs);
			else
				print_fs(stdout, fs, action == MOUNTS_FREEZE ? number :
					 action_name[action]);
		}
	return err;
}

static void print_hook(struct json *j, const char *path, const char *why_not)
{
	if (!j) {
		printf("%-6s ", why_not ? "refuse" : "hook");
		format_print_escaped(stdout, path);
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

/* Counts the processes whose mount namespace we are not allowed to read. */
static unsigned int count_unseen(void)
{
	DIR *proc = opendir("/proc");
	unsigned int count = 0;
	struct dirent *d;
	char path[64];
	struct stat st;

	if (!proc)
		log_msg(LOG_WARNING, "cannot check which processes are not seen: %s",
			strerror(errno));
	while (proc && (d = readdir(proc))) {
		if (d->d_name[0] < '1' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/ns/mnt", d->d_name);
		count += stat(path, &st) && errno == EACCES;
	}
	if (proc)
		closedir(proc);
	return count;
}

static void print_unseen(unsigned int unseen)
{
	const char *problem = container_problem();

	if (problem)
		printf("not seen: %s\n", problem);
	if (unseen)
		printf("not seen: what is mounted only for processes of other users (%u "
		       "processes); run as root to see it\n", unseen);
}

static void print_matches(struct json *j, const struct mounts *m, const char *option,
			  const char *pattern)
{
	bool any = false;

	if (j) {
		json_object(j, NULL);
		json_string(j, "option", option);
		json_string(j, "pattern", pattern);
		json_array(j, "matches");
	} else {
		printf("%-6s --%s=", "match", option);
		format_print_escaped(stdout, pattern);
	}
	for (size_t i = 0; i < m->n; i++) {
		if (!policy_matches(&m->fs[i], pattern))
			continue;
		if (j) {
			json_string(j, NULL, mounts_fs_path(&m->fs[i]));
		} else {
			fputs(any ? ", " : ": ", stdout);
			format_print_escaped(stdout, mounts_fs_path(&m->fs[i]));
		}
		any = true;
	}
	if (j) {
		json_end(j);
		json_end(j);
	} else {
		fputs(any ? "\n" : ": nothing\n", stdout);
	}
}

static void print_patterns(struct json *j, const struct mounts *m, const struct mounts_policy *p)
{
	for (char **pattern = p->include; pattern && *pattern; pattern++)
		print_matches(j, m, "include", *pattern);
	for (char **pattern = p->exclude; pattern && *pattern; pattern++)
		print_matches(j, m, "exclude", *pattern);
}

static void print_unread(struct json *j, const struct mountview *view)
{
	for (size_t i = 0; i < view->unread_count && i < MOUNTVIEW_UNREAD_MAX; i++) {
		const struct mountview_unread *unread = &view->unread[i];
		char name[MOUNTVIEW_NAME];

		mountview_unread_name(unread, name);
		if (!j) {
			printf("%-6s %s: %s\n", "unread", name, unread->why);
			continue;
		}
		json_object(j, NULL);
		if (unread->pid > 0)
			json_int(j, "pid", unread->pid);
		json_int(j, "inode", (int64_t)unread->inode);
		json_string(j, "reason", unread->why);
		json_end(j);
	}
	if (!j && view->unread_count > MOUNTVIEW_UNREAD_MAX)
		printf("%-6s %zu more mount namespaces\n", "unread",
		       view->unread_count - MOUNTVIEW_UNREAD_MAX);
}

/* The data to print. */
struct listing {
	struct mounts m;
	struct mountview view;
	const struct mounts_policy *policy;
	struct kernelfaults faults;
	struct hooklist hooks;
	int hooks_err;
	unsigned int unseen;
};

static int print_json(FILE *f, const struct listing *l, const char *sysfs)
{
	struct json j;
	int err;

	json_begin(&j, f);
	json_object(&j, NULL);
	json_int(&j, "schema_version", STATUS_SCHEMA);
	json_array(&j, "file_systems");
	err = print_plan(&l->m, &j, sysfs);
	json_end(&j);
	json_array(&j, "patterns");
	print_patterns(&j, &l->m, l->policy);
	json_end(&j);
	json_array(&j, "unread_namespaces");
	print_unread(&j, &l->view);
	json_end(&j);
	json_array(&j, "kernel_faults");
	faultlist_print(&j, &l->faults);
	json_end(&j);
	json_array(&j, "hooks");
	print_hooks(&l->hooks, &j);
	json_end(&j);
	json_string(&j, "hooks_error", l->hooks_err ? strerror(-l->hooks_err) : NULL);
	json_int(&j, "unseen_processes", l->unseen);
	json_string(&j, "unseen_machine", container_problem());
	json_end(&j);
	return err;
}

/* Lines of the plan, as scripts read them; @reader: a tree for it. */
static int print_text(const struct listing *l, const char *sysfs, const struct term *reader)
{
	int err = 0;

	if (reader)
		err = listtree_print(stdout, &l->m, sysfs, reader);
	else
		print_plan(&l->m, NULL, sysfs);
	print_unread(NULL, &l->view);
	print_patterns(NULL, &l->m, l->policy);
	faultlist_print(NULL, &l->faults);
	print_hooks(&l->hooks, NULL);
	print_unseen(l->unseen);
	return err;
}

static int read_hooks(const struct hooks_config *config, struct hooklist *list)
{
	/* Owner 0: the daemon runs as root. */
	int err = config->where ? hooklist_read(list, config->where, 0) : 0;

	return err == -ENOENT && config->optional ? 0 : err;
}

static int make_plan(struct mounts *m, struct mountview *view, const struct build_config *plan)
{
	char why[REASON_SIZE] = "";
	int err;

	m->proc = "/proc";
	err = mountview_open(view, plan->own_namespace_only);
	if (!err)
		err = mountview_read(view, m);
	if (!err && listeners_mark(m, m->proc))
		log_msg(LOG_NOTICE, "cannot search for processes that permit access to files");
	if (!err)
		err = mounts_plan(m, &plan->policy, plan->sysfs);
	if (!err && plan->luns)
		err = luns_select(m, plan->luns, plan->only_luns, plan->sysfs, why);
	return err;
}

static int read_listing(struct listing *l, const struct build_config *plan,
			const struct hooks_config *hooks, bool ignore_kernel_faults)
{
	int err = make_plan(&l->m, &l->view, plan);

	if (err)
		return err;
	if (!ignore_kernel_faults)
		faultlist_find(&l->faults, &l->m, plan->sysfs);
	l->hooks_err = read_hooks(hooks, &l->hooks);
	l->unseen = plan->own_namespace_only ? 0 : count_unseen();
	return 0;
}

static void free_listing(struct listing *l)
{
	hooklist_free(&l->hooks);
	mounts_free(&l->m);
	mountview_close(&l->view);
}

/* Logs why a backup would fail, as far as the list shows it. */
static int check_would_fail(const struct listing *l, const struct hooks_config *hooks)
{
	const char *unmatched = policy_unmatched(&l->m, l->policy);

	if (l->hooks_err)
		log_msg(LOG_ERR, "hooks: %s: %s", hooks->where, strerror(-l->hooks_err));
	if (unmatched)
		log_msg(LOG_ERR, "a backup would fail: --include=%s matches no file system",
			unmatched);
	return unmatched ? -EINVAL : l->hooks_err;
}

static int print(const struct listing *l, const struct build_config *plan,
		 const struct list_format *how)
{
	struct term reader;
	int err;

	if (how->json) {
		err = print_json(stdout, l, plan->sysfs);
	} else if (how->tree || isatty(STDOUT_FILENO)) {
		term_detect(&reader, STDOUT_FILENO);
		err = print_text(l, plan->sysfs, &reader);
	} else {
		err = print_text(l, plan->sysfs, NULL);
	}
	if (!err && (fflush(stdout) || ferror(stdout)))
		err = -EIO;
	if (err)
		log_msg(LOG_ERR, err == -EIO ? "the list cannot be written" :
			"the list is not complete: %s", strerror(-err));
	return err;
}

/**
 * list_all() - print what a backup would freeze, and which hooks it would call
 * @plan: options of the plan
 * @hooks: options of the hooks
 * @how: what to print
 * Return: 0 or a negative errno, logged; also if the hooks can't be read: the plan is printed then.
 */
int list_all(const struct build_config *plan, const struct hooks_config *hooks,
	     const struct list_format *how)
{
	struct listing l = { .policy = &plan->policy };
	int err = read_listing(&l, plan, hooks, how->ignore_kernel_faults), failed;

	if (err) {
		log_msg(LOG_ERR, "cannot make a plan: %s", strerror(-err));
	} else {
		err = print(&l, plan, how);
		failed = check_would_fail(&l, hooks);
		err = err ? err : failed;
	}
	free_listing(&l);
	return err;
}

/**
 * list_json() - write the list as JSON
 * @f: where to write it
 * @plan: options of the plan; those disks count that the host names
 * @hooks: options of the hooks
 *
 * Context: worker; nothing is frozen. Logs no failure, except that of the host's disks.
 * Return: 0 or a negative errno; an error of @f is not seen.
 */
int list_json(FILE *f, const struct build_config *plan, const struct hooks_config *hooks)
{
	struct listing l = { .policy = &plan->policy };
	int err = read_listing(&l, plan, hooks, true);

	if (!err)
		err = print_json(f, &l, plan->sysfs);
	free_listing(&l);
	return err;
}
