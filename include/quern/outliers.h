/* SPDX-License-Identifier: Apache-2.0 */
/* Outliers: rows that few random cuts set apart from the others, found without a target by an
 * isolation forest (Liu, Ting and Zhou 2008), as `quern outliers` does it.
 *
 * Threads: qn_outliers() may be called from several threads at once; each call has its own pool. */
#ifndef QUERN_OUTLIERS_H
#define QUERN_OUTLIERS_H

#include "quern/error.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero means the default, everywhere. Texts are borrowed for the call. */
typedef struct qn_outliers_request {
    const char *table; /* URI, see qn_frame_read() */
    const char *model; /* bundle to write, which scores new rows; NULL: none */

    int64_t n_estimators; /* trees; default 100 */
    int64_t max_samples;  /* rows of each, 2 or more; default 256 */
    double contamination; /* share of outliers, up to 0.5; default: all that score above 0.5 */
    int64_t n_top;        /* rows to explain; default 10 */

    const char *drop;                         /* columns not to use, comma-separated */
    const char *id;                           /* columns that name a row */
    const char *const *kinds;                 /* "COL=KIND", ended by NULL */
    int64_t seed;                             /* default 1 */
    int64_t n_threads;                        /* default: as many as the process may use */
    const char *command;                      /* how this was asked for, kept in the bundle */
    const volatile sig_atomic_t *interrupted; /* set to stop early with the trees grown so far */
} qn_outliers_request;

typedef struct qn_outliers_result {
    int64_t n_rows, n_outliers;
    double *scores;   /* n_rows: 0 … 1, near 1 for outliers */
    double threshold; /* outliers are the rows whose score reaches it */
    char *json;       /* one object: table, rows, threshold, outliers, and `top`: the rows of the
                         greatest scores with the share of each column in what isolates them */
    bool interrupted;
} qn_outliers_result; /* release with qn_outliers_result_release() */

/* The same result for the same table and seed, on any number of threads. Fails with QN_ERR_ARG
 * (unknown column, a share out of range), QN_ERR_DATA (unusable table), QN_ERR_IO, QN_ERR_NOMEM,
 * QN_ERR_INTERRUPTED (before any tree). */
QN_API QN_MUST_CHECK qn_status qn_outliers(const qn_outliers_request *request,
                                           qn_outliers_result *result, qn_error *err);
QN_API void qn_outliers_result_release(qn_outliers_result *result);

#ifdef __cplusplus
}
#endif

#endif
