/* SPDX-License-Identifier: Apache-2.0 */
/* Greedy selection against a plain reimplementation of what ensemble.h says. */
#include "automl/ensemble.h"

#include "base/rng.h"

#include "check.h"

enum { N = 80, N_TRIALS = 7 };

struct world {
    qn_trial_data data;
    qn_trial trials[N_TRIALS];
    double target[N], weights[N], predictions[N_TRIALS][N * 3];
};

/* Trials of growing noise around the truth, the more so the later; the last one is not complete. */
static void make_world(struct world *w, qn_task task, const char *metric, uint64_t seed)
{
    qn_rng rng;
    qn_rng_init(&rng, seed, 0);
    const int32_t k = task == QN_TASK_MULTICLASS ? 3 : 1;
    memset(w, 0, sizeof *w);
    w->data = (qn_trial_data){.task = task,
                              .n_classes = task == QN_TASK_BINARY       ? 2
                                           : task == QN_TASK_MULTICLASS ? 3
                                                                        : 0,
                              .n_outputs = k,
                              .metric = qn_metric_find(metric),
                              .n_covered = N,
                              .target = w->target,
                              .weights = seed % 2 ? w->weights : NULL};
    CHECK(w->data.metric != NULL);
    for (int i = 0; i < N; i++) {
        w->weights[i] = 0.5 + qn_rng_uniform(&rng);
        w->target[i] = task == QN_TASK_BINARY       ? (double)(i % 2)
                       : task == QN_TASK_MULTICLASS ? (double)(i % 3)
                                                    : qn_rng_normal(&rng);
    }
    for (int t = 0; t < N_TRIALS; t++) {
        w->trials[t].complete = t != N_TRIALS - 1;
        w->trials[t].predictions = w->trials[t].complete ? w->predictions[t] : NULL;
        for (int i = 0; i < N; i++) {
            double *p = &w->predictions[t][i * k];
            double sum = 0;
            for (int32_t c = 0; c < k; c++) {
                const double noise = qn_rng_normal(&rng) * (0.8 + 0.2 * t);
                if (task == QN_TASK_REGRESSION) {
                    p[c] = w->target[i] + noise;
                } else if (task == QN_TASK_BINARY) {
                    p[c] = 1 / (1 + exp(-(w->target[i] - 0.5 + noise)));
                } else {
                    sum += p[c] = exp((c == w->target[i]) + noise);
                }
            }
            for (int32_t c = 0; task == QN_TASK_MULTICLASS && c < k; c++) {
                p[c] /= sum;
            }
        }
    }
}

/* The score of the mean of chosen trials, counts[t] times each. */
static double score_of(const struct world *w, const int *counts)
{
    const int n = N * w->data.n_outputs;
    double mean[N * 3] = {0}, value;
    int n_chosen = 0;
    for (int t = 0; t < N_TRIALS; t++) {
        n_chosen += counts[t];
        for (int i = 0; counts[t] && i < n; i++) {
            mean[i] += counts[t] * w->predictions[t][i];
        }
    }
    for (int i = 0; i < n; i++) {
        mean[i] /= n_chosen;
    }
    const qn_metric_input input = {.task = w->data.task,
                                   .n_classes = w->data.n_classes,
                                   .n_rows = N,
                                   .target = w->target,
                                   .predicted = mean,
                                   .weights = w->data.weights};
    CHECK_INT(w->data.metric->compute(&input, &value, NULL), QN_OK);
    return qn_metric_score(w->data.metric, value);
}

