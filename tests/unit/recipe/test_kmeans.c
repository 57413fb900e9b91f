/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/cluster/kmeans.h"

#include "evaluate/silhouette.h"
#include "model/kmeans_model.h"

#include "check.h"
#include "real_tables.h"

enum { SEEDS = 5 };

static double mean_of(const double *values, double *variance)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < SEEDS; i++) {
        sum += values[i] / SEEDS;
    }
    for (int i = 0; i < SEEDS; i++) {
        squares += (values[i] - sum) * (values[i] - sum);
    }
    *variance = squares / (SEEDS - 1);
    return sum;
}

/* Inertia over seeds, where it begins by chance, is no greater than the reference's but for chance:
 * three standard errors of the difference of means. */
static void check_inertia(qn_kmeans_request request, double total, qn_json_value reference)
{
    double own[SEEDS], theirs[SEEDS], own_variance, their_variance;
    qn_error err = {0};
    CHECK_INT(qn_json_size(reference), SEEDS);
    for (int seed = 0; seed < SEEDS; seed++) {
        qn_kmeans_result result;
        request.seed = (uint64_t)seed;
        CHECK_OK(qn_kmeans_fit(&request, &result, &err));
        CHECK(!result.stopped && result.n_iterations > 0);
        if (!request.weights) CHECK_NEAR(result.total, total, 1e-9 * total);
        own[seed] = result.inertia;
        theirs[seed] = qn_json_as_double(qn_json_at(reference, seed), QN_NA);
        qn_kmeans_result_release(&result);
    }
    const double mean = mean_of(own, &own_variance), other = mean_of(theirs, &their_variance);
    const double error = sqrt((own_variance + their_variance) / SEEDS);
    if (!(mean <= other + 3 * error + 1e-6 * other)) {
        fail_msg("inertia %.8g, scikit-learn's %.8g +- %.2g", mean, other, error);
    }
}

static void check_silhouette(const qn_matrix *x, qn_json_value golden)
{
    qn_error err = {0};
    int32_t *labels = qn_alloc_array(x->n_rows, sizeof *labels);
    double value;
    for (int64_t i = 0; i < x->n_rows; i++) {
        labels[i] = (x->dense[i] > 0) + 2 * (x->dense[x->stride + i] > 0);
    }
    CHECK_OK(qn_silhouette(x, labels, 4, 1, NULL, &value, &err));
    CHECK_NEAR(value, qn_json_as_double(qn_json_get(golden, "silhouette"), QN_NA), 1e-9);
    qn_free(labels);
}

static void check_case(qn_json_value golden, const char *path)
{
    real_table t;
    real_table_load(&t, golden, path);
    const qn_matrix *x = &t.data.train.views[QN_VIEW_DENSE];
    const double total = qn_json_as_double(qn_json_get(golden, "total"), 0);
    double *weights = qn_alloc_array(x->n_rows, sizeof *weights);
    for (int64_t i = 0; i < x->n_rows; i++) {
        weights[i] = 1 + (double)(i % 3);
    }
    qn_kmeans_request request = {.rows = x,
                                 .k = (int32_t)qn_json_as_int(qn_json_get(golden, "k"), 0)};
    check_inertia(request, total, qn_json_get(golden, "kmeans"));
    request.weights = weights;
    check_inertia(request, total, qn_json_get(golden, "weighted"));
    request.weights = NULL;
    request.mini_batch = true;
    check_inertia(request, total, qn_json_get(golden, "mini_batch"));
    qn_free(weights);
    check_silhouette(x, golden);
    real_table_release(&t);
}

static void inertia_on_real_tables_is_not_worse_than_scikit_learns(void **state)
{
    (void)state;
    qn_json *json = read_golden("cluster");
    const qn_json_value cases = qn_json_root(json);
    CHECK(qn_json_size(cases) >= 3);
    for (int64_t c = 0; c < qn_json_size(cases); c++) {
        char path[512];
        if (has_real_table(qn_json_at(cases, c), path, sizeof path)) {
            check_case(qn_json_at(cases, c), path);
        } else {
            printf("%s is not there: skipped\n", path);
        }
    }
    qn_json_free(json);
}

