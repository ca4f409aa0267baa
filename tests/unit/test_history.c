// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/cells.c daemon/base/format.c daemon/base/memfs.c daemon/base/sysattr.c
// Sources: daemon/base/sysops.c daemon/base/term.c
// Sources: daemon/blockers/culprit.c daemon/driver/owner.c daemon/evidence/diskstats.c
// Sources: daemon/evidence/evidence.c daemon/evidence/swaps.c daemon/evidence/verdict.c
// Sources: daemon/plan/blockdev.c daemon/report/check.c daemon/report/history.c
// Sources: daemon/report/json.c daemon/report/kvline.c daemon/report/livestate.c
// Sources: daemon/report/record.c daemon/report/status.c daemon/report/statustable.c
// Sources: daemon/report/statustext.c daemon/report/watch.c
// Sources: tests/unit/quiet.c
/* --status reads what the daemon has written, and rejects everything else. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "hv_vss.h"
#include "report/status.h"
#include "test.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	/* This directory is in memory. */
	snprintf(dir, sizeof(dir), "/dev/shm/hv-vss-test.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/" LIVESTATE_FILE, dir);
	unlink(path);
	return rmdir(dir);
}

static void add_backup(struct history *h, unsigned long id, bool ok)
{
	struct record r = {
		.id = id, .time = 1700000000000000 + id, .op = HV_VSS_OP_FREEZE, .disks = 3,
		.freeze = ANSWER_OK, .thaw = ok ? ANSWER_OK : ANSWER_FAILED, .ok = ok,
		.sync_us = 1234567, .held_us = 42, .hooks_us = 98765,
	};
	struct record_fs *fs;

	snprintf(r.reason, sizeof(r.reason), "%s", ok ? "" : "a\tb\\c\nd=e");
	r.culprits.n = !ok;
	r.culprits.one[0] = (struct culprit){
		.pid = 12, .comm = "a b=c", .call = "splice", .waits = "fanotify", .path = "/o\tdd",
	};
	fs = record_add_fs(&r, "/odd\n\tname\\n \xff=x", "ext4", "/dev/sda", NULL);
	fs->action = RECORD_FROZEN;
	fs->sync_us = 7;
	fs = record_add_fs(&r, "/mnt", "nfs4", "server:/x", "network file system");
	fs->action = RECORD_SKIPPED;
	fs->unsafe = true;
	history_add(h, &r);
	h->last_id = id;
}

static void saved_history_is_loaded(void **state)
{
	struct history h = { .preflight_time = 5, .preflight_ok = true }, got = { 0 };
	const struct record *r;
	struct stat st;
	char path[128];

	(void)state;
	h.daemon.pid = 99;
	snprintf(h.daemon.driver, sizeof(h.daemon.driver), "hv_utils");
	add_backup(&h, 1, true);
	add_backup(&h, 2, false);
	umask(077);
	assert_int_equal(history_save(&h, dir), 0);
	umask(022);
	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(history_load(&got, dir), 0);
	assert_int_equal(got.daemon.pid, 99);
	assert_string_equal(got.daemon.driver, "hv_utils");
	assert_int_equal(got.last_id, 2);
	assert_true(got.preflight_ok);
	assert_int_equal(got.n, 2);
	r = history_last(&got);
	assert_int_equal(r->id, 2);
	assert_false(r->ok);
	assert_int_equal(r->thaw, ANSWER_FAILED);
	assert_int_equal(r->sync_us, 1234567);
	assert_int_equal(r->hooks_us, 98765);
	assert_string_equal(r->reason, "a\tb\\c\nd=e");
	assert_int_equal(r->n, 2);
	assert_int_equal(got.record[0].culprits.n, 0);
	assert_int_equal(r->culprits.n, 1);
	assert_int_equal(r->culprits.one[0].pid, 12);
	assert_string_equal(r->culprits.one[0].comm, "a b=c");
	assert_string_equal(r->culprits.one[0].call, "splice");
	assert_string_equal(r->culprits.one[0].waits, "fanotify");
	assert_string_equal(r->culprits.one[0].path, "/o\tdd");
	assert_string_equal(r->fs[0].path, "/odd\n\tname\\n \xff=x");
	assert_null(r->fs[0].reason);
	assert_int_equal(r->fs[0].sync_us, 7);
	assert_int_equal(r->fs[1].action, RECORD_SKIPPED);
	assert_true(r->fs[1].unsafe && !r->fs[0].unsafe);
	assert_string_equal(r->fs[1].reason, "network file system");
	history_free(&h);
	history_free(&got);
}

