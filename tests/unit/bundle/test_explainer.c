/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of columns in predictions: of models fitted to small generated tables, for each task,
 * and of imported models, whose parts the libraries that made them tell. */
#include "quern/quern.h"

#include "bundle/bundle.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

enum { N_ROWS = 170 };

static char folder[] = "/tmp/quern-explainer-XXXXXX";
static const char *const tasks[] = {"binary", "multiclass", "regression"};
enum { N_TASKS = 3 };

static void path_of(const char *name, const char *ending, char *out)
{
    snprintf(out, 128, "%s/%s.%s", folder, name, ending);
}

/* Numbers with gaps, categories, text, dates and a column without use; a label of each task. */
static void write_table(const char *task, const char *path)
{
    FILE *file = fopen(path, "w");
    fputs("size,colour,note,when,label\n", file);
    unsigned state = 1;
    for (int i = 0; i < N_ROWS; i++) {
        state = state * 1103515245 + 12345;
        const unsigned draw = state >> 16;
        const int class = (draw % 50 > 25) + (strcmp(task, "multiclass") == 0 && draw % 3 == 0);
        if (i % 11 == 0) {
            fputs(",", file);
        } else {
            fprintf(file, "%u.%u,", draw % 50, draw % 7);
        }
        fprintf(file, "%s,\"word%u and word%u then %d\",2020-%02d-%02d,",
                (const char *[]){"red", "green", "blue", ""}[draw % 4], draw % 9, draw % 5, i,
                i % 12 + 1, i % 28 + 1);
        if (strcmp(task, "regression") == 0) {
            fprintf(file, "%u.5\n", draw % 50 + 10 * (draw % 4));
        } else {
            fprintf(file, "%s\n", (const char *[]){"no", "yes", "perhaps"}[class]);
        }
    }
    fclose(file);
}

static int make_models(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    for (int t = 0; t < N_TASKS; t++) {
        char table[128], model[128];
        path_of(tasks[t], "csv", table);
        path_of(tasks[t], "quern", model);
        write_table(tasks[t], table);
        const qn_fit_request request = {.table = table,
                                        .target = "label",
                                        .task = tasks[t],
                                        .model = model,
                                        .report = "",
                                        .learners =
                                            t == 2 ? "gbdt,ridge,mlp" : "gbdt,logistic,extra_trees",
                                        .n_trials = 3,
                                        .n_folds = 2,
                                        .kinds = (const char *const[]){"note=text", NULL}};
        qn_fit_result result;
        qn_error err = {0};
        if (qn_fit(&request, &result, &err) != QN_OK) {
            print_error("%s\n", err.message);
            return -1;
        }
        qn_fit_result_release(&result);
    }
    return 0;
}

static int remove_models(void **state)
{
    (void)state;
    for (int t = 0; t < N_TASKS; t++) {
        char path[128];
        path_of(tasks[t], "csv", path);
        unlink(path);
        path_of(tasks[t], "quern", path);
        unlink(path);
    }
    return rmdir(folder);
}

struct explained {
    qn_model *model;
    qn_frame *frame;
    qn_explainer *explainer;
    qn_parts parts;
    int64_t n_rows, n_inputs;
    int32_t n_outputs;
};

static qn_parts make_parts(int64_t n_rows, int64_t n_inputs, int32_t n_outputs)
{
    return (qn_parts){.outputs = calloc((size_t)(n_rows * n_outputs), sizeof(double)),
                      .classes = calloc((size_t)n_rows, sizeof(int32_t)),
                      .expected = calloc((size_t)n_rows, sizeof(double)),
                      .columns = calloc((size_t)(n_rows * n_inputs), sizeof(double))};
}

static void release_parts(qn_parts *parts)
{
    free(parts->outputs);
    free(parts->classes);
    free(parts->expected);
    free(parts->columns);
}

static void open_explained(const char *task, struct explained *e)
{
    char table[128], model[128];
    qn_error err = {0};
    path_of(task, "csv", table);
    path_of(task, "quern", model);
    CHECK_OK(qn_model_open(model, &e->model, &err));
    CHECK_OK(qn_frame_read(table, 1, &e->frame, &err));
    CHECK_OK(qn_explainer_create(e->model, &e->explainer, &err));
    e->n_rows = qn_frame_n_rows(e->frame);
    e->n_inputs = qn_model_n_inputs(e->model);
    e->n_outputs = qn_model_n_outputs(e->model);
    e->parts = make_parts(e->n_rows, e->n_inputs, e->n_outputs);
    CHECK_OK(qn_explainer_rows(e->explainer, e->frame, 0, e->n_rows, 1, &e->parts, &err));
}

static void close_explained(struct explained *e)
{
    release_parts(&e->parts);
    qn_explainer_free(e->explainer);
    qn_frame_free(e->frame);
    qn_model_close(e->model);
}

