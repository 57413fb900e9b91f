/* SPDX-License-Identifier: Apache-2.0 */
/* Bins: edges by their definition, codes by a search of one's own, groups that share a byte taken
 * apart again. */
#include "datasets.h"

enum { N = 900, N_VALID = 100 };

static double *column_of(qn_dataset *data, int64_t row, int64_t f)
{
    const int64_t n = data->train.n_rows;
    return row < n ? dataset_column(&data->train, f) + row
                   : dataset_column(&data->valid, f) + row - n;
}

static int32_t bin_of(const qn_bins *bins, int64_t row, int64_t f)
{
    const qn_bin_feature *feature = &bins->features[f];
    return feature->decode[bins->codes[row * bins->stride + feature->group]];
}

/* The bin of a number by the header's words, looked for one by one. */
static int32_t search_bin(const qn_bin_feature *feature, double value)
{
    if (isnan(value)) return 0;
    int32_t bin = 1;
    while (bin <= feature->n_bins - 2 && value > feature->edges[bin - 1]) {
        bin++;
    }
    return bin;
}

/* Everything that holds of all bins. */
static void check_bins(qn_dataset *data, int max_bin)
{
    const qn_bins *bins = data->bins;
    CHECK_INT(bins->n_train, data->train.n_rows);
    CHECK_INT(bins->n_rows, data->train.n_rows + data->valid.n_rows);
    CHECK(bins->stride >= bins->n_groups && bins->stride % 8 == 0);
    for (int64_t f = 0; f < bins->n_features; f++) {
        const qn_bin_feature *feature = &bins->features[f];
        const qn_feature *described = &data->features[QN_VIEW_TREE][f];
        CHECK(feature->n_bins >= 1 && feature->n_bins <= (described->categorical ? 255 : max_bin));
        CHECK(feature->group >= 0 && feature->group < bins->n_groups);
        for (int32_t e = 1; !described->categorical && e < feature->n_bins - 2; e++) {
            CHECK(feature->edges[e - 1] < feature->edges[e]);
        }
        for (int64_t row = 0; row < bins->n_rows; row++) {
            const double value = *column_of(data, row, f);
            const int32_t code_bin = value >= 0 && value < 254 ? 1 + (int32_t)value : 0;
            const int32_t expected = described->categorical ? code_bin : search_bin(feature, value);
            const uint8_t code = bins->codes[row * bins->stride + feature->group];
            CHECK_INT(feature->decode[code], expected);
            CHECK_INT(bins->columns[feature->group * bins->n_rows + row], code);
            CHECK(code < bins->group_codes[feature->group]);
            if (feature->alone) CHECK_INT(code, expected);
        }
    }
}

static void few_values_are_kept_apart_half_way(void **state)
{
    (void)state;
    qn_dataset data = dataset_create(QN_TASK_REGRESSION, 0, N, N_VALID, 2);
    for (int64_t row = 0; row < N + N_VALID; row++) {
        *column_of(&data, row, 0) = row % 11 == 5 ? QN_NA : (double)(row % 7 * (row % 7));
        *column_of(&data, row, 1) = row % 2 ? -1e308 : 1e308;
    }
    dataset_bin(&data, 255);
    check_bins(&data, 255);
    const qn_bin_feature *feature = &data.bins->features[0];
    CHECK_INT(feature->n_bins, 8);
    for (int e = 0; e < 6; e++) {
        CHECK(feature->edges[e] == (e * e + (e + 1) * (e + 1)) / 2.0);
    }
    CHECK_INT(data.bins->features[1].n_bins, 3);
    CHECK(data.bins->features[1].edges[0] == 0);
    dataset_release(&data);
}

/* Neighbours without a number between them, and infinities, are kept apart too. */
static void values_next_to_each_other_are_told_apart(void **state)
{
    (void)state;
    const double values[] = {-QN_INF, -0.0, 5e-324, 1, 1 + 0x1p-52, 1 + 0x1p-51, 1e308, QN_INF};
    qn_dataset data = dataset_create(QN_TASK_REGRESSION, 0, N, 0, 1);
    for (int64_t row = 0; row < N; row++) {
        *column_of(&data, row, 0) = values[row % 8];
    }
    dataset_bin(&data, 255);
    check_bins(&data, 255);
    for (int64_t row = 0; row < N; row++) {
        CHECK_INT(bin_of(data.bins, row, 0), 1 + row % 8);
    }
    dataset_release(&data);
}

