/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of boosted trees for every objective, growth policy and way of sampling that fit
 * together: training lowers the loss; the same bytes on any number of threads; the order of rows is
 * of no account, nor whether a row stands twice or weighs twice; a fit that is stopped is the
 * beginning of the whole one; a round trip through bytes changes nothing; running out of memory is
 * survived; monotone constraints hold for any pair of rows. */
#include "learn/learner.h"
#include "learn/tree/gbdt.h"
#include "learn/tree/tree_learners.h"
#include "model/tree_model.h"

#include "datasets.h"

#include <stdlib.h>

enum { FEATURES = 14, CLASSES = 3, QUERY_ROWS = 20 };

static const struct objective {
    const char *name;
    qn_task task;
} objectives[] = {
    {"regression", QN_TASK_REGRESSION},
    {"regression_l1", QN_TASK_REGRESSION},
    {"huber", QN_TASK_REGRESSION},
    {"quantile", QN_TASK_REGRESSION},
    {"poisson", QN_TASK_REGRESSION},
    {"gamma", QN_TASK_REGRESSION},
    {"tweedie", QN_TASK_REGRESSION},
    {"cross_entropy", QN_TASK_REGRESSION},
    {"binary", QN_TASK_BINARY},
    {"multiclass", QN_TASK_MULTICLASS},
    {"multiclassova", QN_TASK_MULTICLASS},
    {"lambdarank", QN_TASK_RANKING},
};
enum { N_OBJECTIVES = sizeof objectives / sizeof *objectives };

static const char *const policies[] = {"lossguide", "depthwise", "symmetric"};
enum { N_POLICIES = 3 };

static const char *const samplings[] = {"bagging_fraction=1", "bagging_fraction=0.6,bagging_freq=2",
                                        "goss=true,top_rate=0.3,other_rate=0.2",
                                        "dart=true,drop_rate=0.4,skip_drop=0.2"};
enum { NO_SAMPLING, BAGGING, GOSS, DART, N_SAMPLINGS };

/* Worlds. */

/* Numbers of many values, some missing; small numbers and flags, which share a byte; a category
 * with missing ones. In `coarse` worlds all have few values, so that bins do not depend on how
 * often each stands there. */
static double draw_feature(qn_rng *rng, int64_t f, bool coarse)
{
    if (f == 3) return qn_rng_below(rng, 10) ? (double)qn_rng_below(rng, 12) : QN_NA;
    if (f == 4 || f == 5) return (double)qn_rng_below(rng, f);
    if (f == 1 && qn_rng_below(rng, 6) == 0) return QN_NA;
    const double value = qn_rng_normal(rng);
    return coarse ? floor(4 * value) : value;
}

static double draw_target(const char *name, qn_task task, double signal, qn_rng *rng)
{
    const double noisy = signal + 0.4 * qn_rng_normal(rng), u = qn_rng_uniform(rng);
    if (task == QN_TASK_BINARY) return noisy > 0.5;
    if (task == QN_TASK_MULTICLASS) return noisy < -0.3 ? 0 : noisy < 1.2 ? 1 : 2;
    if (task == QN_TASK_RANKING) return fmin(fmax(floor(noisy + 1), 0), 4);
    if (strcmp(name, "poisson") == 0) return floor(exp(0.5 * signal) + u);
    if (strcmp(name, "gamma") == 0) return exp(0.5 * signal) * (0.5 + u);
    if (strcmp(name, "tweedie") == 0) return u < 0.3 ? 0 : exp(0.5 * signal) * (0.5 + u);
    if (strcmp(name, "cross_entropy") == 0) return 1 / (1 + exp(-noisy));
    return noisy;
}

