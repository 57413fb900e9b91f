/* SPDX-License-Identifier: Apache-2.0 */
/* Naive Bayes, each column by what it is: numbers are Gaussian in each class, the indicators of a
 * category categorical (or each a Bernoulli variable), the words of a text multinomial, Bernoulli
 * or complement (Rennie et al. 2003). The definitions are scikit-learn's: variances gain
 * var_smoothing times the largest one of a column, counts alpha. */
#include "learn/simple_learners.h"

#include "base/alloc.h"
#include "model/bayes_model.h"

#include <math.h>
#include <string.h>

enum { CATEGORICAL, BERNOULLI_CATEGORIES };
enum { MULTINOMIAL, COMPLEMENT, BERNOULLI_TEXT };

struct bayes_params {
    double alpha, var_smoothing;
    int32_t categories, text;
};

#define AT(member) offsetof(struct bayes_params, member)

static const char *const category_models[] = {"categorical", "bernoulli", NULL};
static const char *const text_models[] = {"multinomial", "complement", "bernoulli", NULL};

static const qn_param params_table[] = {
    {"alpha", QN_PARAM_FLOAT, AT(alpha), 1e-10, 1e6, 1e-3, 10, true, 1, NULL,
     "added to every count, so that nothing is impossible"},
    {"var_smoothing", QN_PARAM_FLOAT, AT(var_smoothing), 0, 1e6, 1e-9, 1, true, 1e-9, NULL,
     "share of the largest variance of a column that every variance gains"},
    {"categories", QN_PARAM_CHOICE, AT(categories), 0, 1, 0, 1.99, false, CATEGORICAL,
     category_models, "one level of many, or every level present or absent by itself"},
    {"text", QN_PARAM_CHOICE, AT(text), 0, 2, 0, 2.99, false, MULTINOMIAL, text_models,
     "how the words of a class are counted"},
    {0}};

struct fit {
    const qn_dataset *data;
    const struct bayes_params *params;
    const qn_matrix *x;
    qn_bayes_parts parts;
    double *class_weights; /* n_classes */
    double *sums;          /* n_classes × features: weighted sums of values */
};

static double weight_of(const struct fit *fit, int64_t i)
{
    return fit->data->train.weights ? fit->data->train.weights[i] : 1;
}

static int32_t class_of(const struct fit *fit, int64_t i)
{
    return (int32_t)fit->data->train.target[i];
}

static void add_sums(struct fit *fit)
{
    const qn_matrix *x = fit->x;
    const int64_t n_features = x->n_dense + x->n_sparse;
    for (int64_t i = 0; i < x->n_rows; i++) {
        fit->class_weights[class_of(fit, i)] += weight_of(fit, i);
    }
    for (int64_t f = 0; f < x->n_dense; f++) {
        for (int64_t i = 0; i < x->n_rows; i++) {
            fit->sums[class_of(fit, i) * n_features + f] +=
                weight_of(fit, i) * x->dense[f * x->stride + i];
        }
    }
    for (int64_t i = 0; x->n_sparse > 0 && i < x->n_rows; i++) {
        double *own = fit->sums + class_of(fit, i) * n_features + x->n_dense;
        for (int64_t j = x->sparse_starts[i]; j < x->sparse_starts[i + 1]; j++) {
            const double value = (double)x->sparse_values[j];
            own[x->sparse_cols[j]] += weight_of(fit, i) * (fit->parts.presence ? value > 0 : value);
        }
    }
}

static bool is_indicator(const qn_matrix *x, int64_t f)
{
    for (int64_t i = 0; i < x->n_rows; i++) {
        const double value = x->dense[f * x->stride + i];
        if (value != 0 && value != 1) return false;
    }
    return true;
}

static double variance_of(const qn_matrix *x, int64_t f, double *mean)
{
    const double *column = x->dense + f * x->stride;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < x->n_rows; i++) {
        sum += column[i];
    }
    *mean = sum / (double)x->n_rows;
    for (int64_t i = 0; i < x->n_rows; i++) {
        squares += (column[i] - *mean) * (column[i] - *mean);
    }
    return squares / (double)x->n_rows;
}

/* Mean and variance of column f in each class; those of all rows for a class without any. Sums of
 * squares stand in the place of precisions until then. */
