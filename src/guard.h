/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The dead man's switch: the kernel thaws what the daemon froze, if the daemon can't.
 *
 * It knows nothing of transactions. An entry is one superblock, from ARM until the daemon has
 * thawed it (DISARM) or, after hv_vss_guard_release(), until the guard has thawed it. Each released
 * entry has a work of its own, so that a thaw that hangs does not stop the others. The work holds
 * all it needs, and outlives device, file and set.
 */
#ifndef _HV_VSS_GUARD_H
#define _HV_VSS_GUARD_H

#include <linux/types.h>

struct guard_entry;
struct hv_vss_guard_set;
struct hv_vss_guard_thaw;

enum hv_vss_guard_break {
	HV_VSS_GUARD_WHOLE,
	HV_VSS_GUARD_THAWED,	/* by another process */
	HV_VSS_GUARD_FAILED,	/* it met an error and became read-only */
};

int hv_vss_guard_global_init(void);
void hv_vss_guard_global_exit(void);

struct hv_vss_guard_set *hv_vss_guard_new(void);
void hv_vss_guard_put(struct hv_vss_guard_set *set);

struct guard_entry *hv_vss_guard_prepare(struct hv_vss_guard_set *set, int fd, u32 cookie);
int hv_vss_guard_arm(struct hv_vss_guard_set *set, struct guard_entry **e);
void hv_vss_guard_unprepare(struct guard_entry *e);
int hv_vss_guard_frozen(struct hv_vss_guard_set *set, int fd, u32 cookie);
int hv_vss_guard_thawing(struct hv_vss_guard_set *set, int fd, u32 cookie);
int hv_vss_guard_thaw_begin(struct hv_vss_guard_set *set, int fd, u32 cookie,
			    struct hv_vss_guard_thaw **thaw);
int hv_vss_guard_thaw_wait(struct hv_vss_guard_thaw *thaw);
int hv_vss_guard_disarm(struct hv_vss_guard_set *set, int fd, u32 cookie);

bool hv_vss_guard_hold(struct hv_vss_guard_set *set, char *who, size_t size);
enum hv_vss_guard_break hv_vss_guard_broken(struct hv_vss_guard_set *set, char *who, size_t size);
bool hv_vss_guard_none(struct hv_vss_guard_set *set);
void hv_vss_guard_release(struct hv_vss_guard_set *set);
bool hv_vss_guard_wait(struct hv_vss_guard_set *set, unsigned int ms);

struct hv_vss_guard_info {
	unsigned int armed;	/* entries, not released */
	unsigned int frozen;	/* of those: frozen */
	unsigned int releasing;	/* released, not yet thawed */
	u64 thawed;		/* by the guard, since probe */
};

void hv_vss_guard_info(struct hv_vss_guard_set *set, struct hv_vss_guard_info *info);

#endif /* _HV_VSS_GUARD_H */
