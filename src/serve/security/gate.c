/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/gate.h"

#include "base/clock.h"
#include "serve/http/cross_origin.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What is answered to a request that may not go on. */
struct refusal {
    int status;
    const char *reason;
    const char *lines; /* of the head; may be NULL */
};

static const qn_grant everybody[] = {{QN_ACCESS_PREDICT | QN_ACCESS_READ, NULL}};

static void tell_audit(const qn_exchange *x, bool refused, const char *reason)
{
    char address[QN_ADDRESS_TEXT_BYTES];
    qn_audit *audit = qn_server_logs_of(x->worker->server)->audit;
    if (!audit) return;
    qn_peer_address(x->peer, address);
    qn_audit_write(audit, &(qn_audit_event){.refused = refused,
                                            .who = x->identity.name[0] ? x->identity.name : NULL,
                                            .address = address,
                                            .method = qn_http_method_name(x->reader.method),
                                            .path = x->path,
                                            .status = x->reply.status,
                                            .action = x->route ? x->route->name : NULL,
                                            .reason = reason,
                                            .detail = x->told});
}

static bool refuse(qn_exchange *x, const struct refusal *refusal)
{
    qn_reply_error(&x->reply, refusal->status, refusal->reason, 0, NULL, refusal->lines);
    tell_audit(x, true, refusal->reason);
    return false;
}

static bool refuse_late(qn_exchange *x, const char *reason, double wait_s)
{
    char lines[48];
    snprintf(lines, sizeof lines, "retry-after: %.0f\r\n", fmax(1, ceil(wait_s)));
    return refuse(x, &(struct refusal){429, reason, lines});
}

/* Who failed too often is told to wait, so that guessing is slow and the audit log stays small. */
static bool refuse_stranger(qn_exchange *x, bool gave_any, const char *reason)
{
    const qn_peer *peer = x->peer;
    const double wait_s = qn_rate_limit_take(x->worker->failures, peer->address,
                                             qn_peer_client_bytes(peer), qn_clock_s());
    if (wait_s > 0) return refuse_late(x, "too many requests without good credentials", wait_s);
    return refuse(x, &(struct refusal){401, reason,
                                       gave_any ? "www-authenticate: Bearer realm=\"quern\", "
                                                  "error=\"invalid_token\"\r\n"
                                                : "www-authenticate: Bearer realm=\"quern\"\r\n"});
}

static bool refuse_role(qn_exchange *x)
{
    return refuse(x, &(struct refusal){403, "these credentials do not allow it",
                                       "www-authenticate: Bearer realm=\"quern\", "
                                       "error=\"insufficient_scope\"\r\n"});
}

/* "Bearer X" → X. The scheme is compared without case (RFC 9110, 11.1). */
static bool bearer_of(qn_span header, qn_span *out)
{
    if (header.bytes < 8 || strncasecmp(header.text, "bearer ", 7) != 0) return false;
    *out = (qn_span){header.text + 7, header.bytes - 7};
    while (out->bytes > 0 && *out->text == ' ') {
        out->text++;
        out->bytes--;
    }
    return out->bytes > 0;
}

/* Key or token → x->identity; else why not. */
static const char *check_bearer(qn_exchange *x, qn_span bearer)
{
    const qn_credentials *credentials = x->worker->credentials;
    const int64_t now_us = qn_clock_utc_us();
    const char *wrong = "this server takes no such credentials";
    if (qn_key_is_key(bearer)) {
        const qn_key *key =
            credentials->keys ? qn_key_file_find(credentials->keys, bearer, now_us, &wrong) : NULL;
        if (!key) return wrong;
        return qn_identity_copy(&key->identity, &x->memory, &x->identity) ? NULL
                                                                          : qn_identity_no_memory;
    }
    if (!credentials->tokens) return wrong;
    return qn_token_cache_check(x->worker->tokens, credentials, bearer, now_us / 1000000,
                                &x->memory, &x->identity, &wrong)
               ? NULL
               : wrong;
}

static bool identify(qn_exchange *x)
{
    static const qn_grant certificate[] = {{QN_ACCESS_PREDICT | QN_ACCESS_READ, NULL}};
    const qn_credentials *credentials = x->worker->credentials;
    qn_span bearer;
    if (!credentials->keys && !credentials->tokens) {
        char name[64];
        const bool known = x->peer->tls && qn_tls_client_name(x->peer->tls, name, sizeof name);
        x->identity = (qn_identity){.grants = known ? certificate : everybody, .n_grants = 1};
        if (known) snprintf(x->identity.name, sizeof x->identity.name, "certificate:%s", name);
        return true;
    }
    const int n = qn_http_count_headers(&x->reader, "authorization");
    if (n == 0) return refuse_stranger(x, false, "send a header 'Authorization: Bearer KEY'");
    if (n > 1) return refuse_stranger(x, true, "there are several headers 'Authorization'");
    if (!bearer_of(qn_http_header(&x->reader, "authorization"), &bearer)) {
        return refuse_stranger(x, true, "send a header 'Authorization: Bearer KEY'");
    }
    const char *wrong = check_bearer(x, bearer);
    if (wrong == qn_identity_no_memory) return refuse(x, &(struct refusal){503, wrong, NULL});
    return wrong ? refuse_stranger(x, true, wrong) : true;
}

static bool is_in_rate(qn_exchange *x)
{
    qn_rate_limit *rate = x->worker->rate;
    if (!rate) return true;
    const char *name = x->identity.name;
    const double wait_s = name[0] ? qn_rate_limit_take(rate, name, strlen(name), qn_clock_s())
                                  : qn_rate_limit_take(rate, x->peer->address,
                                                       qn_peer_client_bytes(x->peer), qn_clock_s());
    return wait_s > 0 ? refuse_late(x, "more requests than this client may send", wait_s) : true;
}

static bool has_role(const qn_exchange *x)
{
    const qn_access role = x->route->role;
    switch (x->route->reach) {
    case QN_REACH_SERVER:
        return qn_identity_may(&x->identity, role, NULL);
    case QN_REACH_MODEL:
        return qn_identity_may(&x->identity, role, &x->params[0]);
    case QN_REACH_CHECKED:
        return qn_identity_may_some(&x->identity, role);
    }
    return false;
}

bool qn_gate_pass(qn_exchange *x)
{
    if (qn_cross_origin_preflight(x)) return false;
    if (x->route && x->route->role == QN_ACCESS_ANYONE) return true;
    if (!identify(x) || !is_in_rate(x)) return false;
    if (!x->route || has_role(x)) return true;
    return refuse_role(x);
}

bool qn_gate_shows(const qn_exchange *x, const char *model)
{
    const qn_span name = {model, strlen(model)};
    return qn_identity_may(&x->identity, x->route->role, &name);
}

bool qn_gate_demand(qn_exchange *x, const char *model)
{
    return qn_gate_shows(x, model) || refuse_role(x);
}

void qn_gate_end(const qn_exchange *x)
{
    if (x->route && x->route->role == QN_ACCESS_ADMIN && x->identity.name[0] &&
        x->reply.status != 401 && x->reply.status != 403 && x->reply.status != 429) {
        tell_audit(x, false, NULL);
    }
}
