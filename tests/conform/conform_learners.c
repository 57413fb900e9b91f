/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of every learner in the table, for every task it can do: fits on missing values,
 * constant and all-missing columns and unseen levels; the same bytes on any number of threads; the
 * same predictions after a round trip through bytes and in blocks of any size; stops when told;
 * survives running out of memory. */
#include "automl/fold.h"
#include "frame/cells.h"
#include "learn/learner.h"
#include "learn/tree/bins.h"
#include "source/csv.h"
#include "validate/understand.h"

#include "check.h"

#include <stdlib.h>

struct world {
    qn_frame *frame;
    qn_schema *schema;
    double *target;
    qn_fold_set folds;
};

static const char *const tasks[] = {"binary", "multiclass", "regression"};

/* 120 rows: a number with gaps, a category with rare levels, noise, a column that is nearly always
 * missing; and words, if asked for. */
static void make_world(const char *task, bool words_too, struct world *world)
{
    qn_error err = {0};
    qn_str csv = {0};
    unsigned state = 7;
    static const char *const words[] = {"rye", "oats", "bran", "husk", "mill", "meal", "flour"};
    static const char *const kinds[] = {"e=text", NULL};
    qn_str_add(&csv, "a,b,c,d,e,y\n");
    for (int i = 0; i < 120; i++) {
        state = state * 1103515245 + 12345;
        const unsigned draw = state >> 16;
        const double a = draw % 100;
        if (i % 9) qn_str_addf(&csv, "%g", a);
        qn_str_addf(&csv, ",%c,%u,%s,%s %s %s,", "ppqqrs"[draw % 6], draw % 17, i == 50 ? "1" : "",
                    words[draw % 7], words[draw / 7 % 7], words[i % 7]);
        if (strcmp(task, "binary") == 0) {
            qn_str_add(&csv, (a > 50) != (draw % 10 == 0) ? "yes\n" : "no\n");
        } else if (strcmp(task, "multiclass") == 0) {
            qn_str_addf(&csv, "k%d\n", (int)a / 34);
        } else {
            qn_str_addf(&csv, "%g\n", a * 3 + draw % 7 + 0.5);
        }
    }
    const qn_read_request read = {.uri = "memory"};
    CHECK_OK(qn_csv_read(&read, "memory", &(qn_content){.data = csv.text, .bytes = csv.bytes},
                         &world->frame, NULL, &err));
    qn_str_release(&csv);
    qn_profile *profile = NULL;
    CHECK_OK(qn_profile_create(world->frame, NULL, 120, NULL, &profile, &err));
    const qn_understand_request question = {.frame = world->frame,
                                            .profile = profile,
                                            .target = "y",
                                            .task = task,
                                            .kinds = kinds,
                                            .drop = words_too ? NULL : "e"};
    CHECK_OK(qn_understand(&question, &world->schema, &err));
    qn_profile_free(profile);
    CHECK_OK(qn_schema_target(world->schema, world->frame, false, &world->target, &err));
    static int32_t rows[120];
    for (int i = 0; i < 120; i++) {
        rows[i] = i;
    }
    const qn_fold_request folds = {.frame = world->frame,
                                   .schema = world->schema,
                                   .target = world->target,
                                   .rows = rows,
                                   .n_rows = 120,
                                   .n_folds = 3,
                                   .seed = 1};
    CHECK_OK(qn_fold_set_create(&folds, &world->folds, &err));
}

static void release_world(struct world *world)
{
    qn_fold_set_release(&world->folds);
    qn_schema_free(world->schema);
    qn_frame_free(world->frame);
    free(world->target);
}

typedef void check_learner(const qn_learner *learner, const struct world *world,
                           const void *params);

/* Small models, so that it stays quick. */
static void make_small(const qn_learner *learner, void *params)
{
    static const char *const small[][2] = {
        {"n_estimators", "n_estimators=12"}, {"epochs", "epochs=2"}, {"hidden", "hidden=12"}};
    for (const qn_param *p = learner->params; p->name; p++) {
        for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
            if (strcmp(p->name, small[i][0]) != 0) continue;
            CHECK_INT(qn_params_set(learner, params, small[i][1], NULL), QN_OK);
        }
    }
}

/* Parameters that lead to another kind of model, or to another way of fitting it. */
static const char *const variants[][2] = {{"knn", "algorithm=cells"},
                                          {"knn", "algorithm=cells,metric=gower"},
                                          {"svm", "max_rows=40,n_components=10"}};

