/* SPDX-License-Identifier: Apache-2.0 */
#include "linalg/gemm.h"

#include "base/rng.h"
#include "linalg/kernels.h"

#include "check.h"

enum { SIZE_MAX_HERE = 300 };

struct product {
    qn_gemm gemm;
    float *a, *b, *panels, *start, *c, *expected;
};

static float *draw(qn_rng *rng, int64_t n)
{
    float *values = qn_alloc_aligned(n, sizeof *values);
    CHECK(values != NULL);
    for (int64_t i = 0; i < n; i++) {
        values[i] = (float)qn_rng_normal(rng);
    }
    return values;
}

static void make(struct product *p, int64_t m, int64_t n, int64_t k, bool a_turned, bool b_turned)
{
    qn_rng rng;
    qn_rng_init(&rng, 3, (uint64_t)(m * 1000003 + n * 1009 + k));
    *p = (struct product){.a = draw(&rng, m * k),
                          .b = draw(&rng, k * n),
                          .panels = qn_alloc_aligned(qn_panels_floats(k, n), sizeof(float)),
                          .start = draw(&rng, n),
                          .c = draw(&rng, m * n),
                          .expected = qn_alloc_aligned(m * n, sizeof(float))};
    qn_panels_pack(p->b, b_turned ? 1 : n, b_turned ? k : 1, k, n, p->panels);
    memcpy(p->expected, p->c, (size_t)(m * n) * sizeof(float));
    p->gemm = (qn_gemm){.m = m,
                        .n = n,
                        .k = k,
                        .a = p->a,
                        .a_row_step = a_turned ? 1 : k,
                        .a_col_step = a_turned ? m : 1,
                        .panels = p->panels,
                        .start = p->start,
                        .c = p->c,
                        .c_row_step = n};
}

static void release(struct product *p)
{
    float *const all[] = {p->a, p->b, p->panels, p->start, p->c, p->expected};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        qn_free(all[i]);
    }
}

static const int64_t shapes[][3] = {{1, 1, 1},    {1, 70, 9},   {1, 129, 300}, {2, 16, 3},
                                    {6, 17, 5},   {7, 33, 64},  {49, 16, 257}, {100, 40, 600},
                                    {50, 200, 1}, {300, 5, 31}, {13, 15, 256}};

/* Bit for bit: every element takes its products in the order of k, fused. */
static void kernels_agree_with_the_definition_bit_for_bit(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        for (int turned = 0; turned < 4; turned++) {
            for (int accumulate = 0; accumulate < 2; accumulate++) {
                struct product p;
                make(&p, shapes[s][0], shapes[s][1], shapes[s][2], turned & 1, turned & 2);
                p.gemm.accumulate = accumulate;
                qn_gemm_run(&p.gemm, NULL);
                p.gemm.c = p.expected;
                qn_gemm_plain(&p.gemm);
                assert_memory_equal(p.c, p.expected, (size_t)(p.gemm.m * p.gemm.n) * sizeof(float));
                release(&p);
            }
        }
    }
}

static void products_are_right(void **state)
{
    (void)state;
    struct product p;
    make(&p, 50, 30, 70, false, true);
    p.gemm.start = NULL;
    qn_gemm_run(&p.gemm, NULL);
    for (int64_t i = 0; i < 50; i++) {
        for (int64_t j = 0; j < 30; j++) {
            double sum = 0;
            for (int64_t l = 0; l < 70; l++) {
                sum += (double)p.a[i * 70 + l] * (double)p.b[j * 70 + l];
            }
            CHECK_NEAR((double)p.c[i * 30 + j], sum, 1e-4);
        }
    }
    release(&p);
}

static void threads_do_not_change_a_product(void **state)
{
    (void)state;
    struct product p;
    qn_pool *pool = qn_pool_create(3);
    make(&p, SIZE_MAX_HERE, 100, 200, false, false);
    qn_gemm_run(&p.gemm, pool);
    p.gemm.c = p.expected;
    qn_gemm_run(&p.gemm, NULL);
    assert_memory_equal(p.c, p.expected, (size_t)(SIZE_MAX_HERE * 100) * sizeof(float));
    qn_pool_free(pool);
    release(&p);
}

static void exponentials_in_float_are_near(void **state)
{
    (void)state;
    float x[1000], out[1000];
    for (int i = 0; i < 1000; i++) {
        x[i] = -86.5F + 0.174F * (float)i;
    }
    qn_exp_float(x, out, 1000);
    for (int i = 0; i < 1000; i++) {
        CHECK_NEAR((double)out[i] / exp((double)x[i]), 1, 4e-7);
    }
    qn_exp_float((float[]){-1e30F, 1e30F, 0}, out, 3);
    CHECK(out[0] > 0 && out[0] < 1e-37F && isfinite(out[1]) && out[2] == 1);
}

RUN_TESTS(TEST(kernels_agree_with_the_definition_bit_for_bit), TEST(products_are_right),
          TEST(threads_do_not_change_a_product), TEST(exponentials_in_float_are_near))
