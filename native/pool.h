#ifndef GREFFIER_POOL_H
#define GREFFIER_POOL_H

/* Threads that do jobs, first given first begun. One thread, the owner, gives jobs and waits for them; a job
 * belongs to the pool from give until the next wait returns, and may be given again after that. So the queue
 * is never longer than there are jobs. */
typedef struct greffier_pool greffier_pool;

typedef struct greffier_job {
    void (*run)(struct greffier_job *job); /* in a thread of the pool */
    struct greffier_job *next;             /* the pool's */
} greffier_job;

/* `threads` threads, which take no signals; without any, give does the job itself. NULL if there cannot be as
 * many. */
greffier_pool *greffier_pool_new(unsigned threads);

void greffier_pool_give(greffier_pool *pool, greffier_job *job);

/* Until every job that was given is done. */
void greffier_pool_wait(greffier_pool *pool);

/* Waits, and ends the threads. NULL is allowed. */
void greffier_pool_free(greffier_pool *pool);

#endif
