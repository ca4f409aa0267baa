// SPDX-License-Identifier: GPL-2.0-only
// Sources: daemon/kvp/kvppool.c
/* No record of any program is lost or torn, whatever happens in the middle of an update. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvp/kvppool.h"
#include "test.h"

#define SECTOR	512

static char dir[64], path[96];
static struct kvppool pool;
/* The process dies before the sector with this number is written, or the size set; 0: never. */
static long dies_at;
static long sectors;
static off_t full_from;		/* the disk has no room for what is behind; 0: it has */

static void count(void)
{
	if (++sectors == dies_at)
		_exit(42);
}

/* Instead of the C library's: writes sector by sector, as a machine that crashes may do. */
ssize_t pwrite(int fd, const void *buf, size_t size, off_t at)
{
	size_t done = 0;

	while (done < size) {
		size_t n = SECTOR - (at + done) % SECTOR;

		if (n > size - done)
			n = size - done;
		count();
		if (full_from && at + (off_t)done >= full_from) {
			errno = ENOSPC;
			return done ? (ssize_t)done : -1;
		}
		if (syscall(SYS_pwrite64, fd, (const char *)buf + done, n, at + done) != (ssize_t)n)
			return done ? (ssize_t)done : -1;
		done += n;
	}
	return done;
}

int ftruncate(int fd, off_t size)
{
	count();
	return syscall(SYS_ftruncate, fd, size);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/dev/shm/hv-vss-kvp.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/pool", dir);
	pool = (struct kvppool){ .path = path };
	dies_at = 0;
	full_from = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static struct kvppool_item item(const char *key, const char *text, bool depends)
{
	struct kvppool_item it = { .depends = depends };

	snprintf(it.key, sizeof(it.key), "%s", key);
	snprintf(it.text, sizeof(it.text), "%s", text);
	return it;
}

static void raw(const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);

	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

static void add(const char *key, const char *value)
{
	char record[KVPPOOL_RECORD_SIZE] = "";

	strcpy(record, key);
	strcpy(record + KVPPOOL_KEY_SIZE, value);
	/* To the last byte: it must stay as it is. */
	record[KVPPOOL_RECORD_SIZE - 1] = '!';
	raw(record, sizeof(record));
}

static size_t load(char **data)
{
	FILE *f = fopen(path, "r");
	size_t size;

	assert_non_null(f);
	*data = calloc(64, KVPPOOL_RECORD_SIZE);
	size = fread(*data, 1, 64 * KVPPOOL_RECORD_SIZE, f);
	fclose(f);
	return size;
}

/* The value of a key, as hv_kvp_daemon finds it, in a static buffer; "" if there is none. */
static const char *value(const char *key)
{
	static char found[KVPPOOL_VALUE_SIZE];
	char *data;
	size_t n = load(&data) / KVPPOOL_RECORD_SIZE;

	found[0] = '\0';
	for (size_t i = 0; i < n && !found[0]; i++) {
		const char *record = data + i * KVPPOOL_RECORD_SIZE;

		if (!strcmp(record, key))
			strcpy(found, record + KVPPOOL_KEY_SIZE);
	}
	free(data);
	return found;
}

static size_t records(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size % KVPPOOL_RECORD_SIZE, 0);
	return st.st_size / KVPPOOL_RECORD_SIZE;
}

static void records_are_added_and_changed_in_place(void **state)
{
	struct kvppool_item it[] = { item("R", "ok", false), item("T", "1", true) };

	(void)state;
	add("other1", "a");
	assert_int_equal(kvppool_update(&pool, it, 2), 0);
	add("other2", "b");
	assert_int_equal(records(), 4);
	it[0] = item("R", "failed", false);
	it[1] = item("T", "2", true);
	assert_int_equal(kvppool_update(&pool, it, 2), 0);
	assert_int_equal(records(), 4);
	assert_string_equal(value("R"), "failed");
	assert_string_equal(value("T"), "2");
	assert_string_equal(value("other1"), "a");
	assert_string_equal(value("other2"), "b");
	/* A key of another program begins like ours. */
	assert_string_equal(value("other"), "");
}

static void a_shorter_text_leaves_nothing_of_the_longer_one(void **state)
{
	char text[KVPPOOL_TEXT_SIZE], *data;
	struct kvppool_item it;

	(void)state;
	raw("", 0);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	it = item("R", text, false);
	assert_int_equal(kvppool_update(&pool, &it, 1), 0);
	assert_string_equal(value("R"), text);
	it = item("R", "y", false);
	assert_int_equal(kvppool_update(&pool, &it, 1), 0);
	load(&data);
	assert_string_equal(value("R"), "y");
	for (size_t i = KVPPOOL_KEY_SIZE + 1; i < KVPPOOL_RECORD_SIZE; i++)
		assert_int_equal(data[i], 0);
	free(data);
}

