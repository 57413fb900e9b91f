/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/reduce/decompose.h"

#include "linalg/cross_product.h"
#include "linalg/kernels.h"
#include "model/projection_model.h"
#include "recipe/reduce/krylov.h"

#include "check.h"
#include "real_tables.h"

enum { K = 6, TOLD = 8 };

/* All columns but the target that vary, with mean 0 and variance 1, plus `shift`. */
static void load_dense(qn_json_value golden, const char *path, double shift, qn_matrix *out)
{
    qn_error err = {0};
    qn_frame *frame = NULL;
    const int64_t n = qn_json_as_int(qn_json_get(golden, "rows"), 0);
    CHECK_OK(qn_frame_read(path, 1, &frame, &err));
    const int64_t target = qn_frame_find(frame, case_text(golden, "target"));
    CHECK(target >= 0 && n <= frame->n_rows);
    CHECK_OK(qn_matrix_init(out, n, frame->n_cols - 1, &err));
    out->n_dense = 0;
    for (int64_t col = 0; col < frame->n_cols; col++) {
        double *values = out->dense + out->n_dense * out->stride;
        bool varies = false;
        if (col == target) continue;
        for (int64_t i = 0; i < n; i++) {
            values[i] = qn_column_number(&frame->columns[col], i);
            varies |= values[i] != values[0];
        }
        if (!varies) continue;
        real_standardise(values, n, n);
        for (int64_t i = 0; i < n; i++) {
            values[i] += shift;
        }
        out->n_dense++;
    }
    qn_frame_free(frame);
}

/* Counts of three-byte pieces, as generate.py makes them. */
static void load_texts(qn_json_value golden, const char *path, qn_matrix *out)
{
    enum { BUCKETS = 4096 };
    static int32_t counts[BUCKETS];
    qn_error err = {0};
    qn_frame *frame = NULL;
    CHECK_OK(qn_frame_read(path, 1, &frame, &err));
    const int64_t col = qn_frame_find(frame, case_text(golden, "column"));
    const int64_t n_entries = qn_json_as_int(qn_json_get(golden, "entries"), 0);
    CHECK(col >= 0);
    CHECK_OK(qn_matrix_init(out, frame->n_rows, 0, &err));
    out->n_sparse = BUCKETS;
    out->sparse_starts = qn_alloc_array(frame->n_rows + 1, sizeof *out->sparse_starts);
    out->sparse_cols = qn_alloc_array(n_entries, sizeof *out->sparse_cols);
    out->sparse_values = qn_alloc_array(n_entries, sizeof *out->sparse_values);
    int64_t n = 0;
    for (int64_t i = 0; i < frame->n_rows; i++) {
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes;
        const unsigned char *b =
            (const unsigned char *)qn_column_text(&frame->columns[col], i, scratch, &bytes);
        while (bytes > 0 && strchr(" \t\r\n", *b)) {
            b++;
            bytes--;
        }
        while (bytes > 0 && strchr(" \t\r\n", b[bytes - 1])) {
            bytes--;
        }
        for (size_t j = 0; j + 2 < bytes; j++) {
            counts[(b[j] * 961 + b[j + 1] * 31 + b[j + 2]) % BUCKETS]++;
        }
        for (int32_t c = 0; c < BUCKETS; c++) {
            if (counts[c] == 0) continue;
            CHECK(n < n_entries);
            out->sparse_cols[n] = c;
            out->sparse_values[n++] = (float)counts[c];
            counts[c] = 0;
        }
        out->sparse_starts[i + 1] = n;
    }
    CHECK_INT(n, n_entries);
    qn_frame_free(frame);
}

static void check_list(const double *values, qn_json_value golden, const char *key, double scale)
{
    const qn_json_value expected = qn_json_get(golden, key);
    CHECK(qn_json_size(expected) >= K);
    for (int64_t i = 0; i < qn_json_size(expected); i++) {
        CHECK_NEAR(values[i], qn_json_as_double(qn_json_at(expected, i), QN_NA), 1e-8 * scale);
    }
}

