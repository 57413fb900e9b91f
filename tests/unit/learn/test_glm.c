/* SPDX-License-Identifier: Apache-2.0 */
/* Generalised linear problems: derivatives of the losses, targets that are refused, wide tables,
 * running out of memory, stopping. */
#include "learn/linear/conjugate.h"
#include "learn/linear/dual.h"
#include "learn/linear/glm.h"
#include "learn/linear/multipliers.h"

#include "learn/learner.h"

#include "linalg/kernels.h"

#include "check.h"

static void derivatives_of_every_loss_are_those_of_its_value(void **state)
{
    (void)state;
    static const double shapes[] = {0, 0, 0, 0, 0, 1.4, 1.35, 0, 0.3, 0.3, 0, 0.3};
    static const double ys[] = {0, 1, 2};
    const double h = 1e-6;
    for (int loss = QN_GLM_SQUARED; loss <= QN_GLM_INSENSITIVE; loss++) {
        const qn_glm glm = {.loss = loss, .shape = shapes[loss], .sigma = 0.8, .n_outputs = 3};
        for (int at = 0; at < 3 * 9; at++) {
            double up[3] = {0.1, -0.2, 0.4}, down[3], here[3];
            up[0] = -1.9 + 0.43 * (at % 9);
            memcpy(down, up, sizeof up);
            memcpy(here, up, sizeof up);
            const double y = ys[at / 9], margin = up[0];
            up[0] += h;
            down[0] -= h;
            const double above = qn_glm_row(&glm, y, 1.5, up, 1);
            const double below = qn_glm_row(&glm, y, 1.5, down, 1);
            qn_glm_row(&glm, y, 1.5, here, 1);
            CHECK_NEAR((above - below) / (2 * h), here[0], 1e-6 * fmax(1, fabs(here[0])));
            if (loss >= QN_GLM_SQUARED_HINGE || loss == QN_GLM_SOFTMAX || loss == QN_GLM_HUBER) {
                continue; /* piecewise, or of several margins */
            }
            CHECK_NEAR((up[0] - down[0]) / (2 * h), qn_glm_curvature(&glm, y, 1.5, margin),
                       1e-5 * fmax(1, fabs(up[0])));
        }
    }
}

/* n rows of noise in n_dense columns, and a target they explain in part. */
struct world {
    qn_dataset data;
    qn_feature *features;
};

static void make_world(struct world *w, int64_t n, int64_t n_dense, double lowest)
{
    unsigned state = 11;
    qn_dataset *d = &w->data;
    *d = (qn_dataset){.task = QN_TASK_REGRESSION, .n_outputs = 1};
    qn_matrix *x = &d->train.views[QN_VIEW_DENSE];
    CHECK_INT(qn_matrix_init(x, n, n_dense, NULL), QN_OK);
    w->features = qn_alloc_array(n_dense, sizeof *w->features);
    d->train.n_rows = n;
    d->train.target = qn_alloc_array(n, sizeof(double));
    for (int64_t i = 0; i < n * n_dense; i++) {
        state = state * 1103515245 + 12345;
        x->dense[i / n * x->stride + i % n] = (double)(state >> 16) / 65536 - 0.5;
    }
    for (int64_t i = 0; i < n; i++) {
        const double signal = x->dense[i] - 2 * x->dense[x->stride + i];
        d->train.target[i] = lowest + fabs(1.7 + signal + 0.3 * sin((double)i));
    }
    d->n_dense[QN_VIEW_DENSE] = d->n_features[QN_VIEW_DENSE] = n_dense;
    d->features[QN_VIEW_DENSE] = w->features;
}

static void release_world(struct world *w)
{
    qn_matrix_release(&w->data.train.views[QN_VIEW_DENSE]);
    qn_free(w->data.train.target);
    qn_free(w->features);
}

static qn_status fit(const struct world *w, const char *learner_name, const char *text,
                     const qn_stop *stop, qn_learn_result *result, qn_error *err)
{
    char params[512];
    const qn_learner *learner = qn_learner_find(learner_name);
    CHECK(learner && learner->params_bytes <= sizeof params);
    qn_params_init(learner, params);
    CHECK_INT(qn_params_set(learner, params, text, NULL), QN_OK);
    const qn_learn_request request = {.data = &w->data, .params = params, .seed = 1, .stop = stop};
    return learner->fit(&request, result, err);
}

