/* SPDX-License-Identifier: Apache-2.0 */
#include "frame/labels.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/str.h"

#include <string.h>

/* "from=to,from=to" → renamed text of `label`, or the label itself. Labels may have '=' in them
 * ("<=50K.=<=50K"): a pair is for the label it begins with, when '=' follows. */
static void rename_label(const char *map, const char **label, size_t *bytes)
{
    for (const char *at = map; at && *at;) {
        const size_t n = strcspn(at, ",");
        if (n > *bytes && at[*bytes] == '=' && memcmp(at, *label, *bytes) == 0) {
            *label = at + *bytes + 1;
            *bytes = n - *bytes - 1;
            return;
        }
        at += n + (at[n] == ',');
    }
}

static void strip_label(const char *strip, const char **label, size_t *bytes)
{
    if (!strip) return;
    while (*bytes > 0 && strchr(strip, **label)) {
        (*label)++;
        (*bytes)--;
    }
    while (*bytes > 0 && strchr(strip, (*label)[*bytes - 1])) {
        (*bytes)--;
    }
}

static qn_status check_map(const char *map, qn_error *err)
{
    for (const char *at = map; at && *at;) {
        const size_t n = strcspn(at, ",");
        if (!memchr(at, '=', n)) {
            return qn_fail(err, QN_ERR_ARG, "--label-map '%.*s': expected from=to", (int)n, at);
        }
        at += n + (at[n] == ',');
    }
    return QN_OK;
}

static bool map_column(const qn_column *from, int64_t n_rows, const char *map, const char *strip,
                       qn_column *to)
{
    qn_map *labels = qn_map_create(64);
    int32_t *codes = qn_alloc_array(n_rows, sizeof *codes);
    bool complete = labels && codes;
    for (int64_t row = 0; complete && row < n_rows; row++) {
        char scratch[QN_VALUE_TEXT_BYTES];
        codes[row] = -1;
        if (qn_column_is_missing(from, row)) continue;
        size_t bytes;
        const char *label = qn_column_text(from, row, scratch, &bytes);
        strip_label(strip, &label, &bytes);
        rename_label(map, &label, &bytes);
        const int64_t *slot = qn_map_slot(labels, label, bytes, qn_map_n(labels));
        complete = slot != NULL;
        if (slot) codes[row] = (int32_t)*slot;
    }
    qn_dictionary dictionary = {0};
    complete = complete && qn_dictionary_create(labels, &dictionary);
    qn_map_free(labels);
    if (!complete) {
        qn_free(codes);
        qn_free(dictionary.offsets);
        qn_free(dictionary.bytes);
        return false;
    }
    qn_free(to->data.codes);
    qn_free(to->dictionary.offsets);
    qn_free(to->dictionary.bytes);
    to->type = QN_TYPE_STRING;
    to->data.codes = codes;
    to->dictionary = dictionary;
    return true;
}

qn_status qn_frame_map_labels(const qn_frame *frame, int64_t column, const char *map,
                              const char *strip, qn_frame **out, qn_error *err)
{
    *out = NULL;
    QN_TRY(check_map(map, err));
    int32_t *rows = qn_alloc_array(frame->n_rows, sizeof *rows);
    if (!rows) return qn_fail(err, QN_ERR_NOMEM, "no memory to rename labels");
    for (int64_t row = 0; row < frame->n_rows; row++) {
        rows[row] = (int32_t)row;
    }
    qn_frame *mapped = NULL;
    qn_status status = qn_frame_take(frame, rows, frame->n_rows, &mapped, err);
    qn_free(rows);
    if (status == QN_OK &&
        !map_column(&frame->columns[column], frame->n_rows, map, strip, &mapped->columns[column])) {
        qn_frame_free(mapped);
        mapped = NULL;
        status = qn_fail(err, QN_ERR_NOMEM, "no memory to rename labels");
    }
    *out = mapped;
    return status;
}
