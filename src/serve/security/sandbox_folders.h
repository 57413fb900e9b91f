/* SPDX-License-Identifier: Apache-2.0 */
/* The folders that a server needs once it is in its sandbox.
 *
 * Threads: one thread. */
#ifndef QN_SERVE_SECURITY_SANDBOX_FOLDERS_H
#define QN_SERVE_SECURITY_SANDBOX_FOLDERS_H

#include "serve/server.h"

/* Ended by NULL; or NULL for none. */
typedef struct qn_folder_list {
    const char **list;
    int64_t n;
} qn_folder_list;

typedef struct qn_sandbox_folders {
    qn_folder_list read, write, replace;
} qn_sandbox_folders; /* zero-initialise; release with qn_sandbox_folders_release() */

/* False when out of memory. */
bool qn_sandbox_folders_fill(qn_sandbox_folders *folders, const qn_serve_options *options);
void qn_sandbox_folders_release(qn_sandbox_folders *folders);

#endif
