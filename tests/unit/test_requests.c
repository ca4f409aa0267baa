// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/format.c daemon/requests.c tests/unit/quiet.c
/*
 * The answers to the host's requests. The test simulates host, device, freezer, hooks, preflight
 * and recorder. Each of them adds its calls to a story, and the test decides about their results.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "holdlimit.h"
#include "requests.h"
#include "test.h"

#define SECOND	1000000LL
#define FREEZE	HV_VSS_OP_FREEZE
#define THAW	HV_VSS_OP_THAW
#define CHECK	HV_VSS_OP_HOT_BACKUP
#define CANCEL	HV_VSS_OP_CANCEL

/* One fake machine; a test has one at a time. */
static struct {
	char story[400];		/* calls since the last story_is() */
	int64_t hooks_us;		/* as the recorder was told */
	bool prepared;			/* for hooks */
	char account[400];		/* calls of the recorder since the last account_is() */
	int64_t now;
	uint32_t cookie;		/* of the host's latest request */
	uint32_t outstanding;		/* cookie of the request without an answer; 0: none */
	const struct hv_vss_request *incoming;
	int read_error;
	int reply_error;		/* result of device_reply() */
	enum { IDLE, BEGUN, FROZEN, THAWING } freezer;
	enum freezer_event goal;	/* what the freezer reports when it has thawed */
	int begin_error;
	const char *hangs;		/* why an earlier freeze with a hung call has failed */
	enum { NONE, CALLED, HELD, ENDING } hooks;
	int known;			/* result of preflight_request() */
	bool asked;
	bool names_luns;
	struct luns luns;
	struct culprits culprits;
	struct freezer_config asked_limits, limits;
	struct requests r;
	unsigned int yes, no;		/* total number of answers */
} m;

static void add_call(const char *what)
{
	size_t len = strlen(m.story);

	snprintf(m.story + len, sizeof(m.story) - len, "%s%s", len ? " " : "", what);
}

static void add_note(const char *what)
{
	size_t len = strlen(m.account);

	snprintf(m.account + len, sizeof(m.account) - len, "%s%s", len ? " " : "", what);
}

#define story_is(text)	do { assert_string_equal(m.story, text); m.story[0] = '\0'; } while (0)
#define account_is(text) \
	do { assert_string_equal(m.account, text); m.account[0] = '\0'; } while (0)

/* The device */

int device_read(struct device *d, struct hv_vss_request *req)
{
	(void)d;
	if (m.read_error)
		return m.read_error;
	*req = *m.incoming;
	return 0;
}

int device_reply(struct device *d, uint32_t cookie, uint32_t status)
{
	(void)d;
	assert_true(status == HV_VSS_S_OK || status == HV_VSS_E_FAIL);
	/* No request is answered twice, and no other one is answered. */
	assert_int_not_equal(m.outstanding, 0);
	assert_int_equal(cookie, m.outstanding);
	m.outstanding = 0;
	if (m.reply_error)
		return m.reply_error;
	add_call(status == HV_VSS_S_OK ? "yes" : "no");
	m.yes += status == HV_VSS_S_OK;
	m.no += status != HV_VSS_S_OK;
	return 0;
}

struct guard *device_guard(const struct device *d)
{
	(void)d;
	return NULL;
}

bool device_names_luns(const struct device *d)
{
	(void)d;
	return m.names_luns;
}

int64_t limits_preflight_us(const struct device *d)
{
	(void)d;
	return 20 * SECOND;
}

void limits_apply(struct freezer_config *limits, const struct freezer_config *asked,
		  const struct device *d)
{
	(void)d;
	*limits = *asked;
}

/* The freezer */

int freezer_begin(struct freezer *f, struct guard *guard, uint32_t cookie)
{
	(void)f;
	(void)guard;
	assert_int_equal(m.freezer, IDLE);
	assert_int_equal(cookie, m.outstanding);
	if (m.hangs)
		return -EBUSY;
	if (m.begin_error)
		return m.begin_error;
	add_call("freeze");
	m.freezer = BEGUN;
	return 0;
}

int freezer_thaw(struct freezer *f)
{
	(void)f;
	assert_int_equal(m.freezer, FROZEN);
	add_call("thaw");
	m.freezer = THAWING;
	m.goal = FREEZER_THAW_OK;
	return 0;
}

void freezer_abort(struct freezer *f, const char *why)
{
	(void)f;
	assert_non_null(why);
	if (m.freezer == IDLE)
		return;
	add_call("abort");
	if (m.freezer == THAWING)
		m.goal = m.goal == FREEZER_THAW_OK ? FREEZER_THAW_FAILED : m.goal;
	else
		m.goal = m.freezer == FROZEN ? FREEZER_BROKEN : FREEZER_FAILED;
	m.freezer = THAWING;
}

