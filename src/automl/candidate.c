/* SPDX-License-Identifier: Apache-2.0 */
#include "automl/candidate.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/str.h"

#include <math.h>
#include <string.h>

/* The fixed part, most promising first: one boosted model at usual settings, then what is most
 * unlike it, then variations. Low learning rates, strong column sampling, extra-random splits in
 * half of them and small leaves are what the published portfolios share (AutoGluon's zero-shot
 * portfolio of 2025, TabArena's search spaces); learning rates here are higher, for budgets of a
 * minute rather than hours. */
struct portfolio_entry {
    const char *learner;
    const char *params;
};

static const struct portfolio_entry portfolio[] = {
    {"gbdt", "learning_rate=0.06,num_leaves=31,feature_fraction=0.7,min_data_in_leaf=20"},
    {"extra_trees", ""},
    {"logistic", ""},
    {"ridge", ""},
    {"gbdt", "learning_rate=0.05,num_leaves=40,feature_fraction=0.5,bagging_fraction=0.9,"
             "bagging_freq=1,min_data_in_leaf=5,reg_lambda=0.5,extra_trees=true"},
    {"gbdt", "learning_rate=0.04,num_leaves=15,feature_fraction=0.6,bagging_fraction=0.8,"
             "bagging_freq=1,min_data_in_leaf=10,reg_alpha=0.1,reg_lambda=1.5"},
    {"random_forest", ""},
    {"mlp", ""},
    {"gbdt", "learning_rate=0.035,num_leaves=84,feature_fraction=0.53,bagging_fraction=0.95,"
             "bagging_freq=1,min_data_in_leaf=3,reg_lambda=0.85"},
    {"gbdt", "learning_rate=0.05,num_leaves=8,feature_fraction=0.45,bagging_fraction=0.75,"
             "bagging_freq=1,min_data_in_leaf=15,reg_alpha=0.1,reg_lambda=0.3,extra_trees=true"},
    {"gbdt", "learning_rate=0.04,num_leaves=128,feature_fraction=0.6,bagging_fraction=0.9,"
             "bagging_freq=1,min_data_in_leaf=8,reg_lambda=1.7,extra_trees=true"},
    {"gbdt", "learning_rate=0.08,num_leaves=5,feature_fraction=0.73,bagging_fraction=0.85,"
             "bagging_freq=1,min_data_in_leaf=12,reg_alpha=0.2,reg_lambda=0.3"},
    {"gbdt", "learning_rate=0.03,num_leaves=20,feature_fraction=0.42,bagging_fraction=0.7,"
             "bagging_freq=1,min_data_in_leaf=2,reg_alpha=0.5,reg_lambda=0.5"},
    {"extra_trees", "min_data_in_leaf=3,max_features=0.5"},
    {"gbdt", "learning_rate=0.05,num_leaves=64,feature_fraction=0.55,bagging_fraction=0.99,"
             "bagging_freq=1,min_data_in_leaf=28,reg_alpha=0.9,reg_lambda=1.9,extra_trees=true"},
    {"gbdt", "learning_rate=0.05,num_leaves=3,feature_fraction=0.6,bagging_fraction=0.85,"
             "bagging_freq=1,min_data_in_leaf=5,reg_lambda=0.8"},
    {"random_forest", "min_data_in_leaf=5,max_features=0.5"},
};
enum { N_PORTFOLIO = sizeof portfolio / sizeof *portfolio };

/* Models worth trying by rows: with few rows, choosing among many overfits the validation scores
 * (AutoGluon 1.6's patience curve, here doubled where trials are cheap). */
static int64_t supported_by_rows(int64_t n_rows)
{
    static const struct {
        int64_t n_rows, n_models;
    } curve[] = {{100, 4}, {500, 9}, {2500, 16}, {10000, 40}, {100000, 100}};
    const int n = (int)(sizeof curve / sizeof *curve);
    if (n_rows <= curve[0].n_rows) return curve[0].n_models;
    for (int i = 1; i < n; i++) {
        if (n_rows > curve[i].n_rows) continue;
        const double share = (double)(n_rows - curve[i - 1].n_rows) /
                             (double)(curve[i].n_rows - curve[i - 1].n_rows);
        return curve[i - 1].n_models +
               (int64_t)(share * (double)(curve[i].n_models - curve[i - 1].n_models));
    }
    return curve[n - 1].n_models;
}

