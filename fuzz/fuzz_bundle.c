/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the predictor section of a bundle, behind its checksum: what is read must predict
 * without a step out of bounds. The schema has a column of every kind. */
#include "fuzz.h"

#include "base/alloc.h"
#include "explain/attribution.h"
#include "model/predictor.h"

#include <string.h>

static const char schema_text[] =
    "{\"task\":\"binary\",\"target\":4,\"classes\":[\"no\",\"yes\"],\"positive\":1,\"columns\":["
    "{\"name\":\"size\",\"type\":\"float64\",\"kind\":\"numeric\",\"role\":\"feature\"},"
    "{\"name\":\"colour\",\"type\":\"string\",\"kind\":\"categorical\",\"role\":\"feature\"},"
    "{\"name\":\"note\",\"type\":\"string\",\"kind\":\"text\",\"role\":\"feature\"},"
    "{\"name\":\"when\",\"type\":\"timestamp\",\"kind\":\"datetime\",\"role\":\"feature\"},"
    "{\"name\":\"label\",\"type\":\"string\",\"kind\":\"categorical\",\"role\":\"target\"}]}";

static void predict(const qn_predictor *predictor)
{
    const qn_cell rows[2][4] = {
        {{.number = 1.5},
         {.number = QN_NA, .text = "red", .text_bytes = 3},
         {.number = QN_NA, .text = "two words", .text_bytes = 9},
         {.number = 1.6e15}},
        {{.number = QN_NA}, {.number = QN_NA}, {.number = QN_NA}, {.number = QN_NA}}};
    const size_t bytes = qn_predictor_scratch_bytes(predictor, 1);
    if (bytes > (size_t)1 << 28) return;
    void *scratch = qn_alloc_aligned((int64_t)bytes, 1);
    for (int i = 0; scratch && i < 2; i++) {
        double p;
        qn_predictor_predict(predictor, rows[i], 1, &p, scratch);
        qn_predictor_decide(predictor, &p);
    }
    qn_free(scratch);
}

static void explain(const qn_predictor *predictor)
{
    const qn_cell row[4] = {{.number = 1.5},
                            {.number = QN_NA, .text = "red", .text_bytes = 3},
                            {.number = QN_NA, .text = "two words", .text_bytes = 9},
                            {.number = 1.6e15}};
    qn_attribution *attribution = NULL;
    if (qn_attribution_create(predictor, &attribution, NULL) != QN_OK) return;
    const size_t bytes = qn_attribution_scratch_bytes(attribution);
    void *scratch = bytes <= (size_t)1 << 28 ? qn_alloc_aligned((int64_t)bytes, 1) : NULL;
    double output, expected, columns[4];
    int32_t class;
    const qn_parts parts = {&output, &class, &expected, columns};
    if (scratch) qn_attribution_rows(attribution, row, 1, &parts, scratch);
    qn_free(scratch);
    qn_attribution_free(attribution);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    qn_json *json = NULL;
    qn_schema *schema = NULL;
    qn_predictor *predictor = NULL;
    uint8_t *copy = qn_alloc_aligned((int64_t)bytes, 1);
    if (copy &&
        qn_json_parse(schema_text, sizeof schema_text - 1, "schema", &json, NULL) == QN_OK &&
        qn_schema_read_json(qn_json_root(json), &schema, NULL) == QN_OK) {
        if (bytes > 0) memcpy(copy, data, bytes);
        qn_reader reader = {.data = copy, .bytes = bytes};
        if (qn_predictor_read(&reader, schema, &predictor, NULL) == QN_OK) {
            predict(predictor);
            explain(predictor);
        }
    }
    qn_predictor_free(predictor);
    qn_schema_free(schema);
    qn_json_free(json);
    qn_free(copy);
    return 0;
}
