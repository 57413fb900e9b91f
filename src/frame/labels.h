/* SPDX-License-Identifier: Apache-2.0 */
/* Renaming labels: a test table may spell its classes differently from the training table. */
#ifndef QN_FRAME_LABELS_H
#define QN_FRAME_LABELS_H

#include "frame/frame.h"

/* A new frame in which the texts of `column` lose the characters of `strip` at both ends, and are
 * then renamed by `map`, "from=to,from=to". Either may be NULL. A column that is not of strings
 * is turned into its text first. */
QN_MUST_CHECK
qn_status qn_frame_map_labels(const qn_frame *frame, int64_t column, const char *map,
                              const char *strip, qn_frame **out, qn_error *err);

#endif
