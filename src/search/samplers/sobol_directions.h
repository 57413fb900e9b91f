/* SPDX-License-Identifier: Apache-2.0 */
/* Per dimension the primitive polynomial (its bits) and the initial direction numbers m_1 … */
#ifndef QN_SEARCH_SAMPLERS_SOBOL_DIRECTIONS_H
#define QN_SEARCH_SAMPLERS_SOBOL_DIRECTIONS_H

#include <stdint.h>

enum { QN_SOBOL_DIMENSIONS = 256, QN_SOBOL_DEGREE_MAX = 11 };

extern const uint16_t qn_sobol_directions[QN_SOBOL_DIMENSIONS][QN_SOBOL_DEGREE_MAX + 1];

#endif