static void oldest_backup_is_dropped(void **state)
{
	struct history h = { 0 };

	(void)state;
	for (unsigned long id = 1; id <= HISTORY_MAX + 3; id++)
		add_backup(&h, id, true);
	assert_int_equal(h.n, HISTORY_MAX);
	assert_int_equal(h.record[0].id, 4);
	assert_int_equal(history_last(&h)->id, HISTORY_MAX + 3);
	history_free(&h);
}

static void incomplete_file_is_rejected(void **state)
{
	struct history h = { 0 }, got = { 0 };
	char path[128], text[4096], *p;
	size_t size;
	FILE *f;

	(void)state;
	assert_int_equal(history_load(&got, dir), -ENOENT);
	add_backup(&h, 1, true);
	assert_int_equal(history_save(&h, dir), 0);
	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, dir);
	f = fopen(path, "r");
	size = fread(text, 1, sizeof(text), f);
	fclose(f);
	/* Only the newline at the end may be missing. */
	for (size_t len = 0; len + 1 < size; len++) {
		f = fopen(path, "w");
		fwrite(text, 1, len, f);
		fclose(f);
		assert_int_equal(history_load(&got, dir), -EPROTO);
		history_free(&got);
	}
	/* Numbers out of range are changed to valid ones, and unknown lines are ignored. */
	p = memmem(text, size, "action=0", 8);
	assert_non_null(p);
	p[7] = '9';
	f = fopen(path, "w");
	fwrite(text, 1, size - 4, f);
	fputs("news\tof=tomorrow\nend\n", f);
	fclose(f);
	assert_int_equal(history_load(&got, dir), 0);
	assert_int_equal(history_last(&got)->fs[0].action, RECORD_FROZEN);
	history_free(&h);
	history_free(&got);
}

