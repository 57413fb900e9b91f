/* SPDX-License-Identifier: Apache-2.0 */
/* Constant: class frequencies or the mean, whatever the row. See qn_constant_create(). */
#ifndef QN_MODEL_CONSTANT_MODEL_H
#define QN_MODEL_CONSTANT_MODEL_H

#include "model/estimator.h"

extern const qn_family qn_family_constant;

#endif