static void fit_number(struct fit *fit, int64_t f, double added)
{
    qn_bayes_parts *p = &fit->parts;
    const double *column = fit->x->dense + f * fit->x->stride, two_pi = 6.283185307179586;
    double *means = p->means + f, *precisions = p->precisions + f, mean;
    const int64_t step = p->n_dense;
    const double variance = variance_of(fit->x, f, &mean);
    for (int32_t c = 0; c < p->n_classes; c++) {
        const double w = fit->class_weights[c];
        means[c * step] = w > 0 ? fit->sums[c * (p->n_dense + p->n_sparse) + f] / w : mean;
    }
    for (int64_t i = 0; i < fit->x->n_rows; i++) {
        const int32_t c = class_of(fit, i);
        const double d = column[i] - means[c * step];
        precisions[c * step] += weight_of(fit, i) * d * d;
    }
    for (int32_t c = 0; c < p->n_classes; c++) {
        const double w = fit->class_weights[c];
        const double own = fmax((w > 0 ? precisions[c * step] / w : variance) + added, 1e-12);
        precisions[c * step] = 1 / own;
        p->intercepts[c] -= 0.5 * log(two_pi * own);
    }
}

/* Column f by itself: present with probability p, which a = log p - log(1 - p), b += log(1 - p)
 * says. */
static void fit_presence(struct fit *fit, int64_t f)
{
    qn_bayes_parts *p = &fit->parts;
    const int64_t n_features = p->n_dense + p->n_sparse;
    for (int32_t c = 0; c < p->n_classes; c++) {
        const double own = (fit->sums[c * n_features + f] + fit->params->alpha) /
                           (fit->class_weights[c] + 2 * fit->params->alpha);
        p->coefficients[c * n_features + f] = log(own) - log1p(-own);
        p->intercepts[c] += log1p(-own);
    }
}

/* Columns first … first + n - 1 share the class's mass: the levels of a category, whose mass is the
 * weight of the class, or the words of all texts, whose mass is their sum. */
static void fit_shares(struct fit *fit, int64_t first, int64_t n, bool of_sum)
{
    qn_bayes_parts *p = &fit->parts;
    const int64_t n_features = p->n_dense + p->n_sparse;
    for (int32_t c = 0; c < p->n_classes; c++) {
        const double *sums = fit->sums + c * n_features + first;
        double total = of_sum ? 0 : fit->class_weights[c];
        for (int64_t f = 0; of_sum && f < n; f++) {
            total += sums[f];
        }
        for (int64_t f = 0; f < n; f++) {
            p->coefficients[c * n_features + first + f] =
                log((sums[f] + fit->params->alpha) / (total + fit->params->alpha * (double)n));
        }
    }
}

/* A word speaks against a class by its share in all the others. */
static void fit_complement(struct fit *fit, int64_t first, int64_t n)
{
    qn_bayes_parts *p = &fit->parts;
    const int64_t n_features = p->n_dense + p->n_sparse;
    for (int32_t c = 0; c < p->n_classes; c++) {
        double *out = p->coefficients + c * n_features + first, total = 0;
        for (int64_t f = 0; f < n; f++) {
            out[f] = fit->params->alpha;
            for (int32_t other = 0; other < p->n_classes; other++) {
                if (other != c) out[f] += fit->sums[other * n_features + first + f];
            }
            total += out[f];
        }
        for (int64_t f = 0; f < n; f++) {
            out[f] = -log(out[f] / total);
        }
    }
}

static void fit_prior(struct fit *fit)
{
    double total = 0;
    for (int32_t c = 0; c < fit->parts.n_classes; c++) {
        total += fit->class_weights[c];
    }
    for (int32_t c = 0; c < fit->parts.n_classes; c++) {
        fit->parts.intercepts[c] = log(fmax(fit->class_weights[c], 1e-10 * total) / total);
    }
}

/* Indicators of the category that column f begins: how many; 0 for a number. */
static int64_t group_of(const struct fit *fit, int64_t f)
{
    const qn_feature *features = fit->data->features[QN_VIEW_DENSE];
    int64_t n = 0;
    while (f + n < fit->x->n_dense && features[f + n].input == features[f].input &&
           is_indicator(fit->x, f + n)) {
        n++;
    }
    return n;
}

