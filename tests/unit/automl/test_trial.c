/* SPDX-License-Identifier: Apache-2.0 */
/* Trials of learners that are slow to predict, or predict what is no number. */
#include "automl/trial.h"

#include "tables.h"

#include <time.h>

enum { N = 6000, VALID = 1500 };

/* A row takes so many microseconds to predict, and is predicted as `value`. */
struct sleeper {
    qn_estimator head;
    int64_t row_us;
    double value;
};

static int64_t n_predicted;
static volatile sig_atomic_t raised;
static int64_t raise_at; /* rows predicted before somebody asks to stop; 0: nobody does */

static void sleep_and_predict(const qn_estimator *estimator, const qn_matrix *features, double *out,
                              void *scratch)
{
    const struct sleeper *own = (const struct sleeper *)estimator;
    const int64_t ns = own->row_us * features->n_rows * 1000;
    (void)scratch;
    nanosleep(&(struct timespec){ns / 1000000000, ns % 1000000000}, NULL);
    for (int64_t i = 0; i < features->n_rows; i++) {
        out[i] = i % 7 == 6 ? own->value : 0.5;
    }
    n_predicted += features->n_rows;
    if (raise_at > 0 && n_predicted >= raise_at) raised = 1;
}

static void free_sleeper(qn_estimator *estimator)
{
    qn_free(estimator);
}

static const qn_family sleeping = {
    .name = "sleeper", .predict = sleep_and_predict, .free = free_sleeper};

static qn_status fit_sleeper(const qn_learn_request *request, qn_learn_result *result,
                             qn_error *err)
{
    struct sleeper *own = qn_alloc_array(1, sizeof *own);
    *result = (qn_learn_result){0};
    if (!own) return qn_fail(err, QN_ERR_NOMEM, "no memory");
    *own = *(const struct sleeper *)request->params;
    own->head = (qn_estimator){.family = &sleeping, .view = QN_VIEW_TREE, .n_outputs = 1};
    result->estimator = &own->head;
    return QN_OK;
}

static const qn_param no_params[] = {{0}};
static const qn_learner sleepers = {.name = "sleeper",
                                    .tasks = 1u << QN_TASK_BINARY,
                                    .view = QN_VIEW_TREE,
                                    .params = no_params,
                                    .fit = fit_sleeper};

static table make_table(void)
{
    qn_str csv = {0};
    qn_str_add(&csv, "x,y\n");
    for (int i = 0; i < N; i++) {
        qn_str_addf(&csv, "%d.5,%d\n", i * 7919 % N, i % 2);
    }
    table t = table_from_csv(csv.text, "y", "binary", NULL);
    qn_str_release(&csv);
    return t;
}

/* One trial, of four folds. */
static void run(const struct sleeper *params, const qn_stop *stop, int64_t n_rows_after,
                bool *complete, qn_str *warnings)
{
    qn_error err = {0};
    table t = make_table();
    qn_fold_set folds;
    qn_trial_data data;
    qn_candidate item = {.name = "sleeper_1", .learner = &sleepers, .params = params};
    const qn_candidates candidates = {.n = 1, .room = 1, .items = &item};
    const qn_fold_request request = {.frame = t.frame,
                                     .schema = t.schema,
                                     .target = t.target,
                                     .rows = t.rows,
                                     .n_rows = N,
                                     .n_folds = 4,
                                     .n_rounds = 1,
                                     .seed = 4};
    CHECK_OK(qn_fold_set_create(&request, &folds, &err));
    CHECK(folds.folds[0].n_valid >= VALID);
    const qn_metric *metric = qn_metric_find("roc_auc");
    CHECK_OK(qn_trial_data_create(&folds, t.schema, metric, N, t.target, NULL, NULL, &data, &err));
    const qn_trials_request trials = {
        .data = &data, .candidates = &candidates, .stop = stop, .n_rows_after = n_rows_after};
    qn_trial trial = {0};
    n_predicted = 0;
    CHECK_OK(qn_trials_run(&trials, &trial, warnings, &err));
    *complete = trial.complete;
    qn_trials_release(&trial, 1, folds.n_folds);
    qn_trial_data_release(&data);
    qn_fold_set_release(&folds);
    table_release(&t);
}

static void what_predicts_too_slowly_is_given_up(void **state)
{
    (void)state;
    bool complete;
    qn_str warnings = {0};
    const struct sleeper slow = {.row_us = 400, .value = 1};
    /* It would take 0.6 s for the validation rows of a fold, and 160 for those after. */
    qn_stop stop = {.deadline_s = qn_clock_s() + 20};
    run(&slow, &stop, 100000, &complete, &warnings);
    CHECK(!complete);
    CHECK(n_predicted < N);
    CHECK_INT(warnings.bytes, 0); /* time is no fault */
    /* There is time for all of it. */
    stop.deadline_s = qn_clock_s() + 60;
    run(&slow, &stop, 100, &complete, &warnings);
    CHECK(complete);
    CHECK_INT(n_predicted, N);
    /* Without a deadline there is always time. */
    stop = (qn_stop){0};
    run(&slow, &stop, INT64_C(1000000000), &complete, &warnings);
    CHECK(complete);
    qn_str_release(&warnings);
}

static void told_to_stop_it_does_not_predict_for_long(void **state)
{
    (void)state;
    bool complete;
    qn_str warnings = {0};
    const qn_stop stop = {.interrupted = &raised};
    raise_at = 1;
    /* What is begun is ended if that takes less than a second. */
    run(&(struct sleeper){.row_us = 1, .value = 1}, &stop, 0, &complete, &warnings);
    CHECK(raised && !complete); /* folds to come are not begun */
    CHECK(n_predicted >= VALID);
    raised = 0;
    run(&(struct sleeper){.row_us = 2400, .value = 1}, &stop, 0, &complete, &warnings);
    CHECK(raised && !complete);
    CHECK(n_predicted < VALID);
    raised = 0;
    raise_at = 0;
    qn_str_release(&warnings);
}

static void what_predicts_no_numbers_is_left_out_with_a_word(void **state)
{
    (void)state;
    static const double wrong[] = {NAN, INFINITY, -INFINITY};
    const qn_stop stop = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        bool complete;
        qn_str warnings = {0};
        run(&(struct sleeper){.value = wrong[i]}, &stop, 0, &complete, &warnings);
        CHECK(!complete);
        CHECK_CONTAINS(warnings.text, "sleeper_1 was left out: what it predicts is not finite");
        qn_str_release(&warnings);
    }
}

RUN_TESTS(TEST(what_predicts_too_slowly_is_given_up),
          TEST(told_to_stop_it_does_not_predict_for_long),
          TEST(what_predicts_no_numbers_is_left_out_with_a_word))
