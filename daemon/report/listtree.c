// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cells.h"
#include "evidence/evidence.h"
#include "listtree.h"
#include "treerows.h"

#define INDENT		2	/* columns of each level */
#define NAME_MIN	12
#define TYPE_MAX	9
#define SIZE_COLUMNS	5
#define NARROW		72	/* columns of a terminal that has no room for sizes */

static const char * const top_titles[] = { "disk, file system", "type", "size", "a backup will" };

struct tree {
	FILE *f;
	const struct term *t;
	struct treerows rows;
	size_t *number;		/* of each file system, in the order of freezing; 0: not frozen */
	size_t name, type;	/* widths of columns */
	unsigned int depth;	/* levels that are indented */
	bool sizes;
};

/* A line, or the others that its last text needs. */
struct line {
	const struct treerow *row;	/* NULL: not in the tree */
	const char *name;
	const char *type;
	const char *style;		/* of the text */
	char size[16];
	char *text;
};

/* Columns */

/* Levels that are deeper than there is room for have the same place. */
static size_t row_indent(const struct tree *tree, const struct treerow *row)
{
	return INDENT * (row->depth < tree->depth ? row->depth : tree->depth);
}

static const char *row_name(const struct tree *tree, const struct treerow *row)
{
	const struct mounts_fs *fs = treerows_fs(&tree->rows, row->node);

	return fs ? mounts_fs_path(fs) : tree->rows.devices.node[row->node].name;
}

static const char *row_type(const struct tree *tree, const struct treerow *row)
{
	const struct mounts_fs *fs = treerows_fs(&tree->rows, row->node);

	return fs ? fs->type : tree->rows.devices.node[row->node].kind;
}

static void widen(size_t *width, size_t to, size_t max)
{
	if (to > max)
		to = max;
	if (to > *width)
		*width = to;
}

static size_t text_column(const struct tree *tree)
{
	return tree->name + 1 + tree->type + 1 + (tree->sizes ? SIZE_COLUMNS + 1 : 0);
}

/* Names are cut if they leave too little room for reasons. */
static void measure(struct tree *tree)
{
	size_t max = tree->t->width * 2 / 5;

	tree->sizes = tree->t->width >= NARROW;
	tree->name = strlen(top_titles[0]);
	tree->type = strlen(top_titles[1]);
	if (max < tree->name)
		max = tree->name;
	tree->depth = (max - NAME_MIN) / INDENT;
	for (size_t i = 0; i < tree->rows.n; i++) {
		const struct treerow *row = &tree->rows.row[i];

		widen(&tree->name, row_indent(tree, row) +
		      cells_width(tree->t, row_name(tree, row)), max);
		widen(&tree->type, cells_width(tree->t, row_type(tree, row)), TYPE_MAX);
	}
	for (size_t i = 0; i < tree->rows.m->n; i++)
		if (!treerows_has_fs(&tree->rows, i) &&
		    tree->rows.m->fs[i].kind != FSTYPE_PSEUDO)
			widen(&tree->name, cells_width(tree->t,
						       mounts_fs_path(&tree->rows.m->fs[i])), max);
}

/* Lines of the tree */

static void put_lines_above(struct tree *tree, size_t up, unsigned int skip)
{
	const struct treerow *row;

	if (up == TREEROWS_TOP)
		return;
	row = &tree->rows.row[up];
	if (!row->depth)
		return;
	put_lines_above(tree, row->up, skip);
	if (row->depth > skip)
		fputs(row->last ? "  " : tree->t->utf8 ? "\xe2\x94\x82 " : "| ", tree->f);
}

/* @first: the line with the name; else the lines go on past it to those below. */
static void put_branch(struct tree *tree, const struct treerow *row, bool first)
{
	unsigned int skip = row->depth > tree->depth ? row->depth - tree->depth : 0;
	const char *mark;

	if (!row->depth)
		return;
	put_lines_above(tree, row->up, skip);
	if (first)
		mark = tree->t->utf8 ? row->last ? "\xe2\x94\x94\xe2\x94\x80" :
		       "\xe2\x94\x9c\xe2\x94\x80" : row->last ? "`-" : "|-";
	else
		mark = row->last ? "  " : tree->t->utf8 ? "\xe2\x94\x82 " : "| ";
	if (row->depth > skip)
		fputs(mark, tree->f);
}

