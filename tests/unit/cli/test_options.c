/* SPDX-License-Identifier: Apache-2.0 */
/* Options: what is accepted, what is refused and in which words. */
#include "cli/options.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

struct request {
    const char *arguments[2];
    const char *target, *file;
    const char *const *kinds;
    int64_t seed, threads, memory;
    double fraction, budget, delay;
    bool json;
};

#define AT(member) offsetof(struct request, member)

static const cli_option options[] = {
    {"target", CLI_TEXT, AT(target), "COLUMN", "column", "what", false},
    {"o", CLI_TEXT, AT(file), "FILE", "file", NULL, true},
    {"kind", CLI_LIST, AT(kinds), "COL=KIND", "kind", NULL, false},
    {"seed", CLI_INT, AT(seed), "N", "seed", NULL, false},
    {"threads", CLI_COUNT, AT(threads), "N", "threads", NULL, true},
    {"memory", CLI_SIZE, AT(memory), "SIZE", "memory", NULL, false},
    {"test-fraction", CLI_DOUBLE, AT(fraction), "X", "share", NULL, false},
    {"budget", CLI_DURATION, AT(budget), "TIME", "time", NULL, false},
    {"delay", CLI_DELAY, AT(delay), "TIME", "time, or none", NULL, false},
    {"json", CLI_FLAG, AT(json), NULL, "print JSON", NULL, true},
    {0}};

static const cli_command command = {.name = "mill",
                                    .summary = "grind",
                                    .synopsis = "TABLE [MORE] [options]",
                                    .options = options,
                                    .n_arguments_min = 1,
                                    .n_arguments_max = 2,
                                    .arguments_offset = AT(arguments)};

static char said[4096]; /* what the last parse wrote */

/* Parses "mill" and the given words, ended by NULL, with both outputs going to `said`. */
static int parse(struct request *request, const char *const *words)
{
    char *argv[32] = {(char[]){"mill"}};
    int argc = 1;
    while (words[argc - 1]) {
        argv[argc] = (char *)(uintptr_t)words[argc - 1];
        argc++;
    }
    char path[] = "/tmp/quern-options-XXXXXX";
    const int file = mkstemp(path), out = dup(1), err = dup(2);
    CHECK(file >= 0 && out >= 0 && err >= 0);
    fflush(stdout);
    dup2(file, 1);
    dup2(file, 2);
    const int code = cli_parse(&command, argc, argv, request);
    fflush(stdout);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    const ssize_t n = pread(file, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    close(file);
    unlink(path);
    return code;
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void every_type_is_stored_in_its_place(void **state)
{
    (void)state;
    struct request r = {0};
    CHECK_INT(parse(&r, WORDS("t.csv", "--target", "y", "-o", "m", "--seed=-7", "--threads", "3",
                              "--memory", "4G", "--test-fraction", "0.25", "--budget", "10m",
                              "--json", "--kind", "a=id", "more", "--kind=b=text")),
              CLI_OK);
    CHECK_TEXT(r.arguments[0], "t.csv");
    CHECK_TEXT(r.arguments[1], "more");
    CHECK_TEXT(r.target, "y");
    CHECK_TEXT(r.file, "m");
    CHECK_INT(r.seed, -7);
    CHECK_INT(r.threads, 3);
    CHECK_INT(r.memory, 4000000000);
    CHECK(r.fraction == 0.25 && r.budget == 600 && r.json);
    CHECK_TEXT(r.kinds[0], "a=id");
    CHECK_TEXT(r.kinds[1], "b=text");
    CHECK(r.kinds[2] == NULL);
    CHECK_TEXT(said, "");
}

static void times_and_sizes_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } times[] = {{"90", 90}, {"60s", 60}, {"1.5m", 90}, {"2H", 7200}, {"0.25s", 0.25}};
    static const struct {
        const char *text;
        int64_t bytes;
    } sizes[] = {
        {"500M", 500000000}, {"2k", 2000}, {"1.5g", 1500000000}, {"7", 7}, {"1T", 1000000000000}};
    for (size_t i = 0; i < 5; i++) {
        struct request r = {0};
        CHECK_INT(parse(&r, WORDS("t", "--budget", times[i].text, "--memory", sizes[i].text)),
                  CLI_OK);
        CHECK(r.budget == times[i].seconds);
        CHECK_INT(r.memory, sizes[i].bytes);
    }
}

static void a_delay_may_be_none(void **state)
{
    (void)state;
    struct request r = {.delay = 9};
    CHECK_INT(parse(&r, WORDS("t", "--delay", "0")), CLI_OK);
    CHECK(r.delay == 0);
    CHECK_INT(parse(&r, WORDS("t", "--delay", "0s")), CLI_OK);
    CHECK_INT(parse(&r, WORDS("t", "--delay", "1.5m")), CLI_OK);
    CHECK(r.delay == 90);
    CHECK_INT(parse(&r, WORDS("t", "--delay", "-1s")), CLI_USAGE);
}

