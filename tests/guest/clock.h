/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef GUEST_CLOCK_H
#define GUEST_CLOCK_H

#include <stdint.h>

uint64_t clock_us(void);

#endif /* GUEST_CLOCK_H */
