// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ledger.h"
#include "log.h"

static int64_t today_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/**
 * ledger_start() - begin to keep an account
 * @l: filled in
 * @dir: in /run; what an earlier daemon has left there is continued
 *
 * Without such a directory there is no --status, and everything else goes on.
 */
void ledger_start(struct ledger *l, const char *dir)
{
	struct history_daemon *d = &l->history.daemon;
	int err;

	*l = (struct ledger){ .dir = dir, .dirty = true };
	err = live_start(&l->live, dir);
	if (err) {
		log_msg(LOG_NOTICE, "%s: no --status: %s", dir,
			err == -EXDEV ? "not in memory" : strerror(-err));
		l->dir = NULL;
	}
	if (l->dir && history_load(&l->history, dir))
		history_free(&l->history);
	*d = (struct history_daemon){ .pid = getpid(), .started = today_us() };
	snprintf(d->version, sizeof(d->version), "%s", HV_VSS_VERSION);
}

/**
 * ledger_device() - the device has been opened or closed
 * @l: the ledger
 * @dev: the device
 */
void ledger_device(struct ledger *l, const struct device *dev)
{
	struct history_daemon *d = &l->history.daemon;

	d->connected = device_fd(dev) >= 0;
	d->extended = dev->extended;
	d->abi = dev->reg.abi;
	d->guard = device_guard(dev);
	snprintf(d->driver, sizeof(d->driver), "%s", dev->driver);
	snprintf(d->device, sizeof(d->device), "%s", dev->path);
	l->dirty = true;
}

/**
 * ledger_begin() - a backup, or the question whether one is possible, begins
 * @l: the ledger
 * @request: FREEZE or HOT_BACKUP
 */
void ledger_begin(struct ledger *l, const struct hv_vss_request *request)
{
	bool freeze = request->frame.op == HV_VSS_OP_FREEZE;

	if (l->open)
		ledger_end(l);
	l->open = true;
	l->current = (struct record){
		.id = l->history.last_id + 1,
		.time = today_us(),
		.op = request->frame.op,
		.flags = freeze ? request->flags : request->frame.arg,
		.disks = request->lun_count,
	};
	if (freeze)
		log_backup(l->current.id);
}

/**
 * ledger_fill() - take over what the freezer knows
 * @l: the ledger
 * @f: the freezer, about to be idle again
 */
void ledger_fill(struct ledger *l, const struct freezer *f)
{
	if (l->open)
		record_fill(&l->current, f);
}

/**
 * ledger_why() - note why there will be no backup, unless it is known already
 * @l: the ledger
 * @why: the reason
 */
void ledger_why(struct ledger *l, const char *why)
{
	if (l->open && !l->current.reason[0])
		snprintf(l->current.reason, sizeof(l->current.reason), "%s", why);
}

/**
 * ledger_answer() - the host has been answered
 * @l: the ledger
 * @op: what it had asked for
 * @answer: what it was told; only the first answer counts: a second FREEZE has none here
 */
void ledger_answer(struct ledger *l, unsigned int op, enum record_answer answer)
{
	enum record_answer *to = op == HV_VSS_OP_THAW ? &l->current.thaw : &l->current.freeze;

	if (l->open && *to == ANSWER_NONE)
		*to = answer;
}

/**
 * ledger_end() - nothing of ours is frozen, and all answers are given
 * @l: the ledger
 *
 * A check that went well is no backup: it is only noted that there was one.
 */
void ledger_end(struct ledger *l)
{
	struct record *r = &l->current;
	bool check = r->op == HV_VSS_OP_HOT_BACKUP;

	if (!l->open)
		return;
	l->open = false;
	l->dirty = true;
	r->ok = r->freeze == ANSWER_OK && (check || r->thaw == ANSWER_OK);
	if (r->ok)
		r->reason[0] = '\0';
	else if (!r->reason[0])
		snprintf(r->reason, sizeof(r->reason), "%s", r->freeze == ANSWER_LATE ||
			 r->thaw == ANSWER_LATE ? "nobody waited for the answer" :
			 "the freeze has ended before the host asked");
	if (check) {
		l->history.check_time = r->time;
		l->history.check_ok = r->ok;
	}
	if (check && r->ok) {
		record_free(r);
	} else {
		record_log(r);
		l->history.last_id = r->id;
		history_add(&l->history, r);
	}
	log_backup(0);
}

/**
 * ledger_thaw_without_freeze() - the host asks for a thaw, and nothing is frozen
 * @l: the ledger
 * @request: THAW; it is answered with failure
 */
void ledger_thaw_without_freeze(struct ledger *l, const struct hv_vss_request *request)
{
	struct record *last = history_last(&l->history);

	if (last && last->op == HV_VSS_OP_FREEZE && last->freeze == ANSWER_OK &&
	    last->thaw == ANSWER_NONE) {
		last->thaw = ANSWER_FAILED;
		l->dirty = true;
		return;
	}
	ledger_begin(l, request);
	ledger_why(l, "asked to thaw, but nothing is frozen");
	ledger_answer(l, HV_VSS_OP_THAW, ANSWER_FAILED);
	ledger_end(l);
}

static enum live_state state_of(const struct ledger *l, const struct freezer *f, bool busy)
{
	switch (f->state) {
	case FREEZER_PLAN:
		return LIVE_PREPARING;
	case FREEZER_FLUSH:
	case FREEZER_SYNC:
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

/**
 * ledger_tick() - tell what is going on; write the file if it is time to
 * @l: the ledger
 * @f: the freezer
 * @busy: a request waits for its answer
 *
 * Context: main thread. The file is written only while it is idle.
 */
void ledger_tick(struct ledger *l, const struct freezer *f, bool busy)
{
	int err;

	if (!l->dir)
		return;
	live_set(&l->live, state_of(l, f, busy), f->ops->now_us());
	if (!l->dirty || l->wait || busy || f->state != FREEZER_IDLE)
		return;
	l->dirty = false;
	err = history_save(&l->history, l->dir);
	if (err)
		log_msg(LOG_WARNING, "%s: cannot be written: %s", l->dir, strerror(-err));
}

/**
 * ledger_stop() - the daemon ends; the history stays for its successor
 * @l: the ledger
 */
void ledger_stop(struct ledger *l)
{
	l->history.daemon.connected = false;
	if (l->dir && history_save(&l->history, l->dir))
		log_msg(LOG_WARNING, "%s: cannot be written", l->dir);
	live_stop(&l->live);
	history_free(&l->history);
	record_free(&l->current);
}
