// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/procfs.c daemon/base/sysattr.c daemon/base/sysops.c
// Sources: daemon/blockers/btrfsop.c daemon/blockers/busy.c daemon/blockers/culprit.c
// Sources: daemon/blockers/syscalls.c daemon/blockers/tasks.c tests/unit/quiet.c
/* Blockers of a freeze: children of this process, found in the real /proc. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "blockers/busy.h"
#include "blockers/syscalls.h"
#include "test.h"

#define CROWD	1000
#define REST	" 0x0 0x0 0x7ffc01020304 0x7f0000000000\n"

static const struct busy_config config = { .proc = "/proc", .sysfs = "/sys" };
static char place[32] = "/tmp/hv-vss-busy-XXXXXX";
static int file = -1;

static int make_file(void **state)
{
	(void)state;
	file = mkstemp(place);
	return file < 0;
}

static int remove_file(void **state)
{
	(void)state;
	close(file);
	return unlink(place);
}

static int own_mount_id(void)
{
	char path[64], text[512];
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), id;

	snprintf(path, sizeof(path), "self/fdinfo/%d", file);
	id = procfs_mount_id(proc, path, text, sizeof(text));
	close(proc);
	return id;
}

static struct busy *new_check(int mount)
{
	struct target target = {
		.path = (char *)"/here", .type = (char *)"ext4", .mount = &mount, .mounts = 1,
	};
	const struct fsset set = { .target = &target, .n = 1, .ops = &sysops_real };
	struct busy *b = busy_new(&set, &config);

	assert_non_null(b);
	return b;
}

/* Also run in a thread: threads are listed below their process in /proc. */
static void *splice_forever(void *arg)
{
	int pair[2];

	(void)arg;
	if (!pipe(pair))
		splice(pair[0], NULL, file, NULL, 4096, 0);
	return NULL;
}

static void *feed(void *arg)
{
	const int *to = arg;

	while (write(*to, "", 1) == 1)
		usleep(20000);
	return NULL;
}

/* Sleeps nearly all the time in the same call with the same arguments. */
static void splice_repeatedly(void)
{
	pthread_t thread;
	int pair[2];

	if (pipe(pair) || pthread_create(&thread, NULL, feed, &pair[1]))
		_exit(1);
	while (splice(pair[0], NULL, file, NULL, 4096, 0) > 0)
		;
}

static void write_repeatedly(void)
{
	static char data[1 << 20];

	while (pwrite(file, data, sizeof(data), 0) == sizeof(data))
		;
}

/* In the same file system as the file, but nothing of it is written there. */
static void fill_pipe(void)
{
	static char data[1 << 20];
	char path[48];
	int fd;

	snprintf(path, sizeof(path), "%s-pipe", place);
	fd = mkfifo(path, 0600) ? -1 : open(path, O_RDWR);
	unlink(path);
	while (fd >= 0 && write(fd, data, sizeof(data)) > 0)
		;
}

static pid_t child(void (*run)(void), bool in_thread)
{
	pid_t pid = fork();
	pthread_t thread;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* if the test fails */
	if (run)
		run();
	else if (in_thread && !pthread_create(&thread, NULL, splice_forever, NULL))
		pthread_join(thread, NULL);
	else
		splice_forever(NULL);
	_exit(0);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Only this process: another run of this test may have children in the same calls. */
static const struct culprit *named(const struct busy *b, pid_t pid)
{
	for (size_t i = 0; i < b->found.n; i++)
		if (b->found.one[i].pid == pid)
			return &b->found.one[i];
	return NULL;
}

static void stuck_task_is_found(void **state)
{
	(void)state;
	for (int threads = 0; threads <= 1; threads++) {
		struct busy *b = new_check(own_mount_id());
		pid_t pid = child(NULL, threads);
		char text[128], expected[128];

		usleep(200000);
		busy_check(b);
		assert_int_equal(b->result, -EBUSY);
		assert_non_null(named(b, pid));
		assert_string_equal(named(b, pid)->path, "/here");
		culprit_words(text, sizeof(text), named(b, pid));
		snprintf(expected, sizeof(expected), "process %d (test_busy) is in splice()", pid);
		assert_string_equal(text, expected);
		b->fs[0].wanted = true;
		busy_name(b);
		assert_non_null(named(b, pid));
		b->fs[0].wanted = false;
		busy_name(b);
		assert_null(named(b, pid));
		end(pid);
		busy_free(b);
	}
}

/* It is always in the same call with the same arguments, but each call returns. */
static void working_task_is_not_found(void **state)
{
	struct busy *b = new_check(own_mount_id());
	pid_t pid = child(splice_repeatedly, false);

	(void)state;
	usleep(200000);
	for (int i = 0; i < 3; i++) {
		busy_check(b);
		assert_null(named(b, pid));
	}
	end(pid);
	busy_free(b);
}

/* As with Ctrl-Z: /proc shows the call in which it was, but it has left it. */
static void stopped_task_is_not_found(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct busy *b = new_check(own_mount_id());
		pid_t pid = child(write_repeatedly, false);

		usleep(100000 + i * 7000);
		kill(pid, SIGSTOP);
		busy_check(b);
		assert_null(named(b, pid));
		b->fs[0].wanted = true;
		busy_name(b);
		assert_null(named(b, pid));
		end(pid);
		busy_free(b);
	}
}

