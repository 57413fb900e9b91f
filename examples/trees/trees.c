/* SPDX-License-Identifier: Apache-2.0 */
/* Boosted trees on a matrix of one's own: train with early stopping, predict, save.
 *
 *     cc trees.c -o trees $(pkg-config --cflags --libs quern) -lm && ./trees */
#include <quern/trees.h>

#include <math.h>
#include <stdio.h>

enum { ROWS = 4000, FEATURES = 3, VALID = 1000 };

static double x[ROWS][FEATURES], y[ROWS];

/* The same numbers on every machine. */
static double draw(void)
{
    static unsigned state = 1;
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / (1 << 24);
}

static qn_trees_rows rows(int begin, int n)
{
    return (qn_trees_rows){.n_rows = n,
                           .values = x[begin],
                           .row_stride = FEATURES,
                           .feature_stride = 1,
                           .target = y + begin};
}

static int fail(const qn_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

int main(void)
{
    for (int i = 0; i < ROWS; i++) {
        for (int f = 0; f < FEATURES; f++) {
            x[i][f] = draw();
        }
        y[i] = 10 * x[i][0] * x[i][1] + x[i][2] + 0.1 * draw();
    }
    static const char *const names[FEATURES] = {"width", "height", "depth"};
    static const int8_t rising[FEATURES] = {1, 1, 0};
    const qn_trees_request request = {.n_features = FEATURES,
                                      .feature_names = names,
                                      .train = rows(0, ROWS - VALID),
                                      .valid = rows(ROWS - VALID, VALID),
                                      .params = "learning_rate=0.1,num_leaves=15",
                                      .monotone_constraints = rising};
    qn_error err;
    qn_trees *trees;
    if (qn_trees_train(&request, &trees, &err) != QN_OK) return fail(&err);

    double predicted[VALID], sum = 0;
    if (qn_trees_predict(trees, &request.valid, 0, false, 0, predicted, &err) != QN_OK) {
        return fail(&err);
    }
    for (int i = 0; i < VALID; i++) {
        sum += pow(predicted[i] - y[ROWS - VALID + i], 2);
    }
    printf("rmse %.3f\n", sqrt(sum / VALID));
    for (int f = 0; f < FEATURES; f++) {
        printf("%-6s %.2f of the gain\n", names[f], qn_trees_importance(trees)[f]);
    }
    if (qn_trees_save(trees, "boxes.quern", NULL, &err) != QN_OK) return fail(&err);
    qn_trees_free(trees);
    return 0;
}
