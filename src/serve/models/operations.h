/* SPDX-License-Identifier: Apache-2.0 */
/* Operations: what administrators ask for takes time – reading a model, writing a file – and no
 * loop may stand still for it. A thread does them, one after another; the loops are woken when one
 * is done. The same thread frees models that were replaced.
 *
 * Threads: internally locked. */
#ifndef QN_SERVE_MODELS_OPERATIONS_H
#define QN_SERVE_MODELS_OPERATIONS_H

#include "serve/models/model_store.h"

/* One operation. Its texts are its own: it may outlive the request. */
typedef struct qn_operation qn_operation;
typedef qn_status (*qn_operation_run)(qn_operation *op, qn_model_store *store, qn_error *err);
struct qn_operation {
    qn_operation_run run;
    char *name, *version, *alias; /* what it is about; NULL: not given */
    char *text;                   /* a body, ended by NUL */
    size_t text_bytes;
    /* Once it is done: */
    _Atomic bool done;
    qn_status status;
    qn_error err;
    qn_reload reload;
    /* Of the thread. */
    _Atomic int n_refs;
    qn_operation *next;
};

/* What is to be done; texts are copied, an empty one is NULL in the operation (but for `text`). */
typedef struct qn_operation_request {
    qn_operation_run run;
    qn_span name, version, alias, text;
} qn_operation_request;

/* With one reference; NULL when out of memory. */
qn_operation *qn_operation_create(const qn_operation_request *request);
bool qn_operation_is_done(const qn_operation *op);
void qn_operation_unref(qn_operation *op); /* accepts NULL */

typedef struct qn_operations qn_operations; /* destroy with qn_operations_free() */

typedef struct qn_operations_request {
    qn_model_store *store;
    void (*wake)(void *argument); /* called, by the thread, when an operation is done */
    void *argument;
} qn_operations_request;

/* Starts the thread, which inherits the caller's sandbox. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_operations_start(const qn_operations_request *request, qn_operations **out,
                              qn_error *err);
/* Takes a reference of its own; false when too many wait already. */
bool qn_operations_submit(qn_operations *operations, qn_operation *op);
/* To be called when models were replaced by somebody else: they are freed once nobody uses them. */
void qn_operations_tidy(qn_operations *operations);
/* Finishes the one that runs; those that wait are not done. Accepts NULL. */
void qn_operations_free(qn_operations *operations);

#endif
