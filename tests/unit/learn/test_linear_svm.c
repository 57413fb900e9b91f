/* SPDX-License-Identifier: Apache-2.0 */
/* Linear support vector machines as a learner: Platt's scaling, one against the rest, both solvers,
 * what is refused; and least squares' aliased columns. Minima: test_linear_losses.c. */
#include "learn/learner.h"
#include "learn/platt.h"
#include "model/linear_model.h"

#include "check.h"

static void platt_scaling_is_where_the_likelihood_is_flat(void **state)
{
    (void)state;
    enum { N = 200 };
    double scores[N], weights[N], slope_a = 0, slope_b = 0, inside = 0, outside = 0;
    bool positive[N];
    for (int i = 0; i < N; i++) {
        scores[i] = 3 * sin(i * 1.7);
        positive[i] = scores[i] + 2 * cos(i * 4.1) > 0.4;
        weights[i] = 0.5 + i % 3;
        *(positive[i] ? &inside : &outside) += weights[i];
    }
    const qn_platt platt = qn_platt_fit(scores, positive, weights, N);
    CHECK(platt.a < 0); /* a higher score is likelier */
    for (int i = 0; i < N; i++) {
        const double p = 1 / (1 + exp(platt.a * scores[i] + platt.b));
        const double t = positive[i] ? (inside + 1) / (inside + 2) : 1 / (outside + 2);
        slope_a += weights[i] * (t - p) * scores[i];
        slope_b += weights[i] * (t - p);
    }
    CHECK_NEAR(slope_a, 0, 1e-6);
    CHECK_NEAR(slope_b, 0, 1e-6);
}

static void platt_scaling_of_one_class_is_its_smoothed_prior(void **state)
{
    (void)state;
    const double scores[] = {1, 2, 4, 5};
    const bool positive[] = {true, true, true, true};
    const qn_platt platt = qn_platt_fit(scores, positive, NULL, 4);
    for (int i = 0; i < 4; i++) {
        CHECK_NEAR(1 / (1 + exp(platt.a * scores[i] + platt.b)), 5.0 / 6, 1e-6);
    }
}

/* n rows in n_dense columns of noise, the class the largest of the first columns; with two classes,
 * a noisy sign. */
struct world {
    qn_dataset data;
    qn_feature *features;
};

