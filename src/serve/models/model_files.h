/* SPDX-License-Identifier: Apache-2.0 */
/* Model files: which files there are to serve, under which names and versions – those named one by
 * one, and those found in a folder, as deployments lay them out:
 *
 *     FOLDER/NAME/VERSION.quern
 *     FOLDER/NAME/VERSION/model.quern
 *
 * Whatever else is there is passed over, and what begins with a dot: a file is copied under such a
 * name and then renamed.
 *
 * Threads: one thread at a time. */
#ifndef QN_SERVE_MODELS_MODEL_FILES_H
#define QN_SERVE_MODELS_MODEL_FILES_H

#include "base/error.h"

#include <stdbool.h>

enum { QN_MODELS_MAX = 4096 };

typedef struct qn_model_file {
    char *name, *version, *path;
    bool in_folder; /* found there, and gone from the list when it is gone from there */
} qn_model_file;

typedef struct qn_model_files {
    int64_t n, room;
    qn_model_file *files;
} qn_model_files; /* zero-initialise; release with qn_model_files_release() */

/* `spec` is "[NAME[@VERSION]=]PATH"; the name is else the file's without folder and ending, the
 * version "1". Fails with QN_ERR_ARG (a name or version that cannot be; too many) or QN_ERR_NOMEM.
 */
QN_MUST_CHECK
qn_status qn_model_files_add_spec(qn_model_files *files, const char *spec, qn_error *err);
/* Those in the folder, or (`name` not NULL) those of one name. Fails with QN_ERR_IO (the folder
 * cannot be read), QN_ERR_ARG (too many) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_model_files_add_folder(qn_model_files *files, const char *folder, const char *name,
                                    qn_error *err);
/* Orders them by name and version; fails with QN_ERR_ARG when two are the same version. */
QN_MUST_CHECK
qn_status qn_model_files_sort(qn_model_files *files, qn_error *err);
void qn_model_files_release(qn_model_files *files);

#endif
