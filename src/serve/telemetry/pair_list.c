/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/pair_list.h"

#include "base/alloc.h"

#include <string.h>

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* In place; false for '%' without two digits, or for a zero byte. */
static bool decode(char *text)
{
    char *out = text;
    for (const char *at = text; *at; at++) {
        if (*at != '%') {
            *out++ = *at;
            continue;
        }
        const int high = digit_of(at[1]), low = high < 0 ? -1 : digit_of(at[2]);
        if (low < 0 || high + low == 0) return false;
        *out++ = (char)(high * 16 + low);
        at += 2;
    }
    *out = '\0';
    return true;
}

static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t bytes = strlen(text);
    while (bytes > 0 && (text[bytes - 1] == ' ' || text[bytes - 1] == '\t')) {
        text[--bytes] = '\0';
    }
    return text;
}

static qn_status read_pair(const char *what, char *pair, qn_pair_taker take, void *taker,
                           qn_error *err)
{
    pair = trim(pair);
    if (!*pair) return QN_OK;
    char *equals = strchr(pair, '=');
    if (!equals || equals == pair) {
        return qn_fail(err, QN_ERR_ARG, "%s are not of the form name=value,name=value", what);
    }
    *equals = '\0';
    const char *name = trim(pair);
    char *value = trim(equals + 1);
    if (decode(value) && take(taker, name, value)) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "%s: the value of '%s' cannot be", what, name);
}

qn_status qn_pair_list_read(const char *what, const char *text, qn_pair_taker take, void *taker,
                            qn_error *err)
{
    char *copy = qn_strdup(text);
    if (!copy) return qn_fail(err, QN_ERR_NOMEM, "no memory for %s", what);
    qn_status status = QN_OK;
    char *at = copy;
    while (status == QN_OK && at) {
        char *comma = strchr(at, ',');
        if (comma) *comma = '\0';
        status = read_pair(what, at, take, taker, err);
        at = comma ? comma + 1 : NULL;
    }
    qn_free(copy);
    return status;
}