bool freezer_is_idle(const struct freezer *f)
{
	(void)f;
	return m.freezer == IDLE;
}

bool freezer_is_frozen(const struct freezer *f)
{
	(void)f;
	return m.freezer == FROZEN;
}

const char *freezer_hangs(const struct freezer *f)
{
	(void)f;
	return m.hangs;
}

int64_t freezer_now_us(const struct freezer *f)
{
	(void)f;
	return m.now;
}

/* Hooks */

void hooks_begin(struct hooks *h, int64_t type, int64_t budget_us, int64_t quiesce_us)
{
	(void)h;
	assert_int_equal(m.hooks, NONE);
	assert_int_equal(type, m.names_luns ? 3 : -1);
	assert_true(budget_us == m.asked_limits.freeze_us / 2);
	assert_true(quiesce_us > budget_us);
	assert_true(m.prepared);
	m.prepared = false;
	add_call("hooks");
	m.hooks = CALLED;
}

void hooks_end(struct hooks *h, bool ok)
{
	(void)h;
	if (m.hooks == NONE || m.hooks == ENDING)
		return;
	add_call(ok ? "hooks-thaw" : "hooks-give-up");
	m.hooks = ENDING;
}

bool hooks_are_idle(const struct hooks *h)
{
	(void)h;
	return m.hooks == NONE;
}

bool hooks_are_freezing(const struct hooks *h)
{
	(void)h;
	return m.hooks == CALLED;
}

/* Preflight */

int preflight_request(struct preflight *p, int64_t limit_us)
{
	(void)p;
	assert_true(limit_us == 20 * SECOND);
	add_call("check");
	m.asked = !m.known;
	return m.known;
}

bool preflight_cancel(struct preflight *p)
{
	bool asked = m.asked;

	(void)p;
	m.asked = false;
	return asked;
}

void preflight_schedule(struct preflight *p, int64_t limit_us)
{
	(void)p;
	(void)limit_us;
	add_call("check-later");
}

void preflight_unschedule(struct preflight *p)
{
	(void)p;
}

bool preflight_is_scheduled(const struct preflight *p)
{
	(void)p;
	return false;
}

void preflight_invalidate(struct preflight *p)
{
	(void)p;
	add_call("forget");
}

const char *preflight_reason(const struct preflight *p)
{
	(void)p;
	return "/x: cannot be opened";
}

const struct culprits *preflight_culprits(const struct preflight *p)
{
	(void)p;
	return &m.culprits;
}

/* The recorder */

void recorder_begin(struct recorder *l, const struct hv_vss_request *request)
{
	(void)l;
	add_note(request->frame.op == FREEZE ? "backup:" : "check:");
}

void recorder_set_culprits(struct recorder *l, const struct culprits *found)
{
	(void)l;
	assert_ptr_equal(found, &m.culprits);
}

void recorder_set_hooks(struct recorder *l, int64_t us)
{
	(void)l;
	m.hooks_us = us;
}

void recorder_set_reason(struct recorder *l, const char *why)
{
	char text[300];

	(void)l;
	snprintf(text, sizeof(text), "(%s)", why);
	add_note(text);
}

void recorder_set_answer(struct recorder *l, unsigned int op, enum record_answer answer)
{
	static const char *const name[] = {
		[ANSWER_OK] = "ok", [ANSWER_FAILED] = "failed", [ANSWER_LATE] = "late",
	};

	(void)l;
	(void)op;
	add_note(name[answer]);
}

void recorder_end(struct recorder *l)
{
	(void)l;
	add_note(".");
}

void recorder_delay_write(struct recorder *l, bool wait)
{
	(void)l;
	(void)wait;
}

void recorder_thaw_without_freeze(struct recorder *l, const struct hv_vss_request *request)
{
	(void)l;
	(void)request;
	add_note("thaw without freeze");
}

void recorder_update(struct recorder *l, const struct freezer *f, bool busy)
{
	(void)l;
	(void)f;
	(void)busy;
}

/* Callbacks into the rest of the daemon */

static void lose(void *ctx, int err)
{
	(void)ctx;
	(void)err;
	add_call("lose");
}

static void status(void *ctx, const char *what)
{
	(void)ctx;
	(void)what;
}

static void prepare_guard(void *ctx)
{
	(void)ctx;
	add_call("prepare_guard");
}

/* The request that is passed on is the one for which the hooks are called. */
static void prepare_hooks(void *ctx, const struct hv_vss_request *request)
{
	(void)ctx;
	assert_int_equal(request->frame.op, FREEZE);
	assert_int_equal(request->frame.cookie, m.outstanding);
	m.prepared = true;
}

