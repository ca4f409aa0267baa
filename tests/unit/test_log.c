// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/journal.c daemon/base/log.c
/* Logging must never block, and write nothing while file systems are frozen. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/journal.h"
#include "base/log.h"
#include "test.h"

static int out[2];

static int setup(void **state)
{
	(void)state;
	alarm(30);	/* if the log blocks, the test fails instead of hanging */
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

/* Reads everything that was written, up to @size. */
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
	log_msg(LOG_INFO, "\033[2J\x07\x7f\tt\xc3\xbcr");
	log_stop(1000);
	drain(text, sizeof(text));
	assert_string_equal(text, "<3>number 1\n<6>two?lines\n<6>?[2J??\tt\xc3\xbcr\n");
}

static void nothing_is_written_while_held(void **state)
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

static void blocked_reader_does_not_block_logging(void **state)
{
	static char text[1 << 20];
	int lines = 0, lost = 0, n;

	(void)state;
	assert_int_equal(log_start(out[1], false, LOG_INFO), 0);
	for (int i = 0; i < 5000; i++)
		log_msg(LOG_INFO, "%0100d", i);
	/* Pipe and ring are full. The oldest lines in the ring are dropped and counted. */
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
	/* Let the blocked writer thread end. */
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

static void old_lines_have_their_age(void **state)
{
	char text[256];
	int tenths;

	(void)state;
	assert_int_equal(log_start(out[1], false, LOG_INFO), 0);
	log_hold(true);
	log_msg(LOG_INFO, "held");
	usleep(1100 * 1000);
	log_hold(false);
	log_stop(5000);
	drain(text, sizeof(text));
	if (sscanf(text, "held (%*d.%d s ago)\n", &tenths) != 1)
		fail_msg("no age: %s", text);
}

/* A simulated journal: entries arrive as datagrams at @path. */
static int fake_journal(char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/hv-vss-test.XXXXXX";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(addr.sun_path), "%s/socket", dir);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void remove_journal(char *path)
{
	assert_int_equal(unlink(path), 0);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
}

static void next_entry(int fd, char *entry, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t len;

	memset(entry, 0, size);
	assert_int_equal(poll(&p, 1, 5000), 1);
	len = recv(fd, entry, size - 1, 0);
	assert_true(len > 0);
}

static void journal_gets_fields(void **state)
{
	static const char binary[] = "HV_VSS_MOUNT\n\x04\0\0\0\0\0\0\0/a\nb\n";
	struct journal_fields fields = { .len = 0 };
	char path[108], entry[4096];
	int fd = fake_journal(path);

	(void)state;
	journal_add(&fields, "HV_VSS_EVENT", "%s", "backup");
	journal_add(&fields, "HV_VSS_RESULT", "%s", "ok");
	log_journal(journal_connect(path));
	log_start(out[1], true, LOG_INFO);
	log_event(LOG_INFO, &fields, "number %d", 1);
	next_entry(fd, entry, sizeof(entry));
	assert_string_equal(entry, "PRIORITY=6\nSYSLOG_IDENTIFIER=hv-vss-daemon\n"
			    "MESSAGE=number 1\nHV_VSS_EVENT=backup\nHV_VSS_RESULT=ok\n");
	log_backup(7);
	log_mount(LOG_ERR, "/a\nb", "two\nlines");
	next_entry(fd, entry, sizeof(entry));
	assert_non_null(strstr(entry, "PRIORITY=3\n"));
	assert_non_null(strstr(entry, "MESSAGE=/a?b: two?lines\n"));
	/* A value with a newline is sent with its length. */
	assert_non_null(memmem(entry, sizeof(entry), binary, sizeof(binary) - 1));
	assert_non_null(memmem(entry, sizeof(entry), "\nHV_VSS_BACKUP=7\n", 17));
	log_backup(0);
	log_hold(true);
	log_msg(LOG_INFO, "held");
	assert_int_equal(recv(fd, entry, sizeof(entry), MSG_DONTWAIT), -1);
	usleep(100 * 1000);
	assert_int_equal(recv(fd, entry, sizeof(entry), MSG_DONTWAIT), -1);
	log_hold(false);
	next_entry(fd, entry, sizeof(entry));
	assert_string_equal(entry, "PRIORITY=6\nSYSLOG_IDENTIFIER=hv-vss-daemon\nMESSAGE=held\n");
	assert_false(readable(50));
	/* If the journal has gone away, lines go to stderr. */
	close(fd);
	log_msg(LOG_INFO, "lonely");
	log_stop(1000);
	drain(entry, sizeof(entry));
	assert_string_equal(entry, "<6>lonely\n");
	log_journal(-1);
	remove_journal(path);
}

static void lines_go_to_stderr_if_the_journal_does_not_read(void **state)
{
	char path[108], text[8192];
	int fd = fake_journal(path), entries = 0, lines = 0;

	(void)state;
	log_journal(journal_connect(path));
	log_start(out[1], false, LOG_INFO);
	for (int i = 0; i < 400; i++)
		log_msg(LOG_INFO, "line %03d", i);
	log_stop(5000);
	while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
		entries++;
	drain(text, sizeof(text));
	for (char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_true(entries > 0 && lines > 0);
	assert_int_equal(entries + lines, 400);
	close(fd);
	log_journal(-1);
	remove_journal(path);
}

static void fields_that_do_not_fit_are_dropped(void **state)
{
	struct journal_fields fields = { .len = 0 };
	char value[600];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 10; i++)
		journal_add(&fields, "KEY", "%s", value);
	assert_int_equal(fields.len, 3 * (4 + 599 + 1));
	journal_add(&fields, "LAST", "%d", 1);
	assert_memory_equal(fields.buf + fields.len - 7, "LAST=1\n", 7);
}

/* stderr is connected to the journal only if $JOURNAL_STREAM names this stream. */
static void journal_only_if_stderr_is_its_stream(void **state)
{
	char env[64];
	struct stat st;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	assert_int_equal(journal_open(out[1]), -ENOENT);
	setenv("JOURNAL_STREAM", "nonsense", 1);
	assert_int_equal(journal_open(out[1]), -ENOENT);
	setenv("JOURNAL_STREAM", "1:2", 1);
	assert_int_equal(journal_open(out[1]), -EXDEV);
	assert_int_equal(fstat(out[1], &st), 0);
	snprintf(env, sizeof(env), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", env, 1);
	assert_int_not_equal(journal_open(out[1]), -EXDEV);	/* with or without a journal */
	unsetenv("JOURNAL_STREAM");
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_have_a_priority),
		TEST(nothing_is_written_while_held),
		TEST(long_line_is_cut),
		TEST(blocked_reader_does_not_block_logging),
		TEST(old_lines_have_their_age),
		TEST(journal_gets_fields),
		TEST(lines_go_to_stderr_if_the_journal_does_not_read),
		cmocka_unit_test(fields_that_do_not_fit_are_dropped),
		TEST(journal_only_if_stderr_is_its_stream),
		TEST(stop_does_not_wait_for_a_blocked_reader),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
