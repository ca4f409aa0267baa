// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/freezer.c daemon/flush.c daemon/sync.c daemon/freeze.c daemon/thaw.c
// Sources: daemon/fsjob.c
// Sources: daemon/fsset.c daemon/uncover.c
// Sources: daemon/record.c daemon/mountview.c daemon/mounts.c daemon/order.c daemon/blockdev.c
// Sources: daemon/fstypes.c
// Sources: daemon/luns.c daemon/words.c
// Sources: daemon/sysattr.c tests/unit/quiet.c
// Libraries: mount
/*
 * The freezer against file systems that fail, hang and come back late, one call at a time. Time
 * and workers are the test's own.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "freezer.h"
#include "hv_vss.h"
#include "log.h"
#include "record.h"
#include "test.h"

#define FS		4	/* file systems; descriptors FD .. FD + FS - 1 */
#define FD		100
#define DEVICE		50
#define COOKIE		77
#define SECOND		1000000LL

/* One fake machine; a test has one at a time. */
static struct {
	int64_t now;
	char calls[512];		/* 'S'ync, 'A'rm, 'F'reeze, 'D'isarm, thaWing, 'T'haw */
	int frozen[FS];
	int freezes[FS];
	int thaws[FS];
	unsigned int count;		/* of calls */
	unsigned int fail_at;		/* this one ... */
	int fail_with;			/* ... fails so */
	char fail_call;			/* or: this call ... */
	int fail_fs;			/* ... on this file system, always */
	int64_t sync_time[8];		/* of each round; on the first file system */
	int64_t dirty[8];		/* before each round, and after the last one */
	int no_flushers;		/* error of waking them */
	int flusher_kib[512];		/* what is dirty at each look at the flushers */
	unsigned int looks;
	unsigned int wakes;
	struct record record;		/* of what ended last */
	unsigned int records;
	char hang_call;			/* the worker doesn't come back from this call ... */
	int hang_fs;			/* ... on this file system */
	bool beside[FS];		/* may be frozen at the same time as the one before */
	bool deliver_late;		/* jobs run, but their results stay in the queue */
	int verify[8];
	unsigned int verified;
	int64_t verify_time;
	int build_error;
	bool log_held;
	struct job *queue[64], *done[64];
	struct job *hung;
	unsigned int queued, finished;
	enum freezer_event reported[8];
	unsigned int reports;
	unsigned int closed;
	struct freezer freezer;
	struct freezer_config config;
	struct freezer_source source;
	struct guard *guard;
} m;

void log_hold(bool hold)
{
	m.log_held = hold;
}

int pool_reserve(struct pool *pool, unsigned int idle)
{
	(void)pool;
	(void)idle;
	return 0;
}

static bool hangs(const struct job *job)
{
	const struct fsset *set = m.freezer.set;

	switch (m.hang_call) {
	case 'B':	/* building the plan */
		return job == &set->job;
	case 'S':
		return m.freezer.state == FREEZER_SYNC && job == &set->target[m.hang_fs].job;
	case 'F':
		return m.freezer.state == FREEZER_FREEZE && job == &set->target[m.hang_fs].job;
	case 'T':
		return job == &set->target[m.hang_fs].undo;
	default:
		return false;
	}
}

void pool_submit(struct pool *pool, struct job *job)
{
	(void)pool;
	atomic_store(&job->phase, JOB_RUNNING);
	if (hangs(job))
		m.hung = job;
	else
		m.queue[m.queued++] = job;
}

static int call(char what, int fd)
{
	size_t len = strlen(m.calls);

	assert_in_range(fd, FD, FD + FS - 1);
	assert_true(len + 3 < sizeof(m.calls));
	snprintf(m.calls + len, sizeof(m.calls) - len, "%c%d", what, fd - FD);
	m.count++;
	if (m.count == m.fail_at || (what == m.fail_call && fd - FD == m.fail_fs))
		return m.fail_with;
	return 0;
}

static int fake_sync(int fd)
{
	if (fd == FD)
		m.now += m.sync_time[m.freezer.round];
	return call('S', fd);
}

static int fake_wake(void)
{
	m.wakes++;
	return m.no_flushers;
}

