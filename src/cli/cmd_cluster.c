/* SPDX-License-Identifier: Apache-2.0 */
/* quern cluster: groups of alike rows, and what each has in common. */
#include "base/number.h"
#include "cli/commands.h"
#include "cli/unlabelled_command.h"
#include "quern/cluster.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct cluster_request {
    const char *arguments[1];
    qn_cluster_request cluster;
    const char *k, *output;
    bool json;
};

#define AT(member) offsetof(struct cluster_request, cluster.member)

static const cli_option options[] = {
    {"k", CLI_TEXT, offsetof(struct cluster_request, k), "N|A..B",
     "how many clusters, or the range to choose from by silhouette (default 2..10)", NULL, false},
    {"o", CLI_TEXT, offsetof(struct cluster_request, output), "FILE.csv",
     "cluster and distance of every row", NULL, true},
    {"model", CLI_TEXT, AT(model), "FILE.quern",
     "model to write: 'quern predict' finds the clusters of new rows", NULL, true},
    {"mini-batch", CLI_FLAG, AT(mini_batch), NULL,
     "move centres by a thousand rows at a time: for very long tables", NULL, false},
    {"n-init", CLI_COUNT, AT(n_init), "N", "beginnings to try for each number (default 10)", NULL,
     false},
    {"drop", CLI_TEXT, AT(drop), "A,B", "columns not to use", NULL, false},
    {"id", CLI_TEXT, AT(id), "A,B", "columns that name a row", NULL, false},
    {"weight", CLI_TEXT, AT(weight), "COLUMN", "sample weights", NULL, false},
    {"kind", CLI_LIST, AT(kinds), "COL=KIND",
     "numeric, categorical, text, datetime, boolean, id (repeatable)", NULL, false},
    {"json", CLI_FLAG, offsetof(struct cluster_request, json), NULL, "print one JSON object", NULL,
     true},
    {"seed", CLI_INT, AT(seed), "N", "seed of every random choice (default 1)", NULL, false},
    {"threads", CLI_COUNT, AT(n_threads), "N", "threads (default: all cores)", NULL, true},
    {0}};

/* "8" or "2..10". */
static qn_status parse_range(const char *text, qn_cluster_request *request, qn_error *err)
{
    if (!text) return QN_OK;
    const char *dots = strstr(text, "..");
    const size_t bytes = dots ? (size_t)(dots - text) : strlen(text);
    const char *second = dots ? dots + 2 : text;
    if (!qn_parse_int64(text, bytes, &request->k_low) ||
        !qn_parse_int64(second, strlen(second), &request->k_high) || request->k_low < 2 ||
        request->k_high < request->k_low) {
        return qn_fail(err, QN_ERR_ARG, "-k %s: expected a number from 2 up, or a range as 2..10",
                       text);
    }
    return QN_OK;
}

static qn_status write_rows(const qn_cluster_result *result, const char *path, qn_error *err)
{
    qn_str text = {0};
    qn_str_add(&text, "cluster,distance\n");
    for (int64_t i = 0; i < result->n_rows; i++) {
        qn_str_addf(&text, "%d,", result->labels[i] + 1);
        qn_str_add_double(&text, result->distances[i]);
        qn_str_add_char(&text, '\n');
    }
    return cli_write_rows(&text, path, err);
}

static void print_candidates(qn_json_value summary)
{
    const qn_json_value tried = qn_json_get(summary, "candidates");
    const double chosen = cli_number(summary, "clusters"), elbow = cli_number(summary, "elbow");
    printf("\n%8s%16s%12s%12s\n", "clusters", "inertia", "explained", "silhouette");
    for (int64_t i = 0; i < qn_json_size(tried); i++) {
        const qn_json_value one = qn_json_at(tried, i);
        const double k = cli_number(one, "clusters");
        printf("%8.0f%16.6g%11.1f%%%12.4f%s%s\n", k, cli_number(one, "inertia"),
               100 * cli_number(one, "explained_variance"), cli_number(one, "silhouette"),
               k == chosen ? "  chosen" : "", k == elbow ? "  elbow" : "");
    }
}

enum { A_ROW = 5 }; /* clusters side by side */

