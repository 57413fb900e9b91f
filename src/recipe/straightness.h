/* SPDX-License-Identifier: Apache-2.0 */
/* How well a straight line in a column's scaled numbers tells the target, for the choice between
 * two scales of a column.
 *
 * Threads: a pure function. */
#ifndef QN_RECIPE_STRAIGHTNESS_H
#define QN_RECIPE_STRAIGHTNESS_H

#include "recipe/transform.h"

/* Greater is better, and comparable for one column only. Two classes: log-likelihood of the
 * logistic line, since a few extreme values hide in a correlation; several: share of the variance
 * that lies between the classes; numbers: squared correlation. Of 4,000 of the rows, at equal
 * steps. */
double qn_straightness(const qn_fit_column *column, const qn_scale *scale);

#endif
