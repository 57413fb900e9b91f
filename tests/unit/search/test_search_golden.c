/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences, the signed-rank test and Parzen densities against SciPy's: tests/golden/search. */
#include "search/pruners/wilcoxon.h"
#include "search/samplers/parzen.h"
#include "search/samplers/sequence.h"

#include "golden.h"

static qn_json *golden;

static int load(void **state)
{
    (void)state;
    golden = read_golden("search");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    qn_json_free(golden);
    return 0;
}

static qn_json_value part(const char *name)
{
    const qn_json_value value = qn_json_get(qn_json_root(golden), name);
    CHECK(qn_json_size(value) > 0);
    return value;
}

static void check_points(const char *name, double (*coordinate)(int, uint32_t), double tolerance)
{
    const qn_json_value points = part(name), dimensions = part("dimensions");
    for (int64_t i = 0; i < qn_json_size(points); i++) {
        for (int64_t d = 0; d < qn_json_size(dimensions); d++) {
            const int dimension = (int)qn_json_as_int(qn_json_at(dimensions, d), -1);
            const double expected = qn_json_as_double(qn_json_at(qn_json_at(points, i), d), QN_NA);
            CHECK_NEAR(coordinate(dimension, (uint32_t)i), expected, tolerance);
        }
    }
}

static void sobol_and_halton_points_are_scipys(void **state)
{
    (void)state;
    check_points("sobol", qn_sobol, 1e-9); /* SciPy's have 30 bits */
    check_points("halton", qn_halton, 1e-12);
}

/* In base 2, n points of every dimension fall one into each of n equal intervals; so do scrambled
 * ones, and no two seeds scramble alike. */
static void scrambling_keeps_every_interval_with_one_point(void **state)
{
    (void)state;
    enum { N = 64 };
    for (int dimension = 0; dimension < 256; dimension++) {
        bool seen[N] = {false};
        for (uint32_t i = 0; i < N; i++) {
            const double x = qn_sobol_scrambled(dimension, i, 9);
            CHECK(x >= 0 && x < 1);
            CHECK(!seen[(int)(x * N)]);
            seen[(int)(x * N)] = true;
        }
    }
    CHECK(qn_sobol_scrambled(3, 5, 1) != qn_sobol_scrambled(3, 5, 2));
    for (int dimension = 0; dimension < 4; dimension++) {
        const int base = (int[]){2, 3, 5, 7}[dimension], n = base * base;
        bool seen[49] = {false};
        for (int i = 0; i < n; i++) {
            const double x = qn_halton_scrambled(dimension, (uint32_t)i, 9);
            CHECK(!seen[(int)(x * n)]);
            seen[(int)(x * n)] = true;
        }
    }
}

static void signed_rank_probabilities_are_scipys(void **state)
{
    (void)state;
    const qn_json_value cases = part("wilcoxon");
    for (int64_t i = 0; i < qn_json_size(cases); i++) {
        double differences[64];
        const qn_json_value list = qn_json_get(qn_json_at(cases, i), "differences");
        const int64_t n = qn_json_size(list);
        for (int64_t k = 0; k < n; k++) {
            differences[k] = qn_json_as_double(qn_json_at(list, k), QN_NA);
        }
        const double p = qn_json_as_double(qn_json_get(qn_json_at(cases, i), "p"), QN_NA);
        CHECK_NEAR(qn_wilcoxon_greater(differences, n), p, 1e-9);
    }
}

static int64_t read_numbers(qn_json_value list, double *out)
{
    for (int64_t i = 0; i < qn_json_size(list); i++) {
        out[i] = qn_json_as_double(qn_json_at(list, i), QN_NA);
    }
    return qn_json_size(list);
}

