// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/reason.c daemon/base/sysattr.c daemon/blockers/culprit.c
// Sources: daemon/driver/guardfd.c daemon/evidence/diskstats.c daemon/evidence/evidence.c
// Sources: daemon/evidence/swaps.c daemon/evidence/verdict.c daemon/freeze/abandoned.c
// Sources: daemon/freeze/blockers.c daemon/freeze/deadlines.c daemon/freeze/freezer.c
// Sources: daemon/freeze/freezing.c daemon/freeze/fsjob.c daemon/freeze/phases.c
// Sources: daemon/freeze/planning.c daemon/freeze/syncing.c daemon/freeze/thawing.c
// Sources: daemon/freeze/verifying.c daemon/freeze/writeback.c daemon/plan/blockdev.c
// Sources: daemon/report/record.c daemon/targets/fsset.c tests/unit/quiet.c
/*
 * The freezer with file systems that fail, hang or return late, one call at a time. The test
 * controls time and workers.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "freeze/freezer.h"
#include "hv_vss.h"
#include "report/record.h"
#include "test.h"

#define FS		4	/* file systems; descriptors FD .. FD + FS - 1 */
#define EVERY		(-1)
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
	unsigned int fail_at;		/* number of the call that fails; 0: none */
	int fail_with;			/* its error */
	char fail_call;			/* or: each call of this kind fails ... */
	int fail_fs;			/* ... on this file system, or EVERY one */
	int64_t sync_time[8];		/* of each round; on the first file system */
	int64_t dirty[8];		/* before each round, and after the last one */
	int no_flushers;		/* error of wake_flushers() */
	int flusher_kib[512];		/* dirty amount at each poll during writeback */
	unsigned int polls;
	unsigned int wakes;
	struct record record;		/* of the latest backup */
	unsigned int records;
	char hang_call;			/* the worker does not return from this call ... */
	int hang_fs;			/* ... on this file system */
	bool beside[FS];		/* may be frozen at the same time as the one before */
	bool optional[FS];		/* to be synced, need not be frozen */
	int appeared;			/* result of the check for new mounts at the thaw */
	struct evidence_verdict verdict;
	bool deliver_late;		/* jobs run, but their results stay in the queue */
	int verify[8];
	unsigned int verified;
	int64_t verify_time;
	int build_error;
	int thawed_by_another;		/* process, before verify: this file system */
	int read_only[FS];
	bool log_held;
	bool snapshot_remains;		/* the freeze of a snapshot, after ours has ended */
	bool no_checker;		/* busy_new() fails */
	int checks[4];			/* results of the checks for blockers ... */
	bool waits[4];			/* ... and whether they have waited for one */
	unsigned int checked, named;
	int found;			/* culprits that are identified during FIFREEZE */
	unsigned int checkers;		/* objects that are not freed yet */
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

void mountview_close(struct mountview *v)
{
	(void)v;
}

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
	case 'V':
		return m.freezer.state == FREEZER_VERIFY;
	case 'C':	/* the check for blockers */
		return m.freezer.state == FREEZER_BLOCKERS;
	case 'N':	/* identifying a blocker; FIFREEZE hangs, too */
		return m.freezer.state == FREEZER_FREEZE &&
		       (job == &set->target[m.hang_fs].job || job == &m.freezer.busy->job);
	case 'L':	/* the check for new mounts at the thaw */
		return m.freezer.state == FREEZER_THAW && job == &set->job;
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
	if (m.count == m.fail_at ||
	    (what == m.fail_call && (m.fail_fs == EVERY || fd - FD == m.fail_fs)))
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

/* Called during writeback, and at the begin and end of each round of syncfs(). */
static int64_t fake_dirty(void)
{
	if (m.freezer.state == FREEZER_WRITEBACK)
		return m.flusher_kib[m.polls++];
	return m.dirty[m.freezer.round + !m.freezer.syncing];
}

static int fake_freeze(int fd)
{
	int err;

	assert_true(m.log_held);
	if (m.thawed_by_another && m.freezer.state == FREEZER_VERIFY) {
		m.frozen[m.thawed_by_another]--;
		m.thaws[m.thawed_by_another]++;
		m.thawed_by_another = 0;
	}
	if (m.frozen[fd - FD])
		return -EBUSY;
	err = call('F', fd);
	if (err)
		return err;
	assert_int_equal(m.frozen[fd - FD]++, 0);
	m.freezes[fd - FD]++;
	return 0;
}

