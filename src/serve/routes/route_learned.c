/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/routes/route_learned.h"

#include "base/number.h"
#include "serve/routes/decision_table.h"

void qn_route_learned_write(const qn_route_learned *learned, qn_json_writer *json)
{
    qn_json_put_bool(json, "rolled_back", learned->rolled_back);
    qn_json_key(json, "arms");
    qn_json_begin_array(json);
    for (int i = 0; i < learned->n_arms; i++) {
        qn_json_begin_object(json);
        qn_json_put_int(json, "requests", learned->arms[i].n_requests);
        qn_json_put_int(json, "chosen", learned->arms[i].n_chosen);
        qn_json_put_int(json, "rewards", learned->arms[i].n_rewards);
        qn_json_put_double(json, "reward_sum", learned->arms[i].sum);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
    qn_json_key(json, "losses");
    qn_json_begin_array(json);
    for (int i = 0; i < 2; i++) {
        qn_json_begin_object(json);
        qn_json_put_int(json, "outcomes", learned->losses[i].n);
        qn_json_put_double(json, "mean", learned->losses[i].mean);
        qn_json_put_double(json, "squares", learned->losses[i].squares);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
    qn_json_put_int(json, "next_look", learned->next_look);
    if (learned->decisions) qn_json_put_text(json, "decisions", learned->decisions);
}

/* So that adding to one cannot overflow for some thousand years. */
static const int64_t count_max = INT64_C(1) << 53;

static bool read_count(qn_json_value object, const char *key, int64_t *out)
{
    *out = qn_json_as_int(qn_json_get(object, key), -1);
    return *out >= 0 && *out <= count_max;
}

static bool read_number(qn_json_value object, const char *key, double *out)
{
    *out = qn_json_as_double(qn_json_get(object, key), QN_NA);
    return isfinite(*out);
}

/* Rewards are from 0 to 1, and each is of a choice (bandit.h). */
static bool read_arm(qn_json_value arm, qn_route_learned *out, int i)
{
    return read_count(arm, "requests", &out->arms[i].n_requests) &&
           read_count(arm, "chosen", &out->arms[i].n_chosen) &&
           read_count(arm, "rewards", &out->arms[i].n_rewards) &&
           read_number(arm, "reward_sum", &out->arms[i].sum) &&
           out->arms[i].n_rewards <= out->arms[i].n_chosen && out->arms[i].sum >= 0 &&
           out->arms[i].sum <= (double)out->arms[i].n_rewards;
}

static bool read_losses(qn_json_value losses, qn_route_learned *out, int i)
{
    return read_count(losses, "outcomes", &out->losses[i].n) &&
           read_number(losses, "mean", &out->losses[i].mean) &&
           read_number(losses, "squares", &out->losses[i].squares) && out->losses[i].squares >= 0;
}

/* A file may be older than they are. */
static bool read_decisions(qn_json_value decisions, qn_route_learned *out)
{
    if (qn_json_is_null(decisions)) return true;
    out->decisions = qn_json_as_text(decisions, NULL);
    return out->decisions && qn_decision_table_read(out->decisions, out->n_arms, NULL);
}

bool qn_route_learned_read(qn_json_value object, qn_route_learned *out)
{
    qn_json_value arms = qn_json_get(object, "arms"), losses = qn_json_get(object, "losses");
    const int64_t n_arms = qn_json_size(arms);
    *out = (qn_route_learned){.rolled_back =
                                  qn_json_as_bool(qn_json_get(object, "rolled_back"), false)};
    if (!qn_json_is_array(arms) || n_arms > QN_ARMS_MAX || !qn_json_is_array(losses) ||
        qn_json_size(losses) != 2 || qn_json_is_null(qn_json_get(object, "rolled_back")) ||
        !read_count(object, "next_look", &out->next_look)) {
        return false;
    }
    out->n_arms = (int)n_arms;
    for (int i = 0; i < out->n_arms; i++) {
        if (!read_arm(qn_json_at(arms, i), out, i)) return false;
    }
    return read_losses(qn_json_at(losses, 0), out, 0) &&
           read_losses(qn_json_at(losses, 1), out, 1) &&
           read_decisions(qn_json_get(object, "decisions"), out);
}
