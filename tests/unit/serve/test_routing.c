/* SPDX-License-Identifier: Apache-2.0 */
/* The routes file: what is read, what is refused and where, what is written. */
#include "serve/routes/routing.h"

#include "check.h"

static qn_routing *read_text(const char *text)
{
    qn_routing *routing = NULL;
    qn_error err = {0};
    CHECK_OK(qn_routing_read("r.yaml", text, strlen(text), &routing, &err));
    return routing;
}

static void check_refused(const char *text, const char *part)
{
    qn_routing *routing = NULL;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_DATA, qn_routing_read("r.yaml", text, strlen(text), &routing, &err));
    CHECK_CONTAINS(err.message, part);
    CHECK(routing == NULL);
}

static const char *version_of(const qn_routing *routing, const char *model, const char *alias)
{
    const qn_model_routing *found = qn_routing_find(routing, (qn_span){model, strlen(model)});
    return found ? qn_routing_version(found, (qn_span){alias, strlen(alias)}) : NULL;
}

static const char file[] = "models:\n"
                           "  fraud:\n"
                           "    aliases: {live: 2024-01}\n"
                           "  credit:\n"
                           "    aliases:\n"
                           "      champion: 1\n"
                           "      challenger: '2'\n"
                           "    canary: {from: champion, to: challenger, percent: 2.5}\n"
                           "    key: header x-user\n"
                           "    rollback: {window: 50, errors: 0.1, latency: 0.25}\n"
                           "  plain: {}\n"
                           "  parted: {split: {1: 1, 2: 2, c: 0.3}, key: column a b, salt: s}\n"
                           "  fixed: {to: 3, shadow: {to: 4, share: 0.5}}\n"
                           "  learning: {bandit: {arms: [1, 2], policy: ucb, seed: 9}}\n";

static void aliases_are_read(void **state)
{
    (void)state;
    qn_routing *routing = read_text(file);
    CHECK_TEXT(version_of(routing, "credit", "champion"), "1");
    CHECK_TEXT(version_of(routing, "credit", "challenger"), "2");
    CHECK_TEXT(version_of(routing, "fraud", "live"), "2024-01");
    CHECK(!version_of(routing, "credit", "live"));
    CHECK(!version_of(routing, "credit", "champio"));
    CHECK(!version_of(routing, "credi", "champion"));
    CHECK(!version_of(routing, "other", "champion"));
    CHECK_TEXT(qn_routing_leads_to(routing, "credit", "2"), "challenger");
    CHECK(!qn_routing_leads_to(routing, "credit", "3"));
    CHECK(!qn_routing_leads_to(routing, "plain", "1"));
    qn_routing_unref(routing);
}

static void nothing_at_all_is_no_routes(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n# nothing\n", "{}", "models: {}", "~"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        qn_routing *routing = read_text(texts[i]);
        CHECK_INT(routing->n_models, 0);
        qn_routing_unref(routing);
    }
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    qn_str first = {0}, second = {0};
    qn_routing *routing = read_text(file);
    qn_routing_write(routing, &first);
    qn_routing *again = read_text(first.text);
    qn_routing_write(again, &second);
    CHECK_TEXT(second.text, first.text);
    CHECK_TEXT(version_of(again, "credit", "champion"), "1");
    CHECK_CONTAINS(first.text, "\"champion\": \"1\"");
    qn_str_release(&first);
    qn_str_release(&second);
    qn_routing_unref(again);
    qn_routing_unref(routing);
}

