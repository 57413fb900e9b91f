/* SPDX-License-Identifier: Apache-2.0 */
/* Support vector machines: C-SVC with a machine for each pair of classes, and epsilon-SVR. Each
 * machine is a task, and within it each fit: on all its rows, and without each of the folds whose
 * decisions its sigmoid is fitted to. The fits of a machine share rows of the kernel. Where only
 * landmarks may be vectors, fits run one after the other, for their memory. */
#include "learn/svm/kernel_svm.h"

#include "base/alloc.h"
#include "learn/choice_loss.h"
#include "learn/class_weight.h"
#include "learn/platt.h"
#include "learn/row_sample.h"
#include "learn/svm/nystroem.h"
#include "learn/svm/smo.h"
#include "model/svm_model.h"

#include <math.h>
#include <string.h>

struct svm_params {
    double C, gamma, coef0, epsilon, tol, cache_mb;
    int32_t kernel;
    int64_t degree, platt_folds, max_rows, n_components;
    int32_t class_weight;
};

#define AT(member) offsetof(struct svm_params, member)

static const char *const kernels[] = {"linear", "poly", "rbf", "sigmoid", NULL};

static const qn_param params_table[] = {
    {"kernel", QN_PARAM_CHOICE, AT(kernel), 0, 3, 0, 0, false, 2, kernels,
     "how rows are compared; rbf fits most tables (Hsu, Chang & Lin 2003)"},
    {"C", QN_PARAM_FLOAT, AT(C), 0, 1e6, 0.03, 300, true, 0, NULL,
     "cost of a row on the wrong side; more of it follows the rows more closely; 0: chosen of 0.1 "
     "to 30 on the validation rows, by machines of at most 4,000 rows, 1 without them"},
    {"gamma", QN_PARAM_FLOAT, AT(gamma), 0, 1e4, 0, 0, false, 0, NULL,
     "of rbf, poly and sigmoid; 0: 1 / (columns x variance of their values)"},
    {"degree", QN_PARAM_INT, AT(degree), 1, 16, 0, 0, false, 3, NULL, "of poly"},
    {"coef0", QN_PARAM_FLOAT, AT(coef0), -1e4, 1e4, 0, 0, false, 0, NULL,
     "added to inner products by poly and sigmoid"},
    {"epsilon", QN_PARAM_FLOAT, AT(epsilon), 0, 1e3, 0.01, 0.5, true, 0.1, NULL,
     "regression: errors below it cost nothing, in standard deviations of the target"},
    QN_PARAM_CLASS_WEIGHT(AT(class_weight)),
    {"platt_folds", QN_PARAM_INT, AT(platt_folds), 2, 20, 0, 0, false, 3, NULL,
     "fits on part of the rows whose decisions of the others give the probabilities (Platt 1999)"},
    {"tol", QN_PARAM_FLOAT, AT(tol), 1e-8, 1, 0, 0, false, 1e-3, NULL,
     "largest violation of the optimality conditions"},
    {"cache_mb", QN_PARAM_FLOAT, AT(cache_mb), 1, 1e6, 0, 0, false, 200, NULL,
     "memory for kernels already computed; changes nothing but the time"},
    {"max_rows", QN_PARAM_INT, AT(max_rows), 2, 1e6, 0, 0, false, 20000, NULL,
     "rows that may all be vectors: time grows with their square or faster; more are learnt from "
     "by "
     "landmarks, or sampled"},
    {"n_components", QN_PARAM_INT, AT(n_components), 0, 10000, 0, 0, false, 1000, NULL,
     "landmarks, which alone may be vectors, where there are more than max_rows rows (Nystroem's "
     "method); 0: a random sample of max_rows rows instead"},
    {0}};

/* Everything the machines share. */
struct shared {
    const qn_learn_request *request;
    const struct svm_params *params;
    const qn_matrix *x;
    int32_t *rows; /* learnt from, class after class, in order of the table */
    int64_t *class_ends;
    int32_t n_classes; /* 1: regression */
    double class_weights[QN_CLASSES_MAX];
    int64_t n;
    double offset, scale; /* of the target: regression */
    qn_kernel kernel;
    double share; /* of the rows that are landmarks; 0: all may be vectors */
};

