/* SPDX-License-Identifier: Apache-2.0 */
#include "search/space/expression.h"
#include "search/space/space.h"

#include "check.h"

static qn_status read_text(const char *text, qn_space *space, qn_objectives *objectives,
                           qn_error *err)
{
    return qn_space_read("s.yaml", text, strlen(text), space, objectives, err);
}

static const char every_kind[] =
    "objectives: {loss: minimize, auc: maximize}\n"
    "parameters:\n"
    "  rate: {type: float, low: 1e-4, high: 0.1, log: true}\n"
    "  share: {type: float, low: 0, high: 1, step: 0.25}\n"
    "  depth: {type: int, low: 2, high: 12}\n"
    "  batch: {type: int, low: 16, high: 100, step: 16}\n"
    "  units: {type: int, low: 1, high: 1024, log: true, low_cost: 4}\n"
    "  booster: {type: categorical, choices: [gbdt, dart, '1']}\n"
    "  size: {type: ordinal, choices: [8, 16, 2.5e1]}\n"
    "  flag: {type: bool}\n"
    "  constant: {type: fixed, value: 42}\n"
    "  drop: {type: float, low: 0, high: 1, when: {booster: dart}}\n"
    "  skip: {type: bool, when: {drop_kind: [a], booster: [dart, gbdt]}}\n"
    "constraints:\n  - depth * batch <= 500\n";

static void every_kind_is_read_and_written_back(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_space space, again;
    qn_objectives objectives;
    char text[sizeof every_kind + 64];
    /* A parent of its own, so that a condition can have two. */
    const char *at = strstr(every_kind, "  skip:");
    snprintf(text, sizeof text, "%.*s  drop_kind: {type: categorical, choices: [a, b]}\n%s",
             (int)(at - every_kind), every_kind, at);
    CHECK_OK(read_text(text, &space, &objectives, &err));
    CHECK_INT(space.n, 12);
    CHECK_INT(objectives.n, 2);
    CHECK(objectives.items[1].maximise);
    CHECK_INT(space.parameters[qn_space_find(&space, "share")].n_values, 5);
    CHECK(space.parameters[qn_space_find(&space, "batch")].high == 96);
    CHECK_INT(space.parameters[qn_space_find(&space, "constant")].n_values, 1);
    CHECK_INT(space.parameters[qn_space_find(&space, "skip")].n_conditions, 2);

    qn_str first = {0}, second = {0};
    qn_space_write(&space, &objectives, &(qn_json_writer){.out = &first});
    CHECK_OK(read_text(first.text, &again, &objectives, &err));
    qn_space_write(&again, &objectives, &(qn_json_writer){.out = &second});
    CHECK_TEXT(first.text, second.text);
    CHECK_CONTAINS(first.text, "\"choices\":[\"gbdt\",\"dart\",\"1\"]");
    CHECK_CONTAINS(first.text, "\"choices\":[8,16,2.5e1]");
    CHECK_CONTAINS(first.text, "\"log\":true,\"low_cost\":4}");
    qn_str_release(&first);
    qn_str_release(&second);
    qn_space_release(&space);
    qn_space_release(&again);
}