static void task_that_writes_to_a_pipe_is_not_found(void **state)
{
	struct busy *b = new_check(own_mount_id());
	pid_t pid = child(fill_pipe, false);

	(void)state;
	usleep(200000);
	busy_check(b);
	assert_null(named(b, pid));
	end(pid);
	busy_free(b);
}

static void *sleep_forever(void *arg)
{
	(void)arg;
	pause();
	return NULL;
}

static void have_many_threads(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	for (int i = 1; i < CROWD; i++)
		if (pthread_create(&thread, &attr, sleep_forever, NULL))
			_exit(1);
	pause();
}

static void ignore(void *arg, const struct task *task)
{
	(void)arg;
	(void)task;
}

static int64_t own_cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

/* A task takes some microseconds, more with sanitizers. */
static void check_of_many_tasks_is_fast(void **state)
{
	struct busy *b = new_check(own_mount_id());
	pid_t pid = child(have_many_threads, false);
	int64_t begun;

	(void)state;
	sleep(1);
	begun = own_cpu_us();
	assert_int_equal(tasks_each(&b->tasks, ignore, NULL), 0);
	begun = own_cpu_us() - begun;
	print_message("# a check of all tasks, %d of them of this test, takes %d us\n", CROWD,
		      (int)begun);
	assert_in_range(begun, 0, CROWD * 200);
	end(pid);
	busy_free(b);
}

static void task_stuck_on_another_mount_is_not_found(void **state)
{
	struct busy *b = new_check(own_mount_id() + 100000);
	pid_t pid = child(NULL, false);

	(void)state;
	usleep(200000);
	busy_check(b);
	assert_int_equal(b->result, 0);
	end(pid);
	busy_free(b);
}

static void calls_that_write_are_recognised(void **state)
{
	static const struct {
		const char *text, *name;	/* no name: not a call that matters */
		int fd;
	} cases[] = {
		{ "running\n", NULL, 0 },
		{ "", NULL, 0 },
		{ "-1 0x7ffdb8e0 0x7f1200000000\n", NULL, 0 },
#ifdef __x86_64__
		{ "0 0x3 0x1 0x2 0x0" REST, NULL, 0 },
		{ "1 0x3 0x1 0x2 0x0" REST, "write", 3 },
		{ "275 0x3 0x0 0x9 0x0" REST, "splice", 9 },
		{ "40 0x8 0x3 0x0 0x0" REST, "sendfile", 8 },
		{ "16 0x4 0xc400941b 0x0 0x0" REST, "btrfs scrub", 4 },
		{ "16 0x4 0x5401 0x0 0x0" REST, NULL, 0 },
		{ "257 0xffffff9c 0x1 0x241 0x0" REST, "openat", -1 },
		{ "257 0xffffff9c 0x1 0x0 0x0" REST, NULL, 0 },
		{ "2 0x1 0x200 0x0 0x0" REST, "open", -1 },
		{ "83 0x1 0x0 0x0 0x0" REST, "mkdir", -1 },
		{ "202 0x1 0x0 0x0 0x0" REST, NULL, 0 },
		/* A 32-bit task: its stack is below 4 GiB, and 1 is exit(). */
		{ "4 0x3 0x1 0x2 0x0 0x0 0x0 0xffb01020 0xf7000000\n", "write", 3 },
		{ "1 0x3 0x1 0x2 0x0 0x0 0x0 0xffb01020 0xf7000000\n", NULL, 0 },
#endif
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct syscall_line line = { .nr = -1 };
		struct syscall_write w = { .name = NULL };

		if (syscalls_parse(&line, cases[i].text) || syscalls_writes(&w, &line)) {
			assert_null(cases[i].name);
			continue;
		}
		assert_string_equal(w.name, cases[i].name);
		assert_int_equal(w.fd, cases[i].fd);
	}
}

