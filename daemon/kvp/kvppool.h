/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pool 1 of Hyper-V's data exchange (KVP): a file whose records the distribution's hv_kvp_daemon
 * passes on to the host. It reads the whole file again for each question of the host, under a lock
 * (fcntl). The file is an array of records. Other programs have records there, too: cloud-init,
 * azure-init, an admin's scripts.
 *
 * Each write here is one of three kinds, so that a crash between or in any of them tears no record:
 * a sector (512 bytes, aligned) of a record of ours, anything behind a key that is all zero, and a
 * change of the file's size by whole records.
 */
#ifndef HV_VSS_KVPPOOL_H
#define HV_VSS_KVPPOOL_H

#include <stdbool.h>
#include <stddef.h>

#define KVPPOOL_PATH		"/var/lib/hyperv/.kvp_pool_1"
#define KVPPOOL_KEY_SIZE	512
#define KVPPOOL_VALUE_SIZE	2048
#define KVPPOOL_RECORD_SIZE	(KVPPOOL_KEY_SIZE + KVPPOOL_VALUE_SIZE)
#define KVPPOOL_RECORDS_MAX	4096	/* a larger file is not a pool */
#define KVPPOOL_TEXT_SIZE	512	/* of our values: one sector */
#define KVPPOOL_UNKNOWN		"unknown"

/* A record of ours. All bytes behind the texts are zero. */
struct kvppool_item {
	char key[32];
	char text[KVPPOOL_TEXT_SIZE];
	bool depends;		/* belongs to what the first item says */
};

struct kvppool {
	const char *path;
	int wait_ms;			/* for another program's lock */
	bool (*cancelled)(void *ctx);	/* stop as soon as possible; may be NULL */
	void *ctx;
};

int kvppool_update(const struct kvppool *pool, const struct kvppool_item *item, size_t n);
int kvppool_remove(const struct kvppool *pool, const char * const *key, size_t n);
const char *kvppool_problem(int err);

#endif
