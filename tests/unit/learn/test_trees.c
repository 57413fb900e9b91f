/* SPDX-License-Identifier: Apache-2.0 */
/* Trees seen from outside: what learners fit and predict against brute force over the same rows. */
#include "automl/fold.h"
#include "learn/learner.h"
#include "model/tree_model.h"

#include "tables.h"

enum { ROWS_MAX = 3000 };

/* One fold of a table: `train` marks the rows that train, `tree` is the tree view of every row. */
struct world {
    table table;
    qn_fold_set folds;
    qn_matrix tree;
    int64_t n;
    bool train[ROWS_MAX];
    double weights[ROWS_MAX];
};

static void make_world(struct world *w, const char *csv, const char *task, bool weighted,
                       const char *const *kinds)
{
    qn_error err = {0};
    qn_binding *binding = NULL;
    memset(w, 0, sizeof *w);
    w->table = table_from_csv(csv, "y", task, kinds);
    w->n = w->table.n_rows;
    CHECK(w->n <= ROWS_MAX);
    for (int64_t i = 0; i < w->n; i++) {
        w->weights[i] = weighted ? 0.5 + (double)(i % 4) : 1;
        w->train[i] = true;
    }
    const qn_fold_request request = {.frame = w->table.frame,
                                     .schema = w->table.schema,
                                     .target = w->table.target,
                                     .weights = weighted ? w->weights : NULL,
                                     .rows = w->table.rows,
                                     .n_rows = w->n,
                                     .n_folds = 4,
                                     .n_rounds = 1,
                                     .skip_dense = true,
                                     .seed = 2};
    CHECK_OK(qn_fold_set_create(&request, &w->folds, &err));
    const qn_fold *fold = &w->folds.folds[0];
    for (int64_t i = 0; i < fold->n_valid; i++) {
        w->train[fold->valid[i]] = false;
    }
    CHECK_OK(qn_binding_create(w->table.schema, w->table.frame, &binding, &err));
    CHECK_OK(qn_recipe_transform(fold->recipe, QN_VIEW_TREE, binding, w->table.rows, w->n, NULL,
                                 &w->tree, &err));
    qn_binding_free(binding);
}

static void release_world(struct world *w)
{
    qn_matrix_release(&w->tree);
    qn_fold_set_release(&w->folds);
    table_release(&w->table);
}

/* Fits on the fold's training rows and predicts every row. */
static void fit_predict(const struct world *w, const char *learner_name, const char *settings,
                        double *out)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    const qn_learner *learner = qn_learner_find(learner_name);
    CHECK(learner != NULL);
    void *params = qn_alloc_array(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, settings, &err));
    const qn_learn_request request = {.data = &w->folds.folds[0].data, .params = params, .seed = 3};
    CHECK_OK(learner->fit(&request, &result, &err));
    CHECK_OK(qn_estimator_predict(result.estimator, &w->tree, NULL, out, &err));
    qn_estimator_free(result.estimator);
    qn_free(result.importance);
    qn_free(params);
}

/* Numbers with few values, so that bins lose nothing; some missing. y follows a; b and c are noise
 * that helps a little. */
static void make_numbers(struct world *w, const char *task, bool weighted)
{
    qn_str csv = {0};
    unsigned state = 21;
    qn_str_add(&csv, "a,b,c,y\n");
    for (int i = 0; i < 600; i++) {
        unsigned draws[4];
        for (int d = 0; d < 4; d++) {
            state = state * 1103515245 + 12345;
            draws[d] = state >> 16;
        }
        const double a = draws[0] % 41, b = draws[1] % 23, c = draws[2] % 101;
        const bool missing = i % 7 == 3;
        if (!missing) qn_str_addf(&csv, "%g", a);
        const double signal = (missing ? 30 : a) + 0.3 * b + (draws[3] % 100) * 0.1;
        if (strcmp(task, "binary") == 0) {
            qn_str_addf(&csv, ",%g,%g,%s\n", b, c, signal > 28 ? "yes" : "no");
        } else {
            qn_str_addf(&csv, ",%g,%g,%g\n", b, c, signal);
        }
    }
    const char *const kinds[] = {"a=numeric", "b=numeric", "c=numeric", NULL};
    make_world(w, csv.text, task, weighted, kinds);
    qn_str_release(&csv);
}

