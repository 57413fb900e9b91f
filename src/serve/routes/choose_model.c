/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/choose_model.h"

#include "base/number.h"
#include "serve/handlers/handlers.h"
#include "serve/routes/route_key.h"
#include "serve/telemetry/prediction_log.h"

#include <stdio.h>
#include <string.h>

const char qn_json_length_header[] = "inference-header-content-length";

int64_t qn_exchange_json_length(const qn_exchange *x)
{
    const qn_span header = qn_http_header(&x->reader, qn_json_length_header);
    int64_t value;
    if (!header.text) return 0;
    return qn_parse_int64(header.text, header.bytes, &value) && value > 0 ? value : -1;
}

/* Where the column stands in a tensor of all columns: arms that take the same requests have them in
 * one order, the first one's. */
static qn_route_place place_of(const qn_exchange *x, const qn_route_plan *plan)
{
    const qn_span target = {plan->arms[0].target, strlen(plan->arms[0].target)};
    const qn_catalog_entry *entry = qn_catalog_find(x->worker->catalog, x->params[0], &target);
    if (!entry || !entry->model) return (qn_route_place){-1, 0};
    return (qn_route_place){
        qn_map_get(entry->model->inputs, plan->key_name, strlen(plan->key_name), -1),
        entry->model->n_inputs};
}

static qn_span column_of(qn_exchange *x, qn_rows_opener open, const qn_route_plan *plan)
{
    const char *column = plan->key_name;
    const qn_span body = qn_exchange_body(x);
    if (open == qn_rows_open_csv) return qn_route_key_in_csv(body, column);
    if (open == qn_rows_open_tensors) {
        const int64_t json_bytes = qn_exchange_json_length(x);
        return qn_route_key_in_tensors(body, (size_t)(json_bytes > 0 ? json_bytes : 0), column,
                                       place_of(x, plan), &x->memory);
    }
    return open ? qn_route_key_in_json(body, column, &x->memory) : (qn_span){0};
}

/* What the route tells requests apart by; text NULL: this one does not have it. */
static qn_span key_of(qn_exchange *x, qn_rows_opener open, const qn_route_plan *plan)
{
    switch (plan->key) {
    case QN_KEY_REQUEST:
        break;
    case QN_KEY_HEADER:
        return qn_http_header(&x->reader, plan->key_name);
    case QN_KEY_COLUMN:
        return column_of(x, open, plan);
    }
    return (qn_span){x->trace.id, strlen(x->trace.id)};
}

static const qn_catalog_entry *find_shadow(const qn_exchange *x, const qn_route_plan *plan)
{
    if (!plan->shadow || !qn_prediction_log_takes(x->trace.id, plan->shadow_share)) return NULL;
    const qn_span target = {plan->shadow, strlen(plan->shadow)};
    const qn_catalog_entry *entry = qn_catalog_find(x->worker->catalog, x->params[0], &target);
    return entry && entry->model ? entry : NULL;
}

const qn_catalog_entry *qn_exchange_choose_model(qn_exchange *x, qn_rows_opener open,
                                                 qn_routed *routed)
{
    const qn_catalog *catalog = x->worker->catalog;
    const int64_t first = qn_catalog_first(catalog, x->params[0]);
    const qn_model_routing *routing =
        first < catalog->n_entries ? catalog->entries[first].routing : NULL;
    if (x->params[1].text || !routing || !routing->route) return qn_exchange_find_model(x);
    const qn_span key = key_of(x, open, &routing->plan);
    routed->arm = qn_route_choose(routing->route, key.text, key.bytes);
    const char *target = routing->plan.arms[routed->arm].target;
    x->params[1] = (qn_span){target, strlen(target)};
    const qn_catalog_entry *entry = qn_exchange_find_model(x);
    if (!entry) return NULL;
    routed->route = qn_route_ref(routing->route);
    routed->model = entry->name;
    routed->shadow = find_shadow(x, &routing->plan);
    return entry;
}

void qn_exchange_tell_rollback(const qn_exchange *x, const char *model, const char *reason)
{
    char detail[QN_ROUTE_REASON_BYTES + QN_MODEL_NAME_BYTES_MAX + 8];
    snprintf(detail, sizeof detail, "%s: %s", model, reason);
    qn_audit_write(qn_server_logs_of(x->worker->server)->audit,
                   &(qn_audit_event){.who = "server", .action = "rollback", .detail = detail});
}

void qn_routed_note(const qn_routed *routed, const qn_exchange *x, bool failed, double seconds)
{
    char reason[QN_ROUTE_REASON_BYTES];
    if (routed->route && qn_route_note(routed->route, routed->arm, failed, seconds, reason)) {
        qn_exchange_tell_rollback(x, routed->model, reason);
    }
}

void qn_routed_remember(const qn_routed *routed, const qn_exchange *x, const qn_served_model *model,
                        const double *outputs, int64_t first, int64_t n)
{
    if (!routed->route || !qn_route_compares(routed->route)) return;
    for (int64_t row = 0; row < n; row++) {
        const double *values = outputs + row * model->n_outputs;
        qn_route_remember(routed->route, routed->arm, x->trace.id, first + row + 1,
                          qn_tensor_label(model->text, values), values[0]);
    }
}

void qn_routed_release(qn_routed *routed)
{
    qn_route_unref(routed->route);
    *routed = (qn_routed){0};
}
