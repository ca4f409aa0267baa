// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/memfs.c daemon/base/nsthread.c daemon/base/pool.c daemon/base/procstate.c
// Sources: daemon/base/sysattr.c daemon/driver/guardfd.c daemon/evidence/diskstats.c
// Sources: daemon/evidence/evidence.c daemon/evidence/swaps.c daemon/evidence/verdict.c
// Sources: daemon/plan/blockdev.c daemon/plan/fstypes.c daemon/plan/journals.c
// Sources: daemon/plan/lookup.c daemon/plan/mountinfo.c daemon/plan/mounts.c
// Sources: daemon/plan/mountview.c daemon/plan/namespaces.c daemon/plan/order.c
// Sources: daemon/plan/pattern.c daemon/plan/policy.c daemon/targets/covered.c
// Sources: daemon/targets/fsset.c daemon/targets/openfs.c daemon/unguarded/leftover.c
// Sources: daemon/unguarded/rescue.c tests/unit/quiet.c
// Libraries: mount
/*
 * The notes of what is frozen, and which file systems are thawed because of them. The mount table
 * is the real one, and its file systems are opened, but FITHAW is simulated.
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

#include "base/log.h"
#include "test.h"
#include "unguarded/leftover.h"

#define TARGETS	3

static struct {
	char dir[64];
	struct leftover leftover;
	struct build_config config;
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
	strcpy(m.dir, "/dev/shm/hv-vss-run-XXXXXX");
	if (!mkdtemp(m.dir))
		return -1;
	m.config = (struct build_config){ .own_namespace_only = true, .sysfs = "/sys" };
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

static void marked_file_systems_are_thawed_in_reverse_order(void **state)
{
	(void)state;
	assert_int_equal(leftover_write_notes(&m.leftover, m.set), 0);
	mark(1, MARK_FROZEN);
	mark(2, MARK_INTENT);
	assert_int_equal(leftover_owner(&m.leftover), getpid());
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 2);
	assert_thawed(0, "/sys");
	assert_thawed(1, "/proc");
	/* Only once. */
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 2);
}

static void without_marks_nothing_is_thawed(void **state)
{
	(void)state;
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	assert_int_equal(leftover_write_notes(&m.leftover, m.set), 0);
	mark(1, MARK_FROZEN);
	mark(1, MARK_NONE);
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 0);
}

static void already_thawed_is_no_error(void **state)
{
	(void)state;
	leftover_write_notes(&m.leftover, m.set);
	mark(1, MARK_FROZEN);
	m.thaw_error = -EINVAL;
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	mark(1, MARK_FROZEN);
	m.thaw_error = -EIO;
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), -EIO);
}

/* A hung FIFREEZE may succeed later, so as long as its process exists, FITHAW is tried again. */
static void intent_of_a_living_process_stays_in_the_notes(void **state)
{
	(void)state;
	leftover_write_notes(&m.leftover, m.set);
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

static void notes_are_kept_in_memory_only(void **state)
{
	int fd = m.leftover.fd;

	(void)state;
	/* A file that is not in memory. */
	m.leftover.fd = open("/proc/self/exe", O_RDONLY);
	assert_int_equal(leftover_write_notes(&m.leftover, m.set), -EXDEV);
	close(m.leftover.fd);
	m.leftover.fd = fd;
	assert_null(m.set->target[0].mark);
}

static int open_all(int **fd)
{
	*fd = calloc(TARGETS, sizeof(**fd));
	(*fd)[0] = open("/", O_RDONLY);
	(*fd)[1] = open("/proc", O_RDONLY);
	(*fd)[2] = open("/sys", O_RDONLY);
	return (*fd)[2] < 0 ? -1 : 0;
}

static int no_open(const char *path, int flags)
{
	(void)path;
	(void)flags;
	fail_msg("opens a path");
	return -EIO;
}

/* It can thaw even if the paths of frozen file systems do not work any more. */
static void guardian_opens_no_path(void **state)
{
	struct sysops blind = ops;
	int *fd;

	(void)state;
	blind.open = no_open;
	assert_int_equal(open_all(&fd), 0);
	assert_int_equal(leftover_write_notes(&m.leftover, m.set), 0);
	assert_int_equal(leftover_prepare(&m.leftover, fd, TARGETS, m.leftover.number), 0);
	mark(0, MARK_INTENT);
	mark(2, MARK_FROZEN);
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &blind), 0);
	assert_int_equal(atomic_load(&m.thaws), 2);
	assert_thawed(0, "/sys");
	assert_thawed(1, "/");
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &blind), 0);
	assert_int_equal(atomic_load(&m.thaws), 2);
	leftover_release(&m.leftover);
}

