/* SPDX-License-Identifier: Apache-2.0 */
/* One frame with a column of every kind, so that each check runs over every transform. */
#include "recipe/recipe.h"

#include "base/rng.h"

#include "check.h"

#include <stdlib.h>

enum { N = 300, N_FEATURES = 6 };

static qn_column strings(const char *name, int n_distinct, const char *const *texts, int step)
{
    qn_column c = {.name = qn_strdup(name), .type = QN_TYPE_STRING};
    size_t bytes = 0;
    for (int i = 0; i < n_distinct; i++) {
        bytes += strlen(texts[i]);
    }
    c.dictionary = (qn_dictionary){.n = n_distinct,
                                   .offsets = qn_alloc_array(n_distinct + 1, sizeof(int64_t)),
                                   .bytes = qn_alloc_array((int64_t)bytes + 1, 1)};
    for (int i = 0; i < n_distinct; i++) {
        const size_t length = strlen(texts[i]);
        memcpy(c.dictionary.bytes + c.dictionary.offsets[i], texts[i], length);
        c.dictionary.offsets[i + 1] = c.dictionary.offsets[i] + (int64_t)length;
    }
    c.data.codes = qn_alloc_array(N, sizeof(int32_t));
    c.valid = qn_alloc_array((N + 7) / 8, 1);
    for (int r = 0; r < N; r++) {
        const bool missing = r % 17 == 3;
        c.data.codes[r] = missing ? -1 : (r * step + r / 13) % n_distinct;
        if (!missing) c.valid[r >> 3] = (uint8_t)(c.valid[r >> 3] | 1u << (r & 7));
        c.n_missing += missing;
    }
    return c;
}

static qn_frame *table(void)
{
    static const char *const levels[] = {"a", "b", "c"};
    static const char *const cities[] = {"Rome", "Oslo", "Bern", "Wien", "Bonn", "Kiel",
                                         "Nice", "Lyon", "Cork", "Bari", "Graz", "Linz"};
    static const char *const texts[] = {
        "WIN a free prize now!!!", "see you at 10, ok?", "Mr. \xc3\x89mile called", "", "a",
        "call now to win 1000"};
    qn_frame *f = qn_frame_create(N, N_FEATURES + 1);
    f->source = qn_strdup("table");
    qn_column *c = f->columns;
    c[0] = (qn_column){.name = qn_strdup("x"), .type = QN_TYPE_FLOAT64};
    c[0].data.doubles = qn_alloc_array(N, sizeof(double));
    c[1] = (qn_column){.name = qn_strdup("flag"), .type = QN_TYPE_BOOL};
    c[1].data.bools = qn_alloc_array(N, 1);
    c[2] = strings("level", 3, levels, 1);
    c[3] = strings("city", 12, cities, 5);
    c[4] = (qn_column){.name = qn_strdup("when"), .type = QN_TYPE_TIMESTAMP};
    c[4].data.ints = qn_alloc_array(N, sizeof(int64_t));
    c[5] = strings("note", 6, texts, 1);
    c[6] = (qn_column){.name = qn_strdup("y"), .type = QN_TYPE_INT64};
    c[6].data.ints = qn_alloc_array(N, sizeof(int64_t));
    for (int r = 0; r < N; r++) {
        c[0].data.doubles[r] = r % 11 == 5 ? QN_NA : exp(r % 23 * 0.4);
        c[1].data.bools[r] = r % 3 == 0;
        c[4].data.ints[r] = 1577836800000000 + r * INT64_C(5432100000000);
        c[6].data.ints[r] = (r * 7 + r / 5) % 2;
    }
    c[0].valid = qn_alloc_array((N + 7) / 8, 1);
    for (int r = 0; r < N; r++) {
        if (r % 11 != 5) c[0].valid[r >> 3] = (uint8_t)(c[0].valid[r >> 3] | 1u << (r & 7));
    }
    return f;
}

