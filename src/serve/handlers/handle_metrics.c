/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics: Prometheus' text format 0.0.4. Labels are routes, statuses, models, versions and
 * outcomes: all from this server, none from a client. */
#include "serve/handlers/handlers.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LABEL_BYTES = 2 * QN_MODEL_NAME_BYTES_MAX + 64 };

static const char *const outcomes[QN_N_OUTCOMES] = {"ok", "invalid", "failed"};

typedef struct scrape {
    const qn_server *server;
    const qn_catalog *catalog;
    int n_loops;
    qn_str *out;
} scrape;

/* Routes of one name are one line. */
static double sum_requests(const scrape *s, const char *name, int status)
{
    double sum = 0;
    for (int loop = 0; loop < s->n_loops; loop++) {
        const qn_loop_counters *counters = qn_server_counters(s->server, loop);
        for (int r = 0; qn_routes[r].name; r++) {
            if (strcmp(qn_routes[r].name, name) == 0) {
                sum += (double)qn_count_get(&counters->requests[r][status]);
            }
        }
        if (strcmp(name, "none") == 0) {
            sum += (double)qn_count_get(&counters->requests[QN_ROUTES_MAX - 1][status]);
        }
    }
    return sum;
}

static void add_route(const scrape *s, const char *name)
{
    for (int status = 0; status < QN_STATUSES_MAX; status++) {
        const double n = sum_requests(s, name, status);
        char labels[LABEL_BYTES];
        if (n == 0) continue;
        snprintf(labels, sizeof labels, "route=\"%s\",code=\"%d\"", name, qn_status_at(status));
        qn_prometheus_value(s->out, "quern_http_requests_total", labels, n);
    }
}

static void add_requests(const scrape *s)
{
    qn_prometheus_head(s->out, "quern_http_requests_total", "counter",
                       "Requests answered, by route and status.");
    for (int r = 0; qn_routes[r].name; r++) {
        if (r == 0 || strcmp(qn_routes[r].name, qn_routes[r - 1].name) != 0) {
            add_route(s, qn_routes[r].name);
        }
    }
    add_route(s, "none");
}

static double sum_loops(const scrape *s, size_t offset)
{
    double sum = 0;
    for (int loop = 0; loop < s->n_loops; loop++) {
        const char *counters = (const char *)qn_server_counters(s->server, loop);
        sum += (double)qn_count_get((const qn_count *)(const void *)(counters + offset));
    }
    return sum;
}

static void add_connections(const scrape *s)
{
    const double accepted = sum_loops(s, offsetof(qn_loop_counters, accepted));
    const double closed = sum_loops(s, offsetof(qn_loop_counters, closed));
    static const struct {
        const char *name, *help;
        size_t offset;
    } counters[] = {{"quern_connections_accepted_total", "Connections accepted.",
                     offsetof(qn_loop_counters, accepted)},
                    {"quern_connections_refused_total",
                     "Connections beyond the limit, answered 503.",
                     offsetof(qn_loop_counters, refused)},
                    {"quern_connections_timed_out_total", "Connections closed for being slow.",
                     offsetof(qn_loop_counters, timed_out)}};
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        qn_prometheus_head(s->out, counters[i].name, "counter", counters[i].help);
        qn_prometheus_value(s->out, counters[i].name, "", sum_loops(s, counters[i].offset));
    }
    qn_prometheus_head(s->out, "quern_connections", "gauge", "Connections open now.");
    qn_prometheus_value(s->out, "quern_connections", "", accepted > closed ? accepted - closed : 0);
}

static void write_labels(const qn_catalog_entry *entry, char *labels)
{
    snprintf(labels, LABEL_BYTES, "model=\"%s\",version=\"%s\"", entry->name, entry->version);
}

static void write_outcome_labels(const qn_catalog_entry *entry, int outcome, char *labels)
{
    snprintf(labels, LABEL_BYTES, "model=\"%s\",version=\"%s\",outcome=\"%s\"", entry->name,
             entry->version, outcomes[outcome]);
}

static void add_outcomes(const scrape *s)
{
    qn_prometheus_head(s->out, "quern_predict_requests_total", "counter",
                       "Prediction requests, by model, version and outcome.");
    for (int64_t i = 0; i < s->catalog->n_entries; i++) {
        const qn_catalog_entry *entry = &s->catalog->entries[i];
        for (int o = 0; o < QN_N_OUTCOMES; o++) {
            char labels[LABEL_BYTES];
            double sum = 0;
            for (int loop = 0; loop < s->n_loops; loop++) {
                sum += (double)qn_count_get(&entry->counters[loop].requests[o]);
            }
            write_outcome_labels(entry, o, labels);
            qn_prometheus_value(s->out, "quern_predict_requests_total", labels, sum);
        }
    }
}

