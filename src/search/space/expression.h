/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions over the parameters of a space, for constraints: numbers, 'texts' of choices, names,
 * + - * / ** unary minus, < <= > >= == !=, and, or, not, parentheses; precedence as in Python.
 * Compiled to a postfix program; an expression in which an inactive parameter takes part is
 * QN_NA.
 *
 * Threads: immutable after it is compiled. */
#ifndef QN_SEARCH_SPACE_EXPRESSION_H
#define QN_SEARCH_SPACE_EXPRESSION_H

#include "search/space/space.h"

/* The arena owns *out. Fails with QN_ERR_ARG, naming the character at which the text makes no
 * sense, or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_expression_compile(const char *text, const qn_space *space, qn_arena *arena,
                                const qn_expression **out, qn_error *err);
/* Comparisons and logic give 0 or 1. */
double qn_expression_evaluate(const qn_expression *expression, const qn_space *space,
                              const double *values);

#endif
