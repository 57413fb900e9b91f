/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *qn_version(void)
{
    return QN_VERSION;
}

/* Messages quote bytes of the input; a control character must not break the one line. */
static void flatten(char *message)
{
    for (char *c = message; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
    }
}

qn_status qn_fail(qn_error *err, qn_status status, const char *format, ...)
{
    if (!err) return status;
    va_list args;
    va_start(args, format);
    err->status = status;
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    flatten(err->message);
    return status;
}

qn_status qn_fail_context(qn_error *err, qn_status status, const char *format, ...)
{
    if (!err) return status;
    char context[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);

    char message[sizeof err->message];
    memcpy(message, err->message, sizeof message);
    snprintf(err->message, sizeof err->message, "%.500s: %.500s", context, message);
    err->status = status;
    flatten(err->message);
    return status;
}
