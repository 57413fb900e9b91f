/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include "base/file.h"
#include "base/number.h"
#include "base/yaml.h"
#include "frame/frame.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST_MAX = 256, OPTIONS_MAX = 64 };

/* Lists, and texts of configuration files: requests point to them until the program ends. */
static qn_arena kept;

static const cli_option *find_option(const cli_command *command, const char *name, size_t bytes)
{
    for (const cli_option *option = command->options; option->name; option++) {
        if (strlen(option->name) == bytes && memcmp(option->name, name, bytes) == 0) return option;
    }
    return NULL;
}

static int usage(const cli_command *command, const char *message)
{
    fprintf(stderr, "quern %s: %s\n", command->name, message);
    fprintf(stderr, "see 'quern help %s'\n", command->name);
    return CLI_USAGE;
}

/* The option most likely meant by an unknown one: a long name spelt much like it, else the letter
 * it begins with (--output for -o). NULL: none is near. */
static const char *nearest_option(const cli_command *command, const char *wanted)
{
    const char *names[OPTIONS_MAX], *letter = NULL;
    int64_t n = 0;
    for (const cli_option *option = command->options; option->name && n < OPTIONS_MAX; option++) {
        if (option->name[1] != '\0') {
            names[n++] = option->name;
        } else if (option->name[0] == wanted[0]) {
            letter = option->name;
        }
    }
    const char *near = qn_nearest_name(wanted, names, n);
    return near ? near : letter;
}

static int unknown_option(const cli_command *command, const char *given, size_t bytes)
{
    char wanted[64], message[256];
    snprintf(wanted, sizeof wanted, "%.*s", (int)bytes, given);
    const char *near = nearest_option(command, wanted);
    if (near) {
        snprintf(message, sizeof message, "unknown option --%s; did you mean %s%s?", wanted,
                 near[1] ? "--" : "-", near);
    } else {
        snprintf(message, sizeof message, "unknown option %s%s", bytes == 1 ? "-" : "--", wanted);
    }
    return usage(command, message);
}

/* "60s" → 60, "10m" → 600; the unit may be left out. */
static bool parse_scaled(const char *text, const char *units, const double *scales, double *out)
{
    size_t bytes = strlen(text);
    double scale = 1;
    const char *unit = bytes > 1 ? strchr(units, tolower((unsigned char)text[bytes - 1])) : NULL;
    if (unit && *unit) {
        scale = scales[unit - units];
        bytes--;
    }
    if (!qn_parse_double(text, bytes, out) || !(*out >= 0) || *out > 1e15) return false;
    *out *= scale;
    return true;
}

static bool add_to_list(void *at, const char *text)
{
    const char **list;
    memcpy(&list, at, sizeof list);
    if (!list) {
        list = qn_arena_array(&kept, LIST_MAX, sizeof *list);
        if (!list) return false;
        memcpy(at, &list, sizeof list);
    }
    int n = 0;
    while (list[n]) {
        n++;
    }
    if (n + 1 < LIST_MAX) list[n] = text;
    return n + 1 < LIST_MAX;
}

static bool store(const cli_option *option, const char *text, void *request)
{
    static const double seconds[] = {1, 60, 3600};
    static const double bytes[] = {1e3, 1e6, 1e9, 1e12};
    char *at = (char *)request + option->offset;
    double number;
    int64_t whole;
    switch (option->type) {
    case CLI_TEXT:
        memcpy(at, &text, sizeof text);
        return true;
    case CLI_LIST:
        return add_to_list(at, text);
    case CLI_FLAG: {
        const bool on = !text || strcmp(text, "true") == 0;
        memcpy(at, &on, sizeof on);
        return !text || on || strcmp(text, "false") == 0;
    }
    case CLI_INT:
        if (!qn_parse_int64(text, strlen(text), &whole)) return false;
        memcpy(at, &whole, sizeof whole);
        return true;
    case CLI_COUNT:
        if (!qn_parse_int64(text, strlen(text), &whole) || whole < 0) return false;
        memcpy(at, &whole, sizeof whole);
        return true;
    case CLI_DOUBLE:
        if (!qn_parse_double(text, strlen(text), &number)) return false;
        memcpy(at, &number, sizeof number);
        return true;
    case CLI_DURATION:
    case CLI_DELAY:
        if (!parse_scaled(text, "smh", seconds, &number)) return false;
        if (number == 0 && option->type == CLI_DURATION) return false;
        memcpy(at, &number, sizeof number);
        return true;
    case CLI_SIZE:
        if (!parse_scaled(text, "kmgt", bytes, &number) || number > 9e18) return false;
        whole = (int64_t)number;
        memcpy(at, &whole, sizeof whole);
        return true;
    }
    return false;
}

