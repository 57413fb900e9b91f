/* SPDX-License-Identifier: Apache-2.0 */
/* What every store must do: a study taken up again goes on as it would have; several coordinators,
 * threads or processes, share a study without losing a trial or running one twice; trials of dead
 * processes are run again, marked. A study in memory must do what does not need a second process.
 *
 * PostgreSQL takes part when QUERN_TEST_POSTGRES is its URL (tests/support/with_postgres.sh). */
#include "database/postgres.h"
#include "search/study/study.h"

#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-stores-XXXXXX", url[512];
static bool is_in_memory;

static const char space[] = "{parameters: {x: {type: float, low: -5, high: 5},"
                            " c: {type: categorical, choices: [a, b]},"
                            " y: {type: int, low: 1, high: 9, when: {c: b}}}}";

/* Every test has a study of its own name. */
static char study_name[64];

static qn_study *open_study(const qn_study_request *request)
{
    qn_error err = {0};
    qn_study *study = NULL;
    qn_study_request own = *request;
    own.store = is_in_memory ? NULL : url;
    own.name = study_name;
    if (qn_study_open(&own, &study, &err) != QN_OK) fail_msg("%s", err.message);
    return study;
}

static qn_trial *ask(qn_study *study)
{
    qn_error err = {0};
    qn_trial *trial = NULL;
    if (qn_study_ask(study, &trial, &err) != QN_OK) fail_msg("%s", err.message);
    CHECK(trial != NULL);
    return trial;
}

static double value_of(const qn_trial *trial)
{
    const double *values = qn_trial_get_record(trial)->values;
    return values[0] * values[0] + values[1] + (isnan(values[2]) ? 0 : fabs(values[2] - 3));
}

/* Trials [begin, begin + n) of all kinds. */
static void run(qn_study *study, int begin, int n, double *xs)
{
    qn_error err = {0};
    for (int i = begin; i < begin + n; i++) {
        qn_trial *trial = ask(study);
        xs[i] = qn_trial_get_record(trial)->values[0];
        const double value = value_of(trial);
        CHECK_OK(qn_trial_report(trial, 1, value + 1, NULL, &err));
        CHECK_OK(qn_trial_annotate(trial, "note", "{\"a\":[1,\"x\"]}", &err));
        CHECK_OK(i % 7 == 3   ? qn_trial_fail(trial, &err)
                 : i % 7 == 5 ? qn_trial_prune(trial, &err)
                              : qn_trial_tell(trial, &value, 1, &err));
    }
}

static void check_same_trials(const qn_study *a, const qn_study *b)
{
    const qn_history *first = qn_study_history(a), *second = qn_study_history(b);
    CHECK_INT(first->n_trials, second->n_trials);
    for (int64_t i = 0; i < first->n_trials; i++) {
        qn_str text = {0}, other = {0};
        qn_trial_write(first, first->trials[i], &(qn_json_writer){.out = &text});
        qn_trial_write(second, second->trials[i], &(qn_json_writer){.out = &other});
        CHECK_TEXT(text.text, other.text);
        qn_str_release(&text);
        qn_str_release(&other);
    }
}

static void a_study_taken_up_again_goes_on_as_it_would_have(void **state)
{
    (void)state;
    qn_error err = {0};
    double whole[60], parts[60];
    const qn_study_request request = {
        .space = space, .sampler = "tpe", .seed = 3, .pruner = "median"};
    qn_study *study = NULL;
    CHECK_OK(qn_study_open(&request, &study, &err));
    run(study, 0, 60, whole);
    for (int begin = 0; begin < 60; begin += 20) {
        /* Only the first one says how. */
        qn_study *part = open_study(begin == 0 ? &request : &(qn_study_request){0});
        CHECK_INT(qn_study_history(part)->n_trials, begin);
        run(part, begin, 20, parts);
        qn_study_close(part);
    }
    assert_memory_equal(whole, parts, sizeof whole);
    qn_study *again = open_study(&(qn_study_request){.read_only = true});
    check_same_trials(study, again);
    qn_study_close(study);
    qn_study_close(again);
}

