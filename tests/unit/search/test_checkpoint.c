/* SPDX-License-Identifier: Apache-2.0 */
#include "search/study/checkpoint.h"
#include "search/study/study.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-checkpoint-XXXXXX", place[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(place, sizeof place, "%s/c", folder);
    return 0;
}

/* Fails when a test has left anything. */
static int remove_folder(void **state)
{
    (void)state;
    return rmdir(place) == 0 ? rmdir(folder) : -1;
}

static qn_study *open_study(int64_t seed)
{
    qn_error err = {0};
    qn_study *study = NULL;
    CHECK_OK(
        qn_study_open(&(qn_study_request){.space = "{parameters: {x: {type: float, low: 0, high: "
                                                   "1}}}",
                                          .sampler = "random",
                                          .seed = seed},
                      &study, &err));
    return study;
}

static qn_trial *ask(qn_study *study)
{
    qn_error err = {0};
    qn_trial *trial = NULL;
    CHECK_OK(qn_study_ask(study, &trial, &err));
    return trial;
}

static const char *begin(const qn_checkpoints *checkpoints, qn_study *study, const qn_trial *trial,
                         qn_arena *arena)
{
    qn_error err = {0};
    const char *path = NULL;
    CHECK_OK(qn_checkpoint_begin(checkpoints, qn_study_space(study), qn_trial_get_record(trial),
                                 arena, &path, &err));
    return path;
}

/* A file in a folder in the checkpoint. */
static void leave(const char *path, char *file, size_t file_bytes)
{
    snprintf(file, file_bytes, "%s/deep", path);
    CHECK(mkdir(file, 0777) == 0);
    snprintf(file, file_bytes, "%s/deep/weights", path);
    FILE *out = fopen(file, "w");
    CHECK(out && fputs("1", out) >= 0 && fclose(out) == 0);
}

static void a_trial_finds_its_checkpoint_until_it_has_ended(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_arena arena = {0};
    qn_checkpoints checkpoints;
    char file[256];
    qn_study *study = open_study(1);
    CHECK_OK(qn_checkpoints_open(place, qn_study_history(study), &checkpoints, &err));
    qn_trial *trial = ask(study);
    const char *path = begin(&checkpoints, study, trial, &arena);
    CHECK(path && path[0] == '/');
    leave(path, file, sizeof file);

    CHECK_OK(qn_trial_retry(trial, &err));
    qn_checkpoint_end(&checkpoints, qn_study_space(study), qn_trial_get_record(trial));
    CHECK(ask(study) == trial);
    CHECK_TEXT(begin(&checkpoints, study, trial, &arena), path);
    CHECK(access(file, F_OK) == 0);

    CHECK_OK(qn_trial_tell(trial, &(double){1}, 1, &err));
    qn_checkpoint_end(&checkpoints, qn_study_space(study), qn_trial_get_record(trial));
    CHECK(access(path, F_OK) != 0);

    qn_checkpoints_close(&checkpoints, qn_study_history(study), true);
    qn_arena_release(&arena);
    qn_study_close(study);
}

static void a_first_try_begins_with_an_empty_folder(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_arena arena = {0};
    qn_checkpoints checkpoints;
    char file[256];
    qn_study *study = open_study(1), *other = open_study(2);
    CHECK_OK(qn_checkpoints_open(place, qn_study_history(study), &checkpoints, &err));
    qn_trial *trial = ask(study), *alike = ask(other);
    const char *path = begin(&checkpoints, study, trial, &arena);
    leave(path, file, sizeof file);

    /* The same number of another study is another trial. */
    CHECK(strcmp(begin(&checkpoints, other, alike, &arena), path) != 0);
    CHECK(access(file, F_OK) == 0);
    CHECK_TEXT(begin(&checkpoints, study, trial, &arena), path);
    CHECK(access(path, F_OK) == 0 && access(file, F_OK) != 0);

    /* What a study without a store leaves is of no use to anybody. */
    qn_checkpoints_close(&checkpoints, qn_study_history(study), false);
    CHECK(access(path, F_OK) != 0);
    CHECK_OK(qn_checkpoints_open(place, qn_study_history(other), &checkpoints, &err));
    CHECK_OK(qn_trial_fail(alike, &err));
    qn_checkpoints_close(&checkpoints, qn_study_history(other), true);
    qn_arena_release(&arena);
    qn_study_close(study);
    qn_study_close(other);
}

static void links_are_removed_and_not_followed(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_arena arena = {0};
    qn_checkpoints checkpoints;
    char target[96], file[256], link[256];
    qn_study *study = open_study(1);
    CHECK_OK(qn_checkpoints_open(place, qn_study_history(study), &checkpoints, &err));
    snprintf(target, sizeof target, "%s/target", folder);
    CHECK(mkdir(target, 0777) == 0);
    leave(target, file, sizeof file);
    snprintf(link, sizeof link, "%s/link", begin(&checkpoints, study, ask(study), &arena));
    CHECK(symlink(target, link) == 0);
    qn_checkpoints_close(&checkpoints, qn_study_history(study), false);
    CHECK(access(link, F_OK) != 0 && access(file, F_OK) == 0);
    CHECK(unlink(file) == 0);
    snprintf(file, sizeof file, "%s/deep", target);
    CHECK(rmdir(file) == 0 && rmdir(target) == 0);
    qn_arena_release(&arena);
    qn_study_close(study);
}

static void a_place_that_cannot_be_made_is_told(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_checkpoints checkpoints;
    qn_study *study = open_study(1);
    CHECK_FAILS(QN_ERR_IO,
                qn_checkpoints_open("/none/c", qn_study_history(study), &checkpoints, &err));
    CHECK_CONTAINS(err.message, "/none/c: No such file");
    qn_study_close(study);
}

static qn_status use(qn_study *study, const qn_trial *trial, qn_error *err)
{
    qn_arena arena = {0};
    qn_checkpoints checkpoints;
    const char *path;
    qn_status status = qn_checkpoints_open(place, qn_study_history(study), &checkpoints, err);
    if (status == QN_OK) {
        status = qn_checkpoint_begin(&checkpoints, qn_study_space(study),
                                     qn_trial_get_record(trial), &arena, &path, err);
    }
    qn_checkpoints_close(&checkpoints, qn_study_history(study), false);
    qn_arena_release(&arena);
    return status;
}

static void checkpoints_survive_running_out_of_memory(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(1);
    const qn_trial *trial = ask(study);
    /* Without the memory for its name a folder stays. */
    CHECK_SURVIVES_NO_MEMORY_RELEASING(use(study, trial, &err), (void)0);
    CHECK_OK(use(study, trial, &err));
    qn_study_close(study);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trial_finds_its_checkpoint_until_it_has_ended),
        TEST(a_first_try_begins_with_an_empty_folder),
        TEST(links_are_removed_and_not_followed),
        TEST(a_place_that_cannot_be_made_is_told),
        TEST(checkpoints_survive_running_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
