/* SPDX-License-Identifier: Apache-2.0 */
/* The pruners, for the table in pruners.c. */
#ifndef QN_SEARCH_PRUNERS_PRUNER_TABLE_H
#define QN_SEARCH_PRUNERS_PRUNER_TABLE_H

#include "search/pruners/pruner.h"

extern const qn_pruner qn_pruner_median, qn_pruner_percentile, qn_pruner_threshold,
    qn_pruner_patience, qn_pruner_asha, qn_pruner_hyperband, qn_pruner_wilcoxon, qn_pruner_curve;

#endif
