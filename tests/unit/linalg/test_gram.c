/* SPDX-License-Identifier: Apache-2.0 */
/* Gram matrices and products of columns against their definition, in long double. */
#include "linalg/cross_product.h"
#include "linalg/gram.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "check.h"

#include <math.h>
#include <string.h>

static double *draw(int64_t n, uint64_t seed)
{
    qn_rng rng;
    double *out = qn_alloc_array(n, sizeof *out);
    qn_rng_init(&rng, seed, 0);
    for (int64_t i = 0; i < n; i++) {
        out[i] = 1 + qn_rng_normal(&rng);
    }
    return out;
}

static void check_gram(int64_t width, int64_t n, bool weighted)
{
    double *rows = draw(n * width, 1), *omega = draw(n, 2);
    double *out = qn_alloc_array(width * (width + 3), sizeof *out);
    out[0] = 5;
    qn_gram_add(rows, width, weighted ? omega : NULL, n, out, width + 3);
    for (int64_t a = 0; a < width; a++) {
        for (int64_t b = 0; b <= a; b++) {
            long double sum = a + b == 0 ? 5 : 0;
            for (int64_t i = 0; i < n; i++) {
                sum += (weighted ? (long double)omega[i] : 1) * (long double)rows[i * width + a] *
                       (long double)rows[i * width + b];
            }
            CHECK_NEAR(out[a * (width + 3) + b], (double)sum, 1e-13 * (double)n);
        }
    }
    qn_free(rows);
    qn_free(omega);
    qn_free(out);
}

static void gram_matrices_are_sums_of_products(void **state)
{
    (void)state;
    check_gram(4, 1, false);
    check_gram(8, 127, true);
    check_gram(12, 300, true);
    check_gram(16, 5, false);
    check_gram(20, 131, true);
    check_gram(28, 129, false);
}

/* Tall and wide, with and without means, alone and on three threads. */
static void check_product(int64_t n_rows, int64_t n_cols, bool centred)
{
    const int64_t stride = n_rows + 2;
    double *columns = draw(stride * n_cols, 3), *means = draw(n_cols, 4);
    double *out = qn_alloc_array(n_cols * n_cols, sizeof *out);
    double *again = qn_alloc_array(n_cols * n_cols, sizeof *again);
    qn_pool *pool = qn_pool_create(3);
    const double *taken_off = centred ? means : NULL;
    CHECK(qn_cross_product(columns, stride, n_rows, n_cols, taken_off, NULL, out));
    CHECK(qn_cross_product(columns, stride, n_rows, n_cols, taken_off, pool, again));
    assert_memory_equal(out, again, (size_t)(n_cols * n_cols) * sizeof *out);
    for (int64_t a = 0; a < n_cols; a++) {
        for (int64_t b = 0; b < n_cols; b++) {
            long double sum = 0;
            for (int64_t i = 0; i < n_rows; i++) {
                sum += ((long double)columns[a * stride + i] - (centred ? means[a] : 0)) *
                       ((long double)columns[b * stride + i] - (centred ? means[b] : 0));
            }
            CHECK_NEAR(out[a * n_cols + b], (double)sum, 1e-13 * (double)n_rows);
        }
    }
    qn_pool_free(pool);
    qn_free(columns);
    qn_free(means);
    qn_free(out);
    qn_free(again);
}

static void products_of_columns_are_sums_of_products(void **state)
{
    (void)state;
    check_product(1, 1, true);
    check_product(5, 5, false);
    check_product(3001, 7, true);
    check_product(2100, 18, false);
    check_product(20, 37, true);
    check_product(40, 260, true);
}

static void products_survive_running_out_of_memory(void **state)
{
    (void)state;
    double columns[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, out[4];
    qn_alloc_fail_at(1, false);
    CHECK(!qn_cross_product(columns, 6, 6, 2, NULL, NULL, out));
    qn_alloc_fail_at(0, false);
    CHECK(qn_cross_product(columns, 6, 6, 2, NULL, NULL, out));
    CHECK_NEAR(out[1], 1 * 7 + 2 * 8 + 3 * 9 + 4 * 10 + 5 * 11 + 6 * 12, 0);
}

RUN_TESTS(TEST(gram_matrices_are_sums_of_products), TEST(products_of_columns_are_sums_of_products),
          TEST(products_survive_running_out_of_memory))
