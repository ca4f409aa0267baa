// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "mountview.h"

/* The inode number of a process' mount namespace; 0 if it is gone or we may not look. */
static ino_t namespace_of(const char *pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.20s/ns/mnt", pid);
	return stat(path, &st) ? 0 : st.st_ino;
}

static bool knows(const struct mountview *v, ino_t ns)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->table[i].ns == ns)
			return true;
	return false;
}

static int add_table(struct mountview *v, const char *pid, ino_t ns)
{
	struct mountview_table *table;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/mountinfo", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	table = array_resize(v->table, v->n + 1, sizeof(*table));
	if (!table) {
		close(fd);
		return -ENOMEM;
	}
	v->table = table;
	v->table[v->n++] = (struct mountview_table){ .fd = fd, .ns = ns, .pid = atoi(pid) };
	return 0;
}

/* Call @fn for each process with a namespace that is not in the view; not 0 from it ends that. */
static int each_unknown(struct mountview *v, int (*fn)(struct mountview *v, const char *pid,
						       ino_t ns))
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	int ret = 0;

	if (!proc)
		return -errno;
	while (!ret && (d = readdir(proc))) {
		ino_t ns;

		if (d->d_name[0] < '1' || d->d_name[0] > '9')
			continue;
		ns = namespace_of(d->d_name);
		if (ns && !knows(v, ns))
			ret = fn(v, d->d_name, ns);
	}
	closedir(proc);
	return ret;
}

static int add_other(struct mountview *v, const char *pid, ino_t ns)
{
	int err = add_table(v, pid, ns);

	/* A process may end at any time, and a kernel thread or a zombie has no table. */
	return err == -ENOENT || err == -ESRCH || err == -EINVAL || err == -EACCES ? 0 : err;
}

/**
 * mountview_open() - open the mount tables of all mount namespaces
 * @v: filled in
 * @own_only: leave the other namespaces alone
 * Return: 0 or a negative errno.
 */
int mountview_open(struct mountview *v, bool own_only)
{
	int err;

	*v = (struct mountview){ 0 };
	err = add_table(v, "self", namespace_of("self"));
	if (!err && !own_only)
		err = each_unknown(v, add_other);
	if (err)
		mountview_close(v);
	return err;
}

/**
 * mountview_read() - read the tables, each for the first time
 * @v: an open view
 * @m: where to add the mounts
 * Return: 0 or a negative errno.
 */
int mountview_read(const struct mountview *v, struct mounts *m)
{
	int err = 0;

	for (size_t i = 0; i < v->n && !err; i++) {
		char name[64] = "/proc/self/mountinfo";
		int fd = fcntl(v->table[i].fd, F_DUPFD_CLOEXEC, 0);
		FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

		if (!f) {
			err = -errno;
			if (fd >= 0)
				close(fd);
			break;
		}
		if (v->table[i].pid)
			snprintf(name, sizeof(name), "/proc/%d/mountinfo", v->table[i].pid);
		err = mounts_add_table(m, f, name, v->table[i].pid);
		fclose(f);
	}
	return err;
}

static int found_other(struct mountview *v, const char *pid, ino_t ns)
{
	(void)v;
	(void)pid;
	(void)ns;
	return 1;
}

/**
 * mountview_changed() - has anything been mounted, unmounted or remounted since the tables were
 *	read?
 * @v: the view
 * @own_only: don't look for new namespaces
 *
 * Context: allocates nothing but a directory stream.
 * Return: 1 if so, 0 if not, or a negative errno.
 */
int mountview_changed(const struct mountview *v, bool own_only)
{
	for (size_t i = 0; i < v->n; i++) {
		struct pollfd p = { .fd = v->table[i].fd, .events = POLLPRI };
		int n = poll(&p, 1, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n && (p.revents & POLLPRI))
			return 1;
	}
	return own_only ? 0 : each_unknown((struct mountview *)v, found_other);
}

/**
 * mountview_close() - close the tables
 * @v: may be all zero; is so afterwards
 */
void mountview_close(struct mountview *v)
{
	for (size_t i = 0; i < v->n; i++)
		close(v->table[i].fd);
	free(v->table);
	*v = (struct mountview){ 0 };
}
