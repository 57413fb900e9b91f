/* SPDX-License-Identifier: Apache-2.0 */
/* Trees made by hand, whose answers are known. */
#include "model/tree_forms.h"

#include "check.h"

#include <stdlib.h>

static int32_t add_leaf(qn_tree_builder *builder, double value)
{
    return ~(int32_t)qn_tree_builder_add_values(builder, &value, 1);
}

static int32_t add_split(qn_tree_builder *builder, int32_t feature, double threshold, int32_t flags,
                         int32_t left, int32_t right)
{
    const qn_tree_node node = {threshold, feature, flags, left, right, 0, 0, 0, 0};
    return (int32_t)qn_tree_builder_add_node(builder, &node);
}

static qn_estimator *finish(qn_tree_builder *builder, qn_link link, bool vector_leaves,
                            const double *init, int32_t n_outputs)
{
    qn_estimator *model = NULL;
    qn_error err = {0};
    CHECK_OK(qn_tree_builder_finish(builder, builder->n_trees, link, vector_leaves, init, n_outputs,
                                    &model, &err));
    return model;
}

/* One tree of one split on feature 0: -1 to the left, 1 to the right. */
static qn_estimator *stump(double threshold, int32_t flags, const uint64_t *set)
{
    qn_tree_builder builder = {0};
    if (set) threshold = (double)qn_tree_builder_add_set(&builder, set);
    const int32_t left = add_leaf(&builder, -1), right = add_leaf(&builder, 1);
    qn_tree_builder_add_tree(&builder, add_split(&builder, 0, threshold, flags, left, right));
    return finish(&builder, QN_LINK_IDENTITY, false, (double[]){0}, 1);
}

static double predict_one(const qn_estimator *model, double value)
{
    double out = QN_NA;
    const qn_matrix row = {.n_rows = 1, .n_dense = 1, .stride = 1, .dense = &value};
    CHECK_INT(qn_estimator_predict(model, &row, NULL, &out, NULL), QN_OK);
    return out;
}

static void a_number_up_to_the_threshold_goes_left(void **state)
{
    (void)state;
    qn_estimator *model = stump(0.5, 0, NULL);
    CHECK(predict_one(model, 0.5) == -1);
    CHECK(predict_one(model, nextafter(0.5, 1)) == 1);
    CHECK(predict_one(model, -QN_INF) == -1);
    CHECK(predict_one(model, QN_INF) == 1);
    CHECK(predict_one(model, -0.0) == -1);
    qn_estimator_free(model);
}

static void a_missing_value_goes_where_the_node_says(void **state)
{
    (void)state;
    qn_estimator *right = stump(0.5, 0, NULL), *left = stump(0.5, QN_NODE_DEFAULT_LEFT, NULL);
    CHECK(predict_one(right, QN_NA) == 1);
    CHECK(predict_one(left, QN_NA) == -1);
    CHECK(predict_one(left, -QN_NA) == -1);
    CHECK(predict_one(left, 0.6) == 1);
    qn_estimator_free(right);
    qn_estimator_free(left);
}

static void a_category_goes_left_when_it_is_in_the_set(void **state)
{
    (void)state;
    /* Codes 0, 63, 64, 130 and 253: a bit in every word, and the last that counts. */
    const uint64_t set[QN_SET_WORDS] = {UINT64_C(1) | UINT64_C(1) << 63, 1, UINT64_C(1) << 2,
                                        UINT64_C(1) << (253 - 192)};
    for (int32_t flags = QN_NODE_CATEGORY; flags <= (QN_NODE_CATEGORY | QN_NODE_DEFAULT_LEFT);
         flags++) {
        const double other = flags & QN_NODE_DEFAULT_LEFT ? -1 : 1;
        qn_estimator *model = stump(0, flags, set);
        for (int code = 0; code < QN_CODES_MAX; code++) {
            const bool in_set = code == 0 || code == 63 || code == 64 || code == 130 || code == 253;
            CHECK(predict_one(model, code) == (in_set ? -1 : 1));
        }
        /* Missing, never seen, and what no code can be. */
        const double strange[] = {QN_NA, QN_CODES_MAX, 1e300, QN_INF, -QN_INF, -1};
        for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
            CHECK(predict_one(model, strange[i]) == other);
        }
        qn_estimator_free(model);
    }
}