static void print_value(qn_json_value values, qn_json_value shares, int64_t cluster)
{
    char text[64];
    const qn_json_value value = qn_json_at(values, cluster);
    const char *label = qn_json_as_text(value, NULL);
    if (label && shares) {
        snprintf(text, sizeof text, "%.12s %.0f%%", label,
                 100 * qn_json_as_double(qn_json_at(shares, cluster), 0));
    } else if (label) {
        snprintf(text, sizeof text, "%.16s", label);
    } else if (isnan(qn_json_as_double(value, QN_NA))) {
        snprintf(text, sizeof text, "-");
    } else {
        snprintf(text, sizeof text, "%.6g", qn_json_as_double(value, 0));
    }
    printf("%18s", text);
}

static void print_clusters(qn_json_value summary, int64_t first, int64_t end)
{
    const qn_json_value sizes = qn_json_get(summary, "sizes");
    const qn_json_value centres = qn_json_get(summary, "centres");
    printf("\n%-24s", "cluster");
    for (int64_t c = first; c < end; c++) {
        printf("%18s", qn_json_as_text(qn_json_get(qn_json_at(sizes, c), "cluster"), ""));
    }
    printf("\n%-24s", "rows");
    for (int64_t c = first; c < end; c++) {
        printf("%18.0f", cli_number(qn_json_at(sizes, c), "rows"));
    }
    printf("\n%-24s", "share");
    for (int64_t c = first; c < end; c++) {
        printf("%17.1f%%", 100 * cli_number(qn_json_at(sizes, c), "share"));
    }
    putchar('\n');
    for (int64_t i = 0; i < qn_json_size(centres); i++) {
        const qn_json_value column = qn_json_at(centres, i);
        printf("%-24.23s", qn_json_as_text(qn_json_get(column, "column"), ""));
        for (int64_t c = first; c < end; c++) {
            print_value(qn_json_get(column, "values"), qn_json_get(column, "shares"), c);
        }
        putchar('\n');
    }
}

static void print_summary(qn_json_value summary)
{
    const int64_t k = qn_json_as_int(qn_json_get(summary, "clusters"), 0);
    printf("%.0f rows, %.0f columns, %.0f features: %lld clusters explain %.1f%% of the variance\n",
           cli_number(summary, "rows"), cli_number(summary, "columns"),
           cli_number(summary, "features"), (long long)k,
           100 * cli_number(summary, "explained_variance"));
    print_candidates(summary);
    for (int64_t first = 0; first < k; first += A_ROW) {
        print_clusters(summary, first, first + A_ROW < k ? first + A_ROW : k);
    }
}

static qn_status cluster(void *context, const char *command, bool *interrupted, qn_error *err)
{
    struct cluster_request *request = context;
    qn_cluster_result result = {0};
    request->cluster.table = request->arguments[0];
    request->cluster.command = command;
    request->cluster.interrupted = cli_catch_interrupts();
    QN_TRY(parse_range(request->k, &request->cluster, err));
    QN_TRY(qn_cluster(&request->cluster, &result, err));
    *interrupted = result.interrupted;
    qn_status status = QN_OK;
    if (request->output) status = write_rows(&result, request->output, err);
    if (status == QN_OK) {
        status = cli_show_summary(result.json, request->json, print_summary, err);
    }
    qn_cluster_result_release(&result);
    return status;
}

static int cluster_run(int argc, char **argv)
{
    struct cluster_request request = {0};
    return cli_run_unlabelled(&cmd_cluster, argc, argv, &request, cluster,
                              "the best so far was kept");
}

const cli_command cmd_cluster = {
    .name = "cluster",
    .summary = "find groups of alike rows",
    .synopsis = "TABLE [-k N|A..B] [-o FILE.csv] [--model FILE.quern] [options]",
    .details =
        "k-means on all columns but ids: numbers standardised (values beyond eight standard\n"
        "deviations held there), categories as indicators, texts by their length and make-up,\n"
        "not their words. Of a range of numbers the one with the greatest silhouette is kept,\n"
        "which is measured on up to 3,000 rows; the elbow is where inertia stops falling\n"
        "steeply. Clusters are described by the means and commonest categories of their rows,\n"
        "in the units of the table; distances are in standard deviations.",
    .examples = "    quern cluster customers.csv -k 2..8 -o clusters.csv --model groups.quern\n"
                "    quern predict groups.quern new.csv",
    .options = options,
    .n_arguments_min = 1,
    .n_arguments_max = 1,
    .arguments_offset = offsetof(struct cluster_request, arguments),
    .run = cluster_run};
