// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define LOG_LINES	512
#define LOG_LINE_MAX	1000
#define LOG_STACK	(64 * 1024L)

struct log_line {
	int len;
	char text[LOG_LINE_MAX];
};

/* There is one stderr, so there is one log. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;		/* for the writer: a line, the end of a hold, stop */
	pthread_cond_t idle;		/* for log_stop(): all written */
	pthread_t thread;
	bool running;
	bool hold;
	bool stop;
	bool writing;
	int fd;
	bool prefix;
	int max_priority;
	unsigned int head;		/* next to write into */
	unsigned int tail;		/* next to be written out */
	unsigned int lost;
	struct log_line line[LOG_LINES];
} log_ring = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
	.idle = PTHREAD_COND_INITIALIZER,
	.fd = STDERR_FILENO,
	.max_priority = LOG_INFO,
};

static void write_all(int fd, const char *text, int len)
{
	while (len > 0) {
		ssize_t put = write(fd, text, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return;		/* nobody left to tell */
		text += put;
		len -= put;
	}
}

static void *log_writer(void *unused)
{
	struct log_line line;
	unsigned int lost;

	(void)unused;
	pthread_mutex_lock(&log_ring.lock);
	for (;;) {
		while (!log_ring.stop &&
		       (log_ring.hold || log_ring.head == log_ring.tail))
			pthread_cond_wait(&log_ring.wake, &log_ring.lock);
		if (log_ring.head == log_ring.tail)
			break;
		line = log_ring.line[log_ring.tail++ % LOG_LINES];
		lost = log_ring.lost;
		log_ring.lost = 0;
		log_ring.writing = true;
		pthread_mutex_unlock(&log_ring.lock);
		if (lost) {
			char text[80];
			int len = snprintf(text, sizeof(text), "%s%u log lines lost\n",
					   log_ring.prefix ? "<4>" : "", lost);

			write_all(log_ring.fd, text, len);
		}
		write_all(log_ring.fd, line.text, line.len);
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
 * @fd: where to; kept open by the caller
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

static void log_format(struct log_line *line, int priority, const char *fmt, va_list ap)
{
	int len = 0, more;

	if (log_ring.prefix)
		len = snprintf(line->text, sizeof(line->text), "<%d>", priority);
	more = vsnprintf(line->text + len, sizeof(line->text) - len - 1, fmt, ap);
	if (more < 0)
		more = 0;
	len += more;
	if (len > LOG_LINE_MAX - 2)
		len = LOG_LINE_MAX - 2;
	/* A file name may hold a newline; it must not start a line of its own. */
	for (char *p = line->text; p < line->text + len; p++)
		if (*p == '\n' || *p == '\r')
			*p = '?';
	line->text[len++] = '\n';
	line->len = len;
}

/**
 * log_msg() - log one line
 * @priority: LOG_ERR ... LOG_DEBUG of <syslog.h>
 * @fmt: printf format, without the newline; no floating point (it may allocate)
 *
 * Context: any thread; never blocks on the reader of the log, allocates nothing. When the ring is
 * full the oldest line goes.
 */
void log_msg(int priority, const char *fmt, ...)
{
	struct log_line line;
	va_list ap;

	if (priority > log_ring.max_priority)
		return;
	va_start(ap, fmt);
	log_format(&line, priority, fmt, ap);
	va_end(ap);
	if (!log_ring.running) {
		write_all(log_ring.fd, line.text, line.len);
		return;
	}
	pthread_mutex_lock(&log_ring.lock);
	if (log_ring.head - log_ring.tail == LOG_LINES) {
		log_ring.tail++;
		log_ring.lost++;
	}
	log_ring.line[log_ring.head++ % LOG_LINES] = line;
	pthread_cond_signal(&log_ring.wake);
	pthread_mutex_unlock(&log_ring.lock);
}

/**
 * log_hold() - keep lines in memory, or let them out again
 * @hold: true from before the first FIFREEZE until the last FITHAW
 *
 * Context: any thread. A line that the writer has taken already may still be on its way.
 */
void log_hold(bool hold)
{
	pthread_mutex_lock(&log_ring.lock);
	log_ring.hold = hold;
	pthread_cond_signal(&log_ring.wake);
	pthread_mutex_unlock(&log_ring.lock);
}

/**
 * log_stop() - write what is left and end the writer
 * @timeout_ms: how long to wait for a reader that doesn't read
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
