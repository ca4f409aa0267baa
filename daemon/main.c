// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/container.h"
#include "base/ioflusher.h"
#include "base/journal.h"
#include "base/log.h"
#include "base/selfspawn.h"
#include "kvp/kvp.h"
#include "report/list.h"
#include "report/status.h"
#include "serve.h"
#include "unguarded/guardian.h"

#define LEFTOVER_TRIES		50	/* for a hanging FIFREEZE of a dead daemon to return */
#define LEFTOVER_WAIT_MS	100

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

/* Each file system and each mount namespace needs a descriptor: the default of 1024 is too low. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_msg(LOG_WARNING, "cannot raise the number of open files: %s", strerror(errno));
}

/*
 * The kernel frees memory by writing to file systems, and by dropping inodes, for which the XFS of
 * older kernels waits while it is frozen. What this process needs while file systems are frozen
 * must not wait for them. All threads and the guardian inherit it; before 5.6, and without
 * CAP_SYS_RESOURCE, there is no such protection.
 */
static void avoid_reclaim(void)
{
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
}

/* All threads inherit the mask. SIGPIPE is ignored: calls return EPIPE. */
static int block_signals(void)
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

/* Logs to the journal, with fields, if stderr is connected to it. */
static int start_log(bool verbose)
{
	bool prefix = getenv("JOURNAL_STREAM");

	log_journal(journal_open(STDERR_FILENO));
	return log_start(STDERR_FILENO, prefix, verbose ? LOG_DEBUG : LOG_INFO);
}

static int thaw_with_retries(struct leftover *leftover, const struct options *o)
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

/* Wait for a signal. Return: true if one has come. */
static bool interrupted(int signals, int ms)
{
	struct pollfd p = { .fd = signals, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

/*
 * Thaw what a dead daemon has left frozen. As long as one of its FIFREEZEs still hangs, that file
 * system will be frozen when it returns, and then nothing else would thaw it: so wait, and don't
 * serve. That file system could not be backed up anyway.
 *
 * Return: 0; -EINTR if a signal has come.
 */
static int thaw_before_serving(struct leftover *leftover, const struct options *o,
			       const struct notify *notify, int signals)
{
	int ret = leftover_thaw(leftover, &o->plan, &sysops_real);

	for (int i = 0; ret > 0; i++) {
		if (i == LEFTOVER_TRIES) {
			log_msg(LOG_CRIT, "a FIFREEZE of a dead daemon still hangs in the kernel; "
				"not serving until it has returned");
			notify_send(notify, "READY=1\nSTATUS=a FIFREEZE of a dead daemon hangs");
		}
		notify_send(notify, "WATCHDOG=1");
		if (interrupted(signals, LEFTOVER_WAIT_MS))
			return -EINTR;
		ret = leftover_thaw(leftover, &o->plan, &sysops_real);
	}
	if (ret)
		log_msg(LOG_ERR, "what a dead daemon has left frozen may still be frozen: %s",
			strerror(-ret));
	return 0;
}

static int serve_locked(const struct options *o)
{
	struct leftover leftover;
	struct notify notify;
	int signals, err;

	mallopt(M_ARENA_MAX, 1);	/* before another thread gets an arena of its own */
	signals = block_signals();
	if (signals < 0)
		return signals;
	/* The log has a thread: a frozen file system may block the reader of the log. */
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
	else if (thaw_before_serving(&leftover, o, &notify, signals))
		return 0;
	return serve(o, &notify, &leftover, signals);
}

/* The notes in the directory decide what root thaws, and which programs it calls. */
static bool is_writable_by_root_only(const char *dir)
{
	struct stat st;

	return lstat(dir, &st) || (S_ISDIR(st.st_mode) && !(st.st_mode & 0022) &&
				   (!st.st_uid || st.st_uid == geteuid()));
}

/*
 * Checks the directory; and to serve, that all file systems of the machine can be seen from here.
 */
static bool can_start(const struct options *o)
{
	const char *problem = o->action == ACTION_SERVE ? container_problem() : NULL;

	if (o->action != ACTION_SERVE && o->action != ACTION_THAW_LEFTOVERS)
		return true;
	if (!is_writable_by_root_only(o->run_dir)) {
		log_msg(LOG_ERR, "--run-dir=%s: users other than root can write to it, or it is "
			"not a directory", o->run_dir);
		return false;
	}
	if (problem)
		log_msg(LOG_ERR, "not serving: %s. Run hv-vss-daemon on the machine itself, or in "
			"a container that shares its PID and user namespaces", problem);
	return !problem;
}

static int thaw_leftovers(const struct options *o)
{
	struct leftover leftover;
	int err;

	err = start_log(false);
	if (!err)
		err = leftover_lock(&leftover, o->run_dir);
	if (!err)
		err = thaw_with_retries(&leftover, o);
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

static int write_kvp(void)
{
	/* The daemon logs, and knows what it has logged already. */
	kvp_write(SELFSPAWN_FD);
	return 0;
}

static int guard_daemon(const struct options *o)
{
	int err;

	err = start_log(false);
	return err ? err : guardian_run(o->guarded, &o->plan);
}

static int list(const struct options *o)
{
	const struct list_format how = {
		.json = o->json, .tree = o->tree, .ignore_kernel_faults = o->ignore_kernel_faults,
	};

	return list_all(&o->plan, &o->hooks, &how);
}

int main(int argc, char **argv)
{
	struct options o;
	int err;

	err = ensure_standard_fds();
	if (err) {
		fprintf(stderr, "hv-vss-daemon: /dev/null: %s\n", strerror(-err));
		return EXIT_FAILURE;
	}
	err = options_parse(&o, argc, argv);
	if (err < 0 && o.action == ACTION_STATUS) {
		err = o.watch ? status_watch(o.run_dir, o.plan.sysfs) :
		      status_print(o.run_dir, o.plan.sysfs, o.json);
	} else if (err < 0 && o.action == ACTION_CHECK) {
		err = check_print(o.run_dir, o.plan.sysfs, &o.limits);
	} else if (err < 0 && !can_start(&o)) {
		err = EXIT_USAGE;	/* systemd does not restart after this code */
	} else if (err < 0) {
		raise_file_limit();
		avoid_reclaim();
		if (o.action == ACTION_LIST)
			err = list(&o);
		else if (o.action == ACTION_THAW_LEFTOVERS)
			err = thaw_leftovers(&o);
		else if (o.action == ACTION_GUARDIAN)
			err = guard_daemon(&o);
		else if (o.action == ACTION_HOOK_RUNNER)
			err = run_hooks(&o);
		else if (o.action == ACTION_KVP_WRITER)
			err = write_kvp();
		else if (o.action == ACTION_REMOVE_KVP)
			err = kvp_forget();
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
