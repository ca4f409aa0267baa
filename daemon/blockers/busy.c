// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "btrfsop.h"
#include "busy.h"

#define PAUSE_FIRST_MS	10
#define PAUSE_LAST_MS	200
#define UNKNOWN_FS		SIZE_MAX

/* Setup */

static int add_fs(struct busy *b, const struct target *t)
{
	struct busy_fs *fs = &b->fs[b->n++];

	*fs = (struct busy_fs){ .path = strdup(t->path), .fd = -1, .mounts = t->mounts };
	fs->mount = calloc(t->mounts + 1, sizeof(*fs->mount));
	if (!fs->path || !fs->mount)
		return -ENOMEM;
	for (size_t i = 0; i < t->mounts; i++)
		fs->mount[i] = t->mount[i];
	if (strcmp(t->type, "btrfs") != 0)
		return 0;
	fs->fd = fcntl(t->fd, F_DUPFD_CLOEXEC, 3);
	return fs->fd < 0 ? -errno : 0;
}

/**
 * busy_new() - prepare the search for blockers of a set of file systems
 * @set: planned; the entries of ->fs are in the order of its targets
 * @config: must stay valid longer than the object
 * Context: nothing is frozen.
 * Return: the object, or NULL without memory or descriptors.
 */
struct busy *busy_new(const struct fsset *set, const struct busy_config *config)
{
	struct busy *b = calloc(1, sizeof(*b));
	int err = 0;

	if (!b)
		return NULL;
	b->config = config;
	b->ops = set->ops;
	b->tasks.proc = -1;
	b->fs = calloc(set->n + 1, sizeof(*b->fs));
	if (!b->fs)
		err = -ENOMEM;
	for (size_t i = 0; i < set->n && !err; i++)
		err = add_fs(b, &set->target[i]);
	if (!err)
		err = tasks_open(&b->tasks, config->proc);
	if (!err)
		return b;
	busy_free(b);
	return NULL;
}

/**
 * busy_free() - close and free an object
 * @b: its worker has returned; may be NULL
 */
void busy_free(struct busy *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++) {
		if (b->fs[i].fd >= 0)
			close(b->fs[i].fd);
		free(b->fs[i].path);
		free(b->fs[i].mount);
	}
	tasks_close(&b->tasks);
	free(b->fs);
	free(b);
}

static size_t find_fs(const struct busy *b, const struct task *task)
{
	if (task->mount < 0)
		return UNKNOWN_FS;
	for (size_t i = 0; i < b->n; i++)
		for (size_t j = 0; j < b->fs[i].mounts; j++)
			if (b->fs[i].mount[j] == task->mount)
				return i;
	return UNKNOWN_FS;
}

/* Results */

static struct culprit *add_culprit(struct busy *b, size_t fs)
{
	struct culprit *c;

	if (b->found.n == CULPRITS_MAX) {
		b->found.more++;
		return NULL;
	}
	c = &b->found.one[b->found.n++];
	memset(c, 0, sizeof(*c));
	if (fs != UNKNOWN_FS)
		snprintf(c->path, sizeof(c->path), "%s", b->fs[fs].path);
	return c;
}

static void add_task(struct busy *b, const struct task *task, size_t fs)
{
	struct culprit *c = add_culprit(b, fs);

	if (!c)
		return;
	c->pid = task->pid;
	snprintf(c->comm, sizeof(c->comm), "%s", task->comm);
	snprintf(c->call, sizeof(c->call), "%s", task->call);
	if (task->wait == TASK_WAITS_LISTENER)
		snprintf(c->waits, sizeof(c->waits), "fanotify");
}

static void add_btrfs(struct busy *b, size_t fs)
{
	char what[32];
	struct culprit *c;

	if (b->fs[fs].fd < 0 ||
	    btrfsop_running(b->fs[fs].fd, b->config->sysfs, what, sizeof(what)) <= 0)
		return;
	c = add_culprit(b, fs);
	if (c)
		snprintf(c->call, sizeof(c->call), "%.31s", what);
}

static void add_all_btrfs(struct busy *b)
{
	for (size_t i = 0; i < b->n; i++)
		add_btrfs(b, i);
}

/* The check before FIFREEZE */

/* Can the task keep @fs from being frozen, as far as /proc tells? */
static bool may_block(struct busy *b, const struct task *task, size_t fs)
{
	return fs != UNKNOWN_FS && task->wait != TASK_WAITS_FREEZE && task->wait != TASK_LEAVES &&
	       tasks_writes_file(&b->tasks, task);
}