/* A split: rows at most `threshold` go left, missing ones where `missing_left` says. */
struct split {
    int feature;
    double threshold;
    bool missing_left;
    double gain;
};

static bool goes_left(const struct world *w, const struct split *split, int64_t row)
{
    const double value = w->tree.dense[split->feature * w->tree.stride + row];
    return isnan(value) ? split->missing_left : value <= split->threshold;
}

/* Sums of gradients and hessians of the training rows on each side. */
static void sum_sides(const struct world *w, const struct split *split, const double *g,
                      const double *h, double sums[2][2])
{
    memset(sums, 0, 4 * sizeof(double));
    for (int64_t row = 0; row < w->n; row++) {
        if (!w->train[row]) continue;
        const int side = !goes_left(w, split, row);
        sums[side][0] += w->weights[row] * g[row];
        sums[side][1] += w->weights[row] * h[row];
    }
}

/* The best of all splits of all features at all values, by the sum of G² / H. */
static struct split best_split(const struct world *w, const double *g, const double *h)
{
    struct split best = {.gain = -1};
    for (int f = 0; f < w->tree.n_dense; f++) {
        for (int64_t at = 0; at < w->n; at++) {
            const double value = w->tree.dense[f * w->tree.stride + at];
            if (isnan(value) || !w->train[at]) continue;
            for (int left = 0; left < 2; left++) {
                double sums[2][2];
                struct split split = {f, value, left != 0, 0};
                sum_sides(w, &split, g, h, sums);
                if (sums[0][1] <= 0 || sums[1][1] <= 0) continue;
                split.gain =
                    sums[0][0] * sums[0][0] / sums[0][1] + sums[1][0] * sums[1][0] / sums[1][1];
                if (split.gain > best.gain * (1 + 1e-12)) best = split;
            }
        }
    }
    return best;
}

static double mean_of_training(const struct world *w)
{
    double sum = 0, total = 0;
    for (int64_t row = 0; row < w->n; row++) {
        sum += w->train[row] ? w->weights[row] * w->table.target[row] : 0;
        total += w->train[row] ? w->weights[row] : 0;
    }
    return sum / total;
}

static const char one_split[] =
    "n_estimators=1,num_leaves=2,learning_rate=1,min_data_in_leaf=1,min_sum_hessian_in_leaf=0";

static void one_split_of_numbers_is_the_best_of_all(void **state)
{
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        struct world w;
        double g[ROWS_MAX], h[ROWS_MAX], out[ROWS_MAX], sums[2][2];
        make_numbers(&w, "regression", weighted != 0);
        const double mean = mean_of_training(&w);
        for (int64_t row = 0; row < w.n; row++) {
            g[row] = w.table.target[row] - mean;
            h[row] = 1;
        }
        const struct split best = best_split(&w, g, h);
        sum_sides(&w, &best, g, h, sums);
        fit_predict(&w, "gbdt", one_split, out);
        for (int64_t row = 0; row < w.n; row++) {
            const int side = !goes_left(&w, &best, row);
            CHECK_NEAR(out[row], mean + sums[side][0] / sums[side][1], 2e-5);
        }
        CHECK_INT(best.feature, 0);
        CHECK(!best.missing_left); /* the missing ones have large targets */
        release_world(&w);
    }
}

static void one_split_of_classes_takes_a_newton_step(void **state)
{
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        struct world w;
        double g[ROWS_MAX], h[ROWS_MAX], out[ROWS_MAX], sums[2][2];
        make_numbers(&w, "binary", weighted != 0);
        const double p = mean_of_training(&w), init = log(p / (1 - p));
        for (int64_t row = 0; row < w.n; row++) {
            g[row] = w.table.target[row] - p;
            h[row] = p * (1 - p);
        }
        const struct split best = best_split(&w, g, h);
        sum_sides(&w, &best, g, h, sums);
        fit_predict(&w, "gbdt", one_split, out);
        for (int64_t row = 0; row < w.n; row++) {
            const int side = !goes_left(&w, &best, row);
            CHECK_NEAR(out[row], 1 / (1 + exp(-init - sums[side][0] / sums[side][1])), 2e-5);
        }
        release_world(&w);
    }
}

