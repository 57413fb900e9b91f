/* SPDX-License-Identifier: Apache-2.0 */
#include "search/samplers/sampler_table.h"

struct random_state {
    const qn_space *space;
};

void qn_space_draw(const qn_space *space, qn_rng *rng, double *values)
{
    for (int64_t at = 0; at < space->n; at++) {
        values[at] = qn_parameter_draw(&space->parameters[at], rng);
    }
}

/* The simplest sampler: every parameter uniform on its scale, whatever came before. */
static qn_status ask_random(void *state, qn_sampler_ask *ask, qn_error *err)
{
    struct random_state *random = state;
    (void)err;
    qn_space_draw(random->space, ask->rng, ask->values);
    return QN_OK;
}

static qn_status init_random(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct random_state *random = state;
    (void)err;
    random->space = setup->history->space;
    return QN_OK;
}

static const qn_setting no_settings[] = {{0}};

const qn_sampler qn_sampler_random = {.name = "random",
                                      .help = "uniform on each parameter's scale",
                                      .capabilities =
                                          QN_SAMPLER_OBJECTIVES | QN_SAMPLER_GROWING_SPACE,
                                      .settings = no_settings,
                                      .state_bytes = sizeof(struct random_state),
                                      .init = init_random,
                                      .ask = ask_random};
