/* SPDX-License-Identifier: Apache-2.0 */
/* The samplers, for the table in samplers.c, and what they share. */
#ifndef QN_SEARCH_SAMPLERS_SAMPLER_TABLE_H
#define QN_SEARCH_SAMPLERS_SAMPLER_TABLE_H

#include "search/samplers/sampler.h"

extern const qn_sampler qn_sampler_random, qn_sampler_grid, qn_sampler_brute_force,
    qn_sampler_sobol, qn_sampler_halton, qn_sampler_tpe, qn_sampler_nsga2, qn_sampler_nsga3,
    qn_sampler_evolution, qn_sampler_anneal, qn_sampler_cmaes, qn_sampler_gp, qn_sampler_cfo,
    qn_sampler_reinforce;

/* What 'auto' means for a study: a sampler as text, and why. */
const char *qn_sampler_choose(const qn_sampler_setup *setup, bool defines_by_run,
                              const char **reason);

/* Every parameter at random, uniform on its scale, conditions or not. */
void qn_space_draw(const qn_space *space, qn_rng *rng, double *values);

#endif
