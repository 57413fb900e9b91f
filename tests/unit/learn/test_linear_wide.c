/* SPDX-License-Identifier: Apache-2.0 */
/* Linear learners on hashed text: a million sparse columns, of which each row has forty. */
#include "learn/learner.h"

#include "check.h"

#include "base/rng.h"

#include <stdlib.h>

enum { N_ROWS = 2000, N_COLUMNS = 1 << 20, N_WORDS = 40, N_TOPIC = 50 };

struct world {
    qn_dataset data;
    qn_feature *features;
};

static int32_t hashed(int64_t word)
{
    return (int32_t)(qn_seed_child(7, (uint64_t)word) % N_COLUMNS);
}

static int by_column(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Forty different columns in order: rare words, and one in four from fifty of the row's class. */
static void make_row(qn_matrix *x, qn_rng *rng, int64_t row, bool positive)
{
    int32_t *cols = x->sparse_cols + row * N_WORDS;
    for (int w = 0, n = 0; n < N_WORDS; w++) {
        const int64_t topic = qn_rng_below(rng, N_TOPIC) + (positive ? N_TOPIC : 0);
        const int64_t rare = 2 * N_TOPIC + qn_rng_below(rng, 4 * N_COLUMNS);
        const int32_t col = hashed(w % 4 == 0 ? topic : rare);
        bool is_new = true;
        for (int i = 0; i < n; i++) {
            is_new = is_new && cols[i] != col;
        }
        if (is_new) cols[n++] = col;
    }
    qsort(cols, N_WORDS, sizeof *cols, by_column);
    x->sparse_starts[row + 1] = (row + 1) * N_WORDS;
}

static void make_world(struct world *w)
{
    qn_dataset *d = &w->data;
    qn_matrix *x = &d->train.views[QN_VIEW_DENSE];
    qn_rng rng;
    qn_rng_init(&rng, 3, 1);
    *d = (qn_dataset){.task = QN_TASK_BINARY, .n_classes = 2, .n_outputs = 1};
    CHECK_INT(qn_matrix_init(x, N_ROWS, 1, NULL), QN_OK);
    x->n_sparse = N_COLUMNS;
    x->sparse_starts = qn_alloc_array(N_ROWS + 1, sizeof *x->sparse_starts);
    x->sparse_cols = qn_alloc_array(N_ROWS * N_WORDS, sizeof *x->sparse_cols);
    x->sparse_values = qn_alloc_array(N_ROWS * N_WORDS, sizeof *x->sparse_values);
    w->features = qn_alloc_array(1 + N_COLUMNS, sizeof *w->features);
    d->train.n_rows = N_ROWS;
    d->train.target = qn_alloc_array(N_ROWS, sizeof(double));
    CHECK(x->sparse_starts && x->sparse_cols && x->sparse_values && w->features && d->train.target);
    for (int64_t i = 0; i < N_ROWS; i++) {
        x->dense[i] = qn_rng_normal(&rng);
        d->train.target[i] = qn_rng_below(&rng, 2) == 1;
        make_row(x, &rng, i, d->train.target[i] == 1);
    }
    for (int64_t j = 0; j < N_ROWS * N_WORDS; j++) {
        x->sparse_values[j] = 0.158F; /* rows of length one */
    }
    d->n_dense[QN_VIEW_DENSE] = 1;
    d->n_features[QN_VIEW_DENSE] = 1 + N_COLUMNS;
    d->features[QN_VIEW_DENSE] = w->features;
}

static void release_world(struct world *w)
{
    qn_matrix_release(&w->data.train.views[QN_VIEW_DENSE]);
    qn_free(w->data.train.target);
    qn_free(w->features);
}

/* The words of the classes are found among the million. */
static void check(const struct world *w, const char *name, const char *text)
{
    qn_error err = {0};
    qn_learn_result result = {0};
    char params[512];
    const qn_learner *learner = qn_learner_find(name);
    CHECK(learner && learner->params_bytes <= sizeof params);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, text, &err));
    const qn_learn_request request = {.data = &w->data, .params = params, .seed = 1};
    CHECK_OK(learner->fit(&request, &result, &err));
    double *out = qn_alloc_array(N_ROWS, sizeof *out);
    CHECK_OK(qn_estimator_predict(result.estimator, &w->data.train.views[QN_VIEW_DENSE], NULL, out,
                                  &err));
    int n_right = 0;
    for (int64_t i = 0; i < N_ROWS; i++) {
        n_right += (out[i] > 0.5) == (w->data.train.target[i] == 1);
    }
    CHECK(n_right > N_ROWS * 97 / 100);
    qn_free(out);
    qn_free(result.importance);
    qn_estimator_free(result.estimator);
}

static void logistic_regression_takes_a_million_columns(void **state)
{
    (void)state;
    struct world w;
    make_world(&w);
    check(&w, "logistic", "C=10");
    release_world(&w);
}

static void absolute_penalties_take_a_million_columns(void **state)
{
    (void)state;
    struct world w;
    make_world(&w);
    check(&w, "elastic_net", "alpha=0.0005,l1_ratio=1");
    check(&w, "logistic", "C=2,l1_ratio=0.9");
    release_world(&w);
}

static void machines_take_a_million_columns(void **state)
{
    (void)state;
    struct world w;
    make_world(&w);
    check(&w, "linear_svm", "C=1");
    check(&w, "linear_svm", "C=1,loss=hinge");
    release_world(&w);
}

RUN_TESTS(TEST(logistic_regression_takes_a_million_columns),
          TEST(absolute_penalties_take_a_million_columns), TEST(machines_take_a_million_columns))
