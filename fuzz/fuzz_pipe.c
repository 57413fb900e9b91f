/* SPDX-License-Identifier: Apache-2.0 */
/* Any lines as requests to a pipe. */
#include "fuzz.h"
#include "search/tuner/pipe.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    qn_error err = {0};
    qn_study *study = NULL;
    qn_str answer = {0};
    const qn_study_request request = {
        .space = "{parameters: {x: {type: float, low: 0, high: 1}, c: {type: bool}}}",
        .sampler = "random",
        .pruner = "median"};
    if (qn_study_open(&request, &study, &err) != QN_OK) return 0;
    const char *line = (const char *)data;
    for (int n = 0; bytes > 0 && n < 100; n++) {
        const char *end = memchr(line, '\n', bytes);
        const size_t length = end ? (size_t)(end - line) : bytes;
        qn_str_clear(&answer);
        if (qn_pipe_answer(study, line, length, &answer, &err) != QN_OK) break;
        line += length + (end != NULL);
        bytes -= length + (end != NULL);
    }
    qn_str_release(&answer);
    qn_study_close(study);
    return 0;
}
