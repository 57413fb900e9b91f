/* SPDX-License-Identifier: Apache-2.0 */
/* Quern: from a table to a model in production. Includes every public header. */
#ifndef QUERN_QUERN_H
#define QUERN_QUERN_H

#include "quern/bundle.h"
#include "quern/cluster.h"
#include "quern/error.h"
#include "quern/explain.h"
#include "quern/fit.h"
#include "quern/frame.h"
#include "quern/outliers.h"
#include "quern/reduce.h"
#include "quern/trees.h"
#include "quern/tune.h"

#endif