static const char *type_hint(cli_type type)
{
    switch (type) {
    case CLI_INT:
        return "a whole number";
    case CLI_COUNT:
        return "a whole number that is not negative";
    case CLI_DOUBLE:
        return "a number";
    case CLI_DURATION:
    case CLI_DELAY:
        return "a time such as 60s, 10m or 1h";
    case CLI_SIZE:
        return "a size such as 500M or 4G";
    case CLI_FLAG:
        return "true or false";
    case CLI_TEXT:
    case CLI_LIST:
        break;
    }
    return "a text";
}

static int set_option(const cli_command *command, const cli_option *option, const char *text,
                      void *request)
{
    if (store(option, text, request)) return CLI_OK;
    char message[256];
    snprintf(message, sizeof message, "--%s %s: expected %s", option->name, text ? text : "",
             type_hint(option->type));
    return usage(command, message);
}

/* What the values of one name make of an option: a list goes one by one to an option that may be
 * given more than once, else joined by commas. */
static qn_status set_from_pair(const cli_option *option, const qn_yaml_pair *pair, void *request)
{
    if (option->type == CLI_LIST || (!pair->is_list && pair->n_values == 1)) {
        for (int64_t i = 0; i < pair->n_values; i++) {
            if (!store(option, pair->values[i], request)) return QN_ERR_ARG;
        }
        return QN_OK;
    }
    if (option->type != CLI_TEXT) return QN_ERR_ARG;
    qn_str joined = {0};
    for (int64_t i = 0; i < pair->n_values; i++) {
        if (i > 0) qn_str_add_char(&joined, ',');
        qn_str_add(&joined, pair->values[i]);
    }
    const char *text = joined.failed ? NULL : qn_arena_strndup(&kept, joined.text, joined.bytes);
    qn_str_release(&joined);
    return text && store(option, text, request) ? QN_OK : QN_ERR_NOMEM;
}