static void fill_part(qn_dataset *data, qn_dataset_part *part, const char *name, bool coarse,
                      uint64_t stream)
{
    qn_rng rng;
    qn_rng_init(&rng, 15, stream);
    if (data->task == QN_TASK_RANKING && part->n_rows > 0) {
        part->groups = qn_alloc_array(part->n_rows, sizeof *part->groups);
    }
    for (int64_t row = 0; row < part->n_rows; row++) {
        double x[FEATURES];
        for (int64_t f = 0; f < FEATURES; f++) {
            dataset_column(part, f)[row] = x[f] = draw_feature(&rng, f, coarse);
        }
        const double second = isnan(x[1]) ? 1.5 : x[1];
        const double level = isnan(x[3]) ? 0 : (double)((int)x[3] * 5 % 7) * 0.2;
        const double scale = coarse ? 0.25 : 1;
        const double signal =
            scale * (x[0] + 0.5 * fabs(second) + 0.4 * scale * x[0] * x[2]) + level + 0.2 * x[5];
        part->target[row] = draw_target(name, data->task, signal, &rng);
        if (part->groups) part->groups[row] = (int32_t)(row / QUERY_ROWS);
    }
}

/* Release with dataset_release(). */
static qn_dataset make_world(const struct objective *o, int64_t n_train, int64_t n_valid,
                             bool coarse)
{
    const int32_t n_classes = o->task == QN_TASK_MULTICLASS ? CLASSES : 0;
    qn_dataset data = dataset_create(o->task, n_classes, n_train, n_valid, FEATURES);
    if (!coarse) dataset_categorical(&data, 3, 12);
    fill_part(&data, &data.train, o->name, coarse, 1);
    fill_part(&data, &data.valid, o->name, coarse, 2);
    dataset_bin(&data, 255);
    return data;
}

/* Fits. */

struct fit {
    qn_gbdt_params params;
    qn_learn_request request;
    qn_learn_result result;
};

static void prepare_fit(struct fit *fit, const qn_dataset *data, const char *objective, int policy,
                        int sampling, const char *more)
{
    qn_error err = {0};
    char text[400];
    snprintf(text, sizeof text, "objective=%s,grow_policy=%s,%s,%s", objective, policies[policy],
             samplings[sampling], more);
    *fit = (struct fit){.request = {.data = data, .seed = 7}};
    qn_params_init(&qn_learner_gbdt, &fit->params);
    CHECK_OK(qn_params_set(&qn_learner_gbdt, &fit->params, text, &err));
}

static qn_status run_fit(struct fit *fit, qn_error *err)
{
    fit->request.params = &fit->params;
    return qn_learner_gbdt.fit(&fit->request, &fit->result, err);
}

static void must_fit(struct fit *fit)
{
    qn_error err = {0};
    CHECK_OK(run_fit(fit, &err));
}

static void release_fit(struct fit *fit)
{
    qn_estimator_free(fit->result.estimator);
    qn_free(fit->result.importance);
    fit->result = (qn_learn_result){0};
}

static double *sums_of(const struct fit *fit, const qn_matrix *features)
{
    const qn_estimator *estimator = fit->result.estimator;
    double *out = qn_alloc_array(features->n_rows * estimator->n_outputs, sizeof *out);
    void *scratch =
        qn_alloc_aligned((int64_t)qn_estimator_scratch_bytes(estimator, features->n_rows), 1);
    CHECK(out && scratch);
    qn_tree_model_sums(qn_tree_model_of(estimator), features, out, scratch);
    qn_free(scratch);
    return out;
}

static qn_writer bytes_of(const struct fit *fit)
{
    qn_writer writer = {0};
    qn_estimator_write(fit->result.estimator, &writer);
    CHECK(writer.bytes > 0);
    return writer;
}

static void check_same_bytes(qn_writer *a, const struct fit *fit)
{
    qn_writer b = bytes_of(fit);
    CHECK_INT(a->bytes, b.bytes);
    assert_memory_equal(a->data, b.data, a->bytes);
    qn_writer_release(&b);
}

typedef void check_combination(const struct objective *o, int policy, int sampling);

static void for_each(check_combination *check)
{
    for (int o = 0; o < N_OBJECTIVES; o++) {
        for (int policy = 0; policy < N_POLICIES; policy++) {
            for (int sampling = 0; sampling < N_SAMPLINGS; sampling++) {
                check(&objectives[o], policy, sampling);
            }
        }
    }
}

