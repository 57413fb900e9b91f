/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of classes beside those of rows: a parameter of the same name for every learner that has
 * it, with scikit-learn's values. Balanced, a class weighs total / (n_classes × its own weight), so
 * that all classes weigh the same and the total stays: King & Zeng 2001.
 *
 * Threads: pure functions. */
#ifndef QN_LEARN_CLASS_WEIGHT_H
#define QN_LEARN_CLASS_WEIGHT_H

#include "learn/learner.h"

typedef enum qn_class_weight { QN_CLASS_WEIGHT_NONE, QN_CLASS_WEIGHT_BALANCED } qn_class_weight;

extern const char *const qn_class_weight_names[];

/* The parameter's line in a learner's table; its place is an int32_t. */
#define QN_PARAM_CLASS_WEIGHT(offset)                                                      \
    {                                                                                      \
        "class_weight", QN_PARAM_CHOICE, offset, 0, QN_CLASS_WEIGHT_BALANCED, 0, 0, false, \
            QN_CLASS_WEIGHT_NONE, qn_class_weight_names,                                   \
            "balanced: every class weighs the same in total, which changes probabilities"  \
    }

/* Writes the weight of each class of the training rows to out, QN_CLASSES_MAX numbers; 1 for all
 * when they are not balanced or the target is no class, and for a class without rows. Returns
 * whether any may differ from 1. */
bool qn_class_weights(const qn_dataset *data, int32_t class_weight, double *out);

#endif
