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

#include "array.h"
#include "hooklist.h"
#include "log.h"

/*
 * What editors and package managers leave behind, and what is there to be copied. All that
 * qemu-guest-agent's fsfreeze-hook leaves out is left out.
 */
static const char * const leftovers[] = {
	".*", "*~", "#*#", "*.bk", "*.bak", "*.old", "*.orig", "*.rej", "*.tmp", "*.swp",
	"*.sample", "*.example", "*.disabled", "*.rpmnew", "*.rpmorig", "*.rpmsave", "*.dpkg-*",
	"*.ucf-*", "README*", NULL
};

/**
 * hooklist_ignores() - is this a file that is no hook, whatever its mode?
 * @name: of a file in the directory
 * Return: true for backups, leftovers of package managers, samples and hidden files.
 */
bool hooklist_ignores(const char *name)
{
	for (const char * const *pattern = leftovers; *pattern; pattern++)
		if (!fnmatch(*pattern, name, 0))
			return true;
	return false;
}

/**
 * hooklist_name() - a hook's name for people
 * @path: of the hook
 * Return: the last part of @path.
 */
const char *hooklist_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool others_write(const struct stat *st, uid_t owner)
{
	return (st->st_uid && st->st_uid != owner) || (st->st_mode & 0022);
}

/* In a sticky directory (/tmp) nobody else can replace what is ours. */
static const char *distrust_parents(char *path, uid_t owner)
{
	struct stat st;

	for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
		*slash = '\0';
		if (stat(*path ? path : "/", &st))
			return strerror(errno);
		if (others_write(&st, owner) && !(st.st_mode & S_ISVTX))
			return "others can write to a directory above it";
	}
	return NULL;
}

/* Where a path leads is one thing; who can make it lead to elsewhere is another. */
static const char *distrust_way(const char *path, uid_t owner)
{
	char dir[PATH_MAX], real[PATH_MAX + 2];
	const char *slash = strrchr(path, '/');

	if (!slash || slash - path >= PATH_MAX)
		return "it is not an absolute path";
	snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (!realpath(dir, real))
		return strerror(errno);
	strcat(real, "/");
	return distrust_parents(real, owner);
}

/**
 * hooklist_distrusts() - may this program be run with root's rights?
 * @path: a program, or a symbolic link to one
 * @owner: besides root, who may own it
 *
 * Return: NULL if so; why not, in words.
 */
const char *hooklist_distrusts(const char *path, uid_t owner)
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
	if (others_write(&st, owner))
		return "others can write to it";
	return distrust_way(path, owner) ?: distrust_parents(real, owner);
}

/* Not executable is how a hook is switched off. */
static bool is_candidate(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (hooklist_ignores(name) ||
	    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return false;
	return stat(path, &st) || (!S_ISDIR(st.st_mode) && (st.st_mode & 0111));
}

/**
 * hooklist_any() - is there anything to run?
 * @where: a directory of hooks, or one program
 *
 * Context: looks at the file system, which may take for ever.
 * Return: 1 or 0; or a negative errno, -ENOENT if there is no such directory.
 */
int hooklist_any(const char *where)
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
	const char *why = hooklist_distrusts(path, owner);
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
 * @owner: besides root, who may own them
 *
 * Return: 0 or a negative errno: -EPERM if the directory itself is refused. What is refused is in
 *	@list with the reason, also then.
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
	if (others_write(&st, owner))
		return refuse(list, where, "the directory is not root's alone") ?: -EPERM;
	err = add_directory(list, where, owner);
	if (list->n)
		qsort(list->path, list->n, sizeof(*list->path), compare);
	return err;
}

/**
 * hooklist_log_refused() - log what is not run, and why
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