static void trials_told_out_of_order_are_told_so_again(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_trial *trials[6];
    qn_study *study = open_study(&(qn_study_request){.space = space});
    for (int i = 0; i < 6; i++) {
        trials[i] = ask(study);
    }
    for (int i = 5; i >= 0; i--) {
        CHECK_OK(qn_trial_tell(trials[i], &(double){i}, 1, &err));
    }
    qn_study_close(study);
    study = open_study(&(qn_study_request){0});
    for (int i = 0; i < 6; i++) {
        CHECK_INT(qn_study_history(study)->told[i]->number, 5 - i);
    }
    qn_study_close(study);
}

static void what_was_running_is_tried_again_and_marked(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(&(qn_study_request){.space = space});
    ask(study);
    qn_trial *trial = ask(study);
    const double x = qn_trial_get_record(trial)->values[0];
    CHECK_OK(qn_trial_tell(trial, &(double){1}, 1, &err));
    qn_study_close(study); /* trial 0 is lost */

    study = open_study(&(qn_study_request){.keep_running = true});
    CHECK_INT(qn_study_history(study)->trials[0]->state, QN_TRIAL_RUNNING);
    qn_study_close(study);
    study = open_study(&(qn_study_request){0});
    CHECK_INT(qn_study_history(study)->trials[0]->state, QN_TRIAL_WAITING);
    CHECK(qn_study_history(study)->trials[1]->values[0] == x);
    trial = ask(study);
    CHECK_INT(qn_trial_number(trial), 0);
    CHECK_INT(qn_trial_get_record(trial)->n_retries, 1);
    qn_study_close(study);
}

static void what_was_asked_for_by_hand_outlives_its_process(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(&(qn_study_request){.space = space, .keep_running = true});
    ask(study);
    qn_study_close(study);
    study = open_study(&(qn_study_request){0});
    CHECK_INT(qn_study_history(study)->trials[0]->state, QN_TRIAL_RUNNING);
    CHECK_INT(qn_trial_number(ask(study)), 1);
    CHECK_FAILS(QN_ERR_ARG, qn_trial_tell(qn_study_trial(study, 0), &(double){1}, 1, &err));
    CHECK_CONTAINS(err.message, "trial 0 runs in another process");
    qn_study *other = open_study(&(qn_study_request){.keep_running = true});
    qn_study *third = open_study(&(qn_study_request){.keep_running = true});
    CHECK_OK(qn_trial_tell(qn_study_trial(other, 0), &(double){1}, 1, &err));
    CHECK_FAILS(QN_ERR_ARG, qn_trial_tell(qn_study_trial(third, 0), &(double){2}, 1, &err));
    CHECK_CONTAINS(err.message, "trial 0 is not running but complete");
    CHECK(qn_study_history(third)->trials[0]->losses[0] == 1);
    qn_study_close(third);
    qn_study_close(other);
    qn_study_close(study);
}

static void a_trial_given_back_is_asked_for_again(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(&(qn_study_request){.space = space});
    qn_trial *first = ask(study);
    const double x = qn_trial_get_record(first)->values[0];
    ask(study);
    CHECK_OK(qn_trial_report(first, 1, 5, NULL, &err));
    CHECK_OK(qn_trial_retry(first, &err));
    CHECK_FAILS(QN_ERR_ARG, qn_trial_retry(first, &err));
    CHECK_CONTAINS(err.message, "is not running but waiting");
    qn_trial *again = ask(study);
    CHECK_INT(qn_trial_number(again), 0);
    const qn_trial_record *record = qn_trial_get_record(again);
    CHECK(record->values[0] == x && record->n_retries == 1 && record->n_reports == 0);
    CHECK_INT(qn_trial_number(ask(study)), 2);
    qn_study_close(study);
}

