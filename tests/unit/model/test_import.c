/* SPDX-License-Identifier: Apache-2.0 */
/* Models of LightGBM and XGBoost in tests/golden/trees, with what the originals predict; the script
 * that made them is tests/e2e/import_models.py. */
#include "model/import_model.h"
#include "model/tree_codes_internal.h"
#include "model/tree_forms.h"
#include "model/tree_model.h"

#include "base/file.h"

#include "check.h"

#include <dirent.h>
#include <float.h>
#include <stdlib.h>

struct golden {
    qn_file_map map;
    char path[512];
    int n_features, n_outputs, n_rows;
    double *x; /* column after column */
    double *expected;
};

static void open_golden(const char *name, struct golden *g)
{
    qn_error err = {0};
    char path[600];
    snprintf(g->path, sizeof g->path, "%s/tests/golden/trees/%s", getenv("QUERN_SOURCE"), name);
    CHECK_OK(qn_file_map_open(g->path, &g->map, &err));
    snprintf(path, sizeof path, "%s.expected", g->path);
    FILE *file = fopen(path, "r");
    CHECK(file && fscanf(file, "%d %d %d", &g->n_features, &g->n_outputs, &g->n_rows) == 3);
    g->x = calloc((size_t)(g->n_features * g->n_rows), sizeof *g->x);
    g->expected = calloc((size_t)(g->n_outputs * g->n_rows), sizeof *g->expected);
    for (int row = 0; row < g->n_rows; row++) {
        for (int f = 0; f < g->n_features; f++) {
            CHECK(fscanf(file, "%lf", &g->x[f * g->n_rows + row]) == 1);
        }
        for (int c = 0; c < g->n_outputs; c++) {
            CHECK(fscanf(file, "%lf", &g->expected[row * g->n_outputs + c]) == 1);
        }
    }
    fclose(file);
}

static void close_golden(struct golden *g)
{
    qn_file_unmap(&g->map);
    free(g->x);
    free(g->expected);
}

static void import_golden(const struct golden *g, qn_imported *out)
{
    qn_error err = {0};
    CHECK_OK(qn_import_model((const char *)g->map.data, g->map.bytes, g->path, out, &err));
    CHECK_INT(out->n_features, g->n_features);
    CHECK_INT(out->estimator->n_outputs, g->n_outputs);
}

/* Predicts rows first … first + n - 1 in one call. */
static void predict(const qn_estimator *estimator, const struct golden *g, int first, int n,
                    double *out)
{
    const qn_matrix part = {
        .n_rows = n, .n_dense = g->n_features, .stride = g->n_rows, .dense = g->x + first};
    void *scratch = qn_alloc_aligned((int64_t)qn_estimator_scratch_bytes(estimator, n), 1);
    CHECK(scratch != NULL);
    estimator->family->predict(estimator, &part, out, scratch);
    qn_free(scratch);
}

static void for_each_golden(void (*check)(const struct golden *, const char *))
{
    char folder[512];
    int n = 0;
    snprintf(folder, sizeof folder, "%s/tests/golden/trees", getenv("QUERN_SOURCE"));
    DIR *names = opendir(folder);
    CHECK(names != NULL);
    for (const struct dirent *entry; (entry = readdir(names));) {
        struct golden g = {0};
        if (entry->d_name[0] == '.' || strstr(entry->d_name, ".expected")) continue;
        open_golden(entry->d_name, &g);
        check(&g, entry->d_name);
        close_golden(&g);
        n++;
    }
    closedir(names);
    CHECK(n >= 20);
}

static void check_predictions(const struct golden *g, const char *name)
{
    qn_imported imported;
    double out[4096], scale = 1;
    const double tolerance = strncmp(name, "xgboost", 7) == 0 ? 1e-6 : 1e-14; /* floats there */
    import_golden(g, &imported);
    predict(imported.estimator, g, 0, g->n_rows, out);
    for (int i = 0; i < g->n_rows * g->n_outputs; i++) {
        scale = fmax(scale, fabs(g->expected[i]));
    }
    for (int i = 0; i < g->n_rows * g->n_outputs; i++) {
        CHECK_NEAR(out[i] / scale, g->expected[i] / scale, tolerance);
    }
    qn_imported_release(&imported);
}

