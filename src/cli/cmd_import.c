/* SPDX-License-Identifier: Apache-2.0 */
/* quern import: a model of LightGBM or XGBoost as a bundle. */
#include "cli/commands.h"
#include "quern/bundle.h"

#include <stdio.h>

struct import_request {
    const char *arguments[1];
    qn_import_request import;
};

#define AT(member) offsetof(struct import_request, member)

static const cli_option options[] = {
    {"o", CLI_TEXT, AT(import.model), "MODEL.quern", "model file to write", NULL, false},
    {"labels", CLI_TEXT, AT(import.labels), "A,B",
     "names of the classes, in the model's order (default: 0,1,...)", NULL, false},
    {"target", CLI_TEXT, AT(import.target), "COLUMN",
     "what the target column is called, for 'quern evaluate' (default: target)", NULL, false},
    {0}};

static int import_run(int argc, char **argv)
{
    struct import_request request = {0};
    const int parsed = cli_parse(&cmd_import, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    qn_error err = {0};
    if (!request.import.model) {
        fputs("quern import: -o MODEL.quern is needed\n", stderr);
        return CLI_USAGE;
    }
    request.import.source = request.arguments[0];
    return qn_import(&request.import, &err) == QN_OK ? CLI_OK : cli_fail(&cmd_import, &err);
}

const cli_command cmd_import = {
    .name = "import",
    .summary = "make a model file of a LightGBM or XGBoost model",
    .synopsis = "FILE -o MODEL.quern [--labels A,B]",
    .details = "FILE is what LightGBM's save_model() writes (text), or XGBoost's (.json or .ubj).\n"
               "The model file predicts what the original does. Its columns are numbers, called\n"
               "as the model's features; a category is given as its code.",
    .examples = "    quern import lightgbm.txt -o credit.quern --labels bad,good",
    .options = options,
    .n_arguments_min = 1,
    .n_arguments_max = 1,
    .arguments_offset = AT(arguments),
    .run = import_run};
