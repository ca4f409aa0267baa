// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/sysattr.c daemon/driver/device.c daemon/driver/owner.c
// Sources: daemon/driver/guardfd.c daemon/holdlimit.c tests/unit/quiet.c
/* The device protocol with a simulated driver, call by call. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "driver/device.h"
#include "driver/owner.h"
#include "holdlimit.h"
#include "test.h"

#define FD	9

/* In place of /proc/net/connector. */
static struct {
	char path[40];
} connector = { "/tmp/hv-vss-connector-XXXXXX" };

/* The driver: results of the next calls, and what was written to it. */
static struct {
	int open_error;
	ssize_t write_error[4];
	unsigned int writes;
	struct hv_vss_frame hello[4];
	struct hv_vss_reply reply;
	unsigned char message[sizeof(struct hv_vss_request)];
	ssize_t length[4];		/* results of the reads */
	unsigned int reads;
	int ready;
	int polls;
	int list_at;			/* number of the poll that adds hv_vss; 0: none */
	int ready_at;			/* number of the first poll that returns ->ready */
	int64_t now;
	struct hv_vss_limits limits;	/* requested by the daemon */
	uint32_t hold_max;
	int limits_error;
	int closed;
	struct device device;
} m;

static int fake_open(const char *path, int flags)
{
	(void)flags;
	assert_string_equal(path, "/dev/test");
	return m.open_error ? m.open_error : FD;
}

static int fake_close(int fd)
{
	assert_int_equal(fd, FD);
	m.closed++;
	return 0;
}

static ssize_t fake_write(int fd, const void *buf, size_t len)
{
	assert_int_equal(fd, FD);
	assert_int_equal(len, 12);
	assert_true(m.writes < 4);
	memcpy(&m.hello[m.writes], buf, len);
	memcpy(&m.reply, buf, len);
	return m.write_error[m.writes++] ?: (ssize_t)len;
}

static ssize_t fake_read(int fd, void *buf, size_t len)
{
	ssize_t n = m.length[m.reads++];

	assert_int_equal(fd, FD);
	if (n > 0) {
		assert_true((size_t)n <= len);
		memcpy(buf, m.message, n);
	}
	return n;
}

static void list(const char *entries)
{
	FILE *f = fopen(connector.path, "w");

	assert_non_null(f);
	fprintf(f, "Name            ID\ncn_proc         1:1\nvmbus/hv_kvp    9:1\n%s", entries);
	assert_int_equal(fclose(f), 0);
}

static int fake_poll(int fd, int timeout)
{
	assert_int_equal(fd, FD);
	if (++m.polls == m.list_at)
		list("vmbus/hv_vss    10:1\n");
	if (m.polls < m.ready_at || !m.ready) {
		m.now += timeout * 1000LL;
		return 0;
	}
	return m.ready;
}

static int fake_limits(int fd, struct hv_vss_limits *limits)
{
	assert_int_equal(fd, FD);
	m.limits = *limits;
	if (m.limits_error)
		return m.limits_error;
	if (limits->hold_ms > m.hold_max)
		limits->hold_ms = m.hold_max;
	return 0;
}

static int64_t fake_now(void)
{
	return m.now;
}

static const struct sysops ops = {
	.open = fake_open, .close = fake_close, .write = fake_write, .read = fake_read,
	.poll_in = fake_poll, .now_us = fake_now, .limits = fake_limits,
};

static int setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	m.device = (struct device){
		.path = "/dev/test", .sysfs = "/nonexistent", .connector = connector.path,
		.ops = &ops,
	};
	m.ready = POLLIN;
	list("vmbus/hv_vss    10:1\n");
	return 0;
}

static void put(const void *message, size_t len)
{
	memcpy(m.message, message, len);
	m.length[m.reads] = len;
}

static void open_extended(uint32_t features)
{
	const struct hv_vss_registered reg = { .abi = 1, .features = features,
					       .hold_timeout_ms = 60000 };

	put(&reg, sizeof(reg));
	assert_int_equal(device_open(&m.device), 0);
	assert_true(m.device.extended);
}

/* The driver refuses an unknown registration with that error. */
static void open_base_after(int refusal)
{
	const uint32_t version = HV_VSS_OP_REGISTER1;

	m.write_error[0] = refusal;
	put(&version, sizeof(version));
	assert_int_equal(device_open(&m.device), 0);
	assert_false(m.device.extended);
}

