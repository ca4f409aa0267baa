// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine of the one outstanding request.
 *
 * Decisions in the table:
 *  - A request that comes while another one is outstanding fails at once and does not disturb that.
 *    The exception is THAW while FREEZE is outstanding: the host has given up, so the freeze is
 *    cancelled, and both fail.
 *  - FREEZE and HOT_BACKUP while frozen fail: a second backup can't begin before the first one has
 *    ended.
 *  - THAW without a whole freeze (never frozen, broken, daemon lost) fails. It is sent to the
 *    daemon all the same, because that may have something to clean up.
 *  - After a broken freeze the state is IDLE: the next THAW fails by the rule above, the next
 *    FREEZE works.
 *  - Only a bare daemon itself can end its freeze. Where the guard would thaw, the daemon is sent a
 *    THAW of our own (CLEANUP); if it died, the next bare daemon that registers is. That THAW waits
 *    until the daemon reads it, also after the device is gone: the daemon may be stopped for now.
 *  - The hold limit does not cancel a THAW that is under way. The guard thaws; the THAW continues.
 */
#include "transaction.h"

#define STEP(next_state, what)	{ .actions = (what), .next = HV_VSS_##next_state }
#define STAY(state)		STEP(state, 0)

#define STALE	HV_VSS_DO_STALE
#define RELEASE	HV_VSS_DO_RELEASE
#define CANCEL	HV_VSS_DO_CANCEL
#define FAIL	HV_VSS_DO_FAIL
#define SUCCEED	HV_VSS_DO_SUCCEED
#define END	HV_VSS_DO_END
#define HOLD	HV_VSS_DO_HOLD
#define REJECT	HV_VSS_DO_REJECT
#define FORWARD	HV_VSS_DO_FORWARD
#define CLEAN	HV_VSS_DO_CLEANUP