static void what_is_wrong_is_told_with_line_and_column(void **state)
{
    (void)state;
#define P "parameters:\n  x: "
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "s.yaml:1:1: expected 'parameters:'"},
        {"- x\n", "s.yaml:1:1: expected 'parameters:'"},
        {"params: {}\n", "s.yaml:1:1: unknown 'params'"},
        {"paramters: {}\n", "did you mean 'parameters'?"},
        {"parameters: 3\n", "s.yaml:1:13: expected 'parameters:'"},
        {"parameters: {}\n", "s.yaml:1:13: expected 'parameters:'"},
        {P "3\n", "s.yaml:2:6: expected 'x: {type: …}'"},
        {P "{low: 1}\n", "s.yaml:2:6: 'x' needs a type"},
        {P "{type: flota, low: 1}\n",
         "s.yaml:2:13: there is no type 'flota'; did you mean 'float'?"},
        {P "{type: float, lwo: 1}\n", "s.yaml:2:20: unknown 'lwo'; did you mean 'low'?"},
        {P "{type: float, low: 1}\n", "s.yaml:2:6: parameter 'x': low and high are needed"},
        {P "{type: float, low: a, high: 1}\n", "s.yaml:2:25: low: expected a number"},
        {P "{type: float, low: 2, high: 1}\n", "parameter 'x': low is above high"},
        {P "{type: float, low: -1e308, high: 1e308}\n", "the range is too wide"},
        {P "{type: float, low: 0, high: 1, log: true}\n", "log needs low above 0"},
        {P "{type: float, low: 1, high: 2, log: maybe}\n", "s.yaml:2:42: log: expected true or"},
        {P "{type: float, low: 1, high: 2, step: -1}\n", "step must be above 0"},
        {P "{type: float, low: 1, high: 9, step: 2, log: true}\n", "log and step exclude"},
        {P "{type: float, low: 1, high: 2, low_cost: 3}\n",
         "low_cost must lie between low and high"},
        {P "{type: float, low: 1, high: 2, low_cost: nan}\n", "low_cost"},
        {P "{type: bool, low_cost: 1}\n", "s.yaml:2:19: unknown 'low_cost'"},
        {P "{type: int, low: 1.5, high: 9}\n", "must be whole"},
        {P "{type: int, low: 0, high: 1e17}\n", "within 2^53"},
        {P "{type: categorical}\n", "there is nothing to choose from"},
        {P "{type: categorical, choices: []}\n", "there is nothing to choose from"},
        {P "{type: categorical, choices: a}\n", "s.yaml:2:35: expected a list of choices"},
        {P "{type: categorical, choices: [a, [b]]}\n", "s.yaml:2:39: expected a number or a text"},
        {P "{type: categorical, choices: [a, a]}\n", "the choice 'a' is given twice"},
        {P "{type: bool, low: 1}\n", "s.yaml:2:19: unknown 'low'"},
        {P "{type: bool, when: {y: 1}}\n", "s.yaml:2:26: there is no parameter 'y' above this one"},
        {P "{type: bool, when: 3}\n", "s.yaml:2:25: expected {parameter: value}"},
        {P "{type: bool}\n  y: {type: bool, when: {x: 2}}\n", "s.yaml:3:29: 'x' is never '2'"},
        {P "{type: bool}\n  y: {type: bool, when: {x: [[2]]}}\n", "s.yaml:3:30: expected a value"},
        {P "{type: [bool]}\n", "s.yaml:2:13: type: expected one word: float, int, categorical"},
        {P "{type: bool}\n  y: {type: bool, when: {x: {}}}\n", "expected a value or a list"},
        {P "{type: float, low: 0, high: 1}\n  y: {type: bool, when: {x: 1}}\n",
         "it can depend on choices, booleans and whole numbers only"},
        {P "{type: bool}\n  x: {type: bool}\n", "s.yaml:3:3: 'x' is given twice"},
        {P "{type: bool}\nconstraints: x\n", "s.yaml:3:14: expected a list of constraints"},
        {P "{type: bool}\nconstraints: [x <]\n", "s.yaml:3:15: 'x <', character 4: something is"},
        {P "{type: bool}\nconstraints: [{}]\n", "expected a constraint such as a < b"},
        {P "{type: bool}\nobjectives: {}\n", "s.yaml:3:13: expected one to 16"},
        {P "{type: bool}\nobjectives: {a: up}\n", "s.yaml:3:17: expected minimize or maximize"},
        {P "{type: bool\n", "s.yaml:3:1: "},
    };
#undef P
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_space space;
        qn_objectives objectives;
        CHECK_FAILS(QN_ERR_DATA, read_text(cases[i].text, &space, &objectives, &err));
        CHECK_CONTAINS(err.message, cases[i].message);
    }
}

static qn_space two_numbers(void)
{
    qn_error err = {0};
    qn_space space;
    CHECK_OK(read_text("parameters:\n"
                       "  a: {type: int, low: 0, high: 9}\n"
                       "  b: {type: float, low: 0, high: 9}\n"
                       "  c: {type: categorical, choices: [x, y]}\n"
                       "  d: {type: ordinal, choices: [10, 20], when: {c: y}}\n"
                       "  f: {type: bool}\n",
                       &space, NULL, &err));
    return space;
}