static void check_small(check_learner *check, const qn_learner *learner, const struct world *world,
                        const char *variant)
{
    void *params = calloc(1, learner->params_bytes + 1);
    qn_params_init(learner, params);
    make_small(learner, params);
    if (variant) CHECK_INT(qn_params_set(learner, params, variant, NULL), QN_OK);
    check(learner, world, params);
    free(params);
}

/* Calls `check` for every learner and task, with sparse columns if asked for. */
static void for_each(check_learner *check, bool words_too)
{
    for (size_t t = 0; t < sizeof tasks / sizeof *tasks; t++) {
        struct world world;
        make_world(tasks[t], words_too, &world);
        for (int i = 0; qn_learners[i]; i++) {
            const qn_learner *learner = qn_learners[i];
            if (!(learner->tasks & 1u << world.schema->task)) continue;
            check_small(check, learner, &world, NULL);
            for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
                if (strcmp(learner->name, variants[v][0]) != 0) continue;
                check_small(check, learner, &world, variants[v][1]);
            }
        }
        release_world(&world);
    }
}

static qn_status fit(const qn_learner *learner, const struct world *world, const void *params,
                     qn_pool *pool, const qn_stop *stop, qn_estimator **out)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    const qn_learn_request request = {.data = &world->folds.folds[0].data,
                                      .params = params,
                                      .seed = 5,
                                      .stop = stop,
                                      .pool = pool};
    const qn_status status = learner->fit(&request, &result, &err);
    *out = result.estimator;
    qn_free(result.importance);
    return status;
}

static void predict(const qn_learner *learner, const struct world *world,
                    const qn_estimator *estimator, double *out)
{
    CHECK_INT(qn_estimator_predict(estimator,
                                   &world->folds.folds[0].data.valid.views[learner->view], NULL,
                                   out, NULL),
              QN_OK);
}

static void check_predictions(const qn_learner *learner, const struct world *world,
                              const void *params)
{
    qn_estimator *estimator = NULL;
    double out[120 * 3];
    const int64_t n = world->folds.folds[0].n_valid;
    const int32_t k = qn_schema_n_outputs(world->schema);
    CHECK_INT(fit(learner, world, params, NULL, NULL, &estimator), QN_OK);
    predict(learner, world, estimator, out);
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int32_t c = 0; c < k; c++) {
            CHECK(isfinite(out[i * k + c]));
            sum += out[i * k + c];
        }
        if (world->schema->task == QN_TASK_BINARY) CHECK(sum >= 0 && sum <= 1);
        if (world->schema->task == QN_TASK_MULTICLASS) CHECK_NEAR(sum, 1, 1e-12);
    }
    qn_estimator_free(estimator);
}

static void check_threads(const qn_learner *learner, const struct world *world, const void *params)
{
    qn_writer first = {0};
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        qn_pool *pool = qn_pool_create(n_threads);
        qn_estimator *estimator = NULL;
        qn_writer writer = {0};
        CHECK_INT(fit(learner, world, params, pool, NULL, &estimator), QN_OK);
        qn_estimator_write(estimator, &writer);
        if (n_threads == 1) {
            first = writer;
        } else {
            CHECK_INT(writer.bytes, first.bytes);
            assert_memory_equal(writer.data, first.data, first.bytes);
            qn_writer_release(&writer);
        }
        qn_estimator_free(estimator);
        qn_pool_free(pool);
    }
    qn_writer_release(&first);
}

static void check_round_trip(const qn_learner *learner, const struct world *world,
                             const void *params)
{
    qn_error err = {0};
    qn_estimator *before = NULL, *after = NULL;
    qn_writer writer = {0};
    double expected[120 * 3], out[120 * 3];
    const int32_t k = qn_schema_n_outputs(world->schema);
    const int64_t n = world->folds.folds[0].n_valid;
    CHECK_INT(fit(learner, world, params, NULL, NULL, &before), QN_OK);
    predict(learner, world, before, expected);
    qn_estimator_write(before, &writer);
    uint8_t *copy = aligned_alloc(64, (writer.bytes + 63) / 64 * 64);
    memcpy(copy, writer.data, writer.bytes);
    qn_reader reader = {.data = copy, .bytes = writer.bytes};
    CHECK_OK(qn_estimator_read(&reader, world->folds.folds[0].recipe, k, &after, &err));
    predict(learner, world, after, out);
    assert_memory_equal(out, expected, (size_t)(n * k) * sizeof *out);
    qn_estimator_free(after);
    /* Damaged bytes are refused or give some model, but never read out of bounds. */
    for (size_t length = 0; length < writer.bytes; length += 1 + writer.bytes / 97) {
        reader = (qn_reader){.data = copy, .bytes = length};
        CHECK_FAILS(QN_ERR_DATA,
                    qn_estimator_read(&reader, world->folds.folds[0].recipe, k, &after, NULL));
    }
    for (size_t at = 0; at < writer.bytes; at += 1 + writer.bytes / 997) {
        copy[at] ^= 0x41;
        reader = (qn_reader){.data = copy, .bytes = writer.bytes};
        if (qn_estimator_read(&reader, world->folds.folds[0].recipe, k, &after, NULL) == QN_OK) {
            predict(learner, world, after, out);
            qn_estimator_free(after);
        }
        copy[at] ^= 0x41;
    }
    free(copy);
    qn_estimator_free(before);
    qn_writer_release(&writer);
}

