/* SPDX-License-Identifier: Apache-2.0 */
/* Datasets made by hand from columns of real tables, as the reference scripts make them: numbers
 * standardised by the training rows, an indicator per level of a category, sparse columns as they
 * are. A case is a JSON object with "table", "target", "task", "classes" and the columns. */
#ifndef TESTS_SUPPORT_REAL_TABLES_H
#define TESTS_SUPPORT_REAL_TABLES_H

#include "check.h"
#include "golden.h"

#include "frame/frame.h"
#include "learn/dataset.h"
#include "learn/tree/bins.h"
#include "quern/frame.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct real_table {
    qn_frame *frame;
    qn_dataset data; /* dense view alone */
    qn_feature *features;
    qn_matrix test; /* rows after the training rows; their targets stand after the others */
} real_table;       /* release with real_table_release() */

static inline const char *case_text(qn_json_value golden, const char *key)
{
    const char *text = qn_json_as_text(qn_json_get(golden, key), NULL);
    if (!text) fail_msg("a case has no %s", key);
    return text;
}

/* Whether the case's table is in the data folder; writes its path. */
static inline bool has_real_table(qn_json_value golden, char *path, size_t bytes)
{
    snprintf(path, bytes, "%s/%s", getenv("QUERN_DATA"), case_text(golden, "table"));
    return access(path, R_OK) == 0;
}

static inline const qn_column *real_column(const real_table *t, const char *name)
{
    const int64_t col = qn_frame_find(t->frame, name);
    if (col < 0) fail_msg("there is no column %s", name);
    return &t->frame->columns[col];
}

/* The cell as text. */
static inline void real_cell(const qn_column *column, int64_t row, char *out, size_t bytes)
{
    if (column->type == QN_TYPE_STRING) {
        const qn_dictionary *d = &column->dictionary;
        const int32_t code = column->data.codes[row];
        snprintf(out, bytes, "%.*s", (int)(d->offsets[code + 1] - d->offsets[code]),
                 d->bytes + d->offsets[code]);
    } else {
        snprintf(out, bytes, "%g", qn_column_number(column, row));
    }
}

/* Place of the cell in a list of texts; -1: not there. */
static inline int64_t real_level(const qn_column *column, int64_t row, qn_json_value levels)
{
    char text[128];
    real_cell(column, row, text, sizeof text);
    for (int64_t c = 0; c < qn_json_size(levels); c++) {
        if (strcmp(qn_json_as_text(qn_json_at(levels, c), ""), text) == 0) return c;
    }
    return -1;
}

static inline void real_standardise(double *values, int64_t n_train, int64_t n)
{
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n_train; i++) {
        mean += values[i] / (double)n_train;
    }
    for (int64_t i = 0; i < n_train; i++) {
        squares += (values[i] - mean) * (values[i] - mean) / (double)n_train;
    }
    for (int64_t i = 0; i < n; i++) {
        values[i] = (values[i] - mean) / sqrt(squares);
    }
}

static inline void real_dense(real_table *t, qn_json_value golden, int64_t n_train, qn_matrix *all)
{
    const qn_json_value columns = qn_json_get(golden, "columns");
    const qn_json_value categories = qn_json_get(golden, "categories");
    int64_t f = 0;
    for (int64_t c = 0; c < qn_json_size(columns); c++, f++) {
        const qn_column *column = real_column(t, qn_json_as_text(qn_json_at(columns, c), ""));
        for (int64_t i = 0; i < all->n_rows; i++) {
            all->dense[f * all->stride + i] = qn_column_number(column, i);
        }
        real_standardise(all->dense + f * all->stride, n_train, all->n_rows);
        t->features[f].input = (int32_t)c;
    }
    for (int64_t c = 0; c < qn_json_size(categories); c++) {
        const qn_json_value category = qn_json_at(categories, c);
        const qn_json_value levels = qn_json_get(category, "levels");
        const qn_column *column = real_column(t, case_text(category, "name"));
        for (int64_t l = 0; l < qn_json_size(levels); l++, f++) {
            for (int64_t i = 0; i < all->n_rows; i++) {
                all->dense[f * all->stride + i] = real_level(column, i, levels) == l;
            }
            t->features[f].input = (int32_t)(1000 + c);
        }
    }
}

static inline void real_sparse(const real_table *t, qn_json_value golden, qn_matrix *all)
{
    const qn_json_value columns = qn_json_get(golden, "sparse");
    all->n_sparse = qn_json_size(columns);
    if (all->n_sparse == 0) return;
    all->sparse_starts = qn_alloc_array(all->n_rows + 1, sizeof *all->sparse_starts);
    all->sparse_cols = qn_alloc_array(all->n_rows * all->n_sparse, sizeof *all->sparse_cols);
    all->sparse_values = qn_alloc_array(all->n_rows * all->n_sparse, sizeof *all->sparse_values);
    int64_t n = 0;
    for (int64_t i = 0; i < all->n_rows; i++) {
        for (int64_t c = 0; c < all->n_sparse; c++) {
            const double value =
                qn_column_number(real_column(t, qn_json_as_text(qn_json_at(columns, c), "")), i);
            if (value == 0) continue;
            all->sparse_cols[n] = (int32_t)c;
            all->sparse_values[n++] = (float)value;
        }
        all->sparse_starts[i + 1] = n;
    }
}

