/* SPDX-License-Identifier: Apache-2.0 */
/* quern profile: a table in numbers, and with a target what looks wrong before training. */
#include "base/alloc.h"
#include "base/json.h"
#include "cli/commands.h"
#include "frame/cells.h"
#include "source/source.h"
#include "validate/understand.h"

#include <math.h>
#include <stdio.h>

struct profile_request {
    const char *arguments[1];
    const char *target, *task;
    const char *const *kinds;
    int64_t n_threads;
    bool json;
};

#define AT(member) offsetof(struct profile_request, member)

static const cli_option options[] = {
    {"target", CLI_TEXT, AT(target), "COLUMN",
     "column to predict: adds kinds, association, warnings", NULL, false},
    {"task", CLI_TEXT, AT(task), "TASK", "binary, multiclass, regression or ranking", NULL, false},
    {"kind", CLI_LIST, AT(kinds), "COL=KIND",
     "numeric, categorical, text, datetime, boolean, id (repeatable)", NULL, false},
    {"json", CLI_FLAG, AT(json), NULL, "print one JSON object", NULL, true},
    {"threads", CLI_COUNT, AT(n_threads), "N", "threads (default: all cores)", NULL, true},
    {0}};

/* What is known of the table; schema and findings only with a target. */
struct profiled {
    qn_pool *pool;
    qn_frame *frame;
    qn_str warnings; /* of reading */
    qn_profile *profile;
    qn_schema *schema;
    double *target;
    qn_findings findings;
};

static void release(struct profiled *p)
{
    qn_findings_release(&p->findings);
    qn_free(p->target);
    qn_schema_free(p->schema);
    qn_profile_free(p->profile);
    qn_frame_free(p->frame);
    qn_str_release(&p->warnings);
    qn_pool_free(p->pool);
}

static qn_status load(const struct profile_request *request, struct profiled *p, qn_error *err)
{
    p->pool = qn_pool_create((int)request->n_threads);
    if (!p->pool) return qn_fail(err, QN_ERR_NOMEM, "no memory for the threads");
    const qn_read_request read = {
        .uri = request->arguments[0], .named = request->target, .pool = p->pool};
    QN_TRY(qn_source_read(&read, &p->frame, &p->warnings, err));
    QN_TRY(qn_profile_create(p->frame, NULL, 0, p->pool, &p->profile, err));
    if (!request->target) return QN_OK;
    const qn_understand_request question = {.frame = p->frame,
                                            .profile = p->profile,
                                            .target = request->target,
                                            .task = request->task,
                                            .kinds = request->kinds};
    QN_TRY(qn_understand(&question, &p->schema, err));
    QN_TRY(qn_schema_target(p->schema, p->frame, false, &p->target, err));
    return qn_screen(p->frame, p->schema, p->profile, NULL, p->frame->n_rows, p->target, p->pool,
                     &p->findings, err);
}

/* Least, median and greatest of numbers; the most frequent values of the rest. */
static void print_values(const qn_column_profile *c)
{
    if (c->type == QN_TYPE_INT64 || c->type == QN_TYPE_FLOAT64) {
        if (!isnan(c->minimum)) {
            printf("%.6g ... %.6g ... %.6g", c->minimum, c->quantiles[3], c->maximum);
        }
        return;
    }
    for (int32_t i = 0; i < c->n_top && i < 3; i++) {
        printf("%s%.24s", i > 0 ? ", " : "", c->top[i].text);
    }
}

static void print_table(const struct profiled *p)
{
    printf("%lld rows, %lld columns, %lld duplicate rows\n\n", (long long)p->profile->n_rows,
           (long long)p->profile->n_cols, (long long)p->profile->n_duplicate_rows);
    printf("%-28s%-12s%9s%10s%8s  %s\n", "column", p->schema ? "kind" : "type", "missing",
           "distinct", p->schema ? "target" : "", "least, median, greatest or most frequent");
    for (int64_t col = 0; col < p->profile->n_cols; col++) {
        const qn_column_profile *c = &p->profile->columns[col];
        const char *what =
            p->schema ? qn_kind_name(p->schema->columns[col].kind) : qn_type_name(c->type);
        printf("%-28.27s%-12s%8.1f%%%10lld", c->name, what,
               100 * (double)c->n_missing / fmax(1, (double)c->n_rows), (long long)c->n_distinct);
        if (p->schema && !isnan(c->target_association)) {
            printf("%8.3f  ", c->target_association);
        } else {
            printf("%8s  ", "");
        }
        print_values(c);
        putchar('\n');
    }
    if (p->warnings.bytes > 0 || p->findings.n > 0) putchar('\n');
    if (p->warnings.bytes > 0) fputs(p->warnings.text, stdout);
    for (int64_t i = 0; i < p->findings.n; i++) {
        puts(p->findings.items[i].message);
    }
}

static int print_json(const struct profiled *p)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    qn_json_begin_object(&json);
    qn_json_put_text(&json, "table", p->frame->source);
    qn_json_key(&json, "profile");
    qn_profile_write_json(p->profile, &json);
    if (p->schema) {
        qn_json_key(&json, "kinds");
        qn_json_begin_object(&json);
        for (int64_t col = 0; col < p->schema->n_cols; col++) {
            const qn_schema_column *c = &p->schema->columns[col];
            qn_json_put_text(&json, c->name, qn_kind_name(c->kind));
        }
        qn_json_end_object(&json);
    }
    qn_json_key(&json, "findings");
    qn_json_begin_array(&json);
    for (int64_t i = 0; i < p->findings.n; i++) {
        qn_json_begin_object(&json);
        qn_json_put_text(&json, "kind", qn_finding_kind_name(p->findings.items[i].kind));
        qn_json_put_text(&json, "column", p->findings.items[i].column);
        qn_json_put_text(&json, "message", p->findings.items[i].message);
        qn_json_end_object(&json);
    }
    qn_json_end_array(&json);
    qn_json_end_object(&json);
    const bool failed = text.failed;
    if (!failed) puts(text.text);
    qn_str_release(&text);
    return failed ? cli_fail(&cmd_profile, &(qn_error){QN_ERR_NOMEM, "no memory for the profile"})
                  : CLI_OK;
}

static int profile_run(int argc, char **argv)
{
    struct profile_request request = {0};
    const int parsed = cli_parse(&cmd_profile, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    qn_error err = {0};
    struct profiled p = {0};
    int code = CLI_OK;
    if (!request.target && (request.task || request.kinds)) {
        code = cli_fail(&cmd_profile,
                        &(qn_error){QN_ERR_ARG, "--task and --kind say nothing without --target"});
    } else if (load(&request, &p, &err) != QN_OK) {
        code = cli_fail(&cmd_profile, &err);
    } else if (request.json) {
        code = print_json(&p);
    } else {
        print_table(&p);
    }
    release(&p);
    return code;
}

const cli_command cmd_profile = {
    .name = "profile",
    .summary = "describe the columns of a table",
    .synopsis = "TABLE [--target COLUMN] [--json]",
    .details = "Type, missing and different values, range or most frequent values of each column.\n"
               "With --target also what each column means, how well it alone predicts the target\n"
               "(0 to 1, on rows held out), and what looks wrong: leaks, ids, duplicates.",
    .examples = "    quern profile credit.csv --target class",
    .options = options,
    .n_arguments_min = 1,
    .n_arguments_max = 1,
    .arguments_offset = offsetof(struct profile_request, arguments),
    .run = profile_run};
