/* SPDX-License-Identifier: Apache-2.0 */
/* GET /: what this server is and which paths it has, for people who come by. */
#include "base/json.h"
#include "serve/handlers/handlers.h"

qn_step qn_handle_index(qn_exchange *x)
{
    qn_json_writer json = {.out = &x->out, .indent = true};
    qn_reply_begin(&x->reply, 200, "application/json", NULL);
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "server", "quern");
    qn_json_put_text(&json, "status", "alive"); /* what KServe's clients by its version 1 look at */
    qn_json_put_text(&json, "version", qn_version());
    qn_json_key(&json, "routes");
    qn_json_begin_array(&json);
    for (const qn_route *route = qn_routes; route->name; route++) {
        qn_json_begin_object(&json);
        qn_json_put_text(&json, "method", qn_http_method_name(route->method));
        qn_json_put_text(&json, "path", route->pattern);
        qn_json_put_text(&json, "summary", route->summary);
        qn_json_end_object(&json);
    }
    qn_json_end_array(&json);
    qn_json_end_object(&json);
    qn_str_add_char(&x->out, '\n');
    qn_reply_end(&x->reply);
    return QN_STEP_DONE;
}