static void check_model(const qn_decomposition *d, const qn_matrix *x, qn_json_value golden,
                        const char *key)
{
    qn_error err = {0};
    double out[TOLD * K];
    qn_estimator *model = NULL;
    CHECK_OK(qn_projection_create(d->components, d->means, K, d->n_features, &model, &err));
    qn_matrix few = *x;
    few.n_rows = TOLD;
    qn_family_projection.predict(model, &few, out, NULL);
    check_list(out, golden, key, d->singular[0]);
    qn_estimator_free(model);
}

/* The angle between the spaces of k orthonormal rows each: its sine is at most the norm of what the
 * one has that the other has not. */
static double sine_between(const double *a, const double *b, int64_t k, int64_t p)
{
    double squares = 0;
    for (int64_t i = 0; i < k; i++) {
        double inside = 0;
        for (int64_t j = 0; j < k; j++) {
            const double product = qn_dot(a + i * p, b + j * p, p);
            inside += product * product;
        }
        squares += fmax(0, qn_dot(a + i * p, a + i * p, p) - inside);
    }
    return sqrt(squares);
}

/* The iteration on a table that is small enough for all values, too. */
static void check_iteration(const qn_matrix *x, const qn_decomposition *exact)
{
    qn_error err = {0};
    qn_row_operator op;
    const int64_t m = x->n_rows < x->n_dense ? x->n_rows : x->n_dense;
    double values[K], *vectors = qn_alloc_array(K * m, sizeof *vectors);
    double *exact_vectors = qn_alloc_array(K * m, sizeof *exact_vectors);
    CHECK_OK(qn_row_operator_init(&op, x, exact->means, NULL, &err));
    CHECK_OK(qn_krylov_largest(&op, K, 1, NULL, values, vectors, &err));
    for (int64_t i = 0; i < K; i++) {
        double *v = exact_vectors + i * m;
        CHECK_NEAR(sqrt(values[i]), exact->singular[i], 1e-9 * exact->singular[0]);
        if (m == x->n_dense) {
            memcpy(v, exact->components + i * m, (size_t)m * sizeof *v);
        } else {
            CHECK(qn_row_operator_apply(&op, exact->components + i * x->n_dense, 1, v));
            const double norm = sqrt(qn_dot(v, v, m));
            for (int64_t r = 0; r < m; r++) {
                v[r] /= norm;
            }
        }
    }
    CHECK(sine_between(vectors, exact_vectors, K, m) <= 1e-4);
    qn_row_operator_release(&op);
    qn_free(vectors);
    qn_free(exact_vectors);
}

static void check_dense(qn_json_value golden, const char *path)
{
    qn_error err = {0};
    qn_matrix x, shifted;
    qn_decomposition d;
    double ratio[K];
    load_dense(golden, path, 0, &x);
    qn_decompose_request request = {.rows = &x, .centre = true, .n_components = K};
    CHECK_OK(qn_decompose(&request, &d, &err));
    CHECK(d.exact && d.n_components == K);
    check_list(d.variance, golden, "variance", d.variance[0]);
    for (int i = 0; i < K; i++) {
        ratio[i] = d.variance[i] / d.total_variance;
    }
    check_list(ratio, golden, "ratio", 1);
    check_model(&d, &x, golden, "rows_on_components");
    check_iteration(&x, &d);
    qn_decomposition_release(&d);
    load_dense(golden, path, 0.5, &shifted);
    request = (qn_decompose_request){.rows = &shifted, .n_components = K};
    CHECK_OK(qn_decompose(&request, &d, &err));
    check_list(d.singular, golden, "svd_singular", d.singular[0]);
    check_list(d.variance, golden, "svd_variance", d.variance[0]);
    check_model(&d, &shifted, golden, "svd_rows");
    qn_decomposition_release(&d);
    qn_matrix_release(&x);
    qn_matrix_release(&shifted);
}

/* Values are those of ARPACK, and vectors are eigenvectors within an angle that the gap behind the
 * last bounds: sin <= residual / gap (Davis & Kahan 1970). */
