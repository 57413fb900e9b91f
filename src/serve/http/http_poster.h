/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP poster: sends requests by POST to one endpoint, one after another over a connection that is
 * kept, each within a time, and tells what was answered. Redirections are not followed: where data
 * go is for whoever configured it to say.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_HTTP_HTTP_POSTER_H
#define QN_SERVE_HTTP_HTTP_POSTER_H

#include "crypto/tls.h"
#include "serve/http/endpoint.h"
#include "serve/http/http_response.h"
#include "serve/http/peer.h"

#include "base/str.h"

#include <stdatomic.h>

typedef struct qn_http_poster {
    const qn_endpoint *endpoint;
    const qn_tls_config *tls; /* where endpoint->tls */
    const char *lines;        /* further header lines, each with its "\r\n" */
    int wake_fd;              /* an eventfd: when it is written to, `end_by_s` may have changed */
    const _Atomic double *end_by_s; /* on qn_clock_s(): nothing takes longer than until then */
    qn_peer peer;                   /* initialise peer.fd with -1: not connected */
    qn_http_response response;
    qn_str head;
} qn_http_poster; /* initialise the members up to peer; release with qn_http_poster_release() */

/* Sends `body`, JSON, and waits for the answer, in all no longer than `limit_s`. True when one
 * came: it is poster->response. */
bool qn_http_poster_send(qn_http_poster *poster, const char *body, size_t bytes, double limit_s);
/* Has later requests go there; a connection that is kept is given up. */
void qn_http_poster_turn_to(qn_http_poster *poster, const qn_endpoint *endpoint,
                            const qn_tls_config *tls);
/* Waits, at most until that time. */
void qn_http_poster_wait(qn_http_poster *poster, double until_s);
void qn_http_poster_release(qn_http_poster *poster);

#endif
