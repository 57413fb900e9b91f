/* SPDX-License-Identifier: Apache-2.0 */
/* Warm start: which trials of other studies are taken over, what they are used for, and that they
 * stay. */
#include "search/study/study.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-prior-XXXXXX", url[96];

static const char old_space[] = "{parameters: {x: {type: float, low: -5, high: 5},"
                                " c: {type: categorical, choices: [a, b]},"
                                " y: {type: int, low: 1, high: 9, when: {c: b}},"
                                " gone: {type: bool}}}";
/* Narrower, without one parameter, and with another that has one value. */
static const char new_space[] = "{parameters: {x: {type: float, low: -4, high: 4},"
                                " c: {type: categorical, choices: [b, a, n]},"
                                " y: {type: int, low: 1, high: 9, when: {c: b}},"
                                " one: {type: fixed, value: 3}}, constraints: ['x + y < 12']}";

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(url, sizeof url, "sqlite:%s/s.db?sync=normal", folder);
    return 0;
}

static int empty_folder(void **state)
{
    (void)state;
    static const char *const endings[] = {"", "-lock", "-wal", "-shm"};
    for (int i = 0; i < 4; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s/s.db%s", folder, endings[i]);
        unlink(name);
    }
    return 0;
}

static int remove_folder(void **state)
{
    empty_folder(state);
    return rmdir(folder);
}

static qn_study *open_study(const qn_study_request *request)
{
    qn_error err = {0};
    qn_study *study = NULL;
    if (qn_study_open(request, &study, &err) != QN_OK) fail_msg("%s", err.message);
    return study;
}

static double loss_of(const qn_trial_record *trial)
{
    return fabs(trial->values[0] - 2) + (trial->values[1] == 0 ? 1 : 0);
}

/* A study "old" of n trials: every fifth fails, every seventh is pruned. */
static void make_old(int n)
{
    qn_error err = {0};
    qn_study *study = open_study(
        &(qn_study_request){.space = old_space, .store = url, .name = "old", .sampler = "random"});
    for (int i = 0; i < n; i++) {
        qn_trial *trial;
        CHECK_OK(qn_study_ask(study, &trial, &err));
        const double loss = loss_of(qn_trial_get_record(trial));
        CHECK_OK(qn_trial_report(trial, 4, loss + 1, NULL, &err));
        CHECK_OK(i % 5 == 4   ? qn_trial_fail(trial, &err)
                 : i % 7 == 6 ? qn_trial_prune(trial, &err)
                              : qn_trial_tell(trial, &loss, 1, &err));
    }
    qn_study_close(study);
}

static const char *const *from_old(void)
{
    static char text[128];
    static const char *from[2] = {text, NULL};
    snprintf(text, sizeof text, "%s#old", url);
    return from;
}

/* Each prior trial is the next of the old study that fits. */
static void check_priors(const qn_study *study)
{
    qn_study *old = open_study(
        &(qn_study_request){.store = url, .name = "old", .read_only = true, .must_exist = true});
    const qn_history *theirs = qn_study_history(old), *ours = qn_study_history(study);
    int64_t k = 0;
    for (int64_t i = 0; i < theirs->n_told; i++) {
        const qn_trial_record *a = theirs->told[i];
        const bool is_b = a->values[1] == 1;
        if (fabs(a->values[0]) > 4 || (is_b && a->values[0] + a->values[2] >= 12)) continue;
        CHECK(k < ours->n_prior);
        const qn_trial_record *b = ours->prior[k];
        CHECK(ours->told[k] == b);
        CHECK_INT(b->number, -1 - k++);
        CHECK_INT(b->state, a->state);
        CHECK(b->values[0] == a->values[0] && b->values[1] == (is_b ? 0 : 1));
        CHECK(is_b ? b->values[2] == a->values[2] : isnan(b->values[2]));
        CHECK(b->values[3] == 0 && b->losses[0] == a->losses[0]);
        CHECK_INT(b->n_reports, a->state == QN_TRIAL_PRUNED);
        char origin[64];
        snprintf(origin, sizeof origin, "{\"study\":\"old\",\"trial\":%d}", (int)a->number);
        CHECK_TEXT(b->attributes->name, "from");
        CHECK_TEXT(b->attributes->json, origin);
    }
    CHECK_INT(ours->n_prior, k);
    CHECK(k > 20 && k < theirs->n_told);
    qn_study_close(old);
}

static void trials_that_fit_are_told_before_the_first(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_trial *trial;
    char *best;
    make_old(80);
    qn_study *study =
        open_study(&(qn_study_request){.space = new_space, .from = from_old(), .sampler = "tpe"});
    check_priors(study);
    CHECK_INT(qn_study_history(study)->n_trials, 0);
    CHECK_OK(qn_study_best(study, &best, &err));
    CHECK(best == NULL); /* none of its own */
    double sum = 0;
    for (int i = 0; i < 10; i++) { /* the sampler knows where to look */
        CHECK_OK(qn_study_ask(study, &trial, &err));
        CHECK_INT(qn_trial_number(trial), i);
        sum += fabs(qn_trial_get_record(trial)->values[0] - 2) / 10;
        CHECK_OK(qn_trial_tell(trial, &(double){1e6}, 1, &err));
    }
    CHECK(sum < 1);
    CHECK_OK(qn_study_best(study, &best, &err));
    CHECK_CONTAINS(best, "\"number\":0,");
    qn_tune_free(best);
    qn_study_close(study);
}

