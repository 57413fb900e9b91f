/* SPDX-License-Identifier: Apache-2.0 */
/* Explainable boosting machines: additive models of shape functions, boosted in a circle over the
 * features (Lou, Caruana & Gehrke 2012, "Intelligible Models"), then over a few pairs of them (Lou
 * et al. 2013, "Accurate Intelligible Models with Pairwise Interactions"), as the mean of models of
 * several bags (Nori et al. 2019, "InterpretML").
 *
 *   terms       what is boosted: features and pairs, and the cell of each row in each of them
 *   shape_step  one step: a tree of a few leaves over the cells of a term, from sums of derivatives
 *   boost_terms one bag: rounds of steps over its terms until held-out rows say stop
 *   fast_pairs  which pairs are worth a term
 *   ebm         the learner: bags, pairs, centring, the model */
#ifndef QN_LEARN_ADDITIVE_EBM_H
#define QN_LEARN_ADDITIVE_EBM_H

#include "learn/learner.h"

extern const qn_learner qn_learner_ebm;

#endif
