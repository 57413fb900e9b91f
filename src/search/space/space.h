/* SPDX-License-Identifier: Apache-2.0 */
/* Space: what a search may choose. An ordered list of parameters, each with its range, the
 * conditions under which it exists, and constraints between parameters.
 *
 * One number says the value of any parameter: a float or int itself, a boolean 0 or 1, a choice
 * its index, QN_NA where the conditions do not hold (the parameter is *inactive*). A configuration
 * is an array of one number per parameter, in the order of the space; samplers need know nothing
 * else. Numeric methods see each parameter on the unit interval instead: linear or logarithmic,
 * with steps and choices as cells of equal width.
 *
 * A space only grows (define-by-run adds parameters); indices stay.
 *
 * Threads: one writer; any number of readers while it does not grow. */
#ifndef QN_SEARCH_SPACE_SPACE_H
#define QN_SEARCH_SPACE_SPACE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/map.h"
#include "base/number.h"
#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum qn_parameter_kind {
    QN_PARAMETER_FLOAT,
    QN_PARAMETER_INT,
    QN_PARAMETER_CATEGORICAL, /* choices without an order */
    QN_PARAMETER_ORDINAL,     /* choices from least to greatest */
    QN_PARAMETER_BOOL
} qn_parameter_kind;

/* One choice. A literal (a number, true or false) is written as such in JSON, anything else as a
 * text; number is its value when it is a number, else QN_NA. */
typedef struct qn_choice {
    const char *text;
    bool is_literal;
    double number;
} qn_choice;

/* Holds when the parent is active and its value is one of `values`. Parents come before their
 * children in the space. */
typedef struct qn_condition {
    int32_t parent;
    int32_t n_values;
    const double *values;
} qn_condition;

typedef struct qn_parameter {
    const char *name;
    qn_parameter_kind kind;
    double low, high;  /* inclusive; 0 … n-1 for choices and booleans */
    double step;       /* values are low + k × step; 0: any float. high is one of them */
    bool log;          /* searched on a logarithmic scale; low > 0 */
    bool has_low_cost; /* numbers alone: low_cost, from low to high, makes trials cheapest */
    double low_cost;
    int32_t n_choices;
    const qn_choice *choices;
    int32_t n_conditions;
    const qn_condition *conditions; /* all must hold */
    /* Derived: log(low) … log(high) or low … high, widened by half a step where there are steps. */
    double scale_low, scale_high;
    int64_t n_values; /* of a finite parameter; 0: any float */
} qn_parameter;

typedef struct qn_expression qn_expression; /* expression.h */

typedef struct qn_constraint {
    const char *text;
    const qn_expression *expression; /* holds where it is not 0 */
} qn_constraint;

typedef struct qn_space {
    int64_t n;
    qn_parameter *parameters;
    int64_t n_constraints;
    qn_constraint *constraints;
    int64_t room, constraint_room;
    qn_map *names;
    qn_arena arena;
} qn_space; /* initialise with qn_space_init() */

/* A name of so many bytes is a key that YAML reads, however its characters are written in JSON. */
enum { QN_PARAMETERS_MAX = 4096, QN_CHOICES_MAX = 65536, QN_PARAMETER_NAME_MAX = 160 };

QN_MUST_CHECK
qn_status qn_space_init(qn_space *space, qn_error *err);
void qn_space_release(qn_space *space); /* also of one all zero */

/* Index of the parameter, -1 if there is none. */
int64_t qn_space_find(const qn_space *space, const char *name);

/* Adds a copy of a parameter, checked; n_conditions may be 0. The derived members, and low and high
 * of choices and booleans, are set here; high falls to the last value low + k × step. Fails with
 * QN_ERR_ARG (the message begins with "parameter 'x': ") or QN_ERR_NOMEM; the space is then as
 * before. */
QN_MUST_CHECK
qn_status qn_space_add(qn_space *space, const qn_parameter *parameter, qn_error *err);
/* Adds "a * b <= 100"; see expression.h. Fails with QN_ERR_ARG or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_space_constrain(qn_space *space, const char *text, qn_error *err);

/* Reads YAML or JSON (see docs/tune.md). `objectives` may be NULL, otherwise it takes the item
 * "objectives" of the file. Fails with QN_ERR_DATA "path:line:column: …" or QN_ERR_NOMEM. */
typedef struct qn_objective {
    const char *name;
    bool maximise;
} qn_objective;
enum { QN_OBJECTIVES_MAX = 16 };
typedef struct qn_objectives {
    int64_t n;
    qn_objective items[QN_OBJECTIVES_MAX];
} qn_objectives; /* names live in the space */
QN_MUST_CHECK
qn_status qn_space_read(const char *path, const void *text, size_t bytes, qn_space *space,
                        qn_objectives *objectives, qn_error *err);
/* The space as an object that qn_space_read() gives back. */
void qn_space_write(const qn_space *space, const qn_objectives *objectives, qn_json_writer *json);

/* Whether the conditions of a parameter hold, given the values of those before it. */
bool qn_space_is_active(const qn_space *space, int64_t at, const double *values);
/* Makes any numbers a configuration: parameters without their conditions become QN_NA, the others
 * the nearest value they may have (a missing one: the middle). */
void qn_space_settle(const qn_space *space, double *values);
/* Whether `values` is a configuration of the space that no constraint forbids. */
bool qn_space_allows(const qn_space *space, const double *values);
/* The constraints alone. */
bool qn_space_satisfies(const qn_space *space, const double *values);
/* True when some parameter is conditional. */
bool qn_space_is_conditional(const qn_space *space);
/* Identifies a configuration; equal ones have equal hashes. */
uint64_t qn_space_hash(const qn_space *space, const double *values);

/* One parameter. */
double qn_parameter_nearest(const qn_parameter *parameter, double value);
bool qn_parameter_accepts(const qn_parameter *parameter, double value);
/* Uniform on the parameter's scale. */
double qn_parameter_draw(const qn_parameter *parameter, qn_rng *rng);
/* [0, 1] and back; finite parameters have cells of equal width on their scale, whose middle
 * qn_parameter_to_unit() gives. Categorical: cells in the order of the choices. */
double qn_parameter_to_unit(const qn_parameter *parameter, double value);
double qn_parameter_from_unit(const qn_parameter *parameter, double unit);
/* The k-th of n_values, and back. */
double qn_parameter_value_at(const qn_parameter *parameter, int64_t k);
int64_t qn_parameter_index_of(const qn_parameter *parameter, double value);
/* Choices without an order: no distance between them means anything. */
bool qn_parameter_is_unordered(const qn_parameter *parameter);
/* The number on the parameter's scale (its logarithm where log), for densities. */
double qn_parameter_scaled(const qn_parameter *parameter, double value);

/* The value as text (what a command line gets), and read from it: false when it is no value of the
 * parameter. `text` has QN_DOUBLE_TEXT_BYTES for numbers; choices are borrowed. */
const char *qn_parameter_text(const qn_parameter *parameter, double value, char *text);
bool qn_parameter_parse(const qn_parameter *parameter, const char *text, double *value);
void qn_parameter_write(const qn_parameter *parameter, double value, qn_json_writer *json);
/* {"name": value, …} of the active parameters. */
void qn_space_write_values(const qn_space *space, const double *values, qn_json_writer *json);

const char *qn_parameter_kind_name(qn_parameter_kind kind);

#endif
