/* SPDX-License-Identifier: Apache-2.0 */
/* The table of transforms. A column goes to the first that is for its kind. */
#include "recipe/transform.h"

const qn_transform *const qn_transforms[] = {&qn_transform_numeric, &qn_transform_categorical,
                                             &qn_transform_datetime, &qn_transform_text, NULL};