/* How many different values, of training rows; `least` becomes the rows of the rarest. */
static int count_leaves(const struct world *w, const double *out, int *least)
{
    double seen[ROWS_MAX];
    int rows[ROWS_MAX], n = 0;
    for (int64_t row = 0; row < w->n; row++) {
        if (!w->train[row]) continue;
        int at = 0;
        while (at < n && seen[at] != out[row]) {
            at++;
        }
        if (at == n) {
            seen[n] = out[row];
            rows[n++] = 0;
        }
        rows[at]++;
    }
    *least = n > 0 ? rows[0] : 0;
    for (int i = 0; i < n; i++) {
        if (rows[i] < *least) *least = rows[i];
    }
    return n;
}

static void limits_on_leaves_depth_and_rows_are_kept(void **state)
{
    (void)state;
    struct world w;
    double out[ROWS_MAX];
    int least;
    make_numbers(&w, "regression", false);
    fit_predict(&w, "gbdt", "n_estimators=1,num_leaves=7,min_data_in_leaf=1,learning_rate=1", out);
    CHECK_INT(count_leaves(&w, out, &least), 7);
    fit_predict(&w, "gbdt",
                "n_estimators=1,num_leaves=100,min_data_in_leaf=1,learning_rate=1,max_depth=3",
                out);
    CHECK_INT(count_leaves(&w, out, &least), 8);
    fit_predict(&w, "gbdt", "n_estimators=1,num_leaves=100,min_data_in_leaf=40,learning_rate=1",
                out);
    CHECK(count_leaves(&w, out, &least) > 3);
    CHECK(least >= 40);
    fit_predict(&w, "random_forest",
                "n_estimators=1,bootstrap=false,max_features=1,min_data_in_leaf=40", out);
    CHECK(count_leaves(&w, out, &least) > 3);
    CHECK(least >= 40);
    fit_predict(&w, "extra_trees", "n_estimators=1,max_depth=2,max_features=1", out);
    CHECK(count_leaves(&w, out, &least) <= 4);
    release_world(&w);
}

static void shrinkage_and_penalties_shrink(void **state)
{
    (void)state;
    struct world w;
    static double full[ROWS_MAX], tenth[ROWS_MAX], penalised[ROWS_MAX];
    char settings[200];
    make_numbers(&w, "regression", false);
    const double mean = mean_of_training(&w);
    fit_predict(&w, "gbdt", one_split, full);
    snprintf(settings, sizeof settings, "%s,learning_rate=0.1", one_split);
    fit_predict(&w, "gbdt", settings, tenth);
    snprintf(settings, sizeof settings, "%s,reg_lambda=1e6", one_split);
    fit_predict(&w, "gbdt", settings, penalised);
    for (int64_t row = 0; row < w.n; row++) {
        CHECK_NEAR(tenth[row] - mean, 0.1 * (full[row] - mean), 2e-5);
        CHECK(fabs(penalised[row] - mean) < 1e-2);
    }
    release_world(&w);
}

static double squared_error(const struct world *w, const double *out, bool of_training)
{
    double sum = 0;
    for (int64_t row = 0; row < w->n; row++) {
        const double error = out[row] - w->table.target[row];
        if (w->train[row] == of_training) sum += error * error;
    }
    return sum;
}

static void more_rounds_fit_the_training_rows_better(void **state)
{
    (void)state;
    struct world w;
    double out[ROWS_MAX], before = QN_INF;
    make_numbers(&w, "regression", false);
    for (int n = 1; n <= 64; n *= 2) {
        char settings[100];
        snprintf(settings, sizeof settings, "n_estimators=%d,learning_rate=0.1,num_leaves=8", n);
        fit_predict(&w, "gbdt", settings, out);
        const double error = squared_error(&w, out, true);
        CHECK(error < before);
        before = error;
    }
    release_world(&w);
}

