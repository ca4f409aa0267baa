// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memlock.h"
#include "base/selfspawn.h"
#include "guardian.h"
#include "guardlink.h"

#define CHECK_MS	200		/* between checks of the daemon while all is frozen */
#define RETRY_MS	100		/* while a FIFREEZE of the dead daemon hangs */
#define STOP_TRIES	100
#define STOP_WAIT_MS	10
#define READY_MS	5000		/* for the guardian to become ready: it locks memory */
#define RELEASE_MS	200		/* for it to close the file systems; the host waits */
#define GRACE_US	2000000LL	/* after the hold deadline, for the daemon itself to thaw */

/* The daemon's side */

static bool is_running(pid_t pid)
{
	return pid > 0 && !waitpid(pid, NULL, WNOHANG);
}

static void close_link(struct leftover *l)
{
	if (l->link >= 0)
		close(l->link);
	l->link = -1;
	l->watching = false;
}

static int start(struct leftover *l, char **argv)
{
	const struct guardlink_command notes = { .what = GUARDLINK_NOTES };
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	/* dup2() of a descriptor to itself does not clear close-on-exec. */
	err = pair[1] == SELFSPAWN_FD ? -EINVAL : selfspawn(&l->guardian, argv, pair[1]);
	close(pair[1]);
	l->link = pair[0];
	if (!err)
		err = guardlink_send(l->link, &notes, &l->fd, 1);
	if (err)
		close_link(l);
	return err;
}

/**
 * guardian_start() - start the guardian, unless it is running
 * @l: notes, locked
 * @config: options of the plan; the guardian needs some of them
 *
 * Context: main thread, nothing is frozen or being frozen. The guardian gets a signal at the death
 * of the calling thread.
 * Return: 0, also if it runs already; or a negative errno.
 */
int guardian_start(struct leftover *l, const struct build_config *config)
{
	char name[] = "hv-vss-guardian", option[] = "--guardian", pid[16];
	char own[] = "--this-namespace";
	char *argv[5] = { name, option, pid, config->own_namespace_only ? own : NULL };

	if (l->fd < 0)
		return -EBADF;
	if (l->link >= 0 && is_running(l->guardian))
		return 0;
	close_link(l);
	snprintf(pid, sizeof(pid), "%d", getpid());
	return start(l, argv);
}

static int send_descriptors(struct leftover *l, const struct fsset *set)
{
	struct guardlink_command command = {
		.what = GUARDLINK_WATCH, .number = l->number, .total = set->n,
	};
	int fd[GUARDLINK_FDS], err = 0;

	for (size_t i = 0; i < set->n && !err;) {
		size_t n = 0;

		while (n < GUARDLINK_FDS && i < set->n)
			fd[n++] = set->target[i++].fd;
		err = guardlink_send(l->link, &command, fd, n);
	}
	return err ? err : guardlink_wait_answer(l->link, l->number, READY_MS);
}

/**
 * guardian_watch() - make the guardian watch a freeze
 * @l: with notes for @set, and a guardian
 * @set: the file systems, open
 *
 * Context: worker, nothing is frozen.
 * Return: 0; or a negative errno: then the guardian watches, but without descriptors: it would have
 *	to open the file systems by their paths.
 */
int guardian_watch(struct leftover *l, const struct fsset *set)
{
	int err;

	if (l->link < 0 || !set->n)
		return 0;
	l->watching = true;
	err = send_descriptors(l, set);
	/* Also after an error: the guardian must read the notes and watch us from now on. */
	kill(l->guardian, SIGUSR2);
	return err;
}

/**
 * guardian_release() - make the guardian close the file systems, so that they can be unmounted
 * @l: does nothing if the guardian does not watch
 *
 * Context: main thread, nothing is frozen any more; waits up to RELEASE_MS.
 */
void guardian_release(struct leftover *l)
{
	struct guardlink_command command = { .what = GUARDLINK_RELEASE };
	int err;

	if (!l->watching || l->link < 0)
		return;
	l->watching = false;
	command.number = ++l->number;
	err = guardlink_send(l->link, &command, NULL, 0);
	if (!err)
		err = guardlink_wait_answer(l->link, command.number, RELEASE_MS);
	/* After any other error it is dead, and its descriptors are closed. */
	if (err == -ETIMEDOUT)
		log_msg(LOG_NOTICE, "the guardian has not closed the file systems yet; until then "
			"they cannot be unmounted");
}

/**
 * guardian_stop() - end the guardian, and wait until it has exited
 * @l: notes; nothing of ours is frozen
 */
void guardian_stop(struct leftover *l)
{
	if (!is_running(l->guardian))
		return;
	kill(l->guardian, SIGTERM);
	for (int i = 0; i < STOP_TRIES && is_running(l->guardian); i++)
		sysops_real.sleep_ms(STOP_WAIT_MS);
	close_link(l);
	l->guardian = 0;
}

/* The guardian's side */

struct guardian {
	const struct build_config *config;
	struct leftover l;
	pid_t parent;
	struct procstate daemon;
	int link;
	int signals;
	struct memlock memlock;
	bool needs_trim;	/* memory was used since memlock_trim() */
	int *fd;		/* descriptors of an incomplete WATCH */
	size_t fds;
	uint32_t number;
};