static int set_pair(const cli_command *command, const char *path, const qn_yaml_pair *pair,
                    void *request)
{
    char name[64], message[400];
    snprintf(name, sizeof name, "%s", pair->name);
    for (char *c = name; *c; c++) {
        if (*c == '_') *c = '-';
    }
    const cli_option *option = find_option(command, name, strlen(name));
    if (!option) {
        const char *near = nearest_option(command, name);
        snprintf(message, sizeof message, "%s:%lld:%lld: there is no option '%s'%s%s%s", path,
                 (long long)pair->line, (long long)pair->column, pair->name,
                 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        return usage(command, message);
    }
    const qn_status status = set_from_pair(option, pair, request);
    if (status == QN_OK) return CLI_OK;
    if (status == QN_ERR_NOMEM) {
        return cli_fail(command, &(qn_error){QN_ERR_NOMEM, "no memory for the options"});
    }
    snprintf(message, sizeof message, "%s:%lld:%lld: %s: expected %s%s", path,
             (long long)pair->value_line, (long long)pair->value_column, name,
             type_hint(option->type), pair->is_list ? ", not a list" : "");
    return usage(command, message);
}

static int read_config(const cli_command *command, const char *path, void *request)
{
    qn_error err = {0};
    qn_file_map map;
    qn_yaml_pair *pair = NULL;
    if (qn_file_map_open(path, &map, &err) != QN_OK) return cli_fail(command, &err);
    const qn_status status = qn_yaml_read_pairs(path, map.data, map.bytes, &kept, &pair, &err);
    qn_file_unmap(&map);
    if (status == QN_ERR_DATA) return usage(command, err.message);
    if (status != QN_OK) return cli_fail(command, &err);
    int code = CLI_OK;
    for (; pair && code == CLI_OK; pair = pair->next) {
        code = set_pair(command, path, pair, request);
    }
    return code;
}

/* argv[*i] is "--name", "--name=value" or "-x". */
static int parse_option(const cli_command *command, int argc, char **argv, int *i, void *request)
{
    const char *name = argv[*i] + (argv[*i][1] == '-' ? 2 : 1);
    const char *equals = strchr(name, '=');
    const size_t bytes = equals ? (size_t)(equals - name) : strlen(name);
    if ((bytes == 4 && memcmp(name, "help", 4) == 0) || (bytes == 1 && *name == 'h')) {
        cli_print_help(command);
        return CLI_HELP_SHOWN;
    }
    const cli_option *option = find_option(command, name, bytes);
    const bool config = bytes == 6 && memcmp(name, "config", 6) == 0;
    if (!option && !config) return unknown_option(command, name, bytes);
    const char *value = equals ? equals + 1 : NULL;
    if (!value && (config || option->type != CLI_FLAG)) {
        if (*i + 1 >= argc) {
            char message[128];
            snprintf(message, sizeof message, "%s needs a value", argv[*i]);
            return usage(command, message);
        }
        value = argv[++*i];
    }
    return config ? read_config(command, value, request)
                  : set_option(command, option, value, request);
}

int cli_parse(const cli_command *command, int argc, char **argv, void *request)
{
    const char **arguments = (const char **)(void *)((char *)request + command->arguments_offset);
    int n_arguments = 0;
    bool only_arguments = false;
    for (int i = 1; i < argc; i++) {
        const bool dashed = argv[i][0] == '-' && argv[i][1] != '\0' && !only_arguments;
        if (strcmp(argv[i], "--") == 0 && !only_arguments) {
            only_arguments = true;
        } else if (dashed) {
            const int code = parse_option(command, argc, argv, &i, request);
            if (code != CLI_OK) return code;
        } else if (n_arguments == command->n_arguments_max) {
            char message[256];
            snprintf(message, sizeof message, "'%.100s' is one argument too many", argv[i]);
            return usage(command, message);
        } else {
            arguments[n_arguments++] = argv[i];
        }
    }
    if (n_arguments >= command->n_arguments_min) return CLI_OK;
    char message[256];
    snprintf(message, sizeof message, "usage: quern %s %s", command->name, command->synopsis);
    return usage(command, message);
}

int cli_fail(const cli_command *command, const qn_error *err)
{
    fprintf(stderr, "quern %s: %s\n", command->name, err->message);
    switch (err->status) {
    case QN_ERR_ARG:
        return CLI_USAGE;
    case QN_ERR_DATA:
        return CLI_DATA;
    case QN_ERR_INTERRUPTED:
        return CLI_INTERRUPTED;
    case QN_OK:
    case QN_ERR_IO:
    case QN_ERR_NOMEM:
    case QN_ERR_BUDGET:
    case QN_ERR_UNSUPPORTED:
        break;
    }
    return CLI_FAILED;
}

int cli_finish(int code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("quern: standard output could not be written\n", stderr);
        return code == CLI_OK ? CLI_FAILED : code;
    }
    return code;
}

static void add_quoted(const char *text, qn_str *out)
{
    qn_str_add_char(out, ' ');
    if (*text && text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                   "_-./=,:@%+")] == '\0') {
        qn_str_add(out, text);
        return;
    }
    qn_str_add_char(out, '\'');
    for (; *text; text++) {
        qn_str_add(out, *text == '\'' ? "'\\''" : (char[]){*text, '\0'});
    }
    qn_str_add_char(out, '\'');
}

void cli_replay(const cli_command *command, int argc, char **argv, qn_str *out)
{
    qn_str_addf(out, "quern %s", command->name);
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i] + (argv[i][0] == '-' ? (argv[i][1] == '-' ? 2 : 1) : 0);
        const size_t bytes = strcspn(name, "=");
        const cli_option *option =
            argv[i][0] == '-' && argv[i][1] ? find_option(command, name, bytes) : NULL;
        if (option && option->no_replay) {
            i += option->type != CLI_FLAG && name[bytes] != '=';
            continue;
        }
        add_quoted(argv[i], out);
    }
}

bool cli_use_color(int fd)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}
