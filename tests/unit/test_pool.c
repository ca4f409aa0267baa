// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/pool.c
/* With real workers: each job returns once, hung ones delay no other, a result has one owner. */
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/pool.h"
#include "test.h"

#define JOBS	500

struct counted {
	struct job job;
	atomic_int runs;
	atomic_int claimed;
	int back;
};

static struct counted all[JOBS];
static struct pool *pool;
static int gate[2];

static int setup(void **state)
{
	(void)state;
	alarm(60);
	memset(all, 0, sizeof(all));
	pool = pool_new();
	return pool && !pipe(gate) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	close(gate[0]);
	close(gate[1]);
	pool_free(pool);
	return 0;
}

static void run_counted(struct job *job)
{
	struct counted *c = (struct counted *)job;

	atomic_fetch_add(&c->runs, 1);
	if (job_finish(job))
		atomic_fetch_add(&c->claimed, 1);
}

static void run_hung(struct job *job)
{
	char c;

	if (read(gate[0], &c, 1) != 1)
		return;
	run_counted(job);
}

static void submit(struct counted *c, void (*run)(struct job *job))
{
	c->job.run = run;
	pool_submit(pool, &c->job);
}

/* Collects finished jobs until there are @want, or none has come for @timeout_ms. */
static int collect(int want, int timeout_ms)
{
	struct pollfd p = { .fd = pool_fd(pool), .events = POLLIN };
	struct job *job;
	int got = 0;

	while (got < want && poll(&p, 1, timeout_ms) > 0)
		while ((job = pool_next_done(pool))) {
			((struct counted *)job)->back++;
			got++;
		}
	return got;
}

static void each_job_runs_and_returns_once(void **state)
{
	(void)state;
	assert_int_equal(pool_reserve(pool, 8), 0);
	for (int i = 0; i < JOBS; i++)
		submit(&all[i], run_counted);
	assert_int_equal(collect(JOBS, 5000), JOBS);
	assert_null(pool_next_done(pool));
	for (int i = 0; i < JOBS; i++) {
		assert_int_equal(atomic_load(&all[i].runs), 1);
		assert_int_equal(atomic_load(&all[i].claimed), 1);
		assert_int_equal(all[i].back, 1);
	}
}

static void hung_jobs_do_not_delay_the_others(void **state)
{
	(void)state;
	assert_int_equal(pool_reserve(pool, 4), 0);
	for (int i = 0; i < 3; i++)
		submit(&all[i], run_hung);
	for (int i = 3; i < 100; i++)
		submit(&all[i], run_counted);
	assert_int_equal(collect(97, 5000), 97);
	/* Only free workers count as a reserve. */
	assert_int_equal(pool_reserve(pool, 2), 0);
	submit(&all[100], run_hung);
	submit(&all[101], run_counted);
	assert_int_equal(collect(1, 5000), 1);
	assert_int_equal(all[101].back, 1);
	assert_int_equal(write(gate[1], "xxxx", 4), 4);
	assert_int_equal(collect(4, 5000), 4);
}

static void reserve_has_a_limit(void **state)
{
	(void)state;
	assert_int_not_equal(pool_reserve(pool, 100000), 0);
	submit(&all[0], run_counted);
	assert_int_equal(collect(1, 5000), 1);
}

static int threads(void)
{
	DIR *list = opendir("/proc/self/task");
	struct dirent *d;
	int n = 0;

	assert_non_null(list);
	while ((d = readdir(list)))
		n += d->d_name[0] != '.';
	closedir(list);
	return n;
}

static void trimmed_pool_works_again(void **state)
{
	int before = threads();

	(void)state;
	assert_true(pool_trim(pool));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pool_reserve(pool, 4), 0);
		assert_int_equal(threads(), before + 4);
		submit(&all[i], run_counted);
		assert_int_equal(collect(1, 5000), 1);
		/* The worker has returned its result, but may not be idle yet. */
		while (!pool_trim(pool))
			sched_yield();
		/* A thread that has ended is still listed for a moment. */
		while (threads() > before)
			sched_yield();
	}
}

static void pool_with_a_hung_job_is_not_trimmed(void **state)
{
	(void)state;
	assert_int_equal(pool_reserve(pool, 2), 0);
	submit(&all[0], run_hung);
	assert_false(pool_trim(pool));
	submit(&all[1], run_counted);
	assert_int_equal(collect(1, 5000), 1);
	assert_int_equal(write(gate[1], "x", 1), 1);
	assert_int_equal(collect(1, 5000), 1);
}

/* Worker and submitter race for the result: exactly one of them gets it. */
static void result_has_one_owner(void **state)
{
	int abandoned = 0;

	(void)state;
	assert_int_equal(pool_reserve(pool, 4), 0);
	for (int i = 0; i < JOBS; i++) {
		bool ours;

		submit(&all[i], run_counted);
		if (i % 3)
			sched_yield();
		ours = job_abandon(&all[i].job);
		assert_int_equal(collect(1, 5000), 1);
		assert_int_equal(atomic_load(&all[i].claimed), !ours);
		abandoned += ours;
	}
	assert_in_range(abandoned, 0, JOBS);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_job_runs_and_returns_once),
		TEST(hung_jobs_do_not_delay_the_others),
		TEST(reserve_has_a_limit),
		TEST(trimmed_pool_works_again),
		TEST(pool_with_a_hung_job_is_not_trimmed),
		TEST(result_has_one_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