static int fake_readonly(int fd)
{
	return m.read_only[fd - FD];
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
		return -ENOTTY;	/* as an older module; the freezer must ignore it */
	if (cmd == HV_VSS_IOC_THAW) {
		int err = call('E', fd);

		if (!err || err == -EINPROGRESS)
			m.frozen[fd - FD]--, m.thaws[fd - FD]++;
		return err;
	}
	if (cmd == HV_VSS_IOC_DISARM && m.snapshot_remains && !call('D', fd))
		return 1;
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
	.readonly = fake_readonly,
	.guard = fake_guard, .dirty_kib = fake_dirty, .now_us = fake_now, .sleep_ms = fake_sleep,
	.wake_flushers = fake_wake,
};

static int fake_build(void *ctx, struct fsset *set)
{
	struct mounts_mount mount = { .path = "/x" };

	(void)ctx;
	for (int i = 0; i < FS && !m.build_error; i++) {
		const struct mounts_fs fs = {
			.dev = i + 1, .type = "ext4", .source = "/dev/x",
			.mount = &mount,
			.mounts = 1, .action = m.optional[i] ? MOUNTS_SYNC : MOUNTS_FREEZE,
			.kind = m.optional[i] ? FSTYPE_UNFREEZABLE : FSTYPE_FREEZABLE,
			.reason = "this type can't be frozen", .beside = m.beside[i],
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

struct busy *busy_new(const struct fsset *set, const struct busy_config *config)
{
	struct busy *b = m.no_checker ? NULL : calloc(1, sizeof(*b));

	assert_int_equal(set->n, FS);
	if (!b)
		return NULL;
	b->config = config;
	b->fs = calloc(FS, sizeof(*b->fs));
	b->n = FS;
	m.checkers++;
	return b;
}

void busy_free(struct busy *b)
{
	if (!b)
		return;
	m.checkers--;
	free(b->fs);
	free(b);
}

static void find(struct busy *b, int n)
{
	b->found.n = n;
	for (int i = 0; i < n; i++)
		b->found.one[i] = (struct culprit){
			.pid = 7, .comm = "cat", .call = "splice", .path = "/x",
		};
}

void busy_check(struct busy *b)
{
	b->result = m.checks[m.checked];
	b->waited = m.waits[m.checked++];
	find(b, b->result == -EBUSY);
}

void busy_name(struct busy *b)
{
	m.named++;
	for (int i = 0; i < FS; i++)
		assert_int_equal(b->fs[i].wanted, i == m.hang_fs);
	find(b, m.found);
}

static int fake_appeared(void *ctx, struct fsset *set)
{
	(void)ctx;
	if (m.appeared)
		snprintf(set->why, sizeof(set->why), "/late: was mounted");
	return m.appeared;
}

static void fake_judge(void *ctx, struct fsset *set)
{
	(void)ctx;
	set->verdict = m.verdict;
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

/* Let the workers run until only hung jobs are left. */
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

static void hung_job_returns(void)
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

static const struct busy_config busy_config;

static int setup(void **state)
{
	(void)state;
	record_free(&m.record);
	memset(&m, 0, sizeof(m));
	m.now = 1000 * SECOND;
	m.config = (struct freezer_config){
		.freeze_us = 100 * SECOND, .fifreeze_us = 10 * SECOND, .hold_us = 60 * SECOND,
		.thaw_us = 20 * SECOND, .patience_us = SECOND,
	};
	m.source = (struct freezer_source){
		.build = fake_build, .verify = fake_verify,
		.appeared = fake_appeared, .judge = fake_judge, .busy = &busy_config,
	};
	m.freezer = (struct freezer){
		.config = &m.config, .source = &m.source, .ops = &ops, .report = on_report,
		.record = on_record,
	};
	return 0;
}

static int setup_guard(void **state)
{
	setup(state);
	m.guard = guard_new(DEVICE, 0);
	return m.guard ? 0 : -1;
}

static int setup_thawing_guard(void **state)
{
	setup(state);
	m.guard = guard_new(DEVICE, HV_VSS_FEAT_GUARD | HV_VSS_FEAT_THAW);
	return m.guard ? 0 : -1;
}

/* After every test: nothing is frozen, each freeze had one thaw, nothing has leaked. */
static void assert_clean(void)
{
	for (int i = 0; i < FS; i++) {
		assert_int_equal(m.frozen[i], 0);
		assert_int_equal(m.thaws[i], m.freezes[i]);
	}
	assert_int_equal(m.freezer.state, FREEZER_IDLE);
	assert_null(m.freezer.set);
	assert_null(m.freezer.stuck);
	assert_null(m.freezer.late);
	assert_false(m.log_held);
	assert_int_equal(m.checkers, m.freezer.lost_checks);
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

/* Each call fails in turn. Then the freeze is undone in reverse order, or the thaw continues. */
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
			/* FITHAW is retried after EIO. From the guard it means "thawed already". */
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

/* File systems 0 to 2 do not depend on each other; 3 has to wait for them. */
static void set_beside(void)
{
	m.beside[1] = true;
	m.beside[2] = true;
}

static void independent_file_systems_are_frozen_together(void **state)
{
	(void)state;
	set_beside();
	m.hang_call = 'F';
	m.hang_fs = 0;
	begin();
	assert_string_equal(m.calls, "S0S1S2S3F1F2");
	hung_job_returns();
	work();
	assert_string_equal(m.calls, "S0S1S2S3F1F2F0F3");
	assert_reported(1, FREEZER_FREEZE_OK);
	m.calls[0] = '\0';
	freezer_thaw(&m.freezer);
	work();
	assert_string_equal(m.calls, "T3T2T1T0");
	assert_clean();
}

static void failure_waits_for_parallel_freezes(void **state)
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

static void failure_does_not_wait_for_a_hung_freeze(void **state)
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
	hung_job_returns();
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

static void foreign_freeze_fails_and_is_not_thawed(void **state)
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
	assert_string_equal(m.record.fs[1].reason, "frozen by another process");
	assert_clean();
}

static void backup_of_nothing_fails_though_all_may_be_skipped(void **state)
{
	(void)state;
	m.config.skip_foreign = true;
	m.fail_call = 'F';
	m.fail_fs = EVERY;
	m.fail_with = -EBUSY;
	begin();
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.record.reason, "nothing is frozen: every file system was skipped");
	assert_clean();
}

static void sync_is_repeated_while_it_helps(void **state)
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
		{ { 16000000, 8000000, 4000000, 2000000, 1000000, 1000 },	/* the most */
		  { 900000, 450000, 225000, 112000, 56000, 28000 }, 5 },
		{ { 51000000, 1000 }, { 900000, 10000 }, 1 },	/* no time for a second */
		/* The dirty amount is not known. */
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

/* One poll at the begin, then one every 20 ms; the 13th is after a quarter of a second. */
static void writeback_continues_while_it_makes_progress(void **state)
{
	static const struct {
		int kib[8];		/* at the first poll, and after each quarter of a second */
		int error;
		int64_t budget;
		unsigned int wakes, polls;
	} cases[] = {
		{ { 8192 }, 0, 0, 0, 1 },			/* too little */
		{ { -ENODATA }, 0, 0, 0, 1 },
		{ { 900000 }, -EACCES, 0, 1, 1 },
		{ { 900000, 8192 }, 0, 0, 1, 1 + 13 },
		{ { 900000, 400000, 100000, 5 }, 0, 0, 3, 1 + 39 },
		{ { 240000, 239000, 238000, 5 }, 0, 0, 3, 1 + 39 },	/* just fast enough */
		{ { 240000, 239000, 238001, 5 }, 0, 0, 2, 1 + 26 },
		{ { 900000, 900000, 5 }, 0, 0, 1, 1 + 13 },	/* the kernel does not write */
		{ { 900000, 1000000, 5 }, 0, 0, 1, 1 + 13 },
		{ { 900000, 500000, -ENODATA }, 0, 0, 2, 1 + 26 },
		/* Half of the time is reserved for syncfs(). */
		{ { 900000, 500000, 400000, 300000 }, 0, SECOND, 2, 1 + 25 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		m.config.sync_us = cases[i].budget;
		m.no_flushers = cases[i].error;
		for (unsigned int l = 0; l < 8 * 13; l++)
			m.flusher_kib[l] = cases[i].kib[l / 13];
		begin();
		while (m.freezer.state == FREEZER_WRITEBACK) {
			assert_int_equal(m.reports, 0);
			assert_string_equal(m.calls, "");
			assert_int_equal(freezer_deadline(&m.freezer), m.now + 20000);
			pass(20000);
		}
		assert_int_equal(m.wakes, cases[i].wakes);
		assert_int_equal(m.polls, cases[i].polls);
		assert_reported(1, FREEZER_FREEZE_OK);
		freezer_thaw(&m.freezer);
		work();
		assert_reported(2, FREEZER_THAW_OK);
		assert_clean();
	}
}

static void abort_during_writeback(void **state)
{
	(void)state;
	for (int l = 0; l < 512; l++)
		m.flusher_kib[l] = 900000 - 1000 * l;
	begin();
	pass(20000);
	assert_int_equal(m.freezer.state, FREEZER_WRITEBACK);
	freezer_abort(&m.freezer, "for a test");
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.calls, "");
	assert_clean();
}

static void deadline_passes_during_writeback(void **state)
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
	hung_job_returns();
	assert_clean();
}

static void sync_has_a_time_limit(void **state)
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
			    "/x: syncing was not done within the time allowed");
	assert_string_equal(m.calls, "S0S1S2");
	hung_job_returns();
	assert_clean();
}

