/* SPDX-License-Identifier: Apache-2.0 */
/* Ridge, logistic and multinomial regression on real tables against scikit-learn's coefficients,
 * predictions and objective values: tests/golden/linear. */
#include "learn/learner.h"
#include "quern/frame.h"

#include "golden.h"
#include "tables.h"

#include <unistd.h>

/* Of coefficients and predictions, in units of the target: L-BFGS stops where the objective no
 * longer falls in double precision, about the root of that from the minimum. */
static const double tolerance = 1e-5;
/* Of the objective, relative: with the tolerance at zero, and with the default. */
static const double objective_exact = 1e-9, objective_default = 1e-3;

struct world {
    qn_json *json;
    qn_json_value golden;
    table table;
    qn_recipe *recipe;
    qn_dataset data;
    const qn_learner *learner;
    double *weights;
    int64_t n, n_features;
};

static const char *text_of(qn_json_value object, const char *key)
{
    const char *text = qn_json_as_text(qn_json_get(object, key), NULL);
    if (!text) fail_msg("a case has no %s", key);
    return text;
}

static bool is_listed(qn_json_value list, const char *name)
{
    for (int64_t i = 0; i < qn_json_size(list); i++) {
        if (strcmp(qn_json_as_text(qn_json_at(list, i), ""), name) == 0) return true;
    }
    return qn_json_size(list) == 0; /* no list: all of them */
}

/* Reads the table with the kinds that the case gives every column. */
static void load_table(struct world *w, const char *path)
{
    qn_error err = {0};
    qn_profile *profile = NULL;
    const char *target = text_of(w->golden, "target");
    enum { COLS_MAX = 64 };
    char choices[COLS_MAX][128];
    const char *kinds[COLS_MAX + 1] = {0};
    CHECK_OK(qn_frame_read(path, 1, &w->table.frame, &err));
    CHECK(w->table.frame->n_cols <= COLS_MAX);
    int n = 0;
    for (int64_t col = 0; col < w->table.frame->n_cols; col++) {
        const char *name = qn_frame_name(w->table.frame, col);
        if (strcmp(name, target) == 0) continue;
        snprintf(choices[n], sizeof choices[n], "%s=%s", name,
                 is_listed(qn_json_get(w->golden, "numeric"), name) ? "numeric" : "categorical");
        kinds[n] = choices[n];
        n++;
    }
    CHECK_OK(qn_profile_create(w->table.frame, NULL, w->table.frame->n_rows, NULL, &profile, &err));
    const qn_understand_request question = {.frame = w->table.frame,
                                            .profile = profile,
                                            .target = target,
                                            .task = text_of(w->golden, "task"),
                                            .kinds = kinds};
    CHECK_OK(qn_understand(&question, &w->table.schema, &err));
    qn_profile_free(profile);
    CHECK_OK(qn_schema_target(w->table.schema, w->table.frame, false, &w->table.target, &err));
}

static void load_weights(struct world *w)
{
    const char *name = qn_json_as_text(qn_json_get(w->golden, "weight"), NULL);
    if (!name) return;
    const int64_t col = qn_frame_find(w->table.frame, name);
    double sum = 0;
    CHECK(col >= 0);
    w->weights = qn_alloc_array(w->n, sizeof *w->weights);
    CHECK(w->weights != NULL);
    for (int64_t i = 0; i < w->n; i++) {
        sum += w->weights[i] = qn_column_number(&w->table.frame->columns[col], i);
    }
    for (int64_t i = 0; i < w->n; i++) {
        w->weights[i] *= (double)w->n / sum;
    }
}

/* The dense view of the case's rows as applying gives it (no out-of-fold encodings). */
static void make_data(struct world *w)
{
    qn_error err = {0};
    qn_binding *binding = NULL;
    const qn_recipe_request request = {.frame = w->table.frame,
                                       .schema = w->table.schema,
                                       .rows = w->table.rows,
                                       .n_rows = w->n,
                                       .target = w->table.target,
                                       .seed = 1};
    CHECK_OK(qn_recipe_fit(&request, &w->recipe, NULL, &err));
    CHECK_OK(qn_binding_create(w->table.schema, w->table.frame, &binding, &err));
    qn_dataset *d = &w->data;
    *d = (qn_dataset){.task = w->table.schema->task,
                      .n_classes = w->table.schema->n_classes,
                      .n_outputs = qn_schema_n_outputs(w->table.schema),
                      .train = {.n_rows = w->n, .target = w->table.target, .weights = w->weights}};
    CHECK_OK(qn_recipe_transform(w->recipe, QN_VIEW_DENSE, binding, w->table.rows, w->n, NULL,
                                 &d->train.views[QN_VIEW_DENSE], &err));
    d->features[QN_VIEW_DENSE] = qn_recipe_features(
        w->recipe, QN_VIEW_DENSE, &d->n_features[QN_VIEW_DENSE], &d->n_dense[QN_VIEW_DENSE]);
    w->n_features = d->n_features[QN_VIEW_DENSE];
    qn_binding_free(binding);
    const qn_json_value names = qn_json_get(w->golden, "features");
    CHECK_INT(w->n_features, qn_json_size(names));
    for (int64_t f = 0; f < w->n_features; f++) {
        CHECK_TEXT(d->features[QN_VIEW_DENSE][f].name, qn_json_as_text(qn_json_at(names, f), ""));
    }
}

