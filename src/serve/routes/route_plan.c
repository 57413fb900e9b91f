/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/route_plan.h"

#include "base/number.h"
#include "serve/models/served_model.h"

#include <string.h>

enum { WINDOW = 200, WINDOW_MIN = 10, WINDOW_MAX = 100000 };

static const char *const names[] = {"to",   "split",    "canary", "key",
                                    "salt", "rollback", "shadow", "bandit"};

bool qn_route_plan_has(const char *key)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(key, names[i]) == 0) return true;
    }
    return false;
}

/* Reading. */

struct reader {
    const char *path;
    qn_route_plan *plan;
    qn_error *err;
};

static qn_status fail_at(const struct reader *r, const qn_yaml_node *node, const char *what)
{
    return qn_fail(r->err, QN_ERR_DATA, "%s:%" PRId64 ":%" PRId64 ": '%s' %s", r->path, node->line,
                   node->column, node->key, what);
}

/* The items of a mapping, all of them known. */
static qn_status check_map(const struct reader *r, const qn_yaml_node *map,
                           const char *const *known, const char *said)
{
    if (map->kind != QN_YAML_MAP) return fail_at(r, map, said);
    for (const qn_yaml_node *item = map->first; item; item = item->next) {
        int i = 0;
        while (known[i] && strcmp(known[i], item->key) != 0) {
            i++;
        }
        if (!known[i]) return fail_at(r, item, "is not known here");
    }
    return QN_OK;
}

static qn_status read_number(const struct reader *r, const qn_yaml_node *node, double low,
                             double high, double *out)
{
    double value = QN_NA;
    const bool is_number =
        node->kind == QN_YAML_SCALAR && qn_parse_double(node->text, strlen(node->text), &value);
    if (!is_number || !(value >= low && value <= high)) {
        char range[2 * QN_DOUBLE_TEXT_BYTES + 32] = "is a number from ";
        qn_format_double(low, range + strlen(range));
        strcat(range, " to ");
        qn_format_double(high, range + strlen(range));
        return fail_at(r, node, range);
    }
    *out = value;
    return QN_OK;
}

static qn_status add_arm(const struct reader *r, const qn_yaml_node *node, const char *target,
                         double weight)
{
    if (!target || !qn_served_name_is_valid(target)) {
        return fail_at(r, node, "leads to no alias or version");
    }
    if (r->plan->n_arms == QN_ARMS_MAX) return fail_at(r, node, "is one arm too many");
    r->plan->arms[r->plan->n_arms++] = (qn_route_arm){target, weight, weight};
    return QN_OK;
}

static qn_status read_split(const struct reader *r, const qn_yaml_node *map)
{
    qn_route_plan *plan = r->plan;
    double sum = 0;
    if (map->kind != QN_YAML_MAP || map->n_items == 0) {
        return fail_at(r, map, "is a mapping of aliases or versions to shares");
    }
    for (const qn_yaml_node *item = map->first; item; item = item->next) {
        double share;
        QN_TRY(read_number(r, item, 0, 1e9, &share));
        QN_TRY(add_arm(r, item, item->key, share));
        sum += share;
    }
    if (!(sum > 0)) return fail_at(r, map, "has no share above zero");
    for (int i = 0; i < plan->n_arms; i++) {
        plan->arms[i].share /= sum;
    }
    return QN_OK;
}

static const char *text_of(const qn_yaml_node *node)
{
    return node && node->kind == QN_YAML_SCALAR ? node->text : NULL;
}

static qn_status read_canary(const struct reader *r, const qn_yaml_node *map)
{
    static const char *const known[] = {"from", "to", "percent", NULL};
    QN_TRY(check_map(r, map, known, "is {from: …, to: …, percent: …}"));
    const qn_yaml_node *percent = qn_yaml_get(map, "percent");
    double value = 0;
    if (!percent) return fail_at(r, map, "has no 'percent'");
    QN_TRY(read_number(r, percent, 0, 100, &value));
    QN_TRY(add_arm(r, map, text_of(qn_yaml_get(map, "from")), 100 - value));
    QN_TRY(add_arm(r, map, text_of(qn_yaml_get(map, "to")), value));
    r->plan->arms[0].share /= 100;
    r->plan->arms[1].share /= 100;
    return QN_OK;
}

static qn_status read_key(const struct reader *r, const qn_yaml_node *node)
{
    static const char what[] = "is 'request', 'header NAME' or 'column NAME'";
    const char *text = text_of(node);
    if (!text) return fail_at(r, node, what);
    if (strcmp(text, "request") == 0) return QN_OK;
    const char *blank = strchr(text, ' ');
    if (!blank || !blank[1]) return fail_at(r, node, what);
    r->plan->key_name = blank + 1;
    r->plan->key = strncmp(text, "header ", 7) == 0   ? QN_KEY_HEADER
                   : strncmp(text, "column ", 7) == 0 ? QN_KEY_COLUMN
                                                      : QN_KEY_REQUEST;
    return r->plan->key == QN_KEY_REQUEST ? fail_at(r, node, what) : QN_OK;
}