static void record_has_result_and_reason(void **state)
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
	/* The record of a failure has its reason and the file system. */
	m.fail_call = 'F';
	m.fail_fs = 2;
	m.fail_with = -EIO;
	begin();
	assert_int_equal(m.records, 2);
	assert_string_equal(m.record.reason, "/x: cannot be frozen: Input/output error");
	assert_int_equal(m.record.fs[1].action, RECORD_FROZEN);
	assert_int_equal(m.record.fs[2].action, RECORD_FAILED);
	assert_int_equal(m.record.fs[3].action, RECORD_UNTOUCHED);
	/* So does that of a freeze that another process has thawed. */
	m.fail_call = 'T';
	m.fail_fs = 1;
	m.fail_with = -EINVAL;
	begin();
	m.frozen[1]--, m.thaws[1]++;
	freezer_thaw(&m.freezer);
	work();
	assert_int_equal(m.records, 3);
	assert_string_equal(m.record.reason,
			    "/x: was thawed by another process (Invalid argument)");
	assert_int_equal(m.record.fs[1].action, RECORD_FAILED);
	assert_clean();
}

static void unsupported_is_only_synced(void **state)
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

static void guard_thaws_in_one_step(void **state)
{
	(void)state;
	begin();
	m.calls[0] = '\0';
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_string_equal(m.calls, "E3E2E1E0");
	assert_clean();
}

