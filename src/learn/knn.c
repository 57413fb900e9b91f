/* SPDX-License-Identifier: Apache-2.0 */
/* k nearest neighbours. There is nothing to fit but the number of neighbours, which validation
 * rows choose, and which rows to keep where there are too many. */
#include "learn/simple_learners.h"

#include "base/alloc.h"
#include "learn/row_sample.h"
#include "model/knn_model.h"

#include <math.h>

struct knn_params {
    int64_t n_neighbors;
    int32_t weights, metric;
    int64_t max_rows;
};

#define AT(member) offsetof(struct knn_params, member)

static const char *const weightings[] = {"uniform", "distance", NULL};
static const char *const metrics[] = {"euclidean", "manhattan", "gower", NULL};

static const qn_param params_table[] = {
    {"n_neighbors", QN_PARAM_INT, AT(n_neighbors), 0, QN_NEIGHBOURS_MAX, 0, 0, false, 0, NULL,
     "how many vote; 0: chosen on the validation rows, 15 without them"},
    {"weights", QN_PARAM_CHOICE, AT(weights), 0, 1, 0, 1.99, false, 0, weightings,
     "votes count alike, or by 1 / distance"},
    {"metric", QN_PARAM_CHOICE, AT(metric), 0, 2, 0, 2.99, false, 0, metrics,
     "what near means; gower: for numbers and categories mixed"},
    {"max_rows", QN_PARAM_INT, AT(max_rows), 1, 1e9, 0, 0, false, 50000, NULL,
     "rows kept; of more, a random sample, since each prediction looks at all"},
    {0}};

static const int32_t choices[] = {5, 10, 20, 40, 80, 160};
enum { N_CHOICES = sizeof choices / sizeof *choices, WITHOUT_CHOICE = 15 };

static double loss_of(const qn_dataset *data, const double *predicted)
{
    const qn_dataset_part *valid = &data->valid;
    double loss = 0;
    for (int64_t i = 0; i < valid->n_rows; i++) {
        const double y = valid->target[i], w = valid->weights ? valid->weights[i] : 1;
        const double *p = predicted + i * data->n_outputs;
        if (data->task == QN_TASK_BINARY) {
            loss -= w * log(fmax(y == 1 ? p[0] : 1 - p[0], 1e-3));
        } else if (data->task == QN_TASK_MULTICLASS) {
            loss -= w * log(fmax(p[(int32_t)y], 1e-3));
        } else {
            loss += w * (p[0] - y) * (p[0] - y);
        }
    }
    return loss;
}

/* The number of neighbours with the least loss: log-loss, no probability counted below 0.001, since
 * few votes often give none; or squared error. */
static qn_status choose(const qn_learn_request *request, int64_t n_rows, qn_estimator *model,
                        int32_t *out, qn_error *err)
{
    const qn_dataset *data = request->data;
    double *predicted = qn_alloc_array(data->valid.n_rows * data->n_outputs, sizeof *predicted);
    double best = QN_INF;
    qn_status status = predicted ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for neighbours");
    for (int i = 0; i < N_CHOICES && status == QN_OK; i++) {
        if (i > 0 && (choices[i] > n_rows / 2 || qn_stop_requested(request->stop))) break;
        qn_knn_set_neighbours(model, choices[i]);
        status = qn_estimator_predict(model, &data->valid.views[QN_VIEW_DENSE], request->pool,
                                      predicted, err);
        const double loss = status == QN_OK ? loss_of(data, predicted) : QN_INF;
        if (loss < best) {
            best = loss;
            *out = choices[i];
        } else {
            break; /* one valley, nearly always */
        }
    }
    qn_free(predicted);
    return status;
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    const struct knn_params *params = request->params;
    const qn_matrix *x = &data->train.views[QN_VIEW_DENSE];
    int32_t *rows;
    *result = (qn_learn_result){0};
    if (data->n_dense[QN_VIEW_DENSE] == 0 || !x->dense) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there are no dense columns to measure distances");
    }
    qn_knn_request model = {.task = data->task,
                            .n_outputs = data->n_outputs,
                            .metric = (qn_knn_metric)params->metric,
                            .n_neighbours = params->n_neighbors > 0 ? (int32_t)params->n_neighbors
                                                                    : WITHOUT_CHOICE,
                            .by_distance = params->weights == 1,
                            .rows = x,
                            .target = data->train.target,
                            .weights = data->train.weights};
    QN_TRY(qn_row_sample(data->train.n_rows, params->max_rows, request->seed, 0x6b6e6e, &rows,
                         &model.n_rows, err));
    model.chosen = rows;
    qn_status status = qn_knn_create(&model, &result->estimator, err);
    if (status == QN_OK && params->n_neighbors == 0 && data->valid.n_rows > 0) {
        status = choose(request, model.n_rows, result->estimator, &model.n_neighbours, err);
    }
    if (status == QN_OK) {
        qn_knn_set_neighbours(result->estimator, model.n_neighbours);
    } else {
        qn_estimator_free(result->estimator);
        result->estimator = NULL;
    }
    qn_free(rows);
    return status;
}

const qn_learner qn_learner_knn = {
    .name = "knn",
    .help = "k nearest neighbours, exact; text is not compared",
    .source = "Cover & Hart 1967, Gower 1971",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION |
             1u << QN_TASK_RANKING,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(struct knn_params),
    .fit = fit,
};
