/* SPDX-License-Identifier: Apache-2.0 */
#include "search/samplers/climb.h"

#include "base/alloc.h"
#include "search/samplers/sampler_table.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 192, NEIGHBOURS = 128, POOL = DRAWS + NEIGHBOURS };
enum { PARENTS = 4, CHILDREN = 12, ROUNDS = 16 };

/* A configuration that steps are taken from. */
struct parent {
    double *values, promise, step;
};

struct climb {
    const qn_climb_request *request;
    double *pool, *promises; /* [POOL] configurations, and what they promise */
    struct parent parents[PARENTS];
};

/* A step from a configuration: about two of its parameters, or all numbers, change. */
static void vary(const qn_space *space, const double *from, int64_t n_from, double step,
                 qn_rng *rng, double *values)
{
    const bool all = qn_rng_uniform(rng) < 0.5;
    const int64_t always = qn_rng_below(rng, space->n);
    for (int64_t at = 0; at < space->n; at++) {
        const qn_parameter *p = &space->parameters[at];
        const double value = at < n_from ? from[at] : QN_NA;
        const double u = qn_rng_uniform(rng), z = qn_rng_normal(rng);
        const bool changes = at == always || u * (double)space->n < 1;
        if (isnan(value) || (changes && qn_parameter_is_unordered(p))) {
            values[at] = qn_parameter_draw(p, rng);
        } else if (!qn_parameter_is_unordered(p) && (changes || all)) {
            double reach = p->n_values > 0 ? fmax(step, 1 / (double)p->n_values) : step;
            if (!changes && p->n_values > 0) reach = step;
            values[at] = qn_parameter_from_unit(p, qn_parameter_to_unit(p, value) + reach * z);
        } else {
            values[at] = value;
        }
    }
    qn_space_settle(space, values);
}

/* What constraints forbid promises nothing. */
static qn_status judge(struct climb *climb, int64_t n, qn_error *err)
{
    const qn_climb_request *request = climb->request;
    const qn_space *space = request->space;
    QN_TRY(request->measure(request->context, climb->pool, n, climb->promises, err));
    for (int64_t i = 0; i < n && space->n_constraints > 0; i++) {
        if (!qn_space_satisfies(space, climb->pool + i * space->n)) climb->promises[i] = -QN_INF;
    }
    return QN_OK;
}

static qn_status fill_pool(struct climb *climb, qn_error *err)
{
    const qn_climb_request *request = climb->request;
    const qn_space *space = request->space;
    for (int64_t i = 0; i < POOL; i++) {
        double *values = climb->pool + i * space->n;
        if (i < DRAWS) {
            qn_space_draw(space, request->rng, values);
            qn_space_settle(space, values);
            continue;
        }
        const qn_trial_record *near = request->near[i % request->n_near];
        const double step = 0.2 * pow(0.5, (double)qn_rng_below(request->rng, 8));
        vary(space, near->values, near->n_values, step, request->rng, values);
    }
    return judge(climb, POOL, err);
}

static void copy_values(const qn_space *space, const double *from, double *to)
{
    memcpy(to, from, (size_t)space->n * sizeof *to);
}

/* The best of the pool. */
static void choose_parents(struct climb *climb)
{
    const qn_space *space = climb->request->space;
    for (int64_t k = 0; k < PARENTS; k++) {
        int64_t best = 0;
        for (int64_t i = 1; i < POOL; i++) {
            if (climb->promises[i] > climb->promises[best]) best = i;
        }
        climb->parents[k].promise = climb->promises[best];
        climb->parents[k].step = 0.1;
        copy_values(space, climb->pool + best * space->n, climb->parents[k].values);
        climb->promises[best] = -QN_INF;
    }
}

/* Each parent has children and gives way to the best, if that is better. */
static qn_status step(struct climb *climb, qn_error *err)
{
    const qn_space *space = climb->request->space;
    qn_rng *rng = climb->request->rng;
    for (int64_t i = 0; i < PARENTS * CHILDREN; i++) {
        const struct parent *from = &climb->parents[i / CHILDREN];
        const double reach = from->step * pow(4, qn_rng_uniform(rng) - 0.5);
        vary(space, from->values, space->n, reach, rng, climb->pool + i * space->n);
    }
    QN_TRY(judge(climb, PARENTS * CHILDREN, err));
    for (int64_t k = 0; k < PARENTS; k++) {
        struct parent *parent = &climb->parents[k];
        int64_t best = k * CHILDREN;
        for (int64_t i = best + 1; i < (k + 1) * CHILDREN; i++) {
            if (climb->promises[i] > climb->promises[best]) best = i;
        }
        const bool better = climb->promises[best] > parent->promise;
        parent->step *= better ? 1.5 : 0.6;
        if (!better) continue;
        parent->promise = climb->promises[best];
        copy_values(space, climb->pool + best * space->n, parent->values);
    }
    return QN_OK;
}

static qn_status run(struct climb *climb, double *values, double *promise, qn_error *err)
{
    const struct parent *best = climb->parents;
    QN_TRY(fill_pool(climb, err));
    choose_parents(climb);
    for (int round = 0; round < ROUNDS; round++) {
        QN_TRY(step(climb, err));
    }
    for (int64_t k = 1; k < PARENTS; k++) {
        if (climb->parents[k].promise > best->promise) best = &climb->parents[k];
    }
    copy_values(climb->request->space, best->values, values);
    if (promise) *promise = best->promise;
    return QN_OK;
}

qn_status qn_climb(const qn_climb_request *request, double *values, double *promise, qn_error *err)
{
    const int64_t n = request->space->n;
    double *numbers = qn_alloc_array((POOL + PARENTS) * n + POOL, sizeof *numbers);
    if (!numbers) return qn_fail(err, QN_ERR_NOMEM, "no memory to look for a configuration");
    struct climb climb = {
        .request = request, .pool = numbers, .promises = numbers + (POOL + PARENTS) * n};
    for (int64_t k = 0; k < PARENTS; k++) {
        climb.parents[k].values = numbers + (POOL + k) * n;
    }
    const qn_status status = run(&climb, values, promise, err);
    qn_free(numbers);
    return status;
}
