/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/cells.h"
#include "source/source.h"
#include "validate/understand.h"

#include "frames.h"

#include <stdlib.h>

/* A table and all that is found in it. */
struct screened {
    qn_frame *frame;
    qn_profile *profile;
    qn_schema *schema;
    double *target;
    qn_findings findings;
};

static qn_status screen(struct screened *s, const char *target, qn_pool *pool, qn_error *err)
{
    QN_TRY(qn_profile_create(s->frame, NULL, 0, pool, &s->profile, err));
    const qn_understand_request request = {
        .frame = s->frame, .profile = s->profile, .target = target};
    QN_TRY(qn_understand(&request, &s->schema, err));
    QN_TRY(qn_schema_target(s->schema, s->frame, false, &s->target, err));
    return qn_screen(s->frame, s->schema, s->profile, NULL, 0, s->target, pool, &s->findings, err);
}

/* All but the frame. */
static void clear(struct screened *s)
{
    qn_profile_free(s->profile);
    qn_schema_free(s->schema);
    qn_free(s->target);
    qn_findings_release(&s->findings);
    *s = (struct screened){.frame = s->frame};
}

static const qn_finding *find(const struct screened *s, qn_finding_kind kind, const char *column)
{
    for (int64_t i = 0; i < s->findings.n; i++) {
        const qn_finding *finding = &s->findings.items[i];
        if (finding->kind != kind) continue;
        if (!column || (finding->column && strcmp(finding->column, column) == 0)) return finding;
    }
    return NULL;
}

enum { ROWS = 400 };

/* y is a + b; beside them noise, a flag and its copy, a key, a constant, a sparse column. */
static qn_frame *table(void)
{
    static double a[ROWS], b[ROWS], y[ROWS], noise[ROWS], sparse[ROWS];
    static int64_t flag[ROWS], keys[ROWS], same[ROWS];
    uint64_t x = 7;
    for (int i = 0; i < ROWS; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        a[i] = (double)(x >> 54);
        b[i] = (double)(x >> 34 & 1023);
        noise[i] = (double)(x >> 14 & 1023);
        y[i] = a[i] + b[i];
        sparse[i] = i % 5 ? QN_NA : noise[i];
        flag[i] = (int64_t)(x >> 13 & 1);
        keys[i] = i;
        same[i] = 4;
    }
    qn_frame *frame = frame_create(ROWS, 9);
    frame_doubles(frame, 0, "a", a);
    frame_doubles(frame, 1, "b", b);
    frame_doubles(frame, 2, "noise", noise);
    frame_ints(frame, 3, "flag", flag);
    frame_ints(frame, 4, "flag_again", flag);
    frame_ints(frame, 5, "key", keys);
    frame_ints(frame, 6, "same", same);
    frame_doubles(frame, 7, "sparse", sparse);
    frame_doubles(frame, 8, "y", y);
    return frame;
}

static void every_kind_of_oddity_is_found(void **state)
{
    (void)state;
    struct screened s = {.frame = table()};
    qn_error err = {0};
    CHECK_OK(screen(&s, "y", NULL, &err));
    CHECK_CONTAINS(find(&s, QN_FINDING_LEAK_SUSPECT, "a")->message, "--drop a,b");
    CHECK_CONTAINS(find(&s, QN_FINDING_DUPLICATE_COLUMN, "flag_again")->message,
                   "--drop 'flag_again'");
    CHECK(find(&s, QN_FINDING_ID_LIKE, "key") != NULL);
    CHECK(find(&s, QN_FINDING_CONSTANT, "same") != NULL);
    CHECK_CONTAINS(find(&s, QN_FINDING_MOSTLY_MISSING, "sparse")->message, "80 %");
    CHECK(find(&s, QN_FINDING_LEAK_SUSPECT, "noise") == NULL);
    CHECK(find(&s, QN_FINDING_DUPLICATE_ROWS, NULL) == NULL);
    const qn_column_profile *columns = s.profile->columns;
    CHECK(columns[0].target_association > 0.3 && columns[0].target_association < 0.7);
    CHECK(columns[2].target_association < 0.1);
    CHECK(isnan(columns[8].target_association));
    for (int64_t i = 0; i < s.findings.n; i++) {
        CHECK(strchr(s.findings.items[i].message, '\n') == NULL);
    }
    clear(&s);
    qn_frame_free(s.frame);
}

