/* SPDX-License-Identifier: GPL-2.0-only */
/* Does this process see the file systems of the machine, or only those of a container? */
#ifndef HV_VSS_CONTAINER_H
#define HV_VSS_CONTAINER_H

#include <stdint.h>

const char *container_check(uint64_t pid_ns, uint64_t user_ns);
const char *container_problem(void);

#endif
