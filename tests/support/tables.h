/* SPDX-License-Identifier: Apache-2.0 */
/* Tables written as CSV text, read and understood as a fit would. */
#ifndef TESTS_SUPPORT_TABLES_H
#define TESTS_SUPPORT_TABLES_H

#include "check.h"

#include "frame/cells.h"
#include "recipe/recipe.h"
#include "source/csv.h"
#include "stats/profile.h"
#include "validate/understand.h"

#include <stdlib.h>

typedef struct table {
    qn_frame *frame;
    qn_schema *schema;
    double *target;
    int32_t *rows; /* all of them: 0 … n - 1 */
    int64_t n_rows;
} table; /* release with table_release() */

/* `task` NULL: guessed; `kinds` may be NULL, as in qn_understand_request. */
static inline table table_from_csv(const char *csv, const char *target, const char *task,
                                   const char *const *kinds)
{
    table t = {0};
    qn_error err = {0};
    qn_profile *profile = NULL;
    const qn_read_request read = {.uri = "memory"};
    const qn_content content = {.data = csv, .bytes = strlen(csv)};
    CHECK_OK(qn_csv_read(&read, "memory", &content, &t.frame, NULL, &err));
    t.n_rows = t.frame->n_rows;
    CHECK_OK(qn_profile_create(t.frame, NULL, t.n_rows, NULL, &profile, &err));
    const qn_understand_request question = {
        .frame = t.frame, .profile = profile, .target = target, .task = task, .kinds = kinds};
    CHECK_OK(qn_understand(&question, &t.schema, &err));
    qn_profile_free(profile);
    CHECK_OK(qn_schema_target(t.schema, t.frame, false, &t.target, &err));
    t.rows = qn_alloc_array(t.n_rows, sizeof *t.rows);
    CHECK(t.rows != NULL);
    for (int64_t i = 0; i < t.n_rows; i++) {
        t.rows[i] = (int32_t)i;
    }
    return t;
}

static inline void table_release(table *t)
{
    qn_schema_free(t->schema);
    qn_frame_free(t->frame);
    qn_free(t->target);
    qn_free(t->rows);
    *t = (table){0};
}

#endif
