/* SPDX-License-Identifier: Apache-2.0 */
/* Predicts one row inside your own program: predict MODEL.quern NAME=VALUE …
 * Build: cc predict.c $(pkg-config --cflags --libs quern). What is not given is missing. */
#include <quern/bundle.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    qn_error err;
    qn_model *model;
    if (argc < 2 || qn_model_open(argv[1], &model, &err) != QN_OK) {
        fprintf(stderr, "%s\n", argc < 2 ? "usage: predict MODEL.quern NAME=VALUE …" : err.message);
        return 1;
    }
    const int64_t n = qn_model_n_inputs(model);
    qn_cell *cells = calloc((size_t)n, sizeof *cells); /* a thread needs cells, outputs, scratch */
    double *outputs = calloc((size_t)qn_model_n_outputs(model), sizeof *outputs);
    void *scratch = aligned_alloc(64, (qn_model_scratch_bytes(model) + 63) / 64 * 64);
    for (int64_t i = 0; i < n; i++) {
        const char *name = qn_model_input_name(model, i);
        cells[i].number = NAN;
        for (int a = 2; a < argc; a++) {
            const size_t bytes = strlen(name);
            if (strncmp(argv[a], name, bytes) || argv[a][bytes] != '=') continue;
            cells[i].text = argv[a] + bytes + 1;
            cells[i].text_bytes = strlen(cells[i].text);
        }
    }
    const qn_status status = qn_model_predict_row(model, cells, outputs, scratch, &err);
    if (status == QN_OK) {
        const int32_t label = qn_model_n_classes(model) ? qn_model_decide(model, outputs) : -1;
        const char *name = label >= 0 ? qn_model_class(model, label) : "prediction";
        printf("%s %.17g\n", name, outputs[0]);
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    free(cells);
    free(outputs);
    free(scratch);
    qn_model_close(model);
    return status != QN_OK;
}
