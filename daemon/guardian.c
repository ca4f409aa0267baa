// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guardian.h"
#include "log.h"
#include "selfspawn.h"

#define NOTES_FD	SELFSPAWN_FD
#define LOOK_MS		500		/* between looks at the clock while something is frozen */
#define AGAIN_MS	100		/* while a FIFREEZE of the dead daemon hangs */
#define STOP_TRIES	100
#define STOP_WAIT_MS	10
#define GRACE_US	2000000LL	/* for the daemon itself to keep its hold deadline */

static bool is_running(pid_t pid)
{
	return pid > 0 && !waitpid(pid, NULL, WNOHANG);
}

/**
 * guardian_start() - have the guardian running
 * @l: notes, locked
 * @config: options of the plan, some of which it needs too
 *
 * Context: main thread, nothing frozen. The guardian is told of the death of this very thread.
 * Return: 0, also if it runs already; or a negative errno.
 */
int guardian_start(struct leftover *l, const struct fsset_config *config)
{
	char name[] = "hv-vss-guardian", option[] = "--guardian", pid[16];
	char own[] = "--this-namespace";
	char *argv[5] = { name, option, pid, config->own_namespace_only ? own : NULL };

	if (l->fd < 0)
		return -EBADF;
	if (is_running(l->guardian))
		return 0;
	/* dup2() of a descriptor to itself would leave it close-on-exec. */
	if (l->fd == NOTES_FD)
		return -EINVAL;
	snprintf(pid, sizeof(pid), "%d", getpid());
	return selfspawn(&l->guardian, argv, l->fd);
}

/**
 * guardian_stop() - end the guardian, and wait for that
 * @l: notes; nothing of ours is frozen
 */
void guardian_stop(struct leftover *l)
{
	if (!is_running(l->guardian))
		return;
	kill(l->guardian, SIGTERM);
	for (int i = 0; i < STOP_TRIES && is_running(l->guardian); i++)
		sysops_real.sleep_ms(STOP_WAIT_MS);
	l->guardian = 0;
}

static bool overdue(const struct leftover *l, int64_t *until)
{
	*until = leftover_until(l);
	return *until > 0 && sysops_real.now_us() > *until + GRACE_US;
}

static void watch(struct leftover *l, pid_t parent, const struct fsset_config *config,
		  const sigset_t *signals)
{
	const struct timespec look = { .tv_nsec = LOOK_MS * 1000000L };
	const struct timespec again = { .tv_nsec = AGAIN_MS * 1000000L };
	int64_t until = LEFTOVER_SOON, done = 0;
	siginfo_t info;
	int signal;

	while (getppid() == parent && leftover_owner_lives(parent)) {
		/* Before the first look anything may have happened. */
		if (overdue(l, &until) && until != done) {
			log_msg(LOG_ERR, "pid %d has not thawed in time", parent);
			leftover_thaw(l, config, &sysops_real);
			done = until;
		}
		signal = sigtimedwait(signals, &info, until && until != done ? &look : NULL);
		if (signal == SIGTERM && info.si_pid == parent)
			return;
	}
	/* Until the last thread is out of the kernel, or a new daemon has taken over. */
	while (leftover_owner(l) == parent && leftover_thaw(l, config, &sysops_real) > 0)
		nanosleep(&again, NULL);
}

/**
 * guardian_run() - be the guardian
 * @parent: the daemon
 * @config: options of the plan
 * Return: 0 or a negative errno.
 */
int guardian_run(pid_t parent, const struct fsset_config *config)
{
	struct leftover l = { .dir = "", .fd = NOTES_FD };
	sigset_t all;

	prctl(PR_SET_NAME, "hv-vss-guardian");
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGUSR1))
		return -errno;
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		log_msg(LOG_WARNING, "guardian: cannot lock memory: %s", strerror(errno));
	watch(&l, parent, config, &all);
	return 0;
}
