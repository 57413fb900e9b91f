/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/tree/objective.h"

#include "base/alloc.h"
#include "linalg/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 4096, STRIP = 256 };

/* LightGBM's poisson_max_delta_step: keeps the second derivative away from 0. */
static const double poisson_step = 0.7;
static const double least_hessian = 1e-16;

static double weight_of(const qn_objective_rows *r, int64_t i)
{
    return r->weights ? r->weights[i] : 1;
}

static double mean_target(const qn_objective_rows *r)
{
    double sum = 0, total = 0;
    for (int64_t i = 0; i < r->n; i++) {
        sum += weight_of(r, i) * r->target[i];
        total += weight_of(r, i);
    }
    return sum / total;
}

/* Squared error. */

static void init_mean(const qn_objective_rows *r, double *out)
{
    out[0] = mean_target(r);
}

static void derive_squared(const qn_objective_rows *r, int64_t begin, int64_t end,
                           const double *scores, qn_derivatives *out)
{
    for (int64_t i = begin; i < end; i++) {
        const double w = weight_of(r, i);
        out[i] = (qn_derivatives){w * (scores[i] - r->target[i]), w};
    }
}

static double loss_squared(const qn_objective_rows *r, int64_t begin, int64_t end,
                           const double *scores)
{
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        const double d = scores[i] - r->target[i];
        sum += weight_of(r, i) * d * d;
    }
    return sum;
}

/* Absolute error and quantiles ("pinball" loss). */

static double level_of(const qn_objective_rows *r)
{
    return r->objective->quantile(r->params);
}

static void init_quantile(const qn_objective_rows *r, double *out)
{
    out[0] = qn_objective_residual_quantile(r, NULL, level_of(r), NULL, r->n, 0);
}

static void derive_quantile(const qn_objective_rows *r, int64_t begin, int64_t end,
                            const double *scores, qn_derivatives *out)
{
    const double level = level_of(r);
    for (int64_t i = begin; i < end; i++) {
        const double w = weight_of(r, i);
        out[i] = (qn_derivatives){w * (scores[i] >= r->target[i] ? 1 - level : -level), w};
    }
}

static double loss_quantile(const qn_objective_rows *r, int64_t begin, int64_t end,
                            const double *scores)
{
    const double level = level_of(r);
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        const double d = r->target[i] - scores[i];
        sum += weight_of(r, i) * (d >= 0 ? level * d : (level - 1) * d);
    }
    return sum;
}

static double level_half(const qn_objective_params *params)
{
    (void)params;
    return 0.5;
}

static double level_alpha(const qn_objective_params *params)
{
    return params->alpha;
}

/* Huber: squared near, absolute far (Huber 1964). */

static void derive_huber(const qn_objective_rows *r, int64_t begin, int64_t end,
                         const double *scores, qn_derivatives *out)
{
    const double alpha = r->params->alpha;
    for (int64_t i = begin; i < end; i++) {
        const double w = weight_of(r, i), d = scores[i] - r->target[i];
        out[i] = (qn_derivatives){w * fmin(fmax(d, -alpha), alpha), w};
    }
}

static double loss_huber(const qn_objective_rows *r, int64_t begin, int64_t end,
                         const double *scores)
{
    const double alpha = r->params->alpha;
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        const double d = fabs(scores[i] - r->target[i]);
        sum += weight_of(r, i) * (d <= alpha ? 0.5 * d * d : alpha * (d - 0.5 * alpha));
    }
    return sum;
}

/* Counts and amounts, by a logarithmic link. */

static void init_log_mean(const qn_objective_rows *r, double *out)
{
    out[0] = log(fmax(mean_target(r), 1e-6));
}

static void derive_poisson(const qn_objective_rows *r, int64_t begin, int64_t end,
                           const double *scores, qn_derivatives *out)
{
    const double widen = exp(poisson_step);
    for (int64_t i = begin; i < end; i++) {
        const double w = weight_of(r, i), mean = exp(scores[i]);
        out[i] = (qn_derivatives){w * (mean - r->target[i]), w * mean * widen};
    }
}

static double loss_poisson(const qn_objective_rows *r, int64_t begin, int64_t end,
                           const double *scores)
{
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        sum += weight_of(r, i) * (exp(scores[i]) - r->target[i] * scores[i]);
    }
    return sum;
}

