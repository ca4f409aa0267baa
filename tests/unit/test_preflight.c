// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/preflight.c
/*
 * The answer to HOT_BACKUP: from memory where that is good enough, from a look elsewhere. Time, the
 * worker and the machine are the test's own.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooklist.h"
#include "log.h"
#include "preflight.h"
#include "test.h"

#define SECOND		1000000LL
#define LIMIT		(20 * SECOND)
#define HOOKS		"/hooks.d"

/* One fake machine; a test has one at a time. */
static struct {
	int64_t now;
	int mounts;			/* what making the plan comes to */
	int hooks;			/* what is found in the directory: as hooklist_any() says */
	int hooks_error;		/* reading them fails so */
	const char *refused;		/* one is, for this reason */
	unsigned int thorough, quick;	/* looks */
	unsigned int table;		/* descriptors given out for our mount table ... */
	unsigned int closed;		/* ... and closed */
	unsigned int changed;		/* what those up to this one would tell */
	bool no_table, no_thread;
	unsigned int warnings;
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
}

void fsset_blame(char why[FSSET_WHY], int priority, const char *mount, const char *fmt, ...)
{
	va_list ap;

	(void)priority;
	(void)mount;
	va_start(ap, fmt);
	vsnprintf(why, FSSET_WHY, fmt, ap);
	va_end(ap);
}

int fsset_build(void *config, struct fsset *set)
{
	assert_null(config);
	m.thorough++;
	if (m.mounts)
		snprintf(set->why, sizeof(set->why), "/x: cannot be opened");
	return m.mounts;
}

int fsset_look(const struct fsset_config *config, char why[FSSET_WHY])
{
	assert_null(config);
	m.quick++;
	if (m.mounts)
		snprintf(why, FSSET_WHY, "no plan");
	return m.mounts;
}

void fsset_free(struct fsset *set)
{
	free(set);
}

int hooklist_any(const char *where)
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

/* No descriptor is left but the one that memory needs. */
static int teardown(void **state)
{
	(void)state;
	assert_null(m.job);
	preflight_forget(&m.p);
	assert_int_equal(m.table, m.closed);
	return 0;
}

static void run(void)
{
	m.job->run(m.job);
}

static void take_back(void)
{
	struct job *job = m.job;

	m.job = NULL;
	assert_true(preflight_job_done(&m.p, job));
}

static void work(void)
{
	while (m.job) {
		run();
		take_back();
	}
}

static void know(void)
{
	preflight_look(&m.p, LIMIT);
	work();
	assert_true(m.p.ready);
	m.thorough = 0;
}

static void look_quickly(void)
{
	preflight_look_later(&m.p, LIMIT);
	m.now = preflight_deadline(&m.p);
	preflight_tick(&m.p);
}

static void a_mount_table_changes(void)
{
	m.changed = m.table;
}

static void question_is_answered_by_a_look(void **state)
{
	(void)state;
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	assert_int_equal(m.reported, -1);
	work();
	assert_int_equal(m.reported, 1);
	assert_int_equal(m.thorough, 1);
}

static void known_answer_needs_no_look(void **state)
{
	(void)state;
	know();
	for (int i = 0; i < 3; i++)
		assert_int_equal(preflight_ask(&m.p, LIMIT), 1);
	assert_null(m.job);
	assert_int_equal(m.reports, 0);
}

static void changed_table_takes_a_look(void **state)
{
	(void)state;
	know();
	a_mount_table_changes();
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	m.mounts = -EXDEV;
	work();
	assert_int_equal(m.reported, 0);
	assert_string_equal(m.p.why, "/x: cannot be opened");
	/* No is never answered from memory. */
	m.mounts = 0;
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 1);
	assert_int_equal(preflight_ask(&m.p, LIMIT), 1);
}

static void table_that_cannot_be_watched_is_no_memory(void **state)
{
	(void)state;
	m.no_table = true;
	preflight_look(&m.p, LIMIT);
	work();
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 1);
}

static void look_afterwards_opens_nothing_and_warns(void **state)
{
	(void)state;
	know();
	look_quickly();
	work();
	assert_int_equal(m.quick, 1);
	assert_int_equal(m.thorough, 0);
	assert_int_equal(m.warnings, 0);
	assert_int_equal(preflight_ask(&m.p, LIMIT), 1);
	m.mounts = -EOPNOTSUPP;
	look_quickly();
	work();
	assert_int_equal(m.warnings, 1);
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 0);
}

