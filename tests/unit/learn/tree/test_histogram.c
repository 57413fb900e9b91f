/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms against plain sums. */
#include "learn/tree/bins.h"
#include "learn/tree/histogram.h"

#include "base/rng.h"
#include "check.h"

enum { ROWS = 700, GROUPS_MAX = 70, STRIDE = 72 };

struct input {
    uint8_t codes[ROWS * STRIDE];
    int64_t packed[ROWS];
    int32_t gradients[ROWS], hessians[ROWS];
    int32_t rows[ROWS]; /* a sample, increasing */
    int64_t n_rows;
};

static struct input *make_input(void)
{
    struct input *input = qn_alloc_array(1, sizeof *input);
    CHECK(input != NULL);
    qn_rng rng;
    qn_rng_init(&rng, 4, 4);
    for (int i = 0; i < ROWS * STRIDE; i++) {
        input->codes[i] = (uint8_t)qn_rng_below(&rng, i % 3 ? 256 : 5);
    }
    for (int i = 0; i < ROWS; i++) {
        const bool extreme = i % 50 == 0;
        input->gradients[i] = (int32_t)qn_rng_below(&rng, 2000001) - 1000000;
        if (extreme) input->gradients[i] = i % 100 ? 2147483 : -2147483; /* 2^31 / 1000 */
        input->hessians[i] = extreme ? 2147483 : (int32_t)qn_rng_below(&rng, 1000001);
        input->packed[i] = input->gradients[i] * (INT64_C(1) << 32) + input->hessians[i];
        if (qn_rng_below(&rng, 3) == 0) input->rows[input->n_rows++] = i;
    }
    return input;
}

/* Checks the halves of every cell against sums of their own. */
static void check_counts(const struct input *input, const int32_t *rows, int64_t n,
                         const int32_t *groups, int64_t n_groups)
{
    static qn_cell_sum cells[GROUPS_MAX * QN_GROUP_CODES];
    const qn_row_block block = {input->codes, STRIDE, input->packed};
    for (int64_t i = 0; i < GROUPS_MAX * QN_GROUP_CODES; i++) {
        cells[i] = i; /* it adds to what is there */
    }
    qn_histogram_add(&block, rows, n, groups, n_groups, cells);
    for (int64_t i = 0; i < GROUPS_MAX * QN_GROUP_CODES; i++) {
        cells[i] -= i;
    }
    for (int64_t at = 0, next = 0; at < GROUPS_MAX; at++) {
        const bool counted = next < n_groups && (groups ? groups[next] : next) == at;
        next += counted;
        int64_t g[QN_GROUP_CODES] = {0}, h[QN_GROUP_CODES] = {0};
        for (int64_t i = 0; counted && i < n; i++) {
            const int64_t row = rows ? rows[i] : i;
            const uint8_t code = input->codes[row * STRIDE + at];
            g[code] += input->gradients[row];
            h[code] += input->hessians[row];
        }
        for (int code = 0; code < QN_GROUP_CODES; code++) {
            const int64_t cell = cells[at * QN_GROUP_CODES + code];
            CHECK_INT(qn_sum_gradient(cell), g[code]);
            CHECK_INT(qn_sum_hessian(cell), h[code]);
        }
    }
}

static void cells_are_plain_sums(void **state)
{
    (void)state;
    struct input *input = make_input();
    const int64_t n_groups[] = {1, 7, 8, 9, 16, 31, 32, 33, 64, 65, GROUPS_MAX};
    const int64_t n_rows[] = {0, 1, 15, 16, 17, 200};
    for (size_t g = 0; g < sizeof n_groups / sizeof *n_groups; g++) {
        for (size_t r = 0; r < sizeof n_rows / sizeof *n_rows; r++) {
            check_counts(input, NULL, n_rows[r], NULL, n_groups[g]);
            check_counts(input, input->rows, n_rows[r], NULL, n_groups[g]);
        }
        check_counts(input, NULL, ROWS, NULL, n_groups[g]);
        check_counts(input, input->rows, input->n_rows, NULL, n_groups[g]);
    }
    qn_free(input);
}

static void groups_that_are_not_wanted_are_left_alone(void **state)
{
    (void)state;
    struct input *input = make_input();
    const int32_t groups[] = {0, 3, 8, 9, 31, 32, 40, 69};
    for (int64_t n = 1; n <= 8; n++) {
        check_counts(input, NULL, 100, groups, n);
        check_counts(input, input->rows, input->n_rows, groups, n);
    }
    qn_free(input);
}

/* What is left when one part is taken away is the other part, to the last bit. */
static void a_part_less_than_the_whole_is_the_rest(void **state)
{
    (void)state;
    struct input *input = make_input();
    static qn_cell_sum whole[8 * QN_GROUP_CODES], part[8 * QN_GROUP_CODES],
        rest[8 * QN_GROUP_CODES];
    const qn_row_block block = {input->codes, STRIDE, input->packed};
    const qn_row_block after = {input->codes + 300 * STRIDE, STRIDE, input->packed + 300};
    memset(whole, 0, sizeof whole);
    memset(part, 0, sizeof part);
    memset(rest, 0, sizeof rest);
    qn_histogram_add(&block, NULL, ROWS, NULL, 8, whole);
    qn_histogram_add(&block, NULL, 300, NULL, 8, part);
    qn_histogram_add(&after, NULL, ROWS - 300, NULL, 8, rest);
    for (int i = 0; i < 8 * QN_GROUP_CODES; i++) {
        CHECK(whole[i] - part[i] == rest[i]);
    }
    qn_free(input);
}

/* Each half may come to the border of its 32 bits without touching the other. */
static void halves_do_not_touch(void **state)
{
    (void)state;
    const int64_t g[] = {2147483647, -2147483647, 0, -1, 1};
    const int64_t h[] = {0, 1, 2147483647};
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 3; j++) {
            const int64_t packed = g[i] * (INT64_C(1) << 32) + h[j];
            CHECK_INT(qn_sum_gradient(packed), g[i]);
            CHECK_INT(qn_sum_hessian(packed), h[j]);
        }
    }
}

RUN_TESTS(TEST(cells_are_plain_sums), TEST(groups_that_are_not_wanted_are_left_alone),
          TEST(a_part_less_than_the_whole_is_the_rest), TEST(halves_do_not_touch))
