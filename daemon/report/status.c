// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sysops.h"
#include "status.h"

/**
 * status_problem() - can the host back up this guest now?
 * @s: the status, without an error
 * Return: NULL if it can, otherwise the reason why not.
 */
const char *status_problem(const struct status *s)
{
	if (!s->live.running)
		return "the daemon is not running";
	if (s->live.stopped)
		return "the daemon is stopped by a signal or a debugger";
	if (s->live.state == LIVE_WAITING)
		return "the daemon waits for the device";
	if (!s->driver.name[0])
		return "no driver has the host's channel";
	if (s->driver.closed[0])
		return s->driver.closed;
	return NULL;
}

/**
 * status_code() - the exit code of --status
 * @s: the status
 * Return: the code to exit with.
 */
enum status_code status_code(const struct status *s)
{
	const struct history *h = &s->history;

	if (s->error)
		return STATUS_UNKNOWN;
	if (!s->live.running)
		return STATUS_NOT_RUNNING;
	if (status_problem(s) || (h->n && !h->record[h->n - 1].ok))
		return STATUS_FAILED;
	return STATUS_OK;
}

/**
 * status_load() - read the status
 * @s: filled in, to be freed
 * @run_dir: directory of the daemon's files
 * @sysfs: where sysfs is mounted
 *
 * Context: any user. Reads no file that may be on a frozen file system.
 */
void status_load(struct status *s, const char *run_dir, const char *sysfs)
{
	int err;

	/* Not time(): the age of a backup would be wrong by up to a second. */
	*s = (struct status){
		.now = sysops_real.now_us(),
		.wall = clock_wall_us(),
	};
	owner_read(&s->driver, sysfs);
	s->error = livestate_read(&s->live, run_dir);
	err = history_load(&s->history, run_dir);
	/* A daemon that has just started has not written the file yet. */
	if (err && err != -ENOENT && !s->error)
		s->error = err;
}

/**
 * status_free() - free what status_load() has allocated
 * @s: the status
 */
void status_free(struct status *s)
{
	history_free(&s->history);
}

/**
 * status_print() - print the status
 * @run_dir: directory of the daemon's files
 * @sysfs: where sysfs is mounted
 * @json: print JSON
 *
 * On a terminal a table follows the text; in a pipe the text stays as scripts know it.
 * Return: enum status_code.
 */
int status_print(const char *run_dir, const char *sysfs, bool json)
{
	struct status s;
	struct term t;
	int code;

	status_load(&s, run_dir, sysfs);
	(json ? status_json : status_text)(stdout, &s);
	if (!json && isatty(STDOUT_FILENO)) {
		term_detect(&t, STDOUT_FILENO);
		status_table(stdout, &s.history, &t);
	}
	code = status_code(&s);
	status_free(&s);
	return fflush(stdout) || ferror(stdout) ? STATUS_UNKNOWN : code;
}
