// SPDX-License-Identifier: GPL-2.0-only
/* Backup of Linux guests on Hyper-V: the VMBus driver. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/hyperv.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include "chardev.h"
#include "compat/compat.h"
#include "engine.h"
#include "requests.h"
#include "service.h"
#include "sysfs.h"

/* How long suspend waits for thaws; thawing continues after that. */
#define SUSPEND_WAIT_MS		1000

/* If the channel can't be opened: the first delay before a retry, which doubles, and the last. */
#define RETRY_FIRST_MS		1000
#define RETRY_LAST_MS		(64 * 1000U)

static void start(struct hv_vss_device *hvs)
{
	mutex_lock(&hvs->lock);
	hvs->channel.running = true;
	mutex_unlock(&hvs->lock);
	/* Packets that came before now are still in the ring. */
	mod_delayed_work(hvs->channel.wq, &hvs->channel.pump, 0);
}

/* End what is outstanding and frozen, if possible with an answer, and receive no more. */
static void stop(struct hv_vss_device *hvs, enum hv_vss_cancel reason, bool forever)
{
	mutex_lock(&hvs->lock);
	hv_vss_reset(hvs, reason);
	hvs->channel.running = false;
	if (forever) {
		hvs->dead = true;
		/* What a daemon still has to read. For a bare one that is our own THAW. */
		hvs->mail &= HV_VSS_MAIL_CANCEL |
			     (hvs->state == HV_VSS_CLEANUP ? HV_VSS_MAIL_REQUEST : 0);
		hvs->mail_seq++;
		wake_up_all(&hvs->readers);
	}
	mutex_unlock(&hvs->lock);
}

/*
 * Called before tasks and disks are stopped; the suspend() callback would be too late for a thaw,
 * which needs the disks. No freeze begins until the machine has resumed.
 */
static int pm_event(struct notifier_block *nb, unsigned long event, void *unused)
{
	struct hv_vss_device *hvs = container_of(nb, struct hv_vss_device, pm);
	bool suspending;

	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_SUSPEND_PREPARE:
	case PM_RESTORE_PREPARE:
		suspending = true;
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_SUSPEND:
	case PM_POST_RESTORE:
		suspending = false;
		break;
	default:
		return NOTIFY_DONE;
	}
	mutex_lock(&hvs->lock);
	hvs->suspending = suspending;
	if (suspending)
		hv_vss_reset(hvs, HV_VSS_CANCEL_SUSPEND);
	mutex_unlock(&hvs->lock);
	if (suspending && !hv_vss_guard_wait(hvs->guard, SUSPEND_WAIT_MS))
		pr_warn("suspending, though not all file systems are thawed yet\n");
	return NOTIFY_OK;
}

static void note(struct hv_vss_device *hvs, enum hv_vss_link link)
{
	mutex_lock(&hvs->lock);
	hvs->link = link;
	mutex_unlock(&hvs->lock);
}

/*
 * Open the channel, then create the device: a daemon must never find a closed channel. After an
 * error everything is as before.
 */
static int serve(struct hv_vss_device *hvs)
{
	int ret = hv_vss_channel_open(&hvs->channel);

	if (ret) {
		note(hvs, ret == -ENOMEM ? HV_VSS_LINK_NO_MEMORY : HV_VSS_LINK_REFUSED);
		return ret;
	}
	start(hvs);
	if (!hvs->shown) {
		ret = hv_vss_chardev_register(hvs);
		if (ret) {
			stop(hvs, HV_VSS_CANCEL_RESCIND, false);
			hv_vss_channel_close(&hvs->channel);
			note(hvs, HV_VSS_LINK_NO_DEVICE);
			return ret;
		}
		hvs->shown = true;
	}
	hvs->retry_ms = RETRY_FIRST_MS;
	note(hvs, HV_VSS_LINK_OPEN);
	return 0;
}

/* Retry later. Log this, but not when it has been logged many times. */
static void serve_later(struct hv_vss_device *hvs, int err)
{
	static const char * const why[] = {
		[HV_VSS_LINK_NO_MEMORY] = "no memory to open the channel",
		[HV_VSS_LINK_REFUSED] = "the host does not let the channel be opened",
		[HV_VSS_LINK_NO_DEVICE] = "/dev/" HV_VSS_DEVICE " can't be made",
	};

	if (hvs->retry_ms < RETRY_LAST_MS)
		pr_err("no backup is possible: %s (%d); trying again in %u s\n", why[hvs->link],
		       err, hvs->retry_ms / 1000);
	schedule_delayed_work(&hvs->retry, msecs_to_jiffies(hvs->retry_ms));
	hvs->retry_ms = min(2 * hvs->retry_ms, RETRY_LAST_MS);
}

/* Remove the device, so that no daemon can open it. */
static void hide(struct hv_vss_device *hvs)
{
	if (hvs->shown)
		hv_vss_chardev_unregister(hvs);
	hvs->shown = false;
}

static void retry_work(struct work_struct *work)
{
	struct hv_vss_device *hvs = container_of(to_delayed_work(work), struct hv_vss_device,
						 retry);
	int ret = serve(hvs);

	if (!ret) {
		pr_info("the channel is open now\n");
		return;
	}
	/* If it is closed since a suspend, there is still a device: remove it, as for a rescind. */
	hide(hvs);
	mutex_lock(&hvs->lock);
	if (hvs->owner)
		hv_vss_service_closed(hvs);
	mutex_unlock(&hvs->lock);
	serve_later(hvs, ret);
}

