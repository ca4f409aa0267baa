/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Worker threads for everything that may block: path look-ups, syncfs, FIFREEZE, FITHAW. They are
 * created before anything is frozen. pool_next_done() returns each job to the submitter, also one
 * that the submitter has abandoned.
 */
#ifndef HV_VSS_POOL_H
#define HV_VSS_POOL_H

#include <stdbool.h>
#include "atomics.h"

enum job_phase {
	JOB_IDLE,
	JOB_RUNNING,		/* submitted; the submitter waits for the result */
	JOB_DONE,		/* the worker finished first: the result is valid */
	JOB_ABANDONED,		/* the submitter gave up first: the worker cleans up */
};

struct job {
	void (*run)(struct job *job);
	struct job *next;
	atomic_int phase;
};

struct pool;

struct pool *pool_new(void);
void pool_free(struct pool *pool);
int pool_fd(const struct pool *pool);
int pool_reserve(struct pool *pool, unsigned int idle);
bool pool_trim(struct pool *pool);
void pool_submit(struct pool *pool, struct job *job);
struct job *pool_next_done(struct pool *pool);

/**
 * job_finish() - the worker declares the result of its job valid
 * @job: the job it runs
 * Return: false if the submitter has abandoned the job.
 */
static inline bool job_finish(struct job *job)
{
	int expect = JOB_RUNNING;

	return atomic_compare_exchange_strong(&job->phase, &expect, JOB_DONE);
}

/**
 * job_abandon() - the submitter gives a job up and will ignore its result
 * @job: a submitted job
 * Return: false if the worker finished first: then the result is valid.
 */
static inline bool job_abandon(struct job *job)
{
	int expect = JOB_RUNNING;

	return atomic_compare_exchange_strong(&job->phase, &expect, JOB_ABANDONED);
}

#endif