static void reply(struct guardian *g, uint32_t number, int err)
{
	const struct guardlink_answer answer = { .number = number, .error = err };

	if (send(g->link, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_msg(LOG_WARNING, "guardian: cannot send a message to the daemon: %s",
			strerror(errno));
}

static void close_parts(struct guardian *g)
{
	while (g->fds)
		close(g->fd[--g->fds]);
	free(g->fd);
	g->fd = NULL;
}

static int prepare(struct guardian *g)
{
	int err = leftover_prepare(&g->l, g->fd, g->fds, g->number);

	if (err)
		return err;
	g->fd = NULL;
	g->fds = 0;
	memlock_begin(&g->memlock, MEMLOCK_RESERVE_SMALL);
	return 0;
}

/* Processes one part of a WATCH. */
static void receive_part(struct guardian *g, const struct guardlink_command *command, int *fd,
			 size_t n)
{
	int err = -ENOMEM;

	if (!g->fd || g->number != command->number) {
		leftover_release(&g->l);
		close_parts(g);
		g->number = command->number;
		g->fd = calloc(command->total, sizeof(*fd));
	}
	if (g->fd && g->fds + n <= command->total) {
		memcpy(g->fd + g->fds, fd, n * sizeof(*fd));
		g->fds += n;
		n = 0;
		if (g->fds < command->total)
			return;
		err = prepare(g);
	}
	while (n)
		close(fd[--n]);
	close_parts(g);
	reply(g, command->number, err);
}

static void release(struct guardian *g, uint32_t number)
{
	/* Before leftover_release(): stacks of threads that end while locked stay in memory. */
	memlock_end(&g->memlock);
	leftover_release(&g->l);
	close_parts(g);
	reply(g, number, 0);
}

static void handle_command(struct guardian *g)
{
	struct guardlink_command command;
	int fd[GUARDLINK_FDS];
	int n = guardlink_receive(g->link, &command, fd);

	g->needs_trim = true;
	if (n == -EPIPE || n == -EPROTO) {
		close(g->link);
		g->link = -1;
	} else if (n == -EMFILE) {
		leftover_release(&g->l);
		close_parts(g);
		reply(g, command.number, n);
	} else if (n < 0) {
		return;
	} else if (command.what == GUARDLINK_NOTES && n == 1) {
		g->l.fd = fd[0];
	} else if (command.what == GUARDLINK_WATCH && n > 0) {
		receive_part(g, &command, fd, n);
	} else if (command.what == GUARDLINK_RELEASE) {
		release(g, command.number);
	}
}

static bool is_overdue(const struct leftover *l, int64_t *deadline)
{
	*deadline = l->fd < 0 ? 0 : leftover_deadline(l);
	return *deadline > 0 && sysops_real.now_us() > *deadline + GRACE_US;
}

/* Returns true if the daemon wants it to end. */
static bool wait_for_message(struct guardian *g, int ms)
{
	struct pollfd p[] = {
		{ .fd = g->signals, .events = POLLIN },
		{ .fd = g->link, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	if (g->needs_trim && ms < 0)
		memlock_trim();
	g->needs_trim = g->needs_trim && ms >= 0;
	if (poll(p, 2, ms) <= 0)
		return false;
	if (p[1].revents)
		handle_command(g);
	return p[0].revents && read(g->signals, &info, sizeof(info)) == sizeof(info) &&
	       info.ssi_signo == SIGTERM && (pid_t)info.ssi_pid == g->parent;
}

static void watch(struct guardian *g)
{
	const struct timespec retry = { .tv_nsec = RETRY_MS * 1000000L };
	int64_t deadline = LEFTOVER_FREEZING, done = 0;

	/* A signal reports its death, but not that it dumps core: that is polled. */
	while (getppid() == g->parent && procstate_alive(&g->daemon)) {
		/* At the first check the notes may have any state. */
		if (is_overdue(&g->l, &deadline) && deadline != done) {
			log_msg(LOG_ERR, "pid %d has not thawed in time", g->parent);
			leftover_thaw(&g->l, g->config, &sysops_real);
			done = deadline;
		}
		if (wait_for_message(g, deadline && deadline != done ? CHECK_MS : -1))
			return;
	}
	/* Until the last thread has left the kernel, or a new daemon has taken the notes over. */
	while (g->l.fd >= 0 && leftover_owner(&g->l) == g->parent &&
	       leftover_thaw(&g->l, g->config, &sysops_real) > 0)
		nanosleep(&retry, NULL);
}

/**
 * guardian_run() - main function of the guardian
 * @parent: the daemon
 * @config: options of the plan
 *
 * Context: all signals are blocked, the log is started; SELFSPAWN_FD is the socket.
 * Return: 0 or a negative errno.
 */
int guardian_run(pid_t parent, const struct build_config *config)
{
	struct guardian g = {
		.config = config, .l = { .dir = "", .fd = -1, .link = -1 }, .parent = parent,
		.link = SELFSPAWN_FD, .memlock = { .never_dumps = true }, .needs_trim = true,
	};
	sigset_t all;

	prctl(PR_SET_NAME, "hv-vss-guardian");
	prctl(PR_SET_DUMPABLE, 0);
	sigfillset(&all);
	g.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (g.signals < 0 || prctl(PR_SET_PDEATHSIG, SIGUSR1))
		return -errno;
	procstate_open(&g.daemon, parent);
	g.l.daemon = &g.daemon;
	/* Logs now, and not only during a freeze, if memory can't be locked. */
	memlock_begin(&g.memlock, MEMLOCK_RESERVE_SMALL);
	memlock_end(&g.memlock);
	watch(&g);
	return 0;
}