/* Several processes that define by running agree on what a parameter is. */
static void spaces_grow_in_several_processes(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *studies[2];
    double value;
    for (int i = 0; i < 2; i++) {
        studies[i] = open_study(&(qn_study_request){.sampler = "tpe"});
    }
    for (int i = 0; i < 40; i++) {
        qn_trial *trial = ask(studies[i % 2]);
        for (int k = 0; k < 2; k++) {
            char name[16];
            snprintf(name, sizeof name, "x%d", (i + k) % (i / 10 + 1));
            CHECK_OK(qn_trial_float(trial, name, &(qn_range){.high = 1}, &value, &err));
        }
        CHECK_OK(qn_trial_tell(trial, &value, 1, &err));
    }
    qn_study *third = open_study(&(qn_study_request){.read_only = true});
    CHECK_INT(qn_study_space(third)->n, 4);
    CHECK_OK(qn_study_refresh(studies[0], &err));
    CHECK_OK(qn_study_refresh(studies[1], &err));
    check_same_trials(third, studies[0]);
    check_same_trials(third, studies[1]);
    qn_trial *trial = ask(studies[0]);
    CHECK_FAILS(QN_ERR_ARG, qn_trial_float(trial, "x3", &(qn_range){.high = 2}, &value, &err));
    CHECK_CONTAINS(err.message, "with another range");
    qn_study_close(third);
    qn_study_close(studies[0]);
    qn_study_close(studies[1]);
}

/* Threads, each with a study of its own or all with one, run trials until there are N_SHARED. */
enum { N_SHARED = 200, N_THREADS = 4 };

struct sharer {
    pthread_t thread;
    qn_study *study;
    int runs[N_SHARED];
    qn_status status;
    qn_error err;
};

static void *share(void *argument)
{
    struct sharer *sharer = argument;
    while (sharer->status == QN_OK) {
        qn_trial *trial;
        sharer->status = qn_study_ask_below(sharer->study, N_SHARED, &trial, &sharer->err);
        if (sharer->status != QN_OK || !trial) break;
        sharer->runs[qn_trial_number(trial)]++;
        const double value = (double)qn_trial_number(trial);
        sharer->status = qn_trial_tell(trial, &value, 1, &sharer->err);
    }
    return NULL;
}

static qn_status end_other_sessions(qn_postgres *database, qn_error *err)
{
    return qn_postgres_run(database,
                           "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                           " WHERE application_name = 'quern' AND pid <> pg_backend_pid()",
                           err);
}

/* Sessions end at any moment, in the middle of a statement too. */
static atomic_bool is_done;

static void *keep_killing(void *argument)
{
    while (!atomic_load(&is_done)) {
        if (end_other_sessions(argument, NULL) != QN_OK) break;
        usleep(20000);
    }
    return NULL;
}

/* `killer`, unless NULL, ends sessions meanwhile. */
static void check_sharing(bool own_studies, qn_postgres *killer)
{
    pthread_t killing;
    static struct sharer sharers[N_THREADS];
    qn_study *whole = open_study(&(qn_study_request){.space = space, .sampler = "random"});
    memset(sharers, 0, sizeof sharers);
    for (int i = 0; i < N_THREADS; i++) {
        sharers[i].study = own_studies ? open_study(&(qn_study_request){0}) : whole;
    }
    atomic_store(&is_done, false);
    if (killer) CHECK_INT(pthread_create(&killing, NULL, keep_killing, killer), 0);
    for (int i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_create(&sharers[i].thread, NULL, share, &sharers[i]), 0);
    }
    int total[N_SHARED] = {0};
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(sharers[i].thread, NULL);
        if (sharers[i].status != QN_OK) fail_msg("%s", sharers[i].err.message);
        for (int k = 0; k < N_SHARED; k++) {
            total[k] += sharers[i].runs[k];
        }
        if (own_studies) qn_study_close(sharers[i].study);
    }
    atomic_store(&is_done, true);
    if (killer) pthread_join(killing, NULL);
    qn_error err = {0};
    CHECK_OK(qn_study_refresh(whole, &err));
    CHECK_INT(qn_study_history(whole)->n_trials, N_SHARED);
    CHECK_INT(qn_study_history(whole)->n_told, N_SHARED);
    for (int k = 0; k < N_SHARED; k++) {
        const qn_trial_record *record = qn_study_history(whole)->trials[k];
        CHECK_INT(total[k], 1);
        CHECK(record->state == QN_TRIAL_COMPLETE && record->losses[0] == k);
        CHECK_INT(record->n_retries, 0);
    }
    if (!is_in_memory) {
        qn_study *again = open_study(&(qn_study_request){.read_only = true});
        check_same_trials(whole, again);
        qn_study_close(again);
    }
    qn_study_close(whole);
}

