/* SPDX-License-Identifier: Apache-2.0 */
/* Candidates: the ranked list of learner settings a fit tries, most promising first, then random
 * draws from the learners' search ranges. The list depends on the table, the preset and the seed
 * alone – never on time. A budget that outlasts the list extends it with settings near the best.
 *
 * Threads: immutable once built; share freely. */
#ifndef QN_AUTOML_CANDIDATE_H
#define QN_AUTOML_CANDIDATE_H

#include "base/arena.h"
#include "learn/learner.h"

typedef enum qn_preset { QN_PRESET_FAST, QN_PRESET_BALANCED, QN_PRESET_BEST } qn_preset;

typedef struct qn_candidate {
    const char *name; /* unique: learner and a number */
    const qn_learner *learner;
    const void *params;
} qn_candidate;

typedef struct qn_candidates {
    qn_arena arena; /* owns what the items point to */
    int64_t n;
    int64_t room;        /* how many items there may be once qn_candidates_extend() is used */
    const char *params;  /* fixed for every candidate, borrowed from the request */
    qn_candidate *items; /* the first is the constant baseline, not counted among the wanted */
} qn_candidates;         /* release with qn_candidates_release() */

typedef struct qn_candidates_request {
    qn_task task;
    int32_t n_classes;
    int64_t n_rows, n_features; /* of training */
    bool has_text;
    qn_preset preset;
    const char *learners; /* comma-separated names allowed; NULL: all */
    const char *params;   /* "learner.name=value,…" fixed for every candidate; NULL: none */
    bool constrained;     /* only learners that keep constraints */
    int64_t n_wanted;     /* exactly so many; 0: as many as the number of rows supports */
    uint64_t seed;
} qn_candidates_request;

/* Fails with QN_ERR_ARG for an unknown learner or one that cannot do the task. */
QN_MUST_CHECK
qn_status qn_candidates_create(const qn_candidates_request *request, qn_candidates *out,
                               qn_error *err);
/* Adds `n_more` candidates (as many as there is room for) with settings near those of the leaders,
 * given by their numbers, best first. The additions depend on the seed, the leaders and how many
 * candidates there are. Adds none when no leader has anything to tune. */
QN_MUST_CHECK
qn_status qn_candidates_extend(const qn_candidates_request *request, qn_candidates *list,
                               const int64_t *leaders, int64_t n_leaders, int64_t n_more,
                               qn_error *err);
void qn_candidates_release(qn_candidates *candidates);

#endif
