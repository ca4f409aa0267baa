// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/hookproc.c daemon/hooklist.c daemon/sysops.c daemon/log.c daemon/journal.c
/* One hook: its surroundings, its output, its end, and what happens if that does not come. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hookproc.h"
#include "log.h"
#include "sysops.h"
#include "test.h"

#define MS	1000LL
#define S	(1000 * MS)

static char hook[32];
static char said[512 * 1024];
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
	got = pread(log_fd, said, sizeof(said) - 1, 0);
	assert_true(got >= 0);
	said[got] = '\0';
	return ret;
}

static int run(const char *text)
{
	write_hook(text);
	return run_for(20 * S, -1);
}

static void expect_said(const char *text)
{
	if (!strstr(said, text))
		fail_msg("no '%s' in: %s", text, said);
}

static void exit_status_is_returned(void **state)
{
	(void)state;
	assert_int_equal(run("#!/bin/sh\nexit 0\n"), 0);
	assert_string_equal(said, "");
	assert_int_equal(run("#!/bin/sh\nexit 7\n"), 7);
	expect_said(": freeze: exit status 7\n");
	assert_int_equal(run("#!/bin/sh\nkill -9 $$\n"), -EINTR);
	expect_said(": freeze: killed by signal 9\n");
}

static void what_cannot_be_run_is_said(void **state)
{
	(void)state;
	assert_int_equal(run("#!/no/such/interpreter\n"), -ENOENT);
	expect_said("cannot be run: No such file or directory");
	/* A shell would run it, so scripts for qemu-guest-agent need no first line. */
	assert_int_equal(run("test $1 = freeze && exit 5\n"), 5);
}

static void surroundings_are_clean(void **state)
{
	(void)state;
	setenv("LD_PRELOAD_OF_OURS", "x", 1);
	assert_int_equal(run("#!/bin/sh\nenv | grep -v -e ^PWD= -e ^_= -e ^OLDPWD= -e ^SHLVL= |"
			     " sort | tr '\\n' ' '\npwd\numask\necho \"$# $1\"\n"), 0);
	expect_said(": HV_VSS_OPERATION=freeze PATH=/bin:/usr/bin /\n");
	expect_said(": 0022\n");
	expect_said(": 1 freeze\n");
	/* A session of its own, no signal blocked or ignored. */
	assert_int_equal(run("#!/bin/sh\nread -r p _ _ _ g s _ </proc/$$/stat\n"
			     "echo own $((p == g && p == s))\n"
			     "for set in SigBlk SigIgn; do\n"
			     "m=$(sed -n \"s/^$set:\\t//p\" /proc/self/status)\n"
			     "echo $set $((0x$m & 0x7fffffff))\ndone\n"), 0);
	expect_said(": own 1\n");
	/* The upper ones are the C library's own. */
	expect_said(": SigBlk 0\n");
	expect_said(": SigIgn 0\n");
	/* Nothing is open but stdin, stdout and stderr (and what ls itself opens). */
	assert_int_equal(run("#!/bin/sh\nls -l /proc/self/fd | wc -l\nreadlink /proc/self/fd/0\n"),
			 0);
	expect_said(": 5\n");
	expect_said(": /dev/null\n");
}

static void output_becomes_lines(void **state)
{
	(void)state;
	assert_int_equal(run("#!/bin/sh\nprintf 'one\\n\\ntwo\\033[2J\\nunfinished'\n"
			     "echo ' err' >&2\n"), 0);
	expect_said(": one\nhook ");
	expect_said(": two?[2J\nhook ");
	expect_said(": unfinished err\n");
	assert_int_equal(run("#!/bin/sh\nhead -c 1000 /dev/zero | tr '\\0' x; echo\n"), 0);
	expect_said("xxxxxxxx ...\n");
	assert_true(strlen(said) < 500);
	/* However much it says. */
	assert_int_equal(run("#!/bin/sh\nyes | head -n 100000\n"), 0);
	expect_said("99800 more lines");
	assert_true(strlen(said) < 200 * 40);
}

static void time_out_kills_the_group(void **state)
{
	int64_t begun = sysops_real.now_us();

	(void)state;
	write_hook("#!/bin/sh\ntrap 'echo bye; exit 0' TERM\necho begun\nsleep 61 & wait\n");
	assert_int_equal(run_for(300 * MS, -1), -ETIMEDOUT);
	expect_said(": begun\n");
	expect_said(": freeze: not done in time: killed\n");
	expect_said(": bye\n");
	assert_true(sysops_real.now_us() - begun < 10 * S);
	/* Deaf to SIGTERM, and so are its children. */
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
	assert_int_equal(run("#!/bin/sh\nsleep 3 &\necho said\nexit 3\n"), 3);
	expect_said(": said\n");
	assert_true(sysops_real.now_us() - begun < 2500 * MS);
	/* And not killed: it may hold what the hook is there for. */
	assert_int_equal(run("#!/bin/sh\n(sleep 0.5; echo alive >/tmp/hook.alive) >&- 2>&- &\n"),
			 0);
	usleep(1500 * 1000);
	assert_int_equal(unlink("/tmp/hook.alive"), 0);
	/* A hook that closes its output itself is waited for. */
	assert_int_equal(run("#!/bin/sh\nexec >&- 2>&-\nsleep 0.3\nexit 9\n"), 9);
}

static void cancel_ends_it(void **state)
{
	int64_t begun = sysops_real.now_us();
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	write_hook("#!/bin/sh\nsleep 63\n");
	assert_int_equal(run_for(60 * S, fd[0]), -ECANCELED);
	expect_said(": freeze: no longer wanted: killed\n");
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
	/* Also what this program was started with. */
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
		cmocka_unit_test(what_cannot_be_run_is_said),
		cmocka_unit_test(surroundings_are_clean),
		cmocka_unit_test(output_becomes_lines),
		cmocka_unit_test(time_out_kills_the_group),
		cmocka_unit_test(background_child_is_not_waited_for),
		cmocka_unit_test(cancel_ends_it),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
