// SPDX-License-Identifier: GPL-2.0-only
/* /dev/vmbus/hv_vss: open, read, write, poll, ioctl. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "chardev.h"
#include "compat/compat.h"
#include "engine.h"
#include "params.h"
#include "service.h"

/* State of an open file. It may outlive the service. */
struct hv_vss_file {
	struct hv_vss_device *hvs;
	struct mutex read_lock;		/* one reader at a time; covers @message */
	union {
		__u32 version;		/* the base protocol's greeting */
		struct hv_vss_registered registered;
		struct hv_vss_request request;
	} message;
};

static int hv_vss_open(struct inode *inode, struct file *file)
{
	/* The misc class holds its lock, so the device stays until we have a reference. */
	struct hv_vss_device *hvs = container_of(file->private_data, struct hv_vss_device, misc);
	struct hv_vss_file *f;
	int ret = 0;

	/* A container may have a node, but its root must not be able to tell the host "frozen". */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	mutex_init(&f->read_lock);
	mutex_lock(&hvs->lock);
	/* Don't wait for a daemon that has died but can't close yet. */
	if (hvs->owner && hv_vss_service_gone(hvs))
		hv_vss_service_closed(hvs);
	if (hvs->dead)
		ret = -ENODEV;
	else if (hvs->owner)
		ret = -EBUSY;
	else
		hvs->owner = f;
	mutex_unlock(&hvs->lock);
	if (ret) {
		kfree(f);
		return ret;
	}
	f->hvs = hv_vss_device_get(hvs);
	file->private_data = f;
	return nonseekable_open(inode, file);
}

static int hv_vss_release(struct inode *inode, struct file *file)
{
	struct hv_vss_file *f = file->private_data;
	struct hv_vss_device *hvs = f->hvs;

	mutex_lock(&hvs->lock);
	if (hvs->owner == f)
		hv_vss_service_closed(hvs);
	mutex_unlock(&hvs->lock);
	hv_vss_device_put(hvs);
	kfree(f);
	return 0;
}

/* The device was removed, or this daemon died and another one has taken over. */
static bool cut_off(const struct hv_vss_file *f)
{
	return READ_ONCE(f->hvs->dead) || READ_ONCE(f->hvs->owner) != f;
}

static size_t put_hello(struct hv_vss_file *f)
{
	struct hv_vss_registered *r = &f->message.registered;

	if (f->hvs->daemon == HV_VSS_DAEMON_BASE) {
		f->message.version = HV_VSS_OP_REGISTER1;
		return sizeof(f->message.version);
	}
	memset(r, 0, sizeof(*r));
	r->abi = HV_VSS_ABI;
	r->features = f->hvs->features;
	r->freeze_timeout_ms = READ_ONCE(hv_vss_freeze_timeout_ms);
	r->thaw_timeout_ms = READ_ONCE(hv_vss_thaw_timeout_ms);
	r->check_timeout_ms = READ_ONCE(hv_vss_check_timeout_ms);
	r->hold_timeout_ms = READ_ONCE(hv_vss_hold_timeout_ms);
	return sizeof(*r);
}

static size_t put_request(struct hv_vss_file *f)
{
	struct hv_vss_device *hvs = f->hvs;
	struct hv_vss_request *r = &f->message.request;
	size_t len = sizeof(r->frame);

	if (hvs->op == HV_VSS_OP_FREEZE && hvs->features & HV_VSS_FEAT_LUNS) {
		len = offsetof(struct hv_vss_request, luns[hvs->body.lun_count]);
		memcpy(r, &hvs->body, len);
	}
	memset(&r->frame, 0, sizeof(r->frame));
	r->frame.op = hvs->op;
	r->frame.arg = hvs->arg;
	if (hvs->daemon == HV_VSS_DAEMON_EXTENDED)
		r->frame.cookie = hvs->cookie;
	return len;
}

/* Put the next message for the daemon into f->message. Returns its length, or 0 for none. */
static size_t next_message(struct hv_vss_file *f, unsigned int *bit)
{
	struct hv_vss_device *hvs = f->hvs;

	lockdep_assert_held(&hvs->lock);
	if (hvs->mail & HV_VSS_MAIL_HELLO) {
		*bit = HV_VSS_MAIL_HELLO;
		return put_hello(f);
	}
	if (hvs->mail & HV_VSS_MAIL_CANCEL) {
		*bit = HV_VSS_MAIL_CANCEL;
		f->message.request.frame = hvs->cancel;
		return sizeof(hvs->cancel);
	}
	if (hvs->mail & HV_VSS_MAIL_REQUEST) {
		*bit = HV_VSS_MAIL_REQUEST;
		return put_request(f);
	}
	return 0;
}