static void culprits_are_described(void **state)
{
	struct culprit c = { .call = "scrub" };
	char text[128];

	(void)state;
	culprit_words(text, sizeof(text), &c);
	assert_string_equal(text, "a btrfs scrub runs");
	c = (struct culprit){ .pid = 3, .comm = "sh", .call = "openat", .waits = "fanotify" };
	culprit_words(text, sizeof(text), &c);
	assert_string_equal(text, "process 3 (sh) is in openat(), waiting for a fanotify listener");
}

#ifdef __x86_64__
static void write_entry(const char *root, const char *name, const char *text)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "%s/7/task/7/%s", root, name);
	out = fopen(path, "we");
	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static void make_directories(const char *root)
{
	static const char * const names[] = { "7", "7/task", "7/task/7", "7/task/7/fdinfo" };
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, names[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
}

static void remember_wait(void *arg, const struct task *task)
{
	*(enum task_wait *)arg = task->wait;
}

/* wchan is "0" on 5.10 for a task that waits for the thaw, which must not count as a blocker. */
static void place_of_waiting_is_known_from_stack_or_wchan(void **state)
{
	static const struct {
		const char *stack, *wchan;
		enum task_wait wait;
	} cases[] = {
		{ "[<0>] percpu_rwsem_wait+0x1/0x2\n[<0>] vfs_write+0x1/0x2\n", "0",
		  TASK_WAITS_FREEZE },
		{ "[<0>] pipe_wait+0x1/0x2\n[<0>] do_splice+0x1/0x2\n", "0", TASK_WAITS },
		{ "[<0>] fanotify_handle_event+0x1/0x2\n", "0", TASK_WAITS_LISTENER },
		{ "", "__sb_start_write", TASK_WAITS_FREEZE },
		{ "", "pipe_wait", TASK_WAITS },
		{ "", "0", TASK_WAITS },
	};
	char root[] = "/tmp/hv-vss-proc-XXXXXX", command[64];
	struct tasks *t = calloc(1, sizeof(*t));

	(void)state;
	assert_non_null(t);
	assert_non_null(mkdtemp(root));
	make_directories(root);
	write_entry(root, "syscall", "1 0x3 0x1 0x2 0x0" REST);
	write_entry(root, "fdinfo/3", "pos:\t0\nmnt_id:\t5\n");
	assert_int_equal(tasks_open(t, root), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum task_wait wait = -1;

		write_entry(root, "stack", cases[i].stack);
		write_entry(root, "wchan", cases[i].wchan);
		assert_int_equal(tasks_each(t, remember_wait, &wait), 0);
		assert_int_equal(wait, cases[i].wait);
	}
	tasks_close(t);
	free(t);
	snprintf(command, sizeof(command), "rm -r %s", root);
	assert_int_equal(system(command), 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stuck_task_is_found),
		cmocka_unit_test(working_task_is_not_found),
		cmocka_unit_test(stopped_task_is_not_found),
		cmocka_unit_test(task_that_writes_to_a_pipe_is_not_found),
		cmocka_unit_test(check_of_many_tasks_is_fast),
		cmocka_unit_test(task_stuck_on_another_mount_is_not_found),
		cmocka_unit_test(calls_that_write_are_recognised),
		cmocka_unit_test(culprits_are_described),
#ifdef __x86_64__
		cmocka_unit_test(place_of_waiting_is_known_from_stack_or_wchan),
#endif
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