/* Asked while the flushers work, and at a round's begin and end. */
static int64_t fake_dirty(void)
{
	if (m.freezer.state == FREEZER_FLUSH)
		return m.flusher_kib[m.looks++];
	return m.dirty[m.freezer.round + !m.freezer.syncing];
}

static int fake_freeze(int fd)
{
	int err = call('F', fd);

	assert_true(m.log_held);
	if (err)
		return err;
	assert_int_equal(m.frozen[fd - FD]++, 0);
	m.freezes[fd - FD]++;
	return 0;
}

static int fake_thaw(int fd)
{
	int err = call('T', fd);

	if (err)
		return err;
	if (!m.frozen[fd - FD])
		return -EINVAL;
	m.frozen[fd - FD]--;
	m.thaws[fd - FD]++;
	return 0;
}

static int fake_guard(int dev, unsigned long cmd, int fd, uint32_t cookie)
{
	assert_int_equal(dev, DEVICE);
	assert_int_equal(cookie, COOKIE);
	if (cmd == HV_VSS_IOC_FROZEN)
		return -ENOTTY;	/* as of a module that is older, and not to be noticed */
	return call(cmd == HV_VSS_IOC_ARM ? 'A' : cmd == HV_VSS_IOC_DISARM ? 'D' : 'W', fd);
}

static int fake_close(int fd)
{
	assert_in_range(fd, FD, FD + FS - 1);
	m.closed++;
	return 0;
}

static int64_t fake_now(void)
{
	return m.now;
}

static void fake_sleep(unsigned int ms)
{
	m.now += ms * 1000LL;
}

static const struct sysops ops = {
	.close = fake_close, .sync = fake_sync, .freeze = fake_freeze, .thaw = fake_thaw,
	.guard = fake_guard, .dirty_kib = fake_dirty, .now_us = fake_now, .sleep_ms = fake_sleep,
	.wake_flushers = fake_wake,
};

static int fake_build(void *ctx, struct fsset *set)
{
	struct mounts_mount mount = { .path = "/x" };

	(void)ctx;
	for (int i = 0; i < FS && !m.build_error; i++) {
		const struct mounts_fs fs = {
			.dev = i + 1, .type = "ext4", .source = "/dev/x", .mount = &mount,
			.mounts = 1, .action = MOUNTS_FREEZE, .beside = m.beside[i],
		};

		assert_int_equal(fsset_add(set, &fs, FD + i), 0);
	}
	return m.build_error;
}

static int fake_verify(void *ctx, struct fsset *set)
{
	(void)ctx;
	assert_int_equal(set->n, FS);
	m.now += m.verify_time;
	return m.verify[m.verified++];
}

static void on_report(void *ctx, enum freezer_event event)
{
	(void)ctx;
	m.reported[m.reports++] = event;
}

static void on_record(void *ctx, const struct freezer *f)
{
	(void)ctx;
	record_free(&m.record);
	record_fill(&m.record, f);
	m.records++;
}

static void deliver(void)
{
	for (unsigned int i = 0; i < m.finished; i++)
		freezer_job_done(&m.freezer, m.done[i]);
	m.finished = 0;
}

/* Let the workers run until all that is left hangs. */
static void work(void)
{
	while (m.queued) {
		struct job *job = m.queue[0];

		memmove(&m.queue[0], &m.queue[1], --m.queued * sizeof(job));
		job->run(job);
		m.done[m.finished++] = job;
		if (m.deliver_late)
			return;
		deliver();
	}
}

/* What hung comes back. */
static void come_back(void)
{
	assert_non_null(m.hung);
	m.hung->run(m.hung);
	freezer_job_done(&m.freezer, m.hung);
	m.hung = NULL;
}

static void pass(int64_t us)
{
	m.now += us;
	freezer_tick(&m.freezer);
	work();
}

static void begin(void)
{
	assert_int_equal(freezer_begin(&m.freezer, m.guard, COOKIE), 0);
	work();
}

static int setup(void **state)
{
	(void)state;
	record_free(&m.record);
	memset(&m, 0, sizeof(m));
	m.now = 1000 * SECOND;
	m.config = (struct freezer_config){
		.freeze_us = 100 * SECOND, .hold_us = 60 * SECOND,
		.thaw_us = 20 * SECOND, .patience_us = SECOND,
	};
	m.source = (struct freezer_source){ .build = fake_build, .verify = fake_verify };
	m.freezer = (struct freezer){
		.config = &m.config, .source = &m.source, .ops = &ops, .report = on_report,
		.record = on_record,
	};
	return 0;
}

