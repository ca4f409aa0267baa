// SPDX-License-Identifier: GPL-2.0-only
/*
 * holdup HOW FILE [FROM]: write to FILE, and stay in that call until another process ends it.
 *
 *	splice FILE		from a pipe that no process writes to
 *	mapped FILE FROM	write() from a mapping of FROM; prints "mapped" and waits for a
 *				line of input before
 *	truncate FILE		open(O_TRUNC), again and again
 *	swap -			swaps out 8 MiB of memory after a line of input; then prints
 *				"swapped"
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE	4096
#define SWAP	(8 << 20)
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21	/* Linux 5.4 */
#endif

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static void say(const char *what)
{
	printf("%s\n", what);
	fflush(stdout);
}

static int hold_by_splice(int to)
{
	int pair[2];

	if (pipe(pair))
		return fail("pipe");
	say("splicing");
	return splice(pair[0], NULL, to, NULL, SIZE, 0) < 0 ? fail("splice") : 0;
}

static int hold_by_map(int to, const char *name)
{
	int from = open(name, O_RDONLY | O_CLOEXEC);
	char *map, line[8];

	if (from < 0)
		return fail(name);
	map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, from, 0);
	if (map == MAP_FAILED)
		return fail("mmap");
	say("mapped");
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	return write(to, map, SIZE) < 0 ? fail("write") : 0;
}

static int swap_out(void)
{
	char *map, line[8];

	map = mmap(NULL, SWAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return fail("mmap");
	memset(map, 1, SWAP);
	say("ready");
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	if (madvise(map, SWAP, MADV_PAGEOUT))
		return fail("madvise");
	say("swapped");
	return pause();
}

static int truncate_on(const char *name)
{
	say("truncating");
	for (;;) {
		int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		if (fd < 0)
			return fail(name);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	int to;

	if (argc < 3) {
		fprintf(stderr, "usage: holdup splice|mapped|truncate|swap FILE [FROM]\n");
		return 2;
	}
	if (!strcmp(argv[1], "truncate"))
		return truncate_on(argv[2]);
	if (!strcmp(argv[1], "swap"))
		return swap_out();
	to = open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (to < 0)
		return fail(argv[2]);
	return strcmp(argv[1], "splice") ? hold_by_map(to, argv[3]) : hold_by_splice(to);
}
