/* SPDX-License-Identifier: Apache-2.0 */
/* Sampler: proposes configurations. Each is one const struct; the table of them is samplers.c.
 *
 * The rule that makes studies reproducible and resumable: **a sampler's state is a function of its
 * setup and of the trials told to it, in order; a proposal is a function of that state, of the
 * trials then running and of the number of the trial asked for.** Reopening a study tells its
 * trials again, and the next proposal is the one that would have come. Whatever is random comes
 * from `rng`, a stream of its own for each trial, or from streams named by seed and count.
 *
 * Proposals need not respect conditions: the study settles them (qn_space_settle), and asks again
 * with the next attempt when a constraint forbids one.
 *
 * Threads: one thread at a time per state. */
#ifndef QN_SEARCH_SAMPLERS_SAMPLER_H
#define QN_SEARCH_SAMPLERS_SAMPLER_H

#include "search/space/setting.h"
#include "search/study/history.h"

typedef struct qn_sampler_setup {
    const qn_history *history; /* lives as long as the state; its space may grow */
    uint64_t seed;
    int64_t n_trials;  /* planned; 0: unknown */
    int64_t n_workers; /* asked for at a time; at least 1 */
    bool prunes;       /* trials may be stopped before their end */
    const void *settings;
} qn_sampler_setup;

typedef struct qn_sampler_ask {
    int64_t number;  /* of the trial */
    int64_t attempt; /* 0, then one more for each proposal a constraint forbade */
    qn_rng *rng;
    double *values; /* out: space->n numbers */
    bool exhausted; /* out: there is nothing left to try */
} qn_sampler_ask;

enum {
    QN_SAMPLER_OBJECTIVES = 1 << 0,   /* takes several objectives */
    QN_SAMPLER_GROWING_SPACE = 1 << 1 /* takes parameters that appear later */
};

typedef struct qn_sampler {
    const char *name, *help; /* help: one line with the source */
    unsigned capabilities;
    const qn_setting *settings;
    size_t settings_bytes, state_bytes; /* the state begins zeroed */
    /* Fails with QN_ERR_ARG (a space it cannot search) or QN_ERR_NOMEM; release() is called
     * whether it fails or not. May be NULL, as tell() and release() may. */
    qn_status (*init)(void *state, const qn_sampler_setup *setup, qn_error *err);
    /* A trial was told, complete or pruned; it is the last of history->told. */
    qn_status (*tell)(void *state, const qn_trial_record *trial, qn_error *err);
    qn_status (*ask)(void *state, qn_sampler_ask *ask, qn_error *err);
    void (*release)(void *state);
    /* Why it does what it does, for people; NULL when there is nothing to say. */
    const char *(*reason)(const void *state);
} qn_sampler;

extern const qn_sampler *const qn_samplers[];                      /* ended by NULL */
const qn_sampler *qn_sampler_find(const char *name, size_t bytes); /* NULL if there is none */

/* A sampler with its state. */
typedef struct qn_sampling {
    const qn_sampler *sampler;
    void *settings, *state;
} qn_sampling; /* release with qn_sampling_release(), also one all zero */

/* "tpe" or "tpe:startup=20,multivariate=false"; setup->settings is set here. Fails with QN_ERR_ARG
 * (unknown name or setting, a space or objectives it cannot take) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_sampling_init(qn_sampling *sampling, const char *text, const qn_sampler_setup *setup,
                           qn_error *err);
void qn_sampling_release(qn_sampling *sampling);
/* A configuration that the space allows, by asking the sampler and then at random when constraints
 * forbid what it proposes. Fails with QN_ERR_ARG when none is found. */
QN_MUST_CHECK
qn_status qn_sampling_ask(const qn_sampling *sampling, const qn_space *space, qn_sampler_ask *ask,
                          qn_error *err);

#endif
