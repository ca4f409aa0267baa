// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "history.h"
#include "lines.h"

#define FIRST_LINE	"hv-vss-status 1\n"

/**
 * history_add() - remember a backup
 * @h: the history; forgets the oldest one if it is full
 * @r: complete; its memory belongs to @h afterwards
 */
void history_add(struct history *h, struct record *r)
{
	if (h->n == HISTORY_MAX) {
		record_free(&h->record[0]);
		memmove(&h->record[0], &h->record[1], --h->n * sizeof(h->record[0]));
	}
	h->record[h->n++] = *r;
	*r = (struct record){ 0 };
}

/**
 * history_last() - the latest backup
 * @h: the history
 * Return: its record, or NULL.
 */
struct record *history_last(struct history *h)
{
	return h->n ? &h->record[h->n - 1] : NULL;
}

/* What is in a line of the file, and where it belongs: written and read by the same table. */
struct field {
	const char *name;
	size_t offset;
	size_t size;
	int64_t max;		/* of a number, the least is 0; TEXT */
};

#define TEXT		(-1)
#define FIELD(of, name, max)	{ name, (size_t)&(of), sizeof(of), max }
#define DAEMON(member, max)	FIELD((*(struct history *)0).daemon.member, #member, max)
#define HISTORY(member, max)	FIELD((*(struct history *)0).member, #member, max)
#define RECORD(member, max)	FIELD((*(struct record *)0).member, #member, max)
#define FS(member, max)		FIELD((*(struct record_fs *)0).member, #member, max)

static const struct field daemon_fields[] = {
	DAEMON(pid, INT_MAX), DAEMON(started, INT64_MAX), DAEMON(connected, 1), DAEMON(guard, 1),
	DAEMON(extended, 1), DAEMON(abi, INT_MAX), DAEMON(version, TEXT), DAEMON(driver, TEXT),
	DAEMON(device, TEXT), HISTORY(last_id, LONG_MAX), HISTORY(check_time, INT64_MAX),
	HISTORY(check_ok, 1), { 0 }
};

static const struct field record_fields[] = {
	RECORD(id, LONG_MAX), RECORD(time, INT64_MAX), RECORD(op, 255), RECORD(flags, UINT_MAX),
	RECORD(disks, INT_MAX), RECORD(freeze, ANSWER_LATE), RECORD(thaw, ANSWER_LATE),
	RECORD(ok, 1), RECORD(reason, TEXT), RECORD(plan_us, INT64_MAX),
	RECORD(sync_us, INT64_MAX), RECORD(freeze_us, INT64_MAX), RECORD(held_us, INT64_MAX),
	RECORD(thaw_us, INT64_MAX), RECORD(more, INT_MAX), { 0 }
};

static const struct field fs_fields[] = {
	FS(action, RECORD_UNTOUCHED), FS(sync_us, INT64_MAX), FS(freeze_us, INT64_MAX),
	FS(thaw_us, INT64_MAX), { 0 }
};

static int64_t load(const void *at, size_t size)
{
	int64_t wide;
	uint32_t half;

	if (size == sizeof(bool))
		return *(const bool *)at;
	memcpy(size == sizeof(wide) ? (void *)&wide : &half, at, size);
	return size == sizeof(wide) ? wide : half;
}

static void store(void *at, size_t size, int64_t value)
{
	const uint32_t half = value;

	if (size == sizeof(bool))
		*(bool *)at = value;
	else
		memcpy(at, size == sizeof(value) ? (const void *)&value : &half, size);
}

/* Writing */

static void write_fields(FILE *f, const struct field *field, const void *object)
{
	for (; field->name; field++) {
		const char *at = (const char *)object + field->offset;

		if (field->max == TEXT)
			line_text(f, field->name, at);
		else
			line_int(f, field->name, load(at, field->size));
	}
}

static void write_record(FILE *f, const struct record *r)
{
	line_begin(f, "backup");
	write_fields(f, record_fields, r);
	line_end(f);
	for (size_t i = 0; i < r->n; i++) {
		const struct record_fs *fs = &r->fs[i];

		line_begin(f, "fs");
		line_text(f, "path", fs->path);
		line_text(f, "type", fs->type);
		line_text(f, "source", fs->source);
		line_text(f, "reason", fs->reason ? fs->reason : "");
		write_fields(f, fs_fields, fs);
		line_end(f);
	}
}

