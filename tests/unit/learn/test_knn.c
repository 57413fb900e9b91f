/* SPDX-License-Identifier: Apache-2.0 */
/* k nearest neighbours: cells against looking at all rows, rows that are alike, and heaps. */
#include "base/rng.h"
#include "learn/knn_cells.h"
#include "learn/learner.h"
#include "model/knn_model.h"

#include "check.h"

#include <stdlib.h>

enum { N_ROWS = 6000, N_POINTS = 300, N_COLS = 6, N_NEIGHBOURS = 10 };

struct world {
    qn_dataset data;
    qn_matrix points;
};

/* Rows about 40 places, some close and some wide, the last column an indicator. */
static void fill(qn_matrix *x, qn_rng *rng)
{
    CHECK_INT(qn_matrix_init(x, x->n_rows, N_COLS, NULL), QN_OK);
    for (int64_t i = 0; i < x->n_rows; i++) {
        const int64_t place = qn_rng_below(rng, 40);
        for (int64_t f = 0; f < N_COLS; f++) {
            const double centre = (double)((place + 3) * (f + 7) % 41);
            x->dense[f * x->stride + i] = centre + qn_rng_normal(rng) * (double)(1 + place % 5);
        }
        x->dense[(N_COLS - 1) * x->stride + i] = (double)(place % 2);
    }
}

static void make_world(struct world *world)
{
    qn_rng rng;
    qn_rng_init(&rng, 7, 1);
    *world = (struct world){.data = {.task = QN_TASK_REGRESSION, .n_outputs = 1}};
    qn_dataset_part *train = &world->data.train;
    world->data.n_dense[QN_VIEW_DENSE] = world->data.n_features[QN_VIEW_DENSE] = N_COLS;
    world->points.n_rows = N_POINTS;
    train->n_rows = train->views[QN_VIEW_DENSE].n_rows = N_ROWS;
    fill(&train->views[QN_VIEW_DENSE], &rng);
    fill(&world->points, &rng);
    train->target = calloc(N_ROWS, sizeof(double));
    for (int64_t i = 0; i < N_ROWS; i++) {
        train->target[i] = (double)(i % 10);
    }
}

static void release_world(struct world *world)
{
    qn_matrix_release(&world->data.train.views[QN_VIEW_DENSE]);
    qn_matrix_release(&world->points);
    free(world->data.train.target);
}

static qn_estimator *fit(const struct world *world, const char *text, qn_pool *pool)
{
    qn_error err = {0};
    qn_learn_result result;
    const qn_learner *learner = qn_learner_find("knn");
    void *params = calloc(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, "n_neighbors=10,weights=uniform", &err));
    CHECK_OK(qn_params_set(learner, params, text, &err));
    const qn_learn_request request = {
        .data = &world->data, .params = params, .seed = 3, .pool = pool};
    CHECK_OK(learner->fit(&request, &result, &err));
    free(params);
    return result.estimator;
}

static void find(const qn_estimator *model, const struct world *world, double *distances)
{
    float points[N_POINTS * N_COLS];
    void *scratch = qn_alloc_aligned((int64_t)qn_estimator_scratch_bytes(model, N_POINTS), 1);
    qn_matrix_gather(&world->points, 0, N_POINTS, N_COLS, points);
    qn_knn_distances(model, points, N_POINTS, distances, scratch);
    qn_free(scratch);
}

static void cells_find_nearly_all_of_the_nearest(void **state)
{
    (void)state;
    struct world world;
    make_world(&world);
    static const char *const metrics[] = {"euclidean", "manhattan", "gower"};
    static double all[N_POINTS * N_NEIGHBOURS], found[N_POINTS * N_NEIGHBOURS];
    for (int m = 0; m < 3; m++) {
        char exact[64], cells[64];
        snprintf(exact, sizeof exact, "algorithm=exact,metric=%s", metrics[m]);
        snprintf(cells, sizeof cells, "algorithm=cells,metric=%s", metrics[m]);
        qn_estimator *a = fit(&world, exact, NULL), *b = fit(&world, cells, NULL);
        find(a, &world, all);
        find(b, &world, found);
        int n_found = 0;
        for (int i = 0; i < N_POINTS * N_NEIGHBOURS; i++) {
            CHECK(found[i] >= all[i]);
            n_found += found[i] <= all[i / N_NEIGHBOURS * N_NEIGHBOURS + N_NEIGHBOURS - 1];
        }
        CHECK(n_found > 0.95 * N_POINTS * N_NEIGHBOURS);
        CHECK(n_found < N_POINTS * N_NEIGHBOURS); /* not because all rows were looked at */
        qn_estimator_free(a);
        qn_estimator_free(b);
    }
    release_world(&world);
}