/* The same rows with the last sparse column as one more dense one. */
static void make_denser(const qn_matrix *x, qn_matrix *out)
{
    qn_error err = {0};
    const int64_t n = x->n_rows, n_dense = x->n_dense + 1, last = x->n_sparse - 1;
    CHECK_OK(qn_matrix_init(out, n, n_dense, &err));
    for (int64_t f = 0; f < x->n_dense; f++) {
        memcpy(out->dense + f * out->stride, x->dense + f * x->stride, (size_t)n * sizeof(double));
    }
    out->n_sparse = last;
    out->sparse_starts = qn_alloc_array(n + 1, sizeof *out->sparse_starts);
    out->sparse_cols = qn_alloc_array(x->sparse_starts[n], sizeof *out->sparse_cols);
    out->sparse_values = qn_alloc_array(x->sparse_starts[n], sizeof *out->sparse_values);
    int64_t at = 0;
    out->sparse_starts[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        double *moved = out->dense + x->n_dense * out->stride + i;
        *moved = 0;
        for (int64_t p = x->sparse_starts[i]; p < x->sparse_starts[i + 1]; p++) {
            if (x->sparse_cols[p] == last) {
                *moved = (double)x->sparse_values[p];
                continue;
            }
            out->sparse_cols[at] = x->sparse_cols[p];
            out->sparse_values[at++] = x->sparse_values[p];
        }
        out->sparse_starts[i + 1] = at;
    }
}

/* A model of as many columns of which more are dense: what a damaged count amounts to. */
static void check_view(const qn_learner *learner, const struct world *world, const void *params)
{
    if (learner->view != QN_VIEW_DENSE) return;
    qn_error err = {0};
    qn_dataset data = world->folds.folds[0].data;
    qn_matrix train, valid;
    CHECK(data.train.views[QN_VIEW_DENSE].n_sparse > 1);
    make_denser(&data.train.views[QN_VIEW_DENSE], &train);
    make_denser(&data.valid.views[QN_VIEW_DENSE], &valid);
    data.train.views[QN_VIEW_DENSE] = train;
    data.valid.views[QN_VIEW_DENSE] = valid;
    data.n_dense[QN_VIEW_DENSE]++;
    qn_learn_result result = {0};
    qn_estimator *back = NULL;
    qn_writer writer = {0};
    const qn_learn_request request = {.data = &data, .params = params, .seed = 5};
    CHECK_OK(learner->fit(&request, &result, &err));
    qn_estimator_write(result.estimator, &writer);
    qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
    CHECK_FAILS(QN_ERR_DATA, qn_estimator_read(&reader, world->folds.folds[0].recipe,
                                               result.estimator->n_outputs, &back, NULL));
    qn_writer_release(&writer);
    qn_estimator_free(result.estimator);
    qn_free(result.importance);
    qn_matrix_release(&train);
    qn_matrix_release(&valid);
}

static void check_stop(const qn_learner *learner, const struct world *world, const void *params)
{
    const volatile sig_atomic_t raised = 1;
    const qn_stop stop = {.interrupted = &raised};
    qn_estimator *estimator = NULL;
    const qn_status status = fit(learner, world, params, NULL, &stop, &estimator);
    CHECK(status == QN_ERR_INTERRUPTED || status == QN_OK);
    CHECK((status == QN_OK) == (estimator != NULL));
    qn_estimator_free(estimator);
}

