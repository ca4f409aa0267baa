/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Worker threads for everything that may block: path look-ups, syncfs, FIFREEZE, FITHAW. They are
 * created before anything is frozen. Whoever submits a job gets it back through pool_next_done(),
 * however late.
 */
#ifndef HV_VSS_POOL_H
#define HV_VSS_POOL_H

#include <stdbool.h>
#include "atomics.h"

enum job_phase {
	JOB_IDLE,
	JOB_RUNNING,		/* submitted; the result is still awaited */
	JOB_DONE,		/* the worker was first: the result counts */
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
void pool_submit(struct pool *pool, struct job *job);
struct job *pool_next_done(struct pool *pool);

/**
 * job_finish() - the worker's claim on a job's result
 * @job: the job it runs
 * Return: false if the submitter has abandoned the job.
 */
static inline bool job_finish(struct job *job)
{
	int expect = JOB_RUNNING;

	return atomic_compare_exchange_strong(&job->phase, &expect, JOB_DONE);
}

/**
 * job_abandon() - the submitter's refusal of a job's result
 * @job: a submitted job
 * Return: false if the worker was first: then the result counts.
 */
static inline bool job_abandon(struct job *job)
{
	int expect = JOB_RUNNING;

	return atomic_compare_exchange_strong(&job->phase, &expect, JOB_ABANDONED);
}

#endif
