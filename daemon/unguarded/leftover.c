// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memfs.h"
#include "leftover.h"
#include "rescue.h"

#define RECORD		128	/* bytes; the first one is the mark, the last one a newline */
/* The first record is the header. It begins with the pid of the daemon that wrote the notes. */
#define OWNER		64	/* offset of the pid of the process that holds the lock */
#define OWNER_SIZE	24
#define UNTIL		112	/* offset of the hold deadline */
#define LOCK_WAIT_MS	3000	/* for the guardian of a dead daemon to thaw and exit */

/* A killed process may have a thread that hangs in FIFREEZE, which may still succeed. */
static bool may_freeze(const struct procstate *p)
{
	return procstate_threads(p) > 1 || procstate_alive(p);
}

static bool pid_may_freeze(pid_t pid)
{
	struct procstate p;
	bool may;

	procstate_open(&p, pid);
	may = may_freeze(&p);
	procstate_close(&p);
	return may;
}

static pid_t noted_pid(int fd)
{
	char record[RECORD + 1] = "";
	int pid = 0;

	if (pread(fd, record, RECORD, 0) < 0 || sscanf(record, "# %d", &pid) != 1)
		return 0;
	return pid;
}

/*
 * The process that holds the lock. Each process writes its pid when it gets the lock, separately
 * from the notes: with the kernel's guard a daemon writes no notes, and those in the file may be
 * old.
 */
static pid_t lock_owner(int fd)
{
	char text[OWNER_SIZE + 1] = "";
	int pid = 0;

	if (pread(fd, text, OWNER_SIZE, OWNER) < 0 || sscanf(text, "lock %d ", &pid) != 1)
		return noted_pid(fd);	/* written by an old version */
	return pid;
}

static void format_owner(char *text)
{
	int len = snprintf(text, OWNER_SIZE, "lock %d", getpid());

	memset(text + len, ' ', OWNER_SIZE - len);
}

