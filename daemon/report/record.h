/* SPDX-License-Identifier: GPL-2.0-only */
/* The record of a backup: what is kept in the history when it has ended. */
#ifndef HV_VSS_RECORD_H
#define HV_VSS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "freeze/freezer_types.h"

#define EVIDENCE_SIZE	256
#define RECORD_FS_MAX	500	/* file systems described one by one */

enum record_answer {
	ANSWER_NONE,		/* the host did not send the request */
	ANSWER_OK,
	ANSWER_FAILED,
	ANSWER_LATE,		/* the host no longer waited for the answer */
};

enum record_action {
	RECORD_FROZEN,
	RECORD_SYNCED,		/* only synced */
	RECORD_SKIPPED,
	RECORD_FAILED,
	RECORD_UNTOUCHED,	/* the backup failed before it was its turn */
};

struct record_fs {
	char *path;
	char *type;
	char *source;
	char *reason;		/* reason of @action, or a remark; NULL: none */
	enum record_action action;
	bool unsafe;		/* skipped, although on disks that are copied */
	int64_t sync_us;
	int64_t freeze_us;
	int64_t thaw_us;
};

struct record {
	unsigned long id;
	int64_t time;		/* of the request, in us since 1970 */
	unsigned int op;	/* the host's first request: HV_VSS_OP_... */
	unsigned int flags;
	unsigned int disks;	/* in the list of FREEZE */
	enum record_answer freeze;
	enum record_answer thaw;
	bool ok;
	char reason[REASON_SIZE];
	struct culprits culprits;	/* blockers of the freeze */
	char evidence[EVIDENCE_SIZE];	/* were the disks written to meanwhile? or "" */
	unsigned int watched;	/* disks whose counters tell */
	unsigned int written;	/* those with data written to them */
	int64_t hooks_us;
	int64_t plan_us;
	int64_t sync_us;
	int64_t freeze_us;
	int64_t held_us;
	int64_t thaw_us;
	struct record_fs *fs;
	size_t n;
	size_t more;		/* file systems that are not in @fs */
};

void record_fill(struct record *r, const struct freezer *f);
struct record_fs *record_add_fs(struct record *r, const char *path, const char *type,
				const char *source, const char *reason);
void record_free(struct record *r);
void record_log(const struct record *r);
const char *record_answer_name(enum record_answer answer);
const char *record_action_name(enum record_action action);

#endif
