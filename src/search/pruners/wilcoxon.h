/* SPDX-License-Identifier: Apache-2.0 */
/* Wilcoxon's signed-rank test.
 *
 * Threads: pure functions. */
#ifndef QN_SEARCH_PRUNERS_WILCOXON_H
#define QN_SEARCH_PRUNERS_WILCOXON_H

#include <stdint.h>

/* P of differences so great or greater if their distribution were symmetric about 0: exact up to 40
 * without ties and zeros, else the normal approximation with zeros split between the signs. QN_NA
 * for n = 0 or without memory. */
double qn_wilcoxon_greater(const double *differences, int64_t n);

#endif
