/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The dead-man's switch: what the daemon froze, thawed by the kernel if the daemon can't.
 *
 * Knows nothing of transactions. An entry is one superblock, from ARM until the daemon has thawed
 * it (DISARM) or, after hv_vss_guard_release(), until the guard has. A released entry is thawed by
 * a work of its own, so that one that hangs does not stop the others; that work holds all it needs
 * and outlives device, file and set.
 */
#ifndef _HV_VSS_GUARD_H
#define _HV_VSS_GUARD_H

#include <linux/types.h>

struct hv_vss_guard_set;

int hv_vss_guard_global_init(void);
void hv_vss_guard_global_exit(void);

struct hv_vss_guard_set *hv_vss_guard_new(void);
void hv_vss_guard_put(struct hv_vss_guard_set *set);

int hv_vss_guard_arm(struct hv_vss_guard_set *set, int fd, u32 cookie);
int hv_vss_guard_frozen(struct hv_vss_guard_set *set, int fd, u32 cookie);
int hv_vss_guard_thawing(struct hv_vss_guard_set *set, int fd, u32 cookie);
int hv_vss_guard_disarm(struct hv_vss_guard_set *set, int fd, u32 cookie);

bool hv_vss_guard_hold(struct hv_vss_guard_set *set, char *who, size_t size);
bool hv_vss_guard_intact(struct hv_vss_guard_set *set, char *who, size_t size);
bool hv_vss_guard_none(const struct hv_vss_guard_set *set);
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
