// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "status.h"
#include "sysops.h"

/**
 * status_code() - what a monitoring system wants to know
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
	return h->n && !h->record[h->n - 1].ok ? STATUS_FAILED : STATUS_OK;
}

/**
 * status_print() - print what the daemon does, and how the last backups went
 * @run_dir: where the daemon keeps its notes
 * @sysfs: where sysfs is mounted
 * @json: as JSON
 *
 * Context: any user. Touches nothing that could be frozen but /dev/null's like.
 * Return: enum status_code.
 */
int status_print(const char *run_dir, const char *sysfs, bool json)
{
	struct status s = { .now = sysops_real.now_us() };
	int code, err;

	driver_look(&s.driver, sysfs);
	s.error = live_look(&s.live, run_dir);
	err = history_load(&s.history, run_dir);
	/* A daemon that has only just started has not written it yet. */
	if (err && err != -ENOENT && !s.error)
		s.error = err;
	(json ? status_json : status_text)(stdout, &s);
	code = status_code(&s);
	history_free(&s.history);
	return fflush(stdout) ? STATUS_UNKNOWN : code;
}