static void put_name(struct tree *tree, const struct line *line)
{
	size_t used = line->row ? row_indent(tree, line->row) : 0;

	if (line->row)
		put_branch(tree, line->row, true);
	used += cells_print(tree->f, tree->t, line->name, tree->name - used);
	if (!line->type[0] && !line->text[0])
		return;
	cells_pad(tree->f, tree->name + 1 - used);
	used = cells_print(tree->f, tree->t, line->type, tree->type);
	if (!line->text[0] && !(tree->sizes && line->size[0]))
		return;
	cells_pad(tree->f, tree->type - used);
	if (tree->sizes)
		fprintf(tree->f, " %*s", SIZE_COLUMNS, line->size);
	if (line->text[0])
		putc(' ', tree->f);
}

/* Begins another line for the rest of a text: with the lines of the tree that go on below it. */
static void continue_line(struct tree *tree, const struct line *line)
{
	size_t used = 0;

	putc('\n', tree->f);
	if (line->row) {
		used = row_indent(tree, line->row);
		put_branch(tree, line->row, false);
		if (line->row->carries) {
			fputs(tree->t->utf8 ? "\xe2\x94\x82" : "|", tree->f);
			used++;
		}
	}
	cells_pad(tree->f, text_column(tree) - used);
}

/* Breaks the text between words. */
static void put_text(struct tree *tree, const struct line *line)
{
	size_t room = tree->t->width - text_column(tree), used = 0;
	char *rest = line->text, *word;

	while ((word = strsep(&rest, " "))) {
		size_t width = cells_width(tree->t, word);

		if (used && used + 1 + width > room) {
			term_plain(tree->f, tree->t);
			continue_line(tree, line);
			term_style(tree->f, tree->t, line->style);
			used = 0;
		}
		if (used)
			used += fprintf(tree->f, " ");
		used += cells_print(tree->f, tree->t, word, room - used);
	}
}

static void put_line(struct tree *tree, struct line *line)
{
	put_name(tree, line);
	if (line->text[0]) {
		term_style(tree->f, tree->t, line->style);
		put_text(tree, line);
		term_plain(tree->f, tree->t);
	}
	putc('\n', tree->f);
}

/* What is in a line */

static void format_size(char text[16], uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	unsigned int unit = 0;
	uint64_t tenths = bytes;

	if (bytes >= 1024)
		tenths = bytes > UINT64_MAX / 10 ? UINT64_MAX : bytes * 10;
	while (tenths >= 10240) {
		tenths = (tenths + 512) / 1024;
		unit++;
	}
	if (!unit)
		snprintf(text, 16, "%u%c", (unsigned int)bytes, units[0]);
	else if (tenths >= 1000 || !(tenths % 10))
		snprintf(text, 16, "%u%c", (unsigned int)tenths / 10, units[unit]);
	else
		snprintf(text, 16, "%u.%u%c", (unsigned int)tenths / 10,
			 (unsigned int)tenths % 10, units[unit]);
}

static void describe_fs(const struct tree *tree, FILE *f, const struct mounts_fs *fs)
{
	if (fs->action == MOUNTS_FREEZE)
		fprintf(f, "freeze it, as number %zu", tree->number[fs - tree->rows.m->fs]);
	else
		fputs(fs->action == MOUNTS_SYNC ? "only sync it" : "skip it", f);
	if (fs->reason[0])
		fprintf(f, ": %s", fs->reason);
	if (fs->mounts > 1)
		fprintf(f, " (mounted %zu times)", fs->mounts);
}

static const char *fs_style(const struct mounts_fs *fs)
{
	return fs->action == MOUNTS_FREEZE ? TERM_GOOD :
	       fs->action == MOUNTS_SYNC ? TERM_WARN : TERM_FAINT;
}

static void describe_device(const struct tree *tree, FILE *f, const struct treerow *row)
{
	const struct devtree_node *node = &tree->rows.devices.node[row->node];
	const char *proc = tree->rows.m->proc, *kernel_name = strrchr(node->dir, '/') + 1;
	struct diskstats_line device = { .dev = node->dev };

	snprintf(device.name, sizeof(device.name), "%s", kernel_name);
	if (!row->carries)
		fprintf(f, "skip it: %s", proc && evidence_has_swap(proc, &device) ? "swap" :
			"nothing is mounted");
	if (node->file)
		fprintf(f, "%s(file %s)", row->carries ? "" : " ", node->file);
}

static FILE *begin_text(struct line *line, size_t *size)
{
	return open_memstream(&line->text, size);
}

/* Prints the line, if there was memory for its text. */
static int end_text(struct tree *tree, struct line *line, FILE *f)
{
	int err = ferror(f);

	/* Without memory for the end of the text, glibc's fclose() returns 0 and leaves none. */
	if (fclose(f) || !line->text)
		err = -ENOMEM;
	if (!err)
		put_line(tree, line);
	free(line->text);
	return err ? -ENOMEM : 0;
}