static const char small_trees[] =
    "num_leaves=15,max_depth=5,min_data_in_leaf=5,learning_rate=0.3,n_estimators=";

static void prepare_small(struct fit *fit, const qn_dataset *data, const struct objective *o,
                          int policy, int sampling, int n_rounds)
{
    char more[200];
    snprintf(more, sizeof more, "%s%d", small_trees, n_rounds);
    prepare_fit(fit, data, o->name, policy, sampling, more);
}

/* Training. */

/* The objective's loss of the training rows under the model, or with scores as they begin. */
static double training_loss(const struct fit *fit, const qn_dataset *data, bool trained)
{
    qn_error err = {0};
    const qn_objective *objective;
    qn_objective_rows rows;
    CHECK_OK(qn_objective_choose(&fit->params.objective, data, &objective, &err));
    CHECK_OK(qn_objective_rows_create(objective, &fit->params.objective, data, &data->train, &rows,
                                      &err));
    double *scores = sums_of(fit, &data->train.views[QN_VIEW_TREE]);
    for (int64_t i = 0; !trained && i < rows.n * rows.k; i++) {
        scores[i] = qn_tree_model_of(fit->result.estimator)->init[i % rows.k];
    }
    const double loss = qn_objective_loss(&rows, NULL, scores);
    qn_free(scores);
    qn_objective_rows_release(&rows);
    return loss;
}

static void check_training(const struct objective *o, int policy, int sampling)
{
    qn_dataset data = make_world(o, 600, 0, false);
    double losses[3];
    for (int i = 0; i < 2; i++) {
        struct fit fit;
        prepare_small(&fit, &data, o, policy, sampling, i ? 24 : 6);
        must_fit(&fit);
        CHECK_INT(fit.result.n_rounds, i ? 24 : 6);
        CHECK(!fit.result.stopped);
        losses[i + 1] = training_loss(&fit, &data, true);
        if (i == 0) losses[0] = training_loss(&fit, &data, false);
        release_fit(&fit);
    }
    CHECK(losses[1] < losses[0] && losses[2] < losses[0]);
    if (sampling != DART) CHECK(losses[2] < losses[1]); /* dart weighs earlier trees down again */
    dataset_release(&data);
}

static void training_lowers_the_loss(void **state)
{
    (void)state;
    for_each(check_training);
}

/* With validation rows, the rounds kept are those of the least loss. */
static void check_early_stopping(const struct objective *o, int policy, int sampling)
{
    if (sampling == DART) return; /* what is kept is not a prefix */
    qn_dataset data = make_world(o, 300, 200, false);
    struct fit fit, prefix;
    prepare_small(&fit, &data, o, policy, sampling, 400);
    must_fit(&fit);
    const int64_t n = fit.result.n_rounds;
    CHECK(n >= 1 && n <= 400);
    qn_writer bytes = bytes_of(&fit);
    qn_dataset train = data;
    train.valid.n_rows = 0;
    prepare_small(&prefix, &train, o, policy, sampling, (int)n);
    must_fit(&prefix);
    check_same_bytes(&bytes, &prefix);
    qn_writer_release(&bytes);
    release_fit(&fit);
    release_fit(&prefix);
    dataset_release(&data);
}

static void early_stopping_keeps_a_prefix(void **state)
{
    (void)state;
    for_each(check_early_stopping);
}

/* Threads: rows enough that leaves are worked on by all of them together, and small ones ahead. */

enum { MANY_ROWS = 30000 };

