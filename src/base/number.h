/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text, exact and independent of the locale.
 *
 * Threads: pure functions. */
#ifndef QN_BASE_NUMBER_H
#define QN_BASE_NUMBER_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The missing value of every numeric array. */
#define QN_NA ((double)__builtin_nan(""))
#define QN_INF ((double)__builtin_inf())

enum { QN_DOUBLE_TEXT_BYTES = 32, QN_INT64_TEXT_BYTES = 24 };

/* Writes the shortest decimal that reads back as the same double, of several the closest, as "%g"
 * would lay it out, with '.' as decimal point; integers below 1e15 without exponent or point;
 * "nan", "inf", "-inf". Terminates `text` (QN_DOUBLE_TEXT_BYTES) and returns its length. Source:
 * Giulietti, "The Schubfach way to render doubles" (2020). */
size_t qn_format_double(double value, char *text);
size_t qn_format_int64(int64_t value, char *text);

/* Reads the number `text` begins with, as far as it goes: optional sign, digits, point, exponent.
 * Returns its length, 0 when there is none; "nan" and "inf" are not numbers here. Correctly rounded
 * (Lemire, "Number parsing at a gigabyte per second", 2021; where its bits do not decide, by
 * strtod()). Out-of-range exponents give +-inf or 0, as strtod does. */
size_t qn_scan_double(const char *text, size_t bytes, double *value);
/* The same for what doubles written in full look like, a digit, a point and 16 to 18 digits, and no
 * exponent: quicker. 0 for anything else, and within the last 27 bytes. */
size_t qn_scan_full_double(const char *text, size_t bytes, double *value);
/* As qn_scan_double(), false unless the number is all of `text`. */
bool qn_parse_double(const char *text, size_t bytes, double *value);
/* All of `text` as an integer: optional sign, digits; false when it does not fit. */
bool qn_parse_int64(const char *text, size_t bytes, int64_t *value);

#endif