static void threads_share_a_study(void **state)
{
    (void)state;
    check_sharing(false, NULL);
}

static void coordinators_share_a_study(void **state)
{
    (void)state;
    check_sharing(true, NULL);
}

static void what_one_tells_the_other_knows(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *a = open_study(&(qn_study_request){.space = space, .pruner = "median"});
    qn_study *b = open_study(&(qn_study_request){0});
    CHECK_OK(qn_study_enqueue(a, "{\"x\": 1}", &err));
    qn_trial *trial = ask(b);
    CHECK_INT(qn_trial_number(trial), 0);
    CHECK(qn_trial_get_record(trial)->values[0] == 1);
    CHECK_INT(qn_trial_number(ask(a)), 1);
    CHECK_OK(qn_trial_report(trial, 7, 0.5, NULL, &err));
    CHECK_OK(qn_study_refresh(a, &err));
    const qn_trial_record *seen = qn_study_history(a)->trials[0];
    CHECK_INT(seen->state, QN_TRIAL_RUNNING);
    CHECK(seen->n_reports == 1 && seen->reports[0].step == 7 && seen->reports[0].loss == 0.5);
    CHECK_INT(qn_study_n_elsewhere(a), 1);
    CHECK_OK(qn_trial_violate(trial, 0.25, &err));
    CHECK_OK(qn_trial_annotate(trial, "note", "[1]", &err));
    CHECK_OK(qn_trial_tell(trial, &(double){3}, 1, &err));
    CHECK_OK(qn_study_refresh(a, &err));
    CHECK_INT(qn_study_n_elsewhere(a), 0);
    CHECK(seen->state == QN_TRIAL_COMPLETE && seen->losses[0] == 3 && seen->violation == 0.25);
    CHECK_TEXT(seen->attributes->json, "[1]");
    qn_study_close(b);
    qn_study_close(a);
}

