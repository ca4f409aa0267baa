/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells the host how the last backup went, by way of the KVP pool. Another process writes to the
 * pool, for each change a new one: what it waits for keeps neither a thread of the daemon nor the
 * device, and the host's requests never wait for it.
 */
#ifndef HV_VSS_KVP_H
#define HV_VSS_KVP_H

#include <stdint.h>
#include <sys/types.h>

#include "kvpverdict.h"

struct kvp {
	bool off;		/* by an option */
	int fd;			/* socket to the writer; -1: none runs, or it has answered */
	pid_t writer;		/* 0: none */
	bool killed;		/* it does not answer */
	int64_t deadline;
	int64_t reap_us;	/* until the next check whether it has exited */
	unsigned int seen;	/* number of the change that was sent last */
	bool written;		/* ->sent is in the pool */
	struct kvpverdict sent;
	bool told[256];		/* problems that were logged, by errno */
};

void kvp_init(struct kvp *k, bool off);
void kvp_publish(struct kvp *k, const struct history *h, unsigned int change);
void kvp_cancel(struct kvp *k);
void kvp_read(struct kvp *k);
void kvp_tick(struct kvp *k);
int64_t kvp_deadline(const struct kvp *k);
void kvp_stop(struct kvp *k, const struct history *h);

int kvp_write(int fd);
int kvp_forget(void);

#endif
