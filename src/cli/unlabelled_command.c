/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/unlabelled_command.h"

#include "base/file.h"
#include "base/number.h"

#include <stdio.h>
#include <string.h>

int cli_run_unlabelled(const cli_command *command, int argc, char **argv, void *request,
                       cli_work *work, const char *kept)
{
    const int parsed = cli_parse(command, argc, argv, request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    qn_error err = {0};
    qn_str line = {0};
    bool interrupted = false;
    cli_replay(command, argc, argv, &line);
    int code = CLI_OK;
    if (work(request, line.failed ? NULL : line.text, &interrupted, &err) != QN_OK) {
        code = cli_fail(command, &err);
    } else if (interrupted) {
        fprintf(stderr, "quern %s: interrupted; %s\n", command->name, kept);
        code = CLI_INTERRUPTED;
    }
    qn_str_release(&line);
    return code;
}

qn_status cli_write_rows(qn_str *rows, const char *path, qn_error *err)
{
    const qn_status status = rows->failed ? qn_fail(err, QN_ERR_NOMEM, "no memory for the rows")
                                          : qn_file_write(path, rows->text, rows->bytes, err);
    qn_str_release(rows);
    return status;
}

qn_status cli_show_summary(const char *text, bool as_json, void (*print)(qn_json_value summary),
                           qn_error *err)
{
    if (as_json) {
        puts(text);
        return QN_OK;
    }
    qn_json *json = NULL;
    QN_TRY(qn_json_parse(text, strlen(text), "summary", &json, err));
    print(qn_json_root(json));
    const char *model = qn_json_as_text(qn_json_get(qn_json_root(json), "model"), NULL);
    if (model) printf("\nmodel %s\n", model);
    qn_json_free(json);
    return QN_OK;
}

double cli_number(qn_json_value object, const char *key)
{
    return qn_json_as_double(qn_json_get(object, key), QN_NA);
}
