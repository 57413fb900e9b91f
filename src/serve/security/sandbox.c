/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/sandbox.h"

#include "serve/security/sandbox_internal.h"

#include <stdio.h>
#include <sys/prctl.h>

/* Sanitizers make a process and trace their own when a program ends, to look for leaks. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool is_sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
static const bool is_sanitized = true;
#else
static const bool is_sanitized = false;
#endif
#else
static const bool is_sanitized = false;
#endif

static qn_status enter(const qn_sandbox_request *request, char *report, qn_error *err)
{
    static const size_t room = QN_SANDBOX_REPORT_BYTES;
    /* Without this only the administrator may restrict a process: a program that is started with
     * more rights than its parent could be misled. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        snprintf(report, room, "none: the kernel has no PR_SET_NO_NEW_PRIVS");
    } else {
        const char *no_files = qn_sandbox_restrict_files(request);
        const char *no_calls = qn_sandbox_restrict_calls(request);
        if (!no_files && !no_calls) {
            snprintf(report, room, "landlock and seccomp");
            return QN_OK;
        }
        snprintf(report, room, "%s%s%s%s%s",
                 !no_files   ? "landlock"
                 : !no_calls ? "seccomp"
                             : "none",
                 no_files ? ": " : "", no_files ? no_files : "",
                 no_calls ? (no_files ? ", " : ": ") : "", no_calls ? no_calls : "");
    }
    if (request->mode == QN_SANDBOX_AUTO) return QN_OK;
    return qn_fail(err, QN_ERR_UNSUPPORTED, "--sandbox on: %s", report);
}

qn_status qn_sandbox_enter(const qn_sandbox_request *request, char *report, qn_error *err)
{
    if (request->mode == QN_SANDBOX_OFF || (is_sanitized && request->mode == QN_SANDBOX_AUTO)) {
        snprintf(report, QN_SANDBOX_REPORT_BYTES, "none: %s",
                 is_sanitized ? "built with sanitizers" : "switched off");
        return QN_OK;
    }
    return enter(request, report, err);
}
