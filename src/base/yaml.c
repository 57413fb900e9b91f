/* SPDX-License-Identifier: Apache-2.0 */
#include "base/yaml.h"

#include <string.h>
#include <yaml.h>

struct reading {
    const char *path;
    qn_arena *arena;
    qn_error *err;
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    qn_yaml_node *open[QN_YAML_DEPTH_MAX]; /* the lists and mappings around what comes next */
    int depth;
    qn_yaml_node *root;
};

static qn_status fail_at(const struct reading *r, int64_t line, int64_t column, const char *what)
{
    return qn_fail(r->err, QN_ERR_DATA, "%s:%lld:%lld: %s", r->path, (long long)line,
                   (long long)column, what);
}

static qn_status fail_here(const struct reading *r, const char *what)
{
    const yaml_mark_t *mark = &r->event.start_mark;
    return fail_at(r, (int64_t)mark->line + 1, (int64_t)mark->column + 1, what);
}

static qn_status no_memory(const struct reading *r)
{
    return qn_fail(r->err, QN_ERR_NOMEM, "%s: no memory to read it", r->path);
}

static qn_status next_event(struct reading *r)
{
    if (r->has_event) yaml_event_delete(&r->event);
    r->has_event = yaml_parser_parse(&r->parser, &r->event) == 1;
    if (r->has_event) return QN_OK;
    if (r->parser.error == YAML_MEMORY_ERROR) return no_memory(r);
    const char *problem = r->parser.problem ? r->parser.problem : "not YAML";
    if (r->parser.error == YAML_READER_ERROR) { /* it tells the byte, not the line */
        return qn_fail(r->err, QN_ERR_DATA, "%s: byte %zu: %s", r->path,
                       r->parser.problem_offset + 1, problem);
    }
    const yaml_mark_t *mark = &r->parser.problem_mark;
    return fail_at(r, (int64_t)mark->line + 1, (int64_t)mark->column + 1, problem);
}

/* Plain ~ and null are no text; NUL would cut one short. */
static qn_status take_scalar(const struct reading *r, const char **out, bool *quoted)
{
    const char *value = (const char *)r->event.data.scalar.value;
    const size_t bytes = r->event.data.scalar.length;
    if (memchr(value, '\0', bytes)) return fail_here(r, "a value holds the character NUL");
    *out = qn_arena_strndup(r->arena, value, bytes);
    if (!*out) return no_memory(r);
    *quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!*quoted && (strcmp(*out, "~") == 0 || strcmp(*out, "null") == 0)) *out = "";
    return QN_OK;
}

/* Takes the name of an item, and goes on to its value. */
static qn_status read_key(struct reading *r, const qn_yaml_node *map, qn_yaml_node *item)
{
    bool quoted;
    if (r->event.type != YAML_SCALAR_EVENT) return fail_here(r, "expected a name");
    item->key_line = (int64_t)r->event.start_mark.line + 1;
    item->key_column = (int64_t)r->event.start_mark.column + 1;
    QN_TRY(take_scalar(r, &item->key, &quoted));
    const qn_yaml_node *other = qn_yaml_get(map, item->key);
    if (other) {
        return qn_fail(r->err, QN_ERR_DATA,
                       "%s:%lld:%lld: '%s' is given twice; the first is in line %lld", r->path,
                       (long long)item->key_line, (long long)item->key_column, item->key,
                       (long long)other->key_line);
    }
    return next_event(r);
}

/* The node that the event begins; a list or mapping is open afterwards. */
static qn_status begin_node(struct reading *r, qn_yaml_node *node)
{
    node->line = (int64_t)r->event.start_mark.line + 1;
    node->column = (int64_t)r->event.start_mark.column + 1;
    if (r->event.type == YAML_SCALAR_EVENT) return take_scalar(r, &node->text, &node->quoted);
    if (r->event.type == YAML_SEQUENCE_START_EVENT) {
        node->kind = QN_YAML_LIST;
    } else if (r->event.type == YAML_MAPPING_START_EVENT) {
        node->kind = QN_YAML_MAP;
    } else {
        return fail_here(r, "expected a value");
    }
    node->text = "";
    if (r->depth == QN_YAML_DEPTH_MAX) return fail_here(r, "nested too deep");
    r->open[r->depth++] = node;
    return QN_OK;
}

