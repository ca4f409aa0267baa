// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "recorder.h"

static void changed(struct recorder *l)
{
	l->needs_write = true;
	l->changes++;
}

static void add_interrupted(struct recorder *l, const struct livestate_end *end)
{
	static const char * const during[] = {
		[LIVE_PREPARING] = "it prepared a backup",
		[LIVE_SYNCING] = "it flushed file systems",
		[LIVE_FREEZING] = "it froze file systems",
		[LIVE_FROZEN] = "file systems were frozen",
		[LIVE_THAWING] = "it thawed file systems",
	};
	struct record r = {
		.id = l->history.last_id + 1,
		.time = clock_wall_us() - (clock_now_us() - end->since),
		.op = end->state == LIVE_PREPARING ? HV_VSS_OP_HOT_BACKUP : HV_VSS_OP_FREEZE,
		/* With FROZEN, the host may still send THAW. */
		.freeze = end->state < LIVE_FROZEN ? ANSWER_FAILED : ANSWER_OK,
		.thaw = end->state == LIVE_THAWING ? ANSWER_FAILED : ANSWER_NONE,
	};

	snprintf(r.reason, sizeof(r.reason), "the daemon was killed or has crashed while %s",
		 during[end->state]);
	record_log(&r);
	l->history.last_id = r.id;
	history_add(&l->history, &r);
}

/**
 * recorder_start() - begin to record
 * @l: filled in
 * @dir: in /run; the history of an earlier daemon there is continued
 *
 * If the directory can't be used, --status does not work; everything else does. If an earlier
 * daemon was killed during a backup, that backup gets its record now.
 */
void recorder_start(struct recorder *l, const char *dir)
{
	struct history_daemon *d = &l->history.daemon;
	struct livestate_end end;
	bool interrupted;
	int err;

	*l = (struct recorder){ .dir = dir, .needs_write = true, .changes = 1 };
	interrupted = livestate_was_interrupted(&end, dir);
	err = livestate_start(&l->live, dir);
	if (err) {
		log_msg(LOG_NOTICE, "%s: --status will not work: %s", dir,
			err == -EXDEV ? "not in memory" : strerror(-err));
		l->dir = NULL;
	}
	if (l->dir && history_load(&l->history, dir))
		history_free(&l->history);
	if (l->dir && interrupted)
		add_interrupted(l, &end);
	*d = (struct history_daemon){ .pid = getpid(), .started = clock_wall_us() };
	snprintf(d->version, sizeof(d->version), "%s", HV_VSS_VERSION);
}

/**
 * recorder_set_device() - record that the device was opened or closed
 * @l: the recorder
 * @dev: the device
 */
void recorder_set_device(struct recorder *l, const struct device *dev)
{
	struct history_daemon *d = &l->history.daemon;

	d->connected = device_fd(dev) >= 0;
	d->extended = dev->extended;
	d->abi = dev->reg.abi;
	d->guard = device_guard(dev);
	snprintf(d->driver, sizeof(d->driver), "%s", dev->driver);
	snprintf(d->device, sizeof(d->device), "%s", dev->path);
	changed(l);
}

/**
 * recorder_set_limits() - record how long a freeze may be held
 * @l: the recorder
 * @asked_us: the limit of the option
 * @hold_us: the limit in force: less if the driver does not allow as much
 */
void recorder_set_limits(struct recorder *l, int64_t asked_us, int64_t hold_us)
{
	l->history.daemon.hold_asked_us = asked_us;
	l->history.daemon.hold_us = hold_us;
	changed(l);
}

/**
 * recorder_begin() - begin the record of a backup or a preflight
 * @l: the recorder
 * @request: FREEZE or HOT_BACKUP
 */
void recorder_begin(struct recorder *l, const struct hv_vss_request *request)
{
	bool freeze = request->frame.op == HV_VSS_OP_FREEZE;

	if (l->open)
		recorder_end(l);
	l->open = true;
	l->current = (struct record){
		.id = l->history.last_id + 1,
		.time = clock_wall_us(),
		.op = request->frame.op,
		.flags = freeze ? request->flags : request->frame.arg,
		.disks = request->lun_count,
	};
	if (freeze)
		log_backup(l->current.id);
}

/**
 * recorder_fill() - copy the results of the freezer into the record
 * @l: the recorder
 * @f: the freezer, about to become idle
 */
void recorder_fill(struct recorder *l, const struct freezer *f)
{
	if (l->open)
		record_fill(&l->current, f);
}

/**
 * recorder_set_culprits() - record what keeps file systems from being frozen
 * @l: the recorder
 * @found: the blockers
 */
void recorder_set_culprits(struct recorder *l, const struct culprits *found)
{
	if (l->open)
		l->current.culprits = *found;
}

/**
 * recorder_set_hooks() - record how long the hooks took
 * @l: the recorder
 * @us: from the request until all were called with "freeze", or one has failed
 */
void recorder_set_hooks(struct recorder *l, int64_t us)
{
	if (l->open)
		l->current.hooks_us = us;
}

/**
 * recorder_set_reason() - record why the backup has failed, unless a reason is recorded already
 * @l: the recorder
 * @why: the reason
 */
