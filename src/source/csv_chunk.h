/* SPDX-License-Identifier: Apache-2.0 */
/* Chunk: a run of whole records, parsed by one thread into its part of the columns.
 *
 * A missing value is kept as a value that stands for it until the validity bitmaps are made: NaN,
 * INT64_MIN, 2 for bools, -1 for codes. */
#ifndef QN_SOURCE_CSV_CHUNK_H
#define QN_SOURCE_CSV_CHUNK_H

#include "base/clock.h"
#include "frame/interner.h"
#include "source/content.h"
#include "source/csv_dialect.h"

enum { QN_BOOL_MISSING = 2 };

typedef struct qn_csv_column {
    qn_field_type type;
    bool active;  /* to be parsed in this pass */
    void *values; /* one per row, of the width of `type` */
    size_t value_bytes;
} qn_csv_column;

/* What a chunk has learned of one column. */
typedef struct qn_csv_finding {
    qn_field_type needed;      /* join of the types of values that did not fit */
    uint32_t markers;          /* bit i: marker i was seen */
    qn_interner texts;         /* distinct texts of this chunk */
    const char *first_invalid; /* UTF-8: where the first wrong byte is; NULL: none */
    int64_t n_invalid;         /* values with such bytes */
} qn_csv_finding;

typedef struct qn_csv_chunk {
    const char *begin, *end; /* records that begin in here */
    int64_t first_row, room; /* rows of the columns it may write */
    int64_t n_rows;
    const char *stopped_at;   /* where the last record ended */
    qn_csv_finding *findings; /* one per column */
    qn_status status;
    qn_error err;
} qn_csv_chunk;

typedef struct qn_csv_pass {
    const qn_content *content;
    const qn_csv_dialect *dialect;
    const qn_markers *markers;
    qn_csv_column *columns;
    int64_t n_cols;
    const qn_stop *stop;
} qn_csv_pass;

void qn_csv_chunk_parse(const qn_csv_pass *pass, qn_csv_chunk *chunk);

#endif
