/* SPDX-License-Identifier: Apache-2.0 */
/* Fields: what the text of one value can be read as. Types form a ladder; a column climbs it until
 * every value fits, and text is the top.
 *
 * Threads: pure functions. */
#ifndef QN_SOURCE_FIELD_H
#define QN_SOURCE_FIELD_H

#include "frame/frame.h"

typedef enum qn_field_type {
    QN_FIELD_EMPTY, /* nothing but missing values so far */
    QN_FIELD_BOOL,
    QN_FIELD_INT,
    QN_FIELD_DOUBLE,
    QN_FIELD_DATE_ISO, /* 2011-01-31, 2011/01/31, perhaps with a clock time and zone */
    QN_FIELD_DATE_MDY, /* 1/31/2011, with '/', '-' or '.' */
    QN_FIELD_DATE_DMY, /* 31/1/2011 */
    QN_FIELD_TEXT
} qn_field_type;

/* The texts that mean "missing", at most 31. */
enum { QN_MARKERS_MAX = 31 };
typedef struct qn_markers {
    int n;
    bool given;                        /* by the user: they hold for every column alike */
    const char *texts[QN_MARKERS_MAX]; /* borrowed */
    uint8_t bytes[QN_MARKERS_MAX];
    bool typed_only[QN_MARKERS_MAX]; /* missing among numbers and dates, a level among texts */
    char *owned;                     /* the user's list, cut up */
} qn_markers;                        /* release with qn_markers_release() */

/* `list` NULL: the usual ones. */
QN_MUST_CHECK
qn_status qn_markers_init(qn_markers *markers, const char *list, qn_error *err);
void qn_markers_release(qn_markers *markers);
/* Index of the marker that the text is in a column of `type`, -1 if none. */
int qn_markers_find(const qn_markers *markers, const char *text, size_t bytes, qn_field_type type);

/* The lowest type that can hold the text. */
qn_field_type qn_field_type_of(const char *text, size_t bytes);
/* The lowest type that holds both. */
qn_field_type qn_field_type_join(qn_field_type a, qn_field_type b);
/* Reads a text as a bool (0 or 1), or microseconds; false when it is not one. */
bool qn_field_parse_bool(const char *text, size_t bytes, uint8_t *out);
bool qn_field_parse_date(qn_field_type type, const char *text, size_t bytes, int64_t *out);
qn_type qn_field_frame_type(qn_field_type type);
qn_field_type qn_field_of_frame_type(qn_type type);

#endif
