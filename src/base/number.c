/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include "base/powers_of_ten.h"

#include <stdlib.h>
#include <string.h>

enum { EXACT_POWER_MAX = 22, DIGITS_MAX = 19, STRTOD_DIGITS_MAX = 768 };

size_t qn_format_int64(int64_t value, char *text)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";
    char digits[QN_INT64_TEXT_BYTES], *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    for (; rest >= 100; rest /= 100) {
        at -= 2;
        memcpy(at, pairs + rest % 100 * 2, 2);
    }
    if (rest >= 10) {
        at -= 2;
        memcpy(at, pairs + rest * 2, 2);
    } else {
        *--at = (char)('0' + rest);
    }
    if (value < 0) *--at = '-';
    const size_t n = (size_t)(digits + sizeof digits - at);
    memcpy(text, at, n);
    text[n] = '\0';
    return n;
}

/* Doubles as text. */

__extension__ typedef unsigned __int128 u128;

/* Floors of logarithms of powers, exact for every exponent of a double. */
static int floor_log10_of_2_power(int q)
{
    return (int)((int64_t)q * 1262611 >> 22);
}

static int floor_log10_of_3_quarters_of_2_power(int q)
{
    return (int)(((int64_t)q * 1262611 - 524031) >> 22);
}

static int floor_log2_of_10_power(int k)
{
    return (int)((int64_t)k * 1741647 >> 19);
}

/* floor(g × factor / 2^128), the last bit being set when anything was cut off; g is a little above
 * the power of ten. */
static uint64_t round_to_odd(const qn_power_of_ten *power, uint64_t factor)
{
    const u128 g = ((u128)power->high << 64 | power->low) + 1;
    const uint64_t carry = (uint64_t)((u128)(uint64_t)g * factor >> 64);
    const u128 product = (u128)(uint64_t)(g >> 64) * factor + carry;
    return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

/* The shortest decimal within the rounding interval of the finite, positive `value`:
 * result × 10^*exponent. Names are the paper's: vb is four times the value, vbl and vbr are the
 * interval's ends, all in units of 10^k; s, t the neighbours in those units. */
static uint64_t shortest_decimal(double value, int *exponent)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    const int biased = (int)(bits >> 52);
    const uint64_t c = biased == 0 ? fraction : fraction | UINT64_C(1) << 52;
    const int q = (biased == 0 ? 1 : biased) - 1075;
    const bool closer_below = fraction == 0 && biased > 1;
    const int k =
        closer_below ? floor_log10_of_3_quarters_of_2_power(q) : floor_log10_of_2_power(q);
    const int h = q + floor_log2_of_10_power(-k) + 1;
    const qn_power_of_ten *g = &qn_powers_of_ten[-k - QN_POWER_MIN];
    const uint64_t open = c & 1; /* odd: the ends of the interval round to neighbours */
    const uint64_t vb = round_to_odd(g, (4 * c) << h);
    const uint64_t lower = round_to_odd(g, (4 * c - (closer_below ? 1 : 2)) << h) + open;
    const uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - open;
    *exponent = k;
    const uint64_t s = vb / 4;
    if (s >= 10) {
        const uint64_t tens = s / 10 * 10;
        const bool below = lower <= 4 * tens, above = 4 * (tens + 10) <= upper;
        if (below != above) return below ? tens : tens + 10;
    }
    const bool below = lower <= 4 * s, above = 4 * (s + 1) <= upper;
    if (below != above) return below ? s : s + 1;
    const uint64_t middle = 4 * s + 2;
    return vb < middle || (vb == middle && s % 2 == 0) ? s : s + 1;
}

/* Digits with the point after the first and an exponent of at least two digits. */
static size_t put_scientific(const char *digits, size_t n, int exponent, char *text)
{
    size_t at = 0;
    text[at++] = digits[0];
    if (n > 1) {
        text[at++] = '.';
        memcpy(text + at, digits + 1, n - 1);
        at += n - 1;
    }
    text[at++] = 'e';
    text[at++] = exponent < 0 ? '-' : '+';
    const int size = abs(exponent);
    if (size < 10) text[at++] = '0';
    return at + qn_format_int64(size, text + at);
}

/* Digits with the point where it belongs. */
static size_t put_fixed(const char *digits, size_t n, int exponent, char *text)
{
    size_t at = 0;
    const size_t n_before = exponent < 0 ? 0 : (size_t)exponent + 1;
    if (n_before >= n) {
        memcpy(text, digits, n);
        memset(text + n, '0', n_before - n);
        text[n_before] = '\0';
        return n_before;
    }
    if (n_before == 0) text[at++] = '0';
    memcpy(text + at, digits, n_before);
    at += n_before;
    text[at++] = '.';
    for (int zeros = exponent + 1; zeros < 0; zeros++) {
        text[at++] = '0';
    }
    memcpy(text + at, digits + n_before, n - n_before);
    at += n - n_before;
    text[at] = '\0';
    return at;
}