static int setup_guard(void **state)
{
	setup(state);
	m.guard = guard_new(DEVICE);
	return m.guard ? 0 : -1;
}

/* Whatever happened: nothing frozen, one thaw per freeze, nothing leaked. */
static void assert_clean(void)
{
	for (int i = 0; i < FS; i++) {
		assert_int_equal(m.frozen[i], 0);
		assert_int_equal(m.thaws[i], m.freezes[i]);
	}
	assert_int_equal(m.freezer.state, FREEZER_IDLE);
	assert_null(m.freezer.set);
	assert_null(m.freezer.stuck);
	assert_false(m.log_held);
	assert_int_equal(m.closed % FS, 0);
	assert_true(m.closed || m.build_error);
}

static int teardown_guard(void **state)
{
	(void)state;
	if (atomic_load(&m.guard->refs) != 1)
		return -1;
	free(m.guard);
	return 0;
}

static void assert_reported(unsigned int n, enum freezer_event event)
{
	assert_int_equal(m.reports, n);
	assert_int_equal(m.reported[n - 1], event);
}

static void freeze_and_thaw_in_order(void **state)
{
	(void)state;
	begin();
	assert_reported(1, FREEZER_FREEZE_OK);
	assert_string_equal(m.calls, "S0S1S2S3F0F1F2F3");
	assert_true(m.log_held);
	m.calls[0] = '\0';
	assert_int_equal(freezer_thaw(&m.freezer), 0);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_string_equal(m.calls, "T3T2T1T0");
	assert_clean();
}

static void guard_brackets_each_call(void **state)
{
	(void)state;
	begin();
	assert_string_equal(m.calls, "S0S1S2S3A0F0A1F1A2F2A3F3");
	m.calls[0] = '\0';
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_string_equal(m.calls, "W3T3D3W2T2D2W1T1D1W0T0D0");
	assert_clean();
}

static void plan_failure_is_reported(void **state)
{
	(void)state;
	m.build_error = -EXDEV;
	begin();
	assert_reported(1, FREEZER_FAILED);
	assert_clean();
}

/* Each call fails in turn; the freeze is undone in reverse, or the thaw goes on all the same. */
static void every_call_fails_once(void **state)
{
	void *guard = m.guard;
	unsigned int calls = guard ? FS * 6 : FS * 3;

	for (unsigned int at = 1; at <= calls; at++) {
		setup(state);
		m.guard = guard;
		m.fail_at = at;
		m.fail_with = -EIO;
		begin();
		assert_int_equal(m.reports, 1);
		if (m.reported[0] == FREEZER_FREEZE_OK) {
			assert_true(at > (guard ? FS * 3U : FS * 2U));
			freezer_thaw(&m.freezer);
			work();
			/* EIO from FITHAW is tried again; from the guard it means "already". */
			if (strchr("T", m.calls[2 * (at - 1)]))
				assert_reported(2, FREEZER_THAW_OK);
		} else {
			assert_reported(1, FREEZER_FAILED);
		}
		if (m.calls[2 * (at - 1)] == 'W')
			m.frozen[m.calls[2 * at - 1] - '0']--, m.thaws[m.calls[2 * at - 1] - '0']++;
		assert_clean();
	}
}

static void failed_freeze_is_undone_in_reverse(void **state)
{
	(void)state;
	m.fail_call = 'F';
	m.fail_fs = 2;
	m.fail_with = -EIO;
	begin();
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.calls, "S0S1S2S3F0F1F2T1T0");
	assert_clean();
}

/* 0 to 2 are independent of each other; 3 has to wait for them. */
static void set_beside(void)
{
	m.beside[1] = true;
	m.beside[2] = true;
}

