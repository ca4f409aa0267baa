// SPDX-License-Identifier: GPL-2.0-only
#include "base/clock.h"
#include "base/log.h"
#include "holdlimit.h"

/*
 * How much later than the daemon the kernel's guard acts. The daemon thaws in order, and logs the
 * reason; the guard is for a daemon that can't. The main thread needs some milliseconds to begin;
 * half a second is enough on a loaded machine, and less than the second within which all file
 * systems must accept writes again. If it is ever too short, the guard thaws what the daemon is
 * about to thaw, which does no harm.
 */
#define GRACE_US	500000LL

#define PREFLIGHT_US	(20 * SECOND)	/* for HOT_BACKUP: the kernel waits 30 s for the answer */

static uint32_t with_grace_ms(int64_t us)
{
	return (us + GRACE_US) / 1000;
}

/**
 * limits_wanted() - the limits to be set in the guard
 * @configured: options
 * Return: the limits, for device_open().
 */
struct hv_vss_limits limits_wanted(const struct freezer_config *configured)
{
	return (struct hv_vss_limits){
		.freezing_ms = with_grace_ms(configured->fifreeze_us),
		.hold_ms = with_grace_ms(configured->hold_us),
	};
}

/**
 * limits_within() - reduce a limit so that it ends before the kernel's
 * @us: our limit
 * @ms: the kernel's limit; 0: none
 * @margin_us: how much earlier ours must end, at most a quarter of the kernel's limit
 * Return: the limit in us.
 */
int64_t limits_within(int64_t us, uint32_t ms, int64_t margin_us)
{
	int64_t limit = (int64_t)ms * 1000;

	limit -= margin_us < limit / 4 ? margin_us : limit / 4;
	return !ms || us < limit ? us : limit;
}

/**
 * limits_hold_us() - how long a freeze may be held
 * @configured: options
 * @d: open
 * Return: the limit in us.
 */
int64_t limits_hold_us(const struct freezer_config *configured, const struct device *d)
{
	return limits_within(configured->hold_us, d->limits.hold_ms, GRACE_US);
}

/**
 * limits_fifreeze_us() - how long it may take to freeze all file systems
 * @configured: options
 * @d: open
 * Return: the limit in us.
 */
int64_t limits_fifreeze_us(const struct freezer_config *configured, const struct device *d)
{
	return limits_within(configured->fifreeze_us, d->limits.freezing_ms, GRACE_US);
}

/**
 * limits_preflight_us() - how long the answer to HOT_BACKUP may take
 * @d: the device
 * Return: the limit in us.
 */
int64_t limits_preflight_us(const struct device *d)
{
	return limits_within(PREFLIGHT_US, d->reg.check_timeout_ms, 2 * SECOND);
}

/**
 * limits_apply() - compute the limits in force: each ends before the kernel's
 * @limits: filled in
 * @configured: options
 * @d: the device
 */
void limits_apply(struct freezer_config *limits, const struct freezer_config *configured,
		  const struct device *d)
{
	*limits = *configured;
	limits->freeze_us = limits_within(configured->freeze_us, d->reg.freeze_timeout_ms,
					  5 * SECOND);
	limits->thaw_us = limits_within(configured->thaw_us, d->reg.thaw_timeout_ms, 2 * SECOND);
	limits->hold_us = limits_hold_us(configured, d);
	limits->fifreeze_us = limits_fifreeze_us(configured, d);
}

/**
 * limits_log() - log where the limits in force differ from the options
 * @configured: options
 * @d: just opened
 */
void limits_log(const struct freezer_config *configured, const struct device *d)
{
	bool set = d->reg.features & HV_VSS_FEAT_LIMITS;
	int64_t hold = limits_hold_us(configured, d), kernel = (int64_t)d->limits.hold_ms * 1000;

	if (!kernel)
		return;
	if (kernel < configured->hold_us)
		log_msg(LOG_WARNING, "--hold=%d is more than hv_vss allows: file systems are "
			"thawed after %d.%d s. To allow more, raise its parameter %s",
			(int)(configured->hold_us / 1000000), (int)(hold / 1000000),
			(int)(hold / 100000 % 10), set ? "hold_max_ms" : "hold_timeout_ms");
	else if (!set && kernel > configured->hold_us)
		log_msg(LOG_NOTICE, "this older hv_vss does not know the limit --hold=%d: if this "
			"daemon hangs while file systems are frozen, they are thawed after %d s",
			(int)(configured->hold_us / 1000000), (int)(kernel / 1000000));
}
