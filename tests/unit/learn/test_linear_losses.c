/* SPDX-License-Identifier: Apache-2.0 */
/* Linear learners on real tables: the objective, computed here in plain loops from the model's
 * coefficients, is no worse than scikit-learn's, and predictions agree: tests/golden/losses. */
#include "learn/learner.h"
#include "learn/linear/glm.h"
#include "model/linear_model.h"

#include "real_tables.h"

enum { EVERY = 5 }; /* of the test rows */

/* An objective may exceed scikit-learn's by this share. */
static const double objective_slack = 1e-6;

static double tweedie(double power, double y, double m)
{
    if (power == 1) return exp(m) - y * m;
    if (power == 2) return m + y * exp(-m);
    return exp((2 - power) * m) / (2 - power) - y * exp((1 - power) * m) / (1 - power);
}

static double row_loss(const char *loss, double shape, double y, double m)
{
    const double r = y - m, sense = y == 1 ? 1 : -1;
    if (strcmp(loss, "quantile") == 0) return r > 0 ? shape * r : (shape - 1) * r;
    if (strcmp(loss, "squared") == 0) return 0.5 * r * r;
    if (strcmp(loss, "hinge") == 0) return fmax(0, 1 - sense * m);
    if (strcmp(loss, "squared_hinge") == 0) return pow(fmax(0, 1 - sense * m), 2);
    if (strcmp(loss, "insensitive") == 0) return fmax(0, fabs(r) - shape);
    if (strcmp(loss, "squared_insensitive") == 0) return pow(fmax(0, fabs(r) - shape), 2);
    return tweedie(shape, y, m);
}

static double huber_at(double sigma, double width, const real_table *t, const double *margins)
{
    double sum = 0;
    for (int64_t i = 0; i < t->data.train.n_rows; i++) {
        const double w = t->data.train.weights ? t->data.train.weights[i] : 1;
        const double r = fabs(t->data.train.target[i] - margins[i]);
        sum += w * (r <= width * sigma ? sigma + r * r / sigma
                                       : sigma + 2 * width * r - width * width * sigma);
    }
    return sum;
}

/* The least over the scale, by golden sections on its logarithm. */
static double huber(double width, const real_table *t, const double *margins)
{
    const double ratio = 0.5 * (sqrt(5.0) - 1);
    double low = -20, high = 20;
    while (high - low > 1e-10) {
        const double a = high - ratio * (high - low), b = low + ratio * (high - low);
        if (huber_at(exp(a), width, t, margins) < huber_at(exp(b), width, t, margins)) {
            high = b;
        } else {
            low = a;
        }
    }
    return huber_at(exp(0.5 * (low + high)), width, t, margins);
}

/* Margins of rows of the dense view, and what the penalties make of the coefficients. */
static double *margins_of(const real_table *t, const qn_linear_terms *terms, qn_json_value golden,
                          double *penalty)
{
    const qn_matrix *x = &t->data.train.views[QN_VIEW_DENSE];
    const double l1 = qn_json_as_double(qn_json_get(golden, "l1"), 0);
    const double l2 = qn_json_as_double(qn_json_get(golden, "l2"), 0);
    double *margins = qn_alloc_array(x->n_rows, sizeof *margins);
    CHECK_INT(terms->n_sparse, 0);
    for (int64_t i = 0; i < x->n_rows; i++) {
        margins[i] = terms->intercepts[0];
    }
    *penalty = 0;
    if (qn_json_as_bool(qn_json_get(golden, "penalises_intercept"), false)) {
        *penalty = 0.5 * l2 * terms->intercepts[0] * terms->intercepts[0];
    }
    for (int64_t f = 0; f < terms->n_dense; f++) {
        const double b = terms->coefficients[f];
        *penalty += l1 * fabs(b) + 0.5 * l2 * b * b;
        for (int64_t i = 0; i < x->n_rows; i++) {
            margins[i] += b * x->dense[f * x->stride + i];
        }
    }
    return margins;
}

static double objective(const real_table *t, const qn_linear_terms *terms, qn_json_value golden)
{
    const char *loss = case_text(golden, "loss");
    const double shape = qn_json_as_double(qn_json_get(golden, "shape"), 0);
    double penalty, sum = 0;
    double *margins = margins_of(t, terms, golden, &penalty);
    for (int64_t i = 0; i < t->data.train.n_rows; i++) {
        const double w = t->data.train.weights ? t->data.train.weights[i] : 1;
        sum += w * row_loss(loss, shape, t->data.train.target[i], margins[i]);
    }
    if (strcmp(loss, "huber") == 0) sum = huber(shape, t, margins);
    qn_free(margins);
    return qn_json_as_double(qn_json_get(golden, "factor"), 1) * sum + penalty;
}

