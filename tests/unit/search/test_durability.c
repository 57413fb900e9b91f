/* SPDX-License-Identifier: Apache-2.0 */
/* When a study in SQLite waits for the disk, and what it does when that fails: fdatasync() is this
 * file's, for SQLite's library too. */
#include "database/sqlite.h"
#include "search/study/study.h"

#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-durability-XXXXXX", path[64];

static const char space[] = "{parameters: {x: {type: float, low: -5, high: 5}}}";

static atomic_int n_syncs;
static atomic_bool fails;
static atomic_bool is_slow; /* as slow as it takes */

int fdatasync(int descriptor)
{
    atomic_fetch_add(&n_syncs, 1);
    if (atomic_load(&fails)) {
        errno = EIO;
        return -1;
    }
    while (atomic_load(&is_slow)) {
        usleep(1000);
    }
    return (int)syscall(SYS_fdatasync, descriptor);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/s.db", folder);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    static const char *const endings[] = {"", "-lock", "-wal", "-shm"};
    atomic_store(&fails, false);
    for (int i = 0; i < 4; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        unlink(name);
    }
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static qn_study *open_study(const char *ending)
{
    char url[96];
    qn_error err = {0};
    qn_study *study = NULL;
    snprintf(url, sizeof url, "sqlite:%s%s", path, ending);
    CHECK_OK(qn_study_open(&(qn_study_request){.store = url, .space = space}, &study, &err));
    return study;
}

static qn_trial *ask(qn_study *study)
{
    qn_error err = {0};
    qn_trial *trial = NULL;
    CHECK_OK(qn_study_ask(study, &trial, &err));
    return trial;
}

static void tell(qn_trial *trial)
{
    qn_error err = {0};
    CHECK_OK(qn_trial_tell(trial, &(double){1}, 1, &err));
}

/* The first write of all makes the log, whose head goes to the disk. */
static void only_ends_wait_for_the_disk(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study("");
    qn_trial *first = ask(study), *second = ask(study);
    const int before = atomic_load(&n_syncs);
    CHECK_OK(qn_trial_report(second, 1, 1, NULL, &err));
    qn_trial *third = ask(study);
    CHECK_INT(atomic_load(&n_syncs), before);
    tell(first);
    CHECK_INT(atomic_load(&n_syncs), before + 1);
    CHECK_OK(qn_trial_report(second, 2, 1, NULL, &err));
    CHECK_OK(qn_trial_fail(second, &err));
    CHECK_INT(atomic_load(&n_syncs), before + 2);
    CHECK_OK(qn_trial_retry(third, &err));
    CHECK_INT(atomic_load(&n_syncs), before + 2);
    qn_study_close(study);
}

static void nothing_waits_where_the_url_says_so(void **state)
{
    (void)state;
    qn_study *study = open_study("?sync=normal");
    qn_trial *first = ask(study), *second = ask(study);
    const int before = atomic_load(&n_syncs);
    tell(first);
    tell(second);
    CHECK_INT(atomic_load(&n_syncs), before);
    qn_study_close(study);
}

static void *tell_in_thread(void *trial)
{
    tell(trial);
    return NULL;
}

static int64_t n_told(qn_study *study)
{
    qn_error err = {0};
    CHECK_OK(qn_study_refresh(study, &err));
    return qn_study_history(study)->n_told;
}

/* While one tell waits for the disk, another process sees what others tell; then one write is for
 * all of them. */
static void tells_share_writes_to_the_disk(void **state)
{
    (void)state;
    enum { N = 5 };
    pthread_t threads[N];
    qn_trial *trials[N];
    qn_study *study = open_study(""), *other = open_study("");
    for (int i = 0; i < N; i++) {
        trials[i] = ask(study);
    }
    atomic_store(&is_slow, true);
    const int before = atomic_load(&n_syncs);
    for (int i = 0; i < N; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, tell_in_thread, trials[i]), 0);
        while (atomic_load(&n_syncs) == before || n_told(other) <= i) {
            usleep(1000);
        }
    }
    CHECK_INT(atomic_load(&n_syncs), before + 1);
    CHECK_INT(qn_trial_number(ask(study)), N);
    atomic_store(&is_slow, false);
    for (int i = 0; i < N; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK_INT(atomic_load(&n_syncs), before + 2);
    qn_study_close(other);
    qn_study_close(study);
}

static void a_disk_that_fails_is_told(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_trial *trial;
    qn_study *study = open_study("");
    qn_trial *first = ask(study);
    tell(ask(study));
    atomic_store(&fails, true);
    CHECK_FAILS(QN_ERR_IO, qn_trial_tell(first, &(double){1}, 1, &err));
    CHECK_CONTAINS(err.message, path);
    CHECK_CONTAINS(err.message, "Input/output error");
    atomic_store(&fails, false);
    CHECK_FAILS(QN_ERR_IO, qn_study_ask(study, &trial, &err));
    CHECK_CONTAINS(err.message, "open the study again");
    qn_study_close(study);
    study = open_study("");
    CHECK(n_told(study) >= 1);
    tell(ask(study));
    qn_study_close(study);
}

/* As VACUUM INTO leaves it: the log comes back. */
static void a_copy_without_a_log_gets_one(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_sqlite *database;
    char log[96];
    snprintf(log, sizeof log, "%s-wal", path);
    qn_study_close(open_study(""));
    CHECK_OK(qn_sqlite_open(path, QN_SQLITE_WRITE, &database, &err));
    CHECK_OK(qn_sqlite_run(database, "PRAGMA journal_mode = DELETE", &err));
    qn_sqlite_close(database);
    CHECK(access(log, F_OK) != 0);
    qn_study *study = open_study("");
    CHECK_INT(access(log, F_OK), 0);
    const int before = atomic_load(&n_syncs);
    tell(ask(study));
    CHECK(atomic_load(&n_syncs) > before);
    qn_study_close(study);
}

#define STORE_TEST(name) cmocka_unit_test_teardown(name, remove_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(only_ends_wait_for_the_disk),    STORE_TEST(nothing_waits_where_the_url_says_so),
        STORE_TEST(tells_share_writes_to_the_disk), STORE_TEST(a_disk_that_fails_is_told),
        STORE_TEST(a_copy_without_a_log_gets_one),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
