/* SPDX-License-Identifier: Apache-2.0 */
/* Probes, as orchestrators ask them: alive, started, ready. */
#include "serve/handlers/handlers.h"

static qn_step answer(qn_exchange *x, bool good, const char *word)
{
    if (good) {
        qn_reply_text(&x->reply, 200, "text/plain; charset=utf-8", NULL, "ok\n");
    } else {
        qn_reply_error(&x->reply, 503, word, 0, NULL, NULL);
    }
    return QN_STEP_DONE;
}

qn_step qn_handle_live(qn_exchange *x)
{
    return answer(x, true, NULL);
}

qn_step qn_handle_ready(qn_exchange *x)
{
    const qn_server_state state = qn_server_get_state(x->worker->server);
    return answer(x, state == QN_SERVER_READY,
                  state == QN_SERVER_STARTING ? "the models are being loaded"
                                              : "the server is ending");
}

qn_step qn_handle_started(qn_exchange *x)
{
    return answer(x, qn_server_get_state(x->worker->server) != QN_SERVER_STARTING,
                  "the models are being loaded");
}

qn_step qn_handle_version(qn_exchange *x)
{
    qn_reply_text(&x->reply, 200, "text/plain; charset=utf-8", NULL, qn_version());
    return QN_STEP_DONE;
}
