/* SPDX-License-Identifier: Apache-2.0 */
/* Open batches stand in a stack, newest first: an idle worker helps the innermost work, which is
 * what somebody is waiting for. A caller works only on its own batch, so stacks stay shallow and
 * nobody waits in a circle.
 *
 * Who has nothing to do spins for a little before it sleeps: parallel work often comes in short
 * pieces, one right after the other, and to wake a thread takes as long as many of them. */
#include "base/pool.h"

#include "base/alloc.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { SPINS = 1000 }; /* some 20 µs: about what waking takes */

struct batch {
    struct batch *below;
    qn_pool_task task;
    void *context;
    int64_t n, n_started;
    _Atomic int64_t n_done; /* written under the lock */
};

struct qn_pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* a batch was opened, or the pool is closing */
    pthread_cond_t done; /* a batch was finished */
    struct batch *top;
    _Atomic uint64_t n_events; /* batches opened so far, and the closing; written under the lock */
    bool closing;
    int n_threads, n_spins;
    pthread_t threads[];
};

static void close_batch(qn_pool *pool, struct batch *batch)
{
    struct batch **at = &pool->top;
    while (*at && *at != batch) {
        at = &(*at)->below;
    }
    if (*at) *at = batch->below;
}

/* Runs one task of `batch`; the lock is held on entry and on return. */
static void run_one(qn_pool *pool, struct batch *batch)
{
    const int64_t index = batch->n_started++;
    if (batch->n_started == batch->n) close_batch(pool, batch);
    pthread_mutex_unlock(&pool->lock);
    batch->task(batch->context, index);
    pthread_mutex_lock(&pool->lock);
    if (++batch->n_done == batch->n) pthread_cond_broadcast(&pool->done);
}

static inline void pause_a_little(void)
{
#if defined __x86_64__ && defined __GNUC__
    __builtin_ia32_pause();
#endif
}

/* Sleeps until there may be work; the lock is held on entry and on return. */
static void await_work(qn_pool *pool)
{
    const uint64_t seen = atomic_load(&pool->n_events);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_spins && atomic_load(&pool->n_events) == seen; i++) {
        pause_a_little();
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->n_events) == seen) {
        pthread_cond_wait(&pool->work, &pool->lock);
    }
}

static void *work(void *argument)
{
    qn_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    while (!pool->closing) {
        if (pool->top) {
            run_one(pool, pool->top);
        } else {
            await_work(pool);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static int available_threads(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return CPU_COUNT(&set);
}

qn_pool *qn_pool_create(int n_threads)
{
    const int wanted = n_threads > 0 ? n_threads : available_threads();
    qn_pool *pool = qn_alloc_array(1, sizeof *pool + (size_t)wanted * sizeof(pthread_t));
    if (!pool) return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->n_threads = 1;
    pool->n_spins = wanted <= available_threads() ? SPINS : 0; /* else it keeps others from work */
    for (int i = 1; i < wanted; i++) {
        if (pthread_create(&pool->threads[i - 1], NULL, work, pool) != 0) break;
        pool->n_threads++;
    }
    return pool;
}

void qn_pool_free(qn_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    atomic_fetch_add(&pool->n_events, 1);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 1; i < pool->n_threads; i++) {
        pthread_join(pool->threads[i - 1], NULL);
    }
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    qn_free(pool);
}

int qn_pool_n_threads(const qn_pool *pool)
{
    return pool ? pool->n_threads : 1;
}

void qn_pool_run(qn_pool *pool, int64_t n, qn_pool_task task, void *context)
{
    if (!pool || pool->n_threads == 1 || n == 1) {
        for (int64_t i = 0; i < n; i++) {
            task(context, i);
        }
        return;
    }
    if (n <= 0) return;
    struct batch batch = {.task = task, .context = context, .n = n};
    pthread_mutex_lock(&pool->lock);
    batch.below = pool->top;
    pool->top = &batch;
    atomic_fetch_add(&pool->n_events, 1);
    pthread_cond_broadcast(&pool->work);
    while (batch.n_started < batch.n) {
        run_one(pool, &batch);
    }
    if (batch.n_done < batch.n && pool->n_spins > 0) {
        pthread_mutex_unlock(&pool->lock);
        for (int i = 0; i < pool->n_spins && batch.n_done < batch.n; i++) {
            pause_a_little();
        }
        pthread_mutex_lock(&pool->lock);
    }
    while (batch.n_done < batch.n) {
        pthread_cond_wait(&pool->done, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
}
