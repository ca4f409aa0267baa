// SPDX-License-Identifier: GPL-2.0-only
/*
 * Having the kernel's flushers write, before anybody asks for the result. syncfs() ends with a
 * commit of the journal, and whoever writes to ext4 waits until all data that is in the disk's
 * queue by then has been written (tests/bench/README.md). The flushers write the same data without
 * a commit, and syncfs() finds next to nothing after them.
 *
 * This is only to spare programs the wait; it proves nothing and must cost little where it does
 * not help: kernels that don't wake their flushers (before 4.15 or so), a program that writes as
 * fast as the disk does, a dead NFS server. So the amount is looked at, and has to fall.
 */
#include "log.h"
#include "phases.h"

#define LOOK_US		20000LL		/* from one look at the amount to the next */
#define SPAN_US		250000LL	/* by the end of such a span it must have fallen ... */
#define MOST_US		60000000LL	/* ... as fast as to be gone in this time */

/* Woken again each time: what was written to a loop device is dirty in its file now. */
static int begin_span(struct freezer *f, int64_t now, int64_t dirty)
{
	f->flush.dirty = dirty;
	f->flush.span = now + SPAN_US;
	return f->ops->wake_flushers();
}

static bool goes_on(struct freezer *f, int64_t now, int64_t dirty)
{
	if (dirty <= SYNC_LITTLE_KIB || now >= f->flush.limit)
		return false;
	if (now < f->flush.span)
		return true;
	if (f->flush.dirty - dirty < f->flush.first / (MOST_US / SPAN_US))
		return false;
	return !begin_span(f, now, dirty);
}

static void over(struct freezer *f, int64_t now, int64_t dirty)
{
	log_msg(LOG_DEBUG, "the kernel wrote for %d ms: %lld KiB to write before, %lld after",
		(int)((now - f->at.planned) / 1000), (long long)f->flush.first,
		(long long)dirty);
	sync_begin(f);
}

/**
 * flush_begin() - have the kernel write, as long as it gets somewhere; then sync_begin()
 * @f: the freezer, planned
 */
void flush_begin(struct freezer *f)
{
	int64_t now = f->ops->now_us(), budget = f->config->sync_us;
	int64_t dirty, end;

	f->state = FREEZER_FLUSH;
	f->sync_deadline = budget ? now + budget : INT64_MAX;
	dirty = f->ops->dirty_kib();
	f->flush.first = dirty;
	if (dirty <= SYNC_LITTLE_KIB || !f->set->n || begin_span(f, now, dirty)) {
		sync_begin(f);
		return;
	}
	/* Half of the time is left to syncfs(), which may have it all to do. */
	end = f->sync_deadline < f->freeze_deadline ? f->sync_deadline : f->freeze_deadline;
	f->flush.limit = now + (end - now) / 2;
	f->flush.look = now + LOOK_US;
}

/**
 * flush_look() - see how far the kernel is
 * @f: the freezer, in FREEZER_FLUSH, when ->flush.look is due
 */
void flush_look(struct freezer *f)
{
	int64_t now = f->ops->now_us(), dirty = f->ops->dirty_kib();

	if (goes_on(f, now, dirty))
		f->flush.look = now + LOOK_US;
	else
		over(f, now, dirty);
}
