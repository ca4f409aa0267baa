// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "leftover.h"
#include "log.h"

#define RECORD		128	/* bytes; the first one is the mark, the last one a newline */
#define UNTIL		112	/* where the header, the first record, has the hold deadline */
#define LOCK_WAIT_MS	3000	/* for the guardian of a dead daemon to do its work */
#define PATIENCE_MS	1000	/* for one thaw, before the next one runs beside it */

/*
 * A daemon with a thread that hangs in the kernel keeps its lock when it is killed; its main
 * thread is a zombie then.
 */
static bool is_alive(pid_t pid)
{
	char path[64], line[256], *state;
	bool alive = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fgets(line, sizeof(line), f)) {
		state = strrchr(line, ')');
		alive = state && state[1] && !strchr("ZXx", state[2]);
	}
	fclose(f);
	return alive;
}

/* Killed, but a thread of it is still in the kernel: a FIFREEZE there may yet succeed. */
static bool has_threads(pid_t pid)
{
	struct dirent *d;
	char path[64];
	int threads = 0;
	DIR *list;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	list = opendir(path);
	while (list && (d = readdir(list)))
		threads += d->d_name[0] != '.';
	if (list)
		closedir(list);
	return threads > 1 || is_alive(pid);
}

static pid_t noted_pid(int fd)
{
	char record[RECORD + 1] = "";
	int pid = 0;

	if (pread(fd, record, RECORD, 0) < 0 || sscanf(record, "# %d", &pid) != 1)
		return 0;
	return pid;
}

