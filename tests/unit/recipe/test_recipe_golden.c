/* SPDX-License-Identifier: Apache-2.0 */
/* Transforms against values that come from scikit-learn and pandas: tests/golden/recipe. */

#include "golden.h"
#include "tables.h"

struct fitted {
    table table;
    qn_recipe *recipe;
    qn_matrix all[QN_N_VIEWS], training[QN_N_VIEWS];
};

static const char *text_of(qn_json_value object, const char *key)
{
    const char *text = qn_json_as_text(qn_json_get(object, key), NULL);
    if (!text) fail_msg("a case has no %s", key);
    return text;
}

static struct fitted fit_case(qn_json_value golden)
{
    struct fitted f = {0};
    qn_error err = {0};
    qn_binding *binding = NULL;
    char choice[40];
    snprintf(choice, sizeof choice, "v=%s", text_of(golden, "kind"));
    const char *const kinds[] = {choice, NULL};
    f.table = table_from_csv(text_of(golden, "csv"), "y", text_of(golden, "task"), kinds);
    const qn_recipe_request request = {
        .frame = f.table.frame,
        .schema = f.table.schema,
        .rows = f.table.rows,
        .n_rows = qn_json_as_int(qn_json_get(golden, "n_train"), 0),
        .target = f.table.target,
        .seed = (uint64_t)qn_json_as_int(qn_json_get(golden, "seed"), 1)};
    CHECK_OK(qn_recipe_fit(&request, &f.recipe, f.training, &err));
    CHECK_OK(qn_binding_create(f.table.schema, f.table.frame, &binding, &err));
    for (int view = 0; view < QN_N_VIEWS; view++) {
        CHECK_OK(qn_recipe_transform(f.recipe, (qn_view)view, binding, NULL, f.table.n_rows, NULL,
                                     &f.all[view], &err));
    }
    qn_binding_free(binding);
    return f;
}

static void release(struct fitted *f)
{
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix_release(&f->all[view]);
        qn_matrix_release(&f->training[view]);
    }
    qn_recipe_free(f->recipe);
    table_release(&f->table);
}

/* How many values were compared. */
static int64_t check_column(const char *name, const struct fitted *f, qn_json_value expected)
{
    const char *feature = text_of(expected, "feature");
    const qn_view view =
        strcmp(text_of(expected, "view"), "tree") == 0 ? QN_VIEW_TREE : QN_VIEW_DENSE;
    const bool training = strcmp(text_of(expected, "which"), "training") == 0;
    const qn_matrix *m = training ? &f->training[view] : &f->all[view];
    const double tolerance = qn_json_as_double(qn_json_get(expected, "tolerance"), 0);
    const qn_json_value values = qn_json_get(expected, "values");
    int64_t n, n_dense, col = 0;
    const qn_feature *features = qn_recipe_features(f->recipe, view, &n, &n_dense);
    while (col < n_dense && strcmp(features[col].name, feature) != 0) {
        col++;
    }
    if (col == n_dense) fail_msg("%s: there is no feature '%s'", name, feature);
    CHECK_INT(qn_json_size(values), m->n_rows);
    for (int64_t row = 0; row < m->n_rows; row++) {
        const double wanted = qn_json_as_double(qn_json_at(values, row), QN_NA);
        const double value = m->dense[col * m->stride + row];
        const bool same = isnan(wanted) ? isnan(value) : fabs(value - wanted) <= tolerance;
        if (!same) {
            fail_msg("%s: '%s' of row %d in the %s view of %s rows is %.17g, not %.17g", name,
                     feature, (int)row, text_of(expected, "view"), text_of(expected, "which"),
                     value, wanted);
        }
    }
    return m->n_rows;
}

static double product(const qn_matrix *m, int64_t a, int64_t b)
{
    double sum = 0;
    int64_t i = m->sparse_starts[a], j = m->sparse_starts[b];
    while (i < m->sparse_starts[a + 1] && j < m->sparse_starts[b + 1]) {
        if (m->sparse_cols[i] == m->sparse_cols[j]) {
            sum += (double)m->sparse_values[i++] * (double)m->sparse_values[j++];
        } else if (m->sparse_cols[i] < m->sparse_cols[j]) {
            i++;
        } else {
            j++;
        }
    }
    return sum;
}

static void check_gram(const char *name, const struct fitted *f, qn_json_value golden)
{
    const qn_json_value gram = qn_json_get(golden, "gram"), values = qn_json_get(gram, "values");
    const qn_matrix *m = &f->all[QN_VIEW_DENSE];
    const double tolerance = qn_json_as_double(qn_json_get(gram, "tolerance"), 0);
    if (qn_json_is_null(gram)) {
        CHECK_INT(m->n_sparse, 0);
        return;
    }
    /* As many columns as tokens: no two fell into one bucket, else products would differ. */
    CHECK_INT(m->n_sparse, qn_json_as_int(qn_json_get(golden, "n_sparse"), -1));
    CHECK_INT(qn_json_size(values), m->n_rows * m->n_rows);
    for (int64_t a = 0; a < m->n_rows; a++) {
        for (int64_t b = 0; b < m->n_rows; b++) {
            const double wanted = qn_json_as_double(qn_json_at(values, a * m->n_rows + b), QN_NA);
            const double value = product(m, a, b);
            if (!(fabs(value - wanted) <= tolerance)) {
                fail_msg("%s: rows %d and %d have the product %.9g, not %.9g", name, (int)a, (int)b,
                         value, wanted);
            }
        }
    }
}

static void every_transform_gives_the_values_of_the_reference(void **state)
{
    (void)state;
    int64_t n_checked = 0;
    qn_json *json = read_golden("recipe");
    const qn_json_value cases = qn_json_root(json);
    for (int64_t c = 0; c < qn_json_size(cases); c++) {
        const qn_json_value golden = qn_json_at(cases, c);
        const qn_json_value expect = qn_json_get(golden, "expect");
        const qn_json_value widths = qn_json_get(golden, "n_dense");
        const char *name = text_of(golden, "name");
        struct fitted f = fit_case(golden);
        for (int64_t i = 0; i < qn_json_size(expect); i++) {
            n_checked += check_column(name, &f, qn_json_at(expect, i));
        }
        if (qn_json_size(widths) > 0) { /* no feature besides those listed */
            CHECK_INT(f.all[QN_VIEW_TREE].n_dense, qn_json_as_int(qn_json_get(widths, "tree"), -1));
            CHECK_INT(f.all[QN_VIEW_DENSE].n_dense,
                      qn_json_as_int(qn_json_get(widths, "dense"), -1));
        }
        check_gram(name, &f, golden);
        release(&f);
    }
    CHECK(n_checked > 5000);
    qn_json_free(json);
}

RUN_TESTS(TEST(every_transform_gives_the_values_of_the_reference))
