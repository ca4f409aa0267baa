// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that uses /dev/vmbus/hv_vss as told, correctly or not. It reads one command per line
 * and prints one line for each: the command's name, then a number, -ERRNO, or the data it read.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../../include/uapi/hv_vss.h"

#define DEVICE	"/dev/" HV_VSS_DEVICE

struct client {
	int dev;
	char *hole;			/* an address that faults */
	pthread_t reader;
	pid_t reader_tid;		/* 0: the reader does not run yet */
	pid_t child;
	const char *name;		/* of the command */
	char text[100];			/* its arguments */
	char second[64];
	unsigned long number[2];
};

struct command {
	const char *name;
	void (*run)(struct client *c);
};

static void say(const struct client *c, long result)
{
	if (result < 0)
		printf("%s -%s\n", c->name, strerrorname_np(errno));
	else
		printf("%s %ld\n", c->name, result);
}

/* The file */

static void do_open(struct client *c)
{
	c->dev = open(DEVICE, O_RDWR | O_CLOEXEC | (strcmp(c->text, "block") ? O_NONBLOCK : 0));
	say(c, c->dev < 0 ? -1 : 0);
}

static void do_close(struct client *c)
{
	say(c, close(c->dev));
	c->dev = -1;
}

/* The old descriptor is closed, but the file stays open. */
static void do_dup(struct client *c)
{
	int fd = dup(c->dev);

	if (fd >= 0) {
		close(c->dev);
		c->dev = fd;
	}
	say(c, fd < 0 ? -1 : 0);
}

/* Starts a child that has the file open and does nothing. */
static void do_fork(struct client *c)
{
	c->child = fork();
	if (!c->child)
		for (;;)
			pause();
	say(c, c->child);
}

/* Moves to a new user namespace, in which it is root. */
static void do_userns(struct client *c)
{
	int fd, ret = unshare(CLONE_NEWUSER);

	fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "deny", 4) != 4)
		ret = -1;
	close(fd);
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0 0 1", 5) != 5)
		ret = -1;
	close(fd);
	say(c, ret);
}

static void do_setuid(struct client *c)
{
	say(c, setuid((uid_t)c->number[0]));
}

/* Passing the descriptor to another process */

