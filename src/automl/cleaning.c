/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/cleaning.h"

#include "automl/isolated_rows.h"
#include "base/alloc.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

enum { ROWS_TOLD = 5, COLUMNS_TOLD = 3, VALUE_BYTES = 40 };
static const double contamination_default = 0.01;

static const char *const treatments[] = {"keep", "flag", "weight", "drop"};

qn_status qn_cleaning_parse(const char *text, qn_cleaning *out, qn_error *err)
{
    *out = (qn_cleaning){.contamination = contamination_default};
    if (!text || !*text) return QN_OK;
    const size_t bytes = strcspn(text, "=");
    for (int t = QN_OUTLIERS_FLAG; t <= QN_OUTLIERS_DROP; t++) {
        if (strlen(treatments[t]) == bytes && memcmp(treatments[t], text, bytes) == 0) {
            out->treatment = (qn_outlier_treatment)t;
        }
    }
    const char *share = text[bytes] ? text + bytes + 1 : NULL;
    const bool is_share = !share || (qn_parse_double(share, strlen(share), &out->contamination) &&
                                     out->contamination > 0 && out->contamination <= 0.5);
    if (out->treatment != QN_OUTLIERS_KEEP && is_share) return QN_OK;
    return qn_fail(
        err, QN_ERR_ARG,
        "--outliers %.40s: expected flag, weight or drop, and perhaps the share of rows, "
        "above 0, at most 0.5: drop=0.02",
        text);
}

/* Training rows in their tree view, scored. */
struct scored {
    qn_recipe *recipe;
    qn_matrix views[QN_N_VIEWS];
    qn_isolated_rows found;
};

static void release(struct scored *scored)
{
    qn_isolated_rows_release(&scored->found);
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix_release(&scored->views[view]);
    }
    qn_recipe_free(scored->recipe);
}

/* Where nothing can be cut, there are no outliers: found.scores is then NULL. */
static qn_status score(const qn_cleaning_request *request, const int32_t *rows, int64_t n_rows,
                       struct scored *out, qn_error *err)
{
    *out = (struct scored){0};
    const qn_recipe_request recipe = {.frame = request->frame,
                                      .schema = request->schema,
                                      .rows = rows,
                                      .n_rows = n_rows,
                                      .seed = request->seed,
                                      .skip_dense = true,
                                      .pool = request->pool,
                                      .stop = request->stop};
    QN_TRY(qn_recipe_fit(&recipe, &out->recipe, out->views, err));
    const qn_isolated_request question = {.schema = request->schema,
                                          .recipe = out->recipe,
                                          .view = &out->views[QN_VIEW_TREE],
                                          .contamination = request->cleaning.contamination,
                                          .seed = request->seed,
                                          .pool = request->pool,
                                          .stop = request->stop};
    const qn_status status = qn_isolated_rows_create(&question, &out->found, err);
    if (status == QN_OK || status == QN_ERR_DATA) return QN_OK;
    release(out);
    return status;
}

static bool is_outlier(const qn_isolated_rows *found, int64_t i)
{
    return found->scores[i] >= found->threshold;
}

/* kept[c]: rows of class c that are no outliers. */
static void count_kept(const qn_cleaning_request *request, const qn_isolated_rows *found,
                       const int32_t *rows, int64_t n_rows, int64_t *kept)
{
    memset(kept, 0, QN_CLASSES_MAX * sizeof *kept);
    for (int64_t i = 0; i < n_rows; i++) {
        if (!is_outlier(found, i)) kept[(int64_t)request->target[rows[i]]]++;
    }
}

static void drop(const qn_cleaning_request *request, const qn_isolated_rows *found, int32_t *rows,
                 int64_t *n_rows)
{
    int64_t kept[QN_CLASSES_MAX], n = 0;
    const bool has_classes = request->schema->n_classes > 0;
    if (has_classes) count_kept(request, found, rows, *n_rows, kept);
    for (int64_t i = 0; i < *n_rows; i++) {
        const bool last_of_class = has_classes && kept[(int64_t)request->target[rows[i]]] == 0;
        if (!is_outlier(found, i) || last_of_class) rows[n++] = rows[i];
    }
    *n_rows = n;
}

static qn_status weigh(const qn_isolated_rows *found, int64_t n_rows, double **factors,
                       qn_error *err)
{
    double *out = qn_alloc_array(n_rows, sizeof *out);
    if (!out) return qn_fail(err, QN_ERR_NOMEM, "no memory for the weights of outliers");
    for (int64_t i = 0; i < n_rows; i++) {
        out[i] = is_outlier(found, i) ? (1 - found->scores[i]) / (1 - found->threshold) : 1;
    }
    *factors = out;
    return QN_OK;
}

