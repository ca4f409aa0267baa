// SPDX-License-Identifier: GPL-2.0-only
/*
 * As in a shell or in .gitignore: *, ? and [...] match within one name of a path, and a name that
 * is ** matches any number of names. fnmatch() compares single names. The sequence of names is
 * matched like a string with one kind of wildcard: after a mismatch the latest ** takes one more
 * name.
 */
#include <fnmatch.h>
#include <limits.h>
#include <string.h>

#include "pattern.h"

/* A name in a path; empty at the end of the path. */
struct name {
	const char *s;
	size_t len;
};

static struct name name_at(const char *s)
{
	s += strspn(s, "/");
	return (struct name){ s, strcspn(s, "/") };
}

static const char *end_of(struct name name)
{
	return name.s + name.len;
}

static bool is_double_star(struct name name)
{
	return name.len == 2 && !strncmp(name.s, "**", 2);
}

static bool match_name(struct name pattern, struct name name)
{
	char p[PATH_MAX], n[PATH_MAX];

	if (pattern.len >= sizeof(p) || name.len >= sizeof(n))
		return false;
	memcpy(p, pattern.s, pattern.len);
	memcpy(n, name.s, name.len);
	p[pattern.len] = '\0';
	n[name.len] = '\0';
	return !fnmatch(p, n, 0);
}

static bool is_at_end(const char *s)
{
	return !name_at(s).len;
}

static bool match_names(const char *pattern, const char *path)
{
	const char *star_pattern = NULL, *star_path = NULL;

	while (!is_at_end(pattern) || !is_at_end(path)) {
		struct name want = name_at(pattern), name = name_at(path);

		if (is_double_star(want)) {
			/*
			 * At the end it matches all below the directory, not the directory itself.
			 */
			if (is_at_end(end_of(want)))
				return name.len;
			star_pattern = end_of(want);
			star_path = path;
			pattern = star_pattern;
			continue;
		}
		if (want.len && name.len && match_name(want, name)) {
			pattern = end_of(want);
			path = end_of(name);
			continue;
		}
		if (!star_path || is_at_end(star_path))
			return false;
		star_path = end_of(name_at(star_path));
		pattern = star_pattern;
		path = star_path;
	}
	return true;
}

/**
 * pattern_matches() - does a pattern match a path?
 * @pattern: "**" matches all paths; slashes at the end and double slashes are ignored
 * @path: a mount point, or the name of a device
 * Return: true if so.
 */
bool pattern_matches(const char *pattern, const char *path)
{
	if (!strcmp(pattern, "**"))
		return true;
	if (strncmp(pattern, "**", 2) != 0 && (pattern[0] == '/') != (path[0] == '/'))
		return false;
	return match_names(pattern, path);
}