static void independent_ones_are_frozen_together(void **state)
{
	(void)state;
	set_beside();
	m.hang_call = 'F';
	m.hang_fs = 0;
	begin();
	assert_string_equal(m.calls, "S0S1S2S3F1F2");
	come_back();
	work();
	assert_string_equal(m.calls, "S0S1S2S3F1F2F0F3");
	assert_reported(1, FREEZER_FREEZE_OK);
	m.calls[0] = '\0';
	freezer_thaw(&m.freezer);
	work();
	assert_string_equal(m.calls, "T3T2T1T0");
	assert_clean();
}

static void all_begun_together_end_before_a_failure(void **state)
{
	(void)state;
	set_beside();
	m.fail_call = 'F';
	m.fail_fs = 0;
	m.fail_with = -EIO;
	begin();
	assert_string_equal(m.calls, "S0S1S2S3F0F1F2T2T1");
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.record.reason, "/x: cannot be frozen: Input/output error");
	assert_int_equal(m.record.fs[1].action, RECORD_FROZEN);
	assert_clean();
}

/* A failure does not wait for one that hangs. */
static void failure_beside_one_that_hangs(void **state)
{
	(void)state;
	set_beside();
	m.fail_call = 'F';
	m.fail_fs = 0;
	m.fail_with = -EIO;
	m.hang_call = 'F';
	m.hang_fs = 1;
	begin();
	assert_int_equal(m.reports, 0);
	pass(m.config.patience_us);
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.calls, "S0S1S2S3F0F2T2");
	assert_string_equal(m.record.reason, "/x: cannot be frozen: Input/output error");
	come_back();
	assert_string_equal(m.calls, "S0S1S2S3F0F2T2");
	assert_clean();
}

static void failed_freeze_is_disarmed(void **state)
{
	(void)state;
	m.fail_call = 'F';
	m.fail_fs = 1;
	m.fail_with = -EIO;
	begin();
	assert_string_equal(m.calls, "S0S1S2S3A0F0A1F1D1W0T0D0");
	assert_clean();
}

static void foreign_freeze_fails_and_is_left_alone(void **state)
{
	(void)state;
	m.fail_call = 'F';
	m.fail_fs = 1;
	m.fail_with = -EBUSY;
	begin();
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.calls, "S0S1S2S3F0F1F1F1F1F1T0");
	assert_int_equal(m.thaws[1], 0);
	assert_clean();
}

static void foreign_freeze_may_be_skipped(void **state)
{
	(void)state;
	m.config.skip_foreign = true;
	m.fail_call = 'F';
	m.fail_fs = 1;
	m.fail_with = -EBUSY;
	begin();
	assert_reported(1, FREEZER_FREEZE_OK);
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_string_equal(m.calls, "S0S1S2S3F0F1F1F1F1F1F2F3T3T2T0");
	assert_int_equal(m.record.fs[1].action, RECORD_SYNCED);
	assert_string_equal(m.record.fs[1].reason, "somebody else has frozen it");
	assert_clean();
}

