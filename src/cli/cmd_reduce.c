/* SPDX-License-Identifier: Apache-2.0 */
/* quern reduce: principal components, or singular vectors of texts. */
#include "base/number.h"
#include "cli/commands.h"
#include "cli/unlabelled_command.h"
#include "quern/reduce.h"

#include <stdio.h>
#include <string.h>

struct reduce_request {
    const char *arguments[1];
    qn_reduce_request reduce;
    const char *components, *output;
    bool json;
};

#define AT(member) offsetof(struct reduce_request, reduce.member)

static const cli_option options[] = {
    {"components", CLI_TEXT, offsetof(struct reduce_request, components), "N|SHARE",
     "how many, or the share of variance to explain (default 0.95)", NULL, false},
    {"method", CLI_TEXT, AT(method), "NAME",
     "pca, or svd: not centred (default: svd of words, else pca)", NULL, false},
    {"o", CLI_TEXT, offsetof(struct reduce_request, output), "FILE.csv", "components of every row",
     NULL, true},
    {"model", CLI_TEXT, AT(model), "FILE.quern",
     "model to write: 'quern predict' gives the components of new rows", NULL, true},
    {"drop", CLI_TEXT, AT(drop), "A,B", "columns not to use", NULL, false},
    {"id", CLI_TEXT, AT(id), "A,B", "columns that name a row", NULL, false},
    {"kind", CLI_LIST, AT(kinds), "COL=KIND",
     "numeric, categorical, text, datetime, boolean, id (repeatable)", NULL, false},
    {"json", CLI_FLAG, offsetof(struct reduce_request, json), NULL, "print one JSON object", NULL,
     true},
    {"seed", CLI_INT, AT(seed), "N", "seed of every random choice (default 1)", NULL, false},
    {"threads", CLI_COUNT, AT(n_threads), "N", "threads (default: all cores)", NULL, true},
    {0}};

/* "8" or "0.95". */
static qn_status parse_components(const char *text, qn_reduce_request *request, qn_error *err)
{
    double value;
    if (!text) return QN_OK;
    if (qn_parse_int64(text, strlen(text), &request->n_components) && request->n_components > 0) {
        return QN_OK;
    }
    request->n_components = 0;
    if (qn_parse_double(text, strlen(text), &value) && value > 0 && value < 1) {
        request->share = value;
        return QN_OK;
    }
    return qn_fail(err, QN_ERR_ARG,
                   "--components %s: expected a number such as 8, or a share such as 0.95", text);
}

static qn_status write_rows(const qn_reduce_result *result, const char *path, qn_error *err)
{
    qn_str text = {0};
    const int64_t k = result->n_components;
    for (int64_t c = 0; c < k; c++) {
        qn_str_addf(&text, "%scomponent_%d", c > 0 ? "," : "", (int)c + 1);
    }
    qn_str_add_char(&text, '\n');
    for (int64_t i = 0; i < result->n_rows * k; i++) {
        qn_str_add_double(&text, result->values[i]);
        qn_str_add_char(&text, (i + 1) % k == 0 ? '\n' : ',');
    }
    return cli_write_rows(&text, path, err);
}

static void print_component(qn_json_value component, int64_t i, double before)
{
    const qn_json_value features = qn_json_get(component, "features");
    printf("%9lld%14.6g%10.2f%%%10.2f%%  ", (long long)i + 1, cli_number(component, "variance"),
           100 * cli_number(component, "explained"),
           100 * (before + cli_number(component, "explained")));
    for (int64_t f = 0; f < qn_json_size(features); f++) {
        const char *name;
        const double loading = qn_json_as_double(qn_json_member(features, f, &name), 0);
        printf("%s%.24s %+.2f", f > 0 ? ", " : "", name, loading);
    }
    putchar('\n');
}

static void print_summary(qn_json_value summary)
{
    enum { SHOWN = 20 };
    const qn_json_value components = qn_json_get(summary, "components");
    const int64_t n = qn_json_size(components);
    double before = 0;
    printf("%.0f rows, %.0f columns, %.0f features: %lld components (%s) explain %.2f%% of the "
           "variance\n\n%9s%14s%11s%11s  features that weigh most\n",
           cli_number(summary, "rows"), cli_number(summary, "columns"),
           cli_number(summary, "features"), (long long)n,
           qn_json_as_text(qn_json_get(summary, "method"), ""),
           100 * cli_number(summary, "explained"), "component", "variance", "explained",
           "together");
    for (int64_t i = 0; i < n && i < SHOWN; i++) {
        print_component(qn_json_at(components, i), i, before);
        before += cli_number(qn_json_at(components, i), "explained");
    }
    if (n > SHOWN) printf("%9s\n", "...");
}

static qn_status reduce(void *context, const char *command, bool *interrupted, qn_error *err)
{
    struct reduce_request *request = context;
    *interrupted = false; /* nothing is left of half a reduction: it fails */
    qn_reduce_result result = {0};
    request->reduce.table = request->arguments[0];
    request->reduce.command = command;
    request->reduce.interrupted = cli_catch_interrupts();
    QN_TRY(parse_components(request->components, &request->reduce, err));
    QN_TRY(qn_reduce(&request->reduce, &result, err));
    qn_status status = QN_OK;
    if (request->output) status = write_rows(&result, request->output, err);
    if (status == QN_OK) {
        status = cli_show_summary(result.json, request->json, print_summary, err);
    }
    qn_reduce_result_release(&result);
    return status;
}

static int reduce_run(int argc, char **argv)
{
    struct reduce_request request = {0};
    return cli_run_unlabelled(&cmd_reduce, argc, argv, &request, reduce, NULL);
}

const cli_command cmd_reduce = {
    .name = "reduce",
    .summary = "make few columns of many",
    .synopsis = "TABLE [--components N|SHARE] [-o FILE.csv] [--model FILE.quern] [options]",
    .details =
        "Principal components (pca) of the standardised columns, or truncated singular values\n"
        "(svd), which leave the zeros of words alone: numbers standardised (values beyond eight\n"
        "standard deviations held there), categories as indicators, texts by their length and\n"
        "make-up and by their words (TF-IDF). Exact up to 1,000 rows or features, else by\n"
        "randomised block Krylov iteration. The largest loading of a component is positive.",
    .examples = "    quern reduce sensors.csv --components 0.95 -o few.csv --model few.quern\n"
                "    quern predict few.quern new.csv",
    .options = options,
    .n_arguments_min = 1,
    .n_arguments_max = 1,
    .arguments_offset = offsetof(struct reduce_request, arguments),
    .run = reduce_run};