static void check_texts(qn_json_value golden, const char *path, bool centre)
{
    qn_error err = {0};
    qn_matrix x;
    qn_decomposition d;
    qn_row_operator op;
    const qn_json_value expected = qn_json_get(golden, centre ? "centred" : "singular");
    const int64_t k = qn_json_size(expected) - 1;
    load_texts(golden, path, &x);
    const qn_decompose_request request = {
        .rows = &x, .centre = centre, .n_components = (int32_t)k, .seed = 3};
    CHECK_OK(qn_decompose(&request, &d, &err));
    CHECK(!d.exact && d.n_components == k);
    CHECK_OK(qn_row_operator_init(&op, &x, centre ? d.means : NULL, NULL, &err));
    double *y = qn_alloc_array(x.n_rows, sizeof *y), *z = qn_alloc_array(d.n_features, sizeof *z);
    double squares = 0;
    for (int64_t i = 0; i < k; i++) {
        const double singular = qn_json_as_double(qn_json_at(expected, i), QN_NA);
        const double *v = d.components + i * d.n_features;
        CHECK_NEAR(d.singular[i], singular, 1e-9 * d.singular[0]);
        CHECK(qn_row_operator_apply(&op, v, 1, y));
        CHECK(qn_row_operator_apply_transposed(&op, y, 1, z));
        qn_add_scaled(-singular * singular, v, z, d.n_features);
        squares += qn_dot(z, z, d.n_features);
    }
    const double last = qn_json_as_double(qn_json_at(expected, k), QN_NA);
    const double gap = d.singular[k - 1] * d.singular[k - 1] - last * last;
    CHECK(sqrt(squares) / gap <= 1e-3);
    qn_free(y);
    qn_free(z);
    qn_row_operator_release(&op);
    qn_decomposition_release(&d);
    qn_matrix_release(&x);
}

static void components_of_real_tables_are_scikit_learns(void **state)
{
    (void)state;
    qn_json *json = read_golden("reduce");
    const qn_json_value cases = qn_json_root(json);
    CHECK(qn_json_size(cases) >= 5);
    for (int64_t c = 0; c < qn_json_size(cases); c++) {
        const qn_json_value golden = qn_json_at(cases, c);
        char path[512];
        if (!has_real_table(golden, path, sizeof path)) {
            printf("%s is not there: skipped\n", path);
        } else if (qn_json_get(golden, "column")) {
            check_texts(golden, path, false);
            check_texts(golden, path, true);
        } else {
            check_dense(golden, path);
        }
    }
    qn_json_free(json);
}

/* Four rows, two dense and three sparse columns; the same written out densely. */
static double dense_values[20] = {1, 2, 0, 4, 0, 1, 5, 0, 0, 2, 0, 1, 3, 0, 0, 0, 1, 0, 0, 4};
static int64_t starts[5] = {0, 2, 3, 3, 5};
static int32_t cols[5] = {1, 2, 0, 0, 2};
static float sparse_values[5] = {3, 1, 2, 1, 4};
static const qn_matrix all_dense = {.n_rows = 4, .n_dense = 5, .stride = 4, .dense = dense_values};
static const qn_matrix half_sparse = {.n_rows = 4,
                                      .n_dense = 2,
                                      .n_sparse = 3,
                                      .stride = 4,
                                      .dense = dense_values,
                                      .sparse_starts = starts,
                                      .sparse_cols = cols,
                                      .sparse_values = sparse_values};

static void sparse_columns_count_as_dense_ones_do(void **state)
{
    (void)state;
    for (int centre = 0; centre < 2; centre++) {
        qn_error err = {0};
        qn_decomposition dense, sparse;
        qn_decompose_request request = {.rows = &all_dense, .centre = centre, .n_components = 4};
        CHECK_OK(qn_decompose(&request, &dense, &err));
        request.rows = &half_sparse;
        CHECK_OK(qn_decompose(&request, &sparse, &err));
        CHECK_INT(dense.n_components, centre ? 3 : 4); /* the rank */
        CHECK_INT(sparse.n_components, dense.n_components);
        CHECK_NEAR(sparse.total_variance, dense.total_variance, 1e-12);
        for (int i = 0; i < dense.n_components * 5; i++) {
            CHECK_NEAR(sparse.components[i], dense.components[i], 1e-9);
        }
        for (int i = 0; i < dense.n_components; i++) {
            CHECK_NEAR(sparse.variance[i], dense.variance[i], 1e-10);
        }
        qn_decomposition_release(&dense);
        qn_decomposition_release(&sparse);
    }
}

