/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/dataset.h"

#include "base/alloc.h"
#include "learn/tree/bins.h"

static void release_part(qn_dataset_part *part)
{
    for (int view = 0; view < QN_N_VIEWS; view++) {
        qn_matrix_release(&part->views[view]);
    }
    qn_free(part->target);
    qn_free(part->weights);
    qn_free(part->groups);
}

void qn_dataset_release(qn_dataset *dataset)
{
    release_part(&dataset->train);
    release_part(&dataset->valid);
    qn_bins_free(dataset->bins);
    *dataset = (qn_dataset){0};
}
