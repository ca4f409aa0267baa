/* SPDX-License-Identifier: GPL-2.0-only */
/* hv-vss-daemon --status and --check: what the daemon does, and the results of the last backups. */
#ifndef HV_VSS_STATUS_H
#define HV_VSS_STATUS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/term.h"
#include "driver/owner.h"
#include "history.h"
#include "livestate.h"

/* Of --json with --status and --list. Is increased when programs may have to be changed. */
#define STATUS_SCHEMA	1

/* Exit codes of --status. "Not running" is 3 as for LSB init scripts. */
enum status_code {
	STATUS_OK = 0,
	STATUS_FAILED = 1,	/* the last backup has failed, or the next one would */
	STATUS_NOT_RUNNING = 3,
	STATUS_UNKNOWN = 4,
};

/* Exit codes of --check, as monitoring plug-ins have them. */
enum check_code {
	CHECK_OK,
	CHECK_WARNING,
	CHECK_CRITICAL,
	CHECK_UNKNOWN,
};

/* Maximum age of the last good backup; 0: no limit. */
struct status_limits {
	int64_t warn_us;
	int64_t max_us;
};

struct status {
	struct history history;
	struct livestate_view live;
	struct owner driver;
	int error;		/* negative errno if the daemon's files can't be read; 0 */
	int64_t now;		/* monotonic clock: time since boot */
	int64_t wall;		/* in us since 1970 */
};

void status_load(struct status *s, const char *run_dir, const char *sysfs);
void status_free(struct status *s);
int status_print(const char *run_dir, const char *sysfs, bool json);
int status_watch(const char *run_dir, const char *sysfs);
void status_now(char *line, size_t size, const struct status *s);
enum status_code status_code(const struct status *s);
const char *status_problem(const struct status *s);
void status_text(FILE *f, const struct status *s);
void status_table(FILE *f, const struct history *h, const struct term *t);
void status_json(FILE *f, const struct status *s);
void status_time(char *text, size_t size, int64_t us);

int check_print(const char *run_dir, const char *sysfs, const struct status_limits *limits);
enum check_code check_line(FILE *f, const struct status *s, const struct status_limits *limits);

#endif