static void values_out_of_range_are_refused_and_said(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"--seed", "99999999999999999999", "expected a whole number"},
        {"--seed", "1.5", "expected a whole number"},
        {"--seed", "", "expected a whole number"},
        {"--threads", "-1", "that is not negative"},
        {"--threads", "two", "that is not negative"},
        {"--test-fraction", "nan", "expected a number"},
        {"--test-fraction", "0,2", "expected a number"},
        {"--budget", "0", "such as 60s, 10m or 1h"},
        {"--budget", "-5s", "such as 60s, 10m or 1h"},
        {"--budget", "s", "such as 60s, 10m or 1h"},
        {"--budget", "5d", "such as 60s, 10m or 1h"},
        {"--budget", "nan", "such as 60s, 10m or 1h"},
        {"--memory", "-1G", "such as 500M or 4G"},
        {"--memory", "4X", "such as 500M or 4G"},
        {"--memory", "999999999999999T", "such as 500M or 4G"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct request r = {0};
        CHECK_INT(parse(&r, WORDS("t", bad[i][0], bad[i][1])), CLI_USAGE);
        CHECK_CONTAINS(said, bad[i][0]);
        CHECK_CONTAINS(said, bad[i][2]);
        CHECK_CONTAINS(said, "see 'quern help mill'");
    }
    struct request r = {0};
    CHECK_INT(parse(&r, WORDS("t", "--json=maybe")), CLI_USAGE);
    CHECK_CONTAINS(said, "expected true or false");
}

static void an_unknown_option_names_the_nearest(void **state)
{
    (void)state;
    struct request r = {0};
    CHECK_INT(parse(&r, WORDS("t", "--targte", "y")), CLI_USAGE);
    CHECK_CONTAINS(said, "unknown option --targte; did you mean --target?");
    CHECK_INT(parse(&r, WORDS("t", "--test_fraction=0.1")), CLI_USAGE);
    CHECK_CONTAINS(said, "did you mean --test-fraction?");
    CHECK_INT(parse(&r, WORDS("t", "--entirely-different")), CLI_USAGE);
    CHECK_CONTAINS(said, "unknown option --entirely-different\n");
    CHECK_INT(parse(&r, WORDS("t", "-x")), CLI_USAGE);
    CHECK_CONTAINS(said, "unknown option -x\n");
}

static void the_last_of_an_option_given_twice_counts(void **state)
{
    (void)state;
    struct request r = {0};
    CHECK_INT(parse(&r, WORDS("t", "--target", "a", "--seed", "1", "--target=b", "--seed", "2",
                              "--json", "--json=false")),
              CLI_OK);
    CHECK_TEXT(r.target, "b");
    CHECK_INT(r.seed, 2);
    CHECK(!r.json);
}

static void arguments_are_counted(void **state)
{
    (void)state;
    struct request r = {0};
    CHECK_INT(parse(&r, WORDS("--json")), CLI_USAGE);
    CHECK_CONTAINS(said, "usage: quern mill TABLE [MORE] [options]");
    CHECK_INT(parse(&r, WORDS("a", "b", "c")), CLI_USAGE);
    CHECK_CONTAINS(said, "'c' is one argument too many");
    CHECK_INT(parse(&r, WORDS("t", "--target")), CLI_USAGE);
    CHECK_CONTAINS(said, "--target needs a value");
}

static void two_dashes_end_the_options_and_one_is_standard_input(void **state)
{
    (void)state;
    struct request r = {0};
    CHECK_INT(parse(&r, WORDS("-", "--", "--target")), CLI_OK);
    CHECK_TEXT(r.arguments[0], "-");
    CHECK_TEXT(r.arguments[1], "--target");
}

static void help_is_printed_and_ends_the_parse(void **state)
{
    (void)state;
    struct request r = {0};
    CHECK_INT(parse(&r, WORDS("--help", "--nonsense")), CLI_HELP_SHOWN);
    CHECK_CONTAINS(said, "usage: quern mill TABLE");
    for (const cli_option *option = options; option->name; option++) {
        char dashed[40];
        snprintf(dashed, sizeof dashed, "%s%s", option->name[1] ? "--" : "-", option->name);
        CHECK_CONTAINS(said, dashed);
        CHECK_CONTAINS(said, option->help);
    }
    CHECK_INT(parse(&r, WORDS("-h")), CLI_HELP_SHOWN);
}

