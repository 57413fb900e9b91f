/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and booleans. Tree view: the value, QN_NA where missing. Dense view: the value scaled,
 * the median where missing, and an indicator of missing if training had any. Skewed numbers are
 * bent towards a normal distribution, unless a line in them as they are tells more of the target:
 * carats their price, a capital gain an income. */
#include "base/alloc.h"
#include "recipe/straightness.h"

/* How much greater the log-likelihood must be: among many columns on few rows, chance would choose
 * what fits the training rows alone. */
static const double margin = 3;

struct numeric {
    qn_scale scale;
    uint8_t has_indicator;
};

static void load(const qn_fit_column *column, double *values)
{
    for (int64_t i = 0; i < column->n_rows; i++) {
        values[i] = column->cells[i].number;
    }
}

/* `values` is room for the column. */
static qn_status choose_scale(const qn_fit_column *column, double *values, qn_scale *out,
                              qn_error *err)
{
    const bool may_bend =
        column->schema_column->kind == QN_KIND_NUMERIC && !column->request->linear;
    load(column, values);
    QN_TRY(qn_scale_fit(values, column->n_rows, may_bend, out, err));
    if (out->n_knots == 0 || !column->request->target || column->request->skip_dense) return QN_OK;
    qn_scale straight;
    load(column, values);
    QN_TRY(qn_scale_fit(values, column->n_rows, false, &straight, err));
    if (qn_straightness(column, &straight) > qn_straightness(column, out) + margin) {
        *out = straight;
    }
    return QN_OK;
}

static qn_status fit(const qn_fit_column *column, qn_step *step, qn_error *err)
{
    struct numeric *state = qn_alloc_array(1, sizeof *state);
    double *values = qn_alloc_array(column->n_rows, sizeof *values);
    step->state = state;
    if (!state || !values) {
        qn_free(values);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a column of numbers");
    }
    for (int64_t i = 0; i < column->n_rows; i++) {
        if (isnan(column->cells[i].number)) state->has_indicator = 1;
    }
    qn_status status = choose_scale(column, values, &state->scale, err);
    qn_free(values);
    const char *name = column->schema_column->name;
    if (status == QN_OK) status = qn_step_add_feature(step, QN_VIEW_TREE, name, "", 0, err);
    if (status == QN_OK) status = qn_step_add_feature(step, QN_VIEW_DENSE, name, "", 0, err);
    if (status == QN_OK && state->has_indicator) {
        status = qn_step_add_feature(step, QN_VIEW_DENSE, name, " is missing", 0, err);
    }
    return status;
}

static void apply(const qn_step *step, qn_view view, const qn_cell *cells, int64_t n_rows,
                  double *out, int64_t stride)
{
    const struct numeric *state = step->state;
    for (int64_t i = 0; i < n_rows; i++) {
        if (view == QN_VIEW_TREE) {
            out[i] = cells[i].number;
            continue;
        }
        out[i] = qn_scale_apply(&state->scale, cells[i].number);
        if (state->has_indicator) out[stride + i] = isnan(cells[i].number);
    }
}

static void write_state(const qn_step *step, qn_writer *writer)
{
    const struct numeric *state = step->state;
    qn_write_u8(writer, state->has_indicator);
    qn_scale_write(&state->scale, writer);
}

static qn_status read_state(qn_reader *reader, qn_step *step, qn_error *err)
{
    struct numeric *state = qn_alloc_array(1, sizeof *state);
    step->state = state;
    if (!state) return qn_fail(err, QN_ERR_NOMEM, "no memory for a column of numbers");
    state->has_indicator = qn_read_u8(reader);
    if (!qn_scale_read(reader, &state->scale) || state->has_indicator > 1 ||
        step->n_dense[QN_VIEW_TREE] != 1 ||
        step->n_dense[QN_VIEW_DENSE] != 1 + state->has_indicator) {
        return qn_fail(err, QN_ERR_DATA, "recipe: a scale is damaged");
    }
    return QN_OK;
}

const qn_transform qn_transform_numeric = {
    .name = "numeric",
    .kinds = 1u << QN_KIND_NUMERIC | 1u << QN_KIND_BOOLEAN,
    .fit = fit,
    .apply = apply,
    .write = write_state,
    .read = read_state,
    .free_state = qn_free,
};
