/* SPDX-License-Identifier: Apache-2.0 */
/* The rule that categories must be those of training, whichever way the rows were written. */
#include "serve/rows/rows_internal.h"

#include "validate/understand.h"

#include <string.h>

/* Levels stand most frequent first, so the search mostly ends early, and a model that is served
 * needs no index beside its schema. */
static bool is_level(const qn_schema_column *column, const qn_cell *cell)
{
    for (int64_t i = 0; i < column->n_levels; i++) {
        const char *level = column->levels[i];
        if (strncmp(level, cell->text, cell->text_bytes) == 0 && level[cell->text_bytes] == '\0') {
            return true;
        }
    }
    return false;
}

/* A list of levels that may have been cut off tells nothing about a category it lacks. */
static bool knows_all_levels(const qn_schema_column *column)
{
    return column->kind == QN_KIND_CATEGORICAL && column->n_levels > 0 &&
           column->n_levels < QN_LEVELS_LISTED_MAX;
}

static const qn_cell *cell_at(const qn_rows *rows, const qn_rows_block *block, int64_t row,
                              int64_t input)
{
    return block->by_row ? &block->cells[row * rows->model->n_inputs + input]
                         : &block->cells[input * block->n_rows + row];
}

qn_status qn_rows_check_known(qn_rows *rows, const qn_rows_block *block, qn_error *err)
{
    const int64_t before = rows->n_rows - block->n_rows;
    for (int64_t row = 0; row < block->n_rows; row++) {
        for (int64_t input = 0; input < rows->model->n_inputs; input++) {
            const qn_schema_column *column = rows->model->columns[input];
            const qn_cell *cell = cell_at(rows, block, row, input);
            if (!cell->text || !knows_all_levels(column) || is_level(column, cell)) continue;
            const qn_rows_place place = {before + row + 1, input};
            return qn_rows_fail_place(rows, place, err,
                                      "has '%.*s', a category that training never saw",
                                      qn_rows_shown_bytes(cell), cell->text);
        }
    }
    return QN_OK;
}
