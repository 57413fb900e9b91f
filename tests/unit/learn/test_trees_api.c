/* SPDX-License-Identifier: Apache-2.0 */
/* quern/trees.h: the engine as other programs see it. */
#include "base/rng.h"
#include "quern/bundle.h"
#include "quern/trees.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

enum { N = 3000, N_VALID = 1000, F = 4 };

/* Columns of F features, column after column; the last is a category of five levels. */
struct data {
    double x[F][N + N_VALID], y[N + N_VALID], binary[N + N_VALID], class[N + N_VALID];
    int32_t n_levels[F];
};

static struct data *make_data(void)
{
    struct data *d = calloc(1, sizeof *d);
    qn_rng rng;
    qn_rng_init(&rng, 11, 0);
    d->n_levels[F - 1] = 5;
    for (int i = 0; i < N + N_VALID; i++) {
        for (int f = 0; f < F - 1; f++) {
            d->x[f][i] = qn_rng_uniform(&rng);
        }
        if (i % 17 == 0) d->x[1][i] = NAN;
        d->x[F - 1][i] = (double)qn_rng_below(&rng, 5);
        const double b = isnan(d->x[1][i]) ? 0.7 : d->x[1][i];
        d->y[i] = 3 * d->x[0][i] + sin(6 * b) * d->x[2][i] + (d->x[F - 1][i] == 3) +
                  0.2 * qn_rng_normal(&rng);
        d->binary[i] = d->y[i] > 2;
        d->class[i] = d->y[i] > 2.5 ? 2 : d->y[i] > 1.5;
    }
    return d;
}

static qn_trees_rows rows_of(const struct data *d, const double *target, int64_t begin, int64_t n)
{
    return (qn_trees_rows){.n_rows = n,
                           .values = d->x[0] + begin,
                           .row_stride = 1,
                           .feature_stride = N + N_VALID,
                           .target = target + begin};
}

static qn_trees_request request_for(const struct data *d, const char *task, const double *target,
                                    const char *params)
{
    return (qn_trees_request){.task = task,
                              .n_classes = 3,
                              .n_features = F,
                              .n_levels = d->n_levels,
                              .train = rows_of(d, target, 0, N),
                              .params = params,
                              .n_threads = 2};
}

static qn_trees *train(const qn_trees_request *request)
{
    qn_error err = {0};
    qn_trees *trees = NULL;
    CHECK_OK(qn_trees_train(request, &trees, &err));
    return trees;
}

static double *predict(const qn_trees *trees, const qn_trees_rows *rows, int64_t n_rounds, bool raw)
{
    qn_error err = {0};
    double *out = calloc((size_t)(rows->n_rows * qn_trees_n_outputs(trees)), sizeof *out);
    CHECK_OK(qn_trees_predict(trees, rows, n_rounds, raw, 2, out, &err));
    return out;
}

static double rmse(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sqrt(sum / (double)n);
}

static void check_equal(const double *a, const double *b, int64_t n)
{
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
}

static void rows_after_rows_are_the_same_as_columns(void **state)
{
    (void)state;
    struct data *d = make_data();
    qn_trees_request request = request_for(d, NULL, d->y, "n_estimators=30");
    qn_trees *by_columns = train(&request);
    double *turned = calloc(N * F, sizeof *turned);
    for (int i = 0; i < N; i++) {
        for (int f = 0; f < F; f++) {
            turned[i * F + f] = d->x[f][i];
        }
    }
    request.train.values = turned;
    request.train.row_stride = F;
    request.train.feature_stride = 1;
    qn_trees *by_rows = train(&request);
    const qn_trees_rows rows = rows_of(d, d->y, 0, N);
    double *a = predict(by_columns, &rows, 0, false), *b = predict(by_rows, &rows, 0, false);
    double *c = predict(by_rows, &request.train, 0, false);
    check_equal(a, b, N);
    check_equal(a, c, N);
    CHECK(rmse(a, d->y, N) < 0.4);
    free(a);
    free(b);
    free(c);
    free(turned);
    qn_trees_free(by_columns);
    qn_trees_free(by_rows);
    free(d);
}

