/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a connection: cut into pieces of a length that the first byte chooses, read as one
 * request after another. */
#include "fuzz.h"
#include "serve/http/http_reader.h"

#include <stdlib.h>
#include <string.h>

static void check_parts(const qn_http_reader *reader)
{
    const qn_span target = qn_http_target(reader), body = qn_http_body(reader);
    const qn_span type = qn_http_header(reader, "content-type");
    const char *end = reader->data + reader->bytes;
    if (target.bytes > 0 && target.text + target.bytes > end) abort();
    if (body.bytes > reader->limits->body_bytes_max ||
        (body.bytes > 0 && body.text + body.bytes > end)) {
        abort();
    }
    if (type.text && type.text + type.bytes > end) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const qn_http_limits limits = {.head_bytes_max = 4096, .body_bytes_max = 8192};
    if (bytes == 0) return 0;
    const size_t step = (size_t)data[0] % 64 + 1;
    qn_http_reader reader;
    qn_http_progress progress = QN_HTTP_MORE;
    qn_http_reader_init(&reader, &limits);
    for (size_t at = 1; at < bytes && progress != QN_HTTP_BAD;) {
        size_t room, n = bytes - at < step ? bytes - at : step;
        char *space = qn_http_reader_space(&reader, &room);
        if (!space) break;
        if (n > room) n = room;
        memcpy(space, data + at, n);
        qn_http_reader_add(&reader, n);
        at += n;
        while ((progress = qn_http_reader_parse(&reader)) == QN_HTTP_DONE) {
            check_parts(&reader);
            qn_http_reader_next(&reader);
        }
        if (data[0] & 64) qn_http_reader_shrink(&reader);
        if (reader.room > 65536) abort(); /* what is kept is bounded by the limits */
    }
    qn_http_reader_release(&reader);
    return 0;
}