static void another_process_reads_the_state(void **state)
{
	struct livestate_view view;
	struct livestate live;
	char path[128];
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(livestate_read(&view, dir), 0);
	assert_false(view.running);
	assert_int_equal(livestate_start(&live, dir), 0);
	livestate_set(&live, LIVE_FROZEN, 77);
	livestate_set(&live, LIVE_FROZEN, 99);	/* the state has not changed since 77 */
	assert_int_equal(livestate_read(&view, dir), 0);
	assert_true(view.running);
	assert_int_equal(view.pid, getpid());
	assert_int_equal(view.state, LIVE_FROZEN);
	assert_int_equal(view.since, 77);
	assert_int_equal(view.left, -1);
	livestate_set_left(&live, 4);
	assert_int_equal(livestate_read(&view, dir), 0);
	assert_int_equal(view.left, 4);
	/* The daemon may be of a version that did not publish this. */
	snprintf(path, sizeof(path), "%s/" LIVESTATE_FILE, dir);
	assert_int_equal(truncate(path, offsetof(struct livestate_page, left)), 0);
	assert_int_equal(livestate_read(&view, dir), 0);
	assert_int_equal(view.since, 77);
	assert_int_equal(view.left, -1);
	assert_int_equal(truncate(path, offsetof(struct livestate_page, left) - 1), 0);
	assert_int_equal(livestate_read(&view, dir), -EPROTO);
	assert_int_equal(truncate(path, sizeof(struct livestate_page)), 0);
	livestate_stop(&live);
	assert_int_equal(livestate_read(&view, dir), 0);
	assert_false(view.running);
	/* A daemon that was killed can't remove its state. */
	child = fork();
	if (!child)
		_exit(livestate_start(&live, dir) ? 1 : 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(livestate_read(&view, dir), 0);
	assert_false(view.running);
}

/* The next daemon learns from it that a backup has failed. */
static void a_killed_daemon_leaves_its_last_state(void **state)
{
	struct livestate_end end;
	struct livestate live;

	(void)state;
	assert_false(livestate_was_interrupted(&end, dir));
	assert_int_equal(livestate_start(&live, dir), 0);
	for (enum live_state i = 0; i < LIVE_STATES; i++) {
		livestate_set(&live, i, 100 + i);
		assert_int_equal(livestate_was_interrupted(&end, dir), i > LIVE_IDLE);
		if (i <= LIVE_IDLE)
			continue;
		assert_int_equal(end.state, i);
		assert_int_equal(end.since, 100 + i);
	}
	atomic_store(&live.page->state, LIVE_STATES);
	assert_false(livestate_was_interrupted(&end, dir));
	livestate_set(&live, LIVE_FROZEN, 1);
	livestate_stop(&live);
	assert_false(livestate_was_interrupted(&end, dir));
}

/* Another process has the pid now. */
static void process_with_the_same_pid_is_not_the_daemon(void **state)
{
	struct livestate_view view;
	struct livestate live;

	(void)state;
	assert_int_equal(livestate_start(&live, dir), 0);
	live.page->start_time++;
	assert_int_equal(livestate_read(&view, dir), 0);
	assert_false(view.running);
	livestate_stop(&live);
}

/* Stopped by a debugger or by SIGSTOP, it does nothing. */
static void stopped_daemon_is_recognised(void **state)
{
	struct livestate_view view;
	struct livestate live;
	pid_t child;
	int status;

	(void)state;
	child = fork();
	if (!child) {
		if (!livestate_start(&live, dir))
			raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(livestate_read(&view, dir), 0);
	assert_true(view.running && view.stopped);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
}

#define HOUR_US	3600000000LL

/* Without problems: idle, on our driver, 40 hours after the boot. */
static struct status healthy(void)
{
	return (struct status){
		.live = { .running = true, .pid = 7, .state = LIVE_IDLE },
		.driver = { .offered = true, .name = "hv_vss" },
		.now = 40 * HOUR_US,
		.wall = 1700000000000000 + 5 * HOUR_US,
	};
}

/* check_line() prints one line that begins with @want, and returns @code. */
static void line_is(const struct status *s, int64_t warn_us, int64_t max_us, enum check_code code,
		    const char *want)
{
	const struct status_limits limits = { .warn_us = warn_us, .max_us = max_us };
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(check_line(f, s, &limits), code);
	fclose(f);
	if (strncmp(text, want, strlen(want)) != 0)
		fail_msg("'%s' does not begin with '%s'", text, want);
	assert_ptr_equal(strchr(text, '\n'), text + size - 1);
	free(text);
}

static void codes_for_scripts(void **state)
{
	struct status s = healthy();

	(void)state;
	assert_int_equal(status_code(&s), STATUS_OK);
	s.live.state = LIVE_WAITING;
	assert_int_equal(status_code(&s), STATUS_FAILED);
	s.live.state = LIVE_FROZEN;
	assert_int_equal(status_code(&s), STATUS_OK);
	s.live.stopped = true;
	assert_int_equal(status_code(&s), STATUS_FAILED);
	s.live.stopped = false;
	s.driver.name[0] = '\0';
	assert_int_equal(status_code(&s), STATUS_FAILED);
	s = healthy();
	strcpy(s.driver.closed, "the channel can't be opened");
	assert_int_equal(status_code(&s), STATUS_FAILED);
	line_is(&s, 0, 0, CHECK_CRITICAL, "HV-VSS CRITICAL: the channel can't be opened; driver ");
	s = healthy();
	add_backup(&s.history, 1, false);
	assert_int_equal(status_code(&s), STATUS_FAILED);
	add_backup(&s.history, 2, true);
	assert_int_equal(status_code(&s), STATUS_OK);
	s.live.running = false;
	assert_int_equal(status_code(&s), STATUS_NOT_RUNNING);
	s.error = -EACCES;
	assert_int_equal(status_code(&s), STATUS_UNKNOWN);
	history_free(&s.history);
}

static void a_line_for_monitoring(void **state)
{
	struct status s = healthy();

	(void)state;
	line_is(&s, 0, 0, CHECK_OK,
		"HV-VSS OK: no backup since the guest was booted, 40 h ago; driver hv_vss\n");
	line_is(&s, 0, 41 * HOUR_US, CHECK_OK, "HV-VSS OK: no backup");
	line_is(&s, 0, 39 * HOUR_US, CHECK_CRITICAL, "HV-VSS CRITICAL: no backup since");
	add_backup(&s.history, 1, true);
	line_is(&s, 0, 0, CHECK_OK, "HV-VSS OK: last backup 2023-11-1");
	line_is(&s, 0, 6 * HOUR_US, CHECK_OK, "HV-VSS OK: ");
	line_is(&s, 4 * HOUR_US, 6 * HOUR_US, CHECK_WARNING, "HV-VSS WARNING: last backup");
	line_is(&s, 3 * HOUR_US, 4 * HOUR_US, CHECK_CRITICAL, "HV-VSS CRITICAL: last backup");
	/* A good one whose disks were written to: a warning, but its age counts for more. */
	history_last(&s.history)->written = 1;
	strcpy(history_last(&s.history)->evidence, "written to while frozen: sda");
	line_is(&s, 0, 0, CHECK_WARNING, "HV-VSS WARNING: the disks of the backup of 2023-11-1");
	line_is(&s, 3 * HOUR_US, 4 * HOUR_US, CHECK_CRITICAL, "HV-VSS CRITICAL: last backup");
	history_last(&s.history)->written = 0;
	/* The clock was set back. */
	s.wall -= 10 * HOUR_US;
	line_is(&s, 0, HOUR_US, CHECK_OK, "HV-VSS OK: ");
	history_free(&s.history);
}

static void figures_for_monitoring(void **state)
{
	const struct status_limits limits = { .warn_us = 6 * HOUR_US, .max_us = 7 * HOUR_US };
	struct status s = healthy();
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	add_backup(&s.history, 1, true);
	history_last(&s.history)->held_us = 1234567;
	check_line(f, &s, &limits);
	fclose(f);
	assert_non_null(strstr(text, " h ago; driver hv_vss | age=17999s;21600;25200;0 "
			       "held=1.234s;;;0\n"));
	free(text);
	history_free(&s.history);
}

static void problems_for_monitoring(void **state)
{
	struct status s = healthy();

	(void)state;
	add_backup(&s.history, 1, true);
	s.live.state = LIVE_WAITING;
	line_is(&s, 0, 0, CHECK_CRITICAL, "HV-VSS CRITICAL: the daemon waits for the device; ");
	s.live.state = LIVE_FROZEN;
	s.live.since = s.now - HOUR_US;
	line_is(&s, 0, 0, CHECK_WARNING, "HV-VSS WARNING: frozen for 60 min; ");
	s.live.state = LIVE_IDLE;
	s.live.stopped = true;
	line_is(&s, 0, 0, CHECK_CRITICAL, "HV-VSS CRITICAL: the daemon is stopped by a signal");
	s.live.stopped = false;
	s.driver.name[0] = '\0';
	strcpy(s.driver.why_not, "the host|is\nodd");
	line_is(&s, 0, 0, CHECK_CRITICAL,
		"HV-VSS CRITICAL: no driver has the host's channel: the host!is?odd | age=");
	strcpy(s.driver.name, "hv_utils");
	line_is(&s, 0, 0, CHECK_OK, "HV-VSS OK: ");
	add_backup(&s.history, 2, false);
	line_is(&s, 0, 0, CHECK_CRITICAL, "HV-VSS CRITICAL: the backup of 2023-11-1");
	s.live.running = false;
	line_is(&s, 0, 0, CHECK_CRITICAL, "HV-VSS CRITICAL: the daemon is not running; ");
	s.error = -EACCES;
	line_is(&s, 0, 0, CHECK_UNKNOWN, "HV-VSS UNKNOWN: the daemon's status files cannot be "
		"read: Permission denied");
	history_free(&s.history);
}

/* Other users choose the names of FUSE mounts and their subtypes, which --status prints. */
static void control_characters_do_not_reach_the_terminal(void **state)
{
	struct status s = healthy();
	struct record r = { .id = 1, .op = HV_VSS_OP_FREEZE, .ok = true };
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	record_add_fs(&r, "/m\033[2J", "fuse.\033]0;x\a", "s", "why\033[1m\nso")->action =
		RECORD_SKIPPED;
	history_add(&s.history, &r);
	status_text(f, &s);
	fclose(f);
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text, "(fuse.\\033]0;x\\007): why\\033[1m\\012so\n"));
	free(text);
	history_free(&s.history);
}

