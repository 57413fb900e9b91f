/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/rows/tensor_data.h"

#include "base/number.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LENGTH_BYTES = 4 }; /* before each text */

static const char too_few[] = "has fewer values than its shape says";

const qn_datatype *qn_datatype_find(qn_span name)
{
    static const qn_datatype known[] = {
        {"BOOL", QN_TENSOR_BOOL, 1},   {"UINT8", QN_TENSOR_UINT, 1},  {"UINT16", QN_TENSOR_UINT, 2},
        {"UINT32", QN_TENSOR_UINT, 4}, {"UINT64", QN_TENSOR_UINT, 8}, {"INT8", QN_TENSOR_INT, 1},
        {"INT16", QN_TENSOR_INT, 2},   {"INT32", QN_TENSOR_INT, 4},   {"INT64", QN_TENSOR_INT, 8},
        {"FP16", QN_TENSOR_FLOAT, 2},  {"FP32", QN_TENSOR_FLOAT, 4},  {"FP64", QN_TENSOR_FLOAT, 8},
        {"BYTES", QN_TENSOR_TEXT, 0}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) == name.bytes &&
            memcmp(known[i].name, name.text, name.bytes) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

qn_rows_tensor qn_tensor_of_json(qn_pull data)
{
    qn_pull_enter(&data);
    return (qn_rows_tensor){.given = true, .pull = data, .first = {true, true}};
}

qn_rows_tensor qn_tensor_of_bytes(const qn_datatype *type, const char *data, size_t bytes)
{
    return (qn_rows_tensor){.given = true, .type = type, .at = data, .end = data + bytes};
}

/* Passes to the next JSON value, whatever lists it stands in; false at the end. */
static bool next_json(qn_rows_tensor *tensor)
{
    for (;;) {
        if (!qn_pull_next(&tensor->pull, &tensor->first[tensor->depth])) {
            if (tensor->depth == 0 || tensor->pull.wrong) return false;
            tensor->depth--;
        } else if (tensor->depth == 0 && qn_pull_peek(&tensor->pull) == QN_PULL_ARRAY) {
            qn_pull_enter(&tensor->pull);
            tensor->first[++tensor->depth] = true;
        } else {
            return true;
        }
    }
}

/* Binary values. */

static uint64_t load(const char *at, size_t bytes)
{
    uint64_t bits = 0;
    for (size_t i = bytes; i-- > 0;) {
        bits = bits << 8 | (unsigned char)at[i];
    }
    return bits;
}

/* IEEE 754 binary16: 5 bits of exponent, 10 of fraction. */
static double half_value(uint64_t bits)
{
    const int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    double value;
    if (exponent == 31) {
        value = fraction ? QN_NA : QN_INF;
    } else if (exponent == 0) {
        value = ldexp(fraction, -24);
    } else {
        value = ldexp(1024 + fraction, exponent - 25);
    }
    return bits >> 15 ? -value : value;
}

static double float_value(uint64_t bits, size_t bytes)
{
    if (bytes == sizeof(float)) {
        const uint32_t narrow = (uint32_t)bits;
        float value;
        memcpy(&value, &narrow, sizeof value);
        return (double)value;
    }
    if (bytes == sizeof(double)) {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    return half_value(bits);
}

static int64_t signed_value(const qn_datatype *type, uint64_t bits)
{
    const uint64_t sign = UINT64_C(1) << (8 * type->bytes - 1);
    return (int64_t)((bits ^ sign) - sign); /* extended by its sign */
}

/* Into QN_INT64_TEXT_BYTES; returns the length. */
static size_t format_integer(const qn_datatype *type, uint64_t bits, char *digits)
{
    if (type->kind == QN_TENSOR_INT) return qn_format_int64(signed_value(type, bits), digits);
    return (size_t)snprintf(digits, QN_INT64_TEXT_BYTES, "%" PRIu64, bits);
}

/* A whole number is its value, and as text in columns of labels, exact beyond 2^53. */
static qn_status read_integer(qn_rows *rows, const qn_datatype *type, uint64_t bits,
                              qn_rows_place place, qn_cell *given, qn_error *err)
{
    char digits[QN_INT64_TEXT_BYTES];
    const qn_span token = {digits, format_integer(type, bits, digits)};
    given->number = type->kind == QN_TENSOR_INT ? (double)signed_value(type, bits) : (double)bits;
    if (!qn_rows_is_label(rows, place, token)) return QN_OK;
    given->text = qn_arena_strndup(&rows->texts, digits, token.bytes);
    given->text_bytes = token.bytes;
    given->number = QN_NA;
    return given->text ? QN_OK : qn_rows_fail_memory(err);
}

static qn_status read_text(qn_rows *rows, qn_rows_tensor *tensor, qn_rows_place place,
                           qn_cell *given, qn_error *err)
{
    const size_t left = (size_t)(tensor->end - tensor->at);
    if (left < LENGTH_BYTES) return qn_rows_fail_place(rows, place, err, too_few);
    const size_t bytes = (size_t)load(tensor->at, LENGTH_BYTES);
    if (bytes > left - LENGTH_BYTES) {
        return qn_rows_fail_place(rows, place, err, "has a text of %zu bytes, of which %zu came",
                                  bytes, left - LENGTH_BYTES);
    }
    given->text = tensor->at + LENGTH_BYTES;
    given->text_bytes = bytes;
    tensor->at += LENGTH_BYTES + bytes;
    if (qn_utf8_first_invalid(given->text, bytes) || memchr(given->text, '\0', bytes)) {
        return qn_rows_fail_place(rows, place, err, "has a text that is not UTF-8");
    }
    return QN_OK;
}

static qn_status read_binary(qn_rows *rows, qn_rows_tensor *tensor, qn_rows_place place,
                             qn_cell *given, qn_error *err)
{
    const qn_datatype *type = tensor->type;
    *given = (qn_cell){.number = QN_NA};
    if (type->kind == QN_TENSOR_TEXT) return read_text(rows, tensor, place, given, err);
    if ((size_t)(tensor->end - tensor->at) < type->bytes) {
        return qn_rows_fail_place(rows, place, err, too_few);
    }
    const uint64_t bits = load(tensor->at, type->bytes);
    tensor->at += type->bytes;
    switch (type->kind) {
    case QN_TENSOR_BOOL:
        given->text = bits ? "true" : "false";
        given->text_bytes = strlen(given->text);
        break;
    case QN_TENSOR_UINT:
    case QN_TENSOR_INT:
        return read_integer(rows, type, bits, place, given, err);
    case QN_TENSOR_FLOAT:
        given->number = float_value(bits, type->bytes);
        if (isinf(given->number)) {
            return qn_rows_fail_place(rows, place, err, "has an infinite number");
        }
        if (isnan(given->number)) given->number = QN_NA;
        break;
    case QN_TENSOR_TEXT:
        break;
    }
    return QN_OK;
}

static qn_span text_at(const char *data, size_t bytes, int64_t index)
{
    for (;; index--) {
        if (bytes < LENGTH_BYTES) return (qn_span){0};
        const size_t length = (size_t)load(data, LENGTH_BYTES);
        data += LENGTH_BYTES;
        bytes -= LENGTH_BYTES;
        if (length > bytes) return (qn_span){0};
        if (index == 0) return (qn_span){data, length};
        data += length;
        bytes -= length;
    }
}

qn_span qn_tensor_text(const qn_datatype *type, const char *data, size_t bytes, int64_t index,
                       char *digits)
{
    if (type->kind == QN_TENSOR_TEXT) return text_at(data, bytes, index);
    if ((uint64_t)index >= bytes / type->bytes) return (qn_span){0};
    const uint64_t bits = load(data + (size_t)index * type->bytes, type->bytes);
    if (type->kind == QN_TENSOR_BOOL) {
        return bits ? (qn_span){"true", 4} : (qn_span){"false", 5};
    }
    if (type->kind == QN_TENSOR_FLOAT) {
        const double value = float_value(bits, type->bytes);
        if (!isfinite(value)) return (qn_span){0};
        return (qn_span){digits, qn_format_double(value, digits)};
    }
    return (qn_span){digits, format_integer(type, bits, digits)};
}

qn_status qn_tensor_read(qn_rows *rows, qn_rows_tensor *tensor, qn_rows_place place, qn_cell *out,
                         qn_error *err)
{
    if (!tensor->type) {
        if (!next_json(tensor)) return qn_rows_fail_place(rows, place, err, too_few);
        return qn_rows_read_cell(rows, &tensor->pull, place, out, err);
    }
    QN_TRY(read_binary(rows, tensor, place, out, err));
    return qn_rows_normalise_cell(rows, place, out, err);
}

bool qn_tensor_is_at_end(qn_rows_tensor *tensor)
{
    return tensor->type ? tensor->at == tensor->end : !next_json(tensor);
}
