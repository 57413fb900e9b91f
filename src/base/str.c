/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/alloc.h"
#include "base/number.h"

#include <stdio.h>
#include <string.h>

static bool reserve(qn_str *str, size_t more)
{
    if (str->failed) return false;
    if (str->room - str->bytes > more && str->text) return true;
    size_t room = str->room ? str->room * 2 : 64;
    while (room - str->bytes <= more) {
        room *= 2;
    }
    char *text = qn_realloc_array(str->text, (int64_t)room, 1);
    if (!text) {
        str->failed = true;
        return false;
    }
    str->text = text;
    str->room = room;
    return true;
}

void qn_str_add_bytes(qn_str *str, const char *text, size_t bytes)
{
    if (!reserve(str, bytes)) return;
    if (bytes > 0) memcpy(str->text + str->bytes, text, bytes);
    str->bytes += bytes;
    str->text[str->bytes] = '\0';
}

void qn_str_add(qn_str *str, const char *text)
{
    qn_str_add_bytes(str, text, strlen(text));
}

void qn_str_add_char(qn_str *str, char c)
{
    qn_str_add_bytes(str, &c, 1);
}

void qn_str_addf(qn_str *str, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int bytes = vsnprintf(NULL, 0, format, args);
    if (bytes >= 0 && reserve(str, (size_t)bytes)) {
        vsnprintf(str->text + str->bytes, (size_t)bytes + 1, format, again);
        str->bytes += (size_t)bytes;
    }
    va_end(again);
    va_end(args);
}

void qn_str_add_double(qn_str *str, double value)
{
    char text[QN_DOUBLE_TEXT_BYTES];
    qn_str_add_bytes(str, text, qn_format_double(value, text));
}

void qn_str_clear(qn_str *str)
{
    str->bytes = 0;
    if (str->text) str->text[0] = '\0';
}

char *qn_str_take_text(qn_str *str)
{
    qn_str_add_bytes(str, "", 0);
    char *text = str->failed ? NULL : str->text;
    if (str->failed) qn_free(str->text);
    *str = (qn_str){0};
    return text;
}

void qn_str_release(qn_str *str)
{
    qn_free(str->text);
    *str = (qn_str){0};
}