static void freeze_keeps_others_from_looking(void **state)
{
	(void)state;
	know();
	preflight_look_later(&m.p, LIMIT);
	preflight_tick(&m.p);
	assert_null(m.job);
	preflight_stand_by(&m.p);
	assert_int_equal(preflight_deadline(&m.p), INT64_MAX);
	m.now += 10 * SECOND;
	preflight_tick(&m.p);
	assert_null(m.job);
}

static void failed_freeze_is_a_reason_to_look(void **state)
{
	(void)state;
	know();
	preflight_forget(&m.p);
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 1);
}

/* What was begun before the question may not have seen what has happened before it. */
static void look_that_was_under_way(void **state)
{
	(void)state;
	preflight_look(&m.p, LIMIT);
	run();
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	take_back();
	assert_int_equal(m.reported, 1);
	assert_int_equal(m.thorough, 1);
	/* It was not thorough ... */
	a_mount_table_changes();
	look_quickly();
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reports, 2);
	assert_int_equal(m.thorough, 2);
	/* ... or something was mounted meanwhile ... */
	a_mount_table_changes();
	preflight_forget(&m.p);
	preflight_look(&m.p, LIMIT);
	run();
	a_mount_table_changes();
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	take_back();
	assert_int_equal(m.reports, 2);
	work();
	assert_int_equal(m.reports, 3);
	/* ... or it has found a problem that may be gone. */
	a_mount_table_changes();
	m.mounts = -EIO;
	preflight_look(&m.p, LIMIT);
	run();
	m.mounts = 0;
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	take_back();
	work();
	assert_int_equal(m.reports, 4);
	assert_int_equal(m.reported, 1);
}

static void look_that_hangs(void **state)
{
	(void)state;
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	assert_int_equal(preflight_deadline(&m.p), m.now + LIMIT);
	m.now += LIMIT - 1;
	preflight_tick(&m.p);
	assert_int_equal(m.reports, 0);
	m.now++;
	preflight_tick(&m.p);
	assert_int_equal(m.reported, 0);
	assert_non_null(strstr(m.p.why, "within the time allowed"));
	assert_int_equal(preflight_deadline(&m.p), INT64_MAX);
	/* Nor does anybody wait for it later. */
	preflight_look(&m.p, LIMIT);
	assert_int_equal(preflight_ask(&m.p, LIMIT), -EBUSY);
	assert_non_null(strstr(m.p.why, "hangs"));
	work();
	assert_int_equal(m.reports, 1);
	assert_false(m.p.ready);
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	work();
	assert_int_equal(m.reported, 1);
}

static void dropped_question_is_not_answered(void **state)
{
	(void)state;
	assert_false(preflight_drop(&m.p));
	assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
	assert_true(preflight_drop(&m.p));
	work();
	assert_int_equal(m.reports, 0);
	assert_int_equal(preflight_ask(&m.p, LIMIT), 1);
}

static void no_thread_is_a_no(void **state)
{
	(void)state;
	m.no_thread = true;
	assert_int_equal(preflight_ask(&m.p, LIMIT), -EAGAIN);
	assert_false(preflight_drop(&m.p));
	assert_non_null(strstr(m.p.why, "cannot look"));
}

static void hooks_that_would_not_be_called(void **state)
{
	static const struct {
		int found, error;
		const char *refused;
		bool optional, keep_going;
		const char *why;	/* NULL: yes */
	} cases[] = {
		{ 0, 0, NULL, false, false, NULL },
		{ 1, 0, NULL, false, false, NULL },
		{ 1, 0, "others can write to it", false, false, "others can write to it" },
		{ 1, -EPERM, "the directory is not root's alone", false, false, "root's alone" },
		{ 1, 0, "others can write to it", false, true, NULL },
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
		assert_int_equal(preflight_ask(&m.p, LIMIT), 0);
		work();
		assert_int_equal(m.reported, !cases[i].why);
		if (cases[i].why)
			assert_non_null(strstr(m.p.why, cases[i].why));
		teardown(state);
	}
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(question_is_answered_by_a_look),
		TEST(known_answer_needs_no_look),
		TEST(changed_table_takes_a_look),
		TEST(table_that_cannot_be_watched_is_no_memory),
		TEST(look_afterwards_opens_nothing_and_warns),
		TEST(freeze_keeps_others_from_looking),
		TEST(failed_freeze_is_a_reason_to_look),
		TEST(look_that_was_under_way),
		TEST(look_that_hangs),
		TEST(dropped_question_is_not_answered),
		TEST(no_thread_is_a_no),
		TEST(hooks_that_would_not_be_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