/* One machine: rows of two classes (or all), and what was found for it. */
struct machine {
    const struct shared *shared;
    int32_t i, j;
    int64_t n;
    int32_t *rows;     /* n */
    bool *is_positive; /* n: of class i */
    double *beta;      /* n */
    double *decisions; /* n: by the fit without the row */
    double *weights;   /* n, or NULL */
    double bias;
    qn_platt sigmoid;
    qn_status status;
    bool stopped;
};

/* The fits of one machine. */
struct fits {
    const struct shared *shared;
    struct machine *machine;
    qn_kernel_cache cache;
    qn_status *statuses; /* of fits: the machine's own, then that without each fold */
    bool *stopped;
};

/* C of a row: by its weight and that of its class. */
static double cost_of(const struct shared *s, int32_t row, int32_t of_class)
{
    const double *weights = s->request->data->train.weights;
    return s->params->C * (weights ? weights[row] : 1) * s->class_weights[of_class];
}

/* Variables of row i of the machine: one for a class, two for regression. */
static void set_variables(const struct shared *s, const struct machine *m, int64_t i,
                          bool is_left_out, double *linear, double *low, double *high)
{
    const int32_t row = m->rows[i];
    if (s->n_classes < 2) {
        const double y = (s->request->data->train.target[row] - s->offset) / s->scale;
        linear[i] = y - s->params->epsilon;
        linear[m->n + i] = y + s->params->epsilon;
        low[i] = high[m->n + i] = 0;
        high[i] = cost_of(s, row, 0);
        low[m->n + i] = -high[i];
        return;
    }
    const bool positive = m->is_positive[i];
    const double cost = is_left_out ? 0 : cost_of(s, row, positive ? m->i : m->j);
    linear[i] = positive ? 1 : -1;
    low[i] = positive ? 0 : -cost;
    high[i] = positive ? cost : 0;
}

enum { LANDMARKS_MIN = 20, FEATURES_MAX = 50000000 }; /* 400 MB */

static qn_status solve(const struct shared *s, const qn_smo_request *request, qn_smo_result *result)
{
    const qn_nystroem_request landmarks = {.problem = request,
                                           .share = s->share,
                                           .least = LANDMARKS_MIN,
                                           .seed = s->request->seed,
                                           .pool = s->request->pool};
    return s->share > 0 ? qn_nystroem_solve(&landmarks, result, NULL)
                        : qn_smo_solve(request, result, NULL);
}

/* Fit 0 is the machine; fit f leaves out fold f - 1: rows whose position has that remainder. */
static void run_fit(void *context, int64_t fit)
{
    struct fits *fits = context;
    const struct shared *s = fits->shared;
    struct machine *m = fits->machine;
    const int32_t copies = s->n_classes < 2 ? 2 : 1;
    const int64_t n_folds = s->params->platt_folds;
    double *linear = qn_alloc_array((3 * copies + 2) * m->n, sizeof *linear);
    fits->statuses[fit] = linear ? QN_OK : QN_ERR_NOMEM;
    if (!linear) return;
    double *low = linear + copies * m->n, *high = low + copies * m->n;
    double *beta = high + copies * m->n;
    for (int64_t i = 0; i < m->n; i++) {
        set_variables(s, m, i, i % n_folds == fit - 1, linear, low, high);
    }
    qn_smo_result result = {.beta = fit == 0 ? m->beta : beta, .decisions = beta + m->n};
    const qn_smo_request request = {.x = s->x,
                                    .rows = m->rows,
                                    .n = m->n,
                                    .copies = copies,
                                    .kernel = s->kernel,
                                    .cache = &fits->cache,
                                    .linear = linear,
                                    .low = low,
                                    .high = high,
                                    .tolerance = s->params->tol,
                                    .stop = s->request->stop};
    fits->statuses[fit] = solve(s, &request, &result);
    fits->stopped[fit] = fits->statuses[fit] == QN_OK && result.stopped;
    if (fit == 0) m->bias = result.bias;
    for (int64_t i = fit - 1; fit > 0 && i < m->n; i += n_folds) {
        m->decisions[i] = result.decisions[i];
    }
    qn_free(linear);
}

/* How many machines and how many fits of each are under way at a time share the memory. */
static qn_status share_rows(struct fits *fits, int64_t n_machines, int64_t n_fits)
{
    const struct shared *s = fits->shared;
    const int n_threads = qn_pool_n_threads(s->request->pool);
    const int64_t n_readers = n_fits < n_threads ? n_fits : n_threads;
    const int64_t at_once = n_machines < n_threads ? n_machines : n_threads;
    return s->share > 0
               ? QN_OK
               : qn_kernel_cache_init(&fits->cache, s->x, fits->machine->rows, fits->machine->n,
                                      &s->kernel, s->params->cache_mb * 1e6 / (double)at_once,
                                      (int)n_readers, NULL);
}

