/* SPDX-License-Identifier: Apache-2.0 */
/* The table of learners, and the reading and writing of their parameters. */
#include "base/nearest.h"
#include "learn/learner.h"

#include "learn/additive/ebm.h"
#include "learn/constant.h"
#include "learn/linear/linear_learners.h"
#include "learn/mlp/mlp_learner.h"
#include "learn/simple_learners.h"
#include "learn/svm/kernel_svm.h"
#include "learn/tree/tree_learners.h"

#include <string.h>

/* One a line. */
/* clang-format off */
const qn_learner *const qn_learners[] = {
    &qn_learner_gbdt,
    &qn_learner_extra_trees,
    &qn_learner_random_forest,
    &qn_learner_ebm,
    &qn_learner_logistic,
    &qn_learner_ridge,
    &qn_learner_mlp,
    &qn_learner_elastic_net,
    &qn_learner_glm,
    &qn_learner_linear,
    &qn_learner_linear_svm,
    &qn_learner_gaussian_process,
    &qn_learner_svm,
    &qn_learner_knn,
    &qn_learner_naive_bayes,
    &qn_learner_decision_tree,
    &qn_learner_constant,
    NULL,
};
/* clang-format on */

const qn_learner *qn_learner_find(const char *name)
{
    for (int i = 0; qn_learners[i]; i++) {
        if (strcmp(qn_learners[i]->name, name) == 0) return qn_learners[i];
    }
    return NULL;
}

qn_status qn_learner_require(const char *name, const qn_learner **out, qn_error *err)
{
    const char *names[sizeof qn_learners / sizeof *qn_learners];
    int64_t n = 0;
    *out = qn_learner_find(name);
    if (*out) return QN_OK;
    for (; qn_learners[n]; n++) {
        names[n] = qn_learners[n]->name;
    }
    const char *near = qn_nearest_name(name, names, n);
    return near ? qn_fail(err, QN_ERR_ARG, "there is no learner '%s'; did you mean '%s'?", name,
                          near)
                : qn_fail(err, QN_ERR_ARG, "there is no learner '%s'; 'quern learners' lists them",
                          name);
}

static void store(const qn_param *param, void *params, double value)
{
    char *at = (char *)params + param->offset;
    switch (param->type) {
    case QN_PARAM_FLOAT:
        memcpy(at, &value, sizeof value);
        break;
    case QN_PARAM_INT:
        memcpy(at, &(int64_t){(int64_t)value}, sizeof(int64_t));
        break;
    case QN_PARAM_BOOL:
        memcpy(at, &(bool){value != 0}, sizeof(bool));
        break;
    case QN_PARAM_CHOICE:
        memcpy(at, &(int32_t){(int32_t)value}, sizeof(int32_t));
        break;
    }
}

double qn_param_value(const qn_param *param, const void *params)
{
    const char *at = (const char *)params + param->offset;
    double number = 0;
    int64_t whole = 0;
    bool flag = false;
    int32_t choice = 0;
    switch (param->type) {
    case QN_PARAM_FLOAT:
        memcpy(&number, at, sizeof number);
        return number;
    case QN_PARAM_INT:
        memcpy(&whole, at, sizeof whole);
        return (double)whole;
    case QN_PARAM_BOOL:
        memcpy(&flag, at, sizeof flag);
        return flag;
    case QN_PARAM_CHOICE:
        memcpy(&choice, at, sizeof choice);
        break;
    }
    return choice;
}

void qn_params_init(const qn_learner *learner, void *params)
{
    for (const qn_param *param = learner->params; param->name; param++) {
        store(param, params, param->fallback);
    }
}

static const qn_param *find_param(const qn_learner *learner, const char *name, size_t bytes)
{
    for (const qn_param *param = learner->params; param->name; param++) {
        if (strlen(param->name) == bytes && memcmp(param->name, name, bytes) == 0) return param;
    }
    return NULL;
}

