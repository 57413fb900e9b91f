/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: a file that lists them, and the look-up of one that a client presents.
 *
 * A key is "quern_", 16 hexadecimal digits that name it, "_", and 256 random bits in base64url. The
 * file has its digest (crypto/secret.h tells why a fast one), so that whoever reads the file cannot
 * use what it says:
 *
 *     {"format": 1, "keys": [
 *       {"id": "3f9c0a5be1d24c77", "name": "batch", "digest": "…64 digits…", "roles": ["predict"],
 *        "models": ["credit"], "created": "2026-03-01T00:00:00Z", "expires": "2027-03-01T…"}]}
 *
 * Without "models" the roles are for all; without "expires" the key lasts until it is taken out.
 *
 * Threads: a file that was read is immutable, share freely; editing is one thread's at a time, and
 * one process's at a time by a lock on the file. */
#ifndef QN_SERVE_SECURITY_KEY_FILE_H
#define QN_SERVE_SECURITY_KEY_FILE_H

#include "crypto/secret.h"
#include "serve/security/identity.h"

enum {
    QN_KEY_ID_BYTES = 16,
    QN_KEY_SECRET_BYTES = 32,
    QN_KEY_TEXT_BYTES = 6 + QN_KEY_ID_BYTES + 1 + 43 + 1, /* with its terminator */
    QN_KEY_NAME_BYTES_MAX = 64,
    QN_KEYS_MAX = 10000,
    QN_KEY_FILE_BYTES_MAX = 16 * 1024 * 1024
};

typedef struct qn_key {
    char id[QN_KEY_ID_BYTES + 1];
    uint8_t digest[QN_DIGEST_BYTES];
    int64_t created_us, expires_us; /* since 1970 UTC; expires_us INT64_MAX: never */
    unsigned roles;
    qn_identity identity; /* one grant a model, or one for all */
    const char *name;
} qn_key;

typedef struct qn_key_file qn_key_file; /* destroy with qn_key_file_free() */

/* `name` is what messages call the text. Fails with QN_ERR_DATA (naming the key) or QN_ERR_NOMEM.
 */
QN_MUST_CHECK
qn_status qn_key_file_parse(const char *text, size_t bytes, const char *name, qn_key_file **out,
                            qn_error *err);
/* The file must be private (crypto/private_file.h). */
QN_MUST_CHECK
qn_status qn_key_file_open(const char *path, qn_key_file **out, qn_error *err);
void qn_key_file_free(qn_key_file *file); /* accepts NULL */

int64_t qn_key_file_n(const qn_key_file *file);
const qn_key *qn_key_file_at(const qn_key_file *file, int64_t i);

/* Whether `text` has the form of a key: else it may be a token. */
bool qn_key_is_key(qn_span text);
/* The key of that text, if there is one and it has not expired; else NULL and why, in words that
 * may be answered. The time does not depend on how much of a secret is right. */
const qn_key *qn_key_file_find(const qn_key_file *file, qn_span text, int64_t now_us,
                               const char **wrong);

/* Editing, for the command line (key_file_edit.c). */

typedef struct qn_key_request {
    const char *path; /* made when it is not there, of mode 0600 */
    const char *name; /* letters, digits, '.', '_' and '-' */
    unsigned roles;
    const char *const *models; /* ended by NULL; NULL or empty: all */
    int64_t created_us;
    int64_t expires_us; /* INT64_MAX: never */
} qn_key_request;

/* Adds a key and writes its text, which is told here and nowhere else. Fails with QN_ERR_ARG,
 * QN_ERR_IO, QN_ERR_DATA or QN_ERR_NOMEM; the file is then as it was. */
QN_MUST_CHECK
qn_status qn_key_create(const qn_key_request *request, char text[QN_KEY_TEXT_BYTES], qn_error *err);
/* Takes out the key of that id. Fails as above, and with QN_ERR_ARG when there is none. */
QN_MUST_CHECK
qn_status qn_key_revoke(const char *path, const char *id, qn_error *err);

#endif
