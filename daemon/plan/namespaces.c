// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel has no list of mount namespaces. Most have a process in them, some have only a thread
 * of a process (unshare() in a program with threads), and some are only pinned by a bind mount.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "namespaces.h"

#ifndef NS_GET_USERNS
#define NS_GET_USERNS	_IO(0xb7, 0x1)	/* Linux 4.9 */
#endif

#define HIDDEN_INODE	0	/* stands for those that can't be read; no namespace has it */
#define TASK_LINKS	3	/* st_nlink of /proc/PID/task if there is one thread: 2 + 1 */
#define SPARE_FILES	256	/* descriptors kept free for everything but namespaces */

/* The index at which the inode is, or has to be inserted. */
static size_t index_of(const struct namespaces *known, ino_t inode)
{
	size_t low = 0, high = known->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (known->inode[mid] < inode)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/**
 * namespaces_is_known() - is a namespace known?
 * @known: the namespaces that are known
 * @inode: its inode number
 * Return: true if so.
 */
bool namespaces_is_known(const struct namespaces *known, ino_t inode)
{
	size_t index = index_of(known, inode);

	return index < known->n && known->inode[index] == inode;
}

/**
 * namespaces_add() - add a namespace
 * @known: the namespaces that are known
 * @inode: inode number of one that is not known
 * Return: 0 or -ENOMEM.
 */
int namespaces_add(struct namespaces *known, ino_t inode)
{
	size_t index = index_of(known, inode);

	if (known->n == known->room) {
		size_t room = known->room ? 2 * known->room : 64;
		ino_t *more = array_resize(known->inode, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		known->inode = more;
		known->room = room;
	}
	memmove(known->inode + index + 1, known->inode + index,
		(known->n - index) * sizeof(*known->inode));
	known->inode[index] = inode;
	known->n++;
	return 0;
}

/**
 * namespaces_free() - free the list
 * @known: may be all zero; is all zero afterwards
 */
void namespaces_free(struct namespaces *known)
{
	free(known->inode);
	*known = (struct namespaces){ 0 };
}

/*
 * How many namespaces may be open? Each needs a descriptor, and another one for its table; and two
 * plans may be made at the same time. 0: as many as there are.
 */
static size_t most_open(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return 0;
	if (limit.rlim_cur <= 4 * SPARE_FILES)
		return limit.rlim_cur / 8 + 1;
	return limit.rlim_cur / 4 - SPARE_FILES / 2;
}

struct search {
	struct namespaces *known;
	namespaces_callback found;
	void *arg;
	int proc;
	size_t most;		/* from most_open() */
};

/*
 * Any user can make namespaces, thousands of them. They get at most half of the places, so that
 * they can't push those of containers out, whatever the order of their processes.
 */
static int open_namespace(const struct search *s, const char *path)
{
	struct namespaces *known = s->known;
	int ns = -1;

	if (!s->most || known->opened < s->most)
		ns = openat(s->proc, path, O_RDONLY | O_CLOEXEC);
	else
		errno = EMFILE;
	if (ns < 0)
		return -errno;
	if (!namespaces_is_trusted(ns)) {
		if (s->most && known->untrusted >= s->most / 2) {
			close(ns);
			return -EMFILE;
		}
		known->untrusted++;
	}
	known->opened++;
	return ns;
}

/*
 * A process whose namespace can't be read (a security module forbids it, or a capability is
 * missing) may be the only one in it. Only the first such process is reported: without the inode
 * number it is not known whether others are in the same namespace.
 */
static int cannot_read(const struct search *s, pid_t pid, int error)
{
	int err;

	if (error == ENOMEM)
		return -ENOMEM;
	if (error != EACCES && error != EPERM)
		return 0;	/* gone, or a zombie */
	if (namespaces_is_known(s->known, HIDDEN_INODE))
		return 0;
	err = namespaces_add(s->known, HIDDEN_INODE);
	return err ? err : s->found(s->arg, pid, HIDDEN_INODE, -EACCES);
}

/* @task: its directory, relative to /proc. */
static int check_task(const struct search *s, const char *task, pid_t pid)
{
	char path[80];
	struct stat st;
	int ns, err;

	snprintf(path, sizeof(path), "%s/ns/mnt", task);
	if (fstatat(s->proc, path, &st, 0))
		return cannot_read(s, pid, errno);
	if (namespaces_is_known(s->known, st.st_ino))
		return 0;
	ns = open_namespace(s, path);
	if (ns < 0 && ns != -EMFILE && ns != -ENFILE)
		return cannot_read(s, pid, -ns);
	if (ns >= 0 && fstat(ns, &st)) {
		close(ns);
		return 0;
	}
	err = namespaces_is_known(s->known, st.st_ino) ? -EEXIST :
	      namespaces_add(s->known, st.st_ino);
	if (!err)
		return s->found(s->arg, pid, st.st_ino, ns < 0 ? -EMFILE : ns);
	if (ns >= 0)
		close(ns);
	return err == -EEXIST ? 0 : err;
}

static bool is_number(const struct dirent *d)
{
	return d->d_name[0] >= '1' && d->d_name[0] <= '9';
}

static int check_threads(const struct search *s, const char *pid)
{
	char path[64];
	struct dirent *d;
	int fd, err = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "%.20s/task", pid);
	fd = openat(s->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	tasks = fd < 0 ? NULL : fdopendir(fd);
	if (!tasks) {
		err = errno == ENOMEM ? -ENOMEM : 0;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (d = readdir(tasks))) {
		if (!is_number(d))
			continue;
		snprintf(path, sizeof(path), "%.20s/task/%.20s", pid, d->d_name);
		err = check_task(s, path, atoi(d->d_name));
	}
	closedir(tasks);
	return err;
}

static int check_process(const struct search *s, const char *pid)
{
	char path[64];
	struct stat st;
	int err;

	snprintf(path, sizeof(path), "%.20s", pid);
	err = check_task(s, path, atoi(pid));
	if (err)
		return err;
	snprintf(path, sizeof(path), "%.20s/task", pid);
	if (fstatat(s->proc, path, &st, 0) || st.st_nlink == TASK_LINKS)
		return 0;
	return check_threads(s, pid);
}

/**
 * namespaces_find() - find the namespaces that a process or a thread is in
 * @known: the namespaces that are known; the new ones are added
 * @found: called with each new one; a return value other than 0 ends the search
 * @arg: for @found
 * Return: 0, what @found returned, or a negative errno.
 */
int namespaces_find(struct namespaces *known, namespaces_callback found, void *arg)
{
	struct search s = { .known = known, .found = found, .arg = arg, .most = most_open() };
	DIR *proc = opendir("/proc");
	struct dirent *d;
	int err = 0;

	if (!proc)
		return -errno;
	s.proc = dirfd(proc);
	while (!err && (d = readdir(proc)))
		if (is_number(d))
			err = check_process(&s, d->d_name);
	closedir(proc);
	return err;
}

/**
 * namespaces_add_path() - open a namespace that a bind mount pins
 * @path: of the mount
 * @inode: of the namespace, known already
 * @found: called with it, unless another file is mounted there by now
 * @arg: for @found
 * Return: 0, what @found returned, or -ENOMEM.
 */
int namespaces_add_path(const char *path, ino_t inode, namespaces_callback found, void *arg)
{
	int ns = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;

	if (ns < 0 && errno == ENOMEM)
		return -ENOMEM;
	if (ns < 0 && errno != EMFILE && errno != ENFILE)
		return 0;
	if (ns >= 0 && (fstat(ns, &st) || st.st_ino != inode)) {
		close(ns);
		return 0;
	}
	return found(arg, -1, inode, ns < 0 ? -EMFILE : ns);
}

/**
 * namespaces_is_trusted() - did creating this namespace need the rights of root?
 * @ns: descriptor of the namespace
 * Return: true if its owner is our user namespace; false also if the kernel does not tell.
 */
bool namespaces_is_trusted(int ns)
{
	struct stat owner, ours;
	int fd = ioctl(ns, NS_GET_USERNS);
	bool same;

	if (fd < 0)
		return false;
	same = !fstat(fd, &owner) && !stat("/proc/self/ns/user", &ours) &&
	       owner.st_ino == ours.st_ino && owner.st_dev == ours.st_dev;
	close(fd);
	return same;
}
