/* SPDX-License-Identifier: Apache-2.0 */
/* Policy gradient: REINFORCE with a baseline (Williams 1992) over the decisions that make a
 * configuration, as in neural architecture search (Zoph & Le 2017) without the network.
 *
 * Each parameter is a decision with a policy of its own: a softmax over its choices, or over cells
 * of equal width for numbers of more values, within which the draw is uniform. Decisions that a
 * configuration does not have, since their conditions do not hold, learn nothing from it.
 *
 * The reward is the share of the last `window` trials that are worse, less the share of those that
 * are better: a moving baseline that no scale of losses, no pruning and no broken limit upsets. For
 * a decision with probabilities p, where k was taken, the logits move by
 *
 *     rate × (reward × (e_k - p) + entropy × ∇H),     ∂H/∂logit_j = -p_j (log p_j + H).
 *
 * H, the entropy of the policy, keeps it from settling on what it happened to see first.
 *
 * Work is linear in the number of choices; trials at a time share one policy, so that batches cost
 * nothing but the delay. */
#include "base/alloc.h"
#include "search/samplers/sampler_table.h"

#include <math.h>
#include <string.h>

struct reinforce_settings {
    double rate, entropy, window, cells;
};

/* The decision of a parameter. */
struct decision {
    int64_t n;      /* choices or cells */
    double *logits; /* [n] */
};

struct reinforce_state {
    const qn_history *history;
    struct reinforce_settings settings;
    int64_t n_decisions; /* parameters that have one; later ones are drawn uniformly */
    struct decision *decisions;
    double *chances; /* scratch: of the decision with the most choices */
    int64_t chances_room;
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the sampler reinforce");
}

static qn_status init(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct reinforce_state *s = state;
    (void)err;
    s->history = setup->history;
    memcpy(&s->settings, setup->settings, sizeof s->settings);
    return QN_OK;
}

static void release(void *state)
{
    struct reinforce_state *s = state;
    for (int64_t at = 0; at < s->n_decisions; at++) {
        qn_free(s->decisions[at].logits);
    }
    qn_free(s->decisions);
    qn_free(s->chances);
}

static bool is_by_cell(const qn_parameter *p, int64_t n_cells)
{
    return !qn_parameter_is_unordered(p) && (p->n_values == 0 || p->n_values > n_cells);
}

/* Decisions for parameters that have none yet. */
static bool add_decisions(struct reinforce_state *s)
{
    const qn_space *space = s->history->space;
    const int64_t n_cells = (int64_t)s->settings.cells;
    if (s->n_decisions == space->n) return true;
    struct decision *more = qn_realloc_array(s->decisions, space->n, sizeof *more);
    if (!more) return false;
    s->decisions = more;
    for (; s->n_decisions < space->n; s->n_decisions++) {
        const qn_parameter *p = &space->parameters[s->n_decisions];
        const int64_t n = is_by_cell(p, n_cells) ? n_cells : p->n_values;
        if (n > s->chances_room) {
            double *chances = qn_realloc_array(s->chances, n, sizeof *chances);
            if (!chances) return false;
            s->chances = chances;
            s->chances_room = n;
        }
        double *logits = qn_alloc_array(n, sizeof *logits);
        if (!logits) return false;
        s->decisions[s->n_decisions] = (struct decision){n, logits};
    }
    return true;
}

/* Softmax; returns the entropy. */
static double chances_of(const struct decision *decision, double *chances)
{
    double most = decision->logits[0], total = 0, entropy = 0;
    for (int64_t k = 1; k < decision->n; k++) {
        most = fmax(most, decision->logits[k]);
    }
    for (int64_t k = 0; k < decision->n; k++) {
        chances[k] = exp(decision->logits[k] - most);
        total += chances[k];
    }
    for (int64_t k = 0; k < decision->n; k++) {
        chances[k] /= total;
        if (chances[k] > 0) entropy -= chances[k] * log(chances[k]);
    }
    return entropy;
}