static inline int64_t real_n_dense(qn_json_value golden)
{
    const qn_json_value categories = qn_json_get(golden, "categories");
    int64_t n = qn_json_size(qn_json_get(golden, "columns"));
    for (int64_t c = 0; c < qn_json_size(categories); c++) {
        n += qn_json_size(qn_json_get(qn_json_at(categories, c), "levels"));
    }
    return n;
}

/* Of mean 1, from the column "weight" when the case has one. */
static inline void real_weights(real_table *t, qn_json_value golden)
{
    const char *name = qn_json_as_text(qn_json_get(golden, "weight"), NULL);
    const int64_t n = t->data.train.n_rows;
    double sum = 0;
    if (!name) return;
    t->data.train.weights = qn_alloc_array(n, sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        sum += t->data.train.weights[i] = qn_column_number(real_column(t, name), i);
    }
    for (int64_t i = 0; i < n; i++) {
        t->data.train.weights[i] *= (double)n / sum;
    }
}

/* The first "train" rows, and the "test" rows after them. */
static inline void real_table_load(real_table *t, qn_json_value golden, const char *path)
{
    qn_error err = {0};
    const char *task = case_text(golden, "task");
    const qn_json_value classes = qn_json_get(golden, "classes");
    const int64_t n_train = qn_json_as_int(qn_json_get(golden, "train"), 0);
    const int64_t n = n_train + qn_json_as_int(qn_json_get(golden, "test"), 0);
    *t = (real_table){0};
    CHECK_OK(qn_frame_read(path, 1, &t->frame, &err));
    CHECK(n_train > 0 && n <= t->frame->n_rows);
    qn_dataset *d = &t->data;
    qn_matrix *x = &d->train.views[QN_VIEW_DENSE];
    CHECK_OK(qn_matrix_init(x, n, real_n_dense(golden), &err));
    t->features = qn_alloc_array(x->n_dense + 1, sizeof *t->features);
    real_dense(t, golden, n_train, x);
    real_sparse(t, golden, x);
    t->test = *x;
    t->test.n_rows = n - n_train;
    t->test.dense += n_train;
    if (x->n_sparse > 0) t->test.sparse_starts += n_train;
    x->n_rows = n_train;
    d->task = strcmp(task, "binary") == 0       ? QN_TASK_BINARY
              : strcmp(task, "multiclass") == 0 ? QN_TASK_MULTICLASS
                                                : QN_TASK_REGRESSION;
    d->n_classes = (int32_t)qn_json_size(classes);
    d->n_outputs = d->task == QN_TASK_MULTICLASS ? d->n_classes : 1;
    d->n_dense[QN_VIEW_DENSE] = x->n_dense;
    d->n_features[QN_VIEW_DENSE] = x->n_dense + x->n_sparse;
    d->features[QN_VIEW_DENSE] = t->features;
    d->train.n_rows = n_train;
    d->train.target = qn_alloc_array(n, sizeof(double));
    const qn_column *target = real_column(t, case_text(golden, "target"));
    for (int64_t i = 0; i < n; i++) {
        d->train.target[i] =
            d->n_classes > 0 ? (double)real_level(target, i, classes) : qn_column_number(target, i);
        CHECK(d->train.target[i] >= 0 || d->n_classes == 0 || i >= n_train);
    }
    real_weights(t, golden);
}

static inline void real_table_release(real_table *t)
{
    qn_matrix_release(&t->data.train.views[QN_VIEW_DENSE]);
    qn_free(t->data.train.target);
    qn_free(t->data.train.weights);
    qn_free(t->features);
    qn_frame_free(t->frame);
    *t = (real_table){0};
}

/* Gives the dataset a tree view that has the columns of the dense one, in bins alone; they are the
 * caller's to free. */
static inline void real_tree_view(qn_dataset *data)
{
    qn_error err = {0};
    data->n_features[QN_VIEW_TREE] = data->n_features[QN_VIEW_DENSE];
    data->n_dense[QN_VIEW_TREE] = data->n_dense[QN_VIEW_DENSE];
    data->features[QN_VIEW_TREE] = data->features[QN_VIEW_DENSE];
    data->train.views[QN_VIEW_TREE] = data->train.views[QN_VIEW_DENSE];
    CHECK_OK(qn_bins_create(data, 255, NULL, &data->bins, &err));
    data->train.views[QN_VIEW_TREE] = (qn_matrix){0};
}

/* Every case of a golden folder whose table is there; without any, the test is skipped. */
static inline void check_real_tables(const char *folder,
                                     void (*check)(const real_table *table, qn_json_value golden))
{
    int n_checked = 0;
    qn_json *json = read_golden(folder);
    for (int64_t i = 0; i < qn_json_size(qn_json_root(json)); i++) {
        char path[512];
        real_table table;
        const qn_json_value golden = qn_json_at(qn_json_root(json), i);
        if (!has_real_table(golden, path, sizeof path)) continue;
        real_table_load(&table, golden, path);
        check(&table, golden);
        real_table_release(&table);
        n_checked++;
    }
    qn_json_free(json);
    if (n_checked == 0) {
        print_message("no tables in QUERN_DATA: not checked\n");
        skip();
    }
}

#endif
