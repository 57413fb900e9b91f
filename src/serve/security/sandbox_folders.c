/* SPDX-License-Identifier: Apache-2.0 */
/* Which folders a server needs: those of the files that it may be told to read again. Files are
 * replaced by renaming, so a rule for a file alone would end with it. */
#include "serve/security/sandbox_folders.h"

#include "base/alloc.h"
#include "serve/models/model_files.h"

#include <stdlib.h>
#include <string.h>

/* "/a" of "/a/b", "." of "b", "/" of "/b". */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return qn_strdup(".");
    return qn_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static bool add(qn_folder_list *folders, char *folder)
{
    if (!folder) return false;
    const char **list = qn_realloc_array(folders->list, folders->n + 2, sizeof *list);
    if (!list) {
        qn_free(folder);
        return false;
    }
    list[folders->n++] = folder;
    list[folders->n] = NULL;
    folders->list = list;
    return true;
}

/* A link may lead to a file in another folder. */
static bool add_folders_of(qn_folder_list *folders, const char *path)
{
    if (!path) return true;
    if (!add(folders, folder_of(path))) return false;
    char *real = realpath(path, NULL);
    const bool added = !real || add(folders, folder_of(real));
    free(real);
    return added;
}

/* Of a log: its file is made where it is not there. */
static bool add_folder_of_log(qn_folder_list *folders, const char *path)
{
    return !path || strcmp(path, "-") == 0 || add(folders, folder_of(path));
}

/* Those of the models that are named one by one. A list that cannot be is refused elsewhere. */
static bool add_folders_of_models(qn_folder_list *folders, const char *const *specs)
{
    qn_model_files files = {0};
    bool whole = true;
    for (int64_t i = 0; whole && specs && specs[i]; i++) {
        whole = qn_model_files_add_spec(&files, specs[i], NULL) == QN_OK;
    }
    for (int64_t i = 0; whole && i < files.n; i++) {
        whole = add_folders_of(folders, files.files[i].path);
    }
    qn_model_files_release(&files);
    return whole;
}

bool qn_sandbox_folders_fill(qn_sandbox_folders *folders, const qn_serve_options *options)
{
    const qn_credential_files *files = &options->credentials;
    qn_folder_list *read = &folders->read, *write = &folders->write;
    bool whole =
        add(read, qn_strdup("/proc/self")) && /* for metrics of the process */
        add_folders_of(read, files->keys) && add_folders_of(read, files->jwks) &&
        add_folders_of(read, files->tls.certificate) && add_folders_of(read, files->tls.key) &&
        add_folders_of(read, files->tls.client_ca) && add_folders_of(read, options->tracing.ca);
    for (int i = 0; whole && options->read_folders && options->read_folders[i]; i++) {
        whole = add(read, qn_strdup(options->read_folders[i]));
    }
    if (options->model_dir) whole = whole && add(read, qn_strdup(options->model_dir));
    if (options->routes) {
        whole = whole && add_folders_of(read, options->routes) &&
                add(&folders->replace, folder_of(options->routes));
    }
    if (options->routes_state) {
        whole = whole && add(&folders->replace, folder_of(options->routes_state));
    }
    return whole && add_folders_of_models(read, options->models) &&
           add_folder_of_log(write, options->audit) &&
           add_folder_of_log(write, options->access_log) &&
           add_folder_of_log(write, options->prediction_log);
}

static void release_list(qn_folder_list *folders)
{
    for (int64_t i = 0; i < folders->n; i++) {
        qn_free((void *)(uintptr_t)folders->list[i]);
    }
    qn_free(folders->list);
}

void qn_sandbox_folders_release(qn_sandbox_folders *folders)
{
    release_list(&folders->read);
    release_list(&folders->write);
    release_list(&folders->replace);
    *folders = (qn_sandbox_folders){0};
}
