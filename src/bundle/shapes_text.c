/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/shapes_text.h"

#include "bundle/prediction_text.h"

#include <math.h>
#include <string.h>

/* The class whose log-odds an output is; NULL for a number. */
static const char *class_of(const qn_shapes *shapes, const qn_schema *schema, int32_t output)
{
    if (schema->n_classes == 0) return NULL;
    return schema->classes[shapes->n_outputs == 1 ? 1 : output];
}

static void put_doubles(qn_json_writer *json, const char *key, const double *values, int64_t n)
{
    qn_json_key(json, key);
    qn_json_begin_array(json);
    for (int64_t i = 0; i < n; i++) {
        qn_json_double(json, values[i]);
    }
    qn_json_end_array(json);
}

static void write_axis(const qn_shape_axis *axis, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "feature", axis->name);
    if (axis->categorical) {
        qn_json_key(json, "levels");
        qn_json_begin_array(json);
        for (int32_t c = 0; c < axis->n_cells; c++) {
            if (axis->levels[c]) {
                qn_json_text(json, axis->levels[c]);
            } else {
                qn_json_null(json);
            }
        }
        qn_json_end_array(json);
    } else {
        put_doubles(json, "edges", axis->edges, axis->n_cells > 2 ? axis->n_cells - 2 : 0);
    }
    qn_json_end_object(json);
}

static void write_shape(const qn_shapes *shapes, const qn_shape *shape, qn_json_writer *json)
{
    qn_str title = {0};
    qn_shape_title(shape, &title);
    qn_json_begin_object(json);
    qn_json_put_text(json, "term", title.failed ? "" : title.text);
    qn_json_put_double(json, "importance", shape->importance);
    qn_json_key(json, "axes");
    qn_json_begin_array(json);
    for (int32_t a = 0; a < shape->n_axes; a++) {
        write_axis(&shape->axes[a], json);
    }
    qn_json_end_array(json);
    put_doubles(json, "scores", shape->scores, shape->n_cells * shapes->n_outputs);
    put_doubles(json, "errors", shape->errors, shape->n_cells * shapes->n_outputs);
    put_doubles(json, "shares", shape->shares, shape->n_cells);
    qn_json_end_object(json);
    qn_str_release(&title);
}

void qn_shapes_write_json(const qn_shapes *shapes, const qn_schema *schema, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "candidate", shapes->candidate);
    qn_json_put_double(json, "weight", shapes->weight);
    qn_json_put_int(json, "models", shapes->n_models);
    qn_json_key(json, "classes");
    qn_json_begin_array(json);
    for (int32_t c = 0; schema->n_classes > 0 && c < shapes->n_outputs; c++) {
        qn_json_text(json, class_of(shapes, schema, c));
    }
    qn_json_end_array(json);
    put_doubles(json, "intercepts", shapes->intercepts, shapes->n_outputs);
    qn_json_key(json, "terms");
    qn_json_begin_array(json);
    for (int64_t i = 0; i < shapes->n; i++) {
        write_shape(shapes, &shapes->items[i], json);
    }
    qn_json_end_array(json);
    qn_json_end_object(json);
}

static void add_field(const char *text, qn_str *out)
{
    if (text) qn_csv_add_field(out, text, strlen(text));
    qn_str_add(out, ",");
}

static void add_number(double value, qn_str *out)
{
    if (isfinite(value)) qn_str_add_double(out, value);
    qn_str_add(out, ",");
}

/* feature,low,high,level: of a number above `low` up to `high`, both empty where it is missing. */
static void add_cell(const qn_shape_axis *axis, int32_t cell, qn_str *out)
{
    const int32_t n_edges = axis->categorical ? 0 : axis->n_cells - 2;
    add_field(axis->name, out);
    add_number(cell > 1 && cell - 2 < n_edges ? axis->edges[cell - 2] : QN_NA, out);
    add_number(cell > 0 && cell - 1 < n_edges ? axis->edges[cell - 1] : QN_NA, out);
    add_field(axis->categorical ? axis->levels[cell] : NULL, out);
}

static void add_lines(const qn_shapes *shapes, const qn_shape *shape, const qn_schema *schema,
                      qn_str *out)
{
    const int32_t k = shapes->n_outputs, n_b = shape->n_axes == 2 ? shape->axes[1].n_cells : 1;
    qn_str title = {0};
    qn_shape_title(shape, &title);
    out->failed |= title.failed;
    for (int64_t i = 0; !out->failed && i < shape->n_cells * k; i++) {
        const int64_t cell = i / k;
        add_field(title.text, out);
        add_field(class_of(shapes, schema, (int32_t)(i % k)), out);
        add_cell(&shape->axes[0], (int32_t)(cell / n_b), out);
        if (shape->n_axes == 2) {
            add_cell(&shape->axes[1], (int32_t)(cell % n_b), out);
        } else {
            qn_str_add(out, ",,,,");
        }
        add_number(shape->scores[i], out);
        add_number(shape->errors[i], out);
        if (isfinite(shape->shares[cell])) qn_str_add_double(out, shape->shares[cell]);
        qn_str_add(out, "\n");
    }
    qn_str_release(&title);
}

void qn_shapes_write_csv(const qn_shapes *shapes, const qn_schema *schema, qn_str *out)
{
    qn_str_add(out, "term,class,feature,low,high,level,feature_2,low_2,high_2,level_2,score,error,"
                    "share\n");
    for (int64_t i = 0; i < shapes->n; i++) {
        add_lines(shapes, &shapes->items[i], schema, out);
    }
}