static void open_base(void)
{
	open_base_after(-EINVAL);
}

static void extended_registration_asks_for_all(void **state)
{
	(void)state;
	open_extended(HV_VSS_FEAT_CANCEL | HV_VSS_FEAT_GUARD);
	assert_int_equal(m.hello[0].op, HV_VSS_OP_REGISTER2);
	assert_int_equal(m.hello[0].cookie, HV_VSS_ABI);
	assert_int_equal(m.hello[0].arg, HV_VSS_FEAT_CANCEL | HV_VSS_FEAT_GUARD |
			 HV_VSS_FEAT_LUNS | HV_VSS_FEAT_LIMITS | HV_VSS_FEAT_THAW);
	assert_non_null(device_guard(&m.device));
	device_close(&m.device);
	assert_int_equal(m.closed, 1);
	assert_null(device_guard(&m.device));
}

static void refusal_falls_back_on_the_same_descriptor(void **state)
{
	(void)state;
	open_base();
	assert_int_equal(m.writes, 2);
	assert_int_equal(m.hello[1].op, HV_VSS_OP_REGISTER1);
	assert_null(device_guard(&m.device));
	assert_int_equal(m.closed, 0);
	device_close(&m.device);
	assert_int_equal(m.closed, 1);
}

/* hv_utils of 4.2 to 4.4 returns EFAULT for every write that it refuses. */
static void hv_utils_that_refuses_with_efault_is_supported(void **state)
{
	(void)state;
	open_base_after(-EFAULT);
	assert_int_equal(m.writes, 2);
	assert_int_equal(m.hello[1].op, HV_VSS_OP_REGISTER1);
	assert_int_equal(m.closed, 0);
	/* An answer that is too late. */
	m.ready = 0;
	m.write_error[m.writes] = -EFAULT;
	assert_int_equal(device_reply(&m.device, 0, 0), -ESTALE);
	device_close(&m.device);
}

/* If the daemon registered earlier, hv_utils would make the kernel oops. */
static void registers_only_when_hv_utils_is_ready(void **state)
{
	(void)state;
	list("");
	m.list_at = 7;
	m.ready_at = 9;
	open_base();
	assert_int_equal(m.hello[1].op, HV_VSS_OP_REGISTER1);
	/* It is listed at the 7th; then one more, and one for the answer. */
	assert_int_equal(m.polls, 9);
	assert_int_equal(m.now, 800000);
	device_close(&m.device);
}

static void waits_a_limited_time_for_hv_utils(void **state)
{
	(void)state;
	list("other/hv_vss    10:2\n");
	m.ready_at = 101;
	open_base();
	assert_int_equal(m.now, 10 * 1000000LL);
	device_close(&m.device);

	setup(state);
	m.device.connector = "/nonexistent";
	m.ready_at = 101;
	open_base();
	assert_int_equal(m.now, 10 * 1000000LL);
	device_close(&m.device);
}

static void device_that_disappears_during_the_wait_is_closed(void **state)
{
	(void)state;
	list("");
	m.write_error[0] = -EINVAL;
	m.ready = POLLHUP;
	m.ready_at = 3;
	assert_int_equal(device_open(&m.device), -ENODEV);
	assert_int_equal(m.writes, 1);
	assert_int_equal(m.closed, 1);
}

static void other_refusals_close(void **state)
{
	static const int errors[] = { -EBUSY, -ENODEV, -EBADF, -EIO, 0 };

	for (size_t i = 0; errors[i]; i++) {
		setup(state);
		m.write_error[0] = errors[i];
		assert_int_equal(device_open(&m.device), errors[i]);
		assert_int_equal(m.writes, 1);
		assert_int_equal(m.closed, 1);
		assert_int_equal(device_fd(&m.device), -1);
	}
	setup(state);
	m.open_error = -ENOENT;
	assert_int_equal(device_open(&m.device), -ENOENT);
	assert_int_equal(m.closed, 0);
}