/* How many more are worth a budget's leftover time. A long table's validation scores can tell many
 * more candidates apart; on a short one, more choice would only fit the noise. */
static int64_t room_by_rows(int64_t n_rows, int64_t n_listed)
{
    const double share = fmin(1, fmax(0, (double)(n_rows - 2500) / 7500));
    return n_listed + (int64_t)(2 * share * (double)n_listed);
}

static bool listed(const char *names, const char *name)
{
    if (!names) return true;
    const size_t bytes = strlen(name);
    for (const char *at = names; *at;) {
        const size_t n = strcspn(at, ",");
        if (n == bytes && strncmp(at, name, n) == 0) return true;
        at += n + (at[n] == ',');
    }
    return false;
}

static bool usable(const qn_candidates_request *request, const qn_learner *learner)
{
    return learner && (learner->tasks & (1u << request->task)) &&
           (!request->constrained || (learner->capabilities & QN_LEARNER_CONSTRAINTS)) &&
           listed(request->learners, learner->name);
}

static qn_status check_names(const qn_candidates_request *request, qn_error *err)
{
    for (const char *at = request->learners; at && *at;) {
        char name[64];
        const size_t n = strcspn(at, ",");
        const size_t kept = n < sizeof name - 1 ? n : sizeof name - 1;
        memcpy(name, at, kept);
        name[kept] = '\0';
        const qn_learner *learner;
        QN_TRY(qn_learner_require(name, &learner, err));
        if (!(learner->tasks & (1u << request->task))) {
            return qn_fail(err, QN_ERR_ARG, "learner '%s' cannot do %s", name,
                           qn_task_name(request->task));
        }
        if (request->constrained && !(learner->capabilities & QN_LEARNER_CONSTRAINTS)) {
            return qn_fail(err, QN_ERR_ARG,
                           "learner '%s' cannot keep --monotone or --interactions; gbdt can", name);
        }
        at += n + (at[n] == ',');
    }
    return QN_OK;
}

/* Sets those of "learner.name=value,…" that are for this learner; `params` NULL: only checks that
 * all are for some learner, and can be set. */
static qn_status fix_params(const char *text, const qn_learner *learner, void *params,
                            qn_error *err)
{
    for (const char *at = text; at && *at;) {
        const size_t bytes = strcspn(at, ","), name_bytes = strcspn(at, ".,=");
        char name[64] = "", item[256] = "";
        if (name_bytes < sizeof name) memcpy(name, at, name_bytes);
        const qn_learner *owner = at[name_bytes] == '.' ? qn_learner_find(name) : NULL;
        if (!owner || bytes - name_bytes > sizeof item - 1) {
            return qn_fail(
                err, QN_ERR_ARG,
                "--params %.*s: expected LEARNER.NAME=VALUE; 'quern learners' lists both",
                (int)bytes, at);
        }
        memcpy(item, at + name_bytes + 1, bytes - name_bytes - 1);
        if (params && owner == learner) QN_TRY(qn_params_set(owner, params, item, err));
        if (!params) {
            void *scratch = qn_alloc_array(1, owner->params_bytes + 1);
            if (!scratch) return qn_fail(err, QN_ERR_NOMEM, "no memory for the candidates");
            const qn_status status = qn_params_set(owner, scratch, item, err);
            qn_free(scratch);
            QN_TRY(status);
        }
        at += bytes + (at[bytes] == ',');
    }
    return QN_OK;
}

static qn_status add(qn_candidates *list, const qn_learner *learner, const char *params_text,
                     qn_error *err)
{
    int64_t number = 1;
    for (int64_t i = 0; i < list->n; i++) {
        number += list->items[i].learner == learner;
    }
    qn_str name = {0};
    if (list->n == 0) {
        qn_str_add(&name, "baseline");
    } else {
        qn_str_addf(&name, "%s_%d", learner->name, (int)number);
    }
    void *params = qn_arena_array(&list->arena, 1, learner->params_bytes + 1);
    const char *kept = name.failed ? NULL : qn_arena_strdup(&list->arena, name.text);
    qn_str_release(&name);
    if (!params || !kept) return qn_fail(err, QN_ERR_NOMEM, "no memory for the candidates");
    qn_params_init(learner, params);
    QN_TRY(qn_params_set(learner, params, params_text, err));
    QN_TRY(fix_params(list->params, learner, params, err));
    list->items[list->n++] = (qn_candidate){kept, learner, params};
    return QN_OK;
}

