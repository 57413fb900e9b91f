/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as delimited text: a frame or one line of error, the same whether one thread reads it
 * in one piece or two threads in small ones. */
#include "fuzz.h"
#include "source/csv.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct outcome {
    qn_status status;
    qn_error err;
    qn_str warnings;
    uint64_t hash;
    int64_t n_rows;
};

static struct outcome outcome_of(const uint8_t *data, size_t bytes, qn_pool *pool,
                                 size_t chunk_bytes)
{
    struct outcome o = {0};
    qn_frame *frame = NULL;
    const qn_content content = {.data = (const char *)data, .bytes = bytes};
    const qn_read_request request = {.uri = "fuzz", .pool = pool, .chunk_bytes = chunk_bytes};
    o.status = qn_csv_read(&request, "fuzz", &content, &frame, &o.warnings, &o.err);
    if (o.status == QN_OK) {
        o.hash = qn_frame_hash(frame);
        o.n_rows = frame->n_rows;
    }
    qn_frame_free(frame);
    return o;
}

static void differ(const char *what, const struct outcome *a, const struct outcome *b)
{
    fprintf(stderr, "%s differ:\n%s\n%s\n", what, a->err.message, b->err.message);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static qn_pool *pool;
    if (!pool) pool = qn_pool_create(2);
    struct outcome whole = outcome_of(data, bytes, NULL, bytes + 1);
    struct outcome parts = outcome_of(data, bytes, pool, bytes / 6 + 1);
    if (whole.status != parts.status || strcmp(whole.err.message, parts.err.message) != 0) {
        differ("errors", &whole, &parts);
    }
    if (whole.n_rows != parts.n_rows || whole.hash != parts.hash) differ("frames", &whole, &parts);
    if (whole.warnings.bytes != parts.warnings.bytes ||
        (whole.warnings.bytes > 0 && strcmp(whole.warnings.text, parts.warnings.text) != 0)) {
        differ("warnings", &whole, &parts);
    }
    qn_str_release(&whole.warnings);
    qn_str_release(&parts.warnings);
    return 0;
}