static void a_code_split_by_order_takes_codes_beyond_the_last_as_missing(void **state)
{
    (void)state;
    qn_estimator *left = stump(2, QN_NODE_CODE | QN_NODE_DEFAULT_LEFT, NULL),
                 *right = stump(2, QN_NODE_CODE, NULL);
    CHECK(predict_one(left, 2) == -1 && predict_one(right, 2) == -1);
    CHECK(predict_one(left, 3) == 1 && predict_one(right, 3) == 1);
    CHECK(predict_one(left, QN_CODES_MAX) == -1 && predict_one(right, QN_CODES_MAX) == 1);
    CHECK(predict_one(left, QN_NA) == -1 && predict_one(right, QN_NA) == 1);
    qn_estimator_free(left);
    qn_estimator_free(right);
}

/* Feature 0 by order, then feature 1 by category, three leaves deep on one side; a second tree is
 * one leaf. */
static qn_estimator *two_trees(qn_link link)
{
    const uint64_t set[QN_SET_WORDS] = {UINT64_C(1) << 1 | UINT64_C(1) << 3};
    qn_tree_builder builder = {0};
    const int64_t number = qn_tree_builder_add_set(&builder, set);
    const int32_t a = add_leaf(&builder, 0.25), b = add_leaf(&builder, -0.5),
                  c = add_leaf(&builder, 2);
    /* A child comes after its parent: node 0 is the root, node 1 its right child. */
    CHECK_INT(add_split(&builder, 0, 10, QN_NODE_DEFAULT_LEFT, a, 1), 0);
    CHECK_INT(add_split(&builder, 1, (double)number, QN_NODE_CATEGORY, b, c), 1);
    qn_tree_builder_add_tree(&builder, 0);
    qn_tree_builder_add_tree(&builder, add_leaf(&builder, 0.125));
    return finish(&builder, link, false, (double[]){1}, 1);
}

enum { N_HAND = 8 };
static const double hand_x[N_HAND] = {3, 10, 11, 11, 1e9, QN_NA, 50, 50};
static const double hand_c[N_HAND] = {1, 3, 1, 2, QN_NA, 2, 3, 300};
/* init 1 + leaf of the first tree + 0.125. */
static const double hand_sum[N_HAND] = {1.375, 1.375, 0.625, 3.125, 3.125, 1.375, 0.625, 3.125};

static void sums_of_trees_and_init_pass_through_the_link(void **state)
{
    (void)state;
    for (int link = QN_LINK_IDENTITY; link <= QN_LINK_MEAN; link++) {
        if (link == QN_LINK_SOFTMAX) continue; /* needs several outputs */
        qn_estimator *model = two_trees((qn_link)link);
        double dense[2 * N_HAND], out[N_HAND];
        memcpy(dense, hand_x, sizeof hand_x);
        memcpy(dense + N_HAND, hand_c, sizeof hand_c);
        const qn_matrix rows = {.n_rows = N_HAND, .n_dense = 2, .stride = N_HAND, .dense = dense};
        CHECK_INT(qn_estimator_predict(model, &rows, NULL, out, NULL), QN_OK);
        for (int i = 0; i < N_HAND; i++) {
            const double expected = link == QN_LINK_LOGISTIC ? 1 / (1 + exp(-hand_sum[i]))
                                    : link == QN_LINK_MEAN   ? hand_sum[i] / 2
                                                             : hand_sum[i];
            CHECK_NEAR(out[i], expected, 1e-15);
        }
        qn_estimator_free(model);
    }
}

