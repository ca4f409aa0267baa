// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/history.c daemon/lines.c daemon/record.c daemon/live.c daemon/status.c
// Sources: daemon/statustext.c daemon/json.c daemon/driver.c daemon/words.c daemon/sysops.c
// Sources: daemon/sysattr.c tests/unit/quiet.c
/* What --status reads is what the daemon has written, and nothing else is believed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv_vss.h"
#include "log.h"
#include "status.h"
#include "test.h"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	/* Of all directories this is the one that is in memory. */
	snprintf(dir, sizeof(dir), "/dev/shm/hv-vss-test.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/" HISTORY_FILE, dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/" LIVE_FILE, dir);
	unlink(path);
	return rmdir(dir);
}

static void add_backup(struct history *h, unsigned long id, bool ok)
{
	struct record r = {
		.id = id, .time = 1700000000000000 + id, .op = HV_VSS_OP_FREEZE, .disks = 3,
		.freeze = ANSWER_OK, .thaw = ok ? ANSWER_OK : ANSWER_FAILED, .ok = ok,
		.sync_us = 1234567, .held_us = 42,
	};
	struct record_fs *fs;

	snprintf(r.reason, sizeof(r.reason), "%s", ok ? "" : "a\tb\\c\nd=e");
	fs = record_add_fs(&r, "/odd\n\tname\\n \xff=x", "ext4", "/dev/sda", NULL);
	fs->action = RECORD_FROZEN;
	fs->sync_us = 7;
	fs = record_add_fs(&r, "/mnt", "nfs4", "server:/x", "network file system");
	fs->action = RECORD_SKIPPED;
	history_add(h, &r);
	h->last_id = id;
}

static void what_is_saved_is_loaded(void **state)
{
	struct history h = { .check_time = 5, .check_ok = true }, got = { 0 };
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
	assert_true(got.check_ok);
	assert_int_equal(got.n, 2);
	r = history_last(&got);
	assert_int_equal(r->id, 2);
	assert_false(r->ok);
	assert_int_equal(r->thaw, ANSWER_FAILED);
	assert_int_equal(r->sync_us, 1234567);
	assert_string_equal(r->reason, "a\tb\\c\nd=e");
	assert_int_equal(r->n, 2);
	assert_string_equal(r->fs[0].path, "/odd\n\tname\\n \xff=x");
	assert_null(r->fs[0].reason);
	assert_int_equal(r->fs[0].sync_us, 7);
	assert_int_equal(r->fs[1].action, RECORD_SKIPPED);
	assert_string_equal(r->fs[1].reason, "network file system");
	history_free(&h);
	history_free(&got);
}

static void the_oldest_is_forgotten(void **state)
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

static void nothing_but_a_whole_file_is_believed(void **state)
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
	/* The end may lack its newline, nothing else. */
	for (size_t len = 0; len + 1 < size; len++) {
		f = fopen(path, "w");
		fwrite(text, 1, len, f);
		fclose(f);
		assert_int_equal(history_load(&got, dir), -EPROTO);
		history_free(&got);
	}
	/* Numbers out of bounds become harmless, and unknown lines are of a newer version. */
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

static void another_process_sees_what_is_going_on(void **state)
{
	struct live_view view;
	struct live live;
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(live_look(&view, dir), 0);
	assert_false(view.running);
	assert_int_equal(live_start(&live, dir), 0);
	live_set(&live, LIVE_FROZEN, 77);
	live_set(&live, LIVE_FROZEN, 99);	/* since 77 */
	assert_int_equal(live_look(&view, dir), 0);
	assert_true(view.running);
	assert_int_equal(view.pid, getpid());
	assert_int_equal(view.state, LIVE_FROZEN);
	assert_int_equal(view.since, 77);
	live_stop(&live);
	assert_int_equal(live_look(&view, dir), 0);
	assert_false(view.running);
	/* One that was killed can't say so. */
	child = fork();
	if (!child)
		_exit(live_start(&live, dir) ? 1 : 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(live_look(&view, dir), 0);
	assert_false(view.running);
}

/* The pid is another process' now. */
static void one_with_the_same_pid_is_not_the_daemon(void **state)
{
	struct live_view view;
	struct live live;

	(void)state;
	assert_int_equal(live_start(&live, dir), 0);
	live.page->birth++;
	assert_int_equal(live_look(&view, dir), 0);
	assert_false(view.running);
	live_stop(&live);
}

static void codes_for_monitoring(void **state)
{
	struct status s = { .live.running = true };

	(void)state;
	assert_int_equal(status_code(&s), STATUS_OK);
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

static void words_for_people(void **state)
{
	struct status s = { .live = { .running = true, .pid = 7, .state = LIVE_IDLE } };
	char *text;
	size_t size;
	FILE *f;

	(void)state;
	add_backup(&s.history, 1, true);
	add_backup(&s.history, 2, false);
	f = open_memstream(&text, &size);
	status_text(f, &s);
	fclose(f);
	assert_non_null(strstr(text, "daemon: running (pid 7), idle\n"));
	assert_non_null(strstr(text, "driver: none\n"));
	assert_non_null(strstr(text, "FAILED: asked for FREEZE of 3 disks, freeze answered with "
			       "success, thaw with failure\n    why: a\\011b\\134c\\012d=e\n"));
	assert_non_null(strstr(text, "    frozen    /odd\\012\\011name\\134n"));
	assert_non_null(strstr(text, "    skipped   /mnt (nfs4): network file system\n"));
	free(text);
	history_free(&s.history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, setup, teardown),
		cmocka_unit_test(the_oldest_is_forgotten),
		cmocka_unit_test_setup_teardown(nothing_but_a_whole_file_is_believed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(another_process_sees_what_is_going_on, setup,
						teardown),
		cmocka_unit_test_setup_teardown(one_with_the_same_pid_is_not_the_daemon, setup,
						teardown),
		cmocka_unit_test(codes_for_monitoring),
		cmocka_unit_test(words_for_people),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
