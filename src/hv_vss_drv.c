// SPDX-License-Identifier: GPL-2.0-only
/* Backup of Linux guests on Hyper-V: the VMBus driver. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/hyperv.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include "chardev.h"
#include "compat.h"
#include "engine.h"
#include "requests.h"
#include "sysfs.h"

/* VERSION_WIN8_1. Older hosts can't do it, and ignore being told that no version suits us. */
#define VMBUS_VERSION_MIN	(3 << 16)

/* How long suspending waits for what was frozen to be thawed; it goes on by itself after that. */
#define SUSPEND_WAIT_MS		1000

#define TIMEOUT_MIN_MS		10
#define TIMEOUT_MAX_MS		(24 * 60 * 60 * 1000)

unsigned int hv_vss_freeze_timeout_ms = 15 * 60 * 1000;
unsigned int hv_vss_thaw_timeout_ms = 30 * 1000;
unsigned int hv_vss_check_timeout_ms = 30 * 1000;
unsigned int hv_vss_hold_timeout_ms = 60 * 1000;

static int timeout_set(const char *val, const struct kernel_param *kp)
{
	unsigned int ms;
	int ret = kstrtouint(val, 0, &ms);

	if (ret)
		return ret;
	if (ms < TIMEOUT_MIN_MS || ms > TIMEOUT_MAX_MS)
		return -EINVAL;
	WRITE_ONCE(*(unsigned int *)kp->arg, ms);
	return 0;
}

static const struct kernel_param_ops timeout_ops = {
	.set = timeout_set,
	.get = param_get_uint,
};

module_param_cb(freeze_timeout_ms, &timeout_ops, &hv_vss_freeze_timeout_ms, 0644);
MODULE_PARM_DESC(freeze_timeout_ms, "until the host is told that a FREEZE failed (900000)");
module_param_cb(thaw_timeout_ms, &timeout_ops, &hv_vss_thaw_timeout_ms, 0644);
MODULE_PARM_DESC(thaw_timeout_ms, "until the host is told that a THAW failed (30000)");
module_param_cb(check_timeout_ms, &timeout_ops, &hv_vss_check_timeout_ms, 0644);
MODULE_PARM_DESC(check_timeout_ms, "until the host is told that a HOT_BACKUP failed (30000)");
module_param_cb(hold_timeout_ms, &timeout_ops, &hv_vss_hold_timeout_ms, 0644);
MODULE_PARM_DESC(hold_timeout_ms, "until the kernel thaws what the host has not thawed (60000)");

/**
 * hv_vss_device_get() - one more user of a device
 * @hvs: of which the caller is one
 *
 * Return: @hvs.
 */
struct hv_vss_device *hv_vss_device_get(struct hv_vss_device *hvs)
{
	kref_get(&hvs->ref);
	return hvs;
}

static void device_free(struct kref *ref)
{
	struct hv_vss_device *hvs = container_of(ref, struct hv_vss_device, ref);

	hv_vss_guard_put(hvs->guard);
	kfree(hvs);
}

/**
 * hv_vss_device_put() - one user less
 * @hvs: gone, as far as the caller is concerned
 */
void hv_vss_device_put(struct hv_vss_device *hvs)
{
	kref_put(&hvs->ref, device_free);
}

static void start(struct hv_vss_device *hvs)
{
	mutex_lock(&hvs->lock);
	hvs->channel.running = true;
	mutex_unlock(&hvs->lock);
	/* What came before now was left in the ring. */
	mod_delayed_work(hvs->channel.wq, &hvs->channel.pump, 0);
}

/* End what is outstanding and frozen, as far as possible with an answer, and receive no more. */
static void stop(struct hv_vss_device *hvs, enum hv_vss_cancel reason, bool forever)
{
	mutex_lock(&hvs->lock);
	hv_vss_reset(hvs, reason);
	hvs->channel.running = false;
	if (forever) {
		hvs->dead = true;
		hvs->mail &= HV_VSS_MAIL_CANCEL;
		hvs->mail_seq++;
		wake_up_all(&hvs->readers);
	}
	mutex_unlock(&hvs->lock);
}

