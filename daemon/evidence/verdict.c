// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the two snapshots say. Sectors count, not requests: fsync() of a file on a frozen file
 * system makes a disk flush its cache, which is a request that writes nothing.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/array.h"
#include "base/sysattr.h"
#include "evidence.h"
#include "plan/blockdev.h"

/* All devices with sectors written to them in between, and how many. */
struct changes {
	struct diskstats_line *line;
	size_t n;
};

struct judge {
	const struct evidence *e;
	const char *proc;
	const char *sysfs;
	struct changes changes;
	int64_t swapped;	/* sectors that were swapped out, if there is a swap file */
	size_t changed_disks;	/* of those that are watched */
	struct evidence_verdict *v;
};

/* Both snapshots have most devices in the same order: @at is where the next one should be. */
static bool find_before(const struct diskstats *before, size_t *at, dev_t dev,
			struct diskstats_line *old)
{
	size_t next = *at;

	while (diskstats_next(before, &next, old))
		if (old->dev == dev) {
			*at = next;
			return true;
		}
	return diskstats_find(before, dev, old);
}

static uint64_t more_than(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static bool has_changed(const struct evidence *e, size_t *at, struct diskstats_line *line)
{
	struct diskstats_line old;

	/* A device that is new has all that was ever written to it. */
	if (find_before(&e->before, at, line->dev, &old)) {
		line->writes = more_than(line->writes, old.writes);
		line->sectors = more_than(line->sectors, old.sectors);
		line->discarded = more_than(line->discarded, old.discarded);
	}
	return line->sectors || line->discarded;
}

static int find_changes(const struct evidence *e, struct changes *c)
{
	struct diskstats_line line, *more;
	size_t at = 0, before = 0;

	while (diskstats_next(&e->after, &at, &line)) {
		if (!has_changed(e, &before, &line))
			continue;
		more = array_resize(c->line, c->n + 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		c->line = more;
		c->line[c->n++] = line;
	}
	return 0;
}

static const struct diskstats_line *change_of(const struct changes *c, dev_t dev)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->line[i].dev == dev)
			return &c->line[i];
	return NULL;
}

struct search {
	dev_t disk;
	bool found;
};

static int on_disk(void *arg, dev_t disk)
{
	struct search *s = arg;

	s->found |= disk == s->disk;
	return 0;
}

static bool is_on(const char *sysfs, dev_t dev, dev_t disk)
{
	struct search search = { .disk = disk };
	const struct blockdev_walk walk = { .disk = on_disk, .arg = &search };

	return !blockdev_walk(sysfs, dev, &walk) && search.found;
}

/* Is the device @name a partition of this one, or made of it? */
static bool is_above(const char *sysfs, dev_t dev, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/dev/block/%u:%u/holders/%s", sysfs, major(dev), minor(dev),
		 name);
	if (!access(path, F_OK))
		return true;
	snprintf(path, sizeof(path), "%s/dev/block/%u:%u/%s/partition", sysfs, major(dev),
		 minor(dev), name);
	return !access(path, F_OK);
}

/* Is a device above this one written to? Then that one is nearer to the writer. */
static bool is_written_through(const struct judge *j, dev_t dev)
{
	for (size_t i = 0; i < j->changes.n; i++)
		if (is_above(j->sysfs, dev, j->changes.line[i].name))
			return true;
	return false;
}

/* Before 5.14 arrays count although their iostats are off. */
static bool has_counters(const char *sysfs, const struct diskstats_line *array)
{
	char dir[PATH_MAX], value[16];

	if (array->writes)
		return true;
	snprintf(dir, sizeof(dir), "%s/dev/block/%u:%u", sysfs, major(array->dev),
		 minor(array->dev));
	return sysattr_read(value, sizeof(value), dir, "queue/iostats") || strcmp(value, "0") != 0;
}

/*
 * An array writes its superblock a moment after the last write to it, and that is the freeze. It
 * writes its bitmap later, and what a resync finds. None of that changes what the array contains.
 * So a member is meant that is written to while the array is not. Those of LVM are devices of their
 * own, with such names.
 */
