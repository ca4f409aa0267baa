// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does poll() return __poll_t, with EPOLL* from linux/poll.h?
 *
 * Since 4.16. Backports: EL 8.
 */
#include <linux/fs.h>
#include <linux/poll.h>

__poll_t hv_vss_probe(const struct file_operations *fops);

static __poll_t hv_vss_probe_poll(struct file *file, struct poll_table_struct *wait)
{
	return file && wait ? EPOLLIN : 0;
}

__poll_t hv_vss_probe(const struct file_operations *fops)
{
	return fops->poll == hv_vss_probe_poll ? EPOLLIN : EPOLLHUP;
}
