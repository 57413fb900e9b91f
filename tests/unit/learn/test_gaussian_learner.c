/* SPDX-License-Identifier: Apache-2.0 */
/* Standard deviations of the learner's predictions, against scikit-learn's return_std
 * (tests/golden/gaussian_process). */
#include "learn/learner.h"

#include "golden.h"

enum { TRAIN = 120, TEST = 12 };

struct world {
    qn_dataset data;
    qn_matrix rows; /* those to predict */
};

static double number_at(qn_json_value object, const char *key, int64_t i)
{
    return qn_json_as_double(qn_json_at(qn_json_get(object, key), i), QN_NA);
}

static void fill(qn_json_value golden, int64_t first, int64_t n_rows, qn_matrix *out)
{
    const int64_t d = (int64_t)qn_json_as_double(qn_json_get(golden, "n_dims"), 0);
    qn_error err = {0};
    CHECK_OK(qn_matrix_init(out, n_rows, d, &err));
    for (int64_t i = 0; i < n_rows; i++) {
        for (int64_t f = 0; f < d; f++) {
            out->dense[f * out->stride + i] = number_at(golden, "x", (first + i) * d + f);
        }
    }
}

static void begin(qn_json_value golden, struct world *w)
{
    *w = (struct world){.data = {.task = QN_TASK_REGRESSION, .n_outputs = 1}};
    qn_dataset_part *train = &w->data.train;
    train->n_rows = TRAIN;
    fill(golden, 0, TRAIN, &train->views[QN_VIEW_DENSE]);
    fill(golden, TRAIN, TEST, &w->rows);
    w->data.n_dense[QN_VIEW_DENSE] = w->data.n_features[QN_VIEW_DENSE] = w->rows.n_dense;
    train->target = qn_alloc_array(TRAIN, sizeof *train->target);
    CHECK(train->target != NULL);
    for (int64_t i = 0; i < TRAIN; i++) {
        train->target[i] = 7 + 50 * number_at(golden, "y", i);
    }
}

static void end(struct world *w)
{
    qn_dataset_release(&w->data);
    qn_matrix_release(&w->rows);
}

static qn_estimator *fit(const struct world *w, const char *kernel, bool return_std)
{
    const qn_learner *learner = qn_learner_find("gaussian_process");
    qn_error err = {0};
    qn_learn_result result;
    char text[120];
    void *params = qn_alloc_array(1, learner->params_bytes);
    CHECK(params != NULL);
    snprintf(text, sizeof text, "kernel=%s,length_scale=1.5,noise=0.2,return_std=%s", kernel,
             return_std ? "true" : "false");
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, text, &err));
    const qn_learn_request request = {.data = &w->data, .params = params, .seed = 1};
    CHECK_OK(learner->fit(&request, &result, &err));
    qn_free(params);
    qn_free(result.importance);
    return result.estimator;
}

static void check_case(qn_json_value golden)
{
    struct world w;
    qn_error err = {0};
    double mean[TEST], sd[TEST], alone;
    begin(golden, &w);
    qn_estimator *model = fit(&w, qn_json_as_text(qn_json_get(golden, "kind"), ""), true);
    CHECK_OK(qn_estimator_predict(model, &w.rows, NULL, mean, &err));
    CHECK_OK(qn_estimator_predict_std(model, &w.rows, sd, &err));
    for (int64_t i = 0; i < TEST; i++) {
        CHECK_NEAR(mean[i], number_at(golden, "learner_mean", i), 1e-6);
        CHECK_NEAR(sd[i], number_at(golden, "learner_sd", i), 1e-6);
        qn_matrix row = w.rows;
        row.n_rows = 1;
        row.dense += i;
        CHECK_OK(qn_estimator_predict_std(model, &row, &alone, &err));
        CHECK(alone == sd[i]);
    }
    qn_estimator_free(model);
    end(&w);
}

