/* SPDX-License-Identifier: Apache-2.0 */
/* Explainable boosting: shapes that are known are found, and what the model says it is made of. */
#include "learn/additive/ebm.h"
#include "model/additive_model.h"

#include "datasets.h"

enum { N_TRAIN = 2000, N_VALID = 400, N_FEATURES = 3 };

static void fit_with(const qn_dataset *data, const char *params, qn_learn_result *result)
{
    qn_error err = {0};
    void *room = qn_alloc_array(1, qn_learner_ebm.params_bytes);
    qn_params_init(&qn_learner_ebm, room);
    CHECK_OK(qn_params_set(&qn_learner_ebm, room, params, &err));
    const qn_learn_request request = {.data = data, .params = room, .seed = 1};
    CHECK_OK(qn_learner_ebm.fit(&request, result, &err));
    qn_free(room);
}

static void release(qn_learn_result *result)
{
    qn_estimator_free(result->estimator);
    qn_free(result->importance);
}

static void predict_rows(const qn_estimator *estimator, const qn_matrix *x, double *out)
{
    void *scratch = qn_alloc_array((int64_t)qn_estimator_scratch_bytes(estimator, x->n_rows), 1);
    estimator->family->predict(estimator, x, out, scratch);
    qn_free(scratch);
}

/* What a feature's value adds to a score, beside features that are missing throughout. */
static double part_of(const qn_estimator *estimator, int64_t feature, double value)
{
    double row[N_FEATURES] = {QN_NA, QN_NA, QN_NA}, parts[N_FEATURES];
    int32_t scratch[N_FEATURES];
    const qn_matrix x = {.n_rows = 1, .n_dense = N_FEATURES, .stride = 1, .dense = row};
    row[feature] = value;
    qn_additive_row_parts(estimator, &x, 0, parts, scratch);
    return parts[feature];
}

static void fill(qn_dataset_part *part, qn_rng *rng,
                 double (*target)(const double *x, double noise))
{
    for (int64_t i = 0; i < part->n_rows; i++) {
        double x[N_FEATURES];
        for (int64_t f = 0; f < N_FEATURES; f++) {
            x[f] = dataset_column(part, f)[i] = qn_rng_uniform(rng);
        }
        part->target[i] = target(x, qn_rng_normal(rng));
    }
}

/* A rising and a bent shape; the third feature says nothing. */
static double two_shapes(const double *x, double noise)
{
    return 3 + 2 * x[0] + 4 * fabs(x[1] - 0.5) + 0.1 * noise;
}

static qn_dataset make(qn_task task, double (*target)(const double *x, double noise),
                       int64_t n_valid)
{
    qn_dataset data =
        dataset_create(task, task == QN_TASK_BINARY ? 2 : 0, N_TRAIN, n_valid, N_FEATURES);
    qn_rng rng;
    qn_rng_init(&rng, 3, 1);
    fill(&data.train, &rng, target);
    fill(&data.valid, &rng, target);
    dataset_bin(&data, 255);
    return data;
}

static void shapes_of_a_sum_are_recovered(void **state)
{
    (void)state;
    qn_dataset data = make(QN_TASK_REGRESSION, two_shapes, N_VALID);
    qn_learn_result result;
    fit_with(&data, "", &result);
    for (int i = 1; i < 10; i++) {
        const double at = i / 10.0;
        CHECK_NEAR(part_of(result.estimator, 0, at), 2 * at - 1, 0.1);
        CHECK_NEAR(part_of(result.estimator, 1, at), 4 * fabs(at - 0.5) - 1, 0.12);
        CHECK_NEAR(part_of(result.estimator, 2, at), 0, 0.05);
    }
    CHECK_NEAR(qn_additive_parts_of(result.estimator)->intercepts[0], 5, 0.05);
    CHECK_NEAR(result.importance[0], 0.5, 0.05);
    CHECK_NEAR(result.importance[0] + result.importance[1] + result.importance[2], 1, 1e-12);
    release(&result);
    dataset_release(&data);
}

