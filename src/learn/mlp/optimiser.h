/* SPDX-License-Identifier: Apache-2.0 */
/* Optimisers and learning-rate schedules of the neural network.
 *
 * Threads: one thread at a time. */
#ifndef QN_LEARN_MLP_OPTIMISER_H
#define QN_LEARN_MLP_OPTIMISER_H

#include "model/network.h"

typedef enum qn_optimiser_kind {
    QN_OPTIMISER_ADAMW, /* Loshchilov & Hutter 2019; beta 0.9 and 0.999 */
    QN_OPTIMISER_SGD    /* with Nesterov's momentum and decoupled weight decay */
} qn_optimiser_kind;

typedef struct qn_optimiser {
    int32_t kind;
    float momentum;     /* SGD */
    float weight_decay; /* of the weights of dense layers and embeddings, times the rate */
    float clip;         /* largest norm of the whole gradient; 0: any */
    int64_t n_steps;
    int64_t n_params;
    float *first, *second; /* moments: n_params each */
} qn_optimiser;            /* release with qn_optimiser_release() */

QN_MUST_CHECK
qn_status qn_optimiser_init(qn_optimiser *optimiser, int64_t n_params, qn_error *err);
void qn_optimiser_release(qn_optimiser *optimiser);
/* One step against `gradient`, which may be scaled down to the clip. Returns its norm. */
double qn_optimiser_step(qn_optimiser *optimiser, qn_network *network, float *gradient,
                         double rate);

typedef enum qn_schedule_kind {
    QN_SCHEDULE_CONSTANT,
    QN_SCHEDULE_COSINE,    /* a linear rise, then half a cosine down to 0 (Loshchilov 2017) */
    QN_SCHEDULE_ONE_CYCLE, /* 1/25 up to 1 over 30 % of the steps, then down to 0 (Smith 2018) */
    QN_SCHEDULE_PLATEAU    /* halved whenever three epochs bring nothing */
} qn_schedule_kind;

/* Factor of the learning rate at step 0 … n_steps - 1. PLATEAU: `n_halvings` counts. */
double qn_schedule_factor(qn_schedule_kind kind, int64_t step, int64_t n_steps, int64_t n_halvings);

#endif
