// SPDX-License-Identifier: GPL-2.0-only
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "term.h"

#define WIDTH_DEFAULT	80

static bool is_width(long width)
{
	return width >= TERM_WIDTH_MIN && width <= TERM_WIDTH_MAX;
}

/* A shell sets COLUMNS but does not export it: if it is there, the user wants that width. */
static unsigned int find_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	char *end;
	long width;

	if (columns && *columns) {
		width = strtol(columns, &end, 10);
		if (!*end && is_width(width))
			return width;
	}
	if (!ioctl(fd, TIOCGWINSZ, &size) && is_width(size.ws_col))
		return size.ws_col;
	return WIDTH_DEFAULT;
}

/**
 * term_detect() - find out what the reader of a descriptor can show
 * @t: filled in
 * @fd: for output; may be a file or a pipe
 *
 * Sets the locale's character set for the whole process.
 * Context: a command of a user; not the daemon that serves.
 */
void term_detect(struct term *t, int fd)
{
	const char *type = getenv("TERM"), *no_color = getenv("NO_COLOR");

	t->tty = isatty(fd);
	t->width = find_width(fd);
	t->moves = t->tty && type && *type && strcmp(type, "dumb") != 0;
	t->colour = t->moves && !(no_color && *no_color);
	t->utf8 = setlocale(LC_CTYPE, "") && !strcmp(nl_langinfo(CODESET), "UTF-8");
}

/**
 * term_style() - begin a style
 * @f: where to print it
 * @t: nothing is printed if it has no colours
 * @style: TERM_...
 */
void term_style(FILE *f, const struct term *t, const char *style)
{
	if (t->colour)
		fprintf(f, "\033[%sm", style);
}

/**
 * term_plain() - end a style
 * @f: where to print it
 * @t: nothing is printed if it has no colours
 */
void term_plain(FILE *f, const struct term *t)
{
	term_style(f, t, "0");
}
