// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/log.c
/* The log must never block whoever logs, and say nothing while file systems are frozen. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "test.h"

static int out[2];

static int setup(void **state)
{
	(void)state;
	alarm(30);	/* a log that blocks is a failed test, not a hung one */
	return pipe2(out, O_CLOEXEC);
}

static int teardown(void **state)
{
	(void)state;
	log_hold(false);
	close(out[0]);
	close(out[1]);
	return 0;
}

static bool readable(int timeout_ms)
{
	struct pollfd p = { .fd = out[0], .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

/* All that has been written, up to @size. */
static void drain(char *buf, size_t size)
{
	size_t len = 0;

	while (len + 1 < size && readable(50)) {
		ssize_t n = read(out[0], buf + len, size - len - 1);

		if (n <= 0)
			break;
		len += n;
	}
	buf[len] = '\0';
}

static void lines_have_a_priority(void **state)
{
	char text[256];

	(void)state;
	assert_int_equal(log_start(out[1], true, LOG_INFO), 0);
	log_msg(LOG_ERR, "number %d", 1);
	log_msg(LOG_DEBUG, "not wanted");
	log_msg(LOG_INFO, "two\nlines");
	log_stop(1000);
	drain(text, sizeof(text));
	assert_string_equal(text, "<3>number 1\n<6>two?lines\n");
}

static void nothing_comes_out_while_held(void **state)
{
	char text[256];

	(void)state;
	assert_int_equal(log_start(out[1], false, LOG_INFO), 0);
	log_hold(true);
	log_msg(LOG_INFO, "held");
	assert_false(readable(200));
	log_hold(false);
	assert_true(readable(5000));
	log_stop(1000);
	drain(text, sizeof(text));
	assert_string_equal(text, "held\n");
}

static void blocked_reader_does_not_block_us(void **state)
{
	static char text[1 << 20];
	int lines = 0, lost = 0, n;

	(void)state;
	assert_int_equal(log_start(out[1], false, LOG_INFO), 0);
	for (int i = 0; i < 5000; i++)
		log_msg(LOG_INFO, "%0100d", i);
	/* Pipe and ring are full; the oldest lines of the ring have gone, and are counted. */
	for (int rest = 100; rest && !strstr(text, "04999\n"); rest--)
		drain(text + strlen(text), sizeof(text) - strlen(text));
	log_stop(1000);
	for (char *p = strtok(text, "\n"); p; p = strtok(NULL, "\n")) {
		if (sscanf(p, "%d log lines lost", &n) == 1 && strstr(p, "lost"))
			lost += n;
		else
			lines++;
	}
	assert_true(lost > 0);
	assert_int_equal(lines + lost, 5000);
}

static void stop_does_not_wait_for_a_blocked_reader(void **state)
{
	(void)state;
	assert_int_equal(log_start(out[1], false, LOG_INFO), 0);
	for (int i = 0; i < 2000; i++)
		log_msg(LOG_INFO, "%0100d", i);
	log_stop(100);
	/* Let the writer go, it has been left behind. */
	close(out[0]);
	usleep(100000);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
}

static void long_line_is_cut(void **state)
{
	char text[4096], line[3000];

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(log_start(out[1], true, LOG_INFO), 0);
	log_msg(LOG_INFO, "%s", line);
	log_stop(1000);
	drain(text, sizeof(text));
	assert_in_range(strlen(text), 900, 1000);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_have_a_priority, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_comes_out_while_held, setup, teardown),
		cmocka_unit_test_setup_teardown(long_line_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(blocked_reader_does_not_block_us, setup, teardown),
		cmocka_unit_test_setup_teardown(stop_does_not_wait_for_a_blocked_reader, setup,
						teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
