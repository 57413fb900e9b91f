/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of every transform in the table, for every kind of column it is for and every
 * task: a row alone gets the bits it gets in a batch; bytes read back are written as the same
 * bytes; threads change nothing; missing, unseen, infinite and extreme values give usable features;
 * applying allocates nothing; fits on columns with nothing in them; survives running out of memory.
 */
#include "recipe/recipe.h"

#include "recipe/transform.h"

#include "recipe_world.h"

#include <stdatomic.h>

/* Calls of malloc() by anything in the program, the C library included, while it is watched. */
static atomic_bool is_watched;
static _Atomic int64_t n_allocations;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OWN_MALLOC 1
#endif
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(HAS_OWN_MALLOC)
void *__libc_malloc(size_t bytes);

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
    if (atomic_load(&is_watched)) atomic_fetch_add(&n_allocations, 1);
    return __libc_malloc(bytes);
}
#endif

enum { N = 150, N_STRANGE = 16 };

static const char *const tasks[] = {"binary", "multiclass", "regression"};

/* A value of the kind, as CSV. */
static void add_value(qn_str *csv, qn_kind kind, int i, unsigned draw)
{
    static const char *const words[] = {
        "WIN a prize", "see you at 10, ok?", "mill & stone", "\xc3\x89mile called",
        "a",           "1000 grains"};
    if (i % 11 == 4) return; /* missing */
    switch (kind) {
    case QN_KIND_NUMERIC:
        qn_str_addf(csv, "%.6g", exp((draw % 1000) / 100.0)); /* skewed */
        break;
    case QN_KIND_BOOLEAN:
        qn_str_add(csv, draw % 3 ? "true" : "false");
        break;
    case QN_KIND_CATEGORICAL: /* enough levels to be target encoded, some rare */
        qn_str_addf(csv, "level %c", 'a' + (char)(draw % 23 * (draw % 7) / 6));
        break;
    case QN_KIND_DATETIME:
        qn_str_addf(csv, "20%02u-%02u-%02uT%02u:%02u:00", draw % 30, draw % 12 + 1, draw % 28 + 1,
                    draw % 24, draw % 60);
        break;
    case QN_KIND_TEXT:
        qn_str_addf(csv, "\"%s and %s, no %u\"", words[draw % 6], words[draw % 5], draw % 37);
        break;
    case QN_KIND_ID:
    case QN_KIND_CONSTANT:
        break;
    }
}

static void make_table(const char *task, qn_kind kind, struct world *w)
{
    qn_str csv = {0};
    char choice[40];
    unsigned state = 17;
    *w = (struct world){0};
    qn_str_add(&csv, "v,y\n");
    for (int i = 0; i < N; i++) {
        state = state * 1103515245 + 12345;
        add_value(&csv, kind, i, state >> 16);
        if (strcmp(task, "regression") == 0) {
            qn_str_addf(&csv, ",%u.5\n", (state >> 16) % 101 + (unsigned)i % 3);
        } else {
            qn_str_addf(&csv, ",k%u\n", (state >> 18) % (strcmp(task, "binary") == 0 ? 2 : 4));
        }
    }
    snprintf(choice, sizeof choice, "v=%s", qn_kind_name(kind));
    const char *const kinds[] = {choice, NULL};
    w->table = table_from_csv(csv.text, "y", task, kinds);
    qn_str_release(&csv);
    CHECK_INT(qn_schema_n_features(w->table.schema), 1);
    CHECK_INT(w->table.schema->columns[0].kind, kind);
    w->request = (qn_recipe_request){.frame = w->table.frame,
                                     .schema = w->table.schema,
                                     .rows = w->table.rows,
                                     .n_rows = N,
                                     .target = w->table.target,
                                     .seed = 3};
}

typedef void check_transform(struct world *w, qn_kind kind);

