// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/leftover.c daemon/pool.c daemon/fsset.c daemon/uncover.c daemon/mountview.c
// Sources: daemon/mounts.c daemon/order.c daemon/blockdev.c daemon/fstypes.c
// Sources: daemon/luns.c daemon/words.c
// Sources: daemon/sysattr.c tests/unit/quiet.c
// Libraries: mount
/*
 * The notes of what is frozen, and who is thawed by them. The mount table is the machine's own;
 * its file systems are opened, but FITHAW is played.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leftover.h"
#include "log.h"
#include "test.h"

#define TARGETS	3

static struct {
	char dir[64];
	struct leftover leftover;
	struct fsset_config config;
	struct mountview view;
	struct mounts mounts;
	struct fsset *set;
	atomic_int thaws;
	struct stat thawed[TARGETS];
	int thaw_error;
} m;

static int test_open(const char *path, int flags)
{
	int fd = open(path, flags);

	return fd < 0 ? -errno : fd;
}

static int test_close(int fd)
{
	return close(fd) ? -errno : 0;
}

static int test_thaw(int fd)
{
	int n = atomic_fetch_add(&m.thaws, 1);

	assert_true(n < TARGETS);
	assert_int_equal(fstat(fd, &m.thawed[n]), 0);
	return m.thaw_error;
}

static int test_poll(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout);
}

static const struct sysops ops = {
	.open = test_open, .close = test_close, .thaw = test_thaw, .poll_in = test_poll,
};

static int setup(void **state)
{
	static const char * const path[TARGETS] = { "/", "/proc", "/sys" };

	(void)state;
	memset(&m, 0, sizeof(m));
	alarm(60);
	strcpy(m.dir, "/tmp/hv-vss-run-XXXXXX");
	if (!mkdtemp(m.dir))
		return -1;
	m.config = (struct fsset_config){ .own_namespace_only = true, .sysfs = "/sys" };
	if (leftover_lock(&m.leftover, m.dir) || mountview_open(&m.view, true) ||
	    mountview_read(&m.view, &m.mounts))
		return -1;
	m.set = calloc(1, sizeof(*m.set));
	m.set->ops = &ops;
	for (int i = 0; i < TARGETS; i++)
		for (size_t j = 0; j < m.mounts.n; j++)
			if (!strcmp(mounts_fs_path(&m.mounts.fs[j]), path[i]))
				fsset_add(m.set, &m.mounts.fs[j], -1);
	return m.set->n == TARGETS ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	fsset_free(m.set);
	mounts_free(&m.mounts);
	mountview_close(&m.view);
	close(m.leftover.fd);
	snprintf(cmd, sizeof(cmd), "rm -r %s", m.dir);
	return system(cmd);
}

static void mark(int target, enum target_mark mark)
{
	assert_non_null(m.set->target[target].mark);
	atomic_store(m.set->target[target].mark, mark);
}

static void assert_thawed(int n, const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(m.thawed[n].st_dev, st.st_dev);
}

static void only_marked_ones_are_thawed_in_reverse(void **state)
{
	(void)state;
	/* Whether the notes lie in the file system of "/" must not matter to this test. */
	m.set->target[0].dev++;
	assert_int_equal(leftover_note(&m.leftover, m.set), 0);
	mark(1, MARK_FROZEN);
	mark(2, MARK_INTENT);
	assert_int_equal(leftover_owner(&m.leftover), getpid());
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 2);
	assert_thawed(0, "/sys");
	assert_thawed(1, "/proc");
	/* And once only. */
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 2);
}

static void nothing_marked_nothing_thawed(void **state)
{
	(void)state;
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	m.set->target[0].dev++;
	assert_int_equal(leftover_note(&m.leftover, m.set), 0);
	mark(1, MARK_FROZEN);
	mark(1, MARK_NONE);
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 0);
}

static void already_thawed_is_no_error(void **state)
{
	(void)state;
	m.set->target[0].dev++;
	leftover_note(&m.leftover, m.set);
	mark(1, MARK_FROZEN);
	m.thaw_error = -EINVAL;
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	mark(1, MARK_FROZEN);
	m.thaw_error = -EIO;
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), -EIO);
}

/* A FIFREEZE that hangs may succeed after the look: while its process is there, look again. */
static void intent_of_a_living_process_stays_noted(void **state)
{
	(void)state;
	m.set->target[0].dev++;
	leftover_note(&m.leftover, m.set);
	mark(1, MARK_FROZEN);
	mark(2, MARK_INTENT);
	m.thaw_error = -EINVAL;
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 1);
	assert_int_equal(atomic_load(&m.thaws), 2);
	m.thaw_error = 0;
	atomic_store(&m.thaws, 0);
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 1);
	assert_thawed(0, "/sys");
}

static void notes_are_not_kept_where_they_would_be_frozen(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(fstat(m.leftover.fd, &st), 0);
	m.set->target[0].dev = st.st_dev;
	assert_int_equal(leftover_note(&m.leftover, m.set), -EXDEV);
	assert_null(m.set->target[0].mark);
}

static void hold_deadline_is_noted(void **state)
{
	(void)state;
	assert_int_equal(leftover_until(&m.leftover), 0);
	m.set->target[0].dev++;
	leftover_note(&m.leftover, m.set);
	assert_int_equal(leftover_until(&m.leftover), LEFTOVER_SOON);
	atomic_store(m.set->until, 123456789);
	assert_int_equal(leftover_until(&m.leftover), 123456789);
}

static void second_daemon_is_refused_while_the_first_lives(void **state)
{
	struct leftover second;

	(void)state;
	m.set->target[0].dev++;
	leftover_note(&m.leftover, m.set);
	assert_int_equal(leftover_lock(&second, m.dir), -EBUSY);
	assert_int_equal(second.fd, -1);
}

/* A thread that hangs keeps the descriptors, and so the lock, of a daemon that was killed. */
static void lock_of_a_dead_one_is_passed(void **state)
{
	struct leftover second;
	pid_t pid;

	(void)state;
	m.set->target[0].dev++;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		leftover_note(&m.leftover, m.set);
		mark(1, MARK_FROZEN);
		_exit(0);
	}
	/* A zombie, as such a daemon would be, until somebody waits for it. */
	waitid(P_PID, pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	assert_int_equal(leftover_lock(&second, m.dir), 0);
	assert_int_equal(leftover_thaw(&second, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 1);
	close(second.fd);
	waitpid(pid, NULL, 0);
}

static void damaged_notes_thaw_nothing(void **state)
{
	char path[128], record[128];
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/frozen", m.dir);
	f = fopen(path, "w");
	memset(record, 'f', sizeof(record));
	fwrite(record, sizeof(record), 1, f);
	fwrite(record, sizeof(record), 1, f);
	snprintf(record, sizeof(record), "f 4000:4000 ext4 /gone");
	fwrite(record, sizeof(record), 1, f);
	fwrite(record, 50, 1, f);
	fclose(f);
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 0);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_marked_ones_are_thawed_in_reverse),
		TEST(nothing_marked_nothing_thawed),
		TEST(already_thawed_is_no_error),
		TEST(intent_of_a_living_process_stays_noted),
		TEST(notes_are_not_kept_where_they_would_be_frozen),
		TEST(hold_deadline_is_noted),
		TEST(second_daemon_is_refused_while_the_first_lives),
		TEST(lock_of_a_dead_one_is_passed),
		TEST(damaged_notes_thaw_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