/* A column of many values, one of them in a fifth of the rows. */
static void make_long_column(struct world *w)
{
    qn_str csv = {0};
    unsigned state = 5;
    qn_str_add(&csv, "x,y\n");
    for (int i = 0; i < ROWS_MAX; i++) {
        state = state * 1103515245 + 12345;
        const double x = i % 5 == 0 ? 50 : (state >> 8) * 1e-5;
        qn_str_addf(&csv, "%.9g,%.9g\n", x, x);
    }
    const char *const kinds[] = {"x=numeric", NULL};
    make_world(w, csv.text, "regression", false, kinds);
    qn_str_release(&csv);
}

struct pair {
    double x, p;
};

static int by_x(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    return (a->x > b->x) - (a->x < b->x);
}

/* A tree with room for every bin gives each its mean, which shows where the bins are. */
static void bins_cut_many_values_into_equal_shares(void **state)
{
    (void)state;
    struct world w;
    static double out[ROWS_MAX];
    static struct pair pairs[ROWS_MAX];
    make_long_column(&w);
    fit_predict(&w, "gbdt",
                "n_estimators=1,num_leaves=4000,learning_rate=1,min_data_in_leaf=1,"
                "min_sum_hessian_in_leaf=0",
                out);
    int64_t n = 0;
    for (int64_t row = 0; row < w.n; row++) {
        if (w.train[row]) pairs[n++] = (struct pair){w.table.target[row], out[row]};
    }
    qsort(pairs, (size_t)n, sizeof *pairs, by_x);
    int n_bins = 0;
    const double share = 0.8 * (double)n / 254; /* of a bin without the frequent value */
    for (int64_t first = 0, next; first < n; first = next) {
        double sum = 0;
        for (next = first; next < n && pairs[next].p == pairs[first].p; next++) {
            sum += pairs[next].x;
        }
        n_bins++;
        CHECK_NEAR(pairs[first].p, sum / (double)(next - first), 1e-3); /* the bin's mean */
        if (next < n) CHECK(pairs[next].x > pairs[next - 1].x);         /* no value is cut in two */
        if (next < n) CHECK(pairs[next].p > pairs[next - 1].p);         /* nor do bins interleave */
        const bool frequent = pairs[first].x <= 50 && pairs[next - 1].x >= 50;
        if (!frequent && next < n) CHECK((double)(next - first) <= 3 * share + 1);
    }
    CHECK(n_bins >= 200 && n_bins <= 254);
    release_world(&w);
}

/* Levels of which the odd ones have large targets. */
static void make_levels(struct world *w, int n_levels)
{
    qn_str csv = {0};
    qn_str_add(&csv, "level,y\n");
    for (int i = 0; i < 480; i++) {
        const int level = i * 7 % n_levels;
        if (i % 13) qn_str_addf(&csv, "L%d", level);
        qn_str_addf(&csv, ",%g\n", (i % 13 ? level % 2 * 10 : 5) + i % 5 * 0.1);
    }
    const char *const kinds[] = {"level=categorical", NULL};
    make_world(w, csv.text, "regression", false, kinds);
    qn_str_release(&csv);
}

static void a_set_of_levels_is_split_from_the_others(void **state)
{
    (void)state;
    struct world w;
    double out[ROWS_MAX], low = 0, high = 0, n_low = 0, n_high = 0;
    char settings[200];
    make_levels(&w, 6);
    snprintf(settings, sizeof settings, "%s,cat_smooth=0,cat_l2=0", one_split);
    fit_predict(&w, "gbdt", settings, out);
    const int32_t *codes = w.table.frame->columns[0].data.codes;
    const qn_dictionary *texts = &w.table.frame->columns[0].dictionary;
    double missing_out = QN_NA;
    for (int64_t row = 0; row < w.n; row++) {
        if (codes[row] < 0) {
            missing_out = out[row];
            continue;
        }
        size_t bytes;
        const bool odd = (qn_dictionary_text(texts, codes[row], &bytes)[1] - '0') % 2;
        low += odd ? 0 : out[row];
        high += odd ? out[row] : 0;
        n_low += !odd;
        n_high += odd;
    }
    low /= n_low;
    high /= n_high;
    for (int64_t row = 0; row < w.n; row++) { /* two values, and missing has one of them */
        CHECK(fabs(out[row] - low) < 1e-6 || fabs(out[row] - high) < 1e-6);
    }
    CHECK(fabs(missing_out - low) < 1e-6 || fabs(missing_out - high) < 1e-6);
    CHECK(high - low > 6);
    release_world(&w);
}