static void for_each(check_transform *check)
{
    int n_checked = 0;
    for (int t = 0; qn_transforms[t]; t++) {
        for (int kind = 0; kind <= QN_KIND_CONSTANT; kind++) {
            if (!(qn_transforms[t]->kinds >> kind & 1)) continue;
            for (size_t task = 0; task < 3; task++) {
                struct world w;
                make_table(tasks[task], (qn_kind)kind, &w);
                check(&w, (qn_kind)kind);
                table_release(&w.table);
                n_checked++;
            }
        }
    }
    CHECK(n_checked >= 15);
}

static bool is_text(qn_kind kind)
{
    return kind == QN_KIND_CATEGORICAL || kind == QN_KIND_TEXT;
}

/* Cells that no training row has. */
static void strange_cells(qn_kind kind, qn_cell *cells)
{
    static const double numbers[N_STRANGE] = {QN_NA,
                                              -QN_NA,
                                              QN_INF,
                                              -QN_INF,
                                              1.7976931348623157e308,
                                              -1.7976931348623157e308,
                                              5e-324,
                                              0,
                                              -0.0,
                                              1e15,
                                              -1e15,
                                              9.3e18,
                                              -9.3e18,
                                              0.5,
                                              -1,
                                              1e90};
    static char dense_text[5000], letters[70000];
    static const char *texts[N_STRANGE] = {NULL,
                                           "",
                                           "never seen",
                                           " ",
                                           "\xff\xfe\x80",
                                           "\xc3",
                                           "level a",
                                           "a\tb\nc",
                                           dense_text,
                                           letters,
                                           "\xe2\x80\xa8",
                                           "'\"<>&;",
                                           "0",
                                           "NaN",
                                           "-",
                                           "\xf0\x9f\x8c\xbe grain"};
    memset(letters, 'q', sizeof letters - 1);
    for (size_t i = 0; i + 1 < sizeof dense_text; i++) {
        dense_text[i] = i % 2 ? ' ' : (char)('a' + i % 26);
    }
    for (int i = 0; i < N_STRANGE; i++) {
        cells[i] = (qn_cell){.number = is_text(kind) ? QN_NA : numbers[i]};
        if (!is_text(kind) || !texts[i]) continue;
        cells[i].text = texts[i];
        cells[i].text_bytes = strlen(texts[i]);
    }
}

/* Every feature of the view is of use to a model. */
static void check_usable(const qn_recipe *recipe, qn_view view, const qn_matrix *m)
{
    int64_t n, n_dense;
    const qn_feature *features = qn_recipe_features(recipe, view, &n, &n_dense);
    CHECK(m->n_dense == n_dense && m->n_dense + m->n_sparse == n);
    for (int64_t f = 0; f < n_dense; f++) {
        for (int64_t row = 0; row < m->n_rows; row++) {
            const double value = m->dense[f * m->stride + row];
            if (view == QN_VIEW_DENSE) {
                CHECK(isfinite(value) && fabs(value) <= 8);
            } else if (features[f].categorical) {
                CHECK(isnan(value) ||
                      (value >= 0 && value < features[f].n_levels && value == floor(value)));
            }
        }
    }
    for (int64_t row = 0; m->n_sparse > 0 && row < m->n_rows; row++) {
        double squares = 0;
        CHECK(m->sparse_starts[row] <= m->sparse_starts[row + 1]);
        for (int64_t i = m->sparse_starts[row]; i < m->sparse_starts[row + 1]; i++) {
            CHECK(m->sparse_cols[i] >= 0 && m->sparse_cols[i] < m->n_sparse);
            CHECK(i == m->sparse_starts[row] || m->sparse_cols[i] > m->sparse_cols[i - 1]);
            squares += (double)m->sparse_values[i] * (double)m->sparse_values[i];
        }
        CHECK(squares == 0 || fabs(squares - 1) < 1e-5);
    }
}

static void check_same_row(const qn_matrix *one, const qn_matrix *all, int64_t row)
{
    CHECK(one->n_dense == all->n_dense && one->n_sparse == all->n_sparse);
    for (int64_t f = 0; f < all->n_dense; f++) {
        assert_memory_equal(&one->dense[f * one->stride], &all->dense[f * all->stride + row], 8);
    }
    if (all->n_sparse == 0) return;
    const int64_t first = all->sparse_starts[row], n = all->sparse_starts[row + 1] - first;
    CHECK_INT(one->sparse_starts[1] - one->sparse_starts[0], n);
    if (n == 0) return;
    assert_memory_equal(one->sparse_cols, all->sparse_cols + first, (size_t)n * 4);
    assert_memory_equal(one->sparse_values, all->sparse_values + first, (size_t)n * 4);
}