/* The estimator's bytes are `expected`, unless that is empty: then they are put there. */
static void check_bytes(qn_estimator *estimator, qn_writer *expected)
{
    qn_writer writer = {0};
    qn_estimator_write(estimator, &writer);
    if (expected->bytes == 0) {
        *expected = writer;
    } else {
        CHECK_INT(writer.bytes, expected->bytes);
        assert_memory_equal(writer.data, expected->data, writer.bytes);
        qn_writer_release(&writer);
    }
    qn_estimator_free(estimator);
}

/* Nothing but importances may be missing where a fit succeeds all the same. */
static void check_no_memory(const qn_learner *learner, const struct world *world,
                            const void *params)
{
    qn_estimator *estimator = NULL;
    qn_writer expected = {0};
    CHECK_SURVIVES_NO_MEMORY_RELEASING(fit(learner, world, params, NULL, NULL, &estimator),
                                       check_bytes(estimator, &expected));
    check_bytes(estimator, &expected);
    if (expected.data) qn_writer_release(&expected);
}

/* Fits without validation rows, which choose by weights of their own; predicts those rows. */
static void fit_and_predict(const qn_learner *learner, const struct world *world,
                            const qn_dataset *data, const void *params, double *out)
{
    qn_learn_result result = {0};
    const qn_learn_request request = {.data = data, .params = params, .seed = 5};
    CHECK_INT(learner->fit(&request, &result, NULL), QN_OK);
    predict(learner, world, result.estimator, out);
    qn_estimator_free(result.estimator);
    qn_free(result.importance);
}

static const qn_param *class_weight_of(const qn_learner *learner)
{
    for (const qn_param *p = learner->params; p->name; p++) {
        if (strcmp(p->name, "class_weight") == 0) return p;
    }
    return NULL;
}

/* Rows that weigh total / (classes × weight of their class). */
static void balance_rows(const struct world *world, const qn_dataset *data, double *weights)
{
    const int32_t n_classes = world->schema->task == QN_TASK_BINARY ? 2 : 3;
    double counts[3] = {0};
    for (int64_t i = 0; i < data->train.n_rows; i++) {
        counts[(int)data->train.target[i]]++;
    }
    for (int64_t i = 0; i < data->train.n_rows; i++) {
        weights[i] = (double)data->train.n_rows / (n_classes * counts[(int)data->train.target[i]]);
    }
}

static void check_class_weight(const qn_learner *learner, const struct world *world,
                               const void *params)
{
    if (!class_weight_of(learner) || world->schema->task == QN_TASK_REGRESSION) return;
    double balanced[120 * 3], weighted[120 * 3], plain[120 * 3], weights[120], most = 0;
    qn_dataset data = world->folds.folds[0].data;
    const int64_t n = data.valid.n_rows * data.n_outputs;
    data.valid = (qn_dataset_part){0};
    void *other = malloc(learner->params_bytes + 1);
    memcpy(other, params, learner->params_bytes);
    CHECK_INT(qn_params_set(learner, other, "class_weight=balanced", NULL), QN_OK);
    fit_and_predict(learner, world, &data, other, balanced);
    fit_and_predict(learner, world, &data, params, plain);
    balance_rows(world, &data, weights);
    data.train.weights = weights;
    fit_and_predict(learner, world, &data, params, weighted);
    /* Platt's scaling of kernel machines is by rows as they are, as scikit-learn's. */
    const bool exempt = strcmp(learner->name, "svm") == 0;
    for (int64_t i = 0; i < n; i++) {
        if (!exempt) CHECK_NEAR(balanced[i], weighted[i], 1e-6);
        most = fmax(most, fabs(balanced[i] - plain[i]));
    }
    CHECK(most > 1e-3);
    free(other);
}

/* The mean of the last output. */
static double mean_of(const double *out, int64_t n_rows, int32_t k)
{
    double sum = 0;
    for (int64_t i = 0; i < n_rows; i++) {
        sum += out[i * k + k - 1];
    }
    return sum / (double)n_rows;
}

/* Rows of the last class, or of targets above the middle, count eight times: more is predicted. */
static void check_weights(const qn_learner *learner, const struct world *world, const void *params)
{
    if (!(learner->capabilities & QN_LEARNER_WEIGHTS)) return;
    double plain[120 * 3], weighted[120 * 3], weights[120];
    qn_dataset data = world->folds.folds[0].data;
    const int64_t n_valid = data.valid.n_rows, n = data.train.n_rows;
    const double middle = data.n_classes > 0 ? data.n_classes - 1.5 : 150;
    data.valid = (qn_dataset_part){0};
    int64_t n_heavy = 0;
    for (int64_t i = 0; i < n; i++) {
        n_heavy += data.train.target[i] > middle;
    }
    for (int64_t i = 0; i < n; i++) { /* of mean 1 */
        const double w = data.train.target[i] > middle ? 8 : 1;
        weights[i] = w * (double)n / (double)(n + 7 * n_heavy);
    }
    fit_and_predict(learner, world, &data, params, plain);
    data.train.weights = weights;
    fit_and_predict(learner, world, &data, params, weighted);
    const double gain =
        mean_of(weighted, n_valid, data.n_outputs) - mean_of(plain, n_valid, data.n_outputs);
    if (!(gain > 1e-3)) fail_msg("%s: heavier rows bring %.3g", learner->name, gain);
}