static void load(struct world *w, qn_json_value golden)
{
    char path[512];
    *w = (struct world){.golden = golden};
    const bool example = qn_json_as_bool(qn_json_get(golden, "example"), false);
    snprintf(path, sizeof path, "%s/%s", example ? getenv("QUERN_SOURCE") : getenv("QUERN_DATA"),
             example ? "examples/credit/train.csv" : text_of(golden, "table"));
    load_table(w, path);
    w->n = qn_json_as_int(qn_json_get(golden, "rows"), 0);
    CHECK(w->n > 0 && w->n <= w->table.frame->n_rows);
    w->table.rows = qn_alloc_array(w->n, sizeof *w->table.rows);
    for (int64_t i = 0; i < w->n; i++) {
        w->table.rows[i] = (int32_t)i;
    }
    load_weights(w);
    make_data(w);
    w->learner =
        qn_learner_find(w->table.schema->task == QN_TASK_REGRESSION ? "ridge" : "logistic");
}

static void release(struct world *w)
{
    qn_matrix_release(&w->data.train.views[QN_VIEW_DENSE]);
    qn_recipe_free(w->recipe);
    qn_free(w->weights);
    table_release(&w->table);
}

static qn_estimator *fit(const struct world *w, bool exact)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    char text[160];
    void *params = qn_alloc_array(1, w->learner->params_bytes);
    qn_params_init(w->learner, params);
    snprintf(text, sizeof text, "%s=%.17g%s",
             w->table.schema->task == QN_TASK_REGRESSION ? "alpha" : "C",
             qn_json_as_double(qn_json_get(w->golden, "strength"), 0),
             exact ? ",tol=0,max_iter=100000" : "");
    CHECK_OK(qn_params_set(w->learner, params, text, &err));
    const qn_learn_request request = {.data = &w->data, .params = params, .seed = 1};
    CHECK_OK(w->learner->fit(&request, &result, &err));
    qn_free(result.importance);
    qn_free(params);
    return result.estimator;
}

static void predict(const qn_estimator *model, const qn_matrix *x, double *out)
{
    CHECK_INT(qn_estimator_predict(model, x, NULL, out, NULL), QN_OK);
}

/* What the link was applied to, up to a constant: log-odds, log p, or the value. */
static void unlink_row(qn_task task, double *out, int32_t k)
{
    if (task == QN_TASK_BINARY) out[0] = log(out[0] / (1 - out[0]));
    for (int32_t c = 0; task == QN_TASK_MULTICLASS && c < k; c++) {
        out[c] = log(out[c]);
    }
}

/* coefficients[c * n_features + f] and intercepts[c], from predictions of unit vectors alone. The
 * constant that softmax hides is fixed by a mean of zero, as an L2 penalty makes it. */
static void recover(const struct world *w, const qn_estimator *model, double *coefficients,
                    double *intercepts)
{
    const int32_t k = w->data.n_outputs;
    double *row = qn_alloc_array(w->n_features, sizeof *row);
    const qn_matrix one = {.n_rows = 1, .n_dense = w->n_features, .stride = 1, .dense = row};
    for (int64_t f = -1; f < w->n_features; f++) {
        double out[64], mean = 0;
        if (f >= 0) row[f] = 1;
        predict(model, &one, out);
        if (f >= 0) row[f] = 0;
        unlink_row(w->data.task, out, k);
        for (int32_t c = 0; c < k; c++) {
            if (f >= 0) out[c] -= intercepts[c];
            mean += out[c] / k;
        }
        for (int32_t c = 0; c < k; c++) {
            const double value = w->data.task == QN_TASK_MULTICLASS ? out[c] - mean : out[c];
            if (f < 0) {
                intercepts[c] = value;
            } else {
                coefficients[c * w->n_features + f] = value;
            }
        }
    }
    qn_free(row);
}

/* The objective as generate.py states it, in plain loops. */
static double objective(const struct world *w, const double *coefficients, const double *intercepts)
{
    const int32_t k = w->data.n_outputs;
    const qn_matrix *x = &w->data.train.views[QN_VIEW_DENSE];
    const double strength = qn_json_as_double(qn_json_get(w->golden, "strength"), 0);
    double loss = 0, squares = 0;
    for (int64_t i = 0; i < w->n; i++) {
        const double weight = w->weights ? w->weights[i] : 1, y = w->table.target[i];
        double margins[64], sum = 0, most = -QN_INF;
        for (int32_t c = 0; c < k; c++) {
            margins[c] = intercepts[c];
            for (int64_t f = 0; f < w->n_features; f++) {
                margins[c] += coefficients[c * w->n_features + f] * x->dense[f * x->stride + i];
            }
            most = fmax(most, margins[c]);
        }
        if (w->data.task == QN_TASK_REGRESSION) {
            loss += 0.5 * weight * (y - margins[0]) * (y - margins[0]);
        } else if (w->data.task == QN_TASK_BINARY) {
            loss += weight * log1p(exp(y == 1 ? -margins[0] : margins[0]));
        } else {
            for (int32_t c = 0; c < k; c++) {
                sum += exp(margins[c] - most);
            }
            loss += weight * (log(sum) + most - margins[(int32_t)y]);
        }
    }
    for (int64_t i = 0; i < k * w->n_features; i++) {
        squares += coefficients[i] * coefficients[i];
    }
    return loss + 0.5 * squares * (w->data.task == QN_TASK_REGRESSION ? strength : 1 / strength);
}

