/* SPDX-License-Identifier: Apache-2.0 */
/* UBJSON, draft 12: markers of one byte, big-endian numbers, containers with an optional type and
 * count. What XGBoost writes with the ending .ubj. */
#include "model/import_model.h"

#include "base/number.h"

#include <string.h>

enum { DEPTH_MAX = 64 };

struct reader {
    const uint8_t *data;
    size_t bytes, at;
    const char *name;
    qn_json_writer json;
    qn_error *err;
};

static qn_status damaged(const struct reader *r, const char *what)
{
    return qn_fail(r->err, QN_ERR_DATA, "%s: byte %zu: %s", r->name, r->at, what);
}

static bool take(struct reader *r, size_t n, uint64_t *out)
{
    if (r->bytes - r->at < n) return false;
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        *out = *out << 8 | r->data[r->at++];
    }
    return true;
}

static int width_of(uint8_t marker)
{
    switch (marker) {
    case 'i':
    case 'U':
    case 'C':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

static qn_status read_integer(struct reader *r, uint8_t marker, int64_t *out)
{
    uint64_t raw;
    const int width = width_of(marker);
    if (width == 0 || marker == 'd' || marker == 'D' || marker == 'C') {
        return damaged(r, "an integer was expected");
    }
    if (!take(r, (size_t)width, &raw)) return damaged(r, "the file ends within a number");
    const int shift = 64 - 8 * width;
    *out = marker == 'U' ? (int64_t)raw : (int64_t)(raw << shift) >> shift;
    return QN_OK;
}

static qn_status read_count(struct reader *r, int64_t *out)
{
    uint64_t marker;
    if (!take(r, 1, &marker)) return damaged(r, "the file ends where a length was expected");
    QN_TRY(read_integer(r, (uint8_t)marker, out));
    return *out >= 0 ? QN_OK : damaged(r, "a length is below 0");
}

static qn_status read_text(struct reader *r, const char **text, size_t *bytes)
{
    int64_t n;
    QN_TRY(read_count(r, &n));
    if ((uint64_t)n > r->bytes - r->at) return damaged(r, "a text goes beyond the file's end");
    *text = (const char *)r->data + r->at;
    *bytes = (size_t)n;
    r->at += (size_t)n;
    return QN_OK;
}

static qn_status put_float(struct reader *r, uint8_t marker)
{
    uint64_t raw;
    if (!take(r, (size_t)width_of(marker), &raw)) {
        return damaged(r, "the file ends within a number");
    }
    double value;
    if (marker == 'd') {
        const uint32_t half = (uint32_t)raw;
        float single;
        memcpy(&single, &half, sizeof single);
        value = (double)single;
    } else {
        memcpy(&value, &raw, sizeof value);
    }
    qn_json_double(&r->json, value);
    return QN_OK;
}

static qn_status put_scalar(struct reader *r, uint8_t marker)
{
    int64_t integer;
    const char *text = NULL;
    size_t bytes = 0;
    switch (marker) {
    case 'Z':
        qn_json_null(&r->json);
        return QN_OK;
    case 'T':
    case 'F':
        qn_json_bool(&r->json, marker == 'T');
        return QN_OK;
    case 'd':
    case 'D':
        return put_float(r, marker);
    case 'S':
        QN_TRY(read_text(r, &text, &bytes));
        qn_json_text_bytes(&r->json, text, bytes);
        return QN_OK;
    default:
        QN_TRY(read_integer(r, marker, &integer));
        qn_json_int(&r->json, integer);
        return QN_OK;
    }
}

/* An open container: how many items are left (-1: until its end marker), of which type (0: each
 * has its own marker). */
struct level {
    bool object;
    int64_t left;
    uint8_t type;
};

static qn_status open_container(struct reader *r, uint8_t marker, struct level *level)
{
    uint64_t byte;
    *level = (struct level){.object = marker == '{', .left = -1};
    if (r->at < r->bytes && r->data[r->at] == '$') {
        r->at++;
        if (!take(r, 1, &byte)) return damaged(r, "the file ends where a type was expected");
        level->type = (uint8_t)byte;
        if (width_of(level->type) == 0 && level->type != 'S') {
            return damaged(r, "a container of a type that is none");
        }
        if (r->at >= r->bytes || r->data[r->at] != '#') {
            return damaged(r, "a typed container has no length");
        }
    }
    if (r->at < r->bytes && r->data[r->at] == '#') {
        r->at++;
        QN_TRY(read_count(r, &level->left));
        if ((uint64_t)level->left > r->bytes - r->at) {
            return damaged(r, "a container goes beyond the file's end");
        }
    }
    if (level->object) {
        qn_json_begin_object(&r->json);
    } else {
        qn_json_begin_array(&r->json);
    }
    return QN_OK;
}

static bool at_end(struct reader *r, const struct level *level)
{
    if (level->left >= 0) return level->left == 0;
    if (r->at >= r->bytes || r->data[r->at] != (level->object ? '}' : ']')) return false;
    r->at++;
    return true;
}

static qn_status put_key(struct reader *r)
{
    const char *text = NULL;
    size_t bytes = 0;
    char key[256];
    QN_TRY(read_text(r, &text, &bytes));
    if (bytes >= sizeof key || memchr(text, 0, bytes)) return damaged(r, "a key is none");
    memcpy(key, text, bytes);
    key[bytes] = 0;
    qn_json_key(&r->json, key);
    return QN_OK;
}

static qn_status read_value(struct reader *r)
{
    struct level levels[DEPTH_MAX];
    int depth = 0;
    do {
        struct level *level = depth > 0 ? &levels[depth - 1] : NULL;
        if (level && at_end(r, level)) {
            if (level->object) {
                qn_json_end_object(&r->json);
            } else {
                qn_json_end_array(&r->json);
            }
            depth--;
            continue;
        }
        if (level && level->left > 0) level->left--;
        if (level && level->object) QN_TRY(put_key(r));
        uint64_t marker = level ? level->type : 0;
        if (marker == 0 && !take(r, 1, &marker)) return damaged(r, "the file ends here");
        if (marker == '{' || marker == '[') {
            if (depth == DEPTH_MAX) return damaged(r, "nested too deep");
            QN_TRY(open_container(r, (uint8_t)marker, &levels[depth++]));
        } else {
            QN_TRY(put_scalar(r, (uint8_t)marker));
        }
    } while (depth > 0);
    return QN_OK;
}

qn_status qn_ubjson_to_json(const uint8_t *data, size_t bytes, const char *name, qn_str *out,
                            qn_error *err)
{
    struct reader r = {
        .data = data, .bytes = bytes, .name = name, .json = {.out = out}, .err = err};
    QN_TRY(read_value(&r));
    return out->failed ? qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", name) : QN_OK;
}