static void writing_out_is_repeated_while_it_pays(void **state)
{
	static const struct {
		int64_t time[8], dirty[8];
		unsigned int rounds;
	} cases[] = {
		{ { 100000 }, { 900000, 100000 }, 1 },			/* short */
		{ { 4000000, 100000 }, { 900000, 8193, 8193 }, 2 },
		{ { 4000000, 100000 }, { 900000, 8192, 8192 }, 1 },	/* little is left */
		{ { 4000000, 2000000, 1000000, 10000 }, { 900000, 450000, 200000, 90000 }, 4 },
		{ { 4000000, 100000 }, { 900000, 450001, 0 }, 1 },	/* as much as before */
		{ { 4000000, 100000 }, { 900000, 2000000, 0 }, 1 },
		{ { 4000000, 3000000, 1000 }, { 900000, 300000, 299000, 0 }, 2 },
		{ { 16000000, 8000000, 4000000, 2000000, 1000000, 1000 },	/* enough */
		  { 900000, 450000, 225000, 112000, 56000, 28000 }, 5 },
		{ { 51000000, 1000 }, { 900000, 10000 }, 1 },	/* not twice in the time allowed */
		/* The amount is not told. */
		{ { 4000000, 100000 }, { -ENOENT, 10000, 9000 }, 2 },
		{ { 4000000, 3500000, 1000 }, { -ENOENT, -ENOENT, -ENOENT, -ENOENT }, 2 },
		{ { 4000000, 1000000, 900000 }, { -ENOENT, -ENOENT, -ENOENT, -ENOENT }, 3 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		m.no_flushers = -EACCES;
		memcpy(m.sync_time, cases[i].time, sizeof(m.sync_time));
		memcpy(m.dirty, cases[i].dirty, sizeof(m.dirty));
		begin();
		assert_reported(1, FREEZER_FREEZE_OK);
		for (unsigned int r = 0; r < cases[i].rounds; r++)
			assert_memory_equal(m.calls + 8 * r, "S0S1S2S3", 8);
		assert_string_equal(m.calls + 8 * cases[i].rounds, "F0F1F2F3");
		freezer_thaw(&m.freezer);
		work();
		assert_reported(2, FREEZER_THAW_OK);
		assert_clean();
	}
}

/* One look at the begin, then one every 20 ms; at the 13th a quarter of a second is over. */
static void the_kernel_writes_first_while_it_gets_somewhere(void **state)
{
	static const struct {
		int kib[8];		/* at the first look, and after each quarter of a second */
		int error;
		int64_t budget;
		unsigned int wakes, looks;
	} cases[] = {
		{ { 8192 }, 0, 0, 0, 1 },			/* not worth it */
		{ { -ENODATA }, 0, 0, 0, 1 },
		{ { 900000 }, -EACCES, 0, 1, 1 },
		{ { 900000, 8192 }, 0, 0, 1, 1 + 13 },
		{ { 900000, 400000, 100000, 5 }, 0, 0, 3, 1 + 39 },
		{ { 240000, 239000, 238000, 5 }, 0, 0, 3, 1 + 39 },	/* just fast enough */
		{ { 240000, 239000, 238001, 5 }, 0, 0, 2, 1 + 26 },
		{ { 900000, 900000, 5 }, 0, 0, 1, 1 + 13 },	/* a kernel that doesn't care */
		{ { 900000, 1000000, 5 }, 0, 0, 1, 1 + 13 },
		{ { 900000, 500000, -ENODATA }, 0, 0, 2, 1 + 26 },
		/* Half of the time is for syncfs(). */
		{ { 900000, 500000, 400000, 300000 }, 0, SECOND, 2, 1 + 25 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		m.config.sync_us = cases[i].budget;
		m.no_flushers = cases[i].error;
		for (unsigned int l = 0; l < 8 * 13; l++)
			m.flusher_kib[l] = cases[i].kib[l / 13];
		begin();
		while (m.freezer.state == FREEZER_FLUSH) {
			assert_int_equal(m.reports, 0);
			assert_string_equal(m.calls, "");
			assert_int_equal(freezer_deadline(&m.freezer), m.now + 20000);
			pass(20000);
		}
		assert_int_equal(m.wakes, cases[i].wakes);
		assert_int_equal(m.looks, cases[i].looks);
		assert_reported(1, FREEZER_FREEZE_OK);
		freezer_thaw(&m.freezer);
		work();
		assert_reported(2, FREEZER_THAW_OK);
		assert_clean();
	}
}

static void what_the_kernel_writes_is_called_off(void **state)
{
	(void)state;
	for (int l = 0; l < 512; l++)
		m.flusher_kib[l] = 900000 - 1000 * l;
	begin();
	pass(20000);
	assert_int_equal(m.freezer.state, FREEZER_FLUSH);
	freezer_abort(&m.freezer, "for a test");
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.calls, "");
	assert_clean();
}

static void time_is_up_while_the_kernel_writes(void **state)
{
	(void)state;
	for (int l = 0; l < 512; l++)
		m.flusher_kib[l] = 900000 - 1000 * l;
	m.hang_call = 'S';
	m.hang_fs = 3;
	begin();
	pass(200 * SECOND);
	assert_int_equal(m.freezer.state, FREEZER_SYNC);
	pass(0);
	assert_reported(1, FREEZER_FAILED);
	come_back();
	assert_clean();
}

static void writing_out_has_a_budget(void **state)
{
	(void)state;
	m.config.sync_us = 10 * SECOND;
	m.hang_call = 'S';
	m.hang_fs = 3;
	begin();
	pass(9 * SECOND);
	assert_int_equal(m.reports, 0);
	assert_int_equal(freezer_deadline(&m.freezer), m.now + SECOND);
	pass(SECOND);
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.record.reason,
			    "/x: writing out was not done within the time allowed");
	assert_string_equal(m.calls, "S0S1S2");
	come_back();
	assert_clean();
}

