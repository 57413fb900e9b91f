/* SPDX-License-Identifier: Apache-2.0 */
/* Prediction cache: what a model predicted for rows that were asked for before, within so many
 * bytes. A row is found by the exact values of its cells, which are compared, so that a reply is
 * the same with and without it. Each loop has its own: no lock is taken, and a row that comes by
 * two loops is kept twice.
 *
 * Entries stand in a log that goes around: the oldest are overwritten, and one that is found when
 * it is no longer among the newest is written anew, so that rows in demand stay.
 *
 * A model is told from others by its address. That is exact as long as the cache is cleared
 * whenever the loop takes a new catalog: a model that has the address of one that was freed comes
 * with a new catalog alone.
 *
 * Threads: one thread, the loop's. */
#ifndef QN_SERVE_MODELS_PREDICTION_CACHE_H
#define QN_SERVE_MODELS_PREDICTION_CACHE_H

#include "serve/models/served_model.h"

enum { QN_PREDICTION_CACHE_BYTES_MIN = 256000 };

typedef struct qn_prediction_cache qn_prediction_cache; /* destroy with …_free() */

/* In all `bytes`, QN_PREDICTION_CACHE_BYTES_MIN or more; NULL when out of memory. */
qn_prediction_cache *qn_prediction_cache_create(int64_t bytes);
void qn_prediction_cache_free(qn_prediction_cache *cache); /* accepts NULL */
void qn_prediction_cache_clear(qn_prediction_cache *cache);

/* The outputs of that model for a row of cells, normalised, n_inputs of them. True when they were
 * there. */
bool qn_prediction_cache_find(qn_prediction_cache *cache, const qn_served_model *model,
                              const qn_cell *cells, double *outputs);
/* Keeps the outputs of a row that was not there. */
void qn_prediction_cache_put(qn_prediction_cache *cache, const qn_served_model *model,
                             const qn_cell *cells, const double *outputs);

#endif