static void few_levels_are_split_one_from_the_rest(void **state)
{
    (void)state;
    struct world w;
    double out[ROWS_MAX];
    int least;
    char settings[200];
    make_levels(&w, 3); /* L1 alone is large */
    snprintf(settings, sizeof settings, "%s,cat_smooth=0,cat_l2=0", one_split);
    fit_predict(&w, "gbdt", settings, out);
    CHECK_INT(count_leaves(&w, out, &least), 2);
    const int32_t *codes = w.table.frame->columns[0].data.codes;
    const qn_dictionary *texts = &w.table.frame->columns[0].dictionary;
    for (int64_t row = 0; row < w.n; row++) {
        size_t bytes;
        if (codes[row] < 0) continue;
        const bool one = qn_dictionary_text(texts, codes[row], &bytes)[1] == '1';
        CHECK(one ? out[row] > 8 : out[row] < 3);
    }
    release_world(&w);
}

static void a_tree_without_limits_knows_its_rows_by_heart(void **state)
{
    (void)state;
    struct world w;
    double out[ROWS_MAX];
    qn_str csv = {0};
    qn_str_add(&csv, "x,z,y\n");
    for (int i = 0; i < 240; i++) { /* no two rows alike, few enough values for exact bins */
        qn_str_addf(&csv, "%d,%d,%d.5\n", i % 60, i / 60, i * 37 % 101);
    }
    const char *const kinds[] = {"x=numeric", "z=numeric", NULL};
    make_world(&w, csv.text, "regression", false, kinds);
    static const char *const settings[][2] = {
        {"random_forest", "n_estimators=1,bootstrap=false,max_features=1,min_data_in_leaf=1"},
        {"extra_trees", "n_estimators=3,bootstrap=false,max_features=1,min_data_in_leaf=1"}};
    for (int i = 0; i < 2; i++) {
        fit_predict(&w, settings[i][0], settings[i][1], out);
        for (int64_t row = 0; row < w.n; row++) {
            if (w.train[row]) CHECK_NEAR(out[row], w.table.target[row], 1e-4);
        }
        CHECK(squared_error(&w, out, false) > 1);
    }
    release_world(&w);
    qn_str_release(&csv);
}

static void a_forest_is_the_mean_of_varied_trees(void **state)
{
    (void)state;
    struct world w;
    static double one[ROWS_MAX], many[ROWS_MAX];
    make_numbers(&w, "regression", false);
    fit_predict(&w, "random_forest", "n_estimators=1", one);
    fit_predict(&w, "random_forest", "n_estimators=100", many);
    CHECK(squared_error(&w, many, false) < 0.8 * squared_error(&w, one, false));
    release_world(&w);
}

static int n_distinct(const double *values, int64_t n)
{
    int found = 0;
    for (int64_t i = 0; i < n; i++) {
        bool is_new = true;
        for (int64_t j = 0; j < i && is_new; j++) {
            is_new = values[j] != values[i];
        }
        found += is_new;
    }
    return found;
}

/* The numbers are those of tests/unit/model/test_tree_prune.c; here, that the parameter is heard.
 */