static void parts_add_up_to_what_is_predicted(void **state)
{
    (void)state;
    for (int t = 0; t < N_TASKS; t++) {
        struct explained e = {0};
        open_explained(tasks[t], &e);
        double *predictions = calloc((size_t)(e.n_rows * e.n_outputs), sizeof *predictions);
        qn_error err = {0};
        CHECK_OK(qn_model_predict(e.model, e.frame, 1, predictions, &err));
        assert_memory_equal(predictions, e.parts.outputs,
                            (size_t)(e.n_rows * e.n_outputs) * sizeof *predictions);
        double largest = 0;
        for (int64_t row = 0; row < e.n_rows; row++) {
            const int32_t c = e.parts.classes[row];
            const double *outputs = predictions + row * e.n_outputs;
            const double p = e.n_outputs == 1 ? outputs[0] : outputs[c];
            double sum = e.parts.expected[row];
            for (int64_t i = 0; i < e.n_inputs; i++) {
                sum += e.parts.columns[row * e.n_inputs + i];
                largest = fmax(largest, fabs(e.parts.columns[row * e.n_inputs + i]));
            }
            CHECK_NEAR(sum, t == 2 ? p : log(p / (1 - p)), 1e-9 * fmax(1, fabs(sum)));
            CHECK(t == 2 ? c == 0 : c == (t == 0 ? 1 : qn_model_decide(e.model, outputs)));
        }
        CHECK(largest > 0.1);
        free(predictions);
        close_explained(&e);
    }
}

/* The label follows the size; colour, words and dates are drawn beside it. */
static void the_column_that_matters_has_the_largest_part(void **state)
{
    (void)state;
    for (int t = 0; t < N_TASKS; t += 2) {
        struct explained e = {0};
        double means[8] = {0};
        open_explained(tasks[t], &e);
        CHECK_INT(e.n_inputs, 4);
        for (int64_t i = 0; i < e.n_rows * e.n_inputs; i++) {
            means[i % e.n_inputs] += fabs(e.parts.columns[i]);
        }
        CHECK_TEXT(qn_model_input_name(e.model, 0), "size");
        for (int64_t i = 1; i < e.n_inputs; i++) {
            CHECK(means[0] > means[i]);
        }
        close_explained(&e);
    }
}

static void a_row_alone_and_in_a_table_has_the_same_parts_on_any_number_of_threads(void **state)
{
    (void)state;
    for (int t = 0; t < N_TASKS; t++) {
        struct explained e = {0};
        qn_error err = {0};
        qn_binding *binding = NULL;
        open_explained(tasks[t], &e);
        qn_parts other = make_parts(e.n_rows, e.n_inputs, e.n_outputs);
        const size_t bytes = (size_t)(e.n_rows * e.n_inputs) * sizeof(double);
        for (int threads = 2; threads <= 3; threads++) {
            CHECK_OK(qn_explainer_rows(e.explainer, e.frame, 0, e.n_rows, threads, &other, &err));
            assert_memory_equal(other.columns, e.parts.columns, bytes);
        }
        CHECK_OK(qn_explainer_rows(e.explainer, e.frame, 30, e.n_rows - 30, 2, &other, &err));
        assert_memory_equal(other.columns, e.parts.columns + 30 * e.n_inputs,
                            bytes - (size_t)(30 * e.n_inputs) * sizeof(double));
        CHECK_OK(qn_binding_create(qn_model_schema(e.model), e.frame, &binding, &err));
        qn_cell *cells = calloc((size_t)e.n_inputs, sizeof *cells);
        char *texts = malloc(qn_binding_scratch_bytes(binding, 1) + 1);
        void *scratch = aligned_alloc(64, (qn_explainer_scratch_bytes(e.explainer) + 63) / 64 * 64);
        for (int64_t row = 0; row < e.n_rows; row += 7) {
            qn_binding_load(binding, NULL, row, 1, cells, texts);
            CHECK_OK(qn_explainer_row(e.explainer, cells, &other, scratch, &err));
            assert_memory_equal(other.columns, e.parts.columns + row * e.n_inputs,
                                (size_t)e.n_inputs * sizeof(double));
            CHECK(other.expected[0] == e.parts.expected[row]);
        }
        free(cells);
        free(texts);
        free(scratch);
        qn_binding_free(binding);
        release_parts(&other);
        close_explained(&e);
    }
}

static void import(const char *name, const char *model)
{
    char source[1024];
    qn_error err = {0};
    snprintf(source, sizeof source, "%s/tests/golden/trees/%s", getenv("QUERN_SOURCE"), name);
    const qn_import_request request = {.source = source, .model = model};
    CHECK_OK(qn_import(&request, &err));
}

