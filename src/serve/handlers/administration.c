/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/handlers/administration.h"

static void release_operation(void *op)
{
    qn_operation_unref(op);
}

qn_operation *qn_administration_begin(qn_exchange *x, const qn_operation_request *request)
{
    qn_operation *op = qn_operation_create(request);
    if (op && qn_operations_submit(qn_server_operations(x->worker->server), op)) {
        x->job = op;
        x->release = release_operation;
        return op;
    }
    qn_reply_error(&x->reply, 503,
                   op ? "too many operations wait already" : "no memory for the operation", 0, NULL,
                   NULL);
    qn_operation_unref(op);
    return NULL;
}

bool qn_administration_succeeded(qn_exchange *x, const qn_operation *op)
{
    int status = 409; /* what there is does not allow it */
    if (op->status == QN_OK) return true;
    if (op->status == QN_ERR_ARG) status = 400;
    if (op->status == QN_ERR_NOMEM || op->status == QN_ERR_IO) status = 503;
    qn_reply_error(&x->reply, status, op->err.message, 0, NULL, NULL);
    return false;
}

qn_status qn_administration_load(qn_operation *op, qn_model_store *store, qn_error *err)
{
    return qn_model_store_load(store, op->name, op->version, &op->reload, err);
}

qn_status qn_administration_unload(qn_operation *op, qn_model_store *store, qn_error *err)
{
    return qn_model_store_unload(store, op->name, op->version, err);
}