/* Parts and intercepts add up to the score; over the training rows each part has mean 0. */
static void parts_add_up_and_average_nothing(void **state)
{
    (void)state;
    qn_dataset data = make(QN_TASK_REGRESSION, two_shapes, 0);
    const qn_matrix *x = &data.train.views[QN_VIEW_TREE];
    qn_learn_result result;
    fit_with(&data, "max_rounds=40,interactions=2", &result);
    CHECK(result.n_rounds >= 40);
    CHECK_INT(qn_additive_parts_of(result.estimator)->n_terms, N_FEATURES + 2);
    double *out = qn_alloc_array(N_TRAIN, sizeof *out), means[N_FEATURES] = {0};
    predict_rows(result.estimator, x, out);
    for (int64_t i = 0; i < N_TRAIN; i++) {
        double parts[N_FEATURES], sum = qn_additive_parts_of(result.estimator)->intercepts[0];
        int32_t scratch[N_FEATURES];
        qn_additive_row_parts(result.estimator, x, i, parts, scratch);
        for (int f = 0; f < N_FEATURES; f++) {
            sum += parts[f];
            means[f] += parts[f] / N_TRAIN;
        }
        CHECK_NEAR(sum, out[i], 1e-9);
    }
    for (int f = 0; f < N_FEATURES; f++) {
        CHECK_NEAR(means[f], 0, 1e-9);
    }
    qn_free(out);
    release(&result);
    dataset_release(&data);
}

/* Neither feature says anything by itself. */
static double exclusive_or(const double *x, double noise)
{
    return ((x[0] > 0.5) != (x[2] > 0.3)) + 0.1 * noise;
}

static void a_pair_that_says_all_is_found(void **state)
{
    (void)state;
    qn_dataset data = make(QN_TASK_REGRESSION, exclusive_or, N_VALID);
    const qn_matrix *x = &data.valid.views[QN_VIEW_TREE];
    double *out = qn_alloc_array(N_VALID, sizeof *out), squares[2] = {0};
    for (int pairs = 0; pairs < 2; pairs++) {
        qn_learn_result result;
        fit_with(&data, pairs ? "interactions=1" : "interactions=0", &result);
        const qn_additive_parts *parts = qn_additive_parts_of(result.estimator);
        CHECK_INT(parts->n_terms, N_FEATURES + pairs);
        if (pairs) {
            CHECK_INT(parts->term_features[2 * N_FEATURES], 0);
            CHECK_INT(parts->term_features[2 * N_FEATURES + 1], 2);
        }
        predict_rows(result.estimator, x, out);
        for (int64_t i = 0; i < N_VALID; i++) {
            const double d = out[i] - data.valid.target[i];
            squares[pairs] += d * d / N_VALID;
        }
        release(&result);
    }
    CHECK(squares[0] > 0.15);
    CHECK(squares[1] < 0.05);
    qn_free(out);
    dataset_release(&data);
}

static double by_first(const double *x, double noise)
{
    (void)noise;
    return x[0] > 0.5;
}

/* Missing values of the second feature are all of class 1, levels of the third tell nothing; a
 * level without rows stands at the mean. */
static void missing_values_and_levels_have_bins_of_their_own(void **state)
{
    (void)state;
    qn_dataset data = make(QN_TASK_BINARY, by_first, 0);
    dataset_categorical(&data, 2, 5);
    for (int64_t i = 0; i < N_TRAIN; i++) {
        dataset_column(&data.train, 0)[i] = 0;
        dataset_column(&data.train, 2)[i] = (double)(i % 4 + (i % 4 == 3)); /* 3 does not occur */
        data.train.target[i] = (double)(i % 2);
        dataset_column(&data.train, 1)[i] = i % 4 == 1 ? QN_NA : (double)(i / 4 % 7);
    }
    dataset_bin(&data, 255);
    qn_learn_result result;
    fit_with(&data, "", &result);
    CHECK(part_of(result.estimator, 1, QN_NA) > 1);
    CHECK(part_of(result.estimator, 1, 3) < 0);
    CHECK(part_of(result.estimator, 2, 4) > part_of(result.estimator, 2, 0));
    CHECK(part_of(result.estimator, 2, 3) == 0);
    CHECK(part_of(result.estimator, 0, QN_NA) == 0);
    release(&result);
    dataset_release(&data);
}

