/* SPDX-License-Identifier: Apache-2.0 */
/* Where curves lead. */
#include "search/pruners/extrapolation.h"

#include "check.h"

enum { N = 12, LAST = 40 };

static void fill(qn_curve_point *points, double (*loss)(double step))
{
    for (int i = 0; i < N; i++) {
        points[i] = (qn_curve_point){i + 1, loss((double)(i + 1))};
    }
}

static double power(double step)
{
    return 3 + 2 / sqrt(step);
}

static double decay(double step)
{
    return 100 - 7 * (1 - exp(-step / 6)); /* N/2: a scale of the grid */
}

static double logarithm(double step)
{
    return -2 - 0.1 * log(step);
}

static double rising(double step)
{
    return 1 + 0.2 * log(step);
}

/* A curve of one of the families is continued as it was made. */
static void curves_of_the_families_are_continued_exactly(void **state)
{
    (void)state;
    double (*const curves[])(double step) = {power, decay, logarithm, rising};
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        qn_curve_point points[N];
        fill(points, curves[i]);
        const double end = curves[i](LAST);
        CHECK(qn_curve_beats(points, N, LAST, end + 1e-3) > 0.99);
        CHECK(qn_curve_beats(points, N, LAST, end - 1e-3) < 0.01);
    }
}

/* What noise leaves open stays open, the more the farther the step. */
static void noise_makes_it_unsure(void **state)
{
    (void)state;
    qn_curve_point points[N];
    fill(points, power);
    for (int i = 0; i < N; i++) {
        points[i].loss += i % 2 ? 0.2 : -0.2;
    }
    const double best = power(LAST) - 0.2;
    const double near = qn_curve_beats(points, N, N + 1, best);
    const double far = qn_curve_beats(points, N, LAST, best);
    CHECK(near > 0.001 && near < 0.3);
    CHECK(far > 0.05 && far < 0.9);
    CHECK(qn_curve_beats(points, N, LAST, best) == far);
}

static double constant(double step)
{
    (void)step;
    return 5;
}

static void a_constant_curve_stays(void **state)
{
    (void)state;
    qn_curve_point points[N];
    fill(points, constant);
    CHECK(qn_curve_beats(points, N, LAST, 5.001) > 0.99);
    CHECK(qn_curve_beats(points, N, LAST, 4.999) < 0.01);
    CHECK_NEAR(qn_curve_beats(points, N, LAST, 5), 0.5, 1e-9);
    for (int i = 0; i < N; i++) {
        points[i].loss = 0;
    }
    CHECK(qn_curve_beats(points, N, LAST, -1) == 0);
    CHECK(qn_curve_beats(points, N, LAST, 1) == 1);
    CHECK(qn_curve_beats(points, N, LAST, 0) == 0.5);
}

static void what_is_not_finite_is_passed_over(void **state)
{
    (void)state;
    qn_curve_point points[N], with_gaps[N + 4];
    fill(points, rising);
    for (int i = 0; i < N; i++) {
        with_gaps[i + 2] = points[i];
    }
    with_gaps[0] = (qn_curve_point){-3, 1};
    with_gaps[1] = (qn_curve_point){0, 1};
    with_gaps[N + 2] = (qn_curve_point){N + 1, QN_INF};
    with_gaps[N + 3] = (qn_curve_point){N + 2, QN_NA};
    CHECK(qn_curve_beats(with_gaps, N + 4, LAST, 1.5) == qn_curve_beats(points, N, LAST, 1.5));
}

static void too_little_says_nothing(void **state)
{
    (void)state;
    qn_curve_point points[N];
    fill(points, power);
    CHECK(isnan(qn_curve_beats(points, 3, LAST, 1)));
    CHECK(isnan(qn_curve_beats(points, 0, LAST, 1)));
    CHECK(isnan(qn_curve_beats(points, N, LAST, QN_NA)));
    CHECK(isnan(qn_curve_beats(points, N, LAST, -QN_INF)));
    CHECK(!isnan(qn_curve_beats(points, 4, LAST, 1)));
}

/* Numbers as large as they come give a probability, or none. */
static void huge_losses_are_no_trap(void **state)
{
    (void)state;
    qn_curve_point points[N];
    for (int i = 0; i < N; i++) {
        points[i] = (qn_curve_point){(int64_t)1 << (4 * i), i % 2 ? 1e300 : -1e300};
    }
    const double p = qn_curve_beats(points, N, INT64_MAX, 0);
    CHECK(isnan(p) || (p >= 0 && p <= 1));
}

RUN_TESTS(TEST(curves_of_the_families_are_continued_exactly), TEST(noise_makes_it_unsure),
          TEST(a_constant_curve_stays), TEST(what_is_not_finite_is_passed_over),
          TEST(too_little_says_nothing), TEST(huge_losses_are_no_trap))