static void deviations_equal_scikit_learns(void **state)
{
    (void)state;
    qn_json *file = read_golden("gaussian_process");
    const qn_json_value cases = qn_json_root(file);
    CHECK_INT(qn_json_size(cases), 3);
    for (int64_t i = 0; i < qn_json_size(cases); i++) {
        check_case(qn_json_at(cases, i));
    }
    qn_json_free(file);
}

static void a_model_that_keeps_none_says_so(void **state)
{
    (void)state;
    qn_json *file = read_golden("gaussian_process");
    struct world w;
    double sd[TEST];
    qn_error err = {0};
    begin(qn_json_at(qn_json_root(file), 0), &w);
    qn_estimator *model = fit(&w, "rbf", false), *constant = NULL;
    CHECK_FAILS(QN_ERR_UNSUPPORTED, qn_estimator_predict_std(model, &w.rows, sd, &err));
    CHECK_CONTAINS(err.message, "return_std=true");
    const double value = 1;
    CHECK_OK(qn_constant_create(&value, 1, &constant, &err));
    CHECK_FAILS(QN_ERR_UNSUPPORTED, qn_estimator_predict_std(constant, &w.rows, sd, &err));
    qn_estimator_free(constant);
    qn_estimator_free(model);
    end(&w);
    qn_json_free(file);
}

static qn_status read_back(const qn_writer *writer, const void *bytes, int64_t n_features,
                           qn_estimator **out, qn_error *err)
{
    qn_reader reader = {.data = bytes, .bytes = writer->bytes};
    const qn_family *family = NULL;
    for (int i = 0; qn_families[i]; i++) {
        if (strcmp(qn_families[i]->name, "gaussian_process") == 0) family = qn_families[i];
    }
    const qn_status status = family->read(&reader, n_features, out, err);
    if (status == QN_OK) (*out)->family = family;
    return status;
}

static void deviations_survive_being_written(void **state)
{
    (void)state;
    qn_json *file = read_golden("gaussian_process");
    struct world w;
    double before[TEST], after[TEST];
    qn_error err = {0};
    begin(qn_json_at(qn_json_root(file), 0), &w);
    qn_estimator *model = fit(&w, "matern52", true), *back = NULL;
    qn_writer writer = {0};
    model->family->write(model, &writer);
    CHECK(!writer.failed);
    CHECK_OK(read_back(&writer, writer.data, w.rows.n_dense, &back, &err));
    CHECK_OK(qn_estimator_predict_std(model, &w.rows, before, &err));
    CHECK_OK(qn_estimator_predict_std(back, &w.rows, after, &err));
    CHECK(memcmp(before, after, sizeof before) == 0);
    qn_estimator_free(back);
    /* Damage is refused, or leaves numbers behind that are none of ours. */
    uint8_t *bytes = qn_alloc_aligned((int64_t)writer.bytes, 1);
    memcpy(bytes, writer.data, writer.bytes);
    for (size_t at = 0; at < writer.bytes; at += 1 + at / 60) {
        bytes[at] ^= 0xff;
        const qn_status status = read_back(&writer, bytes, w.rows.n_dense, &back, NULL);
        CHECK(status == QN_OK || status == QN_ERR_DATA);
        if (status == QN_OK && back->n_outputs == 1) {
            (void)!qn_estimator_predict_std(back, &w.rows, after, NULL);
            qn_estimator_free(back);
        }
        bytes[at] ^= 0xff;
    }
    qn_free(bytes);
    qn_writer_release(&writer);
    qn_estimator_free(model);
    end(&w);
    qn_json_free(file);
}

static void predicting_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_json *file = read_golden("gaussian_process");
    struct world w;
    double sd[TEST];
    begin(qn_json_at(qn_json_root(file), 0), &w);
    qn_estimator *model = fit(&w, "rbf", true);
    CHECK_SURVIVES_NO_MEMORY(qn_estimator_predict_std(model, &w.rows, sd, NULL));
    qn_estimator_free(model);
    end(&w);
    qn_json_free(file);
}

RUN_TESTS(TEST(deviations_equal_scikit_learns), TEST(a_model_that_keeps_none_says_so),
          TEST(deviations_survive_being_written), TEST(predicting_survives_running_out_of_memory))