/* The guard returns an error for one file system: the thaw fails, and the record has the reason. */
static void guard_reports_why_a_freeze_has_ended(void **state)
{
	static const struct {
		int err;
		const char *why;
	} cases[] = {
		{ -ESTALE, "/x: was thawed by the kernel (Stale file handle)" },
		{ -EIDRM, "/x: was thawed by another process (Identifier removed)" },
		{ -EROFS, "/x: met an error while frozen and became read-only "
			  "(Read-only file system)" },
		{ -EINPROGRESS, "/x: cannot be thawed yet, and the kernel goes on trying "
				"(Operation now in progress)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		m.fail_call = '\0';
		begin();
		m.fail_call = 'E';
		m.fail_fs = 1;
		m.fail_with = cases[i].err;
		if (cases[i].err != -EINPROGRESS)
			m.frozen[1]--, m.thaws[1]++;
		m.calls[0] = '\0';
		freezer_thaw(&m.freezer);
		work();
		assert_reported(2 * i + 2, FREEZER_THAW_FAILED);
		assert_string_equal(m.calls, "E3E2E1E0");
		assert_string_equal(m.record.reason, cases[i].why);
		assert_clean();
	}
}

/* FITHAW ends our freeze, but returns EINVAL because the freeze of a snapshot remains. */
static void remaining_freeze_of_a_snapshot_is_no_failure(void **state)
{
	(void)state;
	begin();
	m.snapshot_remains = true;
	m.frozen[2]--;
	m.thaws[2]++;
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_clean();
}

static void hold_limit_thaws_and_fails_the_backup(void **state)
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

/* A slow freeze does not shorten the time that the host has for its copy. */
static void hold_limit_starts_at_the_answer(void **state)
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

/* Only needed without the guard: the guard itself notices such a thaw. */
static void thaw_by_another_process_before_the_answer(void **state)
{
	(void)state;
	m.thawed_by_another = 2;
	begin();
	if (m.guard) {
		assert_reported(1, FREEZER_FREEZE_OK);
		assert_int_equal(m.thawed_by_another, 2);
		freezer_thaw(&m.freezer);
		work();
		assert_clean();
		return;
	}
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.record.reason, "/x: another process has thawed it while other file "
					     "systems were being frozen");
	assert_int_equal(m.record.fs[2].action, RECORD_FAILED);
	assert_clean();
}

