/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures to be checked, by one of three algorithms under their names in RFC 7518 and RFC 8037.
 * A key is of one algorithm for ever: what a message says about itself cannot choose another.
 *
 * Threads: a key is immutable; any number of threads may check by it. */
#ifndef QN_CRYPTO_SIGNATURE_H
#define QN_CRYPTO_SIGNATURE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum qn_signature_algorithm {
    QN_SIGNATURE_HS256, /* HMAC with SHA-256: both sides share the key */
    QN_SIGNATURE_EDDSA, /* Ed25519 */
    QN_SIGNATURE_RS256, /* RSASSA-PKCS1-v1_5 with SHA-256 */
    QN_N_SIGNATURE_ALGORITHMS
} qn_signature_algorithm;

/* "HS256", "EdDSA", "RS256". */
const char *qn_signature_algorithm_name(qn_signature_algorithm algorithm);

typedef struct qn_signature_key qn_signature_key; /* destroy with qn_signature_key_free() */

/* Each fails with QN_ERR_DATA (a key that cannot be, or is too weak) or QN_ERR_NOMEM. The secret is
 * copied; it has 32 to 1,024 bytes (RFC 7518, 3.2). */
QN_MUST_CHECK
qn_status qn_signature_key_hs256(const uint8_t *secret, size_t bytes, qn_signature_key **out,
                                 qn_error *err);
/* `point`: the public key, 32 bytes. */
QN_MUST_CHECK
qn_status qn_signature_key_eddsa(const uint8_t *point, size_t bytes, qn_signature_key **out,
                                 qn_error *err);
/* Modulus (2,048 to 8,192 bits) and exponent, big-endian. */
QN_MUST_CHECK
qn_status qn_signature_key_rs256(const uint8_t *modulus, size_t modulus_bytes,
                                 const uint8_t *exponent, size_t exponent_bytes,
                                 qn_signature_key **out, qn_error *err);
void qn_signature_key_free(qn_signature_key *key); /* accepts NULL; wipes */

qn_signature_algorithm qn_signature_key_algorithm(const qn_signature_key *key);
/* Whether `signature` is the key's for `message`. */
bool qn_signature_check(const qn_signature_key *key, const void *message, size_t message_bytes,
                        const uint8_t *signature, size_t signature_bytes);

#endif
