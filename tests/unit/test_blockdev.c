// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/base/sysattr.c daemon/plan/blockdev.c
/* Block devices on block devices, in a simulated sysfs. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "plan/blockdev.h"
#include "test.h"

#define LEVELS	200
#define STACK	(128 * 1024)	/* not more than a worker has */

static struct {
	char sysfs[64];
	unsigned int disks;
	dev_t disk;
	unsigned int files;
	int error;
} m;

static void shell(const char *fmt, unsigned int a, unsigned int b)
{
	char cmd[1024];
	int len = snprintf(cmd, sizeof(cmd), "set -e; cd %s; ", m.sysfs);

	snprintf(cmd + len, sizeof(cmd) - len, fmt, a, b);
	assert_int_equal(system(cmd), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&m, 0, sizeof(m));
	strcpy(m.sysfs, "/tmp/hv-vss-sysfs-XXXXXX");
	if (!mkdtemp(m.sysfs))
		return -1;
	shell("mkdir -p dev/block devices/sda; echo 8:0 >devices/sda/dev; "
	      "ln -s ../../devices/sda dev/block/8:0", 0, 0);
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -r %s", m.sysfs);
	return system(cmd);
}

static int see_disk(void *arg, dev_t disk)
{
	(void)arg;
	m.disks++;
	m.disk = disk;
	return m.error;
}

static int see_file(void *arg, const char *file)
{
	(void)arg;
	(void)file;
	m.files++;
	return 0;
}

static const struct blockdev_walk walk = { .file = see_file, .disk = see_disk };

/* dm-1 on sda, dm-2 on dm-1, and so on. */
static void stack_up(unsigned int levels)
{
	shell("i=0; while [ $i -lt %u ]; do i=$((i + 1)); mkdir -p devices/dm-$i/slaves; "
	      "echo 254:$i >devices/dm-$i/dev; ln -s ../../devices/dm-$i dev/block/254:$i; "
	      "if [ $i = 1 ]; then below=sda; else below=dm-$((i - 1)); fi; "
	      "ln -s ../../$below devices/dm-$i/slaves/$below; done", levels, 0);
}

static void *walk_down(void *arg)
{
	*(int *)arg = blockdev_walk(m.sysfs, makedev(254, LEVELS), &walk);
	return NULL;
}

static void deep_stack_is_walked_with_a_small_stack(void **state)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err = -1;

	(void)state;
	stack_up(LEVELS);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	assert_int_equal(pthread_create(&thread, &attr, walk_down, &err), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	assert_int_equal(err, 0);
	assert_int_equal(m.disks, 1);
	assert_int_equal(m.disk, makedev(8, 0));
}

static void shared_device_is_visited_once(void **state)
{
	(void)state;
	stack_up(12);
	/* Each on all below it, so there are 2^11 paths down. */
	shell("for i in 3 4 5 6 7 8 9 10 11 12; do j=1; while [ $j -lt $((i - 1)) ]; do "
	      "ln -s ../../dm-$j devices/dm-$i/slaves/; j=$((j + 1)); done; done", 0, 0);
	assert_int_equal(blockdev_walk(m.sysfs, makedev(254, 12), &walk), 0);
	assert_int_equal(m.disks, 1);
}

static void cycle_ends(void **state)
{
	(void)state;
	stack_up(3);
	shell("ln -s ../../dm-3 devices/dm-1/slaves/dm-3", 0, 0);
	assert_int_equal(blockdev_walk(m.sysfs, makedev(254, 3), &walk), 0);
	assert_int_equal(m.disks, 1);
}

static void partition_leads_to_its_disk(void **state)
{
	(void)state;
	shell("mkdir devices/sda/sda1; echo 1 >devices/sda/sda1/partition; "
	      "echo 8:1 >devices/sda/sda1/dev; ln -s ../../devices/sda/sda1 dev/block/8:1", 0, 0);
	assert_int_equal(blockdev_walk(m.sysfs, makedev(8, 1), &walk), 0);
	assert_int_equal(m.disk, makedev(8, 0));
}

static void loop_device_ends_the_walk(void **state)
{
	(void)state;
	shell("mkdir -p devices/loop0/loop; echo /img >devices/loop0/loop/backing_file; "
	      "ln -s ../../devices/loop0 dev/block/7:0", 0, 0);
	assert_int_equal(blockdev_walk(m.sysfs, makedev(7, 0), &walk), 0);
	assert_int_equal(m.files, 1);
	assert_int_equal(m.disks, 0);
}

static void errors_are_returned(void **state)
{
	(void)state;
	assert_int_equal(blockdev_walk(m.sysfs, makedev(9, 9), &walk), 0);
	m.error = -EIO;
	assert_int_equal(blockdev_walk(m.sysfs, makedev(8, 0), &walk), -EIO);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(deep_stack_is_walked_with_a_small_stack),
		TEST(shared_device_is_visited_once),
		TEST(cycle_ends),
		TEST(partition_leads_to_its_disk),
		TEST(loop_device_ends_the_walk),
		TEST(errors_are_returned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
