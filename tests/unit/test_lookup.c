// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/plan/lookup.c
/* Which mounts a path lookup crosses, according to the mount table. */
#include <stdlib.h>
#include <string.h>

#include "plan/lookup.h"
#include "test.h"

#define ROOT	{ 1, 0, "/", false }

static struct lookup_result way_of(const struct lookup_mount *mount, size_t n, int id, char *cover)
{
	struct lookup l = { .mount = calloc(n, sizeof(*mount)), .n = n };
	struct lookup_result way;

	assert_non_null(l.mount);
	memcpy(l.mount, mount, n * sizeof(*mount));
	assert_int_equal(lookup_init(&l), 0);
	way = lookup_path(&l, id);
	strcpy(cover, way.covered_at ? way.covered_at : "");
	lookup_free(&l);
	return way;
}

#define WAY(id, ...) ({									\
	const struct lookup_mount table[] = { __VA_ARGS__ };				\
											\
	way_of(table, sizeof(table) / sizeof(table[0]), id, cover);			\
})

static void path_without_obstacles(void **state)
{
	char cover[64];
	struct lookup_result way = WAY(3, ROOT, { 2, 1, "/top", false },
				       { 3, 2, "/top/data", false },
				       { 4, 1, "/to", true }, { 5, 2, "/top/dat", true });

	(void)state;
	assert_true(way.in_table);
	assert_false(way.on_remote);
	assert_false(way.meets_remote);
	assert_string_equal(cover, "");
}

static void covering_mount_is_found_at_each_prefix(void **state)
{
	char cover[64];
	struct lookup_result way;

	(void)state;
	way = WAY(3, ROOT, { 2, 1, "/top", false }, { 3, 2, "/top/data", false },
		  { 4, 3, "/top/data", true });
	assert_string_equal(cover, "/top/data");
	assert_true(way.meets_remote);
	assert_false(way.on_remote);
	/* Mounted over /top, and in the tree not below our mount. */
	way = WAY(3, ROOT, { 2, 1, "/top", false }, { 3, 2, "/top/data", false },
		  { 4, 2, "/top", true });
	assert_string_equal(cover, "/top");
	assert_true(way.meets_remote);
	way = WAY(3, ROOT, { 3, 1, "/top/data", false }, { 4, 1, "/top", false },
		  { 5, 4, "/top", false });
	assert_string_equal(cover, "/top");
	assert_false(way.meets_remote);
}

static void path_through_a_remote_mount_is_marked(void **state)
{
	char cover[64];
	struct lookup_result way = WAY(3, ROOT, { 2, 1, "/nfs", true },
				       { 3, 2, "/nfs/data", false },
				       { 4, 2, "/nfs", false });

	(void)state;
	assert_true(way.on_remote);
	way = WAY(2, ROOT, { 2, 1, "/nfs", true });
	assert_false(way.on_remote);	/* only mounts above it count */
	assert_false(way.meets_remote);
}

static void remote_mount_elsewhere_does_not_count(void **state)
{
	char cover[64];
	struct lookup_result way = WAY(3, ROOT, { 2, 1, "/nfs", true }, { 3, 1, "/nf", false },
				    { 4, 1, "/nf/sub", true });

	(void)state;
	assert_false(way.meets_remote);
	assert_string_equal(cover, "");
}

/* The root directory of a process need not be the root of a mount. */
static void table_without_a_root_works(void **state)
{
	char cover[64];
	struct lookup_result way = WAY(3, { 2, 77, "/top", false }, { 3, 2, "/top/data", false });

	(void)state;
	assert_true(way.in_table);
	assert_string_equal(cover, "");
	assert_false(WAY(9, ROOT).in_table);
}

static void mount_over_the_root_does_not_count(void **state)
{
	char cover[64];
	struct lookup_result way = WAY(3, ROOT, { 2, 1, "/", true }, { 3, 1, "/data", false });

	(void)state;
	assert_false(way.meets_remote);
	assert_string_equal(cover, "");
}

static void circle_ends(void **state)
{
	char cover[64];
	struct lookup_result way = WAY(2, { 1, 2, "/", true }, { 2, 1, "/", false });

	(void)state;
	assert_true(way.in_table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_without_obstacles),
		cmocka_unit_test(covering_mount_is_found_at_each_prefix),
		cmocka_unit_test(path_through_a_remote_mount_is_marked),
		cmocka_unit_test(remote_mount_elsewhere_does_not_count),
		cmocka_unit_test(table_without_a_root_works),
		cmocka_unit_test(mount_over_the_root_does_not_count),
		cmocka_unit_test(circle_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