/* Reads one item of the innermost open node, or closes it. */
static qn_status read_item(struct reading *r)
{
    qn_yaml_node *parent = r->open[r->depth - 1];
    QN_TRY(next_event(r));
    if (r->event.type == YAML_SEQUENCE_END_EVENT || r->event.type == YAML_MAPPING_END_EVENT) {
        r->depth--;
        return QN_OK;
    }
    qn_yaml_node *item = qn_arena_array(r->arena, 1, sizeof *item);
    if (!item) return no_memory(r);
    if (parent->kind == QN_YAML_MAP) QN_TRY(read_key(r, parent, item));
    *(parent->last ? &parent->last->next : &parent->first) = item;
    parent->last = item;
    parent->n_items++;
    return begin_node(r, item);
}

static qn_status read_document(struct reading *r)
{
    QN_TRY(next_event(r)); /* the stream begins */
    QN_TRY(next_event(r));
    if (r->event.type == YAML_STREAM_END_EVENT) return QN_OK;
    QN_TRY(next_event(r)); /* what the document holds */
    qn_yaml_node *root = qn_arena_array(r->arena, 1, sizeof *root);
    if (!root) return no_memory(r);
    QN_TRY(begin_node(r, root));
    while (r->depth > 0) {
        QN_TRY(read_item(r));
    }
    if (root->kind != QN_YAML_SCALAR || *root->text) r->root = root;
    QN_TRY(next_event(r)); /* the document ends */
    QN_TRY(next_event(r));
    if (r->event.type == YAML_STREAM_END_EVENT) return QN_OK;
    return fail_here(r, "a second document begins; expected one");
}

qn_status qn_yaml_read(const char *path, const void *text, size_t bytes, qn_arena *arena,
                       qn_yaml_node **out, qn_error *err)
{
    struct reading r = {.path = path, .arena = arena, .err = err};
    *out = NULL;
    if (!yaml_parser_initialize(&r.parser)) return no_memory(&r);
    yaml_parser_set_input_string(&r.parser, bytes ? text : (const void *)"", bytes);
    const qn_status status = read_document(&r);
    if (r.has_event) yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    if (status == QN_OK) *out = r.root;
    return status;
}

const qn_yaml_node *qn_yaml_get(const qn_yaml_node *map, const char *key)
{
    if (!map || map->kind != QN_YAML_MAP) return NULL;
    for (const qn_yaml_node *item = map->first; item; item = item->next) {
        if (strcmp(item->key, key) == 0) return item;
    }
    return NULL;
}

/* The values of a scalar or a list of scalars. */
static qn_status take_values(const struct reading *r, const qn_yaml_node *node, qn_yaml_pair *pair)
{
    if (node->kind == QN_YAML_MAP) {
        return fail_at(r, node->line, node->column, "expected a value or a list of values");
    }
    pair->is_list = node->kind == QN_YAML_LIST;
    pair->n_values = pair->is_list ? node->n_items : 1;
    pair->values = qn_arena_array(r->arena, pair->n_values, sizeof *pair->values);
    if (!pair->values) return no_memory(r);
    int64_t n = 0;
    for (const qn_yaml_node *item = pair->is_list ? node->first : node; item; item = item->next) {
        if (item->kind != QN_YAML_SCALAR) {
            return fail_at(r, item->line, item->column, "expected a value of the list");
        }
        pair->values[n++] = item->text;
        if (!pair->is_list) break;
    }
    return QN_OK;
}

qn_status qn_yaml_read_pairs(const char *path, const void *text, size_t bytes, qn_arena *arena,
                             qn_yaml_pair **out, qn_error *err)
{
    const struct reading r = {.path = path, .arena = arena, .err = err};
    qn_yaml_node *root;
    qn_yaml_pair *first = NULL, **link = &first;
    *out = NULL;
    QN_TRY(qn_yaml_read(path, text, bytes, arena, &root, err));
    if (!root) return QN_OK;
    if (root->kind != QN_YAML_MAP) {
        return fail_at(&r, root->line, root->column, "expected 'name: value'");
    }
    for (const qn_yaml_node *node = root->first; node; node = node->next) {
        qn_yaml_pair *pair = qn_arena_array(arena, 1, sizeof *pair);
        if (!pair) return no_memory(&r);
        *pair = (qn_yaml_pair){.name = node->key,
                               .line = node->key_line,
                               .column = node->key_column,
                               .value_line = node->line,
                               .value_column = node->column};
        QN_TRY(take_values(&r, node, pair));
        *link = pair;
        link = &pair->next;
    }
    *out = first;
    return QN_OK;
}
