/* SPDX-License-Identifier: Apache-2.0 */
#include "search/tuner/trial_command.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

static bool is_name_character(char c)
{
    return isalnum((unsigned char)c) || strchr("_.-", c) || (unsigned char)c >= 0x80;
}

/* Bytes of "{name}" at the beginning of the text; 0: there is none. */
static size_t placeholder_bytes(const char *text)
{
    size_t bytes = 1;
    if (*text != '{') return 0;
    while (text[bytes] && is_name_character(text[bytes])) {
        bytes++;
    }
    return bytes > 1 && text[bytes] == '}' ? bytes + 1 : 0;
}

static bool is_word(const char *name, size_t bytes, const char *word)
{
    return bytes == strlen(word) && memcmp(name, word, bytes) == 0;
}

static qn_status check_placeholder(const qn_space *space, bool has_checkpoints, const char *name,
                                   size_t bytes, qn_error *err)
{
    if (qn_map_get(space->names, name, bytes, -1) >= 0) return QN_OK;
    if (is_word(name, bytes, "trial")) return QN_OK;
    if (!is_word(name, bytes, "checkpoint")) {
        return qn_fail(err, QN_ERR_ARG, "{%.*s} in the command: the space has no such parameter",
                       (int)bytes, name);
    }
    if (has_checkpoints) return QN_OK;
    return qn_fail(err, QN_ERR_ARG,
                   "{checkpoint} in the command: say with --checkpoints where they are kept");
}

qn_status qn_trial_command_check(char *const *command, const qn_space *space, bool has_checkpoints,
                                 qn_error *err)
{
    for (int i = 0; command[i]; i++) {
        for (const char *at = command[i]; *at; at++) {
            const size_t bytes = placeholder_bytes(at);
            if (bytes == 0) continue;
            QN_TRY(check_placeholder(space, has_checkpoints, at + 1, bytes - 2, err));
        }
    }
    return QN_OK;
}

static void add_value(const qn_trial_command *command, const char *name, size_t bytes, qn_str *out)
{
    char text[QN_DOUBLE_TEXT_BYTES];
    const qn_space *space = command->space;
    const int64_t at = qn_map_get(space->names, name, bytes, -1);
    if (at < 0 && is_word(name, bytes, "trial")) {
        qn_str_addf(out, "%" PRId64, command->trial->number);
    } else if (at < 0) {
        qn_str_add(out, command->checkpoint);
    } else {
        const double value = qn_trial_value(command->trial, at);
        if (!isnan(value)) qn_str_add(out, qn_parameter_text(&space->parameters[at], value, text));
    }
}

static const char *fill_in(const qn_trial_command *command, const char *text, qn_arena *arena)
{
    qn_str out = {0};
    qn_str_add(&out, "");
    while (*text) {
        const size_t bytes = placeholder_bytes(text);
        if (bytes > 0) {
            add_value(command, text + 1, bytes - 2, &out);
        } else {
            qn_str_add_char(&out, *text);
        }
        text += bytes > 0 ? bytes : 1;
    }
    const char *copy = out.failed ? NULL : qn_arena_strndup(arena, out.text, out.bytes);
    qn_str_release(&out);
    return copy;
}

char **qn_trial_command_arguments(const qn_trial_command *command, qn_arena *arena)
{
    int n = 0;
    while (command->command[n]) {
        n++;
    }
    char **arguments = qn_arena_array(arena, n + 1, sizeof *arguments);
    for (int i = 0; arguments && i < n; i++) {
        const char *text = fill_in(command, command->command[i], arena);
        if (!text) return NULL;
        memcpy(&arguments[i], &text, sizeof text);
    }
    return arguments;
}

static char *keep_text(qn_str *text, qn_arena *arena)
{
    char *copy = text->failed ? NULL : qn_arena_strdup(arena, text->text);
    qn_str_release(text);
    return copy;
}

char **qn_trial_command_environment(const qn_trial_command *command, qn_arena *arena)
{
    enum { N_MAX = 4 };
    qn_str texts[N_MAX] = {{0}};
    int n = 2;
    char **environment = qn_arena_array(arena, N_MAX + 1, sizeof *environment);
    qn_str_add(&texts[0], "QUERN_PARAMS=");
    qn_space_write_values(command->space, command->trial->values,
                          &(qn_json_writer){.out = &texts[0]});
    qn_str_addf(&texts[1], "QUERN_TRIAL=%" PRId64, command->trial->number);
    if (command->checkpoint) qn_str_addf(&texts[n++], "QUERN_CHECKPOINT=%s", command->checkpoint);
    if (command->first_look > 0) {
        qn_str_addf(&texts[n++], "QUERN_FIRST_LOOK=%" PRId64, command->first_look);
    }
    bool complete = environment != NULL;
    for (int i = 0; i < n; i++) {
        char *text = keep_text(&texts[i], arena);
        if (environment) environment[i] = text;
        complete &= text != NULL;
    }
    return complete ? environment : NULL;
}