static void trees_take_turns_over_outputs_and_softmax_adds_to_one(void **state)
{
    (void)state;
    qn_tree_builder builder = {0};
    const double leaves[6] = {1, 2, 3, 0.5, -2, 700}; /* tree t is for output t % 3 */
    for (int t = 0; t < 6; t++) {
        qn_tree_builder_add_tree(&builder, add_leaf(&builder, leaves[t]));
    }
    const double init[3] = {0.1, 0.2, 0.3};
    qn_estimator *model = finish(&builder, QN_LINK_SOFTMAX, false, init, 3);
    double out[3], value = 0;
    const qn_matrix row = {.n_rows = 1, .n_dense = 1, .stride = 1, .dense = &value};
    CHECK_INT(qn_estimator_predict(model, &row, NULL, out, NULL), QN_OK);
    /* 703.3 would overflow exp() if the largest were not taken off first. */
    const double sums[3] = {1.6, 0.2, 703.3};
    for (int c = 0; c < 3; c++) {
        CHECK_NEAR(out[c], exp(sums[c] - 703.3), 1e-300);
    }
    CHECK_NEAR(out[0] + out[1] + out[2], 1, 1e-15);
    qn_estimator_free(model);
}

static void a_forest_of_vector_leaves_gives_their_mean(void **state)
{
    (void)state;
    qn_tree_builder builder = {0};
    const double leaves[4][3] = {{0.5, 0.25, 0.25}, {1, 0, 0}, {0, 0, 1}, {0.25, 0.5, 0.25}};
    int32_t at[4];
    for (int i = 0; i < 4; i++) {
        at[i] = ~(int32_t)qn_tree_builder_add_values(&builder, leaves[i], 3);
    }
    qn_tree_builder_add_tree(&builder, add_split(&builder, 0, 0, 0, at[0], at[1]));
    qn_tree_builder_add_tree(&builder, add_split(&builder, 0, 5, 0, at[2], at[3]));
    qn_estimator *model = finish(&builder, QN_LINK_MEAN, true, (double[3]){0}, 3);
    double values[3] = {-1, 3, 6}, out[9];
    const qn_matrix rows = {.n_rows = 3, .n_dense = 1, .stride = 3, .dense = values};
    CHECK_INT(qn_estimator_predict(model, &rows, NULL, out, NULL), QN_OK);
    const double expected[9] = {0.25, 0.125, 0.625, 0.5, 0, 0.5, 0.625, 0.25, 0.125};
    for (int i = 0; i < 9; i++) {
        CHECK_NEAR(out[i], expected[i], 0);
    }
    qn_estimator_free(model);
}

/* Trees of depth up to six over three features, from a fixed stream. */
static qn_estimator *many_trees(int n)
{
    qn_tree_builder builder = {0};
    unsigned state = 11;
    for (int t = 0; t < n; t++) {
        const int depth = t % 7, n_inner = (1 << depth) - 1;
        const int32_t first = (int32_t)builder.n_nodes;
        for (int i = 0; i < n_inner; i++) {
            state = state * 1103515245 + 12345;
            int32_t children[2];
            for (int side = 0; side < 2; side++) {
                const int child = 2 * i + 1 + side;
                children[side] = child < n_inner ? first + child
                                                 : add_leaf(&builder, (state >> 8) * 1e-3 + side);
            }
            add_split(&builder, (int32_t)(state >> 16) % 3, (double)((state >> 20) % 100) / 10,
                      (int32_t)(state >> 18) & QN_NODE_DEFAULT_LEFT, children[0], children[1]);
        }
        qn_tree_builder_add_tree(&builder, n_inner ? first : add_leaf(&builder, 0.1 * t));
    }
    return finish(&builder, QN_LINK_IDENTITY, false, (double[]){0.3}, 1);
}

static void draw_values(int64_t n, double *values)
{
    unsigned draw = 5;
    for (int64_t i = 0; i < n; i++) {
        draw = draw * 1103515245 + 12345;
        values[i] = draw >> 29 ? (double)((draw >> 16) % 100) / 10 : QN_NA;
    }
}

static void a_row_gets_the_same_bits_in_every_block(void **state)
{
    (void)state;
    enum { ROWS = 300, STRIDE = 311 };
    qn_estimator *model = many_trees(40);
    static double dense[3 * STRIDE], all[ROWS];
    draw_values(3 * STRIDE, dense);
    const qn_matrix rows = {.n_rows = ROWS, .n_dense = 3, .stride = STRIDE, .dense = dense};
    CHECK_INT(qn_estimator_predict(model, &rows, NULL, all, NULL), QN_OK);
    for (int64_t n = 1; n <= 20; n++) {
        for (int64_t first = 0; first + n <= ROWS; first += n) {
            double out[20];
            qn_matrix part = rows;
            part.n_rows = n;
            part.dense = dense + first;
            CHECK_INT(qn_estimator_predict(model, &part, NULL, out, NULL), QN_OK);
            assert_memory_equal(out, all + first, (size_t)n * sizeof *out);
        }
    }
    qn_pool *pool = qn_pool_create(3);
    double out[ROWS];
    CHECK_INT(qn_estimator_predict(model, &rows, pool, out, NULL), QN_OK);
    assert_memory_equal(out, all, sizeof out);
    qn_pool_free(pool);
    qn_estimator_free(model);
}

