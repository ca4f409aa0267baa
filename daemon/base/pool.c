// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pool.h"

#define POOL_MAX	128		/* threads, including those that hang forever */
#define POOL_STACK	(128 * 1024L)	/* has to hold path buffers of ours and of libmount */

struct queue {
	struct job *first;
	struct job **last;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct queue todo;
	struct queue done;
	unsigned int threads;
	unsigned int busy;
	bool stop;
	int event;
	pthread_t thread[POOL_MAX];
};

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_put(struct queue *q, struct job *job)
{
	job->next = NULL;
	*q->last = job;
	q->last = &job->next;
}

static struct job *queue_get(struct queue *q)
{
	struct job *job = q->first;

	if (job) {
		q->first = job->next;
		if (!q->first)
			q->last = &q->first;
	}
	return job;
}

static void *pool_worker(void *arg)
{
	struct pool *pool = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct job *job = queue_get(&pool->todo);

		if (!job) {
			if (pool->stop)
				break;
			pthread_cond_wait(&pool->work, &pool->lock);
			continue;
		}
		pool->busy++;
		pthread_mutex_unlock(&pool->lock);
		job->run(job);
		pthread_mutex_lock(&pool->lock);
		pool->busy--;
		queue_put(&pool->done, job);
		/* Fails only if the counter overflows, and then the descriptor is readable. */
		if (write(pool->event, &one, sizeof(one)) < 0)
			continue;
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/**
 * pool_new() - create a pool without workers
 * Return: the pool, or NULL with errno set.
 */
struct pool *pool_new(void)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->event < 0) {
		free(pool);
		return NULL;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	queue_init(&pool->todo);
	queue_init(&pool->done);
	return pool;
}

/**
 * pool_free() - end the workers
 * @pool: may be NULL
 *
 * Context: no job may be queued. If a worker hangs in the kernel the pool is not freed: that
 * thread still uses it, and the process is about to exit.
 */
void pool_free(struct pool *pool)
{
	unsigned int busy;

	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	busy = pool->busy;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (busy)
		return;
	for (unsigned int i = 0; i < pool->threads; i++)
		pthread_join(pool->thread[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	close(pool->event);
	free(pool);
}

/**
 * pool_fd() - a descriptor that is readable when jobs are done
 * @pool: the pool
 * Return: the descriptor; owned by the pool.
 */
int pool_fd(const struct pool *pool)
{
	return pool->event;
}

/**
 * pool_reserve() - make sure that enough workers are idle
 * @pool: the pool
 * @idle: number of jobs that must be able to run (or hang) at the same time
 *
 * Context: before anything is frozen; creating threads takes memory.
 * Return: 0, or a negative errno if there are fewer than @idle.
 */
int pool_reserve(struct pool *pool, unsigned int idle)
{
	pthread_attr_t attr;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	pthread_attr_setstacksize(&attr, POOL_STACK);
	pthread_mutex_lock(&pool->lock);
	while (!err && pool->threads - pool->busy < idle) {
		if (pool->threads == POOL_MAX) {
			err = EAGAIN;
			break;
		}
		err = pthread_create(&pool->thread[pool->threads], &attr, pool_worker, pool);
		if (!err)
			pool->threads++;
	}
	pthread_mutex_unlock(&pool->lock);
	pthread_attr_destroy(&attr);
	return -err;
}

/**
 * pool_trim() - end all workers, to free their stacks
 * @pool: the pool
 *
 * Context: no other thread may submit jobs or reserve workers meanwhile.
 * Return: false if a worker is busy or hangs: then none is ended.
 */
bool pool_trim(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stop = !pool->busy && !pool->todo.first;
	if (pool->stop)
		pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	if (!pool->stop)
		return false;
	for (unsigned int i = 0; i < pool->threads; i++)
		pthread_join(pool->thread[i], NULL);
	pool->threads = 0;
	pool->stop = false;
	return true;
}

/**
 * pool_submit() - queue a job for a worker
 * @pool: the pool
 * @job: with @job->run set; belongs to the pool until pool_next_done() returns it
 */
void pool_submit(struct pool *pool, struct job *job)
{
	atomic_store(&job->phase, JOB_RUNNING);
	pthread_mutex_lock(&pool->lock);
	queue_put(&pool->todo, job);
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

/**
 * pool_next_done() - get the next job that has run
 * @pool: the pool
 * Return: the job, or NULL when there is no other one.
 */
struct job *pool_next_done(struct pool *pool)
{
	struct job *job;
	uint64_t count;

	pthread_mutex_lock(&pool->lock);
	job = queue_get(&pool->done);
	/* EAGAIN: the counter has been read already. */
	if (!job && read(pool->event, &count, sizeof(count)) < 0)
		job = NULL;
	pthread_mutex_unlock(&pool->lock);
	return job;
}
