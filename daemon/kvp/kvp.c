// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/selfspawn.h"
#include "kvp.h"

#define LOCK_MS		2000		/* for another program's lock */
#define ANSWER_US	(30 * SECOND)	/* for the writer to answer */
#define REAP_US		5000LL		/* until the first check whether it has exited; then */
#define REAP_MAX_US	SECOND		/* twice as long each time, up to this */
#define STOP_MS		1000		/* for the last update, before the daemon exits */

/* The daemon's side */

/**
 * kvp_init() - initialize
 * @k: filled in
 * @off: nothing is to be written
 */
void kvp_init(struct kvp *k, bool off)
{
	*k = (struct kvp){ .off = off, .fd = -1, .deadline = INT64_MAX };
}

static void note_result(struct kvp *k, int err)
{
	int number = err < 0 && err > -256 ? -err : EIO;

	k->written = !err;
	/* ECANCELED: it is tried again when nothing is frozen. */
	if (!err || err == -ECANCELED || k->told[number])
		return;
	k->told[number] = true;
	if (err == -ENOENT)
		log_msg(LOG_DEBUG, KVPPOOL_PATH " does not exist: the host gets no result");
	else
		log_msg(LOG_INFO, KVPPOOL_PATH ": the result of the last backup is not written "
			"there for the host: %s", kvppool_problem(err));
}

static void end_conversation(struct kvp *k)
{
	close(k->fd);
	k->fd = -1;
	k->deadline = clock_now_us();
	k->reap_us = REAP_US;
	kvp_tick(k);
}

static int start_writer(struct kvp *k)
{
	char name[] = "hv-vss-kvp", option[] = "--kvp-writer";
	char *argv[3] = { name, option };
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	/* dup2() of a descriptor to itself does not clear close-on-exec. */
	err = pair[1] == SELFSPAWN_FD ? -EINVAL : selfspawn(&k->writer, argv, pair[1]);
	close(pair[1]);
	if (!err && send(pair[0], &k->sent, sizeof(k->sent), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		err = -errno;	/* the writer sees the end of the conversation, and exits */
	k->fd = pair[0];
	k->killed = false;
	k->deadline = clock_now_us() + ANSWER_US;
	if (err)
		end_conversation(k);
	return err;
}

static void publish(struct kvp *k, const struct history *h, const char *state)
{
	struct kvpverdict now;
	int err;

	kvpverdict_fill(&now, h, state);
	if (k->written && !memcmp(&now, &k->sent, sizeof(now)))
		return;
	k->sent = now;
	k->written = false;
	err = start_writer(k);
	if (err)
		note_result(k, err);
}

static bool is_busy(const struct kvp *k)
{
	return k->fd >= 0 || k->writer > 0;
}

/**
 * kvp_publish() - begin to write what has changed
 * @k: the state
 * @h: the last backups, and the daemon
 * @change: a number that is different whenever @h has changed
 *
 * After a failure it is tried again at the next change, not before.
 * Context: main thread, nothing of ours is frozen and no request waits. Starts a process.
 */
void kvp_publish(struct kvp *k, const struct history *h, unsigned int change)
{
	if (k->off || is_busy(k) || k->seen == change)
		return;
	k->seen = change;
	publish(k, h, h->daemon.connected ? "serving" : "waiting for the device");
}

/**
 * kvp_cancel() - stop writing: a freeze may follow
 * @k: the state
 *
 * kvp_publish() begins again.
 */
void kvp_cancel(struct kvp *k)
{
	if (k->fd < 0)
		return;
	k->seen--;
	k->written = false;
	end_conversation(k);
}

/**
 * kvp_read() - read the writer's answer
 * @k: the state; its socket is readable
 */
void kvp_read(struct kvp *k)
{
	int answer;
	ssize_t got = recv(k->fd, &answer, sizeof(answer), MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (!k->killed)
		note_result(k, got == sizeof(answer) ? answer : -EPIPE);
	end_conversation(k);
}

/**
 * kvp_tick() - check whether the writer has exited, or has to be killed
 * @k: the state
 * Context: main thread, whenever kvp_deadline() is due, or more often.
 */
void kvp_tick(struct kvp *k)
{
	int64_t now = clock_now_us();

	if (now < k->deadline)
		return;
	k->deadline = INT64_MAX;
	if (k->fd >= 0) {
		/* If it hangs in the kernel, it dies when it returns from there. */
		note_result(k, -ETIMEDOUT);
		k->killed = true;
		kill(k->writer, SIGKILL);
	} else if (k->writer > 0 && !waitpid(k->writer, NULL, WNOHANG)) {
		k->deadline = now + k->reap_us;
		k->reap_us = k->reap_us * 2 < REAP_MAX_US ? k->reap_us * 2 : REAP_MAX_US;
	} else {
		k->writer = 0;
	}
}

/**
 * kvp_deadline() - when kvp_tick() must be called next
 * @k: the state
 * Return: a time of the monotonic clock in us, or INT64_MAX.
 */
int64_t kvp_deadline(const struct kvp *k)
{
	return k->deadline;
}

static void wait_for_answer(struct kvp *k, int64_t until)
{
	while (is_busy(k)) {
		int64_t now = clock_now_us();
		struct pollfd p = { .fd = k->fd, .events = POLLIN };

		if (now >= until)
			return;
		if (poll(&p, 1, k->fd >= 0 ? (until - now + 999) / 1000 : 1) > 0)
			kvp_read(k);
		kvp_tick(k);
	}
}

/**
 * kvp_stop() - write that the daemon has stopped
 * @k: the state
 * @h: the last backups, and the daemon
 *
 * Context: main thread, the device is closed. Waits, but not long.
 */
void kvp_stop(struct kvp *k, const struct history *h)
{
	int64_t until = clock_now_us() + STOP_MS * 1000LL;

	if (k->off)
		return;
	wait_for_answer(k, until);
	if (is_busy(k))
		return;
	publish(k, h, "stopped");
	wait_for_answer(k, until);
}

/* The writer, another process */

static bool is_given_up(void *ctx)
{
	const int *fd = ctx;
	char byte;

	return !recv(*fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
}

/**
 * kvp_write() - write what the daemon sends to the pool, and answer
 * @fd: socket to the daemon
 *
 * Context: a process of its own; may block.
 * Return: 0 or a negative errno; the daemon has it, too.
 */
int kvp_write(int fd)
{
	const struct kvppool pool = {
		.path = KVPPOOL_PATH, .wait_ms = LOCK_MS, .cancelled = is_given_up, .ctx = &fd,
	};
	static struct kvpverdict v;
	int err;

	if (recv(fd, &v, sizeof(v), 0) != sizeof(v) || v.n > KVPVERDICT_KEYS)
		return -EPROTO;
	err = kvppool_update(&pool, v.item, v.n);
	if (send(fd, &err, sizeof(err), MSG_NOSIGNAL) < 0)
		return -errno;
	return err;
}

/**
 * kvp_forget() - remove our records from the pool
 *
 * Context: the daemon does not run.
 * Return: 0, also if there is no pool; or a negative errno, which is logged.
 */
int kvp_forget(void)
{
	const struct kvppool pool = { .path = KVPPOOL_PATH, .wait_ms = LOCK_MS };
	int err = kvppool_remove(&pool, kvpverdict_key, KVPVERDICT_KEYS);

	if (err == -ENOENT)
		return 0;
	if (err)
		log_msg(LOG_ERR, KVPPOOL_PATH ": our records are not removed: %s",
			kvppool_problem(err));
	return err;
}