/* Everything has been thawed before verify runs. It would call FIFREEZE, so it must not run. */
static void late_verify_freezes_nothing(void **state)
{
	(void)state;
	m.hang_call = 'V';
	begin();
	pass(10 * SECOND);
	assert_reported(1, FREEZER_FAILED);
	m.calls[0] = '\0';
	hung_job_returns();
	assert_string_equal(m.calls, "");
	assert_clean();
}

static void becoming_read_only_while_frozen_fails_the_thaw(void **state)
{
	(void)state;
	m.read_only[1] = 1;	/* already before the freeze */
	begin();
	m.read_only[2] = 1;
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_FAILED);
	assert_non_null(strstr(m.record.reason, "become read-only"));
	assert_int_equal(m.record.fs[1].action, RECORD_FROZEN);
	assert_int_equal(m.record.fs[2].action, RECORD_FAILED);
	assert_string_equal(m.record.fs[2].reason, "has become read-only while it was frozen");
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

/* It is shorter than the time that the host allows. */
static void fifreeze_has_its_own_time_limit(void **state)
{
	(void)state;
	m.hang_call = 'F';
	m.hang_fs = 3;
	begin();
	pass(10 * SECOND - 1);
	assert_int_equal(m.reports, 0);
	assert_int_equal(m.frozen[0], 1);
	pass(1);
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.record.reason,
			    "/x: FIFREEZE was not done within the time allowed");
	hung_job_returns();
	assert_clean();
}

static void blocker_fails_the_freeze_before_fifreeze(void **state)
{
	(void)state;
	m.checks[0] = -EBUSY;
	begin();
	assert_reported(1, FREEZER_FAILED);
	assert_null(strchr(m.calls, 'F'));
	assert_null(strchr(m.calls, 'T'));
	assert_string_equal(m.record.reason,
			    "/x: cannot be frozen now: process 7 (cat) is in splice()");
	assert_int_equal(m.record.culprits.n, 1);
	assert_int_equal(m.record.freeze_us, 0);
	assert_clean();
}

/* The wait may have been long, so much may be dirty again. */
static void sync_is_repeated_after_waiting_for_a_blocker(void **state)
{
	(void)state;
	m.waits[0] = true;
	begin();
	assert_reported(1, FREEZER_FREEZE_OK);
	assert_int_equal(m.checked, 2);
	assert_string_equal(m.calls, "S0S1S2S3S0S1S2S3F0F1F2F3");
	assert_int_equal(freezer_thaw(&m.freezer), 0);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_int_equal(m.record.culprits.n, 0);
	assert_clean();
}

/* A backup does not need the checks for blockers. */
static void freeze_continues_without_a_check_that_hangs_or_fails(void **state)
{
	(void)state;
	m.hang_call = 'C';
	begin();
	assert_null(strchr(m.calls, 'F'));
	pass(6 * SECOND);
	assert_reported(1, FREEZER_FREEZE_OK);
	assert_int_equal(freezer_thaw(&m.freezer), 0);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_int_equal(m.freezer.lost_checks, 1);
	assert_clean();
	begin();			/* without a check */
	assert_reported(3, FREEZER_FREEZE_OK);
	assert_int_equal(m.checked, 0);
	hung_job_returns();
	assert_int_equal(m.freezer.lost_checks, 0);
	assert_int_equal(freezer_thaw(&m.freezer), 0);
	work();
	m.no_checker = true;
	begin();
	assert_reported(5, FREEZER_FREEZE_OK);
	assert_int_equal(freezer_thaw(&m.freezer), 0);
	work();
	m.no_checker = false;
	m.hang_call = 0;
	m.checks[m.checked] = -EACCES;
	begin();
	assert_reported(7, FREEZER_FREEZE_OK);
	assert_int_equal(freezer_thaw(&m.freezer), 0);
	work();
	assert_clean();
}

