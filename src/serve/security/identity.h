/* SPDX-License-Identifier: Apache-2.0 */
/* Identity: who sends a request, and what they may do – roles, each for one model or for all.
 *
 * Threads: values; immutable once made. */
#ifndef QN_SERVE_SECURITY_IDENTITY_H
#define QN_SERVE_SECURITY_IDENTITY_H

#include "base/json_pull.h"

#include <stdbool.h>
#include <stdint.h>

/* Bits, so that a client may have several. None implies another. A route that names no role is
 * nobody's. */
typedef enum qn_access {
    QN_ACCESS_PREDICT = 1, /* ask a model */
    QN_ACCESS_READ = 2,    /* learn which models there are, what they take, and the counters */
    QN_ACCESS_ADMIN = 4,   /* change what is served */
    QN_ACCESS_ANYONE = 8   /* of routes: needs no credentials */
} qn_access;

/* "predict", "read" or "admin"; 0 for another word. */
unsigned qn_access_of(qn_span word);
const char *qn_access_name(qn_access role);

typedef struct qn_grant {
    unsigned roles;
    const char *model; /* NULL: every model, and what is about the server as a whole */
} qn_grant;

enum { QN_IDENTITY_NAME_BYTES = 128 };

typedef struct qn_identity {
    char name[QN_IDENTITY_NAME_BYTES]; /* for logs and rates: "key:3f9c… batch", "token:alice" */
    const qn_grant *grants;
    int64_t n_grants;
} qn_identity;

/* Why it is not known who a client is, where that is nobody's fault: told from other reasons by its
 * address. */
extern const char qn_identity_no_memory[];

/* Has the role for that model, or (NULL) for all of them. */
bool qn_identity_may(const qn_identity *identity, qn_access role, const qn_span *model);
/* Has the role for some model. */
bool qn_identity_may_some(const qn_identity *identity, qn_access role);
/* A copy whose grants are in `memory`; false when out of memory. */
bool qn_identity_copy(const qn_identity *identity, qn_arena *memory, qn_identity *out);

#endif