static void plans_are_read(void **state)
{
    (void)state;
    qn_routing *routing = read_text(file);
    const qn_model_routing *credit = qn_routing_find(routing, (qn_span){"credit", 6});
    const qn_model_routing *parted = qn_routing_find(routing, (qn_span){"parted", 6});
    const qn_model_routing *fixed = qn_routing_find(routing, (qn_span){"fixed", 5});
    CHECK_INT(credit->plan.kind, QN_ROUTE_CANARY);
    CHECK_TEXT(qn_routing_target(credit, 0), "1");
    CHECK_TEXT(qn_routing_target(credit, 1), "2");
    CHECK_NEAR(credit->plan.arms[1].share, 0.025, 1e-15);
    CHECK_INT(credit->plan.key, QN_KEY_HEADER);
    CHECK_TEXT(credit->plan.key_name, "x-user");
    CHECK_INT(credit->plan.rollback.window, 50);
    CHECK(credit->plan.rollback.errors == 0.1 && credit->plan.rollback.latency_s == 0.25);
    const qn_model_routing *learning = qn_routing_find(routing, (qn_span){"learning", 8});
    CHECK_INT(learning->plan.kind, QN_ROUTE_BANDIT);
    CHECK_INT(learning->plan.policy, QN_BANDIT_UCB);
    CHECK_INT(learning->plan.seed, 9);
    CHECK_INT(parted->plan.n_arms, 3);
    CHECK_NEAR(parted->plan.arms[1].share, 2 / 3.3, 1e-15);
    CHECK_INT(parted->plan.key, QN_KEY_COLUMN);
    CHECK_TEXT(parted->plan.key_name, "a b");
    CHECK_TEXT(qn_routing_target(fixed, 0), "3");
    CHECK_TEXT(qn_routing_target(fixed, -1), "4");
    CHECK(fixed->plan.shadow_share == 0.5);
    CHECK_TEXT(qn_routing_leads_to(routing, "fixed", "4"), "4");
    CHECK_TEXT(qn_routing_leads_to(routing, "fixed", "3"), "3");
    CHECK(!qn_routing_find(routing, (qn_span){"plain", 5})->route);
    qn_routing_unref(routing);
}

static void an_edit_makes_a_copy(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_routing *routing = read_text(file), *moved = NULL, *less = NULL, *more = NULL;
    CHECK_OK(qn_routing_with_alias(routing, "credit", "champion", "2", &moved, &err));
    CHECK_OK(qn_routing_with_alias(moved, "credit", "challenger", NULL, &less, &err));
    CHECK_OK(qn_routing_with_alias(less, "new", "live", "7", &more, &err));
    CHECK_TEXT(version_of(routing, "credit", "champion"), "1");
    CHECK_TEXT(version_of(more, "credit", "champion"), "2");
    CHECK(!version_of(more, "credit", "challenger"));
    CHECK_TEXT(version_of(more, "new", "live"), "7");
    CHECK_TEXT(version_of(more, "fraud", "live"), "2024-01");
    qn_routing_unref(routing);
    qn_routing_unref(moved);
    qn_routing_unref(less);
    routing = NULL;
    CHECK_FAILS(QN_ERR_ARG, qn_routing_with_alias(more, "a b", "x", "1", &routing, &err));
    CHECK_FAILS(QN_ERR_ARG, qn_routing_with_alias(more, "a", "../x", "1", &routing, &err));
    CHECK_FAILS(QN_ERR_ARG, qn_routing_with_alias(more, "a", "x", "1\"", &routing, &err));
    CHECK(routing == NULL);
    qn_routing_unref(more);
}

