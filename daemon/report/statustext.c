// SPDX-License-Identifier: GPL-2.0-only
/* Prints the status as text and as JSON. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/format.h"
#include "json.h"
#include "status.h"

static long ms(int64_t us)
{
	return (us + 500) / 1000;
}

/**
 * status_time() - format date and time, in local time
 * @text: at least 20 bytes
 * @size: of @text
 * @us: in us since 1970
 */
void status_time(char *text, size_t size, int64_t us)
{
	time_t seconds = us / 1000000;
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || !strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(text, size, "?");
}

static void print_driver(FILE *f, const struct owner *d)
{
	fprintf(f, "driver: %s", d->name[0] ? d->name : "none");
	if (d->version[0])
		fprintf(f, " %s", d->version);
	if (d->framework[0])
		fprintf(f, "; negotiated with the host: framework %s, VSS %s", d->framework,
			d->message);
	if (d->state[0])
		fprintf(f, "; %s", d->state);
	putc('\n', f);
	if (d->why_not[0])
		fprintf(f, "  not hv_vss: %s\n", d->why_not);
	if (d->closed[0])
		fprintf(f, "  no backup is possible: %s\n", d->closed);
	if (d->last_error[0] && strcmp(d->last_error, "none") != 0)
		fprintf(f, "  its last error: %s\n", d->last_error);
}

/* For a driver that does not know our limit the daemon's is half a second less: not reported. */
static void print_hold(FILE *f, const struct history_daemon *d)
{
	if (!d->hold_us)
		return;
	fprintf(f, "  holds a freeze for %ld.%ld s at most", ms(d->hold_us) / 1000,
		ms(d->hold_us) / 100 % 10);
	if (d->hold_us + 500000 < d->hold_asked_us)
		fprintf(f, ": hv_vss does not allow --hold=%ld (its parameter hold_max_ms)",
			ms(d->hold_asked_us) / 1000);
	putc('\n', f);
}

static void print_daemon(FILE *f, const struct status *s)
{
	const struct history_daemon *d = &s->history.daemon;

	fputs("daemon: ", f);
	if (s->error) {
		fprintf(f, "unknown: %s\n", strerror(-s->error));
		return;
	}
	if (!s->live.running) {
		fputs("not running\n", f);
		return;
	}
	fprintf(f, "running (pid %d%s%s), %s", s->live.pid, d->version[0] ? ", version " : "",
		d->version, livestate_name(s->live.state));
	if (s->live.state > LIVE_IDLE)
		fprintf(f, " for %ld ms", ms(s->now - s->live.since));
	if (d->connected)
		fprintf(f, "; %s protocol, %s", d->extended ? "extended" : "base",
			d->guard ? "guarded by the kernel" : "without the kernel's guard");
	putc('\n', f);
	if (s->live.stopped)
		fputs("  it is stopped by a signal or a debugger, and does nothing\n", f);
	if (d->connected)
		print_hold(f, d);
}

static void print_fs(FILE *f, const struct record_fs *fs)
{
	fprintf(f, "    %-9s ", record_action_name(fs->action));
	format_print_escaped(f, fs->path);
	fputs(" (", f);
	format_print_escaped(f, fs->type);
	putc(')', f);
	if (fs->action == RECORD_FROZEN || fs->action == RECORD_FAILED)
		fprintf(f, " sync %ld ms, freeze %ld ms, thaw %ld ms", ms(fs->sync_us),
			ms(fs->freeze_us), ms(fs->thaw_us));
	else if (fs->action == RECORD_SYNCED)
		fprintf(f, " sync %ld ms", ms(fs->sync_us));
	if (fs->reason) {
		fputs(": ", f);
		format_print_escaped(f, fs->reason);
	}
	putc('\n', f);
}

static void print_culprit(FILE *f, const struct culprit *c)
{
	char text[160];

	culprit_words(text, sizeof(text), c);
	fputs("    held up by: ", f);
	format_print_escaped(f, text);
	if (c->path[0]) {
		fputs(", on ", f);
		format_print_escaped(f, c->path);
	}
	putc('\n', f);
}

static void print_record(FILE *f, const struct record *r)
{
	char when[32];

	status_time(when, sizeof(when), r->time);
	fprintf(f, "  %lu: %s %s: asked for %s", r->id, when,
		!r->ok ? "FAILED" : r->written ? "ok, but" : "ok", format_op(r->op));
	if (r->disks)
		fprintf(f, " of %u disks", r->disks);
	if (r->freeze != ANSWER_NONE)
		fprintf(f, ", freeze answered with %s", record_answer_name(r->freeze));
	if (r->thaw != ANSWER_NONE)
		fprintf(f, ", thaw with %s", record_answer_name(r->thaw));
	putc('\n', f);
	if (r->reason[0]) {
		fputs("    why: ", f);
		format_print_escaped(f, r->reason);
		putc('\n', f);
	}
	for (size_t i = 0; i < r->culprits.n; i++)
		print_culprit(f, &r->culprits.one[i]);
	if (r->plan_us)
		fprintf(f, "    plan %ld ms, sync %ld ms, freeze %ld ms, held %ld ms, "
			"thaw %ld ms\n", ms(r->plan_us), ms(r->sync_us), ms(r->freeze_us),
			ms(r->held_us), ms(r->thaw_us));
	if (r->evidence[0]) {
		fputs("    ", f);
		format_print_escaped(f, r->evidence);
		putc('\n', f);
	}
	for (size_t i = 0; i < r->n; i++)
		print_fs(f, &r->fs[i]);
	if (r->more)
		fprintf(f, "    and %zu more\n", r->more);
}