static const struct requests_callbacks around = {
	.device_lost = lose, .set_status = status, .prepare_guard = prepare_guard,
	.prepare_hooks = prepare_hooks,
};

/* Events */

static void host_sends(const struct hv_vss_request *request)
{
	m.incoming = request;
	assert_int_equal(requests_read(&m.r), 0);
	requests_continue(&m.r);
}

static void host(unsigned int op)
{
	struct hv_vss_request request = { .frame = { .op = op, .cookie = ++m.cookie } };

	request.backup_type = 3;
	m.outstanding = m.cookie;
	host_sends(&request);
}

/* The kernel has answered the host with "failed", or the host has cancelled the request. */
static void cancel(void)
{
	struct hv_vss_request request = { .frame = { .op = CANCEL, .arg = HV_VSS_CANCEL_TIMEOUT } };

	m.outstanding = 0;
	host_sends(&request);
}

static void hooks_called(bool ok)
{
	assert_int_equal(m.hooks, CALLED);
	m.hooks = HELD;
	requests_hooks_event(&m.r, ok);
	requests_continue(&m.r);
}

static void hooks_ended(void)
{
	assert_int_equal(m.hooks, ENDING);
	m.hooks = NONE;
	requests_continue(&m.r);
}

static void all_frozen(void)
{
	assert_int_equal(m.freezer, BEGUN);
	m.freezer = FROZEN;
	requests_freezer_event(&m.r, FREEZER_FREEZE_OK);
	requests_continue(&m.r);
}

static void ends(enum freezer_event event)
{
	m.freezer = IDLE;
	requests_freezer_event(&m.r, event);
	requests_continue(&m.r);
}

static void preflight_ends(bool ok)
{
	assert_true(m.asked);
	m.asked = false;
	requests_preflight_event(&m.r, ok);
	requests_continue(&m.r);
}

/* The beginning of many tests. */
static void freeze_all(void)
{
	host(FREEZE);
	hooks_called(true);
	all_frozen();
	story_is("hooks prepare_guard freeze yes");
	account_is("backup: ok");
}

static int setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	m.asked_limits = (struct freezer_config){
		.freeze_us = 60 * SECOND, .hold_us = 30 * SECOND, .thaw_us = 10 * SECOND,
	};
	m.r = (struct requests){
		.luns = &m.luns, .configured = &m.asked_limits, .limits = &m.limits,
		.callbacks = &around,
	};
	return 0;
}

static void successful_backup(void **state)
{
	(void)state;
	freeze_all();
	host(THAW);
	story_is("thaw");
	ends(FREEZER_THAW_OK);
	story_is("yes hooks-thaw");
	account_is("ok .");
}

static void failed_hooks_fail_the_backup(void **state)
{
	(void)state;
	host(FREEZE);
	hooks_called(false);
	story_is("hooks no hooks-give-up");
	account_is("backup: (the hooks have failed) failed .");
}

static void slow_hooks_fail_the_backup(void **state)
{
	(void)state;
	host(FREEZE);
	m.now += m.asked_limits.freeze_us;
	hooks_called(true);
	story_is("hooks no hooks-give-up");
}

static void time_of_hooks_is_taken_off_the_freezers(void **state)
{
	(void)state;
	host(FREEZE);
	m.now += 7 * SECOND;
	hooks_called(true);
	assert_true(m.limits.freeze_us == m.asked_limits.freeze_us - 7 * SECOND);
	assert_true(m.hooks_us == 7 * SECOND);
}

static void failed_freeze_fails_the_backup(void **state)
{
	(void)state;
	host(FREEZE);
	hooks_called(true);
	story_is("hooks prepare_guard freeze");
	ends(FREEZER_FAILED);
	story_is("forget no hooks-give-up");
	account_is("backup: failed .");
}

static void freeze_that_cannot_begin_fails_the_backup(void **state)
{
	(void)state;
	m.begin_error = -ENOMEM;
	host(FREEZE);
	hooks_called(true);
	story_is("hooks prepare_guard no hooks-give-up");
	account_is("backup: (Cannot allocate memory) failed .");
}

static void hung_earlier_freeze_fails_the_backup_before_hooks(void **state)
{
	(void)state;
	m.hangs = "/x: FIFREEZE";
	host(FREEZE);
	story_is("no");
	account_is("backup: (a call of an earlier freeze still hangs in the kernel (/x: FIFREEZE)) "
		   "failed .");
	host(CHECK);
	story_is("no");
	m.account[0] = '\0';
	m.hangs = "";
	host(FREEZE);
	account_is("backup: (a call of an earlier freeze still hangs in the kernel) failed .");
}

