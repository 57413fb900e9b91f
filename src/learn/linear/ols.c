/* SPDX-License-Identifier: Apache-2.0 */
/* Ordinary least squares with standard errors: normal equations, refined on the residuals until
 * they are as exact as an orthogonal factor would make them (Bjorck 1996, section 2.9.2). Columns
 * that depend on others have no coefficient. With X the rows, W their weights and s^2 the weighted
 * squared residuals over rows minus rank, the standard error of b_j is s sqrt((X^T W X)^-1_jj). */
#include "learn/linear/linear_learners.h"

#include "base/alloc.h"
#include "base/number.h"
#include "learn/linear/design.h"
#include "linalg/semidefinite.h"
#include "model/linear_model.h"

#include <math.h>
#include <string.h>

enum { COLS_MAX = 2000, REFINEMENTS = 3 };

static const double pivot_tolerance = 1e-11;

struct ols {
    const qn_learn_request *request;
    qn_design design;
    double *weights;               /* n */
    double *residuals;             /* n, times the weight once weighted */
    double *factor;                /* n_cols × n_cols */
    double *point, *step, *errors; /* n_cols */
    int64_t rank;
    double variance; /* s^2 */
};

/* residuals = y - X point; returns their weighted sum of squares. */
static double set_residuals(struct ols *o)
{
    const qn_dataset_part *train = &o->request->data->train;
    double sum = 0;
    qn_design_multiply(&o->design, o->point, o->request->pool, o->residuals);
    for (int64_t i = 0; i < train->n_rows; i++) {
        o->residuals[i] = train->target[i] - o->residuals[i];
        sum += o->weights[i] * o->residuals[i] * o->residuals[i];
    }
    return sum;
}

static qn_status solve(struct ols *o, qn_error *err)
{
    const int64_t n = o->design.n_rows, p = o->design.n_cols;
    QN_TRY(qn_design_gram(&o->design, o->weights, o->request->pool, o->factor, err));
    o->rank = qn_semidefinite_factor(o->factor, p, pivot_tolerance);
    for (int k = 0; k <= REFINEMENTS; k++) {
        set_residuals(o);
        for (int64_t i = 0; i < n; i++) {
            o->residuals[i] *= o->weights[i];
        }
        QN_TRY(qn_design_transposed(&o->design, o->residuals, o->request->pool, o->step, err));
        qn_semidefinite_solve(o->factor, p, o->step);
        for (int64_t c = 0; c < p; c++) {
            o->point[c] += o->step[c];
        }
    }
    return QN_OK;
}

/* Element j of the inverse's diagonal is |L^-1 e_j|^2. */
static void set_errors(struct ols *o)
{
    const int64_t n = o->design.n_rows, p = o->design.n_cols;
    o->variance = n > o->rank ? set_residuals(o) / (double)(n - o->rank) : QN_NA;
    for (int64_t j = 0; j < p; j++) {
        double sum = 0;
        memset(o->step, 0, (size_t)p * sizeof *o->step);
        for (int64_t i = j; i < p; i++) {
            const double *row = o->factor + i * p;
            double rest = i == j;
            for (int64_t k = j; k < i; k++) {
                rest -= row[k] * o->step[k];
            }
            o->step[i] = row[i] > 0 ? rest / row[i] : 0;
            sum += o->step[i] * o->step[i];
        }
        o->errors[j] = o->factor[j * p + j] > 0 ? sqrt(o->variance * sum) : QN_NA;
    }
}

static qn_status make_model(struct ols *o, qn_learn_result *result, qn_error *err)
{
    const int64_t n = o->request->data->n_features[QN_VIEW_DENSE];
    const int64_t n_dense = o->request->data->n_dense[QN_VIEW_DENSE];
    double *coefficients = qn_alloc_array(n, sizeof *coefficients), intercept;
    double *errors = qn_alloc_array(n + 1, sizeof *errors);
    qn_status status = QN_OK;
    if (coefficients && errors) {
        qn_design_unpack(&o->design, o->errors, errors, &errors[n]);
        qn_design_unpack(&o->design, o->point, coefficients, &intercept);
        status = qn_linear_create(QN_LINEAR_IDENTITY, coefficients, &intercept, n_dense,
                                  n - n_dense, 1, &result->estimator, err);
    } else {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
    }
    if (status == QN_OK) {
        status = qn_linear_set_errors(result->estimator, errors, o->design.n_rows - o->rank, err);
        if (status != QN_OK) qn_estimator_free(result->estimator);
        if (status != QN_OK) result->estimator = NULL;
    }
    qn_free(coefficients);
    qn_free(errors);
    return status;
}

static qn_status allocate(struct ols *o, qn_error *err)
{
    const int64_t n = o->design.n_rows, p = o->design.n_cols;
    if (p > COLS_MAX) {
        return qn_fail(err, QN_ERR_UNSUPPORTED,
                       "linear: least squares take at most %d features, here are %" PRId64
                       "; ridge takes any number",
                       COLS_MAX, p);
    }
    o->weights = qn_alloc_array(n, sizeof *o->weights);
    o->residuals = qn_alloc_array(n, sizeof *o->residuals);
    o->factor = qn_alloc_array(p * p, sizeof *o->factor);
    o->point = qn_alloc_array(p, sizeof *o->point);
    o->step = qn_alloc_array(p, sizeof *o->step);
    o->errors = qn_alloc_array(p, sizeof *o->errors);
    if (o->weights && o->residuals && o->factor && o->point && o->step && o->errors) return QN_OK;
    return qn_fail(err, QN_ERR_NOMEM, "no memory for a linear model");
}

static void release(struct ols *o)
{
    qn_design_release(&o->design);
    qn_free(o->weights);
    qn_free(o->residuals);
    qn_free(o->factor);
    qn_free(o->point);
    qn_free(o->step);
    qn_free(o->errors);
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset_part *train = &request->data->train;
    struct ols o = {.request = request};
    *result = (qn_learn_result){0};
    if (request->data->n_features[QN_VIEW_DENSE] == 0 || !train->views[QN_VIEW_DENSE].dense) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there is no dense view to fit on");
    }
    if (qn_stop_requested(request->stop)) {
        return qn_fail(err, QN_ERR_INTERRUPTED, "stopped before least squares began");
    }
    QN_TRY(qn_design_init(&o.design, &train->views[QN_VIEW_DENSE], request->pool, err));
    qn_status status = allocate(&o, err);
    for (int64_t i = 0; i < train->n_rows && status == QN_OK; i++) {
        o.weights[i] = train->weights ? train->weights[i] : 1;
    }
    if (status == QN_OK) status = solve(&o, err);
    if (status == QN_OK) {
        set_errors(&o);
        status = make_model(&o, result, err);
    }
    release(&o);
    return status;
}

static const qn_param no_params[] = {{0}};

const qn_learner qn_learner_linear = {
    .name = "linear",
    .help = "ordinary least squares, with standard errors and t values, which quern inspect shows",
    .source = "Bjorck 1996",
    .tasks = 1u << QN_TASK_REGRESSION,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = no_params,
    .params_bytes = 0,
    .fit = fit,
};