/* Three heaps of rows around (0, 0), (10, 0) and (0, 10), far from zero. */
enum { N = 3000 };
static void make_heaps(qn_matrix *rows, double offset)
{
    qn_error err = {0};
    uint32_t state = 1;
    CHECK_OK(qn_matrix_init(rows, N, 2, &err));
    for (int64_t i = 0; i < 2 * N; i++) {
        state = state * 1664525 + 1013904223;
        const double noise = (double)(state >> 16) / 65536 - 0.5;
        rows->dense[i] = offset + noise + (i % 3 == (i < N ? 1 : 2) ? 10 : 0);
    }
}

static void heaps_are_found_wherever_they_stand(void **state)
{
    (void)state;
    for (int far = 0; far < 2; far++) {
        qn_error err = {0};
        const double offset = far ? 1e6 : 0;
        qn_matrix rows;
        qn_kmeans_result result;
        make_heaps(&rows, offset);
        const qn_kmeans_request request = {.rows = &rows, .k = 3, .seed = 5};
        CHECK_OK(qn_kmeans_fit(&request, &result, &err));
        CHECK_NEAR(result.inertia, N * 2.0 / 12, N * 0.01);
        bool found[3] = {false};
        for (int c = 0; c < 3; c++) {
            const double x = result.centres[2 * c] - offset, y = result.centres[2 * c + 1] - offset;
            CHECK(fabs(x) < 0.1 || fabs(x - 10) < 0.1);
            found[x > 5 ? 1 : y > 5 ? 2 : 0] = true;
        }
        CHECK(found[0] && found[1] && found[2]);
        qn_kmeans_result_release(&result);
        qn_matrix_release(&rows);
    }
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_matrix rows;
    make_heaps(&rows, 0);
    for (int mini_batch = 0; mini_batch < 2; mini_batch++) {
        qn_kmeans_request request = {.rows = &rows, .k = 7, .seed = 3, .mini_batch = mini_batch};
        qn_kmeans_result alone, others;
        CHECK_OK(qn_kmeans_fit(&request, &alone, &err));
        for (int n_threads = 2; n_threads <= 3; n_threads++) {
            request.pool = qn_pool_create(n_threads);
            CHECK_OK(qn_kmeans_fit(&request, &others, &err));
            CHECK(memcmp(alone.centres, others.centres, 14 * sizeof(double)) == 0);
            CHECK(alone.inertia == others.inertia);
            qn_pool_free(request.pool);
            qn_kmeans_result_release(&others);
        }
        qn_kmeans_result_release(&alone);
    }
    qn_matrix_release(&rows);
}

/* Two different rows and four centres: two are never nearest. Rows without weight count nothing. */
static void fewer_different_rows_than_centres_are_no_trouble(void **state)
{
    (void)state;
    qn_error err = {0};
    double values[6] = {1, 1, 1, 5, 5, 100}, weights[6] = {1, 1, 1, 1, 1, 0};
    const qn_matrix rows = {.n_rows = 6, .n_dense = 1, .stride = 6, .dense = values};
    for (int32_t k = 1; k <= 4; k++) {
        const qn_kmeans_request request = {.rows = &rows, .weights = weights, .k = k};
        qn_kmeans_result result;
        CHECK_OK(qn_kmeans_fit(&request, &result, &err));
        CHECK_NEAR(result.inertia, k == 1 ? 19.2 : 0, 1e-9);
        if (k == 1) CHECK_NEAR(result.centres[0], 2.6, 1e-6);
        qn_kmeans_result_release(&result);
    }
}