/* weights[t] by brute force: at each step every complete trial is tried. */
static void select_plainly(const struct world *w, int n_steps, double *weights)
{
    const double tie = 1e-6;
    int counts[N_TRIALS] = {0}, kept[N_TRIALS] = {0};
    double best_prefix = -QN_INF;
    for (int step = 0; step < n_steps; step++) {
        double scores[N_TRIALS];
        int best = -1;
        for (int t = 0; t < N_TRIALS; t++) {
            if (!w->trials[t].complete) continue;
            counts[t]++;
            scores[t] = score_of(w, counts);
            counts[t]--;
            const bool better = best < 0 || scores[t] > scores[best] + tie;
            const bool tied_and_in =
                best >= 0 && scores[t] > scores[best] - tie && counts[t] && !counts[best];
            if (better || tied_and_in) best = t;
        }
        counts[best]++;
        if (step > 0 && scores[best] <= best_prefix + tie) continue;
        best_prefix = scores[best];
        memcpy(kept, counts, sizeof kept);
    }
    int total = 0;
    for (int t = 0; t < N_TRIALS; t++) {
        total += kept[t];
    }
    for (int t = 0; t < N_TRIALS; t++) {
        weights[t] = (double)kept[t] / total;
    }
}

static void selection_equals_the_plain_one(void **state)
{
    (void)state;
    static const struct {
        qn_task task;
        const char *metric;
    } cases[] = {{QN_TASK_BINARY, "roc_auc"},      {QN_TASK_BINARY, "log_loss"},
                 {QN_TASK_BINARY, "accuracy"},     {QN_TASK_MULTICLASS, "log_loss"},
                 {QN_TASK_REGRESSION, "rmse"},     {QN_TASK_REGRESSION, "mae"},
                 {QN_TASK_MULTICLASS, "accuracy"}, {QN_TASK_BINARY, "average_precision"}};
    int n_blends = 0;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (uint64_t seed = 1; seed <= 4; seed++) {
            struct world w;
            make_world(&w, cases[c].task, cases[c].metric, seed);
            for (int n_steps = 1; n_steps <= QN_ENSEMBLE_STEPS; n_steps += 8) {
                double expected[N_TRIALS], sum = 0;
                int n_members = 0;
                qn_error err = {0};
                qn_ensemble ensemble;
                select_plainly(&w, n_steps, expected);
                CHECK_OK(qn_ensemble_select(&w.data, w.trials, N_TRIALS, n_steps, NULL, &ensemble,
                                            &err));
                for (int t = 0; t < N_TRIALS; t++) {
                    CHECK_NEAR(ensemble.weights[t], expected[t], 1e-12);
                    sum += ensemble.weights[t];
                    n_members += ensemble.weights[t] > 0;
                }
                CHECK_NEAR(sum, 1, 1e-12);
                CHECK_INT(ensemble.weights[N_TRIALS - 1] == 0, 1);
                n_blends += n_members > 1;
                qn_ensemble_release(&ensemble);
            }
        }
    }
    CHECK(n_blends > 20); /* the cases are not all won by one trial */
}

static void predictions_and_value_are_those_of_the_weights(void **state)
{
    (void)state;
    struct world w;
    qn_ensemble ensemble;
    qn_error err = {0};
    make_world(&w, QN_TASK_MULTICLASS, "log_loss", 3);
    CHECK_OK(qn_ensemble_select(&w.data, w.trials, N_TRIALS, 25, NULL, &ensemble, &err));
    for (int i = 0; i < N * 3; i++) {
        double expected = 0;
        for (int t = 0; t < N_TRIALS - 1; t++) {
            expected += ensemble.weights[t] * w.predictions[t][i];
        }
        CHECK_NEAR(ensemble.predictions[i], expected, 1e-12);
    }
    const qn_metric_input input = qn_trial_data_input(&w.data, ensemble.predictions);
    double value;
    CHECK_INT(w.data.metric->compute(&input, &value, NULL), QN_OK);
    CHECK(ensemble.value == value);
    qn_ensemble_release(&ensemble);
}

static void one_step_picks_the_best_single_trial(void **state)
{
    (void)state;
    struct world w;
    qn_ensemble ensemble;
    qn_error err = {0};
    make_world(&w, QN_TASK_REGRESSION, "rmse", 2);
    CHECK_OK(qn_ensemble_select(&w.data, w.trials, N_TRIALS, 1, NULL, &ensemble, &err));
    for (int t = 0; t < N_TRIALS - 1; t++) {
        int alone[N_TRIALS] = {0};
        alone[t] = 1;
        CHECK(score_of(&w, alone) <= -ensemble.value + 1e-9);
    }
    qn_ensemble_release(&ensemble);
}

