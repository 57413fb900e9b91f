/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-validates learners on a table, for run.py beside it: one JSON line each, on standard
 * output, with the metrics of every fold and the processor seconds that fits and predictions took.
 *
 *     cross_validate TABLE TARGET N_FOLDS N_RUN LEARNER PARAMS [LEARNER PARAMS …]
 *
 * Only the first N_RUN of the folds are fitted; N_FOLDS may be followed by the seed they are drawn
 * by: 5:2; N_RUN by a number of threads, 1:2, and seconds are then by the wall clock. PARAMS:
 * "name=value,…" or "". TARGET may be followed by columns to leave out: "y,a,b". */
#include "automl/fold.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "learn/learner.h"
#include "metric/metric.h"
#include "quern/frame.h"
#include "stats/profile.h"
#include "validate/understand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const qn_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

/* Seconds of this thread, or of the wall when there are several. */
static double seconds(const qn_pool *pool)
{
    return pool ? qn_clock_s() : qn_clock_cpu_s();
}

struct world {
    qn_frame *frame;
    qn_schema *schema;
    double *target;
    int32_t *rows;
    qn_fold_set folds;
};

static qn_status load(const char *path, char *target, const char *folding, struct world *world,
                      qn_error *err)
{
    char *dropped = strchr(target, ',');
    if (dropped) *dropped++ = '\0';
    QN_TRY(qn_frame_read(path, 1, &world->frame, err));
    const int64_t n = world->frame->n_rows;
    qn_profile *profile = NULL;
    QN_TRY(qn_profile_create(world->frame, NULL, n, NULL, &profile, err));
    const qn_understand_request question = {
        .frame = world->frame, .profile = profile, .target = target, .drop = dropped};
    QN_TRY(qn_understand(&question, &world->schema, err));
    qn_profile_free(profile);
    QN_TRY(qn_schema_target(world->schema, world->frame, false, &world->target, err));
    world->rows = calloc((size_t)n, sizeof *world->rows);
    for (int64_t i = 0; i < n; i++) {
        world->rows[i] = (int32_t)i;
    }
    const char *seed = strchr(folding, ':');
    const qn_fold_request folds = {.frame = world->frame,
                                   .schema = world->schema,
                                   .target = world->target,
                                   .rows = world->rows,
                                   .n_rows = n,
                                   .n_folds = atoi(folding),
                                   .n_rounds = 1,
                                   .seed = seed ? (uint64_t)atoi(seed + 1) : 1};
    return qn_fold_set_create(&folds, &world->folds, err);
}

static qn_status run_fold(const qn_fold *fold, const qn_learner *learner, const void *params,
                          qn_pool *pool, bool first, qn_error *err)
{
    const qn_dataset *data = &fold->data;
    qn_learn_result result = {0};
    const qn_learn_request request = {.data = data, .params = params, .seed = 1, .pool = pool};
    const double begun = seconds(pool);
    QN_TRY(learner->fit(&request, &result, err));
    const double fitted = seconds(pool);
    double *out = calloc((size_t)(fold->n_valid * data->n_outputs), sizeof *out);
    QN_TRY(
        qn_estimator_predict(result.estimator, &data->valid.views[learner->view], pool, out, err));
    const double predicted = seconds(pool);
    printf("%s{\"fit_s\": %.4f, \"predict_s\": %.4f, \"rounds\": %" PRId64, first ? "" : ", ",
           fitted - begun, predicted - fitted, result.n_rounds);
    const char *const wanted[] = {"roc_auc", "log_loss", "accuracy", "rmse", "mae", NULL};
    for (int m = 0; wanted[m]; m++) {
        const qn_metric *metric = qn_metric_find(wanted[m]);
        if (!(metric->tasks & 1u << data->task)) continue;
        const qn_metric_input input = {.task = data->task,
                                       .n_classes = data->n_classes,
                                       .n_rows = fold->n_valid,
                                       .target = data->valid.target,
                                       .predicted = out};
        double value;
        QN_TRY(metric->compute(&input, &value, err));
        printf(", \"%s\": %.6g", metric->name, value);
    }
    printf("}");
    free(out);
    qn_free(result.importance);
    qn_estimator_free(result.estimator);
    return QN_OK;
}

int main(int argc, char **argv)
{
    qn_error err = {0};
    struct world world = {0};
    if (argc < 7 || argc % 2 == 0) {
        fprintf(stderr, "usage: cross_validate TABLE TARGET N_FOLDS N_RUN LEARNER PARAMS …\n");
        return 2;
    }
    if (load(argv[1], argv[2], argv[3], &world, &err) != QN_OK) return fail(&err);
    const char *threads = strchr(argv[4], ':');
    qn_pool *pool = threads ? qn_pool_create(atoi(threads + 1)) : NULL;
    for (int at = 5; at + 1 < argc; at += 2) {
        const qn_learner *learner = qn_learner_find(argv[at]);
        if (!learner || !(learner->tasks & 1u << world.schema->task)) continue;
        void *params = calloc(1, learner->params_bytes + 1);
        qn_params_init(learner, params);
        if (qn_params_set(learner, params, argv[at + 1], &err) != QN_OK) return fail(&err);
        printf("{\"learner\": \"%s\", \"params\": \"%s\", \"folds\": [", learner->name,
               argv[at + 1]);
        for (int32_t f = 0; f < world.folds.n_folds && f < atoi(argv[4]); f++) {
            if (run_fold(&world.folds.folds[f], learner, params, pool, f == 0, &err) != QN_OK) {
                return fail(&err);
            }
        }
        printf("]}\n");
        fflush(stdout);
        free(params);
    }
    qn_pool_free(pool);
    qn_fold_set_release(&world.folds);
    qn_schema_free(world.schema);
    qn_frame_free(world.frame);
    free(world.target);
    free(world.rows);
    return 0;
}