static void targets_outside_a_loss_are_refused_with_a_way_out(void **state)
{
    (void)state;
    static const char *const negative[] = {"loss=poisson", "loss=gamma", "loss=tweedie"};
    struct world w;
    qn_learn_result result;
    qn_error err = {0};
    make_world(&w, 40, 2, -9);
    for (int i = 0; i < 3; i++) {
        CHECK_FAILS(QN_ERR_DATA, fit(&w, "glm", negative[i], NULL, &result, &err));
        CHECK_CONTAINS(err.message, "loss=huber");
        CHECK(result.estimator == NULL);
    }
    memset(w.data.train.target, 0, 40 * sizeof(double));
    CHECK_FAILS(QN_ERR_DATA, fit(&w, "glm", "loss=poisson", NULL, &result, &err));
    CHECK_CONTAINS(err.message, "all zero");
    CHECK_FAILS(QN_ERR_DATA, fit(&w, "glm", "loss=gamma", NULL, &result, &err));
    release_world(&w);
}

static double predict_first(const struct world *w, const qn_learn_result *result)
{
    double out[64];
    qn_matrix head = w->data.train.views[QN_VIEW_DENSE];
    head.n_rows = 1;
    CHECK_INT(qn_estimator_predict(result->estimator, &head, NULL, out, NULL), QN_OK);
    return out[0];
}

/* Beyond the columns that Newton's method takes, columns of zeros change nothing but the method. */
static void many_columns_give_what_few_give(void **state)
{
    (void)state;
    static const char *const texts[] = {"loss=huber,alpha=0.5,tol=1e-14,max_iter=5000",
                                        "loss=poisson,alpha=0.01,tol=1e-14,max_iter=5000",
                                        "loss=tweedie,power=2.5,alpha=0.1,tol=1e-14,max_iter=5000"};
    struct world few;
    make_world(&few, 300, 4, 0.5);
    for (int i = 0; i < 3; i++) {
        struct world many;
        qn_learn_result a, b;
        qn_error err = {0};
        make_world(&many, 300, 900, 0.5);
        memset(many.data.train.views[QN_VIEW_DENSE].dense, 0, 300 * 900 * sizeof(double));
        for (int64_t f = 0; f < 4; f++) {
            memcpy(many.data.train.views[QN_VIEW_DENSE].dense +
                       f * many.data.train.views[QN_VIEW_DENSE].stride,
                   few.data.train.views[QN_VIEW_DENSE].dense +
                       f * few.data.train.views[QN_VIEW_DENSE].stride,
                   300 * sizeof(double));
        }
        memcpy(many.data.train.target, few.data.train.target, 300 * sizeof(double));
        CHECK_OK(fit(&few, "glm", texts[i], NULL, &a, &err));
        CHECK_OK(fit(&many, "glm", texts[i], NULL, &b, &err));
        CHECK_NEAR(predict_first(&few, &a), predict_first(&many, &b), 1e-5);
        qn_estimator_free(a.estimator);
        qn_estimator_free(b.estimator);
        release_world(&many);
    }
    release_world(&few);
}

static void quantiles_of_too_many_columns_are_refused(void **state)
{
    (void)state;
    struct world w;
    qn_learn_result result;
    qn_error err = {0};
    make_world(&w, 20, 1200, 0.5);
    CHECK_FAILS(QN_ERR_UNSUPPORTED, fit(&w, "glm", "loss=quantile", NULL, &result, &err));
    CHECK_CONTAINS(err.message, "another loss");
    release_world(&w);
}

static void perfect_and_constant_targets_end(void **state)
{
    (void)state;
    static const char *const texts[] = {"loss=huber", "loss=quantile", "loss=quantile,alpha=1e-5",
                                        "loss=poisson", "loss=gamma"};
    struct world w;
    make_world(&w, 60, 3, 0.5);
    const qn_matrix *x = &w.data.train.views[QN_VIEW_DENSE];
    for (int constant = 0; constant < 2; constant++) {
        for (int64_t i = 0; i < 60; i++) {
            w.data.train.target[i] = constant ? 2 : 3 + x->dense[i];
        }
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            qn_learn_result result;
            qn_error err = {0};
            CHECK_OK(fit(&w, "glm", texts[t], NULL, &result, &err));
            const double given = predict_first(&w, &result);
            CHECK_NEAR(given, constant ? 2 : w.data.train.target[0], 0.6);
            qn_estimator_free(result.estimator);
        }
    }
    release_world(&w);
}

static void every_loss_survives_running_out_of_memory(void **state)
{
    (void)state;
    static const char *const texts[] = {"loss=huber", "loss=quantile", "loss=tweedie"};
    struct world w;
    make_world(&w, 30, 3, 0.5);
    for (int i = 0; i < 3; i++) {
        qn_learn_result result = {0};
        CHECK_SURVIVES_NO_MEMORY_RELEASING(fit(&w, "glm", texts[i], NULL, &result, NULL),
                                           qn_estimator_free(result.estimator));
        qn_estimator_free(result.estimator);
    }
    release_world(&w);
}