/* A counter at `offset` of qn_model_counters, of each model and version. */
static void add_model_counter(const scrape *s, const char *name, const char *help, size_t offset)
{
    qn_prometheus_head(s->out, name, "counter", help);
    for (int64_t i = 0; i < s->catalog->n_entries; i++) {
        char labels[LABEL_BYTES];
        double sum = 0;
        for (int loop = 0; loop < s->n_loops; loop++) {
            const char *counters = (const char *)&s->catalog->entries[i].counters[loop];
            sum += (double)qn_count_get((const qn_count *)(const void *)(counters + offset));
        }
        write_labels(&s->catalog->entries[i], labels);
        qn_prometheus_value(s->out, name, labels, sum);
    }
}

static void add_rows(const scrape *s, bool has_cache)
{
    add_model_counter(s, "quern_predicted_rows_total", "Rows predicted.",
                      offsetof(qn_model_counters, rows));
    if (!has_cache) return;
    add_model_counter(s, "quern_prediction_cache_hits_total", "Rows whose prediction was known.",
                      offsetof(qn_model_counters, cache_hits));
    add_model_counter(s, "quern_prediction_cache_misses_total",
                      "Rows whose prediction was not known.",
                      offsetof(qn_model_counters, cache_misses));
}

static qn_step no_memory(qn_exchange *x)
{
    qn_reply_error(&x->reply, 503, "no memory for the metrics", 0, NULL, NULL);
    return QN_STEP_DONE;
}

static void add_seconds(const scrape *s, const qn_durations **parts)
{
    qn_prometheus_head(s->out, "quern_predict_seconds", "histogram",
                       "Time from a prediction request to its reply.");
    for (int64_t i = 0; i < s->catalog->n_entries; i++) {
        const qn_catalog_entry *entry = &s->catalog->entries[i];
        for (int o = 0; o < QN_N_OUTCOMES; o++) {
            char labels[LABEL_BYTES];
            for (int loop = 0; loop < s->n_loops; loop++) {
                parts[loop] = &entry->counters[loop].seconds[o];
            }
            write_outcome_labels(entry, o, labels);
            qn_prometheus_histogram(s->out, "quern_predict_seconds", labels, parts, s->n_loops);
        }
    }
}

static void add_models(const scrape *s)
{
    qn_prometheus_head(s->out, "quern_model_loaded", "gauge",
                       "1 for each model and version that is loaded, with the hash of its file.");
    for (int64_t i = 0; i < s->catalog->n_entries; i++) {
        const qn_catalog_entry *entry = &s->catalog->entries[i];
        char labels[LABEL_BYTES + 32];
        write_labels(entry, labels);
        if (!entry->model) continue;
        snprintf(labels + strlen(labels), 32, ",hash=\"%s\"", entry->model->hash);
        qn_prometheus_value(s->out, "quern_model_loaded", labels, 1);
    }
    qn_prometheus_head(s->out, "quern_model_problem", "gauge",
                       "1 for each model and version whose present file cannot be loaded.");
    for (int64_t i = 0; i < s->catalog->n_entries; i++) {
        char labels[LABEL_BYTES];
        write_labels(&s->catalog->entries[i], labels);
        qn_prometheus_value(s->out, "quern_model_problem", labels,
                            s->catalog->entries[i].problem ? 1 : 0);
    }
}

static void add_rewards(const scrape *s, const qn_routing *routing)
{
    static const char *const names[] = {"quern_route_rewards_total",
                                        "quern_route_reward_sum_total"};
    static const char *const helps[] = {"Rewards of a bandit's arm.", "Their sum."};
    char labels[LABEL_BYTES];
    for (int which = 0; which < 2; which++) {
        qn_prometheus_head(s->out, names[which], "counter", helps[which]);
        for (int64_t i = 0; i < routing->n_models; i++) {
            const qn_model_routing *model = &routing->models[i];
            if (model->plan.kind != QN_ROUTE_BANDIT) continue;
            for (int arm = 0; arm < model->plan.n_arms; arm++) {
                double sum;
                const uint64_t n = qn_route_rewards(model->route, arm, &sum);
                snprintf(labels, sizeof labels, "model=\"%s\",arm=\"%s\"", model->model,
                         model->plan.arms[arm].target);
                qn_prometheus_value(s->out, names[which], labels, which == 0 ? (double)n : sum);
            }
        }
    }
}