/* Such a name, of characters that JSON writes as six, is still read back. */
static void the_longest_names_are_read_back(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_space space, again;
    qn_objectives objectives;
    char name[QN_PARAMETER_NAME_MAX + 2];
    memset(name, 1, sizeof name);
    name[QN_PARAMETER_NAME_MAX] = '\0';
    CHECK_OK(qn_space_init(&space, &err));
    CHECK_OK(qn_space_add(&space, &(qn_parameter){.name = name, .kind = QN_PARAMETER_BOOL}, &err));
    qn_str text = {0};
    qn_space_write(&space, NULL, &(qn_json_writer){.out = &text});
    CHECK_OK(read_text(text.text, &again, &objectives, &err));
    CHECK_TEXT(again.parameters[0].name, name);
    name[QN_PARAMETER_NAME_MAX] = 'x';
    name[QN_PARAMETER_NAME_MAX + 1] = '\0';
    CHECK_FAILS(QN_ERR_ARG, qn_space_add(&space, &(qn_parameter){.name = name}, &err));
    CHECK_CONTAINS(err.message, "a name has at most 160 bytes");
    qn_str_release(&text);
    qn_space_release(&again);
    qn_space_release(&space);
}

static void expressions_have_the_precedence_of_python(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value; /* of a = 2, b = 3, c = y, d = 20, f = true */
    } cases[] = {
        {"a + b * 2", 8},       {"(a + b) * 2", 10},   {"-a ** 2", -4},
        {"2 ** 3 ** 2", 512},   {"2 ** -1", 0.5},      {"a - b - 1", -2},
        {"8 / 4 / 2", 1},       {"a < b", 1},          {"not a < b", 0},
        {"a < b and b < a", 0}, {"a < b or b < a", 1}, {"not (a > b) and f", 1},
        {"c == 'y'", 1},        {"'x' != c", 1},       {"c == \"x\" or d >= 20", 1},
        {"d * 2 == 40", 1},     {"1e-1 + .5", 0.6},    {"f == true", 1},
        {"1 or 0 and 0", 1},    {"a*b<=6", 1},         {"- - a", 2},
    };
    qn_space space = two_numbers();
    const double values[] = {2, 3, 1, 1, 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_arena arena = {0};
        const qn_expression *expression = NULL;
        CHECK_OK(qn_expression_compile(cases[i].text, &space, &arena, &expression, &err));
        CHECK_NEAR(qn_expression_evaluate(expression, &space, values), cases[i].value, 1e-12);
        qn_arena_release(&arena);
    }
    qn_space_release(&space);
}

static void an_expression_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "something is missing"},
        {"a <", "something is missing"},
        {"a b", "character 3: expected an operator"},
        {"(a", "')' is missing"},
        {"a)", "')' without '('"},
        {"zz < 1", "character 1: there is no parameter 'zz'"},
        {"a < b < 3", "cannot be chained"},
        {"c < 2", "the choices of 'c' are no numbers"},
        {"c == 'z'", "'z' is no choice of 'c'"},
        {"c < 'x'", "can only be compared"},
        {"a == 'x'", "'x' is no choice of 'a'"},
        {"'x'", "a text says nothing"},
        {"c == 'x", "a quote opens here"},
        {"1.2.3", "not a number"},
        {"a ? b", "expected an operator"},
        {"a andb", "expected an operator"},
    };
    qn_space space = two_numbers();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_arena arena = {0};
        const qn_expression *expression = NULL;
        CHECK_FAILS(QN_ERR_ARG,
                    qn_expression_compile(cases[i].text, &space, &arena, &expression, &err));
        CHECK_CONTAINS(err.message, cases[i].message);
        qn_arena_release(&arena);
    }
    char deep[400];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    qn_error err = {0};
    qn_arena arena = {0};
    const qn_expression *expression = NULL;
    CHECK_FAILS(QN_ERR_ARG, qn_expression_compile(deep, &space, &arena, &expression, &err));
    CHECK_CONTAINS(err.message, "nested too deep");
    qn_arena_release(&arena);
    qn_space_release(&space);
}

static void settling_makes_a_configuration_of_any_numbers(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_space space = two_numbers();
    CHECK_OK(qn_space_constrain(&space, "d < a", &err));
    double values[] = {-5, QN_NA, 0, 1, 0.4};
    qn_space_settle(&space, values);
    CHECK(values[0] == 0 && values[1] == 4.5 && isnan(values[3]) && values[4] == 0);
    CHECK(qn_space_allows(&space, values)); /* d is inactive, so nothing is asked of it */
    values[2] = 1;
    CHECK(!qn_space_allows(&space, values)); /* d is missing */
    values[3] = 0;
    CHECK(!qn_space_allows(&space, values)); /* 10 < 0 */
    values[0] = 9;
    values[3] = 0.5;
    CHECK(!qn_space_allows(&space, values)); /* no such choice */
    qn_space_release(&space);
}

