/* SPDX-License-Identifier: GPL-2.0-only */
/* What the reader of the output can show: width, colours, characters. */
#ifndef HV_VSS_TERM_H
#define HV_VSS_TERM_H

#include <stdbool.h>
#include <stdio.h>

#define TERM_WIDTH_MIN	20
#define TERM_WIDTH_MAX	500

/* Parameters of the control sequence that sets a style (ECMA-48, SGR). */
#define TERM_GOOD	"32"
#define TERM_WARN	"33"
#define TERM_BAD	"1;31"
#define TERM_FAINT	"2"
#define TERM_STRONG	"1"

struct term {
	unsigned int width;	/* in columns */
	bool tty;
	bool colour;
	bool moves;		/* a line can be replaced */
	bool utf8;		/* the locale has UTF-8: else nothing but ASCII is printed */
};

void term_detect(struct term *t, int fd);
void term_style(FILE *f, const struct term *t, const char *style);
void term_plain(FILE *f, const struct term *t);

#endif