/* Twelve groups of rows with a word each, and a word of its own for every row: AA' has twelve times
 * the value 100.01, more often than a block of the iteration has vectors, then only 0.01. */
static void values_that_come_often_are_all_found(void **state)
{
    (void)state;
    enum { GROUPS = 12, ROWS = 1200, OF_GROUP = ROWS / GROUPS };
    qn_error err = {0};
    qn_matrix words = {.n_rows = ROWS, .n_sparse = GROUPS + ROWS};
    words.sparse_starts = qn_alloc_array(ROWS + 1, sizeof *words.sparse_starts);
    words.sparse_cols = qn_alloc_array(2 * ROWS, sizeof *words.sparse_cols);
    words.sparse_values = qn_alloc_array(2 * ROWS, sizeof *words.sparse_values);
    for (int i = 0; i < ROWS; i++) {
        words.sparse_starts[i + 1] = 2 * i + 2;
        words.sparse_cols[2 * i] = i % GROUPS;
        words.sparse_cols[2 * i + 1] = GROUPS + i;
        words.sparse_values[2 * i] = 1;
        words.sparse_values[2 * i + 1] = 0.1F;
    }
    const qn_decompose_request request = {.rows = &words, .n_components = GROUPS + 1, .seed = 1};
    qn_decomposition d;
    CHECK_OK(qn_decompose(&request, &d, &err));
    CHECK(!d.exact);
    CHECK_INT(d.n_components, GROUPS + 1);
    for (int i = 0; i <= GROUPS; i++) {
        CHECK_NEAR(d.singular[i] * d.singular[i], (i < GROUPS ? OF_GROUP : 0) + 0.01, 1e-6);
    }
    for (int i = 0; i < GROUPS; i++) { /* along the groups' words, in some basis of them */
        double square = 0;
        for (int w = 0; w < GROUPS; w++) {
            const double share = d.components[i * (GROUPS + ROWS) + w];
            square += share * share;
        }
        CHECK_NEAR(square, OF_GROUP / (OF_GROUP + 0.01), 1e-6);
    }
    qn_decomposition_release(&d);
    qn_matrix_release(&words);
}

static void a_share_asks_for_the_fewest_that_explain_it(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_decomposition d;
    double values[8] = {-3, 3, -3, 3, -1, -1, 1, 1}; /* variances 9 and 1 */
    const qn_matrix x = {.n_rows = 4, .n_dense = 2, .stride = 4, .dense = values};
    qn_decompose_request request = {.rows = &x, .centre = true, .share = 0.89};
    CHECK_OK(qn_decompose(&request, &d, &err));
    CHECK_INT(d.n_components, 1);
    CHECK_NEAR(d.components[0], 1, 1e-15);
    qn_decomposition_release(&d);
    request.share = 0.91;
    CHECK_OK(qn_decompose(&request, &d, &err));
    CHECK_INT(d.n_components, 2);
    qn_decomposition_release(&d);
}

static void any_number_of_threads_gives_the_same_bytes(void **state)
{
    (void)state;
    enum { ROWS = 1100, COLS = 1050, ASKED = 4 };
    qn_error err = {0};
    qn_matrix x;
    qn_decomposition alone, others;
    uint32_t draw = 1;
    CHECK_OK(qn_matrix_init(&x, ROWS, COLS, &err));
    for (int64_t i = 0; i < ROWS * COLS; i++) {
        draw = draw * 1664525 + 1013904223;
        const int64_t row = i % ROWS, col = i / ROWS;
        x.dense[i] = (double)(draw >> 16) / 65536 + (row % 7 == col % 7) + 2 * (row % 3 == col % 3);
    }
    qn_decompose_request request = {.rows = &x, .centre = true, .n_components = ASKED};
    CHECK_OK(qn_decompose(&request, &alone, &err));
    CHECK(!alone.exact);
    for (int n_threads = 2; n_threads <= 3; n_threads++) {
        request.pool = qn_pool_create(n_threads);
        CHECK_OK(qn_decompose(&request, &others, &err));
        CHECK(memcmp(alone.components, others.components, ASKED * COLS * sizeof(double)) == 0);
        qn_decomposition_release(&others);
        qn_pool_free(request.pool);
    }
    qn_decomposition_release(&alone);
    qn_matrix_release(&x);
}