static void add_routes(const scrape *s)
{
    const qn_routing *routing = s->catalog->routing;
    char labels[LABEL_BYTES + QN_MODEL_NAME_BYTES_MAX + 32];
    qn_prometheus_head(s->out, "quern_route_requests_total", "counter",
                       "Requests that named no version, by the arm of the route that got them.");
    for (int64_t i = 0; i < routing->n_models; i++) {
        const qn_model_routing *model = &routing->models[i];
        for (int arm = 0; arm < model->plan.n_arms; arm++) {
            snprintf(labels, sizeof labels, "model=\"%s\",version=\"%s\",arm=\"%s\"", model->model,
                     qn_routing_target(model, arm), model->plan.arms[arm].target);
            qn_prometheus_value(s->out, "quern_route_requests_total", labels,
                                (double)qn_route_count(model->route, arm));
        }
    }
    add_rewards(s, routing);
    qn_prometheus_head(s->out, "quern_route_rolled_back", "gauge",
                       "1 for each canary whose traffic went back.");
    for (int64_t i = 0; i < routing->n_models; i++) {
        const qn_model_routing *model = &routing->models[i];
        if (model->plan.kind != QN_ROUTE_CANARY) continue;
        snprintf(labels, sizeof labels, "model=\"%s\"", model->model);
        qn_prometheus_value(s->out, "quern_route_rolled_back", labels,
                            qn_route_is_rolled_back(model->route));
    }
}

static void add_routes_state(const scrape *s)
{
    const qn_routes_state *state = qn_server_routes_state(s->server);
    if (!state) return;
    qn_prometheus_head(s->out, "quern_routes_state_behind", "gauge",
                       "1 while what routes have learned cannot be written to its file.");
    qn_prometheus_value(s->out, "quern_routes_state_behind", "", qn_routes_state_is_behind(state));
}

/* Of rows that a shadow and the version that answered predicted both. */
static void add_comparisons(const scrape *s)
{
    static const struct {
        const char *name, *help;
    } metrics[] = {
        {"quern_shadow_compared_rows_total", "Rows whose answer was compared with the shadow's."},
        {"quern_shadow_equal_rows_total", "Rows of those with the same decision."},
        {"quern_shadow_difference_sum_total",
         "Absolute differences of their numbers or probabilities, added up."}};
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        qn_prometheus_head(s->out, metrics[m].name, "counter", metrics[m].help);
        for (int64_t i = 0; i < s->catalog->n_entries; i++) {
            const qn_model_counters *counters = &s->catalog->entries[i].counters[s->n_loops];
            const double values[] = {(double)qn_count_get(&counters->compared_rows),
                                     (double)qn_count_get(&counters->equal_rows),
                                     qn_sum_get(&counters->difference_sum)};
            char labels[LABEL_BYTES];
            if (values[0] == 0) continue;
            write_labels(&s->catalog->entries[i], labels);
            qn_prometheus_value(s->out, metrics[m].name, labels, values[m]);
        }
    }
}

static void add_shadows(const scrape *s)
{
    char labels[LABEL_BYTES];
    qn_prometheus_head(s->out, "quern_shadow_requests_total", "counter",
                       "Requests that a version was given though another one answered.");
    for (int64_t i = 0; i < s->catalog->n_entries; i++) {
        const qn_catalog_entry *entry = &s->catalog->entries[i];
        for (int o = 0; o < QN_N_OUTCOMES; o++) {
            const double n = (double)qn_count_get(&entry->counters[s->n_loops].requests[o]);
            if (n == 0) continue;
            write_outcome_labels(entry, o, labels);
            qn_prometheus_value(s->out, "quern_shadow_requests_total", labels, n);
        }
    }
    add_comparisons(s);
    qn_prometheus_head(s->out, "quern_shadow_dropped_total", "counter",
                       "Requests that were not given to their shadow: it was behind.");
    qn_prometheus_value(s->out, "quern_shadow_dropped_total", "",
                        (double)qn_shadows_dropped(qn_server_shadows(s->server)));
}

static void add_log(const scrape *s, const char *name, qn_line_log *log, bool dropped)
{
    if (!log) return;
    const qn_line_log_counts counts = qn_line_log_count(log);
    char labels[64];
    snprintf(labels, sizeof labels, "log=\"%s\"", name);
    qn_prometheus_value(s->out, dropped ? "quern_log_dropped_lines_total" : "quern_log_lines_total",
                        labels, (double)(dropped ? counts.dropped : counts.taken));
}

