/* SPDX-License-Identifier: Apache-2.0 */
#include "search/tuner/output.h"

#include "base/alloc.h"
#include "base/json.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

qn_status qn_output_init(qn_output *output, const qn_objectives *objectives, qn_error *err)
{
    *output = (qn_output){.objectives = objectives, .cost = QN_NA};
    output->line = qn_alloc_array(QN_OUTPUT_LINE_MAX + 1, 1);
    return output->line ? QN_OK : qn_fail(err, QN_ERR_NOMEM, "no memory for a program's output");
}

void qn_output_release(qn_output *output)
{
    qn_free(output->line);
    output->line = NULL;
}

/* A number; also NaN and infinities, which programs print and which make a trial fail. */
static bool read_number(const char *text, size_t bytes, double *value)
{
    static const char *const odd[] = {"nan", "-nan", "inf", "+inf", "-inf", "infinity"};
    if (qn_parse_double(text, bytes, value)) return true;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        if (strlen(odd[i]) != bytes || strncasecmp(text, odd[i], bytes) != 0) continue;
        *value = QN_NA;
        return true;
    }
    return false;
}

/* The last n words of a line, when all are numbers. */
static bool read_last_numbers(const char *line, size_t bytes, int64_t n, double *values)
{
    for (int64_t i = n; i-- > 0;) {
        while (bytes > 0 && (isspace((unsigned char)line[bytes - 1]) || line[bytes - 1] == ',')) {
            bytes--;
        }
        size_t begin = bytes;
        while (begin > 0 && !isspace((unsigned char)line[begin - 1]) && line[begin - 1] != ',' &&
               line[begin - 1] != '=' && line[begin - 1] != ':') {
            begin--;
        }
        if (begin == bytes || !read_number(line + begin, bytes - begin, &values[i])) return false;
        bytes = begin;
    }
    return true;
}

/* null stands for what is not finite. */
static bool member_number(qn_json_value object, const char *name, double *value)
{
    const char *key;
    for (int64_t i = 0; i < qn_json_size(object); i++) {
        const qn_json_value member = qn_json_member(object, i, &key);
        if (strcmp(key, name) != 0) continue;
        *value = qn_json_as_double(member, QN_NA);
        return qn_json_is_null(member) || !isnan(*value);
    }
    return false;
}

static bool read_result(const qn_objectives *objectives, qn_json_value object, double *values)
{
    bool named = true;
    for (int64_t i = 0; i < objectives->n; i++) {
        named = named && member_number(object, objectives->items[i].name, &values[i]);
    }
    return named || (objectives->n == 1 && member_number(object, "value", &values[0]));
}

static qn_status read_object(qn_output *output, qn_json_value object, qn_output_reporter *report,
                             void *context, qn_error *err)
{
    double values[QN_OBJECTIVES_MAX], step, violation, cost;
    if (!qn_json_is_object(object)) return QN_OK;
    if (member_number(object, "cost", &cost) && isfinite(cost) && cost >= 0) output->cost = cost;
    if (!read_result(output->objectives, object, values)) return QN_OK;
    if (member_number(object, "step", &step)) {
        if (output->objectives->n > 1 || !isfinite(values[0]) || !(fabs(step) < 1e15)) return QN_OK;
        output->report = values[0];
        output->has_report = true;
        return report(context, (int64_t)step, values[0], err);
    }
    memcpy(output->result, values, sizeof output->result);
    output->has_result = true;
    if (member_number(object, "violation", &violation) && violation >= 0) {
        output->violation = violation;
    }
    return QN_OK;
}

static qn_status read_line(qn_output *output, qn_output_reporter *report, void *context,
                           qn_error *err)
{
    size_t begin = 0;
    while (begin < output->line_bytes && isspace((unsigned char)output->line[begin])) {
        begin++;
    }
    const char *line = output->line + begin;
    const size_t bytes = output->line_bytes - begin;
    if (bytes > 0 && *line == '{') {
        qn_json *json;
        const qn_status parsed = qn_json_parse(line, bytes, "output", &json, NULL);
        if (parsed == QN_ERR_NOMEM) return qn_fail(err, parsed, "no memory for a line of output");
        if (parsed != QN_OK) return QN_OK; /* some other text */
        const qn_status status = read_object(output, qn_json_root(json), report, context, err);
        qn_json_free(json);
        return status;
    }
    double numbers[QN_OBJECTIVES_MAX];
    if (read_last_numbers(line, bytes, output->objectives->n, numbers)) {
        memcpy(output->numbers, numbers, sizeof numbers);
        output->has_numbers = true;
    }
    return QN_OK;
}

static qn_status end_line(qn_output *output, qn_output_reporter *report, void *context,
                          qn_error *err)
{
    qn_status status = QN_OK;
    if (!output->line_too_long) status = read_line(output, report, context, err);
    output->line_bytes = 0;
    output->line_too_long = false;
    return status;
}

qn_status qn_output_add(qn_output *output, const char *data, size_t bytes,
                        qn_output_reporter *report, void *context, qn_error *err)
{
    while (bytes > 0) {
        const char *end = memchr(data, '\n', bytes);
        const size_t n = end ? (size_t)(end - data) : bytes;
        if (output->line_bytes + n > QN_OUTPUT_LINE_MAX) {
            output->line_too_long = true;
        } else {
            memcpy(output->line + output->line_bytes, data, n);
            output->line_bytes += n;
        }
        if (end) QN_TRY(end_line(output, report, context, err));
        data += n + (end != NULL);
        bytes -= n + (end != NULL);
    }
    return QN_OK;
}

qn_status qn_output_finish(qn_output *output, qn_output_reporter *report, void *context,
                           double *values, bool *found, qn_error *err)
{
    if (output->line_bytes > 0) QN_TRY(end_line(output, report, context, err));
    *found = output->has_result || output->has_numbers || output->has_report;
    const double *from = output->has_result    ? output->result
                         : output->has_numbers ? output->numbers
                                               : &output->report;
    if (*found) memcpy(values, from, (size_t)output->objectives->n * sizeof *values);
    return QN_OK;
}
