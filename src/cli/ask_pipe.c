/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask_pipe.h"

#include "search/tuner/pipe.h"

#include <stdio.h>

/* The next line without its end; false at the end of the input. Of a line that is too long the rest
 * is passed over and *whole is false. */
static bool read_line(qn_str *line, bool *whole)
{
    int c;
    qn_str_clear(line);
    *whole = true;
    while ((c = getc_unlocked(stdin)) != EOF && c != '\n') {
        if (line->bytes < QN_PIPE_LINE_MAX) {
            qn_str_add_char(line, (char)c);
        } else {
            *whole = false;
        }
    }
    return c != EOF || line->bytes > 0;
}

static bool is_blank(const qn_str *line)
{
    for (size_t i = 0; i < line->bytes; i++) {
        if (line->text[i] != ' ' && line->text[i] != '\t' && line->text[i] != '\r') return false;
    }
    return true;
}

static qn_status answer_line(qn_study *study, const qn_str *line, bool whole, qn_str *answer,
                             qn_error *err)
{
    qn_str_clear(answer);
    if (line->failed) return qn_fail(err, QN_ERR_NOMEM, "no memory for a request");
    if (whole) return qn_pipe_answer(study, line->text, line->bytes, answer, err);
    qn_str_add(answer, "{\"error\":\"a request is longer than a line may be (1 MB)\"}");
    return QN_OK;
}

int cli_ask_pipe(const cli_command *command, qn_study *study)
{
    qn_error err = {0};
    qn_str line = {0}, answer = {0};
    qn_status status = QN_OK;
    bool whole;
    while (status == QN_OK && read_line(&line, &whole)) {
        if (is_blank(&line) && !line.failed) continue;
        status = answer_line(study, &line, whole, &answer, &err);
        if (status != QN_OK) break;
        puts(answer.text);
        if (fflush(stdout) != 0) break; /* nobody listens any more */
    }
    qn_str_release(&line);
    qn_str_release(&answer);
    return status == QN_OK ? CLI_OK : cli_fail(command, &err);
}