static void imported_models_predict_what_the_originals_do(void **state)
{
    (void)state;
    for_each_golden(check_predictions);
}

static void check_blocks(const struct golden *g, const char *name)
{
    qn_imported imported;
    double all[4096], one[QN_CLASSES_MAX];
    (void)name;
    import_golden(g, &imported);
    predict(imported.estimator, g, 0, g->n_rows, all);
    for (int row = 0; row < g->n_rows; row++) {
        predict(imported.estimator, g, row, 1, one);
        CHECK(memcmp(one, all + row * g->n_outputs, (size_t)g->n_outputs * sizeof *one) == 0);
    }
    for (int first = 3; first + 17 < g->n_rows; first += 17) {
        double part[17 * 8];
        predict(imported.estimator, g, first, 17, part);
        CHECK(memcmp(part, all + first * g->n_outputs,
                     (size_t)(17 * g->n_outputs) * sizeof *part) == 0);
    }
    qn_imported_release(&imported);
}

static void a_row_alone_and_in_a_block_gives_the_same_bits(void **state)
{
    (void)state;
    for_each_golden(check_blocks);
}

static void check_importance(const struct golden *g, const char *name)
{
    char path[1024];
    qn_imported imported;
    double gains[16], expected;
    int64_t n_splits[16];
    snprintf(path, sizeof path, "%s/tests/golden/explain/%s.importance", getenv("QUERN_SOURCE"),
             name);
    FILE *file = fopen(path, "r");
    if (!file && strstr(name, "two_targets")) return;
    CHECK(file != NULL);
    import_golden(g, &imported);
    const qn_tree_model *model = qn_tree_model_of(imported.estimator);
    qn_tree_model_importance(model, gains, n_splits);
    for (int f = 0; f < g->n_features; f++) {
        CHECK(fscanf(file, "%lf", &expected) == 1);
        CHECK_NEAR(f < model->n_features ? gains[f] : 0, expected, 1e-5 * fmax(1, expected));
    }
    for (int f = 0; f < g->n_features; f++) {
        CHECK(fscanf(file, "%lf", &expected) == 1);
        CHECK_INT(f < model->n_features ? n_splits[f] : 0, (int64_t)expected);
    }
    fclose(file);
    qn_imported_release(&imported);
}

static void importances_are_those_of_the_originals(void **state)
{
    (void)state;
    for_each_golden(check_importance);
}

static void check_round_trip(const struct golden *g, const char *name)
{
    qn_imported imported;
    qn_writer writer = {0}, again = {0};
    qn_estimator *read = NULL;
    qn_error err = {0};
    double before[4096], after[4096];
    (void)name;
    import_golden(g, &imported);
    predict(imported.estimator, g, 0, g->n_rows, before);
    imported.estimator->family->write(imported.estimator, &writer);
    CHECK(!writer.failed);
    uint8_t *copy = qn_alloc_aligned((int64_t)writer.bytes, 1);
    memcpy(copy, writer.data, writer.bytes);
    qn_reader reader = {.data = copy, .bytes = writer.bytes};
    CHECK_OK(qn_family_trees.read(&reader, g->n_features, &read, &err));
    read->family = &qn_family_trees;
    predict(read, g, 0, g->n_rows, after);
    CHECK(memcmp(before, after, (size_t)(g->n_rows * g->n_outputs) * sizeof *before) == 0);
    read->family->write(read, &again);
    CHECK(again.bytes == writer.bytes && memcmp(again.data, writer.data, writer.bytes) == 0);
    qn_writer_release(&writer);
    qn_writer_release(&again);
    qn_estimator_free(read);
    qn_free(copy);
    qn_imported_release(&imported);
}

static void imported_models_survive_writing_and_reading(void **state)
{
    (void)state;
    for_each_golden(check_round_trip);
}

