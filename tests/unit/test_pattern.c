// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/plan/pattern.c
/* Which paths the patterns of --include and --exclude match. */
#include <string.h>
#include <unistd.h>

#include "plan/pattern.h"
#include "test.h"

static const struct {
	const char *pattern;
	const char *path;
	bool matches;
} cases[] = {
	{ "/data", "/data", true },
	{ "/data/", "/data", true },		/* as the shell completes it */
	{ "//data//", "/data", true },
	{ "/data", "/data/deep", false },	/* one mount point, not those below it */
	{ "/data", "/database", false },
	{ "/data", "/", false },
	{ "/", "/", true },
	{ "/", "/data", false },
	{ "/srv/*", "/srv/a", true },
	{ "/srv/*", "/srv/a/deep", false },
	{ "/srv/*", "/srv", false },
	{ "/srv/*/", "/srv/a", true },
	{ "/srv/**", "/srv/a", true },
	{ "/srv/**", "/srv/a/deep", true },
	{ "/srv/**", "/srv", false },
	{ "/srv/**/", "/srv/a/deep", true },
	{ "/srv/**/db", "/srv/db", true },
	{ "/srv/**/db", "/srv/a/b/db", true },
	{ "/srv/**/db", "/srv/a/db/c", false },
	{ "/srv/**/a/**/b", "/srv/a/x/a/y/b", true },
	{ "/srv/**/a/**/b", "/srv/x/y/b", false },
	{ "**/db", "/srv/a/db", true },
	{ "**/db", "/db", true },
	{ "**", "/", true },
	{ "**", "/srv/a", true },
	{ "/**", "/srv/a", true },
	{ "/**", "/", false },
	{ "/srv/a**b", "/srv/axb", true },	/* not a name of its own: like one star */
	{ "/srv/a**b", "/srv/ax/b", false },
	{ "/mnt/disk[0-9]", "/mnt/disk7", true },
	{ "/mnt/disk[0-9]", "/mnt/disk", false },
	{ "/mnt/d?", "/mnt/d1", true },
	{ "/mnt/d?", "/mnt/d/", false },
	{ "/mnt/a\\*b", "/mnt/a*b", true },
	{ "/mnt/a\\*b", "/mnt/axb", false },
	{ "/mnt/.*", "/mnt/.snap", true },
	{ "/mnt/*", "/mnt/.snap", true },
	{ "/mnt/[", "/mnt/[", true },
	{ "/dev/sd*", "/dev/sda1", true },	/* of device: */
	{ "tank/*", "tank/home", true },
	{ "tank/*", "/tank/home", false },
	{ "/tank/*", "tank/home", false },
};

static void patterns_mean_what_the_manual_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (pattern_matches(cases[i].pattern, cases[i].path) != cases[i].matches)
			fail_msg("%s and %s", cases[i].pattern, cases[i].path);
}

/* After a mismatch only the latest ** is tried again, so no pattern takes exponential time. */
static void many_stars_are_fast(void **state)
{
	char pattern[2048] = "", path[4096] = "";

	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(pattern, "/**/a");
	strcat(pattern, "/b");
	for (int i = 0; i < 1500; i++)
		strcat(path, "/a");
	alarm(20);
	assert_false(pattern_matches(pattern, path));
	alarm(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_mean_what_the_manual_says),
		cmocka_unit_test(many_stars_are_fast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