static void *scratch_for(const qn_recipe *recipe, qn_view view, int64_t n_rows)
{
    void *scratch = qn_alloc_aligned((int64_t)qn_recipe_scratch_bytes(recipe, view, n_rows), 1);
    CHECK(scratch != NULL);
    return scratch;
}

static void check_row_and_batch(struct world *w, qn_kind kind)
{
    (void)kind;
    qn_error err = {0};
    qn_binding *binding = NULL;
    fit(w);
    CHECK_OK(qn_binding_create(w->table.schema, w->table.frame, &binding, &err));
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix batch, one;
        void *scratch = scratch_for(w->recipe, (qn_view)view, 1);
        CHECK_OK(
            qn_recipe_transform(w->recipe, (qn_view)view, binding, NULL, N, NULL, &batch, &err));
        check_usable(w->recipe, (qn_view)view, &batch);
        check_usable(w->recipe, (qn_view)view, &w->views[view]);
        for (int64_t row = 0; row < N; row++) {
            qn_cell cell;
            char text[QN_VALUE_TEXT_BYTES];
            qn_binding_load(binding, NULL, row, 1, &cell, text);
            qn_recipe_apply(w->recipe, (qn_view)view, &cell, 1, scratch, &one);
            check_same_row(&one, &batch, row);
        }
        qn_free(scratch);
        qn_matrix_release(&batch);
    }
    qn_binding_free(binding);
    unfit(w);
}

static void check_strange_cells(struct world *w, qn_kind kind)
{
    qn_cell cells[N_STRANGE];
    fit(w);
    strange_cells(kind, cells);
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix all, one;
        void *scratch = scratch_for(w->recipe, (qn_view)view, N_STRANGE);
        void *own = scratch_for(w->recipe, (qn_view)view, 1);
        qn_recipe_apply(w->recipe, (qn_view)view, cells, N_STRANGE, scratch, &all);
        check_usable(w->recipe, (qn_view)view, &all);
        for (int row = 0; row < N_STRANGE; row++) {
            qn_recipe_apply(w->recipe, (qn_view)view, &cells[row], 1, own, &one);
            check_same_row(&one, &all, row);
        }
        qn_free(own);
        qn_free(scratch);
    }
    unfit(w);
}

static void check_no_allocation(struct world *w, qn_kind kind)
{
    qn_cell cells[N_STRANGE];
    fit(w);
    strange_cells(kind, cells);
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix out;
        void *scratch = scratch_for(w->recipe, (qn_view)view, N_STRANGE);
        atomic_store(&n_allocations, 0);
        atomic_store(&is_watched, true);
        qn_alloc_fail_at(1, true);
        qn_recipe_apply(w->recipe, (qn_view)view, cells, N_STRANGE, scratch, &out);
        const int64_t counted = qn_alloc_fail_at(0, false);
        atomic_store(&is_watched, false);
        CHECK_INT(counted, 0);
        CHECK_INT(atomic_load(&n_allocations), 0);
        qn_free(scratch);
    }
    unfit(w);
}

static qn_writer written(const qn_recipe *recipe)
{
    qn_writer writer = {0};
    qn_recipe_write(recipe, &writer);
    CHECK(!writer.failed);
    return writer;
}

