// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent: process 1 of a test guest. It runs any number of commands in parallel for the harness,
 * and sends their output and the kernel log to it. Everything that it needs is in memory and
 * locked, so that it works while every disk is frozen.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot.h"
#include "frame.h"

#define COMMANDS_MAX	64
#define ARGS_MAX	256

struct command {
	uint32_t id;		/* 0: slot is free */
	pid_t pid;		/* 0: has ended, but another process has its output open */
	int in;			/* -1: closed */
	int out[2];		/* its stdout and stderr, -1: closed */
	char *pending;		/* input that it has not read yet */
	size_t pending_size;
	int in_ends;		/* close the input when pending is written */
};

struct agent {
	int port;
	int kmsg;
	int signals;
	struct command commands[COMMANDS_MAX];
	struct pollfd polls[3 + 3 * COMMANDS_MAX];
	char buffer[FRAME_MAX];
};

static char *const environment[] = {
	"PATH=" GUEST_DIR "/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root", "TERM=dumb", "LC_ALL=C", NULL,
};

static void send_error(struct agent *a, uint32_t id, const char *what, int err)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "%s: %s", what, strerror(err));

	frame_send(a->port, id, FRAME_ERROR, text, (size_t)n);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static struct command *find_command(struct agent *a, uint32_t id)
{
	for (size_t i = 0; i < COMMANDS_MAX; i++)
		if (a->commands[i].id == id)
			return &a->commands[i];
	return NULL;
}

static void clear_command(struct command *c)
{
	*c = (struct command){ .in = -1, .out = { -1, -1 } };
}

static void release_command(struct command *c)
{
	close_fd(&c->in);
	close_fd(&c->out[0]);
	close_fd(&c->out[1]);
	free(c->pending);
	clear_command(c);
}

