// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/procfs.c daemon/blockers/culprit.c daemon/plan/kernelfaults.c
// Sources: daemon/preflight.c daemon/report/kernelwarn.c
/*
 * The answer to HOT_BACKUP: from memory if possible, else from a new check. The test controls time,
 * worker and machine.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "hooks/hooklist.h"
#include "preflight.h"
#include "test.h"

#define SECOND		1000000LL
#define LIMIT		(20 * SECOND)
#define HOOKS		"/hooks.d"

/* One fake machine; a test has one at a time. */
static struct {
	int64_t now;
	int mounts;			/* result of making the plan */
	int busy;			/* result of the check for blockers */
	int hooks;			/* result of hooklist_has_any() */
	int hooks_error;		/* result of hooklist_read() */
	const char *refused;		/* reason why a hook is refused; or NULL */
	unsigned int thorough, quick;	/* number of checks */
	unsigned int table;		/* opened descriptors of our mount table ... */
	unsigned int closed;		/* ... and closed ones */
	unsigned int changed;		/* those up to this one report a change */
	bool no_table, no_thread;
	unsigned int warnings, notices;
	struct job *job;
	int reported;			/* -1: nothing */
	unsigned int reports;
	struct hooks_config config;
	struct preflight p;
} m;

void log_msg(int priority, const char *fmt, ...)
{
	(void)fmt;
	m.warnings += priority == LOG_WARNING;
	m.notices += priority == LOG_NOTICE;
}

void reason_log(char why[REASON_SIZE], int priority, const char *mount, const char *fmt, ...)
{
	va_list ap;

	(void)priority;
	(void)mount;
	va_start(ap, fmt);
	vsnprintf(why, REASON_SIZE, fmt, ap);
	va_end(ap);
}

int build_fsset(void *config, struct fsset *set)
{
	static struct target target = { .type = "xfs", .source = "/dev/sda1", .freezable = true };

	assert_null(config);
	m.thorough++;
	set->target = &target;
	set->n = 1;
	if (m.mounts)
		snprintf(set->why, sizeof(set->why), "/x: cannot be opened");
	return m.mounts;
}

int build_dry_run(const struct build_config *config, char why[REASON_SIZE])
{
	assert_null(config);
	m.quick++;
	if (m.mounts)
		snprintf(why, REASON_SIZE, "no plan");
	return m.mounts;
}

struct busy *busy_new(const struct fsset *set, const struct busy_config *config)
{
	struct busy *b = calloc(1, sizeof(*b));

	assert_non_null(set);
	assert_false(config->wait);	/* only a freeze waits */
	return b;
}

void busy_free(struct busy *b)
{
	free(b);
}

void busy_check(struct busy *b)
{
	b->result = m.busy;
	b->found.n = m.busy == -EBUSY;
	b->found.one[0] = (struct culprit){ .pid = 7, .comm = "cat", .call = "splice" };
}

void fsset_free(struct fsset *set)
{
	free(set);
}

int hooklist_has_any(const char *where)
{
	assert_string_equal(where, HOOKS);
	return m.hooks;
}

int hooklist_read(struct hooklist *list, const char *where, uid_t owner)
{
	static struct hooklist_refusal refusal;

	assert_string_equal(where, HOOKS);
	assert_int_equal(owner, geteuid());
	refusal = (struct hooklist_refusal){ .path = HOOKS "/a", .why = m.refused };
	if (m.refused)
		*list = (struct hooklist){ .refusal = &refusal, .refused = 1 };
	return m.hooks_error;
}

void hooklist_log_refused(const struct hooklist *list)
{
	(void)list;
}

void hooklist_free(struct hooklist *list)
{
	(void)list;
}

int pool_reserve(struct pool *pool, unsigned int idle)
{
	(void)pool;
	assert_int_equal(idle, 1);
	return m.no_thread ? -EAGAIN : 0;
}

void pool_submit(struct pool *pool, struct job *job)
{
	(void)pool;
	assert_null(m.job);
	atomic_store(&job->phase, JOB_RUNNING);
	m.job = job;
}

static int fake_open(const char *path, int flags)
{
	(void)flags;
	assert_string_equal(path, "/proc/self/mountinfo");
	if (m.no_table)
		return -EMFILE;
	m.table++;
	return m.table;
}

static int fake_close(int fd)
{
	assert_in_range(fd, 1, m.table);
	m.closed++;
	return 0;
}

static int fake_poll(int fd, int timeout_ms)
{
	assert_in_range(fd, 1, m.table);
	assert_int_equal(timeout_ms, 0);
	return (unsigned int)fd <= m.changed ? POLLIN | POLLERR : POLLIN;
}

static int64_t fake_now(void)
{
	return m.now;
}

static const struct sysops ops = {
	.open = fake_open, .close = fake_close, .poll_in = fake_poll, .now_us = fake_now,
};

