// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "hv_vss.h"
#include "kvpverdict.h"

#define TEXT_MAX	4096	/* bytes of a text before it is cut */

enum item {
	KEY_RESULT,		/* first: the next ones depend on it */
	KEY_TIME,
	KEY_FROZEN_MS,
	KEY_REASON,
	KEY_EVIDENCE,
	KEY_SKIPPED,
	KEY_LAST_GOOD,
	KEY_STATE,
	KEY_VERSION,
	KEY_DRIVER,
};

/* Never to be renamed: scripts on hosts know them. */
const char * const kvpverdict_key[KVPVERDICT_KEYS] = {
	[KEY_RESULT] = "HvVssLastBackup", [KEY_TIME] = "HvVssLastBackupTime",
	[KEY_FROZEN_MS] = "HvVssFrozenMs", [KEY_REASON] = "HvVssReason",
	[KEY_EVIDENCE] = "HvVssEvidence", [KEY_SKIPPED] = "HvVssSkipped",
	[KEY_LAST_GOOD] = "HvVssLastGoodBackup", [KEY_STATE] = "HvVssState",
	[KEY_VERSION] = "HvVssVersion", [KEY_DRIVER] = "HvVssDriver",
};

/* Length of the UTF-8 character at @p, if an XML document may contain it; else 0. */
static size_t character(const unsigned char *p)
{
	static const unsigned long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 :
		   p[0] >> 3 == 30 ? 4 : 0;
	unsigned long c = n < 2 ? p[0] : p[0] & (0x7f >> n);

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (n == 1)
		return c >= ' ' && c != 0x7f;
	/* No overlong form, control character, surrogate or noncharacter. */
	if (!n || c < least[n] || c < 0xa0 || (c >= 0xd800 && c < 0xe000) ||
	    (c & 0xfffe) == 0xfffe || c > 0x10ffff)
		return 0;
	return n;
}

/*
 * The kernel answers the host with an error if a value is not UTF-8, and the host embeds it in XML.
 * Names of file systems may have any bytes. What does not fit is replaced by "...".
 */
static void set_text(char to[KVPPOOL_TEXT_SIZE], const char *from)
{
	const unsigned char *p = (const unsigned char *)from;
	size_t len = 0, fits = 0;

	while (*p) {
		size_t n = character(p), bytes = n ? n : 1;

		if (len + bytes > KVPPOOL_TEXT_SIZE - 1) {
			len = fits;
			memset(to + len, 0, KVPPOOL_TEXT_SIZE - len);
			memcpy(to + len, "...", 3);
			return;
		}
		memcpy(to + len, n ? (const char *)p : "?", bytes);
		len += bytes;
		p += bytes;
		if (len <= KVPPOOL_TEXT_SIZE - 4)
			fits = len;
	}
}

static void __attribute__((format(printf, 3, 4))) add(struct kvpverdict *v, enum item which,
						      const char *fmt, ...)
{
	struct kvppool_item *item = &v->item[v->n++];
	char text[TEXT_MAX];
	va_list ap;

	*item = (struct kvppool_item){ .depends = which > KEY_RESULT && which < KEY_LAST_GOOD };
	snprintf(item->key, sizeof(item->key), "%s", kvpverdict_key[which]);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* It is not known whether every host shows an item without a value. */
	set_text(item->text, text[0] ? text : "none");
}

/* UTC, because the host may be in another time zone. */
static void add_time(struct kvpverdict *v, enum item which, int64_t us)
{
	time_t seconds = us / SECOND;
	char text[40] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	add(v, which, "%s", text);
}

/* File systems on the disks that are copied, which were not frozen. */
static void add_skipped(struct kvpverdict *v, const struct record *r)
{
	char text[TEXT_MAX] = "";
	size_t len = 0;

	for (size_t i = 0; i < r->n && len < sizeof(text); i++) {
		const struct record_fs *fs = &r->fs[i];
		bool synced = fs->action == RECORD_SYNCED;

		if (!synced && !fs->unsafe && !(r->ok && fs->action == RECORD_FAILED))
			continue;
		len += snprintf(text + len, sizeof(text) - len, "%s%s (%s): %s%s%s",
				len ? "; " : "", fs->path, fs->type, synced ? "synced only" : "",
				synced && fs->reason ? ": " : "", fs->reason ? fs->reason : "");
	}
	add(v, KEY_SKIPPED, "%s", text);
}

static void add_result(struct kvpverdict *v, const struct record *r)
{
	add(v, KEY_RESULT, "%s", !r->ok ? "failed" : r->written ? "warning" : "ok");
	add_time(v, KEY_TIME, r->time);
	add(v, KEY_FROZEN_MS, "%lld", (long long)((r->held_us + 500) / 1000));
	add(v, KEY_REASON, "%s", r->ok ? "" : r->reason);
	add(v, KEY_EVIDENCE, "%s", r->evidence);
	add_skipped(v, r);
}

/**
 * kvpverdict_fill() - the records for the host
 * @v: filled in; its first record is the result, if there is one
 * @h: the last backups, and the daemon
 * @state: what the daemon does
 *
 * What is not known has no record here, and keeps the one that it has in the pool: after a reboot
 * that of the last backup before.
 */
void kvpverdict_fill(struct kvpverdict *v, const struct history *h, const char *state)
{
	memset(v, 0, sizeof(*v));	/* it is compared and sent as bytes */
	if (h->n)
		add_result(v, &h->record[h->n - 1]);
	for (size_t i = h->n; i > 0; i--)
		if (h->record[i - 1].ok) {
			add_time(v, KEY_LAST_GOOD, h->record[i - 1].time);
			break;
		}
	add(v, KEY_STATE, "%s", state);
	add(v, KEY_VERSION, "%s", h->daemon.version);
	if (h->daemon.driver[0])
		add(v, KEY_DRIVER, "%s", h->daemon.driver);
}
