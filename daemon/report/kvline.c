// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvline.h"

/**
 * kvline_begin() - begin a line
 * @f: where to write it
 * @type: of the line
 */
void kvline_begin(FILE *f, const char *type)
{
	fputs(type, f);
}

/**
 * kvline_text() - add a field
 * @f: where to write it
 * @key: its name
 * @value: any text
 */
void kvline_text(FILE *f, const char *key, const char *value)
{
	fprintf(f, "\t%s=", key);
	for (; *value; value++)
		if (*value == '\t')
			fputs("\\t", f);
		else if (*value == '\n')
			fputs("\\n", f);
		else if (*value == '\\')
			fputs("\\\\", f);
		else
			putc(*value, f);
}

/**
 * kvline_int() - add a field
 * @f: where to write it
 * @key: its name
 * @value: a number
 */
void kvline_int(FILE *f, const char *key, int64_t value)
{
	fprintf(f, "\t%s=%lld", key, (long long)value);
}

/**
 * kvline_end() - end a line
 * @f: where to write it
 */
void kvline_end(FILE *f)
{
	putc('\n', f);
}

static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && text[1]) {
			text++;
			*to++ = *text == 't' ? '\t' : *text == 'n' ? '\n' : *text;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/**
 * kvline_parse() - parse a line
 * @l: filled in; points into @text
 * @text: a line; changed
 */
void kvline_parse(struct kvline *l, char *text)
{
	char *field, *rest = text, *value;

	text[strcspn(text, "\n")] = '\0';
	l->n = 0;
	l->type = strsep(&rest, "\t");
	while (l->n < KVLINE_FIELDS && (field = strsep(&rest, "\t"))) {
		value = strchr(field, '=');
		if (!value)
			continue;
		*value++ = '\0';
		unescape(value);
		l->key[l->n] = field;
		l->value[l->n++] = value;
	}
}

/**
 * kvline_get() - get the value of a field
 * @l: the line
 * @key: its name
 * Return: its value; "" if there is none.
 */
const char *kvline_get(const struct kvline *l, const char *key)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (!strcmp(l->key[i], key))
			return l->value[i];
	return "";
}

/**
 * kvline_get_int() - get the value of a field that is a number
 * @l: the line
 * @key: its name
 * @min: minimum
 * @max: maximum
 * Return: the number; @min if the field is missing, or its value is not within the limits.
 */
int64_t kvline_get_int(const struct kvline *l, const char *key, int64_t min, int64_t max)
{
	const char *text = kvline_get(l, key);
	long long value;
	char *end;

	errno = 0;
	value = strtoll(text, &end, 10);
	return errno || end == text || *end || value < min || value > max ? min : value;
}
