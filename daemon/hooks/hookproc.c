// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ioflusher.h"
#include "base/log.h"
#include "base/sysops.h"
#include "hooklist.h"
#include "hookproc.h"

#define TICK_MS		20		/* between checks whether it has ended */
#define OUTPUT_US	100000LL	/* for remaining output after the end of the hook */
#define TERM_US		2000000LL	/* from SIGTERM to SIGKILL */
#define KILL_US		1000000LL	/* from SIGKILL until the hook is abandoned */
#define LINE_MAX_LEN	400		/* bytes of a line that go to the log */
#define LINES_MAX	200		/* of one call */

struct hookproc {
	const struct hook_call *call;
	const char *name;
	pid_t pid;
	int out;			/* its stdout and stderr; -1: closed */
	int exec_error;			/* pipe that gets an errno if it can't be executed */
	char line[LINE_MAX_LEN];
	size_t len;
	bool cut;			/* the line is longer than line[] */
	unsigned int lines;
};

/* Its output */

static void end_line(struct hookproc *h)
{
	if (!h->len && !h->cut)
		return;
	h->lines++;
	if (h->lines <= LINES_MAX)
		log_msg(LOG_INFO, "hook %s: %.*s%s", h->name, (int)h->len, h->line,
			h->cut ? " ..." : "");
	h->len = 0;
	h->cut = false;
}

static void add_byte(struct hookproc *h, char c)
{
	if (c == '\n')
		end_line(h);
	else if (h->len < sizeof(h->line))
		h->line[h->len++] = iscntrl((unsigned char)c) && c != '\t' ? '?' : c;
	else
		h->cut = true;
}

static void read_output(struct hookproc *h)
{
	char buf[4096];
	ssize_t got;

	if (h->out < 0)
		return;
	got = read(h->out, buf, sizeof(buf));
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	for (ssize_t i = 0; i < got; i++)
		add_byte(h, buf[i]);
	if (got > 0)
		return;
	close(h->out);
	h->out = -1;
}

/* Start */