/* The guardian has missed a command: its descriptors are not those of the notes. */
static void guardian_with_old_descriptors_uses_the_notes(void **state)
{
	uint32_t number;
	int *fd, swap;

	(void)state;
	assert_int_equal(open_all(&fd), 0);
	swap = fd[0];
	fd[0] = fd[1];
	fd[1] = swap;
	assert_int_equal(leftover_write_notes(&m.leftover, m.set), 0);
	number = m.leftover.number;
	assert_int_equal(leftover_write_notes(&m.leftover, m.set), 0);
	assert_int_equal(leftover_prepare(&m.leftover, fd, TARGETS, number), 0);
	mark(1, MARK_FROZEN);
	assert_int_equal(leftover_thaw(&m.leftover, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 1);
	assert_thawed(0, "/proc");
	leftover_release(&m.leftover);
}

static void hold_deadline_is_in_the_notes(void **state)
{
	(void)state;
	assert_int_equal(leftover_deadline(&m.leftover), 0);
	leftover_write_notes(&m.leftover, m.set);
	assert_int_equal(leftover_deadline(&m.leftover), LEFTOVER_FREEZING);
	atomic_store(m.set->until, 123456789);
	assert_int_equal(leftover_deadline(&m.leftover), 123456789);
}

static void second_daemon_is_refused_while_the_first_lives(void **state)
{
	struct leftover second;

	(void)state;
	leftover_write_notes(&m.leftover, m.set);
	assert_int_equal(leftover_lock(&second, m.dir), -EBUSY);
	assert_int_equal(second.fd, -1);
}

/* A thread that hangs keeps the descriptors, and so the lock, of a daemon that was killed. */
static void lock_of_a_dead_daemon_is_ignored(void **state)
{
	struct leftover second;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		leftover_write_notes(&m.leftover, m.set);
		mark(1, MARK_FROZEN);
		_exit(0);
	}
	/* It stays a zombie, as a daemon with a hung thread would. */
	waitid(P_PID, pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
	assert_int_equal(leftover_lock(&second, m.dir), 0);
	assert_int_equal(leftover_thaw(&second, &m.config, &ops), 0);
	assert_int_equal(atomic_load(&m.thaws), 1);
	close(second.fd);
	waitpid(pid, NULL, 0);
}

/* Takes the lock and dies. Another process keeps the lock, like a hung thread would. */
static void lock_and_die(int keeper)
{
	struct leftover l;
	char c;

	if (leftover_lock(&l, m.dir))
		_exit(1);
	if (fork())
		_exit(0);
	/* Until the end of the test. */
	_exit(read(keeper, &c, 1) < 0);
}

/* With the kernel's guard there are no notes. */
static void lock_knows_its_owner_without_notes(void **state)
{
	struct leftover second;
	siginfo_t info;
	int keeper[2];
	pid_t pid;

	(void)state;
	assert_int_equal(leftover_owner(&m.leftover), 0);
	assert_int_equal(pipe(keeper), 0);
	close(m.leftover.fd);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(keeper[1]);
		lock_and_die(keeper[0]);
	}
	waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
	assert_int_equal(info.si_status, 0);
	assert_int_equal(leftover_lock(&second, m.dir), 0);
	close(second.fd);
	close(keeper[0]);
	close(keeper[1]);
	waitpid(pid, NULL, 0);
	m.leftover.fd = open("/dev/null", O_RDONLY);
}

/* The owner of old notes does not count as the owner of the lock. */
static void lock_of_a_living_daemon_is_respected(void **state)
{
	struct leftover second;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(leftover_write_notes(&m.leftover, m.set));
	waitpid(pid, NULL, 0);
	close(m.leftover.fd);
	assert_int_equal(leftover_lock(&m.leftover, m.dir), 0);
	assert_int_equal(leftover_owner(&m.leftover), pid);
	assert_int_equal(leftover_lock(&second, m.dir), -EBUSY);
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
		TEST(marked_file_systems_are_thawed_in_reverse_order),
		TEST(without_marks_nothing_is_thawed),
		TEST(already_thawed_is_no_error),
		TEST(intent_of_a_living_process_stays_in_the_notes),
		TEST(notes_are_kept_in_memory_only),
		TEST(guardian_opens_no_path),
		TEST(guardian_with_old_descriptors_uses_the_notes),
		TEST(hold_deadline_is_in_the_notes),
		TEST(second_daemon_is_refused_while_the_first_lives),
		TEST(lock_of_a_dead_daemon_is_ignored),
		TEST(lock_knows_its_owner_without_notes),
		TEST(lock_of_a_living_daemon_is_respected),
		TEST(damaged_notes_thaw_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
