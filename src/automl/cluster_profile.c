/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/cluster_profile.h"

#include "base/alloc.h"
#include "base/map.h"
#include "frame/cells.h"

#include <math.h>

struct profiler {
    const qn_unlabelled *table;
    const int32_t *labels;
    int32_t k;
    const qn_binding *binding;
    qn_cell *cells; /* of one column, all rows */
    char *texts;
    double *sums, *weights; /* k */
    qn_json_writer *json;
};

static double weight_of(const struct profiler *p, int64_t row)
{
    return p->table->weights ? p->table->weights[row] : 1;
}

static void clear(struct profiler *p)
{
    for (int32_t c = 0; c < p->k; c++) {
        p->sums[c] = p->weights[c] = 0;
    }
}

static void write_numbers(struct profiler *p, qn_kind kind)
{
    clear(p);
    for (int64_t i = 0; i < p->table->frame->n_rows; i++) {
        const double value = p->cells[i].number;
        if (!isfinite(value)) continue;
        p->sums[p->labels[i]] += weight_of(p, i) * value;
        p->weights[p->labels[i]] += weight_of(p, i);
    }
    qn_json_key(p->json, "values");
    qn_json_begin_array(p->json);
    for (int32_t c = 0; c < p->k; c++) {
        const double mean = p->weights[c] > 0 ? p->sums[c] / p->weights[c] : QN_NA;
        if (kind == QN_KIND_DATETIME && isfinite(mean) && fabs(mean) < 9e18) {
            char text[QN_VALUE_TEXT_BYTES];
            qn_json_text_bytes(p->json, text, qn_timestamp_format((int64_t)mean, text));
        } else {
            qn_json_double(p->json, mean);
        }
    }
    qn_json_end_array(p->json);
}

/* Counts by level, in order of first appearance: `counts` is n_levels × k. */
static void write_commonest(struct profiler *p, const qn_map *levels, const double *counts)
{
    const int64_t n_levels = qn_map_n(levels);
    qn_json_key(p->json, "values");
    qn_json_begin_array(p->json);
    for (int32_t c = 0; c < p->k; c++) {
        int64_t best = -1;
        p->sums[c] = QN_NA;
        for (int64_t l = 0; l < n_levels; l++) {
            const double count = counts[l * p->k + c];
            if (count > 0 && (best < 0 || count > counts[best * p->k + c])) best = l;
        }
        if (best < 0) {
            qn_json_null(p->json);
            continue;
        }
        size_t bytes;
        const char *text = qn_map_key(levels, best, &bytes);
        qn_json_text_bytes(p->json, text, bytes);
        p->sums[c] = counts[best * p->k + c] / p->weights[c];
    }
    qn_json_end_array(p->json);
    qn_json_key(p->json, "shares");
    qn_json_begin_array(p->json);
    for (int32_t c = 0; c < p->k; c++) {
        qn_json_double(p->json, p->sums[c]);
    }
    qn_json_end_array(p->json);
}

static qn_status write_categories(struct profiler *p, qn_error *err)
{
    const int64_t n = p->table->frame->n_rows;
    qn_map *levels = qn_map_create(64);
    bool complete = levels != NULL;
    for (int64_t i = 0; complete && i < n; i++) {
        if (!p->cells[i].text) continue;
        const int64_t next = qn_map_n(levels);
        complete = qn_map_slot(levels, p->cells[i].text, p->cells[i].text_bytes, next) != NULL;
    }
    double *counts = complete ? qn_alloc_array(qn_map_n(levels) * p->k, sizeof *counts) : NULL;
    clear(p);
    for (int64_t i = 0; counts && i < n; i++) {
        if (!p->cells[i].text) continue;
        const int64_t *level = qn_map_slot(levels, p->cells[i].text, p->cells[i].text_bytes, 0);
        counts[*level * p->k + p->labels[i]] += weight_of(p, i);
        p->weights[p->labels[i]] += weight_of(p, i);
    }
    if (counts) write_commonest(p, levels, counts);
    qn_map_free(levels);
    qn_free(counts);
    return counts ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory to describe the clusters");
}

static qn_status write_columns(struct profiler *p, qn_error *err)
{
    const qn_schema *schema = p->table->schema;
    const int64_t n = p->table->frame->n_rows;
    int64_t feature = 0;
    for (int64_t col = -1; (col = qn_schema_next_feature(schema, col)) >= 0; feature++) {
        const qn_schema_column *column = &schema->columns[col];
        if (column->kind == QN_KIND_TEXT) continue;
        qn_binding_load_feature(p->binding, feature, NULL, 0, n, p->cells, p->texts);
        qn_json_begin_object(p->json);
        qn_json_put_text(p->json, "column", column->name);
        qn_json_put_text(p->json, "kind", qn_kind_name(column->kind));
        if (column->kind == QN_KIND_CATEGORICAL) {
            QN_TRY(write_categories(p, err));
        } else {
            write_numbers(p, column->kind);
        }
        qn_json_end_object(p->json);
    }
    return QN_OK;
}

qn_status qn_cluster_profile_write(const qn_unlabelled *table, const int32_t *labels, int32_t k,
                                   qn_json_writer *json, qn_error *err)
{
    const int64_t n = table->frame->n_rows;
    qn_binding *binding = NULL;
    QN_TRY(qn_binding_create(table->schema, table->frame, &binding, err));
    struct profiler p = {.table = table,
                         .labels = labels,
                         .k = k,
                         .binding = binding,
                         .cells = qn_alloc_array(n, sizeof *p.cells),
                         .texts = qn_alloc_array(n, QN_VALUE_TEXT_BYTES),
                         .sums = qn_alloc_array(k, sizeof *p.sums),
                         .weights = qn_alloc_array(k, sizeof *p.weights),
                         .json = json};
    qn_status status = p.cells && p.texts && p.sums && p.weights
                           ? QN_OK
                           : qn_fail(err, QN_ERR_NOMEM, "no memory to describe the clusters");
    qn_json_begin_array(json);
    if (status == QN_OK) status = write_columns(&p, err);
    qn_json_end_array(json);
    qn_free(p.cells);
    qn_free(p.texts);
    qn_free(p.sums);
    qn_free(p.weights);
    qn_binding_free(binding);
    return status;
}
