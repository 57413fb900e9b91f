/* SPDX-License-Identifier: Apache-2.0 */
/* Fewer columns: principal components of a table, or truncated singular values of texts, as
 * `quern reduce` finds them.
 *
 * Threads: qn_reduce() may be called from several threads at once; each call has its own pool. */
#ifndef QUERN_REDUCE_H
#define QUERN_REDUCE_H

#include "quern/error.h"

#include <signal.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default, everywhere. Texts are borrowed for the call. */
typedef struct qn_reduce_request {
    const char *table;    /* URI, see qn_frame_read() */
    const char *model;    /* bundle to write, which projects new rows; NULL: none */
    const char *method;   /* "pca": less the means of columns; "svd": as they are, which keeps the
                             zeros of texts; NULL: svd when there are words, else pca */
    int64_t n_components; /* 1 … 1,000; default: as `share` asks */
    double share;         /* of the variance to be explained, 0 … 1; default 0.95 */

    const char *drop;                         /* columns not to use, comma-separated */
    const char *id;                           /* columns that name a row */
    const char *const *kinds;                 /* "COL=KIND", ended by NULL */
    int64_t seed;                             /* default 1 */
    int64_t n_threads;                        /* default: as many as the process may use */
    const char *command;                      /* how this was asked for, kept in the bundle */
    const volatile sig_atomic_t *interrupted; /* set to give up */
} qn_reduce_request;

typedef struct qn_reduce_result {
    int64_t n_rows;
    int32_t n_components;
    double *values; /* n_rows × n_components: the projections, row after row */
    char *json;     /* one object: table, rows, features, method, components with variance, share
                       explained and the features that weigh most … */
} qn_reduce_result; /* release with qn_reduce_result_release() */

/* The same result for the same table and seed, on any number of threads. Fails with QN_ERR_ARG
 * (unknown column or method), QN_ERR_DATA (unusable table, nothing varies), QN_ERR_IO,
 * QN_ERR_NOMEM, QN_ERR_INTERRUPTED. */
QN_API QN_MUST_CHECK qn_status qn_reduce(const qn_reduce_request *request, qn_reduce_result *result,
                                         qn_error *err);
QN_API void qn_reduce_result_release(qn_reduce_result *result);

#ifdef __cplusplus
}
#endif

#endif