static void bad_registration_answers_are_refused(void **state)
{
	struct hv_vss_registered reg = { .abi = HV_VSS_ABI + 1 };
	const uint32_t version = 128;

	setup(state);
	put(&reg, sizeof(reg));
	assert_int_equal(device_open(&m.device), -EPROTO);
	setup(state);
	reg.abi = 1;
	reg.features = 0x80;
	put(&reg, sizeof(reg));
	assert_int_equal(device_open(&m.device), -EPROTO);
	setup(state);
	reg.features = 0;
	put(&reg, sizeof(reg) - 4);
	assert_int_equal(device_open(&m.device), -EPROTO);
	setup(state);
	m.write_error[0] = -EINVAL;
	put(&version, sizeof(version));
	assert_int_equal(device_open(&m.device), -EPROTO);
	assert_int_equal(m.closed, 1);
	setup(state);
	m.ready = 0;
	assert_int_equal(device_open(&m.device), -ETIMEDOUT);
	setup(state);
	m.ready = POLLHUP;
	assert_int_equal(device_open(&m.device), -ENODEV);
	assert_int_equal(m.closed, 1);
}

static void base_request_has_an_operation_only(void **state)
{
	/* hv_utils may have any bytes behind the operation. */
	const struct hv_vss_frame frame = { .op = 5, .reserved = { 1 }, .cookie = 7, .arg = 9 };
	struct hv_vss_request req;

	(void)state;
	open_base();
	put(&frame, sizeof(frame));
	assert_int_equal(device_read(&m.device, &req), 0);
	assert_int_equal(req.frame.op, 5);
	assert_int_equal(req.frame.cookie, 0);
	assert_int_equal(req.frame.arg, 0);
	device_close(&m.device);
}

static void extended_request_with_luns(void **state)
{
	struct hv_vss_request sent = {
		.frame = { .op = 5, .cookie = 7 }, .backup_type = 1, .flags = 2, .lun_count = 2,
		.luns = { { .lun = 3 }, { .lun = 4 } },
	}, req;
	size_t head = offsetof(struct hv_vss_request, luns);

	(void)state;
	open_extended(HV_VSS_FEAT_LUNS);
	put(&sent, head + 2 * sizeof(sent.luns[0]));
	assert_int_equal(device_read(&m.device, &req), 0);
	assert_int_equal(req.lun_count, 2);
	assert_int_equal(req.luns[1].lun, 4);
	assert_int_equal(req.frame.cookie, 7);
	device_close(&m.device);
}

static void malformed_requests_are_refused(void **state)
{
	struct hv_vss_request sent = { .frame = { .op = 5 }, .lun_count = 2 }, req;
	size_t head = offsetof(struct hv_vss_request, luns);

	(void)state;
	open_extended(HV_VSS_FEAT_LUNS);
	m.reads = 0;
	put(&sent, head + sizeof(sent.luns[0]));
	assert_int_equal(device_read(&m.device, &req), -EPROTO);
	m.reads = 0;
	put(&sent, head - 1);
	assert_int_equal(device_read(&m.device, &req), -EPROTO);
	m.reads = 0;
	sent.lun_count = HV_VSS_LUN_MAX + 1;
	put(&sent, sizeof(sent));
	assert_int_equal(device_read(&m.device, &req), -EPROTO);
	m.reads = 0;
	put(&sent, sizeof(sent.frame) - 1);
	assert_int_equal(device_read(&m.device, &req), -EPROTO);
	m.reads = 0;
	sent.frame.reserved[2] = 1;
	put(&sent, sizeof(sent.frame));
	assert_int_equal(device_read(&m.device, &req), -EPROTO);
	m.reads = 0;
	m.length[0] = 0;
	assert_int_equal(device_read(&m.device, &req), -ENODEV);
	m.reads = 0;
	m.length[0] = -EBADF;
	assert_int_equal(device_read(&m.device, &req), -EBADF);
	device_close(&m.device);
}

static void reply_carries_status_and_cookie(void **state)
{
	(void)state;
	open_extended(0);
	assert_int_equal(device_reply(&m.device, 42, HV_VSS_E_FAIL), 0);
	assert_int_equal(m.reply.status, HV_VSS_E_FAIL);
	assert_int_equal(m.reply.cookie, 42);
	assert_int_equal(m.reply.reserved, 0);
	m.writes = 1;
	m.write_error[1] = -ESTALE;
	assert_int_equal(device_reply(&m.device, 42, 0), -ESTALE);
	device_close(&m.device);
	assert_int_equal(device_reply(&m.device, 42, 0), -ENODEV);
}