static bool in_portfolio(const qn_learner *learner)
{
    for (int i = 0; i < N_PORTFOLIO; i++) {
        if (strcmp(portfolio[i].learner, learner->name) == 0) return true;
    }
    return false;
}

static bool is_searched(const qn_learner *learner)
{
    for (const qn_param *param = learner->params; param->name; param++) {
        if (param->search_low < param->search_high) return true;
    }
    return false;
}

/* Variants of a linear model are tried where its learner is named: in a list of many learners,
 * whose trials are few, the penalty that its path finds is enough. */
static bool is_varied(const qn_candidates_request *request, const qn_learner *learner)
{
    const bool linear = strcmp(learner->name, "logistic") == 0;
    return is_searched(learner) && (!linear || request->learners);
}

/* Where in its range, from 0 to 1, a setting near the given one lies: a number moves by up to a
 * quarter of the range, a choice changes one time in five. A number that the learner was left to
 * choose itself, 0 outside of the range, is near to none. */
static double draw_near(const qn_param *param, const void *near, qn_rng *rng)
{
    const double low = param->search_low, high = param->search_high;
    const double value = fmin(fmax(qn_param_value(param, near), low), high);
    const double at =
        param->search_log ? log(value / low) / log(high / low) : (value - low) / (high - low);
    const double drawn = qn_rng_uniform(rng), move = qn_rng_uniform(rng);
    if (param->type == QN_PARAM_BOOL || param->type == QN_PARAM_CHOICE) {
        return move < 0.2 ? drawn : fmin(at + 0.25 / (high - low), 1); /* survives truncation */
    }
    if (param->search_log && qn_param_value(param, near) == 0) return drawn;
    return fmin(fmax(at + 0.25 * (2 * move - 1), 0), 1);
}

/* "name=value,…" with every searched parameter drawn from its range, or near given ones. */
static void draw_params(const qn_learner *learner, const void *near, qn_rng *rng, qn_str *out)
{
    for (const qn_param *param = learner->params; param->name; param++) {
        if (!(param->search_low < param->search_high)) continue;
        const double low = param->search_low, high = param->search_high;
        const double at = near ? draw_near(param, near, rng) : qn_rng_uniform(rng);
        const double value = param->search_log ? exp(log(low) + at * (log(high) - log(low)))
                                               : low + at * (high - low);
        if (out->bytes > 0) qn_str_add_char(out, ',');
        qn_str_add(out, param->name);
        qn_str_add_char(out, '=');
        if (param->type == QN_PARAM_BOOL) {
            qn_str_add(out, at < 0.5 ? "false" : "true");
        } else if (param->type == QN_PARAM_CHOICE) {
            qn_str_add(out, param->choices[(int)fmin(value, high)]);
        } else {
            qn_str_add_double(out, param->type == QN_PARAM_INT ? floor(value + 0.5) : value);
        }
    }
}

static qn_status add_drawn(qn_candidates *list, const qn_learner *learner, const void *near,
                           qn_rng *rng, qn_error *err)
{
    qn_str params = {0};
    draw_params(learner, near, rng, &params);
    qn_str_add(&params, "");
    const qn_status status = params.failed
                                 ? qn_fail(err, QN_ERR_NOMEM, "no memory for the candidates")
                                 : add(list, learner, params.text, err);
    qn_str_release(&params);
    return status;
}

static qn_status add_random(const qn_candidates_request *request, qn_candidates *list,
                            int64_t n_wanted, qn_error *err)
{
    const qn_learner *drawn[16];
    int64_t n_drawn = 0;
    for (int64_t i = 0; qn_learners[i] && n_drawn < 16; i++) {
        const qn_learner *learner = qn_learners[i];
        if (!is_varied(request, learner) || !usable(request, learner)) continue;
        if (in_portfolio(learner) || request->learners) drawn[n_drawn++] = learner;
    }
    const qn_learner *gbdt = qn_learner_find("gbdt");
    qn_rng rng;
    qn_rng_init(&rng, request->seed, 0x63616e64);
    for (int64_t i = 0; n_drawn > 0 && list->n < n_wanted; i++) {
        /* Two of three draws go to boosting where it is allowed: it gains most from tuning. */
        const bool boost = i % 3 != 2 && usable(request, gbdt);
        const qn_learner *learner = boost ? gbdt : drawn[(i / 3) % n_drawn];
        QN_TRY(add_drawn(list, learner, NULL, &rng, err));
    }
    return QN_OK;
}