/* Of so many nodes that the form of blocks is made when the first block comes: by one of several
 * threads, or not at all for want of memory. */
static void the_bits_are_the_same_before_and_after_a_late_form_is_made(void **state)
{
    (void)state;
    enum { ROWS = 3000, SOME = 100 };
    static double dense[3 * ROWS], all[ROWS];
    draw_values(3 * ROWS, dense);
    const qn_matrix rows = {.n_rows = ROWS, .n_dense = 3, .stride = ROWS, .dense = dense};
    qn_matrix some = rows;
    some.n_rows = SOME;
    qn_estimator *model = many_trees(4000);
    const qn_tree_model *trees = qn_tree_model_of(model);
    const size_t before = qn_tree_forms_scratch_bytes(trees, SOME);
    double *scratch = qn_alloc_aligned((int64_t)before, 1), *out = malloc(SOME * sizeof *out);

    qn_alloc_fail_at(1, true);
    qn_tree_model_sums(trees, &some, out, scratch);
    CHECK(qn_alloc_fail_at(0, false) > 0);
    CHECK(!qn_tree_forms_lack_codes(trees)); /* another block tries again */

    qn_pool *pool = qn_pool_create(4);
    CHECK_INT(qn_estimator_predict(model, &rows, pool, all, NULL), QN_OK);
    qn_pool_free(pool);
    assert_memory_equal(out, all, SOME * sizeof *out);
    assert_non_null(qn_tree_forms_codes(trees));
    CHECK(qn_tree_forms_scratch_bytes(trees, SOME) <= before);
    qn_tree_model_sums(trees, &some, out, scratch);
    assert_memory_equal(out, all, SOME * sizeof *out);
    for (int64_t row = 0; row < SOME; row++) {
        qn_matrix one = rows;
        one.n_rows = 1;
        one.dense = dense + row;
        qn_tree_model_sums(trees, &one, out, scratch);
        CHECK(out[0] == all[row]);
    }
    free(out);
    qn_free(scratch);
    qn_estimator_free(model);
}

/* The bytes of a model, in memory aligned as a bundle's. */
static uint8_t *bytes_of(const qn_estimator *model, size_t *n)
{
    qn_writer writer = {0};
    model->family->write(model, &writer);
    CHECK(!writer.failed);
    uint8_t *copy = aligned_alloc(64, (writer.bytes + 63) / 64 * 64);
    memcpy(copy, writer.data, writer.bytes);
    *n = writer.bytes;
    qn_writer_release(&writer);
    return copy;
}

static void bytes_read_back_give_the_same_bytes_and_predictions(void **state)
{
    (void)state;
    qn_estimator *model = two_trees(QN_LINK_LOGISTIC), *back = NULL;
    size_t n, n_again;
    uint8_t *bytes = bytes_of(model, &n);
    qn_reader reader = {.data = bytes, .bytes = n};
    CHECK_INT(qn_family_trees.read(&reader, 2, &back, NULL), QN_OK);
    back->family = &qn_family_trees;
    back->view = QN_VIEW_TREE;
    uint8_t *again = bytes_of(back, &n_again);
    CHECK_INT(n_again, n);
    assert_memory_equal(again, bytes, n);
    free(again);
    qn_estimator_free(back);
    qn_estimator_free(model);
    free(bytes);
}

