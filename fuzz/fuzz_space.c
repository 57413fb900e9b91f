/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a space file; what is read as one is drawn from, and written and read again. */
#include "base/rng.h"
#include "fuzz.h"
#include "search/space/space.h"

#include <stdlib.h>

static void draw(const qn_space *space)
{
    double *values = calloc((size_t)space->n + 1, sizeof *values);
    qn_rng rng;
    if (!values) return;
    qn_rng_init(&rng, 1, 2);
    for (int i = 0; i < 3; i++) {
        for (int64_t at = 0; at < space->n; at++) {
            values[at] = qn_parameter_draw(&space->parameters[at], &rng);
        }
        qn_space_settle(space, values);
        (void)qn_space_satisfies(space, values);
    }
    free(values);
}

/* A space that was read is one that is read again. */
static void write_and_read(const qn_space *space)
{
    qn_error err = {0};
    qn_str text = {0};
    qn_space again;
    qn_objectives objectives = {0};
    qn_space_write(space, NULL, &(qn_json_writer){.out = &text});
    if (qn_space_read("again", text.text, text.bytes, &again, &objectives, &err) != QN_OK) abort();
    if (again.n != space->n) abort();
    qn_space_release(&again);
    qn_str_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    qn_error err = {0};
    qn_space space;
    qn_objectives objectives = {0};
    if (qn_space_read("fuzz", data, bytes, &space, &objectives, &err) != QN_OK) return 0;
    draw(&space);
    write_and_read(&space);
    qn_space_release(&space);
    return 0;
}