static void every_loss_stops_when_told(void **state)
{
    (void)state;
    static const char *const texts[] = {"loss=huber", "loss=quantile", "loss=gamma"};
    const volatile sig_atomic_t raised = 1;
    const qn_stop stop = {.interrupted = &raised};
    struct world w;
    make_world(&w, 60, 3, 0.5);
    for (int i = 0; i < 3; i++) {
        qn_learn_result result;
        qn_error err = {0};
        CHECK_OK(fit(&w, "glm", texts[i], &stop, &result, &err));
        CHECK(result.stopped && isfinite(predict_first(&w, &result)));
        CHECK_INT(result.n_rounds, 0);
        qn_estimator_free(result.estimator);
    }
    release_world(&w);
}

/* The gradient vanishes: x_c . w (x point - y) / sum(w) + penalty point_c = 0 for every column. */
static void squares_on_many_columns_are_at_their_least(void **state)
{
    (void)state;
    enum { ROWS = 300, COLS = 700 };
    qn_error err = {0};
    struct world w;
    qn_design design;
    double weights[ROWS], residuals[ROWS], *point = qn_alloc_array(COLS + 4, sizeof *point);
    make_world(&w, ROWS, COLS, 3);
    CHECK_OK(qn_design_init(&design, &w.data.train.views[QN_VIEW_DENSE], NULL, &err));
    qn_glm glm = {.design = &design,
                  .target = w.data.train.target,
                  .weights = weights,
                  .loss = QN_GLM_SQUARED,
                  .n_outputs = 1,
                  .penalty = 1e-4,
                  .max_iter = 1000,
                  .tol = 1e-14};
    for (int i = 0; i < ROWS; i++) {
        weights[i] = i % 3;
        glm.total += weights[i];
    }
    int64_t n_iterations;
    CHECK_OK(qn_glm_minimise(&glm, point, &n_iterations, &err));
    CHECK(n_iterations > 5 && n_iterations < 400);
    for (int i = 0; i < ROWS; i++) {
        residuals[i] = weights[i] * (qn_design_row_dot(&design, i, point) - glm.target[i]);
    }
    for (int64_t c = 0; c < design.width; c++) {
        double slope = 0;
        for (int i = 0; i < ROWS; i++) {
            slope += residuals[i] * design.dense[i * design.width + c] / glm.total;
        }
        CHECK_NEAR(slope + (c == design.intercept ? 0 : glm.penalty * point[c]), 0, 1e-8);
    }
    CHECK_SURVIVES_NO_MEMORY(qn_conjugate_minimise(&glm, point, &n_iterations, NULL));
    qn_free(point);
    qn_design_release(&design);
    release_world(&w);
}

/* Rows that share some words, have others of their own, and one with no weight. */
static void make_words(struct world *w, double *weights)
{
    enum { ROWS = 60, WORDS = 400, WORDS_IN_ROW = 7 };
    make_world(w, ROWS, 2, 5);
    qn_matrix *x = &w->data.train.views[QN_VIEW_DENSE];
    x->n_sparse = WORDS;
    x->sparse_starts = qn_alloc_array(ROWS + 1, sizeof *x->sparse_starts);
    x->sparse_cols = qn_alloc_array(ROWS * WORDS_IN_ROW, sizeof *x->sparse_cols);
    x->sparse_values = qn_alloc_array(ROWS * WORDS_IN_ROW, sizeof *x->sparse_values);
    for (int i = 0; i < ROWS; i++) {
        const int64_t begin = x->sparse_starts[i];
        for (int k = 0; k < WORDS_IN_ROW; k++) {
            const bool is_own = k >= 4; /* increasing: words below 40 are shared */
            x->sparse_cols[begin + k] = is_own ? 40 + 3 * i + k : 10 * k + (i * (k + 3)) % 10;
            x->sparse_values[begin + k] = 0.25F + 0.125F * (float)((i + k) % 5);
        }
        x->sparse_starts[i + 1] = begin + WORDS_IN_ROW;
        weights[i] = i == 3 ? 0 : 0.5 + i % 4;
    }
}