static void what_makes_no_sense_is_told_with_its_place(void **state)
{
    (void)state;
    check_refused("models: 5", "r.yaml:1:9: 'models' is a mapping");
    check_refused("model:\n  a: {}", "r.yaml:1:1: 'model' is not known here");
    check_refused("models:\n  a: {alias: {x: 1}}", "r.yaml:2:7: 'alias' is not known here");
    check_refused("models:\n  a/b: {}", "r.yaml:2:3: 'a/b' is no name");
    check_refused("models:\n  a: [1]", "r.yaml:2:6: 'a' is a mapping");
    check_refused("models:\n  a: {aliases: {x: }}", "'x' leads to no version");
    check_refused("models:\n  a: {aliases: {x: [1]}}", "'x' leads to no version");
    check_refused("models:\n  a: {aliases: {x: ../1}}", "'x' leads to no version");
    check_refused("models:\n  a: {aliases: {x@y: 1}}", "'x@y' is no name");
    check_refused("models:\n  a: {aliases: {x: 1, x: 2}}", "given twice");
    check_refused("models: {a: {to: }}", "'to' leads to no alias or version");
    check_refused("models: {a: {to: [x]}}", "'to' leads to no alias or version");
    check_refused("models: {a: {to: x, split: {x: 1}}}", "'split' is a second way");
    check_refused("models: {a: {split: {}}}", "'split' is a mapping of aliases");
    check_refused("models: {a: {split: {x: 0}}}", "'split' has no share above zero");
    check_refused("models: {a: {split: {x: -1}}}", "'x' is a number from 0 to 1000000000");
    check_refused("models: {a: {split: {x: nan}}}", "'x' is a number");
    check_refused("models: {a: {split: {x: }}}", "'x' is a number");
    check_refused("models: {a: {split: {x/y: 1}}}", "'x/y' leads to no alias");
    check_refused(
        "models: {a: {split: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, "
        "k: 1, l: 1, m: 1, n: 1, o: 1, p: 1, q: 1}}}",
        "'q' is one arm too many");
    check_refused("models: {a: {canary: {from: x, to: y}}}", "'canary' has no 'percent'");
    check_refused("models: {a: {canary: {to: y, percent: 5}}}", "leads to no alias");
    check_refused("models: {a: {canary: {from: x, to: y, percent: 101}}}", "from 0 to 100");
    check_refused("models: {a: {canary: {from: x, to: y, percent: 5, more: 1}}}", "'more' is not");
    check_refused("models: {a: {canary: x}}", "'canary' is {from");
    check_refused("models: {a: {to: x, key: request}}", "'key' is for a split or a canary");
    check_refused("models: {a: {split: {x: 1}, key: header}}", "'key' is 'request', 'header NAME'");
    check_refused("models: {a: {split: {x: 1}, key: cookie a}}", "'key' is 'request'");
    check_refused("models: {a: {split: {x: 1}, salt: }}", "'salt' is a text");
    check_refused("models: {a: {split: {x: 1}, rollback: {}}}", "'rollback' is for a canary");
    check_refused("models: {a: {canary: {from: x, to: y, percent: 5}, rollback: {window: 5}}}",
                  "'window' is a number from 10 to 100000");
    check_refused("models: {a: {canary: {from: x, to: y, percent: 5}, rollback: {errors: 2}}}",
                  "'errors' is a number from 0 to 1");
    check_refused("models: {a: {bandit: {arms: [x]}}}", "'bandit' needs two 'arms'");
    check_refused("models: {a: {bandit: {arms: [x, [y]]}}}", "'arms' leads to no alias");
    check_refused("models: {a: {bandit: {arms: [x, y], policy: best}}}", "'policy' is thompson");
    check_refused("models: {a: {bandit: {arms: [x, y], seed: -1}}}", "'seed' is a number");
    check_refused("models: {a: {bandit: {arms: [x, y]}, key: header a}}", "'key' is for a split");
    check_refused("models: {a: {canary: {from: x, to: y, percent: 5}, rollback: {outcomes: 1}}}",
                  "'outcomes' is a number from 10");
    check_refused("models: {a: {shadow: {to: x}}}", "'shadow' goes with a way to choose");
    check_refused("models: {a: {to: x, shadow: y}}", "'shadow' is {to");
    check_refused("models: {a: {to: x, shadow: {share: 1}}}", "'shadow' leads to no alias");
    check_refused("models: {a: {to: x, shadow: {to: y, share: 2}}}", "'share' is a number");
    check_refused("[1]", "r.yaml:1:1: 'the file' is a mapping");
    check_refused("{", "r.yaml:");
    check_refused("a: &x 1\nb: *x", "r.yaml:");
}

static qn_status read_edit_and_write(void)
{
    qn_str text = {0};
    qn_routing *routing = NULL, *edited = NULL;
    qn_status status = qn_routing_read("r.yaml", file, sizeof file - 1, &routing, NULL);
    if (status == QN_OK) {
        status = qn_routing_with_alias(routing, "credit", "champion", "2", &edited, NULL);
    }
    if (status == QN_OK) qn_routing_write(edited, &text);
    if (text.failed) status = QN_ERR_NOMEM;
    qn_str_release(&text);
    qn_routing_unref(edited);
    qn_routing_unref(routing);
    return status;
}

static void all_of_it_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(read_edit_and_write());
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(aliases_are_read),
                                       TEST(nothing_at_all_is_no_routes),
                                       TEST(what_is_written_reads_back),
                                       TEST(plans_are_read),
                                       TEST(an_edit_makes_a_copy),
                                       TEST(what_makes_no_sense_is_told_with_its_place),
                                       TEST(all_of_it_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
