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

/* Writing */

static void write_daemon(FILE *f, const struct history *h)
{
	const struct history_daemon *d = &h->daemon;

	line_begin(f, "daemon");
	line_int(f, "pid", d->pid);
	line_int(f, "started", d->started);
	line_int(f, "connected", d->connected);
	line_int(f, "guard", d->guard);
	line_int(f, "extended", d->extended);
	line_int(f, "abi", d->abi);
	line_text(f, "version", d->version);
	line_text(f, "driver", d->driver);
	line_text(f, "device", d->device);
	line_int(f, "last_id", h->last_id);
	line_int(f, "check_time", h->check_time);
	line_int(f, "check_ok", h->check_ok);
	line_end(f);
}

static void write_record(FILE *f, const struct record *r)
{
	line_begin(f, "backup");
	line_int(f, "id", r->id);
	line_int(f, "time", r->time);
	line_int(f, "op", r->op);
	line_int(f, "flags", r->flags);
	line_int(f, "disks", r->disks);
	line_int(f, "freeze", r->freeze);
	line_int(f, "thaw", r->thaw);
	line_int(f, "ok", r->ok);
	line_text(f, "reason", r->reason);
	line_int(f, "plan_us", r->plan_us);
	line_int(f, "sync_us", r->sync_us);
	line_int(f, "freeze_us", r->freeze_us);
	line_int(f, "held_us", r->held_us);
	line_int(f, "thaw_us", r->thaw_us);
	line_int(f, "more", r->more);
	line_end(f);
	for (size_t i = 0; i < r->n; i++) {
		const struct record_fs *fs = &r->fs[i];

		line_begin(f, "fs");
		line_text(f, "path", fs->path);
		line_text(f, "type", fs->type);
		line_text(f, "source", fs->source);
		line_text(f, "reason", fs->reason ? fs->reason : "");
		line_int(f, "action", fs->action);
		line_int(f, "sync_us", fs->sync_us);
		line_int(f, "freeze_us", fs->freeze_us);
		line_int(f, "thaw_us", fs->thaw_us);
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
	write_daemon(f, h);
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

static void read_daemon(struct history *h, const struct line *l)
{
	struct history_daemon *d = &h->daemon;

	d->pid = line_get_int(l, "pid", 0, INT_MAX);
	d->started = line_get_int(l, "started", 0, INT64_MAX);
	d->connected = line_get_int(l, "connected", 0, 1);
	d->guard = line_get_int(l, "guard", 0, 1);
	d->extended = line_get_int(l, "extended", 0, 1);
	d->abi = line_get_int(l, "abi", 0, INT_MAX);
	snprintf(d->version, sizeof(d->version), "%s", line_get(l, "version"));
	snprintf(d->driver, sizeof(d->driver), "%s", line_get(l, "driver"));
	snprintf(d->device, sizeof(d->device), "%s", line_get(l, "device"));
	h->last_id = line_get_int(l, "last_id", 0, LONG_MAX);
	h->check_time = line_get_int(l, "check_time", 0, INT64_MAX);
	h->check_ok = line_get_int(l, "check_ok", 0, 1);
}

static void read_record(struct history *h, const struct line *l)
{
	struct record r = {
		.id = line_get_int(l, "id", 0, LONG_MAX),
		.time = line_get_int(l, "time", 0, INT64_MAX),
		.op = line_get_int(l, "op", 0, 255),
		.flags = line_get_int(l, "flags", 0, UINT_MAX),
		.disks = line_get_int(l, "disks", 0, INT_MAX),
		.freeze = line_get_int(l, "freeze", 0, ANSWER_LATE),
		.thaw = line_get_int(l, "thaw", 0, ANSWER_LATE),
		.ok = line_get_int(l, "ok", 0, 1),
		.plan_us = line_get_int(l, "plan_us", 0, INT64_MAX),
		.sync_us = line_get_int(l, "sync_us", 0, INT64_MAX),
		.freeze_us = line_get_int(l, "freeze_us", 0, INT64_MAX),
		.held_us = line_get_int(l, "held_us", 0, INT64_MAX),
		.thaw_us = line_get_int(l, "thaw_us", 0, INT64_MAX),
		.more = line_get_int(l, "more", 0, INT_MAX),
	};

	snprintf(r.reason, sizeof(r.reason), "%s", line_get(l, "reason"));
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
	if (!fs)
		return;
	fs->action = line_get_int(l, "action", 0, RECORD_UNTOUCHED);
	fs->sync_us = line_get_int(l, "sync_us", 0, INT64_MAX);
	fs->freeze_us = line_get_int(l, "freeze_us", 0, INT64_MAX);
	fs->thaw_us = line_get_int(l, "thaw_us", 0, INT64_MAX);
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
			read_daemon(h, &l);
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
