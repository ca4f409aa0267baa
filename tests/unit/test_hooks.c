// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/journal.c daemon/base/log.c daemon/base/pool.c daemon/base/sysops.c
// Sources: daemon/hooks/hooklist.c daemon/hooks/hooknotes.c daemon/hooks/hookproc.c
// Sources: daemon/hooks/hookrun.c daemon/hooks/hooks.c
/*
 * The daemon's side and the runner, which is a process forked by this program. Each hook records
 * that it was called, then it does what the test has put into it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/selfspawn.h"
#include "base/sysops.h"
#include "hooks/hooks.h"
#include "test.h"

#define MS	1000LL
#define S	(1000 * MS)

static char dir[64], hooks_dir[80], run_dir[80], calls[80];
static struct hooks_config config;
static struct hooks hooks;
static int reports, last_report;

int selfspawn(pid_t *pid, char **argv, int fd)
{
	sigset_t all;

	(void)argv;
	*pid = fork();
	if (*pid < 0)
		return -errno;
	if (*pid)
		return 0;
	setpgid(0, 0);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* A new program would have no other descriptor of the daemon either. */
	dup2(fd, SELFSPAWN_FD);
	for (int i = SELFSPAWN_FD + 1; i < 64; i++)
		close(i);
	_exit(hookrun(&config, SELFSPAWN_FD) ? 1 : 0);
}

static void report(void *ctx, bool ok)
{
	(void)ctx;
	reports++;
	last_report = ok;
}

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", hooks_dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\necho -n \"${0##*/} $1 $HV_VSS_STATUS|\" >>%s\n%s\n", calls, text);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

