/* SPDX-License-Identifier: Apache-2.0 */
/* quern outliers: rows unlike the others, and the columns that make them so. */
#include "base/number.h"
#include "cli/commands.h"
#include "cli/unlabelled_command.h"
#include "quern/outliers.h"

#include <stdio.h>
#include <string.h>

struct outliers_request {
    const char *arguments[1];
    qn_outliers_request outliers;
    const char *contamination, *output;
    bool json;
};

#define AT(member) offsetof(struct outliers_request, outliers.member)

static const cli_option options[] = {
    {"contamination", CLI_TEXT, offsetof(struct outliers_request, contamination), "SHARE|auto",
     "share of the rows that are outliers, up to 0.5; auto: those that score above 0.5 (default)",
     NULL, false},
    {"top", CLI_COUNT, AT(n_top), "N", "rows to show, the greatest scores first (default 10)", NULL,
     false},
    {"o", CLI_TEXT, offsetof(struct outliers_request, output), "FILE.csv",
     "verdict and score of every row", NULL, true},
    {"model", CLI_TEXT, AT(model), "FILE.quern", "model to write: 'quern predict' scores new rows",
     NULL, true},
    {"n-estimators", CLI_COUNT, AT(n_estimators), "N", "trees (default 100)", NULL, false},
    {"max-samples", CLI_COUNT, AT(max_samples), "N", "rows drawn for each tree (default 256)", NULL,
     false},
    {"drop", CLI_TEXT, AT(drop), "A,B", "columns not to use", NULL, false},
    {"id", CLI_TEXT, AT(id), "A,B", "columns that name a row", NULL, false},
    {"kind", CLI_LIST, AT(kinds), "COL=KIND",
     "numeric, categorical, text, datetime, boolean, id (repeatable)", NULL, false},
    {"json", CLI_FLAG, offsetof(struct outliers_request, json), NULL, "print one JSON object", NULL,
     true},
    {"seed", CLI_INT, AT(seed), "N", "seed of every random choice (default 1)", NULL, false},
    {"threads", CLI_COUNT, AT(n_threads), "N", "threads (default: all cores)", NULL, true},
    {0}};

/* "0.01" or "auto". */
static qn_status parse_contamination(const char *text, double *out, qn_error *err)
{
    if (!text || strcmp(text, "auto") == 0) return QN_OK;
    if (qn_parse_double(text, strlen(text), out) && *out > 0 && *out <= 0.5) return QN_OK;
    return qn_fail(err, QN_ERR_ARG,
                   "--contamination %s: expected a share of the rows such as 0.01, at most 0.5, or "
                   "auto",
                   text);
}

static qn_status write_rows(const qn_outliers_result *result, const char *path, qn_error *err)
{
    qn_str text = {0};
    qn_str_add(&text, "prediction,score\n");
    for (int64_t i = 0; i < result->n_rows; i++) {
        qn_str_add(&text, result->scores[i] >= result->threshold ? "outlier," : "inlier,");
        qn_str_add_double(&text, result->scores[i]);
        qn_str_add_char(&text, '\n');
    }
    return cli_write_rows(&text, path, err);
}

static void print_row(qn_json_value row)
{
    const qn_json_value columns = qn_json_get(row, "columns");
    printf("%10.0f%10.4f%s ", cli_number(row, "row"), cli_number(row, "score"),
           qn_json_as_bool(qn_json_get(row, "outlier"), false) ? " *" : "  ");
    for (int64_t i = 0; i < qn_json_size(columns); i++) {
        const qn_json_value one = qn_json_at(columns, i);
        if (cli_number(one, "share") < 0.005) break;
        const char *value = qn_json_as_text(qn_json_get(one, "value"), NULL);
        printf("%s%.24s %s%.24s (%.0f%%)", i > 0 ? ", " : "",
               qn_json_as_text(qn_json_get(one, "column"), ""), value ? "= " : "is missing",
               value ? value : "", 100 * cli_number(one, "share"));
    }
    putchar('\n');
}

static void print_summary(qn_json_value summary)
{
    const qn_json_value top = qn_json_get(summary, "top");
    const double n = cli_number(summary, "rows"), n_outliers = cli_number(summary, "outliers");
    printf("%.0f rows, %.0f columns: %.0f outlier%s (%.2f%%), scores from %.4f on\n\n"
           "%10s%10s   columns that isolate it\n",
           n, cli_number(summary, "columns"), n_outliers, n_outliers == 1 ? "" : "s",
           100 * n_outliers / n, cli_number(summary, "threshold"), "row", "score");
    for (int64_t i = 0; i < qn_json_size(top); i++) {
        print_row(qn_json_at(top, i));
    }
}

static qn_status find_outliers(void *context, const char *command, bool *interrupted, qn_error *err)
{
    struct outliers_request *request = context;
    qn_outliers_result result = {0};
    request->outliers.table = request->arguments[0];
    request->outliers.command = command;
    request->outliers.interrupted = cli_catch_interrupts();
    QN_TRY(parse_contamination(request->contamination, &request->outliers.contamination, err));
    QN_TRY(qn_outliers(&request->outliers, &result, err));
    *interrupted = result.interrupted;
    qn_status status = QN_OK;
    if (request->output) status = write_rows(&result, request->output, err);
    if (status == QN_OK) {
        status = cli_show_summary(result.json, request->json, print_summary, err);
    }
    qn_outliers_result_release(&result);
    return status;
}

static int outliers_run(int argc, char **argv)
{
    struct outliers_request request = {0};
    return cli_run_unlabelled(&cmd_outliers, argc, argv, &request, find_outliers,
                              "the trees grown so far were kept");
}

const cli_command cmd_outliers = {
    .name = "outliers",
    .summary = "find rows unlike the others",
    .synopsis = "TABLE [--contamination SHARE] [-o FILE.csv] [--model FILE.quern] [options]",
    .details =
        "An isolation forest on all columns but ids: trees of random cuts on a few rows each.\n"
        "Rows that few cuts set apart score near 1, all others 0.5 or less. Scores do not depend\n"
        "on units. Rare categories are outlying, missing numbers are not; of texts, length and\n"
        "make-up count, not the words. Beside each row stand the columns whose cuts isolated it,\n"
        "with their share of the cuts that were saved. Rows are counted from 1; * marks outliers.",
    .examples =
        "    quern outliers payments.csv --contamination 0.01 -o scores.csv --model odd.quern\n"
        "    quern predict odd.quern new.csv",
    .options = options,
    .n_arguments_min = 1,
    .n_arguments_max = 1,
    .arguments_offset = offsetof(struct outliers_request, arguments),
    .run = outliers_run};