/* y behind columns of one value. */
static qn_frame *wide_table(int64_t n_constant)
{
    static double y[ROWS], same[ROWS], noise[ROWS];
    for (int i = 0; i < ROWS; i++) {
        same[i] = 4;
        noise[i] = i * 7919 % 101;
        y[i] = i * 104729 % 211;
    }
    qn_frame *frame = frame_create(ROWS, n_constant + 2);
    frame_doubles(frame, 0, "noise", noise);
    for (int64_t col = 1; col <= n_constant; col++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", (int)col);
        frame_doubles(frame, col, name, same);
    }
    frame_doubles(frame, n_constant + 1, "y", y);
    return frame;
}

static void what_is_found_of_many_columns_is_one_line(void **state)
{
    (void)state;
    qn_error err = {0};
    struct screened s = {.frame = wide_table(5)};
    CHECK_OK(screen(&s, "y", NULL, &err));
    CHECK(find(&s, QN_FINDING_CONSTANT, "c5") != NULL); /* a few have a line each */
    clear(&s);
    qn_frame_free(s.frame);

    s.frame = wide_table(20);
    CHECK_OK(screen(&s, "y", NULL, &err));
    const qn_finding *finding = find(&s, QN_FINDING_CONSTANT, NULL);
    CHECK_CONTAINS(finding->message, "20 columns are not used");
    CHECK_CONTAINS(finding->message, "'c1', 'c2', ");
    CHECK_CONTAINS(finding->message, "'c12', …");
    CHECK(finding->column == NULL && strstr(finding->message, "'c13'") == NULL);
    int64_t n = 0;
    for (int64_t i = 0; i < s.findings.n; i++) {
        n += s.findings.items[i].kind == QN_FINDING_CONSTANT;
    }
    CHECK_INT(n, 1);
    clear(&s);
    qn_frame_free(s.frame);
}

/* Labels of 300 levels, each of one class: pooled, they would look harmless. */
static void a_leak_of_many_levels_is_found(void **state)
{
    (void)state;
    enum { MANY = 6000 };
    static char texts[MANY][16];
    static const char *levels[MANY], *y[MANY];
    for (int i = 0; i < MANY; i++) {
        const int level = i * 7919 % 300;
        snprintf(texts[i], sizeof texts[i], "level%d", level);
        levels[i] = texts[i];
        y[i] = level * 31 % 7 < 3 ? "no" : "yes";
    }
    struct screened s = {.frame = frame_create(MANY, 2)};
    qn_error err = {0};
    frame_texts(s.frame, 0, "levels", levels);
    frame_texts(s.frame, 1, "y", y);
    CHECK_OK(screen(&s, "y", NULL, &err));
    CHECK(find(&s, QN_FINDING_LEAK_SUSPECT, "levels") != NULL);
    clear(&s);
    qn_frame_free(s.frame);
}

static void lopsided_and_rare_classes_are_named(void **state)
{
    (void)state;
    int64_t y[ROWS];
    double x[ROWS];
    for (int i = 0; i < ROWS; i++) {
        y[i] = i % 100 == 0;
        x[i] = i % 37;
    }
    struct screened s = {.frame = frame_create(ROWS, 2)};
    qn_error err = {0};
    frame_doubles(s.frame, 0, "x", x);
    frame_ints(s.frame, 1, "y", y);
    CHECK_OK(screen(&s, "y", NULL, &err));
    CHECK_CONTAINS(find(&s, QN_FINDING_IMBALANCE, NULL)->message, "only 1.0 % of rows are '1'");
    CHECK_CONTAINS(find(&s, QN_FINDING_RARE_CLASS, NULL)->message, "has 4)");
    CHECK(find(&s, QN_FINDING_DUPLICATE_ROWS, NULL) != NULL);
    clear(&s);
    qn_frame_free(s.frame);
}

