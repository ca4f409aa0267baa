// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/journal.c daemon/base/log.c daemon/base/sysops.c daemon/hooks/hooklist.c
// Sources: daemon/hooks/hookproc.c
/* One hook: its environment, its output, its end, and what happens if it does not end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sysops.h"
#include "hooks/hookproc.h"
#include "test.h"

#define MS	1000LL
#define S	(1000 * MS)

static char hook[32];
static char logged[512 * 1024];
static int log_fd;

static void write_hook(const char *text)
{
	FILE *f = fopen(hook, "we");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int run_for(int64_t timeout_us, int cancel)
{
	char path[] = "PATH=/bin:/usr/bin", own[] = "HV_VSS_OPERATION=freeze";
	char * const environment[] = { path, own, NULL };
	const struct hook_call call = {
		.path = hook,
		.argument = "freeze",
		.environment = environment,
		.timeout_us = timeout_us,
		.cancel = { -1, cancel },
	};
	ssize_t got;
	int ret;

	assert_int_equal(ftruncate(log_fd, 0), 0);
	assert_int_equal(lseek(log_fd, 0, SEEK_SET), 0);
	ret = hookproc_run(&call);
	got = pread(log_fd, logged, sizeof(logged) - 1, 0);
	assert_true(got >= 0);
	logged[got] = '\0';
	return ret;
}

static int run(const char *text)
{
	write_hook(text);
	return run_for(20 * S, -1);
}

static void expect_logged(const char *text)
{
	if (!strstr(logged, text))
		fail_msg("no '%s' in: %s", text, logged);
}

static void exit_status_is_returned(void **state)
{
	(void)state;
	assert_int_equal(run("#!/bin/sh\nexit 0\n"), 0);
	assert_string_equal(logged, "");
	assert_int_equal(run("#!/bin/sh\nexit 7\n"), 7);
	expect_logged(": freeze: exit status 7\n");
	assert_int_equal(run("#!/bin/sh\nkill -9 $$\n"), -EINTR);
	expect_logged(": freeze: killed by signal 9\n");
}

static void hook_that_cannot_be_run_is_logged(void **state)
{
	(void)state;
	assert_int_equal(run("#!/no/such/interpreter\n"), -ENOENT);
	expect_logged("cannot be run: No such file or directory");
	/* A file without "#!" is run by a shell: some scripts for qemu-guest-agent have none. */
	assert_int_equal(run("test $1 = freeze && exit 5\n"), 5);
}

static void environment_is_clean(void **state)
{
	(void)state;
	setenv("LD_PRELOAD_OF_OURS", "x", 1);
	assert_int_equal(run("#!/bin/sh\nenv | grep -v -e ^PWD= -e ^_= -e ^OLDPWD= -e ^SHLVL= |"
			     " sort | tr '\\n' ' '\npwd\numask\necho \"$# $1\"\n"), 0);
	expect_logged(": HV_VSS_OPERATION=freeze PATH=/bin:/usr/bin /\n");
	expect_logged(": 0022\n");
	expect_logged(": 1 freeze\n");
	/* The hook has its own session, and no signal is blocked or ignored. */
	assert_int_equal(run("#!/bin/sh\nread -r p _ _ _ g s _ </proc/$$/stat\n"
			     "echo own $((p == g && p == s))\n"
			     "for set in SigBlk SigIgn; do\n"
			     "m=$(sed -n \"s/^$set:\\t//p\" /proc/self/status)\n"
			     "echo $set $((0x$m & 0x7fffffff))\ndone\n"), 0);
	expect_logged(": own 1\n");
	/* Without the real-time signals, two of which the C library uses. */
	expect_logged(": SigBlk 0\n");
	expect_logged(": SigIgn 0\n");
	/* Nothing is open but stdin, stdout and stderr (and what ls itself opens). */
	assert_int_equal(run("#!/bin/sh\nls -l /proc/self/fd | wc -l\nreadlink /proc/self/fd/0\n"),
			 0);
	expect_logged(": 5\n");
	expect_logged(": /dev/null\n");
}