static void pruning_leaves_fewer_leaves(void **state)
{
    (void)state;
    struct world w;
    static double full[ROWS_MAX], some[ROWS_MAX], none[ROWS_MAX];
    const char *const tree =
        "n_estimators=1,bootstrap=false,max_features=1,min_data_in_leaf=1,ccp_alpha=";
    char settings[128];
    for (int task = 0; task < 2; task++) {
        const char *const alpha = task ? "0.01" : "0.1"; /* Gini impurity; variance */
        make_numbers(&w, task ? "binary" : "regression", false);
        snprintf(settings, sizeof settings, "%s0", tree);
        fit_predict(&w, "random_forest", settings, full);
        snprintf(settings, sizeof settings, "%s%s", tree, alpha);
        fit_predict(&w, "random_forest", settings, some);
        snprintf(settings, sizeof settings, "%s%s", tree, "1e9");
        fit_predict(&w, "random_forest", settings, none);
        CHECK_INT(n_distinct(none, w.n), 1);
        /* Pure leaves of two classes come to be mixed; leaves of numbers come to be fewer. */
        CHECK(n_distinct(some, w.n) > (task ? n_distinct(full, w.n) : 1));
        CHECK(task || n_distinct(some, w.n) < n_distinct(full, w.n));
        release_world(&w);
    }
}

/* A node's rows are those that its parent sent there. */
static void check_nodes(const qn_tree_model *model, double n_rows)
{
    for (int32_t t = 0; t < model->n_trees; t++) {
        if (model->roots[t] < 0) continue;
        const qn_tree_node *root = &model->nodes[model->roots[t]];
        CHECK_NEAR((double)root->left_cover + (double)root->right_cover, n_rows, 1e-3);
    }
    for (int64_t i = 0; i < model->n_nodes; i++) {
        const qn_tree_node *node = &model->nodes[i];
        CHECK(node->gain > 0 && node->left_cover > 0 && node->right_cover > 0);
        for (int side = 0; side < 2; side++) {
            const int32_t at = side ? node->right : node->left;
            if (at < 0) continue;
            const double cover = (double)(side ? node->right_cover : node->left_cover);
            const qn_tree_node *child = &model->nodes[at];
            CHECK_NEAR((double)child->left_cover + (double)child->right_cover, cover, 1e-3);
        }
    }
}

static void nodes_know_their_rows_and_gains(void **state)
{
    (void)state;
    struct world w;
    qn_error err = {0};
    make_numbers(&w, "binary", false);
    const char *const names[] = {"random_forest", "extra_trees", "gbdt"};
    for (int i = 0; i < 3; i++) {
        qn_learn_result result = {0};
        const qn_learner *learner = qn_learner_find(names[i]);
        void *params = qn_alloc_array(1, learner->params_bytes);
        qn_params_init(learner, params);
        const qn_learn_request request = {
            .data = &w.folds.folds[0].data, .params = params, .seed = 3};
        CHECK_OK(learner->fit(&request, &result, &err));
        check_nodes(qn_tree_model_of(result.estimator), (double)w.folds.folds[0].data.train.n_rows);
        qn_estimator_free(result.estimator);
        qn_free(result.importance);
        qn_free(params);
    }
    release_world(&w);
}

static void probabilities_of_pure_leaves_are_certain(void **state)
{
    (void)state;
    struct world w;
    double out[ROWS_MAX];
    make_numbers(&w, "binary", false);
    fit_predict(&w, "random_forest",
                "n_estimators=1,bootstrap=false,max_features=1,min_data_in_leaf=1", out);
    int n_wrong = 0;
    for (int64_t row = 0; row < w.n; row++) {
        CHECK(out[row] >= 0 && out[row] <= 1);
        if (w.train[row]) n_wrong += fabs(out[row] - w.table.target[row]) > 1e-6;
    }
    CHECK(n_wrong <= 2); /* rows that no column tells apart */
    release_world(&w);
}

RUN_TESTS(TEST(one_split_of_numbers_is_the_best_of_all),
          TEST(one_split_of_classes_takes_a_newton_step),
          TEST(limits_on_leaves_depth_and_rows_are_kept), TEST(shrinkage_and_penalties_shrink),
          TEST(more_rounds_fit_the_training_rows_better),
          TEST(bins_cut_many_values_into_equal_shares),
          TEST(a_set_of_levels_is_split_from_the_others),
          TEST(few_levels_are_split_one_from_the_rest),
          TEST(a_tree_without_limits_knows_its_rows_by_heart),
          TEST(a_forest_is_the_mean_of_varied_trees), TEST(pruning_leaves_fewer_leaves),
          TEST(nodes_know_their_rows_and_gains), TEST(probabilities_of_pure_leaves_are_certain))
