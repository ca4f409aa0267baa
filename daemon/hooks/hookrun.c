// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sysops.h"
#include "hooklist.h"
#include "hookproc.h"
#include "hooks.h"

#define LOCK_WAIT_MS	2000	/* for an earlier runner to unlock the notes */
#define VARIABLES	16
#define VARIABLE_MAX	96

struct hookrun {
	const struct hooks_config *config;
	int fd;			/* socket to the daemon; -1: none */
	int signals;
	struct hook_command command;
	struct hooknotes notes;
	struct hooklist list;
	size_t called;		/* number of hooks in the list that were called with "freeze" */
	bool ok;		/* the backup is good */
	char variable[VARIABLES][VARIABLE_MAX];
	char plan[sizeof("HV_VSS_PLAN=") + PATH_MAX];
	char *environment[VARIABLES + 1];
};

/* The file with the plan of the backup: the daemon writes it; after the last hook it is removed */

/**
 * hooks_plan_path() - the path of the file with the plan
 * @path: set
 * @size: of @path, in bytes
 * @run_dir: directory of the daemon's files
 * Return: 0 or -ENAMETOOLONG.
 */
int hooks_plan_path(char *path, size_t size, const char *run_dir)
{
	return (size_t)snprintf(path, size, "%s/" HOOKS_PLAN, run_dir) < size ? 0 : -ENAMETOOLONG;
}

/**
 * hooks_plan_remove() - remove the file with the plan, if there is one
 * @run_dir: directory of the daemon's files
 */
void hooks_plan_remove(const char *run_dir)
{
	char path[PATH_MAX];

	if (!hooks_plan_path(path, sizeof(path), run_dir))
		unlink(path);
}

/* After the death of all processes its existence tells that there is one. */
static bool has_plan(const char *run_dir)
{
	char path[PATH_MAX];

	return !hooks_plan_path(path, sizeof(path), run_dir) && !access(path, F_OK);
}

/* Environment of a hook */

static void __attribute__((format(printf, 3, 4))) add_variable(struct hookrun *r, size_t *n,
							       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->variable[*n], VARIABLE_MAX, fmt, ap);
	va_end(ap);
	r->environment[*n] = r->variable[*n];
	r->environment[++*n] = NULL;
}

static void add_plan(struct hookrun *r, size_t *n)
{
	size_t len = snprintf(r->plan, sizeof(r->plan), "HV_VSS_PLAN=");

	if (hooks_plan_path(r->plan + len, PATH_MAX, r->config->run_dir))
		return;
	r->environment[*n] = r->plan;
	r->environment[++*n] = NULL;
}

static long seconds(int64_t us)
{
	return (us + 999999) / 1000000;
}

static long ms_since(int64_t begun)
{
	return (sysops_real.now_us() - begun) / 1000;
}