/* Reads what a stump with one changed node would be. */
static qn_status read_with(const qn_tree_node *node)
{
    qn_tree_builder builder = {0};
    add_leaf(&builder, -1);
    add_leaf(&builder, 1);
    qn_tree_builder_add_tree(&builder, (int32_t)qn_tree_builder_add_node(&builder, node));
    qn_estimator *model = finish(&builder, QN_LINK_IDENTITY, false, (double[]){0}, 1), *back = NULL;
    size_t n;
    uint8_t *bytes = bytes_of(model, &n);
    qn_estimator_free(model);
    qn_reader reader = {.data = bytes, .bytes = n};
    const qn_status status = qn_family_trees.read(&reader, 3, &back, NULL);
    CHECK((status == QN_OK) == (back != NULL));
    if (back) back->family = &qn_family_trees;
    qn_estimator_free(back);
    free(bytes);
    return status;
}

static void nodes_that_would_lead_astray_are_refused(void **state)
{
    (void)state;
    const qn_tree_node good = {0.5, 2, 0, ~0, ~1, 3, 4, 1, 0};
    CHECK_INT(read_with(&good), QN_OK);
    qn_tree_node bad[] = {good, good, good, good, good, good, good, good, good, good, good, good};
    bad[0].feature = 3;
    bad[1].feature = -1;
    bad[2].left = 0;                 /* itself: a walk without end */
    bad[3].right = 1;                /* no such node */
    bad[4].left = ~2;                /* no such leaf */
    bad[5].flags = 32;               /* no such flag */
    bad[6].flags = QN_NODE_CATEGORY; /* of a set that is not there */
    bad[7].left_cover = -1;          /* weights are not below 0 */
    bad[8].threshold = QN_NA;        /* nothing to compare with */
    bad[9].right_cover = INFINITY;   /* … nor without end */
    bad[10].gain = -0.5F;            /* nor are gains */
    bad[11].reserved = 1;            /* a later format */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(read_with(&bad[i]), QN_ERR_DATA);
    }
}

static void trees_of_another_format_are_told_apart_from_damaged_ones(void **state)
{
    (void)state;
    qn_tree_builder builder = {0};
    add_leaf(&builder, 1);
    qn_tree_builder_add_tree(&builder, ~0);
    qn_estimator *model = finish(&builder, QN_LINK_IDENTITY, false, (double[]){0}, 1), *back = NULL;
    size_t n;
    uint8_t *bytes = bytes_of(model, &n);
    qn_estimator_free(model);
    bytes[0]--; /* the format's lowest byte */
    qn_reader reader = {.data = bytes, .bytes = n};
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_DATA, qn_family_trees.read(&reader, 3, &back, &err));
    CHECK_CONTAINS(err.message, "fit again");
    free(bytes);
}

static qn_status build(qn_estimator **out)
{
    qn_tree_builder builder = {0};
    const uint64_t set[QN_SET_WORDS] = {1};
    qn_tree_builder_add_set(&builder, set);
    for (int i = 0; i < 600; i++) { /* beyond the first allocation of every array */
        const int32_t left = add_leaf(&builder, i), right = add_leaf(&builder, -i);
        qn_tree_builder_add_tree(&builder, add_split(&builder, 0, i, 0, left, right));
    }
    return qn_tree_builder_finish(&builder, builder.n_trees, QN_LINK_IDENTITY, false, (double[]){0},
                                  1, out, NULL);
}

static void building_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_estimator *model = NULL;
    CHECK_SURVIVES_NO_MEMORY(build(&model));
    CHECK(predict_one(model, 1e9) == -599 * 600 / 2);
    qn_estimator_free(model);
}

RUN_TESTS(TEST(trees_of_another_format_are_told_apart_from_damaged_ones),
          TEST(a_number_up_to_the_threshold_goes_left),
          TEST(a_missing_value_goes_where_the_node_says),
          TEST(a_category_goes_left_when_it_is_in_the_set),
          TEST(a_code_split_by_order_takes_codes_beyond_the_last_as_missing),
          TEST(sums_of_trees_and_init_pass_through_the_link),
          TEST(trees_take_turns_over_outputs_and_softmax_adds_to_one),
          TEST(a_forest_of_vector_leaves_gives_their_mean),
          TEST(a_row_gets_the_same_bits_in_every_block),
          TEST(the_bits_are_the_same_before_and_after_a_late_form_is_made),
          TEST(bytes_read_back_give_the_same_bytes_and_predictions),
          TEST(nodes_that_would_lead_astray_are_refused),
          TEST(building_survives_running_out_of_memory))
