// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "driver.h"
#include "log.h"

#define ANSWER_MS	5000	/* for the kernel's answer to a registration; it is immediate */
#define SETTLE_MS	10000	/* for hv_utils, at most */
#define SETTLE_STEP_MS	100

static int read_answer(struct device *d, int fd, void *buf, size_t len)
{
	ssize_t got;
	int ready;

	/* hv_utils blocks in read() even when asked not to. */
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
 * hv_utils shows its device before it can answer on it: hvutil_transport_init() calls
 * misc_register(), then cn_add_callback(), and returns what only then becomes the pointer that the
 * answer to a registration goes through. One that comes earlier makes the kernel oops, or use freed
 * memory (seen on 5.10 to 7.2; read in those of EL 7.8, EL 8.10, EL 9.6 and 7.1). The callback can
 * be seen; after that comes nothing that waits. A kernel that no longer has it is trusted to have
 * got so far in SETTLE_MS.
 */
static int settle(struct device *d, int fd)
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
		/* One step more than to be listed. */
		if (listed || d->ops->now_us() >= until)
			return 0;
		listed = driver_listed(d->connector);
	}
}

static int register_base(struct device *d, int fd)
{
	const struct hv_vss_frame hello = { .op = HV_VSS_OP_REGISTER1 };
	struct hv_vss_request answer = { 0 };	/* as large as anything that may come instead */
	uint32_t version;
	ssize_t n;
	int err;

	err = settle(d, fd);
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
		log_msg(LOG_ERR, "%s: %zd bytes (%#x) for an answer to the registration", d->path,
			n, version);
		return -EPROTO;
	}
	d->extended = false;
	d->reg = (struct hv_vss_registered){ 0 };
	return 0;
}

/* -EINVAL if the driver doesn't know the extended registration. */
static int register_extended(struct device *d, int fd)
{
	const struct hv_vss_frame hello = {
		.op = HV_VSS_OP_REGISTER2,
		.cookie = HV_VSS_ABI,
		.arg = HV_VSS_FEAT_CANCEL | HV_VSS_FEAT_GUARD | HV_VSS_FEAT_LUNS,
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
		log_msg(LOG_ERR, "%s: %zd bytes (abi %u, features %#x) for an answer", d->path, n,
			d->reg.abi, d->reg.features);
		return -EPROTO;
	}
	d->extended = true;
	return 0;
}

/**
 * device_open() - open the device and register
 * @d: with ->path, ->sysfs, ->connector and ->ops; closed
 *
 * The extended registration is tried first; hv_utils refuses it with EINVAL, for which it needs
 * nothing that may not be there yet. Then the base protocol is spoken: after a fraction of a
 * second, or, where it can't be seen that hv_utils is ready, SETTLE_MS. Blocks for so long.
 * Return: 0 or a negative errno: -ENOENT, -ENODEV and the like if there is no device (now),
 *	-EBUSY if another daemon has it.
 */
int device_open(struct device *d)
{
	char name[DRIVER_DEVICE];
	int fd, err;

	fd = d->ops->open(d->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fd;
	err = register_extended(d, fd);
	if (err == -EINVAL)
		err = register_base(d, fd);
	if (!err) {
		d->handle = guard_new(fd);
		err = d->handle ? 0 : -ENOMEM;
	}
	if (err) {
		d->ops->close(fd);
		return err;
	}
	driver_find(d->sysfs, name, d->driver);
	return 0;
}

static bool padding_is_zero(const struct hv_vss_frame *frame)
{
	return !frame->reserved[0] && !frame->reserved[1] && !frame->reserved[2];
}

/**
 * device_read() - fetch a request
 * @d: open device that poll() says is readable
 * @req: filled in; what the driver doesn't tell is zero
 *
 * Return: 0; -EAGAIN if there is none; -EPROTO for something that is no request; another negative
 *	errno if the device is gone.
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
		log_msg(LOG_ERR, "%s: %zd bytes that are no request", d->path, n);
		return -EPROTO;
	}
	if (!d->extended) {
		req->frame = (struct hv_vss_frame){ .op = req->frame.op };
		return 0;
	}
	if ((size_t)n > sizeof(req->frame) &&
	    ((size_t)n < head || req->lun_count > HV_VSS_LUN_MAX ||
	     (size_t)n < head + req->lun_count * sizeof(req->luns[0]))) {
		log_msg(LOG_ERR, "%s: %zd bytes with %u LUNs", d->path, n, req->lun_count);
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
 * In the base protocol an answer carries no sign of what it answers. If the next request is there
 * already, the kernel has given this one up, and the answer would be taken for the other's.
 * Return: 0; -ESTALE if nobody waits for it any more; another negative errno if the device is gone.
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
	if (n == -EINVAL && !d->extended)
		return -ESTALE;
	if (n < 0)
		return n;
	return n == sizeof(reply) ? 0 : -EIO;
}

/**
 * device_fd() - for poll()
 * @d: the device
 * Return: its descriptor, or -1 while it is closed.
 */
int device_fd(const struct device *d)
{
	return d->handle ? d->handle->fd : -1;
}

/**
 * device_guard() - the kernel's guard, if the driver has one
 * @d: the device
 * Return: a borrowed reference, or NULL.
 */
struct guard *device_guard(const struct device *d)
{
	return d->reg.features & HV_VSS_FEAT_GUARD ? d->handle : NULL;
}

/**
 * device_close() - close the device
 * @d: may be closed
 *
 * The descriptor itself stays open as long as a worker may need the guard.
 */
void device_close(struct device *d)
{
	guard_put(d->handle, d->ops);
	d->handle = NULL;
	d->extended = false;
	d->reg = (struct hv_vss_registered){ 0 };
}
