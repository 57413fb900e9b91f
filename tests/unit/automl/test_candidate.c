/* SPDX-License-Identifier: Apache-2.0 */
/* What the list of candidates promises: order, number, names, ranges, and nothing but the request
 * decides. */
#include "automl/candidate.h"

#include "check.h"

static qn_candidates create(const qn_candidates_request *request)
{
    qn_error err = {0};
    qn_candidates list;
    CHECK_OK(qn_candidates_create(request, &list, &err));
    return list;
}

static const qn_candidates_request binary = {.task = QN_TASK_BINARY,
                                             .n_classes = 2,
                                             .n_rows = 5000,
                                             .n_features = 10,
                                             .preset = QN_PRESET_BALANCED,
                                             .seed = 1};

static char *params_of(const qn_candidate *candidate)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text};
    qn_json_begin_object(&json);
    qn_params_write_json(candidate->learner, candidate->params, &json);
    qn_json_end_object(&json);
    return qn_str_take_text(&text);
}

static bool same(const qn_candidate *a, const qn_candidate *b)
{
    char *left = params_of(a), *right = params_of(b);
    const bool equal = strcmp(a->name, b->name) == 0 && strcmp(left, right) == 0;
    qn_free(left);
    qn_free(right);
    return equal;
}

static void exactly_as_many_as_wanted_and_the_baseline_first(void **state)
{
    (void)state;
    static const qn_task tasks[] = {QN_TASK_BINARY, QN_TASK_MULTICLASS, QN_TASK_REGRESSION,
                                    QN_TASK_RANKING};
    for (size_t t = 0; t < 4; t++) {
        for (int64_t n = 1; n <= 60; n += 7) {
            qn_candidates_request request = binary;
            request.task = tasks[t];
            request.n_wanted = n;
            qn_candidates list = create(&request);
            CHECK_INT(list.n, n + 1);
            CHECK_TEXT(list.items[0].name, "baseline");
            CHECK_TEXT(list.items[0].learner->name, "constant");
            for (int64_t i = 0; i < list.n; i++) {
                CHECK(list.items[i].learner->tasks & 1u << tasks[t]);
            }
            qn_candidates_release(&list);
        }
    }
}

static void names_are_unique_and_say_the_learner(void **state)
{
    (void)state;
    qn_candidates_request request = binary;
    request.n_wanted = 80;
    qn_candidates list = create(&request);
    for (int64_t i = 1; i < list.n; i++) {
        const char *learner = list.items[i].learner->name;
        CHECK(strncmp(list.items[i].name, learner, strlen(learner)) == 0);
        for (int64_t j = 0; j < i; j++) {
            CHECK(strcmp(list.items[i].name, list.items[j].name) != 0);
        }
    }
    qn_candidates_release(&list);
}

static void a_longer_list_begins_with_the_shorter_one(void **state)
{
    (void)state;
    qn_candidates_request request = binary;
    request.n_wanted = 70;
    qn_candidates longer = create(&request);
    request.n_wanted = 20;
    qn_candidates shorter = create(&request);
    for (int64_t i = 0; i < shorter.n; i++) {
        CHECK(same(&shorter.items[i], &longer.items[i]));
    }
    qn_candidates_release(&longer);
    qn_candidates_release(&shorter);
}

static void the_seed_changes_the_random_part_alone(void **state)
{
    (void)state;
    qn_candidates_request request = binary;
    request.n_wanted = 60;
    qn_candidates one = create(&request), again = create(&request);
    request.seed = 2;
    qn_candidates two = create(&request);
    int64_t n_same = 0, first_different = -1;
    for (int64_t i = 0; i < one.n; i++) {
        CHECK(same(&one.items[i], &again.items[i]));
        const bool equal = same(&one.items[i], &two.items[i]);
        n_same += equal;
        if (!equal && first_different < 0) first_different = i;
    }
    CHECK(first_different > 4);         /* the portfolio comes first */
    CHECK_INT(first_different, n_same); /* and all that follows is drawn */
    qn_candidates_release(&one);
    qn_candidates_release(&again);
    qn_candidates_release(&two);
}

/* A parameter's value as a number, whatever its type. */
static void drawn_values_spread_over_their_search_ranges(void **state)
{
    (void)state;
    qn_candidates_request request = binary;
    request.n_wanted = 400;
    qn_candidates list = create(&request);
    for (int i = 0; qn_learners[i]; i++) {
        for (const qn_param *p = qn_learners[i]->params; p->name; p++) {
            double least = QN_INF, most = -QN_INF;
            int64_t n = 0;
            for (int64_t c = 100; c < list.n; c++) { /* the portfolio may go beyond the ranges */
                if (list.items[c].learner != qn_learners[i]) continue;
                const double value = qn_param_value(p, list.items[c].params);
                CHECK(value >= p->low && value <= p->high);
                if (p->search_low < p->search_high) {
                    CHECK(value >= p->search_low * (1 - 1e-12));
                    CHECK(value <= p->search_high * (1 + 1e-12));
                } else {
                    CHECK(value == p->fallback);
                }
                least = fmin(least, value);
                most = fmax(most, value);
                n++;
            }
            if (n < 20 || !(p->search_low < p->search_high)) continue;
            const double low = p->search_log ? log(p->search_low) : p->search_low;
            const double high = p->search_log ? log(p->search_high) : p->search_high;
            const double reached = p->search_log ? log(most) - log(least) : most - least;
            CHECK(reached > 0.5 * (high - low));
        }
    }
    qn_candidates_release(&list);
}