/* Without cookies a late answer would count for the next request, which has come since. */
static void late_base_reply_is_not_sent(void **state)
{
	unsigned int writes;

	(void)state;
	open_base();
	writes = m.writes;
	m.ready = POLLIN;
	assert_int_equal(device_reply(&m.device, 0, 0), -ESTALE);
	assert_int_equal(m.writes, writes);
	m.ready = POLLHUP;
	assert_int_equal(device_reply(&m.device, 0, 0), -ENODEV);
	assert_int_equal(m.writes, writes);
	m.ready = 0;
	assert_int_equal(device_reply(&m.device, 0, 0), 0);
	m.write_error[m.writes] = -EINVAL;
	assert_int_equal(device_reply(&m.device, 0, 0), -ESTALE);
	device_close(&m.device);
}

static void worker_keeps_the_descriptor_open(void **state)
{
	struct guard *guard;

	(void)state;
	open_extended(HV_VSS_FEAT_GUARD);
	guard = guard_get(device_guard(&m.device));
	device_close(&m.device);
	assert_int_equal(m.closed, 0);
	guard_put(guard, &ops);
	assert_int_equal(m.closed, 1);
}

static int64_t hold_with(int64_t asked_s, uint32_t features)
{
	const struct freezer_config asked = {
		.hold_us = asked_s * 1000000, .fifreeze_us = 8000000,
	};

	setup(NULL);
	m.hold_max = 120000;
	m.device.wanted = limits_wanted(&asked);
	open_extended(features);
	limits_log(&asked, &m.device);
	return limits_hold_us(&asked, &m.device);
}

/* The guard gets the value of --hold, and acts a little later than the daemon. */
static void guard_gets_our_limits(void **state)
{
	(void)state;
	assert_int_equal(hold_with(8, HV_VSS_FEAT_LIMITS), 8000000);
	assert_int_equal(m.limits.hold_ms, 8500);
	assert_int_equal(m.limits.freezing_ms, 8500);
	assert_int_equal(m.limits.reserved[0], 0);
	assert_int_equal(m.limits.reserved[1], 0);
	assert_int_equal(m.device.limits.hold_ms, 8500);
	device_close(&m.device);
	assert_int_equal(m.device.limits.hold_ms, 0);
	/* More than the module's own 60 s, and less than the admin allows. */
	assert_int_equal(hold_with(100, HV_VSS_FEAT_LIMITS), 100000000);
	device_close(&m.device);
}

static void limit_of_the_admin_is_respected(void **state)
{
	(void)state;
	assert_int_equal(hold_with(300, HV_VSS_FEAT_LIMITS), 119500000);
	assert_int_equal(m.limits.hold_ms, 300500);
	assert_int_equal(m.device.limits.hold_ms, 120000);
	device_close(&m.device);
}

static void older_guard_keeps_its_own_limits(void **state)
{
	(void)state;
	assert_int_equal(hold_with(300, HV_VSS_FEAT_GUARD), 59500000);
	assert_int_equal(m.limits.hold_ms, 0);
	device_close(&m.device);
	assert_int_equal(hold_with(8, HV_VSS_FEAT_GUARD), 8000000);
	device_close(&m.device);
}

static void guard_keeps_its_own_limits_if_it_refuses_ours(void **state)
{
	const struct freezer_config asked = { .hold_us = 300000000 };

	(void)state;
	m.limits_error = -EBUSY;
	m.device.wanted = limits_wanted(&asked);
	open_extended(HV_VSS_FEAT_LIMITS);
	assert_int_equal(m.device.limits.hold_ms, 60000);
	assert_int_equal(limits_hold_us(&asked, &m.device), 59500000);
	device_close(&m.device);
}

static void hv_utils_has_no_limit(void **state)
{
	const struct freezer_config asked = { .hold_us = 300000000 };

	(void)state;
	m.device.wanted = limits_wanted(&asked);
	open_base();
	assert_int_equal(m.limits.hold_ms, 0);
	assert_int_equal(limits_hold_us(&asked, &m.device), 300000000);
	device_close(&m.device);
}

