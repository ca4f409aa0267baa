/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's side of the device protocol; see include/uapi/hv_vss.h. */
#ifndef HV_VSS_DEVICE_H
#define HV_VSS_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "guardfd.h"
#include "hv_vss.h"

struct device {
	const char *path;
	const char *sysfs;
	const char *connector;
	const struct sysops *ops;
	struct guard *handle;		/* the open device; NULL: closed */
	bool extended;			/* the driver knows the extended protocol */
	struct hv_vss_limits wanted;	/* limits to be set in the guard */
	struct hv_vss_registered reg;	/* features etc.; all zero in the base protocol */
	struct hv_vss_limits limits;	/* in force in the guard; all zero without a guard */
	char driver[32];		/* "hv_vss", "hv_utils", ...; "" if unknown */
};

int device_open(struct device *d);
int device_read(struct device *d, struct hv_vss_request *req);
int device_reply(struct device *d, uint32_t cookie, uint32_t status);
int device_fd(const struct device *d);
struct guard *device_guard(const struct device *d);
bool device_names_luns(const struct device *d);
void device_close(struct device *d);

#endif