static void on_report(void *ctx, bool ok)
{
	assert_ptr_equal(ctx, &m);
	m.reported = ok;
	m.reports++;
}

static int setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	m.now = 1000 * SECOND;
	m.reported = -1;
	m.config = (struct hooks_config){ .where = HOOKS };
	m.p = (struct preflight){
		.hooks = &m.config, .ops = &ops, .report = on_report, .ctx = &m,
	};
	preflight_init(&m.p);
	return 0;
}

/* Only one descriptor is left open, for the answer from memory. */
static int teardown(void **state)
{
	(void)state;
	assert_null(m.job);
	preflight_invalidate(&m.p);
	assert_int_equal(m.table, m.closed);
	return 0;
}

static void run(void)
{
	m.job->run(m.job);
}

static void deliver(void)
{
	struct job *job = m.job;

	m.job = NULL;
	assert_true(preflight_job_done(&m.p, job));
}

static void work(void)
{
	while (m.job) {
		run();
		deliver();
	}
}

static void pass_a_check(void)
{
	preflight_start(&m.p, LIMIT);
	work();
	assert_true(m.p.passed);
	m.thorough = 0;
}

static void start_quick_check(void)
{
	preflight_schedule(&m.p, LIMIT);
	m.now = preflight_deadline(&m.p);
	preflight_tick(&m.p);
}

static void change_mount_table(void)
{
	m.changed = m.table;
}

static void request_is_answered_by_a_check(void **state)
{
	(void)state;
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	assert_int_equal(m.reported, -1);
	work();
	assert_int_equal(m.reported, 1);
	assert_int_equal(m.thorough, 1);
}

static void known_answer_needs_no_check(void **state)
{
	(void)state;
	pass_a_check();
	for (int i = 0; i < 3; i++)
		assert_int_equal(preflight_request(&m.p, LIMIT), 1);
	assert_null(m.job);
	assert_int_equal(m.reports, 0);
}

static void changed_mount_table_needs_a_check(void **state)
{
	(void)state;
	pass_a_check();
	change_mount_table();
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	m.mounts = -EXDEV;
	work();
	assert_int_equal(m.reported, 0);
	assert_string_equal(m.p.reason, "/x: cannot be opened");
	/* "No" is never answered from memory. */
	m.mounts = 0;
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 1);
	assert_int_equal(preflight_request(&m.p, LIMIT), 1);
}

static void without_a_mount_table_nothing_is_answered_from_memory(void **state)
{
	(void)state;
	m.no_table = true;
	preflight_start(&m.p, LIMIT);
	work();
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 1);
}

static void quick_check_opens_nothing_and_warns(void **state)
{
	(void)state;
	pass_a_check();
	start_quick_check();
	work();
	assert_int_equal(m.quick, 1);
	assert_int_equal(m.thorough, 0);
	assert_int_equal(m.warnings, 0);
	assert_int_equal(preflight_request(&m.p, LIMIT), 1);
	m.mounts = -EOPNOTSUPP;
	start_quick_check();
	work();
	assert_int_equal(m.warnings, 1);
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 0);
}

static void freeze_cancels_a_scheduled_check(void **state)
{
	(void)state;
	pass_a_check();
	preflight_schedule(&m.p, LIMIT);
	preflight_tick(&m.p);
	assert_null(m.job);
	preflight_unschedule(&m.p);
	assert_int_equal(preflight_deadline(&m.p), INT64_MAX);
	m.now += 10 * SECOND;
	preflight_tick(&m.p);
	assert_null(m.job);
}

static void failed_freeze_needs_a_check(void **state)
{
	(void)state;
	pass_a_check();
	preflight_invalidate(&m.p);
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 1);
}

/* A check that began before the request may have missed a change before the request. */
static void check_that_began_before_the_request(void **state)
{
	(void)state;
	preflight_start(&m.p, LIMIT);
	run();
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	deliver();
	assert_int_equal(m.reported, 1);
	assert_int_equal(m.thorough, 1);
	/* It was a quick one ... */
	change_mount_table();
	start_quick_check();
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reports, 2);
	assert_int_equal(m.thorough, 2);
	/* ... or something was mounted during the check ... */
	change_mount_table();
	preflight_invalidate(&m.p);
	preflight_start(&m.p, LIMIT);
	run();
	change_mount_table();
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	deliver();
	assert_int_equal(m.reports, 2);
	work();
	assert_int_equal(m.reports, 3);
	/* ... or it has found a problem that may have gone. */
	change_mount_table();
	m.mounts = -EIO;
	preflight_start(&m.p, LIMIT);
	run();
	m.mounts = 0;
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	deliver();
	work();
	assert_int_equal(m.reports, 4);
	assert_int_equal(m.reported, 1);
}