static void what_is_right_is_not_written(void **state)
{
	const struct kvppool_item it[] = { item("R", "ok", false), item("T", "1", true) };

	(void)state;
	raw("", 0);
	assert_int_equal(kvppool_update(&pool, it, 2), 0);
	sectors = 0;
	assert_int_equal(kvppool_update(&pool, it, 2), 0);
	assert_int_equal(sectors, 0);
}

/* What is wrong with the file: nothing is written, and it stays as it is. */
static void refused(int err)
{
	const struct kvppool_item it = item("R", "ok", false);
	static const char * const keys[] = { "R" };

	sectors = 0;
	assert_int_equal(kvppool_update(&pool, &it, 1), err);
	assert_int_equal(kvppool_remove(&pool, keys, 1), err);
	assert_int_equal(sectors, 0);
}

static void files_that_are_not_a_pool(void **state)
{
	char target[128];

	(void)state;
	refused(-ENOENT);
	snprintf(target, sizeof(target), "%s/target", dir);
	raw("", 0);
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	refused(-ELOOP);
	unlink(path);
	assert_int_equal(link(target, path), 0);
	refused(-EPERM);
	unlink(target);
	assert_int_equal(chmod(path, 0666), 0);
	refused(-EPERM);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(truncate(path, (off_t)5000 * KVPPOOL_RECORD_SIZE), 0);
	refused(-EFBIG);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(-EPERM);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused(-EISDIR);
	rmdir(path);
}

static void another_users_file(void **state)
{
	(void)state;
	if (geteuid())
		return;		/* another user can't make the file either */
	raw("", 0);
	assert_int_equal(chown(path, 65534, 65534), 0);
	refused(-EPERM);
}

/* Records are changed in place, but where a new one would begin is not known. */
static void a_part_of_a_record_at_the_end(void **state)
{
	struct kvppool_item it[] = { item("R", "ok", false), item("T", "1", true) };
	static const char * const keys[] = { "R", "T" };
	char *before, *after;
	size_t size;

	(void)state;
	raw("", 0);
	assert_int_equal(kvppool_update(&pool, it, 1), 0);
	raw("half", 4);
	it[0] = item("R", "failed", false);
	/* Without what belongs to it, the result is not known. */
	assert_int_equal(kvppool_update(&pool, it, 2), -EPROTO);
	assert_string_equal(value("R"), KVPPOOL_UNKNOWN);
	assert_int_equal(kvppool_update(&pool, it, 1), 0);
	assert_string_equal(value("R"), "failed");
	size = load(&before);
	assert_int_equal(kvppool_remove(&pool, keys, 2), -EPROTO);
	assert_int_equal(load(&after), size);
	assert_memory_equal(before, after, size);
	free(before);
	free(after);
}

/* In a child: a process does not exclude itself. */
static pid_t hold_lock(bool with_flock)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int ready[2], fd;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		fd = open(path, O_RDWR);
		if (with_flock ? flock(fd, LOCK_EX) : fcntl(fd, F_SETLKW, &whole))
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static bool yes(void *ctx)
{
	(void)ctx;
	return true;
}

static void a_lock_is_waited_for_a_while(void **state)
{
	struct kvppool patient;

	(void)state;
	raw("", 0);
	pool.wait_ms = 50;
	patient = pool;
	patient.wait_ms = 60000;
	patient.cancelled = yes;
	for (int with_flock = 0; with_flock <= 1; with_flock++) {
		const struct kvppool_item it = item("R", "ok", false);
		pid_t pid = hold_lock(with_flock);

		refused(-EAGAIN);
		assert_int_equal(kvppool_update(&patient, &it, 1), -ECANCELED);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		assert_int_equal(kvppool_update(&pool, &it, 1), 0);
	}
}

static void a_full_disk(void **state)
{
	struct kvppool_item it[] = { item("R", "ok", false), item("T", "1", true) };

	(void)state;
	add("other", "a");
	assert_int_equal(kvppool_update(&pool, it, 1), 0);
	full_from = 2 * KVPPOOL_RECORD_SIZE;
	it[0] = item("R", "failed", false);
	assert_int_equal(kvppool_update(&pool, it, 2), -ENOSPC);
	assert_string_equal(value("R"), KVPPOOL_UNKNOWN);
	assert_string_equal(value("other"), "a");
	assert_int_equal(records(), 2);
	/* What has a record already needs no space. */
	assert_int_equal(kvppool_update(&pool, it, 1), 0);
	assert_string_equal(value("R"), "failed");
}

