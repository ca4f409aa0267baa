// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/log.h"
#include "hooklist.h"

/*
 * Files that editors and package managers leave behind, and samples. Includes all that the
 * fsfreeze-hook of qemu-guest-agent ignores.
 */
static const char * const ignored[] = {
	".*", "*~", "#*#", "*.bk", "*.bak", "*.old", "*.orig", "*.rej", "*.tmp", "*.swp",
	"*.sample", "*.example", "*.disabled", "*.rpmnew", "*.rpmorig", "*.rpmsave", "*.dpkg-*",
	"*.ucf-*", "README*", NULL
};

/**
 * hooklist_is_ignored() - is this file not a hook, by its name?
 * @name: of a file in the directory
 * Return: true for backups, leftovers of package managers, samples and hidden files.
 */
bool hooklist_is_ignored(const char *name)
{
	for (const char * const *pattern = ignored; *pattern; pattern++)
		if (!fnmatch(*pattern, name, 0))
			return true;
	return false;
}

/**
 * hooklist_name() - the name of a hook for log lines
 * @path: of the hook
 * Return: the last part of @path.
 */
const char *hooklist_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool others_can_write(const struct stat *st, uid_t owner)
{
	return (st->st_uid && st->st_uid != owner) || (st->st_mode & 0022);
}

/* In a sticky directory (/tmp) other users can't replace files of root. */
static const char *check_parents(char *path, uid_t owner)
{
	struct stat st;

	for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
		*slash = '\0';
		if (stat(*path ? path : "/", &st))
			return strerror(errno);
		if (others_can_write(&st, owner) && !(st.st_mode & S_ISVTX))
			return "users other than root can write to a directory above it";
	}
	return NULL;
}

/*
 * Checks the directories of the path as given: with a symbolic link they are not those of the file.
 */
static const char *check_path_parents(const char *path, uid_t owner)
{
	char dir[PATH_MAX], real[PATH_MAX + 2];
	const char *slash = strrchr(path, '/');

	if (!slash || slash - path >= PATH_MAX)
		return "it is not an absolute path";
	snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (!realpath(dir, real))
		return strerror(errno);
	strcat(real, "/");
	return check_parents(real, owner);
}

/**
 * hooklist_check_trust() - may this program be run with root's rights?
 * @path: a program, or a symbolic link to one
 * @owner: a user that may own it, besides root
 *
 * Return: NULL if so, otherwise the reason.
 */
const char *hooklist_check_trust(const char *path, uid_t owner)
{
	char real[PATH_MAX];
	struct stat st;

	for (const char *p = path; *p; p++)
		if (iscntrl((unsigned char)*p))
			return "its name has control characters";
	if (!realpath(path, real) || stat(real, &st))
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is not a regular file";
	if (!(st.st_mode & 0100))
		return "it is not executable";
	if (st.st_uid && st.st_uid != owner)
		return "it is not owned by root";
	if (others_can_write(&st, owner))
		return "users other than root can write to it";
	return check_path_parents(path, owner) ?: check_parents(real, owner);
}

/* Admins disable a hook by removing its execute permission. */
static bool is_candidate(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (hooklist_is_ignored(name) ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return false;
	return stat(path, &st) || (!S_ISDIR(st.st_mode) && (st.st_mode & 0111));
}

/**
 * hooklist_has_any() - are there any hooks?
 * @where: a directory of hooks, or one program
 *
 * Context: accesses the file system, so it may never return.
 * Return: 1 or 0; or a negative errno, -ENOENT if there is no such directory.
 */
int hooklist_has_any(const char *where)
{
	struct stat st;
	struct dirent *d;
	DIR *dir;
	int any = 0;

	if (stat(where, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return 1;
	dir = opendir(where);
	if (!dir)
		return -errno;
	while (!any && (d = readdir(dir)))
		any = is_candidate(where, d->d_name);
	closedir(dir);
	return any;
}

static int refuse(struct hooklist *list, const char *path, const char *why)
{
	struct hooklist_refusal *more;

	more = array_resize(list->refusal, list->refused + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	list->refusal = more;
	more += list->refused;
	*more = (struct hooklist_refusal){ .path = strdup(path), .why = why };
	if (!more->path)
		return -ENOMEM;
	list->refused++;
	return 0;
}

static int add(struct hooklist *list, const char *path, uid_t owner)
{
	const char *why = hooklist_check_trust(path, owner);
	char **more;

	if (why)
		return refuse(list, path, why);
	more = array_resize(list->path, list->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	list->path = more;
	list->path[list->n] = strdup(path);
	if (!list->path[list->n])
		return -ENOMEM;
	list->n++;
	return 0;
}

static int add_directory(struct hooklist *list, const char *where, uid_t owner)
{
	char path[PATH_MAX];
	struct dirent **names;
	int err = 0, n;

	n = scandir(where, &names, NULL, NULL);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (!err && is_candidate(where, names[i]->d_name)) {
			snprintf(path, sizeof(path), "%s/%s", where, names[i]->d_name);
			err = add(list, path, owner);
		}
		free(names[i]);
	}
	free(names);
	return err;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char * const *)a, *(char * const *)b);
}

/**
 * hooklist_read() - find the hooks
 * @list: filled in, to be freed; in the order of the bytes of their names
 * @where: a directory of hooks, or one program
 * @owner: a user that may own them, besides root
 *
 * Return: 0 or a negative errno: -EPERM if the directory itself is refused. Refused hooks are in
 *	@list with the reason, also after an error.
 */
int hooklist_read(struct hooklist *list, const char *where, uid_t owner)
{
	struct stat st;
	int err;

	*list = (struct hooklist){ 0 };
	if (stat(where, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return add(list, where, owner);
	if (others_can_write(&st, owner))
		return refuse(list, where,
			      "users other than root can write to the directory") ?: -EPERM;
	err = add_directory(list, where, owner);
	if (list->n)
		qsort(list->path, list->n, sizeof(*list->path), compare);
	return err;
}

/**
 * hooklist_log_refused() - log the hooks that are not run, and why
 * @list: the list
 */
void hooklist_log_refused(const struct hooklist *list)
{
	for (size_t i = 0; i < list->refused; i++)
		log_msg(LOG_WARNING, "hook %s: not run: %s", list->refusal[i].path,
			list->refusal[i].why);
}

/**
 * hooklist_free() - free what hooklist_read() has allocated
 * @list: the list, also after an error
 */
void hooklist_free(struct hooklist *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->path[i]);
	free(list->path);
	for (size_t i = 0; i < list->refused; i++)
		free(list->refusal[i].path);
	free(list->refusal);
	*list = (struct hooklist){ 0 };
}