static bool is_raid_member(const struct judge *j, const struct diskstats_line *member)
{
	struct diskstats_line line;
	char dir[PATH_MAX], name[128];
	size_t at = 0;

	snprintf(dir, sizeof(dir), "%s/dev/block/%u:%u", j->sysfs, major(member->dev),
		 minor(member->dev));
	if (!sysattr_read(name, sizeof(name), dir, "dm/name") &&
	    (strstr(name, "_rmeta_") || strstr(name, "_rimage_")))
		return true;
	while (diskstats_next(&j->e->after, &at, &line))
		if (!strncmp(line.name, "md", 2) && !change_of(&j->changes, line.dev) &&
		    is_above(j->sysfs, member->dev, line.name))
			return has_counters(j->sysfs, &line);
	return false;
}

/* What was written to a disk, by the devices that are nearest to the writers. */
struct shares {
	struct diskstats_line data;	/* the largest, or the disk itself */
	uint64_t swap;			/* sectors */
	uint64_t raid;
};

static void add_share(const struct judge *j, const struct diskstats_line *line, struct shares *s)
{
	bool first = s->data.dev == line->dev;

	if (evidence_has_swap(j->proc, line))
		s->swap += line->sectors;
	else if (is_raid_member(j, line))
		s->raid += line->sectors;
	else if (first || s->data.sectors <= line->sectors)
		s->data = *line;
}

static struct shares find_shares(const struct judge *j, const struct diskstats_line *disk)
{
	struct shares s = { .data = *disk };
	bool found = false;

	s.data.sectors = 0;
	for (size_t i = 0; i < j->changes.n; i++) {
		const struct diskstats_line *line = &j->changes.line[i];

		if (line->dev == disk->dev || !is_on(j->sysfs, line->dev, disk->dev) ||
		    is_written_through(j, line->dev))
			continue;
		found = true;
		add_share(j, line, &s);
	}
	if (!found)
		add_share(j, disk, &s);
	return s;
}

static enum evidence_cause cause_of(const struct judge *j, const struct diskstats_line *disk,
				    const struct shares *s)
{
	if (!disk->sectors)
		return WRITTEN_DISCARD;
	/* On which disk a swap file lies is not known. */
	if (j->changed_disks == 1 && j->swapped >= (int64_t)disk->sectors)
		return WRITTEN_SWAP;
	if (s->swap + s->raid >= disk->sectors)
		return s->raid ? WRITTEN_RAID : WRITTEN_SWAP;
	return WRITTEN_DATA;
}

static void note_disk(struct judge *j, const struct diskstats_line *disk)
{
	struct shares shares = find_shares(j, disk);
	enum evidence_cause cause = cause_of(j, disk, &shares);
	struct evidence_verdict *v = j->v;
	struct evidence_written w = {
		.writes = disk->writes, .kib = (disk->sectors + 1) / 2, .cause = cause,
	};
	size_t at = cause == WRITTEN_DATA ? v->written : v->written + v->other;

	v->written += cause == WRITTEN_DATA;
	v->other += cause != WRITTEN_DATA;
	if (at >= EVIDENCE_MAX)
		return;
	memcpy(w.disk, disk->name, sizeof(w.disk));
	memcpy(w.by, shares.data.name, sizeof(w.by));
	if (v->n == EVIDENCE_MAX)
		v->n--;
	memmove(&v->one[at + 1], &v->one[at], (v->n - at) * sizeof(v->one[0]));
	v->one[at] = w;
	v->n++;
}

/* It is still there, and no other one has its number. */
static bool is_comparable(const struct evidence *e, dev_t dev)
{
	struct diskstats_line before, after;

	return diskstats_find(&e->before, dev, &before) && diskstats_find(&e->after, dev, &after) &&
	       before.sectors <= after.sectors && before.writes <= after.writes;
}

static void judge_disk(struct judge *j, const struct evidence_disk *disk)
{
	const struct diskstats_line *change = change_of(&j->changes, disk->dev);

	if (disk->uncounted) {
		j->v->uncounted++;
		return;
	}
	if (!is_comparable(j->e, disk->dev))
		return;
	j->v->disks++;
	if (change)
		note_disk(j, change);
}

