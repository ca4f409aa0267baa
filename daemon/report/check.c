// SPDX-License-Identifier: GPL-2.0-only
/* --check: prints one line and returns an exit code, as a monitoring plug-in does. */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "status.h"

#define MINUTE		(60 * SECOND)
#define HOUR		(60 * MINUTE)
#define DAY		(24 * HOUR)
#define BUSY_US		(15 * MINUTE)	/* longer than a host waits for a backup */

struct verdict {
	enum check_code code;
	char text[REASON_SIZE + EVIDENCE_SIZE + 160];
};

static void format_age(char *text, size_t size, int64_t us)
{
	if (us < 2 * MINUTE)
		snprintf(text, size, "%lld s", us / SECOND);
	else if (us < 2 * HOUR)
		snprintf(text, size, "%lld min", us / MINUTE);
	else if (us < 2 * DAY)
		snprintf(text, size, "%lld h", us / HOUR);
	else
		snprintf(text, size, "%lld days", us / DAY);
}

/* The last good backup in the history. */
static const struct record *last_good(const struct history *h)
{
	for (size_t i = h->n; i-- > 0;)
		if (h->record[i].ok)
			return &h->record[i];
	return NULL;
}

/* Age of the last good backup; without one, the time since boot. */
static int64_t age_of(const struct status *s, const struct record *good)
{
	int64_t age = good ? s->wall - good->time : s->now;

	return age > 0 ? age : 0;
}

static void check_trouble(struct verdict *v, const struct status *s)
{
	const struct history *h = &s->history;
	const struct record *last = h->n ? &h->record[h->n - 1] : NULL;
	const char *problem = status_problem(s), *why_not = s->driver.why_not;
	char text[32];

	v->code = CHECK_CRITICAL;
	if (problem) {
		snprintf(v->text, sizeof(v->text), "%s%s%s", problem,
			 !s->driver.name[0] && why_not[0] ? ": " : "",
			 s->driver.name[0] ? "" : why_not);
	} else if (last && !last->ok) {
		status_time(text, sizeof(text), last->time);
		snprintf(v->text, sizeof(v->text), "the backup of %s has failed: %s", text,
			 last->reason);
	} else if (s->live.state > LIVE_IDLE && s->now - s->live.since > BUSY_US) {
		v->code = CHECK_WARNING;
		format_age(text, sizeof(text), s->now - s->live.since);
		snprintf(v->text, sizeof(v->text), "%s for %s", livestate_name(s->live.state),
			 text);
	} else {
		v->code = CHECK_OK;
	}
}

static void check_age(struct verdict *v, const struct status *s, const struct status_limits *l)
{
	const struct record *good = last_good(&s->history);
	int64_t age = age_of(s, good);
	char text[32], when[32];

	if (l->max_us && age > l->max_us)
		v->code = CHECK_CRITICAL;
	else if (l->warn_us && age > l->warn_us)
		v->code = CHECK_WARNING;
	format_age(text, sizeof(text), age);
	if (good) {
		status_time(when, sizeof(when), good->time);
		snprintf(v->text, sizeof(v->text), "last backup %s, %s ago", when, text);
	} else {
		snprintf(v->text, sizeof(v->text), "no backup since the guest was booted, %s ago",
			 text);
	}
}

/* The last backup was made, but not all of it stood still. */
static void check_writes(struct verdict *v, const struct history *h)
{
	const struct record *last = h->n ? &h->record[h->n - 1] : NULL;
	char when[32];

	if (!last || !last->written)
		return;
	v->code = CHECK_WARNING;
	status_time(when, sizeof(when), last->time);
	snprintf(v->text, sizeof(v->text), "the disks of the backup of %s were %s", when,
		 last->evidence);
}

/* Names must not contain newlines, nor "|", which begins the performance data. */
static void put_text(FILE *f, const char *text)
{
	for (; *text; text++)
		putc(iscntrl((unsigned char)*text) ? '?' : *text == '|' ? '!' : *text, f);
}

static void put_limit(FILE *f, int64_t us)
{
	putc(';', f);
	if (us)
		fprintf(f, "%lld", us / SECOND);
}

static void put_perfdata(FILE *f, const struct status *s, const struct status_limits *l)
{
	const struct record *good = last_good(&s->history);

	if (!good)
		return;
	fprintf(f, " | age=%llds", age_of(s, good) / SECOND);
	put_limit(f, l->warn_us);
	put_limit(f, l->max_us);
	/* Not with %f: its decimal point depends on the locale. */
	fprintf(f, ";0 held=%lld.%03us;;;0", good->held_us / SECOND,
		(unsigned int)(good->held_us % SECOND / 1000));
}

/**
 * check_line() - print the line
 * @f: where to print it
 * @s: the status
 * @limits: for the age of the last backup
 * Return: the exit code.
 */
enum check_code check_line(FILE *f, const struct status *s, const struct status_limits *limits)
{
	static const char * const names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	struct verdict v = { .code = CHECK_UNKNOWN };

	if (s->error)
		snprintf(v.text, sizeof(v.text), "the daemon's status files cannot be read: %s",
			 strerror(-s->error));
	else
		check_trouble(&v, s);
	if (v.code == CHECK_OK)
		check_age(&v, s, limits);
	if (v.code == CHECK_OK)
		check_writes(&v, &s->history);
	fprintf(f, "HV-VSS %s: ", names[v.code]);
	put_text(f, v.text);
	if (!s->error && s->driver.name[0]) {
		fputs("; driver ", f);
		put_text(f, s->driver.name);
	}
	put_perfdata(f, s, limits);
	putc('\n', f);
	return v.code;
}

/**
 * check_print() - read the status and print the line
 * @run_dir: directory of the daemon's files
 * @sysfs: where sysfs is mounted
 * @limits: for the age of the last backup
 *
 * Context: any user.
 * Return: enum check_code.
 */
int check_print(const char *run_dir, const char *sysfs, const struct status_limits *limits)
{
	struct status s;
	int code;

	status_load(&s, run_dir, sysfs);
	code = check_line(stdout, &s, limits);
	status_free(&s);
	return fflush(stdout) || ferror(stdout) ? CHECK_UNKNOWN : code;
}
