/* SPDX-License-Identifier: Apache-2.0 */
/* Low-discrepancy sequences on the unit cube: Sobol' points (Joe & Kuo 2008) with Owen's nested
 * scrambling by hashing (Burley 2020), and Halton points with random digit permutations
 * (Owen 2017). Any point can be had directly from its index.
 *
 * Threads: immutable after init. */
#ifndef QN_SEARCH_SAMPLERS_SEQUENCE_H
#define QN_SEARCH_SAMPLERS_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

/* Coordinate `dimension` (below QN_SOBOL_DIMENSIONS) of point `index` (its lower 32 bits count), in
 * [0, 1); unscrambled. The order is Gray code's, as in the literature. */
double qn_sobol(int dimension, uint32_t index);
/* The same point set under a random scrambling that keeps its structure. */
double qn_sobol_scrambled(int dimension, uint32_t index, uint64_t seed);

enum { QN_HALTON_DIMENSIONS = 256 };
double qn_halton(int dimension, uint32_t index);
double qn_halton_scrambled(int dimension, uint32_t index, uint64_t seed);

#endif