static void child(char **argv, int in, int out, int err)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	environ = (char **)environment;	/* execvp() reads PATH from it */
	execvp(argv[0], argv);
	dprintf(2, "agent: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int split_arguments(char *data, size_t size, char **argv)
{
	size_t n = 0;
	char *end = data + size;

	if (!size || end[-1])
		return -EINVAL;
	for (char *p = data; p < end; p += strlen(p) + 1) {
		if (n == ARGS_MAX)
			return -E2BIG;
		argv[n++] = p;
	}
	argv[n] = NULL;
	return 0;
}

static int start(struct agent *a, struct command *c, uint32_t id, char **argv)
{
	int fds[6] = { -1, -1, -1, -1, -1, -1 };
	uint32_t pid;
	int i, err;

	for (i = 0; i < 3; i++)
		if (pipe2(fds + 2 * i, O_CLOEXEC) < 0)
			goto err_pipe;
	c->pid = fork();
	if (c->pid < 0)
		goto err_pipe;
	if (!c->pid)
		child(argv, fds[0], fds[3], fds[5]);
	close(fds[0]);
	close(fds[3]);
	close(fds[5]);
	c->id = id;
	c->in = fds[1];
	c->out[0] = fds[2];
	c->out[1] = fds[4];
	fcntl(c->in, F_SETFL, O_NONBLOCK);
	fcntl(c->out[0], F_SETFL, O_NONBLOCK);
	fcntl(c->out[1], F_SETFL, O_NONBLOCK);
	pid = (uint32_t)c->pid;
	return frame_send(a->port, id, FRAME_STARTED, &pid, sizeof(pid));

err_pipe:
	err = -errno;
	for (i = 0; i < 6; i++)
		close_fd(&fds[i]);
	return err;
}

static void execute(struct agent *a, uint32_t id, size_t size)
{
	char *argv[ARGS_MAX + 1];
	struct command *c;
	int err;

	c = id && !find_command(a, id) ? find_command(a, 0) : NULL;
	err = c ? split_arguments(a->buffer, size, argv) : -EBUSY;
	if (!err)
		err = start(a, c, id, argv);
	if (err)
		send_error(a, id, "cannot run it", -err);
}

static void feed(struct command *c)
{
	ssize_t n = 1;

	while (c->pending_size && n > 0) {
		n = write(c->in, c->pending, c->pending_size);
		if (n > 0) {
			c->pending_size -= (size_t)n;
			memmove(c->pending, c->pending + n, c->pending_size);
		}
	}
	/* A command that does not read its input may end or close it. */
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		c->pending_size = 0;
	if (!c->pending_size && c->in_ends)
		close_fd(&c->in);
}

static void take_input(struct agent *a, struct command *c, size_t size)
{
	char *more;

	if (c->in < 0)
		return;
	if (!size) {
		c->in_ends = 1;
	} else {
		more = realloc(c->pending, c->pending_size + size);
		if (!more) {
			send_error(a, c->id, "input", ENOMEM);
			return;
		}
		memcpy(more + c->pending_size, a->buffer, size);
		c->pending = more;
		c->pending_size += size;
	}
	feed(c);
}

static int serve(struct agent *a)
{
	struct command *c;
	struct frame frame;
	uint32_t signal;
	int err;

	err = frame_receive(a->port, &frame, a->buffer, sizeof(a->buffer));
	if (err)
		return err;
	if (frame.type == FRAME_EXEC) {
		execute(a, frame.id, frame.size);
		return 0;
	}
	c = frame.id ? find_command(a, frame.id) : NULL;
	if (!c)	/* it has just ended */
		return 0;
	if (frame.type == FRAME_STDIN) {
		take_input(a, c, frame.size);
	} else if (frame.type == FRAME_KILL && frame.size == sizeof(signal)) {
		memcpy(&signal, a->buffer, sizeof(signal));
		if (c->pid && kill(-c->pid, (int)signal) < 0)
			kill(c->pid, (int)signal);
	}
	return 0;
}

/* Forwards all output that is there now; closes the pipe at its end. */
static void forward(struct agent *a, struct command *c, int which)
{
	ssize_t n;

	while (c->out[which] >= 0) {
		n = read(c->out[which], a->buffer, 65536);
		if (n > 0)
			frame_send(a->port, c->id, which ? FRAME_STDERR : FRAME_STDOUT,
				   a->buffer, (size_t)n);
		else if (!n || (errno != EAGAIN && errno != EINTR))
			close_fd(&c->out[which]);
		else
			break;
	}
}

static void reap(struct agent *a)
{
	struct signalfd_siginfo info;
	uint32_t status;
	int wait_status;
	pid_t pid;

	while (read(a->signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		for (size_t i = 0; i < COMMANDS_MAX; i++) {
			struct command *c = &a->commands[i];

			if (!c->id || c->pid != pid)
				continue;
			forward(a, c, 0);
			forward(a, c, 1);
			status = (uint32_t)wait_status;
			frame_send(a->port, c->id, FRAME_EXIT, &status, sizeof(status));
			c->pid = 0;
			close_fd(&c->in);
		}
	}
}

static void read_kmsg(struct agent *a)
{
	ssize_t n;

	while ((n = read(a->kmsg, a->buffer, 8192)) > 0 || (n < 0 && errno == EPIPE))
		if (n > 0)
			frame_send(a->port, 0, FRAME_KMSG, a->buffer, (size_t)n);
}

static size_t add_poll(struct agent *a, size_t n, int fd, short events)
{
	a->polls[n].fd = fd;
	a->polls[n].events = events;
	a->polls[n].revents = 0;
	return n + 1;
}

static void turn(struct agent *a)
{
	size_t n = 0;

	n = add_poll(a, n, a->port, POLLIN);
	n = add_poll(a, n, a->signals, POLLIN);
	n = add_poll(a, n, a->kmsg, POLLIN);
	for (size_t i = 0; i < COMMANDS_MAX; i++) {
		struct command *c = &a->commands[i];

		if (c->id && !c->pid && c->out[0] < 0 && c->out[1] < 0)
			release_command(c);
		n = add_poll(a, n, c->id ? c->out[0] : -1, POLLIN);
		n = add_poll(a, n, c->id ? c->out[1] : -1, POLLIN);
		n = add_poll(a, n, c->id && c->pending_size ? c->in : -1, POLLOUT);
	}
	if (poll(a->polls, n, -1) < 0)
		return;
	if (a->polls[2].revents)
		read_kmsg(a);
	for (size_t i = 0; i < COMMANDS_MAX; i++) {
		if (a->polls[3 + 3 * i].revents)
			forward(a, &a->commands[i], 0);
		if (a->polls[4 + 3 * i].revents)
			forward(a, &a->commands[i], 1);
		if (a->polls[5 + 3 * i].revents)
			feed(&a->commands[i]);
	}
	if (a->polls[1].revents)
		reap(a);
	if (a->polls[0].revents & POLLIN && serve(a))
		boot_say("the port is out of step");
	else if (a->polls[0].revents & POLLHUP)
		poll(NULL, 0, 50);	/* the harness is gone */
}

static int say_hello(struct agent *a)
{
	char hello[200], id[64] = "";
	struct utsname u;
	FILE *file;
	int n;

	uname(&u);
	file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!file || !fgets(id, sizeof(id), file))
		boot_say("no boot id");
	if (file)
		fclose(file);
	id[strcspn(id, "\n")] = '\0';
	n = snprintf(hello, sizeof(hello), "%s%c%s", u.release, 0, id);
	return frame_send(a->port, 0, FRAME_HELLO, hello, (size_t)n + 1);
}

static int set_up(struct agent *a)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	a->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	a->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	a->port = boot_open_port("hvtest.agent");
	if (a->signals < 0 || a->kmsg < 0 || a->port < 0)
		return -ENODEV;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		boot_say("mlockall: %s", strerror(errno));
	return say_hello(a);
}

int main(void)
{
	static struct agent agent;
	int err;

	if (getpid() != 1) {
		fprintf(stderr, "agent: runs as process 1 of a test guest only\n");
		return 2;
	}
	err = boot_system();
	if (!err)
		err = set_up(&agent);
	if (err) {
		boot_say("boot failed: %s", strerror(-err));
		for (;;)
			pause();	/* the reason is on the console */
	}
	for (size_t i = 0; i < COMMANDS_MAX; i++)
		clear_command(&agent.commands[i]);
	for (;;)
		turn(&agent);
}