static void format_record(char *record, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void format_record(char *record, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(record, RECORD, fmt, ap);
	va_end(ap);
	if (len < 0)
		len = 0;
	if (len > RECORD - 1)
		len = RECORD - 1;
	for (int i = 0; i < len; i++)
		if (iscntrl((unsigned char)record[i]))
			record[i] = '?';
	memset(record + len, ' ', RECORD - 1 - len);
	record[RECORD - 1] = '\n';
}

/**
 * leftover_lock() - become the one daemon of this machine
 * @l: filled in
 * @dir: where to keep the notes; made if need be
 * Return: 0; -EBUSY if another one is alive (logged); another negative errno.
 */
int leftover_lock(struct leftover *l, const char *dir)
{
	char path[PATH_MAX];
	pid_t pid;

	*l = (struct leftover){ .dir = dir, .fd = -1 };
	if ((size_t)snprintf(path, sizeof(path), "%s/frozen", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0)
		return -errno;
	for (int waited = 0; flock(l->fd, LOCK_EX | LOCK_NB); waited += 50) {
		pid = noted_pid(l->fd);
		if (!pid || is_alive(pid)) {
			log_msg(LOG_ERR, "another hv-vss-daemon is running (pid %d)", pid);
			close(l->fd);
			l->fd = -1;
			return -EBUSY;
		}
		if (waited >= LOCK_WAIT_MS) {
			log_msg(LOG_WARNING, "pid %d is dead, but hangs in the kernel", pid);
			return 0;
		}
		usleep(50 * 1000);
	}
	return 0;
}

/* Thaws run in workers: one that hangs must not keep the others frozen. */
struct rescue {
	struct job job;
	const struct sysops *ops;
	const struct mounts_fs *fs;
	size_t record;
	int result;
};

static void run_rescue(struct job *job)
{
	struct rescue *r = (struct rescue *)((char *)job - offsetof(struct rescue, job));
	const char *path = mounts_fs_path(r->fs);
	int fd = fsset_open_mount(r->ops, r->fs), err;

	if (fd < 0) {
		log_msg(LOG_ERR, "%s: left frozen, and cannot be opened: %s", path, strerror(-fd));
		r->result = fd;
		return;
	}
	err = r->ops->thaw(fd);
	r->ops->close(fd);
	r->result = err;
	if (!err)
		log_msg(LOG_WARNING, "%s: had been left frozen; thawed", path);
	else if (err != -EINVAL)	/* not frozen any more */
		log_msg(LOG_ERR, "%s: left frozen, and cannot be thawed: %s", path,
			strerror(-err));
}

/* The file system of a record if that says that it may be frozen. */
static const struct mounts_fs *find_frozen(const char *record, const struct mounts *m)
{
	const struct mounts_fs *fs;
	unsigned int maj, min;
	char type[32];

	if ((record[0] != MARK_INTENT && record[0] != MARK_FROZEN) ||
	    sscanf(record + 1, " %u:%u %31s", &maj, &min, type) != 3)
		return NULL;
	fs = mounts_find(m, makedev(maj, min));
	if (fs && !strcmp(fs->type, type))
		return fs;
	log_msg(LOG_WARNING, "%u:%u (%s) may have been left frozen, and is not mounted", maj, min,
		type);
	return NULL;
}

static int rescue_all(struct rescue *all, size_t n, const struct sysops *ops)
{
	struct pool *pool = pool_new();
	size_t back = 0;
	int err = 0;

	if (!pool)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		all[i].ops = ops;
		all[i].job.run = run_rescue;
		err = pool_reserve(pool, 1);
		pool_submit(pool, &all[i].job);
		/* One after the other, like any thaw; but not for ever. */
		ops->poll_in(pool_fd(pool), PATIENCE_MS);
		while (pool_next_done(pool))
			back++;
	}
	if (back < n)
		ops->poll_in(pool_fd(pool), PATIENCE_MS);
	while (pool_next_done(pool))
		back++;
	if (back < n) {
		log_msg(LOG_CRIT, "%zu thaws have not come back", n - back);
		return -ETIMEDOUT;	/* the pool and all[] belong to the workers for good */
	}
	for (size_t i = 0; i < n; i++)
		if (all[i].result && all[i].result != -EINVAL)
			err = all[i].result;
	pool_free(pool);
	return err;
}

/*
 * The file keeps its size: a daemon that is only stopped has it mapped. Returns 1 if one has to
 * stay marked, because it was not frozen but may become so.
 */
static int unmark(const struct leftover *l, const struct rescue *all, size_t n, const char *notes)
{
	const char none = MARK_NONE;
	bool threads = has_threads(noted_pid(l->fd));
	int ret = 0;

	for (size_t i = 0; i < n; i++)
		if (threads && all[i].result == -EINVAL &&
		    notes[all[i].record * RECORD] == MARK_INTENT)
			ret = 1;
		else if (pwrite(l->fd, &none, 1, all[i].record * RECORD) != 1)
			return -EIO;
	return ret;
}

/* In reverse order: the last one frozen may hold what the first one lies on. */
static int rescue_noted(struct leftover *l, const char *notes, size_t records,
			const struct mounts *m, const struct sysops *ops)
{
	size_t n = 0;
	int err;

	l->rescue = calloc(records + 1, sizeof(*l->rescue));
	if (!l->rescue)
		return -ENOMEM;
	for (size_t i = records; i-- > 1;) {
		l->rescue[n].record = i;
		l->rescue[n].fs = find_frozen(notes + i * RECORD, m);
		n += !!l->rescue[n].fs;
	}
	err = rescue_all(l->rescue, n, ops);
	if (err == -ETIMEDOUT)
		return err;
	if (!err)
		err = unmark(l, l->rescue, n, notes);
	free(l->rescue);
	l->rescue = NULL;
	return err;
}

static int read_notes(const struct leftover *l, char **notes, size_t *records)
{
	struct stat st;

	if (fstat(l->fd, &st))
		return -errno;
	*records = st.st_size / RECORD;
	*notes = calloc(*records + 1, RECORD);
	if (!*notes)
		return -ENOMEM;
	if (pread(l->fd, *notes, *records * RECORD, 0) == (ssize_t)(*records * RECORD))
		return 0;
	free(*notes);
	*notes = NULL;
	return -EIO;
}

/**
 * leftover_thaw() - thaw what the notes say that a dead daemon had frozen
 * @l: locked
 * @config: for the mount tables
 * @ops: system calls
 *
 * Only what that daemon froze itself: one that is frozen by somebody else is not in the notes.
 * Context: before our first freeze. On -ETIMEDOUT a thread hangs in the kernel and keeps its data.
 * Return: 0; 1 if a dead daemon still hangs in a FIFREEZE, for which this must be called again;
 *	or a negative errno; after an error with one file system the others are thawed too.
 */
int leftover_thaw(struct leftover *l, const struct fsset_config *config, const struct sysops *ops)
{
	struct mountview view = { 0 };
	struct mounts m = { 0 };
	size_t records = 0;
	char *notes = NULL;
	int err;

	err = read_notes(l, &notes, &records);
	if (!err && records > 1)
		err = mountview_open(&view, config->own_namespace_only);
	if (!err && records > 1)
		err = mountview_read(&view, &m);
	if (!err && records > 1)
		err = rescue_noted(l, notes, records, &m, ops);
	mountview_close(&view);
	if (err != -ETIMEDOUT)
		mounts_free(&m);
	free(notes);
	return err;
}

/**
 * leftover_owner() - whose notes they are
 * @l: with ->fd
 * Return: the pid of the daemon that made them; 0 if there are none.
 */
pid_t leftover_owner(const struct leftover *l)
{
	return noted_pid(l->fd);
}

/**
 * leftover_owner_lives() - is a daemon alive?
 * @pid: the daemon
 * Return: false also if only threads of it are left that hang in the kernel.
 */
bool leftover_owner_lives(pid_t pid)
{
	return is_alive(pid);
}

/**
 * leftover_until() - the hold deadline that is noted
 * @l: with ->fd
 * Return: 0 if nothing is frozen, LEFTOVER_SOON, or a time of the monotonic clock in us.
 */
int64_t leftover_until(const struct leftover *l)
{
	int64_t until;

	if (pread(l->fd, &until, sizeof(until), UNTIL) != sizeof(until))
		return 0;
	return until;
}

static int map_notes(struct leftover *l, size_t records)
{
	if (l->map)
		munmap(l->map, l->size);
	l->map = NULL;
	l->size = records * RECORD;
	if (ftruncate(l->fd, 0) || posix_fallocate(l->fd, 0, l->size))
		return -ENOSPC;
	l->map = mmap(NULL, l->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, l->fd, 0);
	if (l->map == MAP_FAILED) {
		l->map = NULL;
		return -errno;
	}
	return 0;
}

/**
 * leftover_note() - prepare notes for what is about to be frozen
 * @l: locked
 * @set: the file systems; their ->mark is set
 *
 * Not with a guard: after the daemon's death the kernel thaws, and then a note could only lead to
 * the thaw of somebody else's freeze.
 * Context: worker, before anything is frozen; no earlier set may have a job in flight.
 * Return: 0 or a negative errno; then no ->mark is set.
 */
int leftover_note(struct leftover *l, struct fsset *set)
{
	struct stat st;
	int err;

	if (set->guard || l->fd < 0)
		return 0;
	if (fstat(l->fd, &st))
		return -errno;
	for (size_t i = 0; i < set->n; i++)
		if (set->target[i].dev == st.st_dev)
			return -EXDEV;	/* the notes would be frozen too */
	err = map_notes(l, set->n + 1);
	if (err)
		return err;
	format_record(l->map, "# %d", getpid());
	set->until = (atomic_llong *)(l->map + UNTIL);
	atomic_store(set->until, LEFTOVER_SOON);
	for (size_t i = 0; i < set->n; i++) {
		struct target *t = &set->target[i];
		char *record = l->map + (i + 1) * RECORD;

		format_record(record, "%c %u:%u %s %s", MARK_NONE, major(t->dev), minor(t->dev),
			      t->type, t->path);
		t->mark = (atomic_char *)record;
	}
	if (l->guardian > 0)
		kill(l->guardian, SIGUSR2);
	return 0;
}