/* A process that asks for a trial and is killed while it runs. */
static int64_t die_with_a_trial(void)
{
    int ready[2];
    int64_t number = -1;
    CHECK_INT(pipe(ready), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        qn_error err = {0};
        qn_study *study;
        qn_trial *trial;
        if (qn_study_open(&(qn_study_request){.store = url, .name = study_name}, &study, &err) ||
            qn_study_ask(study, &trial, &err)) {
            _exit(1);
        }
        number = qn_trial_number(trial);
        if (write(ready[1], &number, sizeof number) != sizeof number) _exit(1);
        for (;;) {
            pause();
        }
    }
    CHECK(pid > 0);
    close(ready[1]);
    CHECK_INT(read(ready[0], &number, sizeof number), sizeof number);
    close(ready[0]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return number;
}

/* Until the death is known, which takes a moment. */
static qn_trial_state wait_for_end(qn_study *study, int64_t number)
{
    qn_error err = {0};
    for (int i = 0; i < 200; i++) {
        CHECK_OK(qn_study_refresh(study, &err));
        const qn_trial_state state = qn_study_history(study)->trials[number]->state;
        if (state != QN_TRIAL_RUNNING) return state;
        usleep(50000);
    }
    return QN_TRIAL_RUNNING;
}

static void trials_of_dead_workers_are_run_again(void **state)
{
    (void)state;
    qn_study *study = open_study(&(qn_study_request){.space = space});
    for (int i = 0; i < 3; i++) {
        CHECK_INT(die_with_a_trial(), 0);
        CHECK_INT(wait_for_end(study, 0), QN_TRIAL_WAITING);
        CHECK_INT(qn_study_history(study)->trials[0]->n_retries, i + 1);
    }
    CHECK_INT(qn_trial_number(ask(study)), 0);
    CHECK_INT(qn_trial_number(ask(study)), 1);
    qn_study_close(study);
}

static void a_trial_that_outlives_too_many_workers_fails(void **state)
{
    (void)state;
    qn_study_close(open_study(&(qn_study_request){.space = space}));
    for (int i = 0; i < 20; i++) {
        qn_study *study = open_study(&(qn_study_request){0});
        CHECK_INT(qn_trial_number(ask(study)), 0);
        qn_study_close(study);
    }
    CHECK_INT(die_with_a_trial(), 0);
    qn_study *study = open_study(&(qn_study_request){0});
    CHECK_INT(wait_for_end(study, 0), QN_TRIAL_FAILED);
    const qn_trial_record *record = qn_study_history(study)->trials[0];
    CHECK_INT(record->n_retries, 20);
    CHECK_CONTAINS(record->attributes->json, "its worker died");
    CHECK_INT(qn_trial_number(ask(study)), 1);
    qn_study_close(study);
}

/* The operations themselves. */

struct sight {
    int n;
    qn_trial_state state;
    double loss;
};

static qn_status see(void *context, const qn_stored_trial *trial, qn_error *err)
{
    struct sight *sight = context;
    (void)err;
    sight->n++;
    sight->state = trial->record.state;
    sight->loss = trial->record.losses ? trial->record.losses[0] : 0;
    return QN_OK;
}

static int64_t put(qn_store *store, qn_trial_state state, int64_t revision, const double *loss)
{
    qn_error err = {0};
    int64_t made;
    double losses[1] = {loss ? *loss : 0}, values[2] = {1, 2};
    const qn_stored_trial trial = {.record = {.number = 0,
                                              .state = state,
                                              .n_values = 2,
                                              .values = values,
                                              .losses = loss ? losses : NULL,
                                              .revision = revision}};
    if (store->backend->put(store->state, &trial, 1, &made, &err) != QN_OK) {
        fail_msg("%s", err.message);
    }
    CHECK_OK(store->backend->commit(store->state, &err));
    return made;
}

static void a_trial_is_written_only_as_it_is_known(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_store a, b;
    bool done, alive;
    CHECK_OK(qn_store_open(url, study_name, QN_STORE_WORK, &a, &err));
    CHECK_OK(qn_store_open(url, study_name, QN_STORE_WORK, &b, &err));
    CHECK(!a.definition && a.worker != b.worker);
    CHECK_OK(a.backend->define(a.state, "{}", &done, &err));
    CHECK(done);
    CHECK_OK(b.backend->define(b.state, "{\"b\":1}", &done, &err));
    CHECK(!done);
    char *definition;
    CHECK_OK(b.backend->read_definition(b.state, &definition, &err));
    CHECK_TEXT(definition, "{}");
    qn_free(definition);
    CHECK_OK(b.backend->define(b.state, "{\"b\":1}", &done, &err));
    CHECK(done);
    CHECK_OK(a.backend->define(a.state, "{\"a\":1}", &done, &err));
    CHECK(!done);

    const int64_t first = put(&a, QN_TRIAL_RUNNING, 0, NULL);
    CHECK(first > 0);
    CHECK_INT(put(&b, QN_TRIAL_RUNNING, 0, NULL), 0); /* the number is taken */
    const int64_t second = put(&b, QN_TRIAL_COMPLETE, first, &(double){0.5});
    CHECK(second > first);
    CHECK_INT(put(&a, QN_TRIAL_COMPLETE, first, &(double){0.7}), 0);
    struct sight sight = {0};
    CHECK_OK(a.backend->changes(a.state, true, see, &sight, &err));
    CHECK(sight.n == 1 && sight.state == QN_TRIAL_COMPLETE && sight.loss == 0.5);

    CHECK_OK(a.backend->is_alive(a.state, a.worker, &alive, &err));
    CHECK(alive);
    CHECK_OK(a.backend->is_alive(a.state, b.worker, &alive, &err));
    CHECK(alive);
    const int64_t gone = b.worker;
    qn_store_close(&b);
    for (int i = 0; alive && i < 100; i++) {
        usleep(20000);
        CHECK_OK(a.backend->is_alive(a.state, gone, &alive, &err));
    }
    CHECK(!alive);
    qn_store_close(&a);
}

static int n_names;

static void count_name(void *context, const char *study)
{
    n_names += strcmp(study, context) == 0;
}

static void studies_are_listed(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study_close(open_study(&(qn_study_request){.space = space}));
    n_names = 0;
    CHECK_OK(qn_store_list(url, count_name, study_name, &err));
    CHECK_INT(n_names, 1);
    qn_study *study;
    CHECK_FAILS(QN_ERR_ARG,
                qn_study_open(&(qn_study_request){.store = url, .name = "q", .read_only = true},
                              &study, &err));
    CHECK_CONTAINS(err.message, "there is no study 'q'");
}

static void who_only_looks_changes_nothing(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_study *study = open_study(&(qn_study_request){.space = space});
    qn_study *looking = open_study(&(qn_study_request){.read_only = true});
    qn_trial *trial;
    ask(study);
    CHECK_FAILS(QN_ERR_ARG, qn_study_ask(looking, &trial, &err));
    CHECK_CONTAINS(err.message, "opened for reading");
    CHECK_OK(qn_study_refresh(looking, &err));
    CHECK_INT(qn_study_history(looking)->n_trials, 1);
    qn_study_close(looking);
    qn_study_close(study);
}

static qn_status short_study(qn_error *err)
{
    static int n_studies;
    char name[32];
    qn_study *study = NULL;
    qn_status status = QN_OK;
    snprintf(name, sizeof name, "short %d", n_studies++);
    for (int round = 0; status == QN_OK && round < 2; round++) {
        qn_trial *trial;
        status = qn_study_open(&(qn_study_request){.store = url, .name = name, .space = space},
                               &study, err);
        if (status == QN_OK) status = qn_study_ask(study, &trial, err);
        if (status == QN_OK) status = qn_trial_annotate(trial, "a", "[1]", err);
        if (status == QN_OK) status = qn_trial_report(trial, 1, 1, NULL, err);
        if (status == QN_OK && round == 0) status = qn_trial_retry(trial, err);
        if (status == QN_OK && round == 1) status = qn_trial_tell(trial, &(double){1}, 1, err);
        qn_study_close(study);
        study = NULL;
    }
    return status;
}

static void a_store_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(short_study(NULL));
}