static void record_tells_what_happened(void **state)
{
	(void)state;
	m.sync_time[0] = 70000;
	begin();
	pass(3 * SECOND);
	freezer_thaw(&m.freezer);
	work();
	assert_int_equal(m.records, 1);
	assert_int_equal(m.record.sync_us, 70000);
	assert_int_equal(m.record.held_us, 3 * SECOND);
	assert_int_equal(m.record.n, FS);
	assert_int_equal(m.record.fs[0].action, RECORD_FROZEN);
	assert_int_equal(m.record.fs[0].sync_us, 70000);
	assert_string_equal(m.record.reason, "");
	/* A failure names its reason and the file system. */
	m.fail_call = 'F';
	m.fail_fs = 2;
	m.fail_with = -EIO;
	begin();
	assert_int_equal(m.records, 2);
	assert_string_equal(m.record.reason, "/x: cannot be frozen: Input/output error");
	assert_int_equal(m.record.fs[1].action, RECORD_FROZEN);
	assert_int_equal(m.record.fs[2].action, RECORD_FAILED);
	assert_int_equal(m.record.fs[3].action, RECORD_UNTOUCHED);
	/* So does a freeze that was thawed by somebody else. */
	m.fail_call = 'T';
	m.fail_fs = 1;
	m.fail_with = -EINVAL;
	begin();
	m.frozen[1]--, m.thaws[1]++;
	freezer_thaw(&m.freezer);
	work();
	assert_int_equal(m.records, 3);
	assert_string_equal(m.record.reason,
			    "/x: was thawed by somebody else (Invalid argument)");
	assert_int_equal(m.record.fs[1].action, RECORD_FAILED);
	assert_clean();
}

static void unsupported_is_written_out_only(void **state)
{
	(void)state;
	m.fail_call = 'F';
	m.fail_fs = 1;
	m.fail_with = -EOPNOTSUPP;
	begin();
	assert_reported(1, FREEZER_FREEZE_OK);
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_int_equal(m.freezes[1], 0);
	assert_clean();
}

static void unsupported_fails_if_strict(void **state)
{
	(void)state;
	m.config.strict = true;
	m.fail_call = 'F';
	m.fail_fs = 1;
	m.fail_with = -EOPNOTSUPP;
	begin();
	assert_reported(1, FREEZER_FAILED);
	assert_clean();
}

static void foreign_thaw_fails_the_thaw(void **state)
{
	(void)state;
	begin();
	m.frozen[2]--;
	m.thaws[2]++;
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_FAILED);
	assert_clean();
}

static void kernel_thaw_is_not_repeated(void **state)
{
	(void)state;
	begin();
	m.frozen[2]--;
	m.thaws[2]++;
	m.fail_call = 'W';
	m.fail_fs = 2;
	m.fail_with = -ESTALE;
	m.calls[0] = '\0';
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_FAILED);
	assert_string_equal(m.calls, "W3T3D3W2W1T1D1W0T0D0");
	assert_clean();
}

static void hold_limit_thaws_and_breaks(void **state)
{
	(void)state;
	begin();
	pass(60 * SECOND - 1);
	assert_reported(1, FREEZER_FREEZE_OK);
	pass(1);
	assert_reported(2, FREEZER_BROKEN);
	assert_int_equal(freezer_thaw(&m.freezer), -EINVAL);
	assert_clean();
}

/* Freezing may take its time; the host then has all of the hold time left. */
static void hold_limit_begins_anew_with_the_answer(void **state)
{
	(void)state;
	m.verify_time = 50 * SECOND;
	begin();
	assert_reported(1, FREEZER_FREEZE_OK);
	pass(60 * SECOND - 1);
	assert_reported(1, FREEZER_FREEZE_OK);
	pass(1);
	assert_reported(2, FREEZER_BROKEN);
	assert_clean();
}

static void abort_while_frozen_thaws(void **state)
{
	(void)state;
	begin();
	freezer_abort(&m.freezer, "test");
	work();
	assert_reported(2, FREEZER_BROKEN);
	assert_clean();
}