static void blocker_of_fifreeze_is_identified(void **state)
{
	(void)state;
	m.hang_call = 'F';
	m.hang_fs = 1;
	m.found = 2;
	begin();
	pass(SECOND - 1);
	assert_int_equal(m.named, 0);
	pass(1);
	assert_int_equal(m.named, 1);
	for (int i = 0; i < 9; i++)
		pass(SECOND);
	assert_int_equal(m.named, 3);	/* then every 2.5 s */
	assert_reported(1, FREEZER_FAILED);
	assert_string_equal(m.record.reason, "/x: FIFREEZE was not done within the time allowed: "
					     "process 7 (cat) is in splice()");
	assert_string_equal(m.freezer.stuck_why, m.record.reason);
	assert_int_equal(m.record.culprits.n, 2);
	hung_job_returns();
	assert_clean();
}

static void hung_identification_loses_only_the_names(void **state)
{
	struct job *fifreeze;

	(void)state;
	m.hang_call = 'N';
	m.hang_fs = 1;
	begin();
	fifreeze = m.hung;
	for (int i = 0; i < 10; i++)
		pass(SECOND);
	assert_reported(1, FREEZER_FAILED);
	assert_int_equal(m.freezer.lost_checks, 1);
	assert_int_equal(m.record.culprits.n, 0);
	hung_job_returns();
	m.hung = fifreeze;
	hung_job_returns();
	assert_int_equal(m.freezer.lost_checks, 0);
	assert_clean();
}

static void hung_freeze_thaws_the_others_and_is_thawed_late(void **state)
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
	/* FIFREEZE returns only now. */
	hung_job_returns();
	assert_int_equal(m.frozen[2], 0);
	assert_clean();
	m.hang_call = 0;
	begin();
	assert_reported(2, FREEZER_FREEZE_OK);
	freezer_thaw(&m.freezer);
	work();
	assert_clean();
}

/* The worker is inside FIFREEZE when the freezer gives it up. FIFREEZE then succeeds. */
static struct target *entered;

static int freeze_that_is_given_up(int fd)
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
	late.freeze = freeze_that_is_given_up;
	m.freezer.ops = &late;
	assert_int_equal(freezer_begin(&m.freezer, m.guard, COOKIE), 0);
	entered = (struct target *)&m;
	work();
	assert_int_equal(m.freezes[2], 1);
	assert_int_equal(m.freezes[3], 0);
	assert_reported(1, FREEZER_FAILED);
	assert_clean();
}

/* FIFREEZE has succeeded, but the deadline passes before the freezer gets the result. */
static void freeze_without_delivered_result_is_thawed_once(void **state)
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

static void hung_thaw_does_not_delay_the_others(void **state)
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
	hung_job_returns();
	assert_clean();
}

/* The deadline passes while one FITHAW hangs, before the next one was submitted. */
static void thaw_deadline_still_thaws_the_others(void **state)
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
	hung_job_returns();
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
	hung_job_returns();
	assert_clean();
}

static void hung_plan_fails_in_time(void **state)
{
	(void)state;
	m.hang_call = 'B';
	begin();
	pass(100 * SECOND);
	assert_reported(1, FREEZER_FAILED);
	hung_job_returns();
	assert_clean();
}

static void new_mount_restarts_the_freeze(void **state)
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

static void mount_table_that_keeps_changing_fails(void **state)
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

/* The host cancels a freeze whose syncfs() hangs, and requests another one. */
static void hung_sync_of_a_cancelled_freeze_does_not_block_the_next(void **state)
{
	(void)state;
	m.hang_call = 'S';
	m.hang_fs = 1;
	begin();
	freezer_abort(&m.freezer, "called off");
	assert_reported(1, FREEZER_FAILED);
	assert_null(m.freezer.stuck);
	m.hang_call = 0;
	begin();
	assert_reported(2, FREEZER_FREEZE_OK);
	freezer_thaw(&m.freezer);
	work();
	assert_reported(3, FREEZER_THAW_OK);
	hung_job_returns();
	assert_clean();
}

