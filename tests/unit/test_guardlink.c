// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/sysops.c daemon/unguarded/guardlink.c
/* Commands to the guardian, with their descriptors, and its answers. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "unguarded/guardlink.h"

static int link_to[2];	/* the daemon's end, and the guardian's */

static int setup(void **state)
{
	(void)state;
	alarm(60);
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link_to);
}

static int teardown(void **state)
{
	(void)state;
	close(link_to[0]);
	close(link_to[1]);
	return 0;
}

static void commands_come_with_their_descriptors(void **state)
{
	struct guardlink_command got, command = {
		.what = GUARDLINK_WATCH, .number = 7, .total = 201,
	};
	int fd[GUARDLINK_FDS], received[GUARDLINK_FDS];
	struct stat st, null;

	(void)state;
	for (int i = 0; i < GUARDLINK_FDS; i++)
		fd[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(guardlink_send(link_to[0], &command, fd, GUARDLINK_FDS), 0);
	assert_int_equal(guardlink_send(link_to[0], &command, fd, 1), 0);
	for (int i = 0; i < GUARDLINK_FDS; i++)
		close(fd[i]);
	assert_int_equal(guardlink_receive(link_to[1], &got, received), GUARDLINK_FDS);
	assert_memory_equal(&got, &command, sizeof(got));
	assert_int_equal(stat("/dev/null", &null), 0);
	for (int i = 0; i < GUARDLINK_FDS; i++) {
		assert_int_equal(fstat(received[i], &st), 0);
		assert_int_equal(st.st_rdev, null.st_rdev);
		assert_int_equal(fcntl(received[i], F_GETFD), FD_CLOEXEC);
		close(received[i]);
	}
	assert_int_equal(guardlink_receive(link_to[1], &got, received), 1);
	close(received[0]);
	assert_int_equal(guardlink_receive(link_to[1], &got, received), -EAGAIN);
}

/* All or none: with a part of them the guardian would thaw the wrong file systems. */
static void descriptors_are_received_all_or_none(void **state)
{
	struct guardlink_command got, command = {
		.what = GUARDLINK_WATCH, .number = 8, .total = 3,
	};
	int next = open("/dev/null", O_RDONLY), fd[3] = { next, next, next };
	int received[GUARDLINK_FDS];
	struct rlimit old, few;

	(void)state;
	assert_int_equal(guardlink_send(link_to[0], &command, fd, 3), 0);
	close(next);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = next + 2;	/* room for two */
	setrlimit(RLIMIT_NOFILE, &few);
	assert_int_equal(guardlink_receive(link_to[1], &got, received), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(got.number, 8);
	/* None is left open. */
	assert_int_equal(open("/dev/null", O_RDONLY), next);
	close(next);
}

static void answer(uint32_t number, int error)
{
	const struct guardlink_answer answer = { .number = number, .error = error };

	assert_int_equal(send(link_to[1], &answer, sizeof(answer), 0), sizeof(answer));
}

static void answer_belongs_to_its_command(void **state)
{
	(void)state;
	answer(3, -EIO);
	answer(4, 0);
	assert_int_equal(guardlink_wait_answer(link_to[0], 4, 1000), 0);
	answer(5, -ENOMEM);
	assert_int_equal(guardlink_wait_answer(link_to[0], 5, 1000), -ENOMEM);
	answer(5, 0);
	assert_int_equal(guardlink_wait_answer(link_to[0], 6, 50), -ETIMEDOUT);
}

static void each_side_notices_the_end_of_the_other(void **state)
{
	struct guardlink_command command = { .what = GUARDLINK_RELEASE };
	int received[GUARDLINK_FDS];

	(void)state;
	close(link_to[0]);
	assert_int_equal(guardlink_receive(link_to[1], &command, received), -EPIPE);
	assert_int_equal(guardlink_send(link_to[1], &command, NULL, 0), -EPIPE);
	assert_int_equal(guardlink_wait_answer(link_to[1], 1, 1000), -EPIPE);
	link_to[0] = -1;
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(commands_come_with_their_descriptors),
		TEST(descriptors_are_received_all_or_none),
		TEST(answer_belongs_to_its_command),
		TEST(each_side_notices_the_end_of_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
