/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of the sandbox. Each returns NULL when it is in place, else why it is not. */
#ifndef QN_SERVE_SECURITY_SANDBOX_INTERNAL_H
#define QN_SERVE_SECURITY_SANDBOX_INTERNAL_H

#include "serve/security/sandbox.h"

const char *qn_sandbox_restrict_files(const qn_sandbox_request *request); /* sandbox_files.c */
/* sandbox_calls.c */
const char *qn_sandbox_restrict_calls(const qn_sandbox_request *request);

#endif
