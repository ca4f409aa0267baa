/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which programs are hooks, in which order, and whether they may be trusted: what anybody but root
 * could have put there is not run with root's rights.
 */
#ifndef HV_VSS_HOOKLIST_H
#define HV_VSS_HOOKLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What looks like a hook, and is not run. */
struct hooklist_refusal {
	char *path;		/* of the hook, or of the whole directory */
	const char *why;
};

struct hooklist {
	char **path;		/* in the order of freezing */
	size_t n;
	struct hooklist_refusal *refusal;
	size_t refused;
};

bool hooklist_ignores(const char *name);
const char *hooklist_distrusts(const char *path, uid_t owner);
int hooklist_any(const char *where);
int hooklist_read(struct hooklist *list, const char *where, uid_t owner);
void hooklist_log_refused(const struct hooklist *list);
void hooklist_free(struct hooklist *list);
const char *hooklist_name(const char *path);

#endif