static qn_schema *schema_of(const qn_frame *f)
{
    static const qn_kind kinds[] = {QN_KIND_NUMERIC,     QN_KIND_BOOLEAN,  QN_KIND_CATEGORICAL,
                                    QN_KIND_CATEGORICAL, QN_KIND_DATETIME, QN_KIND_TEXT,
                                    QN_KIND_BOOLEAN};
    qn_schema *s = qn_alloc_array(1, sizeof *s);
    s->n_cols = f->n_cols;
    s->columns = qn_alloc_array(s->n_cols, sizeof *s->columns);
    for (int64_t i = 0; i < s->n_cols; i++) {
        s->columns[i] = (qn_schema_column){.name = qn_strdup(f->columns[i].name),
                                           .type = f->columns[i].type,
                                           .kind = kinds[i],
                                           .minimum = QN_NA,
                                           .maximum = QN_NA};
    }
    s->target = N_FEATURES;
    s->columns[N_FEATURES].role = QN_ROLE_TARGET;
    s->task = QN_TASK_BINARY;
    s->n_classes = 2;
    s->classes = qn_alloc_array(2, sizeof *s->classes);
    s->classes[0] = qn_strdup("0");
    s->classes[1] = qn_strdup("1");
    s->positive = 1;
    return s;
}

/* Everything a test needs. */
struct fixture {
    qn_frame *frame;
    qn_schema *schema;
    double target[N];
    qn_recipe_request request;
    qn_recipe *recipe;
    qn_matrix views[QN_N_VIEWS];
};

static void fixture_fit(struct fixture *f, qn_pool *pool)
{
    qn_error err = {0};
    *f = (struct fixture){.frame = table()};
    f->schema = schema_of(f->frame);
    for (int r = 0; r < N; r++) {
        f->target[r] = (double)f->frame->columns[N_FEATURES].data.ints[r];
    }
    f->request = (qn_recipe_request){.frame = f->frame,
                                     .schema = f->schema,
                                     .n_rows = N,
                                     .target = f->target,
                                     .seed = 1,
                                     .pool = pool};
    CHECK_OK(qn_recipe_fit(&f->request, &f->recipe, f->views, &err));
}

static void fixture_release(struct fixture *f)
{
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix_release(&f->views[view]);
    }
    qn_recipe_free(f->recipe);
    qn_schema_free(f->schema);
    qn_frame_free(f->frame);
}

static void check_same(const qn_matrix *a, const qn_matrix *b)
{
    CHECK(a->n_rows == b->n_rows && a->n_dense == b->n_dense && a->n_sparse == b->n_sparse);
    for (int64_t f = 0; f < a->n_dense; f++) {
        CHECK(memcmp(a->dense + f * a->stride, b->dense + f * b->stride,
                     (size_t)a->n_rows * sizeof(double)) == 0);
    }
    if (a->n_sparse == 0) return;
    const int64_t n = a->sparse_starts[a->n_rows];
    CHECK(memcmp(a->sparse_starts, b->sparse_starts, (size_t)(a->n_rows + 1) * 8) == 0);
    CHECK(memcmp(a->sparse_cols, b->sparse_cols, (size_t)n * 4) == 0);
    CHECK(memcmp(a->sparse_values, b->sparse_values, (size_t)n * 4) == 0);
}

static void all_rows(const struct fixture *f, const qn_recipe *recipe, qn_view view, qn_matrix *out)
{
    qn_error err = {0};
    qn_binding *binding = NULL;
    CHECK_OK(qn_binding_create(f->schema, f->frame, &binding, &err));
    CHECK_OK(qn_recipe_transform(recipe, view, binding, NULL, N, NULL, out, &err));
    qn_binding_free(binding);
}

static void a_row_has_the_same_bits_alone_and_in_a_block(void **state)
{
    (void)state;
    struct fixture f;
    fixture_fit(&f, NULL);
    qn_error err = {0};
    qn_binding *binding = NULL;
    CHECK_OK(qn_binding_create(f.schema, f.frame, &binding, &err));
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix block;
        all_rows(&f, f.recipe, (qn_view)view, &block);
        void *scratch =
            qn_alloc_aligned((int64_t)qn_recipe_scratch_bytes(f.recipe, (qn_view)view, 1), 1);
        for (int64_t row = 0; row < N; row++) {
            qn_cell cells[N_FEATURES];
            char texts[N_FEATURES * QN_VALUE_TEXT_BYTES];
            qn_matrix one;
            qn_binding_load(binding, NULL, row, 1, cells, texts);
            qn_recipe_apply(f.recipe, (qn_view)view, cells, 1, scratch, &one);
            for (int64_t c = 0; c < one.n_dense; c++) {
                CHECK(memcmp(&one.dense[c], &block.dense[c * block.stride + row], 8) == 0);
            }
            if (block.n_sparse == 0) continue;
            const int64_t first = block.sparse_starts[row];
            const int64_t n = block.sparse_starts[row + 1] - first;
            CHECK_INT(one.sparse_starts[1], n);
            CHECK(memcmp(one.sparse_cols, block.sparse_cols + first, (size_t)n * 4) == 0);
            CHECK(memcmp(one.sparse_values, block.sparse_values + first, (size_t)n * 4) == 0);
        }
        qn_free(scratch);
        qn_matrix_release(&block);
    }
    qn_binding_free(binding);
    fixture_release(&f);
}