static void ask_and_tell(qn_study *study, double *x)
{
    qn_error err = {0};
    qn_trial *trial;
    CHECK_OK(qn_study_ask(study, &trial, &err));
    const qn_trial_record *record = qn_trial_get_record(trial);
    *x = record->values[0];
    CHECK_OK(qn_trial_tell(trial, &(double){fabs(*x)}, 1, &err));
}

static void a_study_taken_up_again_knows_them_still(void **state)
{
    (void)state;
    double whole[12], parts[12];
    make_old(80);
    const qn_study_request request = {.space = new_space, .from = from_old(), .sampler = "tpe"};
    qn_study *study = open_study(&request);
    for (int i = 0; i < 12; i++) {
        ask_and_tell(study, &whole[i]);
    }
    qn_study_close(study);
    qn_study_request kept = request;
    kept.store = url;
    kept.name = "new";
    study = open_study(&kept);
    check_priors(study);
    qn_study_close(study);
    for (int i = 0; i < 12; i++) {
        if (i == 5) make_old(20); /* too late to be learned from */
        study = open_study(i % 2 ? &kept : &(qn_study_request){.store = url, .name = "new"});
        ask_and_tell(study, &parts[i]);
        qn_study_close(study);
    }
    assert_memory_equal(whole, parts, sizeof whole);
}

static void a_space_by_run_is_theirs(void **state)
{
    (void)state;
    qn_error err = {0};
    double x;
    qn_trial *trial;
    make_old(30);
    qn_study *study = open_study(&(qn_study_request){.from = from_old(), .store = url});
    CHECK_INT(qn_study_space(study)->n, 4);
    CHECK_INT(qn_study_history(study)->n_prior, qn_study_history(study)->n_told);
    CHECK(qn_study_history(study)->n_prior >= 20);
    CHECK_OK(qn_study_ask(study, &trial, &err));
    CHECK_OK(qn_trial_float(trial, "x", &(qn_range){.low = -5, .high = 5}, &x, &err));
    CHECK_OK(qn_trial_tell(trial, &x, 1, &err));
    qn_study_close(study);
}

static void what_cannot_be_learned_from_is_told(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study;
    make_old(0);
    const qn_study_request request = {.space = new_space, .from = from_old()};
    CHECK_FAILS(QN_ERR_ARG, qn_study_open(&request, &study, &err));
    CHECK_CONTAINS(err.message, "warm start: the study 'old' has no finished trial");
    make_old(10);
    CHECK_FAILS(QN_ERR_ARG,
                qn_study_open(&(qn_study_request){.space = "{parameters: {z: {type: bool}}}",
                                                  .from = from_old()},
                              &study, &err));
    CHECK_CONTAINS(err.message, "none of the 8 finished trials of the study 'old'");
    qn_study_request other = request;
    other.objectives = "maximize";
    CHECK_FAILS(QN_ERR_ARG, qn_study_open(&other, &study, &err));
    CHECK_CONTAINS(err.message, "has no objective 'value' to be maximized");
    other = request;
    other.from = (const char *const[]){url, NULL};
    CHECK_FAILS(QN_ERR_ARG, qn_study_open(&other, &study, &err));
    CHECK_CONTAINS(err.message, "there is no study 'study'");
}

static qn_status warm_study(bool stored)
{
    static int n_studies;
    char name[32];
    qn_study *study;
    snprintf(name, sizeof name, "new %d", n_studies++);
    const qn_study_request request = {.space = new_space,
                                      .from = from_old(),
                                      .store = stored ? url : NULL,
                                      .name = name,
                                      .sampler = "random"};
    const qn_status status = qn_study_open(&request, &study, NULL);
    qn_study_close(study);
    return status;
}

static void a_warm_start_survives_running_out_of_memory(void **state)
{
    (void)state;
    make_old(9);
    CHECK_SURVIVES_NO_MEMORY(warm_study(false));
    CHECK_SURVIVES_NO_MEMORY(warm_study(true));
}

/* A process that dies on the way leaves some of them; the next one writes the others. */
static void a_warm_start_that_was_cut_off_is_made_up_for(void **state)
{
    (void)state;
    make_old(80);
    qn_study_request request = {
        .space = new_space, .from = from_old(), .store = url, .name = "new", .sampler = "tpe"};
    qn_error err = {0};
    qn_study *study;
    for (int64_t nth = 100; nth < 1500; nth += 200) {
        qn_alloc_fail_at(nth, false);
        const qn_status status = qn_study_open(&request, &study, &err);
        qn_alloc_fail_at(0, false);
        CHECK(status == QN_OK || status == QN_ERR_NOMEM);
        qn_study_close(study);
    }
    study = open_study(&request);
    check_priors(study);
    qn_study_close(study);
}

#define PRIOR_TEST(name) cmocka_unit_test_teardown(name, empty_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PRIOR_TEST(trials_that_fit_are_told_before_the_first),
        PRIOR_TEST(a_study_taken_up_again_knows_them_still),
        PRIOR_TEST(a_space_by_run_is_theirs),
        PRIOR_TEST(what_cannot_be_learned_from_is_told),
        PRIOR_TEST(a_warm_start_survives_running_out_of_memory),
        PRIOR_TEST(a_warm_start_that_was_cut_off_is_made_up_for),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
