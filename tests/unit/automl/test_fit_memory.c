/* SPDX-License-Identifier: Apache-2.0 */
/* A whole fit of a tiny table, from reading to report, in which allocations fail in turn. */
#include "quern/quern.h"

#include "check.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-fit-XXXXXX";
static char table_path[64], model_path[64], report_path[64];

static int make_table(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(table_path, sizeof table_path, "%s/table.csv", folder);
    snprintf(model_path, sizeof model_path, "%s/model.quern", folder);
    snprintf(report_path, sizeof report_path, "%s/report.html", folder);
    FILE *file = fopen(table_path, "w");
    fputs("size,colour,note,when,label\n", file);
    unsigned state_of_draw = 1;
    for (int i = 0; i < 40; i++) {
        state_of_draw = state_of_draw * 1103515245 + 12345;
        const unsigned draw = state_of_draw >> 16;
        fprintf(file, "%u.%u,%s,word%u and word%u,2020-%02d-%02d,%s\n", draw % 50, draw % 7,
                (const char *[]){"red", "green", ""}[draw % 3], draw % 9, draw % 5, i % 12 + 1,
                i % 28 + 1, draw % 50 > 25 ? "yes" : "no");
    }
    return fclose(file);
}

static int remove_files(void **state)
{
    (void)state;
    unlink(table_path);
    unlink(model_path);
    unlink(report_path);
    return rmdir(folder);
}

static qn_status fit(const char *learners, qn_error *err)
{
    const qn_fit_request request = {.table = table_path,
                                    .target = "label",
                                    .model = model_path,
                                    .report = report_path,
                                    .learners = learners,
                                    .n_trials = 1,
                                    .n_folds = 2,
                                    .n_threads = 1,
                                    .kinds = (const char *const[]){"note=text", NULL}};
    qn_fit_result result;
    const qn_status status = qn_fit(&request, &result, err);
    if (status == QN_OK) qn_fit_result_release(&result);
    return status;
}

static int n_files(void)
{
    int n = 0;
    DIR *listing = opendir(folder);
    CHECK(listing != NULL);
    while (readdir(listing)) {
        n++;
    }
    closedir(listing);
    return n - 2; /* "." and ".." */
}

static bool exhaustive;

/* Short of memory once, or from then on, a fit fails with that and leaves no file behind; or it
 * does without one trial, and then the model is whole. Where many allocations in a row end alike,
 * such as those of the bootstrap, only some of them fail here. */
static void sweep(const char *learners)
{
    char last[sizeof(qn_error)] = "";
    int n_alike = 0, n_refused = 0;
    for (int64_t nth = 1, done = false; !done; nth += exhaustive || n_alike < 3 ? 1 : 97) {
        qn_error err = {0};
        qn_alloc_fail_at(nth, nth % 2 == 1);
        const qn_status status = fit(learners, &err);
        done = qn_alloc_fail_at(0, false) < nth;
        if (status == QN_OK) {
            qn_model *model = NULL;
            CHECK_OK(qn_model_open(model_path, &model, &err));
            qn_model_close(model);
            unlink(model_path);
            unlink(report_path);
        } else {
            if (status != QN_ERR_NOMEM) fail_msg("allocation %d: %s", (int)nth, err.message);
            CHECK(err.message[0] != '\0');
            n_refused++;
        }
        CHECK_INT(n_files(), 1);
        n_alike = strcmp(last, err.message) == 0 ? n_alike + 1 : 0;
        strcpy(last, err.message);
    }
    CHECK(n_refused > 10);
}

static void boosted_trees_survive_running_out_of_memory(void **state)
{
    (void)state;
    sweep("gbdt");
}

static void forests_survive_running_out_of_memory(void **state)
{
    (void)state;
    sweep("random_forest");
}

static void linear_models_survive_running_out_of_memory(void **state)
{
    (void)state;
    sweep("logistic");
}

/* usage: test_fit_memory [all]; "all" makes every allocation fail, which takes minutes. */
int main(int argc, char **argv)
{
    exhaustive = argc > 1 && strcmp(argv[1], "all") == 0;
    const struct CMUnitTest tests[] = {TEST(boosted_trees_survive_running_out_of_memory),
                                       TEST(forests_survive_running_out_of_memory),
                                       TEST(linear_models_survive_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_table, remove_files);
}
