/* SPDX-License-Identifier: Apache-2.0 */
/* POST /feedback: {"id": …, "reward": 0.5}, or a list of them: how good it was, from 0 to 1, that a
 * bandit chose the version it did for the request of that id. All of a request are taken, or none;
 * those whose choice is not known (any more) are passed over. */
#include "base/number.h"
#include "serve/handlers/handlers.h"
#include "serve/security/gate.h"

#include <string.h>

static qn_status check_one(qn_json_value given, int64_t number, qn_error *err)
{
    const char *id = qn_json_as_text(qn_json_get(given, "id"), "");
    const double reward = qn_json_as_double(qn_json_get(given, "reward"), QN_NA);
    if (!qn_request_id_is_valid(id, strlen(id))) {
        return qn_fail(err, QN_ERR_DATA,
                       "feedback %lld: \"id\" is the header 'x-request-id' of the reply",
                       (long long)number);
    }
    if (reward >= 0 && reward <= 1) return QN_OK;
    return qn_fail(err, QN_ERR_DATA, "feedback %lld: \"reward\" is a number from 0 to 1",
                   (long long)number);
}

/* Whether any bandit that the sender may ask knew the request. */
static bool take_one(const qn_exchange *x, qn_json_value given)
{
    const qn_routing *routing = x->worker->catalog->routing;
    const char *id = qn_json_as_text(qn_json_get(given, "id"), "");
    const double reward = qn_json_as_double(qn_json_get(given, "reward"), 0);
    for (int64_t m = 0; m < routing->n_models; m++) {
        const qn_model_routing *model = &routing->models[m];
        if (model->plan.kind != QN_ROUTE_BANDIT || !qn_gate_shows(x, model->model)) continue;
        if (qn_route_reward(model->route, id, reward)) return true;
    }
    return false;
}

qn_step qn_handle_feedback(qn_exchange *x)
{
    const qn_span body = qn_exchange_body(x);
    qn_error err = {0};
    qn_json *document = NULL;
    int64_t n_known = 0;
    qn_status status = qn_json_parse(body.text, body.bytes, "the body", &document, &err);
    if (status == QN_ERR_DATA) err.status = QN_ERR_ARG; /* no JSON at all */
    const qn_json_value root = status == QN_OK ? qn_json_root(document) : NULL;
    const bool many = qn_json_is_array(root);
    const int64_t n = many ? qn_json_size(root) : 1;
    for (int64_t i = 0; status == QN_OK && i < n; i++) {
        status = check_one(many ? qn_json_at(root, i) : root, i + 1, &err);
    }
    for (int64_t i = 0; status == QN_OK && i < n; i++) {
        n_known += take_one(x, many ? qn_json_at(root, i) : root);
    }
    if (status == QN_OK) {
        qn_reply_begin(&x->reply, 202, "application/json", NULL);
        qn_str_addf(&x->out, "{\"feedback\":%lld,\"known\":%lld}\n", (long long)n,
                    (long long)n_known);
        qn_reply_end(&x->reply);
    } else {
        qn_exchange_fail(x, &err, 0, NULL);
    }
    qn_json_free(document);
    return QN_STEP_DONE;
}
