// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/plan/lookup.c daemon/plan/mountinfo.c
/*
 * The reader of mount tables that other users may have filled. The input is used in two ways. As
 * the bytes of a line it must be refused, or all fields must be there. As the fields of a mount it
 * is written as the kernel does it, and must be read back unchanged. Accepted mounts also go
 * through lookup_path(), in a table in which each mount lies on the one before it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/lookup.h"
#include "plan/mountinfo.h"

#define FIELDS		5
#define FIELD_MAX	512

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct mountinfo_entry *e)
{
	require(e->id >= 0 && e->parent >= 0);
	require(e->root[0] && e->target[0] && e->type[0]);
	require(e->source && e->options);
}

/* Escapes characters as the kernel's mangle() and seq_path() do. */
static char *put(char *to, const char *field)
{
	for (; *field; field++)
		if (strchr(" \t\n\\", *field))
			to += sprintf(to, "\\%03o", (unsigned char)*field);
		else
			*to++ = *field;
	return to;
}

static void check_way(const struct mountinfo_entry *e)
{
	struct lookup l = { .mount = calloc(3, sizeof(*l.mount)), .n = 3 };
	struct lookup_result result;

	require(l.mount);
	l.mount[0] = (struct lookup_mount){ e->id, e->parent, "/", false };
	l.mount[1] = (struct lookup_mount){ e->parent, e->id, e->target, true };
	l.mount[2] = (struct lookup_mount){ e->id ^ 1, e->parent, e->root, false };
	require(!lookup_init(&l));
	result = lookup_path(&l, e->id);
	require(result.in_table);
	lookup_free(&l);
}

static void write_and_read(char field[FIELDS][FIELD_MAX], unsigned int id)
{
	char line[4 * FIELDS * FIELD_MAX + 64], *to = line;
	struct mountinfo_entry e;

	to += sprintf(to, "%u %u %u:%u ", id & 0x7fffffff, id >> 1, id & 4095, id & 0xfffff);
	to = put(to, field[0]);
	*to++ = ' ';
	to = put(to, field[1]);
	to += sprintf(to, " rw,relatime%s - ", id & 1 ? " shared:7 master:8" : "");
	to = put(to, field[2]);
	*to++ = ' ';
	to = put(to, field[3]);
	*to++ = ' ';
	to = put(to, field[4]);
	*to = '\0';
	if (!field[0][0] || !field[1][0] || !field[2][0])
		return;
	require(!mountinfo_parse(line, &e));
	check(&e);
	require((unsigned int)e.id == (id & 0x7fffffff));
	require(!strcmp(e.root, field[0]) && !strcmp(e.target, field[1]));
	require(!strcmp(e.type, field[2]) && !strcmp(e.source, field[3]));
	check_way(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char field[FIELDS][FIELD_MAX];
	struct mountinfo_entry e;
	size_t at = 0;
	char *line;

	line = malloc(size + 1);
	require(line);
	memcpy(line, data, size);
	line[size] = '\0';
	if (!mountinfo_parse(line, &e)) {
		check(&e);
		check_way(&e);
	}
	free(line);
	for (int i = 0; i < FIELDS; i++) {
		size_t len = strnlen((const char *)data + at, size - at);

		if (len >= FIELD_MAX)
			len = FIELD_MAX - 1;
		memcpy(field[i], data + at, len);
		field[i][len] = '\0';
		at += len < size - at ? len + 1 : len;
	}
	write_and_read(field, (unsigned int)size * 2654435761U);
	return 0;
}