static void what_cannot_be_reduced_is_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_decomposition d;
    double values[4] = {1, 1, 2, 2};
    const qn_matrix x = {.n_rows = 2, .n_dense = 2, .stride = 2, .dense = values};
    const qn_matrix one = {.n_rows = 1, .n_dense = 2, .stride = 2, .dense = values};
    qn_decompose_request request = {.rows = &x, .centre = true, .n_components = 1};
    CHECK_FAILS(QN_ERR_DATA, qn_decompose(&request, &d, &err));
    CHECK_CONTAINS(err.message, "no column varies");
    values[1] = QN_NA;
    CHECK_FAILS(QN_ERR_DATA, qn_decompose(&request, &d, &err));
    CHECK_CONTAINS(err.message, "missing or infinite");
    request.rows = &one;
    CHECK_FAILS(QN_ERR_DATA, qn_decompose(&request, &d, &err));
    CHECK(d.components == NULL);
}

static void a_model_reads_back_and_refuses_damage(void **state)
{
    (void)state;
    qn_error err = {0};
    const double components[10] = {1, 0, 2, 0, 0, 0, 1, 0, 0, -1}, means[5] = {1, 1, 0, 0, 0};
    double out[8], again[8];
    qn_estimator *model = NULL, *back = NULL;
    CHECK_OK(qn_projection_create(components, means, 2, 5, &model, &err));
    qn_family_projection.predict(model, &half_sparse, out, NULL);
    CHECK(out[0] == 0 && out[1] == -2 && out[2] == 5 && out[3] == 0);
    qn_writer writer = {0};
    qn_family_projection.write(model, &writer);
    uint8_t *bytes = qn_alloc_aligned((int64_t)writer.bytes, 1);
    memcpy(bytes, writer.data, writer.bytes);
    qn_reader reader = {.data = bytes, .bytes = writer.bytes};
    CHECK_OK(qn_family_projection.read(&reader, 5, &back, &err));
    qn_family_projection.predict(back, &half_sparse, again, NULL);
    CHECK(memcmp(out, again, sizeof out) == 0);
    qn_estimator_free(back);
    reader = (qn_reader){.data = bytes, .bytes = writer.bytes};
    CHECK_FAILS(QN_ERR_DATA, qn_family_projection.read(&reader, 6, &back, &err));
    for (size_t n = 0; n < writer.bytes; n++) {
        reader = (qn_reader){.data = bytes, .bytes = n};
        CHECK_FAILS(QN_ERR_DATA, qn_family_projection.read(&reader, 5, &back, &err));
    }
    qn_free(bytes);
    qn_writer_release(&writer);
    qn_estimator_free(model);
}

static void running_out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_decomposition d;
    qn_row_operator op;
    qn_estimator *model = NULL;
    double values[2], vectors[8];
    const qn_matrix *const both[] = {&all_dense, &half_sparse};
    for (int i = 0; i < 2; i++) {
        const qn_decompose_request request = {.rows = both[i], .centre = true, .n_components = 2};
        CHECK_SURVIVES_NO_MEMORY(qn_decompose(&request, &d, NULL));
        CHECK_SURVIVES_NO_MEMORY(qn_projection_create(d.components, d.means, 2, 5, &model, NULL));
        qn_estimator_free(model);
        qn_decomposition_release(&d);
    }
    CHECK_OK(qn_row_operator_init(&op, &half_sparse, NULL, NULL, &err));
    CHECK_SURVIVES_NO_MEMORY(qn_krylov_largest(&op, 2, 1, NULL, values, vectors, NULL));
    qn_row_operator_release(&op);
}

RUN_TESTS(TEST(components_of_real_tables_are_scikit_learns),
          TEST(sparse_columns_count_as_dense_ones_do), TEST(values_that_come_often_are_all_found),
          TEST(a_share_asks_for_the_fewest_that_explain_it),
          TEST(any_number_of_threads_gives_the_same_bytes), TEST(what_cannot_be_reduced_is_refused),
          TEST(a_model_reads_back_and_refuses_damage), TEST(running_out_of_memory_leaves_nothing))
