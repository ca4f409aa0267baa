// SPDX-License-Identifier: GPL-2.0-only
/*
 * --status --watch: a line each second says what the daemon does, so that a long flush is no silent
 * wait. A terminal is left as it was, however this ends: nothing of it is changed but the line.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cells.h"
#include "base/clock.h"
#include "base/sysops.h"
#include "status.h"

#define LINE_MAX_LEN	512

struct watch {
	struct term t;
	unsigned long seen;	/* the last backup whose result was printed */
	bool begun;
	char shown[LINE_MAX_LEN];	/* the line that stands there */
};

static void format_dirty(char *text, size_t size)
{
	int64_t dirty = sysops_real.dirty_kib();

	if (dirty < 0)
		text[0] = '\0';
	else
		snprintf(text, size, ", %lld KiB dirty", (long long)dirty);
}

/**
 * status_now() - describe in one line what the daemon does
 * @line: set
 * @size: of @line, in bytes
 * @s: the status
 */
void status_now(char *line, size_t size, const struct status *s)
{
	const char *problem = s->error ? strerror(-s->error) : status_problem(s);
	char left[48] = "", dirty[48] = "";

	if (problem) {
		snprintf(line, size, "%s", problem);
		return;
	}
	if (s->live.state == LIVE_IDLE) {
		snprintf(line, size, "idle: no backup is being made");
		return;
	}
	if (s->live.left >= 0)
		snprintf(left, sizeof(left), ", %d file system%s left", s->live.left,
			 s->live.left == 1 ? "" : "s");
	if (s->live.state == LIVE_PREPARING || s->live.state == LIVE_SYNCING)
		format_dirty(dirty, sizeof(dirty));
	snprintf(line, size, "%s for %lld s%s%s", livestate_name(s->live.state),
		 (long long)((s->now - s->live.since) / SECOND), left, dirty);
}

/* On a terminal the line replaces the one before; elsewhere only what has changed is printed. */
static void put_now(struct watch *w, const char *line)
{
	char when[32];

	if (w->t.moves) {
		fputs("\r", stdout);
		cells_print(stdout, &w->t, line, w->t.width - 1);
		fputs("\033[K", stdout);
		return;
	}
	if (!strcmp(line, w->shown))
		return;
	status_time(when, sizeof(when), clock_wall_us());
	printf("%s ", when);
	cells_print(stdout, &w->t, line, LINE_MAX_LEN);
	putchar('\n');
	snprintf(w->shown, sizeof(w->shown), "%s", line);
}

static void put_result(struct watch *w, const struct record *r)
{
	char when[32], line[LINE_MAX_LEN];

	status_time(when, sizeof(when), r->time);
	snprintf(line, sizeof(line), "%s backup %lu: %s%s%s", when, r->id,
		 !r->ok ? "FAILED" : r->written ? "ok, but" : "ok",
		 r->reason[0] ? ": " : r->written ? " " : "",
		 r->reason[0] ? r->reason : r->written ? r->evidence : "");
	if (w->t.moves)
		fputs("\r\033[K", stdout);
	cells_print(stdout, &w->t, line, LINE_MAX_LEN);
	putchar('\n');
}

static void put_status(struct watch *w, const struct status *s)
{
	const struct history *h = &s->history;
	char line[LINE_MAX_LEN];

	for (size_t i = 0; i < h->n; i++)
		if (w->begun && h->record[i].id > w->seen)
			put_result(w, &h->record[i]);
	/* After a reboot of the guest the numbers begin anew; this program does not outlive one. */
	w->seen = h->last_id;
	w->begun = true;
	status_now(line, sizeof(line), s);
	put_now(w, line);
}

/* Returns false when the user has ended it. */
static bool wait_second(const sigset_t *signals)
{
	const struct timespec second = { .tv_sec = 1 };

	return sigtimedwait(signals, NULL, &second) < 0;
}

/**
 * status_watch() - print once a second what the daemon does, and the result of each backup
 * @run_dir: directory of the daemon's files
 * @sysfs: where sysfs is mounted
 *
 * Ends with SIGINT (Ctrl-C), SIGTERM or SIGHUP, or if the output can't be written.
 * Return: enum status_code.
 */
int status_watch(const char *run_dir, const char *sysfs)
{
	struct watch w = { .begun = false };
	sigset_t signals;
	bool bad, again;
	struct status s;
	int code;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	do {
		term_detect(&w.t, STDOUT_FILENO);	/* the window may have another size now */
		status_load(&s, run_dir, sysfs);
		put_status(&w, &s);
		code = status_code(&s);
		status_free(&s);
		bad = fflush(stdout) || ferror(stdout);
		again = !bad && wait_second(&signals);
	} while (again);
	if (w.t.moves)
		putchar('\n');
	return fflush(stdout) || bad ? STATUS_UNKNOWN : code;
}
