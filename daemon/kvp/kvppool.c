// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kvppool.h"

#define RETRY_MS	20	/* between attempts to get the lock */

struct poolfile {
	const struct kvppool *pool;
	int fd;
	size_t n;		/* records */
	bool torn;		/* there is a part of a record behind them */
};

static bool is_cancelled(const struct kvppool *pool)
{
	return pool->cancelled && pool->cancelled(pool->ctx);
}

static off_t offset_of(size_t i)
{
	return (off_t)i * KVPPOOL_RECORD_SIZE;
}

/* Opening */

/*
 * hv_kvp_daemon takes an fcntl() lock, cloud-init a flock(). Neither is kept while we wait for the
 * other, and the host's questions wait for neither.
 */
static int try_lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int err;

	if (fcntl(fd, F_SETLK, &whole))
		return errno == EACCES ? -EAGAIN : -errno;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return 0;
	err = -errno;
	whole.l_type = F_UNLCK;
	fcntl(fd, F_SETLK, &whole);
	return err;
}

static int lock(const struct kvppool *pool, int fd)
{
	const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000L };
	int err;

	for (int waited = 0;; waited += RETRY_MS) {
		if (is_cancelled(pool))
			return -ECANCELED;
		err = try_lock(fd);
		if (err != -EAGAIN && err != -EINTR)
			return err;
		if (waited >= pool->wait_ms)
			return -EAGAIN;
		nanosleep(&pause, NULL);
	}
}

/* Another user could choose which file of root's has this name, or what is in it. */
static bool is_roots_alone(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_nlink == 1 && !(st->st_mode & 0022) &&
	       (!st->st_uid || st->st_uid == geteuid());
}

static int measure(struct poolfile *f)
{
	struct stat st;

	if (fstat(f->fd, &st))
		return -errno;
	if (!is_roots_alone(&st))
		return -EPERM;
	if (st.st_size > offset_of(KVPPOOL_RECORDS_MAX))
		return -EFBIG;
	f->n = st.st_size / KVPPOOL_RECORD_SIZE;
	f->torn = st.st_size % KVPPOOL_RECORD_SIZE;
	return 0;
}

