// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "journal.h"
#include "log.h"

#define LOG_RING	(128 * 1024U)	/* bytes; a power of two */
#define LOG_LINE_MAX	990		/* of text */
#define LOG_STACK	(32 * 1024L)
#define LOG_OLD_US	1000000LL	/* the text of an older line gets its age */

struct log_entry {
	int64_t time;
	int priority;
	size_t len;			/* of text */
	struct journal_fields fields;
	char text[LOG_LINE_MAX + 32];	/* with room for the age */
};

/* Header of an entry in the ring; its text and fields follow. */
struct log_head {
	int64_t time;
	uint16_t len;
	uint16_t fields;
	uint8_t priority;
};

/* One for the process, as stderr. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;		/* wakes the writer: a new line, end of a hold, stop */
	pthread_cond_t idle;		/* wakes log_stop(): the ring is empty */
	pthread_t thread;
	bool running;
	bool hold;
	bool stop;
	bool writing;
	int fd;
	int journal;			/* -1: not connected */
	bool prefix;
	int max_priority;
	unsigned long backup;		/* number of the running backup; 0: none */
	unsigned int head;		/* the next entry goes here */
	unsigned int tail;		/* the oldest entry */
	unsigned int lost;
	char ring[LOG_RING];
} log_ring = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
	.idle = PTHREAD_COND_INITIALIZER,
	.fd = STDERR_FILENO,
	.journal = -1,
	.max_priority = LOG_INFO,
};

/* The ring. Callers hold its lock. */

static void ring_put(const void *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		log_ring.ring[log_ring.head++ % LOG_RING] = ((const char *)from)[i];
}

static void ring_get(void *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((char *)to)[i] = log_ring.ring[log_ring.tail++ % LOG_RING];
}

static void ring_push(const struct log_entry *e)
{
	const struct log_head head = {
		.time = e->time, .len = e->len, .fields = e->fields.len, .priority = e->priority,
	};
	size_t size = sizeof(head) + head.len + head.fields;

	while (log_ring.head - log_ring.tail + size > LOG_RING) {
		struct log_head old;

		ring_get(&old, sizeof(old));
		log_ring.tail += old.len + old.fields;
		log_ring.lost++;
	}
	ring_put(&head, sizeof(head));
	ring_put(e->text, head.len);
	ring_put(e->fields.buf, head.fields);
}

static void ring_pop(struct log_entry *e)
{
	struct log_head head;

	ring_get(&head, sizeof(head));
	e->time = head.time;
	e->priority = head.priority;
	e->len = head.len;
	e->fields.len = head.fields;
	ring_get(e->text, head.len);
	ring_get(e->fields.buf, head.fields);
}

/* The writer */