/**
 * evidence_judge() - compare the snapshots
 * @e: with both
 * @proc: where procfs is mounted
 * @sysfs: where sysfs is mounted
 * @verdict: set
 * Context: worker.
 */
void evidence_judge(const struct evidence *e, const char *proc, const char *sysfs,
		    struct evidence_verdict *verdict)
{
	struct judge j = { .e = e, .proc = proc, .sysfs = sysfs, .v = verdict };
	int err;

	*verdict = (struct evidence_verdict){ 0 };
	verdict->known = e->begun < 1 ? e->begun : e->ended;
	if (verdict->known < 1)
		return;
	if (e->swapped[0] >= 0 && e->swapped[1] > e->swapped[0])
		j.swapped = (e->swapped[1] - e->swapped[0]) * (sysconf(_SC_PAGESIZE) / 512);
	err = find_changes(e, &j.changes);
	for (size_t i = 0; i < e->n; i++)
		j.changed_disks += !!change_of(&j.changes, e->disk[i].dev);
	for (size_t i = 0; i < e->n && !err; i++)
		judge_disk(&j, &e->disk[i]);
	free(j.changes.line);
	if (err)
		verdict->known = err;
}

/**
 * evidence_describe_disk() - what was written to a disk, in words
 * @w: the disk
 * @text: set
 * @size: of @text
 * Return: length of @text.
 */
size_t evidence_describe_disk(const struct evidence_written *w, char *text, size_t size)
{
	static const char * const alone[] = {
		[WRITTEN_SWAP] = "swap", [WRITTEN_RAID] = "its RAID",
		[WRITTEN_DISCARD] = "discards",
	};
	int len;

	if (w->cause != WRITTEN_DATA)
		len = snprintf(text, size, "%s by %s alone", w->disk, alone[w->cause]);
	else if (!strcmp(w->disk, w->by))
		len = snprintf(text, size, "%s (%llu requests, %llu KiB)", w->disk,
			       (unsigned long long)w->writes, (unsigned long long)w->kib);
	else
		len = snprintf(text, size, "%s (%llu requests, %llu KiB, by way of %s)", w->disk,
			       (unsigned long long)w->writes, (unsigned long long)w->kib, w->by);
	return len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;
}

static void describe_written(const struct evidence_verdict *v, char *text, size_t size)
{
	size_t len = snprintf(text, size, "written to while frozen: "), i;
	char one[128];

	for (i = 0; i < v->n; i++) {
		size_t more = evidence_describe_disk(&v->one[i], one, sizeof(one));

		/* Room for ", and 12345 more". */
		if (len + more + 20 >= size)
			break;
		len += snprintf(text + len, size - len, "%s%s", i ? ", " : "", one);
	}
	if (i < v->written + v->other)
		snprintf(text + len, size - len, "%sand %zu more", i ? ", " : "",
			 v->written + v->other - i);
}

/**
 * evidence_describe() - the verdict in words
 * @verdict: the verdict
 * @text: set; empty if there is no evidence at all
 * @size: of @text
 */
void evidence_describe(const struct evidence_verdict *verdict, char *text, size_t size)
{
	const char *plural = verdict->disks == 1 ? "" : "s";

	text[0] = '\0';
	if (verdict->known == -E2BIG)
		snprintf(text, size, "the counters of the disks cannot be compared: too many "
			 "devices are new");
	else if (verdict->known < 0)
		snprintf(text, size, "the counters of the disks cannot be read: %s",
			 strerror(-verdict->known));
	else if (verdict->known && verdict->n)
		describe_written(verdict, text, size);
	else if (verdict->known && verdict->uncounted && !verdict->disks)
		snprintf(text, size, "no disk keeps counters (queue/iostats)");
	else if (verdict->known && verdict->uncounted)
		snprintf(text, size, "nothing was written to %zu disk%s while frozen; %zu keep no "
			 "counters (queue/iostats)", verdict->disks, plural, verdict->uncounted);
	else if (verdict->known && verdict->disks)
		snprintf(text, size, "nothing was written to %zu disk%s while frozen",
			 verdict->disks, plural);
}