static void make_world(struct world *w, qn_task task, int32_t n_classes, int64_t n, int64_t n_dense)
{
    unsigned state = 5;
    qn_dataset *d = &w->data;
    *d = (qn_dataset){.task = task,
                      .n_classes = n_classes,
                      .n_outputs = task == QN_TASK_MULTICLASS ? n_classes : 1};
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
        const double a = x->dense[i], b = x->dense[x->stride + i];
        const double noise = 0.2 * sin((double)i);
        d->train.target[i] = task == QN_TASK_REGRESSION ? 3 + 2 * a - b + noise
                             : n_classes == 2           ? a + noise > 0
                             : a > fmax(b, 0.1)         ? 0
                             : b > 0.1                  ? 1
                                                        : 2;
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

static qn_status fit(const struct world *w, const char *name, const char *text,
                     qn_learn_result *result, qn_error *err)
{
    char params[512];
    const qn_learner *learner = qn_learner_find(name);
    CHECK(learner && learner->params_bytes <= sizeof params);
    qn_params_init(learner, params);
    CHECK_INT(qn_params_set(learner, params, text, NULL), QN_OK);
    const qn_learn_request request = {.data = &w->data, .params = params, .seed = 1};
    return learner->fit(&request, result, err);
}

static void predict(const struct world *w, const qn_learn_result *result, double *out)
{
    CHECK_INT(qn_estimator_predict(result->estimator, &w->data.train.views[QN_VIEW_DENSE], NULL,
                                   out, NULL),
              QN_OK);
}

static void both_solvers_give_the_same_model(void **state)
{
    (void)state;
    enum { N = 240, K = 3 };
    static const struct {
        qn_task task;
        int32_t n_classes;
        const char *params;
    } cases[] = {{QN_TASK_BINARY, 2, "C=0.5,loss=hinge"},
                 {QN_TASK_BINARY, 2, "C=0.5,class_weight=balanced"},
                 {QN_TASK_MULTICLASS, K, "C=1"},
                 {QN_TASK_MULTICLASS, K, "C=1,loss=hinge"},
                 {QN_TASK_REGRESSION, 0, "C=2,epsilon=0.1"},
                 {QN_TASK_REGRESSION, 0, "C=2,epsilon=0.1,loss=squared_epsilon_insensitive"}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct world w;
        double out[2][N * K];
        make_world(&w, cases[c].task, cases[c].n_classes, N, 3);
        for (int dual = 0; dual < 2; dual++) {
            char text[160];
            qn_learn_result result;
            qn_error err = {0};
            snprintf(text, sizeof text, "%s,tol=1e-10,max_iter=100000,dual=%s", cases[c].params,
                     dual ? "true" : "false");
            CHECK_OK(fit(&w, "linear_svm", text, &result, &err));
            predict(&w, &result, out[dual]);
            qn_estimator_free(result.estimator);
        }
        for (int64_t i = 0; i < N * w.data.n_outputs; i++) {
            CHECK_NEAR(out[0][i], out[1][i], 2e-4);
        }
        release_world(&w);
    }
}

static void classes_are_told_apart_with_sensible_probabilities(void **state)
{
    (void)state;
    enum { N = 300, K = 3 };
    struct world w;
    qn_learn_result result;
    qn_error err = {0};
    double out[N * K], loss = 0;
    int n_right = 0;
    make_world(&w, QN_TASK_MULTICLASS, K, N, 3);
    CHECK_OK(fit(&w, "linear_svm", "", &result, &err));
    predict(&w, &result, out);
    for (int i = 0; i < N; i++) {
        const double *row = out + (ptrdiff_t)i * K, own = row[(int)w.data.train.target[i]];
        n_right += own >= row[0] && own >= row[1] && own >= row[2];
        loss -= log(own) / N;
    }
    CHECK(n_right > N * 8 / 10);
    CHECK(loss < 0.6); /* of guessing: 1.1 */
    qn_estimator_free(result.estimator);
    release_world(&w);
}

static void losses_of_another_task_are_refused(void **state)
{
    (void)state;
    struct world classes, numbers;
    qn_learn_result result;
    qn_error err = {0};
    make_world(&classes, QN_TASK_BINARY, 2, 30, 2);
    make_world(&numbers, QN_TASK_REGRESSION, 0, 30, 2);
    CHECK_FAILS(QN_ERR_ARG, fit(&numbers, "linear_svm", "loss=hinge", &result, &err));
    CHECK_CONTAINS(err.message, "loss=auto");
    CHECK_FAILS(QN_ERR_ARG,
                fit(&classes, "linear_svm", "loss=squared_epsilon_insensitive", &result, &err));
    release_world(&classes);
    release_world(&numbers);
}

/* More columns than Newton's method takes: dual descent, by itself. */
static void wide_tables_are_fitted(void **state)
{
    (void)state;
    enum { N = 90 };
    struct world w;
    qn_learn_result result;
    qn_error err = {0};
    double out[N];
    make_world(&w, QN_TASK_BINARY, 2, N, 1500);
    CHECK_OK(fit(&w, "linear_svm", "C=1", &result, &err));
    CHECK(result.n_rounds > 0 && !result.stopped);
    predict(&w, &result, out);
    for (int i = 0; i < N; i++) {
        CHECK(isfinite(out[i]) && out[i] > 0 && out[i] < 1);
    }
    qn_estimator_free(result.estimator);
    release_world(&w);
}

static void links_are_pulled_back_as_differences_say(void **state)
{
    (void)state;
    static const qn_linear_link links[] = {QN_LINEAR_LOG, QN_LINEAR_ONE_VS_REST};
    const double coefficients[] = {0, 0, 0}, intercepts[] = {0, 0, 0}, h = 1e-6;
    for (int l = 0; l < 2; l++) {
        const int32_t k = l == 0 ? 1 : 3;
        const double scores[] = {0.4, -1.1, 0.2};
        double gradient[] = {0.7, -0.3, 1.9}, at[3], start[3];
        qn_estimator *model = NULL;
        CHECK_INT(qn_linear_create(links[l], coefficients, intercepts, 1, 0, k, &model, NULL),
                  QN_OK);
        memcpy(start, gradient, sizeof start);
        memcpy(at, scores, sizeof at);
        model->family->link(model, at);
        model->family->pull_back(model, scores, at, gradient);
        for (int32_t c = 0; c < k; c++) {
            double up[3], down[3], wanted = 0;
            memcpy(up, scores, sizeof up);
            memcpy(down, scores, sizeof down);
            up[c] += h;
            down[c] -= h;
            model->family->link(model, up);
            model->family->link(model, down);
            for (int32_t j = 0; j < k; j++) {
                wanted += start[j] * (up[j] - down[j]) / (2 * h);
            }
            CHECK_NEAR(gradient[c], wanted, 1e-8);
        }
        qn_estimator_free(model);
    }
}

static void least_squares_set_aliased_columns_aside_and_say_so(void **state)
{
    (void)state;
    struct world w;
    qn_learn_result result;
    qn_error err = {0};
    qn_linear_terms terms;
    make_world(&w, QN_TASK_REGRESSION, 0, 50, 4);
    qn_matrix *x = &w.data.train.views[QN_VIEW_DENSE];
    for (int64_t i = 0; i < 50; i++) {
        x->dense[3 * x->stride + i] = 2 * x->dense[i] - x->dense[x->stride + i];
    }
    CHECK_OK(fit(&w, "linear", "", &result, &err));
    CHECK(qn_linear_terms_of(result.estimator, &terms));
    CHECK_INT(terms.degrees_of_freedom, 50 - 4);
    CHECK(isnan(terms.std_errors[3]) && terms.coefficients[3] == 0);
    CHECK_NEAR(terms.coefficients[0], 2, 0.2);
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    for (int f = 0; f < 4; f++) {
        w.features[f].name = (char *)(uintptr_t) "column";
    }
    qn_json_begin_object(&json);
    result.estimator->family->describe_features(result.estimator, w.features, &json);
    qn_json_end_object(&json);
    CHECK_CONTAINS(text.text, "\"degrees_of_freedom\"");
    CHECK_CONTAINS(text.text, "\"t_value\"");
    CHECK_CONTAINS(text.text, "null");
    qn_str_release(&text);
    qn_estimator_free(result.estimator);
    release_world(&w);
}

static void least_squares_of_too_many_columns_are_refused(void **state)
{
    (void)state;
    struct world w;
    qn_learn_result result;
    qn_error err = {0};
    make_world(&w, QN_TASK_REGRESSION, 0, 10, 2100);
    CHECK_FAILS(QN_ERR_UNSUPPORTED, fit(&w, "linear", "", &result, &err));
    CHECK_CONTAINS(err.message, "ridge");
    release_world(&w);
}

RUN_TESTS(TEST(platt_scaling_is_where_the_likelihood_is_flat),
          TEST(platt_scaling_of_one_class_is_its_smoothed_prior),
          TEST(both_solvers_give_the_same_model),
          TEST(classes_are_told_apart_with_sensible_probabilities),
          TEST(losses_of_another_task_are_refused), TEST(wide_tables_are_fitted),
          TEST(links_are_pulled_back_as_differences_say),
          TEST(least_squares_set_aliased_columns_aside_and_say_so),
          TEST(least_squares_of_too_many_columns_are_refused))
