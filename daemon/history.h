/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The last backups, and a file in /run that tells of them and of the daemon, for --status. The
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
	bool extended;		/* the protocol spoken with the driver */
	unsigned int abi;
	char version[32];
	char driver[32];
	char device[128];
};

struct history {
	struct history_daemon daemon;
	unsigned long last_id;
	int64_t check_time;	/* of the last HOT_BACKUP; 0: there was none */
	bool check_ok;
	struct record record[HISTORY_MAX];	/* oldest first */
	size_t n;
};

void history_add(struct history *h, struct record *r);
struct record *history_last(struct history *h);
int history_save(const struct history *h, const char *dir);
int history_load(struct history *h, const char *dir);
void history_free(struct history *h);

#endif
