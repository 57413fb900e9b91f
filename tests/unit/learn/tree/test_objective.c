/* SPDX-License-Identifier: Apache-2.0 */
/* Objectives of boosting: derivatives against finite differences of the loss, losses against
 * scikit-learn, scores to begin with against the condition of an optimum, lambdarank against its
 * definition over all pairs. */
#include "learn/tree/objective.h"
#include "metric/metric.h"

#include "datasets.h"

#include <stdlib.h>

enum { N = 240, K = 4 };

/* What the derivatives of an objective are of its loss, and where it has kinks. */
static const struct described {
    const char *name;
    qn_task task;
    double gradient; /* of the loss, times this */
    double hessian;  /* the gradient's derivative, times this; 0: hessian is the weight */
    double kink;     /* score - target where derivatives jump; QN_NA: nowhere */
    bool optimal;    /* scores begin at the best constant */
} described[] = {
    {"regression", QN_TASK_REGRESSION, 0.5, 1, QN_NA, true},
    {"regression_l1", QN_TASK_REGRESSION, 1, 0, 0, true},
    {"huber", QN_TASK_REGRESSION, 1, 0, 0.9, false}, /* begins with the mean, as LightGBM's */
    {"quantile", QN_TASK_REGRESSION, 1, 0, 0, true},
    {"poisson", QN_TASK_REGRESSION, 1, 2.0137527074704766, QN_NA, true}, /* e^0.7 */
    {"gamma", QN_TASK_REGRESSION, 1, 1, QN_NA, true},
    {"tweedie", QN_TASK_REGRESSION, 1, 1, QN_NA, true},
    {"binary", QN_TASK_BINARY, 1, 1, QN_NA, true},
    {"cross_entropy", QN_TASK_REGRESSION, 1, 1, QN_NA, true},
    {"multiclass", QN_TASK_MULTICLASS, 1, K / (K - 1.0), QN_NA, true},
    {"multiclassova", QN_TASK_MULTICLASS, 1, 1, QN_NA, true},
};
enum { N_DESCRIBED = sizeof described / sizeof *described };

static int32_t number_of(const char *name)
{
    for (int32_t i = 0; qn_objective_names[i]; i++) {
        if (strcmp(qn_objective_names[i], name) == 0) return i;
    }
    fail_msg("no objective is called %s", name);
    return 0;
}

static qn_objective_params params_of(const char *name)
{
    return (qn_objective_params){.objective = number_of(name),
                                 .alpha = 0.9,
                                 .tweedie_variance_power = 1.5,
                                 .lambdarank_truncation_level = 30};
}

static double target_of(const char *name, qn_task task, qn_rng *rng)
{
    if (task == QN_TASK_BINARY) return qn_rng_uniform(rng) < 0.3;
    if (task == QN_TASK_MULTICLASS) return (double)qn_rng_below(rng, K);
    if (strcmp(name, "poisson") == 0) return (double)qn_rng_below(rng, 6);
    if (strcmp(name, "tweedie") == 0) return qn_rng_below(rng, 3) ? 3 * qn_rng_uniform(rng) : 0;
    if (strcmp(name, "gamma") == 0) return 0.1 + 3 * qn_rng_uniform(rng);
    if (strcmp(name, "cross_entropy") == 0) return qn_rng_uniform(rng);
    return 2 * qn_rng_normal(rng);
}

/* Rows of an objective with random targets, weights and scores. */
struct rows {
    qn_dataset data;
    qn_objective_params params;
    qn_objective_rows rows;
    double *scores;
    qn_derivatives *derivatives;
};

static void make_rows(struct rows *r, const struct described *d, int64_t n, bool weighted)
{
    qn_error err = {0};
    *r = (struct rows){.data =
                           dataset_create(d->task, d->task == QN_TASK_MULTICLASS ? K : 0, n, 0, 0),
                       .params = params_of(d->name)};
    const int32_t k = r->data.n_outputs;
    qn_rng rng;
    qn_rng_init(&rng, 3, 1);
    if (weighted) r->data.train.weights = qn_alloc_array(n, sizeof(double));
    r->scores = qn_alloc_array(n * k, sizeof *r->scores);
    r->derivatives = qn_alloc_array(n * k, sizeof *r->derivatives);
    for (int64_t i = 0; i < n; i++) {
        r->data.train.target[i] = target_of(d->name, d->task, &rng);
        if (weighted) r->data.train.weights[i] = 0.25 + qn_rng_uniform(&rng);
        for (int32_t c = 0; c < k; c++) {
            r->scores[i * k + c] = qn_rng_normal(&rng);
        }
    }
    const qn_objective *objective;
    CHECK_OK(qn_objective_choose(&r->params, &r->data, &objective, &err));
    CHECK_TEXT(objective->name, d->name);
    CHECK_OK(
        qn_objective_rows_create(objective, &r->params, &r->data, &r->data.train, &r->rows, &err));
}