static const char *called(void)
{
	static char text[4096];
	int fd = open(calls, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	assert_true(got >= 0);
	text[got] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

/* Does what the daemon's loop does, until the state or the timeout is reached. */
static void loop_until(enum hooks_state state, int64_t timeout_us)
{
	int64_t until = sysops_real.now_us() + timeout_us;

	while (hooks.state != state) {
		struct pollfd p[] = {
			{ .fd = pool_fd(hooks.pool), .events = POLLIN },
			{ .fd = hooks.fd, .events = POLLIN },
		};
		struct job *job;

		if (sysops_real.now_us() > until)
			fail_msg("state %d, not %d; called: %s", hooks.state, state, called());
		poll(p, 2, 5);
		while ((job = pool_next_done(hooks.pool)))
			assert_true(hooks_job_done(&hooks, job));
		if (p[1].fd >= 0 && p[1].fd == hooks.fd && p[1].revents)
			hooks_read(&hooks);
		hooks_tick(&hooks);
	}
}

static void freeze(void)
{
	hooks_begin(&hooks, 4, 20 * S, 30 * S);
}

static void expect_report(bool ok)
{
	assert_int_equal(reports, 1);
	assert_int_equal(last_report, ok);
	reports = 0;
}

static bool plan_exists(void)
{
	char path[256];

	assert_int_equal(hooks_plan_path(path, sizeof(path), run_dir), 0);
	return !access(path, F_OK);
}

static void expect_end(const char *text)
{
	loop_until(HOOKS_IDLE, 20 * S);
	assert_false(plan_exists());
	assert_string_equal(called(), text);
	assert_false(hooknotes_exist(run_dir));
	assert_int_equal(reports, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);	/* no zombie */
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/hooks.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(hooks_dir, sizeof(hooks_dir), "%s/hooks.d", dir);
	snprintf(run_dir, sizeof(run_dir), "%s/run", dir);
	snprintf(calls, sizeof(calls), "%s/calls", dir);
	config = (struct hooks_config){
		.where = hooks_dir, .timeout_us = 10 * S, .run_dir = run_dir,
	};
	hooks = (struct hooks){ .config = &config, .pool = pool_new(), .report = report };
	hooks_init(&hooks);
	reports = 0;
	return hooks.pool ? mkdir(hooks_dir, 0755) : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	pool_free(hooks.pool);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void thaw_is_in_reverse_order(void **state)
{
	(void)state;
	put("b", "");
	put("a", "");
	put("c", "");
	freeze();
	loop_until(HOOKS_QUIESCED, 20 * S);
	expect_report(true);
	assert_string_equal(called(), "a freeze |b freeze |c freeze |");
	assert_true(hooknotes_exist(run_dir));
	hooks_end(&hooks, true);
	expect_end("a freeze |b freeze |c freeze |c thaw ok|b thaw ok|a thaw ok|");
}

static void failure_thaws_the_hooks_that_ran(void **state)
{
	(void)state;
	put("a", "");
	put("b", "test $1 = thaw");
	put("c", "");
	freeze();
	loop_until(HOOKS_THAWING, 20 * S);
	expect_report(false);
	expect_end("a freeze |b freeze |b thaw failed|a thaw failed|");
}

static void failure_may_be_ignored(void **state)
{
	(void)state;
	config.keep_going = true;
	put("a", "exit 1");
	put("b", "");
	freeze();
	loop_until(HOOKS_QUIESCED, 20 * S);
	expect_report(true);
	hooks_end(&hooks, true);
	expect_end("a freeze |b freeze |b thaw ok|a thaw ok|");
}

static void timeout_is_a_failure(void **state)
{
	(void)state;
	config.timeout_us = 300 * MS;
	put("a", "test $1 = thaw || sleep 64");
	freeze();
	loop_until(HOOKS_THAWING, 20 * S);
	expect_report(false);
	expect_end("a freeze |a thaw failed|");
}

static void time_limit_is_for_all_hooks_together(void **state)
{
	int64_t begun = sysops_real.now_us();

	(void)state;
	put("a", "sleep 0.6");
	put("b", "test $1 = thaw || sleep 65");
	hooks_begin(&hooks, -1, 1 * S, 30 * S);
	loop_until(HOOKS_THAWING, 20 * S);
	assert_true(sysops_real.now_us() - begun < 8 * S);
	expect_report(false);
	expect_end("a freeze |b freeze |b thaw failed|a thaw failed|");
}

static void refused_hook_is_a_failure(void **state)
{
	char path[256];

	(void)state;
	put("a", "");
	put("b", "");
	snprintf(path, sizeof(path), "%s/b", hooks_dir);
	assert_int_equal(chmod(path, 0777), 0);
	freeze();
	loop_until(HOOKS_IDLE, 20 * S);
	expect_report(false);
	expect_end("");
	config.keep_going = true;
	freeze();
	loop_until(HOOKS_QUIESCED, 20 * S);
	expect_report(true);
	hooks_end(&hooks, false);
	expect_end("a freeze |a thaw failed|");
}

static void without_notes_no_hook_is_run(void **state)
{
	(void)state;
	put("a", "");
	config.run_dir = "/proc/no/such";
	freeze();
	loop_until(HOOKS_IDLE, 20 * S);
	expect_report(false);
	config.run_dir = run_dir;
	expect_end("");
}

static void without_hooks_there_is_no_runner(void **state)
{
	(void)state;
	freeze();
	loop_until(HOOKS_IDLE, 20 * S);
	expect_report(true);
	assert_int_equal(hooks.runner, 0);
	hooks_end(&hooks, true);
	config.where = NULL;
	freeze();
	expect_report(true);
	config.where = "/no/such/directory";
	freeze();
	loop_until(HOOKS_IDLE, 20 * S);
	expect_report(false);
	config.optional = true;
	freeze();
	loop_until(HOOKS_IDLE, 20 * S);
	expect_report(true);
}

static void cancelled_while_hooks_run(void **state)
{
	(void)state;
	put("a", "");
	put("b", "test $1 = thaw || sleep 66");
	put("c", "");
	freeze();
	loop_until(HOOKS_FREEZING, 20 * S);
	for (int i = 0; i < 1000 && !strstr(called(), "b freeze"); i++)
		usleep(10 * 1000);
	hooks_end(&hooks, false);
	expect_end("a freeze |b freeze |b thaw failed|a thaw failed|");
	/* Before any hook was run. */
	freeze();
	assert_int_equal(hooks.state, HOOKS_SEARCHING);
	hooks_end(&hooks, false);
	assert_int_equal(hooks.state, HOOKS_IDLE);
}

static void runner_is_killed(void **state)
{
	(void)state;
	put("a", "");
	put("b", "test $1 = thaw || sleep 67");
	freeze();
	loop_until(HOOKS_FREEZING, 20 * S);
	for (int i = 0; i < 1000 && !strstr(called(), "b freeze"); i++)
		usleep(10 * 1000);
	kill(hooks.runner, SIGKILL);
	loop_until(HOOKS_THAWING, 20 * S);
	expect_report(false);
	expect_end("a freeze |b freeze |b thaw failed|a thaw failed|");
}

static void runner_is_killed_while_frozen(void **state)
{
	int64_t until = sysops_real.now_us() + 300 * MS;

	(void)state;
	put("a", "");
	freeze();
	loop_until(HOOKS_QUIESCED, 20 * S);
	expect_report(true);
	kill(hooks.runner, SIGKILL);
	while (hooks.fd >= 0) {
		assert_true(sysops_real.now_us() < until + 20 * S);
		hooks_read(&hooks);
	}
	/* Nothing is executed while file systems are frozen. */
	assert_int_equal(hooks.state, HOOKS_QUIESCED);
	assert_string_equal(called(), "a freeze |");
	hooks_end(&hooks, true);
	expect_end("a freeze |a thaw failed|");
}

/* Forks a daemon that is killed after the hooks were called with "freeze". */
static void die_frozen(bool runner_too)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		freeze();
		loop_until(HOOKS_QUIESCED, 20 * S);
		if (runner_too)
			kill(hooks.runner, SIGKILL);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void daemon_is_killed(void **state)
{
	(void)state;
	put("a", "");
	put("b", "");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	die_frozen(false);
	assert_true(waitpid(-1, NULL, 0) > 0);	/* the runner ends by itself */
	assert_string_equal(called(), "a freeze |b freeze |b thaw failed|a thaw failed|");
	assert_false(hooknotes_exist(run_dir));
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void daemon_and_runner_are_killed(void **state)
{
	(void)state;
	put("a", "");
	put("b", "");
	die_frozen(true);
	assert_string_equal(called(), "a freeze |b freeze |");
	assert_true(hooknotes_exist(run_dir));
	/* The next daemon thaws. */
	hooks_clean_up(&hooks);
	expect_end("a freeze |b freeze |b thaw failed|a thaw failed|");
	hooks_clean_up(&hooks);
	assert_int_equal(hooks.state, HOOKS_IDLE);
	/* --thaw-leftovers thaws. */
	die_frozen(true);
	assert_int_equal(hookrun_leftovers(&config), 0);
	assert_string_equal(called(), "a freeze |b freeze |b thaw failed|a thaw failed|"
			    "a freeze |b freeze |b thaw failed|a thaw failed|");
}

/* The plan's file */

static int describe_ms;		/* how long it takes */

static bool describe(void *ctx)
{
	char path[256];
	FILE *f;

	usleep(describe_ms * 1000);
	assert_int_equal(hooks_plan_path(path, sizeof(path), run_dir), 0);
	mkdir(run_dir, 0755);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(ctx, f);
	return !fclose(f);
}

static bool describe_not(void *ctx)
{
	(void)ctx;
	return false;
}

static void set_plan(bool (*function)(void *ctx))
{
	hooks.describe = function;
	hooks.describe_ctx = "{}";
	put("a", "echo -n \"${HV_VSS_PLAN##*/}\" >>${0%/*}/../calls; "
	    "test -z \"$HV_VSS_PLAN\" || cat \"$HV_VSS_PLAN\" >>${0%/*}/../calls");
}

static void hooks_can_read_the_plan(void **state)
{
	(void)state;
	set_plan(describe);
	freeze();
	loop_until(HOOKS_QUIESCED, 20 * S);
	expect_report(true);
	assert_true(plan_exists());
	hooks_end(&hooks, true);
	expect_end("a freeze |plan.json{}a thaw ok|plan.json{}");
}

static void backup_goes_on_without_a_plan(void **state)
{
	(void)state;
	set_plan(describe_not);
	freeze();
	loop_until(HOOKS_QUIESCED, 20 * S);
	expect_report(true);
	hooks_end(&hooks, true);
	expect_end("a freeze |a thaw ok|");
}

static void plan_is_removed_if_a_hook_fails(void **state)
{
	(void)state;
	set_plan(describe);
	put("b", "test $1 = thaw");
	freeze();
	loop_until(HOOKS_THAWING, 20 * S);
	expect_report(false);
	expect_end("a freeze |plan.json{}b freeze |b thaw failed|a thaw failed|plan.json{}");
}

static void plan_outlives_the_daemon(void **state)
{
	(void)state;
	set_plan(describe);
	die_frozen(true);
	assert_true(plan_exists());
	hooks_clean_up(&hooks);
	expect_end("a freeze |plan.json{}a thaw failed|plan.json{}");
	/* It was killed between the plan and the notes. */
	describe("{}");
	hooks_clean_up(&hooks);
	assert_false(plan_exists());
}

/* The host gives up while the plan is made: no hook is called, and none would remove it. */
static void plan_that_comes_too_late_is_removed(void **state)
{
	int64_t until = sysops_real.now_us() + 20 * S;

	(void)state;
	set_plan(describe);
	describe_ms = 200;
	freeze();
	hooks_end(&hooks, false);
	assert_int_equal(hooks.state, HOOKS_IDLE);
	while (hooks.searching && sysops_real.now_us() < until) {
		struct job *job = pool_next_done(hooks.pool);

		if (job)
			assert_true(hooks_job_done(&hooks, job));
		usleep(5000);
	}
	describe_ms = 0;
	expect_end("");
}

static int quiet(void **state)
{
	(void)state;
	return freopen("/dev/null", "w", stderr) ? 0 : -1;
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(thaw_is_in_reverse_order),
		TEST(failure_thaws_the_hooks_that_ran),
		TEST(failure_may_be_ignored),
		TEST(timeout_is_a_failure),
		TEST(time_limit_is_for_all_hooks_together),
		TEST(refused_hook_is_a_failure),
		TEST(without_notes_no_hook_is_run),
		TEST(without_hooks_there_is_no_runner),
		TEST(cancelled_while_hooks_run),
		TEST(runner_is_killed),
		TEST(runner_is_killed_while_frozen),
		TEST(daemon_is_killed),
		TEST(daemon_and_runner_are_killed),
		TEST(hooks_can_read_the_plan),
		TEST(backup_goes_on_without_a_plan),
		TEST(plan_is_removed_if_a_hook_fails),
		TEST(plan_outlives_the_daemon),
		TEST(plan_that_comes_too_late_is_removed),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
