/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/shadow.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "serve/routes/shadow_answers.h"
#include "serve/telemetry/prediction_log.h"
#include "serve/worker.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

enum { WAITING_MAX = 1024, BODY_BYTES_MAX = 256 * 1024, NICENESS = 19 };

/* A copy of a request. */
typedef struct qn_shadow_task task;
struct qn_shadow_task {
    task *next;
    qn_shadow_request request; /* but for what follows */
    qn_request_trace trace;
    qn_served_model *model;
    qn_model_slot *slot;
    qn_shadow_answers answers;
    char *body;
};

struct qn_shadows {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool ending;
    int n_waiting;
    task *first, *last;
    _Atomic uint64_t n_dropped;
    /* The thread's. */
    qn_workspace workspace;
    qn_arena memory;
};

static void free_task(task *t)
{
    if (!t) return;
    qn_served_model_unref(t->model);
    qn_model_slot_unref(t->slot);
    qn_shadow_answers_release(&t->answers);
    qn_free(t->body);
    qn_free(t);
}

static task *copy_task(const qn_shadow_request *request)
{
    task *t = qn_alloc_array(1, sizeof *t);
    if (!t) return NULL;
    t->request = *request;
    t->trace = *request->trace;
    t->model = qn_served_model_ref(request->entry->model);
    t->slot = qn_model_slot_ref(request->entry->slot);
    t->answers.model = qn_served_model_ref(request->answering);
    t->body = qn_strndup(request->body.text, request->body.bytes);
    if (t->body) return t;
    free_task(t);
    return NULL;
}

/* Predicting. */

static qn_status predict_rows(qn_shadows *shadows, const task *t, qn_rows *rows,
                              qn_prediction_lines *lines)
{
    qn_model_counters *counters = &t->slot->counters[t->request.counters];
    qn_workspace *workspace = &shadows->workspace;
    QN_TRY(t->request.open(rows, t->body, t->request.body.bytes, NULL));
    for (bool last = false; !last;) {
        qn_rows_block block = {.cells = workspace->cells};
        QN_TRY(qn_rows_next(rows, &block, NULL));
        last = block.n_rows < QN_BLOCK_ROWS;
        if (block.n_rows == 0) break;
        qn_rows_predict(rows, &block, workspace->turned, workspace->outputs, workspace->scratch);
        const int64_t begin = rows->n_rows - block.n_rows;
        qn_shadow_answers_compare(&t->answers, t->model, workspace->outputs, begin, block.n_rows,
                                  counters);
        if (t->request.log) {
            qn_prediction_lines_add(lines, &t->trace, t->model, &block, workspace->outputs, begin);
        }
    }
    return QN_OK;
}

static void predict(qn_shadows *shadows, const task *t)
{
    qn_model_counters *counters = &t->slot->counters[t->request.counters];
    const double begun_s = qn_clock_s();
    qn_prediction_lines lines = {.shadow = true};
    qn_rows rows = t->request.rows;
    rows.model = t->model;
    rows.memory = &shadows->memory;
    const qn_status status = qn_workspace_reserve(&shadows->workspace, t->model)
                                 ? predict_rows(shadows, t, &rows, &lines)
                                 : QN_ERR_NOMEM;
    qn_outcome outcome = QN_OUTCOME_OK;
    if (status != QN_OK) {
        outcome =
            status == QN_ERR_ARG || status == QN_ERR_DATA ? QN_OUTCOME_INVALID : QN_OUTCOME_FAILED;
    } else {
        qn_count_add(&counters->rows, (uint64_t)rows.n_rows);
        if (lines.too_many) {
            qn_line_log_drop(t->request.log, lines.n);
        } else if (lines.n > 0) {
            qn_line_log_append(t->request.log, lines.text.text, lines.text.bytes, lines.n);
        }
    }
    qn_count_add(&counters->requests[outcome], 1);
    qn_durations_add(&counters->seconds[outcome], qn_clock_s() - begun_s);
    qn_prediction_lines_release(&lines);
    qn_rows_release(&rows);
    if (shadows->memory.blocks) qn_arena_reset(&shadows->memory);
}

