/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state machine of a request, as a table: state x event -> actions, next state.
 *
 * It only looks up; engine.c carries the actions out. A daemon is "guarded" if the kernel can thaw
 * what it froze, and "bare" if only the daemon can do that (the base protocol).
 */
#ifndef _HV_VSS_TRANSACTION_H
#define _HV_VSS_TRANSACTION_H

enum hv_vss_state {
	HV_VSS_DETACHED,	/* no daemon */
	HV_VSS_LOST,		/* no daemon; the last one, a bare one, may have left us frozen */
	HV_VSS_IDLE,		/* daemon registered, no request, nothing frozen */
	HV_VSS_CHECK,		/* HOT_BACKUP is with the daemon */
	HV_VSS_FREEZE,		/* FREEZE is with the daemon */
	HV_VSS_FROZEN,		/* FREEZE was answered with success; all is still frozen */
	HV_VSS_THAW,		/* THAW is with the daemon; all was frozen until it came */
	HV_VSS_VAIN,		/* THAW is with the daemon, but there was no whole freeze */
	HV_VSS_CLEANUP,		/* a THAW of the module's own is with a bare daemon */
	HV_VSS_STATES
};

enum hv_vss_event {
	/* the host */
	HV_VSS_EV_CHECK,
	HV_VSS_EV_FREEZE,
	HV_VSS_EV_THAW,
	/* the daemon */
	HV_VSS_EV_REGISTER_BARE,
	HV_VSS_EV_REGISTER_GUARDED = HV_VSS_EV_REGISTER_BARE + 1,
	HV_VSS_EV_DONE,		/* its answer to the outstanding request: success */
	HV_VSS_EV_FAILED,	/* ... failure */
	HV_VSS_EV_CLOSE_BARE,	/* it closed the device or died */
	HV_VSS_EV_CLOSE_GUARDED = HV_VSS_EV_CLOSE_BARE + 1,
	/* time */
	HV_VSS_EV_TIMEOUT,	/* of the outstanding request */
	HV_VSS_EV_UNREAD,	/* the same, and a bare daemon has not read the request */
	HV_VSS_EV_HOLD_BARE,	/* the hold limit is over */
	HV_VSS_EV_HOLD_GUARDED = HV_VSS_EV_HOLD_BARE + 1,
	/* other events */
	HV_VSS_EV_BREAK,	/* an armed file system is no longer frozen */
	HV_VSS_EV_RESET_BARE,	/* rescind, suspend, unload, or the host negotiates again */
	HV_VSS_EV_RESET_GUARDED = HV_VSS_EV_RESET_BARE + 1,
	HV_VSS_EVENTS
};

/* Carried out in this order. */
#define HV_VSS_DO_STALE		0x001	/* refuse the daemon's answer: no request is outstanding */
#define HV_VSS_DO_RELEASE	0x002	/* the guard thaws all that is armed */
#define HV_VSS_DO_CANCEL	0x004	/* tell the daemon: request or freeze are cancelled */
#define HV_VSS_DO_FAIL		0x008	/* answer the outstanding request: failure */
#define HV_VSS_DO_SUCCEED	0x010	/* answer the outstanding request: success */
#define HV_VSS_DO_END		0x020	/* the outstanding request was our own: no answer */
#define HV_VSS_DO_HOLD		0x040	/* start the timer of the hold limit */
#define HV_VSS_DO_REJECT	0x080	/* answer the request that just came: failure */
#define HV_VSS_DO_FORWARD	0x100	/* the request that just came goes to the daemon */
#define HV_VSS_DO_CLEANUP	0x200	/* a THAW of our own goes to the daemon */

struct hv_vss_step {
	unsigned short actions;
	unsigned char next;
};

struct hv_vss_step hv_vss_transaction_step(enum hv_vss_state state, enum hv_vss_event event);
const char *hv_vss_transaction_name(enum hv_vss_state state);

#endif /* _HV_VSS_TRANSACTION_H */