/* Runs between fork and exec: system calls only, as another thread may have held any lock. */
static void exec_hook(const struct hook_call *call, int null, int out, int exec_error)
{
	char shell[] = "/bin/sh";
	/* For a script without #! line /bin/sh is executed, as a shell does; else argv + 1. */
	char * const argv[] = { shell, (char *)call->path, (char *)call->argument, NULL };
	sigset_t none;
	int fd, err;

	setsid();
	/* If the runner is killed, no process enforces the timeout. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	/* A hook may need memory that is freed by writing: nothing is frozen while it runs. */
	prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0);
	/*
	 * The value inherited from the daemon protects it from the OOM killer. Errors are harmless.
	 */
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "0", 1) < 0)
		close(fd);
	if (!chdir("/") && dup2(null, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2)
		execve(call->path, argv + 1, call->environment);
	if (errno == ENOEXEC)
		execve(shell, argv, call->environment);
	err = errno;
	if (write(exec_error, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

static int start(struct hookproc *h)
{
	int out[2] = { -1, -1 }, failed[2] = { -1, -1 }, null, err;

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || pipe2(out, O_CLOEXEC) || pipe2(failed, O_CLOEXEC | O_NONBLOCK))
		goto err_close;
	h->pid = fork();
	if (h->pid < 0)
		goto err_close;
	if (!h->pid)
		exec_hook(h->call, null, out[1], failed[1]);
	close(null);
	close(out[1]);
	close(failed[1]);
	h->out = out[0];
	h->exec_error = failed[0];
	fcntl(h->out, F_SETFL, O_NONBLOCK);
	return 0;

err_close:
	err = -errno;
	for (int i = 0; i < 2; i++) {
		if (out[i] >= 0)
			close(out[i]);
		if (failed[i] >= 0)
			close(failed[i]);
	}
	if (null >= 0)
		close(null);
	return err;
}

/* End */

/* WNOWAIT: it stays a zombie, so that the number of its process group is not reused. */
static bool has_ended(const struct hookproc *h)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, h->pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid;
}

/* Returns 0 when it has ended, -ETIMEDOUT, or -ECANCELED if a descriptor of @cancel is readable. */
static int wait_end(struct hookproc *h, int64_t until, const int *cancel)
{
	while (!has_ended(h)) {
		struct pollfd p[] = {
			{ .fd = h->out, .events = POLLIN },
			{ .fd = cancel ? cancel[0] : -1, .events = POLLIN },
			{ .fd = cancel ? cancel[1] : -1, .events = POLLIN },
		};

		/* When the pipe is closed, the hook is about to end: poll more often. */
		if (poll(p, 3, h->out < 0 ? 1 : TICK_MS) > 0) {
			if (p[1].revents || p[2].revents)
				return -ECANCELED;
			if (p[0].revents)
				read_output(h);
		}
		if (sysops_real.now_us() >= until)
			return -ETIMEDOUT;
	}
	return 0;
}

/* Child processes that it has left running may keep the pipe open: don't wait long. */
static void read_remaining_output(struct hookproc *h)
{
	int64_t until = sysops_real.now_us() + OUTPUT_US;

	while (h->out >= 0 && sysops_real.now_us() < until) {
		struct pollfd p = { .fd = h->out, .events = POLLIN };

		if (poll(&p, 1, TICK_MS) > 0)
			read_output(h);
	}
	end_line(h);
	if (h->lines > LINES_MAX)
		log_msg(LOG_INFO, "hook %s: %u more lines", h->name, h->lines - LINES_MAX);
}

static void kill_group(struct hookproc *h)
{
	kill(-h->pid, SIGTERM);
	if (wait_end(h, sysops_real.now_us() + TERM_US, NULL)) {
		kill(-h->pid, SIGKILL);
		wait_end(h, sysops_real.now_us() + KILL_US, NULL);
	} else {
		kill(-h->pid, SIGKILL);		/* other processes of its group */
	}
}

static int check_status(const struct hookproc *h, int status)
{
	int err;

	if (read(h->exec_error, &err, sizeof(err)) == sizeof(err)) {
		log_msg(LOG_ERR, "hook %s: cannot be run: %s", h->name, strerror(err));
		return -err;
	}
	if (WIFSIGNALED(status)) {
		log_msg(LOG_ERR, "hook %s: %s: killed by signal %d", h->name, h->call->argument,
			WTERMSIG(status));
		return -EINTR;
	}
	if (WEXITSTATUS(status))
		log_msg(LOG_ERR, "hook %s: %s: exit status %d", h->name, h->call->argument,
			WEXITSTATUS(status));
	return WEXITSTATUS(status);
}

/**
 * hookproc_run() - run a hook
 * @call: program, argument, environment and timeout
 *
 * The hook's output goes to the log, line by line. The function returns in time also if the hook
 * hangs in the kernel or leaves child processes that keep its output open. Child processes are
 * killed only if the hook itself had to be killed.
 * Context: main thread of a process that may block; @call->cancel is not read from.
 * Return: the exit status; -ETIMEDOUT; -ECANCELED; -EINTR if it was killed; another negative errno
 *	if it can't be run. Everything but exit status 0 is logged.
 */
int hookproc_run(const struct hook_call *call)
{
	struct hookproc h = { .call = call, .name = hooklist_name(call->path) };
	int err, status = 0;

	err = start(&h);
	if (err) {
		log_msg(LOG_ERR, "hook %s: cannot be started: %s", h.name, strerror(-err));
		return err;
	}
	err = wait_end(&h, sysops_real.now_us() + call->timeout_us, call->cancel);
	if (err) {
		log_msg(LOG_ERR, "hook %s: %s: %s: killed", h.name, call->argument,
			err == -ETIMEDOUT ? "timed out" : "cancelled");
		kill_group(&h);
	}
	read_remaining_output(&h);
	if (waitpid(h.pid, &status, WNOHANG) != h.pid) {
		log_msg(LOG_CRIT, "hook %s: pid %d hangs in the kernel", h.name, h.pid);
		err = -ETIMEDOUT;
	}
	if (!err)
		err = check_status(&h, status);
	if (h.out >= 0)
		close(h.out);
	close(h.exec_error);
	return err;
}
