/* SPDX-License-Identifier: Apache-2.0 */
/* How well a straight line in a column's scaled numbers tells the target, for the choice between
 * two scales of a column.
 *
 * Threads: a pure function. */
#ifndef QN_RECIPE_STRAIGHTNESS_H
#define QN_RECIPE_STRAIGHTNESS_H

#include "recipe/transform.h"

/* Log-likelihood of the line, up to a constant of the column: of a logistic one for two classes,
 * since a few extreme values hide in a correlation; of the classes' means for several, and of a
 * straight line for numbers, both with normal errors. Of 4,000 of the rows, at equal steps. */
double qn_straightness(const qn_fit_column *column, const qn_scale *scale);

#endif
