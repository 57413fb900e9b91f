/* SPDX-License-Identifier: Apache-2.0 */
/* Compiled by operator precedence (Dijkstra's shunting yard), so that nothing recurses over the
 * depth of the text. */
#include "search/space/expression.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { CODES_MAX = 256, STACK_MAX = 64 };

typedef enum code_kind {
    CODE_NUMBER,
    CODE_PARAMETER, /* its number */
    CODE_INDEX,     /* of its choice */
    CODE_NEGATE,
    CODE_NOT,
    CODE_POWER,
    CODE_MULTIPLY,
    CODE_DIVIDE,
    CODE_ADD,
    CODE_SUBTRACT,
    CODE_LESS,
    CODE_LESS_EQUAL,
    CODE_GREATER,
    CODE_GREATER_EQUAL,
    CODE_EQUAL,
    CODE_NOT_EQUAL,
    CODE_AND,
    CODE_OR,
    CODE_OPEN /* a parenthesis, while compiling */
} code_kind;

struct code {
    code_kind kind;
    int32_t parameter;
    double number;
};

struct qn_expression {
    int n_codes;
    struct code codes[];
};

static const struct {
    const char *text;
    code_kind kind;
    int precedence;
} operators[] = {
    {"**", CODE_POWER, 7}, {"*", CODE_MULTIPLY, 5},       {"/", CODE_DIVIDE, 5},
    {"+", CODE_ADD, 4},    {"-", CODE_SUBTRACT, 4},       {"<=", CODE_LESS_EQUAL, 3},
    {"<", CODE_LESS, 3},   {">=", CODE_GREATER_EQUAL, 3}, {">", CODE_GREATER, 3},
    {"==", CODE_EQUAL, 3}, {"!=", CODE_NOT_EQUAL, 3},     {"and", CODE_AND, 1},
    {"or", CODE_OR, 0},
};
enum {
    N_OPERATORS = sizeof operators / sizeof *operators,
    NEGATE_PRECEDENCE = 6,
    NOT_PRECEDENCE = 2
};

/* What an operand on the stack of the machine to be is, as far as is known. */
typedef enum operand { OPERAND_NUMBER, OPERAND_TRUTH, OPERAND_PARAMETER, OPERAND_TEXT } operand;

struct compiling {
    const char *text, *at;
    const qn_space *space;
    struct code codes[CODES_MAX];
    int n_codes;
    struct {
        operand kind;
        int code; /* that pushes it, of parameters and texts */
        const char *text;
        size_t bytes;
    } operands[STACK_MAX];
    int n_operands;
    struct {
        code_kind kind;
        int precedence;
    } waiting[STACK_MAX];
    int n_waiting;
    qn_error *err;
};

static qn_status fail_at(const struct compiling *c, const char *at, const char *what)
{
    return qn_fail(c->err, QN_ERR_ARG, "'%s', character %d: %s", c->text, (int)(at - c->text) + 1,
                   what);
}

static qn_status emit(struct compiling *c, struct code code)
{
    if (c->n_codes == CODES_MAX) return fail_at(c, c->at, "the expression is too long");
    c->codes[c->n_codes++] = code;
    return QN_OK;
}

static qn_status push_operand(struct compiling *c, operand kind, const char *text, size_t bytes)
{
    if (c->n_operands == STACK_MAX) return fail_at(c, c->at, "the expression is nested too deep");
    c->operands[c->n_operands].kind = kind;
    c->operands[c->n_operands].code = c->n_codes - 1;
    c->operands[c->n_operands].text = text;
    c->operands[c->n_operands++].bytes = bytes;
    return QN_OK;
}

