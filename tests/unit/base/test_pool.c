/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include "check.h"

#include <stdatomic.h>

enum { N_TASKS = 1000 };

static void mark(void *context, int64_t index)
{
    atomic_int *marks = context;
    atomic_fetch_add(&marks[index], 1);
}

static void every_task_runs_exactly_once(void **state)
{
    (void)state;
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        static atomic_int marks[N_TASKS];
        for (int i = 0; i < N_TASKS; i++) {
            atomic_store(&marks[i], 0);
        }
        qn_pool *pool = qn_pool_create(n_threads);
        qn_pool_run(pool, N_TASKS, mark, marks);
        for (int i = 0; i < N_TASKS; i++) {
            CHECK_INT(atomic_load(&marks[i]), 1);
        }
        qn_pool_free(pool);
    }
}

struct nest {
    qn_pool *pool;
    atomic_int n_inner;
};

static void inner(void *context, int64_t index)
{
    struct nest *nest = context;
    (void)index;
    atomic_fetch_add(&nest->n_inner, 1);
}

static void outer(void *context, int64_t index)
{
    struct nest *nest = context;
    (void)index;
    qn_pool_run(nest->pool, 7, inner, nest);
}

static void a_task_may_run_tasks_of_its_own(void **state)
{
    (void)state;
    struct nest nest = {.pool = qn_pool_create(3)};
    qn_pool_run(nest.pool, 50, outer, &nest);
    CHECK_INT(atomic_load(&nest.n_inner), 350);
    qn_pool_free(nest.pool);
}

static void without_a_pool_tasks_run_in_order_here(void **state)
{
    (void)state;
    static atomic_int marks[N_TASKS];
    qn_pool_run(NULL, N_TASKS, mark, marks);
    CHECK_INT(atomic_load(&marks[N_TASKS - 1]), 1);
    CHECK_INT(qn_pool_n_threads(NULL), 1);
    qn_pool_run(NULL, 0, mark, marks);
    qn_pool_free(NULL);
}

RUN_TESTS(TEST(every_task_runs_exactly_once), TEST(a_task_may_run_tasks_of_its_own),
          TEST(without_a_pool_tasks_run_in_order_here))