static void derive_gamma(const qn_objective_rows *r, int64_t begin, int64_t end,
                         const double *scores, qn_derivatives *out)
{
    for (int64_t i = begin; i < end; i++) {
        const double w = weight_of(r, i), ratio = r->target[i] * exp(-scores[i]);
        out[i] = (qn_derivatives){w * (1 - ratio), w * ratio};
    }
}

static double loss_gamma(const qn_objective_rows *r, int64_t begin, int64_t end,
                         const double *scores)
{
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        sum += weight_of(r, i) * (r->target[i] * exp(-scores[i]) + scores[i]);
    }
    return sum;
}

static void derive_tweedie(const qn_objective_rows *r, int64_t begin, int64_t end,
                           const double *scores, qn_derivatives *out)
{
    const double power = r->params->tweedie_variance_power;
    for (int64_t i = begin; i < end; i++) {
        const double w = weight_of(r, i), y = r->target[i];
        const double a = exp((1 - power) * scores[i]), b = exp((2 - power) * scores[i]);
        out[i] = (qn_derivatives){w * (b - y * a), w * ((2 - power) * b - y * (1 - power) * a)};
    }
}

static double loss_tweedie(const qn_objective_rows *r, int64_t begin, int64_t end,
                           const double *scores)
{
    const double power = r->params->tweedie_variance_power;
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        const double a = exp((1 - power) * scores[i]), b = exp((2 - power) * scores[i]);
        sum += weight_of(r, i) * (b / (2 - power) - r->target[i] * a / (1 - power));
    }
    return sum;
}

/* Two classes, or shares between 0 and 1. */

static void init_log_odds(const qn_objective_rows *r, double *out)
{
    const double p = fmin(fmax(mean_target(r), 1e-6), 1 - 1e-6);
    out[0] = log(p / (1 - p));
}

static void derive_logistic(const qn_objective_rows *r, int64_t begin, int64_t end,
                            const double *scores, qn_derivatives *out)
{
    double powers[STRIP];
    for (int64_t first = begin; first < end; first += STRIP) {
        const int64_t n = end - first < STRIP ? end - first : STRIP;
        qn_exp_negative(scores + first, powers, n);
        for (int64_t i = 0; i < n; i++) {
            const double p = 1 / (1 + powers[i]), w = weight_of(r, first + i);
            const double spread = p * (1 - p);
            out[first + i] =
                (qn_derivatives){w * (p - r->target[first + i]),
                                 w * (spread > least_hessian ? spread : least_hessian)};
        }
    }
}

static double loss_logistic(const qn_objective_rows *r, int64_t begin, int64_t end,
                            const double *scores)
{
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        const double s = scores[i]; /* log(1 + e^s) - y s, without overflow */
        sum += weight_of(r, i) * (fmax(s, 0) + log1p(exp(-fabs(s))) - r->target[i] * s);
    }
    return sum;
}

/* Classes. */

static void count_classes(const qn_objective_rows *r, double *shares)
{
    double total = 0;
    memset(shares, 0, (size_t)r->k * sizeof *shares);
    for (int64_t i = 0; i < r->n; i++) {
        shares[(int32_t)r->target[i]] += weight_of(r, i);
        total += weight_of(r, i);
    }
    for (int32_t c = 0; c < r->k; c++) {
        shares[c] = fmin(fmax(shares[c] / total, 1e-6), 1 - 1e-6);
    }
}

static void init_softmax(const qn_objective_rows *r, double *out)
{
    count_classes(r, out);
    for (int32_t c = 0; c < r->k; c++) {
        out[c] = log(out[c]);
    }
}

/* p of each class of one row; returns the logarithm of what e^(score - most) sum to. */
static double softmax(const double *score, int32_t k, double *p, double *most)
{
    double sum = 0;
    *most = score[0];
    for (int32_t c = 1; c < k; c++) {
        *most = fmax(*most, score[c]);
    }
    for (int32_t c = 0; c < k; c++) {
        p[c] = *most - score[c];
    }
    qn_exp_negative(p, p, k);
    for (int32_t c = 0; c < k; c++) {
        sum += p[c];
    }
    for (int32_t c = 0; c < k; c++) {
        p[c] /= sum;
    }
    return log(sum);
}