static void check_predictions(const real_table *t, const qn_estimator *model, qn_json_value golden)
{
    const qn_json_value expected = qn_json_get(golden, "predictions");
    const double tolerance = qn_json_as_double(qn_json_get(golden, "tolerance"), 0);
    double *out = qn_alloc_array(t->test.n_rows, sizeof *out);
    CHECK_INT(qn_estimator_predict(model, &t->test, NULL, out, NULL), QN_OK);
    for (int64_t i = 0; i < qn_json_size(expected); i++) {
        const double wanted = qn_json_as_double(qn_json_at(expected, i), QN_NA);
        if (fabs(out[i * EVERY] - wanted) <= tolerance) continue;
        fail_msg("%s: prediction %d is %.10g, not %.10g", case_text(golden, "name"), (int)i,
                 out[i * EVERY], wanted);
    }
    qn_free(out);
}

static void check_objective(const real_table *t, const qn_linear_terms *terms, qn_json_value golden)
{
    const double wanted = qn_json_as_double(qn_json_get(golden, "objective"), 0);
    const double given = objective(t, terms, golden);
    if (given <= wanted + objective_slack * fabs(wanted)) return;
    fail_msg("%s: the objective is %.12g, scikit-learn's %.12g", case_text(golden, "name"), given,
             wanted);
}

static void check_errors(const qn_linear_terms *terms, qn_json_value golden)
{
    const qn_json_value errors = qn_json_get(golden, "std_errors");
    CHECK_INT(terms->std_errors != NULL, qn_json_size(errors) > 0);
    for (int64_t f = 0; f < qn_json_size(errors); f++) {
        const double wanted = qn_json_as_double(qn_json_at(errors, f), QN_NA);
        CHECK_NEAR(terms->std_errors[f] / wanted, 1, 1e-8);
    }
}

/* Hinges by the solvers themselves: Newton's method or that of multipliers, and dual descent. */
static void check_solvers(const real_table *t, qn_json_value golden)
{
    qn_error err = {0};
    const double cost = qn_json_as_double(qn_json_get(golden, "factor"), 0);
    qn_design design;
    CHECK_OK(qn_design_init(&design, &t->data.train.views[QN_VIEW_DENSE], NULL, &err));
    for (int dual = 0; dual < 2; dual++) {
        qn_glm glm = {.design = &design,
                      .target = t->data.train.target,
                      .total = (double)design.n_rows,
                      .loss = strcmp(case_text(golden, "loss"), "hinge") == 0
                                  ? QN_GLM_HINGE
                                  : QN_GLM_SQUARED_HINGE,
                      .n_outputs = 1,
                      .penalty = 1 / (cost * (double)design.n_rows),
                      .penalises_intercept = true,
                      .dual = dual,
                      .max_iter = 100000,
                      .tol = 1e-7,
                      .seed = 1};
        double *point = qn_alloc_array(design.n_cols, sizeof *point), intercept;
        double *coefficients = qn_alloc_array(t->data.n_features[QN_VIEW_DENSE], sizeof(double));
        int64_t n_iterations;
        CHECK_OK(qn_glm_minimise(&glm, point, &n_iterations, &err));
        qn_design_unpack(&design, point, coefficients, &intercept);
        const qn_linear_terms terms = {.n_dense = t->data.n_dense[QN_VIEW_DENSE],
                                       .coefficients = coefficients,
                                       .intercepts = &intercept};
        check_objective(t, &terms, golden);
        qn_free(point);
        qn_free(coefficients);
    }
    qn_design_release(&design);
}

static void check_case(const real_table *t, qn_json_value golden)
{
    if (!*case_text(golden, "learner")) {
        check_solvers(t, golden);
        return;
    }
    qn_error err = {0};
    qn_learn_result result = {0};
    qn_linear_terms terms;
    const qn_learner *learner = qn_learner_find(case_text(golden, "learner"));
    CHECK(learner != NULL);
    void *params = qn_alloc_array(1, learner->params_bytes + 1);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, case_text(golden, "params"), &err));
    const qn_learn_request request = {.data = &t->data, .params = params, .seed = 1};
    CHECK_OK(learner->fit(&request, &result, &err));
    CHECK(qn_linear_terms_of(result.estimator, &terms));
    check_objective(t, &terms, golden);
    check_errors(&terms, golden);
    check_predictions(t, result.estimator, golden);
    qn_free(params);
    qn_free(result.importance);
    qn_estimator_free(result.estimator);
}

static void linear_learners_find_no_worse_minima_than_scikit_learn(void **state)
{
    (void)state;
    check_real_tables("losses", check_case);
}

RUN_TESTS(TEST(linear_learners_find_no_worse_minima_than_scikit_learn))
