// SPDX-License-Identifier: GPL-2.0-only
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libmount/libmount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "plan/listeners.h"
#include "base/log.h"
#include "machine.h"

/* Each file system has its own minor number, below 64. */
const char machine_own[] =
	"20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"21 20 0:20 / /proc rw - proc none rw\n"
	"22 20 8:2 / /data rw - xfs /dev/sdb rw,logdev=/dev/null\n"
	"23 22 8:2 /sub /srv/sub\\040dir rw - xfs /dev/sdb rw,logdev=/dev/null\n"
	"24 20 8:3 / /boot/efi rw - vfat /dev/sda3 rw\n"
	"25 20 0:24 / /mnt/nfs rw - nfs4 server:/x rw\n"
	"26 20 8:5 / /mnt/ntfs rw - fuseblk /dev/sda5 rw\n"
	"27 20 259:6 / /loop rw - ext4 /dev/loop6p1 rw\n"
	"28 20 253:7 / /lvm rw - ext4 /dev/mapper/vg-lv rw\n"
	"29 20 8:8 / /a rw - ext4 /dev/sda8 rw\n"
	"30 20 8:9 / /b rw - ext4 /dev/sda9 rw\n"
	"31 20 8:10 / /mnt/ro ro - ext4 /dev/sda10 ro\n"
	"32 20 0:31 / /run rw - tmpfs none rw\n";

const char machine_others[] =
	"120 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
	"121 120 8:11 / /hidden rw - ext4 /dev/sda11 rw\n"
	"122 120 8:12 / /hidden/fat rw - vfat /dev/sda12 rw\n"
	"123 120 0:40 / /tmp rw - tmpfs none rw\n";

struct machine machine;
char machine_dir[] = "/tmp/hv-vss-nomem-XXXXXX";
char machine_sysfs[sizeof(machine_dir) + 8];
char machine_proc[sizeof(machine_dir) + 8];

static struct job *queue[64];
static unsigned int queued;

/* sysfs */

/* Makes a file with @text, or a directory; also the directories above it. */
static void sys_add(const char *path, const char *text)
{
	char full[512], *slash;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s%s", machine_sysfs, path, text ? "" : "/");
	for (slash = full + strlen(machine_sysfs) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	f = text ? fopen(full, "w") : NULL;
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static void sys_link(const char *path, const char *to)
{
	char full[512], target[512];

	snprintf(full, sizeof(full), "%s/%s", machine_sysfs, path);
	snprintf(target, sizeof(target), "%s/%s", machine_sysfs, to);
	if (symlink(target, full))
		perror(full);
}

static void add_disk(const char *name, const char *number)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "devices/pci/%s/dev", name);
	snprintf(text, sizeof(text), "%s\n", number);
	sys_add(path, text);
	snprintf(path, sizeof(path), "dev/block/%s", number);
	snprintf(text, sizeof(text), "devices/pci/%s", name);
	sys_link(path, text);
}

static void make_sysfs(void)
{
	static const char * const number[] = {
		"8:1", "8:3", "8:5", "8:8", "8:9", "8:10", "8:11", "8:12",
	};

	sys_add("dev/block", NULL);
	add_disk("sda", "8:0");
	add_disk("sdb", "8:2");
	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++) {
		char name[32], path[128];

		snprintf(name, sizeof(name), "sda/sda%s", number[i] + 2);
		add_disk(name, number[i]);
		snprintf(path, sizeof(path), "devices/pci/%s/partition", name);
		sys_add(path, number[i] + 2);
	}
	sys_add("devices/virtual/block/loop6/dev", "7:6\n");
	sys_add("devices/virtual/block/loop6/loop/backing_file", "/data/image\n");
	sys_add("devices/virtual/block/loop6/loop6p1/dev", "259:6\n");
	sys_add("devices/virtual/block/loop6/loop6p1/partition", "1\n");
	sys_link("dev/block/7:6", "devices/virtual/block/loop6");
	sys_link("dev/block/259:6", "devices/virtual/block/loop6/loop6p1");
	sys_add("devices/virtual/block/dm-7/dev", "253:7\n");
	sys_add("devices/virtual/block/dm-7/slaves", NULL);
	sys_link("devices/virtual/block/dm-7/slaves/sdb", "devices/pci/sdb");
	sys_link("devices/virtual/block/dm-7/slaves/loop6", "devices/virtual/block/loop6");
	sys_link("dev/block/253:7", "devices/virtual/block/dm-7");
	sys_add("class/block/sdc/dev", "8:32\n");
}

/* The journal of sda8 is on sdc. */
static void make_proc(void)
{
	static const char * const journal[] = {
		"sda1-8", "loop6p1-8", "dm-7-8", "sda9-8", "sda10-8", "sda11-8", "sdc",
	};
	char path[64];

	for (size_t i = 0; i < sizeof(journal) / sizeof(journal[0]); i++) {
		snprintf(path, sizeof(path), "../proc/fs/jbd2/%s", journal[i]);
		sys_add(path, NULL);
	}
	snprintf(machine_proc, sizeof(machine_proc), "%s/proc", machine_dir);
}

