// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/cells.c daemon/base/sysattr.c daemon/base/sysops.c daemon/base/term.c
// Sources: daemon/evidence/diskstats.c daemon/evidence/evidence.c daemon/evidence/swaps.c
// Sources: daemon/evidence/verdict.c daemon/plan/blockdev.c daemon/report/history.c
// Sources: daemon/report/kvline.c daemon/report/record.c daemon/report/statustable.c
// Sources: tests/unit/golden.c tests/unit/quiet.c
/* The table of --status on a terminal, in several widths; and what its reader can show. */
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "base/cells.h"
#include "golden.h"
#include "hv_vss.h"
#include "report/status.h"
#include "test.h"

#define MS		1000LL
#define BEGIN		1700000000LL
#define HOSTILE		"/srv/\033[2J\xe2\x80\xae\xc2\x9b\xff " \
			"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e/a\\b: " \
			"Input/output error, and so many more words that no terminal of a usual " \
			"width has room for all of them in one line"

static struct history h;

static const struct record good = {
	.ok = true, .hooks_us = 12 * MS, .plan_us = 3100, .sync_us = 2100 * MS,
	.freeze_us = 31 * MS, .held_us = 903 * MS, .thaw_us = 8 * MS,
};

static const struct record written = {
	.ok = true, .written = 1, .hooks_us = 400, .plan_us = 2100, .sync_us = 100 * MS,
	.freeze_us = 21 * MS, .held_us = 1903 * MS, .thaw_us = 4 * MS,
	.evidence = "written to while frozen: sdb (3 requests, 12 KiB)",
};

static const struct record failed = {
	.hooks_us = 13 * MS, .plan_us = 2100, .sync_us = 12345678, .reason = HOSTILE,
};

static const struct record refused = { .op = HV_VSS_OP_HOT_BACKUP, .reason = "no" };

static const struct record endless = {
	.ok = true, .plan_us = INT64_MAX, .sync_us = INT64_MAX, .held_us = 3599999 * MS,
};

static void add(const struct record *sample, size_t frozen)
{
	struct record r = *sample;

	r.time = (BEGIN + h.n * 86400) * 1000 * MS;
	for (size_t i = 0; i < frozen; i++)
		record_add_fs(&r, "/x", "ext4", "/dev/x", NULL)->action = RECORD_FROZEN;
	record_add_fs(&r, "/efi", "vfat", "/dev/y", NULL)->action = RECORD_SYNCED;
	history_add(&h, &r);
}

static int setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

static int clean_up(void **state)
{
	(void)state;
	history_free(&h);
	h.n = 0;
	return 0;
}

static char *table(const struct term *t)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	status_table(f, &h, t);
	fclose(f);
	return text;
}

static void table_is(const char *name, const struct term *t)
{
	char *text = table(t);

	golden_is(name, text);
	free(text);
}

static void table_in_several_widths(void **state)
{
	static const unsigned int widths[] = { 60, 80, 120 };

	(void)state;
	add(&good, 4);
	add(&written, 4);
	add(&refused, 0);
	add(&failed, 12);
	for (int i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "status-%u", widths[i]);
		table_is(name, &(struct term){ .width = widths[i], .utf8 = true });
		snprintf(name, sizeof(name), "status-%u-ascii", widths[i]);
		table_is(name, &(struct term){ .width = widths[i] });
	}
	table_is("status-80-colour", &(struct term){ .width = 80, .utf8 = true, .colour = true });
	table_is("status-40", &(struct term){ .width = 40 });
}

/* A line that is too long would be continued on the next one, and nothing be aligned. */
static void no_line_is_too_long(void **state)
{
	(void)state;
	add(&good, 4);
	add(&failed, 400);
	add(&endless, 3);
	for (unsigned int width = 40; width <= 200; width++) {
		const struct term t = { .width = width, .utf8 = width % 2 };
		char *text = table(&t), *rest = text, *line;

		while ((line = strsep(&rest, "\n"))) {
			size_t columns = 0;
			wchar_t wide[1000];
			size_t n = mbstowcs(wide, line, 1000);

			assert_true(n < 1000);
			for (size_t i = 0; i < n; i++) {
				assert_true(wcwidth(wide[i]) >= 0);
				columns += wcwidth(wide[i]);
			}
			if (columns > width)
				fail_msg("%zu columns in %u: %s", columns, width, line);
			if (*line && line[strlen(line) - 1] == ' ')
				fail_msg("a space at the end of: %s", line);
		}
		free(text);
	}
}