static void derive_softmax(const qn_objective_rows *r, int64_t begin, int64_t end,
                           const double *scores, qn_derivatives *out)
{
    const int32_t k = r->k;
    const double factor = (double)k / (k > 1 ? k - 1 : 1); /* Friedman 2001, section 4.6 */
    for (int64_t i = begin; i < end; i++) {
        double p[QN_CLASSES_MAX], most;
        (void)softmax(scores + i * k, k, p, &most);
        const double w = weight_of(r, i);
        for (int32_t c = 0; c < k; c++) {
            out[c * r->n + i] =
                (qn_derivatives){w * (p[c] - (r->target[i] == c)),
                                 w * factor * fmax(p[c] * (1 - p[c]), least_hessian)};
        }
    }
}

static double loss_softmax(const qn_objective_rows *r, int64_t begin, int64_t end,
                           const double *scores)
{
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        double p[QN_CLASSES_MAX], most;
        const double *score = scores + i * r->k;
        const double rest = softmax(score, r->k, p, &most);
        sum += weight_of(r, i) * (rest + most - score[(int32_t)r->target[i]]);
    }
    return sum;
}

static void init_one_vs_all(const qn_objective_rows *r, double *out)
{
    count_classes(r, out);
    for (int32_t c = 0; c < r->k; c++) {
        out[c] = log(out[c] / (1 - out[c]));
    }
}

static void derive_one_vs_all(const qn_objective_rows *r, int64_t begin, int64_t end,
                              const double *scores, qn_derivatives *out)
{
    for (int64_t i = begin; i < end; i++) {
        double p[QN_CLASSES_MAX];
        qn_exp_negative(scores + i * r->k, p, r->k);
        const double w = weight_of(r, i);
        for (int32_t c = 0; c < r->k; c++) {
            const double q = 1 / (1 + p[c]);
            out[c * r->n + i] = (qn_derivatives){w * (q - (r->target[i] == c)),
                                                 w * fmax(q * (1 - q), least_hessian)};
        }
    }
}

static double loss_one_vs_all(const qn_objective_rows *r, int64_t begin, int64_t end,
                              const double *scores)
{
    double sum = 0;
    for (int64_t i = begin; i < end; i++) {
        double row = 0;
        for (int32_t c = 0; c < r->k; c++) {
            const double s = scores[i * r->k + c];
            row += fmax(s, 0) + log1p(exp(-fabs(s))) - (r->target[i] == c) * s;
        }
        sum += weight_of(r, i) * row;
    }
    return sum;
}

static void init_zeros(const qn_objective_rows *r, double *out)
{
    for (int32_t c = 0; c < r->k; c++) {
        out[c] = 0;
    }
}

/* LambdaRank (Burges 2010) with gains 2^label - 1, as LightGBM weighs its pairs. */

static double gain_of(double label)
{
    return exp2(fmin(label, 60)) - 1;
}

static double discount_of(int64_t rank)
{
    return 1 / log2(2 + (double)rank);
}

