/* SPDX-License-Identifier: Apache-2.0 */
/* Interner: gives every distinct text a code, 0, 1, 2 … in order of first appearance, and becomes
 * the dictionary of a string column without a copy.
 *
 * Threads: one writer. */
#ifndef QN_FRAME_INTERNER_H
#define QN_FRAME_INTERNER_H

#include "frame/frame.h"

typedef struct qn_interner {
    qn_dictionary texts;
    int64_t room, bytes_room;
    uint64_t *slots; /* hash << 32 | code */
    uint64_t mask;
} qn_interner; /* all zero is an empty one; release with qn_interner_release() */

void qn_interner_release(qn_interner *interner);

/* The code of a text, given out now if it is new (then texts.n has grown); -1 when out of memory,
 * and nothing has changed. */
int32_t qn_interner_code(qn_interner *interner, const char *text, size_t bytes);

/* Frees what only qn_interner_code() needs, which must not be called after it. */
void qn_interner_close(qn_interner *interner);

/* Hands over the texts, and is empty then; false when out of memory. */
QN_MUST_CHECK
bool qn_interner_take(qn_interner *interner, qn_dictionary *out);

#endif
