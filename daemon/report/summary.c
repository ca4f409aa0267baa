// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/journal.h"
#include "base/log.h"
#include "base/format.h"
#include "hv_vss.h"
#include "record.h"

struct text {
	char buf[900];
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text->buf + text->len, sizeof(text->buf) - text->len, fmt, ap);
	va_end(ap);
	if (len > 0)
		text->len += len;
	if (text->len >= sizeof(text->buf))
		text->len = sizeof(text->buf) - 1;
}

static long ms(int64_t us)
{
	return (us + 500) / 1000;
}

static void add_fields(struct journal_fields *fields, const struct record *r)
{
	bool preflight = r->op == HV_VSS_OP_HOT_BACKUP;

	journal_add(fields, "MESSAGE_ID", "%s", r->ok ? JOURNAL_ID_BACKUP_OK :
		    preflight ? JOURNAL_ID_PREFLIGHT_FAILED : JOURNAL_ID_BACKUP_FAILED);
	journal_add(fields, "HV_VSS_EVENT", "%s", preflight ? "check" : "backup");
	journal_add(fields, "HV_VSS_RESULT", "%s", r->ok ? "ok" : "failed");
	journal_add(fields, "HV_VSS_ASKED", "%s", format_op(r->op));
	journal_add(fields, "HV_VSS_FREEZE_ANSWER", "%s", record_answer_name(r->freeze));
	journal_add(fields, "HV_VSS_THAW_ANSWER", "%s", record_answer_name(r->thaw));
	if (r->reason[0])
		journal_add(fields, "HV_VSS_REASON", "%s", r->reason);
	if (r->evidence[0])
		journal_add(fields, "HV_VSS_EVIDENCE", "%s", r->evidence);
	journal_add(fields, "HV_VSS_PLAN_US", "%lld", (long long)r->plan_us);
	journal_add(fields, "HV_VSS_SYNC_US", "%lld", (long long)r->sync_us);
	journal_add(fields, "HV_VSS_FREEZE_US", "%lld", (long long)r->freeze_us);
	journal_add(fields, "HV_VSS_HELD_US", "%lld", (long long)r->held_us);
	journal_add(fields, "HV_VSS_THAW_US", "%lld", (long long)r->thaw_us);
	/* Fields that don't fit are dropped. */
	for (size_t i = 0; i < r->n; i++)
		if (r->fs[i].action == RECORD_FROZEN || r->fs[i].action == RECORD_FAILED)
			journal_add(fields, "HV_VSS_MOUNT", "%s", r->fs[i].path);
}

static void add_fs(struct text *text, const struct record_fs *fs, bool ok)
{
	if (fs->action == RECORD_FROZEN)
		add(text, " %s (%s) sync %ld freeze %ld thaw %ld ms", fs->path, fs->type,
		    ms(fs->sync_us), ms(fs->freeze_us), ms(fs->thaw_us));
	else if (fs->action == RECORD_SYNCED)
		add(text, " %s (%s) synced only%s%s%s", fs->path, fs->type,
		    fs->reason ? " (" : "", fs->reason ? fs->reason : "", fs->reason ? ")" : "");
	else if (fs->unsafe || (ok && fs->action == RECORD_FAILED))
		add(text, " %s (%s) NOT FROZEN (%s)", fs->path, fs->type,
		    fs->reason ? fs->reason : "");
}

/* File systems that were not frozen come first: there may be no room for all. */
static void add_all(struct text *text, const struct record *r)
{
	if (r->more)
		add(text, " %zu file systems are not listed here;", r->more);
	for (int pass = 0; pass <= 1; pass++)
		for (size_t i = 0; i < r->n; i++) {
			bool frozen = r->fs[i].action == RECORD_FROZEN;

			if (frozen == pass)
				add_fs(text, &r->fs[i], r->ok);
		}
	if (text->len == sizeof(text->buf) - 1)
		memcpy(text->buf + text->len - 4, " ...", 4);
}

/**
 * record_log() - log the result of a backup, in one line
 * @r: its record, complete
 *
 * With the time in milliseconds of syncing, freezing and thawing each file system.
 */
void record_log(const struct record *r)
{
	struct journal_fields fields = { .len = 0 };
	struct text text = { .len = 0 };

	if (r->op == HV_VSS_OP_HOT_BACKUP)
		add(&text, "not ready for a backup: %s", r->reason);
	else if (r->ok && r->written)
		add(&text, "backup ok, but the disks were %s; ", r->evidence);
	else if (r->ok)
		add(&text, "backup ok: ");
	else
		add(&text, "backup %s: %s; ", r->freeze == ANSWER_OK ? "BROKEN" : "FAILED",
		    r->reason[0] ? r->reason : "see the log lines before");
	if (r->op == HV_VSS_OP_FREEZE) {
		add(&text, "plan %ld ms, sync %ld ms, freeze %ld ms, held %ld ms, thaw %ld ms;",
		    ms(r->plan_us), ms(r->sync_us), ms(r->freeze_us), ms(r->held_us),
		    ms(r->thaw_us));
		if (r->evidence[0] && !(r->ok && r->written))
			add(&text, " %s;", r->evidence);
		add_all(&text, r);
	}
	add_fields(&fields, r);
	log_event(!r->ok ? LOG_ERR : r->written ? LOG_WARNING : LOG_INFO, &fields, "%s", text.buf);
}
