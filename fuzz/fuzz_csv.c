/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as delimited text: a frame or one line of error, on one thread and on two alike. */
#include "fuzz.h"
#include "source/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    qn_error err = {0};
    qn_frame *frame = NULL;
    qn_str warnings = {0};
    const qn_content content = {.data = (const char *)data, .bytes = bytes};
    const qn_read_request request = {.uri = "fuzz"};
    if (qn_csv_read(&request, "fuzz", &content, &frame, &warnings, &err) == QN_OK) {
        qn_frame_hash(frame);
    }
    qn_frame_free(frame);
    qn_str_release(&warnings);
    return 0;
}
