/* SPDX-License-Identifier: Apache-2.0 */
/* Features made of several columns, on a table with a column of every kind that they read. */
#include "recipe/derive.h"

#include "recipe/reduce/decompose.h"

#include "recipe_world.h"

enum { N = 240, N_TRAIN = 180, N_INPUTS = 4 };

static table make_table(bool with_text)
{
    static const char *const words[] = {"prize", "mill",  "stone", "grain", "call",
                                        "free",  "flour", "wind",  "river", "wheel"};
    static const char *const kinds[] = {"t=text", "c=categorical", NULL};
    qn_str csv = {0};
    unsigned state = 5;
    qn_str_add(&csv, with_text ? "a,b,c,t,y\n" : "a,b,c,y\n");
    for (int i = 0; i < N; i++) {
        state = state * 1103515245 + 12345;
        const unsigned draw = state >> 16;
        qn_str_addf(&csv, i % 13 == 4 ? "," : "%.3f,", (draw % 997) / 100.0);
        qn_str_addf(&csv, "%.3f,%c,", (draw % 997) / 200.0 + (draw % 7), 'a' + (char)(draw % 3));
        if (with_text) {
            qn_str_addf(&csv, "%s %s %s,", words[draw % 10], words[draw / 3 % 10],
                        words[draw / 7 % 10]);
        }
        qn_str_addf(&csv, "k%u\n", draw % 5 < 2);
    }
    const table t = table_from_csv(csv.text, "y", "binary", with_text ? kinds : kinds + 1);
    qn_str_release(&csv);
    return t;
}

static void begin(struct world *w, const char *steps, bool with_text)
{
    *w = (struct world){.table = make_table(with_text)};
    w->request = (qn_recipe_request){.frame = w->table.frame,
                                     .schema = w->table.schema,
                                     .rows = w->table.rows,
                                     .n_rows = N_TRAIN,
                                     .target = w->table.target,
                                     .steps = steps,
                                     .seed = 3};
}

static void end(struct world *w)
{
    unfit(w);
    table_release(&w->table);
}

static void transform(const struct world *w, const qn_recipe *recipe, qn_view view, qn_matrix *out)
{
    qn_error err = {0};
    qn_binding *binding = NULL;
    CHECK_OK(qn_binding_create(w->table.schema, w->table.frame, &binding, &err));
    CHECK_OK(qn_recipe_transform(recipe, view, binding, w->table.rows, N, NULL, out, &err));
    qn_binding_free(binding);
}

static int64_t count(const qn_recipe *recipe, qn_view view, const char *prefix)
{
    int64_t n, n_dense, found = 0;
    const qn_feature *features = qn_recipe_features(recipe, view, &n, &n_dense);
    for (int64_t f = 0; f < n_dense; f++) {
        const bool derived = strncmp(features[f].name, prefix, strlen(prefix)) == 0;
        found += derived;
        if (derived) CHECK_INT(features[f].input, QN_INPUT_DERIVED);
    }
    return found;
}

static const char all[] = "pca=3,svd=4,kmeans=5";

static void features_stand_in_both_views(void **state)
{
    (void)state;
    struct world w;
    begin(&w, all, true);
    fit(&w);
    for (int view = 0; view < QN_N_VIEWS; view++) {
        CHECK_INT(count(w.recipe, (qn_view)view, "pca "), 3);
        CHECK_INT(count(w.recipe, (qn_view)view, "svd "), 4);
        CHECK_INT(count(w.recipe, (qn_view)view, "kmeans "), 5);
        CHECK(qn_recipe_is_derived(w.recipe, (qn_view)view));
    }
    end(&w);
}

static void components_take_the_place_of_the_dense_columns(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "pca=2", true);
    fit(&w);
    int64_t n, n_dense;
    (void)qn_recipe_features(w.recipe, QN_VIEW_DENSE, &n, &n_dense);
    CHECK_INT(n_dense, 2);
    CHECK(n > 2); /* words stay */
    CHECK_INT(w.views[QN_VIEW_DENSE].n_dense, 2);
    CHECK(w.views[QN_VIEW_TREE].n_dense > 4);
    end(&w);
}

