#include "pool.h"

#include <stdint.h>

#include "check.h"

/* Under ThreadSanitizer: what a job writes is the owner's after a wait, without a lock of its own. */
enum { JOBS = 64, ROUNDS = 200 };

typedef struct sum {
    greffier_job job;
    uint64_t given, done;
} sum;

static void add(greffier_job *job)
{
    sum *one = (sum *)(void *)job;
    for (uint64_t i = 0; i < 50; i++)
        one->done += one->given;
}

static void every_job_is_done_once_by(unsigned threads)
{
    static sum sums[JOBS];
    greffier_pool *pool = greffier_pool_new(threads);
    CHECK(pool != NULL);
    greffier_pool_wait(pool);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        for (uint64_t i = 0; i < JOBS; i++) {
            sums[i] = (sum){.job = {.run = add}, .given = i * round};
            greffier_pool_give(pool, &sums[i].job);
        }
        greffier_pool_wait(pool);
        for (uint64_t i = 0; i < JOBS; i++)
            CHECK_IS(sums[i].done, 50 * i * round);
    }
    sums[0] = (sum){.job = {.run = add}, .given = 3};
    greffier_pool_give(pool, &sums[0].job);
    greffier_pool_free(pool); /* what was given is done first */
    CHECK_IS(sums[0].done, 150);
}

static void every_job_is_done_once(void)
{
    every_job_is_done_once_by(0);
    every_job_is_done_once_by(1);
    every_job_is_done_once_by(4);
    greffier_pool_free(NULL);
}

int main(void)
{
    RUN(every_job_is_done_once);
    return 0;
}