static void now_is(const struct status *s, const char *want)
{
	char line[256];

	status_now(line, sizeof(line), s);
	if (!want[0] || strncmp(line, want, strlen(want)) != 0)
		fail_msg("not '%s': %s", want, line);
}

static void what_happens_now_is_a_line(void **state)
{
	struct status s = healthy();

	(void)state;
	now_is(&s, "idle: no backup is being made");
	s.now = 100 * 1000000;
	s.live.since = 88 * 1000000 - 1;
	s.live.state = LIVE_SYNCING;
	s.live.left = 3;
	now_is(&s, "syncing for 12 s, 3 file systems left, ");
	s.live.left = 1;
	now_is(&s, "syncing for 12 s, 1 file system left, ");
	s.live.state = LIVE_FREEZING;
	now_is(&s, "freezing for 12 s, 1 file system left");
	s.live.state = LIVE_FROZEN;
	s.live.left = -1;
	now_is(&s, "frozen for 12 s");
	s.live.running = false;
	now_is(&s, "the daemon is not running");
	s.error = -EACCES;
	now_is(&s, "Permission denied");
}

static void every_state_has_a_token(void **state)
{
	(void)state;
	for (enum live_state i = 0; i < LIVE_STATES; i++) {
		assert_non_null(livestate_token(i));
		assert_null(strchr(livestate_token(i), ' '));
	}
}

