/* SPDX-License-Identifier: Apache-2.0 */
/* The training loop. The random streams of an epoch and of a step are named by their numbers; sums
 * over a batch run in one order; so the same request gives the same bytes on any number of
 * threads. Parameters are averaged exponentially (Polyak & Juditsky 1992, with Adam's correction of
 * the beginning), and it is the average that validation judges and the model keeps. */
#include "learn/mlp/mlp_internal.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "learn/class_weight.h"
#include "learn/mlp/backprop.h"
#include "learn/mlp/optimiser.h"

#include <math.h>
#include <string.h>

enum { PLATEAU_EPOCHS = 3, VALID_ROWS = 256 };

struct trainer {
    const qn_learn_request *request;
    const struct qn_mlp_params *params;
    const struct qn_mlp_targets *targets;
    qn_network *network;
    qn_pass pass;
    qn_optimiser optimiser;
    int64_t batch_rows, n_batches, n_epochs; /* rows a batch, batches an epoch, epochs */
    int64_t step, n_halvings;
    float *dense;                     /* the training rows, row after row: n × n_dense */
    float *batch;                     /* batch_rows × n_dense */
    float *wanted;                    /* batch_rows × n_outputs: targets of the batch */
    float *weights;                   /* batch_rows */
    int32_t *order;                   /* the training rows, shuffled */
    float *gradient, *average, *best; /* n_params each */
    double share;                     /* of the average that is still the zero it began with */
};

double qn_mlp_row_weight(const struct qn_mlp_targets *targets, const qn_dataset_part *part,
                         int64_t row)
{
    const double own = part->weights ? part->weights[row] : 1;
    const bool is_class = targets->link != QN_MLP_IDENTITY;
    return is_class ? own * targets->class_weights[(int32_t)part->target[row]] : own;
}

void qn_mlp_targets_init(struct qn_mlp_targets *targets, const qn_dataset *data,
                         const struct qn_mlp_params *params)
{
    const qn_dataset_part *train = &data->train;
    *targets = (struct qn_mlp_targets){.link = data->task == QN_TASK_BINARY       ? QN_MLP_LOGISTIC
                                               : data->task == QN_TASK_MULTICLASS ? QN_MLP_SOFTMAX
                                                                                  : QN_MLP_IDENTITY,
                                       .scale = 1,
                                       .n_outputs = data->n_outputs};
    (void)qn_class_weights(data, params->class_weight, targets->class_weights);
    if (targets->link != QN_MLP_IDENTITY) return;
    double total = 0, sum = 0, squares = 0;
    for (int64_t i = 0; i < train->n_rows; i++) {
        const double w = train->weights ? train->weights[i] : 1;
        total += w;
        sum += w * train->target[i];
    }
    targets->offset = total > 0 ? sum / total : 0;
    for (int64_t i = 0; i < train->n_rows; i++) {
        const double d = train->target[i] - targets->offset;
        squares += (train->weights ? train->weights[i] : 1) * d * d;
    }
    if (squares > 0) targets->scale = sqrt(squares / total);
}

/* Few rows want small batches: about 60 steps an epoch where there are enough of them. */
static int64_t choose_batch(int64_t asked, int64_t n_rows)
{
    int64_t rows = asked;
    if (rows == 0) {
        for (rows = 32; rows < 512 && rows * 90 < n_rows;) {
            rows *= 2;
        }
    }
    return rows < n_rows ? rows : n_rows;
}

static void release(struct trainer *t)
{
    qn_pass_release(&t->pass);
    qn_optimiser_release(&t->optimiser);
    qn_free(t->dense);
    qn_free(t->batch);
    qn_free(t->wanted);
    qn_free(t->weights);
    qn_free(t->order);
    qn_free(t->gradient);
    qn_free(t->average);
    qn_free(t->best);
}

