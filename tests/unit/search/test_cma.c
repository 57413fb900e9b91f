/* SPDX-License-Identifier: Apache-2.0 */
/* The distribution of CMA-ES: it learns the shape of a function, keeps its margin, and is not
 * thrown by points that are none of its own. */
#include "search/samplers/cma.h"

#include "check.h"

#include <stdlib.h>

enum { N = 6, POPULATION = 10 };

/* Convex, rotated by pairs, and a million times longer than wide. */
static double ellipsoid(const double *x)
{
    double sum = 0;
    for (int i = 0; i < N; i++) {
        const double turned = x[i] + (i % 2 ? -0.5 : 0.5) * x[i ^ 1] - 0.2;
        sum += pow(1e6, i / (N - 1.0)) * turned * turned;
    }
    return sum;
}

static void begin(qn_cma *cma)
{
    qn_error err = {0};
    const double mean[N] = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5};
    const qn_cma_start start = {.n = N, .population = POPULATION, .mean = mean, .sigma = 0.2};
    CHECK_OK(qn_cma_begin(cma, &start, &err));
}

struct individual {
    double value, x[N];
};

static int by_value(const void *a, const void *b)
{
    const struct individual *one = a, *other = b;
    return (one->value > other->value) - (one->value < other->value);
}

static void generation(qn_cma *cma, qn_rng *rng, double *best)
{
    qn_error err = {0};
    struct individual all[POPULATION];
    const double *points[POPULATION];
    for (int i = 0; i < POPULATION; i++) {
        qn_cma_draw(cma, rng, all[i].x);
        all[i].value = ellipsoid(all[i].x);
    }
    qsort(all, POPULATION, sizeof *all, by_value);
    for (int i = 0; i < POPULATION; i++) {
        points[i] = all[i].x;
    }
    *best = all[0].value;
    CHECK_OK(qn_cma_update(cma, points, &err));
}

static void the_shape_of_an_ellipsoid_is_learned(void **state)
{
    (void)state;
    qn_cma cma = {0};
    qn_rng rng;
    double best = QN_INF;
    qn_rng_init(&rng, 1, 0);
    begin(&cma);
    for (int g = 0; g < 400; g++) {
        generation(&cma, &rng, &best);
    }
    if (!(best < 1e-10)) fail_msg("%g after 4,000 points", best);
    CHECK(cma.lengths[0] / cma.lengths[N - 1] > 100);
    for (int g = 0; g < 400 && !qn_cma_is_spent(&cma); g++) {
        generation(&cma, &rng, &best);
    }
    CHECK(qn_cma_is_spent(&cma));
    qn_cma_release(&cma);
}

static double mass_above(const qn_cma *cma, int64_t at, double x)
{
    return 0.5 * erfc((x - cma->mean[at]) / qn_cma_deviation(cma, at) / sqrt(2));
}

static void neighbouring_cells_keep_some_mass(void **state)
{
    (void)state;
    qn_cma cma = {0};
    begin(&cma);
    cma.sigma = 1e-4;
    const double least = 1.0 / (N * POPULATION);
    qn_cma_keep_margin(&cma, 0, 0.4, 0.6);
    CHECK_NEAR(mass_above(&cma, 0, 0.6), least / 2, 1e-6);
    CHECK_NEAR(1 - mass_above(&cma, 0, 0.4), least / 2, 1e-6);
    qn_cma_keep_margin(&cma, 1, 0.45, 0.7);
    CHECK_NEAR(mass_above(&cma, 1, 0.7), least / 2, 1e-6);
    CHECK_NEAR(1 - mass_above(&cma, 1, 0.45), least / 2, 1e-6);
    qn_cma_keep_margin(&cma, 2, -QN_INF, 0.6);
    CHECK_NEAR(mass_above(&cma, 2, 0.6), least, 1e-6);
    qn_cma_keep_margin(&cma, 3, 0.3, QN_INF);
    CHECK_NEAR(1 - mass_above(&cma, 3, 0.3), least, 1e-6);
    CHECK(cma.factor[3] == 1);
    /* Wide enough: left alone. */
    cma.sigma = 0.2;
    qn_cma_keep_margin(&cma, 4, 0.4, 0.6);
    CHECK(cma.factor[4] == 1);
    CHECK(cma.mean[4] == 0.5);
    qn_cma_release(&cma);
}

static void far_points_pull_no_further_than_a_step(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_cma cma = {0};
    begin(&cma);
    double far[N];
    const double *points[POPULATION];
    for (int i = 0; i < N; i++) {
        far[i] = 1e6;
    }
    for (int i = 0; i < POPULATION; i++) {
        points[i] = far;
    }
    CHECK_OK(qn_cma_update(&cma, points, &err));
    for (int i = 0; i < N; i++) {
        CHECK(cma.mean[i] > 0.6 && cma.mean[i] < 1.5);
    }
    CHECK(cma.sigma < 1);
    qn_cma_release(&cma);
}

static qn_status begin_and_update(qn_error *err)
{
    qn_cma cma = {0};
    const double mean[N] = {0};
    const double *points[POPULATION];
    for (int i = 0; i < POPULATION; i++) {
        points[i] = mean;
    }
    const qn_cma_start start = {.n = N, .population = POPULATION, .mean = mean, .sigma = 0.2};
    qn_status status = qn_cma_begin(&cma, &start, err);
    if (status == QN_OK) status = qn_cma_update(&cma, points, err);
    qn_cma_release(&cma);
    return status;
}

static void running_out_of_memory_is_told(void **state)
{
    (void)state;
    qn_error err = {0};
    CHECK_SURVIVES_NO_MEMORY(begin_and_update(&err));
}

RUN_TESTS(TEST(the_shape_of_an_ellipsoid_is_learned), TEST(neighbouring_cells_keep_some_mass),
          TEST(far_points_pull_no_further_than_a_step), TEST(running_out_of_memory_is_told))
