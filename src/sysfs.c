// SPDX-License-Identifier: GPL-2.0-only
/* Files below /sys/bus/vmbus/devices/.../hv_vss/, for admins. One value in each file. */
#include <linux/device.h>
#include <linux/hyperv.h>
#include <linux/kernel.h>
#include "compat/compat.h"
#include "device.h"
#include "sysfs.h"

static struct hv_vss_device *to_hvs(struct device *dev)
{
	/* Set before the group is created; the group is removed before it is unset. */
	return hv_get_drvdata(device_to_hv_device(dev));
}

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct hv_vss_device *hvs = to_hvs(dev);
	const char *name;

	mutex_lock(&hvs->lock);
	name = hv_vss_transaction_name(hvs->state);
	mutex_unlock(&hvs->lock);
	return scnprintf(buf, PAGE_SIZE, "%s\n", name);
}
static DEVICE_ATTR_RO(state);

static ssize_t channel_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char * const names[] = {
		[HV_VSS_LINK_CLOSED] = "closed",
		[HV_VSS_LINK_OPEN] = "open",
		[HV_VSS_LINK_NO_MEMORY] = "no-memory",
		[HV_VSS_LINK_REFUSED] = "refused",
		[HV_VSS_LINK_NO_DEVICE] = "no-device",
	};
	struct hv_vss_device *hvs = to_hvs(dev);
	enum hv_vss_link link;

	mutex_lock(&hvs->lock);
	link = hvs->link;
	mutex_unlock(&hvs->lock);
	return scnprintf(buf, PAGE_SIZE, "%s\n", names[link]);
}
static DEVICE_ATTR_RO(channel);

static ssize_t daemon_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	static const char * const names[] = {
		[HV_VSS_DAEMON_NONE] = "none",
		[HV_VSS_DAEMON_BASE] = "base",
		[HV_VSS_DAEMON_EXTENDED] = "extended",
	};
	struct hv_vss_device *hvs = to_hvs(dev);
	enum hv_vss_daemon daemon;

	mutex_lock(&hvs->lock);
	daemon = hvs->daemon;
	mutex_unlock(&hvs->lock);
	return scnprintf(buf, PAGE_SIZE, "%s\n", names[daemon]);
}
static DEVICE_ATTR_RO(daemon);

/* Framework and VSS version agreed on with the host; 0.0 if there is no common version. */
static ssize_t versions_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct hv_vss_device *hvs = to_hvs(dev);
	u32 fw, msg;

	mutex_lock(&hvs->lock);
	fw = hvs->versions.framework;
	msg = hvs->versions.message;
	mutex_unlock(&hvs->lock);
	return scnprintf(buf, PAGE_SIZE, "%u.%u %u.%u\n", fw >> 16, fw & 0xffff, msg >> 16,
			 msg & 0xffff);
}
static DEVICE_ATTR_RO(versions);

static ssize_t last_error_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct hv_vss_device *hvs = to_hvs(dev);
	ssize_t len;

	mutex_lock(&hvs->lock);
	len = scnprintf(buf, PAGE_SIZE, "%s\n", hvs->last_error);
	mutex_unlock(&hvs->lock);
	return len;
}
static DEVICE_ATTR_RO(last_error);

#define GUARD_ATTR(field, format)								\
static ssize_t guard_##field##_show(struct device *dev, struct device_attribute *attr,	\
				    char *buf)							\
{												\
	struct hv_vss_guard_info info;								\
												\
	hv_vss_guard_info(to_hvs(dev)->guard, &info);						\
	return scnprintf(buf, PAGE_SIZE, format "\n", info.field);				\
}												\
static DEVICE_ATTR(guard_##field, 0444, guard_##field##_show, NULL)

GUARD_ATTR(armed, "%u");
GUARD_ATTR(frozen, "%u");
GUARD_ATTR(releasing, "%u");
GUARD_ATTR(thawed, "%llu");

static ssize_t count_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct dev_ext_attribute *ext = container_of(attr, struct dev_ext_attribute, attr);
	struct hv_vss_device *hvs = to_hvs(dev);
	u64 n;

	mutex_lock(&hvs->lock);
	n = hvs->counts[(unsigned long)ext->var];
	mutex_unlock(&hvs->lock);
	return scnprintf(buf, PAGE_SIZE, "%llu\n", n);
}

#define COUNT(file, index)									\
	[HV_VSS_N_##index] = {									\
		.attr = __ATTR(file, 0444, count_show, NULL),					\
		.var = (void *)(unsigned long)HV_VSS_N_##index,					\
	}

static struct dev_ext_attribute counts[HV_VSS_COUNTS] = {
	COUNT(hot_backup_requests, HOT_BACKUP),
	COUNT(freeze_requests, FREEZE),
	COUNT(thaw_requests, THAW),
	COUNT(other_requests, OTHER),
	COUNT(negotiations, NEGOTIATE),
	COUNT(hot_backup_ok, HOT_BACKUP_OK),
	COUNT(freeze_ok, FREEZE_OK),
	COUNT(thaw_ok, THAW_OK),
	COUNT(other_ok, OTHER_OK),
	COUNT(hot_backup_failed, HOT_BACKUP_FAILED),
	COUNT(freeze_failed, FREEZE_FAILED),
	COUNT(thaw_failed, THAW_FAILED),
	COUNT(other_failed, OTHER_FAILED),
	COUNT(busy, BUSY),
	COUNT(timeouts, TIMEOUT),
	COUNT(malformed, MALFORMED),
	COUNT(foreign, FOREIGN),
	COUNT(ring_errors, GARBAGE),
	COUNT(send_retries, SEND_RETRY),
	COUNT(stale_answers, STALE),
	COUNT(broken_freezes, BROKEN),
};

#define COUNT_ATTR(index)	(&counts[HV_VSS_N_##index].attr.attr)

static struct attribute *attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_channel.attr,
	&dev_attr_daemon.attr,
	&dev_attr_versions.attr,
	&dev_attr_last_error.attr,
	&dev_attr_guard_armed.attr,
	&dev_attr_guard_frozen.attr,
	&dev_attr_guard_releasing.attr,
	&dev_attr_guard_thawed.attr,
	COUNT_ATTR(HOT_BACKUP),
	COUNT_ATTR(FREEZE),
	COUNT_ATTR(THAW),
	COUNT_ATTR(OTHER),
	COUNT_ATTR(NEGOTIATE),
	COUNT_ATTR(HOT_BACKUP_OK),
	COUNT_ATTR(FREEZE_OK),
	COUNT_ATTR(THAW_OK),
	COUNT_ATTR(OTHER_OK),
	COUNT_ATTR(HOT_BACKUP_FAILED),
	COUNT_ATTR(FREEZE_FAILED),
	COUNT_ATTR(THAW_FAILED),
	COUNT_ATTR(OTHER_FAILED),
	COUNT_ATTR(BUSY),
	COUNT_ATTR(TIMEOUT),
	COUNT_ATTR(MALFORMED),
	COUNT_ATTR(FOREIGN),
	COUNT_ATTR(GARBAGE),
	COUNT_ATTR(SEND_RETRY),
	COUNT_ATTR(STALE),
	COUNT_ATTR(BROKEN),
	NULL
};

const struct attribute_group hv_vss_sysfs_group = {
	.name = "hv_vss",
	.attrs = attrs,
};
