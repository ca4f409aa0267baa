// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "test.h"

/* The escape character is written as ^[ in the files, so that they can be read. */
static char *readable(const char *text)
{
	char *out = malloc(2 * strlen(text) + 1), *to = out;

	assert_non_null(out);
	for (; *text; text++) {
		if (*text == '\033')
			*to++ = '^';
		*to++ = *text == '\033' ? '[' : *text;
	}
	*to = '\0';
	return out;
}

/**
 * golden_is() - compare a text with a file
 * @name: of the file
 * @text: what came out
 *
 * With HV_VSS_GOLDEN_WRITE in the environment the file is written instead: read its diff then.
 */
void golden_is(const char *name, const char *text)
{
	const char *mode = getenv("HV_VSS_GOLDEN_WRITE") ? "w" : "r";
	char path[128], *got = readable(text), *want;
	size_t size = strlen(got) + 4096;
	FILE *f;

	snprintf(path, sizeof(path), "golden/%s", name);
	f = fopen(path, mode);
	if (!f)
		fail_msg("%s can't be opened", path);
	if (*mode == 'w') {
		fputs(got, f);
	} else {
		want = calloc(1, size);
		assert_non_null(want);
		assert_true(fread(want, 1, size - 1, f) < size - 1);
		if (strcmp(got, want) != 0)
			fail_msg("not as in %s:\n%s", path, got);
		free(want);
	}
	fclose(f);
	free(got);
}
