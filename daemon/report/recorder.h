/* SPDX-License-Identifier: GPL-2.0-only */
/* Records what the daemon does and the result of each backup, for --status. */
#ifndef HV_VSS_RECORDER_H
#define HV_VSS_RECORDER_H

#include "driver/device.h"
#include "history.h"
#include "livestate.h"

struct recorder {
	const char *dir;	/* NULL: nothing is written */
	struct history history;
	struct livestate live;
	struct record current;	/* the running backup or preflight, if @open */
	bool open;
	bool delay_write;	/* a request may follow at once: write the file later */
	bool needs_write;	/* the file is out of date */
	unsigned int changes;	/* incremented whenever the history changes */
};

void recorder_start(struct recorder *l, const char *dir);
void recorder_set_device(struct recorder *l, const struct device *d);
void recorder_set_limits(struct recorder *l, int64_t asked_us, int64_t hold_us);
void recorder_begin(struct recorder *l, const struct hv_vss_request *request);
void recorder_fill(struct recorder *l, const struct freezer *f);
void recorder_set_culprits(struct recorder *l, const struct culprits *found);
void recorder_set_hooks(struct recorder *l, int64_t us);
void recorder_set_reason(struct recorder *l, const char *why);
void recorder_set_answer(struct recorder *l, unsigned int op, enum record_answer answer);
void recorder_end(struct recorder *l);
void recorder_delay_write(struct recorder *l, bool wait);
void recorder_thaw_without_freeze(struct recorder *l, const struct hv_vss_request *request);
void recorder_update(struct recorder *l, const struct freezer *f, bool busy);
void recorder_stop(struct recorder *l);

#endif
