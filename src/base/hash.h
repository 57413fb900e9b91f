/* SPDX-License-Identifier: Apache-2.0 */
/* Fast non-cryptographic hashes (XXH3): look-up, checksums of bundle sections, data identity.
 * Stable for ever: bundles store them.
 *
 * Threads: pure functions. */
#ifndef QN_BASE_HASH_H
#define QN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t qn_hash64(const void *data, size_t bytes);
uint64_t qn_hash64_seeded(const void *data, size_t bytes, uint64_t seed);
/* Mixes one value into a running hash, for keys of several parts. */
uint64_t qn_hash_mix(uint64_t hash, uint64_t value);

#endif
