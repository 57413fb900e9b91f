/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a server answers: cut into pieces of a length that the first byte chooses. */
#include "fuzz.h"
#include "serve/http/http_response.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0) return 0;
    const size_t step = (size_t)data[0] % 64 + 1;
    const char *text = (const char *)data;
    qn_http_response response;
    qn_response_progress progress = QN_RESPONSE_MORE;
    qn_http_response_begin(&response);
    for (size_t at = 1; at < bytes && progress == QN_RESPONSE_MORE; at += step) {
        progress =
            qn_http_response_add(&response, text + at, bytes - at < step ? bytes - at : step);
    }
    if (progress == QN_RESPONSE_MORE) progress = qn_http_response_add(&response, NULL, 0);
    if (progress == QN_RESPONSE_MORE) abort();
    if (response.body_bytes > sizeof response.body) abort();
    if (progress == QN_RESPONSE_DONE && (response.status < 200 || response.status > 999)) abort();
    return 0;
}
