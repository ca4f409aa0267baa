// SPDX-License-Identifier: GPL-2.0-only
// Sources: src/transaction.c
/* The state table: every cell is as expected, and no cell breaks a guarantee. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/transaction.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define ANSWERS	(HV_VSS_DO_FAIL | HV_VSS_DO_SUCCEED)

/* What an event does in each state, in the order of the states; see cell() for the letters. */
static const struct {
	enum hv_vss_event event;
	const char *cells[HV_VSS_STATES];
} expected[] = {
	/* no Daemon, Lost, Idle, Check, Freeze, froZen, Thaw, Vain, cleanUp */
	{ HV_VSS_EV_CHECK,
	  { "D-j", "L-j", "C-w", "C-j", "F-j", "Z-j", "T-j", "V-j", "U-j" } },
	{ HV_VSS_EV_FREEZE,
	  { "D-j", "L-j", "F-w", "C-j", "F-j", "Z-j", "T-j", "V-j", "U-j" } },
	{ HV_VSS_EV_THAW,
	  { "D-j", "L-j", "V-w", "C-j", "I-rcfj", "T-w", "T-j", "V-j", "U-j" } },
	{ HV_VSS_EV_REGISTER_BARE,
	  { "I-", "U-u", "I-", "C-", "F-", "Z-", "T-", "V-", "U-" } },
	{ HV_VSS_EV_REGISTER_GUARDED,
	  { "I-", "I-", "I-", "C-", "F-", "Z-", "T-", "V-", "U-" } },
	{ HV_VSS_EV_DONE,
	  { "D-x", "L-x", "I-x", "I-s", "Z-sh", "Z-x", "I-rs", "I-rf", "I-e" } },
	{ HV_VSS_EV_FAILED,
	  { "D-x", "L-x", "I-x", "I-f", "I-rf", "Z-x", "I-rf", "I-rf", "I-e" } },
	{ HV_VSS_EV_CLOSE_BARE,
	  { "D-", "L-", "D-", "D-f", "L-f", "L-", "L-f", "D-f", "L-e" } },
	{ HV_VSS_EV_CLOSE_GUARDED,
	  { "D-", "L-", "D-r", "D-f", "D-rf", "D-r", "D-rf", "D-rf", "L-e" } },
	{ HV_VSS_EV_TIMEOUT,
	  { "D-", "L-", "I-", "I-cf", "I-rcf", "Z-", "I-rcf", "I-rcf", "I-e" } },
	{ HV_VSS_EV_UNREAD,
	  { "D-", "L-", "I-", "I-cf", "I-rcf", "Z-", "U-fu", "U-fu", "U-" } },
	{ HV_VSS_EV_HOLD_BARE,
	  { "D-", "L-", "I-", "C-", "F-", "U-u", "T-", "V-", "U-" } },
	{ HV_VSS_EV_HOLD_GUARDED,
	  { "D-", "L-", "I-", "C-", "I-rcf", "I-rc", "T-r", "V-", "U-" } },
	{ HV_VSS_EV_BREAK,
	  { "D-", "L-", "I-", "C-", "F-", "I-rc", "T-", "V-", "U-" } },
	{ HV_VSS_EV_RESET_BARE,
	  { "D-", "L-", "I-", "I-cf", "I-cf", "U-u", "U-fu", "U-fu", "U-" } },
	{ HV_VSS_EV_RESET_GUARDED,
	  { "D-", "L-", "I-", "I-cf", "I-rcf", "I-rc", "I-rcf", "I-cf", "U-" } },
};

/* A cell as text: next state, then the actions in their order. */
static void cell(struct hv_vss_step step, char *text)
{
	static const char states[] = "DLICFZTVU", actions[] = "xrcfsehjwu";
	unsigned int i;

	*text++ = states[step.next];
	*text++ = '-';
	for (i = 0; i < sizeof(actions) - 1; i++)
		if (step.actions & 1u << i)
			*text++ = actions[i];
	*text = '\0';
}

