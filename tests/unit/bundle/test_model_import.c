/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles around the imported models of tests/golden/trees: what they are called, what is refused.
 * That they predict what the originals do is tests/unit/model/test_import.c. */
#include "bundle/bundle.h"

#include "frames.h"

#include <stdlib.h>
#include <unistd.h>

static char model_path[64];

static qn_status import(const char *name, const char *labels, const char *target, qn_error *err)
{
    char source[1024];
    snprintf(source, sizeof source, "%s/tests/golden/trees/%s", getenv("QUERN_SOURCE"), name);
    const qn_import_request request = {
        .source = source, .model = model_path, .labels = labels, .target = target};
    return qn_import(&request, err);
}

static int open_folder(void **state)
{
    (void)state;
    char folder[] = "/tmp/quern-import-XXXXXX";
    if (!mkdtemp(folder)) return -1;
    snprintf(model_path, sizeof model_path, "%s/m.quern", folder);
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    unlink(model_path);
    *strrchr(model_path, '/') = '\0';
    return rmdir(model_path);
}

static void classes_are_called_as_asked(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_model *model = NULL;
    CHECK_OK(import("lightgbm_multiclass.txt", "low,middle,high", "rating", &err));
    CHECK_OK(qn_model_open(model_path, &model, &err));
    CHECK_TEXT(qn_model_task(model), "multiclass");
    CHECK_INT(qn_model_n_classes(model), 3);
    CHECK_TEXT(qn_model_class(model, 1), "middle");
    qn_model_close(model);
    CHECK_OK(import("lightgbm_multiclass.txt", NULL, NULL, &err));
    CHECK_OK(qn_model_open(model_path, &model, &err));
    CHECK_TEXT(qn_model_class(model, 2), "2");
    qn_model_close(model);
}

static void labels_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const char *const labels[] = {"a,b", "a,b,a", "a,,c", "a,b,c,d", ""};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        qn_error err = {0};
        unlink(model_path);
        CHECK_FAILS(QN_ERR_ARG, import("lightgbm_multiclass.txt", labels[i], NULL, &err));
        CHECK_CONTAINS(err.message, "--labels");
        CHECK(access(model_path, F_OK) != 0);
    }
}

static void a_target_called_like_a_feature_is_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_model *model = NULL;
    char feature[64];
    CHECK_OK(import("lightgbm_l2.txt", NULL, NULL, &err));
    CHECK_OK(qn_model_open(model_path, &model, &err));
    snprintf(feature, sizeof feature, "%s", qn_model_input_name(model, 0));
    qn_model_close(model);
    CHECK_FAILS(QN_ERR_ARG, import("lightgbm_l2.txt", NULL, feature, &err));
    CHECK_CONTAINS(err.message, "--target");
}

static void what_is_not_there_is_named(void **state)
{
    (void)state;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_IO, import("no_such_model.txt", NULL, NULL, &err));
    CHECK_CONTAINS(err.message, "no_such_model.txt");
}

static void importing_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(import("lightgbm_multiclass.txt", "low,middle,high", NULL, NULL));
    CHECK_SURVIVES_NO_MEMORY(import("xgboost_logistic.ubj", NULL, NULL, NULL));
}

static qn_status describe(const qn_model *model)
{
    char *json = NULL;
    const qn_status status = qn_model_describe(model, &json, NULL);
    CHECK((json != NULL) == (status == QN_OK));
    qn_text_free(json);
    return status;
}

static void describing_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_model *model = NULL;
    CHECK_OK(import("lightgbm_l2.txt", NULL, NULL, &err));
    CHECK_OK(qn_model_open(model_path, &model, &err));
    CHECK_SURVIVES_NO_MEMORY(describe(model));
    qn_model_close(model);
}

static void predicting_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_model *model = NULL;
    CHECK_OK(import("lightgbm_multiclass.txt", NULL, NULL, &err));
    CHECK_OK(qn_model_open(model_path, &model, &err));
    const int64_t n = qn_model_n_inputs(model);
    qn_frame *frame = frame_create(2, n);
    for (int64_t f = 0; f < n; f++) {
        frame_doubles(frame, f, qn_model_input_name(model, f), (const double[]){0.5, QN_NA});
    }
    double predictions[6];
    /* Without memory for more threads, one does the work. */
    CHECK_SURVIVES_NO_MEMORY_RELEASING(qn_model_predict(model, frame, 2, predictions, NULL),
                                       (void)0);
    CHECK_NEAR(predictions[3] + predictions[4] + predictions[5], 1, 1e-12);
    qn_frame_free(frame);
    qn_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(classes_are_called_as_asked),
                                       TEST(labels_that_do_not_fit_are_refused),
                                       TEST(a_target_called_like_a_feature_is_refused),
                                       TEST(what_is_not_there_is_named),
                                       TEST(importing_survives_running_out_of_memory),
                                       TEST(predicting_survives_running_out_of_memory),
                                       TEST(describing_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