static void parzen_densities_follow_their_formulas(void **state)
{
    (void)state;
    static const qn_choice choices[] = {
        {"a", false, QN_NA}, {"b", false, QN_NA}, {"c", false, QN_NA}, {"d", false, QN_NA}};
    qn_error err = {0};
    qn_space space;
    CHECK_OK(qn_space_init(&space, &err));
    CHECK_OK(qn_space_add(&space, &(qn_parameter){.name = "x", .high = 10}, &err));
    CHECK_OK(qn_space_add(
        &space, &(qn_parameter){.name = "k", .kind = QN_PARAMETER_INT, .low = 1, .high = 5}, &err));
    CHECK_OK(qn_space_add(
        &space,
        &(qn_parameter){
            .name = "c", .kind = QN_PARAMETER_CATEGORICAL, .n_choices = 4, .choices = choices},
        &err));
    const qn_json_value cases = part("parzen");
    qn_parzen parzen = {0};
    for (int64_t i = 0; i < qn_json_size(cases); i++) {
        double x[64], k[64], c[64], weights[64], point[3];
        const qn_json_value one = qn_json_at(cases, i), points = qn_json_get(one, "points");
        const int64_t n = read_numbers(qn_json_get(one, "x"), x);
        read_numbers(qn_json_get(one, "k"), k);
        read_numbers(qn_json_get(one, "c"), c);
        read_numbers(qn_json_get(one, "weights"), weights);
        const qn_parzen_request request = {
            .n_dims = 3,
            .parameters = (const qn_parameter *[]){&space.parameters[0], &space.parameters[1],
                                                   &space.parameters[2]},
            .n_kernels = n,
            .values = (const double *const[]){x, k, c},
            .weights = weights,
            .prior_weight = 1,
            .n_observed = n};
        CHECK_OK(qn_parzen_fit(&parzen, &request, &err));
        for (int64_t j = 0; j < qn_json_size(points); j++) {
            const qn_json_value at = qn_json_at(points, j);
            read_numbers(qn_json_get(at, "point"), point);
            CHECK_NEAR(qn_parzen_log_density(&parzen, point),
                       qn_json_as_double(qn_json_get(at, "log_density"), QN_NA), 1e-5);
        }
    }
    qn_parzen_release(&parzen);
    qn_space_release(&space);
}

/* Draws follow the density: per value of the int, how often it is drawn against its mass. */
static void parzen_draws_follow_the_density(void **state)
{
    (void)state;
    enum { N = 20000 };
    qn_error err = {0};
    qn_space space;
    qn_parzen parzen = {0};
    qn_rng rng;
    CHECK_OK(qn_space_init(&space, &err));
    CHECK_OK(qn_space_add(
        &space, &(qn_parameter){.name = "k", .kind = QN_PARAMETER_INT, .low = 1, .high = 8}, &err));
    const double kernels[] = {0, 0, 6};
    const qn_parzen_request request = {.n_dims = 1,
                                       .parameters = (const qn_parameter *[]){&space.parameters[0]},
                                       .n_kernels = 3,
                                       .values = (const double *const[]){kernels},
                                       .weights = (double[]){1, 1, 1},
                                       .prior_weight = 1,
                                       .n_observed = 3};
    CHECK_OK(qn_parzen_fit(&parzen, &request, &err));
    double counts[8] = {0};
    qn_rng_init(&rng, 3, 0);
    for (int i = 0; i < N; i++) {
        double value, point;
        qn_parzen_draw(&parzen, &rng, &value, &point);
        CHECK(value == point + 1);
        counts[(int)point] += 1.0 / N;
    }
    for (int k = 0; k < 8; k++) {
        CHECK_NEAR(counts[k], exp(qn_parzen_log_density(&parzen, &(double){k})), 0.015);
    }
    qn_parzen_release(&parzen);
    qn_space_release(&space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sobol_and_halton_points_are_scipys),
        TEST(scrambling_keeps_every_interval_with_one_point),
        TEST(signed_rank_probabilities_are_scipys),
        TEST(parzen_densities_follow_their_formulas),
        TEST(parzen_draws_follow_the_density),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