static void table_every_cell_is_as_expected(void **unused)
{
	char text[16];
	unsigned int i, state;

	(void)unused;
	assert_int_equal(ARRAY_SIZE(expected), HV_VSS_EVENTS);
	for (i = 0; i < HV_VSS_EVENTS; i++) {
		assert_int_equal(expected[i].event, i);
		for (state = 0; state < HV_VSS_STATES; state++) {
			cell(hv_vss_transaction_step(state, i), text);
			if (strcmp(text, expected[i].cells[state]))
				print_error("state %s, event %u\n",
					    hv_vss_transaction_name(state), i);
			assert_string_equal(text, expected[i].cells[state]);
		}
	}
}

static bool from_host(enum hv_vss_event ev)
{
	return ev <= HV_VSS_EV_THAW;
}

/* States in which a request of the host waits for its answer. */
static bool outstanding(enum hv_vss_state state)
{
	return state == HV_VSS_CHECK || state == HV_VSS_FREEZE || state == HV_VSS_THAW ||
	       state == HV_VSS_VAIN;
}

static bool one_bit(unsigned int v)
{
	return v && !(v & (v - 1));
}

typedef void (*check_fn)(enum hv_vss_state state, enum hv_vss_event ev, struct hv_vss_step s);

static void every_cell(check_fn check)
{
	unsigned int state, event;

	for (state = 0; state < HV_VSS_STATES; state++)
		for (event = 0; event < HV_VSS_EVENTS; event++)
			check(state, event, hv_vss_transaction_step(state, event));
}

static void check_one_answer(enum hv_vss_state state, enum hv_vss_event ev, struct hv_vss_step s)
{
	const unsigned int taken = HV_VSS_DO_REJECT | HV_VSS_DO_FORWARD;

	assert_in_range(s.next, 0, HV_VSS_STATES - 1);
	/* A request that comes is either answered or becomes the outstanding one. */
	if (from_host(ev))
		assert_true(one_bit(s.actions & taken));
	else
		assert_int_equal(s.actions & taken, 0);
	if (s.actions & HV_VSS_DO_FORWARD) {
		assert_false(outstanding(state));
		assert_true(outstanding(s.next));
		return;
	}
	/* An outstanding request is answered exactly when it ends. */
	if (outstanding(state) && !outstanding(s.next))
		assert_true(one_bit(s.actions & ANSWERS));
	else
		assert_int_equal(s.actions & ANSWERS, 0);
	if (outstanding(state) && outstanding(s.next))
		assert_int_equal(s.next, state);
	if (!outstanding(state))
		assert_false(outstanding(s.next));
}

static void table_every_request_has_one_answer(void **unused)
{
	(void)unused;
	every_cell(check_one_answer);
}

static void check_success(enum hv_vss_state state, enum hv_vss_event ev, struct hv_vss_step s)
{
	if (s.actions & HV_VSS_DO_SUCCEED) {
		assert_int_equal(ev, HV_VSS_EV_DONE);
		assert_true(state == HV_VSS_CHECK || state == HV_VSS_FREEZE ||
			    state == HV_VSS_THAW);
	}
	if (s.next == HV_VSS_FROZEN && state != HV_VSS_FROZEN) {
		assert_int_equal(state, HV_VSS_FREEZE);
		assert_int_equal(ev, HV_VSS_EV_DONE);
		assert_true(s.actions & HV_VSS_DO_HOLD);
	}
	/* THAW can succeed only after a freeze that lasted until it came. */
	if (s.next == HV_VSS_THAW && state != HV_VSS_THAW) {
		assert_int_equal(state, HV_VSS_FROZEN);
		assert_int_equal(ev, HV_VSS_EV_THAW);
	}
}

static void table_success_only_after_an_unbroken_freeze(void **unused)
{
	(void)unused;
	every_cell(check_success);
}

static bool bare(enum hv_vss_event ev)
{
	return ev == HV_VSS_EV_REGISTER_BARE || ev == HV_VSS_EV_CLOSE_BARE ||
	       ev == HV_VSS_EV_UNREAD || ev == HV_VSS_EV_HOLD_BARE || ev == HV_VSS_EV_RESET_BARE;
}