static void text_for_people(void **state)
{
	struct status s = { .live = { .running = true, .pid = 7, .state = LIVE_IDLE } };
	char *text;
	size_t size;
	FILE *f;

	(void)state;
	s.history.daemon.connected = true;
	s.history.daemon.hold_us = 59500000;
	s.history.daemon.hold_asked_us = 300000000;
	add_backup(&s.history, 1, true);
	add_backup(&s.history, 2, false);
	f = open_memstream(&text, &size);
	status_text(f, &s);
	fclose(f);
	assert_non_null(strstr(text, "daemon: running (pid 7), idle; base protocol, "));
	assert_non_null(strstr(text, "  holds a freeze for 59.5 s at most: hv_vss does not allow "
			       "--hold=300 (its parameter hold_max_ms)\n"));
	assert_non_null(strstr(text, "driver: none\n"));
	assert_non_null(strstr(text, "FAILED: asked for FREEZE of 3 disks, freeze answered with "
			       "success, thaw with failure\n    why: a\\011b\\134c\\012d=e\n"));
	assert_non_null(strstr(text, "    frozen    /odd\\012\\011name\\134n"));
	assert_non_null(strstr(text, "    skipped   /mnt (nfs4): network file system\n"));
	free(text);
	history_free(&s.history);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(saved_history_is_loaded),
		cmocka_unit_test(oldest_backup_is_dropped),
		TEST(incomplete_file_is_rejected),
		TEST(another_process_reads_the_state),
		TEST(a_killed_daemon_leaves_its_last_state),
		TEST(process_with_the_same_pid_is_not_the_daemon),
		TEST(stopped_daemon_is_recognised),
		cmocka_unit_test(codes_for_scripts),
		cmocka_unit_test(a_line_for_monitoring),
		cmocka_unit_test(figures_for_monitoring),
		cmocka_unit_test(problems_for_monitoring),
		cmocka_unit_test(control_characters_do_not_reach_the_terminal),
		cmocka_unit_test(what_happens_now_is_a_line),
		cmocka_unit_test(every_state_has_a_token),
		cmocka_unit_test(text_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