static qn_status prepare(struct trainer *t, qn_error *err)
{
    const struct qn_mlp_params *params = t->params;
    const qn_matrix *x = &t->request->data->train.views[QN_VIEW_DENSE];
    const int64_t n = x->n_rows, n_params = t->network->n_params;
    t->batch_rows = choose_batch(params->batch_size, n);
    t->n_batches = (n + t->batch_rows - 1) / t->batch_rows;
    const double fidelity = t->request->fidelity > 0 ? t->request->fidelity : 1;
    t->n_epochs = (int64_t)fmax(1, floor(fidelity * (double)params->epochs + 0.5));
    t->dense = qn_alloc_aligned(n * x->n_dense, sizeof *t->dense);
    t->batch = qn_alloc_aligned(t->batch_rows * x->n_dense, sizeof *t->batch);
    t->wanted = qn_alloc_aligned(t->batch_rows * t->targets->n_outputs, sizeof *t->wanted);
    t->weights = qn_alloc_aligned(t->batch_rows, sizeof *t->weights);
    t->order = qn_alloc_array(n, sizeof *t->order);
    t->gradient = qn_alloc_aligned(n_params, sizeof *t->gradient);
    t->average = qn_alloc_array(n_params, sizeof *t->average);
    t->best = qn_alloc_array(n_params, sizeof *t->best);
    if (!t->dense || !t->batch || !t->wanted || !t->weights || !t->order || !t->gradient ||
        !t->average || !t->best) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory to train a neural network");
    }
    qn_matrix_gather(x, 0, n, x->n_dense, t->dense);
    t->share = 1;
    t->optimiser = (qn_optimiser){.kind = params->optimizer,
                                  .momentum = (float)params->momentum,
                                  .weight_decay = (float)params->weight_decay,
                                  .clip = (float)params->clip};
    QN_TRY(qn_optimiser_init(&t->optimiser, n_params, err));
    QN_TRY(qn_pass_init(&t->pass, t->network, t->batch_rows > 2 ? t->batch_rows : 2, err));
    t->pass.pool = t->request->pool;
    return QN_OK;
}

/* Targets of one row, with label smoothing (Szegedy et al. 2016). */
static void target_row(const struct trainer *t, double y, float *out)
{
    const int32_t k = t->targets->n_outputs;
    const double smoothing = t->params->label_smoothing;
    if (t->targets->link == QN_MLP_IDENTITY) {
        out[0] = (float)((y - t->targets->offset) / t->targets->scale);
    } else if (t->targets->link == QN_MLP_LOGISTIC) {
        out[0] = (float)(y * (1 - smoothing) + smoothing / 2);
    } else {
        for (int32_t c = 0; c < k; c++) {
            out[c] = (float)((y == c) * (1 - smoothing) + smoothing / k);
        }
    }
}

/* A share drawn from Beta(alpha, alpha) by Jöhnk's method; mixup, Zhang et al. 2018. */
static float draw_share(double alpha, qn_rng *rng)
{
    if (alpha <= 0) return 0;
    for (int tries = 0; tries < 1000; tries++) {
        const double x = pow(qn_rng_uniform(rng), 1 / alpha);
        const double y = pow(qn_rng_uniform(rng), 1 / alpha);
        if (x + y <= 1 && x + y > 0) return (float)fmin(x / (x + y), y / (x + y));
    }
    return 0.5F;
}

/* Rows order[first …], with their targets and weights of mean about one. */
static void fill_batch(struct trainer *t, int64_t first, int64_t n_rows)
{
    const qn_dataset_part *train = &t->request->data->train;
    const int64_t n_dense = train->views[QN_VIEW_DENSE].n_dense;
    for (int64_t i = 0; i < n_rows; i++) {
        const int32_t row = t->order[first + i];
        memcpy(t->batch + i * n_dense, t->dense + row * n_dense,
               (size_t)n_dense * sizeof *t->batch);
        target_row(t, train->target[row], t->wanted + i * t->targets->n_outputs);
        t->weights[i] = (float)qn_mlp_row_weight(t->targets, train, row);
    }
}

/* The mean loss by the outputs is (prediction - target) × weight / rows for all three links. */
static void loss_slopes(const struct trainer *t, const float *outputs, int64_t n_rows,
                        float *slopes)
{
    const int32_t k = t->targets->n_outputs;
    double p[QN_CLASSES_MAX];
    for (int64_t i = 0; i < n_rows; i++) {
        qn_mlp_link_row(t->targets->link, 0, 1, outputs + i * k, k, p);
        const float w = t->weights[i] / (float)n_rows;
        for (int32_t c = 0; c < k; c++) {
            slopes[i * k + c] = w * ((float)p[c] - t->wanted[i * k + c]);
        }
    }
}

