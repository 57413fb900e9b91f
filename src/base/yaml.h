/* SPDX-License-Identifier: Apache-2.0 */
/* YAML as a tree of scalars, lists and mappings that know where they stand, so that whoever makes
 * sense of them can say what is wrong with line and column. JSON is read by the same functions: it
 * is YAML. Anchors, aliases and further documents are refused. The only folder that includes
 * libyaml is this one.
 *
 * Threads: calls are independent. */
#ifndef QN_BASE_YAML_H
#define QN_BASE_YAML_H

#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>

enum { QN_YAML_DEPTH_MAX = 32 };

typedef enum qn_yaml_kind { QN_YAML_SCALAR, QN_YAML_LIST, QN_YAML_MAP } qn_yaml_kind;

typedef struct qn_yaml_node {
    qn_yaml_kind kind;
    int64_t line, column; /* from 1 */
    const char *text;     /* of a scalar; "" for an empty one, ~ and null */
    bool quoted;          /* a scalar that is a text whatever it looks like */
    int64_t n_items;      /* of a list or mapping */
    struct qn_yaml_node *first, *last;
    struct qn_yaml_node *next; /* the next item of the same parent */
    const char *key;           /* of a mapping's item; different from its siblings' */
    int64_t key_line, key_column;
} qn_yaml_node;

/* Reads the text of a file; `path` is for messages alone. The arena owns what *out points to, which
 * is NULL for an empty file. Fails with QN_ERR_DATA ("path:line:column: …": not YAML, a name given
 * twice, nested deeper than QN_YAML_DEPTH_MAX) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_yaml_read(const char *path, const void *text, size_t bytes, qn_arena *arena,
                       qn_yaml_node **out, qn_error *err);
/* The item of a mapping; NULL when there is none, or `map` is no mapping. */
const qn_yaml_node *qn_yaml_get(const qn_yaml_node *map, const char *key);

/* Files of names and values, such as a command's options: one mapping, whose values are scalars or
 * lists of scalars. */
typedef struct qn_yaml_pair {
    struct qn_yaml_pair *next; /* in the order of the file; NULL after the last */
    const char *name;
    int64_t line, column;             /* where the name stands, from 1 */
    int64_t value_line, value_column; /* and its value */
    bool is_list;
    int64_t n_values; /* 1 for a scalar; an empty one is "" */
    const char **values;
} qn_yaml_pair;

/* As qn_yaml_read(); fails with QN_ERR_DATA also when the file is not such a mapping. */
QN_MUST_CHECK
qn_status qn_yaml_read_pairs(const char *path, const void *text, size_t bytes, qn_arena *arena,
                             qn_yaml_pair **out, qn_error *err);

#endif