static void going_on_is_as_if_never_stopped(void **state)
{
    (void)state;
    struct data *d = make_data();
    const struct {
        const char *task;
        const double *target;
        int32_t k;
    } cases[] = {{"regression", d->y, 1}, {"binary", d->binary, 1}, {"multiclass", d->class, 3}};
    for (int i = 0; i < 3; i++) {
        const char *half = "n_estimators=20", *whole = "n_estimators=40";
        qn_trees_request request = request_for(d, cases[i].task, cases[i].target, whole);
        qn_trees *all = train(&request);
        request.params = half;
        qn_trees *first = train(&request);
        request.from = first;
        qn_trees *second = train(&request);
        CHECK_INT(qn_trees_n_rounds(second), 40);
        CHECK_INT(qn_trees_n_trees(second), 40 * cases[i].k);
        const qn_trees_rows rows = rows_of(d, d->y, N, N_VALID);
        double *a = predict(all, &rows, 0, false), *b = predict(second, &rows, 0, false);
        check_equal(a, b, N_VALID * cases[i].k);
        /* Staged: the first rounds of the longer model are the shorter one. */
        double *staged = predict(all, &rows, 20, true), *short_one = predict(first, &rows, 0, true);
        check_equal(staged, short_one, N_VALID * cases[i].k);
        free(a);
        free(b);
        free(staged);
        free(short_one);
        qn_trees_free(all);
        qn_trees_free(first);
        qn_trees_free(second);
    }
    free(d);
}

static void squares(void *context, int64_t n, int32_t k, const double *scores, double *gradients,
                    double *hessians)
{
    const double *target = context;
    for (int64_t i = 0; i < n * k; i++) {
        gradients[i] = scores[i] - target[i];
        hessians[i] = 1;
    }
}

static void a_custom_objective_is_as_good_as_ours(void **state)
{
    (void)state;
    struct data *d = make_data();
    const qn_trees_hooks hooks = {.context = d->y, .derive = squares};
    double mean = 0;
    for (int i = 0; i < N; i++) {
        mean += d->y[i];
    }
    mean /= N;
    double *init = calloc(N, sizeof *init);
    for (int i = 0; i < N; i++) {
        init[i] = mean;
    }
    qn_trees_request request = request_for(d, "regression", d->y, "n_estimators=25");
    qn_trees *ours = train(&request);
    request.hooks = &hooks;
    request.train.init_scores = init;
    qn_trees *theirs = train(&request);
    const qn_trees_rows rows = rows_of(d, d->y, N, N_VALID);
    double *a = predict(ours, &rows, 0, false), *b = predict(theirs, &rows, 0, false);
    for (int i = 0; i < N_VALID; i++) {
        CHECK_NEAR(b[i] + mean, a[i], 1e-12);
    }
    free(a);
    free(b);
    free(init);
    qn_trees_free(ours);
    qn_trees_free(theirs);
    free(d);
}

static void nonsense(void *context, int64_t n, int32_t k, const double *scores, double *gradients,
                     double *hessians)
{
    squares(context, n, k, scores, gradients, hessians);
    gradients[n / 2] = NAN;
}

static void nonsense_of_a_hook_is_refused(void **state)
{
    (void)state;
    struct data *d = make_data();
    const qn_trees_hooks hooks = {.context = d->y, .derive = nonsense};
    qn_trees_request request = request_for(d, "regression", d->y, "");
    qn_error err = {0};
    qn_trees *trees = NULL;
    request.hooks = &hooks;
    CHECK_FAILS(QN_ERR_DATA, qn_trees_train(&request, &trees, &err));
    CHECK_CONTAINS(err.message, "round 1: the custom objective");
    CHECK(!trees);
    free(d);
}