static void equal_trials_go_to_the_earlier_one_alone(void **state)
{
    (void)state;
    struct world w;
    qn_ensemble ensemble;
    qn_error err = {0};
    make_world(&w, QN_TASK_BINARY, "log_loss", 2);
    for (int t = 0; t < N_TRIALS - 1; t++) {
        memcpy(w.predictions[t], w.predictions[0], sizeof w.predictions[0]);
    }
    CHECK_OK(qn_ensemble_select(&w.data, w.trials, N_TRIALS, 25, NULL, &ensemble, &err));
    CHECK(ensemble.weights[0] == 1);
    qn_ensemble_release(&ensemble);
}

/* Bundles take no weight above 1, however often a trial is chosen: here predictions differ in their
 * last bits alone, so that the sums of a few steps order them anew and more steps look better. */
static void the_only_trial_has_a_weight_of_one(void **state)
{
    (void)state;
    struct world w;
    qn_ensemble ensemble;
    qn_error err = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        qn_rng rng;
        make_world(&w, QN_TASK_BINARY, "roc_auc", 2 * seed);
        qn_rng_init(&rng, seed, 1);
        for (int i = 0; i < N; i++) {
            const double at = (double)(1 + qn_rng_below(&rng, 3)) / 7;
            w.predictions[0][i] = at * (1 + (double)qn_rng_below(&rng, 5) * 0x1p-52);
            w.target[i] = (double)qn_rng_below(&rng, 2);
        }
        CHECK_OK(
            qn_ensemble_select(&w.data, w.trials, 1, QN_ENSEMBLE_STEPS, NULL, &ensemble, &err));
        CHECK(ensemble.weights[0] == 1);
        qn_ensemble_release(&ensemble);
    }
}

static void an_undefined_metric_takes_the_first_complete_trial(void **state)
{
    (void)state;
    struct world w;
    qn_ensemble ensemble;
    qn_error err = {0};
    make_world(&w, QN_TASK_BINARY, "roc_auc", 2);
    for (int i = 0; i < N; i++) {
        w.target[i] = 1;
    }
    w.trials[0].complete = false;
    CHECK_OK(qn_ensemble_select(&w.data, w.trials, N_TRIALS, 25, NULL, &ensemble, &err));
    CHECK(ensemble.weights[1] == 1);
    CHECK(isnan(ensemble.value));
    qn_ensemble_release(&ensemble);
}

static void threads_do_not_change_the_choice(void **state)
{
    (void)state;
    struct world w;
    qn_ensemble one, three;
    qn_error err = {0};
    qn_pool *pool = qn_pool_create(3);
    make_world(&w, QN_TASK_BINARY, "roc_auc", 4);
    CHECK_OK(qn_ensemble_select(&w.data, w.trials, N_TRIALS, 25, NULL, &one, &err));
    CHECK_OK(qn_ensemble_select(&w.data, w.trials, N_TRIALS, 25, pool, &three, &err));
    assert_memory_equal(one.weights, three.weights, N_TRIALS * sizeof(double));
    assert_memory_equal(one.predictions, three.predictions, N * sizeof(double));
    qn_ensemble_release(&one);
    qn_ensemble_release(&three);
    qn_pool_free(pool);
}

static void selecting_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct world w;
    qn_ensemble ensemble;
    make_world(&w, QN_TASK_BINARY, "log_loss", 1);
    CHECK_SURVIVES_NO_MEMORY(
        qn_ensemble_select(&w.data, w.trials, N_TRIALS, 3, NULL, &ensemble, NULL));
    qn_ensemble_release(&ensemble);
}

RUN_TESTS(TEST(selection_equals_the_plain_one),
          TEST(predictions_and_value_are_those_of_the_weights),
          TEST(one_step_picks_the_best_single_trial),
          TEST(equal_trials_go_to_the_earlier_one_alone), TEST(the_only_trial_has_a_weight_of_one),
          TEST(an_undefined_metric_takes_the_first_complete_trial),
          TEST(threads_do_not_change_the_choice), TEST(selecting_survives_running_out_of_memory))
