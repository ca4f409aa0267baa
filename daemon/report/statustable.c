// SPDX-License-Identifier: GPL-2.0-only
/* The last backups as a table, for --status on a terminal: a line each, with a bar per phase. */
#include <string.h>
#include <time.h>

#include "base/cells.h"
#include "status.h"

#define PHASES		6
#define WIDE		80	/* columns of the terminal for dates with a year, and whole words */
#define BAR_MIN		3
#define NUMBER		6	/* columns of the number beside a bar, if there is room for it */
#define BAR_WITH_NUMBER	(NUMBER + 1 + BAR_MIN + 2)
#define TEXT_MAX	32
#define PHASE_MAX_US	(86400 * 1000000LL)	/* far beyond all limits: a damaged file */

struct phase {
	const char *name;
	const char *name_narrow;
	const char *style;
};

static const struct phase phases[PHASES] = {
	{ "hooks", "hook", "35" }, { "plan", "plan", "36" }, { "sync", "sync", "34" },
	{ "freeze", "frz.", "33" }, { "held", "held", "31" }, { "thaw", "thaw", "32" },
};

struct table {
	FILE *f;
	const struct term *t;
	bool wide;
	size_t when, result, total, frozen, fs;	/* widths of columns */
	size_t bar;		/* of a column with a bar; 0: no room for them */
	int64_t longest[PHASES];
	size_t pad;		/* spaces to print before the next text: none end a line */
};

static int64_t phase_us(const struct record *r, int phase)
{
	const int64_t us[PHASES] = {
		r->hooks_us, r->plan_us, r->sync_us, r->freeze_us, r->held_us, r->thaw_us,
	};

	return us[phase] < PHASE_MAX_US ? us[phase] : PHASE_MAX_US;
}

static int64_t total_us(const struct record *r)
{
	int64_t sum = 0;

	for (int i = 0; i < PHASES; i++)
		sum += phase_us(r, i);
	return sum;
}

static int64_t frozen_us(const struct record *r)
{
	return r->freeze_us + r->held_us + r->thaw_us;
}

static size_t count_fs(const struct record *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->fs[i].action == RECORD_FROZEN;
	return n;
}

/* Milliseconds; seconds or minutes if these have too many digits. */
static void format_us(const struct table *table, char text[TEXT_MAX], int64_t us)
{
	long long ms = (us + 500) / 1000, max = table->wide ? 999999 : 9999;

	if (!us)
		snprintf(text, TEXT_MAX, "-");
	else if (!ms)
		snprintf(text, TEXT_MAX, "<1");
	else if (ms <= max)
		snprintf(text, TEXT_MAX, "%lld", ms);
	else if (ms / 1000 < 1000)
		snprintf(text, TEXT_MAX, "%llds", ms / 1000);
	else
		snprintf(text, TEXT_MAX, "%lldm", ms / 60000);
}

static const char *result_of(const struct table *table, const struct record *r)
{
	if (!r->ok)
		return table->wide ? "FAILED" : "FAIL";
	return !r->written ? "ok" : table->wide ? "ok, but" : "but";
}

static void format_when(const struct table *table, char text[TEXT_MAX], int64_t us)
{
	time_t seconds = us / 1000000;
	struct tm tm;

	if (!localtime_r(&seconds, &tm) ||
	    !strftime(text, TEXT_MAX, table->wide ? "%Y-%m-%d %H:%M" : "%m-%d %H:%M", &tm))
		snprintf(text, TEXT_MAX, "?");
}

/* Parts of a line */

static void flush_pad(struct table *table)
{
	cells_pad(table->f, table->pad);
	table->pad = 0;
}

/* All texts here are ASCII. @style may be NULL. */
static void put_left(struct table *table, const char *text, size_t width, const char *style)
{
	size_t len = strnlen(text, width);

	flush_pad(table);
	if (style)
		term_style(table->f, table->t, style);
	fprintf(table->f, "%.*s", (int)len, text);
	if (style)
		term_plain(table->f, table->t);
	table->pad = width - len;
}

static void put_right(struct table *table, const char *text, size_t width, const char *style)
{
	size_t len = strlen(text);

	table->pad += len < width ? width - len : 0;
	put_left(table, text, len, style);
}

static void put_us(struct table *table, int64_t us, size_t width)
{
	char text[TEXT_MAX];

	format_us(table, text, us);
	put_right(table, text, width, NULL);
}

static void end_line(struct table *table)
{
	table->pad = 0;
	putc('\n', table->f);
}

/* Bars */

/* In parts of a cell; what took any time at all has one. */
static size_t bar_parts(int64_t us, int64_t longest, size_t parts)
{
	size_t n = longest > 0 ? (double)us / longest * parts : 0;

	return us > 0 && !n ? 1 : n;
}

static size_t put_blocks(struct table *table, int64_t us, int64_t longest, size_t width)
{
	size_t n = bar_parts(us, longest, 8 * width), columns = (n + 7) / 8;

	for (; n >= 8; n -= 8)
		fputs("\xe2\x96\x88", table->f);	/* U+2588, a full block */
	if (n)
		fprintf(table->f, "\xe2\x96%c", (char)(0x90 - n));	/* U+258F: an eighth */
	return columns;
}

static size_t put_hashes(struct table *table, int64_t us, int64_t longest, size_t width)
{
	size_t n = bar_parts(us, longest, 2 * width), columns = (n + 1) / 2;

	for (; n >= 2; n -= 2)
		putc('#', table->f);
	if (n)
		putc(':', table->f);
	return columns;
}

