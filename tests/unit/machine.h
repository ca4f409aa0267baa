/* SPDX-License-Identifier: GPL-2.0-only */
/* A simulated machine for tests: mounts, sysfs, kernel, and one worker. */
#ifndef HV_VSS_UNIT_MACHINE_H
#define HV_VSS_UNIT_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "freeze/freezer.h"
#include "../../include/uapi/hv_vss.h"
#include "targets/recheck.h"

#define MACHINE_DEVICE	50
#define MACHINE_FD	100	/* descriptors of file systems: plus the minor number */

struct machine {
	int64_t now;
	uint64_t frozen;	/* by minor number */
	uint64_t at_answer;
	unsigned int open;
	bool log_held;
	unsigned int closed_minor;	/* of a file system that can't be opened; 0: none */
};

extern struct machine machine;
extern const struct sysops machine_ops;
extern const char machine_own[];
extern const char machine_others[];
extern char machine_dir[];
extern char machine_sysfs[];
extern char machine_proc[];

int machine_setup(void);
int machine_teardown(void);
void machine_reset(void);
void machine_libmount(bool old);
FILE *machine_table(const char *text);
void machine_work(struct freezer *f);
void machine_wait(int64_t until);

#endif
