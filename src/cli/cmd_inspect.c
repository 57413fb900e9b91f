/* SPDX-License-Identifier: Apache-2.0 */
/* quern inspect: what is in a model file. */
#include "base/alloc.h"
#include "bundle/bundle.h"
#include "cli/commands.h"
#include "explain/importance.h"
#include "model/linear_model.h"
#include "recipe/derive.h"

#include <math.h>
#include <stdio.h>

struct inspect_request {
    const char *arguments[1];
    bool json;
};

static const cli_option options[] = {{"json", CLI_FLAG, offsetof(struct inspect_request, json),
                                      NULL, "print everything as one JSON object", NULL, false},
                                     {0}};

static void print_columns(const qn_schema *schema)
{
    printf("\n%-28s%-12s%-10s%9s  %s\n", "column", "kind", "role", "missing", "");
    for (int64_t col = 0; col < schema->n_cols && col < 200; col++) {
        const qn_schema_column *c = &schema->columns[col];
        printf("%-28.27s%-12s%-10s%8.1f%%  %s\n", c->name, qn_kind_name(c->kind),
               qn_role_name(c->role), 100 * c->missing_fraction, c->reason ? c->reason : "");
    }
    if (schema->n_cols > 200)
        printf("... %lld more; see --json\n", (long long)schema->n_cols - 200);
}

/* By gain, then by splits; nothing when there are no trees. */
static qn_status print_split_importance(const qn_model *model, qn_error *err)
{
    const int64_t n = qn_model_n_inputs(model);
    double *gains = qn_alloc_array(n, sizeof *gains);
    int64_t *n_splits = qn_alloc_array(n, sizeof *n_splits), total = 0;
    bool *done = qn_alloc_array(n, sizeof *done);
    qn_status status = gains && n_splits && done
                           ? qn_split_importance(qn_model_predictor(model), gains, n_splits, err)
                           : qn_fail(err, QN_ERR_NOMEM, "no memory for importances");
    for (int64_t i = 0; status == QN_OK && i < n; i++) {
        total += n_splits[i];
    }
    if (status == QN_OK && total > 0) printf("\n%-28s%14s%14s\n", "in the trees", "gain", "splits");
    for (int64_t place = 0; status == QN_OK && total > 0 && place < n && place < 30; place++) {
        int64_t best = -1;
        for (int64_t i = 0; i < n; i++) {
            if (done[i]) continue;
            if (best < 0 || gains[i] > gains[best] ||
                (gains[i] == gains[best] && n_splits[i] > n_splits[best])) {
                best = i;
            }
        }
        done[best] = true;
        printf("%-28.27s%13.1f%%%14lld\n", qn_model_input_name(model, best), 100 * gains[best],
               (long long)n_splits[best]);
    }
    qn_free(gains);
    qn_free(n_splits);
    qn_free(done);
    return status;
}

enum { COEFFICIENTS_MAX = 200 };

/* Of least squares; each fold has its own, the first is shown. */
static void print_coefficients(const qn_predictor *predictor)
{
    for (int32_t m = 0; m < predictor->n_members; m++) {
        const qn_member *member = &predictor->members[m];
        qn_linear_terms terms;
        int64_t n_features, n_dense;
        if (!qn_linear_terms_of(member->estimator, &terms) || !terms.std_errors) continue;
        const qn_feature *features = qn_recipe_features(predictor->recipes[member->recipe],
                                                        QN_VIEW_DENSE, &n_features, &n_dense);
        printf("\n%-36s%14s%14s%10s\n", "coefficients of the first fold", "value", "std error",
               "t");
        for (int64_t i = 0; i <= n_features && i < COEFFICIENTS_MAX; i++) {
            const int64_t at = i > 0 ? i - 1 : n_features; /* the intercept first */
            const double b = i > 0 ? terms.coefficients[at] : terms.intercepts[0];
            const double error = terms.std_errors[at];
            printf("%-36.35s", i > 0 ? features[at].name : "intercept");
            if (isfinite(error)) {
                printf("%14.6g%14.4g%10.2f\n", b, error, b / error);
            } else {
                puts("             -             -         -"); /* it depends on others */
            }
        }
        if (n_features >= COEFFICIENTS_MAX) {
            printf("... %lld more; see --json\n", (long long)n_features + 1 - COEFFICIENTS_MAX);
        }
        printf("%lld degrees of freedom are left\n", (long long)terms.degrees_of_freedom);
        return;
    }
}

