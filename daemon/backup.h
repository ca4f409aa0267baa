/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What takes part in a backup: device, freezer, hooks, preflight and ledger, put together.
 * requests.c has its course.
 */
#ifndef HV_VSS_BACKUP_H
#define HV_VSS_BACKUP_H

#include "device.h"
#include "ledger.h"
#include "leftover.h"
#include "luns.h"
#include "notify.h"
#include "options.h"
#include "preflight.h"

struct backup {
	const struct options *options;
	const struct notify *notify;
	struct leftover *leftover;
	void (*lose)(void *ctx, int err);	/* the device is gone; calls backup_lose() */
	void *ctx;

	struct device device;
	struct freezer freezer;
	struct freezer_source source;
	struct freezer_config limits;
	struct fsset_config plan;
	struct luns luns;		/* what workers may see of @request */
	struct preflight preflight;
	struct fsset_config look_plan;	/* its own: it may look while a freeze begins */
	struct luns no_luns;
	int64_t check_us;
	struct ledger ledger;
	struct pool *pool;
	struct hooks hooks;
	int64_t hooks_begun;
	struct hv_vss_request request;	/* the one being worked on, if @busy */
	struct hv_vss_request next;	/* read, and waiting for the freezer, if @queued */
	bool busy;
	bool queued;
	bool stop;			/* this one is the last */
};

int backup_init(struct backup *b);
void backup_end(struct backup *b);
void backup_serve(struct backup *b);
void backup_lose(struct backup *b);
void backup_work(struct backup *b, bool jobs, int news);
int64_t backup_deadline(const struct backup *b);
bool backup_idle(const struct backup *b);
int64_t backup_stop_us(const struct backup *b);
void backup_status(const struct backup *b, const char *what);

#endif
