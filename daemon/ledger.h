/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's account of itself, for --status: what it is doing, and how each backup went. */
#ifndef HV_VSS_LEDGER_H
#define HV_VSS_LEDGER_H

#include "device.h"
#include "history.h"
#include "live.h"

struct ledger {
	const char *dir;	/* NULL: no account is kept there */
	struct history history;
	struct live live;
	struct record current;	/* the backup that is going on, if @open */
	bool open;
	bool wait;		/* a request may follow at once: write later */
	bool dirty;		/* the file is out of date */
};

void ledger_start(struct ledger *l, const char *dir);
void ledger_device(struct ledger *l, const struct device *d);
void ledger_begin(struct ledger *l, const struct hv_vss_request *request);
void ledger_fill(struct ledger *l, const struct freezer *f);
void ledger_why(struct ledger *l, const char *why);
void ledger_answer(struct ledger *l, unsigned int op, enum record_answer answer);
void ledger_end(struct ledger *l);
void ledger_thaw_without_freeze(struct ledger *l, const struct hv_vss_request *request);
void ledger_tick(struct ledger *l, const struct freezer *f, bool busy);
void ledger_stop(struct ledger *l);

#endif
