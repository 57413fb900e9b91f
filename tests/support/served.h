/* SPDX-License-Identifier: Apache-2.0 */
/* A small model of every kind of column, for the tests of the server. */
#ifndef TESTS_SUPPORT_SERVED_H
#define TESTS_SUPPORT_SERVED_H

#include "check.h"

#include "quern/quern.h"
#include "serve/models/served_model.h"

#include <stdlib.h>
#include <unistd.h>

/* size: numbers; colour: categories; shop: categories that are whole numbers; when: dates; open:
 * booleans. `task` "binary", "multiclass" or "regression" chooses the target. */
static inline void served_write_table(const char *path, const char *task)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs("size,colour,shop,when,open,label\n", file);
    unsigned state = 1;
    for (int i = 0; i < 200; i++) {
        state = state * 1103515245 + 12345;
        const unsigned draw = state >> 16;
        const bool high = (draw % 50 > 25) != (draw % 13 == 0);
        if (i % 11 != 0) fprintf(file, "%u.%u", draw % 50, draw % 7);
        fprintf(file, ",%s,%u,2020-%02d-%02d,%s,",
                (const char *[]){"red", "green", "blue", ""}[draw % 4], 100 + draw % 3, i % 12 + 1,
                i % 28 + 1, draw % 5 > 2 ? "true" : "false");
        if (strcmp(task, "regression") == 0) {
            fprintf(file, "%u.25\n", draw % 50 * (high ? 3 : 1));
        } else if (strcmp(task, "multiclass") == 0) {
            fprintf(file, "%s\n", draw % 4 == 0 ? "say \"so\"" : high ? "yes" : "no");
        } else {
            fprintf(file, "%s\n", high ? "yes" : "no");
        }
    }
    fclose(file);
}

static inline void served_fit(const char *folder, const char *task, int64_t seed, char *model_path,
                              size_t room)
{
    char table[128];
    qn_error err = {0};
    qn_fit_result result;
    snprintf(table, sizeof table, "%s/%s.csv", folder, task);
    snprintf(model_path, room, "%s/%s-%d.quern", folder, task, (int)seed);
    served_write_table(table, task);
    const qn_fit_request request = {.table = table,
                                    .target = "label",
                                    .task = task,
                                    .model = model_path,
                                    .report = "",
                                    .learners = "gbdt",
                                    .n_trials = 1,
                                    .n_folds = 2,
                                    .seed = seed,
                                    .n_threads = 1,
                                    .kinds = (const char *const[]){"shop=categorical", NULL}};
    CHECK_OK(qn_fit(&request, &result, &err));
    qn_fit_result_release(&result);
}

#endif
