/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/ensemble.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

/* Scores within this of each other are a tie; as the reference implementations round to six
 * decimals. */
static const double tie = 1e-6;

struct step {
    const qn_trial_data *data;
    const qn_trial *trials;
    const double *sum; /* of the predictions chosen so far */
    int32_t n_chosen;
    double *scores; /* per trial */
    qn_status *statuses;
};

static void score_one(void *context, int64_t t)
{
    struct step *step = context;
    const qn_trial *trial = &step->trials[t];
    step->statuses[t] = QN_OK;
    step->scores[t] = QN_NA;
    if (!trial->complete) return;
    const int64_t n = step->data->n_covered * step->data->n_outputs;
    double *mean = qn_alloc_aligned(n, sizeof *mean);
    if (!mean) {
        step->statuses[t] = QN_ERR_NOMEM;
        return;
    }
    const double scale = 1.0 / (step->n_chosen + 1);
    for (int64_t i = 0; i < n; i++) {
        mean[i] = (step->sum[i] + trial->predictions[i]) * scale;
    }
    const qn_metric_input input = qn_trial_data_input(step->data, mean);
    double value = QN_NA;
    step->statuses[t] = step->data->metric->compute(&input, &value, NULL);
    step->scores[t] = qn_metric_score(step->data->metric, value);
    qn_free(mean);
}

static int64_t best_of(const struct step *step, int64_t n_trials, const int32_t *counts)
{
    int64_t best = -1;
    for (int64_t t = 0; t < n_trials; t++) {
        if (isnan(step->scores[t])) continue;
        if (best < 0 || step->scores[t] > step->scores[best] + tie) {
            best = t;
        } else if (step->scores[t] > step->scores[best] - tie && counts[t] && !counts[best]) {
            best = t;
        }
    }
    return best;
}

/* An undefined metric (one class in the validation rows) ranks nothing: the first complete trial
 * is then as good as any. */
static int64_t first_complete(const qn_trial *trials, int64_t n_trials)
{
    int64_t t = 0;
    while (t < n_trials - 1 && !trials[t].complete) {
        t++;
    }
    return t;
}

static qn_status choose(struct step *step, int64_t n_trials, int32_t n_steps, qn_pool *pool,
                        int32_t *order, int32_t *n_kept, double *sum, int32_t *counts,
                        qn_error *err)
{
    const int64_t n = step->data->n_covered * step->data->n_outputs;
    double best_score = QN_NA;
    *n_kept = 0;
    for (step->n_chosen = 0; step->n_chosen < n_steps; step->n_chosen++) {
        qn_pool_run(pool, n_trials, score_one, step);
        for (int64_t t = 0; t < n_trials; t++) {
            if (step->statuses[t] != QN_OK) {
                return qn_fail(err, step->statuses[t], "no memory to build the ensemble");
            }
        }
        int64_t best = best_of(step, n_trials, counts);
        if (best < 0 && step->n_chosen > 0) break;
        if (best < 0) best = first_complete(step->trials, n_trials);
        order[step->n_chosen] = (int32_t)best;
        counts[best]++;
        for (int64_t i = 0; i < n; i++) {
            sum[i] += step->trials[best].predictions[i];
        }
        if (*n_kept == 0 || step->scores[best] > best_score + tie) {
            best_score = step->scores[best];
            *n_kept = step->n_chosen + 1;
        }
    }
    return QN_OK;
}

static void blend(const qn_trial_data *data, const qn_trial *trials, int64_t n_trials,
                  qn_ensemble *ensemble)
{
    const int64_t n = data->n_covered * data->n_outputs;
    memset(ensemble->predictions, 0, (size_t)n * sizeof(double));
    for (int64_t t = 0; t < n_trials; t++) {
        if (ensemble->weights[t] == 0) continue;
        for (int64_t i = 0; i < n; i++) {
            ensemble->predictions[i] += ensemble->weights[t] * trials[t].predictions[i];
        }
    }
}

qn_status qn_ensemble_select(const qn_trial_data *data, const qn_trial *trials, int64_t n_trials,
                             int32_t n_steps, qn_pool *pool, qn_ensemble *out, qn_error *err)
{
    const int64_t n = data->n_covered * data->n_outputs;
    int32_t order[QN_ENSEMBLE_STEPS], n_kept = 0;
    if (n_steps > QN_ENSEMBLE_STEPS) n_steps = QN_ENSEMBLE_STEPS;
    *out = (qn_ensemble){.weights = qn_alloc_array(n_trials, sizeof *out->weights),
                         .predictions = qn_alloc_array(n, sizeof *out->predictions)};
    double *sum = qn_alloc_array(n, sizeof *sum);
    int32_t *counts = qn_alloc_array(n_trials, sizeof *counts);
    struct step step = {.data = data,
                        .trials = trials,
                        .sum = sum,
                        .scores = qn_alloc_array(n_trials, sizeof *step.scores),
                        .statuses = qn_alloc_array(n_trials, sizeof *step.statuses)};
    qn_status status = QN_OK;
    if (!out->weights || !out->predictions || !sum || !counts || !step.scores || !step.statuses) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory to build the ensemble");
    }
    if (status == QN_OK) {
        status = choose(&step, n_trials, n_steps, pool, order, &n_kept, sum, counts, err);
    }
    if (status == QN_OK) {
        memset(counts, 0, (size_t)n_trials * sizeof *counts);
        for (int32_t i = 0; i < n_kept; i++) {
            counts[order[i]]++;
        }
        for (int64_t t = 0; t < n_trials; t++) { /* sums of shares may exceed 1 */
            out->weights[t] = (double)counts[t] / n_kept;
        }
        blend(data, trials, n_trials, out);
        const qn_metric_input input = qn_trial_data_input(data, out->predictions);
        status = data->metric->compute(&input, &out->value, err);
    }
    qn_free(sum);
    qn_free(counts);
    qn_free(step.scores);
    qn_free(step.statuses);
    if (status != QN_OK) qn_ensemble_release(out);
    return status;
}

void qn_ensemble_release(qn_ensemble *ensemble)
{
    qn_free(ensemble->weights);
    qn_free(ensemble->predictions);
    *ensemble = (qn_ensemble){0};
}
