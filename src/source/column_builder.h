/* SPDX-License-Identifier: Apache-2.0 */
/* Column builder: values of mixed types arrive one by one; the column takes the lowest type that
 * holds them all. For sources that name their values' types: JSON lines, databases.
 *
 * Threads: one thread at a time. */
#ifndef QN_SOURCE_COLUMN_BUILDER_H
#define QN_SOURCE_COLUMN_BUILDER_H

#include "frame/interner.h"
#include "source/field.h"

typedef struct qn_column_builder {
    char *name;
    int64_t n_rows, room;
    uint8_t *kinds; /* per row: what it holds */
    int64_t *ints;  /* per row: an int64, the bits of a double, or the code of a text */
    qn_interner texts;
    bool failed; /* out of memory */
} qn_column_builder;

/* A builder with `n_before` missing rows. False when out of memory. */
bool qn_column_builder_init(qn_column_builder *builder, const char *name, size_t name_bytes,
                            int64_t n_before);
void qn_column_builder_release(qn_column_builder *builder);
void qn_column_builder_add_missing(qn_column_builder *builder);
void qn_column_builder_add_bool(qn_column_builder *builder, bool value);
void qn_column_builder_add_int(qn_column_builder *builder, int64_t value);
/* NaN is missing; infinities, with which nothing can be computed, become texts as in a CSV file. */
void qn_column_builder_add_double(qn_column_builder *builder, double value);
void qn_column_builder_add_text(qn_column_builder *builder, const char *text, size_t bytes);

/* Moves the builders' rows into a frame: texts that all read as dates become timestamps, and texts
 * that are missing markers become missing. `schema` may ask for text. */
QN_MUST_CHECK
qn_status qn_column_builders_finish(qn_column_builder *builders, int64_t n_cols, int64_t n_rows,
                                    const char *source, const qn_markers *markers, qn_frame **out,
                                    qn_error *err);

#endif
