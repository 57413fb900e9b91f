/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that change what is served: they hand an operation to the thread that does them and
 * wait. What the native protocol and Triton's share.
 *
 * Threads: one thread, the loop's; operations run in theirs. */
#ifndef QN_SERVE_HANDLERS_ADMINISTRATION_H
#define QN_SERVE_HANDLERS_ADMINISTRATION_H

#include "serve/http/exchange.h"
#include "serve/models/operations.h"

/* Begins an operation, which becomes the request's job. NULL: there is none, and the request is
 * answered. */
qn_operation *qn_administration_begin(qn_exchange *x, const qn_operation_request *request);
/* Of one that is done: false, and answered, if it failed. */
bool qn_administration_succeeded(qn_exchange *x, const qn_operation *op);

/* Loads, or unloads, op->name in op->version (NULL: all). */
qn_status qn_administration_load(qn_operation *op, qn_model_store *store, qn_error *err);
qn_status qn_administration_unload(qn_operation *op, qn_model_store *store, qn_error *err);

#endif