/* What only PostgreSQL does. */

static void a_lost_connection_is_made_anew(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_postgres *killer;
    CHECK_OK(qn_postgres_open(url, &killer, &err));
    qn_study *study = open_study(&(qn_study_request){.space = space, .sampler = "tpe"});
    qn_study *other = open_study(&(qn_study_request){0});
    for (int i = 0; i < 60; i++) {
        if (i % 3 == 0) CHECK_OK(end_other_sessions(killer, &err));
        qn_trial *trial = ask(i % 2 ? study : other);
        CHECK_INT(qn_trial_number(trial), i);
        if (i % 3 == 1) CHECK_OK(end_other_sessions(killer, &err));
        CHECK_OK(qn_trial_report(trial, 1, i, NULL, &err));
        if (i % 3 == 2) CHECK_OK(end_other_sessions(killer, &err));
        CHECK_OK(qn_trial_tell(trial, &(double){i}, 1, &err));
    }
    CHECK_OK(end_other_sessions(killer, &err));
    CHECK_OK(qn_study_stay(other, &err));
    CHECK_OK(qn_study_refresh(study, &err));
    CHECK_OK(qn_study_refresh(other, &err));
    check_same_trials(study, other);
    CHECK_INT(qn_study_history(study)->n_told, 60);
    for (int i = 0; i < 60; i++) {
        const qn_trial_record *record = qn_study_history(study)->trials[i];
        CHECK(record->losses[0] == i && record->n_retries == 0);
    }
    qn_study_close(other);
    qn_study_close(study);
    qn_postgres_close(killer);
}