static const struct hv_vss_step table[HV_VSS_STATES][HV_VSS_EVENTS] = {
	[HV_VSS_DETACHED] = {
		[HV_VSS_EV_CHECK]		= STEP(DETACHED, REJECT),
		[HV_VSS_EV_FREEZE]		= STEP(DETACHED, REJECT),
		[HV_VSS_EV_THAW]		= STEP(DETACHED, REJECT),
		[HV_VSS_EV_REGISTER_BARE]	= STEP(IDLE, 0),
		[HV_VSS_EV_REGISTER_GUARDED]	= STEP(IDLE, 0),
		[HV_VSS_EV_DONE]		= STEP(DETACHED, STALE),
		[HV_VSS_EV_FAILED]		= STEP(DETACHED, STALE),
		[HV_VSS_EV_CLOSE_BARE]		= STAY(DETACHED),
		[HV_VSS_EV_CLOSE_GUARDED]	= STAY(DETACHED),
		[HV_VSS_EV_TIMEOUT]		= STAY(DETACHED),
		[HV_VSS_EV_UNREAD]		= STAY(DETACHED),
		[HV_VSS_EV_HOLD_BARE]		= STAY(DETACHED),
		[HV_VSS_EV_HOLD_GUARDED]	= STAY(DETACHED),
		[HV_VSS_EV_BREAK]		= STAY(DETACHED),
		[HV_VSS_EV_RESET_BARE]		= STAY(DETACHED),
		[HV_VSS_EV_RESET_GUARDED]	= STAY(DETACHED),
	},
	[HV_VSS_LOST] = {
		[HV_VSS_EV_CHECK]		= STEP(LOST, REJECT),
		[HV_VSS_EV_FREEZE]		= STEP(LOST, REJECT),
		[HV_VSS_EV_THAW]		= STEP(LOST, REJECT),
		[HV_VSS_EV_REGISTER_BARE]	= STEP(CLEANUP, CLEAN),
		/* It thaws left-overs by itself, and only what our daemon froze. */
		[HV_VSS_EV_REGISTER_GUARDED]	= STEP(IDLE, 0),
		[HV_VSS_EV_DONE]		= STEP(LOST, STALE),
		[HV_VSS_EV_FAILED]		= STEP(LOST, STALE),
		[HV_VSS_EV_CLOSE_BARE]		= STAY(LOST),
		[HV_VSS_EV_CLOSE_GUARDED]	= STAY(LOST),
		[HV_VSS_EV_TIMEOUT]		= STAY(LOST),
		[HV_VSS_EV_UNREAD]		= STAY(LOST),
		[HV_VSS_EV_HOLD_BARE]		= STAY(LOST),
		[HV_VSS_EV_HOLD_GUARDED]	= STAY(LOST),
		[HV_VSS_EV_BREAK]		= STAY(LOST),
		[HV_VSS_EV_RESET_BARE]		= STAY(LOST),
		[HV_VSS_EV_RESET_GUARDED]	= STAY(LOST),
	},
	[HV_VSS_IDLE] = {
		[HV_VSS_EV_CHECK]		= STEP(CHECK, FORWARD),
		[HV_VSS_EV_FREEZE]		= STEP(FREEZE, FORWARD),
		[HV_VSS_EV_THAW]		= STEP(VAIN, FORWARD),
		[HV_VSS_EV_REGISTER_BARE]	= STAY(IDLE),
		[HV_VSS_EV_REGISTER_GUARDED]	= STAY(IDLE),
		[HV_VSS_EV_DONE]		= STEP(IDLE, STALE),
		[HV_VSS_EV_FAILED]		= STEP(IDLE, STALE),
		[HV_VSS_EV_CLOSE_BARE]		= STEP(DETACHED, 0),
		[HV_VSS_EV_CLOSE_GUARDED]	= STEP(DETACHED, RELEASE),
		[HV_VSS_EV_TIMEOUT]		= STAY(IDLE),
		[HV_VSS_EV_UNREAD]		= STAY(IDLE),
		[HV_VSS_EV_HOLD_BARE]		= STAY(IDLE),
		[HV_VSS_EV_HOLD_GUARDED]	= STAY(IDLE),
		[HV_VSS_EV_BREAK]		= STAY(IDLE),
		[HV_VSS_EV_RESET_BARE]		= STAY(IDLE),
		[HV_VSS_EV_RESET_GUARDED]	= STAY(IDLE),
	},
	[HV_VSS_CHECK] = {
		[HV_VSS_EV_CHECK]		= STEP(CHECK, REJECT),
		[HV_VSS_EV_FREEZE]		= STEP(CHECK, REJECT),
		[HV_VSS_EV_THAW]		= STEP(CHECK, REJECT),
		[HV_VSS_EV_REGISTER_BARE]	= STAY(CHECK),
		[HV_VSS_EV_REGISTER_GUARDED]	= STAY(CHECK),
		[HV_VSS_EV_DONE]		= STEP(IDLE, SUCCEED),
		[HV_VSS_EV_FAILED]		= STEP(IDLE, FAIL),
		[HV_VSS_EV_CLOSE_BARE]		= STEP(DETACHED, FAIL),
		[HV_VSS_EV_CLOSE_GUARDED]	= STEP(DETACHED, FAIL),
		[HV_VSS_EV_TIMEOUT]		= STEP(IDLE, CANCEL | FAIL),
		[HV_VSS_EV_UNREAD]		= STEP(IDLE, CANCEL | FAIL),
		[HV_VSS_EV_HOLD_BARE]		= STAY(CHECK),
		[HV_VSS_EV_HOLD_GUARDED]	= STAY(CHECK),
		[HV_VSS_EV_BREAK]		= STAY(CHECK),
		[HV_VSS_EV_RESET_BARE]		= STEP(IDLE, CANCEL | FAIL),
		[HV_VSS_EV_RESET_GUARDED]	= STEP(IDLE, CANCEL | FAIL),
	},
	[HV_VSS_FREEZE] = {
		[HV_VSS_EV_CHECK]		= STEP(FREEZE, REJECT),
		[HV_VSS_EV_FREEZE]		= STEP(FREEZE, REJECT),
		[HV_VSS_EV_THAW]		= STEP(IDLE, RELEASE | CANCEL | FAIL | REJECT),
		[HV_VSS_EV_REGISTER_BARE]	= STAY(FREEZE),
		[HV_VSS_EV_REGISTER_GUARDED]	= STAY(FREEZE),
		[HV_VSS_EV_DONE]		= STEP(FROZEN, SUCCEED | HOLD),
		[HV_VSS_EV_FAILED]		= STEP(IDLE, RELEASE | FAIL),
		[HV_VSS_EV_CLOSE_BARE]		= STEP(LOST, FAIL),
		[HV_VSS_EV_CLOSE_GUARDED]	= STEP(DETACHED, RELEASE | FAIL),
		/* A bare daemon thaws when its late answer is refused. */
		[HV_VSS_EV_TIMEOUT]		= STEP(IDLE, RELEASE | CANCEL | FAIL),
		[HV_VSS_EV_UNREAD]		= STEP(IDLE, RELEASE | CANCEL | FAIL),
		[HV_VSS_EV_HOLD_BARE]		= STAY(FREEZE),
		/* The limit counts from the first ARM: the daemon has stopped half-way. */
		[HV_VSS_EV_HOLD_GUARDED]	= STEP(IDLE, RELEASE | CANCEL | FAIL),
		[HV_VSS_EV_BREAK]		= STAY(FREEZE),
		[HV_VSS_EV_RESET_BARE]		= STEP(IDLE, CANCEL | FAIL),
		[HV_VSS_EV_RESET_GUARDED]	= STEP(IDLE, RELEASE | CANCEL | FAIL),
	},
	[HV_VSS_FROZEN] = {
		[HV_VSS_EV_CHECK]		= STEP(FROZEN, REJECT),
		[HV_VSS_EV_FREEZE]		= STEP(FROZEN, REJECT),
		[HV_VSS_EV_THAW]		= STEP(THAW, FORWARD),
		[HV_VSS_EV_REGISTER_BARE]	= STAY(FROZEN),
		[HV_VSS_EV_REGISTER_GUARDED]	= STAY(FROZEN),
		[HV_VSS_EV_DONE]		= STEP(FROZEN, STALE),
		[HV_VSS_EV_FAILED]		= STEP(FROZEN, STALE),
		[HV_VSS_EV_CLOSE_BARE]		= STEP(LOST, 0),
		[HV_VSS_EV_CLOSE_GUARDED]	= STEP(DETACHED, RELEASE),
		[HV_VSS_EV_TIMEOUT]		= STAY(FROZEN),
		[HV_VSS_EV_UNREAD]		= STAY(FROZEN),
		[HV_VSS_EV_HOLD_BARE]		= STEP(CLEANUP, CLEAN),
		[HV_VSS_EV_HOLD_GUARDED]	= STEP(IDLE, RELEASE | CANCEL),
		[HV_VSS_EV_BREAK]		= STEP(IDLE, RELEASE | CANCEL),
		[HV_VSS_EV_RESET_BARE]		= STEP(CLEANUP, CLEAN),
		[HV_VSS_EV_RESET_GUARDED]	= STEP(IDLE, RELEASE | CANCEL),
	},
	[HV_VSS_THAW] = {
		[HV_VSS_EV_CHECK]		= STEP(THAW, REJECT),
		[HV_VSS_EV_FREEZE]		= STEP(THAW, REJECT),
		[HV_VSS_EV_THAW]		= STEP(THAW, REJECT),
		[HV_VSS_EV_REGISTER_BARE]	= STAY(THAW),
		[HV_VSS_EV_REGISTER_GUARDED]	= STAY(THAW),
		[HV_VSS_EV_DONE]		= STEP(IDLE, RELEASE | SUCCEED),
		[HV_VSS_EV_FAILED]		= STEP(IDLE, RELEASE | FAIL),
		[HV_VSS_EV_CLOSE_BARE]		= STEP(LOST, FAIL),
		[HV_VSS_EV_CLOSE_GUARDED]	= STEP(DETACHED, RELEASE | FAIL),
		[HV_VSS_EV_TIMEOUT]		= STEP(IDLE, RELEASE | CANCEL | FAIL),
		[HV_VSS_EV_UNREAD]		= STEP(CLEANUP, FAIL | CLEAN),
		[HV_VSS_EV_HOLD_BARE]		= STAY(THAW),
		[HV_VSS_EV_HOLD_GUARDED]	= STEP(THAW, RELEASE),
		[HV_VSS_EV_BREAK]		= STAY(THAW),
		[HV_VSS_EV_RESET_BARE]		= STEP(CLEANUP, FAIL | CLEAN),
		[HV_VSS_EV_RESET_GUARDED]	= STEP(IDLE, RELEASE | CANCEL | FAIL),
	},
	[HV_VSS_VAIN] = {
		[HV_VSS_EV_CHECK]		= STEP(VAIN, REJECT),
		[HV_VSS_EV_FREEZE]		= STEP(VAIN, REJECT),
		[HV_VSS_EV_THAW]		= STEP(VAIN, REJECT),
		[HV_VSS_EV_REGISTER_BARE]	= STAY(VAIN),
		[HV_VSS_EV_REGISTER_GUARDED]	= STAY(VAIN),
		[HV_VSS_EV_DONE]		= STEP(IDLE, RELEASE | FAIL),
		[HV_VSS_EV_FAILED]		= STEP(IDLE, RELEASE | FAIL),
		[HV_VSS_EV_CLOSE_BARE]		= STEP(DETACHED, FAIL),
		[HV_VSS_EV_CLOSE_GUARDED]	= STEP(DETACHED, RELEASE | FAIL),
		[HV_VSS_EV_TIMEOUT]		= STEP(IDLE, RELEASE | CANCEL | FAIL),
		[HV_VSS_EV_UNREAD]		= STEP(CLEANUP, FAIL | CLEAN),
		[HV_VSS_EV_HOLD_BARE]		= STAY(VAIN),
		[HV_VSS_EV_HOLD_GUARDED]	= STAY(VAIN),
		[HV_VSS_EV_BREAK]		= STAY(VAIN),
		[HV_VSS_EV_RESET_BARE]		= STEP(CLEANUP, FAIL | CLEAN),
		[HV_VSS_EV_RESET_GUARDED]	= STEP(IDLE, CANCEL | FAIL),
	},
	[HV_VSS_CLEANUP] = {
		[HV_VSS_EV_CHECK]		= STEP(CLEANUP, REJECT),
		[HV_VSS_EV_FREEZE]		= STEP(CLEANUP, REJECT),
		[HV_VSS_EV_THAW]		= STEP(CLEANUP, REJECT),
		[HV_VSS_EV_REGISTER_BARE]	= STAY(CLEANUP),
		[HV_VSS_EV_REGISTER_GUARDED]	= STAY(CLEANUP),
		[HV_VSS_EV_DONE]		= STEP(IDLE, END),
		/* Whether anything is still frozen is not known; the next THAW retries. */
		[HV_VSS_EV_FAILED]		= STEP(IDLE, END),
		[HV_VSS_EV_CLOSE_BARE]		= STEP(LOST, END),
		[HV_VSS_EV_CLOSE_GUARDED]	= STEP(LOST, END),
		[HV_VSS_EV_TIMEOUT]		= STEP(IDLE, END),
		[HV_VSS_EV_UNREAD]		= STAY(CLEANUP),
		[HV_VSS_EV_HOLD_BARE]		= STAY(CLEANUP),
		[HV_VSS_EV_HOLD_GUARDED]	= STAY(CLEANUP),
		[HV_VSS_EV_BREAK]		= STAY(CLEANUP),
		[HV_VSS_EV_RESET_BARE]		= STAY(CLEANUP),
		[HV_VSS_EV_RESET_GUARDED]	= STAY(CLEANUP),
	},
};

/**
 * hv_vss_transaction_step() - look up an event
 * @state: the current state
 * @event: what happened
 *
 * Return: the actions (HV_VSS_DO_*, to be done in the order of their values) and the next state.
 */
struct hv_vss_step hv_vss_transaction_step(enum hv_vss_state state, enum hv_vss_event event)
{
	return table[state][event];
}

/**
 * hv_vss_transaction_name() - the name of a state
 * @state: below HV_VSS_STATES
 *
 * Return: a static string.
 */
const char *hv_vss_transaction_name(enum hv_vss_state state)
{
	static const char * const names[HV_VSS_STATES] = {
		[HV_VSS_DETACHED] = "no-daemon",
		[HV_VSS_LOST] = "daemon-lost-while-frozen",
		[HV_VSS_IDLE] = "idle",
		[HV_VSS_CHECK] = "checking",
		[HV_VSS_FREEZE] = "freezing",
		[HV_VSS_FROZEN] = "frozen",
		[HV_VSS_THAW] = "thawing",
		[HV_VSS_VAIN] = "thawing-without-freeze",
		[HV_VSS_CLEANUP] = "cleaning-up",
	};

	return names[state];
}