/* A task that waits for a frozen file system does not count: FIFREEZE returns EBUSY for that. */
static void remember_candidate(void *arg, const struct task *task)
{
	struct busy *b = arg;
	size_t fs = find_fs(b, task);

	if (b->candidates == BUSY_TASKS || !may_block(b, task, fs))
		return;
	b->candidate_fs[b->candidates] = fs;
	b->candidate[b->candidates++] = *task;
}

/* Removes the candidates that have run meanwhile. */
static void drop_running(struct busy *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->candidates; i++) {
		if (!tasks_is_stuck(&b->tasks, &b->candidate[i]))
			continue;
		b->candidate[kept] = b->candidate[i];
		b->candidate_fs[kept++] = b->candidate_fs[i];
	}
	b->candidates = kept;
}

static bool is_abandoned(const struct busy *b)
{
	return atomic_load(&b->job.phase) == JOB_ABANDONED;
}

static void pause_ms(const struct busy *b, unsigned int *ms)
{
	b->ops->sleep_ms(*ms);
	*ms = *ms * 2 < PAUSE_LAST_MS ? *ms * 2 : PAUSE_LAST_MS;
}

static bool is_stuck(const struct task *task, int64_t us)
{
	return us >= (task->state == 'D' ? BUSY_DISK_US : BUSY_STUCK_US);
}

static bool any_is_stuck(const struct busy *b, int64_t us)
{
	for (size_t i = 0; i < b->candidates; i++)
		if (is_stuck(&b->candidate[i], us))
			return true;
	return false;
}

/* Finds tasks that stay in the same call without running, and btrfs operations. */
static int find_blockers(struct busy *b)
{
	int64_t begun = b->ops->now_us(), took = 0;
	unsigned int ms = PAUSE_FIRST_MS;
	int err;

	b->candidates = 0;
	b->found.n = 0;
	b->found.more = 0;
	add_all_btrfs(b);
	err = tasks_each(&b->tasks, remember_candidate, b);
	while (!err && b->candidates && !is_abandoned(b) && !any_is_stuck(b, took)) {
		pause_ms(b, &ms);
		drop_running(b);
		took = b->ops->now_us() - begun;
	}
	for (size_t i = 0; i < b->candidates; i++)
		if (is_stuck(&b->candidate[i], took))
			add_task(b, &b->candidate[i], b->candidate_fs[i]);
	return err ? err : b->found.n ? -EBUSY : 0;
}

static void log_blockers(const struct busy *b)
{
	char text[160];

	for (size_t i = 0; i < b->found.n; i++) {
		culprit_words(text, sizeof(text), &b->found.one[i]);
		log_mount(LOG_NOTICE, b->found.one[i].path, "the freeze waits: %s", text);
	}
}

/**
 * busy_check() - check that nothing keeps the file systems from being frozen
 * @b: the object; ->result is set, ->found has the blockers
 *
 * With ->config->wait it waits until ->until for blockers to end. Otherwise it takes as long as
 * tasks are in the middle of a write, at most three seconds.
 * Context: worker, nothing is frozen.
 */
void busy_check(struct busy *b)
{
	unsigned int ms = PAUSE_LAST_MS;

	b->waited = false;
	b->result = find_blockers(b);
	if (b->result == -EBUSY && b->config->wait)
		log_blockers(b);
	while (b->result == -EBUSY && b->config->wait && !is_abandoned(b) &&
	       b->ops->now_us() < b->until) {
		b->waited = true;
		pause_ms(b, &ms);
		b->result = find_blockers(b);
	}
}

/* The search while FIFREEZE hangs */

static void add_blocking(void *arg, const struct task *task)
{
	struct busy *b = arg;
	size_t fs = find_fs(b, task);

	/* TASK_WAITS_FREEZE: a writer that waits for FIFREEZE to end. */
	if (fs != UNKNOWN_FS && b->fs[fs].wanted && may_block(b, task, fs))
		add_task(b, task, fs);
}

static void add_by_path(void *arg, const struct task *task)
{
	if (task->by_path && task->wait != TASK_WAITS_FREEZE && task->wait != TASK_LEAVES)
		add_task(arg, task, UNKNOWN_FS);
}

/**
 * busy_name() - find what those FIFREEZEs wait for that have not returned
 * @b: the object, with ->wanted set; ->found is filled in
 *
 * Context: worker. Reads /proc and sysfs only, and so waits for no frozen file system. Its memory
 *	is in use since busy_check().
 */
void busy_name(struct busy *b)
{
	b->found.n = 0;
	b->found.more = 0;
	for (size_t i = 0; i < b->n; i++)
		if (b->fs[i].wanted)
			add_btrfs(b, i);
	b->result = tasks_each(&b->tasks, add_blocking, b);
	/* Calls that name a path may concern another file system: reported only as a last guess. */
	if (!b->found.n && !b->result)
		b->result = tasks_each(&b->tasks, add_by_path, b);
}