static void fit_dense(struct fit *fit)
{
    const int64_t n_dense = fit->x->n_dense;
    double largest = 0, mean;
    for (int64_t f = 0; f < n_dense; f++) {
        if (!is_indicator(fit->x, f)) largest = fmax(largest, variance_of(fit->x, f, &mean));
    }
    for (int64_t f = 0; f < n_dense;) {
        const int64_t n = group_of(fit, f);
        if (n == 0) {
            fit_number(fit, f, fit->params->var_smoothing * largest);
        } else if (n > 1 && fit->params->categories == CATEGORICAL) {
            fit_shares(fit, f, n, false);
        } else {
            for (int64_t i = 0; i < n; i++) {
                fit_presence(fit, f + i);
            }
        }
        f += n > 0 ? n : 1;
    }
}

static void fit_sparse(struct fit *fit)
{
    const int64_t first = fit->x->n_dense, n = fit->x->n_sparse;
    if (fit->params->text == MULTINOMIAL) {
        fit_shares(fit, first, n, true);
    } else if (fit->params->text == COMPLEMENT) {
        fit_complement(fit, first, n);
    } else {
        for (int64_t f = first; f < first + n; f++) {
            fit_presence(fit, f);
        }
    }
}

static qn_status allocate(struct fit *fit, qn_error *err)
{
    qn_bayes_parts *p = &fit->parts;
    const int64_t k = p->n_classes, n_features = p->n_dense + p->n_sparse;
    p->intercepts = qn_alloc_array(k, sizeof(double));
    p->coefficients = qn_alloc_array(k * n_features, sizeof(double));
    p->means = qn_alloc_array(k * p->n_dense, sizeof(double));
    p->precisions = qn_alloc_array(k * p->n_dense, sizeof(double));
    fit->class_weights = qn_alloc_array(k, sizeof(double));
    fit->sums = qn_alloc_array(k * n_features, sizeof(double));
    return p->intercepts && p->coefficients && p->means && p->precisions && fit->class_weights &&
                   fit->sums
               ? QN_OK
               : qn_fail(err, QN_ERR_NOMEM, "no memory for naive Bayes");
}

static qn_status fit_model(const qn_learn_request *request, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    const struct bayes_params *params = request->params;
    struct fit fit = {.data = data, .params = params, .x = &data->train.views[QN_VIEW_DENSE]};
    *result = (qn_learn_result){0};
    if (data->n_features[QN_VIEW_DENSE] == 0 || !fit.x->dense) {
        return qn_fail(err, QN_ERR_UNSUPPORTED, "there is no dense view to fit on");
    }
    fit.parts = (qn_bayes_parts){.n_classes = data->n_classes,
                                 .n_dense = fit.x->n_dense,
                                 .n_sparse = fit.x->n_sparse,
                                 .presence = params->text == BERNOULLI_TEXT};
    qn_status status = allocate(&fit, err);
    if (status == QN_OK) {
        add_sums(&fit);
        /* Complement naive Bayes has no prior. */
        if (params->text != COMPLEMENT || fit.x->n_sparse == 0) fit_prior(&fit);
        fit_dense(&fit);
        if (fit.x->n_sparse > 0) fit_sparse(&fit);
        status = qn_bayes_create(&fit.parts, &result->estimator, err);
    }
    qn_bayes_parts_release(&fit.parts);
    qn_free(fit.class_weights);
    qn_free(fit.sums);
    return status;
}

const qn_learner qn_learner_naive_bayes = {
    .name = "naive_bayes",
    .help =
        "naive Bayes: Gaussian numbers, categorical or Bernoulli levels, multinomial, complement"
        " or Bernoulli text",
    .source = "Rennie et al. 2003, Manning, Raghavan & Schuetze 2008",
    .tasks = 1u << QN_TASK_BINARY | 1u << QN_TASK_MULTICLASS,
    .capabilities = QN_LEARNER_WEIGHTS,
    .view = QN_VIEW_DENSE,
    .params = params_table,
    .params_bytes = sizeof(struct bayes_params),
    .fit = fit_model,
};