qn_status qn_candidates_extend(const qn_candidates_request *request, qn_candidates *list,
                               const int64_t *leaders, int64_t n_leaders, int64_t n_more,
                               qn_error *err)
{
    const int64_t n_wanted = list->n + n_more < list->room ? list->n + n_more : list->room;
    qn_rng rng;
    qn_rng_init(&rng, request->seed, qn_seed_child(0x6e656172, (uint64_t)list->n));
    for (int64_t i = 0, n_fixed = 0; list->n < n_wanted && n_fixed < n_leaders; i++) {
        const qn_candidate *leader = &list->items[leaders[i % n_leaders]];
        if (!is_varied(request, leader->learner)) {
            n_fixed++;
            continue;
        }
        n_fixed = 0;
        QN_TRY(add_drawn(list, leader->learner, leader->params, &rng, err));
    }
    return QN_OK;
}

/* Linear models come first on text, whose n-grams suit them; forests come first where many classes
 * make boosting slow. */
static int64_t rank_of(const qn_candidates_request *request, int64_t i)
{
    const char *learner = portfolio[i].learner;
    const bool linear = strcmp(learner, "logistic") == 0 || strcmp(learner, "ridge") == 0;
    if (request->has_text && linear) return -2;
    if (request->n_classes > 8 && strcmp(learner, "extra_trees") == 0 && !*portfolio[i].params) {
        return -1;
    }
    return i;
}

/* What is not in the portfolio is tried only when it is asked for by name, and then first. */
static qn_status add_asked(const qn_candidates_request *request, qn_candidates *list,
                           int64_t n_wanted, qn_error *err)
{
    for (int64_t i = 0; request->learners && qn_learners[i] && list->n < n_wanted; i++) {
        if (!usable(request, qn_learners[i]) || in_portfolio(qn_learners[i])) continue;
        if (qn_learners[i] == list->items[0].learner) continue; /* the baseline is there */
        QN_TRY(add(list, qn_learners[i], "", err));
    }
    return QN_OK;
}

static qn_status add_portfolio(const qn_candidates_request *request, qn_candidates *list,
                               int64_t n_wanted, qn_error *err)
{
    for (int64_t rank = -2; rank < N_PORTFOLIO; rank++) {
        for (int64_t i = 0; i < N_PORTFOLIO && list->n < n_wanted; i++) {
            const qn_learner *learner = qn_learner_find(portfolio[i].learner);
            if (rank_of(request, i) != rank || !usable(request, learner)) continue;
            QN_TRY(add(list, learner, portfolio[i].params, err));
        }
    }
    return QN_OK;
}

qn_status qn_candidates_create(const qn_candidates_request *request, qn_candidates *out,
                               qn_error *err)
{
    *out = (qn_candidates){.params = request->params};
    QN_TRY(check_names(request, err));
    QN_TRY(fix_params(request->params, NULL, NULL, err));
    int64_t n_wanted = request->n_wanted;
    const qn_learner *constant = qn_learner_find("constant");
    if (n_wanted == 0) {
        n_wanted = supported_by_rows(request->n_rows);
        if (request->preset == QN_PRESET_FAST && n_wanted > 4) n_wanted = 4;
    }
    const bool extends = request->n_wanted == 0 && request->preset != QN_PRESET_FAST;
    out->room = 1 + (extends ? room_by_rows(request->n_rows, n_wanted) : n_wanted);
    n_wanted++; /* the baseline is not counted */
    out->items = qn_arena_array(&out->arena, out->room, sizeof *out->items);
    if (!out->items) return qn_fail(err, QN_ERR_NOMEM, "no memory for the candidates");

    qn_status status = add(out, constant, "", err);
    if (status == QN_OK) status = add_asked(request, out, n_wanted, err);
    if (status == QN_OK) status = add_portfolio(request, out, n_wanted, err);
    if (status == QN_OK) status = add_random(request, out, n_wanted, err);
    if (status != QN_OK) qn_candidates_release(out);
    return status;
}

void qn_candidates_release(qn_candidates *candidates)
{
    qn_arena_release(&candidates->arena);
    *candidates = (qn_candidates){0};
}