static void run_machine(void *context, int64_t index)
{
    struct machine *m = (struct machine *)context + index;
    const struct shared *s = m->shared;
    const int64_t n_fits = s->n_classes < 2 ? 1 : s->params->platt_folds + 1;
    struct fits fits = {.shared = s,
                        .machine = m,
                        .statuses = qn_alloc_array(n_fits, sizeof *fits.statuses),
                        .stopped = qn_alloc_array(n_fits, sizeof *fits.stopped)};
    m->status = fits.statuses && fits.stopped
                    ? share_rows(&fits, qn_svm_n_machines(s->n_classes), n_fits)
                    : QN_ERR_NOMEM;
    if (m->status == QN_OK) {
        qn_pool_run(s->share > 0 ? NULL : s->request->pool, n_fits, run_fit, &fits);
        for (int64_t f = 0; f < n_fits; f++) {
            if (fits.statuses[f] != QN_OK) m->status = fits.statuses[f];
            m->stopped |= fits.stopped[f];
        }
        qn_kernel_cache_release(&fits.cache);
    }
    if (m->status == QN_OK && n_fits > 1) {
        m->sigmoid = qn_platt_fit(m->decisions, m->is_positive, m->weights, m->n);
    }
    qn_free(fits.statuses);
    qn_free(fits.stopped);
}

static void machine_release(struct machine *m)
{
    qn_free(m->rows);
    qn_free(m->is_positive);
    qn_free(m->beta);
    *m = (struct machine){0};
}

static qn_status machine_init(const struct shared *s, int32_t i, int32_t j, struct machine *m,
                              qn_error *err)
{
    const int64_t i_begin = i > 0 ? s->class_ends[i - 1] : 0, n_i = s->class_ends[i] - i_begin;
    const int64_t j_begin = j > 0 ? s->class_ends[j - 1] : 0;
    const int64_t n_j = j > i ? s->class_ends[j] - j_begin : 0;
    *m = (struct machine){.shared = s, .i = i, .j = j, .n = n_i + n_j};
    m->rows = qn_alloc_array(m->n, sizeof *m->rows);
    m->is_positive = qn_alloc_array(m->n, sizeof *m->is_positive);
    m->beta = qn_alloc_array(3 * m->n, sizeof *m->beta);
    if (!m->rows || !m->is_positive || !m->beta) {
        machine_release(m);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a support vector machine");
    }
    m->decisions = m->beta + m->n;
    memcpy(m->rows, s->rows + i_begin, (size_t)n_i * sizeof *m->rows);
    if (n_j > 0) memcpy(m->rows + n_i, s->rows + j_begin, (size_t)n_j * sizeof *m->rows);
    const double *weights = s->request->data->train.weights;
    m->weights = weights ? m->decisions + m->n : NULL;
    for (int64_t at = 0; at < m->n; at++) {
        m->is_positive[at] = at < n_i;
        if (weights) m->weights[at] = weights[m->rows[at]];
    }
    return QN_OK;
}

