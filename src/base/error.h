/* SPDX-License-Identifier: Apache-2.0 */
/* How library code fails: one line that fills the caller's error object. */
#ifndef QN_BASE_ERROR_H
#define QN_BASE_ERROR_H

#include "quern/error.h"

#include <inttypes.h>

/* Fills `err` (unless NULL) and returns `status`, so that failing is one statement:
 *     return qn_fail(err, QN_ERR_DATA, "column '%s': ...", name); */
qn_status qn_fail(qn_error *err, qn_status status, const char *format, ...) QN_PRINTF(3, 4);

/* Puts "context: " before the message already in `err`; returns its status. */
qn_status qn_fail_context(qn_error *err, qn_status status, const char *format, ...) QN_PRINTF(3, 4);

/* Where nothing is held: leaves the function with the status of a call that failed. */
#define QN_TRY(call)                                        \
    do {                                                    \
        const qn_status qn_try_status_ = (call);            \
        if (qn_try_status_ != QN_OK) return qn_try_status_; \
    } while (0)

#endif
