/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of additive models (explain/shapes.h) as text: all of them, for programs and tables.
 *
 * Threads: pure functions. */
#ifndef QN_BUNDLE_SHAPES_TEXT_H
#define QN_BUNDLE_SHAPES_TEXT_H

#include "explain/shapes.h"

/* An object: candidate, weight, models, classes, intercepts, and the terms with their axes and, for
 * each cell (those of the second axis together), scores and errors by output, and shares. */
void qn_shapes_write_json(const qn_shapes *shapes, const qn_schema *schema, qn_json_writer *json);

/* A header and a line for each cell and output: the cell's bounds or level on each axis, score,
 * error, share. */
void qn_shapes_write_csv(const qn_shapes *shapes, const qn_schema *schema, qn_str *out);

#endif
