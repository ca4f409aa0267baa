// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/nsthread.h"
#include "mountview.h"

/* Limits for tables that any user may have filled. By default fs.mount-max allows 100,000 lines. */
#define OTHER_LINES_MAX		100000
#define ONE_TABLE_US		2000000LL
#define ALL_TABLES_US		10000000LL

static void add_unread(struct mountview *v, pid_t pid, ino_t inode, const char *why)
{
	if (v->unread_count < MOUNTVIEW_UNREAD_MAX)
		v->unread[v->unread_count] = (struct mountview_unread){ pid, inode, why };
	v->unread_count++;
}

static int add_table(struct mountview *v, const struct mountview_table *table)
{
	struct mountview_table *more = v->table;

	if (!(v->n & (v->n - 1)))
		more = array_resize(more, v->n ? 2 * v->n : 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	v->table = more;
	v->table[v->n++] = *table;
	return 0;
}

static int add_own(struct mountview *v)
{
	struct mountview_table table = { .ns = -1, .trusted = true, .needs_read = true };
	struct stat st;
	int err;

	table.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (table.fd < 0)
		return -errno;
	table.inode = stat("/proc/self/ns/mnt", &st) ? 0 : st.st_ino;
	err = add_table(v, &table);
	if (err)
		close(table.fd);
	else
		err = namespaces_add(&v->known, table.inode);
	return err;
}

/* The callback for each namespace found: closes @ns, or keeps it in the view. */
static int add_other(void *arg, pid_t pid, ino_t inode, int ns)
{
	struct mountview *v = arg;
	const struct mountview_table table = {
		.fd = -1, .ns = ns, .inode = inode, .pid = pid, .needs_read = true,
		.trusted = ns >= 0 && namespaces_is_trusted(ns),
	};
	int err;

	if (ns < 0) {
		add_unread(v, pid, inode, ns == -EACCES ?
			"it and perhaps others cannot be read (CAP_SYS_PTRACE is needed)" :
			"there are too many mount namespaces");
		return 0;
	}
	err = add_table(v, &table);
	if (err)
		close(ns);
	return err;
}

struct enter_arg {
	struct mountview *v;
	int proc;
};

/* Runs in a thread of nsthread_run(). */
static void *enter_namespaces(void *arg)
{
	const struct enter_arg *e = arg;

	for (size_t i = 1; i < e->v->n; i++) {
		struct mountview_table *table = &e->v->table[i];
		int err;

		if (table->fd >= 0 || table->ns < 0)
			continue;
		err = nsthread_enter(table->ns);
		table->fd = err ? err : nsthread_open_mountinfo(e->proc);
	}
	return NULL;
}

/* Without the right to enter the namespace: the table as one of its processes sees it. */
static void open_by_pid(struct mountview *v, struct mountview_table *table, int proc)
{
	char path[64];

	if (table->fd != -EPERM)
		return;
	add_unread(v, table->pid, table->inode, "it cannot be entered (CAP_SYS_CHROOT is needed)");
	snprintf(path, sizeof(path), "%d/mountinfo", table->pid);
	table->fd = table->pid > 0 ? openat(proc, path, O_RDONLY | O_CLOEXEC) : -1;
	if (table->fd < 0 && table->pid > 0 && errno == ENOMEM)
		table->fd = -ENOMEM;
}

static int open_others(struct mountview *v)
{
	struct enter_arg e = { .v = v };
	bool any = false;
	int err;

	for (size_t i = 1; i < v->n; i++)
		any |= v->table[i].ns >= 0 && v->table[i].fd < 0;
	if (!any)
		return 0;
	e.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e.proc < 0)
		return -errno;
	err = nsthread_run(enter_namespaces, &e);
	for (size_t i = 1; i < v->n && !err; i++) {
		struct mountview_table *table = &v->table[i];

		if (table->fd < 0 && table->ns >= 0)
			open_by_pid(v, table, e.proc);
		if (table->fd == -ENOMEM)
			err = -ENOMEM;
		if (table->fd >= 0 || table->ns < 0)
			continue;
		if (table->fd == -EMFILE || table->fd == -ENFILE)
			add_unread(v, table->pid, table->inode, "too many files are open");
		close(table->ns);
		table->ns = -1;
	}
	close(e.proc);
	return err;
}

/**
 * mountview_open() - open the mount tables of all mount namespaces
 * @v: filled in
 * @own_only: only our own namespace
 * Context: worker; starts a thread.
 * Return: 0 or a negative errno.
 */
int mountview_open(struct mountview *v, bool own_only)
{
	int err;

	*v = (struct mountview){ .own_only = own_only };
	err = add_own(v);
	if (!err && !own_only)
		err = namespaces_find(&v->known, add_other, v);
	if (!err)
		err = open_others(v);
	if (err)
		mountview_close(v);
	return err;
}

static int read_own(struct mountview *v, struct mounts *m)
{
	int err, fd = fcntl(v->table[0].fd, F_DUPFD_CLOEXEC, 0);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	rewind(f);
	err = mounts_add_table(m, f, "/proc/self/mountinfo");
	fclose(f);
	v->table[0].needs_read = false;
	return err;
}

