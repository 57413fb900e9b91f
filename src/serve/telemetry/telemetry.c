/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/telemetry.h"

const double qn_time_bounds_s[QN_TIME_BUCKETS] = {0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001,
                                                  0.002,   0.005,   0.01,   0.02,   0.05,   0.1,
                                                  0.2,     0.5,     1,      2,      5};

static const int statuses[QN_STATUSES_MAX - 1] = {200, 202, 204, 400, 401, 403, 404,
                                                  405, 408, 409, 413, 414, 415, 417,
                                                  422, 429, 431, 500, 501, 503, 505};

int qn_status_index(int status)
{
    int i = 0;
    while (i < QN_STATUSES_MAX - 1 && statuses[i] != status) {
        i++;
    }
    return i;
}

int qn_status_at(int index)
{
    return index < QN_STATUSES_MAX - 1 ? statuses[index] : 0;
}

void qn_durations_add(qn_durations *durations, double seconds)
{
    int b = 0;
    while (b < QN_TIME_BUCKETS && seconds > qn_time_bounds_s[b]) {
        b++;
    }
    qn_count_add(&durations->buckets[b], 1);
    qn_count_add(&durations->sum_ns, (uint64_t)(seconds * 1e9));
}

void qn_prometheus_head(qn_str *out, const char *name, const char *type, const char *help)
{
    qn_str_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void qn_prometheus_value(qn_str *out, const char *name, const char *labels, double value)
{
    qn_str_add(out, name);
    if (*labels) qn_str_addf(out, "{%s}", labels);
    qn_str_add_char(out, ' ');
    qn_str_add_double(out, value);
    qn_str_add_char(out, '\n');
}

void qn_prometheus_histogram(qn_str *out, const char *name, const char *labels,
                             const qn_durations *const *parts, int n_parts)
{
    uint64_t so_far = 0, sum_ns = 0;
    for (int b = 0; b <= QN_TIME_BUCKETS; b++) {
        for (int p = 0; p < n_parts; p++) {
            so_far += qn_count_get(&parts[p]->buckets[b]);
        }
        qn_str_addf(out, "%s_bucket{%s%sle=\"", name, labels, *labels ? "," : "");
        if (b < QN_TIME_BUCKETS) {
            qn_str_add_double(out, qn_time_bounds_s[b]);
        } else {
            qn_str_add(out, "+Inf");
        }
        qn_str_addf(out, "\"} %llu\n", (unsigned long long)so_far);
    }
    for (int p = 0; p < n_parts; p++) {
        sum_ns += qn_count_get(&parts[p]->sum_ns);
    }
    qn_str_addf(out, "%s_sum{%s} ", name, labels);
    qn_str_add_double(out, (double)sum_ns / 1e9);
    qn_str_addf(out, "\n%s_count{%s} %llu\n", name, labels, (unsigned long long)so_far);
}