static void blockers_fail_the_check(void **state)
{
	struct busy_config busy = { .wait = false };

	(void)state;
	m.p.busy = &busy;
	pass_a_check();
	m.busy = -EBUSY;
	preflight_invalidate(&m.p);
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 0);
	assert_string_equal(m.p.reason, "cannot be frozen now: process 7 (cat) is in splice()");
	assert_int_equal(m.p.culprits.n, 1);
	busy.wait = true;
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 1);
	m.busy = -EACCES;	/* the check has failed, so no blocker is known */
	preflight_invalidate(&m.p);
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reports, 3);
	assert_int_equal(m.reported, 1);
	assert_int_equal(m.p.culprits.n, 0);
}

static void check_that_hangs(void **state)
{
	(void)state;
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	assert_int_equal(preflight_deadline(&m.p), m.now + LIMIT);
	m.now += LIMIT - 1;
	preflight_tick(&m.p);
	assert_int_equal(m.reports, 0);
	m.now++;
	preflight_tick(&m.p);
	assert_int_equal(m.reported, 0);
	assert_non_null(strstr(m.p.reason, "within the time allowed"));
	assert_int_equal(preflight_deadline(&m.p), INT64_MAX);
	/* Later requests do not wait for it either. */
	preflight_start(&m.p, LIMIT);
	assert_int_equal(preflight_request(&m.p, LIMIT), -EBUSY);
	assert_non_null(strstr(m.p.reason, "hangs"));
	work();
	assert_int_equal(m.reports, 1);
	assert_false(m.p.passed);
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 1);
}

static void cancelled_request_is_not_answered(void **state)
{
	(void)state;
	assert_false(preflight_cancel(&m.p));
	assert_int_equal(preflight_request(&m.p, LIMIT), 0);
	assert_true(preflight_cancel(&m.p));
	work();
	assert_int_equal(m.reports, 0);
	assert_int_equal(preflight_request(&m.p, LIMIT), 1);
}

static void without_a_thread_the_request_fails(void **state)
{
	(void)state;
	m.no_thread = true;
	assert_int_equal(preflight_request(&m.p, LIMIT), -EAGAIN);
	assert_false(preflight_cancel(&m.p));
	assert_non_null(strstr(m.p.reason, "cannot start the preflight"));
}

static void hooks_that_would_be_refused(void **state)
{
	static const struct {
		int found, error;
		const char *refused;
		bool optional, keep_going;
		const char *why;	/* NULL: yes */
	} cases[] = {
		{ 0, 0, NULL, false, false, NULL },
		{ 1, 0, NULL, false, false, NULL },
		{ 1, 0, "users other than root can write to it", false, false,
		  "users other than root can write to it" },
		{ 1, -EPERM, "users other than root can write to the directory", false, false,
		  "write to the directory" },
		{ 1, 0, "users other than root can write to it", false, true, NULL },
		{ -ENOENT, 0, NULL, true, false, NULL },
		{ -ENOENT, 0, NULL, false, false, HOOKS },
		{ -EACCES, 0, NULL, true, false, HOOKS },
		{ -ENOENT, 0, NULL, false, true, NULL },
		{ 1, -ENOMEM, NULL, false, false, HOOKS },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup(state);
		m.hooks = cases[i].found;
		m.hooks_error = cases[i].error;
		m.refused = cases[i].refused;
		m.config.optional = cases[i].optional;
		m.config.keep_going = cases[i].keep_going;
		assert_int_equal(preflight_request(&m.p, LIMIT), 0);
		work();
		assert_int_equal(m.reported, !cases[i].why);
		if (cases[i].why)
			assert_non_null(strstr(m.p.reason, cases[i].why));
		teardown(state);
	}
}

static void kernel_faults_are_logged_once(void **state)
{
	struct kernel kernel = { .version = { 4, 4, 0 } };

	(void)state;
	m.p.kernel = &kernel;
	m.mounts = -EIO;
	preflight_start(&m.p, LIMIT);
	work();
	assert_int_equal(m.notices, 0);	/* without a plan no faults are known */
	m.mounts = 0;
	preflight_start(&m.p, LIMIT);
	work();
	assert_int_equal(m.notices, 1);
	preflight_start(&m.p, LIMIT);
	work();
	assert_int_equal(m.notices, 1);
	/* After a change of the driver. */
	m.p.warned = false;
	kernel.version[0] = 7;
	preflight_start(&m.p, LIMIT);
	work();
	assert_int_equal(m.notices, 1);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(request_is_answered_by_a_check),
		TEST(known_answer_needs_no_check),
		TEST(changed_mount_table_needs_a_check),
		TEST(without_a_mount_table_nothing_is_answered_from_memory),
		TEST(quick_check_opens_nothing_and_warns),
		TEST(freeze_cancels_a_scheduled_check),
		TEST(failed_freeze_needs_a_check),
		TEST(check_that_began_before_the_request),
		TEST(blockers_fail_the_check),
		TEST(check_that_hangs),
		TEST(cancelled_request_is_not_answered),
		TEST(without_a_thread_the_request_fails),
		TEST(hooks_that_would_be_refused),
		TEST(kernel_faults_are_logged_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