static int put_row(struct tree *tree, const struct treerow *row)
{
	const struct mounts_fs *fs = treerows_fs(&tree->rows, row->node);
	struct line line = {
		.row = row, .name = row_name(tree, row), .type = row_type(tree, row),
		.style = fs && !row->again ? fs_style(fs) : TERM_FAINT,
	};
	size_t size;
	FILE *f = begin_text(&line, &size);

	if (!f)
		return -ENOMEM;
	if (!fs)
		format_size(line.size, tree->rows.devices.node[row->node].bytes);
	if (row->again)
		fputs("(see above)", f);
	else if (fs)
		describe_fs(tree, f, fs);
	else
		describe_device(tree, f, row);
	return end_text(tree, &line, f);
}

/* File systems that are on no disk */

static int put_elsewhere(struct tree *tree, const struct mounts_fs *fs)
{
	struct line line = {
		.name = mounts_fs_path(fs), .type = fs->type, .style = fs_style(fs),
	};
	size_t size;
	FILE *f = begin_text(&line, &size);

	if (!f)
		return -ENOMEM;
	describe_fs(tree, f, fs);
	fprintf(f, " (%s)", fs->source);
	return end_text(tree, &line, f);
}

static bool is_first_of_type(const struct mounts *m, size_t fs)
{
	for (size_t i = 0; i < fs; i++)
		if (!strcmp(m->fs[i].type, m->fs[fs].type))
			return false;
	return true;
}

/* The many file systems of every machine that have nothing on a disk: one line for all of them. */
static int put_pseudo(struct tree *tree)
{
	const struct mounts *m = tree->rows.m;
	char name[32];
	struct line line = { .name = name, .type = "", .style = TERM_FAINT };
	size_t size, n = 0;
	FILE *f;

	for (size_t i = 0; i < m->n; i++)
		n += m->fs[i].kind == FSTYPE_PSEUDO;
	if (!n)
		return 0;
	snprintf(name, sizeof(name), "(%zu more)", n);
	f = begin_text(&line, &size);
	if (!f)
		return -ENOMEM;
	fputs("skip them: not on a disk:", f);
	for (size_t i = 0; i < m->n; i++)
		if (m->fs[i].kind == FSTYPE_PSEUDO && is_first_of_type(m, i))
			fprintf(f, " %s", m->fs[i].type);
	return end_text(tree, &line, f);
}

static int put_others(struct tree *tree)
{
	const struct mounts *m = tree->rows.m;
	int err = 0;

	for (size_t i = 0; i < m->n && !err; i++) {
		size_t fs = m->order[i];

		if (m->fs[fs].kind != FSTYPE_PSEUDO && !treerows_has_fs(&tree->rows, fs))
			err = put_elsewhere(tree, &m->fs[fs]);
	}
	return err ? err : put_pseudo(tree);
}

static void put_titles(struct tree *tree)
{
	term_style(tree->f, tree->t, TERM_STRONG);
	fprintf(tree->f, "%-*s %-*s ", (int)tree->name, top_titles[0], (int)tree->type,
		top_titles[1]);
	if (tree->sizes)
		fprintf(tree->f, "%*s ", SIZE_COLUMNS, top_titles[2]);
	fputs(top_titles[3], tree->f);
	term_plain(tree->f, tree->t);
	putc('\n', tree->f);
}

static int number_all(struct tree *tree)
{
	const struct mounts *m = tree->rows.m;
	size_t count = 0;

	tree->number = calloc(m->n + 1, sizeof(*tree->number));
	if (!tree->number)
		return -ENOMEM;
	for (size_t i = 0; i < m->n; i++)
		if (m->fs[m->order[i]].action == MOUNTS_FREEZE)
			tree->number[m->order[i]] = ++count;
	return 0;
}

/**
 * listtree_print() - print the plan as a tree
 * @f: where to print it
 * @m: the plan
 * @sysfs: where sysfs is mounted
 * @term: the reader
 * Return: 0 or a negative errno: then the tree is not complete.
 */
int listtree_print(FILE *f, const struct mounts *m, const char *sysfs, const struct term *term)
{
	struct tree tree = { .f = f, .t = term };
	int err;

	err = treerows_make(&tree.rows, m, sysfs);
	if (!err)
		err = number_all(&tree);
	if (!err) {
		measure(&tree);
		put_titles(&tree);
	}
	for (size_t i = 0; i < tree.rows.n && !err; i++)
		err = put_row(&tree, &tree.rows.row[i]);
	if (!err)
		err = put_others(&tree);
	free(tree.number);
	treerows_free(&tree.rows);
	return err;
}
