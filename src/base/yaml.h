/* SPDX-License-Identifier: Apache-2.0 */
/* YAML files of names and values, such as a command's options: one mapping, whose values are
 * scalars or lists of scalars. The only folder that includes libyaml is this one.
 *
 * Threads: calls are independent. */
#ifndef QN_BASE_YAML_H
#define QN_BASE_YAML_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>

typedef struct qn_yaml_pair {
    struct qn_yaml_pair *next; /* in the order of the file; NULL after the last */
    const char *name;
    int64_t line, column;             /* where the name stands, from 1 */
    int64_t value_line, value_column; /* and its value */
    bool is_list;
    int64_t n_values; /* 1 for a scalar; an empty one is "" */
    const char **values;
} qn_yaml_pair;

/* Reads the text of a file; `path` is for messages alone. The arena owns what *out points to, which
 * is NULL for an empty file. Fails with QN_ERR_DATA ("path:line:column: …": not YAML, not such a
 * mapping, a name given twice) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_yaml_read_pairs(const char *path, const void *text, size_t bytes, qn_arena *arena,
                             qn_yaml_pair **out, qn_error *err);

#endif
