// SPDX-License-Identifier: GPL-2.0-only
/*
 * vssfuzz SEED SECONDS PATH...: threads make random calls of /dev/vmbus/hv_vss, and freeze and thaw
 * the file systems of the paths as the guard allows it. It ends after that time, and leaves armed
 * file systems to the kernel. Prints the number of successful calls of each kind.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../include/uapi/hv_vss.h"

#define DEVICE		"/dev/" HV_VSS_DEVICE
#define THREADS		6
#define PATHS_MAX	8

enum count { OPENS, READS, WRITES, ARMS, FREEZES, THAWS, COUNTS };

struct fuzz {
	atomic_int dev;			/* -1: closed */
	atomic_uint cookie;		/* of the last request */
	atomic_bool stop;
	atomic_ulong count[COUNTS];
	int fd[PATHS_MAX];
	pthread_mutex_t busy[PATHS_MAX];
	int paths;
	char *hole;			/* an address that faults */
};

struct fuzzer {
	struct fuzz *fuzz;
	unsigned int seed;
	pthread_t thread;
};

static unsigned int draw(struct fuzzer *f, unsigned int below)
{
	return (unsigned int)rand_r(&f->seed) % below;
}

static bool one_in(struct fuzzer *f, unsigned int n)
{
	return !draw(f, n);
}

static void count(struct fuzzer *f, enum count what)
{
	atomic_fetch_add(&f->fuzz->count[what], 1);
}

