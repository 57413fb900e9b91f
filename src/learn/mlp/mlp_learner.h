/* SPDX-License-Identifier: Apache-2.0 */
/* The neural network, for the table in learners.c. */
#ifndef QN_LEARN_MLP_MLP_LEARNER_H
#define QN_LEARN_MLP_MLP_LEARNER_H

#include "learn/learner.h"

extern const qn_learner qn_learner_mlp;

#endif