static void the_space_of_rows_gives_what_that_of_columns_gives(void **state)
{
    (void)state;
    enum { ROWS = 60 };
    struct world w;
    double weights[ROWS];
    make_words(&w, weights);
    qn_design design;
    CHECK_INT(qn_design_init(&design, &w.data.train.views[QN_VIEW_DENSE], NULL, NULL), QN_OK);
    double *wanted = qn_alloc_array(design.n_cols, sizeof *wanted);
    double *point = qn_alloc_array(design.n_cols, sizeof *point);
    for (int free = 0; free < 2; free++) {
        int64_t n_iterations = 0;
        const qn_glm glm = {.design = &design,
                            .target = w.data.train.target,
                            .weights = weights,
                            .total = qn_sum(weights, ROWS),
                            .loss = QN_GLM_SQUARED,
                            .n_outputs = 1,
                            .penalty = 0.01,
                            .penalises_intercept = !free,
                            .max_iter = 1000,
                            .tol = 1e-14};
        memset(wanted, 0, (size_t)design.n_cols * sizeof *wanted);
        CHECK_INT(qn_conjugate_minimise(&glm, wanted, &n_iterations, NULL), QN_OK);
        n_iterations = 0;
        CHECK_INT(qn_conjugate_minimise_rows(&glm, point, &n_iterations, NULL), QN_OK);
        CHECK(n_iterations > 3 && n_iterations < ROWS + 5);
        for (int64_t c = 0; c < design.n_cols; c++) {
            CHECK_NEAR(point[c], wanted[c], 1e-6);
        }
        CHECK_SURVIVES_NO_MEMORY(qn_conjugate_minimise_rows(&glm, point, &n_iterations, NULL));
    }
    qn_free(wanted);
    qn_free(point);
    qn_design_release(&design);
    release_world(&w);
}

/* Two methods that share no line of arithmetic: both ends certify their gap, so the points agree to
 * its root. */
static void multipliers_and_dual_descent_meet(void **state)
{
    (void)state;
    enum { ROWS = 60 };
    struct world w;
    double weights[ROWS], classes[ROWS];
    make_words(&w, weights);
    qn_design design;
    CHECK_INT(qn_design_init(&design, &w.data.train.views[QN_VIEW_DENSE], NULL, NULL), QN_OK);
    for (int i = 0; i < ROWS; i++) {
        classes[i] = w.data.train.target[i] > 6.7;
    }
    double *points[2] = {qn_alloc_array(design.n_cols, sizeof(double)),
                         qn_alloc_array(design.n_cols, sizeof(double))};
    for (int at = 0; at < 2 * 3; at++) {
        static const double costs[] = {0.01, 1, 30};
        int64_t n_iterations = 0;
        const bool hinge = at % 2 == 0;
        qn_glm glm = {.design = &design,
                      .target = hinge ? classes : w.data.train.target,
                      .weights = weights,
                      .total = qn_sum(weights, ROWS),
                      .loss = hinge ? QN_GLM_HINGE : QN_GLM_INSENSITIVE,
                      .shape = 0.2,
                      .n_outputs = 1,
                      .penalty = 1 / (costs[at / 2] * qn_sum(weights, ROWS)),
                      .penalises_intercept = true,
                      .max_iter = 100000,
                      .tol = 1e-10,
                      .seed = 3};
        CHECK_INT(qn_dual_minimise(&glm, points[0], &n_iterations, NULL), QN_OK);
        CHECK(n_iterations < glm.max_iter);
        n_iterations = 0;
        CHECK_INT(qn_multipliers_minimise(&glm, points[1], &n_iterations, NULL), QN_OK);
        CHECK(n_iterations < 300);
        for (int64_t c = 0; c < design.n_cols; c++) {
            CHECK_NEAR(points[0][c], points[1][c], 1e-4);
        }
        glm.tol = 0.1;
        CHECK_SURVIVES_NO_MEMORY(qn_multipliers_minimise(&glm, points[1], &n_iterations, NULL));
        CHECK_SURVIVES_NO_MEMORY(qn_dual_minimise(&glm, points[0], &n_iterations, NULL));
    }
    qn_free(points[0]);
    qn_free(points[1]);
    qn_design_release(&design);
    release_world(&w);
}

RUN_TESTS(TEST(the_space_of_rows_gives_what_that_of_columns_gives),
          TEST(multipliers_and_dual_descent_meet), TEST(squares_on_many_columns_are_at_their_least),
          TEST(derivatives_of_every_loss_are_those_of_its_value),
          TEST(targets_outside_a_loss_are_refused_with_a_way_out),
          TEST(many_columns_give_what_few_give), TEST(quantiles_of_too_many_columns_are_refused),
          TEST(perfect_and_constant_targets_end), TEST(every_loss_survives_running_out_of_memory),
          TEST(every_loss_stops_when_told))