/* Adds the namespaces that a bind mount in our own namespace pins, with or without a process. */
static int add_pinned(struct mountview *v, const struct mounts *m)
{
	int err = 0;

	for (size_t i = 0; i < m->n && !v->own_only; i++)
		for (size_t j = 0; j < m->fs[i].mounts && !err; j++) {
			const struct mounts_mount *mount = &m->fs[i].mount[j];

			if (!mount->pinned_ns || mount->pid ||
			    namespaces_is_known(&v->known, mount->pinned_ns))
				continue;
			err = namespaces_add(&v->known, mount->pinned_ns);
			if (err)
				break;
			if (mount->deleted || mount->remote || mount->covered)
				add_unread(v, -1, mount->pinned_ns, "its bind mount is covered");
			else
				err = namespaces_add_path(mount->path, mount->pinned_ns, add_other,
							  v);
		}
	return err ? err : open_others(v);
}

static int read_other(struct mountview *v, struct mountview_table *table, struct mounts *m,
		      int64_t deadline)
{
	struct mounts_other other = { .pid = table->pid, .ns = table->ns };
	size_t seq = m->next_seq;
	int err;

	if (!table->trusted) {
		int64_t limit = clock_now_us() + ONE_TABLE_US;

		other.lines_max = OTHER_LINES_MAX;
		other.deadline_us = limit < deadline ? limit : deadline;
	}
	table->needs_read = false;
	err = lseek(table->fd, 0, SEEK_SET) < 0 ? -errno : mounts_add_other(m, table->fd, &other);
	/* Without new mounts in it nothing will be opened in this namespace. */
	if (m->next_seq == seq && table->ns >= 0) {
		close(table->ns);
		table->ns = -1;
	}
	if (err && err != -ENOMEM) {
		add_unread(v, table->pid, table->inode,
			   err == -E2BIG ? "it has too many mounts" :
			   err == -ETIME ? "reading its mounts takes too long" :
			   "its mounts cannot be read");
		err = 0;
	}
	return err;
}

/* Tables that an unprivileged user may have filled come last: they must not use up the time. */
static int read_others(struct mountview *v, struct mounts *m, int64_t budget_us)
{
	int64_t deadline = clock_now_us() + budget_us;
	int err = 0;

	for (int trusted = 1; trusted >= 0; trusted--)
		for (size_t i = 1; i < v->n && !err; i++) {
			struct mountview_table *table = &v->table[i];

			if (table->fd >= 0 && table->needs_read && table->trusted == trusted)
				err = read_other(v, table, m, deadline);
		}
	return err;
}

/**
 * mountview_read() - read all tables for the first time
 * @v: an open view
 * @m: where to add the mounts
 * Return: 0 or a negative errno. A table of another namespace that can't be read to its end is not
 *	an error: it is added to ->unread.
 */
int mountview_read(struct mountview *v, struct mounts *m)
{
	return mountview_update(v, m, ALL_TABLES_US);
}

/**
 * mountview_poll() - find tables that have changed, and new namespaces
 * @v: the view
 *
 * One pass: the next call finds namespaces that are created meanwhile.
 * Context: worker; allocates only if there is a new namespace.
 * Return: 1 if a table has to be read, 0 if none has, or a negative errno.
 */
int mountview_poll(struct mountview *v)
{
	size_t n = v->n;
	int err = 0;

	for (size_t i = 0; i < v->n; i++) {
		struct pollfd p = { .fd = v->table[i].fd, .events = POLLPRI };
		int events = p.fd < 0 ? 0 : poll(&p, 1, 0);

		if (events < 0 && errno != EINTR)
			return -errno;
		v->table[i].needs_read |= events && (p.revents & POLLPRI);
	}
	if (!v->own_only)
		err = namespaces_find(&v->known, add_other, v);
	if (!err && v->n > n)
		err = open_others(v);
	if (err)
		return err;
	for (size_t i = 0; i < v->n; i++)
		if (v->table[i].needs_read && v->table[i].fd >= 0)
			return 1;
	return 0;
}

/**
 * mountview_update() - read our own table, and all others that are new or have changed
 * @v: the view
 * @m: where to add the mounts
 * @budget_us: time limit for the tables of other namespaces
 * Return: as mountview_read().
 */
int mountview_update(struct mountview *v, struct mounts *m, int64_t budget_us)
{
	int err;

	err = read_own(v, m);
	if (!err)
		err = add_pinned(v, m);
	return err ? err : read_others(v, m, budget_us);
}

/**
 * mountview_unread_name() - format the name of a namespace whose table was not read to its end
 * @unread: of a view
 * @name: set
 */
void mountview_unread_name(const struct mountview_unread *unread, char name[MOUNTVIEW_NAME])
{
	if (unread->pid > 0)
		snprintf(name, MOUNTVIEW_NAME, "the mount namespace of process %d", unread->pid);
	else
		snprintf(name, MOUNTVIEW_NAME, "the mount namespace mnt:[%lu]",
			 (unsigned long)unread->inode);
}

/**
 * mountview_close_namespaces() - close the descriptors of the namespaces; the tables stay open
 * @v: the view, when all file systems that it shows have been opened
 */
void mountview_close_namespaces(struct mountview *v)
{
	for (size_t i = 0; i < v->n; i++) {
		if (v->table[i].ns >= 0)
			close(v->table[i].ns);
		v->table[i].ns = -1;
	}
}

/**
 * mountview_close() - close the tables
 * @v: may be all zero; is so afterwards
 */
void mountview_close(struct mountview *v)
{
	mountview_close_namespaces(v);
	for (size_t i = 0; i < v->n; i++)
		if (v->table[i].fd >= 0)
			close(v->table[i].fd);
	free(v->table);
	namespaces_free(&v->known);
	*v = (struct mountview){ 0 };
}
