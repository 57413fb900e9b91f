/* SPDX-License-Identifier: Apache-2.0 */
/* The file itself: header, table of sections, sections. See docs/bundle-format.md.
 *
 * Threads: immutable once opened. */
#ifndef QN_BUNDLE_BUNDLE_FILE_H
#define QN_BUNDLE_BUNDLE_FILE_H

#include "base/file.h"

#include <stdbool.h>

enum { QN_BUNDLE_VERSION = 1, QN_SECTIONS_MAX = 16, QN_SECTION_NAME_BYTES = 16 };

typedef struct qn_section {
    char name[QN_SECTION_NAME_BYTES + 1];
    const uint8_t *data; /* aligned to 64 bytes from the start of the file */
    size_t bytes;
} qn_section;

typedef struct qn_bundle_file {
    qn_file_map map;
    int32_t n_sections;
    qn_section sections[QN_SECTIONS_MAX];
} qn_bundle_file; /* close with qn_bundle_file_close() */

/* Maps the file, or reads it into memory (`copy`), and checks everything that has a checksum. Any
 * damage fails with QN_ERR_DATA. */
QN_MUST_CHECK
qn_status qn_bundle_file_open(const char *path, bool copy, qn_bundle_file *out, qn_error *err);
void qn_bundle_file_close(qn_bundle_file *file);
/* NULL when there is none. */
const qn_section *qn_bundle_file_section(const qn_bundle_file *file, const char *name);

QN_MUST_CHECK
qn_status qn_bundle_file_write(const char *path, const qn_section *sections, int32_t n_sections,
                               qn_error *err);

#endif
