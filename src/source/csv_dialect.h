/* SPDX-License-Identifier: Apache-2.0 */
/* Dialect of a delimited text file, and the cutting of one record into fields.
 *
 * Threads: a dialect is immutable once sniffed. */
#ifndef QN_SOURCE_CSV_DIALECT_H
#define QN_SOURCE_CSV_DIALECT_H

#include "source/field.h"

typedef struct qn_csv_dialect {
    const char *name;        /* of the file, for messages */
    const char *first;       /* byte of the text, after a byte order mark: line 1, column 1 */
    const char *begin, *end; /* the same after blank lines */
    char delimiter;
    char newline; /* '\n' (also ends CRLF), or '\r' where the file has no other */
    bool has_header;
    int64_t n_fields;
} qn_csv_dialect;

typedef enum qn_csv_fault {
    QN_CSV_OK,
    QN_CSV_UNCLOSED_QUOTE, /* `at` is the opening quote */
    QN_CSV_AFTER_QUOTE,    /* text between a closing quote and the delimiter, at `at` */
    QN_CSV_NUL             /* a zero byte, at `at` */
} qn_csv_fault;

typedef struct qn_csv_field {
    const char *text; /* trimmed unless quoted; without the quotes */
    size_t bytes;
    bool quoted;
    bool doubled; /* has doubled quotes: see qn_csv_unescape() */
    qn_csv_fault fault;
    const char *at; /* of the fault */
} qn_csv_field;

/* Cuts the field that begins at `at`; returns where it stops: at a delimiter, a newline, or the
 * end. */
const char *qn_csv_next_field(const qn_csv_dialect *dialect, const char *at, qn_csv_field *field);
/* Steps over the newline (or nothing, at the end) that stops a record. */
const char *qn_csv_skip_newline(const qn_csv_dialect *dialect, const char *at);
/* True at a newline or at the end. */
bool qn_csv_at_record_end(const qn_csv_dialect *dialect, const char *at);
/* Writes the field with doubled quotes made single; returns the length. `out` holds `bytes`. */
size_t qn_csv_unescape(const qn_csv_field *field, char *out);

/* Finds out delimiter, newline, header and number of fields. `delimiter` 0 and `header` 0: sniffed
 * from the first 64 KB; 1 and -1: given. Fails with QN_ERR_DATA for an empty file, UTF-16 … */
QN_MUST_CHECK
qn_status qn_csv_sniff(const char *name, const char *data, size_t bytes, char delimiter, int header,
                       qn_csv_dialect *out, qn_error *err);

/* "name:line:column: message" for the byte at `at`. */
qn_status qn_csv_fail_at(const qn_csv_dialect *dialect, const char *at, qn_error *err,
                         const char *format, ...) QN_PRINTF(4, 5);
qn_status qn_csv_fail_field(const qn_csv_dialect *dialect, const qn_csv_field *field,
                            qn_error *err);

#endif