struct watch {
    double losses[400];
    int64_t n, stop_at;
};

static bool watch_round(void *context, int64_t round, double loss)
{
    struct watch *watch = context;
    watch->losses[round - 1] = loss;
    watch->n = round;
    return round != watch->stop_at;
}

/* What training believed its scores to be is what the model predicts: whatever rows were sampled,
 * trees dropped or shapes grown. */
static void the_loss_seen_is_the_loss_of_the_model(void **state)
{
    (void)state;
    static const char *const params[] = {"",
                                         "bagging_fraction=0.6",
                                         "goss=1,learning_rate=0.5",
                                         "dart=1,drop_rate=0.3,skip_drop=0",
                                         "dart=1,bagging_fraction=0.7,max_drop=3",
                                         "grow_policy=symmetric,num_leaves=16",
                                         "grow_policy=depthwise",
                                         "extra_trees=1,grow_policy=symmetric",
                                         "feature_fraction=0.5",
                                         "path_smooth=5,max_delta_step=0.3"};
    struct data *d = make_data();
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        for (int wide = 0; wide < 2; wide++) {
            struct watch watch = {0};
            const qn_trees_hooks hooks = {.context = &watch, .after_round = watch_round};
            char all[160];
            snprintf(all, sizeof all, "n_estimators=200,learning_rate=0.2,%s", params[i]);
            if (!*params[i]) all[strlen(all) - 1] = '\0';
            qn_trees_request request = request_for(d, "regression", d->y, all);
            request.valid = rows_of(d, d->y, N, N_VALID);
            request.hooks = &hooks;
            request.max_bin = wide ? 2000 : 0;
            qn_trees *trees = train(&request);
            const int64_t kept = qn_trees_n_rounds(trees);
            double *out = predict(trees, &request.valid, 0, false);
            const double error = rmse(out, d->y + N, N_VALID);
            CHECK(kept >= 5 && kept <= watch.n);
            CHECK_NEAR(error * error, watch.losses[kept - 1], 1e-9);
            for (int64_t r = 0; r < watch.n; r++) {
                CHECK(watch.losses[kept - 1] <= watch.losses[r] * (1 + 1e-8));
            }
            if (error >= 0.5) fail_msg("%s: error %g", all, error); /* of 1.1; noise alone is 0.2 */
            free(out);
            qn_trees_free(trees);
        }
    }
    free(d);
}

static void a_hook_ends_the_training(void **state)
{
    (void)state;
    struct data *d = make_data();
    struct watch watch = {.stop_at = 7};
    const qn_trees_hooks hooks = {.context = &watch, .after_round = watch_round};
    qn_trees_request request = request_for(d, "binary", d->binary, "n_estimators=50");
    request.hooks = &hooks;
    qn_trees *trees = train(&request);
    CHECK_INT(qn_trees_n_rounds(trees), 7);
    CHECK(isnan(watch.losses[0]));
    qn_trees_free(trees);
    free(d);
}

static double always_worse(void *context, int64_t n, int32_t k, const double *scores)
{
    (void)n;
    (void)k;
    (void)scores;
    return ++*(double *)context;
}

static void stopping_goes_by_the_metric_or_the_hook(void **state)
{
    (void)state;
    struct data *d = make_data();
    qn_trees_request request =
        request_for(d, "binary", d->binary, "n_estimators=300,early_stopping_rounds=10");
    request.valid = rows_of(d, d->binary, N, N_VALID);
    struct watch watch = {0};
    qn_trees_hooks hooks = {.context = &watch, .after_round = watch_round};
    request.hooks = &hooks;
    request.metric = "accuracy";
    qn_trees *trees = train(&request);
    const int64_t kept = qn_trees_n_rounds(trees);
    double *out = predict(trees, &request.valid, 0, false);
    int64_t right = 0;
    for (int i = 0; i < N_VALID; i++) {
        right += (out[i] >= 0.5) == (d->binary[N + i] == 1);
    }
    CHECK_NEAR(-watch.losses[kept - 1], (double)right / N_VALID, 1e-12);
    free(out);
    qn_trees_free(trees);

    double counter = 0;
    hooks = (qn_trees_hooks){.context = &counter, .loss = always_worse};
    request.metric = NULL;
    trees = train(&request);
    CHECK_INT(qn_trees_n_rounds(trees), 1);
    CHECK_NEAR(counter, 11, 0);
    qn_trees_free(trees);
    free(d);
}

