/* SPDX-License-Identifier: GPL-2.0-only */
/* What is remembered of a backup when it is over. */
#ifndef HV_VSS_RECORD_H
#define HV_VSS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "freezer.h"

#define RECORD_FS_MAX	500	/* file systems described one by one */

enum record_answer {
	ANSWER_NONE,		/* not asked */
	ANSWER_OK,
	ANSWER_FAILED,
	ANSWER_LATE,		/* nobody waited for it any more */
};

enum record_action {
	RECORD_FROZEN,
	RECORD_SYNCED,		/* only written out */
	RECORD_SKIPPED,
	RECORD_FAILED,
	RECORD_UNTOUCHED,	/* it did not come to that */
};

struct record_fs {
	char *path;
	char *type;
	char *source;
	char *reason;		/* NULL: there is nothing to say */
	enum record_action action;
	int64_t sync_us;
	int64_t freeze_us;
	int64_t thaw_us;
};

struct record {
	unsigned long id;
	int64_t time;		/* of the request, in us since 1970 */
	unsigned int op;	/* what the host asked for first: HV_VSS_OP_... */
	unsigned int flags;
	unsigned int disks;	/* in the list of FREEZE */
	enum record_answer freeze;
	enum record_answer thaw;
	bool ok;
	char reason[FSSET_WHY];
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
