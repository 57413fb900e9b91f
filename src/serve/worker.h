/* SPDX-License-Identifier: Apache-2.0 */
/* Worker: what a loop gives to the handlers that run in it – the models as they are now, memory to
 * predict in, counters, and the server they belong to.
 *
 * Threads: one thread, the loop's; the server is shared. */
#ifndef QN_SERVE_WORKER_H
#define QN_SERVE_WORKER_H

#include "base/rng.h"
#include "serve/models/micro_batch.h"
#include "serve/models/model_store.h"
#include "serve/models/prediction_cache.h"
#include "serve/security/credentials.h"
#include "serve/security/rate_limit.h"
#include "serve/security/token_cache.h"
#include "serve/server.h"

typedef struct qn_worker {
    int index;
    qn_server *server;
    const qn_serve_options *options; /* with defaults filled in */
    qn_catalog *catalog;
    qn_credentials *credentials;
    qn_token_cache *tokens;
    qn_rate_limit *rate;     /* of requests; shared by the loops; NULL: none */
    qn_rate_limit *failures; /* of requests without good credentials; shared */
    qn_loop_counters *counters;
    qn_workspace workspace;
    qn_prediction_cache *cache; /* of the catalog's models; NULL: none */
    qn_micro_batch batch;
    int n_ahead;            /* events of the loop's turn that are still to be handled */
    double waiting_since_s; /* no request of this turn has waited for longer */
    qn_rng ids;             /* of requests */
    qn_str line;            /* of a log, while it is written */
    char date[64];
} qn_worker;

#endif
