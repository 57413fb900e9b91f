/* SPDX-License-Identifier: Apache-2.0 */
/* Losses of many settings of a learner, for make_tables.py:
 *
 *     fit_settings TABLE TARGET REPEATS LEARNER rows|PARAMETER STEP[,STEP…] <SETTINGS
 *
 * A line of SETTINGS is "name=value,name=value"; for each one comes a line of losses, comma
 * between steps: log loss or root mean squared error on a third of the rows held out, mean of
 * REPEATS different thirds. A step is a value
 * of PARAMETER, such as a number of trees, or the numerator of a share of the rows to train on,
 * whose denominator is the last step. */
#include "automl/fold.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "learn/learner.h"
#include "quern/frame.h"
#include "stats/profile.h"
#include "validate/understand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 64, REPEATS_MAX = 16 };

/* One third held out. */
struct holdout {
    qn_split split;
    double *truth;                /* of the test rows */
    qn_fold_set folds[STEPS_MAX]; /* one for each step of rows, otherwise one; its first counts */
    qn_matrix test[STEPS_MAX];    /* the test rows as those see them */
};

struct task {
    qn_frame *frame;
    qn_schema *schema;
    double *target;
    const qn_learner *learner;
    const char *unit; /* "rows" or a parameter */
    long steps[STEPS_MAX];
    int n_steps, n_repeats;
    struct holdout holdouts[REPEATS_MAX];
};

static void die(const char *message)
{
    fprintf(stderr, "fit_settings: %s\n", message);
    exit(1);
}

static bool by_rows(const struct task *task)
{
    return strcmp(task->unit, "rows") == 0;
}

static qn_status load(const char *path, const char *target, struct task *task, qn_error *err)
{
    QN_TRY(qn_frame_read(path, 1, &task->frame, err));
    const int64_t n = task->frame->n_rows;
    qn_profile *profile = NULL;
    QN_TRY(qn_profile_create(task->frame, NULL, n, NULL, &profile, err));
    const qn_understand_request question = {
        .frame = task->frame, .profile = profile, .target = target};
    QN_TRY(qn_understand(&question, &task->schema, err));
    qn_profile_free(profile);
    QN_TRY(qn_schema_target(task->schema, task->frame, false, &task->target, err));
    return QN_OK;
}

/* Training rows in an order of their own. */
static qn_status hold_out(const struct task *task, uint64_t seed, struct holdout *out,
                          qn_error *err)
{
    const qn_split_request request = {.frame = task->frame,
                                      .schema = task->schema,
                                      .target = task->target,
                                      .n_rows = task->frame->n_rows,
                                      .test_fraction = 1 / 3.0,
                                      .seed = seed};
    QN_TRY(qn_split_test(&request, &out->split, err));
    out->truth = qn_alloc_array(out->split.n_test, sizeof *out->truth);
    if (!out->truth) return qn_fail(err, QN_ERR_NOMEM, "no memory");
    for (int64_t i = 0; i < out->split.n_test; i++) {
        out->truth[i] = task->target[out->split.test[i]];
    }
    qn_rng rng;
    qn_rng_init(&rng, seed, 0);
    for (int64_t i = out->split.n_train - 1; i > 0; i--) {
        const int64_t other = qn_rng_below(&rng, i + 1);
        const int32_t row = out->split.train[i];
        out->split.train[i] = out->split.train[other];
        out->split.train[other] = row;
    }
    return QN_OK;
}

/* Folds of the first `share` of the training rows, and the test rows under the recipe of the first
 * one. */
static qn_status prepare(const struct task *task, struct holdout *holdout, double share, int at,
                         qn_error *err)
{
    const qn_view view = task->learner->view;
    const qn_fold_request request = {
        .frame = task->frame,
        .schema = task->schema,
        .target = task->target,
        .rows = holdout->split.train,
        .n_rows = (int64_t)(share * (double)holdout->split.n_train),
        .n_folds = 20,
        .n_rounds = 1,
        .seed = 1,
    };
    QN_TRY(qn_fold_set_create(&request, &holdout->folds[at], err));
    qn_binding *binding = NULL;
    QN_TRY(qn_binding_create(task->schema, task->frame, &binding, err));
    const qn_status status =
        qn_recipe_transform(holdout->folds[at].folds[0].recipe, view, binding, holdout->split.test,
                            holdout->split.n_test, NULL, &holdout->test[at], err);
    qn_binding_free(binding);
    return status;
}