static struct hv_vss_device *device_new(void)
{
	struct hv_vss_device *hvs = kzalloc(sizeof(*hvs), GFP_KERNEL);

	if (!hvs)
		return NULL;
	hvs->guard = hv_vss_guard_new();
	if (!hvs->guard)
		goto err_free;
	kref_init(&hvs->ref);
	mutex_init(&hvs->lock);
	hv_vss_engine_init(hvs);
	hv_vss_service_init(hvs);
	hvs->pm.notifier_call = pm_event;
	hvs->retry_ms = RETRY_FIRST_MS;
	INIT_DELAYED_WORK(&hvs->retry, retry_work);
	return hvs;

err_free:
	kfree(hvs);
	return NULL;
}

/*
 * An error that leaves the channel closed and openable fails the probe; the driver core then lets
 * hv_utils try. If the channel can't be opened, we stay bound and retry. hv_utils would need a
 * block of memory of the same size, or the consent of the same host; without it, its error path
 * makes the kernel oops.
 */
static int hv_vss_probe(struct hv_device *dev, const struct hv_vmbus_device_id *id)
{
	struct hv_vss_device *hvs;
	int ret;

	if (vmbus_proto_version < HV_VSS_VMBUS_MIN) {
		pr_info("the host is too old for online backups of Linux\n");
		return -ENODEV;
	}
	hvs = device_new();
	if (!hvs)
		return -ENOMEM;
	ret = hv_vss_channel_init(&hvs->channel, dev->channel, hv_vss_requests_pump);
	if (ret)
		goto err_put;
	hv_set_drvdata(dev, hvs);
	ret = sysfs_create_group(&dev->device.kobj, &hv_vss_sysfs_group);
	if (ret)
		goto err_free;
	ret = register_pm_notifier(&hvs->pm);
	if (ret)
		goto err_remove_group;
	ret = serve(hvs);
	if (!ret)
		return 0;
	if (hvs->link == HV_VSS_LINK_NO_DEVICE)
		goto err_unregister;
	serve_later(hvs, ret);
	return 0;

err_unregister:
	unregister_pm_notifier(&hvs->pm);
err_remove_group:
	sysfs_remove_group(&dev->device.kobj, &hv_vss_sysfs_group);
err_free:
	stop(hvs, HV_VSS_CANCEL_RESCIND, true);
	hv_vss_engine_stop(hvs);
	hv_set_drvdata(dev, NULL);
	hv_vss_channel_free(&hvs->channel);
err_put:
	hv_vss_device_put(hvs);
	return ret;
}

/*
 * The device is unbound, or the host has rescinded it. This waits for nothing that user space or a
 * file system could delay: VMBus removes one device after the other.
 */
static void remove_device(struct hv_device *dev)
{
	struct hv_vss_device *hvs = hv_get_drvdata(dev);

	cancel_delayed_work_sync(&hvs->retry);
	unregister_pm_notifier(&hvs->pm);
	sysfs_remove_group(&dev->device.kobj, &hv_vss_sysfs_group);
	hide(hvs);
	stop(hvs, HV_VSS_CANCEL_RESCIND, true);
	hv_vss_channel_close(&hvs->channel);
	hv_vss_engine_stop(hvs);
	hv_set_drvdata(dev, NULL);
	hv_vss_channel_free(&hvs->channel);
	hv_vss_device_put(hvs);
}

#ifdef HAVE_REMOVE_VOID
static void hv_vss_remove(struct hv_device *dev)
{
	remove_device(dev);
}
#else
static int hv_vss_remove(struct hv_device *dev)
{
	remove_device(dev);
	return 0;
}
#endif

#ifdef HAVE_DRIVER_SUSPEND
static int hv_vss_suspend(struct hv_device *dev)
{
	struct hv_vss_device *hvs = hv_get_drvdata(dev);

	cancel_delayed_work_sync(&hvs->retry);
	stop(hvs, HV_VSS_CANCEL_SUSPEND, false);
	hv_vss_channel_close(&hvs->channel);
	return 0;
}

/* Returning an error would only add a line to the kernel's log. */
static int hv_vss_resume(struct hv_device *dev)
{
	struct hv_vss_device *hvs = hv_get_drvdata(dev);
	int ret = serve(hvs);

	if (ret)
		serve_later(hvs, ret);
	return 0;
}
#endif

static const struct hv_vmbus_device_id hv_vss_ids[] = {
	{ HV_VSS_GUID, },
	{ },
};
MODULE_DEVICE_TABLE(vmbus, hv_vss_ids);

static struct hv_driver hv_vss_driver = {
	.name = "hv_vss",
	.id_table = hv_vss_ids,
	.probe = hv_vss_probe,
	.remove = hv_vss_remove,
#ifdef HAVE_DRIVER_SUSPEND
	.suspend = hv_vss_suspend,
	.resume = hv_vss_resume,
#endif
};

static int __init hv_vss_module_init(void)
{
	int ret = hv_vss_guard_global_init();

	if (ret)
		return ret;
	ret = vmbus_driver_register(&hv_vss_driver);
	if (ret)
		hv_vss_guard_global_exit();
	return ret;
}

static void __exit hv_vss_module_exit(void)
{
	vmbus_driver_unregister(&hv_vss_driver);
	hv_vss_guard_global_exit();
}

module_init(hv_vss_module_init);
module_exit(hv_vss_module_exit);

MODULE_DESCRIPTION("Hyper-V online backup (VSS) of Linux guests");
MODULE_VERSION(HV_VSS_VERSION);
MODULE_LICENSE("GPL");