static void a_guess_at_the_task_is_told(void **state)
{
    (void)state;
    int64_t y[ROWS];
    double x[ROWS];
    for (int i = 0; i < ROWS; i++) {
        y[i] = i % 5;
        x[i] = i;
    }
    struct screened s = {.frame = frame_create(ROWS, 2)};
    qn_error err = {0};
    frame_doubles(s.frame, 0, "x", x);
    frame_ints(s.frame, 1, "grade", y);
    CHECK_OK(screen(&s, NULL, NULL, &err));
    CHECK(s.findings.n >= 2);
    CHECK_CONTAINS(s.findings.items[s.findings.n - 2].message, "guessed to be 'grade'");
    CHECK_CONTAINS(s.findings.items[s.findings.n - 1].message, "--task regression");
    clear(&s);
    qn_frame_free(s.frame);
}

static void threads_do_not_change_what_is_found(void **state)
{
    (void)state;
    struct screened s = {.frame = table()};
    double associations[9];
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        qn_error err = {0};
        qn_pool *pool = qn_pool_create(n_threads);
        CHECK_OK(screen(&s, "y", pool, &err));
        for (int c = 0; c < 8; c++) {
            const double found = s.profile->columns[c].target_association;
            if (n_threads == 1) associations[c] = found;
            CHECK(memcmp(&found, &associations[c], sizeof found) == 0);
        }
        clear(&s);
        qn_pool_free(pool);
    }
    qn_frame_free(s.frame);
}

static qn_status screen_and_clear(struct screened *s)
{
    const qn_status status = screen(s, "y", NULL, NULL);
    clear(s);
    return status;
}

static void screening_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct screened s = {.frame = table()};
    CHECK_SURVIVES_NO_MEMORY(screen_and_clear(&s));
    qn_frame_free(s.frame);
    s.frame = wide_table(8);
    CHECK_SURVIVES_NO_MEMORY(screen_and_clear(&s));
    qn_frame_free(s.frame);
}

static void leaks_of_real_tables_are_found_and_honest_columns_are_not(void **state)
{
    (void)state;
    static const struct {
        const char *file, *target, *leaks[2];
    } tables[] = {{"weather_aus", "RainTomorrow", {"RISK_MM"}},
                  {"bike_sharing_hour", "cnt", {"registered", "casual"}},
                  {"adult_train", "income", {NULL}},
                  {"telco_churn", "Churn", {NULL}},
                  {"california_housing", "median_house_value", {NULL}},
                  {"diamonds", "price", {NULL}},
                  {"titanic", "Survived", {NULL}},
                  {"ames", "SalePrice", {NULL}},
                  {"letter", "lettr", {NULL}}};
    const char *dir = getenv("QUERN_DATA");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char path[1000];
        snprintf(path, sizeof path, "%s/%s.csv.gz", dir ? dir : "", tables[i].file);
        FILE *file = fopen(path, "rb");
        if (!file) {
            print_message("skipped: %s is not there (QUERN_DATA names its folder)\n", path);
            skip();
        }
        fclose(file);
        struct screened s = {0};
        qn_error err = {0};
        CHECK_OK(qn_source_read(&(qn_read_request){.uri = path}, &s.frame, NULL, &err));
        CHECK_OK(screen(&s, tables[i].target, NULL, &err));
        int64_t n_leaks = 0, n_expected = 0;
        for (int64_t f = 0; f < s.findings.n; f++) {
            n_leaks += s.findings.items[f].kind == QN_FINDING_LEAK_SUSPECT;
        }
        for (int l = 0; l < 2 && tables[i].leaks[l]; l++) {
            n_expected++;
            CHECK_CONTAINS(find(&s, QN_FINDING_LEAK_SUSPECT, tables[i].leaks[l])->message,
                           "--drop");
        }
        CHECK_INT(n_leaks, n_expected);
        clear(&s);
        qn_frame_free(s.frame);
    }
}

RUN_TESTS(TEST(every_kind_of_oddity_is_found), TEST(what_is_found_of_many_columns_is_one_line),
          TEST(a_leak_of_many_levels_is_found), TEST(lopsided_and_rare_classes_are_named),
          TEST(a_guess_at_the_task_is_told), TEST(threads_do_not_change_what_is_found),
          TEST(screening_survives_running_out_of_memory),
          TEST(leaks_of_real_tables_are_found_and_honest_columns_are_not))
