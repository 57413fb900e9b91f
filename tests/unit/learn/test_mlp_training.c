/* SPDX-License-Identifier: Apache-2.0 */
/* What a fit keeps of the parameters that its steps pass through. */
#include "base/alloc.h"
#include "base/rng.h"
#include "learn/learner.h"
#include "model/mlp_model.h"

#include "check.h"

#include <stdlib.h>

enum { ROWS = 60, COLUMNS = 3, STEPS = 6, PARAMS_MAX = 256 };

static void make_data(qn_dataset *data, qn_feature *features)
{
    qn_error err = {0};
    qn_rng rng;
    qn_rng_init(&rng, 3, 0);
    *data = (qn_dataset){.task = QN_TASK_BINARY, .n_classes = 2, .n_outputs = 1};
    qn_matrix *x = &data->train.views[QN_VIEW_DENSE];
    CHECK_OK(qn_matrix_init(x, ROWS, COLUMNS, &err));
    data->train.n_rows = ROWS;
    data->train.target = qn_alloc_array(ROWS, sizeof(double));
    data->n_features[QN_VIEW_DENSE] = data->n_dense[QN_VIEW_DENSE] = COLUMNS;
    data->features[QN_VIEW_DENSE] = features;
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t f = 0; f < COLUMNS; f++) {
            x->dense[f * x->stride + i] = qn_rng_normal(&rng);
        }
        data->train.target[i] = x->dense[i] + 0.5 * qn_rng_normal(&rng) > 0;
    }
}

/* The parameters after so many epochs of one step each; returns how many there are. */
static int64_t parameters_after(const qn_dataset *data, int epochs, double averaging, float *out)
{
    const qn_learner *learner = qn_learner_find("mlp");
    qn_learn_result result = {0};
    qn_error err = {0};
    char settings[256];
    snprintf(settings, sizeof settings,
             "n_layers=1,hidden=8,numeric_embedding=none,dropout=0,schedule=constant,"
             "learning_rate=0.05,batch_size=%d,epochs=%d,averaging=%g",
             ROWS, epochs, averaging);
    void *params = calloc(1, learner->params_bytes);
    qn_params_init(learner, params);
    CHECK_OK(qn_params_set(learner, params, settings, &err));
    const qn_learn_request request = {.data = data, .params = params, .seed = 2};
    CHECK_OK(learner->fit(&request, &result, &err));
    const qn_network *network = qn_mlp_network(result.estimator);
    const int64_t n = network->n_params;
    CHECK(n <= PARAMS_MAX);
    memcpy(out, network->params, (size_t)n * sizeof *out);
    qn_estimator_free(result.estimator);
    free(params);
    return n;
}

/* Step i of k counts averaging^(k - i), over the sum of these; near 1 that is the plain mean. */
static void averaged_parameters_are_the_mean_of_those_of_the_steps(void **state)
{
    (void)state;
    qn_dataset data;
    qn_feature features[COLUMNS] = {{.name = NULL}};
    static float steps[STEPS][PARAMS_MAX], average[PARAMS_MAX];
    static const double decays[] = {0.5, 0.9, 0.9999};
    make_data(&data, features);
    for (int k = 0; k < STEPS; k++) {
        parameters_after(&data, k + 1, 0, steps[k]);
    }
    for (size_t d = 0; d < sizeof decays / sizeof *decays; d++) {
        const int64_t n = parameters_after(&data, STEPS, decays[d], average);
        double farthest = 0;
        for (int64_t i = 0; i < n; i++) {
            double sum = 0, total = 0;
            for (int k = 0; k < STEPS; k++) {
                const double weight = pow(decays[d], STEPS - 1 - k);
                sum += weight * (double)steps[k][i];
                total += weight;
            }
            CHECK_NEAR((double)average[i], sum / total, 2e-4 * fmax(1, fabs(sum / total)));
            farthest = fmax(farthest, fabs((double)average[i] - (double)steps[STEPS - 1][i]));
        }
        CHECK(farthest > 0.01); /* of the last step's, which are not kept */
    }
    qn_free(data.train.target);
    qn_matrix_release(&data.train.views[QN_VIEW_DENSE]);
}

RUN_TESTS(TEST(averaged_parameters_are_the_mean_of_those_of_the_steps))