static bool may_be_frozen(enum hv_vss_state state)
{
	return state == HV_VSS_FREEZE || state == HV_VSS_FROZEN || state == HV_VSS_THAW;
}

static void check_release(enum hv_vss_state state, enum hv_vss_event ev, struct hv_vss_step s)
{
	if (!may_be_frozen(state) || may_be_frozen(s.next))
		return;
	/* At the end of a freeze the kernel thaws, or it knows that a bare daemon has to. */
	if (!bare(ev))
		assert_true(s.actions & HV_VSS_DO_RELEASE);
	else if (ev == HV_VSS_EV_CLOSE_BARE)
		assert_int_equal(s.next, HV_VSS_LOST);
	else
		assert_true(s.actions & (HV_VSS_DO_CLEANUP | HV_VSS_DO_CANCEL));
}

static void table_nothing_stays_frozen(void **unused)
{
	(void)unused;
	every_cell(check_release);
}

static void expect(enum hv_vss_state *state, enum hv_vss_event ev, unsigned int actions)
{
	struct hv_vss_step s = hv_vss_transaction_step(*state, ev);

	assert_int_equal(s.actions & actions, actions);
	*state = s.next;
}

static void broken_freeze_fails_its_thaw_and_only_that(void **unused)
{
	static const enum hv_vss_event ends[] = {
		HV_VSS_EV_HOLD_GUARDED, HV_VSS_EV_BREAK, HV_VSS_EV_RESET_GUARDED,
	};
	enum hv_vss_state state;
	unsigned int i;

	(void)unused;
	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		state = HV_VSS_FROZEN;
		expect(&state, ends[i], HV_VSS_DO_RELEASE | HV_VSS_DO_CANCEL);
		expect(&state, HV_VSS_EV_THAW, HV_VSS_DO_FORWARD);
		expect(&state, HV_VSS_EV_DONE, HV_VSS_DO_FAIL);
		expect(&state, HV_VSS_EV_FREEZE, HV_VSS_DO_FORWARD);
		expect(&state, HV_VSS_EV_DONE, HV_VSS_DO_SUCCEED);
		expect(&state, HV_VSS_EV_THAW, HV_VSS_DO_FORWARD);
		expect(&state, HV_VSS_EV_DONE, HV_VSS_DO_SUCCEED);
	}
}

/* For any order of events each request has one answer. */
static void random_walks_answer_every_request(void **unused)
{
	unsigned int walk, i, asked, answered;
	enum hv_vss_state state;
	enum hv_vss_event ev;
	struct hv_vss_step s;

	(void)unused;
	srand(1);
	for (walk = 0; walk < 2000; walk++) {
		state = HV_VSS_DETACHED;
		asked = 0;
		answered = 0;
		for (i = 0; i < 200; i++) {
			ev = rand() % HV_VSS_EVENTS;
			s = hv_vss_transaction_step(state, ev);
			asked += from_host(ev);
			answered += !!(s.actions & HV_VSS_DO_REJECT);
			answered += !!(s.actions & ANSWERS);
			state = s.next;
			assert_int_equal(asked, answered + outstanding(state));
		}
		s = hv_vss_transaction_step(state, HV_VSS_EV_CLOSE_GUARDED);
		answered += !!(s.actions & ANSWERS);
		assert_int_equal(asked, answered);
	}
}

static void states_have_different_names(void **unused)
{
	unsigned int a, b;

	(void)unused;
	for (a = 0; a < HV_VSS_STATES; a++)
		for (b = 0; b < a; b++)
			assert_string_not_equal(hv_vss_transaction_name(a),
						hv_vss_transaction_name(b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_every_cell_is_as_expected),
		cmocka_unit_test(table_every_request_has_one_answer),
		cmocka_unit_test(table_success_only_after_an_unbroken_freeze),
		cmocka_unit_test(table_nothing_stays_frozen),
		cmocka_unit_test(broken_freeze_fails_its_thaw_and_only_that),
		cmocka_unit_test(random_walks_answer_every_request),
		cmocka_unit_test(states_have_different_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
