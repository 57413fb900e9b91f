/* SPDX-License-Identifier: Apache-2.0 */
/* Options: one table per command over the command's request struct. It drives parsing, help, man
 * pages, completion and the reference. */
#ifndef QN_CLI_OPTIONS_H
#define QN_CLI_OPTIONS_H

#include "base/error.h"
#include "base/str.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cli_type {
    CLI_TEXT,     /* const char * */
    CLI_LIST,     /* const char *const *: may be given more than once; ended by NULL */
    CLI_INT,      /* int64_t */
    CLI_COUNT,    /* int64_t, not negative; 0 asks for the default */
    CLI_DOUBLE,   /* double */
    CLI_DURATION, /* double seconds: 90, 60s, 10m, 1h */
    CLI_DELAY,    /* the same, or 0 */
    CLI_SIZE,     /* int64_t bytes: 500M, 4G */
    CLI_FLAG      /* bool */
} cli_type;

typedef struct cli_option {
    const char *name; /* "budget"; a name of one letter is -x */
    cli_type type;
    size_t offset;
    const char *value; /* what the help calls it: "SECONDS"; NULL for flags */
    const char *help;
    const char *group; /* heading before it in the help, or NULL */
    bool no_replay;    /* does not change the result: left out of the recorded command */
} cli_option;

typedef struct cli_command {
    const char *name;
    const char *summary;       /* one line */
    const char *synopsis;      /* "TABLE --target COLUMN [options]" */
    const char *details;       /* paragraphs */
    const char *examples;      /* lines of shell */
    const cli_option *options; /* ended by a NULL name */
    int n_arguments_min, n_arguments_max;
    size_t arguments_offset; /* const char *[n_arguments_max] in the request */
    int (*run)(int argc, char **argv);
} cli_command;

enum { /* exit codes */
       CLI_OK = 0,
       CLI_FAILED = 1,
       CLI_USAGE = 2,
       CLI_DATA = 3,
       CLI_THRESHOLD = 4,
       CLI_INTERRUPTED = 130,
       CLI_HELP_SHOWN = -1
};

extern const cli_command *const cli_commands[]; /* ended by NULL */
const cli_command *cli_find_command(const char *name);

/* Fills `request`; argv[0] is the command's name. Returns CLI_OK, CLI_USAGE (said on stderr) or
 * CLI_HELP_SHOWN. `--config FILE` reads further options from YAML, "name: value"; what is given
 * later prevails. Texts live as long as argv, or for ever. */
int cli_parse(const cli_command *command, int argc, char **argv, void *request);
/* Says what went wrong on stderr; returns the exit code. */
int cli_fail(const cli_command *command, const qn_error *err);
/* Ends a command: stdout flushed and checked, so that a full disk is told. */
int cli_finish(int code);
/* Appends the command line again, quoted for a shell, without options marked no_replay. */
void cli_replay(const cli_command *command, int argc, char **argv, qn_str *out);

void cli_print_help(const cli_command *command);
void cli_print_man(const cli_command *command);
/* Of the program: quern(1). */
void cli_print_man_overview(const cli_command *const *commands);
void cli_print_reference(const cli_command *command);
bool cli_use_color(int fd);

/* From now on SIGINT and SIGTERM set the flag that is returned; a second one, half a second later
 * or more, ends the program. */
const volatile sig_atomic_t *cli_catch_interrupts(void);

#endif