static void hung_freeze_frees_the_others_and_is_thawed_late(void **state)
{
	(void)state;
	m.hang_call = 'F';
	m.hang_fs = 2;
	begin();
	assert_int_equal(m.reports, 0);
	m.calls[0] = '\0';
	pass(60 * SECOND);
	assert_reported(1, FREEZER_FAILED);
	assert_int_equal(m.thaws[0] + m.thaws[1], 2);
	assert_true(strstr(m.calls, m.guard ? "W1T1D1W0T0D0" : "T1T0"));
	assert_int_equal(freezer_begin(&m.freezer, m.guard, COOKIE), -EBUSY);
	/* It has been in FIFREEZE all the time, and comes back now. */
	come_back();
	assert_int_equal(m.frozen[2], 0);
	assert_clean();
	m.hang_call = 0;
	begin();
	assert_reported(2, FREEZER_FREEZE_OK);
	freezer_thaw(&m.freezer);
	work();
	assert_clean();
}

/* The worker is inside FIFREEZE when it is given up, so that it does succeed. */
static struct target *entered;

static int freeze_after_giving_up(int fd)
{
	int err = fake_freeze(fd);

	if (fd - FD == 2 && entered) {
		entered = NULL;
		m.now += 60 * SECOND;
		freezer_tick(&m.freezer);
	}
	return err;
}

static void late_freeze_is_thawed_by_its_worker(void **state)
{
	struct sysops late = ops;

	(void)state;
	late.freeze = freeze_after_giving_up;
	m.freezer.ops = &late;
	assert_int_equal(freezer_begin(&m.freezer, m.guard, COOKIE), 0);
	entered = (struct target *)&m;
	work();
	assert_int_equal(m.freezes[2], 1);
	assert_int_equal(m.freezes[3], 0);
	assert_reported(1, FREEZER_FAILED);
	assert_clean();
}

/* FIFREEZE has succeeded, and the deadline passes before we hear of it. */
static void freeze_done_but_not_heard_of_is_thawed_once(void **state)
{
	(void)state;
	freezer_begin(&m.freezer, m.guard, COOKIE);
	while (!m.freezes[1]) {
		m.deliver_late = true;
		work();
		if (!m.freezes[1])
			deliver();
	}
	m.deliver_late = false;
	m.now += 60 * SECOND;
	freezer_tick(&m.freezer);
	deliver();
	work();
	assert_reported(1, FREEZER_FAILED);
	assert_int_equal(m.freezes[1], 1);
	assert_clean();
}

static void hung_thaw_does_not_hold_up_the_others(void **state)
{
	(void)state;
	begin();
	m.hang_call = 'T';
	m.hang_fs = 3;
	freezer_thaw(&m.freezer);
	work();
	assert_int_equal(m.thaws[2], 0);
	pass(SECOND);
	assert_int_equal(m.thaws[0] + m.thaws[1] + m.thaws[2], 3);
	assert_int_equal(m.reports, 1);
	pass(20 * SECOND);
	assert_reported(2, FREEZER_THAW_FAILED);
	come_back();
	assert_clean();
}

/* The deadline comes before everybody's turn: the others are thawed all the same. */
static void thaw_deadline_leaves_none_out(void **state)
{
	(void)state;
	begin();
	m.config.patience_us = 30 * SECOND;
	m.hang_call = 'T';
	m.hang_fs = 3;
	freezer_thaw(&m.freezer);
	work();
	assert_int_equal(m.thaws[2], 0);
	pass(20 * SECOND);
	assert_reported(2, FREEZER_THAW_FAILED);
	assert_int_equal(m.thaws[0] + m.thaws[1] + m.thaws[2], 3);
	come_back();
	assert_clean();
}

static void hung_sync_fails_in_time(void **state)
{
	(void)state;
	m.hang_call = 'S';
	m.hang_fs = 0;
	begin();
	pass(100 * SECOND);
	assert_reported(1, FREEZER_FAILED);
	assert_int_equal(m.freezes[1], 0);
	come_back();
	assert_clean();
}