static void unusable_requests_are_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    double values[3] = {1, QN_NA, 3};
    const qn_matrix rows = {.n_rows = 3, .n_dense = 1, .stride = 3, .dense = values};
    const qn_matrix none = {.n_rows = 3};
    qn_kmeans_request request = {.rows = &rows, .k = 4};
    qn_kmeans_result result;
    CHECK_FAILS(QN_ERR_ARG, qn_kmeans_fit(&request, &result, &err));
    CHECK_CONTAINS(err.message, "ask for 1 to 3");
    request.k = 2;
    CHECK_FAILS(QN_ERR_DATA, qn_kmeans_fit(&request, &result, &err));
    CHECK_CONTAINS(err.message, "missing");
    request.rows = &none;
    CHECK_FAILS(QN_ERR_UNSUPPORTED, qn_kmeans_fit(&request, &result, &err));
    CHECK(result.centres == NULL);
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    double values[5] = {1, 2, 3, 4, 5}, silhouette;
    const int32_t labels[5] = {0, 0, 1, 1, 1};
    const qn_matrix rows = {.n_rows = 5, .n_dense = 1, .stride = 5, .dense = values};
    qn_kmeans_request request = {.rows = &rows, .k = 2, .n_init = 2};
    qn_kmeans_result result;
    qn_estimator *model = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_kmeans_fit(&request, &result, NULL));
    qn_kmeans_result_release(&result);
    request.mini_batch = true;
    CHECK_SURVIVES_NO_MEMORY(qn_kmeans_fit(&request, &result, NULL));
    CHECK_SURVIVES_NO_MEMORY(qn_silhouette(&rows, labels, 2, 1, NULL, &silhouette, NULL));
    CHECK_SURVIVES_NO_MEMORY(qn_kmeans_create(result.centres, 2, 1, &model, NULL));
    qn_estimator_free(model);
    qn_kmeans_result_release(&result);
}

static void silhouettes_of_few_rows_are_those_of_the_definition(void **state)
{
    (void)state;
    qn_error err = {0};
    double values[4] = {0, 1, 10, 10}, out;
    const int32_t labels[4] = {0, 0, 1, 2}, one[4] = {0};
    const qn_matrix rows = {.n_rows = 4, .n_dense = 1, .stride = 4, .dense = values};
    CHECK_OK(qn_silhouette(&rows, labels, 5, 1, NULL, &out, &err)); /* two clusters are empty */
    CHECK_NEAR(out, ((10.0 - 1) / 10 + (9.0 - 1) / 9) / 4, 1e-15);
    CHECK_OK(qn_silhouette(&rows, one, 2, 1, NULL, &out, &err));
    CHECK(isnan(out));
}

static void a_model_reads_back_and_refuses_damage(void **state)
{
    (void)state;
    qn_error err = {0};
    const double centres[6] = {0, 0, 3, 4, -1, 2};
    double values[4] = {3, 0, 4, 0}, out[6], again[6], scratch[2];
    const qn_matrix rows = {.n_rows = 2, .n_dense = 2, .stride = 2, .dense = values};
    qn_estimator *model = NULL, *back = NULL;
    CHECK_OK(qn_kmeans_create(centres, 3, 2, &model, &err));
    qn_family_kmeans.predict(model, &rows, out, scratch);
    CHECK(out[0] == 5 && out[1] == 0 && out[3] == 0 && out[4] == 5);
    qn_writer writer = {0};
    qn_family_kmeans.write(model, &writer);
    qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
    CHECK_OK(qn_family_kmeans.read(&reader, 2, &back, &err));
    qn_family_kmeans.predict(back, &rows, again, scratch);
    CHECK(memcmp(out, again, sizeof out) == 0);
    qn_estimator_free(back);
    reader = (qn_reader){.data = writer.data, .bytes = writer.bytes};
    CHECK_FAILS(QN_ERR_DATA, qn_family_kmeans.read(&reader, 1, &back, &err));
    for (size_t bytes = 0; bytes < writer.bytes; bytes++) {
        reader = (qn_reader){.data = writer.data, .bytes = bytes};
        CHECK_FAILS(QN_ERR_DATA, qn_family_kmeans.read(&reader, 2, &back, &err));
    }
    qn_writer_release(&writer);
    qn_estimator_free(model);
}

RUN_TESTS(TEST(inertia_on_real_tables_is_not_worse_than_scikit_learns),
          TEST(heaps_are_found_wherever_they_stand),
          TEST(any_number_of_threads_gives_the_same_bytes),
          TEST(fewer_different_rows_than_centres_are_no_trouble),
          TEST(unusable_requests_are_refused), TEST(running_out_of_memory_leaves_nothing),
          TEST(silhouettes_of_few_rows_are_those_of_the_definition),
          TEST(a_model_reads_back_and_refuses_damage))
