/* SPDX-License-Identifier: Apache-2.0 */
/* Quasi-random search: trial k is point k of a low-discrepancy sequence, a dimension a parameter.
 * Parameters beyond the sequence's dimensions are drawn at random. */
#include "search/samplers/sampler_table.h"
#include "search/samplers/sequence.h"
#include "search/samplers/sobol_directions.h"

#include <assert.h>

static_assert((int)QN_HALTON_DIMENSIONS == (int)QN_SOBOL_DIMENSIONS, "one limit for both");

struct sequence_settings {
    double scramble;
};

struct sequence_state {
    const qn_space *space;
    uint64_t seed;
    bool scramble, halton;
};

static qn_status init_sobol(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct sequence_state *sequence = state;
    const struct sequence_settings *settings = setup->settings;
    (void)err;
    sequence->space = setup->history->space;
    sequence->seed = setup->seed;
    sequence->scramble = settings->scramble != 0;
    return QN_OK;
}

static qn_status init_halton(void *state, const qn_sampler_setup *setup, qn_error *err)
{
    struct sequence_state *sequence = state;
    sequence->halton = true;
    return init_sobol(state, setup, err);
}

static double coordinate(const struct sequence_state *sequence, int64_t at, uint32_t index)
{
    const int dimension = (int)at;
    if (sequence->halton) {
        return sequence->scramble ? qn_halton_scrambled(dimension, index, sequence->seed)
                                  : qn_halton(dimension, index);
    }
    return sequence->scramble ? qn_sobol_scrambled(dimension, index, sequence->seed)
                              : qn_sobol(dimension, index);
}

/* A point that constraints forbade is replaced by one from far along the sequence. */
static qn_status ask(void *state, qn_sampler_ask *ask, qn_error *err)
{
    const struct sequence_state *sequence = state;
    const uint32_t index = (uint32_t)ask->number + ((uint32_t)ask->attempt << 26);
    (void)err;
    for (int64_t at = 0; at < sequence->space->n; at++) {
        const qn_parameter *p = &sequence->space->parameters[at];
        ask->values[at] = at < QN_SOBOL_DIMENSIONS
                              ? qn_parameter_from_unit(p, coordinate(sequence, at, index))
                              : qn_parameter_draw(p, ask->rng);
    }
    return QN_OK;
}

static const qn_setting settings[] = {{"scramble", QN_SETTING_FLAG,
                                       offsetof(struct sequence_settings, scramble), 0, 1, 1,
                                       "randomise the points without losing their evenness"},
                                      {0}};

const qn_sampler qn_sampler_sobol = {
    .name = "sobol",
    .help = "Sobol' points (Joe & Kuo 2008), Owen-scrambled (Burley 2020)",
    .capabilities = QN_SAMPLER_OBJECTIVES | QN_SAMPLER_GROWING_SPACE,
    .settings = settings,
    .settings_bytes = sizeof(struct sequence_settings),
    .state_bytes = sizeof(struct sequence_state),
    .init = init_sobol,
    .ask = ask};

const qn_sampler qn_sampler_halton = {.name = "halton",
                                      .help = "Halton points with permuted digits (Owen 2017)",
                                      .capabilities =
                                          QN_SAMPLER_OBJECTIVES | QN_SAMPLER_GROWING_SPACE,
                                      .settings = settings,
                                      .settings_bytes = sizeof(struct sequence_settings),
                                      .state_bytes = sizeof(struct sequence_state),
                                      .init = init_halton,
                                      .ask = ask};