static void check_damage(const struct golden *g, const char *name)
{
    qn_error err = {0};
    qn_imported imported;
    const char *text = (const char *)g->map.data;
    const bool is_text = strstr(name, ".txt") != NULL;
    const char *end =
        is_text ? memmem(text, g->map.bytes, "end of trees", 12) : text + g->map.bytes;
    char *copy = malloc(g->map.bytes);
    for (size_t cut = 0; cut < (size_t)(end - text); cut += 97) { /* cut off */
        memcpy(copy, text, cut);
        CHECK_FAILS(QN_ERR_DATA, qn_import_model(copy, cut, "cut", &imported, &err));
        CHECK(strchr(err.message, '\n') == NULL && imported.estimator == NULL);
    }
    unsigned draw = 1;
    for (int i = 0; i < 300; i++) { /* one byte changed: refused, or a model that can predict */
        memcpy(copy, text, g->map.bytes);
        draw = draw * 1103515245 + 12345;
        copy[(draw >> 8) % g->map.bytes] = "0-9{}[] ,=\n\xff"[i % 12];
        if (qn_import_model(copy, g->map.bytes, "changed", &imported, &err) == QN_OK) {
            double out[4096];
            if (imported.n_features == g->n_features &&
                imported.estimator->n_outputs == g->n_outputs) {
                predict(imported.estimator, g, 0, g->n_rows, out);
            }
        } else {
            CHECK(strchr(err.message, '\n') == NULL);
        }
        qn_imported_release(&imported);
    }
    free(copy);
}

static void damaged_models_are_refused_in_one_line(void **state)
{
    (void)state;
    for_each_golden(check_damage);
}

static void check_kernels(const struct golden *g, const char *name)
{
    qn_imported imported;
    (void)name;
    import_golden(g, &imported);
    const qn_tree_codes *codes = qn_tree_forms_codes(qn_tree_model_of(imported.estimator));
    for (int32_t t = 0; codes && t < codes->n_trees; t++) {
        const size_t n_slots = (size_t)codes->n_leaves_max + QN_TREE_LEAVES_AT;
        const size_t slot_bytes = n_slots * QN_TREE_ROWS;
        const size_t column_bytes = ((size_t)codes->n_columns + 1) * QN_TREE_ROWS;
        uint8_t *columns = calloc(column_bytes, 1), *slots = calloc(2, slot_bytes);
        for (size_t i = 0; i < column_bytes; i++) {
            columns[i] = (uint8_t)(i * 37 >> 2);
        }
        for (size_t i = 0; i < slot_bytes; i++) {
            slots[i] = slots[slot_bytes + i] = (uint8_t)(i / QN_TREE_ROWS);
        }
        const int64_t first = codes->op_starts[t], n = codes->op_starts[t + 1] - first;
        qn_tree_kernel_portable(codes->ops + first, n, columns, slots, codes->tables, 4);
        qn_tree_kernel_choose()(codes->ops + first, n, columns, slots + slot_bytes, codes->tables,
                                4);
        CHECK(memcmp(slots, slots + slot_bytes, slot_bytes) == 0);
        free(columns);
        free(slots);
    }
    qn_imported_release(&imported);
}

static void the_kernels_give_the_same_bytes(void **state)
{
    (void)state;
    for_each_golden(check_kernels);
}

static void thresholds_of_xgboost_become_exact_ones_of_doubles(void **state)
{
    (void)state;
    const float fixed[] = {0.0F,     1.0F, -1.0F, 0.1F,  FLT_MIN, FLT_TRUE_MIN, -FLT_TRUE_MIN,
                           -FLT_MIN, 2.0F, -2.0F, 1e30F, FLT_MAX, -FLT_MAX};
    unsigned draw = 1;
    for (int i = 0; i < 20000; i++) {
        float t;
        draw = draw * 1664525 + 1013904223;
        memcpy(&t, &draw, sizeof t);
        if (i < 13) t = fixed[i];
        if (!isfinite(t)) continue;
        const double bound = qn_xgboost_threshold(t);
        const double before = (double)nextafterf(t, -1e38F);
        const double around[] = {
            bound,  nextafter(bound, QN_INF), nextafter(bound, -QN_INF),     (double)t,
            before, (before + (double)t) / 2, nextafter((double)t, -QN_INF), -QN_INF,
            QN_INF};
        for (size_t k = 0; k < sizeof around / sizeof *around; k++) {
            CHECK(((float)around[k] < t) == (around[k] <= bound));
        }
    }
}

