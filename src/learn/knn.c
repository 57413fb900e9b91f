/* SPDX-License-Identifier: Apache-2.0 */
/* k nearest neighbours. There is nothing to fit but the number of neighbours, which validation
 * rows choose, which rows to keep where there are too many, and cells where there are many. */
#include "learn/simple_learners.h"

#include "base/alloc.h"
#include "learn/choice_loss.h"
#include "learn/knn_cells.h"
#include "learn/row_sample.h"
#include "model/knn_model.h"

#include <math.h>

struct knn_params {
    int64_t n_neighbors;
    int32_t weights, metric, algorithm;
    int64_t max_rows;
};

#define AT(member) offsetof(struct knn_params, member)

static const char *const weightings[] = {"uniform", "distance", NULL};
static const char *const metrics[] = {"euclidean", "manhattan", "gower", NULL};
enum { AUTO, EXACT, CELLS, CELLS_ROWS_MIN = 50000 };
static const char *const algorithms[] = {"auto", "exact", "cells", NULL};

static const qn_param params_table[] = {
    {"n_neighbors", QN_PARAM_INT, AT(n_neighbors), 0, QN_NEIGHBOURS_MAX, 0, 0, false, 0, NULL,
     "how many vote; 0: chosen on 4,000 of the validation rows, 15 without them"},
    {"weights", QN_PARAM_CHOICE, AT(weights), 0, 1, 0, 1.99, false, 0, weightings,
     "votes count alike, or by 1 / distance"},
    {"metric", QN_PARAM_CHOICE, AT(metric), 0, 2, 0, 2.99, false, 0, metrics,
     "what near means; gower: for numbers and categories mixed"},
    {"algorithm", QN_PARAM_CHOICE, AT(algorithm), 0, CELLS, 0, 0, false, AUTO, algorithms,
     "look at all rows, or at cells of near rows that hold 95 % of the nearest; auto: cells from "
     "50,000 rows on"},
    {"max_rows", QN_PARAM_INT, AT(max_rows), 1, 1e9, 0, 0, false, 200000, NULL,
     "rows kept; of more, a random sample, since a model of a million rows is a large file"},
    {0}};

static const int32_t choices[] = {5, 10, 20, 40, 80, 160};
enum {
    N_CHOICES = sizeof choices / sizeof *choices,
    WITHOUT_CHOICE = 15,
    JUDGED_MAX = 4000,
    JUDGED_PART = 1024
};

/* Validation rows that the number of neighbours is chosen by, at equal steps. */
struct judged {
    qn_matrix rows;
    double *predicted; /* rows.n_rows × n_outputs */
};

static int64_t row_of(const qn_dataset_part *valid, const struct judged *judged, int64_t i)
{
    return i * valid->n_rows / judged->rows.n_rows;
}

static double loss_of(const qn_dataset *data, const struct judged *judged)
{
    double loss = 0;
    for (int64_t i = 0; i < judged->rows.n_rows; i++) {
        loss += qn_choice_loss(data, row_of(&data->valid, judged, i),
                               judged->predicted + i * data->n_outputs);
    }
    return loss;
}

/* What fit() works on. */
struct fitting {
    const qn_learn_request *request;
    qn_knn_request model;
    int32_t *sample; /* NULL: all rows */
    float *scales;
    qn_knn_cells_request cells_request;
    qn_knn_cells cells;
    qn_estimator *estimator;
};

static qn_status set_neighbours(struct fitting *f, int32_t n_neighbours, qn_error *err)
{
    qn_knn_set_neighbours(f->estimator, n_neighbours);
    return f->cells.n > 0
               ? qn_knn_cells_tune(f->estimator, n_neighbours, &f->cells_request, &f->cells, err)
               : QN_OK;
}

/* Part by part, since a row may take a millisecond. */
static qn_status predict_judged(const struct fitting *f, struct judged *judged, bool *stopped,
                                qn_error *err)
{
    const int64_t k = f->model.n_outputs;
    *stopped = false;
    for (int64_t first = 0; first < judged->rows.n_rows; first += JUDGED_PART) {
        const int64_t rest = judged->rows.n_rows - first;
        qn_matrix part = judged->rows;
        part.n_rows = rest < JUDGED_PART ? rest : JUDGED_PART;
        part.dense += first;
        *stopped = qn_stop_requested(f->request->stop);
        if (*stopped) return QN_OK;
        QN_TRY(qn_estimator_predict(f->estimator, &part, f->request->pool,
                                    judged->predicted + first * k, err));
    }
    return QN_OK;
}

/* The number of neighbours with the least loss. */
static qn_status choose(struct fitting *f, struct judged *judged, int32_t *out, qn_error *err)
{
    double best = QN_INF;
    for (int i = 0; i < N_CHOICES; i++) {
        bool stopped;
        if (i > 0 && choices[i] > f->model.n_rows / 2) break;
        QN_TRY(set_neighbours(f, choices[i], err));
        QN_TRY(predict_judged(f, judged, &stopped, err));
        if (stopped) break;
        const double loss = loss_of(f->request->data, judged);
        if (!(loss < best)) break; /* one valley, nearly always */
        best = loss;
        *out = choices[i];
    }
    return QN_OK;
}

