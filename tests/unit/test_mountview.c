// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/nsthread.c daemon/base/sysattr.c daemon/plan/blockdev.c
// Sources: daemon/plan/fstypes.c daemon/plan/journals.c daemon/plan/lookup.c
// Sources: daemon/plan/mountinfo.c daemon/plan/mounts.c daemon/plan/mountview.c
// Sources: daemon/plan/namespaces.c daemon/plan/order.c daemon/plan/pattern.c daemon/plan/policy.c
// Sources: tests/unit/quiet.c
// Libraries: mount
/* Mount namespaces of other processes, on the running kernel. Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plan/mountinfo.h"
#include "plan/mountview.h"
#include "plan/namespaces.h"
#include "test.h"

#define MARK	"hv-vss-unit-test"	/* source of a tmpfs, which identifies a table */

static int ready[2];

static void must(bool holds)
{
	if (!holds)
		_exit(1);
}

/* Moves the caller to a new namespace with a tmpfs at /mnt. */
static void unshare_with_mark(void)
{
	must(!unshare(CLONE_FS | CLONE_NEWNS));
	must(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(!mount(MARK, "/mnt", "tmpfs", 0, NULL));
}

static void signal_ready(void)
{
	must(write(ready[1], "", 1) == 1);
}

static void wait_for_end(void)
{
	for (;;)
		pause();
}

static void in_a_chroot(void)
{
	unshare_with_mark();
	must(!chroot("/proc") && !chdir("/"));
	signal_ready();
	wait_for_end();
}

static void *in_a_thread(void *arg)
{
	(void)arg;
	unshare_with_mark();
	signal_ready();
	wait_for_end();
	return NULL;
}

static void with_a_thread(void)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, in_a_thread, NULL));
	wait_for_end();
}

/* Mounts once more for each SIGUSR1. */
static void in_a_namespace_that_changes(void)
{
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	unshare_with_mark();
	for (;;) {
		signal_ready();
		must(!sigwait(&set, &number));
		must(!mount("none", "/mnt", "tmpfs", 0, NULL));
	}
}

static void wait_ready(void)
{
	char c;

	assert_int_equal(read(ready[0], &c, 1), 1);
}

static pid_t start(void (*run)(void))
{
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run();
		_exit(0);
	}
	close(ready[1]);
	wait_ready();
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
}

#define HOSTILE	40

/* Not with unshare(): that needs a process with one thread, and the sanitizer has another one. */
static pid_t start_in_a_user_namespace(void)
{
	pid_t pid = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);

	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		wait_for_end();
	}
	return pid;
}

static void in_a_container(void)
{
	unshare_with_mark();
	signal_ready();
	wait_for_end();
}

struct counts {
	ino_t inode;		/* of the container's namespace */
	bool container_opened;
	unsigned int refused;
};

static int count(void *arg, pid_t pid, ino_t inode, int ns)
{
	struct counts *c = arg;

	(void)pid;
	if (inode == c->inode)
		c->container_opened = ns >= 0;
	c->refused += ns == -EMFILE;
	if (ns >= 0)
		close(ns);
	return 0;
}