/* 'text' compared with a parameter stands for the index of that choice. */
static qn_status resolve_text(struct compiling *c, int parameter_at, int text_at)
{
    struct code *push = &c->codes[c->operands[parameter_at].code];
    const qn_parameter *parameter = &c->space->parameters[push->parameter];
    const char *text = c->operands[text_at].text;
    const size_t bytes = c->operands[text_at].bytes;
    for (int32_t i = 0; i < parameter->n_choices; i++) {
        if (strlen(parameter->choices[i].text) != bytes) continue;
        if (memcmp(parameter->choices[i].text, text, bytes) != 0) continue;
        push->kind = CODE_INDEX;
        c->codes[c->operands[text_at].code].number = i;
        return QN_OK;
    }
    return qn_fail(c->err, QN_ERR_ARG, "'%s': '%.*s' is no choice of '%s'", c->text, (int)bytes,
                   text, parameter->name);
}

static bool is_comparison(code_kind kind)
{
    return kind >= CODE_LESS && kind <= CODE_NOT_EQUAL;
}

/* Pops the operands of an operator and pushes its result. */
static qn_status reduce(struct compiling *c)
{
    const code_kind kind = c->waiting[--c->n_waiting].kind;
    const bool is_unary = kind == CODE_NEGATE || kind == CODE_NOT;
    const int b = c->n_operands - 1, a = is_unary ? b : b - 1;
    const bool text_a = c->operands[a].kind == OPERAND_TEXT;
    const bool text_b = c->operands[b].kind == OPERAND_TEXT;
    if (text_a || text_b) {
        const int other = text_a ? b : a;
        const bool equality = kind == CODE_EQUAL || kind == CODE_NOT_EQUAL;
        if (!equality || c->operands[other].kind != OPERAND_PARAMETER) {
            return fail_at(c, c->at, "a text can only be compared (== or !=) with a parameter");
        }
        QN_TRY(resolve_text(c, other, text_a ? a : b));
    }
    const bool truth_a = c->operands[a].kind == OPERAND_TRUTH;
    if (is_comparison(kind) && (truth_a || c->operands[b].kind == OPERAND_TRUTH)) {
        return fail_at(c, c->at, "comparisons cannot be chained; write 'a < b and b < c'");
    }
    const bool truth =
        is_comparison(kind) || kind == CODE_AND || kind == CODE_OR || kind == CODE_NOT;
    c->n_operands = a;
    QN_TRY(emit(c, (struct code){.kind = kind}));
    return push_operand(c, truth ? OPERAND_TRUTH : OPERAND_NUMBER, NULL, 0);
}

static qn_status wait_for(struct compiling *c, code_kind kind, int precedence)
{
    if (c->n_waiting == STACK_MAX) return fail_at(c, c->at, "the expression is nested too deep");
    c->waiting[c->n_waiting].kind = kind;
    c->waiting[c->n_waiting++].precedence = precedence;
    return QN_OK;
}

static bool is_name_character(char ch)
{
    return isalnum((unsigned char)ch) || ch == '_' || ch == '.' || (unsigned char)ch >= 0x80;
}

static size_t word_bytes(const char *at)
{
    size_t bytes = 0;
    while (is_name_character(at[bytes])) {
        bytes++;
    }
    return bytes;
}

static bool is_word(const char *at, size_t bytes, const char *word)
{
    return strlen(word) == bytes && memcmp(at, word, bytes) == 0;
}

static qn_status read_text(struct compiling *c)
{
    const char *end = strchr(c->at + 1, *c->at);
    if (!end) return fail_at(c, c->at, "a quote opens here and is never closed");
    QN_TRY(emit(c, (struct code){.kind = CODE_NUMBER}));
    QN_TRY(push_operand(c, OPERAND_TEXT, c->at + 1, (size_t)(end - c->at - 1)));
    c->at = end + 1;
    return QN_OK;
}

/* A decimal number may have a sign in its exponent. */
static size_t number_bytes(const char *at)
{
    size_t bytes = word_bytes(at);
    const bool exponent = bytes > 0 && (at[bytes - 1] == 'e' || at[bytes - 1] == 'E');
    if (exponent && (at[bytes] == '-' || at[bytes] == '+')) bytes += 1 + word_bytes(at + bytes + 1);
    return bytes;
}