static void cells_looked_at_to_the_last_are_exact(void **state)
{
    (void)state;
    struct world world;
    make_world(&world);
    static double all[N_POINTS * N_NEIGHBOURS], found[N_POINTS * N_NEIGHBOURS];
    qn_estimator *a = fit(&world, "algorithm=exact", NULL),
                 *b = fit(&world, "algorithm=cells", NULL);
    find(a, &world, all);
    qn_knn_set_probe_rows(b, N_ROWS - 1); /* all cells, one by one */
    find(b, &world, found);
    assert_memory_equal(all, found, sizeof all);
    qn_knn_set_probe_rows(b, N_ROWS);
    find(b, &world, found);
    assert_memory_equal(all, found, sizeof all);
    qn_estimator_free(a);
    qn_estimator_free(b);
    release_world(&world);
}

static void the_cells_of_a_table_do_not_depend_on_threads(void **state)
{
    (void)state;
    struct world world;
    make_world(&world);
    qn_writer first = {0};
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        qn_writer writer = {0};
        qn_pool *pool = qn_pool_create(n_threads);
        qn_estimator *model = fit(&world, "algorithm=cells", pool);
        qn_estimator_write(model, n_threads == 1 ? &first : &writer);
        if (n_threads > 1) {
            CHECK_INT(writer.bytes, first.bytes);
            assert_memory_equal(writer.data, first.data, first.bytes);
        }
        qn_writer_release(&writer);
        qn_estimator_free(model);
        qn_pool_free(pool);
    }
    qn_writer_release(&first);
    release_world(&world);
}

/* No k-means tells them apart, and any k of them are the nearest. */
static void rows_that_are_alike_have_cells_too(void **state)
{
    (void)state;
    qn_error err = {0};
    struct world world;
    make_world(&world);
    qn_matrix *x = &world.data.train.views[QN_VIEW_DENSE];
    for (int64_t i = 0; i < N_ROWS * N_COLS; i++) {
        if (i % N_ROWS > 10) x->dense[i] = 1;
    }
    const qn_knn_cells_request request = {.rows = x, .n_rows = N_ROWS, .seed = 1};
    qn_knn_cells cells;
    CHECK_OK(qn_knn_cells_create(&request, &cells, &err));
    char seen[N_ROWS] = {0};
    CHECK_INT(cells.starts[0], 0);
    for (int64_t c = 0; c < cells.n; c++) {
        const int64_t n = cells.starts[c + 1] - cells.starts[c];
        CHECK(n >= 1 && n <= 80); /* twice the root of the rows by two */
    }
    CHECK_INT(cells.starts[cells.n], N_ROWS);
    for (int64_t i = 0; i < N_ROWS; i++) {
        CHECK_INT(seen[cells.order[i]]++, 0);
    }
    qn_knn_cells_release(&cells);
    qn_estimator *model = fit(&world, "algorithm=cells", NULL);
    for (int64_t i = 0; i < N_POINTS * N_COLS; i++) {
        world.points.dense[i] = 1;
    }
    static double found[N_POINTS * N_NEIGHBOURS];
    find(model, &world, found);
    for (int i = 0; i < N_POINTS * N_NEIGHBOURS; i++) {
        CHECK(found[i] == 0);
    }
    qn_estimator_free(model);
    release_world(&world);
}

static void making_cells_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct world world;
    make_world(&world);
    const qn_knn_cells_request request = {
        .rows = &world.data.train.views[QN_VIEW_DENSE], .n_rows = 700, .seed = 1};
    qn_knn_cells cells;
    CHECK_SURVIVES_NO_MEMORY(qn_knn_cells_create(&request, &cells, NULL));
    CHECK(cells.n > 20);
    qn_knn_request model = {.task = QN_TASK_REGRESSION,
                            .n_outputs = 1,
                            .n_neighbours = 3,
                            .rows = request.rows,
                            .chosen = cells.order,
                            .n_rows = 700,
                            .target = world.data.train.target,
                            .n_cells = cells.n,
                            .cell_starts = cells.starts};
    qn_estimator *estimator = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_knn_create(&model, &estimator, NULL));
    CHECK_SURVIVES_NO_MEMORY(qn_knn_cells_tune(estimator, 3, &request, &cells, NULL));
    qn_estimator_free(estimator);
    qn_knn_cells_release(&cells);
    release_world(&world);
}

static void cells_are_not_finished_when_told_to_stop(void **state)
{
    (void)state;
    struct world world;
    make_world(&world);
    const volatile sig_atomic_t raised = 1;
    const qn_stop stop = {.interrupted = &raised};
    const qn_knn_cells_request request = {
        .rows = &world.data.train.views[QN_VIEW_DENSE], .n_rows = N_ROWS, .seed = 1, .stop = &stop};
    qn_knn_cells cells;
    CHECK_FAILS(QN_ERR_INTERRUPTED, qn_knn_cells_create(&request, &cells, NULL));
    CHECK(cells.order == NULL && cells.starts == NULL);
    release_world(&world);
}