static void check_close(const struct world *w, const char *what, int64_t at, double value,
                        double wanted, double scale)
{
    if (fabs(value - wanted) <= tolerance * scale) return;
    fail_msg("%s: %s %d is %.12g, not %.12g", text_of(w->golden, "name"), what, (int)at, value,
             wanted);
}

static void check_exact_fit(const struct world *w)
{
    const int32_t k = w->data.n_outputs;
    const double scale = qn_json_as_double(qn_json_get(w->golden, "scale"), 1);
    const double wanted = qn_json_as_double(qn_json_get(w->golden, "objective"), 0);
    double *coefficients = qn_alloc_array(k * w->n_features, sizeof *coefficients);
    double *out = qn_alloc_array(w->n * k, sizeof *out), intercepts[64];
    qn_estimator *model = fit(w, true);
    recover(w, model, coefficients, intercepts);
    CHECK_NEAR(objective(w, coefficients, intercepts) / wanted, 1, objective_exact);
    const qn_json_value lists = qn_json_get(w->golden, "coefficients");
    for (int32_t c = 0; c < k; c++) {
        for (int64_t f = 0; f < w->n_features; f++) {
            check_close(w, "coefficient", c * w->n_features + f,
                        coefficients[c * w->n_features + f],
                        qn_json_as_double(qn_json_at(qn_json_at(lists, c), f), QN_NA), scale);
        }
        check_close(w, "intercept", c, intercepts[c],
                    qn_json_as_double(qn_json_at(qn_json_get(w->golden, "intercepts"), c), QN_NA),
                    scale);
    }
    predict(model, &w->data.train.views[QN_VIEW_DENSE], out);
    const qn_json_value predictions = qn_json_get(w->golden, "predictions");
    const int64_t step = w->n / 40 > 1 ? w->n / 40 : 1;
    CHECK(qn_json_size(predictions) >= 40 * k);
    for (int64_t i = 0; i < qn_json_size(predictions); i++) {
        check_close(w, "prediction", i, out[i / k * step * k + i % k],
                    qn_json_as_double(qn_json_at(predictions, i), QN_NA), scale);
    }
    qn_estimator_free(model);
    qn_free(coefficients);
    qn_free(out);
}

static void check_default_fit(const struct world *w)
{
    const double wanted = qn_json_as_double(qn_json_get(w->golden, "objective"), 0);
    double *coefficients = qn_alloc_array(w->data.n_outputs * w->n_features, sizeof(double));
    double intercepts[64];
    qn_estimator *model = fit(w, false);
    recover(w, model, coefficients, intercepts);
    const double ratio = objective(w, coefficients, intercepts) / wanted;
    CHECK(ratio > 1 - objective_exact); /* nothing is below the minimum */
    CHECK_NEAR(ratio, 1, objective_default);
    qn_estimator_free(model);
    qn_free(coefficients);
}

static bool is_there(const char *file)
{
    char path[512];
    const char *folder = getenv("QUERN_DATA");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "", file);
    return access(path, R_OK) == 0;
}

/* All cases of one table; skips where the folder of tables is not there. */
static void check_table(const char *table_name)
{
    qn_json *json = read_golden("linear");
    const qn_json_value cases = qn_json_root(json);
    int n_checked = 0;
    for (int64_t c = 0; c < qn_json_size(cases); c++) {
        const qn_json_value golden = qn_json_at(cases, c);
        const bool example = qn_json_as_bool(qn_json_get(golden, "example"), false);
        if (strcmp(text_of(golden, "table"), table_name) != 0) continue;
        if (!example && !is_there(table_name)) {
            print_message("%s is not in QUERN_DATA: not checked\n", table_name);
            qn_json_free(json);
            skip();
        }
        struct world w;
        load(&w, golden);
        check_exact_fit(&w);
        check_default_fit(&w);
        release(&w);
        n_checked++;
    }
    CHECK(n_checked > 0);
    qn_json_free(json);
}

static void logistic_regression_on_credit_equals_scikit_learn(void **state)
{
    (void)state;
    check_table("train.csv");
}

static void ridge_regression_on_housing_equals_scikit_learn(void **state)
{
    (void)state;
    check_table("california_housing.csv.gz");
}

static void multinomial_regression_on_letters_equals_scikit_learn(void **state)
{
    (void)state;
    check_table("letter.csv.gz");
}

RUN_TESTS(TEST(logistic_regression_on_credit_equals_scikit_learn),
          TEST(ridge_regression_on_housing_equals_scikit_learn),
          TEST(multinomial_regression_on_letters_equals_scikit_learn))
