// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "device.h"
#include "owner.h"

#define ANSWER_MS	5000	/* for the kernel's answer to a registration, which is immediate */
#define SETTLE_MS	10000	/* for hv_utils to become ready, at most */
#define SETTLE_STEP_MS	100

/* hv_utils refuses an unknown message with EINVAL; from 4.2 to 4.4 with EFAULT. */
static bool refused(ssize_t result)
{
	return result == -EINVAL || result == -EFAULT;
}

static int read_answer(struct device *d, int fd, void *buf, size_t len)
{
	ssize_t got;
	int ready;

	/* hv_utils blocks in read(), in spite of O_NONBLOCK. */
	ready = d->ops->poll_in(fd, ANSWER_MS);
	if (ready < 0)
		return ready;
	if (!ready)
		return -ETIMEDOUT;
	if (!(ready & POLLIN))
		return -ENODEV;
	got = d->ops->read(fd, buf, len);
	return got;
}

/*
 * The device of hv_utils exists before hv_utils can answer on it: hvutil_transport_init() calls
 * misc_register(), then cn_add_callback(), and returns the transport. Only then it is stored in the
 * pointer through which registrations are answered. An earlier registration makes the kernel oops
 * or use freed memory (seen on 5.10 to 7.2; read in the sources of EL 7.8, EL 8.10, EL 9.6 and
 * 7.1). The callback is visible in /proc/net/connector, and nothing after it waits. A kernel
 * without the callback is assumed to be ready after SETTLE_MS.
 */
static int wait_until_ready(struct device *d, int fd)
{
	int64_t until = d->ops->now_us() + SETTLE_MS * 1000LL;
	bool listed = false;
	int ready;

	for (;;) {
		ready = d->ops->poll_in(fd, SETTLE_STEP_MS);
		if (ready < 0)
			return ready;
		if (ready & (POLLERR | POLLHUP | POLLNVAL))
			return -ENODEV;
		/* One more step after the callback is listed. */
		if (listed || d->ops->now_us() >= until)
			return 0;
		listed = owner_listed(d->connector);
	}
}

static int register_base(struct device *d, int fd)
{
	const struct hv_vss_frame hello = { .op = HV_VSS_OP_REGISTER1 };
	struct hv_vss_request answer = { 0 };	/* the largest message that may come instead */
	uint32_t version;
	ssize_t n;
	int err;

	err = wait_until_ready(d, fd);
	if (err)
		return err;
	n = d->ops->write(fd, &hello, sizeof(hello));
	if (n < 0)
		return n;
	n = read_answer(d, fd, &answer, sizeof(answer));
	if (n < 0)
		return n;
	memcpy(&version, &answer, sizeof(version));
	if (n != sizeof(version) || version != HV_VSS_OP_REGISTER1) {
		log_msg(LOG_ERR, "%s: invalid answer to the registration: %zd bytes (%#x)", d->path,
			n, version);
		return -EPROTO;
	}
	d->extended = false;
	d->reg = (struct hv_vss_registered){ 0 };
	return 0;
}

/* Returns an error for which refused() is true if the driver has no extended registration. */
static int register_extended(struct device *d, int fd)
{
	const struct hv_vss_frame hello = {
		.op = HV_VSS_OP_REGISTER2,
		.cookie = HV_VSS_ABI,
		.arg = HV_VSS_FEAT_CANCEL | HV_VSS_FEAT_GUARD | HV_VSS_FEAT_LUNS |
		       HV_VSS_FEAT_LIMITS | HV_VSS_FEAT_THAW,
	};
	ssize_t n;

	n = d->ops->write(fd, &hello, sizeof(hello));
	if (n < 0)
		return n;
	n = read_answer(d, fd, &d->reg, sizeof(d->reg));
	if (n < 0)
		return n;
	if (n != sizeof(d->reg) || !d->reg.abi || d->reg.abi > HV_VSS_ABI ||
	    d->reg.features & ~hello.arg) {
		log_msg(LOG_ERR, "%s: invalid answer to the registration: %zd bytes (abi %u, "
			"features %#x)", d->path, n, d->reg.abi, d->reg.features);
		return -EPROTO;
	}
	d->extended = true;
	return 0;
}

/* Sets our limits in the guard, if it can do that; otherwise its own apply. */
static void set_limits(struct device *d, int fd)
{
	struct hv_vss_limits limits = d->wanted;
	int err;

	d->limits = (struct hv_vss_limits){
		.freezing_ms = d->reg.hold_timeout_ms, .hold_ms = d->reg.hold_timeout_ms,
	};
	if (!(d->reg.features & HV_VSS_FEAT_LIMITS))
		return;
	err = d->ops->limits(fd, &limits);
	if (err)
		log_msg(LOG_WARNING, "%s: cannot set the time limits of a freeze: %s; hv_vss uses "
			"its own, %u s", d->path, strerror(-err), d->limits.hold_ms / 1000);
	else
		d->limits = limits;
}