/*
 * Before tasks and disks are stopped: the suspend() callback would come too late for the latter.
 * No freeze begins until the machine is back.
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
	hvs->pm.notifier_call = pm_event;
	return hvs;

err_free:
	kfree(hvs);
	return NULL;
}

static int hv_vss_probe(struct hv_device *dev, const struct hv_vmbus_device_id *id)
{
	struct hv_vss_device *hvs;
	int ret;

	if (vmbus_proto_version < VMBUS_VERSION_MIN) {
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
	ret = hv_vss_channel_open(&hvs->channel);
	if (ret) {
		/*
		 * Stay bound, without serving, until the host offers the channel anew. If this
		 * failed, the driver core would try hv_utils next, which could not open it either
		 * and makes the kernel oops on its way out.
		 */
		pr_err("the host does not let the channel be opened (%d)\n", ret);
		hv_set_drvdata(dev, NULL);
		hv_vss_channel_free(&hvs->channel);
		hv_vss_device_put(hvs);
		return 0;
	}
	start(hvs);
	/* Only now may a daemon come: it must never find a channel that is not open. */
	ret = hv_vss_chardev_register(hvs);
	if (ret)
		goto err_close;
	ret = sysfs_create_group(&dev->device.kobj, &hv_vss_sysfs_group);
	if (ret)
		goto err_unregister;
	ret = register_pm_notifier(&hvs->pm);
	if (ret)
		goto err_remove_group;
	return 0;

err_remove_group:
	sysfs_remove_group(&dev->device.kobj, &hv_vss_sysfs_group);
err_unregister:
	hv_vss_chardev_unregister(hvs);
err_close:
	stop(hvs, HV_VSS_CANCEL_RESCIND, true);
	hv_vss_channel_close(&hvs->channel);
	hv_vss_engine_stop(hvs);
	hv_set_drvdata(dev, NULL);
	hv_vss_channel_free(&hvs->channel);
err_put:
	hv_vss_device_put(hvs);
	return ret;
}

/**
 * hv_vss_remove() - the device is unbound or was taken away by the host
 * @dev: bound to us
 *
 * Waits for nothing that user space or a file system could hold up: VMBus removes one device after
 * the other.
 *
 * Context: process.
 */
void hv_vss_remove(struct hv_device *dev)
{
	struct hv_vss_device *hvs = hv_get_drvdata(dev);

	if (!hvs)	/* could not be opened */
		return;
	unregister_pm_notifier(&hvs->pm);
	sysfs_remove_group(&dev->device.kobj, &hv_vss_sysfs_group);
	hv_vss_chardev_unregister(hvs);
	stop(hvs, HV_VSS_CANCEL_RESCIND, true);
	hv_vss_channel_close(&hvs->channel);
	hv_vss_engine_stop(hvs);
	hv_set_drvdata(dev, NULL);
	hv_vss_channel_free(&hvs->channel);
	hv_vss_device_put(hvs);
}

#ifdef HAVE_DRIVER_SUSPEND
static int hv_vss_suspend(struct hv_device *dev)
{
	struct hv_vss_device *hvs = hv_get_drvdata(dev);

	if (!hvs)
		return 0;
	stop(hvs, HV_VSS_CANCEL_SUSPEND, false);
	hv_vss_channel_close(&hvs->channel);
	return 0;
}

static int hv_vss_resume(struct hv_device *dev)
{
	struct hv_vss_device *hvs = hv_get_drvdata(dev);
	int ret;

	if (!hvs)
		return 0;
	ret = hv_vss_channel_open(&hvs->channel);
	if (!ret)
		start(hvs);
	return ret;
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
	.remove = hv_vss_compat_remove,
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