static qn_status loss_of(const struct task *task, const struct holdout *holdout, int at,
                         const void *params, double *loss, qn_error *err)
{
    const qn_dataset *data = &holdout->folds[at].folds[0].data;
    const int64_t n_test = holdout->split.n_test;
    double *predicted = qn_alloc_array(n_test * data->n_outputs, sizeof *predicted);
    if (!predicted) return qn_fail(err, QN_ERR_NOMEM, "no memory");
    qn_learn_result result = {0};
    const qn_learn_request request = {
        .data = data, .params = params, .seed = (uint64_t)(holdout - task->holdouts) + 1};
    QN_TRY(task->learner->fit(&request, &result, err));
    QN_TRY(qn_estimator_predict(result.estimator, &holdout->test[at], NULL, predicted, err));
    const qn_metric *metric =
        qn_metric_find(data->task == QN_TASK_REGRESSION ? "rmse" : "log_loss");
    const qn_metric_input input = {.task = data->task,
                                   .n_classes = data->n_classes,
                                   .n_rows = n_test,
                                   .target = holdout->truth,
                                   .predicted = predicted};
    const qn_status status = metric->compute(&input, loss, err);
    qn_free(predicted);
    qn_free(result.importance);
    qn_estimator_free(result.estimator);
    return status;
}

static qn_status run(const struct task *task, void *params, const char *setting, qn_error *err)
{
    const qn_learner *learner = task->learner;
    qn_params_init(learner, params);
    QN_TRY(qn_params_set(learner, params, setting, err));
    for (int step = 0; step < task->n_steps; step++) {
        double sum = 0, loss;
        char text[128];
        snprintf(text, sizeof text, "%s=%ld", task->unit, task->steps[step]);
        if (!by_rows(task)) QN_TRY(qn_params_set(learner, params, text, err));
        for (int r = 0; r < task->n_repeats; r++) {
            const int at = by_rows(task) ? step : 0;
            QN_TRY(loss_of(task, &task->holdouts[r], at, params, &loss, err));
            sum += loss;
        }
        printf("%s%.6g", step ? "," : "", sum / task->n_repeats);
    }
    printf("\n");
    return QN_OK;
}

static qn_status prepare_all(struct task *task, struct holdout *holdout, qn_error *err)
{
    if (!by_rows(task)) return prepare(task, holdout, 1, 0, err);
    for (int step = 0; step < task->n_steps; step++) {
        const double share = (double)task->steps[step] / (double)task->steps[task->n_steps - 1];
        QN_TRY(prepare(task, holdout, share, step, err));
    }
    return QN_OK;
}

static void release(struct task *task)
{
    for (int r = 0; r < task->n_repeats; r++) {
        struct holdout *holdout = &task->holdouts[r];
        for (int i = 0; i < task->n_steps; i++) {
            qn_fold_set_release(&holdout->folds[i]);
            qn_matrix_release(&holdout->test[i]);
        }
        qn_split_release(&holdout->split);
        qn_free(holdout->truth);
    }
    qn_schema_free(task->schema);
    qn_frame_free(task->frame);
    qn_free(task->target);
}

int main(int argc, char **argv)
{
    static struct task task;
    qn_error err = {0};
    if (argc != 7) die("usage: fit_settings TABLE TARGET REPEATS LEARNER rows|PARAMETER STEP,…");
    task.unit = argv[5];
    task.n_repeats = atoi(argv[3]);
    if (task.n_repeats < 1 || task.n_repeats > REPEATS_MAX) die("1 to 16 repeats");
    if (qn_learner_require(argv[4], &task.learner, &err)) die(err.message);
    for (char *at = argv[6]; *at && task.n_steps < STEPS_MAX; at += *at == ',') {
        task.steps[task.n_steps++] = strtol(at, &at, 10);
    }
    if (load(argv[1], argv[2], &task, &err)) die(err.message);
    for (int r = 0; r < task.n_repeats; r++) {
        struct holdout *holdout = &task.holdouts[r];
        if (hold_out(&task, (uint64_t)r + 1, holdout, &err)) die(err.message);
        if (prepare_all(&task, holdout, &err)) die(err.message);
    }
    void *params = qn_alloc_array(task.learner->params_bytes + 1, 1);
    if (!params) die("no memory");
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (run(&task, params, line, &err)) die(err.message);
    }
    qn_free(params);
    release(&task);
    return 0;
}
