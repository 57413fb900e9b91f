/* SPDX-License-Identifier: Apache-2.0 */
/* Help, man pages and the reference: all from the command tables. */
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

static void option_label(const cli_option *option, char *out, size_t room)
{
    snprintf(out, room, "%s%s%s%s", strlen(option->name) == 1 ? "-" : "--", option->name,
             option->value ? " " : "", option->value ? option->value : "");
}

/* Every command with options takes them from a file, too. */
static const char config_label[] = "--config FILE";
static const char config_help[] = "YAML file of further options, 'name: value' each";

void cli_print_help(const cli_command *command)
{
    printf("quern %s - %s\n\nusage: quern %s %s\n", command->name, command->summary, command->name,
           command->synopsis);
    if (command->details) printf("\n%s\n", command->details);
    for (const cli_option *option = command->options; option->name; option++) {
        char label[64];
        if (option->group) printf("\n%s\n", option->group);
        option_label(option, label, sizeof label);
        if (strlen(label) > 26) {
            printf("    %s\n    %-27s%s\n", label, "", option->help);
        } else {
            printf("    %-27s%s\n", label, option->help);
        }
    }
    if (command->options->name) {
        printf("\n    %-27s%s\n    %-27s%s\n", config_label, config_help, "-h, --help", "this");
    }
    if (command->examples) printf("\nexamples\n%s\n", command->examples);
}

/* roff: a line must not begin with a dot, and a dash in an option is a minus. */
static void print_roff(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '-') {
            fputs("\\-", stdout);
        } else if (*c == '\\') {
            fputs("\\e", stdout);
        } else {
            if ((*c == '.' || *c == '\'') && (c == text || c[-1] == '\n')) fputs("\\&", stdout);
            putchar(*c);
        }
    }
}

static void print_exit_status(void)
{
    puts(".SH EXIT STATUS\n0 done, 1 failed, 2 usage, 3 data or schema check failed, 4 threshold "
         "not "
         "met, 130 interrupted.");
}

void cli_print_man(const cli_command *command)
{
    printf(".TH QUERN\\-%s 1 \"\" \"quern %s\" \"Quern\"\n.SH NAME\nquern\\-%s \\- ", command->name,
           qn_version(), command->name);
    print_roff(command->summary);
    printf("\n.SH SYNOPSIS\n.B quern %s\n", command->name);
    print_roff(command->synopsis);
    if (command->details) {
        puts("\n.SH DESCRIPTION");
        print_roff(command->details);
    }
    puts("\n.SH OPTIONS");
    for (const cli_option *option = command->options; option->name; option++) {
        char label[64];
        option_label(option, label, sizeof label);
        fputs(".TP\n.B ", stdout);
        print_roff(label);
        putchar('\n');
        print_roff(option->help);
        putchar('\n');
    }
    if (command->options->name) {
        fputs(".TP\n.B ", stdout);
        print_roff(config_label);
        putchar('\n');
        print_roff(config_help);
        putchar('\n');
    }
    if (command->examples) {
        puts(".SH EXAMPLES\n.nf");
        print_roff(command->examples);
        puts("\n.fi");
    }
    print_exit_status();
}

void cli_print_man_overview(const cli_command *const *commands)
{
    printf(".TH QUERN 1 \"\" \"quern %s\" \"Quern\"\n.SH NAME\nquern \\- from a table to a model "
           "in production\n.SH SYNOPSIS\n.B quern\nCOMMAND [arguments] [options]\n.SH COMMANDS\n",
           qn_version());
    for (int i = 0; commands[i]; i++) {
        printf(".TP\n.B %s\n", commands[i]->name);
        print_roff(commands[i]->summary);
        putchar('\n');
    }
    puts(".PP\nEach has its page: quern\\-fit(1), and so on.");
    print_exit_status();
}

void cli_print_reference(const cli_command *command)
{
    printf("## quern %s\n\n%s.\n\n    quern %s %s\n\n", command->name, command->summary,
           command->name, command->synopsis);
    if (command->details) printf("%s\n\n", command->details);
    if (command->options->name) puts("| option | meaning |\n|---|---|");
    for (const cli_option *option = command->options; option->name; option++) {
        char label[64];
        option_label(option, label, sizeof label);
        printf("| `%s` | %s |\n", label, option->help);
    }
    if (command->options->name) printf("| `%s` | %s |\n", config_label, config_help);
    putchar('\n');
}
