/* SPDX-License-Identifier: Apache-2.0 */
/* The constant model: the same outputs for every row. */
#include "model/constant_model.h"

#include "base/alloc.h"

#include <string.h>

struct constant {
    qn_estimator head;
    double outputs[];
};

qn_status qn_constant_create(const double *outputs, int32_t n_outputs, qn_estimator **out,
                             qn_error *err)
{
    *out = NULL;
    const size_t bytes = (size_t)n_outputs * sizeof *outputs;
    struct constant *model = qn_alloc_array(1, sizeof *model + bytes);
    if (!model) return qn_fail(err, QN_ERR_NOMEM, "no memory for a constant model");
    model->head =
        (qn_estimator){.family = &qn_family_constant, .view = QN_VIEW_TREE, .n_outputs = n_outputs};
    memcpy(model->outputs, outputs, bytes);
    *out = &model->head;
    return QN_OK;
}

static void predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                    void *scratch)
{
    (void)scratch;
    const struct constant *model = (const struct constant *)estimator;
    for (int64_t row = 0; row < features->n_rows; row++) {
        memcpy(out + row * estimator->n_outputs, model->outputs,
               (size_t)estimator->n_outputs * sizeof *out);
    }
}

/* Scores are the predictions themselves. */
static void link_row(const qn_estimator *estimator, double *row)
{
    (void)estimator;
    (void)row;
}

static void pull_back(const qn_estimator *estimator, const double *scores,
                      const double *predictions, double *gradient)
{
    (void)estimator;
    (void)scores;
    (void)predictions;
    (void)gradient;
}

static void write_model(const qn_estimator *estimator, qn_writer *writer)
{
    const struct constant *model = (const struct constant *)estimator;
    qn_write_array(writer, model->outputs, estimator->n_outputs, sizeof *model->outputs);
}

static qn_status read_model(qn_reader *reader, int64_t n_features, qn_estimator **out,
                            qn_error *err)
{
    (void)n_features;
    int64_t n;
    const double *outputs = qn_read_array(reader, sizeof *outputs, &n);
    if (reader->failed || n < 1 || n > QN_CLASSES_MAX) {
        return qn_fail(err, QN_ERR_DATA, "model: a constant model is damaged");
    }
    return qn_constant_create(outputs, (int32_t)n, out, err);
}

static void describe(const qn_estimator *estimator, qn_json_writer *json)
{
    const struct constant *model = (const struct constant *)estimator;
    qn_json_put_double(json, "value", model->outputs[0]);
}

static void free_model(qn_estimator *estimator)
{
    qn_free(estimator);
}

const qn_family qn_family_constant = {.name = "constant",
                                      .predict = predict,
                                      .write = write_model,
                                      .read = read_model,
                                      .scores = predict,
                                      .link = link_row,
                                      .pull_back = pull_back,
                                      .describe = describe,
                                      .free = free_model};