static qn_status judge_and_choose(struct fitting *f, int32_t *out, qn_error *err)
{
    const qn_dataset *data = f->request->data;
    const qn_matrix *x = &data->valid.views[QN_VIEW_DENSE];
    struct judged judged;
    QN_TRY(qn_matrix_init(&judged.rows, x->n_rows < JUDGED_MAX ? x->n_rows : JUDGED_MAX, x->n_dense,
                          err));
    const int64_t n = judged.rows.n_rows;
    for (int64_t col = 0; col < x->n_dense; col++) {
        for (int64_t i = 0; i < n; i++) {
            judged.rows.dense[col * n + i] =
                x->dense[col * x->stride + row_of(&data->valid, &judged, i)];
        }
    }
    judged.predicted = qn_alloc_array(n * data->n_outputs, sizeof *judged.predicted);
    const qn_status status = judged.predicted
                                 ? choose(f, &judged, out, err)
                                 : qn_fail(err, QN_ERR_NOMEM, "no memory for neighbours");
    qn_free(judged.predicted);
    qn_matrix_release(&judged.rows);
    return status;
}

/* Absolute differences count once for a number's whole range, half for an indicator. */
static void find_scales(const qn_knn_request *model, float *scales)
{
    const qn_matrix *x = model->rows;
    for (int64_t f = 0; f < x->n_dense; f++) {
        double low = QN_INF, high = -QN_INF;
        bool is_indicator = true;
        for (int64_t i = 0; i < model->n_rows; i++) {
            const double value = x->dense[f * x->stride + (model->chosen ? model->chosen[i] : i)];
            low = fmin(low, value);
            high = fmax(high, value);
            is_indicator &= value == 0 || value == 1;
        }
        scales[f] = is_indicator ? 0.5F : high > low ? (float)(1 / (high - low)) : 0;
    }
}

/* Rows to keep, scales and cells. */
static qn_status prepare(struct fitting *f, qn_error *err)
{
    const qn_learn_request *request = f->request;
    const struct knn_params *params = request->params;
    qn_knn_request *model = &f->model;
    QN_TRY(qn_row_sample(request->data->train.n_rows, params->max_rows, request->seed, 0x6b6e6e,
                         &f->sample, &model->n_rows, err));
    model->chosen = f->sample;
    if (model->metric == QN_KNN_GOWER) {
        f->scales = qn_alloc_array(model->rows->n_dense, sizeof *f->scales);
        if (!f->scales) return qn_fail(err, QN_ERR_NOMEM, "no memory for neighbours");
        find_scales(model, f->scales);
        model->scales = f->scales;
    }
    if (params->algorithm == EXACT ||
        (params->algorithm == AUTO && model->n_rows < CELLS_ROWS_MIN)) {
        return QN_OK;
    }
    f->cells_request = (qn_knn_cells_request){.rows = model->rows,
                                              .chosen = model->chosen,
                                              .n_rows = model->n_rows,
                                              .scales = model->scales,
                                              .seed = request->seed,
                                              .stop = request->stop,
                                              .pool = request->pool};
    QN_TRY(qn_knn_cells_create(&f->cells_request, &f->cells, err));
    model->chosen = f->cells.order;
    model->n_cells = f->cells.n;
    model->cell_starts = f->cells.starts;
    return QN_OK;
}

static qn_status fit_prepared(struct fitting *f, qn_error *err)
{
    const struct knn_params *params = f->request->params;
    int32_t n_neighbours = f->model.n_neighbours;
    QN_TRY(qn_knn_create(&f->model, &f->estimator, err));
    if (params->n_neighbors == 0 && f->request->data->valid.n_rows > 0) {
        QN_TRY(judge_and_choose(f, &n_neighbours, err));
    }
    return set_neighbours(f, n_neighbours, err);
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    const struct knn_params *params = request->params;
    const qn_matrix *x = &data->train.views[QN_VIEW_DENSE];
    *result = (qn_learn_result){0};
    if (data->n_dense[QN_VIEW_DENSE] == 0 || !x->dense) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there are no dense columns to measure distances");
    }
    struct fitting f = {.request = request,
                        .model = {.task = data->task,
                                  .n_outputs = data->n_outputs,
                                  .metric = (qn_knn_metric)params->metric,
                                  .n_neighbours = params->n_neighbors > 0
                                                      ? (int32_t)params->n_neighbors
                                                      : WITHOUT_CHOICE,
                                  .by_distance = params->weights == 1,
                                  .rows = x,
                                  .target = data->train.target,
                                  .weights = data->train.weights,
                                  .pool = request->pool}};
    qn_status status = prepare(&f, err);
    if (status == QN_OK) status = fit_prepared(&f, err);
    if (status == QN_OK) {
        result->estimator = f.estimator;
    } else {
        qn_estimator_free(f.estimator);
    }
    qn_free(f.sample);
    qn_free(f.scales);
    qn_knn_cells_release(&f.cells);
    return status;
}

const qn_learner qn_learner_knn = {
    .name = "knn",
    .help = "k nearest neighbours, exact or by cells of near rows; text is not compared",
    .source = "Cover & Hart 1967, Gower 1971; cells: Jégou, Douze & Schmid 2011",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION |
             1u << QN_TASK_RANKING,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(struct knn_params),
    .fit = fit,
};
