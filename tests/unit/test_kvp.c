// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/sysops.c daemon/blockers/culprit.c daemon/evidence/diskstats.c
// Sources: daemon/evidence/evidence.c daemon/evidence/swaps.c daemon/evidence/verdict.c
// Sources: daemon/plan/blockdev.c daemon/report/history.c daemon/base/sysattr.c
// Sources: daemon/report/kvline.c daemon/report/record.c daemon/kvp/kvpverdict.c
// Sources: daemon/kvp/kvp.c daemon/kvp/kvppool.c
/* The daemon and the process that writes to the KVP pool, whatever that process does. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/selfspawn.h"
#include "kvp/kvp.h"
#include "test.h"

static struct kvp k;
static struct history h;
static int lines;
static char last_line[512];
static int answers;		/* what the writer answers */
static int64_t later;		/* us that the clock is ahead */
static int started;
static enum { ANSWERS, DIES, HANGS, CANNOT_START } writer;

void log_msg(int priority, const char *fmt, ...)
{
	va_list ap;

	if (priority == LOG_DEBUG)
		return;
	lines++;
	va_start(ap, fmt);
	vsnprintf(last_line, sizeof(last_line), fmt, ap);
	va_end(ap);
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t now;

	if (syscall(SYS_clock_gettime, id, ts))
		return -1;
	now = ts->tv_sec * SECOND + ts->tv_nsec / 1000 + later;
	ts->tv_sec = now / SECOND;
	ts->tv_nsec = now % SECOND * 1000;
	return 0;
}

int selfspawn(pid_t *pid, char **argv, int fd)
{
	static struct kvpverdict got;

	assert_string_equal(argv[1], "--kvp-writer");
	assert_null(argv[2]);
	if (writer == CANNOT_START)
		return -ENOMEM;
	started++;
	*pid = fork();
	if (*pid)
		return 0;
	if (k.fd >= 0)
		close(k.fd);
	if (recv(fd, &got, sizeof(got), 0) != sizeof(got) || !got.n)
		_exit(1);
	if (writer == HANGS)
		pause();
	if (writer == ANSWERS && send(fd, &answers, sizeof(answers), 0) < 0)
		_exit(1);
	_exit(0);
}

static int setup(void **state)
{
	(void)state;
	kvp_init(&k, false);
	writer = ANSWERS;
	answers = 0;
	later = 0;
	lines = 0;
	started = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return k.writer > 0;
}

/* What the daemon's loop does until nothing is left to do. */
static void loop(void)
{
	for (int i = 0; i < 1000 && (k.fd >= 0 || k.writer); i++) {
		struct pollfd p = { .fd = k.fd, .events = POLLIN };

		if (poll(&p, 1, 10) > 0)
			kvp_read(&k);
		else if (k.fd < 0)
			later += SECOND / 100;
		kvp_tick(&k);
	}
	assert_int_equal(k.fd, -1);
	assert_int_equal(k.writer, 0);
	assert_true(kvp_deadline(&k) == INT64_MAX);
}

static void publish(unsigned int change)
{
	kvp_publish(&k, &h, change);
	loop();
}

static void each_change_is_written_once(void **state)
{
	(void)state;
	publish(1);
	assert_int_equal(started, 1);
	publish(1);
	assert_int_equal(started, 1);
	/* A change of which the host sees nothing. */
	publish(2);
	assert_int_equal(started, 1);
	h.daemon.connected = !h.daemon.connected;
	publish(3);
	assert_int_equal(started, 2);
	assert_int_equal(lines, 0);
}

static void a_problem_is_logged_once_and_tried_again_at_the_next_change(void **state)
{
	(void)state;
	answers = -EAGAIN;
	publish(1);
	publish(1);
	assert_int_equal(started, 1);
	publish(2);
	assert_int_equal(started, 2);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(last_line, "another program keeps it locked"));
	answers = -EROFS;
	publish(3);
	assert_int_equal(lines, 2);
	answers = -ENOENT;	/* no host is told here */
	publish(4);
	assert_int_equal(lines, 2);
	answers = 0;
	publish(5);
	publish(6);
	assert_int_equal(started, 5);
	assert_int_equal(lines, 2);
}

static void a_writer_that_dies_or_cannot_be_started(void **state)
{
	(void)state;
	writer = DIES;
	publish(1);
	publish(2);
	assert_int_equal(started, 2);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(last_line, "has died"));
	writer = CANNOT_START;
	publish(3);
	assert_int_equal(lines, 2);
	writer = ANSWERS;
	publish(4);
	assert_int_equal(started, 3);
	assert_true(k.written);
}

/* Only one runs at a time, so a hanging file system collects no processes. */
static void a_writer_that_hangs_is_killed(void **state)
{
	(void)state;
	writer = HANGS;
	kvp_publish(&k, &h, 1);
	assert_true(kvp_deadline(&k) < INT64_MAX);
	kvp_tick(&k);
	assert_int_equal(lines, 0);
	kvp_publish(&k, &h, 2);
	assert_int_equal(started, 1);
	later = 60 * SECOND;
	kvp_tick(&k);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(last_line, "does not answer"));
	loop();
	assert_int_equal(lines, 1);
	writer = ANSWERS;
	publish(2);
	assert_int_equal(started, 2);
	assert_true(k.written);
}

static void a_freeze_interrupts_and_it_is_written_afterwards(void **state)
{
	(void)state;
	writer = HANGS;
	kvp_publish(&k, &h, 1);
	kvp_cancel(&k);
	kvp_cancel(&k);
	assert_int_equal(k.fd, -1);
	/* It hangs, and does not see the end of its socket: the daemon sleeps longer. */
	for (int i = 0; i < 20; i++) {
		later = kvp_deadline(&k) - clock_now_us() + later;
		kvp_tick(&k);
	}
	assert_in_range(kvp_deadline(&k) - clock_now_us(), SECOND / 2, SECOND);
	kvp_publish(&k, &h, 1);
	assert_int_equal(started, 1);
	kill(k.writer, SIGKILL);
	later += SECOND;
	loop();
	assert_int_equal(lines, 0);
	writer = ANSWERS;
	publish(1);
	assert_int_equal(started, 2);
	assert_true(k.written);
}

static void the_last_words(void **state)
{
	(void)state;
	publish(1);
	kvp_stop(&k, &h);
	loop();
	assert_int_equal(started, 2);
	assert_string_equal(k.sent.item[k.sent.n - 2].text, "stopped");
	writer = HANGS;
	kvp_init(&k, false);
	kvp_publish(&k, &h, 1);
	kvp_stop(&k, &h);		/* does not wait for it without limit */
	assert_int_equal(started, 3);
	kill(k.writer, SIGKILL);
	loop();
}

static void nothing_is_started_if_it_is_off(void **state)
{
	(void)state;
	kvp_init(&k, true);
	publish(1);
	kvp_stop(&k, &h);
	assert_int_equal(started, 0);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_change_is_written_once),
		TEST(a_problem_is_logged_once_and_tried_again_at_the_next_change),
		TEST(a_writer_that_dies_or_cannot_be_started),
		TEST(a_writer_that_hangs_is_killed),
		TEST(a_freeze_interrupts_and_it_is_written_afterwards),
		TEST(the_last_words),
		TEST(nothing_is_started_if_it_is_off),
	};

	strcpy(h.daemon.version, "1.2");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
