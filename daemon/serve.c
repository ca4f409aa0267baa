// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "backup.h"
#include "log.h"
#include "requests.h"
#include "serve.h"

#define SECOND		1000000LL	/* in us */
#define RETRY_US	(SECOND / 4)	/* between attempts to open the device ... */
#define RETRIES		120		/* ... so many times; then the guest may sleep longer */
#define SELDOM_US	(2 * SECOND)

struct server {
	const struct options *options;
	const struct notify *notify;
	struct backup backup;
	int signals;
	bool finished;
	int64_t retry;			/* when to open the device; 0: it is open */
	unsigned int retries;
	int64_t fed;			/* the watchdog */
	int open_error;			/* logged already */
};

static int64_t now_us(void)
{
	return sysops_real.now_us();
}

static void lose_device(void *ctx, int err)
{
	struct server *s = ctx;

	log_msg(LOG_NOTICE, "%s is gone: %s", s->options->device, strerror(-err));
	backup_lose(&s->backup);
	s->retries = 0;
	s->retry = now_us() + RETRY_US;
	backup_status(&s->backup, "waiting for the device");
}

static void open_device(struct server *s)
{
	struct device *device = &s->backup.device;
	int err;

	err = device_open(device);
	s->retry = 0;
	if (err)
		s->retry = now_us() + (s->retries++ < RETRIES ? RETRY_US : SELDOM_US);
	if (!err) {
		backup_serve(&s->backup);
		log_msg(LOG_INFO, "serving %s (driver %s%s)", device->path,
			device->driver[0] ? device->driver : "unknown",
			device_guard(device) ? ", with its guard" : ", without a guard");
		backup_status(&s->backup, "serving");
		s->open_error = 0;
		return;
	}
	if (err == s->open_error)
		return;
	s->open_error = err;
	if (err == -EBUSY)
		log_msg(LOG_WARNING, "%s: another daemon has it open; waiting", device->path);
	else if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
		log_msg(LOG_INFO, "%s is not there: the host doesn't offer backup (now)%s",
			device->path, s->options->exit_if_absent ? "" : "; waiting");
	else
		log_msg(LOG_ERR, "%s: %s", device->path, strerror(-err));
	if (s->options->exit_if_absent)
		s->finished = true;
}

static void read_signal(struct server *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (s->backup.stop)
		return;
	s->backup.stop = true;
	notify_send(s->notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld",
		    (long long)backup_stop_us(&s->backup));
	log_msg(LOG_INFO, "%s: %s", strsignal(info.ssi_signo),
		backup_idle(&s->backup) ? "stopping" :
		"stopping after the backup that is going on");
}

static int wait_ms(const struct server *s, int64_t now)
{
	int64_t until = backup_deadline(&s->backup);

	if (s->retry && s->retry < until)
		until = s->retry;
	if (s->notify->watchdog_us && s->fed + s->notify->watchdog_us / 3 < until)
		until = s->fed + s->notify->watchdog_us / 3;
	if (until == INT64_MAX)
		return -1;
	if (until <= now)
		return 0;
	return until - now > 3600 * SECOND ? 3600000L : (until - now + 999) / 1000;
}

static void step(struct server *s)
{
	struct backup *b = &s->backup;
	struct pollfd p[] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = pool_fd(b->pool), .events = POLLIN },
		{ .fd = device_fd(&b->device), .events = POLLIN },
		{ .fd = b->hooks.fd, .events = POLLIN },
	};
	int64_t now = now_us();
	int err = 0;

	if (s->notify->watchdog_us && now - s->fed >= s->notify->watchdog_us / 3) {
		notify_send(s->notify, "WATCHDOG=1");
		s->fed = now;
	}
	if (poll(p, 4, wait_ms(s, now)) < 0)
		return;
	if (p[0].revents)
		read_signal(s);
	backup_work(b, p[1].revents, p[3].revents ? p[3].fd : -1);
	if (p[2].fd >= 0 && p[2].fd == device_fd(&b->device)) {
		if (p[2].revents & POLLIN)
			err = requests_read(b);
		else if (p[2].revents)
			err = -ENODEV;
	}
	if (err)
		lose_device(s, err);
	if (s->retry && now_us() >= s->retry)
		open_device(s);
	requests_go_on(b);
}

/**
 * serve() - serve the host until told to stop
 * @o: options
 * @notify: the service manager
 * @leftover: notes, locked, and their leftovers thawed
 * @signals: a signalfd for what ends the daemon
 *
 * A signal is obeyed when nothing is frozen or about to be.
 * Return: 0 or a negative errno.
 */
int serve(const struct options *o, struct notify *notify, struct leftover *leftover, int signals)
{
	static struct server s;		/* large, and locked into memory from the start */
	struct backup *b = &s.backup;
	int err;

	s = (struct server){
		.options = o,
		.notify = notify,
		.backup = {
			.options = o, .notify = notify, .leftover = leftover,
			.lose = lose_device, .ctx = &s,
		},
		.signals = signals,
		.retry = 1,
	};
	err = backup_init(b);
	if (err)
		return err;
	notify_send(notify, "READY=1");
	while (!(s.finished || (b->stop && !b->queued)) || !backup_idle(b))
		step(&s);
	backup_end(b);
	return 0;
}
