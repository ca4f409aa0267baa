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
#include "kvline.h"

#define FIRST_LINE	"hv-vss-status 1\n"

/**
 * history_add() - add a backup
 * @h: the history; drops the oldest backup if it is full
 * @r: complete; @h owns its memory afterwards
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

/* A field of a line in the file, and the member with its value. For writing and reading. */
struct field {
	const char *name;
	size_t offset;
	size_t size;
	int64_t max;		/* TEXT, or the maximum of a number; the minimum is 0 */
};

#define TEXT		(-1)
#define FIELD(of, name, max)	{ name, (size_t)&(of), sizeof(of), max }
#define DAEMON(member, max)	FIELD((*(struct history *)0).daemon.member, #member, max)
#define HISTORY(member, name, max) FIELD((*(struct history *)0).member, #name, max)
#define RECORD(member, max)	FIELD((*(struct record *)0).member, #member, max)
#define CULPRIT(member, max)	FIELD((*(struct culprit *)0).member, #member, max)
#define FS(member, max)		FIELD((*(struct record_fs *)0).member, #member, max)

static const struct field daemon_fields[] = {
	DAEMON(pid, INT_MAX), DAEMON(started, INT64_MAX), DAEMON(connected, 1), DAEMON(guard, 1),
	DAEMON(extended, 1), DAEMON(abi, INT_MAX), DAEMON(hold_asked_us, INT64_MAX),
	DAEMON(hold_us, INT64_MAX), DAEMON(version, TEXT), DAEMON(driver, TEXT),
	DAEMON(device, TEXT), HISTORY(last_id, last_id, LONG_MAX),
	HISTORY(preflight_time, check_time, INT64_MAX), HISTORY(preflight_ok, check_ok, 1), { 0 }
};

static const struct field record_fields[] = {
	RECORD(id, LONG_MAX), RECORD(time, INT64_MAX), RECORD(op, 255), RECORD(flags, UINT_MAX),
	RECORD(disks, INT_MAX), RECORD(freeze, ANSWER_LATE), RECORD(thaw, ANSWER_LATE),
	RECORD(ok, 1), RECORD(reason, TEXT), RECORD(evidence, TEXT),
	RECORD(watched, INT_MAX), RECORD(written, INT_MAX), RECORD(hooks_us, INT64_MAX),
	RECORD(plan_us, INT64_MAX),
	RECORD(sync_us, INT64_MAX), RECORD(freeze_us, INT64_MAX), RECORD(held_us, INT64_MAX),
	RECORD(thaw_us, INT64_MAX), RECORD(more, INT_MAX), { 0 }
};

static const struct field fs_fields[] = {
	FS(action, RECORD_UNTOUCHED), FS(unsafe, 1), FS(sync_us, INT64_MAX),
	FS(freeze_us, INT64_MAX), FS(thaw_us, INT64_MAX), { 0 }
};

static const struct field culprit_fields[] = {
	CULPRIT(pid, INT_MAX), CULPRIT(comm, TEXT), CULPRIT(call, TEXT), CULPRIT(waits, TEXT),
	CULPRIT(path, TEXT), { 0 }
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
			kvline_text(f, field->name, at);
		else
			kvline_int(f, field->name, load(at, field->size));
	}
}

static void write_record(FILE *f, const struct record *r)
{
	kvline_begin(f, "backup");
	write_fields(f, record_fields, r);
	kvline_end(f);
	for (size_t i = 0; i < r->culprits.n; i++) {
		kvline_begin(f, "culprit");
		write_fields(f, culprit_fields, &r->culprits.one[i]);
		kvline_end(f);
	}
	for (size_t i = 0; i < r->n; i++) {
		const struct record_fs *fs = &r->fs[i];

		kvline_begin(f, "fs");
		kvline_text(f, "path", fs->path);
		kvline_text(f, "type", fs->type);
		kvline_text(f, "source", fs->source);
		kvline_text(f, "reason", fs->reason ? fs->reason : "");
		write_fields(f, fs_fields, fs);
		kvline_end(f);
	}
}

/**
 * history_save() - replace the file
 * @h: what to write
 * @dir: the directory with the file
 *
 * Context: nothing of ours is frozen.
 * Return: 0 or a negative errno: then the old file remains.
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
	fchmod(fd, 0644);	/* readable by all users, whatever the umask is */
	fputs(FIRST_LINE, f);
	kvline_begin(f, "daemon");
	write_fields(f, daemon_fields, h);
	kvline_end(f);
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

static void read_fields(const struct kvline *l, const struct field *field, void *object)
{
	for (; field->name; field++) {
		char *at = (char *)object + field->offset;

		if (field->max == TEXT)
			snprintf(at, field->size, "%s", kvline_get(l, field->name));
		else
			store(at, field->size, kvline_get_int(l, field->name, 0, field->max));
	}
}

static void read_record(struct history *h, const struct kvline *l)
{
	struct record r = { 0 };

	read_fields(l, record_fields, &r);
	history_add(h, &r);
}

static void read_culprit(struct history *h, const struct kvline *l)
{
	struct record *r = history_last(h);

	if (r && r->culprits.n < CULPRITS_MAX)
		read_fields(l, culprit_fields, &r->culprits.one[r->culprits.n++]);
}

static void read_fs(struct history *h, const struct kvline *l)
{
	struct record *r = history_last(h);
	struct record_fs *fs;

	if (!r)
		return;
	fs = record_add_fs(r, kvline_get(l, "path"), kvline_get(l, "type"), kvline_get(l, "source"),
			   kvline_get(l, "reason"));
	if (fs)
		read_fields(l, fs_fields, fs);
}

/* Returns 1, 0 at the end of the file, or a negative errno. */
static int read_line(char **text, size_t *size, FILE *f)
{
	if (getline(text, size, f) >= 0)
		return 1;
	return feof(f) ? 0 : ferror(f) ? -EIO : -ENOMEM;
}

static int read_file(struct history *h, FILE *f)
{
	bool ended = false;
	char *text = NULL;
	size_t size = 0;
	struct kvline l;
	int got;

	got = read_line(&text, &size, f);
	if (got > 0 && strcmp(text, FIRST_LINE) != 0)
		got = 0;
	while (got > 0 && !ended && (got = read_line(&text, &size, f)) > 0) {
		kvline_parse(&l, text);
		if (!strcmp(l.type, "daemon"))
			read_fields(&l, daemon_fields, h);
		else if (!strcmp(l.type, "backup"))
			read_record(h, &l);
		else if (!strcmp(l.type, "culprit"))
			read_culprit(h, &l);
		else if (!strcmp(l.type, "fs"))
			read_fs(h, &l);
		else
			ended = !strcmp(l.type, "end");	/* ignore lines of a newer version */
	}
	free(text);
	return got < 0 ? got : ended ? 0 : -EPROTO;
}

/**
 * history_load() - read the file
 * @h: all zero; to be freed in any case
 * @dir: the directory with the file
 * Return: 0; -ENOENT if there is none; -EPROTO if its format is invalid; another negative errno.
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
 * history_free() - free the history
 * @h: may be all zero; is all zero afterwards
 */
void history_free(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		record_free(&h->record[i]);
	*h = (struct history){ 0 };
}