static void more_rows_support_more_candidates(void **state)
{
    (void)state;
    static const struct {
        int64_t n_rows, n_models;
    } expected[] = {{10, 4}, {100, 4}, {300, 6}, {500, 9}, {2500, 16}, {10000, 40}, {1000000, 100}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        qn_candidates_request request = binary;
        request.n_rows = expected[i].n_rows;
        qn_candidates list = create(&request);
        CHECK_INT(list.n - 1, expected[i].n_models);
        qn_candidates_release(&list);
        request.preset = QN_PRESET_FAST;
        list = create(&request);
        CHECK_INT(list.n - 1, 4);
        qn_candidates_release(&list);
    }
}

static void text_puts_linear_models_first(void **state)
{
    (void)state;
    qn_candidates_request request = binary;
    request.n_wanted = 3;
    request.has_text = true;
    qn_candidates list = create(&request);
    CHECK_TEXT(list.items[1].learner->name, "logistic");
    qn_candidates_release(&list);
    request.task = QN_TASK_REGRESSION;
    list = create(&request);
    CHECK_TEXT(list.items[1].learner->name, "ridge");
    qn_candidates_release(&list);
}

static void many_classes_put_a_forest_first(void **state)
{
    (void)state;
    qn_candidates_request request = binary;
    request.task = QN_TASK_MULTICLASS;
    request.n_classes = 26;
    request.n_wanted = 2;
    qn_candidates list = create(&request);
    CHECK_TEXT(list.items[1].learner->name, "extra_trees");
    qn_candidates_release(&list);
}

static void named_learners_are_the_only_ones(void **state)
{
    (void)state;
    qn_candidates_request request = binary;
    request.learners = "logistic,gbdt";
    request.n_wanted = 30;
    qn_candidates list = create(&request);
    int n_logistic = 0;
    for (int64_t i = 1; i < list.n; i++) {
        const char *name = list.items[i].learner->name;
        CHECK(strcmp(name, "logistic") == 0 || strcmp(name, "gbdt") == 0);
        n_logistic += strcmp(name, "logistic") == 0;
    }
    CHECK(n_logistic >= 1);
    qn_candidates_release(&list);
}

static void wrong_learners_are_named(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_candidates list;
    qn_candidates_request request = binary;
    request.learners = "gbdt,gbtd";
    CHECK_FAILS(QN_ERR_ARG, qn_candidates_create(&request, &list, &err));
    CHECK_CONTAINS(err.message, "'gbtd'");
    request.learners = "ridge";
    CHECK_FAILS(QN_ERR_ARG, qn_candidates_create(&request, &list, &err));
    CHECK_CONTAINS(err.message, "'ridge' cannot do binary");
    CHECK(list.items == NULL && list.n == 0);
}

static void learners_beside_the_portfolio_are_tried_when_asked_for(void **state)
{
    (void)state;
    qn_candidates_request request = binary;
    request.n_wanted = 80;
    qn_candidates list = create(&request);
    for (int64_t i = 0; i < list.n; i++) {
        CHECK(strcmp(list.items[i].learner->name, "knn") != 0);
    }
    qn_candidates_release(&list);
    request.learners = "gbdt,knn";
    request.n_wanted = 2;
    list = create(&request);
    CHECK_TEXT(list.items[1].name, "knn_1");
    CHECK_TEXT(list.items[2].name, "gbdt_1");
    qn_candidates_release(&list);
}

static void creating_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_candidates list;
    qn_candidates_request request = binary;
    request.n_wanted = 25;
    CHECK_SURVIVES_NO_MEMORY(qn_candidates_create(&request, &list, NULL));
    qn_candidates_release(&list);
}

RUN_TESTS(TEST(exactly_as_many_as_wanted_and_the_baseline_first),
          TEST(names_are_unique_and_say_the_learner),
          TEST(a_longer_list_begins_with_the_shorter_one),
          TEST(the_seed_changes_the_random_part_alone),
          TEST(drawn_values_spread_over_their_search_ranges),
          TEST(more_rows_support_more_candidates), TEST(text_puts_linear_models_first),
          TEST(many_classes_put_a_forest_first), TEST(named_learners_are_the_only_ones),
          TEST(wrong_learners_are_named),
          TEST(learners_beside_the_portfolio_are_tried_when_asked_for),
          TEST(creating_survives_running_out_of_memory))