/* Each fold has its own; the first is shown. */
static void print_derived(const qn_recipe *recipe)
{
    int32_t n;
    const qn_derived *derived = qn_recipe_derived(recipe, &n);
    for (int32_t d = 0; d < n; d++) {
        printf("%s%-10s%d features, %.1f %% of the variance of what they are made of\n",
               d ? "          " : "steps     ", qn_derived_name(&derived[d]), derived[d].n,
               100 * derived[d].explained);
    }
}

static void print_model(const qn_model *model)
{
    const qn_record *r = qn_model_record(model);
    const qn_schema *schema = qn_model_schema(model);
    const qn_predictor *predictor = qn_model_predictor(model);
    printf("%s: %s", qn_model_path(model), qn_task_name(schema->task));
    if (schema->target >= 0) printf(" model for '%s'", r->target);
    printf(", %.1f kB, by quern %s\n", (double)qn_model_file_bytes(model) / 1e3, r->version);
    printf("learned from  %s (%lld rows, data %s)\n", r->table, (long long)r->n_rows, r->data_hash);
    if (schema->target >= 0) {
        printf("split         %s\nfolds         %s\n", r->split_reason, r->folds_reason);
        printf("search        %lld candidates, seed %lld\n", (long long)r->n_trials,
               (long long)r->seed);
    }
    printf("command       %s\n", r->command);
    for (int32_t c = 0; c < schema->n_classes && c < 30; c++) {
        const bool clusters = schema->task == QN_TASK_CLUSTERING;
        const char *head = clusters ? "clusters      " : "classes       ";
        printf("%s%s%s", c ? ", " : head, schema->classes[c],
               c + 1 == schema->n_classes || c == 29 ? "\n" : "");
    }
    if (schema->task == QN_TASK_OUTLIERS) {
        printf("threshold     %.6g\n", predictor->threshold);
    }
    print_columns(schema);
    if (schema->target < 0) return;
    bool any_oob = false;
    for (int64_t i = 0; i < r->n_leaderboard; i++) {
        any_oob |= !isnan(r->leaderboard[i].oob_score);
    }
    printf("\n%-20s%14s%12s%9s%9s%s\n", "leaderboard", r->metric, "+-", "weight", "rounds",
           any_oob ? "    out of bag" : "");
    for (int64_t i = 0; i < r->n_leaderboard; i++) {
        const qn_leaderboard_entry *e = &r->leaderboard[i];
        printf("%-20s%14.6g%12.3g%9.2f%9lld", e->name, e->cv_score, e->std_error, e->weight,
               (long long)e->n_rounds);
        if (!isnan(e->oob_score)) printf("%14.6g", e->oob_score);
        putchar('\n');
    }
    printf("\n%d estimators on %d recipes, temperature %.4g, threshold %.4g\n",
           predictor->n_members, predictor->n_recipes, predictor->temperature,
           predictor->threshold);
    print_derived(predictor->recipes[0]);
    if (r->test) {
        printf("\n%-20s%14s\n", "on test rows", "value");
        for (int32_t i = 0; i < r->test->n_values; i++) {
            printf("%-20s%14.6g\n", r->test->values[i].metric->name, r->test->values[i].value);
        }
    }
    if (r->n_importance > 0) printf("\n%-28s%14s\n", "permutation importance", "loss");
    for (int64_t i = 0; i < r->n_importance && i < 30; i++) {
        printf("%-28.27s%14.6g\n", r->importance[i].column, r->importance[i].importance);
    }
    print_coefficients(predictor);
}

static int inspect_run(int argc, char **argv)
{
    struct inspect_request request = {0};
    const int parsed = cli_parse(&cmd_inspect, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    qn_error err = {0};
    qn_model *model = NULL;
    char *json = NULL;
    qn_status status = qn_model_open(request.arguments[0], &model, &err);
    if (status == QN_OK && request.json) status = qn_model_describe(model, &json, &err);
    if (status == QN_OK && request.json) puts(json);
    if (status == QN_OK && !request.json) {
        print_model(model);
        status = print_split_importance(model, &err);
    }
    qn_text_free(json);
    qn_model_close(model);
    return status == QN_OK ? CLI_OK : cli_fail(&cmd_inspect, &err);
}

const cli_command cmd_inspect = {
    .name = "inspect",
    .summary = "show what is in a model file",
    .synopsis = "MODEL [--json]",
    .details = "Schema, recipe, estimators, leaderboard, metrics, importance and lineage.",
    .examples = "    quern inspect credit.quern",
    .options = options,
    .n_arguments_min = 1,
    .n_arguments_max = 1,
    .arguments_offset = offsetof(struct inspect_request, arguments),
    .run = inspect_run};
