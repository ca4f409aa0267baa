// SPDX-License-Identifier: GPL-2.0-only
// Sources: src/transaction.c
/* libFuzzer: for any sequence of events each request has one answer, and each success is true. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "../../src/transaction.h"

#define REQUIRE(condition)	do { if (!(condition)) abort(); } while (0)

struct world {
	enum hv_vss_state state;
	unsigned int asked;
	unsigned int answered;
	bool whole;	/* frozen since a FREEZE that was answered with success, without a gap */
	bool armed;	/* a guarded daemon may have something frozen */
};

static bool outstanding(enum hv_vss_state state)
{
	return state == HV_VSS_CHECK || state == HV_VSS_FREEZE || state == HV_VSS_THAW ||
	       state == HV_VSS_VAIN;
}

static void step(struct world *w, enum hv_vss_event ev)
{
	struct hv_vss_step s = hv_vss_transaction_step(w->state, ev);
	enum hv_vss_state old = w->state;

	REQUIRE(s.next < HV_VSS_STATES);
	w->state = s.next;
	w->asked += ev <= HV_VSS_EV_THAW;
	w->answered += !!(s.actions & HV_VSS_DO_REJECT);
	w->answered += !!(s.actions & (HV_VSS_DO_FAIL | HV_VSS_DO_SUCCEED));
	REQUIRE((s.actions & (HV_VSS_DO_FAIL | HV_VSS_DO_SUCCEED)) !=
		(HV_VSS_DO_FAIL | HV_VSS_DO_SUCCEED));
	REQUIRE(w->asked == w->answered + outstanding(w->state));

	if (s.actions & HV_VSS_DO_SUCCEED && old == HV_VSS_THAW)
		REQUIRE(w->whole);
	if (s.actions & HV_VSS_DO_SUCCEED && old == HV_VSS_FREEZE)
		w->whole = true;
	else if (w->state != HV_VSS_FROZEN && w->state != HV_VSS_THAW)
		w->whole = false;
	REQUIRE(w->state != HV_VSS_FROZEN || w->whole);

	if (w->state == HV_VSS_FREEZE)
		w->armed = true;
	if (s.actions & HV_VSS_DO_RELEASE)
		w->armed = false;
	/* Nothing stays armed when a guarded daemon closes the device: the kernel thaws. */
	if (ev == HV_VSS_EV_CLOSE_GUARDED && w->state == HV_VSS_DETACHED)
		REQUIRE(!w->armed || old == HV_VSS_DETACHED || old == HV_VSS_CHECK);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct world w = { .state = HV_VSS_DETACHED };
	size_t i;

	for (i = 0; i < size; i++)
		step(&w, input[i] % HV_VSS_EVENTS);
	return 0;
}
