/* SPDX-License-Identifier: Apache-2.0 */
/* Learner: trains estimators of one family from a dataset. Each is one const struct: name, tasks,
 * capabilities, parameter table and fit(). The table of learners is learners.c; that parameter
 * table drives validation, help, docs and the search space.
 *
 * Threads: fit() may run in many threads at once on one dataset. */
#ifndef QN_LEARN_LEARNER_H
#define QN_LEARN_LEARNER_H

#include "base/clock.h"
#include "base/pool.h"
#include "learn/dataset.h"
#include "metric/metric.h"
#include "model/estimator.h"

typedef enum qn_param_type {
    QN_PARAM_FLOAT, /* double */
    QN_PARAM_INT,   /* int64_t */
    QN_PARAM_BOOL,  /* bool */
    QN_PARAM_CHOICE /* int32_t: index into choices */
} qn_param_type;

typedef struct qn_param {
    const char *name; /* the field's own: learning_rate, num_leaves … */
    qn_param_type type;
    size_t offset;                  /* into the learner's parameter struct */
    double low, high;               /* what is accepted */
    double search_low, search_high; /* what is searched; equal: not searched */
    bool search_log;
    double fallback;            /* the default */
    const char *const *choices; /* QN_PARAM_CHOICE: names, ended by NULL */
    const char *help;           /* one line, with the reason for the default */
} qn_param;

enum {
    QN_LEARNER_WEIGHTS = 1 << 0,    /* honours sample weights */
    QN_LEARNER_EARLY_STOP = 1 << 1, /* uses the validation part to choose its rounds */
    QN_LEARNER_PARTIAL = 1 << 2,    /* returns what it has when stopped */
    QN_LEARNER_CONTINUE = 1 << 3,   /* can go on from `from` */
    QN_LEARNER_THREADS = 1 << 4,    /* gains from the pool inside one fit */
    QN_LEARNER_CONSTRAINTS = 1 << 5 /* keeps the constraints of the dataset */
};

typedef struct qn_learn_request {
    const qn_dataset *data;
    const void *params; /* the learner's struct; set by qn_params_init() and qn_params_set() */
    uint64_t seed;
    double fidelity;             /* share of rounds or epochs, (0, 1]; 0 means 1 */
    const qn_estimator *from;    /* go on from here; NULL: afresh */
    const qn_metric *metric;     /* what early stopping goes by; NULL: the learner's own loss */
    const qn_metric *oob_metric; /* what oob_score is of; NULL: the task's default */
    const qn_stop *stop;
    qn_pool *pool; /* NULL: this thread alone. Never changes the result */
} qn_learn_request;

typedef struct qn_learn_result {
    qn_estimator *estimator; /* the caller's */
    int64_t n_rounds;        /* trees or iterations kept; 0 where it means nothing */
    bool stopped;            /* by `stop`: fewer rounds than asked */
    double *importance; /* per feature of the view, summing to 1: total gain of trees, mean size
                           of additive terms, inverse length scales of processes; the caller
                           frees it; NULL when not offered (explain/importance.h is for all) */
    double *oob; /* out-of-bag predictions, n_train × n_outputs, QN_NA for rows that every round has
                    seen; the caller frees it; NULL unless asked for by a parameter */
    double oob_score; /* the value of oob_metric on them; only with `oob` */
} qn_learn_result;

typedef struct qn_learner {
    const char *name;
    const char *help;
    const char *source; /* the papers that the method and its defaults are from; NULL: the file's
                           opening comment */
    unsigned tasks;     /* bit 1u << qn_task */
    unsigned capabilities;
    qn_view view;
    const qn_param *params; /* ended by a NULL name */
    size_t params_bytes;
    /* Fails with QN_ERR_NOMEM, QN_ERR_INTERRUPTED (stopped with nothing to return), QN_ERR_DATA. */
    qn_status (*fit)(const qn_learn_request *request, qn_learn_result *result, qn_error *err);
    /* Bytes of workspace a fit will need, and seconds-free cost in units of row × feature ×
     * round, for budget and memory plans. */
    void (*cost)(const qn_dataset *data, const void *params, double *bytes, double *work);
} qn_learner;

extern const qn_learner *const qn_learners[]; /* ended by NULL */

const qn_learner *qn_learner_find(const char *name); /* NULL if there is none */
/* The same, but fails with QN_ERR_ARG when there is none, and names the nearest. */
QN_MUST_CHECK
qn_status qn_learner_require(const char *name, const qn_learner **out, qn_error *err);
void qn_params_init(const qn_learner *learner, void *params);
/* A choice is its number, a flag 0 or 1. */
double qn_param_value(const qn_param *param, const void *params);
/* "name=value,name=value". Fails with QN_ERR_ARG: unknown name (nearest one named), not a
 * number, out of range. */
QN_MUST_CHECK
qn_status qn_params_set(const qn_learner *learner, void *params, const char *text, qn_error *err);
/* Every parameter as an object member. */
void qn_params_write_json(const qn_learner *learner, const void *params, qn_json_writer *json);

#endif