static void put_bar(struct table *table, int phase, int64_t us, size_t width)
{
	int64_t longest = table->longest[phase];
	size_t used;

	/* What takes less than a millisecond each time, as without hooks, would only be noise. */
	if (us <= 0 || longest < 1000) {
		table->pad += width;
		return;
	}
	flush_pad(table);
	term_style(table->f, table->t, phases[phase].style);
	used = (table->t->utf8 ? put_blocks : put_hashes)(table, us, longest, width);
	term_plain(table->f, table->t);
	table->pad = width - used;
}

static bool has_numbers(const struct table *table)
{
	return table->bar >= BAR_WITH_NUMBER;
}

static void put_phase(struct table *table, int phase, int64_t us)
{
	size_t width = table->bar;

	table->pad++;
	if (has_numbers(table)) {
		put_us(table, us, NUMBER);
		table->pad++;
		width -= NUMBER + 1;
	}
	put_bar(table, phase, us, width);
}

/* Lines */

static void put_header(struct table *table)
{
	put_left(table, "when", table->when, TERM_STRONG);
	table->pad += 1 + table->result + 1;
	put_right(table, table->wide ? "total" : "all", table->total, TERM_STRONG);
	table->pad++;
	put_right(table, table->wide ? "frozen" : "froz", table->frozen, TERM_STRONG);
	table->pad++;
	put_right(table, "fs", table->fs, TERM_STRONG);
	for (int i = 0; i < PHASES && table->bar; i++) {
		const char *name = phases[i].name;

		if (strlen(name) > table->bar)
			name = phases[i].name_narrow;
		table->pad++;
		if (has_numbers(table)) {
			put_right(table, name, NUMBER, phases[i].style);
			table->pad += table->bar - NUMBER;
		} else {
			put_left(table, name, table->bar, phases[i].style);
		}
	}
	end_line(table);
}

static size_t left_width(const struct table *table)
{
	return table->when + table->result + table->total + table->frozen + table->fs + 4;
}

/* How long a full bar of each phase is: each has its own scale. */
static void put_scale(struct table *table)
{
	char text[TEXT_MAX];

	if (!table->bar || has_numbers(table))
		return;
	put_right(table, "a full bar is", left_width(table), TERM_FAINT);
	for (int i = 0; i < PHASES; i++) {
		format_us(table, text, table->longest[i]);
		table->pad++;
		put_left(table, text, table->bar, TERM_FAINT);
	}
	end_line(table);
}

static void put_reason(struct table *table, const struct record *r)
{
	const char *why = !r->ok ? r->reason : r->written ? r->evidence : "";

	if (!why[0])
		return;
	cells_pad(table->f, 2);
	cells_print(table->f, table->t, why, table->t->width - 2);
	putc('\n', table->f);
}

static void put_record(struct table *table, const struct record *r)
{
	const char *style = !r->ok ? TERM_BAD : r->written ? TERM_WARN : TERM_GOOD;
	char text[TEXT_MAX];

	format_when(table, text, r->time);
	put_left(table, text, table->when, NULL);
	table->pad++;
	put_left(table, result_of(table, r), table->result, style);
	table->pad++;
	put_us(table, total_us(r), table->total);
	table->pad++;
	put_us(table, frozen_us(r), table->frozen);
	table->pad++;
	snprintf(text, sizeof(text), "%zu", count_fs(r));
	put_right(table, text, table->fs, NULL);
	for (int i = 0; i < PHASES && table->bar; i++)
		put_phase(table, i, phase_us(r, i));
	end_line(table);
	put_reason(table, r);
}

/* Layout */

static void widen(size_t *width, const char *text)
{
	size_t len = strlen(text);

	if (len > *width)
		*width = len;
}

static void measure(struct table *table, const struct record *r)
{
	char text[TEXT_MAX];

	widen(&table->result, result_of(table, r));
	format_us(table, text, total_us(r));
	widen(&table->total, text);
	format_us(table, text, frozen_us(r));
	widen(&table->frozen, text);
	snprintf(text, sizeof(text), "%zu", count_fs(r));
	widen(&table->fs, text);
	for (int i = 0; i < PHASES; i++)
		if (phase_us(r, i) > table->longest[i])
			table->longest[i] = phase_us(r, i);
}

/**
 * status_table() - print the last backups as a table
 * @f: where to print it
 * @h: the backups
 * @t: the reader; if its lines are too short for bars, there are none
 */
void status_table(FILE *f, const struct history *h, const struct term *t)
{
	bool wide = t->width >= WIDE;
	struct table table = {
		.f = f, .t = t, .wide = wide,
		.when = wide ? strlen("2026-11-30 09:48") : strlen("11-30 09:48"),
		.total = wide ? strlen("total") : strlen("all"),
		.frozen = wide ? strlen("frozen") : strlen("froz"),
		.fs = strlen("fs"),
	};
	size_t left;

	if (!h->n)
		return;
	for (size_t i = 0; i < h->n; i++)
		measure(&table, &h->record[i]);
	left = left_width(&table);
	if (t->width >= left + PHASES * (1 + BAR_MIN))
		table.bar = (t->width - left) / PHASES - 1;
	fputs("\nthe last backups, the latest first (ms)\n", f);
	put_header(&table);
	put_scale(&table);
	for (size_t i = h->n; i-- > 0;)
		put_record(&table, &h->record[i]);
}
