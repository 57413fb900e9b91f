/* SPDX-License-Identifier: Apache-2.0 */
/* Gaussian processes for classes, as scikit-learn's GaussianProcessClassifier: Laplace's
 * approximation, one against the rest, hyperparameters of each class on their own. */
#include "learn/gaussian_learner.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

/* What the processes of all classes have in common. */
struct fitting {
    const qn_gaussian_sample *s;
    qn_gaussian_sample part; /* rows that hyperparameters are searched on */
    const qn_gaussian_params *params;
    qn_gaussian_class_request request;
    double *labels; /* s->n */
    double *theta;  /* n_dense + 1 */
};

static void set_labels(const qn_gaussian_sample *from, int32_t class_of, double *labels)
{
    for (int64_t i = 0; i < from->n; i++) {
        labels[i] = from->y[i] == class_of;
    }
}

static void set_rows(struct fitting *f, const qn_gaussian_sample *from)
{
    f->request.n = from->n;
    f->request.x = from->x;
    f->request.y = f->labels;
    f->request.weights = from->weights;
}

/* The process of one class against the others. */
static qn_status fit_class(struct fitting *f, int32_t class_of, qn_gaussian_class *out,
                           qn_error *err)
{
    const int64_t n_dense = f->s->n_dense;
    const double given = f->params->length_scale;
    f->theta[0] = 0;
    for (int64_t c = 0; c < n_dense; c++) {
        f->theta[1 + c] = given > 0 ? log(given) : f->request.length.mean;
    }
    f->request.start = f->theta;
    if (!(given > 0)) {
        set_labels(&f->part, class_of, f->labels);
        set_rows(f, &f->part);
        f->request.iterations_max = f->params->max_iter;
        QN_TRY(qn_gaussian_class_fit(&f->request, out, err));
        memcpy(f->theta, out->hyperparameters, (size_t)(n_dense + 1) * sizeof *f->theta);
        qn_gaussian_class_release(out);
    }
    set_labels(f->s, class_of, f->labels);
    set_rows(f, f->s);
    f->request.iterations_max = 0;
    return qn_gaussian_class_fit(&f->request, out, err);
}

/* `classes`: n_outputs, zeroed. */
static qn_status fit_all(struct fitting *f, const qn_learn_request *request,
                         qn_gaussian_class *classes, qn_learn_result *result, qn_error *err)
{
    const qn_dataset *data = request->data;
    for (int32_t c = 0; c < data->n_outputs; c++) {
        QN_TRY(fit_class(f, data->n_outputs == 1 ? 1 : c, &classes[c], err));
    }
    const qn_gaussian_classes_model model = {.kind = f->request.kind,
                                             .n_outputs = data->n_outputs,
                                             .n_rows = f->s->n,
                                             .n_dense = f->s->n_dense,
                                             .x = f->s->x,
                                             .processes = classes};
    QN_TRY(qn_gaussian_classes_create(&model, &result->estimator, err));
    result->importance =
        qn_alloc_array(data->n_features[QN_VIEW_DENSE], sizeof *result->importance);
    for (int32_t c = 0; result->importance && c < data->n_outputs; c++) {
        qn_gaussian_add_importance(f->s, classes[c].hyperparameters + 1, result->importance);
    }
    for (int64_t c = 0; result->importance && c < f->s->n_dense; c++) {
        result->importance[c] /= data->n_outputs;
    }
    result->stopped = qn_stop_requested(request->stop);
    return QN_OK;
}

qn_status qn_gaussian_classes_fit(const qn_gaussian_sample *s, const qn_learn_request *request,
                                  qn_learn_result *result, qn_error *err)
{
    const qn_gaussian_params *params = request->params;
    const int32_t n_outputs = request->data->n_outputs;
    struct fitting f = {.s = s,
                        .params = params,
                        .request = {.kind = (qn_covariance_kind)params->kernel,
                                    .isotropic = !params->ard,
                                    .n_dims = s->n_dense,
                                    .n_starts = (int)params->n_restarts + 1,
                                    .length = qn_length_prior(s->n_dense),
                                    .seed = request->seed,
                                    .stop = request->stop,
                                    .pool = request->pool}};
    f.request.length.mean += 0.5 * log(12); /* from the width of a cube to standard deviations */
    QN_TRY(qn_gaussian_sample_thin(s, s->n < params->search_rows ? s->n : params->search_rows,
                                   &f.part, err));
    f.labels = qn_alloc_array(s->n, sizeof *f.labels);
    f.theta = qn_alloc_array(s->n_dense + 1, sizeof *f.theta);
    qn_gaussian_class *classes = qn_alloc_array(n_outputs, sizeof *classes);
    qn_status status = f.labels && f.theta && classes
                           ? fit_all(&f, request, classes, result, err)
                           : qn_fail(err, QN_ERR_NOMEM, "no memory for a Gaussian process");
    for (int32_t c = 0; classes && c < n_outputs; c++) {
        qn_gaussian_class_release(&classes[c]);
    }
    qn_free(classes);
    qn_free(f.theta);
    qn_free(f.labels);
    qn_gaussian_sample_release(&f.part);
    return status;
}