size_t qn_format_double(double value, char *text)
{
    enum { FIXED_DIGITS = 15 }; /* before the point, at least */
    if (!isfinite(value)) {
        const char *name = isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
        memcpy(text, name, strlen(name) + 1);
        return strlen(name);
    }
    const size_t sign = signbit(value) != 0;
    if (value == floor(value) && fabs(value) < 1e15 && (value != 0 || !sign)) {
        return qn_format_int64((int64_t)value, text);
    }
    if (sign) *text = '-';
    if (value == 0) {
        memcpy(text + sign, "0", 2);
        return sign + 1;
    }
    int exponent;
    uint64_t decimal = shortest_decimal(fabs(value), &exponent);
    while (decimal % 10 == 0) {
        decimal /= 10;
        exponent++;
    }
    char digits[QN_INT64_TEXT_BYTES];
    const size_t n = qn_format_int64((int64_t)decimal, digits);
    exponent += (int)n - 1;
    const bool fixed = exponent >= -4 && exponent < (n > FIXED_DIGITS ? (int)n : FIXED_DIGITS);
    return sign + (fixed ? put_fixed : put_scientific)(digits, n, exponent, text + sign);
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

/* The exact product of the digits with 128 bits of the power of ten; the true product is larger by
 * less than one part in 2^127. Unless that can move it over a point where rounding changes, the
 * upper bits decide. False: they do not, or the double is not a normal number. */
static bool round_product(uint64_t digits, int64_t power, double *value)
{
    if (power < QN_POWER_MIN || power > QN_POWER_MAX) return false;
    const qn_power_of_ten *ten = &qn_powers_of_ten[power - QN_POWER_MIN];
    const int shift = __builtin_clzll(digits);
    const uint64_t w = digits << shift;
    const u128 upper = (u128)w * ten->high + (uint64_t)((u128)w * ten->low >> 64);
    const uint64_t high = (uint64_t)(upper >> 64), rest = (uint64_t)upper;
    const int top = (int)(high >> 63), cut = top + 9; /* 54 bits are left: one to round by */
    const uint64_t mask = (UINT64_C(1) << cut) - 1;
    if (((high & mask) == 0 && rest == 0) || ((high & mask) == mask && rest == UINT64_MAX)) {
        return false;
    }
    uint64_t mantissa = high >> cut;
    mantissa = (mantissa >> 1) + (mantissa & 1);
    int exponent = 63 + top - shift + floor_log2_of_10_power((int)power);
    if (mantissa >> 53) {
        mantissa >>= 1;
        exponent++;
    }
    if (exponent < -1022 || exponent > 1023) return false;
    const uint64_t bits =
        (uint64_t)(exponent + 1023) << 52 | (mantissa & ((UINT64_C(1) << 52) - 1));
    memcpy(value, &bits, sizeof bits);
    return true;
}

/* Clinger's fast path: exact factors make one correctly rounded operation. */
static bool scale_in_one_step(uint64_t digits, int64_t power, double *value)
{
    static const double powers[EXACT_POWER_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (digits > UINT64_C(1) << 53 || power < -EXACT_POWER_MAX || power > EXACT_POWER_MAX) {
        return false;
    }
    *value = power < 0 ? (double)digits / powers[-power] : (double)digits * powers[power];
    return true;
}

/* digits × 10^power as the closest double; `more`: digits were cut off behind the last one. False:
 * not decided here. Both ways are exact; of doubles written in full, half would take the one and
 * half the other, which is slower than the product for all. */
static bool scale_exactly(uint64_t digits, bool more, int64_t power, double *value)
{
    if (!more && digits <= UINT32_MAX && scale_in_one_step(digits, power, value)) return true;
    if (digits == 0) return false;
    if (!round_product(digits, power, value)) {
        return !more && scale_in_one_step(digits, power, value);
    }
    double above;
    return !more || (round_product(digits + 1, power, &above) && above == *value);
}

/* Eight bytes of values 0 to 9, the first digit in the lowest, as a number: pairs, fours, all. */
static uint64_t join_digits(uint64_t eight)
{
    eight = eight * (1 + (10 << 8)) >> 8;
    eight = (eight & UINT64_C(0x00ff00ff00ff00ff)) * (1 + (100 << 16)) >> 16;
    return (eight & UINT64_C(0x0000ffff0000ffff)) * (1 + (UINT64_C(10000) << 32)) >> 32;
}

/* The first n of eight, fewer than all. */
static uint64_t join_first_digits(uint64_t eight, int n)
{
    return join_digits(eight << 8 << (56 - 8 * n));
}

/* The value bytes of eight characters; *others: top bits of those up to the first that is no digit,
 * and of some behind it. */
static uint64_t load_digits(const char *at, uint64_t *others)
{
    uint64_t eight;
    memcpy(&eight, at, 8);
    eight ^= UINT64_C(0x3030303030303030);
    *others = ((eight + UINT64_C(0x7676767676767676)) | eight) & UINT64_C(0x8080808080808080);
    return eight;
}

/* Up to eight digits at a time; `*digits` wraps beyond 19 of them. */
static const char *scan_digits(const char *at, const char *end, uint64_t *digits)
{
    static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint64_t sum = *digits, others;
    for (; end - at >= 8; at += 8) {
        const uint64_t eight = load_digits(at, &others);
        if (others) {
            const int n = __builtin_ctzll(others) / 8;
            *digits = sum * powers[n] + join_first_digits(eight, n);
            return at + n;
        }
        sum = sum * 100000000 + join_digits(eight);
    }
    for (unsigned digit; at < end && (digit = (unsigned)(*at - '0')) <= 9; at++) {
        sum = sum * 10 + digit;
    }
    *digits = sum;
    return at;
}

/* Behind the exponent at `at`; `at` itself when there is none. */
static const char *scan_exponent(const char *at, const char *end, int64_t *exponent)
{
    const char *sign = at + 1;
    if (at == end || (*at != 'e' && *at != 'E') || sign == end) return at;
    const bool minus = *sign == '-';
    const char *first = sign + (minus || *sign == '+'), *digit = first;
    int64_t power = 0;
    for (; digit < end && *digit >= '0' && *digit <= '9'; digit++) {
        if (power < INT64_C(1000000000000000)) power = power * 10 + (*digit - '0');
    }
    if (digit == first) return at;
    *exponent = minus ? -power : power;
    return digit;
}

/* The first DIGITS_MAX digits that count, of digits with a point; returns how many follow them. */
static int64_t first_digits(const char *at, const char *end, uint64_t *digits)
{
    int64_t n = 0;
    *digits = 0;
    for (; at < end; at++) {
        if (*at == '.' || (*at == '0' && n == 0)) continue;
        if (n < DIGITS_MAX) *digits = *digits * 10 + (unsigned)(*at - '0');
        n++;
    }
    return n > DIGITS_MAX ? n - DIGITS_MAX : 0;
}

/* Without branches but those that nearly always go one way. */
size_t qn_scan_full_double(const char *text, size_t bytes, double *value)
{
    static const uint64_t powers[] = {1, 10, 100};
    enum { FIRST = 16, LONGEST = 1 + 2 + FIRST + 8 };
    if (bytes < LONGEST) return 0;
    const unsigned negative = *text == '-';
    const char *at = text + negative;
    const unsigned whole = (unsigned)(*at - '0');
    uint64_t others, others_high, others_last;
    const uint64_t high = load_digits(at + 2, &others_high);
    const uint64_t low = load_digits(at + 10, &others);
    const uint64_t last = load_digits(at + 18, &others_last);
    if (whole > 9 || at[1] != '.' || (others_high | others) || !others_last) return 0;
    const int n = __builtin_ctzll(others_last) / 8;
    const char *end = at + 2 + FIRST + n;
    if (n > 2 || (*end | 0x20) == 'e') return 0;
    const uint64_t digits =
        (whole * UINT64_C(10000000000000000) + join_digits(high) * 100000000 + join_digits(low)) *
            powers[n] +
        join_first_digits(last, n);
    if (digits == 0 || !round_product(digits, -FIRST - n, value)) return 0;
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    bits |= (uint64_t)negative << 63;
    memcpy(value, &bits, sizeof bits);
    return (size_t)(end - text);
}

size_t qn_scan_double(const char *text, size_t bytes, double *value)
{
    const size_t full = qn_scan_full_double(text, bytes, value);
    if (full > 0) return full;
    const char *at = text, *const end = text + bytes;
    const bool negative = bytes > 0 && *text == '-';
    at += negative || (bytes > 0 && *text == '+');
    const char *const start = at;
    uint64_t digits = 0;
    int64_t n_fraction = 0, power = 0;
    if (end - at >= 2 && at[1] == '.' && *at >= '0' && *at <= '9') { /* most have one such digit */
        digits = (unsigned)(*at++ - '0');
    } else {
        at = scan_digits(at, end, &digits);
    }
    int64_t n_digits = at - start;
    if (at < end && *at == '.') {
        const char *const fraction = ++at;
        at = scan_digits(at, end, &digits);
        n_fraction = at - fraction;
        n_digits += n_fraction;
    }
    if (n_digits == 0) return 0;
    const char *const digits_end = at;
    at = scan_exponent(at, end, &power);
    power -= n_fraction;
    const int64_t n_cut = n_digits > DIGITS_MAX ? first_digits(start, digits_end, &digits) : 0;
    double magnitude;
    if (scale_exactly(digits, n_cut > 0, power + n_cut, &magnitude)) {
        *value = negative ? -magnitude : magnitude;
    } else {
        *value = scale_with_strtod(negative, start, digits_end, power);
    }
    return (size_t)(at - text);
}

bool qn_parse_double(const char *text, size_t bytes, double *value)
{
    double number;
    if (bytes == 0 || qn_scan_double(text, bytes, &number) != bytes) return false;
    *value = number;
    return true;
}
