/* SPDX-License-Identifier: Apache-2.0 */
/* Names of columns: no two alike. */
#ifndef QN_SOURCE_NAMES_H
#define QN_SOURCE_NAMES_H

#include "base/map.h"
#include "base/str.h"

/* Puts a number behind *name, the column's, where an earlier column has it already, and says so in
 * `warnings` (may be NULL). `seen` holds the names so far. False when out of memory. */
bool qn_name_make_unique(qn_map *seen, const char *source, int64_t col, char **name,
                         qn_str *warnings);

#endif
