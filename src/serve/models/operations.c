/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/operations.h"

#include "base/alloc.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { WAITING_MAX = 64, TIDY_MS = 20 };

struct qn_operations {
    qn_operations_request request;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool ending, untidy; /* untidy: there may be models to be freed */
    int n_waiting;
    qn_operation *first, *last; /* those that wait */
};

/* One operation. */

void qn_operation_unref(qn_operation *op)
{
    if (!op || atomic_fetch_sub_explicit(&op->n_refs, 1, memory_order_acq_rel) != 1) return;
    qn_str_release(&op->reload.messages);
    qn_free(op->name);
    qn_free(op->version);
    qn_free(op->alias);
    qn_free(op->text);
    qn_free(op);
}

/* False when out of memory. */
static bool copy(qn_span span, char **out)
{
    *out = span.bytes > 0 ? qn_strndup(span.text, span.bytes) : NULL;
    return span.bytes == 0 || *out;
}

bool qn_operation_is_done(const qn_operation *op)
{
    return atomic_load_explicit(&((qn_operation *)(uintptr_t)op)->done, memory_order_acquire);
}

qn_operation *qn_operation_create(const qn_operation_request *request)
{
    qn_operation *op = qn_alloc_array(1, sizeof *op);
    if (!op) return NULL;
    atomic_init(&op->n_refs, 1);
    atomic_init(&op->done, false);
    op->run = request->run;
    op->text = qn_strndup(request->text.text ? request->text.text : "", request->text.bytes);
    op->text_bytes = request->text.bytes;
    if (op->text && copy(request->name, &op->name) && copy(request->version, &op->version) &&
        copy(request->alias, &op->alias)) {
        return op;
    }
    qn_operation_unref(op);
    return NULL;
}

/* The thread. */

/* Waits for something to do; while models are to be freed, not for long. */
static void wait_for_news(qn_operations *operations)
{
    struct timespec until;
    if (!operations->untidy) {
        pthread_cond_wait(&operations->news, &operations->lock);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += TIDY_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_cond_timedwait(&operations->news, &operations->lock, &until);
    operations->untidy = false;
    pthread_mutex_unlock(&operations->lock);
    const bool more = qn_model_store_tidy(operations->request.store);
    pthread_mutex_lock(&operations->lock);
    operations->untidy |= more;
}

static qn_operation *take_next(qn_operations *operations)
{
    qn_operation *op = NULL;
    pthread_mutex_lock(&operations->lock);
    while (!operations->ending && !operations->first) {
        wait_for_news(operations);
    }
    if (!operations->ending) {
        op = operations->first;
        operations->first = op->next;
        operations->n_waiting--;
    }
    pthread_mutex_unlock(&operations->lock);
    return op;
}

static void *run(void *argument)
{
    qn_operations *operations = argument;
    for (qn_operation *op; (op = take_next(operations));) {
        op->status = op->run(op, operations->request.store, &op->err);
        atomic_store_explicit(&op->done, true, memory_order_release);
        qn_operation_unref(op);
        operations->request.wake(operations->request.argument);
        qn_operations_tidy(operations);
    }
    return NULL;
}

qn_status qn_operations_start(const qn_operations_request *request, qn_operations **out,
                              qn_error *err)
{
    *out = NULL;
    qn_operations *operations = qn_alloc_array(1, sizeof *operations);
    if (!operations) return qn_fail(err, QN_ERR_NOMEM, "no memory for the server");
    operations->request = *request;
    pthread_mutex_init(&operations->lock, NULL);
    pthread_cond_init(&operations->news, NULL);
    sigset_t all, before; /* signals are for the thread that started the server */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(&operations->thread, NULL, run, operations);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        pthread_cond_destroy(&operations->news);
        pthread_mutex_destroy(&operations->lock);
        qn_free(operations);
        return qn_fail(err, QN_ERR_NOMEM, "threads for the server: %s", strerror(code));
    }
    *out = operations;
    return QN_OK;
}

void qn_operations_tidy(qn_operations *operations)
{
    pthread_mutex_lock(&operations->lock);
    operations->untidy = true;
    pthread_cond_signal(&operations->news);
    pthread_mutex_unlock(&operations->lock);
}

bool qn_operations_submit(qn_operations *operations, qn_operation *op)
{
    pthread_mutex_lock(&operations->lock);
    const bool taken = operations->n_waiting < WAITING_MAX;
    if (taken) {
        atomic_fetch_add_explicit(&op->n_refs, 1, memory_order_relaxed);
        op->next = NULL;
        *(operations->first ? &operations->last->next : &operations->first) = op;
        operations->last = op;
        operations->n_waiting++;
        pthread_cond_signal(&operations->news);
    }
    pthread_mutex_unlock(&operations->lock);
    return taken;
}

void qn_operations_free(qn_operations *operations)
{
    if (!operations) return;
    pthread_mutex_lock(&operations->lock);
    operations->ending = true;
    pthread_cond_signal(&operations->news);
    pthread_mutex_unlock(&operations->lock);
    pthread_join(operations->thread, NULL);
    for (qn_operation *op = operations->first; op;) {
        qn_operation *next = op->next;
        qn_operation_unref(op);
        op = next;
    }
    pthread_cond_destroy(&operations->news);
    pthread_mutex_destroy(&operations->lock);
    qn_free(operations);
}
