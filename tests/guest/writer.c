// SPDX-License-Identifier: GPL-2.0-only
/*
 * writer run DIR [INTERVAL_US]: append numbered records with checksums to files in DIR, with an
 * fsync for each. For each record it prints "NUMBER TIME LATENCY": the fsync of NUMBER has returned
 * at TIME, LATENCY after the begin of its write (microseconds). Ends with SIGTERM.
 *
 * writer check DIR: read all records and print "last N good N torn N wrong N missing N".
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "record.h"

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "writer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void file_name(char *name, size_t room, uint64_t number)
{
	snprintf(name, room, "records.%06" PRIu64, (number - 1) / RECORDS_PER_FILE);
}

/* Opens the next file when it is due, and makes its directory entry durable. */
static int file_for(int dir, int fd, uint64_t number)
{
	char name[32];

	if (fd >= 0 && (number - 1) % RECORDS_PER_FILE)
		return fd;
	if (fd >= 0)
		close(fd);
	file_name(name, sizeof(name), number);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0)
		die(name);
	if (fsync(dir) < 0)
		die("fsync of the directory");
	return fd;
}

static int run(int dir, unsigned int interval)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct record record;
	uint64_t number, begin, end;
	int fd = -1;

	sigaction(SIGTERM, &action, NULL);
	for (number = 1; !stop; number++) {
		record_make(&record, number);
		begin = clock_us();
		fd = file_for(dir, fd, number);
		if (write(fd, &record, sizeof(record)) != sizeof(record))
			die("write");
		if (fsync(fd) < 0)
			die("fsync");
		end = clock_us();
		if (printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", number, end, end - begin) < 0 ||
		    fflush(stdout))
			return 1;
		if (interval)
			usleep(interval);
	}
	return 0;
}

struct tally {
	uint64_t last, good, torn, wrong, missing;
};

/* A short record at the end of the last file counts as torn. */
static int check_file(int dir, uint64_t first, struct tally *t)
{
	struct record record;
	char name[32];
	uint64_t number;
	ssize_t n;
	int fd;

	file_name(name, sizeof(name), first);
	fd = openat(dir, name, O_RDONLY | O_NOATIME | O_CLOEXEC);
	if (fd < 0) {
		if (errno != ENOENT)
			die(name);
		return 0;
	}
	for (number = first;; number++) {
		n = read(fd, &record, sizeof(record));
		if (n < 0)
			die(name);
		if (!n)
			break;
		if ((size_t)n < sizeof(record) ||
		    record_check(&record, number) == RECORD_TORN)
			t->torn++;
		else if (record_check(&record, number) == RECORD_WRONG)
			t->wrong++;
		else
			t->good++;
		t->last = number;
	}
	close(fd);
	return 1;
}

static int check(int dir)
{
	struct tally t = { 0 };
	uint64_t first = 1;

	while (check_file(dir, first, &t))
		first += RECORDS_PER_FILE;
	t.missing = t.last - t.good - t.torn - t.wrong;
	printf("last %" PRIu64 " good %" PRIu64 " torn %" PRIu64 " wrong %" PRIu64
	       " missing %" PRIu64 "\n", t.last, t.good, t.torn, t.wrong, t.missing);
	return 0;
}

int main(int argc, char **argv)
{
	int dir;

	if (argc < 3 || argc > 4 || (strcmp(argv[1], "run") && strcmp(argv[1], "check"))) {
		fprintf(stderr, "usage: writer run DIR [INTERVAL_US] | writer check DIR\n");
		return 2;
	}
	dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		die(argv[2]);
	if (!strcmp(argv[1], "check"))
		return check(dir);
	return run(dir, argc == 4 ? (unsigned int)strtoul(argv[3], NULL, 10) : 0);
}
