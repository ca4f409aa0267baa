/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines with a type and fields: "fs<TAB>path=/srv/a\nb<TAB>action=2". Tab, newline and backslash in
 * a value are written as \t, \n and \\. A reader ignores unknown types and fields, which a newer
 * version may have written.
 */
#ifndef HV_VSS_KVLINE_H
#define HV_VSS_KVLINE_H

#include <stdint.h>
#include <stdio.h>

#define KVLINE_FIELDS	32

struct kvline {
	const char *type;
	const char *key[KVLINE_FIELDS];
	const char *value[KVLINE_FIELDS];
	unsigned int n;
};

void kvline_begin(FILE *f, const char *type);
void kvline_text(FILE *f, const char *key, const char *value);
void kvline_int(FILE *f, const char *key, int64_t value);
void kvline_end(FILE *f);

void kvline_parse(struct kvline *l, char *text);
const char *kvline_get(const struct kvline *l, const char *key);
int64_t kvline_get_int(const struct kvline *l, const char *key, int64_t min, int64_t max);

#endif
