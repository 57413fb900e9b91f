/* SPDX-License-Identifier: Apache-2.0 */
/* GET and PUT /v1/routes: aliases and routes of all models, as in the routes file. */
#include "base/json.h"
#include "serve/handlers/administration.h"
#include "serve/handlers/handlers.h"

enum { ROUTES_BYTES_MAX = 256 * 1024 };

qn_step qn_handle_routes(qn_exchange *x)
{
    qn_reply_begin(&x->reply, 200, "application/json", NULL);
    qn_routing_write(x->worker->catalog->routing, &x->out);
    qn_reply_end(&x->reply);
    return QN_STEP_DONE;
}

static qn_status set_routes(qn_operation *op, qn_model_store *store, qn_error *err)
{
    return qn_model_store_set_routes(store, op->text, op->text_bytes, err);
}

qn_step qn_handle_set_routes(qn_exchange *x)
{
    const qn_span body = qn_exchange_body(x);
    if (!x->job && body.bytes > ROUTES_BYTES_MAX) {
        qn_reply_error(&x->reply, 413, "routes are at most 256 KB", 0, NULL, NULL);
        return QN_STEP_DONE;
    }
    if (!x->job &&
        !qn_administration_begin(x, &(qn_operation_request){.run = set_routes, .text = body})) {
        return QN_STEP_DONE;
    }
    const qn_operation *op = x->job;
    if (!qn_operation_is_done(op)) return QN_STEP_WAIT;
    if (qn_administration_succeeded(x, op)) {
        qn_reply_text(&x->reply, 200, "application/json", NULL, "{\"done\":\"routes\"}\n");
    }
    return QN_STEP_DONE;
}
