// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/sysattr.c daemon/evidence/diskstats.c daemon/evidence/evidence.c
// Sources: daemon/evidence/swaps.c daemon/evidence/verdict.c daemon/plan/blockdev.c
/* What the counters of disks say about a freeze, in a /proc and a /sys of our own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "evidence/evidence.h"
#include "test.h"

/* sda with two partitions, a volume on the second one; sdb, a member of md0. */
enum { SDA, SDA1, SDA2, DM0, SDB, MD0, DEVICES };

static const char * const names[DEVICES] = { "sda", "sda1", "sda2", "dm-0", "sdb", "md0" };
static const unsigned int numbers[DEVICES][2] = {
	{ 8, 0 }, { 8, 1 }, { 8, 2 }, { 253, 0 }, { 8, 16 }, { 9, 0 },
};

static struct {
	char top[64];
	char proc[80];
	char sysfs[80];
	struct evidence e;
	struct evidence_verdict v;
	unsigned int old[DEVICES];	/* requests before the test */
	unsigned int writes[DEVICES];	/* requests of 8 sectors each */
	unsigned int flushes;		/* of sda: requests without any */
	unsigned int discarded;		/* sectors of sda */
	unsigned int reading;		/* requests of sda in flight */
	unsigned int writing;
	unsigned int slept;
	unsigned int settles_after;	/* naps */
} m;