static void monotone_constraints_hold_everywhere(void **state)
{
    (void)state;
    static const char *const params[] = {
        "n_estimators=60", "n_estimators=60,grow_policy=symmetric,num_leaves=32",
        "n_estimators=60,objective=regression_l1", "n_estimators=60,path_smooth=10,dart=1"};
    static const int8_t wanted[F] = {1, -1, 0, 0};
    struct data *d = make_data();
    enum { PAIRS = 250000 };
    double *x = calloc((size_t)PAIRS * 2 * F, sizeof *x);
    for (size_t p = 0; p < sizeof params / sizeof *params; p++) {
        qn_trees_request request = request_for(d, "regression", d->y, params[p]);
        request.monotone_constraints = wanted;
        qn_trees *trees = train(&request);
        qn_rng rng;
        qn_rng_init(&rng, 5, p);
        for (int64_t i = 0; i < PAIRS; i++) { /* the second of a pair has more of 0, less of 1 */
            for (int f = 0; f < F; f++) {
                const double value =
                    f == F - 1 ? (double)qn_rng_below(&rng, 5) : 1.2 * qn_rng_uniform(&rng) - 0.1;
                x[2 * i * F + f] = x[(2 * i + 1) * F + f] = value;
            }
            const int f = (int)qn_rng_below(&rng, 2);
            x[(2 * i + 1) * F + f] += (f == 0 ? 1 : -1) * qn_rng_uniform(&rng);
        }
        const qn_trees_rows rows = {
            .n_rows = 2 * PAIRS, .values = x, .row_stride = F, .feature_stride = 1};
        double *out = predict(trees, &rows, 0, false);
        int64_t strictly = 0;
        for (int64_t i = 0; i < PAIRS; i++) {
            CHECK(out[2 * i] <= out[2 * i + 1]);
            strictly += out[2 * i] < out[2 * i + 1];
        }
        CHECK(strictly > PAIRS / 4);
        free(out);
        qn_trees_free(trees);
    }
    free(x);
    free(d);
}

/* f(a, b) - f(a, b') - f(a', b) + f(a', b'): 0 where two features never meet. */
static double interaction(const qn_trees *trees, int f, int g)
{
    double x[4][F], out[4], most = 0;
    qn_rng rng;
    qn_rng_init(&rng, 6, 0);
    for (int trial = 0; trial < 300; trial++) {
        for (int i = 0; i < 4; i++) {
            for (int h = 0; h < F; h++) {
                x[i][h] = i == 0
                              ? (h == F - 1 ? (double)qn_rng_below(&rng, 5) : qn_rng_uniform(&rng))
                              : x[0][h];
            }
        }
        const double other_f = f == F - 1 ? (double)qn_rng_below(&rng, 5) : qn_rng_uniform(&rng);
        const double other_g = g == F - 1 ? (double)qn_rng_below(&rng, 5) : qn_rng_uniform(&rng);
        x[1][f] = x[3][f] = other_f;
        x[2][g] = x[3][g] = other_g;
        const qn_trees_rows rows = {
            .n_rows = 4, .values = x[0], .row_stride = F, .feature_stride = 1};
        qn_error err = {0};
        CHECK_OK(qn_trees_predict(trees, &rows, 0, true, 1, out, &err));
        most = fmax(most, fabs(out[0] - out[1] - out[2] + out[3]));
    }
    return most;
}

