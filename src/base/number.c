/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_POWER_MAX = 22, DIGITS_MAX = 19, STRTOD_DIGITS_MAX = 768 };

size_t qn_format_int64(int64_t value, char *text)
{
    char digits[QN_INT64_TEXT_BYTES];
    size_t n = 0, at = 0;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    do {
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) text[at++] = '-';
    while (n > 0) {
        text[at++] = digits[--n];
    }
    text[at] = '\0';
    return at;
}

/* printf obeys the host program's locale; the only thing it changes here is the point. */
static size_t print_digits(double value, int digits, char *text)
{
    const int bytes = snprintf(text, QN_DOUBLE_TEXT_BYTES, "%.*g", digits, value);
    for (char *c = text; *c; c++) {
        if (*c == ',') *c = '.';
    }
    return (size_t)bytes;
}

size_t qn_format_double(double value, char *text)
{
    if (isnan(value)) return (size_t)snprintf(text, QN_DOUBLE_TEXT_BYTES, "nan");
    if (isinf(value)) {
        return (size_t)snprintf(text, QN_DOUBLE_TEXT_BYTES, value < 0 ? "-inf" : "inf");
    }
    if (value == floor(value) && fabs(value) < 1e15 && !(value == 0 && signbit(value))) {
        return qn_format_int64((int64_t)value, text);
    }
    for (int digits = 15; digits < 17; digits++) {
        const size_t bytes = print_digits(value, digits, text);
        double back;
        if (qn_parse_double(text, bytes, &back) && back == value) return bytes;
    }
    return print_digits(value, 17, text);
}

bool qn_parse_int64(const char *text, size_t bytes, int64_t *value)
{
    size_t at = 0;
    const bool negative = bytes > 0 && text[0] == '-';
    if (bytes > 0 && (text[0] == '-' || text[0] == '+')) at = 1;
    if (at == bytes) return false;
    uint64_t sum = 0;
    for (; at < bytes; at++) {
        const unsigned digit = (unsigned)(text[at] - '0');
        if (digit > 9) return false;
        if (__builtin_mul_overflow(sum, 10u, &sum) || __builtin_add_overflow(sum, digit, &sum)) {
            return false;
        }
    }
    if (sum > (uint64_t)INT64_MAX + negative) return false;
    *value = negative ? (int64_t)-sum : (int64_t)sum;
    return true;
}

/* The slow, always exact way: strtod, given the significant digits as one whole number and an
 * exponent, so that no locale's decimal point matters. A double is told by its first 768 digits and
 * by whether anything follows them; of more, a last digit 1 stands for the rest. */
static double scale_with_strtod(bool negative, const char *text, const char *end, int64_t exponent)
{
    char whole[STRTOD_DIGITS_MAX + 32];
    size_t n = 0;
    bool more = false;
    if (negative) whole[n++] = '-';
    const size_t start = n;
    for (; text < end && ((*text >= '0' && *text <= '9') || *text == '.'); text++) {
        if (*text == '.' || (n == start && *text == '0')) continue;
        if (n - start < STRTOD_DIGITS_MAX) {
            whole[n++] = *text;
        } else {
            more |= *text != '0';
            exponent++;
        }
    }
    if (n == start) whole[n++] = '0';
    if (more) {
        whole[n++] = '1';
        exponent--;
    }
    whole[n++] = 'e';
    qn_format_int64(exponent, whole + n);
    return strtod(whole, NULL);
}

/* Clinger's fast path: up to 19 digits whose value fits 53 bits, scaled by an exact power of ten,
 * is one correctly rounded operation. Everything else goes to strtod. */
bool qn_parse_double(const char *text, size_t bytes, double *value)
{
    static const double powers[EXACT_POWER_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    size_t at = 0;
    bool negative = false;
    if (bytes > 0 && (text[0] == '-' || text[0] == '+')) {
        negative = text[0] == '-';
        at = 1;
    }
    uint64_t mantissa = 0;
    int64_t n_digits = 0, n_significant = 0, exponent = 0;
    bool seen_point = false;
    for (; at < bytes; at++) {
        const unsigned digit = (unsigned)(text[at] - '0');
        if (digit <= 9) {
            n_digits++;
            if (mantissa > 0 || digit > 0) n_significant++;
            if (n_significant <= DIGITS_MAX) mantissa = mantissa * 10 + digit;
            if (seen_point) exponent--;
        } else if (text[at] == '.' && !seen_point) {
            seen_point = true;
        } else {
            break;
        }
    }
    if (n_digits == 0) return false;
    if (at < bytes) {
        if (text[at] != 'e' && text[at] != 'E') return false;
        const bool minus = at + 1 < bytes && text[at + 1] == '-';
        at += (at + 1 < bytes && (text[at + 1] == '-' || text[at + 1] == '+')) ? 2 : 1;
        if (at == bytes) return false;
        int64_t power = 0;
        for (; at < bytes; at++) {
            const unsigned digit = (unsigned)(text[at] - '0');
            if (digit > 9) return false;
            if (power < INT64_C(1000000000000000)) power = power * 10 + digit;
        }
        exponent += minus ? -power : power;
    }
    if (n_significant > DIGITS_MAX || mantissa > (UINT64_C(1) << 53) ||
        exponent < -EXACT_POWER_MAX || exponent > EXACT_POWER_MAX) {
        const size_t sign = *text == '-' || *text == '+';
        *value = scale_with_strtod(negative, text + sign, text + bytes, exponent);
        return true;
    }
    const double magnitude =
        exponent < 0 ? (double)mantissa / powers[-exponent] : (double)mantissa * powers[exponent];
    *value = negative ? -magnitude : magnitude;
    return true;
}