static void check_threads(const struct objective *o, int policy, int sampling)
{
    static qn_dataset data;
    static const struct objective *made_for;
    if (o != made_for) {
        if (made_for) dataset_release(&data);
        data = make_world(o, MANY_ROWS, 2000, false);
        made_for = o;
    }
    CHECK(data.bins->n_groups * MANY_ROWS > 1 << 18);
    qn_writer first = {0};
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        struct fit fit;
        prepare_fit(&fit, &data, o->name, policy, sampling,
                    "num_leaves=31,max_depth=7,learning_rate=0.5,n_estimators=3,"
                    "feature_fraction=0.9,early_stopping_rounds=9");
        fit.request.pool = qn_pool_create(n_threads);
        must_fit(&fit);
        if (n_threads == 1) {
            first = bytes_of(&fit);
        } else {
            check_same_bytes(&first, &fit);
        }
        qn_pool_free(fit.request.pool);
        release_fit(&fit);
    }
    qn_writer_release(&first);
    const bool last = o == &objectives[N_OBJECTIVES - 1] && policy == N_POLICIES - 1 &&
                      sampling == N_SAMPLINGS - 1;
    if (last) {
        dataset_release(&data);
        made_for = NULL;
    }
}

static void threads_change_no_byte(void **state)
{
    (void)state;
    for_each(check_threads);
}

/* The order of rows, and rows that stand twice. */

/* Copies rows of one part to another, in the order given. */
static void take_rows(const qn_dataset_part *from, const int32_t *rows, qn_dataset_part *to)
{
    for (int64_t i = 0; i < to->n_rows; i++) {
        for (int64_t f = 0; f < FEATURES; f++) {
            dataset_column(to, f)[i] =
                from->views[QN_VIEW_TREE].dense[f * from->views[QN_VIEW_TREE].stride + rows[i]];
        }
        to->target[i] = from->target[rows[i]];
        if (to->weights) to->weights[i] = from->weights ? from->weights[rows[i]] : 1;
        if (to->groups) to->groups[i] = from->groups[rows[i]];
    }
}

/* A random order, in which the rows of a query keep theirs: that is what ties go by. */
static void shuffle(const qn_dataset_part *part, int32_t *rows)
{
    const int64_t n = part->n_rows;
    qn_rng rng;
    qn_rng_init(&rng, 16, 0);
    for (int32_t i = 0; i < n; i++) {
        rows[i] = i;
    }
    qn_rng_shuffle(&rng, rows, n);
    int32_t taken[1000] = {0};
    for (int64_t i = 0; part->groups && i < n; i++) {
        const int32_t query = part->groups[rows[i]];
        rows[i] = query * QUERY_ROWS + taken[query]++;
    }
}

static void check_near(const struct fit *a, const struct fit *b, const qn_matrix *features,
                       double tolerance)
{
    const int64_t n = features->n_rows * a->result.estimator->n_outputs;
    double *left = sums_of(a, features), *right = sums_of(b, features);
    for (int64_t i = 0; i < n; i++) {
        CHECK_NEAR(left[i], right[i], tolerance * (1 + fabs(right[i])));
    }
    qn_free(left);
    qn_free(right);
}

static void check_order(const struct objective *o, int policy, int sampling)
{
    if (sampling == BAGGING || sampling == GOSS) return; /* which rows are drawn goes by place */
    enum { N = 800 };
    qn_dataset data = make_world(o, N, 100, false), moved = make_world(o, N, 0, false);
    int32_t rows[N];
    shuffle(&data.train, rows);
    take_rows(&data.train, rows, &moved.train);
    dataset_bin(&moved, 255);
    struct fit a, b;
    qn_dataset train = data;
    train.valid.n_rows = 0;
    prepare_small(&a, &train, o, policy, sampling, 12);
    prepare_small(&b, &moved, o, policy, sampling, 12);
    must_fit(&a);
    must_fit(&b);
    check_near(&a, &b, &data.valid.views[QN_VIEW_TREE], 1e-9);
    release_fit(&a);
    release_fit(&b);
    dataset_release(&data);
    dataset_release(&moved);
}

static void the_order_of_rows_is_of_no_account(void **state)
{
    (void)state;
    for_each(check_order);
}