/* Returns 0 with the file locked, and to be closed; or a negative errno. */
static int open_pool(struct poolfile *f, const struct kvppool *pool)
{
	int err;

	*f = (struct poolfile){ .pool = pool };
	f->fd = open(pool->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (f->fd < 0)
		return -errno;
	err = lock(pool, f->fd);
	if (!err)
		err = measure(f);
	if (err)
		close(f->fd);
	return err;
}

/* Reading and writing */

static int get(const struct poolfile *f, void *data, size_t size, off_t at)
{
	ssize_t got = pread(f->fd, data, size, at);

	return got == (ssize_t)size ? 0 : got < 0 ? -errno : -EIO;
}

static int put(const struct poolfile *f, const void *data, size_t size, off_t at)
{
	ssize_t done;

	if (is_cancelled(f->pool))
		return -ECANCELED;
	done = pwrite(f->fd, data, size, at);
	return done == (ssize_t)size ? 0 : done < 0 ? -errno : -ENOSPC;
}

static bool is_blank(const char key[KVPPOOL_KEY_SIZE])
{
	static const char zero[KVPPOOL_KEY_SIZE];

	return !memcmp(key, zero, sizeof(zero));
}

/*
 * Sets @i to the first record with this key, or to the first one with no key at all if @key is
 * NULL: an earlier crash has left it. Returns 0, -ENOENT, or another negative errno.
 */
static int find(const struct poolfile *f, const char *key, size_t *i)
{
	char found[KVPPOOL_KEY_SIZE];
	int err;

	for (*i = 0; *i < f->n; (*i)++) {
		err = get(f, found, sizeof(found), offset_of(*i));
		if (err)
			return err;
		if (key ? !memcmp(found, key, strlen(key) + 1) : is_blank(found))
			return 0;
	}
	return -ENOENT;
}

/* Updating */

/* In one sector: it is written as a whole or not at all, also if the machine crashes. */
static int put_text(const struct poolfile *f, size_t i, const char text[KVPPOOL_TEXT_SIZE])
{
	return put(f, text, KVPPOOL_TEXT_SIZE, offset_of(i) + KVPPOOL_KEY_SIZE);
}

/* The key comes last: until then the record has none. */
static int fill_record(const struct poolfile *f, size_t i, const struct kvppool_item *item)
{
	char key[KVPPOOL_KEY_SIZE] = "", value[KVPPOOL_VALUE_SIZE] = "";
	int err;

	memcpy(key, item->key, sizeof(item->key));
	memcpy(value, item->text, sizeof(item->text));
	err = put(f, value, sizeof(value), offset_of(i) + KVPPOOL_KEY_SIZE);
	return err ? err : put(f, key, sizeof(key), offset_of(i));
}

static int add_record(struct poolfile *f, const struct kvppool_item *item)
{
	size_t i;
	int err;

	err = find(f, NULL, &i);
	if (!err)
		return fill_record(f, i, item);
	if (err != -ENOENT)
		return err;
	if (f->torn)
		return -EPROTO;
	if (f->n >= KVPPOOL_RECORDS_MAX)
		return -EFBIG;
	if (is_cancelled(f->pool))
		return -ECANCELED;
	/* The size is right at any moment, and what is not written yet is zero. */
	if (ftruncate(f->fd, offset_of(f->n + 1)))
		return -errno;
	err = fill_record(f, f->n, item);
	if (!err)
		f->n++;
	else if (ftruncate(f->fd, offset_of(f->n)))
		return -errno;
	return err;
}

/* Returns 1 if the record has this text, 0 if not, -ENOENT if it is missing, or another errno. */
static int has_text(const struct poolfile *f, const struct kvppool_item *item, size_t *i)
{
	char text[KVPPOOL_TEXT_SIZE];
	int err = find(f, item->key, i);

	if (!err)
		err = get(f, text, sizeof(text), offset_of(*i) + KVPPOOL_KEY_SIZE);
	return err ? err : !memcmp(text, item->text, sizeof(text));
}

static int update_item(struct poolfile *f, const struct kvppool_item *item)
{
	size_t i;
	int has = has_text(f, item, &i);

	if (has == -ENOENT)
		return add_record(f, item);
	return has ? (has < 0 ? has : 0) : put_text(f, i, item->text);
}

/* The old result must not stand beside what belongs to the new one. */
static int withdraw_result(const struct poolfile *f, const struct kvppool_item *item, size_t n)
{
	static const char unknown[KVPPOOL_TEXT_SIZE] = KVPPOOL_UNKNOWN;
	size_t i, result;
	int err;

	err = find(f, item[0].key, &result);
	if (err)
		return err == -ENOENT ? 0 : err;
	for (size_t k = 1; k < n; k++)
		if (item[k].depends && has_text(f, &item[k], &i) != 1)
			return put_text(f, result, unknown);
	return 0;
}

/**
 * kvppool_update() - set records in the pool
 * @pool: the file
 * @item: the records; the first one is the result to which those marked as dependent belong
 * @n: their number
 *
 * A record that exists is changed in place, another one is appended. No other program's record is
 * changed or moved. Nothing is written if nothing differs. If it ends early, by an error or a
 * crash, then the first record has its old text beside old ones, or KVPPOOL_UNKNOWN, or its new
 * text beside new ones.
 * Context: may block on the file system.
 * Return: 0; -ENOENT if there is no pool; -EAGAIN if it stays locked; -ECANCELED; -ELOOP or -EPERM
 *	if it is not a file that only root can write to; -EPROTO if it ends with a part of a record:
 *	then nothing is appended; or another negative errno.
 */
int kvppool_update(const struct kvppool *pool, const struct kvppool_item *item, size_t n)
{
	struct poolfile f;
	int err, failed = 0;

	err = open_pool(&f, pool);
	if (err)
		return err;
	failed = withdraw_result(&f, item, n);
	for (size_t k = n; k > 0 && failed != -ECANCELED; k--) {
		/* The result only if all that belongs to it is there. */
		if (k == 1 && failed)
			break;
		err = update_item(&f, &item[k - 1]);
		if (err == -ECANCELED || !failed)
			failed = err;
	}
	close(f.fd);	/* ends the locks */
	return failed;
}

/* Removing */

static bool is_one_of(const char *found, const char * const *key, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (!memcmp(found, key[k], strlen(key[k]) + 1))
			return true;
	return false;
}

/* The record stays where it is until its copy is complete. */
static int copy_record(const struct poolfile *f, size_t to, const char *record)
{
	static const char zero[KVPPOOL_KEY_SIZE];
	int err;

	err = put(f, zero, sizeof(zero), offset_of(to));
	if (!err)
		err = put(f, record + KVPPOOL_KEY_SIZE, KVPPOOL_VALUE_SIZE,
			  offset_of(to) + KVPPOOL_KEY_SIZE);
	return err ? err : put(f, record, KVPPOOL_KEY_SIZE, offset_of(to));
}

/* Moves up what follows the records to be removed, and cuts off the end. */
static int compact(const struct poolfile *f, const char * const *key, size_t n)
{
	char record[KVPPOOL_RECORD_SIZE];
	size_t to = 0;
	int err;

	for (size_t from = 0; from < f->n; from++) {
		err = get(f, record, sizeof(record), offset_of(from));
		if (err)
			return err;
		if (is_blank(record) || is_one_of(record, key, n))
			continue;
		err = to < from ? copy_record(f, to, record) : 0;
		if (err)
			return err;
		to++;
	}
	return ftruncate(f->fd, offset_of(to)) ? -errno : 0;
}

/**
 * kvppool_remove() - remove records from the pool
 * @pool: the file
 * @key: their keys
 * @n: number of keys
 *
 * Records that follow move up, as when hv_kvp_daemon itself deletes one: the format knows no hole.
 * If it is interrupted, each record of another program is still there, one of them perhaps twice.
 * Context: may block on the file system.
 * Return: 0, also if there is no such record; or a negative errno as from kvppool_update().
 */
int kvppool_remove(const struct kvppool *pool, const char * const *key, size_t n)
{
	struct poolfile f;
	int err;

	err = open_pool(&f, pool);
	if (err)
		return err;
	err = -ENOENT;
	for (size_t k = 0, i; k < n && err == -ENOENT; k++)
		err = find(&f, key[k], &i);
	if (!err)
		err = f.torn ? -EPROTO : compact(&f, key, n);
	else if (err == -ENOENT)
		err = 0;
	close(f.fd);
	return err;
}

/**
 * kvppool_problem() - why the pool was not changed
 * @err: negative errno from one of the functions above
 * Return: a text.
 */
const char *kvppool_problem(int err)
{
	switch (err) {
	case -EAGAIN:
		return "another program keeps it locked";
	case -EFBIG:
		return "it is too large";
	case -ELOOP:
		return "it is a symbolic link";
	case -EPIPE:
		return "the process that writes there has died";
	case -EPERM:
		return "it is not a file that only root can write to";
	case -EPROTO:
		return "it ends with a part of a record";
	case -ETIMEDOUT:
		return "its file system does not answer";
	default:
		return strerror(-err);
	}
}