static void features_meet_only_within_a_set(void **state)
{
    (void)state;
    static const uint64_t sets[F] = {1, 2 | 4, 2, 0}; /* {0}, {1, 2}, {1}; 3 by itself */
    static const char *const params[] = {"n_estimators=80",
                                         "n_estimators=80,grow_policy=symmetric,num_leaves=32"};
    struct data *d = make_data();
    for (int p = 0; p < 2; p++) {
        qn_trees_request request = request_for(d, "regression", d->y, params[p]);
        qn_trees *free_trees = train(&request);
        CHECK(interaction(free_trees, 0, 2) > 1e-3);
        CHECK(interaction(free_trees, 0, 3) > 1e-3);
        request.interaction_constraints = sets;
        qn_trees *trees = train(&request);
        CHECK(interaction(trees, 0, 1) < 1e-12);
        CHECK(interaction(trees, 0, 2) < 1e-12);
        CHECK(interaction(trees, 0, 3) < 1e-12);
        CHECK(interaction(trees, 1, 3) < 1e-12);
        CHECK(interaction(trees, 2, 3) < 1e-12);
        const double wanted = interaction(trees, 1, 2); /* the target has it */
        if (wanted < 1e-2) fail_msg("%s: %g", params[p], wanted);
        qn_trees_free(trees);
        qn_trees_free(free_trees);
    }
    free(d);
}

static void refitting_gives_leaves_the_values_of_new_rows(void **state)
{
    (void)state;
    static const char *const objectives[] = {"regression", "regression_l1", "poisson"};
    struct data *d = make_data();
    double *positive = calloc(N + N_VALID, sizeof *positive);
    for (int i = 0; i < N + N_VALID; i++) {
        positive[i] = fmax(0, d->y[i] + 1);
    }
    for (int i = 0; i < 3; i++) {
        char params[80];
        snprintf(params, sizeof params, "n_estimators=30,learning_rate=0.3,objective=%s",
                 objectives[i]);
        qn_trees_request request = request_for(d, "regression", positive, params);
        qn_trees *trees = train(&request), *same = NULL, *kept = NULL, *moved = NULL;
        qn_error err = {0};
        const qn_trees_rows rows = rows_of(d, positive, 0, N);
        CHECK_OK(qn_trees_refit(trees, &rows, 0, params, 2, &same, &err));
        CHECK_OK(qn_trees_refit(trees, &rows, 1, params, 1, &kept, &err));
        double *before = predict(trees, &rows, 0, true);
        double *after = predict(same, &rows, 0, true), *still = predict(kept, &rows, 0, true);
        for (int r = 0; r < N; r++) {
            CHECK_NEAR(after[r], before[r], 1e-6); /* fixed point against doubles */
        }
        check_equal(still, before, N);
        /* Doubled targets: the new model is for them. */
        double *doubled = calloc(N, sizeof *doubled);
        for (int r = 0; r < N; r++) {
            doubled[r] = 2 * positive[r];
        }
        qn_trees_rows other = rows;
        other.target = doubled;
        CHECK_OK(qn_trees_refit(trees, &other, 0, params, 2, &moved, &err));
        double *new = predict(moved, &rows, 0, false);
        CHECK(rmse(new, doubled, N) < 0.55 * rmse(before, doubled, N));
        free(doubled);
        free(before);
        free(after);
        free(still);
        free(new);
        qn_trees_free(trees);
        qn_trees_free(same);
        qn_trees_free(kept);
        qn_trees_free(moved);
    }
    free(positive);
    free(d);
}