static void check_weights(const struct objective *o, int policy, int sampling)
{
    if (sampling == BAGGING || sampling == GOSS || o->task == QN_TASK_RANKING) return;
    /* Gradients of two values make many splits exactly alike; which is taken goes by rounding. */
    if (!strcmp(o->name, "regression_l1") || !strcmp(o->name, "quantile")) return;
    enum { N = 500, TWICE = 200 };
    qn_dataset data = make_world(o, N, 100, true), doubled = make_world(o, N + TWICE, 0, true);
    int32_t rows[N + TWICE];
    data.train.weights = qn_alloc_array(N, sizeof(double));
    for (int32_t i = 0; i < N; i++) {
        data.train.weights[i] = i < TWICE ? 2 : 1;
        rows[i] = i;
        if (i < TWICE) rows[N + i] = i;
    }
    qn_free(doubled.train.weights);
    take_rows(&data.train, rows, &doubled.train);
    doubled.train.weights = qn_alloc_array(N + TWICE, sizeof(double));
    for (int32_t i = 0; i < N + TWICE; i++) {
        doubled.train.weights[i] = 1;
    }
    dataset_bin(&doubled, 255);
    struct fit a, b;
    /* Rows are counted by their share of the hessian: no bound on their number, then. */
    const char *more = "min_data_in_leaf=1,min_sum_hessian_in_leaf=8.3,num_leaves=12,max_depth=4,"
                       "learning_rate=0.3,n_estimators=10";
    qn_dataset train = data;
    train.valid.n_rows = 0;
    prepare_fit(&a, &train, o->name, policy, sampling, more);
    prepare_fit(&b, &doubled, o->name, policy, sampling, more);
    must_fit(&a);
    must_fit(&b);
    check_near(&a, &b, &data.valid.views[QN_VIEW_TREE], 1e-7);
    release_fit(&a);
    release_fit(&b);
    dataset_release(&data);
    dataset_release(&doubled);
}

static void a_row_of_weight_two_is_a_row_that_stands_twice(void **state)
{
    (void)state;
    for_each(check_weights);
}

/* Stopping. */

static bool raise_at_five(void *context, int64_t round, double loss)
{
    (void)loss;
    if (round == 5) *(volatile sig_atomic_t *)context = 1;
    return true;
}

static void check_stop(const struct objective *o, int policy, int sampling)
{
    qn_dataset data = make_world(o, 300, 0, false);
    volatile sig_atomic_t raised = 0;
    const qn_stop stop = {.interrupted = &raised};
    const qn_gbdt_hooks hooks = {.context = (void *)(uintptr_t)&raised,
                                 .after_round = raise_at_five};
    struct fit stopped, whole;
    prepare_small(&stopped, &data, o, policy, sampling, 5000);
    stopped.params.hooks = &hooks;
    stopped.request.stop = &stop;
    must_fit(&stopped);
    CHECK(stopped.result.stopped);
    CHECK_INT(stopped.result.n_rounds, 5);
    prepare_small(&whole, &data, o, policy, sampling, 5);
    must_fit(&whole);
    qn_writer bytes = bytes_of(&stopped);
    check_same_bytes(&bytes, &whole);
    qn_writer_release(&bytes);
    release_fit(&stopped);
    release_fit(&whole);
    raised = 1; /* from the beginning: there is nothing to return */
    qn_error err = {0};
    prepare_small(&stopped, &data, o, policy, sampling, 5);
    stopped.request.stop = &stop;
    CHECK_FAILS(QN_ERR_INTERRUPTED, run_fit(&stopped, &err));
    CHECK(stopped.result.estimator == NULL);
    release_fit(&stopped);
    dataset_release(&data);
}

static void a_fit_that_is_stopped_is_the_beginning_of_the_whole(void **state)
{
    (void)state;
    for_each(check_stop);
}

/* Bytes and memory. */

