/* SPDX-License-Identifier: Apache-2.0 */
/* Candidates added while a budget lasts. */
#include "automl/candidate.h"

#include "check.h"

static qn_candidates_request request_for(int64_t n_rows)
{
    return (qn_candidates_request){.task = QN_TASK_BINARY,
                                   .n_classes = 2,
                                   .n_rows = n_rows,
                                   .n_features = 10,
                                   .preset = QN_PRESET_BALANCED,
                                   .seed = 7};
}

static int64_t find(const qn_candidates *list, const char *name)
{
    for (int64_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i].name, name) == 0) return i;
    }
    return -1;
}

/* Where a setting stands in its range, 0 to 1. */
static double position(const qn_param *param, const void *params)
{
    const double value = qn_param_value(param, params);
    return param->search_log
               ? log(value / param->search_low) / log(param->search_high / param->search_low)
               : (value - param->search_low) / (param->search_high - param->search_low);
}

static void additions_stay_near_their_leader(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_candidates list = {0};
    const qn_candidates_request request = request_for(20000);
    CHECK_OK(qn_candidates_create(&request, &list, &err));
    const int64_t leader = find(&list, "gbdt_1"), first = list.n;
    CHECK(leader > 0);
    CHECK_OK(qn_candidates_extend(&request, &list, &leader, 1, 12, &err));
    CHECK_INT(list.n, first + 12);
    int64_t n_moved = 0;
    for (int64_t i = first; i < list.n; i++) {
        CHECK(list.items[i].learner == list.items[leader].learner);
        CHECK_INT(find(&list, list.items[i].name), i);
        for (const qn_param *p = list.items[i].learner->params; p->name; p++) {
            const bool is_number = p->type == QN_PARAM_FLOAT || p->type == QN_PARAM_INT;
            if (!is_number || !(p->search_low < p->search_high)) continue;
            const double from = position(p, list.items[leader].params);
            const double to = position(p, list.items[i].params);
            /* A whole number is rounded, which moves a small one a little further. */
            const double room = p->type == QN_PARAM_INT ? 0.15 : 1e-9;
            CHECK(to >= -1e-9 && to <= 1 + 1e-9);
            CHECK(fabs(to - fmin(fmax(from, 0), 1)) <= 0.25 + room);
            n_moved += to != from;
        }
    }
    CHECK(n_moved > 60);
    qn_candidates_release(&list);
}

static void the_same_leaders_give_the_same_additions(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_candidates lists[2];
    const qn_candidates_request request = request_for(20000);
    const int64_t leaders[2] = {1, 2};
    for (int i = 0; i < 2; i++) {
        CHECK_OK(qn_candidates_create(&request, &lists[i], &err));
        CHECK_OK(qn_candidates_extend(&request, &lists[i], leaders, 2, 4, &err));
        CHECK_OK(qn_candidates_extend(&request, &lists[i], leaders, 2, 4, &err));
    }
    CHECK_INT(lists[0].n, lists[1].n);
    for (int64_t c = 0; c < lists[0].n; c++) {
        CHECK_TEXT(lists[0].items[c].name, lists[1].items[c].name);
        CHECK(memcmp(lists[0].items[c].params, lists[1].items[c].params,
                     lists[0].items[c].learner->params_bytes) == 0);
    }
    qn_candidates_release(&lists[0]);
    qn_candidates_release(&lists[1]);
}

static int64_t count_additions(qn_candidates_request request, const char *leader_name)
{
    qn_error err = {0};
    qn_candidates list = {0};
    CHECK_OK(qn_candidates_create(&request, &list, &err));
    const int64_t first = list.n, leader = find(&list, leader_name);
    CHECK(leader > 0);
    CHECK_OK(qn_candidates_extend(&request, &list, &leader, 1, 100000, &err));
    const int64_t n = list.n - first;
    CHECK(list.n <= list.room);
    qn_candidates_release(&list);
    return n;
}

static void only_long_tables_and_budgets_have_room_for_additions(void **state)
{
    (void)state;
    qn_candidates_request request = request_for(1000);
    CHECK_INT(count_additions(request, "gbdt_1"), 0);
    request.n_rows = 5000;
    const int64_t some = count_additions(request, "gbdt_1");
    request.n_rows = 50000;
    CHECK(some > 0 && count_additions(request, "gbdt_1") > 2 * some);
    CHECK_INT(count_additions(request, "logistic_1"), 0); /* nothing to tune */
    request.n_wanted = 5;
    CHECK_INT(count_additions(request, "gbdt_1"), 0); /* trials are counted */
    request.n_wanted = 0;
    request.preset = QN_PRESET_FAST;
    CHECK_INT(count_additions(request, "gbdt_1"), 0);
}

RUN_TESTS(TEST(additions_stay_near_their_leader), TEST(the_same_leaders_give_the_same_additions),
          TEST(only_long_tables_and_budgets_have_room_for_additions))