int machine_setup(void)
{
	if (!mkdtemp(machine_dir))
		return -1;
	sprintf(machine_sysfs, "%s/sysfs", machine_dir);
	mkdir(machine_sysfs, 0755);
	make_sysfs();
	make_proc();
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int machine_teardown(void)
{
	return nftw(machine_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void machine_reset(void)
{
	machine = (struct machine){ .now = 1000000000 };
	queued = 0;
}

/* Mount tables */

static bool libmount_is_old;

void machine_libmount(bool old)
{
	libmount_is_old = old;
}

/* Replaces the library's function: before version 2.33 it fails for an empty source. */
int mnt_table_parse_stream(struct libmnt_table *tb, FILE *f, const char *name)
{
	int (*real)(struct libmnt_table *tb, FILE *f, const char *name);

	if (libmount_is_old)
		return -EBADMSG;
	real = (int (*)(struct libmnt_table *, FILE *, const char *))
		dlsym(RTLD_NEXT, "mnt_table_parse_stream");
	return real(tb, f, name);
}

FILE *machine_table(const char *text)
{
	int fd = memfd_create("table", MFD_CLOEXEC);
	FILE *f;

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
	    lseek(fd, 0, SEEK_SET))
		abort();
	f = fdopen(fd, "r");
	if (!f)
		close(fd);
	return f;
}

int mountview_open(struct mountview *v, bool own_only)
{
	*v = (struct mountview){ .own_only = own_only };
	v->table = calloc(1, sizeof(*v->table));
	return v->table ? 0 : -ENOMEM;
}

int mountview_read(struct mountview *v, struct mounts *m)
{
	const struct mounts_other other = { .pid = 4711, .ns = -1 };
	FILE *own = machine_table(machine_own), *others = NULL;
	int err = own ? mounts_add_table(m, own, "own") : -ENOMEM;

	(void)v;
	if (!err) {
		others = machine_table(machine_others);
		err = others ? mounts_add_other(m, fileno(others), &other) : -ENOMEM;
	}
	if (own)
		fclose(own);
	if (others)
		fclose(others);
	return err;
}

/* The mount tables have always changed. */
int mountview_poll(struct mountview *v)
{
	(void)v;
	return 1;
}

int mountview_update(struct mountview *v, struct mounts *m, int64_t budget_us)
{
	(void)budget_us;
	return mountview_read(v, m);
}

void mountview_unread_name(const struct mountview_unread *gap, char name[MOUNTVIEW_NAME])
{
	snprintf(name, MOUNTVIEW_NAME, "%d", gap->pid);
}

void mountview_close_namespaces(struct mountview *v)
{
	(void)v;
}

void mountview_close(struct mountview *v)
{
	free(v->table);
	*v = (struct mountview){ 0 };
}

int listeners_mark(struct mounts *m, const char *proc)
{
	(void)m;
	(void)proc;
	return 0;
}

/* The kernel */

int openfs_open(const struct sysops *ops, const struct mounts_fs *fs)
{
	(void)ops;
	if (machine.closed_minor == minor(fs->dev))
		return -EACCES;
	machine.open++;
	return MACHINE_FD + (int)minor(fs->dev);
}

static int fake_close(int fd)
{
	if (fd != MACHINE_DEVICE)
		machine.open--;
	return 0;
}

static int fake_sync(int fd)
{
	(void)fd;
	return 0;
}

static uint64_t bit_of(int fd)
{
	return 1ULL << (fd - MACHINE_FD);
}

static int fake_freeze(int fd)
{
	if (fd == MACHINE_FD + 3 || fd == MACHINE_FD + 12)
		return -EOPNOTSUPP;
	if (machine.frozen & bit_of(fd))
		return -EBUSY;
	machine.frozen |= bit_of(fd);
	return 0;
}

static int fake_thaw(int fd)
{
	if (!(machine.frozen & bit_of(fd)))
		return -EINVAL;
	machine.frozen &= ~bit_of(fd);
	return 0;
}

static int fake_readonly(int fd)
{
	(void)fd;
	return 0;
}

static int fake_guard(int dev, unsigned long cmd, int fd, uint32_t cookie)
{
	(void)dev;
	(void)cookie;
	return cmd == HV_VSS_IOC_THAW ? fake_thaw(fd) : 0;
}

static int64_t fake_dirty(void)
{
	return 0;
}

static int fake_wake(void)
{
	return -EPERM;
}

static int64_t fake_now(void)
{
	return ++machine.now;
}

static void fake_sleep(unsigned int ms)
{
	machine.now += ms * 1000LL;
}

const struct sysops machine_ops = {
	.close = fake_close, .sync = fake_sync, .freeze = fake_freeze, .thaw = fake_thaw,
	.readonly = fake_readonly, .guard = fake_guard, .dirty_kib = fake_dirty,
	.now_us = fake_now, .sleep_ms = fake_sleep, .wake_flushers = fake_wake,
};

/* Workers */

void log_hold(bool hold)
{
	machine.log_held = hold;
}

/* Threads need memory. */
int pool_reserve(struct pool *pool, unsigned int idle)
{
	void *thread = malloc(idle);

	(void)pool;
	free(thread);
	return thread ? 0 : -EAGAIN;
}

void pool_submit(struct pool *pool, struct job *job)
{
	(void)pool;
	atomic_store(&job->phase, JOB_RUNNING);
	queue[queued++] = job;
}

void machine_work(struct freezer *f)
{
	while (queued) {
		struct job *job = queue[0];

		memmove(&queue[0], &queue[1], --queued * sizeof(job));
		job->run(job);
		freezer_job_done(f, job);
	}
}

void machine_wait(int64_t until)
{
	if (until > machine.now)
		machine.now = until;
}

/* Blockers: this machine has none. */

struct busy *busy_new(const struct fsset *set, const struct busy_config *config)
{
	(void)set;
	(void)config;
	return NULL;
}

void busy_free(struct busy *b)
{
	(void)b;
}

void busy_check(struct busy *b)
{
	(void)b;
}

void busy_name(struct busy *b)
{
	(void)b;
}
