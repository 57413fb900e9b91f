/* SPDX-License-Identifier: Apache-2.0 */
/* The list that screening writes its findings into. */
#ifndef QN_VALIDATE_FINDINGS_INTERNAL_H
#define QN_VALIDATE_FINDINGS_INTERNAL_H

#include "validate/understand.h"

/* Says in one line what was found of many columns: eighty lines of constant columns would hide the
 * one that leaks. Leak suspects keep a line each. The joint line stands where the first one did. */
QN_MUST_CHECK
qn_status qn_findings_gather(qn_findings *findings, qn_error *err);

#endif