void recorder_set_reason(struct recorder *l, const char *why)
{
	if (l->open && !l->current.reason[0])
		snprintf(l->current.reason, sizeof(l->current.reason), "%s", why);
}

/**
 * recorder_set_answer() - record an answer to the host
 * @l: the recorder
 * @op: the request that was answered
 * @answer: the answer; only the first one is recorded, not that to a second FREEZE
 */
void recorder_set_answer(struct recorder *l, unsigned int op, enum record_answer answer)
{
	enum record_answer *to = op == HV_VSS_OP_THAW ? &l->current.thaw : &l->current.freeze;

	if (l->open && *to == ANSWER_NONE)
		*to = answer;
}

/**
 * recorder_end() - complete the record: nothing of ours is frozen, and all answers are sent
 * @l: the recorder
 *
 * A preflight that succeeds is not added to the history: only its time is recorded.
 */
void recorder_end(struct recorder *l)
{
	struct record *r = &l->current;
	bool preflight = r->op == HV_VSS_OP_HOT_BACKUP;

	if (!l->open)
		return;
	l->open = false;
	changed(l);
	r->ok = r->freeze == ANSWER_OK && (preflight || r->thaw == ANSWER_OK);
	if (r->ok)
		r->reason[0] = '\0';
	else if (!r->reason[0])
		snprintf(r->reason, sizeof(r->reason), "%s", r->freeze == ANSWER_LATE ||
			 r->thaw == ANSWER_LATE ? "the host no longer waited for the answer" :
			 "the freeze has ended before the host asked");
	if (preflight) {
		l->history.preflight_time = r->time;
		l->history.preflight_ok = r->ok;
	}
	if (preflight && r->ok) {
		record_free(r);
	} else {
		record_log(r);
		l->history.last_id = r->id;
		history_add(&l->history, r);
	}
	log_backup(0);
}

/**
 * recorder_thaw_without_freeze() - record a THAW while nothing is frozen
 * @l: the recorder
 * @request: THAW; it is answered with failure
 */
void recorder_thaw_without_freeze(struct recorder *l, const struct hv_vss_request *request)
{
	struct record *last = history_last(&l->history);

	/* One record for each backup: the host sends THAW also after a FREEZE that failed. */
	if (last && last->op == HV_VSS_OP_FREEZE && last->freeze != ANSWER_NONE &&
	    last->thaw == ANSWER_NONE) {
		last->thaw = ANSWER_FAILED;
		changed(l);
		return;
	}
	recorder_begin(l, request);
	recorder_set_reason(l, "the host sent THAW, but nothing is frozen");
	recorder_set_answer(l, HV_VSS_OP_THAW, ANSWER_FAILED);
	recorder_end(l);
}

static enum live_state state_of(const struct recorder *l, const struct freezer *f, bool busy)
{
	switch (f->state) {
	case FREEZER_PLAN:
		return LIVE_PREPARING;
	case FREEZER_WRITEBACK:
	case FREEZER_SYNC:
	case FREEZER_BLOCKERS:
		return LIVE_SYNCING;
	case FREEZER_FREEZE:
	case FREEZER_VERIFY:
		return LIVE_FREEZING;
	case FREEZER_FROZEN:
		return LIVE_FROZEN;
	case FREEZER_THAW:
		return LIVE_THAWING;
	default:
		return busy ? LIVE_PREPARING :
		       l->history.daemon.connected ? LIVE_IDLE : LIVE_WAITING;
	}
}

/* File systems that are still to be flushed or frozen; -1 in other phases. */
static int left_of(const struct freezer *f)
{
	switch (f->state) {
	case FREEZER_WRITEBACK:
	case FREEZER_BLOCKERS:
		return f->set->n;
	case FREEZER_SYNC:
		return f->syncing;
	case FREEZER_FREEZE:
		return f->set->n - f->next + f->freezing;
	default:
		return -1;
	}
}

/**
 * recorder_update() - publish what the daemon does; write the file if it is out of date
 * @l: the recorder
 * @f: the freezer
 * @busy: a request waits for its answer
 *
 * Context: main thread. The file is written only while the freezer is idle.
 */
void recorder_update(struct recorder *l, const struct freezer *f, bool busy)
{
	int err;

	if (!l->dir)
		return;
	livestate_set_left(&l->live, left_of(f));
	livestate_set(&l->live, state_of(l, f, busy), f->ops->now_us());
	if (!l->needs_write || l->delay_write || busy || f->state != FREEZER_IDLE)
		return;
	l->needs_write = false;
	err = history_save(&l->history, l->dir);
	if (err)
		log_msg(LOG_WARNING, "%s: cannot be written: %s", l->dir, strerror(-err));
}

/**
 * recorder_delay_write() - delay writing the file, or allow it again
 * @l: the recorder
 * @wait: delay it: a request may follow at once
 */
void recorder_delay_write(struct recorder *l, bool wait)
{
	l->delay_write = wait;
}

/**
 * recorder_stop() - end recording; the history remains for the next daemon
 * @l: the recorder
 */
void recorder_stop(struct recorder *l)
{
	l->history.daemon.connected = false;
	if (l->dir && history_save(&l->history, l->dir))
		log_msg(LOG_WARNING, "%s: cannot be written", l->dir);
	livestate_stop(&l->live);
	history_free(&l->history);
	record_free(&l->current);
}
