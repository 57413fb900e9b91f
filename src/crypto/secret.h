/* SPDX-License-Identifier: Apache-2.0 */
/* What secrets need: random bytes, digests, comparison in constant time, and base64url (RFC 4648,
 * section 5, without padding), in which keys and tokens are written. By libsodium.
 *
 * Threads: all calls are safe from any thread. */
#ifndef QN_CRYPTO_SECRET_H
#define QN_CRYPTO_SECRET_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QN_DIGEST_BYTES = 32, QN_SIP_KEY_BYTES = 16 };

/* Makes libsodium ready; may be called again. Fails with QN_ERR_UNSUPPORTED where the system gives
 * no random numbers. Call it before anything else of this folder. */
QN_MUST_CHECK
qn_status qn_crypto_begin(qn_error *err);

void qn_random_bytes(void *out, size_t bytes);
/* BLAKE2b with 256 bits. Enough for random secrets of 256 bits, which nobody can guess: a slow,
 * memory-hard hash is for words that people think of, and would cost every request 0.1 s. */
void qn_digest(const void *data, size_t bytes, uint8_t out[QN_DIGEST_BYTES]);
/* SipHash-2-4: table positions that nobody without the key can foresee. */
uint64_t qn_sip_hash(const uint8_t key[QN_SIP_KEY_BYTES], const void *data, size_t bytes);
/* In a time that depends on `bytes` alone. */
bool qn_secret_equals(const void *a, const void *b, size_t bytes);
/* Overwrites memory, even where the compiler sees no use in it. */
void qn_secret_wipe(void *memory, size_t bytes);

/* Room for the text of `bytes` bytes, its terminator included. */
#define QN_BASE64URL_ROOM(bytes) ((bytes) / 3 * 4 + 5)
/* Writes terminated text; `room` is at least QN_BASE64URL_ROOM(bytes). */
void qn_base64url_write(const void *data, size_t bytes, char *out, size_t room);
/* Strict: another alphabet, padding, blanks, bits left over and more than `room` bytes are refused.
 */
bool qn_base64url_read(const char *text, size_t text_bytes, void *out, size_t room, size_t *bytes);
/* Lower-case hexadecimal digits, terminated: 2 * bytes + 1 of room. */
void qn_hex_write(const void *data, size_t bytes, char *out);
/* Exactly 2 * bytes digits. */
bool qn_hex_read(const char *text, size_t text_bytes, void *out, size_t bytes);

#endif
