/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a kernel matrix, computed when they are asked for. The fits of one machine – on all its
 * rows, and without each fold – ask for much the same ones, so they share a cache: whoever asks for
 * a row first computes it, and it stays. When the cache is full, each reader keeps the rows it used
 * last in a ring of its own. What a row holds does not depend on who computed it.
 *
 * Threads: the cache is shared by all; a reader is one thread's at a time. */
#ifndef QN_LEARN_SVM_KERNEL_CACHE_H
#define QN_LEARN_SVM_KERNEL_CACHE_H

#include "model/kernel_rows.h"

#include <stdatomic.h>

typedef struct qn_kernel_place {
    _Atomic(const float *) row; /* NULL: not in the cache */
} qn_kernel_place;

typedef struct qn_kernel_cache {
    const qn_matrix *x;  /* borrowed */
    const int32_t *rows; /* of x: n; borrowed */
    qn_kernel kernel;
    int64_t n;
    qn_kernel_rows laid_out;
    float *slots; /* n_slots × n */
    int64_t n_slots;
    atomic_int_fast64_t n_taken; /* of them; may pass n_slots */
    qn_kernel_place *places;     /* n: of rows */
    double reader_bytes;         /* of each reader's ring, beside the least */
} qn_kernel_cache;               /* release with qn_kernel_cache_release() */

/* Half of `bytes` is for the cache and half for n_readers at a time; all for the cache where that
 * then holds every row. Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_kernel_cache_init(qn_kernel_cache *cache, const qn_matrix *x, const int32_t *rows,
                               int64_t n, const qn_kernel *kernel, double bytes, int n_readers,
                               qn_error *err);
void qn_kernel_cache_release(qn_kernel_cache *cache);
/* Of row i with itself. */
double qn_kernel_cache_diagonal(const qn_kernel_cache *cache, int64_t i);

typedef struct qn_kernel_reader {
    qn_kernel_cache *cache;
    float *slots; /* n_slots × n */
    int64_t n_slots, n_used;
    int32_t *slot_of;                 /* n: of a row, -1 none */
    int32_t *row_of, *before, *after; /* n_slots; before and after also of slot n_slots, the ends */
    float *dense, *sparse;            /* a row spread out */
} qn_kernel_reader;                   /* release with qn_kernel_reader_release() */

/* Fails with QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_kernel_reader_init(qn_kernel_reader *reader, qn_kernel_cache *cache, qn_error *err);
void qn_kernel_reader_release(qn_kernel_reader *reader);
/* Kernels of row i with all rows: n floats, which stay until two other rows were asked for. */
const float *qn_kernel_reader_row(qn_kernel_reader *reader, int64_t i);

#endif