static qn_status read_rollback(const struct reader *r, const qn_yaml_node *map)
{
    static const char *const known[] = {"window", "errors", "latency", "outcomes", NULL};
    qn_route_rollback *rollback = &r->plan->rollback;
    double window = WINDOW;
    QN_TRY(check_map(r, map, known, "is {window: …, errors: …, latency: …, outcomes: …}"));
    const qn_yaml_node *given = qn_yaml_get(map, "window");
    const qn_yaml_node *errors = qn_yaml_get(map, "errors");
    const qn_yaml_node *latency = qn_yaml_get(map, "latency");
    if (given) QN_TRY(read_number(r, given, WINDOW_MIN, WINDOW_MAX, &window));
    if (errors) QN_TRY(read_number(r, errors, 0, 1, &rollback->errors));
    if (latency) QN_TRY(read_number(r, latency, 1e-6, 3600, &rollback->latency_s));
    rollback->window = (int64_t)window;
    const qn_yaml_node *outcomes = qn_yaml_get(map, "outcomes");
    double n_outcomes = 0;
    if (outcomes) QN_TRY(read_number(r, outcomes, 10, 1e9, &n_outcomes));
    rollback->outcomes = (int64_t)n_outcomes;
    return QN_OK;
}

static qn_status read_shadow(const struct reader *r, const qn_yaml_node *map)
{
    static const char *const known[] = {"to", "share", NULL};
    QN_TRY(check_map(r, map, known, "is {to: …, share: …}"));
    const qn_yaml_node *share = qn_yaml_get(map, "share");
    r->plan->shadow = text_of(qn_yaml_get(map, "to"));
    r->plan->shadow_share = 1;
    if (share) QN_TRY(read_number(r, share, 0, 1, &r->plan->shadow_share));
    if (r->plan->shadow && qn_served_name_is_valid(r->plan->shadow)) return QN_OK;
    return fail_at(r, map, "leads to no alias or version");
}

static qn_status read_bandit(const struct reader *r, const qn_yaml_node *map)
{
    static const char *const known[] = {"arms", "policy", "seed", NULL};
    double seed = 1;
    QN_TRY(check_map(r, map, known, "is {arms: […], policy: …, seed: …}"));
    const qn_yaml_node *arms = qn_yaml_get(map, "arms"), *policy = qn_yaml_get(map, "policy");
    const qn_yaml_node *given = qn_yaml_get(map, "seed");
    if (!arms || arms->kind != QN_YAML_LIST || arms->n_items < 2) {
        return fail_at(r, map, "needs two 'arms' or more");
    }
    for (const qn_yaml_node *arm = arms->first; arm; arm = arm->next) {
        QN_TRY(add_arm(r, arms, text_of(arm), 0));
    }
    const char *word = policy ? text_of(policy) : "thompson";
    r->plan->policy = word && strcmp(word, "ucb") == 0 ? QN_BANDIT_UCB : QN_BANDIT_THOMPSON;
    if (!word || (r->plan->policy == QN_BANDIT_THOMPSON && strcmp(word, "thompson") != 0)) {
        return fail_at(r, policy, "is thompson or ucb");
    }
    if (given) QN_TRY(read_number(r, given, 0, 9007199254740992.0, &seed));
    r->plan->seed = (uint64_t)seed;
    return QN_OK;
}

static qn_status read_item(const struct reader *r, const qn_yaml_node *node)
{
    static const struct {
        const char *name;
        qn_route_kind kind;
    } kinds[] = {{"to", QN_ROUTE_TO},
                 {"split", QN_ROUTE_SPLIT},
                 {"canary", QN_ROUTE_CANARY},
                 {"bandit", QN_ROUTE_BANDIT}};
    qn_route_plan *plan = r->plan;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(node->key, kinds[i].name) != 0) continue;
        if (plan->kind != QN_ROUTE_NONE) {
            return fail_at(r, node, "is a second way to choose; give one");
        }
        plan->kind = kinds[i].kind;
    }
    if (strcmp(node->key, "to") == 0) return add_arm(r, node, text_of(node), 1);
    if (strcmp(node->key, "split") == 0) return read_split(r, node);
    if (strcmp(node->key, "canary") == 0) return read_canary(r, node);
    if (strcmp(node->key, "bandit") == 0) return read_bandit(r, node);
    if (strcmp(node->key, "key") == 0) return read_key(r, node);
    if (strcmp(node->key, "rollback") == 0) return read_rollback(r, node);
    if (strcmp(node->key, "shadow") == 0) return read_shadow(r, node);
    plan->salt = text_of(node);
    return plan->salt && *plan->salt ? QN_OK : fail_at(r, node, "is a text");
}

