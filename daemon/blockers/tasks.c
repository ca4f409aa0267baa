// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "syscalls.h"
#include "tasks.h"

static uint64_t hash(const char *text)
{
	uint64_t h = 14695981039346656037ULL;	/* FNV-1a */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211ULL;
	return h;
}

static int read_of(struct tasks *t, const struct task *task, const char *name)
{
	char path[PROCFS_PATH];

	snprintf(path, sizeof(path), "%d/task/%d/%s", task->pid, task->tid, name);
	return procfs_read(t->proc, path, t->text, sizeof(t->text));
}

/* A hash of counters that don't change while the task sleeps. Some kernels have no schedstat. */
static uint64_t read_run(struct tasks *t, const struct task *task)
{
	const char *switches;

	/* Time on a processor, time waiting for one, and number of time slices. */
	if (read_of(t, task, "schedstat") > 0)
		return hash(t->text);
	if (read_of(t, task, "status") <= 0)
		return 0;
	switches = strstr(t->text, "voluntary_ctxt_switches");
	return switches ? hash(switches) : 0;
}

/*
 * Where the task waits, as names of kernel functions. "wchan" has one name, or none: on x86 before
 * 5.16 it follows frame pointers, which kernels with the ORC unwinder don't have. "stack" needs
 * CONFIG_STACKTRACE.
 */
static bool read_place(struct tasks *t, const struct task *task)
{
	return read_of(t, task, "stack") > 0 || read_of(t, task, "wchan") > 0;
}

/* percpu_rwsem_wait is in 5.6 and later, the others in older kernels. */
static enum task_wait read_wait(struct tasks *t, const struct task *task)
{
	static const char * const freeze[] = {
		"percpu_rwsem_wait", "percpu_down_read", "sb_start_write", "rwsem_down_read_failed",
		NULL
	};

	/*
	 * A task that was stopped, traced or put into the freezer leaves the kernel first, and
	 * holds nothing. "syscall" shows its call until it runs again.
	 */
	if (task->state == 'T' || task->state == 't')
		return TASK_LEAVES;
	if (!read_place(t, task))
		return TASK_WAITS;
	if (strstr(t->text, "get_signal"))
		return TASK_LEAVES;
	for (size_t i = 0; freeze[i]; i++)
		if (strstr(t->text, freeze[i]))
			return TASK_WAITS_FREEZE;
	return strstr(t->text, "fanotify") ? TASK_WAITS_LISTENER : TASK_WAITS;
}

static void read_comm(struct tasks *t, struct task *task)
{
	read_of(t, task, "comm");
	t->text[strcspn(t->text, "\n")] = '\0';
	snprintf(task->comm, sizeof(task->comm), "%.31s", t->text);
}

/* The state: the text is "17 (name) D ..."; the name may contain parentheses. */
static char read_state(struct tasks *t, const struct task *task)
{
	const char *end;

	if (read_of(t, task, "stat") <= 0)
		return '\0';
	end = strrchr(t->text, ')');
	return end && end[1] ? end[2] : '\0';
}

/* True if the task is in a call that blocks a freeze. Sets what "syscall" tells of it. */
static bool read_call(struct tasks *t, struct task *task, struct syscall_write *w)
{
	struct syscall_line line = { .nr = -1 };

	if (read_of(t, task, "syscall") <= 0 || syscalls_parse(&line, t->text) ||
	    syscalls_writes(w, &line))
		return false;
	task->call = w->name;
	task->by_path = w->fd < 0;
	task->call_hash = hash(t->text);
	return true;
}

static void read_task(struct tasks *t, pid_t pid, pid_t tid, tasks_callback found, void *arg)
{
	struct task task = { .pid = pid, .tid = tid, .mount = -1 };
	struct syscall_write w;
	char path[PROCFS_PATH];

	if (!read_call(t, &task, &w))
		return;
	if (!task.by_path) {
		snprintf(path, sizeof(path), "%d/task/%d/fdinfo/%d", pid, tid, w.fd);
		task.mount = procfs_mount_id(t->proc, path, t->text, sizeof(t->text));
		if (task.mount < 0)
			return;
		task.fd = w.fd;
	}
	task.state = read_state(t, &task);
	task.wait = read_wait(t, &task);
	task.run_hash = read_run(t, &task);
	read_comm(t, &task);
	found(arg, &task);
}

static void read_process(struct tasks *t, pid_t pid, tasks_callback found, void *arg)
{
	char path[PROCFS_PATH];
	struct stat st;
	pid_t tid;

	snprintf(path, sizeof(path), "%d/task", pid);
	if (fstatat(t->proc, path, &st, 0))
		return;
	/* 2 links and one for each thread. Most processes have one thread. */
	if (st.st_nlink == 3) {
		read_task(t, pid, pid, found, arg);
		return;
	}
	if (procfs_list_open(&t->threads, t->proc, path))
		return;
	while ((tid = procfs_list_next(&t->threads)) > 0)
		read_task(t, pid, tid, found, arg);
	procfs_list_close(&t->threads);
}

/**
 * tasks_open() - prepare the search
 * @t: filled in
 * @proc: where procfs is mounted
 * Return: 0 or a negative errno.
 */
int tasks_open(struct tasks *t, const char *proc)
{
	t->proc = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->proc < 0 ? -errno : 0;
}

/**
 * tasks_close() - end the search
 * @t: opened, or with ->proc negative
 */
void tasks_close(struct tasks *t)
{
	if (t->proc >= 0)
		close(t->proc);
	t->proc = -1;
}

/**
 * tasks_each() - find all tasks that keep a file system from being frozen
 * @t: opened
 * @found: called for each
 * @arg: its argument
 *
 * Without the daemon's own tasks. Takes about 10 us for each task of the machine.
 * Context: worker; see above for what may block.
 * Return: 0 or a negative errno.
 */
int tasks_each(struct tasks *t, tasks_callback found, void *arg)
{
	pid_t pid, self = getpid();
	int err;

	err = procfs_list_open(&t->processes, t->proc, ".");
	if (err)
		return err;
	while ((pid = procfs_list_next(&t->processes)) > 0)
		if (pid != self)
			read_process(t, pid, found, arg);
	procfs_list_close(&t->processes);
	return 0;
}

/**
 * tasks_writes_file() - does a task write to a file system, and not to a pipe or a device?
 * @t: opened
 * @task: from tasks_each(), with a mount that is known to be local
 *
 * A named pipe or a device node has the mount of the file system that it is in. A program that
 * writes to one does not keep that file system from being frozen.
 * Context: worker. Asks the file system for the inode, which is in memory because it is open.
 * Return: false if it is certain that it does not.
 */
bool tasks_writes_file(struct tasks *t, const struct task *task)
{
	char path[PROCFS_PATH];
	struct stat st;

	if (task->by_path)
		return true;
	snprintf(path, sizeof(path), "%d/task/%d/fd/%d", task->pid, task->tid, task->fd);
	return fstatat(t->proc, path, &st, 0) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
}

/**
 * tasks_is_stuck() - is a task still in the same call, and has it not run since?
 * @t: opened
 * @task: from tasks_each()
 *
 * The same call with the same arguments is not enough: a program that copies makes it all the time.
 * But it has to run in between.
 * Return: true if so.
 */
bool tasks_is_stuck(struct tasks *t, const struct task *task)
{
	struct task now = { .pid = task->pid, .tid = task->tid };
	struct syscall_write w;

	return read_call(t, &now, &w) && now.call_hash == task->call_hash &&
	       read_run(t, &now) == task->run_hash;
}
