// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's flushers write what is dirty, before any syncfs(). syncfs() ends with a commit of
 * the journal, and all writers to ext4 wait until the data that is in the disk's queue by then has
 * been written (tests/bench/README.md). The flushers write the same data without a commit, and
 * leave next to nothing to syncfs().
 *
 * This only spares programs the wait; it proves nothing and must cost little where it does not
 * help: kernels that don't wake their flushers (before 4.15 or so), a program that writes as fast
 * as the disk does, a dead NFS server. So the dirty amount is polled, and has to fall.
 */
#include "base/log.h"
#include "phases.h"

#define POLL_US		20000LL
#define SPAN_US		250000LL	/* by its end the dirty amount must have fallen ... */
#define MOST_US		60000000LL	/* ... fast enough to be gone in this time */

/* Flushers are woken for each span: what they wrote to a loop device is dirty in its file now. */
static int begin_span(struct freezer *f, int64_t now, int64_t dirty)
{
	f->writeback.dirty = dirty;
	f->writeback.span = now + SPAN_US;
	return f->ops->wake_flushers();
}

static bool is_worth_waiting(struct freezer *f, int64_t now, int64_t dirty)
{
	if (dirty <= SYNC_LITTLE_KIB || now >= f->writeback.limit)
		return false;
	if (now < f->writeback.span)
		return true;
	if (f->writeback.dirty - dirty < f->writeback.first / (MOST_US / SPAN_US))
		return false;
	return !begin_span(f, now, dirty);
}

static int end_writeback(struct freezer *f, int64_t now, int64_t dirty)
{
	log_msg(LOG_DEBUG, "writeback took %d ms: %lld KiB dirty before, %lld KiB after",
		(int)((now - f->at.planned) / 1000), (long long)f->writeback.first,
		(long long)dirty);
	return PHASE_DONE;
}

/**
 * writeback_begin() - wake the kernel's flushers, and let them write while it helps
 * @f: the freezer, planned
 * Return: an outcome.
 */
int writeback_begin(struct freezer *f)
{
	int64_t now = f->ops->now_us(), budget = f->config->sync_us;
	int64_t dirty, end;

	f->sync_deadline = budget ? now + budget : INT64_MAX;
	dirty = f->ops->dirty_kib();
	f->writeback.first = dirty;
	if (dirty <= SYNC_LITTLE_KIB || !f->set->n || begin_span(f, now, dirty))
		return PHASE_DONE;
	/* Half of the time is left to syncfs(), which may have all the work to do. */
	end = f->sync_deadline < f->freeze_deadline ? f->sync_deadline : f->freeze_deadline;
	f->writeback.limit = now + (end - now) / 2;
	f->writeback.poll = now + POLL_US;
	return PHASE_RUNS;
}

/**
 * writeback_poll() - check the flushers' progress
 * @f: the freezer, in FREEZER_WRITEBACK, when ->writeback.poll is due
 * Return: an outcome.
 */
int writeback_poll(struct freezer *f)
{
	int64_t now = f->ops->now_us(), dirty = f->ops->dirty_kib();

	if (!is_worth_waiting(f, now, dirty))
		return end_writeback(f, now, dirty);
	f->writeback.poll = now + POLL_US;
	return PHASE_RUNS;
}