/* Mean squared error, or the share of the target's class that is missing, on the training rows. */
static double loss_of(const qn_learner *learner, const qn_dataset *data,
                      const qn_estimator *estimator)
{
    const int32_t k = data->n_outputs;
    qn_error err = {0};
    double out[120 * 3], loss = 0;
    CHECK_OK(qn_estimator_predict(estimator, &data->train.views[learner->view], NULL, out, &err));
    for (int64_t i = 0; i < data->train.n_rows; i++) {
        const double y = data->train.target[i];
        loss += k > 1 ? 1 - out[i * k + (int)y] : (out[i] - y) * (out[i] - y);
    }
    return loss / (double)data->train.n_rows;
}

/* More rounds on top of those before, which fit the rows no worse: the validation rows, which are
 * kept whole in both views. */
static void check_going_on(const qn_learner *learner, const struct world *world, const void *params)
{
    if (!(learner->capabilities & QN_LEARNER_CONTINUE)) return;
    qn_error err = {0};
    qn_learn_result begun = {0}, more = {0};
    qn_dataset data = world->folds.folds[0].data;
    data.train = data.valid;
    data.valid = (qn_dataset_part){0};
    CHECK_OK(qn_bins_create(&data, 255, NULL, &data.bins, &err));
    qn_learn_request request = {.data = &data, .params = params, .seed = 5};
    CHECK_OK(learner->fit(&request, &begun, &err));
    request.from = begun.estimator;
    CHECK_OK(learner->fit(&request, &more, &err));
    const double before = loss_of(learner, &data, begun.estimator);
    const double after = loss_of(learner, &data, more.estimator);
    CHECK(more.n_rounds > begun.n_rounds || after != before);
    if (!(after <= 1.1 * before)) fail_msg("%s: %.4g after %.4g", learner->name, after, before);
    qn_bins_free(data.bins);
    qn_free(begun.importance);
    qn_free(more.importance);
    qn_estimator_free(begun.estimator);
    qn_estimator_free(more.estimator);
}

/* Shares of columns, where a learner has them. */
static void check_importance(const qn_learner *learner, const struct world *world,
                             const void *params)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    const qn_dataset *data = &world->folds.folds[0].data;
    const qn_learn_request request = {.data = data, .params = params, .seed = 5};
    double sum = 0;
    CHECK_OK(learner->fit(&request, &result, &err));
    for (int64_t f = 0; result.importance && f < data->n_features[learner->view]; f++) {
        CHECK(result.importance[f] >= 0);
        sum += result.importance[f];
    }
    if (result.importance) CHECK_NEAR(sum, 1, 1e-6);
    qn_free(result.importance);
    qn_estimator_free(result.estimator);
}

/* Earlier versions called it class_weight_balanced or balanced, a flag. */
static void check_former_names(const qn_learner *learner, const struct world *world,
                               const void *params)
{
    (void)world;
    const qn_param *param = class_weight_of(learner);
    void *other = malloc(learner->params_bytes + 1);
    memcpy(other, params, learner->params_bytes);
    if (!param) {
        CHECK_INT(qn_params_set(learner, other, "balanced=true", NULL), QN_ERR_ARG);
    } else {
        CHECK_INT(qn_params_set(learner, other, "class_weight_balanced=true", NULL), QN_OK);
        CHECK(qn_param_value(param, other) == 1);
        CHECK_INT(qn_params_set(learner, other, "balanced=false", NULL), QN_OK);
        CHECK(qn_param_value(param, other) == 0);
        CHECK_INT(qn_params_set(learner, other, "balanced=balanced", NULL), QN_ERR_ARG);
    }
    free(other);
}

