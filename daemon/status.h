/* SPDX-License-Identifier: GPL-2.0-only */
/* hv-vss-daemon --status: what the daemon does, and how the last backups went. */
#ifndef HV_VSS_STATUS_H
#define HV_VSS_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include "driver.h"
#include "history.h"
#include "live.h"

/* Exit codes: that of "not running" is the one of the LSB's init scripts. */
enum status_code {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_NOT_RUNNING = 3,
	STATUS_UNKNOWN = 4,
};

struct status {
	struct history history;
	struct live_view live;
	struct driver driver;
	int error;		/* why it is not known; 0 */
	int64_t now;		/* monotonic clock */
};

int status_print(const char *run_dir, const char *sysfs, bool json);
enum status_code status_code(const struct status *s);
void status_text(FILE *f, const struct status *s);
void status_json(FILE *f, const struct status *s);

#endif
