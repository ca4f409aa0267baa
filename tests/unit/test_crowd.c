// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/pool.c daemon/base/procfs.c daemon/base/reason.c daemon/base/sysattr.c
// Sources: daemon/base/sysops.c daemon/blockers/btrfsop.c daemon/blockers/busy.c
// Sources: daemon/blockers/culprit.c daemon/blockers/syscalls.c daemon/blockers/tasks.c
// Sources: daemon/driver/guardfd.c daemon/evidence/diskstats.c daemon/evidence/evidence.c
// Sources: daemon/evidence/swaps.c daemon/evidence/verdict.c daemon/freeze/abandoned.c
// Sources: daemon/freeze/blockers.c daemon/freeze/deadlines.c daemon/freeze/freezer.c
// Sources: daemon/freeze/freezing.c daemon/freeze/fsjob.c daemon/freeze/phases.c
// Sources: daemon/freeze/planning.c daemon/freeze/syncing.c daemon/freeze/thawing.c
// Sources: daemon/freeze/verifying.c daemon/freeze/writeback.c daemon/plan/blockdev.c
// Sources: daemon/targets/fsset.c tests/unit/quiet.c
// Libraries: pthread
/*
 * More file systems than workers on a disk that hangs from the first FIFREEZE on, and a few on
 * another disk, which works. The test uses real workers and real time.
 */
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "freeze/freezer.h"
#include "test.h"

#define FD	100
#define MOST	100
#define HEALTHY	2	/* the first ones are on the disk that works */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t repaired = PTHREAD_COND_INITIALIZER;
static bool works;
static int frozen[MOST];
static int n;
static unsigned int reports;
static enum freezer_event reported;

void mountview_close(struct mountview *v)
{
	(void)v;
}

void log_hold(bool hold)
{
	(void)hold;
}

static int fake_close(int fd)
{
	(void)fd;
	return 0;
}

static int fake_sync(int fd)
{
	(void)fd;
	return 0;
}

static int fake_freeze(int fd)
{
	pthread_mutex_lock(&lock);
	while (fd - FD >= HEALTHY && !works)
		pthread_cond_wait(&repaired, &lock);
	pthread_mutex_unlock(&lock);
	__atomic_fetch_add(&frozen[fd - FD], 1, __ATOMIC_SEQ_CST);
	return 0;
}

static int fake_thaw(int fd)
{
	__atomic_fetch_sub(&frozen[fd - FD], 1, __ATOMIC_SEQ_CST);
	return 0;
}

static int64_t fake_dirty(void)
{
	return 0;
}

static int fake_wake(void)
{
	return -1;
}

static int fake_build(void *ctx, struct fsset *set)
{
	struct mounts_mount mount = { .path = "/x" };

	(void)ctx;
	for (int i = 0; i < n; i++) {
		const struct mounts_fs fs = {
			.dev = i + 1, .type = "xfs", .source = "/dev/x", .mount = &mount,
			.mounts = 1, .action = MOUNTS_FREEZE, .beside = i > 0,
		};

		assert_int_equal(fsset_add(set, &fs, FD + i), 0);
	}
	return 0;
}

static int fake_verify(void *ctx, struct fsset *set)
{
	(void)ctx;
	(void)set;
	return 0;
}

static void on_report(void *ctx, enum freezer_event event)
{
	(void)ctx;
	reported = event;
	reports++;
}

static void turn(struct freezer *f)
{
	struct pollfd p = { .fd = pool_fd(f->pool), .events = POLLIN };
	struct job *job;

	poll(&p, 1, 5);
	while ((job = pool_next_done(f->pool)))
		freezer_job_done(f, job);
	freezer_tick(f);
}

static void one_disk_hangs(int how_many)
{
	const struct freezer_config config = {
		.freeze_us = 10000000, .fifreeze_us = 500000, .hold_us = 500000,
		.thaw_us = 500000, .patience_us = 50000,
	};
	const struct freezer_source source = { .build = fake_build, .verify = fake_verify };
	struct sysops ops = {
		.close = fake_close, .sync = fake_sync, .freeze = fake_freeze, .thaw = fake_thaw,
		.dirty_kib = fake_dirty, .wake_flushers = fake_wake,
		.now_us = sysops_real.now_us, .sleep_ms = sysops_real.sleep_ms,
	};
	struct freezer f = {
		.config = &config, .source = &source, .ops = &ops, .report = on_report,
		.pool = pool_new(),
	};

	n = how_many;
	reports = 0;
	works = false;
	assert_non_null(f.pool);
	assert_int_equal(freezer_begin(&f, NULL, 1), 0);
	while (!reports)
		turn(&f);
	/* There is no guard, so the daemon must have thawed the healthy ones when it reports. */
	int left = 0;

	for (int i = 0; i < HEALTHY; i++)
		left += __atomic_load_n(&frozen[i], __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&lock);
	works = true;
	pthread_cond_broadcast(&repaired);
	pthread_mutex_unlock(&lock);
	while (f.stuck)
		turn(&f);
	pool_free(f.pool);
	assert_int_equal(reported, FREEZER_FAILED);
	assert_int_equal(left, 0);
	for (int i = 0; i < n; i++)
		assert_int_equal(frozen[i], 0);
}

static void test_fewer_hang_than_workers(void **state)
{
	(void)state;
	one_disk_hangs(HEALTHY + 30);
}

static void test_more_hang_than_workers(void **state)
{
	(void)state;
	one_disk_hangs(HEALTHY + 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fewer_hang_than_workers),
		cmocka_unit_test(test_more_hang_than_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