/* What a fit without steps gives, decomposed, is what one with them has. */
static void components_are_those_of_the_training_rows(void **state)
{
    (void)state;
    struct world plain, w;
    qn_error err = {0};
    begin(&plain, NULL, false);
    fit(&plain);
    begin(&w, "pca=3", false);
    fit(&w);
    const qn_decompose_request question = {
        .rows = &plain.views[QN_VIEW_DENSE], .centre = true, .n_components = 3};
    qn_decomposition found;
    CHECK_OK(qn_decompose(&question, &found, &err));
    for (int c = 0; c < 3; c++) {
        const double *values = w.views[QN_VIEW_DENSE].dense + c * w.views[QN_VIEW_DENSE].stride;
        double sum = 0, squares = 0;
        for (int i = 0; i < N_TRAIN; i++) {
            double expected = 0;
            for (int64_t f = 0; f < found.n_features; f++) {
                const qn_matrix *x = &plain.views[QN_VIEW_DENSE];
                expected += found.components[c * found.n_features + f] *
                            (x->dense[f * x->stride + i] - found.means[f]);
            }
            CHECK_NEAR(values[i], expected, 1e-10);
            sum += values[i];
            squares += values[i] * values[i];
        }
        CHECK_NEAR(sum, 0, 1e-9);
        CHECK_NEAR(squares / (N_TRAIN - 1), found.variance[c], 1e-9);
    }
    qn_decomposition_release(&found);
    end(&plain);
    end(&w);
}

static void a_share_of_the_variance_chooses_the_components(void **state)
{
    (void)state;
    struct world few, many;
    begin(&few, "pca=0.5", false);
    fit(&few);
    begin(&many, "pca=0.999", false);
    fit(&many);
    CHECK(few.views[QN_VIEW_DENSE].n_dense >= 1);
    CHECK(few.views[QN_VIEW_DENSE].n_dense < many.views[QN_VIEW_DENSE].n_dense);
    end(&few);
    end(&many);
}

static void a_row_has_the_same_bits_alone_and_in_a_block(void **state)
{
    (void)state;
    struct world w;
    begin(&w, all, true);
    fit(&w);
    qn_error err = {0};
    qn_binding *binding = NULL;
    CHECK_OK(qn_binding_create(w.table.schema, w.table.frame, &binding, &err));
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix block, row;
        transform(&w, w.recipe, (qn_view)view, &block);
        CHECK(block.n_sparse == 0 || view == QN_VIEW_DENSE);
        for (int32_t i = 0; i < N; i++) {
            CHECK_OK(
                qn_recipe_transform(w.recipe, (qn_view)view, binding, &i, 1, NULL, &row, &err));
            for (int64_t f = 0; f < block.n_dense; f++) {
                CHECK(memcmp(&row.dense[f * row.stride], &block.dense[f * block.stride + i],
                             sizeof(double)) == 0);
            }
            if (block.n_sparse > 0) {
                CHECK_INT(row.sparse_starts[1],
                          block.sparse_starts[i + 1] - block.sparse_starts[i]);
            }
            qn_matrix_release(&row);
        }
        qn_matrix_release(&block);
    }
    qn_binding_free(binding);
    end(&w);
}

static qn_writer written(const qn_recipe *recipe)
{
    qn_writer writer = {0};
    qn_recipe_write(recipe, &writer);
    CHECK(!writer.failed);
    return writer;
}

static void check_same_bytes(const qn_writer *a, const qn_writer *b)
{
    CHECK_INT(a->bytes, b->bytes);
    CHECK(memcmp(a->data, b->data, a->bytes) == 0);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    struct world w;
    begin(&w, all, true);
    fit(&w);
    qn_writer alone = written(w.recipe);
    unfit(&w);
    qn_pool *pool = qn_pool_create(3);
    w.request.pool = pool;
    fit(&w);
    qn_writer together = written(w.recipe);
    check_same_bytes(&alone, &together);
    qn_writer_release(&alone);
    qn_writer_release(&together);
    end(&w);
    qn_pool_free(pool);
}

/* Rows outside of the fold change, the recipe does not. */
static void other_rows_say_nothing(void **state)
{
    (void)state;
    struct world w;
    begin(&w, all, true);
    fit(&w);
    qn_writer before = written(w.recipe);
    unfit(&w);
    double *numbers = w.table.frame->columns[1].data.doubles;
    for (int i = N_TRAIN; i < N; i++) {
        numbers[i] = 1e6 + i;
        w.table.target[i] = 1 - w.table.target[i];
    }
    fit(&w);
    qn_writer after = written(w.recipe);
    check_same_bytes(&before, &after);
    qn_writer_release(&before);
    qn_writer_release(&after);
    end(&w);
}