/*
 * Try to read one message. The copy to the daemon may fault and wait for anything, so it is made
 * without the device's lock. If the mail has changed meanwhile, the copy does not count.
 */
static ssize_t read_once(struct hv_vss_file *f, char __user *buf, size_t count)
{
	struct hv_vss_device *hvs = f->hvs;
	unsigned int bit = 0;
	ssize_t len;
	u32 seq;

	mutex_lock(&hvs->lock);
	len = hvs->owner == f ? next_message(f, &bit) : 0;
	seq = hvs->mail_seq;
	if (!len)
		len = cut_off(f) ? -ENODEV : -EAGAIN;
	else if (count < len)
		len = -EINVAL;
	mutex_unlock(&hvs->lock);
	if (len < 0)
		return len;

	if (copy_to_user(buf, &f->message, len))
		return -EFAULT;

	mutex_lock(&hvs->lock);
	if (seq == hvs->mail_seq) {
		hvs->mail &= ~bit;
		hvs->mail_seq++;
		if (bit == HV_VSS_MAIL_REQUEST) {
			hv_vss_delivered(hvs);
			hv_vss_service_seen(hvs);
		}
	} else {
		len = -EAGAIN;
	}
	mutex_unlock(&hvs->lock);
	return len;
}

static bool readable(const struct hv_vss_file *f)
{
	return READ_ONCE(f->hvs->mail) || cut_off(f);
}

static ssize_t hv_vss_read(struct file *file, char __user *buf, size_t count, loff_t *ppos)
{
	struct hv_vss_file *f = file->private_data;
	bool wait = !(file->f_flags & O_NONBLOCK);
	ssize_t ret;

	if (!wait && !mutex_trylock(&f->read_lock))
		return -EAGAIN;
	if (wait && mutex_lock_interruptible(&f->read_lock))
		return -ERESTARTSYS;
	for (;;) {
		ret = read_once(f, buf, count);
		/* The mail has changed: there may be another message, so try again at once. */
		if (ret != -EAGAIN || (!wait && !readable(f)))
			break;
		if (!wait)
			continue;
		if (wait_event_interruptible(f->hvs->readers, readable(f))) {
			ret = -ERESTARTSYS;
			break;
		}
	}
	mutex_unlock(&f->read_lock);
	return ret;
}

/* The first write registers the daemon. */
static int register_daemon(struct hv_vss_device *hvs, const struct hv_vss_frame *frame)
{
	const u32 ours = HV_VSS_FEAT_CANCEL | HV_VSS_FEAT_GUARD | HV_VSS_FEAT_LUNS |
			 HV_VSS_FEAT_LIMITS | HV_VSS_FEAT_THAW;

	switch (frame->op) {
	case HV_VSS_OP_REGISTER1:
		/* The stock daemon leaves the rest of the message uninitialised. */
		hv_vss_service_register(hvs, HV_VSS_DAEMON_BASE, 0);
		return 0;
	case HV_VSS_OP_REGISTER2:
		if (frame->reserved[0] || frame->reserved[1] || frame->reserved[2] ||
		    !frame->cookie)
			return -EINVAL;
		hv_vss_service_register(hvs, HV_VSS_DAEMON_EXTENDED, frame->arg & ours);
		return 0;
	default:
		return -EINVAL;
	}
}

static ssize_t hv_vss_write(struct file *file, const char __user *buf, size_t count, loff_t *ppos)
{
	struct hv_vss_file *f = file->private_data;
	struct hv_vss_device *hvs = f->hvs;
	union {
		struct hv_vss_frame frame;
		struct hv_vss_reply reply;
	} msg;
	int ret;

	BUILD_BUG_ON(sizeof(msg) != 12);
	if (count != sizeof(msg))
		return -EINVAL;
	if (copy_from_user(&msg, buf, sizeof(msg)))
		return -EFAULT;
	mutex_lock(&hvs->lock);
	if (cut_off(f))
		ret = -ENODEV;
	else if (hvs->daemon == HV_VSS_DAEMON_NONE)
		ret = register_daemon(hvs, &msg.frame);
	else
		ret = hv_vss_service_reply(hvs, &msg.reply);
	mutex_unlock(&hvs->lock);
	return ret ? ret : count;
}

static __poll_t hv_vss_poll(struct file *file, poll_table *wait)
{
	struct hv_vss_file *f = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &f->hvs->readers, wait);
	if (READ_ONCE(f->hvs->mail) && READ_ONCE(f->hvs->owner) == f)
		mask |= EPOLLIN | EPOLLRDNORM;
	if (cut_off(f))
		mask |= EPOLLERR | EPOLLHUP;
	return mask;
}

