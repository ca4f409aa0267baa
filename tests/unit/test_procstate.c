// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/procstate.c
/* Which processes count as alive. tests/system tests a process that dumps core. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/procstate.h"
#include "test.h"

/* TSan has its own threads, which start and end at any time. */
#ifdef __SANITIZE_THREAD__
#define SANITIZERS_MOST	2
#else
#define SANITIZERS_MOST	0
#endif

static pid_t child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	for (;;)
		pause();
}

static void own_process_is_alive(void **state)
{
	struct procstate p;

	(void)state;
	/* A name that looks like other fields of /proc/PID/stat. */
	prctl(PR_SET_NAME, ") Z 1 (x");
	procstate_open(&p, getpid());
	assert_true(procstate_alive(&p));
	procstate_close(&p);
	assert_true(procstate_pid_alive(getppid()));
}

static void stopped_is_alive_and_killed_is_not(void **state)
{
	pid_t pid = child();
	siginfo_t info;
	struct procstate p;

	(void)state;
	procstate_open(&p, pid);
	kill(pid, SIGSTOP);
	waitid(P_PID, pid, &info, WSTOPPED);
	assert_true(procstate_alive(&p));
	kill(pid, SIGKILL);
	/* The signal is pending, or the process is exiting, or a zombie. */
	assert_false(procstate_alive(&p));
	waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
	assert_false(procstate_alive(&p));
	assert_int_equal(procstate_threads(&p), 1);
	waitpid(pid, NULL, 0);
	assert_false(procstate_alive(&p));
	assert_int_equal(procstate_threads(&p), 0);
	procstate_close(&p);
	assert_false(procstate_pid_alive(pid));
}

static void *sleeper(void *arg)
{
	sleep(60);
	return arg;
}

/* The main thread has ended, another one has not: as if it hangs in the kernel. */
static void threads_are_counted(void **state)
{
	struct procstate p;
	siginfo_t info;
	int threads;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid) {
		pthread_t thread;

		pthread_create(&thread, NULL, sleeper, NULL);
		pthread_exit(NULL);
	}
	procstate_open(&p, pid);
	while (procstate_alive(&p))
		usleep(1000);
	threads = procstate_threads(&p);
	kill(pid, SIGKILL);
	waitid(P_PID, pid, &info, WEXITED);
	assert_in_range(threads, 2, 2 + SANITIZERS_MOST);
	procstate_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_process_is_alive),
		cmocka_unit_test(stopped_is_alive_and_killed_is_not),
		cmocka_unit_test(threads_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
