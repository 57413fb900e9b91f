/* SPDX-License-Identifier: Apache-2.0 */
/* A trial as bytes: a head of fixed size, then values, losses, reports and the text of attributes
 * with its end. Little-endian, as every machine that this runs on. */
#include "search/stores/store.h"

#include "base/str.h"

#include <string.h>

struct head {
    double begun_s, ended_s, violation;
    int64_t n_retries;
    int32_t n_values, n_losses, n_reports, attributes_bytes;
};

static void add_items(qn_str *out, const void *items, int64_t n, size_t item_bytes)
{
    if (n > 0) qn_str_add_bytes(out, items, (size_t)n * item_bytes);
}

void qn_stored_trial_pack(const qn_stored_trial *trial, int64_t n_objectives, qn_str *out)
{
    const qn_trial_record *record = &trial->record;
    const struct head head = {.begun_s = record->begun_s,
                              .ended_s = record->ended_s,
                              .violation = record->violation,
                              .n_retries = record->n_retries,
                              .n_values = (int32_t)record->n_values,
                              .n_losses = record->losses ? (int32_t)n_objectives : 0,
                              .n_reports = (int32_t)record->n_reports,
                              .attributes_bytes =
                                  trial->attributes ? (int32_t)strlen(trial->attributes) + 1 : 0};
    qn_str_clear(out);
    add_items(out, &head, 1, sizeof head);
    add_items(out, record->values, head.n_values, sizeof *record->values);
    add_items(out, record->losses, head.n_losses, sizeof *record->losses);
    add_items(out, record->reports, head.n_reports, sizeof *record->reports);
    add_items(out, trial->attributes, head.attributes_bytes, 1);
}

static qn_status damaged(qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "a trial is damaged");
}

/* Whether the head is one, and the whole is as long as it says. */
static bool is_whole(const struct head *head, size_t bytes)
{
    if (head->n_values < 0 || head->n_losses < 0 || head->n_reports < 0 ||
        head->attributes_bytes < 0 || head->n_losses > QN_OBJECTIVES_MAX) {
        return false;
    }
    return bytes ==
           sizeof *head + sizeof(double) * ((size_t)head->n_values + (size_t)head->n_losses) +
               sizeof(qn_curve_point) * (size_t)head->n_reports + (size_t)head->attributes_bytes;
}

qn_status qn_stored_trial_unpack(const char *data, size_t bytes, qn_arena *arena,
                                 qn_stored_trial *out, qn_error *err)
{
    struct head head;
    qn_trial_record *record = &out->record;
    if (bytes < sizeof head) return damaged(err);
    memcpy(&head, data, sizeof head);
    if (!is_whole(&head, bytes)) return damaged(err);
    if (head.attributes_bytes > 0 && data[bytes - 1] != '\0') return damaged(err);
    /* One piece: data may stand anywhere, numbers may not. */
    const size_t numbers_bytes = bytes - sizeof head - (size_t)head.attributes_bytes;
    double *numbers = qn_arena_array(arena, (int64_t)numbers_bytes + 1, 1);
    if (!numbers) return qn_fail(err, QN_ERR_NOMEM, "no memory for a trial");
    memcpy(numbers, data + sizeof head, numbers_bytes);
    record->begun_s = head.begun_s;
    record->ended_s = head.ended_s;
    record->violation = head.violation;
    record->n_retries = head.n_retries;
    record->n_values = head.n_values;
    record->values = numbers;
    numbers += head.n_values;
    out->n_losses = head.n_losses;
    record->losses = head.n_losses > 0 ? numbers : NULL;
    numbers += head.n_losses;
    record->n_reports = head.n_reports;
    record->reports = (qn_curve_point *)(void *)numbers;
    out->attributes = head.attributes_bytes > 0 ? data + bytes - head.attributes_bytes : NULL;
    return QN_OK;
}
