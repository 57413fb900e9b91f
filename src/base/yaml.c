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
    qn_yaml_pair *first, *last;
};

static qn_status fail_at(const struct reading *r, const yaml_mark_t *mark, const char *what)
{
    return qn_fail(r->err, QN_ERR_DATA, "%s:%lld:%lld: %s", r->path, (long long)mark->line + 1,
                   (long long)mark->column + 1, what);
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
    return fail_at(r, &r->parser.problem_mark, problem);
}

static const char *scalar_text(const struct reading *r)
{
    return qn_arena_strndup(r->arena, (const char *)r->event.data.scalar.value,
                            r->event.data.scalar.length);
}

/* Plain ~ and null are no text; NUL would cut one short. */
static qn_status take_scalar(const struct reading *r, const char **out)
{
    if (memchr(r->event.data.scalar.value, '\0', r->event.data.scalar.length)) {
        return fail_at(r, &r->event.start_mark, "a value holds the character NUL");
    }
    *out = scalar_text(r);
    if (!*out) return no_memory(r);
    const bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && (strcmp(*out, "~") == 0 || strcmp(*out, "null") == 0)) *out = "";
    return QN_OK;
}

static qn_status add_value(const struct reading *r, qn_yaml_pair *pair, int64_t *room)
{
    if (pair->n_values == *room) {
        *room = *room ? 2 * *room : 4;
        const char **more = qn_arena_array(r->arena, *room, sizeof *more);
        if (!more) return no_memory(r);
        if (pair->n_values > 0) {
            memcpy(more, pair->values, (size_t)pair->n_values * sizeof *more);
        }
        pair->values = more;
    }
    QN_TRY(take_scalar(r, &pair->values[pair->n_values]));
    pair->n_values++;
    return QN_OK;
}

static qn_status read_value(struct reading *r, qn_yaml_pair *pair)
{
    int64_t room = 0;
    QN_TRY(next_event(r));
    pair->value_line = (int64_t)r->event.start_mark.line + 1;
    pair->value_column = (int64_t)r->event.start_mark.column + 1;
    if (r->event.type == YAML_SCALAR_EVENT) return add_value(r, pair, &room);
    if (r->event.type != YAML_SEQUENCE_START_EVENT) {
        return fail_at(r, &r->event.start_mark, "expected a value or a list of values");
    }
    pair->is_list = true;
    for (;;) {
        QN_TRY(next_event(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT) return QN_OK;
        if (r->event.type != YAML_SCALAR_EVENT) {
            return fail_at(r, &r->event.start_mark, "expected a value of the list");
        }
        QN_TRY(add_value(r, pair, &room));
    }
}

static qn_status read_pair(struct reading *r)
{
    if (r->event.type != YAML_SCALAR_EVENT) {
        return fail_at(r, &r->event.start_mark, "expected a name");
    }
    qn_yaml_pair *pair = qn_arena_array(r->arena, 1, sizeof *pair);
    if (!pair) return no_memory(r);
    const yaml_mark_t mark = r->event.start_mark;
    QN_TRY(take_scalar(r, &pair->name));
    pair->line = (int64_t)mark.line + 1;
    pair->column = (int64_t)mark.column + 1;
    for (const qn_yaml_pair *other = r->first; other; other = other->next) {
        if (strcmp(other->name, pair->name) != 0) continue;
        return qn_fail(r->err, QN_ERR_DATA,
                       "%s:%lld:%lld: '%s' is given twice; the first is in line %lld", r->path,
                       (long long)pair->line, (long long)pair->column, pair->name,
                       (long long)other->line);
    }
    *(r->last ? &r->last->next : &r->first) = pair;
    r->last = pair;
    return read_value(r, pair);
}

static qn_status read_file(struct reading *r)
{
    QN_TRY(next_event(r)); /* the stream begins */
    QN_TRY(next_event(r));
    if (r->event.type == YAML_STREAM_END_EVENT) return QN_OK;
    QN_TRY(next_event(r)); /* what the document holds */
    const bool empty = r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0;
    if (r->event.type != YAML_MAPPING_START_EVENT && !empty) {
        return fail_at(r, &r->event.start_mark, "expected 'name: value'");
    }
    while (!empty) {
        QN_TRY(next_event(r));
        if (r->event.type == YAML_MAPPING_END_EVENT) break;
        QN_TRY(read_pair(r));
    }
    QN_TRY(next_event(r)); /* the document ends */
    QN_TRY(next_event(r));
    if (r->event.type == YAML_STREAM_END_EVENT) return QN_OK;
    return fail_at(r, &r->event.start_mark, "a second document begins; expected one");
}

qn_status qn_yaml_read_pairs(const char *path, const void *text, size_t bytes, qn_arena *arena,
                             qn_yaml_pair **out, qn_error *err)
{
    struct reading r = {.path = path, .arena = arena, .err = err};
    *out = NULL;
    if (!yaml_parser_initialize(&r.parser)) return no_memory(&r);
    yaml_parser_set_input_string(&r.parser, bytes ? text : (const void *)"", bytes);
    const qn_status status = read_file(&r);
    if (r.has_event) yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    if (status == QN_OK) *out = r.first;
    return status;
}