static void more_bins_find_finer_cuts(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    double *x = calloc(ROWS, sizeof *x), *y = calloc(ROWS, sizeof *y);
    for (int i = 0; i < ROWS; i++) {
        x[i] = i;
        y[i] = i % 20 < 10; /* 2,000 edges */
    }
    double errors[3];
    const int64_t bins[3] = {255, 4000, 65535};
    for (int b = 0; b < 3; b++) {
        for (int threads = 1; threads <= 2; threads++) {
            const qn_trees_request request = {
                .n_features = 1,
                .train = {.n_rows = ROWS,
                          .values = x,
                          .row_stride = 1,
                          .feature_stride = ROWS,
                          .target = y},
                .max_bin = bins[b],
                .n_threads = threads,
                .params = "n_estimators=10,num_leaves=4096,learning_rate=0.5,min_data_in_leaf=1"};
            qn_trees *trees = train(&request);
            double *out = predict(trees, &request.train, 0, false);
            const double error = rmse(out, y, ROWS);
            CHECK(threads == 1 || error == errors[b]);
            errors[b] = error;
            free(out);
            qn_trees_free(trees);
        }
    }
    CHECK(errors[0] > 0.4 && errors[1] < 0.3 && errors[2] < 0.01);
    free(x);
    free(y);
}

static void leaves_are_numbered_by_tree(void **state)
{
    (void)state;
    struct data *d = make_data();
    qn_trees_request request =
        request_for(d, "multiclass", d->class, "n_estimators=5,num_leaves=8");
    qn_trees *trees = train(&request);
    const int64_t n_trees = qn_trees_n_trees(trees);
    CHECK_INT(n_trees, 15);
    int32_t *leaves = calloc((size_t)(N * n_trees), sizeof *leaves);
    qn_error err = {0};
    CHECK_OK(qn_trees_leaves(trees, &request.train, 2, leaves, &err));
    for (int64_t t = 0; t < n_trees; t++) {
        int64_t counts[8] = {0};
        for (int64_t i = 0; i < N; i++) {
            const int32_t leaf = leaves[i * n_trees + t];
            CHECK(leaf >= 0 && leaf < 8);
            counts[leaf]++;
        }
        for (int l = 0; l < 8; l++) {
            CHECK(counts[l] >= 10);
        }
    }
    free(leaves);
    qn_trees_free(trees);
    free(d);
}

static void saved_trees_are_a_model_file(void **state)
{
    (void)state;
    struct data *d = make_data();
    qn_error err = {0};
    char path[64];
    snprintf(path, sizeof path, "trees_api_%d.quern", (int)getpid());
    static const char *const names[F] = {"a", "b", "c", "d"};
    qn_trees_request request = request_for(d, "binary", d->binary, "n_estimators=20");
    request.feature_names = names;
    qn_trees *trees = train(&request);
    CHECK_OK(qn_trees_save(trees, path, "no,yes", &err));
    qn_model *model = NULL;
    CHECK_OK(qn_model_open(path, &model, &err));
    CHECK_TEXT(qn_model_input_name(model, 2), "c");
    CHECK_TEXT(qn_model_class(model, 1), "yes");
    double *out = predict(trees, &request.train, 0, false);
    void *scratch = aligned_alloc(64, (qn_model_scratch_bytes(model) + 63) / 64 * 64);
    for (int i = 0; i < 50; i++) {
        qn_cell cells[F];
        double p;
        for (int f = 0; f < F; f++) {
            cells[f] = (qn_cell){.number = d->x[f][i]};
        }
        CHECK_OK(qn_model_predict_row(model, cells, &p, scratch, &err));
        CHECK(p == out[i]);
    }
    free(scratch);
    free(out);
    qn_model_close(model);
    unlink(path);
    CHECK_FAILS(QN_ERR_ARG, qn_trees_save(trees, path, "a,b,c", &err));
    CHECK_FAILS(QN_ERR_IO, qn_trees_save(trees, "/nowhere/x.quern", NULL, &err));
    qn_trees_free(trees);
    free(d);
}

