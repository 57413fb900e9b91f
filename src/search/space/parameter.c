/* SPDX-License-Identifier: Apache-2.0 */
/* One parameter: its values, its scale, its unit interval, its texts. */
#include "search/space/space.h"

#include <math.h>
#include <string.h>

double qn_parameter_value_at(const qn_parameter *p, int64_t k)
{
    return p->low + (double)k * p->step;
}

int64_t qn_parameter_index_of(const qn_parameter *p, double value)
{
    return (int64_t)floor((value - p->low) / p->step + 0.5);
}

double qn_parameter_nearest(const qn_parameter *p, double value)
{
    if (isnan(value)) return qn_parameter_from_unit(p, 0.5);
    if (value <= p->low) return p->low;
    if (value >= p->high) return p->high;
    return p->n_values > 0 ? qn_parameter_value_at(p, qn_parameter_index_of(p, value)) : value;
}

bool qn_parameter_accepts(const qn_parameter *p, double value)
{
    if (!(value >= p->low && value <= p->high)) return false;
    if (p->n_values == 0) return true;
    return qn_parameter_value_at(p, qn_parameter_index_of(p, value)) == value;
}

double qn_parameter_scaled(const qn_parameter *p, double value)
{
    return p->log ? log(value) : value;
}

bool qn_parameter_is_unordered(const qn_parameter *p)
{
    return p->kind == QN_PARAMETER_CATEGORICAL;
}

double qn_parameter_to_unit(const qn_parameter *p, double value)
{
    const double width = p->scale_high - p->scale_low;
    return width > 0 ? (qn_parameter_scaled(p, value) - p->scale_low) / width : 0.5;
}

double qn_parameter_from_unit(const qn_parameter *p, double unit)
{
    const double x = p->scale_low + unit * (p->scale_high - p->scale_low);
    const double value = p->log ? exp(x) : x;
    if (unit <= 0 || !(value > p->low)) return p->low;
    if (unit >= 1 || value >= p->high) return p->high;
    return p->n_values > 0 ? qn_parameter_value_at(p, qn_parameter_index_of(p, value)) : value;
}

double qn_parameter_draw(const qn_parameter *p, qn_rng *rng)
{
    if (p->n_values > 0 && !p->log) {
        return qn_parameter_value_at(p, qn_rng_below(rng, p->n_values));
    }
    return qn_parameter_from_unit(p, qn_rng_uniform(rng));
}

const char *qn_parameter_text(const qn_parameter *p, double value, char *text)
{
    if (p->n_choices > 0) return p->choices[(int32_t)value].text;
    if (p->kind == QN_PARAMETER_BOOL) return value != 0 ? "true" : "false";
    if (p->kind == QN_PARAMETER_INT) {
        qn_format_int64((int64_t)value, text);
    } else {
        qn_format_double(value, text);
    }
    return text;
}

bool qn_parameter_parse(const qn_parameter *p, const char *text, double *value)
{
    for (int32_t i = 0; i < p->n_choices; i++) {
        if (strcmp(p->choices[i].text, text) != 0) continue;
        *value = i;
        return true;
    }
    if (p->n_choices > 0) return false;
    if (p->kind == QN_PARAMETER_BOOL) {
        *value = strcmp(text, "true") == 0;
        return *value != 0 || strcmp(text, "false") == 0;
    }
    double number;
    if (!qn_parse_double(text, strlen(text), &number)) return false;
    if (!(number >= p->low && number <= p->high)) return false;
    *value = qn_parameter_nearest(p, number);
    /* What was printed of a step's value may differ in its last digit. */
    return fabs(*value - number) <= 1e-9 * fmax(p->step, fabs(number));
}

void qn_parameter_write(const qn_parameter *p, double value, qn_json_writer *json)
{
    char text[QN_DOUBLE_TEXT_BYTES];
    if (p->n_choices > 0 && !p->choices[(int32_t)value].is_literal) {
        qn_json_text(json, p->choices[(int32_t)value].text);
    } else {
        qn_json_raw(json, qn_parameter_text(p, value, text));
    }
}

const char *qn_parameter_kind_name(qn_parameter_kind kind)
{
    static const char *const names[] = {"float", "int", "categorical", "ordinal", "bool"};
    return names[kind];
}
