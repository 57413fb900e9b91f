/* SPDX-License-Identifier: Apache-2.0 */
/* Thread pool: runs numbered tasks; the caller works too. A task may itself call qn_pool_run():
 * the inner tasks are shared with whoever is idle, so trials run in parallel and the last one
 * still uses every core.
 *
 * Determinism is the caller's: a task writes only to its own index, and reductions run over the
 * indices in order afterwards. Never let results depend on `worker`.
 *
 * Threads: internally locked. */
#ifndef QN_BASE_POOL_H
#define QN_BASE_POOL_H

#include <stdint.h>

typedef struct qn_pool qn_pool; /* destroy with qn_pool_free() */

/* `n_threads` counts the caller; 0 = as many as the process may use. NULL when out of memory
 * (threads that cannot be started only make the pool smaller). */
qn_pool *qn_pool_create(int n_threads);
void qn_pool_free(qn_pool *pool);           /* accepts NULL */
int qn_pool_n_threads(const qn_pool *pool); /* 1 for NULL */

typedef void (*qn_pool_task)(void *context, int64_t index);

/* Runs task(context, 0 … n-1) and returns when all are done. `pool` may be NULL: in order, here.
 * Indices are started in increasing order. */
void qn_pool_run(qn_pool *pool, int64_t n, qn_pool_task task, void *context);

#endif