static void other_requests_while_frozen_are_refused(void **state)
{
	static const unsigned int op[] = {
		FREEZE, CHECK, HV_VSS_OP_GET_DM_INFO, HV_VSS_OP_BACKUP_COMPLETE, 99,
	};

	(void)state;
	freeze_all();
	for (size_t i = 0; i < sizeof(op) / sizeof(op[0]); i++) {
		host(op[i]);
		story_is("no");
	}
	m.account[0] = '\0';
	host(THAW);
	ends(FREEZER_THAW_OK);
	story_is("thaw yes hooks-thaw");
}

static void thaw_without_freeze_fails(void **state)
{
	(void)state;
	host(THAW);
	story_is("no");
	account_is("failed thaw without freeze");
}

static void freeze_with_a_gap_fails_the_thaw(void **state)
{
	(void)state;
	freeze_all();
	host(THAW);
	ends(FREEZER_THAW_FAILED);
	story_is("thaw no hooks-give-up");
	account_is("failed .");
}

static void broken_freeze_fails_the_thaw(void **state)
{
	(void)state;
	freeze_all();
	ends(FREEZER_BROKEN);
	story_is("hooks-give-up");
	host(THAW);
	story_is("no");
}

static void cancelled_while_hooks_are_called(void **state)
{
	(void)state;
	host(FREEZE);
	cancel();
	story_is("hooks hooks-give-up");
	account_is("backup: (the kernel has told the host that it failed) .");
}

static void cancelled_while_freezing(void **state)
{
	(void)state;
	host(FREEZE);
	hooks_called(true);
	cancel();
	story_is("hooks prepare_guard freeze abort");
	ends(FREEZER_FAILED);
	story_is("forget hooks-give-up");
	account_is("backup: late .");
}

static void cancelled_while_frozen(void **state)
{
	(void)state;
	freeze_all();
	cancel();
	story_is("abort");
	ends(FREEZER_BROKEN);
	story_is("hooks-give-up");
	assert_int_equal(m.no, 0);
}

static void cancelled_while_thawing(void **state)
{
	(void)state;
	freeze_all();
	host(THAW);
	cancel();
	story_is("thaw abort");
	ends(FREEZER_THAW_FAILED);
	story_is("hooks-give-up");
	account_is("late .");
}

static void cancelled_during_preflight(void **state)
{
	(void)state;
	host(CHECK);
	cancel();
	story_is("check");
	account_is("check: (the kernel has told the host that it failed) late . "
		   "(the kernel has told the host that it failed) .");
}

static void refused_answer_ends_the_freeze(void **state)
{
	static const int refusal[] = { -ESTALE, -EIO };

	for (size_t i = 0; i < 2; i++) {
		setup(state);
		host(FREEZE);
		hooks_called(true);
		m.reply_error = refusal[i];
		all_frozen();
		story_is("hooks prepare_guard freeze abort");
		account_is("backup: late");
	}
}

static void device_error_at_the_answer_loses_the_device(void **state)
{
	(void)state;
	host(FREEZE);
	hooks_called(true);
	m.reply_error = -ENODEV;
	all_frozen();
	story_is("hooks prepare_guard freeze lose abort");
}

static void preflight_from_memory(void **state)
{
	(void)state;
	m.known = 1;
	host(CHECK);
	story_is("check yes prepare_guard check-later");
	account_is("check: ok .");
}

static void preflight_with_a_check(void **state)
{
	(void)state;
	host(CHECK);
	story_is("check");
	preflight_ends(true);
	story_is("yes prepare_guard");
	account_is("check: ok .");
	host(CHECK);
	preflight_ends(false);
	story_is("check no");
	account_is("check: (/x: cannot be opened) failed .");
	m.known = -EBUSY;
	host(CHECK);
	story_is("check no");
}

static void late_preflight_prepares_no_guard(void **state)
{
	(void)state;
	host(CHECK);
	m.reply_error = -ESTALE;
	preflight_ends(true);
	story_is("check");
	account_is("check: late .");
}

static void new_request_ends_the_one_before(void **state)
{
	(void)state;
	host(FREEZE);
	hooks_called(true);
	story_is("hooks prepare_guard freeze");
	host(FREEZE);
	story_is("abort");
	/* The new one waits for the thaw and for the hooks. */
	ends(FREEZER_FAILED);
	story_is("forget hooks-give-up");
	hooks_ended();
	story_is("hooks");
	hooks_called(true);
	all_frozen();
	story_is("prepare_guard freeze yes");
}