static void release_rows(struct rows *r)
{
    qn_objective_rows_release(&r->rows);
    dataset_release(&r->data);
    qn_free(r->scores);
    qn_free(r->derivatives);
}

/* Gradient of one row by output c, after its score is moved. */
static double moved_gradient(struct rows *r, int64_t row, int32_t c, double by)
{
    const int32_t k = r->rows.k;
    const double before = r->scores[row * k + c];
    static qn_derivatives out[N * K];
    r->scores[row * k + c] = before + by;
    r->rows.objective->derive(&r->rows, row, row + 1, r->scores, out);
    r->scores[row * k + c] = before;
    return out[c * r->rows.n + row].gradient;
}

static double moved_loss(struct rows *r, int64_t row, int32_t c, double by)
{
    const int32_t k = r->rows.k;
    const double before = r->scores[row * k + c];
    r->scores[row * k + c] = before + by;
    const double loss = r->rows.objective->loss(&r->rows, row, row + 1, r->scores);
    r->scores[row * k + c] = before;
    return loss;
}

static bool near_kink(const struct described *d, const struct rows *r, int64_t row)
{
    if (isnan(d->kink)) return false;
    const double apart = fabs(r->scores[row] - r->data.train.target[row]);
    return fabs(apart - d->kink) < 1e-3;
}

static void check_derivatives(const struct described *d, bool weighted)
{
    struct rows r;
    make_rows(&r, d, N, weighted);
    const double step = 1e-4;
    int n_checked = 0;
    qn_objective_derive(&r.rows, NULL, r.scores, r.derivatives);
    for (int64_t row = 0; row < N; row++) {
        if (near_kink(d, &r, row)) continue;
        for (int32_t c = 0; c < r.rows.k; c++) {
            const qn_derivatives got = r.derivatives[c * N + row];
            const double slope =
                (moved_loss(&r, row, c, step) - moved_loss(&r, row, c, -step)) / (2 * step);
            CHECK_NEAR(got.gradient, d->gradient * slope, 1e-6 * (1 + fabs(slope)));
            const double bend =
                (moved_gradient(&r, row, c, step) - moved_gradient(&r, row, c, -step)) / (2 * step);
            const double expected = d->hessian > 0 ? d->hessian * bend
                                    : weighted     ? r.data.train.weights[row]
                                                   : 1;
            CHECK_NEAR(got.hessian, expected, 1e-6 * (1 + fabs(bend)));
            CHECK(got.hessian >= 0);
            n_checked++;
        }
    }
    CHECK(n_checked > N * r.rows.k * 9 / 10);
    release_rows(&r);
}

static void derivatives_are_those_of_the_loss(void **state)
{
    (void)state;
    for (int i = 0; i < N_DESCRIBED; i++) {
        check_derivatives(&described[i], false);
        check_derivatives(&described[i], true);
    }
}

/* Every objective in the table is described above, or ranks. */
static void no_objective_is_left_out(void **state)
{
    (void)state;
    int n = 0;
    for (; qn_objective_names[n]; n++) {
        bool known = n == 0 || strcmp(qn_objective_names[n], "lambdarank") == 0;
        for (int i = 0; i < N_DESCRIBED; i++) {
            known |= strcmp(described[i].name, qn_objective_names[n]) == 0;
        }
        if (!known) fail_msg("objective %s is not tested", qn_objective_names[n]);
    }
    CHECK_INT(n, N_DESCRIBED + 2);
}

static double constant_loss(struct rows *r, const double *init, int32_t c, double by)
{
    const int32_t k = r->rows.k;
    for (int64_t i = 0; i < r->rows.n * k; i++) {
        r->scores[i] = init[i % k] + (i % k == c ? by : 0);
    }
    return qn_objective_loss(&r->rows, NULL, r->scores);
}

