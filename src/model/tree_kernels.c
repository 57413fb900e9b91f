/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes over blocks of rows: with AVX2 where the processor has it, else with whatever vectors of 16
 * bytes the compiler makes of plain operators. */
#include "model/tree_codes_internal.h"

#include <string.h>

typedef int8_t bytes16 __attribute__((vector_size(16)));

static inline bytes16 load(const uint8_t *from)
{
    bytes16 v;
    memcpy(&v, from, sizeof v);
    return v;
}

/* 0xff where the row goes right. */
static bytes16 outside_table(const uint8_t *columns, const uint8_t *table)
{
    uint8_t mask[16];
    for (int i = 0; i < 16; i++) {
        const uint8_t low = columns[i], high = columns[QN_TREE_ROWS + i];
        /* As a shuffle does it: each half by four bits, 0 for a byte with its top bit set. */
        const uint8_t byte =
            (low & 0x80 ? 0 : table[low & 15]) | (high & 0x80 ? 0 : table[16 + (high & 15)]);
        mask[i] = byte & columns[2 * QN_TREE_ROWS + i] ? 0 : 0xff;
    }
    return load(mask);
}

void qn_tree_kernel_portable(const struct qn_tree_op *ops, int64_t n_ops, const uint8_t *columns,
                             uint8_t *slots, const uint8_t *tables, int n_vectors)
{
    for (const struct qn_tree_op *op = ops; op < ops + n_ops; op++) {
        const uint8_t *column = columns + op->column;
        for (int i = 0; i < n_vectors * QN_TREE_LANES; i += 16) {
            const bytes16 right = op->category ? outside_table(column + i, tables + op->table)
                                               : load(column + i) > op->threshold;
            const bytes16 out =
                (load(slots + op->right + i) & right) | (load(slots + op->left + i) & ~right);
            memcpy(slots + op->out + i, &out, sizeof out);
        }
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load32(const uint8_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

AVX2 static inline __m256i outside_table32(const uint8_t *column, __m256i low, __m256i high)
{
    const __m256i bytes = _mm256_or_si256(_mm256_shuffle_epi8(low, load32(column)),
                                          _mm256_shuffle_epi8(high, load32(column + QN_TREE_ROWS)));
    return _mm256_cmpeq_epi8(_mm256_and_si256(bytes, load32(column + 2 * QN_TREE_ROWS)),
                             _mm256_setzero_si256());
}

AVX2 static inline void choose32(uint8_t *slots, const struct qn_tree_op *op, int i, __m256i right)
{
    const __m256i out =
        _mm256_blendv_epi8(load32(slots + op->left + i), load32(slots + op->right + i), right);
    _mm256_storeu_si256((__m256i *)(void *)(slots + op->out + i), out);
}

AVX2 static inline void run_ops(const struct qn_tree_op *ops, int64_t n_ops, const uint8_t *columns,
                                uint8_t *slots, const uint8_t *tables, int n_vectors)
{
    for (const struct qn_tree_op *op = ops; op < ops + n_ops; op++) {
        const uint8_t *column = columns + op->column;
        if (__builtin_expect(op->category, 0)) {
            const uint8_t *table = tables + op->table;
            const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table));
            const __m256i high =
                _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)(table + 16)));
            for (int v = 0; v < n_vectors; v++) {
                choose32(slots, op, v * QN_TREE_LANES,
                         outside_table32(column + v * QN_TREE_LANES, low, high));
            }
            continue;
        }
        const __m256i threshold = _mm256_set1_epi8(op->threshold);
        for (int v = 0; v < n_vectors; v++) {
            choose32(slots, op, v * QN_TREE_LANES,
                     _mm256_cmpgt_epi8(load32(column + v * QN_TREE_LANES), threshold));
        }
    }
}

AVX2 void qn_tree_kernel_avx2(const struct qn_tree_op *ops, int64_t n_ops, const uint8_t *columns,
                              uint8_t *slots, const uint8_t *tables, int n_vectors)
{
    switch (n_vectors) { /* a constant number unrolls the loops */
    case 1:
        run_ops(ops, n_ops, columns, slots, tables, 1);
        break;
    case 2:
        run_ops(ops, n_ops, columns, slots, tables, 2);
        break;
    case 3:
        run_ops(ops, n_ops, columns, slots, tables, 3);
        break;
    default:
        run_ops(ops, n_ops, columns, slots, tables, 4);
        break;
    }
}

qn_tree_kernel *qn_tree_kernel_choose(void)
{
    return __builtin_cpu_supports("avx2") ? qn_tree_kernel_avx2 : qn_tree_kernel_portable;
}
#else
qn_tree_kernel *qn_tree_kernel_choose(void)
{
    return qn_tree_kernel_portable;
}
#endif