static qn_status read_number(struct compiling *c)
{
    struct code code = {.kind = CODE_NUMBER};
    const size_t bytes = number_bytes(c->at);
    if (!qn_parse_double(c->at, bytes, &code.number)) return fail_at(c, c->at, "not a number");
    QN_TRY(emit(c, code));
    c->at += bytes;
    return push_operand(c, OPERAND_NUMBER, NULL, 0);
}

static qn_status read_name(struct compiling *c, size_t bytes)
{
    const bool is_true = is_word(c->at, bytes, "true");
    if (is_true || is_word(c->at, bytes, "false")) {
        QN_TRY(emit(c, (struct code){.kind = CODE_NUMBER, .number = is_true}));
        c->at += bytes;
        return push_operand(c, OPERAND_NUMBER, NULL, 0);
    }
    const int64_t at = qn_map_get(c->space->names, c->at, bytes, -1);
    if (at < 0) {
        return qn_fail(c->err, QN_ERR_ARG, "'%s', character %d: there is no parameter '%.*s'",
                       c->text, (int)(c->at - c->text) + 1, (int)bytes, c->at);
    }
    QN_TRY(emit(c, (struct code){.kind = CODE_PARAMETER, .parameter = (int32_t)at}));
    c->at += bytes;
    return push_operand(c, OPERAND_PARAMETER, NULL, 0);
}

/* Reads a prefix, or an operand: then *complete. */
static qn_status read_operand(struct compiling *c, bool *complete)
{
    const char first = *c->at;
    const size_t bytes = word_bytes(c->at);
    *complete = false;
    if (first == '(' || first == '-' || is_word(c->at, bytes, "not")) {
        const bool open = first == '(', negate = first == '-';
        QN_TRY(wait_for(c,
                        open     ? CODE_OPEN
                        : negate ? CODE_NEGATE
                                 : CODE_NOT,
                        open     ? -1
                        : negate ? NEGATE_PRECEDENCE
                                 : NOT_PRECEDENCE));
        c->at += open || negate ? 1 : 3;
        return QN_OK;
    }
    *complete = true;
    if (first == '\'' || first == '"') return read_text(c);
    if (isdigit((unsigned char)first) || first == '.') return read_number(c);
    if (bytes > 0) return read_name(c, bytes);
    return fail_at(c, c->at, "expected a number, a parameter's name or '('");
}

static qn_status read_operator(struct compiling *c, bool *complete)
{
    *complete = true;
    if (*c->at == ')') {
        while (c->n_waiting > 0 && c->waiting[c->n_waiting - 1].kind != CODE_OPEN) {
            QN_TRY(reduce(c));
        }
        if (c->n_waiting == 0) return fail_at(c, c->at, "')' without '('");
        c->n_waiting--;
        c->at++;
        return QN_OK;
    }
    const size_t word = word_bytes(c->at);
    for (int i = 0; i < N_OPERATORS; i++) {
        const size_t bytes = strlen(operators[i].text);
        if (strncmp(c->at, operators[i].text, bytes) != 0 || (word > 0 && word != bytes)) continue;
        /* ** alone groups from the right. */
        const int least = operators[i].precedence + (operators[i].kind == CODE_POWER);
        while (c->n_waiting > 0 && c->waiting[c->n_waiting - 1].precedence >= least) {
            QN_TRY(reduce(c));
        }
        c->at += bytes;
        *complete = false;
        return wait_for(c, operators[i].kind, operators[i].precedence);
    }
    return fail_at(c, c->at, "expected an operator");
}

/* Choices that are no numbers have no place in arithmetic. */
static qn_status check_parameters(const struct compiling *c)
{
    for (int i = 0; i < c->n_codes; i++) {
        if (c->codes[i].kind != CODE_PARAMETER) continue;
        const qn_parameter *parameter = &c->space->parameters[c->codes[i].parameter];
        for (int32_t k = 0; k < parameter->n_choices; k++) {
            if (!isnan(parameter->choices[k].number)) continue;
            return qn_fail(c->err, QN_ERR_ARG,
                           "'%s': the choices of '%s' are no numbers; compare it with one of them "
                           "in quotes",
                           c->text, parameter->name);
        }
    }
    return QN_OK;
}

