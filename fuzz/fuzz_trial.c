/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a row that a store has of a trial: the first two say the state, whether it is of
 * another study, and how many objectives there are; the rest is the body. What is taken for a trial
 * must not keep its study from going on. */
#include "fuzz.h"
#include "search/study/study.h"

#include <stdio.h>
#include <stdlib.h>

static qn_study *open_study(bool two)
{
    static const char space[] = "{parameters: {k: {type: categorical, choices: [a, b]},"
                                " x: {type: float, low: 1.0e-4, high: 1, log: true},"
                                " n: {type: int, low: 0, high: 9, when: {k: a}}}%s}";
    char text[256];
    qn_error err = {0};
    qn_study *study;
    snprintf(text, sizeof text, space, two ? ", objectives: {u: minimize, v: maximize}" : "");
    const qn_study_request request = {.space = text, .sampler = "tpe:startup=1", .seed = 1};
    if (qn_study_open(&request, &study, &err) != QN_OK) abort();
    return study;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    qn_error err = {0};
    qn_arena arena = {0};
    qn_stored_trial trial = {0};
    if (bytes < 2) return 0;
    qn_study *study = open_study(data[0] & 1);
    if (qn_stored_trial_unpack((const char *)data + 2, bytes - 2, &arena, &trial, &err) == QN_OK) {
        trial.record.state = (qn_trial_state)(data[1] % 5);
        trial.record.number = -(int64_t)(data[0] >> 7);
        trial.record.told = 1;
        qn_trial *next;
        if (qn_study_restore(study, &trial, 1, &err) == QN_OK &&
            qn_study_ask(study, &next, &err) != QN_OK) {
            abort();
        }
    }
    qn_study_close(study);
    qn_arena_release(&arena);
    return 0;
}
