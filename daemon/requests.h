/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes the requests of the host, one at a time, and answers them. */
#ifndef HV_VSS_REQUESTS_H
#define HV_VSS_REQUESTS_H

#include "driver/device.h"
#include "freeze/freezer.h"
#include "hooks/hooks.h"
#include "plan/luns.h"
#include "preflight.h"
#include "report/recorder.h"

/* Functions of the server. */
struct requests_callbacks {
	void (*device_lost)(void *ctx, int err);	/* calls requests_give_up() */
	void (*set_status)(void *ctx, const char *what);	/* for the service manager */
	void (*prepare_guard)(void *ctx);	/* a freeze follows: start the guardian if needed */
	/* Hooks are about to be called. */
	void (*prepare_hooks)(void *ctx, const struct hv_vss_request *request);
};

struct requests {
	struct device *device;
	struct freezer *freezer;
	struct preflight *preflight;
	struct hooks *hooks;
	struct recorder *recorder;
	struct luns *luns;		/* copy of the disks in @request, for workers */
	const struct freezer_config *configured;	/* options */
	struct freezer_config *limits;	/* limits in force, used by the freezer */
	const struct requests_callbacks *callbacks;
	void *ctx;			/* of @callbacks */

	int64_t hooks_begun;
	struct hv_vss_request request;	/* the current one, if @busy */
	struct hv_vss_request next;	/* read, but waiting for freezer or hooks, if @queued */
	bool busy;
	bool queued;
	bool stop;			/* the daemon stops after this request */
};

int requests_read(struct requests *r);
void requests_continue(struct requests *r);
void requests_give_up(struct requests *r, const char *why);

/* Callbacks of freezer, preflight and hooks; the context is struct requests. */
void requests_freezer_event(void *ctx, enum freezer_event event);
void requests_preflight_event(void *ctx, bool ok);
void requests_hooks_event(void *ctx, bool ok);

#endif
