// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the kernel's initramfs to a system whose "/" is a disk. It does what a distribution's
 * initramfs does, as far as tests need it. The initramfs itself stays mounted at /run/hvtest.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "boot.h"

#define NEWROOT "/newroot"

struct mount_point {
	const char *type;
	const char *where;
	unsigned long flags;
	const char *options;
};

static const struct mount_point early[] = {
	{ "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "devtmpfs", "/dev", MS_NOSUID, "mode=0755" },
};

static const struct mount_point late[] = {
	{ "proc", NEWROOT "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "sysfs", NEWROOT "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "devtmpfs", NEWROOT "/dev", MS_NOSUID, "mode=0755" },
	{ "tmpfs", NEWROOT "/run", MS_NOSUID | MS_NODEV, "mode=0755" },
	{ "tmpfs", NEWROOT "/tmp", MS_NOSUID | MS_NODEV, "mode=1777" },
};

/* There is none before 4.5. */
static const struct mount_point cgroup2 = {
	"cgroup2", NEWROOT "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL,
};

/**
 * boot_say() - print a line on the console
 * @format: as printf(), without the newline
 */
void boot_say(const char *format, ...)
{
	char line[512];
	va_list args;
	int fd, n;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = dprintf(fd, "agent: %s\n", line);
	(void)n;
	close(fd);
}

static int mount_all(const struct mount_point *m, size_t n)
{
	for (; n--; m++) {
		if (mkdir(m->where, 0755) < 0 && errno != EEXIST)
			return -errno;
		if (mount(m->type, m->where, m->type, m->flags, m->options) < 0) {
			boot_say("mount %s: %s", m->where, strerror(errno));
			return -errno;
		}
	}
	return 0;
}

/* Reads the first line of a small file, without its newline. */
static int read_line(const char *path, char *line, size_t room)
{
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	n = read(fd, line, room - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

/* The file has the path of one module per line, dependencies first. */
static int load_modules(const char *list)
{
	char path[256];
	FILE *file = fopen(list, "re");
	int fd;

	if (!file)
		return -errno;
	while (fgets(path, sizeof(path), file)) {
		path[strcspn(path, "\n")] = '\0';
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			boot_say("module %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	fclose(file);
	return 0;
}

/* The virtio disk with the serial number "root". */
static int find_root(char *device, size_t room)
{
	char path[300], serial[64];
	const struct dirent *d;
	DIR *dir = opendir("/sys/block");
	int found = 0;

	if (!dir)
		return -errno;
	while (!found && (d = readdir(dir))) {
		if (strncmp(d->d_name, "vd", 2))
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/serial", d->d_name);
		if (!read_line(path, serial, sizeof(serial)) && !strcmp(serial, "root"))
			found = (size_t)snprintf(device, room, "/dev/%s", d->d_name) < room;
	}
	closedir(dir);
	return found ? 0 : -ENODEV;
}

static int enter_root(void)
{
	if (mkdir(NEWROOT GUEST_DIR, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (mount("/hvtest", NEWROOT GUEST_DIR, NULL, MS_BIND, NULL) < 0)
		return -errno;
	if (chdir(NEWROOT) < 0 || mount(NEWROOT, "/", NULL, MS_MOVE, NULL) < 0)
		return -errno;
	if (chroot(".") < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

/*
 * The machine has no source of entropy, so programs that need random numbers early would wait for
 * seconds. It has no secrets, so any bytes are good enough.
 */
static void seed_random(void)
{
	struct {
		struct rand_pool_info head;
		unsigned char seed[64];
	} pool = { .head = { .entropy_count = 512, .buf_size = sizeof(pool.seed) } };
	int fd = open("/dev/random", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0)
		boot_say("no seed for random numbers: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

/**
 * boot_system() - mount everything, load the modules, make the root disk "/"
 *
 * Context: as process 1 in the initramfs.
 * Return: 0 or a negative errno; the reason is on the console.
 */
int boot_system(void)
{
	char device[300] = "";
	int err, tries;

	err = mount_all(early, sizeof(early) / sizeof(early[0]));
	if (err)
		return err;
	seed_random();
	err = load_modules("/hvtest/boot-modules");
	if (err)
		return err;
	/* The kernel finds the disks asynchronously. */
	for (tries = 0; (err = find_root(device, sizeof(device))) && tries < 200; tries++)
		usleep(20000);
	if (err) {
		boot_say("no disk with the serial number \"root\"");
		return err;
	}
	mkdir(NEWROOT, 0755);
	if (mount(device, NEWROOT, "ext4", 0, NULL) < 0) {
		err = -errno;
		boot_say("root disk %s: %s", device, strerror(errno));
		return err;
	}
	err = mount_all(late, sizeof(late) / sizeof(late[0]));
	if (!err) {
		mount_all(&cgroup2, 1);
		err = enter_root();
	}
	if (err)
		boot_say("entering the root disk: %s", strerror(-err));
	return err;
}

/**
 * boot_open_port() - open a virtio-serial port by its name
 * @name: as given to QEMU
 *
 * Return: a file descriptor or a negative errno.
 */
int boot_open_port(const char *name)
{
	char path[300], line[128];
	const struct dirent *d;
	DIR *dir = opendir("/sys/class/virtio-ports");
	int fd = -ENODEV;

	if (!dir)
		return -errno;
	while (fd == -ENODEV && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", d->d_name);
		if (read_line(path, line, sizeof(line)) || strcmp(line, name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", d->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	closedir(dir);
	return fd;
}
