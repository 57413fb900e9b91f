/* SPDX-License-Identifier: Apache-2.0 */
/* Explainable boosting on real tables against InterpretML: tests/golden/additive. The two draw
 * other bags and cut other bins, so losses agree within the error of the folds, and shapes by their
 * correlation over rows. */
#include "base/alloc.h"
#include "learn/learner.h"
#include "learn/tree/bins.h"
#include "model/additive_model.h"

#include "real_tables.h"

enum { FOLDS = 4, EVERY = 20, COLUMNS_MAX = 64 };

/* Rows of the table that belong to the fold, or those that do not; the caller frees. */
static void take_rows(const real_table *t, int fold, bool of_fold, qn_matrix *x, double **target)
{
    const qn_matrix *all = &t->data.train.views[QN_VIEW_DENSE];
    qn_error err = {0};
    int64_t n = 0;
    for (int64_t i = 0; i < all->n_rows; i++) {
        n += (i % FOLDS == fold) == of_fold;
    }
    CHECK_OK(qn_matrix_init(x, n, all->n_dense, &err));
    *target = qn_alloc_array(n, sizeof **target);
    n = 0;
    for (int64_t i = 0; i < all->n_rows; i++) {
        if ((i % FOLDS == fold) != of_fold) continue;
        for (int64_t f = 0; f < all->n_dense; f++) {
            x->dense[f * x->stride + n] = all->dense[f * all->stride + i];
        }
        (*target)[n++] = t->data.train.target[i];
    }
}

static void release_rows(qn_matrix *x, double *target)
{
    qn_matrix_release(x);
    qn_free(target);
}

static qn_estimator *fit(const real_table *t, qn_json_value golden, const qn_matrix *x,
                         double *target)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    const qn_learner *learner = qn_learner_find("ebm");
    qn_dataset data = {.task = t->data.task,
                       .n_classes = t->data.n_classes,
                       .n_outputs = 1,
                       .train = {.n_rows = x->n_rows, .target = target}};
    data.n_features[QN_VIEW_TREE] = data.n_dense[QN_VIEW_TREE] = x->n_dense;
    data.features[QN_VIEW_TREE] = t->features;
    data.train.views[QN_VIEW_TREE] = *x;
    void *params = qn_alloc_array(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, case_text(golden, "params"), &err));
    CHECK_OK(qn_bins_create(&data, 255, NULL, &data.bins, &err));
    const qn_learn_request request = {.data = &data, .params = params, .seed = 1};
    CHECK_OK(learner->fit(&request, &result, &err));
    qn_bins_free(data.bins);
    qn_free(params);
    qn_free(result.importance);
    return result.estimator;
}

/* Log-loss, or the root of the mean square. */
static double loss_of(qn_task task, const double *predicted, const double *target, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double miss = predicted[i] - target[i];
        sum += task == QN_TASK_REGRESSION ? miss * miss : -log(fmax(1 - fabs(miss), 1e-15));
    }
    return task == QN_TASK_REGRESSION ? sqrt(sum / (double)n) : sum / (double)n;
}

static double loss_on_fold(const real_table *t, qn_json_value golden, int fold)
{
    qn_error err = {0};
    qn_matrix x, valid;
    double *target, *wanted;
    take_rows(t, fold, false, &x, &target);
    take_rows(t, fold, true, &valid, &wanted);
    qn_estimator *estimator = fit(t, golden, &x, target);
    double *out = qn_alloc_array(valid.n_rows, sizeof *out);
    CHECK_OK(qn_estimator_predict(estimator, &valid, NULL, out, &err));
    const double loss = loss_of(t->data.task, out, wanted, valid.n_rows);
    qn_estimator_free(estimator);
    qn_free(out);
    release_rows(&x, target);
    release_rows(&valid, wanted);
    return loss;
}