/* Which choice or cell a value is. */
static int64_t taken(const struct reinforce_state *s, const qn_parameter *p, double value)
{
    const int64_t n_cells = (int64_t)s->settings.cells;
    if (!is_by_cell(p, n_cells)) return qn_parameter_index_of(p, value);
    const int64_t cell = (int64_t)floor(qn_parameter_to_unit(p, value) * (double)n_cells);
    return cell < 0 ? 0 : cell < n_cells ? cell : n_cells - 1;
}

/* From -1, worse than all of the last trials, to 1. */
static double reward_of(const struct reinforce_state *s, const qn_trial_record *trial)
{
    const int64_t n_told = s->history->n_told - 1, window = (int64_t)s->settings.window;
    const int64_t first = n_told > window ? n_told - window : 0;
    int64_t balance = 0;
    for (int64_t i = first; i < n_told; i++) {
        balance += qn_trial_compare(trial, s->history->told[i]) < 0 ? 1 : -1;
    }
    return n_told > first ? (double)balance / (double)(n_told - first) : 0;
}

static void learn(struct reinforce_state *s, const struct decision *decision, int64_t k,
                  double reward)
{
    const double rate = s->settings.rate;
    const double entropy = chances_of(decision, s->chances);
    for (int64_t j = 0; j < decision->n; j++) {
        const double p = s->chances[j];
        const double more_entropy = p > 0 ? -p * (log(p) + entropy) : 0;
        decision->logits[j] +=
            rate * (reward * ((j == k) - p) + s->settings.entropy * more_entropy);
    }
}

static qn_status tell(void *state, const qn_trial_record *trial, qn_error *err)
{
    struct reinforce_state *s = state;
    if (!add_decisions(s)) return no_memory(err);
    const double reward = reward_of(s, trial);
    for (int64_t at = 0; at < s->n_decisions; at++) {
        const double value = qn_trial_value(trial, at);
        if (isnan(value)) continue;
        const qn_parameter *p = &s->history->space->parameters[at];
        learn(s, &s->decisions[at], taken(s, p, value), reward);
    }
    return QN_OK;
}

static int64_t draw(const double *chances, int64_t n, qn_rng *rng)
{
    double uniform = qn_rng_uniform(rng);
    int64_t k = 0;
    while (k + 1 < n && (uniform -= chances[k]) >= 0) {
        k++;
    }
    return k;
}

static qn_status ask(void *state, qn_sampler_ask *ask, qn_error *err)
{
    struct reinforce_state *s = state;
    const qn_space *space = s->history->space;
    const int64_t n_cells = (int64_t)s->settings.cells;
    (void)err;
    qn_space_draw(space, ask->rng, ask->values);
    for (int64_t at = 0; at < s->n_decisions; at++) {
        const qn_parameter *p = &space->parameters[at];
        chances_of(&s->decisions[at], s->chances);
        const int64_t k = draw(s->chances, s->decisions[at].n, ask->rng);
        const double unit = ((double)k + qn_rng_uniform(ask->rng)) / (double)n_cells;
        ask->values[at] =
            is_by_cell(p, n_cells) ? qn_parameter_from_unit(p, unit) : qn_parameter_value_at(p, k);
    }
    return QN_OK;
}

#define AT(member) offsetof(struct reinforce_settings, member)

static const qn_setting settings[] = {
    {"rate", QN_SETTING_FLOAT, AT(rate), 1e-6, 10, 1, "by which a trial moves the policy"},
    {"entropy", QN_SETTING_FLOAT, AT(entropy), 0, 10, 0.1, "weight of the policy's entropy"},
    {"window", QN_SETTING_WHOLE, AT(window), 1, 1e5, 50,
     "last trials that a reward is relative to"},
    {"cells", QN_SETTING_WHOLE, AT(cells), 2, 1000, 10, "that the range of a number is cut into"},
    {0}};

const qn_sampler qn_sampler_reinforce = {
    .name = "reinforce",
    .help = "policy gradient over the decisions of a configuration (Williams 1992)",
    .capabilities = QN_SAMPLER_GROWING_SPACE,
    .settings = settings,
    .settings_bytes = sizeof(struct reinforce_settings),
    .state_bytes = sizeof(struct reinforce_state),
    .init = init,
    .tell = tell,
    .ask = ask,
    .release = release};