qn_status qn_route_plan_read(const char *path, const qn_yaml_node *map, qn_route_plan *plan,
                             qn_error *err)
{
    const struct reader r = {path, plan, err};
    *plan = (qn_route_plan){.rollback = {.errors = QN_INF, .latency_s = QN_INF}};
    for (const qn_yaml_node *node = map->first; node; node = node->next) {
        if (qn_route_plan_has(node->key)) QN_TRY(read_item(&r, node));
    }
    const qn_yaml_node *rollback = qn_yaml_get(map, "rollback");
    if (rollback && plan->kind != QN_ROUTE_CANARY) {
        return fail_at(&r, rollback, "is for a canary; there is none");
    }
    const qn_yaml_node *shadow = qn_yaml_get(map, "shadow");
    if (shadow && plan->kind == QN_ROUTE_NONE) {
        return fail_at(&r, shadow, "goes with a way to choose who answers; give 'to', say");
    }
    const qn_yaml_node *key = qn_yaml_get(map, "key");
    if (key && plan->kind != QN_ROUTE_SPLIT && plan->kind != QN_ROUTE_CANARY) {
        return fail_at(&r, key, "is for a split or a canary; there is none");
    }
    return QN_OK;
}

/* Writing. */

static void write_arms(const qn_route_plan *plan, qn_json_writer *json)
{
    qn_json_begin_object(json);
    for (int i = 0; i < plan->n_arms; i++) {
        qn_json_put_double(json, plan->arms[i].target, plan->arms[i].weight);
    }
    qn_json_end_object(json);
}

static void write_rollback(const qn_route_rollback *rollback, qn_json_writer *json)
{
    qn_json_key(json, "rollback");
    qn_json_begin_object(json);
    qn_json_put_int(json, "window", rollback->window);
    if (rollback->errors < QN_INF) qn_json_put_double(json, "errors", rollback->errors);
    if (rollback->latency_s < QN_INF) qn_json_put_double(json, "latency", rollback->latency_s);
    if (rollback->outcomes > 0) qn_json_put_int(json, "outcomes", rollback->outcomes);
    qn_json_end_object(json);
}

static void write_canary(const qn_route_plan *plan, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "from", plan->arms[0].target);
    qn_json_put_text(json, "to", plan->arms[1].target);
    qn_json_put_double(json, "percent", plan->arms[1].weight);
    qn_json_end_object(json);
}

static void write_bandit(const qn_route_plan *plan, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_key(json, "arms");
    qn_json_begin_array(json);
    for (int i = 0; i < plan->n_arms; i++) {
        qn_json_text(json, plan->arms[i].target);
    }
    qn_json_end_array(json);
    qn_json_put_text(json, "policy", plan->policy == QN_BANDIT_UCB ? "ucb" : "thompson");
    qn_json_put_int(json, "seed", (int64_t)plan->seed);
    qn_json_end_object(json);
}

void qn_route_plan_write(const qn_route_plan *plan, qn_json_writer *json)
{
    switch (plan->kind) {
    case QN_ROUTE_NONE:
        break;
    case QN_ROUTE_TO:
        qn_json_put_text(json, "to", plan->arms[0].target);
        break;
    case QN_ROUTE_SPLIT:
        qn_json_key(json, "split");
        write_arms(plan, json);
        break;
    case QN_ROUTE_CANARY:
        qn_json_key(json, "canary");
        write_canary(plan, json);
        break;
    case QN_ROUTE_BANDIT:
        qn_json_key(json, "bandit");
        write_bandit(plan, json);
        break;
    }
    if (plan->key != QN_KEY_REQUEST) {
        qn_str text = {0};
        qn_str_addf(&text, "%s %s", plan->key == QN_KEY_HEADER ? "header" : "column",
                    plan->key_name);
        json->out->failed |= text.failed;
        qn_json_put_text(json, "key", text.text ? text.text : "");
        qn_str_release(&text);
    }
    if (plan->salt) qn_json_put_text(json, "salt", plan->salt);
    if (plan->rollback.window > 0) write_rollback(&plan->rollback, json);
    if (plan->shadow) {
        qn_json_key(json, "shadow");
        qn_json_begin_object(json);
        qn_json_put_text(json, "to", plan->shadow);
        qn_json_put_double(json, "share", plan->shadow_share);
        qn_json_end_object(json);
    }
}
