/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: a writer that streams into a string in the order given, and a strict reader (jansson,
 * duplicates rejected). Numbers are written so that they read back exactly; NaN and infinities
 * become null.
 *
 * Threads: one thread at a time per writer; a parsed value is immutable. */
#ifndef QN_BASE_JSON_H
#define QN_BASE_JSON_H

#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { QN_JSON_DEPTH_MAX = 64 };

typedef struct qn_json_writer {
    qn_str *out;
    bool indent; /* two spaces a level, for people */
    int depth;
    bool needs_comma[QN_JSON_DEPTH_MAX];
    bool after_key;
} qn_json_writer; /* initialise with {.out = &str} */

void qn_json_begin_object(qn_json_writer *json);
void qn_json_end_object(qn_json_writer *json);
void qn_json_begin_array(qn_json_writer *json);
void qn_json_end_array(qn_json_writer *json);
void qn_json_key(qn_json_writer *json, const char *key);
void qn_json_text(qn_json_writer *json, const char *text); /* NULL gives null */
void qn_json_text_bytes(qn_json_writer *json, const char *text, size_t bytes);
void qn_json_int(qn_json_writer *json, int64_t value);
void qn_json_double(qn_json_writer *json, double value);
void qn_json_bool(qn_json_writer *json, bool value);
void qn_json_null(qn_json_writer *json);
/* A value that is JSON text already. */
void qn_json_raw(qn_json_writer *json, const char *text);
/* Key and value in one call. */
void qn_json_put_text(qn_json_writer *json, const char *key, const char *text);
void qn_json_put_int(qn_json_writer *json, const char *key, int64_t value);
void qn_json_put_double(qn_json_writer *json, const char *key, double value);
void qn_json_put_bool(qn_json_writer *json, const char *key, bool value);

typedef struct qn_json qn_json; /* a parsed document; destroy with qn_json_free() */
typedef const struct qn_json_value_opaque *qn_json_value; /* borrowed; NULL = absent */

/* `name` is what the message calls the text (a file's path). */
QN_MUST_CHECK
qn_status qn_json_parse(const char *text, size_t bytes, const char *name, qn_json **out,
                        qn_error *err);
void qn_json_free(qn_json *json);
qn_json_value qn_json_root(const qn_json *json);

/* Writes a value that was read. */
void qn_json_write_value(qn_json_writer *json, qn_json_value value);

/* Look-ups accept NULL and values of another type, and then give the fall-back. */
qn_json_value qn_json_get(qn_json_value object, const char *key);
int64_t qn_json_size(qn_json_value array_or_object);
qn_json_value qn_json_at(qn_json_value array, int64_t i);
/* The i-th member of an object, in the order written. */
qn_json_value qn_json_member(qn_json_value object, int64_t i, const char **key);
bool qn_json_is_null(qn_json_value value); /* true for NULL as well */
bool qn_json_is_array(qn_json_value value);
bool qn_json_is_object(qn_json_value value);
const char *qn_json_as_text(qn_json_value value, const char *otherwise);
int64_t qn_json_as_int(qn_json_value value, int64_t otherwise);
double qn_json_as_double(qn_json_value value, double otherwise);
bool qn_json_as_bool(qn_json_value value, bool otherwise);

#endif