/* Fits what there is little to learn from: a model that predicts numbers, or one line and none. */
static void fit_little(const qn_learner *learner, const struct world *world, qn_dataset *data,
                       const void *params, const char *what)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    double out[120 * 3];
    CHECK_OK(qn_bins_create(data, 255, NULL, &data->bins, &err));
    const qn_learn_request request = {.data = data, .params = params, .seed = 5};
    const qn_status status = learner->fit(&request, &result, &err);
    if (status == QN_OK) {
        predict(learner, world, result.estimator, out);
        for (int64_t i = 0; i < world->folds.folds[0].n_valid * data->n_outputs; i++) {
            if (!isfinite(out[i])) fail_msg("%s, %s: predicts %g", learner->name, what, out[i]);
        }
    } else {
        CHECK(result.estimator == NULL);
        CHECK(status == QN_ERR_DATA || status == QN_ERR_UNSUPPORTED);
        CHECK(err.message[0] && !strchr(err.message, '\n'));
    }
    qn_bins_free(data->bins);
    data->bins = NULL;
    qn_free(result.importance);
    qn_estimator_free(result.estimator);
}

/* The validation rows, which are kept whole in both views, are what is trained on. */
static void check_little(const qn_learner *learner, const struct world *world, const void *params)
{
    qn_dataset data = world->folds.folds[0].data;
    double target[120], weights[120] = {0};
    const double *whole = data.valid.target;
    data.train = data.valid;
    data.valid = (qn_dataset_part){0};
    const int64_t n = data.train.n_rows;
    data.train.target = target;
    for (int64_t i = 0; i < n; i++) {
        target[i] = whole[0];
    }
    fit_little(learner, world, &data, params, "one class, or one number");
    memcpy(target, whole, (size_t)n * sizeof *target);
    weights[n / 2] = (double)n;
    data.train.weights = weights;
    fit_little(learner, world, &data, params, "one row weighs all");
    data.train.weights = NULL;
    for (int64_t n_rows = 1; n_rows <= 3; n_rows++) {
        data.train.n_rows = n_rows;
        for (int view = 0; view < QN_N_VIEWS; view++) {
            data.train.views[view].n_rows = n_rows;
        }
        fit_little(learner, world, &data, params, "three rows at most");
    }
    data.train = world->folds.folds[0].data.valid;
    data.train.target = target;
    for (int64_t i = 0; i < n && data.n_classes == 0; i++) {
        target[i] = i % 3 ? whole[i] : 1e149 * (i % 2 ? -1 : 1);
    }
    fit_little(learner, world, &data, params, "numbers far out");
}

static void little_to_learn_from_gives_numbers_or_one_line(void **state)
{
    (void)state;
    for_each(check_little, true);
}

static void class_weights_are_weights_of_rows(void **state)
{
    (void)state;
    for_each(check_class_weight, false);
    for_each(check_former_names, false);
}

static void every_learner_leans_to_rows_of_more_weight(void **state)
{
    (void)state;
    for_each(check_weights, false);
}

static void learners_that_go_on_from_a_model_fit_no_worse(void **state)
{
    (void)state;
    for_each(check_going_on, false);
}

static void importances_are_shares_of_columns(void **state)
{
    (void)state;
    for_each(check_importance, true);
}

static void every_learner_predicts_what_its_task_asks_for(void **state)
{
    (void)state;
    for_each(check_predictions, true);
}

static void every_learner_gives_the_same_bytes_on_any_number_of_threads(void **state)
{
    (void)state;
    for_each(check_threads, false);
}

static void every_estimator_survives_a_round_trip_and_damage(void **state)
{
    (void)state;
    for_each(check_round_trip, true);
}

static void every_estimator_refuses_a_view_of_fewer_dense_columns(void **state)
{
    (void)state;
    for_each(check_view, true);
}

static void every_learner_stops_when_told(void **state)
{
    (void)state;
    for_each(check_stop, false);
}

static void every_learner_survives_running_out_of_memory(void **state)
{
    (void)state;
    for_each(check_no_memory, false);
}

RUN_TESTS(TEST(little_to_learn_from_gives_numbers_or_one_line),
          TEST(class_weights_are_weights_of_rows), TEST(every_learner_leans_to_rows_of_more_weight),
          TEST(learners_that_go_on_from_a_model_fit_no_worse),
          TEST(importances_are_shares_of_columns),
          TEST(every_learner_predicts_what_its_task_asks_for),
          TEST(every_learner_gives_the_same_bytes_on_any_number_of_threads),
          TEST(every_estimator_survives_a_round_trip_and_damage),
          TEST(every_estimator_refuses_a_view_of_fewer_dense_columns),
          TEST(every_learner_stops_when_told), TEST(every_learner_survives_running_out_of_memory))
