/* SPDX-License-Identifier: Apache-2.0 */
/* What `quern explain MODEL --shapes` prints and writes: the terms of additive models. */
#ifndef QN_CLI_EXPLAIN_SHAPES_H
#define QN_CLI_EXPLAIN_SHAPES_H

#include "bundle/bundle.h"

/* A line for each term, or one JSON object; `path` NULL, or a file for all cells: JSON if its name
 * ends with .json, else CSV. Fails with QN_ERR_UNSUPPORTED where no model is additive. */
QN_MUST_CHECK
qn_status cli_explain_shapes(const char *model_path, const char *path, bool json, qn_error *err);

#endif