static void noise_has_no_bar(void **state)
{
	static const struct record quick = { .ok = true, .hooks_us = 400, .plan_us = 2000 };
	char *text;

	(void)state;
	add(&quick, 1);
	text = table(&(struct term){ .width = 80 });
	assert_non_null(strstr(text, "is <1     2      - "));
	assert_non_null(strstr(text, " ok     2      -  1        ######\n"));
	free(text);
}

static void nothing_is_printed_without_backups(void **state)
{
	char *text = table(&(struct term){ .width = 80 });

	(void)state;
	assert_string_equal(text, "");
	free(text);
}

static void text_becomes(bool utf8, size_t max, const char *text, const char *want)
{
	const struct term t = { .utf8 = utf8 };
	char got[256] = "";
	FILE *f = fmemopen(got, sizeof(got), "w");
	size_t columns = cells_print(f, &t, text, max);

	fclose(f);
	assert_string_equal(got, want);
	assert_true(columns <= max);
	if (max > 99)
		assert_int_equal(columns, cells_width(&t, text));
}

static void names_of_all_kinds(void **state)
{
	(void)state;
	text_becomes(true, 100, "/srv/t\xc3\xbcr \xe6\x97\xa5", "/srv/t\xc3\xbcr \xe6\x97\xa5");
	text_becomes(false, 100, "t\xc3\xbcr", "t\\303\\274r");
	text_becomes(true, 100, "a\nb\t\033[1m\x7f\\", "a\\012b\\011\\033[1m\\177\\134");
	/* A control character of two bytes, a change of direction, no UTF-8 at all. */
	text_becomes(true, 100, "\xc2\x9b[2J", "\\302\\233[2J");
	text_becomes(true, 100, "\xe2\x80\xaetxt", "\\342\\200\\256txt");
	text_becomes(true, 100, "caf\xe9\xe6\x97", "caf\\351\\346\\227");
	/* Nothing is cut in the middle; a character of two columns may leave one empty. */
	text_becomes(true, 4, "abcde", "abc\xe2\x80\xa6");
	text_becomes(true, 5, "abcde", "abcde");
	text_becomes(true, 4, "ab\033", "ab\xe2\x80\xa6");
	text_becomes(true, 4, "\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5", "\xe6\x97\xa5\xe2\x80\xa6");
	text_becomes(false, 6, "abcdefg", "abc...");
	text_becomes(false, 2, "abc", "");
	text_becomes(true, 0, "abc", "");
}

static void width_and_colours_of_a_terminal(void **state)
{
	static const char * const wrong[] = { "", "0", "19", "501", "-5", "80x", "x" };
	struct winsize size = { .ws_col = 97 };
	int pty = posix_openpt(O_RDWR | O_NOCTTY);
	struct term t;
	int tty;

	(void)state;
	assert_true(pty >= 0 && !grantpt(pty) && !unlockpt(pty));
	tty = open(ptsname(pty), O_RDWR | O_NOCTTY);
	assert_true(tty >= 0);
	assert_int_equal(ioctl(pty, TIOCSWINSZ, &size), 0);
	unsetenv("COLUMNS");
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	term_detect(&t, tty);
	assert_true(t.tty && t.colour && t.utf8);
	assert_int_equal(t.width, 97);
	setenv("COLUMNS", "61", 1);
	setenv("NO_COLOR", "1", 1);
	setenv("LC_ALL", "C", 1);
	term_detect(&t, tty);
	assert_true(t.tty && !t.colour && !t.utf8);
	assert_int_equal(t.width, 61);
	setenv("NO_COLOR", "", 1);
	term_detect(&t, tty);
	assert_true(t.colour);
	setenv("TERM", "dumb", 1);
	term_detect(&t, tty);
	assert_false(t.colour);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		setenv("COLUMNS", wrong[i], 1);
		term_detect(&t, tty);
		assert_int_equal(t.width, 97);
	}
	close(tty);
	setenv("TERM", "xterm", 1);
	tty = open("/dev/null", O_RDWR);
	term_detect(&t, tty);
	assert_true(!t.tty && !t.colour);
	assert_int_equal(t.width, 80);
	close(tty);
	close(pty);
	setlocale(LC_CTYPE, "C.UTF-8");
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, clean_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(table_in_several_widths),
		TEST(no_line_is_too_long),
		TEST(noise_has_no_bar),
		TEST(nothing_is_printed_without_backups),
		TEST(names_of_all_kinds),
		TEST(width_and_colours_of_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