static void number_of_hung_syncs_is_limited(void **state)
{
	int err = 0, begun = 0;

	(void)state;
	m.hang_call = 'S';
	m.hang_fs = 1;
	for (; !err && begun < 7; begun++) {
		err = freezer_begin(&m.freezer, m.guard, COOKIE);
		work();
		freezer_abort(&m.freezer, "called off");
	}
	assert_int_equal(err, -EBUSY);
	assert_true(begun > 2);
	while (m.freezer.late) {
		m.hung = &m.freezer.late->target[1].job;
		hung_job_returns();
	}
	assert_clean();
}

/* Like a suspended ZFS pool: FREEZE succeeds, and later backups do not call syncfs() again. */
static void hung_optional_sync_is_given_up(void **state)
{
	(void)state;
	m.optional[2] = true;
	m.hang_call = 'S';
	m.hang_fs = 2;
	begin();
	assert_int_equal(m.reports, 0);
	pass(11 * SECOND);
	assert_reported(1, FREEZER_FREEZE_OK);
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_int_equal(m.record.fs[2].action, RECORD_FAILED);
	assert_string_equal(m.record.fs[2].reason, "syncing it takes too long");
	m.calls[0] = '\0';
	begin();
	assert_reported(3, FREEZER_FREEZE_OK);
	assert_null(strstr(m.calls, "S2"));
	assert_null(strstr(m.calls, "F2"));
	freezer_thaw(&m.freezer);
	work();
	assert_string_equal(m.record.fs[2].reason,
			    "syncing it for an earlier backup has not ended");
	hung_job_returns();
	assert_clean();
}

/* The daemon's list of types may be wrong, so FIFREEZE is called in any case. */
static void optional_file_system_is_frozen_if_possible(void **state)
{
	(void)state;
	m.optional[1] = true;
	begin();
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_int_equal(m.record.fs[1].action, RECORD_FROZEN);
	assert_null(m.record.fs[1].reason);
	m.fail_call = 'F';
	m.fail_fs = 1;
	m.fail_with = -EOPNOTSUPP;
	begin();
	freezer_thaw(&m.freezer);
	work();
	assert_reported(4, FREEZER_THAW_OK);
	assert_int_equal(m.record.fs[1].action, RECORD_SYNCED);
	assert_string_equal(m.record.fs[1].reason, "this type can't be frozen");
	assert_clean();
}

static void dead_file_system_may_be_skipped(void **state)
{
	(void)state;
	for (int skip = 0; skip <= 1; skip++)
		for (const char *call = "SF"; *call; call++) {
			setup(state);
			m.config.skip_dead = skip;
			m.fail_call = *call;
			m.fail_fs = 1;
			m.fail_with = -EIO;
			begin();
			assert_reported(1, skip ? FREEZER_FREEZE_OK : FREEZER_FAILED);
			if (skip) {
				freezer_thaw(&m.freezer);
				work();
				assert_reported(2, FREEZER_THAW_OK);
			}
			assert_int_equal(m.record.fs[1].action, RECORD_FAILED);
			assert_clean();
		}
}

static void mount_during_the_freeze_fails_the_thaw(void **state)
{
	(void)state;
	m.appeared = 1;
	begin();
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_FAILED);
	assert_string_equal(m.record.reason, "/late: was mounted");
	assert_clean();
}

static void writes_while_frozen_fail_a_strict_backup_only(void **state)
{
	(void)state;
	m.verdict = (struct evidence_verdict){
		.known = 1, .disks = 2, .written = 1, .other = 1, .n = 2,
		.one = { { "sdb", "sdb3", 2, 8, WRITTEN_DATA },
			 { "sda", "sda2", 9, 36, WRITTEN_SWAP } },
	};
	begin();
	freezer_thaw(&m.freezer);
	work();
	assert_reported(2, FREEZER_THAW_OK);
	assert_int_equal(m.record.written, 1);
	assert_string_equal(m.record.evidence, "written to while frozen: sdb (2 requests, 8 KiB, "
			    "by way of sdb3), sda by swap alone");
	m.config.strict = true;
	begin();
	freezer_thaw(&m.freezer);
	work();
	assert_reported(4, FREEZER_THAW_FAILED);
	assert_string_equal(m.record.reason, "written to while file systems were frozen: sdb (2 "
			    "requests, 8 KiB, by way of sdb3), and --strict is set");
	assert_clean();
}