static void many_values_fill_bins_evenly(void **state)
{
    (void)state;
    const int max_bins[] = {3, 4, 16, 17, 64, 255};
    for (int m = 0; m < 6; m++) {
        qn_dataset data = dataset_create(QN_TASK_REGRESSION, 0, N, N_VALID, 2);
        qn_rng rng;
        qn_rng_init(&rng, 5, 0);
        for (int64_t row = 0; row < N + N_VALID; row++) {
            *column_of(&data, row, 0) = qn_rng_normal(&rng);
            *column_of(&data, row, 1) = row % 3 ? 0.5 : qn_rng_normal(&rng); /* one value is most */
        }
        dataset_bin(&data, max_bins[m]);
        check_bins(&data, max_bins[m]);
        int64_t counts[2][256] = {{0}};
        for (int64_t row = 0; row < N; row++) {
            counts[0][bin_of(data.bins, row, 0)]++;
            counts[1][bin_of(data.bins, row, 1)]++;
        }
        CHECK_INT(data.bins->features[0].n_bins, max_bins[m]);
        const double share = (double)N / (max_bins[m] - 1);
        for (int32_t bin = 1; bin < max_bins[m]; bin++) {
            CHECK(fabs((double)counts[0][bin] - share) <= 1);
        }
        /* No bin but that of the frequent value has more than its share, and all bins are used. */
        const int32_t frequent = search_bin(&data.bins->features[1], 0.5);
        CHECK(counts[1][frequent] >= N * 2 / 3);
        for (int32_t bin = 1; bin < data.bins->features[1].n_bins; bin++) {
            CHECK(counts[1][bin] > 0);
            if (bin != frequent) CHECK((double)counts[1][bin] <= share + 1);
        }
        dataset_release(&data);
    }
}

/* Edges of long columns come from a sample: bins are then near their shares. */
static void long_columns_are_cut_from_a_sample(void **state)
{
    (void)state;
    const int64_t n = 250000;
    qn_dataset data = dataset_create(QN_TASK_REGRESSION, 0, n, 0, 1);
    qn_rng rng;
    qn_rng_init(&rng, 6, 0);
    for (int64_t row = 0; row < n; row++) {
        *column_of(&data, row, 0) = exp(2 * qn_rng_normal(&rng));
    }
    dataset_bin(&data, 255);
    check_bins(&data, 255);
    int64_t counts[256] = {0};
    for (int64_t row = 0; row < n; row++) {
        counts[bin_of(data.bins, row, 0)]++;
    }
    for (int bin = 1; bin < 255; bin++) { /* sd of a bin's count is about 15 */
        CHECK(fabs((double)counts[bin] - (double)n / 254) < 120);
    }
    dataset_release(&data);
}

/* One-hot columns, flags and small numbers, some missing, between columns that cannot share. */
static void make_sharers(qn_dataset *data, int64_t n_features)
{
    qn_rng rng;
    qn_rng_init(&rng, 7, 0);
    const int64_t n = data->train.n_rows + data->valid.n_rows;
    for (int64_t row = 0; row < n; row++) {
        const int64_t hot = qn_rng_below(&rng, 40);
        for (int64_t f = 0; f < n_features; f++) {
            double value = f < 40 ? f == hot : (double)qn_rng_below(&rng, 2 + f % 13);
            if (f == 20 || f == 55) value = qn_rng_normal(&rng);
            if (f % 17 == 4 && row % 10 == 3) value = QN_NA;
            *column_of(data, row, f) = value;
        }
    }
    for (int64_t f = 45; f < n_features; f += 9) {
        dataset_categorical(data, f, (int32_t)(2 + f % 13));
    }
}