static void heaps_give_the_nearest_first_and_keep_the_nearest(void **state)
{
    (void)state;
    qn_near items[100], kept[7];
    int32_t n_kept = 0;
    for (int32_t i = 0; i < 100; i++) {
        items[i] = (qn_near){(float)(i * 37 % 50), i};
        qn_near_offer(kept, &n_kept, 7, items[i]);
    }
    qn_near_heapify(items, 100);
    qn_near before = {-1, 0};
    for (int32_t i = 0; i < 100; i++) {
        const qn_near next = qn_near_pop(items, 100 - i);
        CHECK(next.distance > before.distance ||
              (next.distance == before.distance && next.row > before.row));
        if (i < 7) {
            int n_equal = 0;
            for (int k = 0; k < 7; k++) {
                n_equal += kept[k].row == next.row;
            }
            CHECK_INT(n_equal, 1);
        }
        before = next;
    }
    CHECK_INT(n_kept, 7);
}

/* Gower 1971: numbers differ by their share of the range, categories by 0 or 1; here the sum over
 * both numbers and the category, which three indicators stand for. */
static void gower_distances_are_those_of_the_definition(void **state)
{
    (void)state;
    enum { ROWS = 60, POINTS = 5, NUMBERS = 2, LEVELS = 3, COLS = NUMBERS + LEVELS };
    struct world world = {.data = {.task = QN_TASK_REGRESSION, .n_outputs = 1}};
    qn_matrix *rows = &world.data.train.views[QN_VIEW_DENSE];
    qn_rng rng;
    qn_rng_init(&rng, 5, 1);
    world.data.train.n_rows = ROWS;
    world.data.n_dense[QN_VIEW_DENSE] = world.data.n_features[QN_VIEW_DENSE] = COLS;
    CHECK_INT(qn_matrix_init(rows, ROWS, COLS, NULL), QN_OK);
    world.data.train.target = calloc(ROWS, sizeof(double));
    double low[NUMBERS] = {QN_INF, QN_INF}, high[NUMBERS] = {-QN_INF, -QN_INF};
    int level[ROWS];
    for (int i = 0; i < ROWS; i++) {
        level[i] = (int)qn_rng_below(&rng, LEVELS);
        for (int f = 0; f < COLS; f++) {
            const double value =
                f < NUMBERS ? (f + 1) * 10 * qn_rng_normal(&rng) : f - NUMBERS == level[i];
            rows->dense[f * rows->stride + i] = value;
            if (f < NUMBERS) low[f] = fmin(low[f], value);
            if (f < NUMBERS) high[f] = fmax(high[f], value);
        }
    }
    qn_estimator *model = fit(&world, "algorithm=exact,metric=gower", NULL);
    float points[POINTS * COLS];
    double found[POINTS * N_NEIGHBOURS];
    void *scratch = qn_alloc_aligned((int64_t)qn_estimator_scratch_bytes(model, POINTS), 1);
    qn_matrix_gather(rows, 0, POINTS, COLS, points); /* the first rows themselves */
    qn_knn_distances(model, points, POINTS, found, scratch);
    for (int p = 0; p < POINTS; p++) {
        double all[ROWS];
        for (int i = 0; i < ROWS; i++) {
            double sum = level[i] != level[p];
            for (int f = 0; f < NUMBERS; f++) {
                const double *column = rows->dense + f * rows->stride;
                sum += fabs(column[i] - column[p]) / (high[f] - low[f]);
            }
            int at = i;
            for (; at > 0 && all[at - 1] > sum; at--) {
                all[at] = all[at - 1];
            }
            all[at] = sum;
        }
        for (int k = 0; k < N_NEIGHBOURS; k++) {
            CHECK_NEAR(found[p * N_NEIGHBOURS + k], all[k], 1e-5);
        }
    }
    qn_free(scratch);
    qn_estimator_free(model);
    qn_matrix_release(rows);
    free(world.data.train.target);
}

RUN_TESTS(TEST(gower_distances_are_those_of_the_definition),
          TEST(cells_find_nearly_all_of_the_nearest), TEST(cells_looked_at_to_the_last_are_exact),
          TEST(the_cells_of_a_table_do_not_depend_on_threads),
          TEST(rows_that_are_alike_have_cells_too),
          TEST(making_cells_survives_running_out_of_memory),
          TEST(cells_are_not_finished_when_told_to_stop),
          TEST(heaps_give_the_nearest_first_and_keep_the_nearest))