static void removing_leaves_the_others(void **state)
{
	static const char * const keys[] = { "R", "T" };
	const struct kvppool_item it[] = { item("R", "ok", false), item("T", "1", true) };
	char record[KVPPOOL_RECORD_SIZE] = "", *data;

	(void)state;
	add("Rother", "a");
	assert_int_equal(kvppool_update(&pool, it, 2), 0);
	raw(record, sizeof(record));
	add("other2", "b");
	assert_int_equal(kvppool_remove(&pool, keys, 2), 0);
	assert_int_equal(records(), 2);
	load(&data);
	assert_string_equal(data, "Rother");
	assert_string_equal(data + KVPPOOL_RECORD_SIZE, "other2");
	assert_int_equal(data[2 * KVPPOOL_RECORD_SIZE - 1], '!');
	free(data);
	sectors = 0;
	assert_int_equal(kvppool_remove(&pool, keys, 2), 0);
	assert_int_equal(sectors, 0);
}

/* Crashes */

static const char * const others[] = { "other1", "other2", "other3" };
static const char * const ours[] = { "R", "T", "U" };

static void mixed_pool(void)
{
	const struct kvppool_item it[] = {
		item("R", "ok", false), item("T", "old", true), item("V", "old", false),
	};

	unlink(path);
	add("other1", "other1");
	assert_int_equal(kvppool_update(&pool, it, 1), 0);
	add("other2", "other2");
	assert_int_equal(kvppool_update(&pool, it, 3), 0);
	add("other3", "other3");
}

/* Whether the bytes of another program's record are all there, at least once. */
static bool is_whole(const char *data, size_t n, const char *name)
{
	char record[KVPPOOL_RECORD_SIZE] = "";

	strcpy(record, name);
	strcpy(record + KVPPOOL_KEY_SIZE, name);
	record[KVPPOOL_RECORD_SIZE - 1] = '!';
	for (size_t i = 0; i < n; i++)
		if (!memcmp(data + i * KVPPOOL_RECORD_SIZE, record, sizeof(record)))
			return true;
	return false;
}

static void check_after_crash(bool others_only_once)
{
	const char *result = "", *time = "", *more = "";
	size_t n = records(), found = 0;
	char *data;

	load(&data);
	for (size_t k = 0; k < 3; k++)
		assert_true(is_whole(data, n, others[k]));
	for (size_t i = 0; i < n; i++) {
		const char *record = data + i * KVPPOOL_RECORD_SIZE;

		/* No key without a value. */
		if (record[0])
			assert_string_not_equal(record + KVPPOOL_KEY_SIZE, "");
		if (!strcmp(record, "R"))
			result = record + KVPPOOL_KEY_SIZE;
		else if (!strcmp(record, "T"))
			time = record + KVPPOOL_KEY_SIZE;
		else if (!strcmp(record, "U"))
			more = record + KVPPOOL_KEY_SIZE;
		else if (!strncmp(record, "other", 5))
			found++;
		else if (strcmp(record, "V"))
			assert_string_equal(record, "");
	}
	if (others_only_once)
		assert_int_equal(found, 3);
	/* Never the one backup's result with what belongs to the other one. */
	if (!strcmp(result, "ok")) {
		assert_string_equal(time, "old");
		assert_string_equal(more, "");
	} else if (!strcmp(result, "failed")) {
		assert_string_equal(time, "new");
		assert_string_equal(more, "new");
	} else if (others_only_once) {
		assert_string_equal(result, KVPPOOL_UNKNOWN);
	}
	free(data);
}

/* Runs it in a child that dies at that sector; returns false if it has ended before. */
static bool crash_in(void (*work)(void), long at)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		sectors = 0;
		dies_at = at;
		work();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42);
	return WEXITSTATUS(status) == 42;
}

static void update(void)
{
	const struct kvppool_item it[] = {
		item("R", "failed", false), item("T", "new", true), item("U", "new", true),
		item("V", "new", false),
	};

	assert_int_equal(kvppool_update(&pool, it, 4), 0);
}

static void remove_ours(void)
{
	assert_int_equal(kvppool_remove(&pool, ours, 3), 0);
}

static void crash_at_each_sector_of_an_update(void **state)
{
	long at = 1;

	(void)state;
	for (;; at++) {
		mixed_pool();
		if (!crash_in(update, at))
			break;
		check_after_crash(true);
		/* The next one completes it, and no record without a key is left. */
		update();
		assert_string_equal(value("R"), "failed");
		assert_string_equal(value("U"), "new");
		check_after_crash(true);
		assert_int_equal(records(), 7);
	}
	/* unknown; V; U: size, value, key; T; R */
	assert_true(at > 8);
}