/**
 * status_text() - print the status for people
 * @f: where to print it
 * @s: the status
 */
void status_text(FILE *f, const struct status *s)
{
	const struct history *h = &s->history;
	char when[32];

	print_daemon(f, s);
	print_driver(f, &s->driver);
	if (h->preflight_time) {
		status_time(when, sizeof(when), h->preflight_time);
		fprintf(f, "last preflight (HOT_BACKUP): %s, answered with %s\n", when,
			h->preflight_ok ? "success" : "failure");
	}
	fputs(h->n ? "backups, the latest first:\n" : "no backup since the guest was booted\n", f);
	for (size_t i = h->n; i-- > 0;)
		print_record(f, &h->record[i]);
}

static void json_driver(struct json *j, const struct owner *d)
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
	json_string(j, "why_not_serving", d->closed[0] ? d->closed : NULL);
	json_end(j);
}

static void json_daemon(struct json *j, const struct status *s)
{
	const struct history_daemon *d = &s->history.daemon;

	json_object(j, "daemon");
	json_bool(j, "running", s->live.running);
	json_bool(j, "stopped", s->live.stopped);
	json_string(j, "state", s->live.running ? livestate_token(s->live.state) : NULL);
	json_string(j, "problem", s->error ? strerror(-s->error) : status_problem(s));
	json_int(j, "pid", s->live.pid);
	json_ms(j, "state_ms", s->live.running && s->live.since ? s->now - s->live.since : 0);
	json_string(j, "version", d->version[0] ? d->version : NULL);
	json_ms(j, "started", d->started);
	json_string(j, "device", d->device[0] ? d->device : NULL);
	json_bool(j, "connected", s->live.running && d->connected);
	json_bool(j, "guard", d->guard);
	json_string(j, "protocol", !d->connected ? NULL : d->extended ? "extended" : "base");
	json_int(j, "abi", d->abi);
	json_ms(j, "hold_ms", d->hold_us);
	json_ms(j, "hold_wanted_ms", d->hold_asked_us);
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

static void json_culprit(struct json *j, const struct culprit *c)
{
	json_object(j, NULL);
	json_string(j, "path", c->path[0] ? c->path : NULL);
	json_int(j, "pid", c->pid);
	json_string(j, "process", c->comm[0] ? c->comm : NULL);
	json_string(j, "call", c->call);
	json_string(j, "waits_for", c->waits[0] ? c->waits : NULL);
	json_end(j);
}

static void json_record(struct json *j, const struct record *r)
{
	json_object(j, NULL);
	json_int(j, "id", r->id);
	json_ms(j, "time", r->time);
	json_bool(j, "ok", r->ok);
	json_string(j, "reason", r->reason[0] ? r->reason : NULL);
	json_string(j, "asked", format_op(r->op));
	json_int(j, "flags", r->flags);
	json_int(j, "disks", r->disks);
	json_string(j, "freeze_answer", record_answer_name(r->freeze));
	json_string(j, "thaw_answer", record_answer_name(r->thaw));
	json_ms(j, "hooks_ms", r->hooks_us);
	json_ms(j, "plan_ms", r->plan_us);
	json_ms(j, "sync_ms", r->sync_us);
	json_ms(j, "freeze_ms", r->freeze_us);
	json_ms(j, "held_ms", r->held_us);
	json_ms(j, "thaw_ms", r->thaw_us);
	json_string(j, "evidence", r->evidence[0] ? r->evidence : NULL);
	json_int(j, "disks_watched", r->watched);
	if (r->watched)
		json_int(j, "disks_written", r->written);
	else
		json_string(j, "disks_written", NULL);
	json_array(j, "held_up_by");
	for (size_t i = 0; i < r->culprits.n; i++)
		json_culprit(j, &r->culprits.one[i]);
	json_end(j);
	json_array(j, "file_systems");
	for (size_t i = 0; i < r->n; i++)
		json_fs(j, &r->fs[i]);
	json_end(j);
	json_int(j, "file_systems_left_out", r->more);
	json_end(j);
}

/**
 * status_json() - print the status for programs
 * @f: where to print it
 * @s: the status
 *
 * Times are in milliseconds, dates since 1970. hv-vss-daemon(8) documents the keys.
 */
void status_json(FILE *f, const struct status *s)
{
	const struct history *h = &s->history;
	struct json j;

	json_begin(&j, f);
	json_object(&j, NULL);
	json_int(&j, "schema_version", STATUS_SCHEMA);
	json_daemon(&j, s);
	json_driver(&j, &s->driver);
	if (h->preflight_time) {
		json_object(&j, "last_check");
		json_ms(&j, "time", h->preflight_time);
		json_bool(&j, "ok", h->preflight_ok);
		json_end(&j);
	}
	json_array(&j, "backups");
	for (size_t i = h->n; i-- > 0;)
		json_record(&j, &h->record[i]);
	json_end(&j);
	json_end(&j);
}