/* No other constant near by has less loss. */
static void scores_begin_where_the_loss_is_least(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_DESCRIBED; i++) {
        const struct described *d = &described[i / 2];
        struct rows r;
        make_rows(&r, d, N, i % 2 != 0);
        double init[K];
        r.rows.objective->init(&r.rows, init);
        for (int32_t c = 0; c < r.rows.k && d->optimal; c++) {
            const double loss = constant_loss(&r, init, c, 0);
            for (double by = 1e-3; by < 2; by *= 3) {
                CHECK(constant_loss(&r, init, c, by) >= loss - 1e-12);
                CHECK(constant_loss(&r, init, c, -by) >= loss - 1e-12);
            }
        }
        if (strcmp(d->name, "huber") == 0) {
            double sum = 0, total = 0;
            for (int64_t row = 0; row < N; row++) {
                const double w = r.data.train.weights ? r.data.train.weights[row] : 1;
                sum += w * r.data.train.target[row];
                total += w;
            }
            CHECK_NEAR(init[0], sum / total, 1e-12);
        }
        release_rows(&r);
    }
}

static double *read_numbers(char **line, int64_t n)
{
    double *out = qn_alloc_array(n, sizeof *out);
    char *next = strchr(*line, '\n');
    for (int64_t i = 0; i < n; i++) {
        out[i] = strtod(*line, line);
    }
    *line = next + 1;
    return out;
}

static void losses_are_those_of_scikit_learn(void **state)
{
    (void)state;
    char path[4096], text[1 << 15];
    snprintf(path, sizeof path, "%s/tests/golden/objectives/cases.txt", getenv("QUERN_SOURCE"));
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    int n_cases = 0;
    for (char *line = text; *line; n_cases++) {
        char name[32];
        double parameter;
        int k;
        qn_error err = {0};
        CHECK_INT(sscanf(line, "%31s %lf %d", name, &parameter, &k), 3);
        line = strchr(line, '\n') + 1;
        const int i = number_of(name) - 1;
        qn_dataset data = dataset_create(described[i].task, k > 1 ? k : 0, 12, 0, 0);
        qn_free(data.train.target);
        data.train.target = read_numbers(&line, 12);
        data.train.weights = read_numbers(&line, 12);
        double *scores = read_numbers(&line, 12 * k), *loss = read_numbers(&line, 1);
        qn_objective_params params = params_of(name);
        params.alpha = parameter;
        params.tweedie_variance_power = parameter;
        const qn_objective *objective;
        qn_objective_rows rows;
        CHECK_OK(qn_objective_choose(&params, &data, &objective, &err));
        CHECK_OK(qn_objective_rows_create(objective, &params, &data, &data.train, &rows, &err));
        CHECK_NEAR(qn_objective_loss(&rows, NULL, scores), loss[0], 1e-12 * (1 + fabs(loss[0])));
        qn_objective_rows_release(&rows);
        dataset_release(&data);
        qn_free(scores);
        qn_free(loss);
    }
    CHECK_INT(n_cases, 11);
}

/* By hand: differences 0.5, -3 and 1 with alpha 0.9 lose 0.125, 0.9 × 2.55 and 0.9 × 0.55. */
static void the_loss_of_huber_is_square_near_and_straight_far(void **state)
{
    (void)state;
    struct rows r;
    make_rows(&r, &described[2], 3, false);
    for (int i = 0; i < 3; i++) {
        r.data.train.target[i] = i;
        r.scores[i] = i + (const double[]){0.5, -3, 1}[i];
    }
    CHECK_NEAR(qn_objective_loss(&r.rows, NULL, r.scores), (0.125 + 0.9 * 2.55 + 0.9 * 0.55) / 3,
               1e-15);
    release_rows(&r);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    for (int i = 0; i < N_DESCRIBED; i++) {
        struct rows r;
        make_rows(&r, &described[i], 50000, true);
        const size_t n = (size_t)(50000 * r.rows.k);
        qn_derivatives *out = qn_alloc_array((int64_t)n, sizeof *out);
        qn_objective_derive(&r.rows, NULL, r.scores, r.derivatives);
        const double loss = qn_objective_loss(&r.rows, NULL, r.scores);
        for (int n_threads = 2; n_threads <= 3; n_threads++) {
            qn_pool *pool = qn_pool_create(n_threads);
            qn_objective_derive(&r.rows, pool, r.scores, out);
            assert_memory_equal(out, r.derivatives, n * sizeof *out);
            CHECK(qn_objective_loss(&r.rows, pool, r.scores) == loss);
            qn_pool_free(pool);
        }
        qn_free(out);
        release_rows(&r);
    }
}

