/* SPDX-License-Identifier: Apache-2.0 */
/* Support vector machines with kernels, for the table in learners.c. */
#ifndef QN_LEARN_SVM_KERNEL_SVM_H
#define QN_LEARN_SVM_KERNEL_SVM_H

#include "learn/learner.h"

extern const qn_learner qn_learner_svm;

#endif
