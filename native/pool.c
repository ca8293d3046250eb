#define _POSIX_C_SOURCE 200809L /* pthread_sigmask */
#include "pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct greffier_pool {
    pthread_mutex_t lock; /* guards everything below it */
    pthread_cond_t given, done;
    greffier_job *first, *last; /* not begun */
    unsigned open;              /* given, and not done */
    int ending;
    pthread_t *threads; /* the owner's, as is their number */
    unsigned count;
};

static void *work(void *argument)
{
    greffier_pool *p = argument;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->first == NULL && !p->ending)
            pthread_cond_wait(&p->given, &p->lock);
        greffier_job *job = p->first;
        if (job == NULL)
            break;
        p->first = job->next;
        pthread_mutex_unlock(&p->lock);
        job->run(job);
        pthread_mutex_lock(&p->lock);
        if (--p->open == 0)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

greffier_pool *greffier_pool_new(unsigned threads)
{
    greffier_pool *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->given, NULL);
    pthread_cond_init(&p->done, NULL);
    p->threads = calloc(threads > 0 ? threads : 1, sizeof *p->threads);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* threads inherit it */
    while (p->threads != NULL && p->count < threads
           && pthread_create(&p->threads[p->count], NULL, work, p) == 0)
        p->count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (p->threads != NULL && p->count == threads)
        return p;
    greffier_pool_free(p);
    return NULL;
}

void greffier_pool_give(greffier_pool *p, greffier_job *job)
{
    if (p->count == 0) {
        job->run(job);
        return;
    }
    job->next = NULL;
    pthread_mutex_lock(&p->lock);
    if (p->first == NULL)
        p->first = job;
    else
        p->last->next = job;
    p->last = job;
    p->open++;
    pthread_cond_signal(&p->given);
    pthread_mutex_unlock(&p->lock);
}

void greffier_pool_wait(greffier_pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (p->open > 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void greffier_pool_free(greffier_pool *p)
{
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = 1; /* once nothing is left to do */
    pthread_cond_broadcast(&p->given);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->count; i++)
        pthread_join(p->threads[i], NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->given);
    pthread_cond_destroy(&p->done);
    free(p->threads);
    free(p);
}