static char **environment(struct hookrun *r, const char *operation, int64_t timeout_us)
{
	const struct hook_backup *b = &r->command.backup;
	size_t n = 0;

	add_variable(r, &n, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	add_variable(r, &n, "HOME=/root");
	add_variable(r, &n, "USER=root");
	add_variable(r, &n, "LOGNAME=root");
	add_variable(r, &n, "SHELL=/bin/sh");
	add_variable(r, &n, "LANG=C");
	add_variable(r, &n, "HV_VSS_OPERATION=%s", operation);
	add_variable(r, &n, "HV_VSS_BACKUP_ID=%s", b->id);
	add_variable(r, &n, "HV_VSS_BACKUP_TIME=%lld", b->time);
	if (b->type >= 0)
		add_variable(r, &n, "HV_VSS_BACKUP_TYPE=%lld", b->type);
	add_variable(r, &n, "HV_VSS_TIMEOUT=%ld", seconds(timeout_us));
	if (!strcmp(operation, "freeze"))
		add_variable(r, &n, "HV_VSS_MAX_SECONDS=%ld", seconds(r->command.quiesce_us));
	if (!strcmp(operation, "thaw"))
		add_variable(r, &n, "HV_VSS_STATUS=%s", r->ok ? "ok" : "failed");
	if (r->command.described)
		add_plan(r, &n);
	return r->environment;
}

/* The daemon */

static void send_event(const struct hookrun *r, enum hook_event_type what)
{
	const struct hook_event event = { .what = what, .called = r->called };

	/* If the daemon is dead, the next read shows it. */
	if (r->fd >= 0 && send(r->fd, &event, sizeof(event), MSG_NOSIGNAL) < 0)
		return;
}

/* The death of the daemon counts as HOOK_GIVE_UP. */
static enum hook_command_type next_command(struct hookrun *r)
{
	struct pollfd p[] = {
		{ .fd = r->fd, .events = POLLIN },
		{ .fd = r->signals, .events = POLLIN },
	};
	struct hook_command command;

	while (poll(p, 2, -1) < 0)
		if (errno != EINTR)
			return HOOK_GIVE_UP;
	if (p[0].revents &&
	    recv(r->fd, &command, sizeof(command), MSG_DONTWAIT) == sizeof(command)) {
		if (command.what == HOOK_FREEZE || command.what == HOOK_LEFTOVERS)
			r->command = command;
		return command.what;
	}
	log_msg(LOG_WARNING, "hooks: the daemon has died; calling them with \"thaw\"");
	return HOOK_GIVE_UP;
}

/* Thawing */

static void thaw_one(struct hookrun *r, const char *path)
{
	const char *why = hooklist_check_trust(path, geteuid());
	struct hook_call call = {
		.path = path,
		.argument = "thaw",
		.timeout_us = r->config->timeout_us,
		.cancel = { -1, -1 },
	};

	call.environment = environment(r, "thaw", call.timeout_us);
	if (why)
		log_msg(LOG_ERR, "hook %s: not called with \"thaw\": %s", path, why);
	else if (hookproc_run(&call))
		log_msg(LOG_ERR, "hook %s: \"thaw\" failed; its application may still be stopped",
			path);
}

static void thaw_all(struct hookrun *r, char **path, size_t n)
{
	int64_t begun = sysops_real.now_us();

	if (n)
		log_msg(LOG_DEBUG, "hooks: %zu to be called with \"thaw\"", n);
	for (size_t i = n; i-- > 0;) {
		thaw_one(r, path[i]);
		hooknotes_remove(&r->notes, path[i]);
	}
	hooks_plan_remove(r->config->run_dir);
	hooknotes_remove(&r->notes, NULL);
	if (n)
		log_msg(LOG_INFO, "hooks: %zu called with \"thaw\" in %ld ms", n,
			ms_since(begun));
}

static int thaw_leftovers(struct hookrun *r, int wait_ms)
{
	int err;

	err = hooknotes_open(&r->notes, r->config->run_dir, wait_ms);
	if (!err)
		err = hooknotes_read(&r->notes, &r->command.backup);
	if (err) {
		log_msg(LOG_ERR, "%s: cannot read which hooks to call with \"thaw\": %s",
			r->config->run_dir, strerror(-err));
		return err;
	}
	r->called = r->notes.n;
	r->command.described = has_plan(r->config->run_dir);
	send_event(r, HOOK_FAILED);
	if (r->notes.n)
		log_msg(LOG_WARNING, "hooks: %zu of an interrupted backup still have to be called "
			"with \"thaw\"", r->notes.n);
	thaw_all(r, r->notes.path, r->notes.n);
	return 0;
}

/* Freezing */

static int freeze_one(struct hookrun *r, const char *path, int64_t until)
{
	int64_t left = until - sysops_real.now_us();
	struct hook_call call = {
		.path = path,
		.argument = "freeze",
		.timeout_us = left < r->config->timeout_us ? left : r->config->timeout_us,
		.cancel = { r->fd, r->signals },
	};
	int err;

	if (left <= 0) {
		log_msg(LOG_ERR, "hook %s: not run: no time is left", path);
		return -ETIMEDOUT;
	}
	err = hooknotes_add(&r->notes, path);
	if (err) {
		log_msg(LOG_ERR, "hook %s: not run: cannot write to the notes in %s: %s", path,
			r->config->run_dir, strerror(-err));
		return err;
	}
	r->called++;	/* also if it fails: it may have stopped its application before that */
	call.environment = environment(r, "freeze", call.timeout_us);
	return hookproc_run(&call);
}

/* Returns false if the backup must fail. */
static bool freeze_all(struct hookrun *r)
{
	int64_t begun = sysops_real.now_us();
	int err;

	err = hooknotes_open(&r->notes, r->config->run_dir, LOCK_WAIT_MS);
	if (!err)
		err = hooknotes_begin(&r->notes, &r->command.backup);
	if (err)
		log_msg(LOG_ERR, "hooks: cannot write notes in %s: %s", r->config->run_dir,
			strerror(-err));
	else
		err = hooklist_read(&r->list, r->config->where, geteuid());
	hooklist_log_refused(&r->list);
	if (!err && r->list.refused)
		err = -EPERM;
	if (err && !r->config->keep_going)
		return false;
	for (size_t i = 0; i < r->list.n; i++) {
		err = freeze_one(r, r->list.path[i], begun + r->command.budget_us);
		if (err == -ECANCELED || (err && !r->config->keep_going))
			return false;
	}
	log_msg(LOG_INFO, "hooks: %zu called with \"freeze\" in %ld ms", r->called,
		ms_since(begun));
	return true;
}

static void serve_backup(struct hookrun *r)
{
	if (freeze_all(r)) {
		send_event(r, HOOK_FROZEN);
		r->ok = next_command(r) == HOOK_THAW;
	} else {
		send_event(r, HOOK_FAILED);
	}
	thaw_all(r, r->list.path, r->called);
}

static int watch_parent(void)
{
	sigset_t add_variable;

	sigemptyset(&add_variable);
	sigaddset(&add_variable, SIGTERM);
	if (prctl(PR_SET_PDEATHSIG, SIGTERM))
		return -errno;
	return signalfd(-1, &add_variable, SFD_CLOEXEC | SFD_NONBLOCK);
}

/**
 * hookrun() - main function of the runner
 * @config: from the same options as the daemon's
 * @fd: socket to the daemon
 *
 * Context: main thread of its own process, all signals blocked, the log started.
 * Return: 0 or a negative errno.
 */
int hookrun(const struct hooks_config *config, int fd)
{
	struct hookrun r = { .config = config, .fd = fd, .notes = { .fd = -1 } };
	enum hook_command_type what;

	prctl(PR_SET_NAME, "hv-vss-hooks");
	if (fcntl(fd, F_SETFD, FD_CLOEXEC))
		return -errno;
	/*
	 * Both report the death of the daemon. The signal does not come if the daemon died before
	 * prctl(); the socket is closed late if a thread of the daemon hangs in the kernel.
	 */
	r.signals = watch_parent();
	if (r.signals < 0)
		return r.signals;
	what = next_command(&r);
	if (what == HOOK_FREEZE)
		serve_backup(&r);
	else if (what == HOOK_LEFTOVERS)
		thaw_leftovers(&r, config->timeout_us / 1000);
	send_event(&r, HOOK_DONE);
	hooklist_free(&r.list);
	hooknotes_close(&r.notes);
	close(r.signals);
	return 0;
}

/**
 * hookrun_leftovers() - call the hooks in the notes of a killed daemon with "thaw"
 * @config: options
 *
 * Context: may block as long as hooks may. If a runner still holds the notes, it calls the hooks.
 * Return: 0 or a negative errno.
 */
int hookrun_leftovers(const struct hooks_config *config)
{
	struct hookrun r = { .config = config, .fd = -1, .signals = -1, .notes = { .fd = -1 } };
	int err = 0;

	if (hooknotes_exist(config->run_dir))
		err = thaw_leftovers(&r, config->timeout_us / 1000);
	hooknotes_close(&r.notes);
	return err;
}