static void add_logs(const scrape *s)
{
    const qn_server_logs *logs = qn_server_logs_of(s->server);
    if (!logs->access && !logs->predictions) return;
    qn_prometheus_head(s->out, "quern_log_lines_total", "counter", "Lines given to a log.");
    add_log(s, "access", logs->access, false);
    add_log(s, "predictions", logs->predictions, false);
    qn_prometheus_head(s->out, "quern_log_dropped_lines_total", "counter",
                       "Lines of those that were lost: the disk was full, or too slow.");
    add_log(s, "access", logs->access, true);
    add_log(s, "predictions", logs->predictions, true);
}

static void add_spans(const scrape *s, const char *name, const char *exporter, const char *reason,
                      uint64_t value)
{
    char all[96];
    snprintf(all, sizeof all, "exporter=\"%s\"%s%s%s", exporter, *reason ? ",reason=\"" : "",
             reason, *reason ? "\"" : "");
    qn_prometheus_value(s->out, name, all, (double)value);
}

static void add_tracing(const scrape *s)
{
    const qn_tracing *tracing = qn_server_tracing(s->server);
    qn_export_counts counts[QN_TRACE_EXPORTERS_MAX];
    const int n = qn_tracing_n_exporters(tracing);
    if (n == 0) return;
    for (int i = 0; i < n; i++) {
        counts[i] = qn_tracing_count(tracing, i);
    }
    static const struct {
        const char *name, *reason, *help; /* help NULL: the same as before */
        size_t offset;
    } metrics[] = {
        {"quern_trace_spans_total", "", "Spans given to an exporter.",
         offsetof(qn_export_counts, taken)},
        {"quern_trace_sent_spans_total", "", "Spans of those that the receiver took.",
         offsetof(qn_export_counts, sent)},
        {"quern_trace_dropped_spans_total", "full",
         "Spans of those that were lost: too many waited, the receiver refused them, or could not "
         "be reached.",
         offsetof(qn_export_counts, full)},
        {"quern_trace_dropped_spans_total", "refused", NULL, offsetof(qn_export_counts, refused)},
        {"quern_trace_dropped_spans_total", "failed", NULL, offsetof(qn_export_counts, failed)},
        {"quern_trace_requests_total", "", "Requests to the receiver.",
         offsetof(qn_export_counts, requests)},
        {"quern_trace_failed_requests_total", "", "Requests of those that it did not answer 2xx.",
         offsetof(qn_export_counts, n_failures)}};
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        if (metrics[m].help) {
            qn_prometheus_head(s->out, metrics[m].name, "counter", metrics[m].help);
        }
        for (int i = 0; i < n; i++) {
            uint64_t value;
            memcpy(&value, (const char *)&counts[i] + metrics[m].offset, sizeof value);
            add_spans(s, metrics[m].name, qn_tracing_name(tracing, i), metrics[m].reason, value);
        }
    }
}

static double resident_bytes(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double open_descriptors(void)
{
    double n = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) return 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        n += entry->d_name[0] != '.';
    }
    closedir(folder);
    return n - 1; /* the folder itself */
}

static void add_process(const scrape *s)
{
    qn_prometheus_head(s->out, "process_resident_memory_bytes", "gauge", "Memory in use.");
    qn_prometheus_value(s->out, "process_resident_memory_bytes", "", resident_bytes());
    qn_prometheus_head(s->out, "process_open_fds", "gauge", "Open file descriptors.");
    qn_prometheus_value(s->out, "process_open_fds", "", open_descriptors());
    qn_prometheus_head(s->out, "process_start_time_seconds", "gauge",
                       "Start of the process, in seconds since 1970.");
    qn_prometheus_value(s->out, "process_start_time_seconds", "", qn_server_started_s(s->server));
}

qn_step qn_handle_metrics(qn_exchange *x)
{
    const scrape s = {.server = x->worker->server,
                      .catalog = x->worker->catalog,
                      .n_loops = qn_server_n_loops(x->worker->server),
                      .out = &x->out};
    const qn_durations **parts = qn_arena_array(&x->memory, s.n_loops, sizeof *parts);
    if (!parts) return no_memory(x);
    qn_reply_begin(&x->reply, 200, "text/plain; version=0.0.4; charset=utf-8", NULL);
    add_requests(&s);
    add_connections(&s);
    add_outcomes(&s);
    add_rows(&s, x->worker->cache != NULL);
    add_seconds(&s, parts);
    add_models(&s);
    add_routes(&s);
    add_routes_state(&s);
    add_shadows(&s);
    add_logs(&s);
    add_tracing(&s);
    add_process(&s);
    qn_reply_end(&x->reply);
    return QN_STEP_DONE;
}