static void check_bytes(struct world *w, qn_kind kind)
{
    qn_error err = {0};
    qn_cell cells[N_STRANGE];
    qn_recipe *back = NULL;
    fit(w);
    strange_cells(kind, cells);
    qn_writer first = written(w->recipe);
    qn_reader reader = {.data = first.data, .bytes = first.bytes};
    CHECK_OK(qn_recipe_read(&reader, w->table.schema, &back, &err));
    CHECK_INT(reader.at, first.bytes);
    qn_writer second = written(back);
    CHECK_INT(second.bytes, first.bytes);
    assert_memory_equal(second.data, first.data, first.bytes);
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix before, after;
        void *one = scratch_for(w->recipe, (qn_view)view, N_STRANGE);
        void *two = scratch_for(back, (qn_view)view, N_STRANGE);
        qn_recipe_apply(w->recipe, (qn_view)view, cells, N_STRANGE, one, &before);
        qn_recipe_apply(back, (qn_view)view, cells, N_STRANGE, two, &after);
        assert_memory_equal(after.dense, before.dense,
                            (size_t)(N_STRANGE * before.n_dense) * sizeof(double));
        qn_free(one);
        qn_free(two);
    }
    qn_writer_release(&first);
    qn_writer_release(&second);
    qn_recipe_free(back);
    unfit(w);
}

static void check_threads(struct world *w, qn_kind kind)
{
    (void)kind;
    qn_writer first = {0};
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        w->request.pool = qn_pool_create(n_threads);
        fit(w);
        qn_writer writer = written(w->recipe);
        if (n_threads == 1) {
            first = writer;
        } else {
            CHECK_INT(writer.bytes, first.bytes);
            assert_memory_equal(writer.data, first.data, first.bytes);
            qn_writer_release(&writer);
        }
        unfit(w);
        qn_pool_free(w->request.pool);
    }
    qn_writer_release(&first);
}

/* Fitted on some rows only: missing ones, a single one, one value again and again. */
static void check_poor_columns(struct world *w, qn_kind kind)
{
    qn_cell cells[N_STRANGE];
    int32_t rows[N];
    strange_cells(kind, cells);
    for (int poor = 0; poor < 3; poor++) {
        int64_t n = 0;
        for (int32_t row = 0; row < N; row++) {
            const bool missing = qn_column_is_missing(&w->table.frame->columns[0], row);
            if (poor == 0 && missing) rows[n++] = row;
            if (poor == 1 && !missing && n == 0) rows[n++] = row;
            if (poor == 2 && n < 40) rows[n++] = 1;
        }
        w->request.rows = rows;
        w->request.n_rows = n;
        fit(w);
        for (int view = 0; view < QN_N_VIEWS; view++) {
            qn_matrix out;
            void *scratch = scratch_for(w->recipe, (qn_view)view, N_STRANGE);
            check_usable(w->recipe, (qn_view)view, &w->views[view]);
            qn_recipe_apply(w->recipe, (qn_view)view, cells, N_STRANGE, scratch, &out);
            check_usable(w->recipe, (qn_view)view, &out);
            qn_free(scratch);
        }
        unfit(w);
    }
}

static void check_no_memory(struct world *w, qn_kind kind)
{
    (void)kind;
    CHECK_SURVIVES_NO_MEMORY(qn_recipe_fit(&w->request, &w->recipe, w->views, NULL));
    unfit(w);
}

static void a_row_alone_and_in_a_batch_has_the_same_bits(void **state)
{
    (void)state;
    for_each(check_row_and_batch);
}

static void values_that_training_never_saw_are_safe(void **state)
{
    (void)state;
    for_each(check_strange_cells);
}

static void applying_allocates_nothing(void **state)
{
    (void)state;
    for_each(check_no_allocation);
}

static void bytes_read_back_are_written_as_the_same_bytes(void **state)
{
    (void)state;
    for_each(check_bytes);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    for_each(check_threads);
}

static void columns_with_little_in_them_are_fitted(void **state)
{
    (void)state;
    for_each(check_poor_columns);
}

static void fitting_survives_running_out_of_memory(void **state)
{
    (void)state;
    for_each(check_no_memory);
}

RUN_TESTS(TEST(a_row_alone_and_in_a_batch_has_the_same_bits),
          TEST(values_that_training_never_saw_are_safe), TEST(applying_allocates_nothing),
          TEST(bytes_read_back_are_written_as_the_same_bytes), TEST(threads_change_nothing),
          TEST(columns_with_little_in_them_are_fitted),
          TEST(fitting_survives_running_out_of_memory))