/* Rows that weigh nothing may say what they like. */
static void weights_count(void **state)
{
    (void)state;
    qn_dataset data = make(QN_TASK_REGRESSION, two_shapes, 0);
    data.train.weights = qn_alloc_array(N_TRAIN, sizeof *data.train.weights);
    for (int64_t i = 0; i < N_TRAIN; i++) {
        data.train.weights[i] = i % 2 ? 2 : 0;
        if (i % 2 == 0) data.train.target[i] = -100 * dataset_column(&data.train, 0)[i];
    }
    qn_learn_result result;
    fit_with(&data, "", &result);
    CHECK_NEAR(part_of(result.estimator, 0, 0.9) - part_of(result.estimator, 0, 0.1), 1.6, 0.15);
    release(&result);
    dataset_release(&data);
}

static double only_noise(const double *x, double noise)
{
    (void)x;
    return noise;
}

static void held_out_rows_end_the_rounds(void **state)
{
    (void)state;
    qn_learn_result result;
    for (int64_t n_valid = 0; n_valid <= N_VALID; n_valid += N_VALID) {
        qn_dataset data = make(QN_TASK_REGRESSION, only_noise, n_valid);
        fit_with(&data, "", &result);
        CHECK(result.n_rounds < 200);
        release(&result);
        dataset_release(&data);
    }
}

/* Every byte of a written model is turned over: it is refused, or predicts numbers. */
static void damaged_bytes_are_refused(void **state)
{
    (void)state;
    qn_dataset data = make(QN_TASK_BINARY, by_first, 0);
    dataset_bin(&data, 8);
    qn_learn_result result;
    fit_with(&data, "max_rounds=5", &result);
    qn_writer writer = {0};
    result.estimator->family->write(result.estimator, &writer);
    CHECK(!writer.failed);
    uint8_t *bytes = qn_alloc_aligned((int64_t)writer.bytes, 1);
    const qn_matrix *x = &data.train.views[QN_VIEW_TREE];
    double out[N_TRAIN];
    int n_refused = 0;
    for (size_t at = 0; at < writer.bytes; at++) {
        memcpy(bytes, writer.data, writer.bytes);
        bytes[at] ^= 0xff;
        qn_reader reader = {.data = bytes, .bytes = writer.bytes};
        qn_estimator *read = NULL;
        qn_error err = {0};
        const qn_status status = qn_family_additive.read(&reader, N_FEATURES, &read, &err);
        n_refused += status == QN_ERR_DATA;
        if (status != QN_OK) {
            CHECK_INT(status, QN_ERR_DATA);
            CHECK_CONTAINS(err.message, "damaged");
            continue;
        }
        read->family = &qn_family_additive;
        predict_rows(read, x, out);
        qn_estimator_free(read);
    }
    CHECK(n_refused > 100);
    for (size_t bytes_left = 0; bytes_left < writer.bytes; bytes_left += 7) {
        qn_reader reader = {.data = writer.data, .bytes = bytes_left};
        qn_estimator *read = NULL;
        CHECK_FAILS(QN_ERR_DATA, qn_family_additive.read(&reader, N_FEATURES, &read, NULL));
    }
    qn_free(bytes);
    qn_writer_release(&writer);
    release(&result);
    dataset_release(&data);
}

RUN_TESTS(TEST(shapes_of_a_sum_are_recovered), TEST(parts_add_up_and_average_nothing),
          TEST(a_pair_that_says_all_is_found),
          TEST(missing_values_and_levels_have_bins_of_their_own), TEST(weights_count),
          TEST(held_out_rows_end_the_rounds), TEST(damaged_bytes_are_refused))