/* Ranking. */

enum { QUERIES = 9 };

/* Queries of 1 to 40 rows, mixed; the last has no relevant row. Scores have ties. */
static void make_queries(struct rows *r, int64_t n_grades, int64_t truncation)
{
    qn_error err = {0};
    *r = (struct rows){.data = dataset_create(QN_TASK_RANKING, 0, N, 0, 0),
                       .params = params_of("lambdarank")};
    qn_rng rng;
    qn_rng_init(&rng, 8, (uint64_t)n_grades);
    r->params.lambdarank_truncation_level = truncation;
    r->data.train.groups = qn_alloc_array(N, sizeof(int32_t));
    r->data.train.weights = qn_alloc_array(N, sizeof(double));
    r->scores = qn_alloc_array(N, sizeof *r->scores);
    r->derivatives = qn_alloc_array(N, sizeof *r->derivatives);
    for (int i = 0; i < N; i++) {
        const int32_t query = i == 7 ? 0 : 2 + 3 * (int32_t)qn_rng_below(&rng, QUERIES - 1);
        r->data.train.groups[i] = query; /* not every number occurs */
        r->data.train.target[i] =
            query == 2 + 3 * (QUERIES - 2) ? 0 : (double)qn_rng_below(&rng, n_grades);
        r->data.train.weights[i] = 0.5 + qn_rng_uniform(&rng);
        r->scores[i] = (double)qn_rng_below(&rng, 40) * 0.125;
    }
    r->data.train.target[7] = 1;
    const qn_objective *objective;
    CHECK_OK(qn_objective_choose(&r->params, &r->data, &objective, &err));
    CHECK_OK(
        qn_objective_rows_create(objective, &r->params, &r->data, &r->data.train, &r->rows, &err));
}

/* Place of a row within its query, by `by`; ties go by row. */
static int rank_of(const struct rows *r, const double *by, int row)
{
    int rank = 0;
    for (int i = 0; i < N; i++) {
        if (r->data.train.groups[i] != r->data.train.groups[row]) continue;
        rank += by[i] > by[row] || (by[i] == by[row] && i < row);
    }
    return rank;
}

static double dcg(const struct rows *r, const double *by, int32_t query)
{
    double sum = 0;
    for (int i = 0; i < N; i++) {
        if (r->data.train.groups[i] != query) continue;
        const int rank = rank_of(r, by, i);
        if (rank >= r->params.lambdarank_truncation_level) continue;
        sum += (pow(2, r->data.train.target[i]) - 1) / log2(2 + rank);
    }
    return sum;
}

/* Lambdas of a query by its definition (Burges 2010), over all ordered pairs, as LightGBM scales
 * them: by the distance of scores, and by log2(1 + S) / S of their sum. */
static void define_query(const struct rows *r, int32_t query, qn_derivatives *out)
{
    const double *y = r->data.train.target, *s = r->scores;
    const double best = dcg(r, y, query);
    double sum = 0, low = QN_INF, high = -QN_INF;
    for (int i = 0; i < N; i++) {
        if (r->data.train.groups[i] != query) continue;
        out[i] = (qn_derivatives){0, 0};
        low = fmin(low, s[i]);
        high = fmax(high, s[i]);
    }
    for (int a = 0; a < N; a++) {
        for (int b = 0; b < N && best > 0; b++) {
            if (r->data.train.groups[a] != query || r->data.train.groups[b] != query) continue;
            if (y[a] <= y[b]) continue;
            const int ra = rank_of(r, s, a), rb = rank_of(r, s, b);
            if ((ra < rb ? ra : rb) >= r->params.lambdarank_truncation_level) continue;
            double change =
                (pow(2, y[a]) - pow(2, y[b])) * fabs(1 / log2(2 + ra) - 1 / log2(2 + rb)) / best;
            if (low != high) change /= 0.01 + fabs(s[a] - s[b]);
            const double rho = 1 / (1 + exp(s[a] - s[b]));
            out[a].gradient -= rho * change;
            out[b].gradient += rho * change;
            out[a].hessian += rho * (1 - rho) * change;
            out[b].hessian += rho * (1 - rho) * change;
            sum += 2 * rho * change;
        }
    }
    for (int i = 0; i < N; i++) {
        if (r->data.train.groups[i] != query) continue;
        const double scale = r->data.train.weights[i] * (sum > 0 ? log2(1 + sum) / sum : 1);
        out[i] = (qn_derivatives){out[i].gradient * scale, out[i].hessian * scale};
    }
}

