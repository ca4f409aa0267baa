// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/hooks.c daemon/hookrun.c daemon/hookproc.c daemon/hooklist.c daemon/hooknotes.c
// Sources: daemon/pool.c daemon/sysops.c daemon/log.c daemon/journal.c
/*
 * The daemon's end and the runner, the latter in a process forked by this program. Each hook
 * writes down that it was called; what it does then is up to the test.
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

#include "hooks.h"
#include "log.h"
#include "selfspawn.h"
#include "sysops.h"
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
	/* As in a new program: no other descriptor of the daemon. */
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

/* What the daemon's loop does, until that state or the time is reached. */
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

static void expect_end(const char *text)
{
	loop_until(HOOKS_IDLE, 20 * S);
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

static void thaw_is_in_reverse(void **state)
{
	(void)state;
	put("b", "");
	put("a", "");
	put("c", "");
	freeze();
	loop_until(HOOKS_HELD, 20 * S);
	expect_report(true);
	assert_string_equal(called(), "a freeze |b freeze |c freeze |");
	assert_true(hooknotes_exist(run_dir));
	hooks_end(&hooks, true);
	expect_end("a freeze |b freeze |c freeze |c thaw ok|b thaw ok|a thaw ok|");
}

static void failure_thaws_those_that_ran(void **state)
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

static void failure_may_be_passed_over(void **state)
{
	(void)state;
	config.keep_going = true;
	put("a", "exit 1");
	put("b", "");
	freeze();
	loop_until(HOOKS_HELD, 20 * S);
	expect_report(true);
	hooks_end(&hooks, true);
	expect_end("a freeze |b freeze |b thaw ok|a thaw ok|");
}

static void time_out_is_a_failure(void **state)
{
	(void)state;
	config.timeout_us = 300 * MS;
	put("a", "test $1 = thaw || sleep 64");
	freeze();
	loop_until(HOOKS_THAWING, 20 * S);
	expect_report(false);
	expect_end("a freeze |a thaw failed|");
}

static void budget_is_for_all(void **state)
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

static void refused_one_is_a_failure(void **state)
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
	loop_until(HOOKS_HELD, 20 * S);
	expect_report(true);
	hooks_end(&hooks, false);
	expect_end("a freeze |a thaw failed|");
}

static void without_notes_nothing_is_run(void **state)
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

static void nothing_to_run_takes_no_process(void **state)
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

static void given_up_in_the_middle(void **state)
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
	/* Before anything was run. */
	freeze();
	assert_int_equal(hooks.state, HOOKS_LOOKING);
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
	loop_until(HOOKS_HELD, 20 * S);
	expect_report(true);
	kill(hooks.runner, SIGKILL);
	while (hooks.fd >= 0) {
		assert_true(sysops_real.now_us() < until + 20 * S);
		hooks_read(&hooks);
	}
	/* Nothing is executed while file systems are frozen. */
	assert_int_equal(hooks.state, HOOKS_HELD);
	assert_string_equal(called(), "a freeze |");
	hooks_end(&hooks, true);
	expect_end("a freeze |a thaw failed|");
}

/* A process like the daemon, that dies with the hooks frozen. */
static void die_frozen(bool runner_too)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		freeze();
		loop_until(HOOKS_HELD, 20 * S);
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
	assert_true(waitpid(-1, NULL, 0) > 0);	/* the runner has ended by itself */
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
	/* The next daemon. */
	hooks_clean_up(&hooks);
	expect_end("a freeze |b freeze |b thaw failed|a thaw failed|");
	hooks_clean_up(&hooks);
	assert_int_equal(hooks.state, HOOKS_IDLE);
	/* The same by --thaw-leftovers. */
	die_frozen(true);
	assert_int_equal(hookrun_leftovers(&config), 0);
	assert_string_equal(called(), "a freeze |b freeze |b thaw failed|a thaw failed|"
			    "a freeze |b freeze |b thaw failed|a thaw failed|");
}

static int quiet(void **state)
{
	(void)state;
	return freopen("/dev/null", "w", stderr) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(thaw_is_in_reverse, setup, teardown),
		cmocka_unit_test_setup_teardown(failure_thaws_those_that_ran, setup, teardown),
		cmocka_unit_test_setup_teardown(failure_may_be_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(time_out_is_a_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(budget_is_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_one_is_a_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(without_notes_nothing_is_run, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_run_takes_no_process, setup, teardown),
		cmocka_unit_test_setup_teardown(given_up_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(runner_is_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(runner_is_killed_while_frozen, setup, teardown),
		cmocka_unit_test_setup_teardown(daemon_is_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(daemon_and_runner_are_killed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, quiet, NULL);
}
