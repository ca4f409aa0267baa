/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines of a word and fields: "fs<TAB>path=/srv/a\nb<TAB>action=2". In a value, tab, newline and
 * backslash are written as \t, \n and \\. Unknown words and fields are for newer versions.
 */
#ifndef HV_VSS_LINES_H
#define HV_VSS_LINES_H

#include <stdint.h>
#include <stdio.h>

#define LINE_FIELDS	32

struct line {
	const char *word;
	const char *key[LINE_FIELDS];
	const char *value[LINE_FIELDS];
	unsigned int n;
};

void line_begin(FILE *f, const char *word);
void line_text(FILE *f, const char *key, const char *value);
void line_int(FILE *f, const char *key, int64_t value);
void line_end(FILE *f);

void line_split(struct line *l, char *text);
const char *line_get(const struct line *l, const char *key);
int64_t line_get_int(const struct line *l, const char *key, int64_t min, int64_t max);

#endif