static qn_status compile(struct compiling *c)
{
    bool complete = false;
    for (;;) {
        while (isspace((unsigned char)*c->at)) {
            c->at++;
        }
        if (!*c->at) break;
        QN_TRY(complete ? read_operator(c, &complete) : read_operand(c, &complete));
    }
    if (!complete) return fail_at(c, c->at, "something is missing here");
    while (c->n_waiting > 0) {
        if (c->waiting[c->n_waiting - 1].kind == CODE_OPEN) {
            return fail_at(c, c->at, "')' is missing");
        }
        QN_TRY(reduce(c));
    }
    if (c->operands[0].kind == OPERAND_TEXT) return fail_at(c, c->at, "a text says nothing");
    return check_parameters(c);
}

qn_status qn_expression_compile(const char *text, const qn_space *space, qn_arena *arena,
                                const qn_expression **out, qn_error *err)
{
    struct compiling c = {.text = text, .at = text, .space = space, .err = err};
    QN_TRY(compile(&c));
    qn_expression *expression = qn_arena_array(
        arena, 1, sizeof *expression + (size_t)c.n_codes * sizeof *expression->codes);
    if (!expression) return qn_fail(err, QN_ERR_NOMEM, "no memory for '%s'", text);
    expression->n_codes = c.n_codes;
    memcpy(expression->codes, c.codes, (size_t)c.n_codes * sizeof *c.codes);
    *out = expression;
    return QN_OK;
}

static double parameter_number(const qn_parameter *parameter, double value)
{
    if (isnan(value) || parameter->n_choices == 0) return value;
    return parameter->choices[(int32_t)value].number;
}

static double apply(code_kind kind, double a, double b)
{
    if (isnan(a) || isnan(b)) return QN_NA;
    switch (kind) {
    case CODE_NEGATE:
        return -b;
    case CODE_NOT:
        return b == 0;
    case CODE_POWER:
        return pow(a, b);
    case CODE_MULTIPLY:
        return a * b;
    case CODE_DIVIDE:
        return a / b;
    case CODE_ADD:
        return a + b;
    case CODE_SUBTRACT:
        return a - b;
    case CODE_LESS:
        return a < b;
    case CODE_LESS_EQUAL:
        return a <= b;
    case CODE_GREATER:
        return a > b;
    case CODE_GREATER_EQUAL:
        return a >= b;
    case CODE_EQUAL:
        return a == b;
    case CODE_NOT_EQUAL:
        return a != b;
    case CODE_AND:
        return a != 0 && b != 0;
    case CODE_OR:
        return a != 0 || b != 0;
    case CODE_NUMBER:
    case CODE_PARAMETER:
    case CODE_INDEX:
    case CODE_OPEN:
        break;
    }
    return QN_NA;
}

double qn_expression_evaluate(const qn_expression *expression, const qn_space *space,
                              const double *values)
{
    double stack[STACK_MAX];
    int n = 0;
    for (int i = 0; i < expression->n_codes; i++) {
        const struct code *code = &expression->codes[i];
        if (code->kind == CODE_NUMBER) {
            stack[n++] = code->number;
        } else if (code->kind == CODE_INDEX) {
            stack[n++] = values[code->parameter];
        } else if (code->kind == CODE_PARAMETER) {
            stack[n++] =
                parameter_number(&space->parameters[code->parameter], values[code->parameter]);
        } else {
            const bool is_unary = code->kind == CODE_NEGATE || code->kind == CODE_NOT;
            const double b = stack[--n], a = is_unary ? b : stack[--n];
            stack[n++] = apply(code->kind, a, b);
        }
    }
    return stack[0];
}
