// SPDX-License-Identifier: GPL-2.0-only
/*
 * nbdserve DEVICE FILE: make a disk from a file, with a network block device that this process
 * serves itself. Prints "serving" when the disk is there, and ends when it is disconnected.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK	512
#define ROOM	(32 << 20)	/* the largest request of the kernel */

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Returns 0 at the end of the stream. */
static int get(int fd, void *to, size_t n)
{
	for (ssize_t got; n; n -= got, to = (char *)to + got) {
		got = read(fd, to, n);
		if (got <= 0)
			return 0;
	}
	return 1;
}

static void put(int fd, const void *from, size_t n)
{
	for (ssize_t done; n; n -= done, from = (const char *)from + done) {
		done = write(fd, from, n);
		if (done <= 0)
			die("write");
	}
}

static int serve_one(int fd, int file, const struct nbd_request *request, char *data)
{
	struct nbd_reply reply = { .magic = htonl(NBD_REPLY_MAGIC) };
	unsigned int type = ntohl(request->type) & 0xffff;
	size_t n = ntohl(request->len);
	off_t at = be64toh(request->from);
	ssize_t done = 0;

	if (type == NBD_CMD_DISC)
		return 0;
	if (n > ROOM || (type == NBD_CMD_WRITE && !get(fd, data, n)))
		return 0;
	if (type == NBD_CMD_READ)
		done = pread(file, data, n, at);
	else if (type == NBD_CMD_WRITE)
		done = pwrite(file, data, n, at);
	else if (fdatasync(file))
		done = -1;
	if (type != NBD_CMD_FLUSH && done != (ssize_t)n)
		done = -1;
	memcpy(reply.handle, request->handle, sizeof(reply.handle));
	reply.error = htonl(done < 0 ? EIO : 0);
	put(fd, &reply, sizeof(reply));
	if (type == NBD_CMD_READ && done >= 0)
		put(fd, data, n);
	return 1;
}

static void attach(int device, int fd, off_t size)
{
	if (ioctl(device, NBD_SET_BLKSIZE, BLOCK) ||
	    ioctl(device, NBD_SET_SIZE_BLOCKS, size / BLOCK) ||
	    ioctl(device, NBD_SET_FLAGS, NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH) ||
	    ioctl(device, NBD_SET_SOCK, fd))
		die("attach");
	printf("serving\n");
	fflush(stdout);
	if (ioctl(device, NBD_DO_IT))		/* until it is disconnected */
		die("NBD_DO_IT");
	ioctl(device, NBD_CLEAR_QUE);
	ioctl(device, NBD_CLEAR_SOCK);
}

int main(int argc, char **argv)
{
	int pair[2], device, file;
	struct nbd_request request;
	struct stat st;
	char *data;

	if (argc != 3) {
		fprintf(stderr, "usage: nbdserve DEVICE FILE\n");
		return 2;
	}
	device = open(argv[1], O_RDWR | O_CLOEXEC);
	file = open(argv[2], O_RDWR | O_CLOEXEC);
	data = malloc(ROOM);
	if (device < 0 || file < 0 || !data || fstat(file, &st) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("nbdserve");
	switch (fork()) {
	case -1:
		die("fork");
	case 0:
		close(pair[1]);
		attach(device, pair[0], st.st_size);
		return 0;
	default:
		close(pair[0]);
		close(device);
	}
	while (get(pair[1], &request, sizeof(request)) && serve_one(pair[1], file, &request, data))
		;
	return 0;
}
