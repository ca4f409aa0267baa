/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The history of the last backups, with data about the daemon, in a file in /run, for --status. The
 * file is replaced as a whole, and only while nothing is frozen.
 */
#ifndef HV_VSS_HISTORY_H
#define HV_VSS_HISTORY_H

#include "record.h"

#define HISTORY_MAX	10
#define HISTORY_FILE	"status"

/* About the daemon that writes the file. */
struct history_daemon {
	pid_t pid;
	int64_t started;	/* in us since 1970 */
	bool connected;		/* to the device */
	bool guard;
	bool extended;		/* the driver knows the extended protocol */
	unsigned int abi;
	int64_t hold_asked_us;	/* limit set by the option --hold */
	int64_t hold_us;	/* limit in force; 0: unknown (yet) */
	char version[32];
	char driver[32];
	char device[128];
};

struct history {
	struct history_daemon daemon;
	unsigned long last_id;
	int64_t preflight_time;	/* of the last HOT_BACKUP; 0: none */
	bool preflight_ok;
	struct record record[HISTORY_MAX];	/* oldest first */
	size_t n;
};

void history_add(struct history *h, struct record *r);
struct record *history_last(struct history *h);
int history_save(const struct history *h, const char *dir);
int history_load(struct history *h, const char *dir);
void history_free(struct history *h);

#endif
