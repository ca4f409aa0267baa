// SPDX-License-Identifier: GPL-2.0-only
/*
 * loops mount IMAGE DIR WHERE N: make N copies of a file system image in DIR, and mount each with a
 * loop device at WHERE/1 ... WHERE/N. loops umount DIR WHERE N: unmount and remove them.
 *
 * One process for all: with mount(8), a process for each would take minutes in a guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkfs writes only to the beginning of an empty file system of this size. */
#define HEAD	(128 * 1024)

static void die(const char *what)
{
	fprintf(stderr, "loops: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void copy(const char *image, const char *to)
{
	static char head[HEAD];
	struct stat st;
	int from = open(image, O_RDONLY), fd = open(to, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (from < 0 || fstat(from, &st) || read(from, head, HEAD) != HEAD)
		die(image);
	if (fd < 0 || write(fd, head, HEAD) != HEAD || ftruncate(fd, st.st_size))
		die(to);
	close(from);
	close(fd);
}

static void attach(const char *file, char *device, size_t size)
{
	/* The kernel removes the device at the unmount. */
	struct loop_info64 info = { .lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR);
	int n = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	int fd = open(file, O_RDWR), loop;

	if (n < 0 || fd < 0)
		die(file);
	snprintf(device, size, "/dev/loop%d", n);
	loop = open(device, O_RDWR);
	if (loop < 0 || ioctl(loop, LOOP_SET_FD, fd) || ioctl(loop, LOOP_SET_STATUS64, &info))
		die(device);
	close(control);
	close(fd);
	/* "loop" stays open: an autoclear device is removed when it is closed and not mounted. */
}

static void path_of(char *path, size_t size, const char *dir, int i)
{
	if ((size_t)snprintf(path, size, "%s/%d", dir, i) >= size)
		exit(2);
}

static void mount_one(const char *image, const char *dir, const char *where, int i)
{
	char file[256], place[256], device[32];

	path_of(file, sizeof(file), dir, i);
	path_of(place, sizeof(place), where, i);
	copy(image, file);
	attach(file, device, sizeof(device));
	if ((mkdir(place, 0755) && errno != EEXIST) || mount(device, place, "ext4", 0, NULL))
		die(place);
}

static void umount_one(const char *dir, const char *where, int i)
{
	char file[256], place[256];

	path_of(file, sizeof(file), dir, i);
	path_of(place, sizeof(place), where, i);
	if (umount(place) && errno != EINVAL && errno != ENOENT)
		die(place);
	rmdir(place);
	unlink(file);
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "mount"))
		for (int i = 1; i <= atoi(argv[5]); i++)
			mount_one(argv[2], argv[3], argv[4], i);
	else if (argc == 5 && !strcmp(argv[1], "umount"))
		for (int i = 1; i <= atoi(argv[4]); i++)
			umount_one(argv[2], argv[3], i);
	else
		return 2;
	return 0;
}