static void open_device(struct fuzzer *f)
{
	struct hv_vss_frame frame = {
		.op = one_in(f, 8) ? HV_VSS_OP_REGISTER1 : HV_VSS_OP_REGISTER2,
		.cookie = HV_VSS_ABI,
		.arg = HV_VSS_FEAT_CANCEL | HV_VSS_FEAT_GUARD | HV_VSS_FEAT_LUNS,
	};
	int fd, none = -1;

	/* No call blocks, so that each thread notices the end. */
	fd = open(DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	count(f, OPENS);
	if (!one_in(f, 16) && write(fd, &frame, sizeof(frame)) < 0)
		errno = 0;	/* the device has just been removed */
	if (!atomic_compare_exchange_strong(&f->fuzz->dev, &none, fd))
		close(fd);
}

static void close_device(struct fuzzer *f)
{
	int fd = atomic_exchange(&f->fuzz->dev, -1);

	if (fd >= 0)
		close(fd);
}

static void read_device(struct fuzzer *f, int dev)
{
	unsigned char b[8192];
	struct pollfd p = { .fd = dev, .events = POLLIN };
	void *to = one_in(f, 32) ? (void *)f->fuzz->hole : b;
	ssize_t n;

	poll(&p, 1, 5);
	n = read(dev, to, one_in(f, 32) ? draw(f, 64) : sizeof(b));
	if (n < (ssize_t)sizeof(struct hv_vss_frame) || to != b)
		return;
	count(f, READS);
	if (b[0] < HV_VSS_OP_REGISTER) {
		struct hv_vss_frame frame;

		memcpy(&frame, b, sizeof(frame));
		atomic_store(&f->fuzz->cookie, frame.cookie);
	}
}

static void write_device(struct fuzzer *f, int dev)
{
	struct hv_vss_reply reply = {
		.status = one_in(f, 4) ? HV_VSS_E_FAIL : HV_VSS_S_OK,
		.cookie = one_in(f, 8) ? draw(f, 1000) : atomic_load(&f->fuzz->cookie),
	};
	void *from = one_in(f, 32) ? (void *)f->fuzz->hole : &reply;

	if (write(dev, from, one_in(f, 32) ? draw(f, 13) : sizeof(reply)) == sizeof(reply))
		count(f, WRITES);
}

/* Only one thread at a time uses a file system, as the protocol demands. */
static void guard_one(struct fuzzer *f, int dev, bool freeze)
{
	int i = (int)draw(f, (unsigned int)f->fuzz->paths), fd = f->fuzz->fd[i];
	struct hv_vss_guard g = { .fd = fd, .cookie = atomic_load(&f->fuzz->cookie) };

	if (pthread_mutex_trylock(&f->fuzz->busy[i]))
		return;
	if (!freeze) {
		if (!ioctl(dev, HV_VSS_IOC_THAWING, &g)) {
			count(f, THAWS);
			ioctl(fd, FITHAW, 0);
			ioctl(dev, HV_VSS_IOC_DISARM, &g);
		}
	} else if (!ioctl(dev, HV_VSS_IOC_ARM, &g)) {
		count(f, ARMS);
		/* In some cases no other call follows. */
		if (one_in(f, 4)) {
			ioctl(dev, HV_VSS_IOC_DISARM, &g);
		} else if (!one_in(f, 8) && !ioctl(fd, FIFREEZE, 0)) {
			count(f, FREEZES);
			if (one_in(f, 2))
				ioctl(dev, HV_VSS_IOC_FROZEN, &g);
		}
	}
	pthread_mutex_unlock(&f->fuzz->busy[i]);
}

static bool is_path(const struct fuzz *fuzz, int fd)
{
	for (int i = 0; i < fuzz->paths; i++)
		if (fuzz->fd[i] == fd)
			return true;
	return false;
}

static void any_ioctl(struct fuzzer *f, int dev)
{
	static const unsigned long cmds[] = {
		HV_VSS_IOC_ARM, HV_VSS_IOC_DISARM, HV_VSS_IOC_THAWING, HV_VSS_IOC_FROZEN,
	};
	struct hv_vss_guard g = {
		.fd = (int)draw(f, 64) - 8, .cookie = atomic_load(&f->fuzz->cookie),
		.reserved = one_in(f, 8),
	};
	unsigned long cmd = cmds[draw(f, 4)];

	/*
	 * Random descriptors may be armed, which is refused for most of them, but never frozen.
	 * Only ARM may use the file systems of the paths: after a DISARM while another thread is
	 * in FIFREEZE the file system would stay frozen. The module can't tell this case from a
	 * FIFREEZE that has failed.
	 */
	if (cmd != HV_VSS_IOC_ARM && is_path(f->fuzz, g.fd))
		return;
	if (one_in(f, 2))
		ioctl(dev, cmd, one_in(f, 8) ? (void *)f->fuzz->hole : &g);
	else
		ioctl(dev, draw(f, 1U << 31), &g);
}

static void fork_device(struct fuzzer *f)
{
	unsigned int us = draw(f, 20000);
	pid_t pid = fork();

	if (!pid) {
		usleep(us);
		_exit(0);
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void *fuzz_thread(void *arg)
{
	struct fuzzer *f = arg;

	while (!atomic_load(&f->fuzz->stop)) {
		int dev = atomic_load(&f->fuzz->dev);
		unsigned int what = draw(f, 14);

		if (dev < 0 || what == 0)
			open_device(f);
		else if (what == 1 && one_in(f, 64))
			close_device(f);
		else if (what <= 4)
			read_device(f, dev);
		else if (what <= 6)
			write_device(f, dev);
		else if (what <= 9)
			guard_one(f, dev, what <= 8);
		else if (what <= 11)
			any_ioctl(f, dev);
		else if (what == 12 && one_in(f, 200))
			fork_device(f);
		else
			usleep(draw(f, 2000));
	}
	return NULL;
}

static void tell(struct fuzz *fuzz)
{
	static const char * const names[COUNTS] = {
		"opens", "reads", "writes", "arms", "freezes", "thaws",
	};

	for (int i = 0; i < COUNTS; i++)
		printf("%s %lu ", names[i], atomic_load(&fuzz->count[i]));
	printf("\n");
}

int main(int argc, char **argv)
{
	static struct fuzz fuzz = { .dev = -1 };
	struct fuzzer fuzzer[THREADS];
	unsigned int seed, seconds;

	if (argc < 4 || argc - 3 > PATHS_MAX) {
		fprintf(stderr, "usage: vssfuzz SEED SECONDS PATH...\n");
		return 2;
	}
	seed = (unsigned int)strtoul(argv[1], NULL, 0);
	seconds = (unsigned int)strtoul(argv[2], NULL, 0);
	for (int i = 3; i < argc; i++) {
		fuzz.fd[fuzz.paths] = open(argv[i], O_RDONLY | O_CLOEXEC);
		pthread_mutex_init(&fuzz.busy[fuzz.paths++], NULL);
	}
	fuzz.hole = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		fuzzer[i] = (struct fuzzer){ .fuzz = &fuzz, .seed = seed * THREADS + i };
		if (pthread_create(&fuzzer[i].thread, NULL, fuzz_thread, &fuzzer[i]))
			return 1;
	}
	sleep(seconds);
	atomic_store(&fuzz.stop, true);
	/* Threads that wait in FIFREEZE, or for one, return when the guard has thawed. */
	for (int i = 0; i < THREADS; i++)
		pthread_join(fuzzer[i].thread, NULL);
	tell(&fuzz);
	return 0;
}
