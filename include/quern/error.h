/* SPDX-License-Identifier: Apache-2.0 */
/* Status and error object shared by the whole C API.
 *
 * Every call that can fail returns a qn_status and takes, as its last argument, a qn_error owned
 * by the caller (NULL when only the status is wanted). On failure outputs are NULL or untouched
 * and the message is one line that names the file, row, column or field and says what to do.
 *
 * Threads: no hidden state; each thread passes its own qn_error. */
#ifndef QUERN_ERROR_H
#define QUERN_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define QN_API __attribute__((visibility("default")))
#define QN_MUST_CHECK __attribute__((warn_unused_result))
#define QN_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define QN_API
#define QN_MUST_CHECK
#define QN_PRINTF(format_at, args_at)
#endif

typedef enum qn_status {
    QN_OK = 0,
    QN_ERR_ARG,         /* a request that makes no sense: unknown column, option out of range */
    QN_ERR_DATA,        /* the table, schema or bundle is not as it must be */
    QN_ERR_IO,          /* a file or another outside resource could not be read or written */
    QN_ERR_NOMEM,       /* out of memory, or over the limit set by the caller */
    QN_ERR_INTERRUPTED, /* stopped by the caller before there was anything to return */
    QN_ERR_BUDGET,      /* the time or memory allowed cannot hold the work */
    QN_ERR_UNSUPPORTED  /* valid, but not offered by this build or this learner */
} qn_status;

typedef struct qn_error {
    qn_status status;
    char message[1024]; /* one line, UTF-8, always terminated */
} qn_error;

/* Returns the library's version, "major.minor.patch". */
QN_API const char *qn_version(void);

#ifdef __cplusplus
}
#endif

#endif
