/* SPDX-License-Identifier: Apache-2.0 */
/* Frame: an immutable columnar table. Columns are typed arrays with a validity bitmap each, in
 * Arrow's layout; strings are dictionary codes. Rows number at most INT32_MAX, so that a row
 * selection is an array of int32_t.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_FRAME_FRAME_H
#define QN_FRAME_FRAME_H

#include "base/error.h"
#include "base/map.h"
#include "base/nearest.h"
#include "base/number.h"
#include "quern/frame.h"

#include <stdbool.h>
#include <stdint.h>

/* Distinct strings in order of first appearance. Text i is bytes[offsets[i] .. offsets[i+1]). */
typedef struct qn_dictionary {
    int64_t n;
    int64_t *offsets; /* n + 1 */
    char *bytes;
} qn_dictionary;

typedef struct qn_column {
    char *name;
    qn_type type;
    union {
        uint8_t *bools;  /* 0 or 1, one byte a row */
        int64_t *ints;   /* QN_TYPE_INT64; QN_TYPE_TIMESTAMP: microseconds since 1970 UTC */
        double *doubles; /* QN_TYPE_FLOAT64; a missing row holds QN_NA */
        int32_t *codes;  /* QN_TYPE_STRING: index into dictionary; a missing row holds -1 */
    } data;
    uint8_t *valid; /* bit (row & 7) of byte row >> 3 is 1 where present; NULL = no row missing */
    int64_t n_missing;
    qn_dictionary dictionary; /* QN_TYPE_STRING only */
    char *markers;            /* texts read as missing, comma-separated ("NA,?"), or NULL */
} qn_column;

struct qn_frame {
    int64_t n_rows;
    int64_t n_cols;
    qn_column *columns;
    char *source; /* where it came from, for messages */
};

/* A frame with n_cols empty columns for a reader to fill: set name, type, data (from qn_alloc_*),
 * valid, n_missing; the frame owns them from then on. NULL when out of memory. */
qn_frame *qn_frame_create(int64_t n_rows, int64_t n_cols);

static inline bool qn_column_is_missing(const qn_column *column, int64_t row)
{
    return column->valid && !((column->valid[row >> 3] >> (row & 7)) & 1);
}

/* Bool, int, double or timestamp as a double; QN_NA where missing. Not for strings. */
static inline double qn_column_number(const qn_column *column, int64_t row)
{
    if (qn_column_is_missing(column, row)) return QN_NA;
    switch (column->type) {
    case QN_TYPE_BOOL:
        return column->data.bools[row];
    case QN_TYPE_INT64:
    case QN_TYPE_TIMESTAMP:
        return (double)column->data.ints[row];
    case QN_TYPE_FLOAT64:
        return column->data.doubles[row];
    case QN_TYPE_STRING:
        break;
    }
    return QN_NA;
}

/* A dictionary of the map's keys, in order of insertion; false when out of memory. */
bool qn_dictionary_create(const qn_map *texts, qn_dictionary *out);

/* Borrowed, not terminated. */
static inline const char *qn_dictionary_text(const qn_dictionary *dictionary, int64_t code,
                                             size_t *bytes)
{
    *bytes = (size_t)(dictionary->offsets[code + 1] - dictionary->offsets[code]);
    return dictionary->bytes + dictionary->offsets[code];
}

/* The canonical text of a present value of any type: what category labels are made of. Integers
 * as digits, doubles as qn_format_double() writes them, bools as true/false, timestamps as
 * ISO 8601. `scratch` (QN_VALUE_TEXT_BYTES) holds the text of non-strings; strings are borrowed. */
enum { QN_VALUE_TEXT_BYTES = 40 };
const char *qn_column_text(const qn_column *column, int64_t row, char *scratch, size_t *bytes);

/* Index of the column called `name`, -1 if there is none. */
int64_t qn_frame_find(const qn_frame *frame, const char *name);
/* The same, but fails with QN_ERR_ARG when there is none: "`where`: there is no column …", with the
 * nearest name. */
QN_MUST_CHECK
qn_status qn_frame_require(const qn_frame *frame, const char *where, const char *name,
                           int64_t *column, qn_error *err);

/* A new frame of the chosen rows, in that order; dictionaries are kept whole. */
QN_MUST_CHECK
qn_status qn_frame_take(const qn_frame *frame, const int32_t *rows, int64_t n_rows, qn_frame **out,
                        qn_error *err);

/* XXH3 over types, names and values: the data identity in a bundle's lineage. */
uint64_t qn_frame_hash(const qn_frame *frame);

/* Days, ISO 8601 text and back (proleptic Gregorian, UTC). qn_timestamp_format() writes
 * "2011-01-01" for whole days and "2011-01-01T13:45:00[.ffffff]" otherwise. */
size_t qn_timestamp_format(int64_t micros, char *text /* QN_VALUE_TEXT_BYTES */);
/* "2026-03-01T00:00:00Z", whole seconds, terminated: for logs and files that other programs read.
 */
void qn_timestamp_format_utc(int64_t micros, char *text /* QN_VALUE_TEXT_BYTES */);
typedef struct qn_civil_time {
    int32_t year, month, day, hour, minute, second, micros;
    int32_t weekday, day_of_year; /* 0 = Monday; 1 = January 1 */
} qn_civil_time;
void qn_timestamp_civil(int64_t micros, qn_civil_time *out);
int64_t qn_timestamp_from_civil(const qn_civil_time *civil); /* ignores weekday, day_of_year */
bool qn_civil_is_valid(const qn_civil_time *civil);          /* month, day of month, clock */
/* ISO 8601: a date with '-' or '/', perhaps a clock time after 'T' or a space, perhaps a zone. */
bool qn_timestamp_parse(const char *text, size_t bytes, int64_t *micros);
/* The clock part of the above, "13:45[:59[.123456]][zone]", up to `end`. */
bool qn_clock_time_parse(const char *text, const char *end, qn_civil_time *out,
                         int32_t *zone_minutes);

#endif