static void names_what_it_cannot_import(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        qn_status status;
        const char *says;
    } cases[] = {
        {"", QN_ERR_DATA, "neither a LightGBM text model nor"},
        {"a,b\n1,2\n", QN_ERR_DATA, "neither a LightGBM text model nor"},
        {"binf....", QN_ERR_DATA, "old binary format"},
        {"{}", QN_ERR_DATA, "'learner' is missing"},
        {"{\"learner\":{\"gradient_booster\":{\"name\":\"gblinear\"}}}", QN_ERR_UNSUPPORTED,
         "linear model"},
        {"tree\nversion=v4\n", QN_ERR_DATA, "the file is cut"},
        {"tree\nnum_tree_per_iteration=0\n", QN_ERR_DATA, "m:2: num_tree_per_iteration"},
        {"tree\nmax_feature_idx=0\nfeature_names=a\nobjective=mystery\nend of trees\n",
         QN_ERR_UNSUPPORTED, "'mystery' is not known"},
        {"tree\nmax_feature_idx=1\nfeature_names=a\n", QN_ERR_DATA, "too few names"},
        {"tree\nmax_feature_idx=0\nfeature_names=a\nTree=0\nnum_leaves=2\nsplit_feature=0\n"
         "threshold=1\ndecision_type=2\nleft_child=0\nright_child=-2\nleaf_value=1 2\n"
         "end of trees\n",
         QN_ERR_DATA, "m:4: tree 0: its nodes are not a tree"},
        {"tree\nmax_feature_idx=0\nfeature_names=a\nTree=0\nnum_leaves=9\nleaf_value=1 2\n"
         "end of trees\n",
         QN_ERR_DATA, "'leaf_value' is not a list of 9 numbers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_imported imported;
        qn_error err = {0};
        CHECK_FAILS(cases[i].status,
                    qn_import_model(cases[i].text, strlen(cases[i].text), "m", &imported, &err));
        CHECK_CONTAINS(err.message, cases[i].says);
    }
}

static void the_way_through_a_tree_is_told(void **state)
{
    (void)state;
    static const char text[] =
        "tree\nmax_feature_idx=1\nfeature_names=age city\nobjective=regression\nTree=0\n"
        "num_leaves=3\nnum_cat=1\nsplit_feature=0 1\nthreshold=45.5 0\ndecision_type=10 1\n"
        "left_child=-1 -2\nright_child=1 -3\nleaf_value=0.5 1.5 -2\ncat_boundaries=0 1\n"
        "cat_threshold=6\nend of trees\n";
    qn_imported imported;
    qn_error err = {0};
    qn_str out = {0};
    double x[] = {50, 2};
    const qn_matrix row = {.n_rows = 1, .n_dense = 2, .stride = 1, .dense = x};
    CHECK_OK(qn_import_model(text, sizeof text - 1, "m", &imported, &err));
    const qn_tree_model *model = qn_tree_model_of(imported.estimator);
    CHECK_INT(qn_tree_model_leaf(model, 0, &row, 0), 1);
    qn_tree_model_path(model, 0, &row, 0, (const char *const[]){"age", "city"}, &out);
    CHECK_TEXT(out.text, "age = 50 <= 45.5: right\ncity = 2 in {1, 2}: left\nleaf 1: 1.5\n");
    qn_str_release(&out);
    qn_imported_release(&imported);
}

static qn_status import_text(const struct golden *g)
{
    qn_imported imported;
    const qn_status status =
        qn_import_model((const char *)g->map.data, g->map.bytes, "m", &imported, NULL);
    qn_imported_release(&imported);
    return status;
}

static void importing_survives_running_out_of_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"lightgbm_linear_tree.txt", "lightgbm_l2.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct golden g = {0};
        open_golden(names[i], &g);
        CHECK_SURVIVES_NO_MEMORY(import_text(&g));
        close_golden(&g);
    }
}

RUN_TESTS(TEST(imported_models_predict_what_the_originals_do),
          TEST(a_row_alone_and_in_a_block_gives_the_same_bits),
          TEST(importances_are_those_of_the_originals),
          TEST(imported_models_survive_writing_and_reading),
          TEST(damaged_models_are_refused_in_one_line), TEST(the_kernels_give_the_same_bytes),
          TEST(thresholds_of_xgboost_become_exact_ones_of_doubles),
          TEST(names_what_it_cannot_import), TEST(the_way_through_a_tree_is_told),
          TEST(importing_survives_running_out_of_memory))