/* The thread. */

static task *take_next(qn_shadows *shadows)
{
    task *t = NULL;
    pthread_mutex_lock(&shadows->lock);
    while (!shadows->ending && !shadows->first) {
        pthread_cond_wait(&shadows->news, &shadows->lock);
    }
    if (!shadows->ending) {
        t = shadows->first;
        shadows->first = t->next;
        shadows->n_waiting--;
    }
    pthread_mutex_unlock(&shadows->lock);
    return t;
}

static void *run(void *argument)
{
    qn_shadows *shadows = argument;
    (void)setpriority(PRIO_PROCESS, 0, NICENESS); /* of this thread alone */
    for (task *t; (t = take_next(shadows));) {
        predict(shadows, t);
        free_task(t);
    }
    return NULL;
}

qn_status qn_shadows_start(qn_shadows **out, qn_error *err)
{
    *out = NULL;
    qn_shadows *shadows = qn_alloc_array(1, sizeof *shadows);
    if (!shadows) return qn_fail(err, QN_ERR_NOMEM, "no memory for the server");
    pthread_mutex_init(&shadows->lock, NULL);
    pthread_cond_init(&shadows->news, NULL);
    sigset_t all, before; /* signals are for the thread that started the server */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(&shadows->thread, NULL, run, shadows);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        pthread_cond_destroy(&shadows->news);
        pthread_mutex_destroy(&shadows->lock);
        qn_free(shadows);
        return qn_fail(err, QN_ERR_NOMEM, "threads for the server: %s", strerror(code));
    }
    *out = shadows;
    return QN_OK;
}

static void count_dropped(qn_shadows *shadows)
{
    atomic_fetch_add_explicit(&shadows->n_dropped, 1, memory_order_relaxed);
}

qn_shadow_task *qn_shadows_copy(qn_shadows *shadows, const qn_shadow_request *request)
{
    task *t = request->body.bytes <= BODY_BYTES_MAX ? copy_task(request) : NULL;
    if (!t) count_dropped(shadows);
    return t;
}

void qn_shadow_task_answer(qn_shadow_task *t, const double *outputs, int64_t n_rows)
{
    qn_shadow_answers_add(&t->answers, outputs, n_rows);
}

void qn_shadows_add(qn_shadows *shadows, qn_shadow_task *t)
{
    if (!t) return;
    pthread_mutex_lock(&shadows->lock);
    const bool taken = shadows->n_waiting < WAITING_MAX;
    if (taken) {
        *(shadows->first ? &shadows->last->next : &shadows->first) = t;
        shadows->last = t;
        shadows->n_waiting++;
        pthread_cond_signal(&shadows->news);
    }
    pthread_mutex_unlock(&shadows->lock);
    if (taken) return;
    free_task(t);
    count_dropped(shadows);
}

uint64_t qn_shadows_dropped(const qn_shadows *shadows)
{
    return atomic_load_explicit(&((qn_shadows *)(uintptr_t)shadows)->n_dropped,
                                memory_order_relaxed);
}

void qn_shadows_free(qn_shadows *shadows)
{
    if (!shadows) return;
    pthread_mutex_lock(&shadows->lock);
    shadows->ending = true;
    pthread_cond_signal(&shadows->news);
    pthread_mutex_unlock(&shadows->lock);
    pthread_join(shadows->thread, NULL);
    for (task *t = shadows->first; t;) {
        task *next = t->next;
        free_task(t);
        t = next;
    }
    qn_workspace_release(&shadows->workspace);
    qn_arena_release(&shadows->memory);
    pthread_cond_destroy(&shadows->news);
    pthread_mutex_destroy(&shadows->lock);
    qn_free(shadows);
}