static void check_round_trip(const struct objective *o, int policy, int sampling)
{
    qn_error err = {0};
    qn_dataset data = make_world(o, 300, 100, false);
    struct fit fit, read = {0};
    prepare_small(&fit, &data, o, policy, sampling, 8);
    must_fit(&fit);
    qn_writer writer = {0};
    qn_family_trees.write(fit.result.estimator, &writer);
    uint8_t *copy = aligned_alloc(64, (writer.bytes + 63) / 64 * 64);
    memcpy(copy, writer.data, writer.bytes);
    qn_reader reader = {.data = copy, .bytes = writer.bytes};
    CHECK_OK(qn_family_trees.read(&reader, FEATURES, &read.result.estimator, &err));
    read.result.estimator->family = &qn_family_trees;
    const int64_t n = 100 * data.n_outputs;
    double *before = sums_of(&fit, &data.valid.views[QN_VIEW_TREE]);
    double *after = sums_of(&read, &data.valid.views[QN_VIEW_TREE]);
    assert_memory_equal(before, after, (size_t)n * sizeof *before);
    qn_free(before);
    qn_free(after);
    release_fit(&read);
    release_fit(&fit);
    qn_writer_release(&writer);
    free(copy);
    dataset_release(&data);
}

static void a_round_trip_changes_no_prediction(void **state)
{
    (void)state;
    for_each(check_round_trip);
}

static void check_no_memory(const struct objective *o, int policy, int sampling)
{
    qn_dataset data = make_world(o, 120, 40, false);
    struct fit fit;
    prepare_fit(&fit, &data, o->name, policy, sampling,
                "num_leaves=4,max_depth=2,learning_rate=0.9,n_estimators=3");
    /* Importances are all that may be missing where a fit succeeds. */
    CHECK_SURVIVES_NO_MEMORY_RELEASING(run_fit(&fit, NULL), release_fit(&fit));
    release_fit(&fit);
    dataset_release(&data);
}

static void running_out_of_memory_is_survived(void **state)
{
    (void)state;
    for_each(check_no_memory);
}

/* Tables that say nothing. */

static void check_emptiness(const struct objective *o, int policy, int sampling)
{
    for (int64_t n = 1; n <= 40; n += 39) {
        qn_dataset data = make_world(o, n, 0, false);
        for (int64_t row = 0; row < n; row++) {
            for (int64_t f = 0; f < FEATURES; f++) {
                dataset_column(&data.train, f)[row] = f % 2 ? QN_NA : 3;
            }
        }
        dataset_bin(&data, 255);
        struct fit fit;
        prepare_small(&fit, &data, o, policy, sampling, 5);
        must_fit(&fit);
        double *sums = sums_of(&fit, &data.train.views[QN_VIEW_TREE]);
        for (int64_t i = 0; i < n * data.n_outputs; i++) {
            CHECK(isfinite(sums[i]));
            CHECK(sums[i] == sums[i % data.n_outputs]);
        }
        qn_free(sums);
        release_fit(&fit);
        dataset_release(&data);
    }
}

static void without_information_all_rows_are_alike(void **state)
{
    (void)state;
    for_each(check_emptiness);
}

/* Rare classes. */

/* A leaf of five positive rows of a thousand would step by 1 / p = 200; log losses go 10 at most,
 * or as far as they are told. */
static void steps_of_rare_classes_are_bounded(void **state)
{
    (void)state;
    const char *const more[] = {"max_delta_step=0", "max_delta_step=15"};
    const double expected[] = {10, 15};
    for (int i = 0; i < 2; i++) {
        const struct objective binary = {"binary", QN_TASK_BINARY};
        char text[200];
        struct fit fit;
        qn_dataset data = make_world(&binary, 1000, 0, false);
        for (int64_t row = 0; row < 1000; row++) {
            data.train.target[row] = row < 5;
            dataset_column(&data.train, 0)[row] = row < 5;
        }
        dataset_bin(&data, 255);
        snprintf(text, sizeof text,
                 "n_estimators=1,num_leaves=2,min_data_in_leaf=1,learning_rate=1,%s", more[i]);
        prepare_fit(&fit, &data, "binary", 0, NO_SAMPLING, text);
        must_fit(&fit);
        double *sums = sums_of(&fit, &data.train.views[QN_VIEW_TREE]);
        CHECK_NEAR(sums[0] - log(0.005 / 0.995), expected[i], 1e-9);
        CHECK(sums[999] < log(0.005 / 0.995));
        qn_free(sums);
        release_fit(&fit);
        dataset_release(&data);
    }
}

