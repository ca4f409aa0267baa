// SPDX-License-Identifier: GPL-2.0-only
/*
 * terminal COLUMNS PROGRAM [ARGUMENT...]: run a program on a terminal of that width; what it prints
 * goes to standard output. The terminal ends lines with \n alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void run(const char *name, char **argv)
{
	int tty;

	setsid();
	tty = open(name, O_RDWR);	/* becomes the controlling terminal */
	if (tty < 0)
		_exit(126);
	for (int fd = 0; fd <= 2; fd++)
		dup2(tty, fd);
	if (tty > 2)
		close(tty);
	execvp(argv[0], argv);
	_exit(127);
}

static void copy(int from)
{
	char buf[4096];
	ssize_t n;

	/* EIO: the last process has closed the terminal. */
	while ((n = read(from, buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && write(1, buf, n) != n)
			return;
}

int main(int argc, char **argv)
{
	struct winsize size = { .ws_row = 24 };
	int master, slave, status;
	struct termios mode;
	const char *name;
	pid_t pid;

	if (argc < 3) {
		fprintf(stderr, "usage: terminal COLUMNS PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	size.ws_col = atoi(argv[1]);
	master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0 || grantpt(master) || unlockpt(master) ||
	    ioctl(master, TIOCSWINSZ, &size)) {
		perror("terminal");
		return 1;
	}
	name = ptsname(master);
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || tcgetattr(slave, &mode)) {
		perror(name);
		return 1;
	}
	mode.c_oflag &= ~ONLCR;
	tcsetattr(slave, TCSANOW, &mode);
	pid = fork();
	if (!pid)
		run(name, argv + 2);
	close(slave);
	copy(master);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
