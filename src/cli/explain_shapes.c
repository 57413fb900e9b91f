/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/explain_shapes.h"

#include "base/file.h"
#include "bundle/shapes_text.h"

#include <stdio.h>
#include <string.h>

static void print_terms(const qn_shapes *shapes)
{
    printf("%s, weight %.2f, mean of %d models; mean size of each term's scores\n\n%-40s%14s\n",
           shapes->candidate, shapes->weight, (int)shapes->n_models, "term", "score");
    for (int64_t i = 0; i < shapes->n; i++) {
        qn_str title = {0};
        qn_shape_title(&shapes->items[i], &title);
        printf("%-40s%14.6g\n", title.failed ? "" : title.text, shapes->items[i].importance);
        qn_str_release(&title);
    }
}

static void write_json(const qn_shapes *shapes, const qn_schema *schema, qn_str *out)
{
    qn_json_writer json = {.out = out, .indent = true};
    qn_shapes_write_json(shapes, schema, &json);
    qn_str_add(out, "\n");
}

static bool ends_with(const char *text, const char *end)
{
    const size_t bytes = strlen(text), end_bytes = strlen(end);
    return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

/* To `path`, or to standard output where that is NULL. */
static qn_status write_all(const qn_shapes *shapes, const qn_schema *schema, const char *path,
                           qn_error *err)
{
    qn_str text = {0};
    if (!path || ends_with(path, ".json")) {
        write_json(shapes, schema, &text);
    } else {
        qn_shapes_write_csv(shapes, schema, &text);
    }
    qn_status status = QN_OK;
    if (text.failed) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory to write the shape functions");
    } else if (path) {
        status = qn_file_write(path, text.text, text.bytes, err);
    } else {
        fputs(text.text, stdout);
    }
    qn_str_release(&text);
    return status;
}

static qn_status explain(const qn_model *model, const char *path, bool json, qn_error *err)
{
    qn_shapes shapes;
    const qn_schema *schema = qn_model_schema(model);
    QN_TRY(qn_shapes_create(qn_model_predictor(model), &shapes, err));
    qn_status status = QN_OK;
    if (shapes.n == 0) {
        status = qn_fail(err, QN_ERR_UNSUPPORTED,
                         "%s: no model in it is additive; fit one with --learners ebm",
                         qn_model_path(model));
    }
    if (status == QN_OK && path) status = write_all(&shapes, schema, path, err);
    if (status == QN_OK && json) status = write_all(&shapes, schema, NULL, err);
    if (status == QN_OK && !json) print_terms(&shapes);
    qn_shapes_release(&shapes);
    return status;
}

qn_status cli_explain_shapes(const char *model_path, const char *path, bool json, qn_error *err)
{
    qn_model *model = NULL;
    QN_TRY(qn_model_open(model_path, &model, err));
    const qn_status status = explain(model, path, json, err);
    qn_model_close(model);
    return status;
}
