/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds the programs that are hooks, and their order, and checks whether they can be trusted: a
 * program that users other than root can change is not run with root's rights.
 */
#ifndef HV_VSS_HOOKLIST_H
#define HV_VSS_HOOKLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A hook that is not run. */
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

bool hooklist_is_ignored(const char *name);
const char *hooklist_check_trust(const char *path, uid_t owner);
int hooklist_has_any(const char *where);
int hooklist_read(struct hooklist *list, const char *where, uid_t owner);
void hooklist_log_refused(const struct hooklist *list);
void hooklist_free(struct hooklist *list);
const char *hooklist_name(const char *path);

#endif