/* The vectors are the rows with a coefficient in any machine. */
static qn_status make_model(const struct shared *s, const struct machine *machines,
                            qn_estimator **out, qn_error *err)
{
    const int32_t k = s->n_classes;
    const int64_t n_roles = k < 2 ? 1 : k - 1, n_machines = qn_svm_n_machines(k);
    double *coefficients = qn_alloc_array(n_roles * s->n, sizeof *coefficients);
    double *numbers = qn_alloc_array(3 * n_machines, sizeof *numbers);
    int64_t *ends = qn_alloc_array(k, sizeof *ends);
    int32_t *rows = qn_alloc_array(s->n, sizeof *rows);
    qn_status status = QN_OK;
    if (!coefficients || !numbers || !ends || !rows) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for a support vector machine");
        goto done;
    }
    for (int64_t m = 0; m < n_machines; m++) {
        const int32_t i = machines[m].i, j = machines[m].j;
        const int64_t i_begin = i > 0 ? s->class_ends[i - 1] : 0, n_i = s->class_ends[i] - i_begin;
        numbers[3 * m] = machines[m].bias;
        numbers[3 * m + 1] = k < 2 ? s->scale : machines[m].sigmoid.a;
        numbers[3 * m + 2] = k < 2 ? s->offset : machines[m].sigmoid.b;
        memcpy(coefficients + (k < 2 ? 0 : j - 1) * s->n + i_begin, machines[m].beta,
               (size_t)n_i * sizeof *coefficients);
        if (k < 2) continue;
        memcpy(coefficients + i * s->n + s->class_ends[j - 1], machines[m].beta + n_i,
               (size_t)(s->class_ends[j] - s->class_ends[j - 1]) * sizeof *coefficients);
    }
    int64_t n_vectors = 0;
    for (int32_t c = 0; c < k; c++) {
        for (int64_t v = c > 0 ? s->class_ends[c - 1] : 0; v < s->class_ends[c]; v++) {
            bool is_used = false;
            for (int64_t role = 0; role < n_roles; role++) {
                is_used |= coefficients[role * s->n + v] != 0;
            }
            if (!is_used) continue;
            for (int64_t role = 0; role < n_roles; role++) {
                coefficients[role * s->n + n_vectors] = coefficients[role * s->n + v];
            }
            rows[n_vectors++] = s->rows[v];
        }
        ends[c] = n_vectors;
    }
    for (int64_t role = 1; role < n_roles; role++) {
        memmove(coefficients + role * n_vectors, coefficients + role * s->n,
                (size_t)n_vectors * sizeof *coefficients);
    }
    const qn_svm_model model = {.n_classes = k,
                                .n_outputs = s->request->data->n_outputs,
                                .kernel = s->kernel,
                                .x = s->x,
                                .rows = rows,
                                .class_ends = ends,
                                .n_vectors = n_vectors,
                                .coefficients = coefficients,
                                .machines = numbers};
    status = qn_svm_create(&model, out, err);
done:
    qn_free(coefficients);
    qn_free(numbers);
    qn_free(ends);
    qn_free(rows);
    return status;
}

static qn_status run_machines(const struct shared *s, struct machine *machines, int64_t n_machines,
                              bool *stopped, qn_error *err)
{
    qn_status status = QN_OK;
    qn_pool_run(s->share > 0 ? NULL : s->request->pool, n_machines, run_machine, machines);
    for (int64_t m = 0; m < n_machines; m++) {
        if (machines[m].status != QN_OK) status = machines[m].status;
        *stopped |= machines[m].stopped;
    }
    if (status == QN_ERR_INTERRUPTED) {
        return qn_fail(err, status, "stopped before a machine was fitted");
    }
    if (status == QN_ERR_DATA) {
        return qn_fail(err, status,
                       "svm: the kernel is not positive definite on these rows; take "
                       "rbf, or another gamma or coef0");
    }
    if (status != QN_OK) {
        return qn_fail(err, status, "no memory for support vector machines; make cache_mb less");
    }
    return QN_OK;
}

static qn_status fit_machines(const struct shared *s, qn_learn_result *result, qn_error *err)
{
    const int64_t n_machines = qn_svm_n_machines(s->n_classes);
    struct machine *machines = qn_alloc_array(n_machines, sizeof *machines);
    qn_status status = QN_OK;
    if (!machines) return qn_fail(err, QN_ERR_NOMEM, "no memory for support vector machines");
    int64_t m = 0;
    for (int32_t i = 0; i < s->n_classes; i++) {
        for (int32_t j = s->n_classes < 2 ? 0 : i + 1;
             j < s->n_classes && m < n_machines && status == QN_OK; j++, m++) {
            status = machine_init(s, i, j, machines + m, err);
        }
    }
    if (status == QN_OK) status = run_machines(s, machines, n_machines, &result->stopped, err);
    if (status == QN_OK) status = make_model(s, machines, &result->estimator, err);
    for (m = 0; m < n_machines; m++) {
        machine_release(machines + m);
    }
    qn_free(machines);
    return status;
}