static void write_owner(int fd)
{
	char text[OWNER_SIZE];

	format_owner(text);
	if (pwrite(fd, text, sizeof(text), OWNER) != sizeof(text))
		log_msg(LOG_WARNING, "the notes of what is frozen cannot be written: %s",
			strerror(errno));
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
 * leftover_lock() - take the lock that makes this process the only daemon of the machine
 * @l: filled in
 * @dir: directory of the notes; created if it does not exist
 * Return: 0; -EBUSY if another daemon is alive (logged); another negative errno.
 */
int leftover_lock(struct leftover *l, const char *dir)
{
	char path[PATH_MAX];
	pid_t pid;

	*l = (struct leftover){ .dir = dir, .fd = -1, .link = -1 };
	if ((size_t)snprintf(path, sizeof(path), "%s/frozen", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0)
		return -errno;
	for (int waited = 0; flock(l->fd, LOCK_EX | LOCK_NB); waited += 50) {
		pid = lock_owner(l->fd);
		if (!pid || procstate_pid_alive(pid)) {
			log_msg(LOG_ERR, "another hv-vss-daemon is running (pid %d)", pid);
			close(l->fd);
			l->fd = -1;
			return -EBUSY;
		}
		if (waited >= LOCK_WAIT_MS) {
			log_msg(LOG_WARNING, "pid %d is dead, but hangs in the kernel", pid);
			break;
		}
		usleep(50 * 1000);
	}
	write_owner(l->fd);
	return 0;
}

/* The file system of a record, if it may be frozen according to its mark. */
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

/*
 * Clears the marks. The file keeps its size: a daemon that is only stopped has it mapped. Returns 1
 * if a mark has to remain, because the file system is not frozen, but a FIFREEZE still hangs.
 */
static int clear_marks(const struct leftover *l, const struct rescue *all, size_t n,
		       const char *notes)
{
	const char none = MARK_NONE;
	bool threads = l->daemon ? may_freeze(l->daemon) : pid_may_freeze(noted_pid(l->fd));
	int ret = 0;

	for (size_t i = 0; i < n; i++)
		if (threads && all[i].result == -EINVAL &&
		    notes[all[i].record * RECORD] == MARK_INTENT)
			ret = 1;
		else if (all[i].result && all[i].result != -EINVAL)
			continue;	/* still frozen, or that is not known */
		else if (pwrite(l->fd, &none, 1, all[i].record * RECORD) != 1)
			return -EIO;
	return ret;
}

/* @err: of the rescue as a whole. Returns it, or if it is 0 what clear_marks() returns. */
static int marks_after(const struct leftover *l, const struct rescue *all, size_t n,
		       const char *notes, int err)
{
	int ret = clear_marks(l, all, n, notes);

	return err ? err : ret;
}

/* In reverse order of freezing: the last one may have the file that the first one lies on. */
static size_t find_all(struct rescue *all, const char *notes, size_t records,
		       const struct mounts *m, const struct sysops *ops)
{
	size_t n = 0;

	for (size_t i = records; i-- > 1;) {
		const struct mounts_fs *fs = find_frozen(notes + i * RECORD, m);

		if (fs)
			all[n++] = (struct rescue){
				.ops = ops, .fs = fs, .fd = -1, .path = mounts_fs_path(fs),
				.record = i,
			};
	}
	return n;
}

static int rescue_from_notes(struct leftover *l, const char *notes, size_t records,
			     const struct mounts *m, const struct sysops *ops)
{
	struct pool *pool = pool_new();
	int err = -ENOMEM;
	size_t n;

	l->rescue = calloc(records + 1, sizeof(*l->rescue));
	if (l->rescue && pool) {
		n = find_all(l->rescue, notes, records, m, ops);
		err = n ? rescue_all(pool, l->rescue, n) : 0;
		if (err == -ETIMEDOUT)
			return err;
		/* Also after an error: what was thawed must not be thawed again later. */
		err = n ? marks_after(l, l->rescue, n, notes, err) : err;
	}
	pool_free(pool);
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

/* The mount point in a record: cut if it was too long, otherwise followed by spaces. */
static const char *record_path(char *record)
{
	char *path, *end = record + RECORD - 1;

	*end = '\0';
	path = record + strcspn(record, " ");
	for (int i = 0; i < 2 && *path; i++)
		path += 1 + strcspn(path + 1, " ");
	while (end > path + 1 && end[-1] == ' ')
		*--end = '\0';
	return *path ? path + 1 : path;
}

/* Do the notes belong to the descriptors that were prepared? */
static bool has_current_notes(const struct leftover *l)
{
	struct standby *s = l->standby;
	ssize_t size = (s->n + 1) * RECORD;
	unsigned int number;

	if (pread(l->fd, s->notes, size, 0) != size)
		return false;
	s->notes[RECORD - 1] = '\0';
	return sscanf(s->notes, "# %*d %u ", &number) == 1 && number == l->number;
}

/* Thaws with the descriptors and memory that were prepared: reads only the marks of the notes. */
static int thaw_prepared(struct leftover *l, const struct sysops *ops)
{
	struct standby *s = l->standby;
	size_t n = 0;
	int err;

	for (size_t i = s->n; i > 0; i--) {
		char *record = s->notes + i * RECORD;

		if (record[0] == MARK_INTENT || record[0] == MARK_FROZEN)
			s->rescue[n++] = (struct rescue){
				.ops = ops, .fd = s->fd[i - 1], .record = i,
				.path = record_path(record),
			};
	}
	err = n ? rescue_all(s->pool, s->rescue, n) : 0;
	if (err == -ETIMEDOUT) {
		l->standby = NULL;	/* the workers still use it */
		return err;
	}
	return n ? marks_after(l, s->rescue, n, s->notes, err) : err;
}

/**
 * leftover_prepare() - prepare a thaw that needs no path look-up, no memory and no new thread
 * @l: with ->fd
 * @fd: the file systems, in the order of the notes; closed by leftover_release()
 * @n: their number, at least 1
 * @number: of the notes
 * Return: 0 or a negative errno: then the caller still owns @fd.
 */
int leftover_prepare(struct leftover *l, int *fd, size_t n, uint32_t number)
{
	leftover_release(l);
	l->number = number;
	l->standby = standby_new(fd, n, (n + 1) * RECORD);
	return l->standby ? 0 : -errno;
}

/**
 * leftover_release() - close the descriptors, and free what leftover_prepare() has allocated
 * @l: does nothing if it was not prepared
 */
void leftover_release(struct leftover *l)
{
	standby_free(l->standby);
	l->standby = NULL;
}

/**
 * leftover_thaw() - thaw what a dead daemon has left frozen, according to the notes
 * @l: locked
 * @config: for the mount tables
 * @ops: system calls
 *
 * Thaws only what that daemon froze itself: a file system frozen by another process is not marked.
 * Context: before our first freeze. After -ETIMEDOUT a thread hangs in the kernel and uses its
 *	data.
 * Return: 0; 1 if a dead daemon still hangs in FIFREEZE: call this again later; or a negative
 *	errno. After an error with one file system the others are thawed too.
 */
int leftover_thaw(struct leftover *l, const struct build_config *config, const struct sysops *ops)
{
	struct mountview view = { 0 };
	struct mounts m = { 0 };
	size_t records = 0;
	char *notes = NULL;
	int err;

	if (l->standby && has_current_notes(l))
		return thaw_prepared(l, ops);
	err = read_notes(l, &notes, &records);
	if (!err && records > 1)
		err = mountview_open(&view, config->own_namespace_only);
	if (!err && records > 1)
		err = mountview_read(&view, &m);
	if (!err && records > 1)
		err = rescue_from_notes(l, notes, records, &m, ops);
	if (err != -ETIMEDOUT) {
		mountview_close(&view);
		mounts_free(&m);
	}
	free(notes);
	return err;
}

/**
 * leftover_owner() - the daemon that wrote the notes
 * @l: with ->fd
 * Return: its pid; 0 if there are no notes.
 */
pid_t leftover_owner(const struct leftover *l)
{
	return noted_pid(l->fd);
}

/**
 * leftover_deadline() - the hold deadline in the notes
 * @l: with ->fd
 * Return: 0 if nothing is frozen, LEFTOVER_FREEZING, or a time of the monotonic clock in us.
 */
int64_t leftover_deadline(const struct leftover *l)
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
 * leftover_write_notes() - write notes for the file systems that will be frozen
 * @l: locked
 * @set: the file systems; their ->mark is set
 *
 * Does nothing with a guard: after the daemon's death the kernel thaws, and notes could only cause
 * the thaw of another process's freeze.
 * Context: worker, before anything is frozen; no earlier set may have a job in flight.
 * Return: 0 or a negative errno, -EXDEV if the file is not in memory: then no ->mark is set.
 */
int leftover_write_notes(struct leftover *l, struct fsset *set)
{
	int err;

	if (set->guard || l->fd < 0)
		return 0;
	if (!memfs_contains(l->fd))
		return -EXDEV;
	err = map_notes(l, set->n + 1);
	if (err)
		return err;
	format_record(l->map, "# %d %u", getpid(), ++l->number);
	format_owner(l->map + OWNER);
	set->until = (atomic_llong *)(l->map + UNTIL);
	atomic_store(set->until, LEFTOVER_FREEZING);
	for (size_t i = 0; i < set->n; i++) {
		struct target *t = &set->target[i];
		char *record = l->map + (i + 1) * RECORD;

		format_record(record, "%c %u:%u %s %s", MARK_NONE, major(t->dev), minor(t->dev),
			      t->type, t->path);
		t->mark = (atomic_char *)record;
	}
	return 0;
}
