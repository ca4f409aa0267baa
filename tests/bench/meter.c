// SPDX-License-Identifier: GPL-2.0-only
/*
 * meter KIND FILE INTERVAL_US REPORT_US [MIB]: write 4 KiB at a time to FILE and measure the time
 * of every write. KIND is
 *
 *	buffered	a log without fsync: writes go to the page cache
 *	fsync		a log with fsync after every write
 *	random		random places in a file of MIB, as fast as possible
 *
 * Prints "ready" when it begins. At SIGTERM it prints one line "BEGIN LATENCY" (microseconds of the
 * monotonic clock) for each write that took REPORT_US or longer, then "writes COUNT". Until then
 * the results are in locked memory, so the meter itself never waits for a disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BLOCK		4096
#define SAMPLES		(1 << 20)
#define MIB		(1 << 20)
#define LOG_BLOCKS	(256 * MIB / BLOCK)	/* then the log starts again at its beginning */

struct sample {
	uint64_t begin;
	uint64_t latency;
};

struct meter {
	int fd;
	bool fsync;
	uint64_t blocks;	/* of a file for random writes; 0: a log */
	unsigned int interval;
	uint64_t report;
	uint64_t writes;
	size_t n;
	struct sample *sample;
};

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "meter: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static off_t next_place(const struct meter *m, uint64_t *seed)
{
	if (!m->blocks)
		return (off_t)(m->writes % LOG_BLOCKS) * BLOCK;
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (off_t)((*seed >> 33) % m->blocks) * BLOCK;
}

static void run(struct meter *m)
{
	static char block[BLOCK];
	uint64_t seed = 1, begin, latency;

	memset(block, 'x', sizeof(block));
	while (!stop) {
		off_t place = next_place(m, &seed);

		begin = now_us();
		if (pwrite(m->fd, block, sizeof(block), place) != sizeof(block))
			die("write");
		if (m->fsync && fsync(m->fd) < 0)
			die("fsync");
		latency = now_us() - begin;
		m->writes++;
		if (latency >= m->report) {
			if (m->n == SAMPLES) {
				errno = ENOBUFS;
				die("too many writes to report");
			}
			m->sample[m->n++] = (struct sample){ begin, latency };
		}
		if (m->interval && !stop)
			usleep(m->interval);
	}
}

/* The file is complete and on the disk before anything is measured. */
static void fill(const struct meter *m)
{
	static char piece[MIB];

	for (uint64_t at = 0; at < m->blocks * BLOCK; at += sizeof(piece))
		if (pwrite(m->fd, piece, sizeof(piece), (off_t)at) != sizeof(piece))
			die("filling the file");
	if (fsync(m->fd) < 0)
		die("fsync");
}

static int report(const struct meter *m)
{
	for (size_t i = 0; i < m->n; i++)
		printf("%" PRIu64 " %" PRIu64 "\n", m->sample[i].begin, m->sample[i].latency);
	printf("writes %" PRIu64 "\n", m->writes);
	return fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct meter m = { 0 };
	bool random;

	if (argc < 5 || argc > 6) {
		fprintf(stderr, "usage: meter buffered|fsync FILE INTERVAL_US REPORT_US\n"
			"       meter random FILE INTERVAL_US REPORT_US MIB\n");
		return 2;
	}
	random = !strcmp(argv[1], "random");
	m.fsync = !strcmp(argv[1], "fsync");
	if ((!random && !m.fsync && strcmp(argv[1], "buffered")) || argc != (random ? 6 : 5)) {
		fprintf(stderr, "meter: %s: no such kind, or with a size too many or missing\n",
			argv[1]);
		return 2;
	}
	m.interval = (unsigned int)strtoul(argv[3], NULL, 10);
	m.report = strtoull(argv[4], NULL, 10);
	m.blocks = random ? strtoull(argv[5], NULL, 10) * (MIB / BLOCK) : 0;
	m.fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (m.fd < 0)
		die(argv[2]);
	fill(&m);
	m.sample = mmap(NULL, SAMPLES * sizeof(*m.sample), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m.sample == MAP_FAILED || mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		die("memory");
	sigaction(SIGTERM, &action, NULL);
	if (printf("ready\n") < 0 || fflush(stdout))
		return 1;
	run(&m);
	return report(&m);
}