static void wrong_requests_are_told_in_words(void **state)
{
    (void)state;
    struct data *d = make_data();
    static const int8_t up[F] = {0, 0, 0, 1};
    static const int32_t many[F] = {0, 300, 0, 0};
    qn_trees_request good = request_for(d, "binary", d->binary, "n_estimators=2"), bad[14];
    const char *words[14];
    int n = 0;
#define BAD(text, ...)  \
    bad[n] = good;      \
    bad[n].__VA_ARGS__; \
    words[n++] = text
    BAD("no task 'binery'", task = "binery");
    BAD("gbdt has no parameter 'leaves'", params = "leaves=3");
    BAD("max_bin 2 is not", max_bin = 2);
    BAD("max_bin 65536 is not", max_bin = 65536);
    BAD("no rows", train.n_rows = 0);
    BAD("n_features 0", n_features = 0);
    BAD("without a target", train.target = NULL);
    BAD("training row 0: target", train.target = d->x[0]);
    BAD("no metric 'rmse' for binary", metric = "rmse");
    BAD("cannot be monotone", monotone_constraints = up);
    BAD("300 levels", n_levels = many);
    BAD("objective poisson is not for a binary", params = "objective=poisson");
    BAD("validation row 0: target", valid = rows_of(d, d->x[0], N, N_VALID));
    for (int i = 0; i < n; i++) {
        qn_error err = {0};
        qn_trees *trees = NULL;
        CHECK_FAILS(QN_ERR_ARG, qn_trees_train(&bad[i], &trees, &err));
        CHECK_CONTAINS(err.message, words[i]);
        CHECK(!trees);
    }
    good.train.weights = d->x[1]; /* has NaN */
    qn_error err = {0};
    qn_trees *trees = NULL;
    CHECK_FAILS(QN_ERR_ARG, qn_trees_train(&good, &trees, &err));
    CHECK_CONTAINS(err.message, "training row 0: weight nan");
    free(d);
}

static void everything_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct data *d = make_data();
    qn_trees_request request =
        request_for(d, "multiclass", d->class, "n_estimators=2,dart=1,skip_drop=0");
    request.train.n_rows = 200;
    request.n_threads = 1;
    request.valid = rows_of(d, d->class, N, 50);
    qn_trees *trees = NULL, *other = NULL;
    CHECK_SURVIVES_NO_MEMORY_RELEASING(qn_trees_train(&request, &trees, NULL),
                                       qn_trees_free(trees));
    CHECK_SURVIVES_NO_MEMORY_RELEASING(
        qn_trees_refit(trees, &request.train, 0.5, NULL, 1, &other, NULL), qn_trees_free(other));
    double out[200 * 3];
    int32_t leaves[200 * 6];
    CHECK_SURVIVES_NO_MEMORY(qn_trees_predict(trees, &request.train, 1, true, 1, out, NULL));
    CHECK_SURVIVES_NO_MEMORY(qn_trees_leaves(trees, &request.train, 1, leaves, NULL));
    char path[64];
    snprintf(path, sizeof path, "trees_api_memory_%d.quern", (int)getpid());
    CHECK_SURVIVES_NO_MEMORY_RELEASING(qn_trees_save(trees, path, NULL, NULL), unlink(path));
    unlink(path);
    qn_trees_free(trees);
    qn_trees_free(other);
    free(d);
}

RUN_TESTS(TEST(rows_after_rows_are_the_same_as_columns), TEST(going_on_is_as_if_never_stopped),
          TEST(a_custom_objective_is_as_good_as_ours), TEST(nonsense_of_a_hook_is_refused),
          TEST(the_loss_seen_is_the_loss_of_the_model), TEST(a_hook_ends_the_training),
          TEST(stopping_goes_by_the_metric_or_the_hook), TEST(monotone_constraints_hold_everywhere),
          TEST(features_meet_only_within_a_set),
          TEST(refitting_gives_leaves_the_values_of_new_rows), TEST(more_bins_find_finer_cuts),
          TEST(leaves_are_numbered_by_tree), TEST(saved_trees_are_a_model_file),
          TEST(wrong_requests_are_told_in_words), TEST(everything_survives_running_out_of_memory))
