/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's half of the device protocol; see include/uapi/hv_vss.h. */
#ifndef HV_VSS_DEVICE_H
#define HV_VSS_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "../include/uapi/hv_vss.h"
#include "fsset.h"

struct device {
	const char *path;
	const char *sysfs;
	const char *connector;
	const struct sysops *ops;
	struct guard *handle;		/* the open device; NULL while there is none */
	bool extended;
	struct hv_vss_registered reg;	/* features etc.; all zero in the base protocol */
	char driver[32];		/* "hv_vss", "hv_utils", ...; "" if not known */
};

int device_open(struct device *d);
int device_read(struct device *d, struct hv_vss_request *req);
int device_reply(struct device *d, uint32_t cookie, uint32_t status);
int device_fd(const struct device *d);
struct guard *device_guard(const struct device *d);
void device_close(struct device *d);

#endif