static void write_all(int fd, const char *text, int len)
{
	while (len > 0) {
		ssize_t put = write(fd, text, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return;		/* stderr is broken: there is no other place to report it */
		text += put;
		len -= put;
	}
}

static void write_entry(const struct log_entry *e)
{
	char line[sizeof(e->text) + 8];
	int len = 0;

	if (log_ring.journal >= 0 &&
	    !journal_send(log_ring.journal, e->priority, e->text, e->len, &e->fields))
		return;
	/* Also if the journal's queue is full: only this thread waits then. */
	if (log_ring.prefix)
		len = snprintf(line, sizeof(line), "<%d>", e->priority);
	memcpy(line + len, e->text, e->len);
	len += e->len;
	line[len++] = '\n';
	write_all(log_ring.fd, line, len);
}

static void write_lost(unsigned int lost)
{
	struct log_entry e = { .priority = LOG_WARNING };

	e.len = snprintf(e.text, sizeof(e.text), "%u log lines lost", lost);
	write_entry(&e);
}

static void add_age(struct log_entry *e)
{
	int64_t age = clock_now_us() - e->time;

	if (age >= LOG_OLD_US)
		e->len += snprintf(e->text + e->len, sizeof(e->text) - e->len, " (%d.%d s ago)",
				   (int)(age / 1000000), (int)(age / 100000 % 10));
}

static void *log_writer(void *unused)
{
	struct log_entry entry;
	unsigned int lost;

	(void)unused;
	pthread_mutex_lock(&log_ring.lock);
	for (;;) {
		while (!log_ring.stop &&
		       (log_ring.hold || log_ring.head == log_ring.tail))
			pthread_cond_wait(&log_ring.wake, &log_ring.lock);
		if (log_ring.head == log_ring.tail)
			break;
		ring_pop(&entry);
		lost = log_ring.lost;
		log_ring.lost = 0;
		log_ring.writing = true;
		pthread_mutex_unlock(&log_ring.lock);
		if (lost)
			write_lost(lost);
		add_age(&entry);
		write_entry(&entry);
		pthread_mutex_lock(&log_ring.lock);
		log_ring.writing = false;
		if (log_ring.head == log_ring.tail)
			pthread_cond_signal(&log_ring.idle);
	}
	pthread_mutex_unlock(&log_ring.lock);
	return NULL;
}

/**
 * log_start() - start the thread that writes the log
 * @fd: where to write it; kept open by the caller
 * @prefix: begin each line with <priority>, as the journal wants it
 * @max_priority: least important priority to be logged (LOG_INFO, LOG_DEBUG)
 *
 * Context: once, before any thread logs. All signals must be blocked already.
 * Return: 0 or a negative errno; without the thread log_msg() writes directly.
 */
int log_start(int fd, bool prefix, int max_priority)
{
	pthread_attr_t attr;
	int err;

	log_ring.fd = fd;
	log_ring.prefix = prefix;
	log_ring.max_priority = max_priority;
	log_ring.stop = false;
	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	pthread_attr_setstacksize(&attr, LOG_STACK > PTHREAD_STACK_MIN ?
				  LOG_STACK : PTHREAD_STACK_MIN);
	err = pthread_create(&log_ring.thread, &attr, log_writer, NULL);
	pthread_attr_destroy(&attr);
	log_ring.running = !err;
	return -err;
}

/**
 * log_journal() - send entries to the journal; to stderr only those that it does not accept
 * @fd: from journal_open(); negative: not connected
 *
 * Context: before log_start().
 */
void log_journal(int fd)
{
	log_ring.journal = fd < 0 ? -1 : fd;
}

/**
 * log_backup() - set the number of the backup that all later lines belong to
 * @id: the number; 0: later lines belong to no backup
 */
void log_backup(unsigned long id)
{
	pthread_mutex_lock(&log_ring.lock);
	log_ring.backup = id;
	pthread_mutex_unlock(&log_ring.lock);
}

static void format_text(struct log_entry *e, const char *fmt, va_list ap)
{
	int len = vsnprintf(e->text, LOG_LINE_MAX, fmt, ap);

	if (len < 0)
		len = 0;
	e->len = len < LOG_LINE_MAX ? len : LOG_LINE_MAX - 1;
	/*
	 * The name of a mount point may contain any character. It must not begin a new line nor
	 * send escape sequences to a terminal; and journalctl hides messages with control
	 * characters.
	 */
	for (char *p = e->text; p < e->text + e->len; p++)
		if (iscntrl((unsigned char)*p) && *p != '\t')
			*p = '?';
}

static void add_entry(struct log_entry *e, const char *fmt, va_list ap)
{
	e->time = clock_now_us();
	format_text(e, fmt, ap);
	pthread_mutex_lock(&log_ring.lock);
	if (log_ring.backup)
		journal_add(&e->fields, "HV_VSS_BACKUP", "%lu", log_ring.backup);
	if (log_ring.running) {
		ring_push(e);
		pthread_cond_signal(&log_ring.wake);
	}
	pthread_mutex_unlock(&log_ring.lock);
	if (!log_ring.running)
		write_entry(e);
}

/**
 * log_msg() - log one line
 * @priority: LOG_ERR ... LOG_DEBUG of <syslog.h>
 * @fmt: printf format, without the newline; no floating point (it may allocate)
 *
 * Context: any thread; never waits for the reader of the log, allocates nothing. When the ring is
 * full the oldest line is dropped.
 */
void log_msg(int priority, const char *fmt, ...)
{
	struct log_entry e;
	va_list ap;

	if (priority > log_ring.max_priority)
		return;
	e.priority = priority;
	e.fields.len = 0;
	va_start(ap, fmt);
	add_entry(&e, fmt, ap);
	va_end(ap);
}

/**
 * log_mount() - log one line about a file system
 * @priority: as for log_msg()
 * @mount: its mount point: the line begins with it, and the journal gets it as a field
 * @fmt: as for log_msg()
 *
 * Context: as for log_msg().
 */
void log_mount(int priority, const char *mount, const char *fmt, ...)
{
	char text[LOG_LINE_MAX];
	va_list ap;
	struct journal_fields fields = { .len = 0 };

	if (priority > log_ring.max_priority)
		return;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	journal_add(&fields, "HV_VSS_MOUNT", "%s", mount);
	log_event(priority, &fields, "%s: %s", mount, text);
}

/**
 * log_event() - log one line with fields for the journal
 * @priority: as for log_msg()
 * @fields: for filters in the journal
 * @fmt: as for log_msg()
 *
 * Context: as for log_msg().
 */
void log_event(int priority, const struct journal_fields *fields, const char *fmt, ...)
{
	struct log_entry e;
	va_list ap;

	if (priority > log_ring.max_priority)
		return;
	e.priority = priority;
	e.fields = *fields;
	va_start(ap, fmt);
	add_entry(&e, fmt, ap);
	va_end(ap);
}

/**
 * log_hold() - keep lines in the ring, or write them again
 * @hold: true from before the first FIFREEZE until after the last FITHAW
 *
 * Context: any thread. The writer may still be writing a line that it has read before.
 */
void log_hold(bool hold)
{
	pthread_mutex_lock(&log_ring.lock);
	log_ring.hold = hold;
	pthread_cond_signal(&log_ring.wake);
	pthread_mutex_unlock(&log_ring.lock);
}

/**
 * log_trim() - give the memory of the ring back to the kernel, if the ring is empty
 */
void log_trim(void)
{
	uintptr_t page = sysconf(_SC_PAGESIZE);
	uintptr_t begin = ((uintptr_t)log_ring.ring + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)log_ring.ring + LOG_RING) & ~(page - 1);

	pthread_mutex_lock(&log_ring.lock);
	if (log_ring.head == log_ring.tail)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
	pthread_mutex_unlock(&log_ring.lock);
}

/**
 * log_stop() - write the remaining lines and end the writer
 * @timeout_ms: how long to wait for a reader that does not read
 *
 * Context: once, when no other thread logs any more.
 */
void log_stop(int timeout_ms)
{
	struct timespec until;
	int err = 0;

	if (!log_ring.running)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (timeout_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&log_ring.lock);
	log_ring.stop = true;
	pthread_cond_signal(&log_ring.wake);
	while (!err && (log_ring.writing || log_ring.head != log_ring.tail))
		err = pthread_cond_timedwait(&log_ring.idle, &log_ring.lock, &until);
	log_ring.running = false;
	pthread_mutex_unlock(&log_ring.lock);
	if (err)
		pthread_detach(log_ring.thread);
	else
		pthread_join(log_ring.thread, NULL);
}