static void put(const char *dir, const char *name, const char *text)
{
	char path[192];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void counters(void)
{
	char text[1024] = "", inflight[32];

	for (int i = 0; i < DEVICES; i++)
		sprintf(text + strlen(text),
			"%4u %7u %s 9 1 80 3 %u 0 %u 7 %u 30 40 1 0 %u 0 5 6\n",
			numbers[i][0], numbers[i][1], names[i],
			m.old[i] + m.writes[i] + (i ? 0 : m.flushes),
			8 * (m.old[i] + m.writes[i]),
			i ? 0 : m.reading + m.writing, i ? 0 : m.discarded);
	put(m.proc, "diskstats", text);
	snprintf(inflight, sizeof(inflight), "%8u %8u\n", m.reading, m.writing);
	put(m.top, "d/sda/inflight", inflight);
}

/* So many requests to a device, and to the disk below it. */
static void writes(int device, unsigned int n)
{
	m.writes[device] += n;
	if (device != SDA && device != SDB)
		m.writes[device == MD0 ? SDB : SDA] += n;
	if (device == DM0)
		m.writes[SDA2] += n;
	counters();
}

static void nap(unsigned int ms)
{
	m.slept += ms;
	if (m.settles_after && !--m.settles_after) {
		m.writing = 0;
		writes(SDA1, 1);
	}
}

static int setup(void **state)
{
	char cmd[2048];

	(void)state;
	memset(&m, 0, sizeof(m));
	for (int i = 0; i < DEVICES; i++)
		m.old[i] = 100;
	strcpy(m.top, "/tmp/hv-vss-evidence.XXXXXX");
	assert_non_null(mkdtemp(m.top));
	snprintf(m.proc, sizeof(m.proc), "%s/proc", m.top);
	snprintf(m.sysfs, sizeof(m.sysfs), "%s/sys", m.top);
	snprintf(cmd, sizeof(cmd),
		 "set -e; cd %s; mkdir -p proc sys/dev/block d/sda/sda1/holders d/sda/queue; "
		 "mkdir -p d/sda/sda2/holders/dm-0 d/dm-0/slaves d/dm-0/dm d/md0/slaves; "
		 "mkdir -p d/sdb/holders/md0 d/sdb/queue; echo 1 >d/sda/queue/iostats; "
		 "echo 8:0 >d/sda/dev; echo 8:16 >d/sdb/dev; echo 253:0 >d/dm-0/dev; "
		 "echo 9:0 >d/md0/dev; echo vg-data >d/dm-0/dm/name; "
		 "for n in 1 2; do echo 8:$n >d/sda/sda$n/dev; echo $n >d/sda/sda$n/partition; "
		 "ln -s ../../../d/sda/sda$n sys/dev/block/8:$n; done; "
		 "ln -s ../../sda/sda2 d/dm-0/slaves/sda2; ln -s ../../sdb d/md0/slaves/sdb; "
		 "ln -s ../../../d/sda sys/dev/block/8:0; "
		 "ln -s ../../../d/sdb sys/dev/block/8:16; "
		 "ln -s ../../../d/md0 sys/dev/block/9:0; "
		 "ln -s ../../../d/dm-0 sys/dev/block/253:0", m.top);
	assert_int_equal(system(cmd), 0);
	counters();
	put(m.proc, "swaps", "Filename Type Size Used Priority\n");
	put(m.proc, "vmstat", "nr_free_pages 1\npswpin 3\npswpout 40\n");
	return 0;
}

static int teardown(void **state)
{
	char cmd[96];

	(void)state;
	evidence_free(&m.e);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", m.top);
	return system(cmd);
}

static void begin(void)
{
	evidence_free(&m.e);
	assert_int_equal(evidence_prepare(&m.e, m.proc), 0);
	assert_int_equal(evidence_add_disk(&m.e, m.sysfs, makedev(8, 0)), 0);
	assert_int_equal(evidence_add_disk(&m.e, m.sysfs, makedev(8, 16)), 0);
	assert_int_equal(evidence_add_disk(&m.e, m.sysfs, makedev(8, 0)), 0);
	evidence_begin(&m.e, nap);
}

/* The verdict, in words. */
static const char *end(void)
{
	static char text[160];

	evidence_end(&m.e);
	evidence_judge(&m.e, m.proc, m.sysfs, &m.v);
	evidence_describe(&m.v, text, sizeof(text));
	return text;
}

static int system_in_top(const char *what)
{
	char cmd[192];

	snprintf(cmd, sizeof(cmd), "cd %s; %s", m.top, what);
	return system(cmd);
}

static void nothing_was_written(void **state)
{
	(void)state;
	begin();
	assert_string_equal(end(), "nothing was written to 2 disks while frozen");
	assert_int_equal(m.v.known, 1);
	assert_int_equal(m.v.disks, 2);
	assert_int_equal(m.v.written + m.v.other + m.v.n, 0);
	assert_int_equal(m.slept, 0);
}

static void a_partition_was_written_to(void **state)
{
	(void)state;
	begin();
	writes(SDA1, 3);
	assert_string_equal(end(), "written to while frozen: sda (3 requests, 12 KiB, by way of "
				   "sda1)");
	assert_int_equal(m.v.written, 1);
	assert_int_equal(m.v.disks, 2);
}

static void a_volume_is_nearer_than_its_partition(void **state)
{
	(void)state;
	begin();
	writes(DM0, 2);
	assert_string_equal(end(), "written to while frozen: sda (2 requests, 8 KiB, by way of "
				   "dm-0)");
}

static void the_disk_itself_was_written_to(void **state)
{
	(void)state;
	begin();
	writes(SDA, 1);
	assert_string_equal(end(), "written to while frozen: sda (1 requests, 4 KiB)");
}

/* fsync() of a file on a frozen file system. */
static void a_flush_of_the_cache_writes_nothing(void **state)
{
	(void)state;
	begin();
	m.flushes = 2;
	counters();
	assert_string_equal(end(), "nothing was written to 2 disks while frozen");
}

/* File systems do so in the background, with blocks that they have freed. */
static void a_discard_changes_no_data(void **state)
{
	(void)state;
	begin();
	m.discarded = 2048;
	counters();
	assert_string_equal(end(), "written to while frozen: sda by discards alone");
	assert_int_equal(m.v.written, 0);
	writes(SDA1, 1);
	assert_string_equal(end(), "written to while frozen: sda (1 requests, 4 KiB, by way of "
				   "sda1)");
}

static void a_write_in_flight_is_waited_for(void **state)
{
	(void)state;
	m.writing = 1;
	m.settles_after = 2;
	counters();
	begin();
	assert_int_equal(m.slept, 4);
	assert_string_equal(end(), "nothing was written to 2 disks while frozen");
}

static void reads_in_flight_excuse_nothing(void **state)
{
	(void)state;
	m.reading = 32;
	counters();
	begin();
	assert_int_equal(m.slept, 0);
	writes(SDA1, 20);
	assert_string_equal(end(), "written to while frozen: sda (20 requests, 80 KiB, by way of "
				   "sda1)");
}

static void swap_counts_apart(void **state)
{
	(void)state;
	put(m.proc, "swaps", "Filename Type Size Used Priority\n/dev/dm-0 partition 1000 0 -2\n");
	begin();
	writes(DM0, 256);
	assert_string_equal(end(), "written to while frozen: sda by swap alone");
	assert_int_equal(m.v.written, 0);
	assert_int_equal(m.v.other, 1);
	writes(SDA1, 1);
	assert_string_equal(end(), "written to while frozen: sda (257 requests, 1028 KiB, by way "
				   "of sda1)");
	assert_int_equal(m.v.written, 1);
}

static void two_swaps_on_a_disk(void **state)
{
	(void)state;
	put(m.proc, "swaps", "Filename\n/dev/dm-0 partition 9\n/dev/sda1 partition 9\n");
	begin();
	writes(DM0, 3);
	writes(SDA1, 2);
	assert_string_equal(end(), "written to while frozen: sda by swap alone");
}

static void a_swap_file_is_told_by_its_pages(void **state)
{
	(void)state;
	put(m.proc, "swaps", "Filename Type Size Used Priority\n/swap file 1000 0 -2\n");
	begin();
	put(m.proc, "vmstat", "nr_free_pages 1\npswpin 3\npswpout 43\n");
	writes(SDA1, 3);
	assert_string_equal(end(), "written to while frozen: sda by swap alone");
	/* Which of two disks the file is on is not known. */
	writes(MD0, 3);
	end();
	assert_int_equal(m.v.written, 2);
}

static void swapped_pages_excuse_no_other_writes(void **state)
{
	(void)state;
	/* Some of them went to memory. */
	put(m.proc, "swaps", "Filename Type Size\n/dev/zram0 partition 9\n/swap file 9 0 -2\n");
	begin();
	put(m.proc, "vmstat", "nr_free_pages 1\npswpin 3\npswpout 90\n");
	writes(SDA1, 3);
	end();
	assert_int_equal(m.v.written, 1);
	/* The second figure can't be had. */
	put(m.proc, "swaps", "Filename Type Size Used Priority\n/swap file 1000 0 -2\n");
	begin();
	put(m.proc, "vmstat", "");
	writes(SDA1, 3);
	end();
	assert_int_equal(m.v.written, 1);
}

static void an_array_writes_its_superblock(void **state)
{
	(void)state;
	begin();
	writes(SDB, 1);
	assert_string_equal(end(), "written to while frozen: sdb by its RAID alone");
	assert_int_equal(m.v.written, 0);
	/* Counters that are off count nothing, unless they have counted already. */
	assert_int_equal(system_in_top("mkdir -p d/md0/queue; echo 0 >d/md0/queue/iostats"), 0);
	end();
	assert_int_equal(m.v.written, 0);
	m.old[MD0] = 0;
	counters();
	begin();
	writes(SDB, 1);
	end();
	assert_int_equal(m.v.written, 1);
	begin();
	writes(MD0, 2);
	assert_string_equal(end(),
			    "written to while frozen: sdb (2 requests, 8 KiB, by way of md0)");
}

static void disks_without_counters_are_named(void **state)
{
	(void)state;
	put(m.top, "d/sdb/queue/iostats", "0\n");
	begin();
	assert_string_equal(end(), "nothing was written to 1 disk while frozen; 1 keep no counters "
				   "(queue/iostats)");
	put(m.top, "d/sda/queue/iostats", "0\n");
	begin();
	assert_string_equal(end(), "no disk keeps counters (queue/iostats)");
}

static void more_than_there_is_room_for(void **state)
{
	struct evidence_verdict v = { .known = 1, .disks = 20, .written = 12, .n = 8 };
	char text[160];

	(void)state;
	for (int i = 0; i < 8; i++) {
		snprintf(v.one[i].disk, sizeof(v.one[i].disk), "sd%c", 'a' + i);
		snprintf(v.one[i].by, sizeof(v.one[i].by), "sd%c1", 'a' + i);
	}
	evidence_describe(&v, text, sizeof(text));
	assert_string_equal(text,
			    "written to while frozen: sda (0 requests, 0 KiB, by way of sda1), "
			    "sdb (0 requests, 0 KiB, by way of sdb1), and 10 more");
}

static void no_counters_are_no_evidence(void **state)
{
	(void)state;
	strcat(m.proc, "/none");
	assert_int_equal(evidence_prepare(&m.e, m.proc), -ENOENT);
	evidence_begin(&m.e, nap);
	assert_string_equal(end(), "");
	assert_int_equal(m.v.known, 0);
}

static void more_devices_than_expected(void **state)
{
	char *text = calloc(1, 200 * 1000);

	(void)state;
	begin();
	for (int i = 0; i < 2000; i++)
		sprintf(text + strlen(text), "   7 %d loop%d 0 0 0 0 0 0 0 0 0 0 0\n", i, i);
	put(m.proc, "diskstats", text);
	free(text);
	assert_string_equal(end(), "the counters of the disks cannot be compared: too many devices "
				   "are new");
	assert_int_equal(m.v.known, -E2BIG);
	assert_int_equal(m.v.n, 0);
}

static void a_disk_that_was_removed_says_nothing(void **state)
{
	(void)state;
	begin();
	put(m.proc, "diskstats", "   8       0 sda 9 1 80 3 100 0 800 7 0 30 40\n");
	assert_string_equal(end(), "nothing was written to 1 disk while frozen");
	/* Another one has its number. */
	put(m.proc, "diskstats", "   8       0 sda 9 1 80 3 5 0 40 7 0 30 40\n");
	assert_string_equal(end(), "");
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_was_written),
		TEST(a_partition_was_written_to),
		TEST(a_volume_is_nearer_than_its_partition),
		TEST(the_disk_itself_was_written_to),
		TEST(a_flush_of_the_cache_writes_nothing),
		TEST(a_discard_changes_no_data),
		TEST(a_write_in_flight_is_waited_for),
		TEST(reads_in_flight_excuse_nothing),
		TEST(swap_counts_apart),
		TEST(two_swaps_on_a_disk),
		TEST(a_swap_file_is_told_by_its_pages),
		TEST(swapped_pages_excuse_no_other_writes),
		TEST(an_array_writes_its_superblock),
		TEST(disks_without_counters_are_named),
		TEST(more_than_there_is_room_for),
		TEST(no_counters_are_no_evidence),
		TEST(more_devices_than_expected),
		TEST(a_disk_that_was_removed_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