static ino_t namespace_of(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* Any user can make as many as the limits allow; a container that started later must be read. */
static void namespaces_of_users_leave_room_for_a_container(void **state)
{
	struct namespaces known = { 0 };
	struct counts c = { 0 };
	pid_t hostile[HOSTILE], container;
	struct rlimit old, few;

	(void)state;
	for (int i = 0; i < HOSTILE; i++)
		hostile[i] = start_in_a_user_namespace();
	container = start(in_a_container);
	c.inode = namespace_of(container);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){ .rlim_cur = 8 * HOSTILE, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(namespaces_find(&known, count, &c), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(c.refused >= HOSTILE / 2 - 1);
	assert_true(c.container_opened);
	namespaces_free(&known);
	end(container);
	for (int i = 0; i < HOSTILE; i++) {
		kill(hostile[i], SIGKILL);
		waitpid(hostile[i], NULL, 0);
	}
}

static bool has_mark(int fd)
{
	struct mountinfo_entry entry;
	struct mountinfo reader;
	bool found = false;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(mountinfo_open(&reader, fd), 0);
	while (mountinfo_next(&reader, &entry) > 0)
		found |= !strcmp(entry.source, MARK);
	mountinfo_close(&reader);
	return found;
}

/* Another run of this test may have such tables, too. */
static const struct mountview_table *find_marked(const struct mountview *v, pid_t pid)
{
	for (size_t i = 1; i < v->n; i++)
		if ((!pid || v->table[i].pid == pid) && v->table[i].fd >= 0 &&
		    has_mark(v->table[i].fd))
			return &v->table[i];
	return NULL;
}

static void namespace_of_a_process_in_a_chroot_is_read_from_its_root(void **state)
{
	pid_t pid = start(in_a_chroot);
	struct mountview v;

	(void)state;
	assert_int_equal(mountview_open(&v, false), 0);
	assert_non_null(find_marked(&v, pid));
	mountview_close(&v);
	end(pid);
}

static void namespace_of_a_thread_is_found(void **state)
{
	pid_t pid = start(with_a_thread);
	const struct mountview_table *table;
	struct mountview v;

	(void)state;
	assert_int_equal(mountview_open(&v, false), 0);
	table = find_marked(&v, 0);
	assert_non_null(table);
	assert_true(table->pid != pid);
	mountview_close(&v);
	end(pid);
}

static void namespace_of_a_bind_mount_is_found(void **state)
{
	char dir[] = "/tmp/hv-vss-kept-XXXXXX", file[64], ns[64];
	struct mounts m = { 0 };
	struct mountview v;
	pid_t pid;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/mnt", dir);
	assert_int_equal(mount(dir, dir, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, dir, NULL, MS_PRIVATE, NULL), 0);
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	pid = start(in_a_chroot);
	snprintf(ns, sizeof(ns), "/proc/%d/ns/mnt", pid);
	assert_int_equal(mount(ns, file, NULL, MS_BIND, NULL), 0);
	end(pid);
	assert_int_equal(mountview_open(&v, false), 0);
	assert_int_equal(mountview_read(&v, &m), 0);
	assert_non_null(find_marked(&v, -1));
	mounts_free(&m);
	mountview_close(&v);
	assert_int_equal(umount(file), 0);
	assert_int_equal(umount(dir), 0);
	unlink(file);
	rmdir(dir);
}

static void own_namespace_only(void **state)
{
	pid_t pid = start(in_a_chroot);
	struct mounts m = { 0 };
	struct mountview v;

	(void)state;
	assert_int_equal(mountview_open(&v, true), 0);
	assert_int_equal(mountview_read(&v, &m), 0);
	assert_int_equal(v.n, 1);
	assert_int_equal(mountview_poll(&v), 0);
	mounts_free(&m);
	mountview_close(&v);
	end(pid);
}

/* Only tables that have changed are read again. */
static void change_is_noticed(void **state)
{
	pid_t pid = start(in_a_namespace_that_changes), second;
	const struct mountview_table *table;
	struct mounts m = { 0 };
	struct mountview v;
	int pipe_of_first = ready[0];

	(void)state;
	assert_int_equal(mountview_open(&v, false), 0);
	assert_int_equal(mountview_read(&v, &m), 0);
	table = find_marked(&v, pid);
	assert_non_null(table);
	assert_false(table->needs_read);
	kill(pid, SIGUSR1);
	wait_ready();
	assert_int_equal(mountview_poll(&v), 1);
	assert_true(find_marked(&v, pid)->needs_read);
	mounts_free(&m);
	assert_int_equal(mountview_update(&v, &m, 1000000), 0);
	assert_false(find_marked(&v, pid)->needs_read);
	second = start(in_a_chroot);
	assert_int_equal(mountview_poll(&v), 1);
	assert_non_null(find_marked(&v, second));
	mounts_free(&m);
	mountview_close(&v);
	end(second);
	ready[0] = pipe_of_first;
	end(pid);
}

static void set_ptrace(bool on)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	assert_int_equal(syscall(SYS_capget, &head, data), 0);
	if (on)
		data[0].effective |= CAP_TO_MASK(CAP_SYS_PTRACE);
	else
		data[0].effective &= ~CAP_TO_MASK(CAP_SYS_PTRACE);
	assert_int_equal(syscall(SYS_capset, &head, data), 0);
}

/* Without the capability, or if a security module forbids it. */
static void namespace_that_cannot_be_entered_is_reported(void **state)
{
	pid_t pid = start(in_a_chroot);
	struct mounts m = { 0 };
	struct mountview v;

	(void)state;
	set_ptrace(false);
	assert_int_equal(mountview_open(&v, false), 0);
	assert_int_equal(mountview_read(&v, &m), 0);
	set_ptrace(true);
	assert_null(find_marked(&v, pid));
	assert_int_equal(v.unread_count, 1);
	assert_non_null(strstr(v.unread[0].why, "CAP_SYS_PTRACE"));
	mounts_free(&m);
	mountview_close(&v);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(namespace_of_a_process_in_a_chroot_is_read_from_its_root),
		cmocka_unit_test(namespace_of_a_thread_is_found),
		cmocka_unit_test(namespace_of_a_bind_mount_is_found),
		cmocka_unit_test(own_namespace_only),
		cmocka_unit_test(change_is_noticed),
		cmocka_unit_test(namespaces_of_users_leave_room_for_a_container),
		cmocka_unit_test(namespace_that_cannot_be_entered_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