/**
 * device_open() - open the device and register
 * @d: with ->path, ->sysfs, ->connector, ->ops and ->wanted; closed
 *
 * Tries the extended registration first. hv_utils refuses it, which is safe before hv_utils is
 * ready. Then the base protocol is used: after a fraction of a second, or after SETTLE_MS if it is
 * not visible whether hv_utils is ready. Blocks for that time.
 * Return: 0 or a negative errno: -ENOENT, -ENODEV and the like if there is no device (now), -EBUSY
 *	if another daemon has it open.
 */
int device_open(struct device *d)
{
	char name[OWNER_DEVICE];
	int fd, err;

	fd = d->ops->open(d->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fd;
	err = register_extended(d, fd);
	if (refused(err))
		err = register_base(d, fd);
	if (!err) {
		set_limits(d, fd);
		d->handle = guard_new(fd, d->reg.features);
		err = d->handle ? 0 : -ENOMEM;
	}
	if (err) {
		d->ops->close(fd);
		return err;
	}
	owner_find(d->sysfs, name, d->driver);
	return 0;
}

static bool padding_is_zero(const struct hv_vss_frame *frame)
{
	return !frame->reserved[0] && !frame->reserved[1] && !frame->reserved[2];
}

/**
 * device_read() - read a request
 * @d: open device, readable according to poll()
 * @req: filled in; members that the driver does not send are zero
 *
 * Return: 0; -EAGAIN if there is none; -EPROTO for an invalid request; another negative errno if
 *	the device is gone.
 */
int device_read(struct device *d, struct hv_vss_request *req)
{
	size_t head = offsetof(struct hv_vss_request, luns);
	ssize_t n;

	memset(req, 0, sizeof(*req));
	n = d->ops->read(d->handle->fd, req, sizeof(*req));
	if (n < 0)
		return n;
	if (n == 0)
		return -ENODEV;
	if ((size_t)n < sizeof(req->frame) ||
	    (d->extended && !padding_is_zero(&req->frame))) {
		log_msg(LOG_ERR, "%s: invalid request of %zd bytes", d->path, n);
		return -EPROTO;
	}
	if (!d->extended) {
		req->frame = (struct hv_vss_frame){ .op = req->frame.op };
		return 0;
	}
	if ((size_t)n > sizeof(req->frame) &&
	    ((size_t)n < head || req->lun_count > HV_VSS_LUN_MAX ||
	     (size_t)n < head + req->lun_count * sizeof(req->luns[0]))) {
		log_msg(LOG_ERR, "%s: invalid request of %zd bytes with %u LUNs", d->path, n,
			req->lun_count);
		return -EPROTO;
	}
	return 0;
}

/**
 * device_reply() - answer the outstanding request
 * @d: open device
 * @cookie: of the request
 * @status: HV_VSS_S_OK or HV_VSS_E_FAIL
 *
 * In the base protocol an answer does not name its request. If another request is readable already,
 * the kernel has given this one up, and would take the answer for that of the other one.
 * Return: 0; -ESTALE if the host no longer waits for the answer; another negative errno if the
 *	device is gone.
 */
int device_reply(struct device *d, uint32_t cookie, uint32_t status)
{
	const struct hv_vss_reply reply = { .status = status, .cookie = cookie };
	ssize_t n;
	int ready;

	if (!d->handle)
		return -ENODEV;
	if (!d->extended) {
		ready = d->ops->poll_in(d->handle->fd, 0);
		if (ready < 0)
			return ready;
		if (ready & (POLLERR | POLLHUP | POLLNVAL))
			return -ENODEV;
		if (ready & POLLIN)
			return -ESTALE;
	}
	n = d->ops->write(d->handle->fd, &reply, sizeof(reply));
	if (refused(n) && !d->extended)
		return -ESTALE;
	if (n < 0)
		return n;
	return n == sizeof(reply) ? 0 : -EIO;
}

/**
 * device_fd() - the descriptor for poll()
 * @d: the device
 * Return: its descriptor, or -1 while it is closed.
 */
int device_fd(const struct device *d)
{
	return d->handle ? d->handle->fd : -1;
}

/**
 * device_guard() - the guard in the kernel, if the driver has one
 * @d: the device
 * Return: a borrowed reference, or NULL.
 */
struct guard *device_guard(const struct device *d)
{
	return d->reg.features & HV_VSS_FEAT_GUARD ? d->handle : NULL;
}

/**
 * device_names_luns() - does the driver pass on the host's list of disks?
 * @d: the device
 * Return: true if so: it also passes on the type of the backup.
 */
bool device_names_luns(const struct device *d)
{
	return d->reg.features & HV_VSS_FEAT_LUNS;
}

/**
 * device_close() - close the device
 * @d: may be closed
 *
 * The descriptor stays open as long as a worker holds a reference to the guard.
 */
void device_close(struct device *d)
{
	guard_put(d->handle, d->ops);
	d->handle = NULL;
	d->extended = false;
	d->reg = (struct hv_vss_registered){ 0 };
	d->limits = (struct hv_vss_limits){ 0 };
}
