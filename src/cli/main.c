/* SPDX-License-Identifier: Apache-2.0 */
/* quern: the table of commands, and the choice among them. */
#include "base/nearest.h"
#include "cli/commands.h"
#include "frame/frame.h"

#include <stdio.h>
#include <string.h>

const cli_command *const cli_commands[] = {
    &cmd_fit,      &cmd_cluster, &cmd_reduce,   &cmd_outliers, &cmd_predict,
    &cmd_evaluate, &cmd_explain, &cmd_import,   &cmd_inspect,  &cmd_profile,
    &cmd_serve,    &cmd_keys,    &cmd_learners, &cmd_metrics,  &cmd_tune,
    &cmd_ask,      &cmd_tell,    &cmd_study,    &cmd_help,     NULL};

const cli_command *cli_find_command(const char *name)
{
    for (int i = 0; cli_commands[i]; i++) {
        if (strcmp(cli_commands[i]->name, name) == 0) return cli_commands[i];
    }
    return NULL;
}

static void print_overview(FILE *out)
{
    fputs("usage: quern <command> [arguments] [--options]\n\n"
          "Quern turns a table into a model in production.\n\n",
          out);
    for (int i = 0; cli_commands[i]; i++) {
        fprintf(out, "   %-12s%s\n", cli_commands[i]->name, cli_commands[i]->summary);
    }
    fputs("\n'quern help <command>' tells about one of them. To begin:\n"
          "   quern fit TABLE.csv --target COLUMN\n",
          out);
}

static int unknown_command(const char *name)
{
    const char *names[sizeof cli_commands / sizeof *cli_commands];
    int64_t n = 0;
    for (int i = 0; cli_commands[i]; i++) {
        names[n++] = cli_commands[i]->name;
    }
    const char *near = qn_nearest_name(name, names, n);
    if (near) {
        fprintf(stderr, "quern: there is no command '%s'; did you mean '%s'?\n", name, near);
    } else {
        fprintf(stderr, "quern: there is no command '%s'; see 'quern help'\n", name);
    }
    return CLI_USAGE;
}

/* quern help [COMMAND]; --man, --reference and --completion serve the build. */
static int help_run(int argc, char **argv)
{
    struct {
        const char *arguments[1];
        bool man, reference, completion;
    } request = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--man") == 0) {
            request.man = true;
        } else if (strcmp(argv[i], "--reference") == 0) {
            request.reference = true;
        } else if (strcmp(argv[i], "--completion") == 0) {
            request.completion = true;
        } else {
            request.arguments[0] = argv[i];
        }
    }
    if (request.completion) {
        for (int i = 0; cli_commands[i]; i++) {
            fputs(cli_commands[i]->name, stdout);
            for (const cli_option *o = cli_commands[i]->options; o->name; o++) {
                printf(" %s%s", strlen(o->name) == 1 ? "-" : "--", o->name);
            }
            puts(cli_commands[i]->options->name ? " --config" : "");
        }
        return CLI_OK;
    }
    if (request.reference) {
        puts("# Command line\n\nWritten by `quern help --reference`; do not edit.\n");
        for (int i = 0; cli_commands[i]; i++) {
            cli_print_reference(cli_commands[i]);
        }
        return CLI_OK;
    }
    if (!request.arguments[0]) {
        if (request.man) {
            cli_print_man_overview(cli_commands);
        } else {
            print_overview(stdout);
        }
        return CLI_OK;
    }
    const cli_command *command = cli_find_command(request.arguments[0]);
    if (!command) return unknown_command(request.arguments[0]);
    if (request.man) {
        cli_print_man(command);
    } else {
        cli_print_help(command);
    }
    return CLI_OK;
}

static const cli_option no_options[] = {{0}};

const cli_command cmd_help = {.name = "help",
                              .summary = "tell about a command",
                              .synopsis = "[COMMAND]",
                              .options = no_options,
                              .run = help_run};

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("quern %s\n", qn_version());
        return cli_finish(CLI_OK);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview(stdout);
        return cli_finish(CLI_OK);
    }
    const cli_command *command = cli_find_command(argv[1]);
    return command ? cli_finish(command->run(argc - 1, argv + 1)) : unknown_command(argv[1]);
}