qn_status qn_cleaning_apply(const qn_cleaning_request *request, int32_t *rows, int64_t *n_rows,
                            double **factors, qn_error *err)
{
    const qn_outlier_treatment treatment = request->cleaning.treatment;
    *factors = NULL;
    if (treatment != QN_OUTLIERS_WEIGHT && treatment != QN_OUTLIERS_DROP) return QN_OK;
    struct scored scored;
    QN_TRY(score(request, rows, *n_rows, &scored, err));
    qn_status status = QN_OK;
    if (scored.found.scores && treatment == QN_OUTLIERS_DROP) {
        drop(request, &scored.found, rows, n_rows);
    } else if (scored.found.scores) {
        status = weigh(&scored.found, *n_rows, factors, err);
    }
    release(&scored);
    return status;
}

/* Telling. */

/* Whole characters of the first VALUE_BYTES bytes. */
static size_t bytes_shown(const char *text, size_t bytes)
{
    size_t shown = 0;
    while (shown < bytes) {
        const size_t next = qn_utf8_character(text + shown, bytes - shown);
        if (next == 0 || shown + next > VALUE_BYTES) break;
        shown += next;
    }
    return shown;
}

static void add_value(qn_str *out, const qn_column *column, int64_t row)
{
    char scratch[QN_VALUE_TEXT_BYTES];
    size_t bytes;
    if (qn_column_is_missing(column, row)) {
        qn_str_add(out, "missing");
        return;
    }
    const char *text = qn_column_text(column, row, scratch, &bytes);
    const size_t shown = bytes_shown(text, bytes);
    qn_str_addf(out, "%.*s%s", (int)shown, text, shown < bytes ? "…" : "");
}

/* "age = 75 (41 %), job = none (20 %)". */
static void add_columns(const qn_cleaning_request *request, qn_isolated_rows *found, int64_t i,
                        int32_t row, qn_str *out)
{
    const double *shares = qn_isolated_shares(found, i);
    int64_t columns[COLUMNS_TOLD];
    const int n = qn_isolated_columns(found, columns, COLUMNS_TOLD);
    for (int c = 0; c < n; c++) {
        const char *name = request->schema->columns[columns[c]].name;
        qn_str_addf(out, "%s%s = ", c ? ", " : "", name);
        add_value(out, &request->frame->columns[qn_frame_find(request->frame, name)], row);
        qn_str_addf(out, " (%.0f %%)", 100 * shares[columns[c]]);
    }
}

static qn_status tell_row(const qn_cleaning_request *request, qn_isolated_rows *found, int64_t i,
                          int32_t row, qn_findings *findings, qn_error *err)
{
    qn_str columns = {0};
    add_columns(request, found, i, row, &columns);
    const qn_status status =
        columns.failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for the findings")
                       : qn_findings_add(findings, QN_FINDING_OUTLIER, NULL, err,
                                         "row %" PRId32 " is an outlier, score %.3f, set apart by "
                                         "%s",
                                         row + 1, found->scores[i], columns.text);
    qn_str_release(&columns);
    return status;
}

qn_status qn_cleaning_tell(const qn_cleaning_request *request, const int32_t *rows, int64_t n_rows,
                           qn_findings *findings, qn_error *err)
{
    static const char *const what[] = {"", "they train as they are",
                                       "of each fold's training rows such ones count less",
                                       "of each fold's training rows such ones are left out"};
    struct scored scored;
    if (request->cleaning.treatment == QN_OUTLIERS_KEEP) return QN_OK;
    QN_TRY(score(request, rows, n_rows, &scored, err));
    qn_isolated_rows *found = &scored.found;
    qn_status status = QN_OK;
    if (found->scores) {
        status = qn_findings_add(findings, QN_FINDING_OUTLIER, NULL, err,
                                 "%" PRId64 " of %" PRId64 " training rows are outliers, with "
                                 "scores from %.3f up; %s",
                                 found->n_outliers, n_rows, found->threshold,
                                 what[request->cleaning.treatment]);
    }
    for (int64_t told = 0; told < ROWS_TOLD && told < found->n_outliers && status == QN_OK;
         told++) {
        const int32_t i = found->order[told];
        status = tell_row(request, found, i, rows[i], findings, err);
    }
    release(&scored);
    return status;
}