/* Names that bundles and settings of earlier versions have for a choice, once a flag. */
static const struct {
    const char *before, *now;
} former_names[] = {{"class_weight_balanced", "class_weight"}, {"balanced", "class_weight"}};

static const qn_param *find_former(const qn_learner *learner, const char *name, size_t bytes)
{
    for (size_t i = 0; i < sizeof former_names / sizeof *former_names; i++) {
        const char *before = former_names[i].before, *now = former_names[i].now;
        if (strlen(before) == bytes && memcmp(before, name, bytes) == 0) {
            return find_param(learner, now, strlen(now));
        }
    }
    return NULL;
}

static qn_status unknown(const qn_learner *learner, const char *name, size_t bytes, qn_error *err)
{
    const char *names[64];
    char wanted[64];
    int64_t n = 0;
    for (const qn_param *param = learner->params; param->name && n < 64; param++) {
        names[n++] = param->name;
    }
    const size_t kept = bytes < sizeof wanted - 1 ? bytes : sizeof wanted - 1;
    memcpy(wanted, name, kept);
    wanted[kept] = '\0';
    const char *near = qn_nearest_name(wanted, names, n);
    return qn_fail(err, QN_ERR_ARG, "%s has no parameter '%s'%s%s%s", learner->name, wanted,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool parse_flag(const char *text, size_t bytes, double *out)
{
    const bool yes = (bytes == 4 && memcmp(text, "true", 4) == 0) || (bytes == 1 && *text == '1');
    const bool no = (bytes == 5 && memcmp(text, "false", 5) == 0) || (bytes == 1 && *text == '0');
    *out = yes;
    return yes || no;
}

static bool parse_value(const qn_param *param, const char *text, size_t bytes, double *out)
{
    if (param->type == QN_PARAM_BOOL && parse_flag(text, bytes, out)) return true;
    for (int i = 0; param->type == QN_PARAM_CHOICE && param->choices[i]; i++) {
        if (strlen(param->choices[i]) == bytes && memcmp(param->choices[i], text, bytes) == 0) {
            *out = i;
            return true;
        }
    }
    return param->type != QN_PARAM_CHOICE && qn_parse_double(text, bytes, out) &&
           (param->type != QN_PARAM_INT || *out == floor(*out));
}

qn_status qn_params_set(const qn_learner *learner, void *params, const char *text, qn_error *err)
{
    for (const char *at = text; at && *at;) {
        const size_t n = strcspn(at, ",");
        const char *equals = memchr(at, '=', n);
        const size_t name_bytes = equals ? (size_t)(equals - at) : n;
        const qn_param *own = find_param(learner, at, name_bytes);
        const qn_param *param = own ? own : find_former(learner, at, name_bytes);
        double value;
        if (!param) return unknown(learner, at, name_bytes, err);
        const size_t bytes = equals ? n - name_bytes - 1 : 0;
        if (!equals || !(own ? parse_value(own, equals + 1, bytes, &value)
                             : parse_flag(equals + 1, bytes, &value))) {
            return qn_fail(err, QN_ERR_ARG, "%s: '%.*s' is no value of %s", learner->name,
                           (int)bytes, equals ? equals + 1 : "", param->name);
        }
        if (param->type != QN_PARAM_CHOICE && (value < param->low || value > param->high)) {
            return qn_fail(err, QN_ERR_ARG, "%s: %s=%g is not between %g and %g", learner->name,
                           param->name, value, param->low, param->high);
        }
        store(param, params, value);
        at += n + (at[n] == ',');
    }
    return QN_OK;
}

void qn_params_write_json(const qn_learner *learner, const void *params, qn_json_writer *json)
{
    for (const qn_param *param = learner->params; param->name; param++) {
        const double value = qn_param_value(param, params);
        if (param->type == QN_PARAM_BOOL) {
            qn_json_put_bool(json, param->name, value != 0);
        } else if (param->type == QN_PARAM_CHOICE) {
            qn_json_put_text(json, param->name, param->choices[(int)value]);
        } else {
            qn_json_put_double(json, param->name, value);
        }
    }
}
