// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>

#include "../include/uapi/hv_vss.h"
#include "journal.h"
#include "log.h"
#include "record.h"
#include "words.h"

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
	bool check = r->op == HV_VSS_OP_HOT_BACKUP;

	journal_add(fields, "MESSAGE_ID", "%s", r->ok ? JOURNAL_ID_BACKUP_OK :
		    check ? JOURNAL_ID_CHECK_FAILED : JOURNAL_ID_BACKUP_FAILED);
	journal_add(fields, "HV_VSS_EVENT", "%s", check ? "check" : "backup");
	journal_add(fields, "HV_VSS_RESULT", "%s", r->ok ? "ok" : "failed");
	journal_add(fields, "HV_VSS_ASKED", "%s", words_op(r->op));
	journal_add(fields, "HV_VSS_FREEZE_ANSWER", "%s", record_answer_name(r->freeze));
	journal_add(fields, "HV_VSS_THAW_ANSWER", "%s", record_answer_name(r->thaw));
	if (r->reason[0])
		journal_add(fields, "HV_VSS_REASON", "%s", r->reason);
	journal_add(fields, "HV_VSS_PLAN_US", "%lld", (long long)r->plan_us);
	journal_add(fields, "HV_VSS_SYNC_US", "%lld", (long long)r->sync_us);
	journal_add(fields, "HV_VSS_FREEZE_US", "%lld", (long long)r->freeze_us);
	journal_add(fields, "HV_VSS_HELD_US", "%lld", (long long)r->held_us);
	journal_add(fields, "HV_VSS_THAW_US", "%lld", (long long)r->thaw_us);
	/* As many as there is room for. */
	for (size_t i = 0; i < r->n; i++)
		if (r->fs[i].action == RECORD_FROZEN || r->fs[i].action == RECORD_FAILED)
			journal_add(fields, "HV_VSS_MOUNT", "%s", r->fs[i].path);
}

static void add_fs(struct text *text, const struct record_fs *fs)
{
	if (fs->action == RECORD_FROZEN)
		add(text, " %s (%s) %ld/%ld/%ld", fs->path, fs->type, ms(fs->sync_us),
		    ms(fs->freeze_us), ms(fs->thaw_us));
	else if (fs->action == RECORD_SYNCED)
		add(text, " %s (%s) written out only", fs->path, fs->type);
}

/**
 * record_log() - tell what a backup took, in one line
 * @r: the record of it, complete
 *
 * Behind each file system: the milliseconds of writing out, freezing and thawing it.
 */
void record_log(const struct record *r)
{
	struct journal_fields fields = { .len = 0 };
	struct text text = { .len = 0 };

	if (r->op == HV_VSS_OP_HOT_BACKUP)
		add(&text, "not ready for a backup: %s", r->reason);
	else if (r->ok)
		add(&text, "backup ok: ");
	else
		add(&text, "backup %s: %s; ", r->freeze == ANSWER_OK ? "BROKEN" : "FAILED",
		    r->reason[0] ? r->reason : "the log says why");
	if (r->op == HV_VSS_OP_FREEZE) {
		add(&text, "plan %ld ms, sync %ld ms, freeze %ld ms, held %ld ms, thaw %ld ms;",
		    ms(r->plan_us), ms(r->sync_us), ms(r->freeze_us), ms(r->held_us),
		    ms(r->thaw_us));
		for (size_t i = 0; i < r->n; i++)
			add_fs(&text, &r->fs[i]);
	}
	add_fields(&fields, r);
	log_event(r->ok ? LOG_INFO : LOG_ERR, &fields, "%s", text.buf);
}
