// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>

#include "freezer.h"
#include "log.h"

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

/**
 * summary_log() - tell what a backup took, in one line
 * @f: the freezer, after the thaw, with its set
 *
 * Behind each file system: the milliseconds of writing out, freezing and thawing it.
 */
void summary_log(const struct freezer *f)
{
	const struct freezer_times *at = &f->at;
	struct text text = { .len = 0 };
	bool ok = f->goal == FREEZER_THAW_OK;

	add(&text, "backup %s: plan %ld ms, sync %ld ms, freeze %ld ms, held %ld ms, thaw %ld ms;",
	    ok ? "ok" : "BROKEN", ms(at->planned - at->begun), ms(at->synced - at->planned),
	    ms(at->frozen - at->synced), ms(at->thawing - at->frozen),
	    ms(at->thawed - at->thawing));
	for (size_t i = 0; i < f->set->n; i++) {
		const struct target *t = &f->set->target[i];

		if (t->freezable)
			add(&text, " %s (%s) %ld/%ld/%ld", t->path, t->type, ms(t->sync_us),
			    ms(t->freeze_us), ms(t->thaw_us));
		else
			add(&text, " %s (%s) written out only", t->path, t->type);
	}
	log_msg(ok ? LOG_INFO : LOG_ERR, "%s", text.buf);
}
