/* SPDX-License-Identifier: Apache-2.0 */
/* Learners of one file each, for the table in learners.c. */
#ifndef QN_LEARN_SIMPLE_LEARNERS_H
#define QN_LEARN_SIMPLE_LEARNERS_H

#include "learn/learner.h"

extern const qn_learner qn_learner_gaussian_process;
extern const qn_learner qn_learner_knn;
extern const qn_learner qn_learner_naive_bayes;

#endif