/**
 * history_save() - write the file anew
 * @h: what to write
 * @dir: where
 *
 * Context: nothing of ours is frozen.
 * Return: 0 or a negative errno; then the old file is still there.
 */
int history_save(const struct history *h, const char *dir)
{
	char path[PATH_MAX], temp[PATH_MAX];
	int err = 0, fd;
	FILE *f;

	if ((size_t)snprintf(path, sizeof(path), "%s/" HISTORY_FILE, dir) >= sizeof(path) ||
	    (size_t)snprintf(temp, sizeof(temp), "%s/" HISTORY_FILE ".new", dir) >= sizeof(temp))
		return -ENAMETOOLONG;
	unlink(temp);
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		unlink(temp);
		return -ENOMEM;
	}
	fchmod(fd, 0644);	/* whatever the umask: it is for everybody to read */
	fputs(FIRST_LINE, f);
	line_begin(f, "daemon");
	write_fields(f, daemon_fields, h);
	line_end(f);
	for (size_t i = 0; i < h->n; i++)
		write_record(f, &h->record[i]);
	fputs("end\n", f);
	if (ferror(f))
		err = -EIO;
	if (fclose(f) && !err)
		err = -errno;
	if (!err && rename(temp, path))
		err = -errno;
	if (err)
		unlink(temp);
	return err;
}

/* Reading */

static void read_fields(const struct line *l, const struct field *field, void *object)
{
	for (; field->name; field++) {
		char *at = (char *)object + field->offset;

		if (field->max == TEXT)
			snprintf(at, field->size, "%s", line_get(l, field->name));
		else
			store(at, field->size, line_get_int(l, field->name, 0, field->max));
	}
}

static void read_record(struct history *h, const struct line *l)
{
	struct record r = { 0 };

	read_fields(l, record_fields, &r);
	history_add(h, &r);
}

static void read_fs(struct history *h, const struct line *l)
{
	struct record *r = history_last(h);
	struct record_fs *fs;

	if (!r)
		return;
	fs = record_add_fs(r, line_get(l, "path"), line_get(l, "type"), line_get(l, "source"),
			   line_get(l, "reason"));
	if (fs)
		read_fields(l, fs_fields, fs);
}

static int read_file(struct history *h, FILE *f)
{
	bool ended = false;
	char *text = NULL;
	size_t size = 0;
	struct line l;

	if (getline(&text, &size, f) < 0 || strcmp(text, FIRST_LINE) != 0) {
		free(text);
		return -EPROTO;
	}
	while (!ended && getline(&text, &size, f) >= 0) {
		line_split(&l, text);
		if (!strcmp(l.word, "daemon"))
			read_fields(&l, daemon_fields, h);
		else if (!strcmp(l.word, "backup"))
			read_record(h, &l);
		else if (!strcmp(l.word, "fs"))
			read_fs(h, &l);
		else
			ended = !strcmp(l.word, "end");	/* of a newer version: unknown lines */
	}
	free(text);
	return ended ? 0 : -EPROTO;
}

/**
 * history_load() - read the file
 * @h: all zero; to be freed in any case
 * @dir: where the file is
 * Return: 0; -ENOENT if there is none; -EPROTO if it is not one of ours; another negative errno.
 */
int history_load(struct history *h, const char *dir)
{
	char path[PATH_MAX];
	FILE *f;
	int err;

	if ((size_t)snprintf(path, sizeof(path), "%s/" HISTORY_FILE, dir) >= sizeof(path))
		return -ENAMETOOLONG;
	f = fopen(path, "re");
	if (!f)
		return -errno;
	err = read_file(h, f);
	fclose(f);
	return err;
}

/**
 * history_free() - forget it all
 * @h: may be all zero; is so afterwards
 */
void history_free(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		record_free(&h->record[i]);
	*h = (struct history){ 0 };
}