static void features_that_share_a_byte_are_told_apart(void **state)
{
    (void)state;
    qn_dataset data = dataset_create(QN_TASK_REGRESSION, 0, N, N_VALID, 80);
    make_sharers(&data, 80);
    dataset_bin(&data, 255);
    check_bins(&data, 255);
    CHECK(data.bins->n_groups < 40); /* forty one-hot columns take a few bytes */
    CHECK(data.bins->features[20].alone && data.bins->features[55].alone);
    int n_shared = 0;
    for (int f = 0; f < 80; f++) {
        n_shared += !data.bins->features[f].alone;
    }
    CHECK(n_shared > 50);
    dataset_release(&data);
}

static void codes_of_categories_are_bins_and_those_beyond_are_missing(void **state)
{
    (void)state;
    qn_dataset data = dataset_create(QN_TASK_REGRESSION, 0, N, N_VALID, 2);
    for (int64_t row = 0; row < N + N_VALID; row++) {
        *column_of(&data, row, 0) = row % 13 ? (double)(row % 300) : QN_NA;
        *column_of(&data, row, 1) = (double)(row % 3);
    }
    dataset_categorical(&data, 0, 300);
    dataset_categorical(&data, 1, 3);
    dataset_bin(&data, 16); /* max_bin is of numbers */
    check_bins(&data, 16);
    CHECK_INT(data.bins->features[0].n_bins, 255);
    CHECK_INT(bin_of(data.bins, 253, 0), 254);
    CHECK_INT(bin_of(data.bins, 254, 0), 0);
    CHECK_INT(bin_of(data.bins, 260, 0), 0); /* missing */
    CHECK_INT(data.bins->features[1].n_bins, 4);
    dataset_release(&data);
}

static void columns_that_say_nothing_have_one_bin(void **state)
{
    (void)state;
    qn_dataset data = dataset_create(QN_TASK_REGRESSION, 0, 50, 0, 3);
    for (int64_t row = 0; row < 50; row++) {
        *column_of(&data, row, 0) = QN_NA;
        *column_of(&data, row, 1) = 3;
        *column_of(&data, row, 2) = row % 2 ? 3 : QN_NA;
    }
    dataset_bin(&data, 255);
    check_bins(&data, 255);
    for (int f = 0; f < 3; f++) {
        CHECK_INT(data.bins->features[f].n_bins, 2); /* missing, and any number */
    }
    dataset_release(&data);
}

static void threads_change_no_byte(void **state)
{
    (void)state;
    qn_dataset data = dataset_create(QN_TASK_REGRESSION, 0, 20000, 5000, 80);
    make_sharers(&data, 80);
    dataset_bin(&data, 255);
    const qn_bins *first = data.bins;
    for (int n_threads = 2; n_threads <= 3; n_threads++) {
        qn_error err = {0};
        qn_bins *bins = NULL;
        qn_pool *pool = qn_pool_create(n_threads);
        CHECK_OK(qn_bins_create(&data, 255, pool, &bins, &err));
        CHECK_INT(bins->n_groups, first->n_groups);
        assert_memory_equal(bins->codes, first->codes, (size_t)(bins->n_rows * bins->stride));
        for (int64_t f = 0; f < 80; f++) {
            CHECK_INT(bins->features[f].group, first->features[f].group);
            assert_memory_equal(bins->features[f].decode, first->features[f].decode,
                                QN_GROUP_CODES);
        }
        qn_bins_free(bins);
        qn_pool_free(pool);
    }
    dataset_release(&data);
}

static void making_bins_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_dataset data = dataset_create(QN_TASK_REGRESSION, 0, N, N_VALID, 60);
    make_sharers(&data, 60);
    qn_bins *bins = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_bins_create(&data, 255, NULL, &bins, NULL));
    qn_bins_free(bins);
    dataset_release(&data);
}

RUN_TESTS(TEST(few_values_are_kept_apart_half_way), TEST(values_next_to_each_other_are_told_apart),
          TEST(many_values_fill_bins_evenly), TEST(long_columns_are_cut_from_a_sample),
          TEST(features_that_share_a_byte_are_told_apart),
          TEST(codes_of_categories_are_bins_and_those_beyond_are_missing),
          TEST(columns_that_say_nothing_have_one_bin), TEST(threads_change_no_byte),
          TEST(making_bins_survives_running_out_of_memory))