static void fits_are_equal_on_one_and_three_threads(void **state)
{
    (void)state;
    struct fixture one, three;
    qn_pool *pool = qn_pool_create(3);
    fixture_fit(&one, NULL);
    fixture_fit(&three, pool);
    for (int view = 0; view < QN_N_VIEWS; view++) {
        check_same(&one.views[view], &three.views[view]);
    }
    fixture_release(&one);
    fixture_release(&three);
    qn_pool_free(pool);
}

static void the_dense_view_holds_no_missing_value(void **state)
{
    (void)state;
    struct fixture f;
    fixture_fit(&f, NULL);
    const qn_matrix *m = &f.views[QN_VIEW_DENSE];
    for (int64_t i = 0; i < m->n_dense * m->stride; i++) {
        CHECK(isfinite(m->dense[i]));
    }
    fixture_release(&f);
}

static void target_means_of_training_rows_are_out_of_fold(void **state)
{
    (void)state;
    struct fixture f;
    fixture_fit(&f, NULL);
    int64_t n, n_dense, n_encoded = 0;
    const qn_feature *features = qn_recipe_features(f.recipe, QN_VIEW_TREE, &n, &n_dense);
    qn_matrix applied;
    all_rows(&f, f.recipe, QN_VIEW_TREE, &applied);
    for (int64_t c = 0; c < n; c++) {
        const double *in = f.views[QN_VIEW_TREE].dense + c * f.views[QN_VIEW_TREE].stride;
        const double *after = applied.dense + c * applied.stride;
        const bool same = memcmp(in, after, N * sizeof *in) == 0;
        const bool encoded = strstr(features[c].name, "~target") != NULL;
        CHECK(same != encoded);
        n_encoded += encoded;
    }
    CHECK_INT(n_encoded, 1);
    qn_matrix_release(&applied);
    fixture_release(&f);
}

static qn_writer written(const qn_recipe *recipe)
{
    qn_writer writer = {0};
    qn_recipe_write(recipe, &writer);
    CHECK(!writer.failed);
    return writer;
}

static void a_recipe_reads_back_and_applies_alike(void **state)
{
    (void)state;
    struct fixture f;
    fixture_fit(&f, NULL);
    qn_writer writer = written(f.recipe);
    qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
    qn_recipe *back = NULL;
    qn_error err = {0};
    CHECK_OK(qn_recipe_read(&reader, f.schema, &back, &err));
    CHECK_INT(reader.at, writer.bytes);
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix a, b;
        all_rows(&f, f.recipe, (qn_view)view, &a);
        all_rows(&f, back, (qn_view)view, &b);
        check_same(&a, &b);
        qn_matrix_release(&a);
        qn_matrix_release(&b);
    }
    qn_recipe_free(back);
    qn_writer_release(&writer);
    fixture_release(&f);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_fit(&f, NULL);
    qn_writer writer = written(f.recipe);
    for (size_t bytes = 0; bytes < writer.bytes; bytes += bytes < 4096 ? 1 : 997) {
        qn_reader reader = {.data = writer.data, .bytes = bytes};
        qn_recipe *back = NULL;
        CHECK_FAILS(QN_ERR_DATA, qn_recipe_read(&reader, f.schema, &back, NULL));
        CHECK(back == NULL);
    }
    qn_writer_release(&writer);
    fixture_release(&f);
}

/* What is read all the same must be safe to use: codes below their n_levels, columns in range. */
static void check_usable(const struct fixture *f, const qn_recipe *recipe)
{
    for (int view = 0; view < QN_N_VIEWS; view++) {
        int64_t n, n_dense;
        const qn_feature *features = qn_recipe_features(recipe, (qn_view)view, &n, &n_dense);
        qn_matrix m;
        all_rows(f, recipe, (qn_view)view, &m);
        for (int64_t c = 0; c < n_dense; c++) {
            if (!features[c].categorical) continue;
            for (int64_t r = 0; r < N; r++) {
                const double code = m.dense[c * m.stride + r];
                CHECK(isnan(code) || (code >= 0 && code < features[c].n_levels));
            }
        }
        for (int64_t i = 0; m.n_sparse > 0 && i < m.sparse_starts[N]; i++) {
            CHECK(m.sparse_cols[i] >= 0 && m.sparse_cols[i] < m.n_sparse);
        }
        qn_matrix_release(&m);
    }
}