static void move_average(struct trainer *t)
{
    const float decay = (float)t->params->averaging;
    const float *params = t->network->params;
    for (int64_t i = 0; i < t->network->n_params; i++) {
        t->average[i] = decay * t->average[i] + (1 - decay) * params[i];
    }
    t->share *= (double)decay;
}

static void train_step(struct trainer *t, int64_t first, int64_t n_rows, qn_rng *rng)
{
    const struct qn_mlp_params *params = t->params;
    const qn_matrix *x = &t->request->data->train.views[QN_VIEW_DENSE];
    const qn_encoder_rows rows = {
        .n_rows = n_rows, .dense = t->batch, .sparse = x, .rows = t->order + first};
    fill_batch(t, first, n_rows);
    t->pass.seed = qn_rng_next(rng);
    t->pass.mixed = draw_share(params->mixup, rng);
    if (t->pass.mixed > 0) {
        qn_mix_rows(t->pass.mixed, n_rows, t->targets->n_outputs, t->wanted);
        qn_mix_rows(t->pass.mixed, n_rows, 1, t->weights);
    }
    const float *outputs = qn_pass_forward(&t->pass, &rows);
    loss_slopes(t, outputs, n_rows, qn_pass_output_deltas(&t->pass));
    qn_pass_backward(&t->pass, &rows, t->gradient);
    const double factor = qn_schedule_factor((qn_schedule_kind)params->schedule, t->step,
                                             t->n_epochs * t->n_batches, t->n_halvings);
    qn_optimiser_step(&t->optimiser, t->network, t->gradient, params->learning_rate * factor);
    move_average(t);
    t->step++;
}

/* The epoch's batches until told to stop; whether it went through. */
static bool train_epoch(struct trainer *t, int64_t epoch)
{
    const int64_t n = t->request->data->train.n_rows;
    qn_rng rng;
    qn_rng_init(&rng, qn_seed_child(t->request->seed, 1), (uint64_t)epoch);
    for (int64_t i = 0; i < n; i++) {
        t->order[i] = (int32_t)i;
    }
    qn_rng_shuffle(&rng, t->order, n);
    for (int64_t b = 0; b < t->n_batches; b++) {
        if (qn_stop_requested(t->request->stop)) return false;
        const int64_t first = b * t->batch_rows;
        train_step(t, first, n - first < t->batch_rows ? n - first : t->batch_rows, &rng);
    }
    return true;
}

/* The average so far, without its beginning at zero, into `out`. */
static void read_average(const struct trainer *t, float *out)
{
    const double whole = 1 - t->share;
    for (int64_t i = 0; i < t->network->n_params; i++) {
        out[i] = (float)((double)t->average[i] / whole);
    }
}

static double row_loss(const struct trainer *t, double y, const float *outputs)
{
    const int32_t k = t->targets->n_outputs;
    double p[QN_CLASSES_MAX];
    qn_mlp_link_row(t->targets->link, t->targets->offset, t->targets->scale, outputs, k, p);
    if (t->targets->link == QN_MLP_IDENTITY) return (p[0] - y) * (p[0] - y);
    const double own = t->targets->link == QN_MLP_SOFTMAX ? p[(int32_t)y]
                       : y == 1                           ? p[0]
                                                          : 1 - p[0];
    return -log(fmax(own, 1e-15));
}

struct block_loss {
    double sum;
    bool done; /* there was memory for it */
};

struct validation {
    const struct trainer *trainer;
    const qn_network *network;
    const float *panels;
    struct block_loss *losses; /* per block */
};

static void validate_block(void *context, int64_t block)
{
    const struct validation *v = context;
    const struct trainer *t = v->trainer;
    const qn_dataset_part *valid = &t->request->data->valid;
    const int64_t first = block * VALID_ROWS, k = t->targets->n_outputs;
    const int64_t n = valid->n_rows - first < VALID_ROWS ? valid->n_rows - first : VALID_ROWS;
    qn_matrix view = valid->views[QN_VIEW_DENSE];
    if (view.sparse_starts) view.sparse_starts += first;
    const size_t gathered = ((size_t)(n * view.n_dense) * sizeof(float) + 63) / 64 * 64;
    float *memory =
        qn_alloc_aligned((int64_t)(gathered + qn_network_scratch_bytes(v->network, n)), 1);
    if (!memory) return;
    qn_matrix_gather(&view, first, n, view.n_dense, memory);
    const qn_encoder_rows rows = {.n_rows = n, .dense = memory, .sparse = &view};
    const float *outputs =
        qn_network_forward(v->network, v->panels, &rows, memory + gathered / sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        const double w = qn_mlp_row_weight(t->targets, valid, first + i);
        v->losses[block].sum += w * row_loss(t, valid->target[first + i], outputs + i * k);
    }
    v->losses[block].done = true;
    qn_free(memory);
}