/* Monotone constraints. */

enum { PAIRS = 1600 };

/* Pairs of rows that differ in one constrained feature; the second has the larger value. */
static void make_pairs(qn_matrix *first, qn_matrix *second, int64_t f, uint64_t stream)
{
    qn_rng rng;
    qn_rng_init(&rng, 17, stream);
    for (int64_t row = 0; row < PAIRS; row++) {
        for (int64_t c = 0; c < FEATURES; c++) {
            first->dense[c * PAIRS + row] = draw_feature(&rng, c, false);
            second->dense[c * PAIRS + row] = first->dense[c * PAIRS + row];
        }
        const double a = 2 * qn_rng_normal(&rng), b = 2 * qn_rng_normal(&rng);
        first->dense[f * PAIRS + row] = fmin(a, b);
        second->dense[f * PAIRS + row] = fmax(a, b);
    }
}

static int64_t n_pairs_checked, n_pairs_apart;

static void check_monotone(const struct objective *o, int policy, int sampling)
{
    if (o->task == QN_TASK_MULTICLASS) return; /* scores of classes are not their order */
    const int8_t monotone[FEATURES] = {1, -1};
    qn_error err = {0};
    qn_dataset data = make_world(o, 1000, 0, false);
    data.monotone = monotone;
    for (int64_t row = 0; row < 1000; row++) { /* goes up and down */
        const double x = dataset_column(&data.train, 0)[row];
        if (o->task == QN_TASK_REGRESSION && sin(4 * x) > 0.3) {
            data.train.target[row] = data.train.target[row] * 0.2 + 0.1;
        }
    }
    const char *const more[] = {"", ",path_smooth=5", ",max_delta_step=0.5,reg_lambda=0.1"};
    for (int m = 0; m < 3; m++) {
        char text[200];
        snprintf(text, sizeof text,
                 "num_leaves=25,max_depth=6,min_data_in_leaf=3,learning_rate=0.3,n_estimators=15%s",
                 more[m]);
        struct fit fit;
        prepare_fit(&fit, &data, o->name, policy, sampling, text);
        must_fit(&fit);
        for (int64_t f = 0; f < 2; f++) {
            qn_matrix first, second;
            CHECK_OK(qn_matrix_init(&first, PAIRS, FEATURES, &err));
            CHECK_OK(qn_matrix_init(&second, PAIRS, FEATURES, &err));
            make_pairs(&first, &second, f, (uint64_t)(m + 3 * f));
            double *low = sums_of(&fit, &first), *high = sums_of(&fit, &second);
            for (int64_t i = 0; i < PAIRS; i++) {
                CHECK(monotone[f] > 0 ? high[i] >= low[i] : high[i] <= low[i]);
                n_pairs_apart += high[i] != low[i];
            }
            n_pairs_checked += PAIRS;
            qn_free(low);
            qn_free(high);
            qn_matrix_release(&first);
            qn_matrix_release(&second);
        }
        release_fit(&fit);
    }
    dataset_release(&data);
}

static void monotone_constraints_hold_for_every_pair(void **state)
{
    (void)state;
    for_each(check_monotone);
    CHECK(n_pairs_checked >= 1000000);
    CHECK(n_pairs_apart > n_pairs_checked / 2); /* not because nothing was learned */
}

RUN_TESTS(TEST(training_lowers_the_loss), TEST(early_stopping_keeps_a_prefix),
          TEST(threads_change_no_byte), TEST(the_order_of_rows_is_of_no_account),
          TEST(a_row_of_weight_two_is_a_row_that_stands_twice),
          TEST(a_fit_that_is_stopped_is_the_beginning_of_the_whole),
          TEST(a_round_trip_changes_no_prediction), TEST(running_out_of_memory_is_survived),
          TEST(without_information_all_rows_are_alike), TEST(steps_of_rare_classes_are_bounded),
          TEST(monotone_constraints_hold_for_every_pair))