static void units_and_texts_go_there_and_back(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_space space;
    const char *text = strstr(every_kind, "parameters:");
    char shorter[1024];
    snprintf(shorter, sizeof shorter, "%.*s", (int)(strstr(text, "  drop:") - text), text);
    CHECK_OK(read_text(shorter, &space, NULL, &err));
    for (int64_t at = 0; at < space.n; at++) {
        const qn_parameter *p = &space.parameters[at];
        qn_rng rng;
        qn_rng_init(&rng, 1, (uint64_t)at);
        for (int i = 0; i < 200; i++) {
            char scratch[QN_DOUBLE_TEXT_BYTES];
            double back;
            const double value = qn_parameter_draw(p, &rng);
            CHECK(qn_parameter_accepts(p, value));
            const double unit = qn_parameter_to_unit(p, value);
            CHECK(unit >= 0 && unit <= 1);
            CHECK_NEAR(qn_parameter_from_unit(p, unit), value, 1e-12 * fabs(value));
            CHECK(qn_parameter_parse(p, qn_parameter_text(p, value, scratch), &back));
            CHECK(back == value);
        }
        CHECK(qn_parameter_from_unit(p, 0) == p->low);
        CHECK(qn_parameter_from_unit(p, 1) == p->high);
        for (int64_t k = 0; k < p->n_values; k++) {
            CHECK_INT(qn_parameter_index_of(p, qn_parameter_value_at(p, k)), k);
        }
        CHECK(!qn_parameter_parse(p, "nonsense", &(double){0}));
    }
    qn_space_release(&space);
}

/* Each cell of a log int gets its share of the logarithmic scale. */
static void draws_are_uniform_on_the_scale(void **state)
{
    (void)state;
    enum { N = 40000 };
    qn_error err = {0};
    qn_space space;
    CHECK_OK(read_text("parameters:\n"
                       "  n: {type: int, low: 1, high: 6, log: true}\n"
                       "  x: {type: float, low: 0.01, high: 1, log: true}\n"
                       "  c: {type: categorical, choices: [a, b, c, d]}\n",
                       &space, NULL, &err));
    double counts[7] = {0}, below = 0, choices[4] = {0};
    qn_rng rng;
    qn_rng_init(&rng, 1, 0);
    for (int i = 0; i < N; i++) {
        counts[(int)qn_parameter_draw(&space.parameters[0], &rng)] += 1.0 / N;
        below += (qn_parameter_draw(&space.parameters[1], &rng) < 0.1) / (double)N;
        choices[(int)qn_parameter_draw(&space.parameters[2], &rng)] += 1.0 / N;
    }
    for (int n = 1; n <= 6; n++) {
        CHECK_NEAR(counts[n], log((n + 0.5) / (n - 0.5)) / log(13), 0.01);
    }
    CHECK_NEAR(below, 0.5, 0.01);
    for (int k = 0; k < 4; k++) {
        CHECK_NEAR(choices[k], 0.25, 0.01);
    }
    qn_space_release(&space);
}

static qn_status read_and_release(void)
{
    qn_space space = {0};
    qn_objectives objectives;
    const char *text = strstr(every_kind, "parameters:");
    char shorter[1024];
    snprintf(shorter, sizeof shorter, "%.*sconstraints: [depth > 2]\nobjectives: {a: minimize}\n",
             (int)(strstr(text, "  skip:") - text), text);
    const qn_status status = read_text(shorter, &space, &objectives, NULL);
    if (status == QN_OK) qn_space_release(&space);
    return status;
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(read_and_release());
}

RUN_TESTS(TEST(every_kind_is_read_and_written_back), TEST(the_longest_names_are_read_back),
          TEST(what_is_wrong_is_told_with_line_and_column),
          TEST(expressions_have_the_precedence_of_python),
          TEST(an_expression_that_makes_no_sense_is_refused),
          TEST(settling_makes_a_configuration_of_any_numbers),
          TEST(units_and_texts_go_there_and_back), TEST(draws_are_uniform_on_the_scale),
          TEST(reading_survives_running_out_of_memory))
