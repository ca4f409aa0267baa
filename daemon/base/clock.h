/* SPDX-License-Identifier: GPL-2.0-only */
/* Times in microseconds. */
#ifndef HV_VSS_CLOCK_H
#define HV_VSS_CLOCK_H

#include <stdint.h>
#include <time.h>

#define SECOND	1000000LL	/* in us */

static inline int64_t clock_read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * SECOND + ts.tv_nsec / 1000;
}

/**
 * clock_now_us() - the time for deadlines
 * Return: in us, since some moment in the past; it never jumps.
 */
static inline int64_t clock_now_us(void)
{
	return clock_read_us(CLOCK_MONOTONIC);
}

/**
 * clock_wall_us() - the time of day
 * Return: in us since 1970; it jumps when the clock is set.
 */
static inline int64_t clock_wall_us(void)
{
	return clock_read_us(CLOCK_REALTIME);
}

#endif