/* On the same folds, no worse than the error of their mean. */
static void check_losses(const real_table *t, qn_json_value golden)
{
    const qn_json_value losses = qn_json_get(golden, "losses");
    double theirs = 0, gap = 0, squares = 0;
    CHECK_INT(qn_json_size(losses), FOLDS);
    for (int fold = 0; fold < FOLDS; fold++) {
        theirs += qn_json_as_double(qn_json_at(losses, fold), QN_NA) / FOLDS;
    }
    for (int fold = 0; fold < FOLDS; fold++) {
        const double other = qn_json_as_double(qn_json_at(losses, fold), QN_NA);
        gap += (loss_on_fold(t, golden, fold) - other) / FOLDS;
        squares += (other - theirs) * (other - theirs);
    }
    const double error = sqrt(squares / (FOLDS - 1) / FOLDS);
    print_message("%s: InterpretML's loss %.5g +- %.2g, ours %+.2g\n", case_text(golden, "name"),
                  theirs, error, gap);
    if (!(gap <= error)) fail_msg("the loss is greater by %.3g, error %.3g", gap, error);
}

struct sums {
    double n, x, y, xx, yy, xy;
};

static void add(struct sums *s, double x, double y)
{
    s->n++;
    s->x += x;
    s->y += y;
    s->xx += x * x;
    s->yy += y * y;
    s->xy += x * y;
}

static double correlation(const struct sums *s)
{
    const double xy = s->xy - s->x * s->y / s->n;
    return xy / sqrt((s->xx - s->x * s->x / s->n) * (s->yy - s->y * s->y / s->n));
}

/* What columns add to the scores of rows, which so are the weights of a shape's places. Each shape
 * of which there is more than noise is alike, and all together by how much they vary. */
static void check_shapes(const real_table *t, qn_json_value golden)
{
    const qn_matrix *x = &t->data.train.views[QN_VIEW_DENSE];
    const qn_json_value parts = qn_json_get(golden, "parts");
    qn_estimator *estimator = fit(t, golden, x, t->data.train.target);
    struct sums sums[COLUMNS_MAX] = {{0}}, whole = {0};
    double own[COLUMNS_MAX], greatest = 0;
    void *scratch = qn_alloc_array((int64_t)qn_estimator_scratch_bytes(estimator, x->n_rows), 1);
    CHECK(x->n_dense <= COLUMNS_MAX);
    CHECK_INT(qn_json_size(parts), (x->n_rows + EVERY - 1) / EVERY * x->n_dense);
    for (int64_t i = 0; i * EVERY < x->n_rows; i++) {
        double mine = 0, theirs = 0;
        qn_additive_row_parts(estimator, x, i * EVERY, own, scratch);
        for (int64_t f = 0; f < x->n_dense; f++) {
            const double part = qn_json_as_double(qn_json_at(parts, i * x->n_dense + f), QN_NA);
            add(&sums[f], own[f], part);
            mine += own[f];
            theirs += part;
        }
        add(&whole, mine, theirs);
    }
    for (int64_t f = 0; f < x->n_dense; f++) {
        greatest = fmax(greatest, sums[f].yy);
    }
    int n_compared = 0;
    double least = 1, mean = 0, total = 0;
    for (int64_t f = 0; f < x->n_dense; f++) {
        if (sums[f].yy < 0.05 * greatest) continue;
        const double r = correlation(&sums[f]);
        if (!(r > 0.8)) fail_msg("shapes of column %d correlate by %.3f", (int)f, r);
        least = fmin(least, r);
        mean += sums[f].yy * r;
        total += sums[f].yy;
        n_compared++;
    }
    print_message("%s: %d shapes correlate by %.3f or more, %.3f in the mean, scores by %.4f\n",
                  case_text(golden, "name"), n_compared, least, mean / total, correlation(&whole));
    CHECK(n_compared >= 3 && mean / total > 0.95 && correlation(&whole) > 0.98);
    qn_free(scratch);
    qn_estimator_free(estimator);
}

static void check_case(const real_table *t, qn_json_value golden)
{
    check_losses(t, golden);
    check_shapes(t, golden);
}

static void additive_models_are_like_interpretml_s(void **state)
{
    (void)state;
    check_real_tables("additive", check_case);
}

RUN_TESTS(TEST(additive_models_are_like_interpretml_s))