static void hung_plan_fails_in_time(void **state)
{
	(void)state;
	m.hang_call = 'B';
	begin();
	pass(100 * SECOND);
	assert_reported(1, FREEZER_FAILED);
	come_back();
	assert_clean();
}

static void new_mount_starts_over(void **state)
{
	(void)state;
	m.verify[0] = 1;
	begin();
	assert_reported(1, FREEZER_FREEZE_OK);
	assert_string_equal(m.calls, "S0S1S2S3F0F1F2F3T3T2T1T0S0S1S2S3F0F1F2F3");
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_clean();
}

static void restless_mount_table_fails(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		m.verify[i] = 1;
	begin();
	assert_reported(1, FREEZER_FAILED);
	assert_int_equal(m.verified, 3);
	assert_clean();
}

static void unreadable_mount_table_fails(void **state)
{
	(void)state;
	m.verify[0] = -EIO;
	begin();
	assert_reported(1, FREEZER_FAILED);
	assert_int_equal(m.freezes[3], 1);
	assert_clean();
}

static void abort_at_every_point(void **state)
{
	void *guard = m.guard;

	for (int after = 0; after < 2 + 3 * FS; after++) {
		setup(state);
		m.guard = guard;
		freezer_begin(&m.freezer, m.guard, COOKIE);
		m.deliver_late = true;
		for (int i = 0; i < after && m.queued; i++) {
			work();
			deliver();
		}
		m.deliver_late = false;
		freezer_abort(&m.freezer, "test");
		work();
		deliver();
		work();
		assert_int_not_equal(m.reported[m.reports - 1], FREEZER_FREEZE_OK);
		assert_clean();
	}
}

static int clean_up(void **state)
{
	(void)state;
	record_free(&m.record);
	return 0;
}

#define PLAIN(f)	cmocka_unit_test_setup(f, setup)
#define GUARD(f)	{ #f "_guard", f, setup_guard, teardown_guard, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(freeze_and_thaw_in_order),
		GUARD(guard_brackets_each_call),
		PLAIN(plan_failure_is_reported),
		PLAIN(every_call_fails_once),
		GUARD(every_call_fails_once),
		PLAIN(failed_freeze_is_undone_in_reverse),
		PLAIN(independent_ones_are_frozen_together),
		PLAIN(all_begun_together_end_before_a_failure),
		PLAIN(failure_beside_one_that_hangs),
		GUARD(failed_freeze_is_disarmed),
		PLAIN(foreign_freeze_fails_and_is_left_alone),
		PLAIN(foreign_freeze_may_be_skipped),
		PLAIN(writing_out_is_repeated_while_it_pays),
		PLAIN(the_kernel_writes_first_while_it_gets_somewhere),
		PLAIN(what_the_kernel_writes_is_called_off),
		PLAIN(time_is_up_while_the_kernel_writes),
		PLAIN(writing_out_has_a_budget),
		PLAIN(record_tells_what_happened),
		PLAIN(unsupported_is_written_out_only),
		PLAIN(unsupported_fails_if_strict),
		PLAIN(foreign_thaw_fails_the_thaw),
		GUARD(kernel_thaw_is_not_repeated),
		PLAIN(hold_limit_thaws_and_breaks),
		GUARD(hold_limit_thaws_and_breaks),
		PLAIN(hold_limit_begins_anew_with_the_answer),
		PLAIN(abort_while_frozen_thaws),
		PLAIN(hung_freeze_frees_the_others_and_is_thawed_late),
		GUARD(hung_freeze_frees_the_others_and_is_thawed_late),
		PLAIN(late_freeze_is_thawed_by_its_worker),
		GUARD(late_freeze_is_thawed_by_its_worker),
		PLAIN(freeze_done_but_not_heard_of_is_thawed_once),
		GUARD(freeze_done_but_not_heard_of_is_thawed_once),
		PLAIN(hung_thaw_does_not_hold_up_the_others),
		PLAIN(thaw_deadline_leaves_none_out),
		PLAIN(hung_sync_fails_in_time),
		PLAIN(hung_plan_fails_in_time),
		PLAIN(new_mount_starts_over),
		PLAIN(restless_mount_table_fails),
		PLAIN(unreadable_mount_table_fails),
		PLAIN(abort_at_every_point),
		GUARD(abort_at_every_point),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
