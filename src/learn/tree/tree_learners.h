/* SPDX-License-Identifier: Apache-2.0 */
/* The learners on binned rows, for the table in learners.c. */
#ifndef QN_LEARN_TREE_TREE_LEARNERS_H
#define QN_LEARN_TREE_TREE_LEARNERS_H

#include "learn/learner.h"

extern const qn_learner qn_learner_gbdt;
extern const qn_learner qn_learner_extra_trees;
extern const qn_learner qn_learner_random_forest;
extern const qn_learner qn_learner_decision_tree;

#endif