/* Log-odds are 0.7 times LightGBM's scores there: its sigmoid. */
static void parts_of_an_imported_model_are_its_shap_values(void **state)
{
    (void)state;
    char path[1024], bundle[128];
    qn_error err = {0};
    qn_model *model = NULL;
    qn_explainer *explainer = NULL;
    path_of("imported", "quern", bundle);
    import("lightgbm_binary_sigmoid.txt", bundle);
    CHECK_OK(qn_model_open(bundle, &model, &err));
    CHECK_OK(qn_explainer_create(model, &explainer, &err));
    void *scratch = aligned_alloc(64, (qn_explainer_scratch_bytes(explainer) + 63) / 64 * 64);
    snprintf(path, sizeof path, "%s/tests/golden/trees/lightgbm_binary_sigmoid.txt.expected",
             getenv("QUERN_SOURCE"));
    FILE *rows = fopen(path, "r");
    snprintf(path, sizeof path, "%s/tests/golden/explain/lightgbm_binary_sigmoid.txt.values",
             getenv("QUERN_SOURCE"));
    FILE *values = fopen(path, "r");
    int n_features, n_outputs, n_rows;
    CHECK(rows && fscanf(rows, "%d %d %d", &n_features, &n_outputs, &n_rows) == 3);
    CHECK(values && fscanf(values, "%d %d %*d", &n_rows, &n_outputs) == 2);
    for (int row = 0; row < n_rows; row++) {
        qn_cell cells[16] = {0};
        double ignored, expected, output, base, parts[16];
        int32_t class;
        const qn_parts out = {&output, &class, &base, parts};
        for (int f = 0; f < n_features; f++) {
            CHECK(fscanf(rows, "%lf", &cells[f].number) == 1);
        }
        CHECK(fscanf(rows, "%lf", &ignored) == 1);
        CHECK_OK(qn_explainer_row(explainer, cells, &out, scratch, &err));
        for (int f = 0; f <= n_features; f++) {
            CHECK(fscanf(values, "%lf", &expected) == 1);
            CHECK_NEAR(f < n_features ? parts[f] : base, 0.7 * expected, 1e-9);
        }
    }
    fclose(rows);
    fclose(values);
    free(scratch);
    qn_explainer_free(explainer);
    qn_model_close(model);
    unlink(bundle);
}

/* Trees of linear leaves have no exact values: columns that are not known are missing. Two rows
 * that differ in one column differ by the same in their sums. */
static void parts_of_linear_leaves_are_sampled_and_add_up(void **state)
{
    (void)state;
    char bundle[128];
    qn_error err = {0};
    qn_model *model = NULL;
    qn_explainer *explainer = NULL;
    path_of("linear", "quern", bundle);
    import("lightgbm_linear_tree.txt", bundle);
    CHECK_OK(qn_model_open(bundle, &model, &err));
    CHECK_OK(qn_explainer_create(model, &explainer, &err));
    void *scratch = aligned_alloc(64, (qn_explainer_scratch_bytes(explainer) + 63) / 64 * 64);
    double first_expected = QN_NA, largest = 0;
    for (int row = 0; row < 20; row++) {
        qn_cell cells[7] = {0};
        double output, expected, parts[7];
        int32_t class;
        const qn_parts out = {&output, &class, &expected, parts};
        for (int f = 0; f < 7; f++) {
            cells[f].number = (row * (f + 3) % 11 - 5) / 3.0;
        }
        cells[row % 7].number = QN_NA;
        CHECK_OK(qn_explainer_row(explainer, cells, &out, scratch, &err));
        double sum = expected;
        for (int f = 0; f < 7; f++) {
            sum += parts[f];
            largest = fmax(largest, fabs(parts[f]));
        }
        CHECK_NEAR(sum, output, 1e-12);
        CHECK(parts[row % 7] == 0); /* missing, known or not */
        CHECK(row == 0 || expected == first_expected);
        first_expected = expected;
    }
    CHECK(largest > 0.1);
    free(scratch);
    qn_explainer_free(explainer);
    qn_model_close(model);
    unlink(bundle);
}

static qn_status explain_all(const struct explained *e)
{
    qn_explainer *explainer = NULL;
    qn_status status = qn_explainer_create(e->model, &explainer, NULL);
    if (status == QN_OK) {
        status = qn_explainer_rows(explainer, e->frame, 0, 5, 1, &e->parts, NULL);
    }
    qn_explainer_free(explainer);
    return status;
}

static void explaining_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct explained e = {0};
    open_explained("multiclass", &e);
    CHECK_SURVIVES_NO_MEMORY_RELEASING(explain_all(&e), (void)0);
    close_explained(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(parts_add_up_to_what_is_predicted),
        TEST(the_column_that_matters_has_the_largest_part),
        TEST(a_row_alone_and_in_a_table_has_the_same_parts_on_any_number_of_threads),
        TEST(parts_of_an_imported_model_are_its_shap_values),
        TEST(parts_of_linear_leaves_are_sampled_and_add_up),
        TEST(explaining_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_models, remove_models);
}