/* Rows learnt from, sorted by class, in order of the table within each. */
static qn_status choose_rows(struct shared *s, qn_error *err)
{
    const qn_dataset *data = s->request->data;
    const int64_t n_rows = data->train.n_rows, n_landmarks = s->params->n_components;
    const bool by_landmarks = n_rows > s->params->max_rows && n_landmarks > 0;
    int64_t max_rows = s->params->max_rows;
    int32_t *sample;
    if (by_landmarks && max_rows < FEATURES_MAX / n_landmarks) {
        max_rows = FEATURES_MAX / n_landmarks;
    }
    QN_TRY(qn_row_sample(n_rows, max_rows, s->request->seed, 0x73766d, &sample, &s->n, err));
    s->share = by_landmarks ? (double)n_landmarks / (double)s->n : 0;
    s->rows = qn_alloc_array(s->n, sizeof *s->rows);
    s->class_ends = qn_alloc_array(s->n_classes, sizeof *s->class_ends);
    if (!s->rows || !s->class_ends) {
        qn_free(sample);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for support vector machines");
    }
    int64_t n = 0;
    for (int32_t c = 0; c < s->n_classes; c++) {
        for (int64_t i = 0; i < s->n; i++) {
            const int32_t row = sample ? sample[i] : (int32_t)i;
            if (s->n_classes > 1 && (int32_t)data->train.target[row] != c) continue;
            s->rows[n++] = row;
        }
        s->class_ends[c] = n;
    }
    qn_free(sample);
    return QN_OK;
}

/* 1 / (columns × variance of all values), as scikit-learn's "scale". */
static double scale_gamma(const struct shared *s)
{
    const qn_matrix *x = s->x;
    const double n = (double)s->n * (double)(x->n_dense + x->n_sparse);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < s->n; i++) {
        for (int64_t f = 0; f < x->n_dense; f++) {
            const double value = x->dense[f * x->stride + s->rows[i]];
            sum += value;
            squares += value * value;
        }
        for (int64_t p = x->n_sparse > 0 ? x->sparse_starts[s->rows[i]] : 0;
             x->n_sparse > 0 && p < x->sparse_starts[s->rows[i] + 1]; p++) {
            sum += (double)x->sparse_values[p];
            squares += (double)x->sparse_values[p] * (double)x->sparse_values[p];
        }
    }
    const double variance = squares / n - sum / n * (sum / n);
    return variance > 0 ? 1 / ((double)(x->n_dense + x->n_sparse) * variance) : 1;
}

/* Weighted mean and standard deviation of the target. */
static void scale_target(struct shared *s)
{
    const qn_dataset_part *train = &s->request->data->train;
    double sum = 0, total = 0, squares = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double w = train->weights ? train->weights[s->rows[i]] : 1;
        sum += w * train->target[s->rows[i]];
        total += w;
    }
    s->offset = sum / total;
    for (int64_t i = 0; i < s->n; i++) {
        const double w = train->weights ? train->weights[s->rows[i]] : 1;
        const double d = train->target[s->rows[i]] - s->offset;
        squares += w * d * d;
    }
    s->scale = squares > 0 ? sqrt(squares / total) : 1;
}

static qn_status fit_with(const qn_learn_request *request, const struct svm_params *params,
                          qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    *result = (qn_learn_result){0};
    struct shared s = {.request = request,
                       .params = params,
                       .x = &data->train.views[QN_VIEW_DENSE],
                       .n_classes = data->task == QN_TASK_REGRESSION ? 1 : data->n_classes};
    if (s.x->n_dense + s.x->n_sparse == 0) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there are no columns for a kernel to compare");
    }
    if (qn_stop_requested(request->stop)) {
        return qn_fail(err, QN_ERR_INTERRUPTED, "stopped before a machine was fitted");
    }
    (void)qn_class_weights(data, params->class_weight, s.class_weights);
    qn_status status = choose_rows(&s, err);
    if (status == QN_OK) {
        if (s.n_classes < 2) scale_target(&s);
        s.kernel =
            (qn_kernel){.kind = (qn_kernel_kind)params->kernel,
                        .degree = (int32_t)params->degree,
                        .gamma = (float)(params->gamma > 0 ? params->gamma : scale_gamma(&s)),
                        .coef0 = (float)params->coef0};
        status = fit_machines(&s, result, err);
    }
    qn_free(s.rows);
    qn_free(s.class_ends);
    return status;
}

/* The choice of C. */

static const double costs[] = {0.1, 0.3, 1, 3, 10, 30};
enum { N_COSTS = sizeof costs / sizeof *costs, WITHOUT_CHOICE = 2, CHOICE_ROWS = 4000 };