static void lambdas_are_those_of_the_definition(void **state)
{
    (void)state;
    const int64_t truncations[] = {1, 5, 30, 1000};
    for (int t = 0; t < 8; t++) {
        struct rows r;
        make_queries(&r, 5, truncations[t / 2]);
        qn_derivatives expected[N];
        for (int i = 0; i < N && t % 2; i++) {
            r.scores[i] = 0; /* as they begin */
        }
        for (int32_t query = 0; query < 3 * QUERIES; query++) {
            define_query(&r, query, expected);
        }
        qn_objective_derive(&r.rows, NULL, r.scores, r.derivatives);
        double largest = 0;
        for (int i = 0; i < N; i++) {
            CHECK_NEAR(r.derivatives[i].gradient, expected[i].gradient, 1e-12);
            CHECK_NEAR(r.derivatives[i].hessian, expected[i].hessian, 1e-12);
            largest = fmax(largest, fabs(expected[i].gradient));
        }
        CHECK(largest > 0.01);
        release_rows(&r);
    }
}

/* With grades 0 and 1 both definitions of gain are the same. The metric leaves out queries without
 * a relevant row, which the loss counts as answered. */
static void the_loss_of_lambdarank_is_one_less_ndcg(void **state)
{
    (void)state;
    const char *const names[] = {"ndcg@10", "ndcg"};
    for (int m = 0; m < 2; m++) {
        qn_error err = {0};
        struct rows r;
        make_queries(&r, 2, m ? 1000 : 10);
        double y[N], p[N], value;
        int32_t groups[N];
        int n = 0;
        for (int32_t query = 0; query < 3 * QUERIES; query++) {
            for (int i = 0; i < N; i++) {
                if (r.data.train.groups[i] != query) continue;
                y[n] = r.data.train.target[i];
                p[n] = r.scores[i];
                groups[n++] = query;
            }
        }
        const qn_metric_input input = {
            .task = QN_TASK_RANKING, .n_rows = N, .target = y, .predicted = p, .groups = groups};
        CHECK_OK(qn_metric_find(names[m])->compute(&input, &value, &err));
        CHECK_INT(r.rows.n_queries, QUERIES);
        CHECK_NEAR(qn_objective_loss(&r.rows, NULL, r.scores),
                   (1 - value) * (QUERIES - 1) / QUERIES, 1e-12);
        release_rows(&r);
    }
}

/* Quantiles. */

static void quantiles_are_those_of_the_sorted_residuals(void **state)
{
    (void)state;
    struct rows r;
    make_rows(&r, &described[1], 9, true);
    const double y[] = {5, 1, 4, 2, 3, 9, 8, 7, 6};
    const int32_t some[] = {0, 1, 2, 3, 4}; /* targets 5 1 4 2 3 */
    for (int i = 0; i < 9; i++) {
        r.data.train.target[i] = y[i];
        r.data.train.weights[i] = i == 1 ? 6 : 1;
        r.scores[i] = i == 0 ? 10 : 0;
    }
    /* The least value that carries at least the level's share of the weight: 6 of 10 lie at 1. */
    CHECK(qn_objective_residual_quantile(&r.rows, NULL, 0.5, some, 5, 0) == 1);
    CHECK(qn_objective_residual_quantile(&r.rows, NULL, 0.7, some, 5, 0) == 2);
    CHECK(qn_objective_residual_quantile(&r.rows, NULL, 0.75, some, 5, 0) == 3);
    CHECK(qn_objective_residual_quantile(&r.rows, NULL, 1, some, 5, 0) == 5);
    /* Row 0's residual is -5. */
    CHECK(qn_objective_residual_quantile(&r.rows, r.scores, 0.05, some, 5, 0) == -5);
    r.rows.weights = NULL; /* as numpy.quantile */
    CHECK_NEAR(qn_objective_residual_quantile(&r.rows, NULL, 0.5, NULL, 9, 0), 5, 1e-15);
    CHECK_NEAR(qn_objective_residual_quantile(&r.rows, NULL, 0.9, NULL, 9, 0), 8.2, 1e-12);
    CHECK_NEAR(qn_objective_residual_quantile(&r.rows, NULL, 0.3, some, 5, 2), 2.2, 1e-12);
    CHECK_NEAR(qn_objective_residual_quantile(&r.rows, NULL, 0.3, some + 2, 1, 2), 4, 0);
    release_rows(&r);
}

