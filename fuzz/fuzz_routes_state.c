/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the file of what routes have learned: refused, or given to routes, which then write
 * what reads back. */
#include "fuzz.h"
#include "serve/routes/routes_state.h"

#include <stdlib.h>
#include <string.h>

static void give_and_write(qn_json_value routes)
{
    static const char plan[] = "models: {m: {bandit: {arms: [1, 2]}}}";
    qn_routing *routing;
    qn_route_learned learned;
    qn_str text = {0};
    qn_json *json;
    if (qn_routing_read("plan", plan, strlen(plan), &routing, NULL) != QN_OK) return;
    if (qn_route_learned_read(qn_json_get(routes, "m"), &learned)) {
        qn_route_take_learned(routing->models[0].route, &learned);
    }
    qn_routes_state_write(routing, &text);
    if (qn_json_parse(text.text, text.bytes, "again", &json, NULL) != QN_OK) abort();
    if (qn_routes_state_check("again", json, NULL) != QN_OK) abort();
    qn_json_free(json);
    qn_str_release(&text);
    qn_routing_unref(routing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    qn_json *json = NULL;
    qn_error err = {0};
    if (qn_json_parse((const char *)data, bytes, "state", &json, &err) != QN_OK) return 0;
    if (qn_routes_state_check("state", json, &err) == QN_OK) {
        give_and_write(qn_json_get(qn_json_root(json), "routes"));
    }
    qn_json_free(json);
    return 0;
}