struct choice {
    const qn_learn_request *request;
    struct svm_params params; /* of the fits that are compared */
    double *predicted;        /* of the validation rows */
    double loss;              /* the least so far, of costs[at] and `best` */
    int at;
    qn_learn_result best;
};

/* Fits with costs[at] and keeps the better one. Told to stop, it leaves the best as it is, if
 * there is one. */
static qn_status try_cost(struct choice *c, int at, bool *is_better, qn_error *err)
{
    const qn_dataset *data = c->request->data;
    qn_learn_result result = {0};
    double loss = 0;
    *is_better = false;
    c->params.C = costs[at];
    qn_status status = fit_with(c->request, &c->params, &result, err);
    if (c->best.estimator && (status == QN_ERR_INTERRUPTED || result.stopped)) {
        c->best.stopped = true;
        qn_estimator_free(result.estimator);
        return QN_OK;
    }
    if (status != QN_OK) return status;
    status = qn_estimator_predict(result.estimator, &data->valid.views[QN_VIEW_DENSE],
                                  c->request->pool, c->predicted, err);
    for (int64_t i = 0; i < data->valid.n_rows && status == QN_OK; i++) {
        loss += qn_choice_loss(data, i, c->predicted + i * data->n_outputs);
    }
    *is_better = status == QN_OK && (!c->best.estimator || loss < c->loss);
    if (!*is_better) {
        qn_estimator_free(result.estimator);
        return status;
    }
    qn_estimator_free(c->best.estimator);
    c->best = result;
    c->loss = loss;
    c->at = at;
    return QN_OK;
}

/* From 1 upwards as long as it is better, else downwards: one valley, nearly always. */
static qn_status descend(struct choice *c, qn_error *err)
{
    bool is_better;
    QN_TRY(try_cost(c, WITHOUT_CHOICE, &is_better, err));
    for (int step = 1; step >= -1 && c->at == WITHOUT_CHOICE; step -= 2) {
        for (int at = WITHOUT_CHOICE + step; at >= 0 && at < N_COSTS; at += step) {
            if (c->best.stopped) return QN_OK;
            QN_TRY(try_cost(c, at, &is_better, err));
            if (!is_better) break;
        }
    }
    return QN_OK;
}

/* Fits compared are of a sample where there are many rows, and then the cost is all that is kept
 * of them, unless there is no time for more; else the best is the result. */
static qn_status choose_and_fit(const qn_learn_request *request, qn_learn_result *result,
                                qn_error *err)
{
    const qn_dataset *data = request->data;
    struct svm_params params = *(const struct svm_params *)request->params;
    const bool is_sampled = data->train.n_rows > CHOICE_ROWS && params.max_rows > CHOICE_ROWS;
    struct choice c = {
        .request = request,
        .params = params,
        .predicted = qn_alloc_array(data->valid.n_rows * data->n_outputs, sizeof *c.predicted)};
    if (!c.predicted) return qn_fail(err, QN_ERR_NOMEM, "no memory for support vector machines");
    if (is_sampled) {
        c.params.max_rows = CHOICE_ROWS;
        c.params.n_components = 0;
    }
    qn_status status = descend(&c, err);
    qn_free(c.predicted);
    if (status == QN_OK && (!is_sampled || c.best.stopped)) {
        *result = c.best;
        return QN_OK;
    }
    qn_estimator_free(c.best.estimator);
    params.C = costs[c.at];
    return status == QN_OK ? fit_with(request, &params, result, err) : status;
}

static qn_status fit(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    struct svm_params params = *(const struct svm_params *)request->params;
    *result = (qn_learn_result){0};
    if (params.C == 0 && request->data->valid.n_rows > 0) {
        return choose_and_fit(request, result, err);
    }
    if (params.C == 0) params.C = costs[WITHOUT_CHOICE];
    return fit_with(request, &params, result, err);
}

const qn_learner qn_learner_svm = {
    .name = "svm",
    .help = "support vector machines with kernels, for classes and for regression",
    .source =
        "Cortes & Vapnik 1995, Fan, Chen & Lin 2005 (SMO), Williams & Seeger 2001, Platt 1999, "
        "Wu, Lin & Weng 2004",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS | 1u << QN_TASK_REGRESSION,
    .capabilities = QN_LEARNER_WEIGHTS | QN_LEARNER_PARTIAL | QN_LEARNER_THREADS,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(struct svm_params),
    .fit = fit,
};
