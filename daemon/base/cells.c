// SPDX-License-Identifier: GPL-2.0-only
#include <stdint.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "cells.h"

/* The smallest part of a text that is not cut: a character, or a byte as an octal number. */
struct cell {
	char text[24];		/* longer than any character */
	size_t bytes;		/* of the name */
	size_t columns;
};

/* Characters that change the direction of the text around them, or begin a new line. */
static bool moves_others(wint_t c)
{
	return (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0x61c;
}

/* Returns the length of a character of several bytes that can be shown; 0 if it can't. */
static size_t printable_length(const char *text, size_t *columns)
{
	mbstate_t state = { 0 };
	wchar_t c;
	size_t len = mbrtowc(&c, text, strlen(text), &state);
	int width;

	if (len < 2 || len > 16 || moves_others(c) || !iswprint(c))
		return 0;
	width = wcwidth(c);
	if (width < 0)
		return 0;
	*columns = width;
	return len;
}

static void read_cell(struct cell *cell, const struct term *t, const char *text)
{
	unsigned char c = text[0];
	size_t len = c >= 0x80 && t->utf8 ? printable_length(text, &cell->columns) : 0;

	if (len) {
		cell->bytes = len;
		snprintf(cell->text, sizeof(cell->text), "%.*s", (int)len, text);
		return;
	}
	cell->bytes = 1;
	if (c >= 0x20 && c < 0x7f && c != '\\')
		cell->columns = snprintf(cell->text, sizeof(cell->text), "%c", c);
	else
		cell->columns = snprintf(cell->text, sizeof(cell->text), "\\%03o", c);
}

/**
 * cells_width() - the number of columns that a text needs
 * @t: the reader
 * @text: may contain any character
 * Return: the number of columns.
 */
size_t cells_width(const struct term *t, const char *text)
{
	struct cell cell;
	size_t width = 0;

	for (; *text; text += cell.bytes) {
		read_cell(&cell, t, text);
		width += cell.columns;
	}
	return width;
}

/**
 * cells_print() - print a text
 * @f: where to print it
 * @t: the reader
 * @text: may contain any character
 * @max: the number of columns that it may have; a longer text is cut, and its end is marked
 * Return: the number of columns that it has.
 */
size_t cells_print(FILE *f, const struct term *t, const char *text, size_t max)
{
	const char *mark = t->utf8 ? "\xe2\x80\xa6" : "...";
	size_t mark_width = t->utf8 ? 1 : 3, used = 0;
	bool cut = cells_width(t, text) > max;
	struct cell cell;

	if (cut && max < mark_width)
		return 0;
	for (; *text; text += cell.bytes) {
		read_cell(&cell, t, text);
		if (used + cell.columns > (cut ? max - mark_width : max))
			break;
		fputs(cell.text, f);
		used += cell.columns;
	}
	if (cut)
		fputs(mark, f);
	return used + (cut ? mark_width : 0);
}

/**
 * cells_pad() - print spaces
 * @f: where to print them
 * @columns: how many
 */
void cells_pad(FILE *f, size_t columns)
{
	while (columns--)
		putc(' ', f);
}
