/* SPDX-License-Identifier: Apache-2.0 */
/* What the learners of generalised linear problems (glm.h) share: rows and weights made ready, the
 * penalty given or chosen on the validation rows along a path from strong to weak (each fit starts
 * where the last one ended), and the model in units of the data.
 *
 * Threads: one thread at a time per problem. */
#ifndef QN_LEARN_LINEAR_LINEAR_FIT_H
#define QN_LEARN_LINEAR_LINEAR_FIT_H

#include "learn/learner.h"
#include "learn/linear/glm.h"
#include "model/linear_model.h"

/* How the penalty of the mean loss follows from what the user gives, for a target of scale s. */
typedef enum qn_penalty_unit {
    QN_PENALTY_MEAN,       /* as it is */
    QN_PENALTY_SUM,        /* for the sum of losses: over the sum of weights */
    QN_PENALTY_SUM_SCALED, /* for the sum of losses that grow with s: times s over the sum */
} qn_penalty_unit;

/* Of cross-validation to choose a penalty by: as asked for; where there are no validation rows and
 * nothing is asked for, 5. Row i is left out of fold i modulo their number. */
#define QN_PARAM_CV(member_offset)                                                        \
    {                                                                                     \
        "cv", QN_PARAM_INT, member_offset, 0, 100, 0, 0, false, 0, NULL,                  \
            "folds of the training rows that choose a penalty that is not given; 0: the " \
            "validation rows do, or 5 folds where there are none"                         \
    }
static inline int64_t qn_penalty_folds(const qn_dataset *data, double penalty, int64_t cv)
{
    const int64_t n_folds = cv > 0 ? cv : data->valid.n_rows > 0 ? 0 : 5;
    return penalty > 0 || n_folds < 2 || data->train.n_rows < 2 * n_folds ? 0 : n_folds;
}

typedef struct qn_linear_plan {
    qn_glm_loss loss;
    double shape; /* as in qn_glm; a width in units of the target is scaled with it */
    qn_linear_link link;
    int32_t n_outputs;
    double penalty; /* 0: chosen */
    qn_penalty_unit unit;
    const double *path; /* to choose from, strong to weak, of the mean loss */
    int n_path;
    bool path_is_sum;         /* the path is of the sum of losses */
    int64_t n_folds;          /* that choose a penalty: see qn_penalty_folds(); 0: none do */
    int32_t class_weight;     /* qn_class_weight */
    bool penalises_intercept; /* a penalty given is then for a target as it is, not centred */
    bool dual;                /* as in qn_glm */
    int64_t max_iter;
    double tol;
} qn_linear_plan;

typedef struct qn_linear_problem {
    const qn_learn_request *request;
    const qn_linear_plan *plan;
    qn_design design;
    qn_glm glm;
    double mean, scale;   /* target = mean + scale × what is fitted */
    int32_t positive;     /* one class against the rest; -1: all as they are */
    double *target;       /* n: as fitted */
    double *weights;      /* n, or NULL */
    double *point, *best; /* n_outputs × design.n_cols: the last, the one to keep */
} qn_linear_problem;      /* release with qn_linear_problem_release() */

/* Fails with QN_ERR_NOMEM; QN_ERR_UNSUPPORTED: no dense view. */
QN_MUST_CHECK
qn_status qn_linear_problem_init(qn_linear_problem *problem, const qn_learn_request *request,
                                 const qn_linear_plan *plan, qn_error *err);
void qn_linear_problem_release(qn_linear_problem *problem);
/* Makes class `positive` 1 and the others 0, and begins anew. */
void qn_linear_problem_set_class(qn_linear_problem *problem, int32_t positive);
/* margins[c * n_rows + i] = point_c . x_i, for any matrix of the view. */
void qn_linear_problem_margins(const qn_linear_problem *problem, const double *point,
                               const qn_matrix *x, double *margins);
/* Leaves the minimum in `best`, with the penalty given or chosen. Adds to the rounds. */
QN_MUST_CHECK
qn_status qn_linear_problem_solve(qn_linear_problem *problem, qn_learn_result *result,
                                  qn_error *err);

/* All of it: problem, solution, model. */
QN_MUST_CHECK
qn_status qn_linear_fit(const qn_learn_request *request, const qn_linear_plan *plan,
                        qn_learn_result *result, qn_error *err);

#endif
