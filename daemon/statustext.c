// SPDX-License-Identifier: GPL-2.0-only
/* The status in words, and as JSON. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "status.h"
#include "words.h"

static long ms(int64_t us)
{
	return (us + 500) / 1000;
}

static void format_time(char *text, size_t size, int64_t us)
{
	time_t seconds = us / 1000000;
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || !strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(text, size, "?");
}

static void print_driver(FILE *f, const struct driver *d)
{
	fprintf(f, "driver: %s", d->name[0] ? d->name : "none");
	if (d->version[0])
		fprintf(f, " %s", d->version);
	if (d->framework[0])
		fprintf(f, "; agreed upon with the host: framework %s, VSS %s", d->framework,
			d->message);
	if (d->state[0])
		fprintf(f, "; %s", d->state);
	putc('\n', f);
	if (d->why_not[0])
		fprintf(f, "  not hv_vss: %s\n", d->why_not);
	if (d->last_error[0] && strcmp(d->last_error, "none") != 0)
		fprintf(f, "  its last error: %s\n", d->last_error);
}

static void print_daemon(FILE *f, const struct status *s)
{
	const struct history_daemon *d = &s->history.daemon;

	fputs("daemon: ", f);
	if (s->error) {
		fprintf(f, "not known: %s\n", strerror(-s->error));
		return;
	}
	if (!s->live.running) {
		fputs("not running\n", f);
		return;
	}
	fprintf(f, "running (pid %d%s%s), %s", s->live.pid, d->version[0] ? ", version " : "",
		d->version, live_state_name(s->live.state));
	if (s->live.state > LIVE_IDLE)
		fprintf(f, " for %ld ms", ms(s->now - s->live.since));
	if (d->connected)
		fprintf(f, "; %s protocol, %s", d->extended ? "extended" : "base",
			d->guard ? "guarded by the kernel" : "without the kernel's guard");
	putc('\n', f);
}

static void print_fs(FILE *f, const struct record_fs *fs)
{
	fprintf(f, "    %-9s ", record_action_name(fs->action));
	words_print(f, fs->path);
	fprintf(f, " (%s)", fs->type);
	if (fs->action == RECORD_FROZEN || fs->action == RECORD_FAILED)
		fprintf(f, " sync %ld ms, freeze %ld ms, thaw %ld ms", ms(fs->sync_us),
			ms(fs->freeze_us), ms(fs->thaw_us));
	else if (fs->action == RECORD_SYNCED)
		fprintf(f, " sync %ld ms", ms(fs->sync_us));
	if (fs->reason)
		fprintf(f, ": %s", fs->reason);
	putc('\n', f);
}

static void print_record(FILE *f, const struct record *r)
{
	char when[32];

	format_time(when, sizeof(when), r->time);
	fprintf(f, "  %lu: %s %s: asked for %s", r->id, when, r->ok ? "ok" : "FAILED",
		words_op(r->op));
	if (r->disks)
		fprintf(f, " of %u disks", r->disks);
	if (r->freeze != ANSWER_NONE)
		fprintf(f, ", freeze answered with %s", record_answer_name(r->freeze));
	if (r->thaw != ANSWER_NONE)
		fprintf(f, ", thaw with %s", record_answer_name(r->thaw));
	putc('\n', f);
	if (r->reason[0]) {
		fputs("    why: ", f);
		words_print(f, r->reason);
		putc('\n', f);
	}
	if (r->plan_us)
		fprintf(f, "    plan %ld ms, sync %ld ms, freeze %ld ms, held %ld ms, "
			"thaw %ld ms\n", ms(r->plan_us), ms(r->sync_us), ms(r->freeze_us),
			ms(r->held_us), ms(r->thaw_us));
	for (size_t i = 0; i < r->n; i++)
		print_fs(f, &r->fs[i]);
	if (r->more)
		fprintf(f, "    and %zu more\n", r->more);
}

/**
 * status_text() - print the status for people
 * @f: where to
 * @s: the status
 */
void status_text(FILE *f, const struct status *s)
{
	const struct history *h = &s->history;
	char when[32];

	print_daemon(f, s);
	print_driver(f, &s->driver);
	if (h->check_time) {
		format_time(when, sizeof(when), h->check_time);
		fprintf(f, "last asked whether a backup is possible: %s, answered with %s\n", when,
			h->check_ok ? "yes" : "no");
	}
	fputs(h->n ? "backups, the latest first:\n" : "no backup since the guest was booted\n", f);
	for (size_t i = h->n; i-- > 0;)
		print_record(f, &h->record[i]);
}

