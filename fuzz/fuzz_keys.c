/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of API keys. */
#include "fuzz.h"

#include "serve/security/key_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    qn_key_file *file = NULL;
    if (qn_crypto_begin(NULL) != QN_OK) abort();
    if (qn_key_file_parse((const char *)data, bytes, "keys", &file, NULL) != QN_OK) {
        if (file) abort();
        return 0;
    }
    for (int64_t i = 0; i < qn_key_file_n(file); i++) {
        const qn_key *key = qn_key_file_at(file, i);
        char text[QN_KEY_TEXT_BYTES] = "quern_";
        const char *wrong;
        if (key->roles == 0 || key->identity.n_grants < 1) abort();
        memcpy(text + 6, key->id, QN_KEY_ID_BYTES);
        memset(text + 6 + QN_KEY_ID_BYTES, '_', QN_KEY_TEXT_BYTES - 7 - QN_KEY_ID_BYTES);
        const qn_span guess = {text, QN_KEY_TEXT_BYTES - 1};
        if (qn_key_file_find(file, guess, 0, &wrong) || !wrong) abort();
    }
    qn_key_file_free(file);
    return 0;
}
