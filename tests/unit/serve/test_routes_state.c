/* SPDX-License-Identifier: Apache-2.0 */
/* What routes have learned: written, read, refused, and restored to the same plans alone. */
#include "serve/routes/routes_state.h"

#include "check.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/number.h"
#include "serve/models/model_store.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-routes-state-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/state.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static const char plans[] =
    "models:\n"
    "  bandit: {bandit: {arms: [1, 2, 3], seed: 4}}\n"
    "  canary: {canary: {from: 1, to: 2, percent: 50}, rollback: {window: 10, errors: 0.1}}\n"
    "  watched: {canary: {from: 1, to: 2, percent: 50}, rollback: {outcomes: 10}}\n"
    "  split: {split: {1: 1, 2: 1}}\n"
    "  plain: {aliases: {a: 1}}\n";

static qn_routing *routing_of(const char *text)
{
    qn_routing *routing = NULL;
    qn_error err = {0};
    CHECK_OK(qn_routing_read("r.yaml", text, strlen(text), &routing, &err));
    return routing;
}

static qn_route_state *route_of(const qn_routing *routing, const char *model)
{
    return qn_routing_find(routing, (qn_span){model, strlen(model)})->route;
}

/* Requests, rewards, errors and outcomes for every route. */
static qn_routing *taught(void)
{
    qn_routing *routing = routing_of(plans);
    char reason[QN_ROUTE_REASON_BYTES];
    for (int i = 0; i < 60; i++) {
        char id[16];
        const size_t bytes = (size_t)snprintf(id, sizeof id, "r%d", i);
        qn_route_choose(route_of(routing, "bandit"), id, bytes);
        if (i % 3) CHECK(qn_route_reward(route_of(routing, "bandit"), id, 0.1 * (i % 7)));
        qn_route_choose(route_of(routing, "split"), id, bytes);
        qn_route_state *watched = route_of(routing, "watched");
        const int arm = qn_route_choose(watched, id, bytes);
        qn_route_remember(watched, arm, id, 1, NULL, i);
        qn_route_remember(watched, arm, id, 2, "good", 0.5);
        CHECK(!qn_route_outcome(watched, id, 1, "x", i + 0.25 * (i % 5), reason));
    }
    CHECK(!qn_route_note(route_of(routing, "canary"), 1, true, 0, reason));
    CHECK(qn_route_note(route_of(routing, "canary"), 1, true, 0, reason));
    return routing;
}

static qn_str text_of(const qn_routing *routing)
{
    qn_str text = {0};
    qn_routes_state_write(routing, &text);
    CHECK(!text.failed);
    return text;
}

static void put_file(const char *text, size_t bytes)
{
    qn_error err = {0};
    CHECK_OK(qn_file_write(path, text, bytes, &err));
}

/* What another process makes of the file. */
static qn_routing *restored(const char *text)
{
    qn_routes_state *kept = NULL;
    qn_error err = {0};
    CHECK_OK(qn_routes_state_open(path, &kept, &err));
    qn_routing *routing = routing_of(text);
    qn_routes_state_restore(kept, routing);
    qn_routes_state_close(kept);
    return routing;
}

static void routes_go_on_where_they_were(void **state)
{
    (void)state;
    qn_routing *before = taught();
    const qn_str text = text_of(before);
    put_file(text.text, text.bytes);
    qn_routing *after = restored(plans);
    qn_str again = text_of(after);
    CHECK_TEXT(again.text, text.text);
    CHECK(qn_route_is_rolled_back(route_of(after, "canary")));
    for (int i = 60; i < 200; i++) { /* the bandit chooses as if nothing had been */
        char id[16];
        const size_t bytes = (size_t)snprintf(id, sizeof id, "r%d", i);
        CHECK_INT(qn_route_choose(route_of(before, "bandit"), id, bytes),
                  qn_route_choose(route_of(after, "bandit"), id, bytes));
        qn_route_reward(route_of(before, "bandit"), id, i % 2);
        qn_route_reward(route_of(after, "bandit"), id, i % 2);
    }
    qn_str_release(&again);
    again = text;
    qn_str_release(&again);
    qn_routing_unref(before);
    qn_routing_unref(after);
}