static void driver_is_found_in_sysfs(void **state)
{
	char dir[] = "/tmp/hv-vss-bus-XXXXXX", cmd[512];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(cmd, sizeof(cmd),
		 "cd %s && mkdir -p bus/vmbus/devices/a bus/vmbus/devices/b drivers/hv_utils && "
		 "echo '{57164f39-9115-4e78-ab55-382f3bd5422d}' >bus/vmbus/devices/a/class_id && "
		 "echo '{35FA2E29-ea23-4236-96ae-3a6ebacba440}' >bus/vmbus/devices/b/class_id && "
		 "ln -s ../../../../drivers/hv_utils bus/vmbus/devices/b/driver", dir);
	assert_int_equal(system(cmd), 0);
	m.device.sysfs = dir;
	open_base();
	assert_string_equal(m.device.driver, "hv_utils");
	device_close(&m.device);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

static void read_owner_after(struct owner *d, const char *dir, const char *more)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "cd %s/bus/vmbus/devices/b && %s", dir, more);
	assert_int_equal(system(cmd), 0);
	owner_read(d, dir);
	assert_string_equal(d->name, "hv_vss");
	assert_string_equal(d->why_not, "");
}

static void bound_driver_may_have_no_open_channel(void **state)
{
	char dir[] = "/tmp/hv-vss-bus-XXXXXX", cmd[512];
	struct owner d;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(cmd, sizeof(cmd),
		 "cd %s && mkdir -p bus/vmbus/devices/b drivers/hv_vss && "
		 "echo '{35fa2e29-ea23-4236-96ae-3a6ebacba440}' >bus/vmbus/devices/b/class_id && "
		 "ln -s ../../../../drivers/hv_vss bus/vmbus/devices/b/driver", dir);
	assert_int_equal(system(cmd), 0);
	/* Older modules have no "channel", but a "state" while the channel is open. */
	read_owner_after(&d, dir, "true");
	assert_non_null(strstr(d.closed, "the channel is not open"));
	read_owner_after(&d, dir, "mkdir hv_vss && echo idle >hv_vss/state");
	assert_string_equal(d.closed, "");
	read_owner_after(&d, dir, "echo open >hv_vss/channel");
	assert_string_equal(d.closed, "");
	read_owner_after(&d, dir, "echo no-memory >hv_vss/channel");
	assert_non_null(strstr(d.closed, "no memory to open the channel"));
	read_owner_after(&d, dir, "echo refused >hv_vss/channel");
	assert_non_null(strstr(d.closed, "the host does not let the channel be opened"));
	read_owner_after(&d, dir, "echo closed >hv_vss/channel");
	assert_non_null(strstr(d.closed, "the channel is not open"));
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

static int make_connector(void **state)
{
	int fd = mkstemp(connector.path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_connector(void **state)
{
	(void)state;
	return unlink(connector.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(extended_registration_asks_for_all, setup),
		cmocka_unit_test_setup(refusal_falls_back_on_the_same_descriptor, setup),
		cmocka_unit_test_setup(hv_utils_that_refuses_with_efault_is_supported, setup),
		cmocka_unit_test_setup(registers_only_when_hv_utils_is_ready, setup),
		cmocka_unit_test_setup(waits_a_limited_time_for_hv_utils, setup),
		cmocka_unit_test_setup(device_that_disappears_during_the_wait_is_closed, setup),
		cmocka_unit_test_setup(other_refusals_close, setup),
		cmocka_unit_test_setup(bad_registration_answers_are_refused, setup),
		cmocka_unit_test_setup(base_request_has_an_operation_only, setup),
		cmocka_unit_test_setup(extended_request_with_luns, setup),
		cmocka_unit_test_setup(malformed_requests_are_refused, setup),
		cmocka_unit_test_setup(reply_carries_status_and_cookie, setup),
		cmocka_unit_test_setup(late_base_reply_is_not_sent, setup),
		cmocka_unit_test_setup(worker_keeps_the_descriptor_open, setup),
		cmocka_unit_test_setup(guard_gets_our_limits, setup),
		cmocka_unit_test_setup(limit_of_the_admin_is_respected, setup),
		cmocka_unit_test_setup(older_guard_keeps_its_own_limits, setup),
		cmocka_unit_test_setup(guard_keeps_its_own_limits_if_it_refuses_ours, setup),
		cmocka_unit_test_setup(hv_utils_has_no_limit, setup),
		cmocka_unit_test_setup(driver_is_found_in_sysfs, setup),
		cmocka_unit_test(bound_driver_may_have_no_open_channel),
	};

	return cmocka_run_group_tests(tests, make_connector, remove_connector);
}
