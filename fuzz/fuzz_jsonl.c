/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as JSON lines. */
#include "fuzz.h"
#include "source/connectors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    qn_error err = {0};
    qn_frame *frame = NULL;
    const qn_content content = {.data = (const char *)data, .bytes = bytes};
    const qn_read_request request = {.uri = "fuzz"};
    if (qn_jsonl_read(&request, "fuzz", &content, &frame, NULL, &err) == QN_OK) {
        qn_frame_hash(frame);
    }
    qn_frame_free(frame);
    return 0;
}