/* Parses one file of options. */
static int parse_file(struct request *request, const char *text)
{
    char path[] = "/tmp/quern-config-XXXXXX";
    const int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK(write(file, text, strlen(text)) == (ssize_t)strlen(text));
    close(file);
    const int code = parse(request, WORDS("t", "--config", path));
    unlink(path);
    return code;
}

static void a_file_holds_the_same_options(void **state)
{
    (void)state;
    struct request r = {0};
    CHECK_INT(parse_file(&r, "---\n# how we grind\r\ntarget: 'the yield'\nseed:  12 \r\n\n"
                             "test_fraction: 0.5\njson: true\nkind: [\"a=id\", b=text]"),
              CLI_OK);
    CHECK_TEXT(r.target, "the yield");
    CHECK_INT(r.seed, 12);
    CHECK(r.fraction == 0.5 && r.json);
    CHECK_TEXT(r.kinds[0], "a=id");
    CHECK_TEXT(r.kinds[1], "b=text");
}

static void a_list_in_a_file_is_joined_for_an_option_given_once(void **state)
{
    (void)state;
    struct request r = {0};
    CHECK_INT(parse_file(&r, "target:\n  - a\n  - b c\n"), CLI_OK);
    CHECK_TEXT(r.target, "a,b c");
}

static void a_wrong_line_of_a_file_is_named(void **state)
{
    (void)state;
    struct request r = {0};
    CHECK_INT(parse_file(&r, "seed: 1\ntargte: y\n"), CLI_USAGE);
    CHECK_CONTAINS(said, ":2:1: there is no option 'targte'; did you mean 'target'?");
    CHECK_INT(parse_file(&r, "seed: 1\n\n  indented: 2\n"), CLI_USAGE);
    CHECK_CONTAINS(said, ":3:11: ");
    CHECK_INT(parse_file(&r, "just words\n"), CLI_USAGE);
    CHECK_CONTAINS(said, ":1:1: expected 'name: value'");
    CHECK_INT(parse_file(&r, "target: y\nseed: one\n"), CLI_USAGE);
    CHECK_CONTAINS(said, ":2:7: seed: expected a whole number");
    CHECK_INT(parse_file(&r, "seed: [1, 2]\n"), CLI_USAGE);
    CHECK_CONTAINS(said, ":1:7: seed: expected a whole number, not a list");
    CHECK_INT(parse_file(&r, "kind: a=id\nkind: b=id\n"), CLI_USAGE);
    CHECK_CONTAINS(said, ":2:1: 'kind' is given twice");
    CHECK_INT(parse(&r, WORDS("t", "--config", "/no/such/file")), CLI_FAILED);
    CHECK_CONTAINS(said, "/no/such/file");
}

static void the_command_is_told_again_quoted_for_a_shell(void **state)
{
    (void)state;
    char *argv[] = {(char[]){"mill"},        (char[]){"my table.csv"}, (char[]){"--target"},
                    (char[]){"it's"},        (char[]){"-o"},           (char[]){"x.quern"},
                    (char[]){"--threads=4"}, (char[]){"--seed=3"},     (char[]){"--json"},
                    (char[]){"--kind"},      (char[]){"a=id"},         (char[]){""}};
    qn_str text = {0};
    cli_replay(&command, (int)(sizeof argv / sizeof *argv), argv, &text);
    CHECK_TEXT(text.text, "quern mill 'my table.csv' --target 'it'\\''s' --seed=3 --kind a=id ''");
    qn_str_release(&text);
}

static void a_status_becomes_its_exit_code(void **state)
{
    (void)state;
    static const struct {
        qn_status status;
        int code;
    } codes[] = {{QN_ERR_ARG, CLI_USAGE},
                 {QN_ERR_DATA, CLI_DATA},
                 {QN_ERR_IO, CLI_FAILED},
                 {QN_ERR_NOMEM, CLI_FAILED},
                 {QN_ERR_INTERRUPTED, CLI_INTERRUPTED}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        const qn_error err = {.status = codes[i].status, .message = "(a line of the test)"};
        CHECK_INT(cli_fail(&command, &err), codes[i].code);
    }
}

RUN_TESTS(TEST(every_type_is_stored_in_its_place), TEST(times_and_sizes_have_units),
          TEST(a_delay_may_be_none), TEST(values_out_of_range_are_refused_and_said),
          TEST(an_unknown_option_names_the_nearest), TEST(the_last_of_an_option_given_twice_counts),
          TEST(arguments_are_counted), TEST(two_dashes_end_the_options_and_one_is_standard_input),
          TEST(help_is_printed_and_ends_the_parse), TEST(a_file_holds_the_same_options),
          TEST(a_list_in_a_file_is_joined_for_an_option_given_once),
          TEST(a_wrong_line_of_a_file_is_named), TEST(the_command_is_told_again_quoted_for_a_shell),
          TEST(a_status_becomes_its_exit_code))
