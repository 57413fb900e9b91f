/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials: what clients are checked against – API keys, the keys of tokens, the server's own
 * certificate – as the files were when they were read last. Like the catalog of models, they are
 * immutable, counted by references and replaced as a whole: a loop looks for newer ones by one
 * atomic load between requests, and a key that is taken out is refused from the next request on.
 *
 * When any file cannot be read, all stays as it was, and the reason is told.
 *
 * Threads: the store is internally locked; credentials are immutable. */
#ifndef QN_SERVE_SECURITY_CREDENTIALS_H
#define QN_SERVE_SECURITY_CREDENTIALS_H

#include "base/str.h"
#include "crypto/tls.h"
#include "serve/security/key_file.h"
#include "serve/security/token.h"

typedef struct qn_credentials {
    _Atomic int64_t n_refs;
    int64_t generation;    /* 1, 2, … */
    qn_key_file *keys;     /* NULL: no API keys */
    qn_token_keys *tokens; /* NULL: no tokens */
    qn_tls_config *tls;    /* NULL: no TLS */
} qn_credentials;

/* Paths; NULL: not wanted. */
typedef struct qn_credential_files {
    const char *keys;
    const char *jwks, *issuer, *audience; /* of tokens; all or none */
    qn_tls_files tls;
} qn_credential_files;

typedef struct qn_credential_store qn_credential_store; /* qn_credential_store_free() */

/* Reads the files for the first time. `files` must outlive the store. Fails with QN_ERR_ARG (half
 * of a pair is missing), QN_ERR_IO, QN_ERR_DATA or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_credential_store_create(const qn_credential_files *files, qn_credential_store **out,
                                     qn_error *err);
void qn_credential_store_free(qn_credential_store *store); /* accepts NULL */

/* Reads the files anew if one has changed. Adds a line to `messages` (may be NULL) when it did or
 * could not; *changed tells whether there are newer credentials. False when they could not be read.
 */
bool qn_credential_store_reload(qn_credential_store *store, qn_str *messages, bool *changed);

/* Whether there are newer ones than `credentials` (may be NULL); no lock. */
bool qn_credential_store_is_newer(const qn_credential_store *store,
                                  const qn_credentials *credentials);
/* The newest, with a reference for the caller. */
qn_credentials *qn_credential_store_acquire(qn_credential_store *store);
void qn_credentials_unref(qn_credentials *credentials); /* accepts NULL */

#endif