/* Loss of the average on the validation rows, infinite where training has diverged. The average is
 * left in the gradient's place. */
static qn_status validate(struct trainer *t, double *loss, qn_error *err)
{
    const int64_t n_blocks = (t->request->data->valid.n_rows + VALID_ROWS - 1) / VALID_ROWS;
    qn_network network = *t->network;
    read_average(t, t->gradient);
    network.params = t->gradient;
    float *panels = qn_alloc_aligned(network.n_panels, sizeof *panels);
    struct block_loss *losses = qn_alloc_array(n_blocks, sizeof *losses);
    bool complete = panels && losses;
    if (complete) {
        struct validation v = {t, &network, panels, losses};
        qn_network_pack(&network, panels);
        qn_pool_run(t->request->pool, n_blocks, validate_block, &v);
        *loss = 0;
        for (int64_t b = 0; b < n_blocks; b++) {
            *loss += losses[b].sum;
            complete &= losses[b].done;
        }
        if (!isfinite(*loss)) *loss = QN_INF;
    }
    qn_free(panels);
    qn_free(losses);
    return complete ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory to validate a neural network");
}

/* Keeps the average where it is the best so far; false when patience is at its end. */
static bool judge(struct trainer *t, int64_t epoch, double loss, double *best_loss,
                  int64_t *n_worse, int64_t *n_epochs)
{
    if (loss < *best_loss) {
        *best_loss = loss;
        *n_worse = 0;
        *n_epochs = epoch + 1;
        memcpy(t->best, t->gradient, (size_t)t->network->n_params * sizeof *t->best);
        return true;
    }
    ++*n_worse;
    if (*n_worse % PLATEAU_EPOCHS == 0) t->n_halvings++;
    return *n_worse < t->params->patience;
}

static qn_status run_epochs(struct trainer *t, int64_t *n_epochs, bool *stopped, qn_error *err)
{
    const bool judged = t->request->data->valid.n_rows > 0;
    double best_loss = QN_INF;
    int64_t n_worse = 0;
    bool goes_on = true;
    *n_epochs = 0;
    for (int64_t epoch = 0; epoch < t->n_epochs && goes_on && !*stopped; epoch++) {
        *stopped = !train_epoch(t, epoch);
        if (t->step == 0) return qn_fail(err, QN_ERR_INTERRUPTED, "mlp: stopped before it began");
        if (*stopped && *n_epochs > 0) break; /* an epoch cut short is not judged */
        if (judged) {
            double loss = QN_INF;
            QN_TRY(validate(t, &loss, err));
            goes_on = judge(t, epoch, loss, &best_loss, &n_worse, n_epochs);
        } else {
            read_average(t, t->best);
            *n_epochs = epoch + 1;
        }
    }
    for (int64_t i = 0; i < t->network->n_params; i++) {
        if (!isfinite(t->best[i])) *n_epochs = 0;
    }
    return *n_epochs > 0 ? QN_OK
                         : qn_fail(err, QN_ERR_DATA, "mlp: training diverged; lower learning_rate");
}

qn_status qn_mlp_train(const qn_learn_request *request, const struct qn_mlp_params *params,
                       const struct qn_mlp_targets *targets, qn_network *network, int64_t *n_epochs,
                       bool *stopped, qn_error *err)
{
    struct trainer t = {
        .request = request, .params = params, .targets = targets, .network = network};
    *stopped = false;
    qn_status status = prepare(&t, err);
    if (status == QN_OK) status = run_epochs(&t, n_epochs, stopped, err);
    if (status == QN_OK) {
        memcpy(network->params, t.best, (size_t)network->n_params * sizeof *network->params);
    }
    release(&t);
    return status;
}