/* Requests that were answered before the end get their rewards and outcomes after it, once. */
static void what_was_chosen_before_is_known_after(void **state)
{
    (void)state;
    qn_routing *before = taught();
    qn_str text = text_of(before);
    put_file(text.text, text.bytes);
    qn_routing *after = restored(plans);
    qn_route_state *bandit = route_of(after, "bandit"), *watched = route_of(after, "watched");
    uint64_t n_rewards = 0;
    double sum;
    char reason[QN_ROUTE_REASON_BYTES];
    for (int i = 0; i < 60; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        CHECK(qn_route_reward(bandit, id, 1) == (i % 3 == 0)); /* the others have theirs */
        CHECK(!qn_route_reward(bandit, id, 1));
    }
    for (int arm = 0; arm < 3; arm++) {
        n_rewards += qn_route_rewards(bandit, arm, &sum);
    }
    CHECK_INT(n_rewards, 60);
    qn_route_learned learned;
    qn_str decisions = {0};
    for (int i = 0; i < 60; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        CHECK(!qn_route_outcome(watched, id, 2, "good", QN_NA, reason));
        CHECK(!qn_route_outcome(watched, id, 2, "bad", QN_NA, reason)); /* told already */
    }
    qn_route_get_learned(watched, &decisions, &learned);
    CHECK_INT(learned.losses[0].n + learned.losses[1].n, 120);
    qn_str_release(&decisions);
    qn_str_release(&text);
    qn_routing_unref(before);
    qn_routing_unref(after);
}

static void another_plan_begins_anew(void **state)
{
    (void)state;
    qn_routing *before = taught();
    qn_str text = text_of(before);
    put_file(text.text, text.bytes);
    qn_routing *after = restored(
        "models:\n"
        "  bandit: {bandit: {arms: [1, 2], seed: 4}}\n"
        "  canary: {canary: {from: 1, to: 3, percent: 50}, rollback: {window: 10, errors: 0.1}}\n"
        "  fresh: {split: {1: 1, 2: 1}}\n");
    double sum;
    CHECK(!qn_route_is_rolled_back(route_of(after, "canary")));
    CHECK_INT(qn_route_rewards(route_of(after, "bandit"), 0, &sum), 0);
    CHECK_INT(qn_route_count(route_of(after, "fresh"), 0), 0);
    qn_str_release(&text);
    qn_routing_unref(before);
    qn_routing_unref(after);
}

static void it_is_restored_once(void **state)
{
    (void)state;
    qn_routes_state *kept = NULL;
    qn_error err = {0};
    qn_routing *before = taught();
    qn_str text = text_of(before);
    put_file(text.text, text.bytes);
    CHECK_OK(qn_routes_state_open(path, &kept, &err));
    qn_routing *first = routing_of(plans), *second = routing_of(plans);
    qn_routes_state_restore(kept, first);
    qn_routes_state_restore(kept, second);
    CHECK(qn_route_is_rolled_back(route_of(first, "canary")));
    CHECK(!qn_route_is_rolled_back(route_of(second, "canary")));
    qn_routes_state_close(kept);
    qn_str_release(&text);
    qn_routing_unref(before);
    qn_routing_unref(first);
    qn_routing_unref(second);
}

static void a_file_that_is_not_there_tells_nothing(void **state)
{
    (void)state;
    unlink(path);
    qn_routing *routing = restored(plans);
    CHECK(!qn_route_is_rolled_back(route_of(routing, "canary")));
    qn_routing_unref(routing);
}

#define ARM "{\"requests\":1,\"chosen\":2,\"rewards\":1,\"reward_sum\":0.5}"
#define LOSS "{\"outcomes\":0,\"mean\":0,\"squares\":0}"
#define MEMBER_WITH(arms, losses, more)                                                        \
    "{\"format\":1,\"routes\":{\"m\":{\"identity\":\"i\",\"rolled_back\":true,\"arms\":[" arms \
    "],\"losses\":[" losses "],\"next_look\":0" more "}}}"
#define MEMBER(arms, losses) MEMBER_WITH(arms, losses, "")
#define WAITING(decisions) MEMBER_WITH(ARM "," ARM, LOSS "," LOSS, ",\"decisions\":" decisions)

static qn_status open_text(const char *text, size_t bytes, qn_error *err)
{
    qn_routes_state *kept = NULL;
    put_file(text, bytes);
    const qn_status status = qn_routes_state_open(path, &kept, err);
    CHECK(status == QN_OK || !kept);
    qn_routes_state_close(kept);
    return status;
}

