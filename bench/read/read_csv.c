/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a table and says how long that took: for run.py beside it. */
#include "base/clock.h"
#include "quern/frame.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    qn_error err = {0};
    qn_frame *frame = NULL;
    const double begun = qn_clock_s();
    if (argc < 2 || qn_frame_read(argv[1], 2, &frame, &err) != QN_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("seconds %.4f\n", qn_clock_s() - begun);
    qn_frame_free(frame);
    return 0;
}
