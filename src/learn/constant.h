/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QN_LEARN_CONSTANT_H
#define QN_LEARN_CONSTANT_H

#include "learn/learner.h"

extern const qn_learner qn_learner_constant;

#endif
