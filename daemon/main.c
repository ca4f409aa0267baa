// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "guardian.h"
#include "journal.h"
#include "list.h"
#include "log.h"
#include "selfspawn.h"
#include "serve.h"
#include "status.h"

#define LEFTOVER_TRIES		50	/* for a dead daemon's hanging FIFREEZE to come back */
#define LEFTOVER_WAIT_MS	100
#define HEAP	(4L * 1024 * 1024)	/* for the mount tables of a machine with thousands */

/* Descriptors 0 to 2 must exist, or the device could become our stderr. */
static int ensure_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

/*
 * While file systems are frozen memory must not be asked for: reclaim may wait for a frozen one.
 * So the heap is grown now, never given back, and locked with everything else.
 */
static void lock_memory(void)
{
	void *heap;

	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
	mallopt(M_TOP_PAD, HEAP);
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		log_msg(LOG_WARNING, "cannot lock memory: %s", strerror(errno));
	heap = malloc(HEAP);
	if (heap)
		memset(heap, 0, HEAP);
	free(heap);
}

/* All threads inherit the mask; SIGPIPE is answered with EPIPE where it matters. */
static int take_signals(void)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* To the journal if that is where stderr leads, with its fields. */
static int start_log(bool verbose)
{
	bool prefix = getenv("JOURNAL_STREAM");

	log_journal(journal_open(STDERR_FILENO));
	return log_start(STDERR_FILENO, prefix, verbose ? LOG_DEBUG : LOG_INFO);
}

static int thaw_patiently(struct leftover *leftover, const struct options *o)
{
	int ret;

	for (int i = 0; i < LEFTOVER_TRIES; i++) {
		ret = leftover_thaw(leftover, &o->plan, &sysops_real);
		if (ret <= 0)
			return ret;
		sysops_real.sleep_ms(LEFTOVER_WAIT_MS);
	}
	log_msg(LOG_CRIT, "a FIFREEZE of a dead daemon still hangs in the kernel");
	return -ETIMEDOUT;
}

static int serve_locked(const struct options *o)
{
	struct leftover leftover;
	struct notify notify;
	int signals, err;

	mallopt(M_ARENA_MAX, 1);	/* before the first thread gets one of its own */
	signals = take_signals();
	if (signals < 0)
		return signals;
	/* First of all: what is left frozen may block whoever reads our log. */
	err = start_log(o->verbose);
	if (err)
		return err;
	notify_init(&notify);
	err = leftover_lock(&leftover, o->run_dir);
	if (err == -EBUSY)
		return err;
	if (err)
		log_msg(LOG_WARNING, "%s: %s; what a killed daemon leaves frozen stays frozen",
			o->run_dir, strerror(-err));
	else
		thaw_patiently(&leftover, o);
	lock_memory();
	return serve(o, &notify, &leftover, signals);
}

static int thaw_leftovers(const struct options *o)
{
	struct leftover leftover;
	int err;

	err = start_log(false);
	if (!err)
		err = leftover_lock(&leftover, o->run_dir);
	if (!err)
		err = thaw_patiently(&leftover, o);
	if (err != -EBUSY && hookrun_leftovers(&o->hooks) && !err)
		err = -EIO;
	return err;
}

static int run_hooks(const struct options *o)
{
	int err;

	err = start_log(o->verbose);
	return err ? err : hookrun(&o->hooks, SELFSPAWN_FD);
}

static int guard_daemon(const struct options *o)
{
	int err;

	err = start_log(false);
	return err ? err : guardian_run(o->guarded, &o->plan);
}

int main(int argc, char **argv)
{
	struct options o;
	int err;

	if (ensure_standard_fds())
		return EXIT_FAILURE;
	err = options_parse(&o, argc, argv);
	if (err < 0 && o.action == ACTION_STATUS) {
		err = status_print(o.run_dir, o.plan.sysfs, o.json);
	} else if (err < 0) {
		if (o.action == ACTION_LIST)
			err = list_all(&o.plan, &o.hooks, o.json);
		else if (o.action == ACTION_THAW_LEFTOVERS)
			err = thaw_leftovers(&o);
		else if (o.action == ACTION_GUARDIAN)
			err = guard_daemon(&o);
		else if (o.action == ACTION_HOOK_RUNNER)
			err = run_hooks(&o);
		else
			err = serve_locked(&o);
		if (err && err != -EBUSY)
			log_msg(LOG_ERR, "%s", strerror(-err));
		log_stop(1000);
		err = err ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	options_free(&o);
	return err;
}
