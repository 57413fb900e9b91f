/* SPDX-License-Identifier: Apache-2.0 */
/* Days and dates: the algorithms of Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms", in which years begin in March and eras have 400 years. */
#include "frame/frame.h"

#include <stdio.h>
#include <string.h>

static const int64_t day_micros = INT64_C(86400000000);

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t days_from_civil(int64_t year, int32_t month, int32_t day)
{
    year -= month <= 2;
    const int64_t era = floor_divide(year, 400);
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

int64_t qn_timestamp_from_civil(const qn_civil_time *civil)
{
    const int64_t seconds = (civil->hour * INT64_C(60) + civil->minute) * 60 + civil->second;
    return days_from_civil(civil->year, civil->month, civil->day) * day_micros + seconds * 1000000 +
           civil->micros;
}

void qn_timestamp_civil(int64_t micros, qn_civil_time *out)
{
    const int64_t days = floor_divide(micros, day_micros);
    const int64_t rest = micros - days * day_micros;
    const int64_t shifted = days + 719468;
    const int64_t era = floor_divide(shifted, 146097);
    const int64_t day_of_era = shifted - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_from_march = (5 * day_of_year + 2) / 153;

    out->day = (int32_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    out->month = (int32_t)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    out->year = (int32_t)(year_of_era + era * 400 + (out->month <= 2));
    out->hour = (int32_t)(rest / INT64_C(3600000000));
    out->minute = (int32_t)(rest / 60000000 % 60);
    out->second = (int32_t)(rest / 1000000 % 60);
    out->micros = (int32_t)(rest % 1000000);
    out->weekday = (int32_t)(days - floor_divide(days + 3, 7) * 7 + 3);
    out->day_of_year = (int32_t)(days - days_from_civil(out->year, 1, 1)) + 1;
}

size_t qn_timestamp_format(int64_t micros, char *text)
{
    qn_civil_time t;
    qn_timestamp_civil(micros, &t);
    int bytes = snprintf(text, QN_VALUE_TEXT_BYTES, "%04d-%02d-%02d", t.year, t.month, t.day);
    const size_t at = (size_t)bytes, room = QN_VALUE_TEXT_BYTES - at;
    if (t.hour == 0 && t.minute == 0 && t.second == 0 && t.micros == 0) return at;
    if (t.micros == 0) {
        bytes += snprintf(text + at, room, "T%02d:%02d:%02d", t.hour, t.minute, t.second);
    } else {
        bytes +=
            snprintf(text + at, room, "T%02d:%02d:%02d.%06d", t.hour, t.minute, t.second, t.micros);
    }
    return (size_t)bytes;
}

void qn_timestamp_format_utc(int64_t micros, char *text)
{
    qn_civil_time t;
    qn_timestamp_civil(micros, &t);
    snprintf(text, QN_VALUE_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02dZ", t.year, t.month, t.day,
             t.hour, t.minute, t.second);
}

/* Reads exactly `n` digits. */
static bool digits(const char **at, const char *end, int n, int32_t *out)
{
    int32_t value = 0;
    if (end - *at < n) return false;
    for (int i = 0; i < n; i++) {
        const unsigned digit = (unsigned)((*at)[i] - '0');
        if (digit > 9) return false;
        value = value * 10 + (int32_t)digit;
    }
    *at += n;
    *out = value;
    return true;
}

static bool one_of(const char **at, const char *end, const char *wanted)
{
    if (*at == end || !**at || !strchr(wanted, **at)) return false;
    (*at)++;
    return true;
}

bool qn_civil_is_valid(const qn_civil_time *t)
{
    static const int8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = t->year % 4 == 0 && (t->year % 100 != 0 || t->year % 400 == 0);
    if (t->month < 1 || t->month > 12 || t->day < 1) return false;
    if (t->day > lengths[t->month - 1] + (t->month == 2 && leap)) return false;
    return t->hour <= 23 && t->minute <= 59 && t->second <= 60;
}

/* "Z", "+02", "+0200", "+02:00"; the offset in minutes. */
static bool read_zone(const char **at, const char *end, int32_t *minutes)
{
    *minutes = 0;
    if (*at == end || one_of(at, end, "Zz")) return true;
    const bool negative = **at == '-';
    int32_t hours = 0, rest = 0;
    if (!one_of(at, end, "+-") || !digits(at, end, 2, &hours)) return false;
    one_of(at, end, ":");
    if (*at != end && !digits(at, end, 2, &rest)) return false;
    *minutes = (negative ? -1 : 1) * (hours * 60 + rest);
    return true;
}

bool qn_clock_time_parse(const char *text, const char *end, qn_civil_time *t, int32_t *zone_minutes)
{
    const char *at = text;
    *zone_minutes = 0;
    if (!digits(&at, end, 2, &t->hour) || !one_of(&at, end, ":") ||
        !digits(&at, end, 2, &t->minute)) {
        return false;
    }
    if (one_of(&at, end, ":")) {
        if (!digits(&at, end, 2, &t->second)) return false;
        if (one_of(&at, end, ".,")) {
            int32_t scale = 100000;
            if (at == end || *at < '0' || *at > '9') return false;
            for (; at != end && *at >= '0' && *at <= '9'; at++, scale /= 10) {
                t->micros += (*at - '0') * scale;
            }
        }
    }
    if (at != end && *at == ' ') at++;
    return read_zone(&at, end, zone_minutes) && at == end;
}

bool qn_timestamp_parse(const char *text, size_t bytes, int64_t *micros)
{
    const char *at = text, *end = text + bytes;
    qn_civil_time t = {0};
    int32_t zone = 0;
    if (!digits(&at, end, 4, &t.year) || !one_of(&at, end, "-/") ||
        !digits(&at, end, 2, &t.month) || !one_of(&at, end, "-/") || !digits(&at, end, 2, &t.day)) {
        return false;
    }
    if (at != end) {
        if (!one_of(&at, end, "Tt ") || !qn_clock_time_parse(at, end, &t, &zone)) return false;
    }
    if (!qn_civil_is_valid(&t)) return false;
    *micros = qn_timestamp_from_civil(&t) - zone * INT64_C(60000000);
    return true;
}