static void what_is_damaged_is_refused(void **state)
{
    (void)state;
    static const char good[] = MEMBER(ARM "," ARM, LOSS "," LOSS);
    const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"format\":2,\"routes\":{}}",
        "{\"format\":1,\"routes\":[]}",
        "{\"format\":1,\"routes\":{\"m\":{}}}",
        "{\"format\":1,\"routes\":{\"m\":3}}",
        "{\"format\":1,\"routes\":{\"m\":{\"identity\":\"i\"}}}",
        MEMBER("", LOSS),
        MEMBER("3", LOSS "," LOSS),
        MEMBER("{\"requests\":-1,\"chosen\":2,\"rewards\":1,\"reward_sum\":0.5}", LOSS "," LOSS),
        MEMBER("{\"requests\":1,\"chosen\":0,\"rewards\":1,\"reward_sum\":0.5}", LOSS "," LOSS),
        MEMBER("{\"requests\":1,\"chosen\":2,\"rewards\":1,\"reward_sum\":1.5}", LOSS "," LOSS),
        MEMBER("{\"requests\":1,\"chosen\":2,\"rewards\":1,\"reward_sum\":null}", LOSS "," LOSS),
        MEMBER("{\"requests\":9007199254740993,\"chosen\":2,\"rewards\":1,\"reward_sum\":0.5}",
               LOSS "," LOSS),
        MEMBER("{\"requests\":1e3,\"chosen\":2,\"rewards\":1,\"reward_sum\":0.5}", LOSS "," LOSS),
        MEMBER(ARM, LOSS ",{\"outcomes\":0,\"mean\":0,\"squares\":-1}"),
        WAITING("3"),
        WAITING("\"1f00b3c59a0e7d24:2\"")}; /* there are two arms */
    static const char waiting[] = WAITING("\"1f00b3c59a0e7d24:1\"");
    qn_error err = {0};
    CHECK_OK(open_text(good, strlen(good), &err));
    CHECK_OK(open_text(waiting, strlen(waiting), &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_FAILS(QN_ERR_DATA, open_text(bad[i], strlen(bad[i]), &err));
        CHECK_CONTAINS(err.message, "remove it for the routes to begin anew");
        CHECK(!strchr(err.message, '\n'));
    }
    for (size_t bytes = 0; bytes < strlen(good); bytes++) { /* cut off anywhere */
        CHECK_FAILS(QN_ERR_DATA, open_text(good, bytes, &err));
    }
    unlink(path);
    CHECK_INT(mkdir(path, 0700), 0);
    qn_routes_state *kept;
    CHECK(qn_routes_state_open(path, &kept, &err) != QN_OK);
    CHECK_INT(rmdir(path), 0);
}

/* The thread writes what is new, once it may, and once more at the end. */
static void what_is_learned_is_written(void **state)
{
    (void)state;
    const char *const aliases[] = {NULL};
    const qn_model_sources sources = {.specs = (const char *const[]){"m=/nowhere.quern", NULL},
                                      .aliases = aliases};
    qn_model_store *store = NULL;
    qn_routes_state *kept = NULL;
    qn_error err = {0};
    unlink(path);
    CHECK_OK(qn_model_store_create(&sources, 1, &store, &err));
    for (int begun = 0; begun < 2; begun++) {
        CHECK_OK(qn_routes_state_open(path, &kept, &err));
        CHECK_OK(qn_routes_state_start(kept, store, &err));
        if (begun) qn_routes_state_begin(kept);
        qn_routes_state_close(kept);
        CHECK_INT(qn_file_identify(path).known, begun); /* nothing before it may */
    }
    CHECK_OK(qn_routes_state_open(path, &kept, &err));
    CHECK_OK(qn_routes_state_start(kept, store, &err));
    CHECK(!qn_routes_state_is_behind(kept));
    char moved[80];
    snprintf(moved, sizeof moved, "%s.away", folder);
    CHECK_INT(rename(folder, moved), 0); /* it cannot be written */
    qn_routes_state_begin(kept);
    for (int i = 0; i < 1000 && !qn_routes_state_is_behind(kept); i++) {
        usleep(10000);
    }
    CHECK(qn_routes_state_is_behind(kept));
    CHECK_INT(rename(moved, folder), 0);
    for (int i = 0; i < 1000 && qn_routes_state_is_behind(kept); i++) {
        usleep(10000);
    }
    CHECK(!qn_routes_state_is_behind(kept)); /* tried again until it can */
    qn_routes_state_close(kept);
    qn_model_store_free(store);
}

/* What cannot be written whole is not written. */
static void a_text_that_is_not_whole_is_failed(void **state)
{
    (void)state;
    qn_routing *routing = taught();
    qn_str whole = text_of(routing);
    bool failed = true;
    for (int64_t n = 1; failed; n++) {
        qn_str text = {0};
        qn_alloc_fail_at(n, false);
        qn_routes_state_write(routing, &text);
        qn_alloc_fail_at(0, false);
        failed = text.failed;
        if (!failed) CHECK_TEXT(text.text, whole.text);
        qn_str_release(&text);
    }
    qn_str_release(&whole);
    qn_routing_unref(routing);
}

static void opening_survives_running_out_of_memory(void **state)
{
    (void)state;
    static const char good[] = MEMBER(ARM, LOSS "," LOSS);
    qn_routes_state *kept = NULL;
    put_file(good, strlen(good));
    CHECK_SURVIVES_NO_MEMORY(qn_routes_state_open(path, &kept, NULL));
    qn_routes_state_close(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(routes_go_on_where_they_were),
                                       TEST(what_was_chosen_before_is_known_after),
                                       TEST(another_plan_begins_anew),
                                       TEST(it_is_restored_once),
                                       TEST(a_file_that_is_not_there_tells_nothing),
                                       TEST(what_is_damaged_is_refused),
                                       TEST(what_is_learned_is_written),
                                       TEST(a_text_that_is_not_whole_is_failed),
                                       TEST(opening_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