static void output_becomes_lines(void **state)
{
	(void)state;
	assert_int_equal(run("#!/bin/sh\nprintf 'one\\n\\ntwo\\033[2J\\nunfinished'\n"
			     "echo ' err' >&2\n"), 0);
	expect_logged(": one\nhook ");
	expect_logged(": two?[2J\nhook ");
	expect_logged(": unfinished err\n");
	assert_int_equal(run("#!/bin/sh\nhead -c 1000 /dev/zero | tr '\\0' x; echo\n"), 0);
	expect_logged("xxxxxxxx ...\n");
	assert_true(strlen(logged) < 500);
	/* A large output is cut. */
	assert_int_equal(run("#!/bin/sh\nyes | head -n 100000\n"), 0);
	expect_logged("99800 more lines");
	assert_true(strlen(logged) < 200 * 40);
}

static void timeout_kills_the_process_group(void **state)
{
	int64_t begun = sysops_real.now_us();

	(void)state;
	write_hook("#!/bin/sh\ntrap 'echo bye; exit 0' TERM\necho begun\nsleep 61 & wait\n");
	assert_int_equal(run_for(300 * MS, -1), -ETIMEDOUT);
	expect_logged(": begun\n");
	expect_logged(": freeze: timed out: killed\n");
	expect_logged(": bye\n");
	assert_true(sysops_real.now_us() - begun < 10 * S);
	/* The hook and its children ignore SIGTERM. */
	begun = sysops_real.now_us();
	write_hook("#!/bin/sh\ntrap '' TERM\nsleep 62 & sleep 62\n");
	assert_int_equal(run_for(300 * MS, -1), -ETIMEDOUT);
	assert_true(sysops_real.now_us() - begun < 10 * S);
	usleep(200 * 1000);
	assert_int_not_equal(system("grep -lzsE '^6[12]$' /proc/[0-9]*/cmdline"), 0);
}

static void background_child_is_not_waited_for(void **state)
{
	int64_t begun = sysops_real.now_us();

	(void)state;
	assert_int_equal(run("#!/bin/sh\nsleep 3 &\necho logged\nexit 3\n"), 3);
	expect_logged(": logged\n");
	assert_true(sysops_real.now_us() - begun < 2500 * MS);
	/* And not killed: it may hold a lock for the hook. */
	assert_int_equal(run("#!/bin/sh\n(sleep 0.5; echo alive >/tmp/hook.alive) >&- 2>&- &\n"),
			 0);
	usleep(1500 * 1000);
	assert_int_equal(unlink("/tmp/hook.alive"), 0);
	/* The daemon waits for a hook that closes its output. */
	assert_int_equal(run("#!/bin/sh\nexec >&- 2>&-\nsleep 0.3\nexit 9\n"), 9);
}

static void cancel_ends_the_hook(void **state)
{
	int64_t begun = sysops_real.now_us();
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	write_hook("#!/bin/sh\nsleep 63\n");
	assert_int_equal(run_for(60 * S, fd[0]), -ECANCELED);
	expect_logged(": freeze: cancelled: killed\n");
	assert_true(sysops_real.now_us() - begun < 10 * S);
	close(fd[0]);
	close(fd[1]);
}

static int setup(void **state)
{
	char name[] = "/tmp/hook.log.XXXXXX";
	int fd;

	(void)state;
	strcpy(hook, "/tmp/hook.XXXXXX");
	fd = mkstemp(hook);
	log_fd = mkstemp(name);
	if (fd < 0 || log_fd < 0 || fchmod(fd, 0755) || close(fd) || unlink(name))
		return -1;
	/* Also descriptors that this program has inherited. */
	for (int i = STDERR_FILENO + 1; i < 256; i++)
		fcntl(i, F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	if (log_start(log_fd, false, LOG_INFO))
		return -1;
	log_stop(0);	/* directly into the file from now on */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(log_fd);
	return unlink(hook);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_status_is_returned),
		cmocka_unit_test(hook_that_cannot_be_run_is_logged),
		cmocka_unit_test(environment_is_clean),
		cmocka_unit_test(output_becomes_lines),
		cmocka_unit_test(timeout_kills_the_process_group),
		cmocka_unit_test(background_child_is_not_waited_for),
		cmocka_unit_test(cancel_ends_the_hook),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
