// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "procstate.h"

/* Flags of the main thread, in /proc/PID/stat since Linux 2.6 (include/linux/sched.h). */
#define PF_EXITING	0x00000004
#define PF_DUMPCORE	0x00000200
#define PF_SIGNALED	0x00000400	/* killed by a signal, exiting */

#define SIGKILL_PENDING	(1ULL << (SIGKILL - 1))

struct stat_line {
	char state;
	unsigned int flags;
	int threads;
};

static int open_one(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/**
 * procstate_open() - open the state of a process
 * @p: filled in
 * @pid: the process; if it does not exist, procstate_alive() will return false
 */
void procstate_open(struct procstate *p, pid_t pid)
{
	p->stat = open_one(pid, "stat");
	p->status = open_one(pid, "status");
}

/**
 * procstate_close() - close the state of a process
 * @p: from procstate_open()
 */
void procstate_close(struct procstate *p)
{
	if (p->stat >= 0)
		close(p->stat);
	if (p->status >= 0)
		close(p->status);
	p->stat = -1;
	p->status = -1;
}

static bool read_all(int fd, char *text, size_t size)
{
	ssize_t n = fd < 0 ? -1 : pread(fd, text, size - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

/* False if the process is gone: read() fails with ESRCH, although the file is open. */
static bool read_stat(const struct procstate *p, struct stat_line *line)
{
	char text[1024], *end;

	if (!read_all(p->stat, text, sizeof(text)))
		return false;
	/* The name, in parentheses, may contain any character; the state follows it: proc(5). */
	end = strrchr(text, ')');
	return end && sscanf(end + 1, " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d "
			     "%*d %*d %d", &line->state, &line->flags, &line->threads) == 3;
}

static unsigned long long value(const char *text, const char *name, int base)
{
	const char *found = strstr(text, name);

	return found ? strtoull(found + strlen(name), NULL, base) : 0;
}

/* SIGKILL is pending, or the process dumps core (shown since Linux 4.15). */
static bool is_dying(const struct procstate *p)
{
	char text[4096];

	if (!read_all(p->status, text, sizeof(text)))
		return false;
	return value(text, "\nSigPnd:", 16) & SIGKILL_PENDING ||
	       value(text, "\nShdPnd:", 16) & SIGKILL_PENDING ||
	       value(text, "\nCoreDumping:", 10);
}

/**
 * procstate_alive() - will the process run its program again?
 * @p: from procstate_open()
 *
 * False as soon as the process is killed or dumps core, whatever the state of its threads is.
 * Before Linux 5.16 the threads that don't write the dump have PF_EXITING; since then they wait
 * with PF_SIGNALED. The thread that writes it has PF_SIGNALED on all kernels; it is the main
 * thread, or has killed the main thread.
 *
 * Context: no path look-up, allocates nothing.
 * Return: false also if the process is gone, or if its main thread has ended.
 */
bool procstate_alive(const struct procstate *p)
{
	struct stat_line line;

	if (!read_stat(p, &line) || strchr("ZXx", line.state))
		return false;
	return !(line.flags & (PF_EXITING | PF_DUMPCORE | PF_SIGNALED)) && !is_dying(p);
}

/**
 * procstate_threads() - the number of threads of a process
 * @p: from procstate_open()
 *
 * If a dead process has more than one thread, one of them hangs in the kernel, and its system call
 * may still succeed.
 * Context: as for procstate_alive().
 * Return: the number, including a main thread that has ended; 0 if the process is gone.
 */
int procstate_threads(const struct procstate *p)
{
	struct stat_line line;

	return read_stat(p, &line) ? line.threads : 0;
}

/**
 * procstate_pid_alive() - does a process exist, and will it run its program again?
 * @pid: the process
 * Return: as for procstate_alive().
 */
bool procstate_pid_alive(pid_t pid)
{
	struct procstate p;
	bool alive;

	procstate_open(&p, pid);
	alive = procstate_alive(&p);
	procstate_close(&p);
	return alive;
}