static void crash_at_each_sector_of_a_removal(void **state)
{
	long at = 1;

	(void)state;
	for (;; at++) {
		mixed_pool();
		if (!crash_in(remove_ours, at))
			break;
		check_after_crash(false);
		remove_ours();
		check_after_crash(false);
		for (size_t k = 0; k < 3; k++)
			assert_string_equal(value(ours[k]), "");
	}
	assert_true(at > 10);
}

/* Two of ours at once, and another program that appends under hv_kvp_daemon's lock. */
static void writers_at_once(void **state)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	pid_t pid[3];

	(void)state;
	raw("", 0);
	pool.wait_ms = 60000;
	for (int p = 0; p < 3; p++) {
		pid[p] = fork();
		if (pid[p])
			continue;
		for (int i = 0; i < 20; i++) {
			char key[32], text[16];
			struct kvppool_item it;
			int fd;

			snprintf(key, sizeof(key), "K%d.%d", p, i / 2);
			snprintf(text, sizeof(text), "%d", i);
			it = item(key, text, false);
			if (p < 2) {
				if (kvppool_update(&pool, &it, 1))
					_exit(1);
				continue;
			}
			fd = open(path, O_RDWR);
			if (fcntl(fd, F_SETLKW, &whole))
				_exit(1);
			snprintf(key, sizeof(key), "K%d.%d", p, i);
			add(key, text);		/* its close() ends the lock */
			close(fd);
		}
		_exit(0);
	}
	for (int p = 0; p < 3; p++) {
		int status;

		waitpid(pid[p], &status, 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(records(), 10 + 10 + 20);
	for (int p = 0; p < 3; p++)
		for (int i = 0; i < (p < 2 ? 10 : 20); i++) {
			char key[32], text[16];

			snprintf(key, sizeof(key), "K%d.%d", p, i);
			snprintf(text, sizeof(text), "%d", p < 2 ? 2 * i + 1 : i);
			assert_string_equal(value(key), text);
		}
}

/* Whatever is in the file: bytes that are not in a text of ours stay. */
static void arbitrary_bytes(void **state)
{
	static const char * const keys[] = { "R", "T" };

	(void)state;
	srand(1);
	for (int round = 0; round < 300; round++) {
		const struct kvppool_item it[] = { item("R", "x", false), item("T", "y", true) };
		size_t size = rand() % (5 * KVPPOOL_RECORD_SIZE), n = size / KVPPOOL_RECORD_SIZE;
		char *bytes = malloc(size + 1), *after;
		size_t now;
		int err;

		for (size_t i = 0; i < size; i++)
			bytes[i] = rand() % 4 ? rand() : 0;
		for (size_t i = 0; i < n; i++)
			if (rand() % 3 == 0)
				memcpy(bytes + i * KVPPOOL_RECORD_SIZE, rand() % 2 ? "R" : "T", 2);
			else
				bytes[i * KVPPOOL_RECORD_SIZE] |= 0x80;
		unlink(path);
		raw(bytes, size);
		err = kvppool_update(&pool, it, 2);
		assert_true(!err || (err == -EPROTO && size % KVPPOOL_RECORD_SIZE));
		now = load(&after);
		assert_true(now >= size && (now == size || size % KVPPOOL_RECORD_SIZE == 0));
		for (size_t i = 0; i < size; i++) {
			size_t at = i % KVPPOOL_RECORD_SIZE;
			const char *record = bytes + i - at;
			bool mine = i / KVPPOOL_RECORD_SIZE < n &&
				    (!strcmp(record, "R") || !strcmp(record, "T"));

			if (!mine || at < KVPPOOL_KEY_SIZE || at >= KVPPOOL_KEY_SIZE + SECTOR)
				assert_int_equal(after[i], bytes[i]);
		}
		free(after);
		if (!err && size % KVPPOOL_RECORD_SIZE) {
			assert_int_equal(kvppool_remove(&pool, keys, 2), -EPROTO);
		} else if (!err) {
			assert_int_equal(kvppool_remove(&pool, keys, 2), 0);
			assert_string_equal(value("R"), "");
			assert_string_equal(value("T"), "");
		}
		free(bytes);
	}
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(records_are_added_and_changed_in_place),
		TEST(a_shorter_text_leaves_nothing_of_the_longer_one),
		TEST(what_is_right_is_not_written),
		TEST(files_that_are_not_a_pool),
		TEST(another_users_file),
		TEST(a_part_of_a_record_at_the_end),
		TEST(a_lock_is_waited_for_a_while),
		TEST(a_full_disk),
		TEST(removing_leaves_the_others),
		TEST(crash_at_each_sector_of_an_update),
		TEST(crash_at_each_sector_of_a_removal),
		TEST(writers_at_once),
		TEST(arbitrary_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
