// SPDX-License-Identifier: GPL-2.0-only
/*
 * The format of a line (Documentation/filesystems/proc.rst, section 3.5):
 *
 *	36 35 98:0 /root /target rw,noatime master:1 - ext3 /dev/sda1 rw,errors=continue
 *
 * Fields are separated by exactly one blank. So a field may be empty, as the source is after
 * mount -t tmpfs "" /x. Blanks, tabs, newlines and backslashes in a field are octal numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mountinfo.h"

/*
 * Room for two paths of PATH_MAX bytes, each byte as an octal number, and all other fields that are
 * needed. The rest of a line, superblock options of any length on some kernels, may be cut.
 */
#define LINE_BUFFER	(64 * 1024)

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7' && (s[0] != '0' || s[1] != '0' || s[2] != '0');
}

static void decode(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && is_octal(s + 1)) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* Returns the field at *@at and advances *@at to the next one; NULL at the end of the line. */
static char *next_field(char **at)
{
	char *field = *at, *end;

	if (!field)
		return NULL;
	end = strchr(field, ' ');
	if (end)
		*end++ = '\0';
	*at = end;
	return field;
}

static bool parse_number(const char *text, char last, unsigned int *number, const char **rest)
{
	unsigned long value = 0;
	const char *s = text;

	while (*s >= '0' && *s <= '9' && value <= INT_MAX)
		value = 10 * value + (unsigned long)(*s++ - '0');
	if (s == text || *s != last || value > INT_MAX)
		return false;
	*number = (unsigned int)value;
	*rest = s + 1;
	return true;
}

static bool parse_device(const char *text, dev_t *dev)
{
	unsigned int maj, min;

	if (!parse_number(text, ':', &maj, &text) || !parse_number(text, '\0', &min, &text))
		return false;
	*dev = makedev(maj, min);
	return true;
}

static bool parse_ids(char **at, struct mountinfo_entry *e)
{
	char *field[3];
	unsigned int id, parent;
	const char *rest;

	for (int i = 0; i < 3; i++) {
		field[i] = next_field(at);
		if (!field[i])
			return false;
	}
	if (!parse_number(field[0], '\0', &id, &rest) ||
	    !parse_number(field[1], '\0', &parent, &rest))
		return false;
	e->id = (int)id;
	e->parent = (int)parent;
	return parse_device(field[2], &e->dev);
}

/**
 * mountinfo_parse() - parse a line
 * @line: without its newline; is changed
 * @e: filled in with pointers into @line
 * Return: 0, or -EBADMSG if the kernel does not write such a line.
 */
int mountinfo_parse(char *line, struct mountinfo_entry *e)
{
	char *at = line, *root, *target, *type, *source, *field;

	if (!parse_ids(&at, e))
		return -EBADMSG;
	root = next_field(&at);
	target = next_field(&at);
	field = next_field(&at);	/* the mount's own options, then any number of tags */
	while (field && strcmp(field, "-") != 0)
		field = next_field(&at);
	type = next_field(&at);
	source = next_field(&at);
	if (!source || !type[0] || !root[0] || !target[0])
		return -EBADMSG;
	decode(root);
	decode(target);
	decode(type);
	decode(source);
	e->root = root;
	e->target = target;
	e->type = type;
	e->source = source;
	e->options = at ? at : "";
	return 0;
}

/**
 * mountinfo_open() - begin to read a table
 * @r: filled in
 * @fd: positioned at the start of the table; the caller closes it
 * Return: 0 or -ENOMEM.
 */
int mountinfo_open(struct mountinfo *r, int fd)
{
	*r = (struct mountinfo){ .fd = fd };
	r->buf = malloc(LINE_BUFFER + 1);
	return r->buf ? 0 : -ENOMEM;
}

/**
 * mountinfo_close() - end reading
 * @r: may be all zero
 */
void mountinfo_close(struct mountinfo *r)
{
	free(r->buf);
	r->buf = NULL;
}

static int read_more(struct mountinfo *r)
{
	ssize_t got;

	memmove(r->buf, r->buf + r->at, r->end - r->at);
	r->end -= r->at;
	r->at = 0;
	do {
		got = read(r->fd, r->buf + r->end, LINE_BUFFER - r->end);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	r->end += (size_t)got;
	r->eof = !got;
	return 0;
}

/* The next line, ended by a NUL; NULL at the end of the table. */
static int next_line(struct mountinfo *r, char **line)
{
	*line = NULL;
	for (;;) {
		char *begin = r->buf + r->at, *end = memchr(begin, '\n', r->end - r->at);
		bool tail = r->skip_rest, full = r->end - r->at == LINE_BUFFER;
		int err;

		if (!end && (full || (r->eof && r->at < r->end)))
			end = r->buf + r->end;
		if (end) {
			r->skip_rest = full && end == r->buf + r->end;
			r->at = (size_t)(end - r->buf) + (end < r->buf + r->end);
			*end = '\0';
			if (tail)
				continue;
			*line = begin;
			return 0;
		}
		if (r->eof)
			return 0;
		err = read_more(r);
		if (err)
			return err;
	}
}

/**
 * mountinfo_next() - read the next line
 * @r: an open reader
 * @e: filled in; valid until the next call
 * Return: 1; 0 at the end of the table; -EBADMSG for a line that is not one of a mount table, or
 *	another negative errno.
 */
int mountinfo_next(struct mountinfo *r, struct mountinfo_entry *e)
{
	char *line;
	int err;

	err = next_line(r, &line);
	if (err || !line)
		return err;
	r->lines++;
	err = mountinfo_parse(line, e);
	return err ? err : 1;
}

/**
 * mountinfo_mount_id() - the mount through which a descriptor was opened
 * @proc: the directory /proc
 * @fd: the descriptor
 * Return: the mount's id, or -1 if the kernel does not show it (before 3.15).
 */
int mountinfo_mount_id(int proc, int fd)
{
	char path[64], text[512];
	const char *found;
	ssize_t got;
	int info;

	snprintf(path, sizeof(path), "self/fdinfo/%d", fd);
	info = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -1;
	got = read(info, text, sizeof(text) - 1);
	close(info);
	if (got < 0)
		return -1;
	text[got] = '\0';
	found = strstr(text, "mnt_id:");
	return found ? atoi(found + 7) : -1;
}
