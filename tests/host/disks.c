// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host counts the writes to each disk between the answer to FREEZE and the request to thaw.
 * Such a write would make the copy of the disk inconsistent.
 */
#include "host.h"
#include "block/accounting.h"
#include "sysemu/block-backend.h"

static void count(QDict *counts, const char *name, BlockAcctStats *stats)
{
	qdict_put_int(counts, name, stats->nr_ops[BLOCK_ACCT_WRITE]);
}

static QDict *count_all(void)
{
	QDict *counts = qdict_new();
	BlockBackend *blk;

	for (blk = blk_next(NULL); blk; blk = blk_next(blk))
		if (blk_name(blk)[0])
			count(counts, blk_name(blk), blk_get_stats(blk));
	return counts;
}

/**
 * hv_disks_frozen() - start to count: the guest has answered that everything is frozen
 * @host: the host
 */
void hv_disks_frozen(struct hv_host *host)
{
	hv_disks_forget(host);
	host->writes_before = count_all();
}

/**
 * hv_disks_thawing() - end the count: the request to thaw is about to be sent
 * @host: the host
 */
void hv_disks_thawing(struct hv_host *host)
{
	const QDictEntry *e;
	QDict *now;

	if (!host->writes_before || host->writes)
		return;
	now = count_all();
	host->writes = qdict_new();
	for (e = qdict_first(now); e; e = qdict_next(now, e)) {
		const char *disk = qdict_entry_key(e);
		int64_t more = qdict_get_int(now, disk) -
			       qdict_get_try_int(host->writes_before, disk, 0);

		if (more)
			qdict_put_int(host->writes, disk, more);
	}
	qobject_unref(now);
}

/**
 * hv_disks_writes() - get the writes between freeze and thaw
 * @host: the host
 *
 * Return: number of write requests by disk, without disks that have none; the caller frees it. NULL
 * if nothing was frozen.
 */
QDict *hv_disks_writes(struct hv_host *host)
{
	QDict *writes = host->writes;

	host->writes = NULL;
	hv_disks_forget(host);
	return writes;
}

/**
 * hv_disks_forget() - forget all counts: nothing is frozen any more
 * @host: the host
 */
void hv_disks_forget(struct hv_host *host)
{
	qobject_unref(host->writes_before);
	qobject_unref(host->writes);
	host->writes_before = NULL;
	host->writes = NULL;
}
