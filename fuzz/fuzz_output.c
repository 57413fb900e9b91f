/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a program prints, in pieces whose length the first byte says: the pieces must
 * not change what is found. */
#include "fuzz.h"
#include "search/tuner/output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct heard {
    int64_t n;
    double sum;
};

static qn_status hear(void *context, int64_t step, double value, qn_error *err)
{
    struct heard *heard = context;
    (void)err;
    heard->n++;
    heard->sum += (double)step + value;
    return QN_OK;
}

static bool listen(const char *data, size_t bytes, size_t piece, const qn_objectives *objectives,
                   double *values, struct heard *heard)
{
    qn_error err = {0};
    qn_output output;
    bool found = false;
    if (qn_output_init(&output, objectives, &err) != QN_OK) abort();
    for (size_t at = 0; at < bytes; at += piece) {
        const size_t n = bytes - at < piece ? bytes - at : piece;
        if (qn_output_add(&output, data + at, n, hear, heard, &err) != QN_OK) abort();
    }
    if (qn_output_finish(&output, hear, heard, values, &found, &err) != QN_OK) abort();
    qn_output_release(&output);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const qn_objectives one = {1, {{"value", false}}};
    static const qn_objectives two = {2, {{"loss", false}, {"size", true}}};
    double whole[QN_OBJECTIVES_MAX] = {0}, parts[QN_OBJECTIVES_MAX] = {0};
    if (bytes == 0) return 0;
    const qn_objectives *objectives = data[0] & 1 ? &two : &one;
    const char *text = (const char *)data + 1;
    struct heard first = {0}, second = {0};
    const bool found = listen(text, bytes - 1, bytes, objectives, whole, &first);
    const bool found_too =
        listen(text, bytes - 1, 1 + (size_t)(data[0] >> 1), objectives, parts, &second);
    if (found != found_too || first.n != second.n) abort();
    if (found && memcmp(whole, parts, sizeof whole) != 0) abort();
    return 0;
}