static void json_driver(struct json *j, const struct driver *d)
{
	json_object(j, "driver");
	json_bool(j, "offered", d->offered);
	json_string(j, "name", d->name[0] ? d->name : NULL);
	json_string(j, "version", d->version[0] ? d->version : NULL);
	json_string(j, "framework_version", d->framework[0] ? d->framework : NULL);
	json_string(j, "vss_version", d->message[0] ? d->message : NULL);
	json_string(j, "state", d->state[0] ? d->state : NULL);
	json_string(j, "last_error", d->last_error[0] ? d->last_error : NULL);
	json_string(j, "why_not_hv_vss", d->why_not[0] ? d->why_not : NULL);
	json_end(j);
}

static void json_daemon(struct json *j, const struct status *s)
{
	const struct history_daemon *d = &s->history.daemon;

	json_object(j, "daemon");
	json_bool(j, "running", s->live.running);
	json_string(j, "state", s->live.running ? live_state_name(s->live.state) : NULL);
	json_int(j, "pid", s->live.pid);
	json_ms(j, "state_ms", s->live.running && s->live.since ? s->now - s->live.since : 0);
	json_string(j, "version", d->version[0] ? d->version : NULL);
	json_ms(j, "started", d->started);
	json_string(j, "device", d->device[0] ? d->device : NULL);
	json_bool(j, "connected", s->live.running && d->connected);
	json_bool(j, "guard", d->guard);
	json_string(j, "protocol", !d->connected ? NULL : d->extended ? "extended" : "base");
	json_int(j, "abi", d->abi);
	json_string(j, "error", s->error ? strerror(-s->error) : NULL);
	json_end(j);
}

static void json_fs(struct json *j, const struct record_fs *fs)
{
	json_object(j, NULL);
	json_string(j, "path", fs->path);
	json_string(j, "type", fs->type);
	json_string(j, "source", fs->source);
	json_string(j, "action", record_action_name(fs->action));
	json_string(j, "reason", fs->reason);
	json_ms(j, "sync_ms", fs->sync_us);
	json_ms(j, "freeze_ms", fs->freeze_us);
	json_ms(j, "thaw_ms", fs->thaw_us);
	json_end(j);
}

static void json_record(struct json *j, const struct record *r)
{
	json_object(j, NULL);
	json_int(j, "id", r->id);
	json_ms(j, "time", r->time);
	json_bool(j, "ok", r->ok);
	json_string(j, "reason", r->reason[0] ? r->reason : NULL);
	json_string(j, "asked", words_op(r->op));
	json_int(j, "flags", r->flags);
	json_int(j, "disks", r->disks);
	json_string(j, "freeze_answer", record_answer_name(r->freeze));
	json_string(j, "thaw_answer", record_answer_name(r->thaw));
	json_ms(j, "plan_ms", r->plan_us);
	json_ms(j, "sync_ms", r->sync_us);
	json_ms(j, "freeze_ms", r->freeze_us);
	json_ms(j, "held_ms", r->held_us);
	json_ms(j, "thaw_ms", r->thaw_us);
	json_array(j, "file_systems");
	for (size_t i = 0; i < r->n; i++)
		json_fs(j, &r->fs[i]);
	json_end(j);
	json_int(j, "file_systems_left_out", r->more);
	json_end(j);
}

/**
 * status_json() - print the status for programs
 * @f: where to
 * @s: the status
 *
 * Times are in milliseconds, those of the day since 1970.
 */
void status_json(FILE *f, const struct status *s)
{
	const struct history *h = &s->history;
	struct json j;

	json_begin(&j, f);
	json_object(&j, NULL);
	json_daemon(&j, s);
	json_driver(&j, &s->driver);
	if (h->check_time) {
		json_object(&j, "last_check");
		json_ms(&j, "time", h->check_time);
		json_bool(&j, "ok", h->check_ok);
		json_end(&j);
	}
	json_array(&j, "backups");
	for (size_t i = h->n; i-- > 0;)
		json_record(&j, &h->record[i]);
	json_end(&j);
	json_end(&j);
}