static void a_recipe_reads_back_and_applies_alike(void **state)
{
    (void)state;
    struct world w;
    qn_error err = {0};
    begin(&w, all, true);
    fit(&w);
    qn_writer writer = written(w.recipe);
    qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
    qn_recipe *back = NULL;
    CHECK_OK(qn_recipe_read(&reader, w.table.schema, &back, &err));
    qn_writer again = written(back);
    check_same_bytes(&writer, &again);
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix ours, theirs;
        transform(&w, w.recipe, (qn_view)view, &ours);
        transform(&w, back, (qn_view)view, &theirs);
        CHECK_INT(ours.n_dense, theirs.n_dense);
        for (int64_t f = 0; f < ours.n_dense; f++) {
            CHECK(memcmp(ours.dense + f * ours.stride, theirs.dense + f * theirs.stride,
                         N * sizeof(double)) == 0);
        }
        qn_matrix_release(&ours);
        qn_matrix_release(&theirs);
    }
    qn_recipe_free(back);
    qn_writer_release(&writer);
    qn_writer_release(&again);
    end(&w);
}

/* Before there were derived features, a recipe ended with the lists of kept ones. */
static void a_recipe_of_the_format_before_reads_back(void **state)
{
    (void)state;
    struct world w;
    qn_error err = {0};
    begin(&w, NULL, true);
    fit(&w);
    qn_writer writer = written(w.recipe);
    const int32_t before = 2;
    memcpy(writer.data, &before, sizeof before);
    qn_reader reader = {.data = writer.data, .bytes = writer.bytes - sizeof(int32_t)};
    qn_recipe *back = NULL;
    CHECK_OK(qn_recipe_read(&reader, w.table.schema, &back, &err));
    CHECK(!qn_recipe_is_derived(back, QN_VIEW_DENSE));
    qn_recipe_free(back);
    qn_writer_release(&writer);
    end(&w);
}

static void damaged_bytes_are_refused_or_harmless(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "svd=2,kmeans=2", true);
    fit(&w);
    qn_writer writer = written(w.recipe);
    for (size_t bytes = 0; bytes < writer.bytes; bytes += 1 + bytes / 40) {
        qn_reader reader = {.data = writer.data, .bytes = bytes};
        qn_recipe *back = NULL;
        CHECK_FAILS(QN_ERR_DATA, qn_recipe_read(&reader, w.table.schema, &back, NULL));
    }
    for (size_t at = writer.bytes / 3; at < writer.bytes; at += 5) {
        const unsigned char before = ((unsigned char *)writer.data)[at];
        ((unsigned char *)writer.data)[at] = (unsigned char)(before ^ (1u << at % 8));
        qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
        qn_recipe *back = NULL;
        const qn_status status = qn_recipe_read(&reader, w.table.schema, &back, NULL);
        CHECK(status == QN_OK || status == QN_ERR_DATA);
        for (int view = 0; status == QN_OK && view < QN_N_VIEWS; view++) {
            qn_matrix view_of_all;
            transform(&w, back, (qn_view)view, &view_of_all);
            qn_matrix_release(&view_of_all);
        }
        qn_recipe_free(back);
        ((unsigned char *)writer.data)[at] = before;
    }
    qn_writer_release(&writer);
    end(&w);
}

static void shares_of_every_feature_add_up(void **state)
{
    (void)state;
    struct world w;
    begin(&w, all, true);
    fit(&w);
    for (int view = 0; view < QN_N_VIEWS; view++) {
        int64_t n, n_dense;
        (void)qn_recipe_features(w.recipe, (qn_view)view, &n, &n_dense);
        for (int64_t f = 0; f < n_dense; f++) {
            double by_input[N_INPUTS] = {0}, sum = 0;
            qn_recipe_spread(w.recipe, (qn_view)view, f, 2, by_input);
            for (int i = 0; i < N_INPUTS; i++) {
                CHECK(by_input[i] >= 0);
                sum += by_input[i];
            }
            CHECK_NEAR(sum, 2, 1e-12);
        }
        double of_words[N_INPUTS] = {0}; /* the second kind of features is of the text alone */
        const int64_t first_svd = n_dense - 5 - 4;
        qn_recipe_spread(w.recipe, (qn_view)view, first_svd, 1, of_words);
        CHECK_NEAR(of_words[3], 1, 1e-12);
    }
    end(&w);
}