/* Everything has been thawed before the check. */
static void hung_mount_check_only_fails_the_thaw(void **state)
{
	(void)state;
	begin();
	m.hang_call = 'L';
	freezer_thaw(&m.freezer);
	work();
	for (int i = 0; i < FS; i++)
		assert_int_equal(m.frozen[i], 0);
	assert_int_equal(m.reports, 1);
	pass(20 * SECOND);
	assert_reported(2, FREEZER_THAW_FAILED);
	hung_job_returns();
	assert_clean();
}

static int clean_up(void **state)
{
	(void)state;
	record_free(&m.record);
	return 0;
}

#define PLAIN(f)	cmocka_unit_test_setup(f, setup)
#define THAWING(f)	{ #f, f, setup_thawing_guard, teardown_guard, NULL }
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
		PLAIN(independent_file_systems_are_frozen_together),
		PLAIN(failure_waits_for_parallel_freezes),
		PLAIN(failure_does_not_wait_for_a_hung_freeze),
		GUARD(failed_freeze_is_disarmed),
		PLAIN(foreign_freeze_fails_and_is_not_thawed),
		PLAIN(foreign_freeze_may_be_skipped),
		PLAIN(backup_of_nothing_fails_though_all_may_be_skipped),
		PLAIN(sync_is_repeated_while_it_helps),
		PLAIN(writeback_continues_while_it_makes_progress),
		PLAIN(abort_during_writeback),
		PLAIN(deadline_passes_during_writeback),
		PLAIN(sync_has_a_time_limit),
		PLAIN(record_has_result_and_reason),
		PLAIN(unsupported_is_only_synced),
		PLAIN(unsupported_fails_if_strict),
		PLAIN(foreign_thaw_fails_the_thaw),
		GUARD(kernel_thaw_is_not_repeated),
		THAWING(guard_thaws_in_one_step),
		THAWING(guard_reports_why_a_freeze_has_ended),
		GUARD(remaining_freeze_of_a_snapshot_is_no_failure),
		PLAIN(hold_limit_thaws_and_fails_the_backup),
		GUARD(hold_limit_thaws_and_fails_the_backup),
		PLAIN(hold_limit_starts_at_the_answer),
		PLAIN(thaw_by_another_process_before_the_answer),
		GUARD(thaw_by_another_process_before_the_answer),
		PLAIN(late_verify_freezes_nothing),
		PLAIN(becoming_read_only_while_frozen_fails_the_thaw),
		PLAIN(fifreeze_has_its_own_time_limit),
		GUARD(fifreeze_has_its_own_time_limit),
		PLAIN(blocker_fails_the_freeze_before_fifreeze),
		PLAIN(sync_is_repeated_after_waiting_for_a_blocker),
		PLAIN(freeze_continues_without_a_check_that_hangs_or_fails),
		PLAIN(blocker_of_fifreeze_is_identified),
		PLAIN(hung_identification_loses_only_the_names),
		PLAIN(abort_while_frozen_thaws),
		PLAIN(hung_freeze_thaws_the_others_and_is_thawed_late),
		GUARD(hung_freeze_thaws_the_others_and_is_thawed_late),
		PLAIN(late_freeze_is_thawed_by_its_worker),
		GUARD(late_freeze_is_thawed_by_its_worker),
		PLAIN(freeze_without_delivered_result_is_thawed_once),
		GUARD(freeze_without_delivered_result_is_thawed_once),
		PLAIN(hung_thaw_does_not_delay_the_others),
		PLAIN(thaw_deadline_still_thaws_the_others),
		PLAIN(hung_sync_fails_in_time),
		PLAIN(hung_plan_fails_in_time),
		PLAIN(new_mount_restarts_the_freeze),
		PLAIN(mount_table_that_keeps_changing_fails),
		PLAIN(unreadable_mount_table_fails),
		PLAIN(hung_sync_of_a_cancelled_freeze_does_not_block_the_next),
		PLAIN(number_of_hung_syncs_is_limited),
		PLAIN(hung_optional_sync_is_given_up),
		PLAIN(optional_file_system_is_frozen_if_possible),
		PLAIN(dead_file_system_may_be_skipped),
		PLAIN(mount_during_the_freeze_fails_the_thaw),
		PLAIN(writes_while_frozen_fail_a_strict_backup_only),
		PLAIN(hung_mount_check_only_fails_the_thaw),
		PLAIN(abort_at_every_point),
		GUARD(abort_at_every_point),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