union control {
	char buf[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static int unix_socket(const char *path, struct sockaddr_un *sa)
{
	sa->sun_family = AF_UNIX;
	snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", path);
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static struct msghdr message(union control *control, struct iovec *iov)
{
	memset(control, 0, sizeof(*control));
	return (struct msghdr){
		.msg_iov = iov, .msg_iovlen = 1,
		.msg_control = control->buf, .msg_controllen = sizeof(control->buf),
	};
}

static void do_sendfd(struct client *c)
{
	struct sockaddr_un sa;
	union control control;
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = message(&control, &iov);
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int fd = unix_socket(c->text, &sa);

	msg.msg_name = &sa;
	msg.msg_namelen = sizeof(sa);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &c->dev, sizeof(int));
	say(c, sendmsg(fd, &msg, 0) < 0 ? -1 : 0);
	close(fd);
}

static void do_bindfd(struct client *c)
{
	struct sockaddr_un sa;

	unlink(c->text);
	c->child = unix_socket(c->text, &sa);
	say(c, bind(c->child, (struct sockaddr *)&sa, sizeof(sa)));
}

static void do_recvfd(struct client *c)
{
	union control control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = message(&control, &iov);
	ssize_t n = recvmsg(c->child, &msg, MSG_CMSG_CLOEXEC);

	if (n > 0 && CMSG_FIRSTHDR(&msg))
		memcpy(&c->dev, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	else
		n = -1;
	say(c, n < 0 ? -1 : 0);
}

/* Reading and writing */

static void print_read(const struct client *c, const unsigned char *b, ssize_t n, int revents)
{
	struct hv_vss_frame frame;

	if (n < 0) {
		say(c, -1);
		return;
	}
	memset(&frame, 0, sizeof(frame));
	memcpy(&frame, b, (size_t)n < sizeof(frame) ? (size_t)n : sizeof(frame));
	printf("%s %zd op=%u cookie=%u arg=%u revents=%x\n", c->name, n, frame.op, frame.cookie,
	       frame.arg, (unsigned int)revents);
}

/* read [MS [BYTES]]: wait so long for data, by default 5 s. */
static void do_read(struct client *c)
{
	static unsigned char b[16384];
	struct pollfd p = { .fd = c->dev, .events = POLLIN };
	size_t size = c->number[1] ? c->number[1] : 8192;

	if (poll(&p, 1, c->text[0] ? (int)c->number[0] : 5000) < 0) {
		say(c, -1);
		return;
	}
	print_read(c, b, read(c->dev, b, size < sizeof(b) ? size : sizeof(b)), p.revents);
}

static void do_readhole(struct client *c)
{
	say(c, read(c->dev, c->hole, 8192));
}

static void do_poll(struct client *c)
{
	struct pollfd p = { .fd = c->dev, .events = POLLIN | POLLOUT };
	int n = poll(&p, 1, (int)c->number[0]);

	say(c, n < 0 ? -1 : p.revents);
}

/* register OP COOKIE: from an odd address, which the module must accept */
static void do_register(struct client *c)
{
	struct hv_vss_frame frame = {
		.op = (__u8)c->number[0], .cookie = (__u32)c->number[1],
		.arg = HV_VSS_FEAT_CANCEL | HV_VSS_FEAT_GUARD | HV_VSS_FEAT_LUNS |
		       HV_VSS_FEAT_LIMITS | HV_VSS_FEAT_THAW,
	};
	char odd[sizeof(frame) + 1];

	memcpy(odd + 1, &frame, sizeof(frame));
	say(c, write(c->dev, odd + 1, sizeof(frame)));
}

static void do_write(struct client *c)
{
	struct hv_vss_reply reply = {
		.status = (__u32)c->number[0], .cookie = (__u32)c->number[1],
	};

	say(c, write(c->dev, &reply, sizeof(reply)));
}

static void do_writelen(struct client *c)
{
	static char b[16384];

	say(c, write(c->dev, b, c->number[0] < sizeof(b) ? c->number[0] : sizeof(b)));
}

static void do_writehole(struct client *c)
{
	say(c, write(c->dev, c->hole, sizeof(struct hv_vss_reply)));
}

static void on_signal(int number)
{
	(void)number;
}

static void *read_thread(void *arg)
{
	struct client *c = arg;
	unsigned char b[8192];
	ssize_t n;

	__atomic_store_n(&c->reader_tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	n = read(c->dev, b, sizeof(b));
	c->name = "read";
	print_read(c, b, n, 0);
	fflush(stdout);
	return NULL;
}

/* Returns whether that thread is in read(), or has ended. */
static bool reads(pid_t tid)
{
	char path[64], what[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	if (read(fd, what, sizeof(what) - 1) < 0)
		what[0] = '\0';
	close(fd);
	/* The file has "running" if the thread runs. */
	return atoi(what) == SYS_read && what[0] != 'r';
}

/*
 * Reads in another thread, which may block. The result is printed when the read returns. The next
 * command is executed only when the read has begun.
 */
static void do_readthread(struct client *c)
{
	pid_t tid = 0;

	__atomic_store_n(&c->reader_tid, 0, __ATOMIC_SEQ_CST);
	errno = pthread_create(&c->reader, NULL, read_thread, c);
	if (errno) {
		say(c, -1);
		return;
	}
	for (int i = 0; i < 5000 && !(tid && reads(tid)); i++) {
		usleep(1000);
		tid = __atomic_load_n(&c->reader_tid, __ATOMIC_SEQ_CST);
	}
	say(c, 0);
}

static void do_signal(struct client *c)
{
	errno = pthread_kill(c->reader, SIGUSR1);
	if (errno)
		say(c, -1);	/* else the reader prints the result */
}

/* The guard */

static const struct {
	const char *name;
	unsigned long cmd;
} guard_cmds[] = {
	{ "arm", HV_VSS_IOC_ARM }, { "disarm", HV_VSS_IOC_DISARM },
	{ "thawing", HV_VSS_IOC_THAWING }, { "frozen", HV_VSS_IOC_FROZEN },
	{ "end", HV_VSS_IOC_THAW },
};

static unsigned long guard_cmd(const char *name)
{
	for (size_t i = 0; i < sizeof(guard_cmds) / sizeof(guard_cmds[0]); i++)
		if (!strncmp(name, guard_cmds[i].name, strlen(guard_cmds[i].name)))
			return guard_cmds[i].cmd;
	return 0;
}

static void guard(struct client *c, int fd, __u64 reserved)
{
	struct hv_vss_guard g = {
		.fd = fd, .cookie = (__u32)c->number[0], .reserved = reserved,
	};

	say(c, ioctl(c->dev, guard_cmd(c->name), &g));
}

static void do_guard(struct client *c)
{
	int fd = open(c->text, O_RDONLY | O_CLOEXEC);

	guard(c, fd, 0);
	close(fd);
}

static void do_armpath(struct client *c)
{
	int fd = open(c->text, O_PATH | O_CLOEXEC);

	guard(c, fd, 0);
	close(fd);
}

/* armfd FD COOKIE; "self" is the device itself */
static void do_armfd(struct client *c)
{
	guard(c, strcmp(c->text, "self") ? atoi(c->text) : c->dev, 0);
}

static void do_armreserved(struct client *c)
{
	int fd = open(c->text, O_RDONLY | O_CLOEXEC);

	guard(c, fd, 1ULL << 63);
	close(fd);
}

static void do_armhole(struct client *c)
{
	say(c, ioctl(c->dev, HV_VSS_IOC_ARM, c->hole));
}

/* limits FREEZING_MS HOLD_MS: prints the limits that are in effect */
static void do_limits(struct client *c)
{
	struct hv_vss_limits limits = {
		.freezing_ms = (__u32)c->number[0], .hold_ms = (__u32)c->number[1],
	};

	if (ioctl(c->dev, HV_VSS_IOC_LIMITS, &limits))
		say(c, -1);
	else
		printf("%s %u %u\n", c->name, limits.freezing_ms, limits.hold_ms);
}

static void do_ioctl(struct client *c)
{
	say(c, ioctl(c->dev, c->number[0], c->hole));
}

static void do_fs(struct client *c)
{
	int fd = open(c->text, O_RDONLY | O_CLOEXEC);

	say(c, ioctl(fd, strcmp(c->name, "freeze") ? FITHAW : FIFREEZE, 0));
	close(fd);
}

/* put PATH TEXT: write to a file of sysfs */
static void do_put(struct client *c)
{
	int fd = open(c->text, O_WRONLY | O_CLOEXEC);

	say(c, fd < 0 ? -1 : write(fd, c->second, strlen(c->second)));
	close(fd);
}

/* The time of synchronize_rcu() in us: without a registration membarrier() does only that. */
static void do_grace(struct client *c)
{
	struct timespec from, to;
	long ret;

	clock_gettime(CLOCK_MONOTONIC, &from);
	ret = syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	say(c, ret ? -1 : (to.tv_sec - from.tv_sec) * 1000000 +
		(to.tv_nsec - from.tv_nsec) / 1000);
}

static const struct command commands[] = {
	{ "put", do_put }, { "grace", do_grace },
	{ "open", do_open }, { "close", do_close }, { "dup", do_dup }, { "fork", do_fork },
	{ "userns", do_userns }, { "setuid", do_setuid },
	{ "sendfd", do_sendfd }, { "bindfd", do_bindfd }, { "recvfd", do_recvfd },
	{ "read", do_read }, { "readhole", do_readhole }, { "poll", do_poll },
	{ "register", do_register }, { "write", do_write }, { "writelen", do_writelen },
	{ "writehole", do_writehole }, { "readthread", do_readthread }, { "signal", do_signal },
	{ "arm", do_guard }, { "disarm", do_guard }, { "thawing", do_guard },
	{ "frozen", do_guard }, { "end", do_guard }, { "limits", do_limits },
	{ "armpath", do_armpath }, { "armfd", do_armfd }, { "armreserved", do_armreserved },
	{ "armhole", do_armhole }, { "ioctl", do_ioctl }, { "freeze", do_fs }, { "thaw", do_fs },
};

static int run(struct client *c, const char *line);

/*
 * fail N COMMAND...: the N-th allocation of the kernel for the command fails. A second line says
 * how many allocations were missing to reach N; 0 if one has failed.
 */
static int run_failing(struct client *c, const char *line)
{
	char left[24] = "";
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC), ret;

	snprintf(left, sizeof(left), "%lu", c->number[0]);
	if (fd < 0 || write(fd, left, strlen(left)) < 0) {
		c->name = "fail";
		say(c, -1);
		return 0;
	}
	ret = run(c, line);
	memset(left, 0, sizeof(left));
	/* The file has the number that is left for this thread. */
	if (pread(fd, left, sizeof(left) - 1, 0) < 0 || pwrite(fd, "0", 1, 0) < 0)
		ret = -1;
	close(fd);
	printf("left %d\n", atoi(left));
	return ret;
}

/* Parses a command: the first two arguments as text, and both as numbers, too. */
static int run(struct client *c, const char *line)
{
	char name[32] = "";
	int n = 0;

	c->text[0] = '\0';
	c->second[0] = '\0';
	if (sscanf(line, "%31s %n%99s %63s", name, &n, c->text, c->second) < 1)
		return -1;
	c->number[0] = strtoul(c->text, NULL, 0);
	c->number[1] = strtoul(c->second, NULL, 0);
	if (!strcmp(name, "fail"))
		return run_failing(c, line + n + strcspn(line + n, " "));
	/* If the first argument is a path or a name, the second one is the first number. */
	if (c->text[0] && !strchr("0123456789-", c->text[0]))
		c->number[0] = c->number[1];
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name))
			continue;
		c->name = commands[i].name;
		if (!strcmp(name, "armfd"))
			c->number[0] = c->number[1];
		commands[i].run(c);
		return 0;
	}
	return -1;
}

int main(void)
{
	struct client c = { .dev = -1 };
	struct sigaction sa = { .sa_handler = on_signal };	/* without SA_RESTART */
	char line[256];

	sigaction(SIGUSR1, &sa, NULL);
	c.hole = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	while (fgets(line, sizeof(line), stdin)) {
		if (run(&c, line))
			printf("? %s", line);
		fflush(stdout);
	}
	return 0;
}
