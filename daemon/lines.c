// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"

/**
 * line_begin() - begin a line
 * @f: where to
 * @word: what the line is about
 */
void line_begin(FILE *f, const char *word)
{
	fputs(word, f);
}

/**
 * line_text() - add a field
 * @f: where to
 * @key: its name
 * @value: any text
 */
void line_text(FILE *f, const char *key, const char *value)
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
 * line_int() - add a field
 * @f: where to
 * @key: its name
 * @value: a number
 */
void line_int(FILE *f, const char *key, int64_t value)
{
	fprintf(f, "\t%s=%lld", key, (long long)value);
}

/**
 * line_end() - end a line
 * @f: where to
 */
void line_end(FILE *f)
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
 * line_split() - take a line apart
 * @l: filled in; points into @text
 * @text: a line; changed
 */
void line_split(struct line *l, char *text)
{
	char *field, *rest = text, *value;

	text[strcspn(text, "\n")] = '\0';
	l->n = 0;
	l->word = strsep(&rest, "\t");
	while (l->n < LINE_FIELDS && (field = strsep(&rest, "\t"))) {
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
 * line_get() - look a field up
 * @l: the line
 * @key: its name
 * Return: its value; "" if there is none.
 */
const char *line_get(const struct line *l, const char *key)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (!strcmp(l->key[i], key))
			return l->value[i];
	return "";
}

/**
 * line_get_int() - look a number up
 * @l: the line
 * @key: its name
 * @min: the least it may be
 * @max: the most
 * Return: the number; @min if there is none, or none within bounds.
 */
int64_t line_get_int(const struct line *l, const char *key, int64_t min, int64_t max)
{
	const char *text = line_get(l, key);
	long long value;
	char *end;

	errno = 0;
	value = strtoll(text, &end, 10);
	return errno || end == text || *end || value < min || value > max ? min : value;
}