static int by_score(const void *left, const void *right)
{
    const qn_placed_row *a = left, *b = right;
    if (a->value != b->value) return a->value > b->value ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

/* The rows of a query by score, or by label. */
static const qn_placed_row *rank_rows(const qn_objective_rows *r, int64_t query, const double *by)
{
    const int64_t begin = r->query_starts[query], n = r->query_starts[query + 1] - begin;
    qn_placed_row *ranked = r->places + begin;
    for (int64_t i = 0; i < n; i++) {
        const int32_t row = r->by_query[begin + i];
        ranked[i] = (qn_placed_row){by[row], row};
    }
    qsort(ranked, (size_t)n, sizeof *ranked, by_score);
    return ranked;
}

static double dcg_of(const qn_objective_rows *r, int64_t query, const double *by)
{
    const int64_t n = r->query_starts[query + 1] - r->query_starts[query];
    const qn_placed_row *ranked = rank_rows(r, query, by);
    double dcg = 0;
    for (int64_t i = 0; i < n && i < r->params->lambdarank_truncation_level; i++) {
        dcg += gain_of(r->target[ranked[i].row]) * discount_of(i);
    }
    return dcg;
}

static void derive_pair(const qn_objective_rows *r, const qn_placed_row *ranked, int64_t i,
                        int64_t j, double per_dcg, bool spread, double *lambdas,
                        qn_derivatives *out)
{
    const int64_t high = r->target[ranked[i].row] > r->target[ranked[j].row] ? i : j;
    const int64_t low = high == i ? j : i;
    const int32_t winner = ranked[high].row, loser = ranked[low].row;
    const double apart = ranked[high].value - ranked[low].value;
    double delta = (gain_of(r->target[winner]) - gain_of(r->target[loser])) *
                   fabs(discount_of(high) - discount_of(low)) * per_dcg;
    if (spread) delta /= 0.01 + fabs(apart);
    const double p = 1 / (1 + exp(apart));
    const double lambda = -delta * p, hessian = delta * p * (1 - p);
    out[winner].gradient += lambda;
    out[loser].gradient -= lambda;
    out[winner].hessian += hessian;
    out[loser].hessian += hessian;
    *lambdas -= 2 * lambda;
}

static void derive_query(const qn_objective_rows *r, int64_t query, const double *scores,
                         qn_derivatives *out)
{
    const int64_t n = r->query_starts[query + 1] - r->query_starts[query];
    const int64_t truncation = r->params->lambdarank_truncation_level;
    const int64_t n_ranks = n < truncation ? n : truncation;
    const qn_placed_row *ranked = rank_rows(r, query, scores);
    const double dcg = r->best_dcg[query];
    for (int64_t i = 0; i < n; i++) {
        out[r->by_query[r->query_starts[query] + i]] = (qn_derivatives){0, 0};
    }
    double lambdas = 0;
    const bool spread = ranked[0].value != ranked[n - 1].value;
    for (int64_t i = 0; dcg > 0 && i < n_ranks; i++) {
        for (int64_t j = i + 1; j < n; j++) {
            if (r->target[ranked[i].row] == r->target[ranked[j].row]) continue;
            derive_pair(r, ranked, i, j, 1 / dcg, spread, &lambdas, out);
        }
    }
    const double norm = lambdas > 0 ? log2(1 + lambdas) / lambdas : 1;
    for (int64_t i = 0; i < n; i++) {
        const int32_t row = r->by_query[r->query_starts[query] + i];
        const double w = norm * weight_of(r, row);
        out[row] = (qn_derivatives){out[row].gradient * w, out[row].hessian * w};
    }
}

static void derive_lambdarank(const qn_objective_rows *r, int64_t begin, int64_t end,
                              const double *scores, qn_derivatives *out)
{
    for (int64_t query = begin; query < end; query++) {
        derive_query(r, query, scores, out);
    }
}

/* 1 - NDCG at the truncation level; queries without a relevant row count as answered. */
static double loss_lambdarank(const qn_objective_rows *r, int64_t begin, int64_t end,
                              const double *scores)
{
    double sum = 0;
    for (int64_t query = begin; query < end; query++) {
        const double best = r->best_dcg[query];
        if (best > 0) sum += 1 - dcg_of(r, query, scores) / best;
    }
    return sum;
}

/* The table. */

#define NUMBERS (1u << QN_TASK_REGRESSION | 1u << QN_TASK_RANKING)
#define BINARY (1u << QN_TASK_BINARY)
#define CLASSES (1u << QN_TASK_MULTICLASS)

static const qn_objective table[] = {
    {"regression", NUMBERS, QN_LINK_IDENTITY, false, init_mean, derive_squared, loss_squared, NULL},
    {"regression_l1", NUMBERS, QN_LINK_IDENTITY, false, init_quantile, derive_quantile,
     loss_quantile, level_half},
    {"huber", NUMBERS, QN_LINK_IDENTITY, false, init_mean, derive_huber, loss_huber, NULL},
    {"quantile", NUMBERS, QN_LINK_IDENTITY, false, init_quantile, derive_quantile, loss_quantile,
     level_alpha},
    {"poisson", NUMBERS, QN_LINK_EXP, false, init_log_mean, derive_poisson, loss_poisson, NULL},
    {"gamma", NUMBERS, QN_LINK_EXP, false, init_log_mean, derive_gamma, loss_gamma, NULL},
    {"tweedie", NUMBERS, QN_LINK_EXP, false, init_log_mean, derive_tweedie, loss_tweedie, NULL},
    {"binary", BINARY, QN_LINK_LOGISTIC, false, init_log_odds, derive_logistic, loss_logistic,
     NULL},
    {"cross_entropy", NUMBERS, QN_LINK_LOGISTIC, false, init_log_odds, derive_logistic,
     loss_logistic, NULL},
    {"multiclass", CLASSES, QN_LINK_SOFTMAX, false, init_softmax, derive_softmax, loss_softmax,
     NULL},
    {"multiclassova", CLASSES, QN_LINK_SHARES, false, init_one_vs_all, derive_one_vs_all,
     loss_one_vs_all, NULL},
    {"lambdarank", 1u << QN_TASK_RANKING, QN_LINK_IDENTITY, true, init_zeros, derive_lambdarank,
     loss_lambdarank, NULL},
};

enum { N_OBJECTIVES = sizeof table / sizeof *table };

/* The caller's objectives: a row for each link. They begin at 0. */
#define ANY (NUMBERS | BINARY | CLASSES)

static const qn_objective customs[] = {
    {"custom", ANY, QN_LINK_IDENTITY, false, init_zeros, NULL, NULL, NULL},
    {"custom", ANY, QN_LINK_LOGISTIC, false, init_zeros, NULL, NULL, NULL},
    {"custom", ANY, QN_LINK_SOFTMAX, false, init_zeros, NULL, NULL, NULL},
    {"custom", ANY, QN_LINK_EXP, false, init_zeros, NULL, NULL, NULL},
};

static qn_status choose_custom(const qn_custom_objective *custom, const qn_objective **out,
                               qn_error *err)
{
    for (size_t i = 0; i < sizeof customs / sizeof *customs; i++) {
        if (customs[i].link != custom->link) continue;
        *out = &customs[i];
        return QN_OK;
    }
    return qn_fail(err, QN_ERR_ARG,
                   "the link of a custom objective is identity, logistic, softmax or exp");
}

const char *const qn_objective_names[] = {
    "auto",    "regression", "regression_l1", "huber",      "quantile",      "poisson",    "gamma",
    "tweedie", "binary",     "cross_entropy", "multiclass", "multiclassova", "lambdarank", NULL};

static const qn_objective *find(const char *name)
{
    for (int i = 0; i < N_OBJECTIVES; i++) {
        if (strcmp(table[i].name, name) == 0) return &table[i];
    }
    return NULL;
}

static const char *automatic(const qn_dataset *data)
{
    switch (data->task) {
    case QN_TASK_BINARY:
        return "binary";
    case QN_TASK_MULTICLASS:
        return "multiclass";
    case QN_TASK_RANKING:
        return data->train.groups ? "lambdarank" : "regression";
    case QN_TASK_REGRESSION:
    case QN_TASK_CLUSTERING:
    case QN_TASK_REDUCTION:
    case QN_TASK_OUTLIERS:
        break;
    }
    return "regression";
}

qn_status qn_objective_choose(const qn_objective_params *params, const qn_dataset *data,
                              const qn_objective **out, qn_error *err)
{
    if (params->custom) return choose_custom(params->custom, out, err);
    const char *name =
        params->objective == 0 ? automatic(data) : qn_objective_names[params->objective];
    const qn_objective *objective = find(name);
    if (!(objective->tasks & (1u << data->task))) {
        return qn_fail(err, QN_ERR_ARG, "objective %s is not for a %s target", name,
                       qn_task_name(data->task));
    }
    if (objective->by_query && !data->train.groups) {
        return qn_fail(err, QN_ERR_ARG, "objective %s needs to know the queries: --group COLUMN",
                       name);
    }
    double least = 0, most = -QN_INF, highest = QN_INF;
    bool zero_allowed = true;
    if (objective->link == QN_LINK_EXP) zero_allowed = objective->derive != derive_gamma;
    if (objective->link == QN_LINK_LOGISTIC) highest = 1;
    const bool bounded = objective->link == QN_LINK_EXP || objective->link == QN_LINK_LOGISTIC;
    for (int64_t i = 0; bounded && i < data->train.n_rows; i++) {
        least = fmin(least, data->train.target[i]);
        most = fmax(most, data->train.target[i]);
        if (!zero_allowed && data->train.target[i] <= 0) least = -1;
    }
    if (least < 0 || most > highest) {
        return qn_fail(err, QN_ERR_ARG, "objective %s: targets must be %s", name,
                       highest == 1   ? "between 0 and 1"
                       : zero_allowed ? "0 or more"
                                      : "above 0");
    }
    *out = objective;
    return QN_OK;
}

/* Rows by query, in order of the queries' numbers; within one, by row. */
static bool list_queries(const int32_t *groups, qn_objective_rows *rows)
{
    int32_t most = -1;
    for (int64_t i = 0; i < rows->n; i++) {
        most = groups[i] > most ? groups[i] : most;
    }
    int64_t *ends = qn_alloc_array((int64_t)most + 2, sizeof *ends);
    rows->by_query = qn_alloc_array(rows->n, sizeof *rows->by_query);
    rows->query_starts = qn_alloc_array((int64_t)most + 2, sizeof *rows->query_starts);
    const bool complete = ends && rows->by_query && rows->query_starts;
    if (complete) {
        for (int64_t i = 0; i < rows->n; i++) {
            ends[groups[i] + 1]++;
        }
        for (int64_t q = 0; q <= most; q++) { /* numbers that do not occur are passed over */
            if (ends[q + 1] > 0) {
                rows->query_starts[rows->n_queries + 1] =
                    rows->query_starts[rows->n_queries] + ends[q + 1];
                rows->n_queries++;
            }
            ends[q + 1] += ends[q];
        }
        for (int64_t i = 0; i < rows->n; i++) {
            rows->by_query[ends[groups[i]]++] = (int32_t)i;
        }
    }
    qn_free(ends);
    return complete;
}

/* Blocks of rows or queries. */

struct blocks {
    const qn_objective_rows *rows;
    const double *scores;
    qn_derivatives *out;
    int64_t n, size;
};

static struct blocks blocks_of(const qn_objective_rows *rows, const double *scores)
{
    const bool by_query = rows->objective->by_query;
    return (struct blocks){.rows = rows,
                           .scores = scores,
                           .n = by_query ? rows->n_queries : rows->n,
                           .size = by_query ? 16 : BLOCK_ROWS};
}

static int64_t n_blocks(const struct blocks *b)
{
    return (b->n + b->size - 1) / b->size;
}

static bool allocate(qn_objective_rows *rows)
{
    const struct blocks blocks = blocks_of(rows, NULL);
    rows->losses = qn_alloc_array(n_blocks(&blocks), sizeof *rows->losses);
    if (!rows->losses) return false;
    if (rows->params->custom) {
        rows->given = qn_alloc_aligned(2 * rows->n * rows->k, sizeof *rows->given);
        return rows->given;
    }
    if (!rows->objective->by_query && !rows->objective->quantile) return true;
    rows->places = qn_alloc_aligned(rows->n, sizeof *rows->places);
    if (!rows->places || !rows->objective->by_query) return rows->places;
    rows->best_dcg = qn_alloc_array(rows->n_queries, sizeof *rows->best_dcg);
    for (int64_t query = 0; rows->best_dcg && query < rows->n_queries; query++) {
        rows->best_dcg[query] = dcg_of(rows, query, rows->target);
    }
    return rows->best_dcg;
}

qn_status qn_objective_rows_create(const qn_objective *objective, const qn_objective_params *params,
                                   const qn_dataset *data, const qn_dataset_part *part,
                                   qn_objective_rows *out, qn_error *err)
{
    *out = (qn_objective_rows){.objective = objective,
                               .params = params,
                               .k = data->task == QN_TASK_MULTICLASS ? data->n_classes : 1,
                               .n = part->n_rows,
                               .target = part->target,
                               .weights = part->weights};
    const bool queries = objective->by_query && part->n_rows > 0;
    if ((queries && !list_queries(part->groups, out)) || !allocate(out)) {
        qn_objective_rows_release(out);
        return qn_fail(err, QN_ERR_NOMEM, "no memory for the objective");
    }
    return QN_OK;
}

void qn_objective_rows_release(qn_objective_rows *rows)
{
    qn_free(rows->query_starts);
    qn_free(rows->by_query);
    qn_free(rows->best_dcg);
    qn_free(rows->places);
    qn_free(rows->losses);
    qn_free(rows->given);
    *rows = (qn_objective_rows){0};
}

static int64_t block_end(const struct blocks *b, int64_t i)
{
    return (i + 1) * b->size < b->n ? (i + 1) * b->size : b->n;
}

static void derive_block(void *context, int64_t i)
{
    struct blocks *b = context;
    b->rows->objective->derive(b->rows, i * b->size, block_end(b, i), b->scores, b->out);
}

static bool derive_custom(const qn_objective_rows *rows, const double *scores, qn_derivatives *out)
{
    const qn_custom_objective *custom = rows->params->custom;
    double *gradients = rows->given, *hessians = rows->given + rows->n * rows->k;
    custom->derive(custom->context, rows->n, rows->k, scores, gradients, hessians);
    bool good = true;
    for (int64_t i = 0; i < rows->n * rows->k && good; i++) {
        good = isfinite(gradients[i]) && isfinite(hessians[i]) && hessians[i] >= 0;
        out[i % rows->k * rows->n + i / rows->k] = (qn_derivatives){gradients[i], hessians[i]};
    }
    return good;
}

bool qn_objective_derive(const qn_objective_rows *rows, qn_pool *pool, const double *scores,
                         qn_derivatives *out)
{
    if (rows->params->custom) return derive_custom(rows, scores, out);
    struct blocks blocks = blocks_of(rows, scores);
    blocks.out = out;
    qn_pool_run(n_blocks(&blocks) > 4 ? pool : NULL, n_blocks(&blocks), derive_block, &blocks);
    return true;
}

static void add_loss(void *context, int64_t i)
{
    struct blocks *b = context;
    b->rows->losses[i] = b->rows->objective->loss(b->rows, i * b->size, block_end(b, i), b->scores);
}

double qn_objective_loss(const qn_objective_rows *rows, qn_pool *pool, const double *scores)
{
    struct blocks blocks = blocks_of(rows, scores);
    const int64_t n = n_blocks(&blocks);
    double sum = 0, weights = 0;
    qn_pool_run(n > 4 ? pool : NULL, n, add_loss, &blocks);
    for (int64_t i = 0; i < n; i++) {
        sum += rows->losses[i];
    }
    if (rows->objective->by_query) return sum / (double)rows->n_queries;
    for (int64_t i = 0; i < rows->n; i++) {
        weights += weight_of(rows, i);
    }
    return sum / weights;
}

double qn_objective_step_max(const qn_objective *objective, const qn_grow_params *grow)
{
    const bool identity = objective->link == QN_LINK_IDENTITY;
    return identity || grow->max_delta_step > 0 ? 0 : 10;
}

/* Quantiles. */

static int by_value(const void *left, const void *right)
{
    const qn_placed_row *a = left, *b = right;
    if (a->value != b->value) return a->value > b->value ? 1 : -1;
    return (a->row > b->row) - (a->row < b->row);
}

double qn_objective_residual_quantile(const qn_objective_rows *rows, const double *scores,
                                      double level, const int32_t *at, int64_t n, int64_t place)
{
    qn_placed_row *residuals = rows->places + place;
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        const int32_t row = at ? at[i] : (int32_t)i;
        residuals[i] = (qn_placed_row){rows->target[row] - (scores ? scores[row] : 0), row};
        total += weight_of(rows, row);
    }
    qsort(residuals, (size_t)n, sizeof *residuals, by_value);
    double value = n > 0 ? residuals[n - 1].value : 0;
    if (!rows->weights) { /* between two values, as numpy's default */
        const double rank = level * (double)(n - 1);
        const int64_t below = (int64_t)rank;
        if (below + 1 < n) {
            const double share = rank - (double)below;
            value = residuals[below].value * (1 - share) + residuals[below + 1].value * share;
        }
        return value;
    }
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += weight_of(rows, residuals[i].row);
        if (sum >= level * total) return residuals[i].value;
    }
    return value;
}