typedef int guard_fn(struct hv_vss_device *hvs, const struct hv_vss_guard *req);

static guard_fn *guard_call(unsigned int cmd)
{
	switch (cmd) {
	case HV_VSS_IOC_FROZEN:
		return hv_vss_service_frozen;
	case HV_VSS_IOC_THAWING:
		return hv_vss_service_thawing;
	case HV_VSS_IOC_DISARM:
		return hv_vss_service_disarm;
	default:
		return NULL;
	}
}

static long ioctl_limits(struct hv_vss_file *f, void __user *arg)
{
	struct hv_vss_limits limits;
	long ret;

	if (copy_from_user(&limits, arg, sizeof(limits)))
		return -EFAULT;
	mutex_lock(&f->hvs->lock);
	ret = f->hvs->owner == f ? hv_vss_service_limits(f->hvs, &limits) : -ENODEV;
	mutex_unlock(&f->hvs->lock);
	if (!ret && copy_to_user(arg, &limits, sizeof(limits)))
		return -EFAULT;
	return ret;
}

static long ioctl_guard(struct hv_vss_file *f, unsigned int cmd, void __user *arg)
{
	struct hv_vss_guard_thaw *thaw = NULL;
	guard_fn *call = guard_call(cmd);
	struct guard_entry *e = NULL;
	struct hv_vss_guard req;
	long ret;

	if (copy_from_user(&req, arg, sizeof(req)))
		return -EFAULT;
	if (req.reserved)
		return -EINVAL;
	/* Without the lock, which close and deadlines need: allocating may take long. */
	if (cmd == HV_VSS_IOC_ARM)
		e = hv_vss_guard_prepare(f->hvs->guard, req.fd, req.cookie);
	mutex_lock(&f->hvs->lock);
	if (f->hvs->owner != f)
		ret = cmd == HV_VSS_IOC_ARM ? -ENODEV : hv_vss_service_late(f->hvs, &req);
	else if (e)
		ret = hv_vss_service_arm(f->hvs, &req, &e);
	else if (call)
		ret = call(f->hvs, &req);
	else
		ret = hv_vss_service_thaw(f->hvs, &req, &thaw);
	mutex_unlock(&f->hvs->lock);
	hv_vss_guard_unprepare(e);
	/* Without the lock: this waits for a file system. */
	return thaw ? hv_vss_guard_thaw_wait(thaw) : ret;
}

static long hv_vss_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct hv_vss_file *f = file->private_data;

	/* An open descriptor that was passed on must not give the right to freeze. */
	if (cmd == HV_VSS_IOC_ARM && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (cmd == HV_VSS_IOC_LIMITS)
		return ioctl_limits(f, (void __user *)arg);
	if (cmd != HV_VSS_IOC_ARM && cmd != HV_VSS_IOC_THAW && !guard_call(cmd))
		return -ENOTTY;
	return ioctl_guard(f, cmd, (void __user *)arg);
}

#ifdef CONFIG_COMPAT
/* The structure is the same; only the pointer has to be converted. */
static long hv_vss_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return hv_vss_ioctl(file, cmd, (unsigned long)compat_ptr(arg));
}
#endif

static const struct file_operations hv_vss_fops = {
	.owner		= THIS_MODULE,
	.open		= hv_vss_open,
	.release	= hv_vss_release,
	.read		= hv_vss_read,
	.write		= hv_vss_write,
	.poll		= hv_vss_poll,
	.unlocked_ioctl	= hv_vss_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl	= hv_vss_compat_ioctl,
#endif
	.llseek		= noop_llseek,
};

/**
 * hv_vss_chardev_register() - create the device, so that a daemon can open it
 * @hvs: with an open channel
 *
 * Context: process. Return: 0 or a negative error.
 */
int hv_vss_chardev_register(struct hv_vss_device *hvs)
{
	int ret;

	hvs->misc.minor = MISC_DYNAMIC_MINOR;
	hvs->misc.name = HV_VSS_DEVICE;
	hvs->misc.fops = &hv_vss_fops;
	hvs->misc.mode = 0600;
	ret = misc_register(&hvs->misc);
	if (ret == -EEXIST)
		pr_err("/dev/%s belongs to another driver (hv_utils): unbind that first\n",
		       HV_VSS_DEVICE);
	return ret;
}

/**
 * hv_vss_chardev_unregister() - remove the device
 * @hvs: registered
 *
 * The name is free when this returns. An open file stays open, see hv_vss_device.dead.
 *
 * Context: process.
 */
void hv_vss_chardev_unregister(struct hv_vss_device *hvs)
{
	misc_deregister(&hvs->misc);
}