static void only_the_next_freeze_waits_for_hooks(void **state)
{
	(void)state;
	freeze_all();
	host(THAW);
	ends(FREEZER_THAW_OK);
	story_is("thaw yes hooks-thaw");
	host(FREEZE);
	story_is("");
	hooks_ended();
	story_is("hooks");
	cancel();
	story_is("hooks-give-up");
	host(CHECK);
	story_is("check");
	preflight_ends(true);
	host(THAW);
	story_is("yes prepare_guard no");
}

static void errors_of_the_device_are_returned(void **state)
{
	(void)state;
	m.read_error = -EAGAIN;
	assert_int_equal(requests_read(&m.r), 0);
	m.read_error = -ENODEV;
	assert_int_equal(requests_read(&m.r), -ENODEV);
	requests_continue(&m.r);
	story_is("");
}

static void disks_of_the_request_are_stored(void **state)
{
	struct hv_vss_request request = {
		.frame = { .op = FREEZE, .cookie = 1 }, .backup_type = 3, .lun_count = 2,
	};

	(void)state;
	m.names_luns = true;
	m.outstanding = 1;
	request.luns[1].lun = 9;
	host_sends(&request);
	hooks_called(true);
	assert_true(m.luns.known);
	assert_int_equal(m.luns.n, 2);
	assert_memory_equal(m.luns.lun, request.luns, 2 * sizeof(request.luns[0]));
}

/*
 * Random events in random order. No answer is given twice or to another request (device_reply()
 * checks this), and THAW is answered with success only after a complete freeze.
 */
static void random_order_of_events(void **state)
{
	bool complete = false;

	(void)state;
	srand(17);
	for (int i = 0; i < 100000; i++) {
		unsigned int what = rand() % 8, yes = m.yes;

		m.known = rand() % 3 - 1;
		m.reply_error = rand() % 10 ? 0 : -ESTALE;
		m.story[0] = '\0';
		m.account[0] = '\0';
		if (what == 0) {
			host(rand() % 2 ? FREEZE : THAW);
		} else if (what == 1) {
			host(rand() % 2 ? CHECK : THAW);
		} else if (what == 2 && !(rand() % 4)) {
			cancel();
		} else if (what == 3 && m.hooks == CALLED) {
			hooks_called(rand() % 4);
		} else if (what == 4 && m.hooks == ENDING) {
			hooks_ended();
		} else if (what == 5 && m.freezer == BEGUN) {
			if (rand() % 4)
				all_frozen();
			else
				ends(FREEZER_FAILED);
		} else if (what == 6 && m.freezer == THAWING) {
			/* A gap is noticed only during the thaw. */
			if (m.goal == FREEZER_THAW_OK && !(rand() % 4))
				m.goal = FREEZER_THAW_FAILED;
			ends(m.goal);
		} else if (what == 7 && m.asked) {
			preflight_ends(rand() % 2);
		}
		if (m.r.request.frame.op == THAW && m.yes > yes)
			assert_true(complete && m.goal == FREEZER_THAW_OK);
		if (m.freezer == FROZEN)
			complete = true;
		else if (m.freezer == IDLE || m.goal != FREEZER_THAW_OK)
			complete = false;
	}
	assert_true(m.yes > 1000 && m.no > 1000);
}

#define TEST(name)	cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(successful_backup),
		TEST(failed_hooks_fail_the_backup),
		TEST(slow_hooks_fail_the_backup),
		TEST(time_of_hooks_is_taken_off_the_freezers),
		TEST(failed_freeze_fails_the_backup),
		TEST(freeze_that_cannot_begin_fails_the_backup),
		TEST(hung_earlier_freeze_fails_the_backup_before_hooks),
		TEST(other_requests_while_frozen_are_refused),
		TEST(thaw_without_freeze_fails),
		TEST(freeze_with_a_gap_fails_the_thaw),
		TEST(broken_freeze_fails_the_thaw),
		TEST(cancelled_while_hooks_are_called),
		TEST(cancelled_while_freezing),
		TEST(cancelled_while_frozen),
		TEST(cancelled_while_thawing),
		TEST(cancelled_during_preflight),
		TEST(refused_answer_ends_the_freeze),
		TEST(device_error_at_the_answer_loses_the_device),
		TEST(preflight_from_memory),
		TEST(preflight_with_a_check),
		TEST(late_preflight_prepares_no_guard),
		TEST(new_request_ends_the_one_before),
		TEST(only_the_next_freeze_waits_for_hooks),
		TEST(errors_of_the_device_are_returned),
		TEST(disks_of_the_request_are_stored),
		TEST(random_order_of_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
