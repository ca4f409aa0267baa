// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/embed.h"
#include "base/log.h"
#include "rescue.h"
#include "targets/openfs.h"

#define THAW_MS		1000	/* for one thaw, before the next one is started as well */
#define RESCUERS	8U	/* threads: so many thaws may hang before another one is created */

static void run_rescue(struct job *job)
{
	struct rescue *r = container_of(job, struct rescue, job);
	int fd = r->fd, err;

	if (fd < 0)
		fd = openfs_open(r->ops, r->fs);
	if (fd < 0) {
		log_msg(LOG_ERR, "%s: left frozen, and cannot be opened: %s", r->path,
			strerror(-fd));
		r->result = fd;
		return;
	}
	err = r->ops->thaw(fd);
	if (r->fd < 0)
		r->ops->close(fd);
	r->result = err;
	if (!err)
		log_msg(LOG_WARNING, "%s: had been left frozen; thawed", r->path);
	else if (err != -EINVAL)	/* not frozen any more */
		log_msg(LOG_ERR, "%s: left frozen, and cannot be thawed: %s", r->path,
			strerror(-err));
}

static size_t count_done(struct pool *pool)
{
	size_t n = 0;

	while (pool_next_done(pool))
		n++;
	return n;
}

/**
 * rescue_all() - thaw file systems, each in a worker, as a thaw may hang
 * @pool: without other jobs
 * @all: the file systems, in the order of thawing; each with ->ops
 * @n: their number, at least 1
 * Return: 0 or the negative errno of one of them, ->result has each; -ETIMEDOUT if some have not
 *	returned: then the workers use @pool and @all forever.
 */
int rescue_all(struct pool *pool, struct rescue *all, size_t n)
{
	const struct sysops *ops = all[0].ops;
	size_t done = 0;
	int err = 0;

	for (size_t i = 0; i < n; i++) {
		all[i].job.run = run_rescue;
		pool_reserve(pool, 1);
		pool_submit(pool, &all[i].job);
		/* One after the other, but don't wait forever. */
		ops->poll_in(pool_fd(pool), THAW_MS);
		done += count_done(pool);
	}
	if (done < n)
		ops->poll_in(pool_fd(pool), THAW_MS);
	done += count_done(pool);
	if (done < n) {
		log_msg(LOG_CRIT, "%zu thaws have not returned", n - done);
		return -ETIMEDOUT;
	}
	for (size_t i = 0; i < n; i++)
		if (all[i].result && all[i].result != -EINVAL)
			err = all[i].result;
	return err;
}

/**
 * standby_new() - allocate what a thaw needs
 * @fd: the file systems that may have to be thawed; closed by standby_free()
 * @n: their number
 * @notes: size of the notes, in bytes
 * Return: the object; NULL with errno set after an error: then the caller still owns @fd.
 */
struct standby *standby_new(int *fd, size_t n, size_t notes)
{
	struct standby *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->pool = pool_new();
	s->rescue = calloc(n, sizeof(*s->rescue));
	s->notes = malloc(notes);
	if (!s->pool || !s->rescue || !s->notes ||
	    pool_reserve(s->pool, n < RESCUERS ? n : RESCUERS)) {
		standby_free(s);
		errno = ENOMEM;
		return NULL;
	}
	s->fd = fd;
	s->n = n;
	return s;
}

/**
 * standby_free() - close the file systems, and free the object
 * @s: may be NULL; no thaw hangs
 */
void standby_free(struct standby *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		close(s->fd[i]);
	free(s->fd);
	pool_free(s->pool);
	free(s->rescue);
	free(s->notes);
	free(s);
}
