/* SPDX-License-Identifier: Apache-2.0 */
/* Linear learners, for the table in learners.c. */
#ifndef QN_LEARN_LINEAR_LINEAR_LEARNERS_H
#define QN_LEARN_LINEAR_LINEAR_LEARNERS_H

#include "learn/learner.h"

extern const qn_learner qn_learner_elastic_net;
extern const qn_learner qn_learner_glm;
extern const qn_learner qn_learner_linear;
extern const qn_learner qn_learner_linear_svm;
extern const qn_learner qn_learner_logistic;
extern const qn_learner qn_learner_ridge;

#endif