static void inspection_names_the_columns(void **state)
{
    (void)state;
    struct world w;
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    begin(&w, all, true);
    fit(&w);
    qn_recipe_describe(w.recipe, w.table.schema, &json);
    CHECK_CONTAINS(text.text, "\"transform\":\"pca\",\"features\":3,\"explained_variance\":0.");
    CHECK_CONTAINS(text.text,
                   "{\"feature\":\"svd 1\",\"columns\":[{\"column\":\"t\",\"share\":1}]}");
    CHECK_CONTAINS(text.text, "\"feature\":\"kmeans 5\"");
    qn_str_release(&text);
    end(&w);
}

static void check_refused(const char *steps, const char *message)
{
    qn_derive_step out[QN_DERIVED_MAX];
    int32_t n;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_ARG, qn_derive_parse(steps, out, &n, &err));
    CHECK_CONTAINS(err.message, message);
}

static void lists_that_say_nothing_sensible_are_refused(void **state)
{
    (void)state;
    check_refused("pcs=3", "did you mean 'pca'?");
    check_refused("wavelets", "expected pca, svd or kmeans");
    check_refused("pca=0", "a whole number from 1 to 1000, or a share");
    check_refused("pca=2.5", "a whole number");
    check_refused("kmeans=0.5", "--steps kmeans=0.5: expected a whole number from 2 to 1000");
    check_refused("svd=1e9", "from 1 to 1000");
    check_refused("pca=", "whole number");
    check_refused("pca=nan", "whole number");
    check_refused("pca=3,svd,pca", "pca is asked for twice");
    check_refused(",", "there is no such step");
    qn_derive_step out[QN_DERIVED_MAX];
    int32_t n = 7;
    qn_error err = {0};
    CHECK_OK(qn_derive_parse("", out, &n, &err));
    CHECK_INT(n, 0);
    CHECK_OK(qn_derive_parse("kmeans,pca=0.9,svd=7", out, &n, &err));
    CHECK_INT(n, 3);
    CHECK_NEAR(out[0].size, 8, 0);
    CHECK_NEAR(out[1].size, 0.9, 0);
}

static void a_step_with_nothing_to_read_is_refused(void **state)
{
    (void)state;
    struct world w;
    qn_error err = {0};
    begin(&w, "svd", false);
    CHECK_FAILS(QN_ERR_DATA, qn_recipe_fit(&w.request, &w.recipe, w.views, &err));
    CHECK_TEXT(err.message, "--steps svd: no column has words; pca takes numbers and categories");
    CHECK(w.recipe == NULL);
    table_release(&w.table);
}

static void fitting_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct world w;
    begin(&w, "pca=2,svd=2,kmeans=2", true);
    CHECK_SURVIVES_NO_MEMORY(qn_recipe_fit(&w.request, &w.recipe, w.views, NULL));
    end(&w);
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct world w;
    begin(&w, all, true);
    fit(&w);
    qn_writer writer = written(w.recipe);
    qn_recipe *back = NULL;
    qn_reader reader;
    CHECK_SURVIVES_NO_MEMORY((reader = (qn_reader){.data = writer.data, .bytes = writer.bytes},
                              qn_recipe_read(&reader, w.table.schema, &back, NULL)));
    qn_recipe_free(back);
    qn_writer_release(&writer);
    end(&w);
}

RUN_TESTS(TEST(features_stand_in_both_views), TEST(components_take_the_place_of_the_dense_columns),
          TEST(components_are_those_of_the_training_rows),
          TEST(a_share_of_the_variance_chooses_the_components),
          TEST(a_row_has_the_same_bits_alone_and_in_a_block), TEST(threads_change_nothing),
          TEST(other_rows_say_nothing), TEST(a_recipe_reads_back_and_applies_alike),
          TEST(a_recipe_of_the_format_before_reads_back),
          TEST(damaged_bytes_are_refused_or_harmless), TEST(shares_of_every_feature_add_up),
          TEST(inspection_names_the_columns), TEST(lists_that_say_nothing_sensible_are_refused),
          TEST(a_step_with_nothing_to_read_is_refused),
          TEST(fitting_survives_running_out_of_memory),
          TEST(reading_survives_running_out_of_memory))
