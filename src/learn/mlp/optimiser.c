/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/mlp/optimiser.h"

#include "base/alloc.h"

#include <math.h>

qn_status qn_optimiser_init(qn_optimiser *optimiser, int64_t n_params, qn_error *err)
{
    optimiser->n_params = n_params;
    optimiser->first = qn_alloc_array(n_params, sizeof *optimiser->first);
    optimiser->second = qn_alloc_array(n_params, sizeof *optimiser->second);
    if (optimiser->first && optimiser->second) return QN_OK;
    qn_optimiser_release(optimiser);
    return qn_fail(err, QN_ERR_NOMEM, "no memory to train a neural network");
}

void qn_optimiser_release(qn_optimiser *optimiser)
{
    qn_free(optimiser->first);
    qn_free(optimiser->second);
    *optimiser = (qn_optimiser){0};
}

/* In sixteen fixed lanes, so that it is quick and always the same. */
static double norm_of(const float *values, int64_t n)
{
    enum { LANES = 16, CHUNK = 4096 };
    double sum = 0;
    for (int64_t first = 0; first < n; first += CHUNK) {
        const int64_t end = n - first < CHUNK ? n : first + CHUNK;
        float lanes[LANES] = {0};
        int64_t i = first;
        for (; i + LANES <= end; i += LANES) {
            for (int lane = 0; lane < LANES; lane++) {
                lanes[lane] += values[i + lane] * values[i + lane];
            }
        }
        for (int lane = 0; i < end; i++, lane++) {
            lanes[lane] += values[i] * values[i];
        }
        for (int lane = 0; lane < LANES; lane++) {
            sum += (double)lanes[lane];
        }
    }
    return sqrt(sum);
}

struct update {
    float rate, scale, shrink; /* of the step, of the gradient, of the parameter */
    float correction;          /* AdamW: 1 / sqrt(1 - beta2^t) */
    float momentum;
};

/* Compiled twice: same operations, same results. */
static inline __attribute__((always_inline)) void
adamw_steps(const struct update *u, int64_t n, const float *restrict gradient,
            float *restrict first, float *restrict second, float *restrict params)
{
    const float beta1 = 0.9F, beta2 = 0.999F, epsilon = 1e-8F;
    for (int64_t i = 0; i < n; i++) {
        const float g = gradient[i] * u->scale;
        first[i] = beta1 * first[i] + (1 - beta1) * g;
        second[i] = beta2 * second[i] + (1 - beta2) * g * g;
        params[i] = params[i] * u->shrink -
                    u->rate * first[i] / (sqrtf(second[i]) * u->correction + epsilon);
    }
}

#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx2"))) static void adamw_wide(const struct update *u, int64_t n,
                                                       const float *gradient, float *first,
                                                       float *second, float *params)
{
    adamw_steps(u, n, gradient, first, second, params);
}
#endif

static void adamw(const struct update *u, int64_t n, const float *gradient, float *first,
                  float *second, float *params)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx2")) {
        adamw_wide(u, n, gradient, first, second, params);
        return;
    }
#endif
    adamw_steps(u, n, gradient, first, second, params);
}

static void sgd(const struct update *u, int64_t n, const float *restrict gradient,
                float *restrict velocity, float *restrict params)
{
    for (int64_t i = 0; i < n; i++) {
        const float g = gradient[i] * u->scale;
        velocity[i] = u->momentum * velocity[i] + g;
        params[i] = params[i] * u->shrink - u->rate * (g + u->momentum * velocity[i]);
    }
}

static void update_range(qn_optimiser *o, struct update u, bool decays, double rate, int64_t first,
                         int64_t n, const float *gradient, float *params)
{
    u.shrink = decays ? 1 - (float)rate * o->weight_decay : 1;
    if (o->kind == QN_OPTIMISER_ADAMW) {
        adamw(&u, n, gradient + first, o->first + first, o->second + first, params + first);
    } else {
        sgd(&u, n, gradient + first, o->first + first, params + first);
    }
}

double qn_optimiser_step(qn_optimiser *o, qn_network *network, float *gradient, double rate)
{
    const double norm = norm_of(gradient, o->n_params);
    const double clip = (double)o->clip;
    struct update u = {.rate = (float)rate,
                       .scale = clip > 0 && norm > clip ? (float)(clip / norm) : 1,
                       .momentum = o->momentum};
    if (!isfinite(norm)) return norm; /* a step into nothing is not taken */
    o->n_steps++;
    if (o->kind == QN_OPTIMISER_ADAMW) {
        const double t = (double)o->n_steps;
        u.rate = (float)(rate / (1 - pow(0.9, t)));
        u.correction = (float)(1 / sqrt(1 - pow(0.999, t)));
    }
    update_range(o, u, true, rate, 0, network->encoder.n_params, gradient, network->params);
    for (int32_t at = 0; at < network->n_layers; at++) {
        const qn_layer *layer = &network->layers[at];
        const int64_t n_weights =
            layer->kind == QN_LAYER_DENSE ? (int64_t)layer->n_in * layer->width : 0;
        update_range(o, u, true, rate, layer->first_param, n_weights, gradient, network->params);
        update_range(o, u, false, rate, layer->first_param + n_weights, layer->n_params - n_weights,
                     gradient, network->params);
    }
    return norm;
}

double qn_schedule_factor(qn_schedule_kind kind, int64_t step, int64_t n_steps, int64_t n_halvings)
{
    const double pi = 3.14159265358979323846;
    const double at = ((double)step + 0.5) / (double)n_steps;
    const bool one_cycle = kind == QN_SCHEDULE_ONE_CYCLE;
    const double rise = one_cycle ? 0.3 : 0.02, low = one_cycle ? 0.04 : 0;
    if (kind == QN_SCHEDULE_CONSTANT) return 1;
    if (kind == QN_SCHEDULE_PLATEAU) return pow(0.5, (double)n_halvings);
    if (at < rise) {
        const double up = at / rise;
        return one_cycle ? low + (1 - low) * 0.5 * (1 - cos(pi * up)) : up;
    }
    return 0.5 * (1 + cos(pi * (at - rise) / (1 - rise)));
}