static void flipped_bytes_are_refused_or_harmless(void **state)
{
    (void)state;
    struct fixture f;
    fixture_fit(&f, NULL);
    qn_writer writer = written(f.recipe);
    qn_rng rng;
    qn_rng_init(&rng, 7, 0);
    for (int turn = 0; turn < 3000; turn++) {
        /* The large array of weights is dull: most turns go to what describes it. */
        const size_t range = turn % 8 && writer.bytes > 8192 ? 8192 : writer.bytes;
        const size_t at = (size_t)qn_rng_below(&rng, (int64_t)range);
        const uint8_t before = writer.data[at];
        writer.data[at] = (uint8_t)(before ^ (1u << qn_rng_below(&rng, 8)));
        qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
        qn_recipe *back = NULL;
        const qn_status status = qn_recipe_read(&reader, f.schema, &back, NULL);
        CHECK(status == QN_OK || status == QN_ERR_DATA);
        if (status == QN_OK) check_usable(&f, back);
        qn_recipe_free(back);
        writer.data[at] = before;
    }
    qn_writer_release(&writer);
    fixture_release(&f);
}

static void huge_numbers_make_a_recipe_that_reads_back(void **state)
{
    (void)state;
    struct fixture f;
    fixture_fit(&f, NULL);
    qn_recipe_free(f.recipe);
    for (int r = 0; r < N; r++) {
        if (r % 2) f.frame->columns[0].data.doubles[r] = 1e308;
    }
    qn_error err = {0};
    CHECK_OK(qn_recipe_fit(&f.request, &f.recipe, NULL, &err));
    qn_writer writer = written(f.recipe);
    qn_reader reader = {.data = writer.data, .bytes = writer.bytes};
    qn_recipe *back = NULL;
    CHECK_OK(qn_recipe_read(&reader, f.schema, &back, &err));
    qn_recipe_free(back);
    qn_writer_release(&writer);
    fixture_release(&f);
}

static void texts_missing_in_every_row_give_an_empty_sparse_part(void **state)
{
    (void)state;
    struct fixture f;
    fixture_fit(&f, NULL);
    qn_column *note = &f.frame->columns[5];
    memset(note->valid, 0, (N + 7) / 8);
    for (int r = 0; r < N; r++) {
        note->data.codes[r] = -1;
    }
    qn_matrix m;
    all_rows(&f, f.recipe, QN_VIEW_DENSE, &m);
    CHECK_INT(m.sparse_starts[N], 0);
    qn_matrix_release(&m);
    fixture_release(&f);
}

static void fitting_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct fixture f;
    fixture_fit(&f, NULL);
    qn_recipe *recipe = NULL;
    qn_matrix views[QN_N_VIEWS];
    CHECK_SURVIVES_NO_MEMORY(qn_recipe_fit(&f.request, &recipe, views, NULL));
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix_release(&views[view]);
    }
    qn_recipe_free(recipe);
    fixture_release(&f);
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct fixture f;
    fixture_fit(&f, NULL);
    qn_writer writer = written(f.recipe);
    qn_recipe *back = NULL;
    qn_reader reader;
    CHECK_SURVIVES_NO_MEMORY((reader = (qn_reader){.data = writer.data, .bytes = writer.bytes},
                              qn_recipe_read(&reader, f.schema, &back, NULL)));
    qn_recipe_free(back);
    qn_writer_release(&writer);
    fixture_release(&f);
}

RUN_TESTS(TEST(a_row_has_the_same_bits_alone_and_in_a_block),
          TEST(fits_are_equal_on_one_and_three_threads),
          TEST(the_dense_view_holds_no_missing_value),
          TEST(target_means_of_training_rows_are_out_of_fold),
          TEST(a_recipe_reads_back_and_applies_alike), TEST(every_truncation_is_refused),
          TEST(flipped_bytes_are_refused_or_harmless),
          TEST(huge_numbers_make_a_recipe_that_reads_back),
          TEST(texts_missing_in_every_row_give_an_empty_sparse_part),
          TEST(fitting_survives_running_out_of_memory),
          TEST(reading_survives_running_out_of_memory))