static void connections_lost_at_any_moment_lose_and_double_nothing(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_postgres *killer;
    CHECK_OK(qn_postgres_open(url, &killer, &err));
    check_sharing(true, killer);
    qn_postgres_close(killer);
}

static int n_tests;

static int name_study(void **state)
{
    (void)state;
    snprintf(study_name, sizeof study_name, "study '%d' of %ld", n_tests++, (long)getpid());
    return 0;
}

#define STORE_TEST(name) cmocka_unit_test_setup(name, name_study)

static const struct CMUnitTest everywhere[] = {
    STORE_TEST(a_trial_given_back_is_asked_for_again),
    STORE_TEST(threads_share_a_study),
};

static const struct CMUnitTest shared[] = {
    STORE_TEST(a_study_taken_up_again_goes_on_as_it_would_have),
    STORE_TEST(trials_told_out_of_order_are_told_so_again),
    STORE_TEST(what_was_running_is_tried_again_and_marked),
    STORE_TEST(what_was_asked_for_by_hand_outlives_its_process),
    STORE_TEST(a_trial_given_back_is_asked_for_again),
    STORE_TEST(spaces_grow_in_several_processes),
    STORE_TEST(threads_share_a_study),
    STORE_TEST(coordinators_share_a_study),
    STORE_TEST(what_one_tells_the_other_knows),
    STORE_TEST(trials_of_dead_workers_are_run_again),
    STORE_TEST(a_trial_that_outlives_too_many_workers_fails),
    STORE_TEST(a_trial_is_written_only_as_it_is_known),
    STORE_TEST(studies_are_listed),
    STORE_TEST(who_only_looks_changes_nothing),
    STORE_TEST(a_store_survives_running_out_of_memory),
};

static const struct CMUnitTest postgres_alone[] = {
    STORE_TEST(a_lost_connection_is_made_anew),
    STORE_TEST(connections_lost_at_any_moment_lose_and_double_nothing),
};

static int run_sqlite(void)
{
    if (!mkdtemp(folder)) return 1;
    snprintf(url, sizeof url, "sqlite:%s/s.db?sync=normal", folder);
    const int failed = cmocka_run_group_tests_name("sqlite", shared, NULL, NULL);
    static const char *const endings[] = {"", "-lock", "-wal", "-shm"};
    for (int i = 0; i < 4; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/s.db%s", folder, endings[i]);
        unlink(path);
    }
    return failed + (rmdir(folder) != 0);
}

int main(void)
{
    const char *postgres = getenv("QUERN_TEST_POSTGRES");
    if (postgres) {
        snprintf(url, sizeof url, "%s", postgres);
        const int failed = cmocka_run_group_tests_name("postgres", shared, NULL, NULL);
        return failed + cmocka_run_group_tests_name("sessions", postgres_alone, NULL, NULL);
    }
    is_in_memory = true;
    const int failed = cmocka_run_group_tests_name("memory", everywhere, NULL, NULL);
    is_in_memory = false;
    return failed + run_sqlite();
}