/* Choosing. */

static void check_refused(const char *name, qn_task task, const double *targets, const char *why)
{
    qn_error err = {0};
    qn_dataset data = dataset_create(task, task == QN_TASK_MULTICLASS ? K : 0, 2, 0, 0);
    memcpy(data.train.target, targets, 2 * sizeof *targets);
    const qn_objective_params params = params_of(name);
    const qn_objective *objective;
    CHECK_FAILS(QN_ERR_ARG, qn_objective_choose(&params, &data, &objective, &err));
    CHECK_TEXT(err.message, why);
    dataset_release(&data);
}

static void targets_that_do_not_suit_are_refused(void **state)
{
    (void)state;
    check_refused("gamma", QN_TASK_REGRESSION, (double[]){1, 0},
                  "objective gamma: targets must be above 0");
    check_refused("poisson", QN_TASK_REGRESSION, (double[]){-0.5, 3},
                  "objective poisson: targets must be 0 or more");
    check_refused("tweedie", QN_TASK_RANKING, (double[]){-1, 3},
                  "objective tweedie: targets must be 0 or more");
    check_refused("cross_entropy", QN_TASK_REGRESSION, (double[]){0.5, 1.5},
                  "objective cross_entropy: targets must be between 0 and 1");
    check_refused("binary", QN_TASK_REGRESSION, (double[]){0, 1},
                  "objective binary is not for a regression target");
    check_refused("regression", QN_TASK_BINARY, (double[]){0, 1},
                  "objective regression is not for a binary target");
    check_refused("lambdarank", QN_TASK_RANKING, (double[]){0, 1},
                  "objective lambdarank needs to know the queries: --group COLUMN");
}

static void auto_follows_the_task(void **state)
{
    (void)state;
    const char *const names[] = {"binary", "multiclass", "regression", "regression", "lambdarank"};
    const qn_task tasks[] = {QN_TASK_BINARY, QN_TASK_MULTICLASS, QN_TASK_REGRESSION,
                             QN_TASK_RANKING, QN_TASK_RANKING};
    for (int i = 0; i < 5; i++) {
        qn_error err = {0};
        qn_dataset data = dataset_create(tasks[i], K, 2, 0, 0);
        if (i == 4) data.train.groups = qn_alloc_array(2, sizeof(int32_t));
        const qn_objective_params params = params_of("auto");
        const qn_objective *objective;
        CHECK_OK(qn_objective_choose(&params, &data, &objective, &err));
        CHECK_TEXT(objective->name, names[i]);
        dataset_release(&data);
    }
}

static void making_rows_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct rows ranked, other;
    make_queries(&ranked, 5, 30);
    make_rows(&other, &described[1], N, false);
    qn_objective_rows rows;
    CHECK_SURVIVES_NO_MEMORY(qn_objective_rows_create(
        ranked.rows.objective, &ranked.params, &ranked.data, &ranked.data.train, &rows, NULL));
    qn_objective_rows_release(&rows);
    CHECK_SURVIVES_NO_MEMORY(qn_objective_rows_create(other.rows.objective, &other.params,
                                                      &other.data, &other.data.train, &rows, NULL));
    qn_objective_rows_release(&rows);
    release_rows(&ranked);
    release_rows(&other);
}

RUN_TESTS(TEST(no_objective_is_left_out), TEST(derivatives_are_those_of_the_loss),
          TEST(scores_begin_where_the_loss_is_least), TEST(losses_are_those_of_scikit_learn),
          TEST(the_loss_of_huber_is_square_near_and_straight_far), TEST(threads_change_no_bit),
          TEST(lambdas_are_those_of_the_definition), TEST(the_loss_of_lambdarank_is_one_less_ndcg),
          TEST(quantiles_are_those_of_the_sorted_residuals),
          TEST(targets_that_do_not_suit_are_refused), TEST(auto_follows_the_task),
          TEST(making_rows_survives_running_out_of_memory))
