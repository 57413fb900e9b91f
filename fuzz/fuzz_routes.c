/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a routes file: what is read as one deals requests, and is written and read again as
 * the same. The same bytes as the body of a request that is dealt by a column. */
#include "fuzz.h"
#include "serve/routes/route_key.h"
#include "serve/routes/routing.h"

#include <stdlib.h>
#include <string.h>

static void deal(const qn_routing *routing, qn_span key)
{
    char reason[QN_ROUTE_REASON_BYTES];
    for (int64_t i = 0; i < routing->n_models; i++) {
        const qn_model_routing *model = &routing->models[i];
        if (!model->route) continue;
        const int arm = qn_route_choose(model->route, key.text, key.bytes);
        if (arm < 0 || arm >= model->plan.n_arms) abort();
        (void)qn_route_note(model->route, arm, true, 1, reason);
    }
}

/* What is written reads back, and is then written in the same words. */
static void write_and_read(const qn_routing *routing)
{
    qn_str text = {0}, again = {0};
    qn_routing *copy;
    qn_routing_write(routing, &text);
    if (qn_routing_read("again", text.text, text.bytes, &copy, NULL) != QN_OK) abort();
    qn_routing_write(copy, &again);
    if (strcmp(text.text, again.text) != 0) abort();
    qn_routing_inherit(copy, routing, false);
    qn_routing_unref(copy);
    qn_str_release(&text);
    qn_str_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const qn_span body = {(const char *)data, bytes};
    qn_error err = {0};
    qn_routing *routing;
    qn_arena memory = {0};
    const qn_span key = qn_route_key_in_json(body, "who", &memory);
    (void)qn_route_key_in_csv(body, "who");
    (void)qn_route_key_in_tensors(body, bytes / 2, "who", (qn_route_place){1, 3}, &memory);
    if (qn_routing_read("routes", body.text, bytes, &routing, &err) == QN_OK) {
        deal(routing, key);
        write_and_read(routing);
        qn_routing_unref(routing);
    }
    qn_arena_release(&memory);
    return 0;
}
