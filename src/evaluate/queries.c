/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/queries.h"

#include "base/alloc.h"
#include "base/map.h"

#include <stdlib.h>

static const char *group_name(const qn_schema *schema)
{
    for (int64_t col = 0; col < schema->n_cols; col++) {
        if (schema->columns[col].role == QN_ROLE_GROUP) return schema->columns[col].name;
    }
    return NULL;
}

static bool number_values(const qn_column *column, int64_t n_rows, qn_map *numbers, int32_t *out)
{
    for (int64_t row = 0; row < n_rows; row++) {
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes = 0;
        const char *text = "";
        if (!qn_column_is_missing(column, row)) text = qn_column_text(column, row, scratch, &bytes);
        const int64_t *slot = qn_map_slot(numbers, text, bytes, qn_map_n(numbers));
        if (!slot) return false;
        out[row] = (int32_t)*slot;
    }
    return true;
}

qn_status qn_queries_number(const qn_schema *schema, const qn_frame *frame, int32_t **out,
                            qn_error *err)
{
    *out = NULL;
    const char *name = group_name(schema);
    if (!name) return QN_OK;
    const int64_t col = qn_frame_find(frame, name);
    if (col < 0) {
        return qn_fail(err, QN_ERR_DATA, "%s: there is no group column '%s'",
                       frame->source ? frame->source : "table", name);
    }
    qn_map *numbers = qn_map_create(1024);
    int32_t *queries = qn_alloc_array(frame->n_rows, sizeof *queries);
    const bool complete =
        numbers && queries && number_values(&frame->columns[col], frame->n_rows, numbers, queries);
    qn_map_free(numbers);
    if (!complete) {
        qn_free(queries);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the queries");
    }
    *out = queries;
    return QN_OK;
}

struct keyed_row {
    int32_t query, row;
};

static int by_query(const void *left, const void *right)
{
    const struct keyed_row *a = left, *b = right;
    if (a->query != b->query) return a->query < b->query ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

qn_status qn_queries_sort(int32_t *rows, int64_t n, const int32_t *queries, qn_error *err)
{
    struct keyed_row *keyed = qn_alloc_array(n, sizeof *keyed);
    if (!keyed) return qn_fail(err, QN_ERR_NOMEM, "no memory to order the queries");
    for (int64_t i = 0; i < n; i++) {
        keyed[i] = (struct keyed_row){queries[rows[i]], rows[i]};
    }
    qsort(keyed, (size_t)n, sizeof *keyed, by_query);
    for (int64_t i = 0; i < n; i++) {
        rows[i] = keyed[i].row;
    }
    qn_free(keyed);
    return QN_OK;
}
