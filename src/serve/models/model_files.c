/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/model_files.h"

#include "base/alloc.h"
#include "base/str.h"
#include "serve/models/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char ending[] = ".quern", file_in_folder[] = "/model.quern";

/* Takes the texts, also when it fails. */
static qn_status add(qn_model_files *files, qn_model_file file, qn_error *err)
{
    qn_status status = QN_OK;
    if (!file.name || !file.version || !file.path) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the list of models");
    } else if (files->n == QN_MODELS_MAX) {
        status = qn_fail(err, QN_ERR_ARG, "%s: a server takes %d models; this is one more",
                         file.path, QN_MODELS_MAX);
    } else if (files->n == files->room) {
        const int64_t room = files->room ? 2 * files->room : 16;
        qn_model_file *wider = qn_realloc_array(files->files, room, sizeof *wider);
        if (wider) {
            files->files = wider;
            files->room = room;
        } else {
            status = qn_fail(err, QN_ERR_NOMEM, "no memory for the list of models");
        }
    }
    if (status == QN_OK) {
        files->files[files->n++] = file;
    } else {
        qn_free(file.name);
        qn_free(file.version);
        qn_free(file.path);
    }
    return status;
}

void qn_model_files_release(qn_model_files *files)
{
    for (int64_t i = 0; i < files->n; i++) {
        qn_free(files->files[i].name);
        qn_free(files->files[i].version);
        qn_free(files->files[i].path);
    }
    qn_free(files->files);
    *files = (qn_model_files){0};
}

/* Specs. */

/* "credit" of "models/credit.quern". */
static char *name_of_path(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    return qn_strndup(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

qn_status qn_model_files_add_spec(qn_model_files *files, const char *spec, qn_error *err)
{
    const char *equals_sign = strchr(spec, '='), *slash = strchr(spec, '/');
    const bool named = equals_sign && !(slash && slash < equals_sign);
    const char *path = named ? equals_sign + 1 : spec;
    const char *at = named ? memchr(spec, '@', (size_t)(equals_sign - spec)) : NULL;
    const char *name_end = at ? at : equals_sign;
    QN_TRY(add(files,
               (qn_model_file){.path = qn_strdup(path),
                               .name = named ? qn_strndup(spec, (size_t)(name_end - spec))
                                             : name_of_path(path),
                               .version = at ? qn_strndup(at + 1, (size_t)(equals_sign - at - 1))
                                             : qn_strdup("1")},
               err));
    const qn_model_file *file = &files->files[files->n - 1];
    if (qn_served_name_is_valid(file->name) && qn_served_name_is_valid(file->version)) return QN_OK;
    return qn_fail(err, QN_ERR_ARG,
                   "%s: '%s@%s' is no name to serve a model by; give one of letters, digits, '.', "
                   "'_' and '-' as NAME=%s",
                   spec, file->name, file->version, path);
}

/* Folders. */

static qn_status fail_folder(const char *path, qn_error *err)
{
    return qn_fail(err, QN_ERR_IO, "--model-dir: %s: %s", path, strerror(errno));
}

/* What kind of thing a path leads to, or 0: gone, or not to be looked at. */
static mode_t kind_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? info.st_mode & S_IFMT : 0;
}

/* "2" of "2.quern", or of "2" when there is a file "2/model.quern"; else NULL, *wrong being set
 * when that is for lack of memory. *path becomes the file's. */
static char *version_of(const char *folder, const char *entry, qn_str *path, bool *no_memory)
{
    const size_t bytes = strlen(entry), tail = sizeof ending - 1;
    const bool is_file = bytes > tail && strcmp(entry + bytes - tail, ending) == 0;
    qn_str_clear(path);
    qn_str_addf(path, "%s/%s%s", folder, entry, is_file ? "" : file_in_folder);
    char *version = qn_strndup(entry, is_file ? bytes - tail : bytes);
    *no_memory = path->failed || !version;
    if (!*no_memory && qn_served_name_is_valid(version) && kind_of(path->text) == S_IFREG) {
        return version;
    }
    qn_free(version);
    return NULL;
}

/* All versions of one name. A folder that is not there has none. */
static qn_status add_versions(qn_model_files *files, const char *folder, const char *name,
                              qn_error *err)
{
    qn_status status = QN_OK;
    qn_str path = {0};
    DIR *entries = opendir(folder);
    if (!entries) return errno == ENOENT ? QN_OK : fail_folder(folder, err);
    for (const struct dirent *entry; status == QN_OK && (entry = readdir(entries));) {
        bool no_memory = false;
        char *version = version_of(folder, entry->d_name, &path, &no_memory);
        if (no_memory) status = qn_fail(err, QN_ERR_NOMEM, "no memory for the list of models");
        if (!version) continue;
        status = add(files,
                     (qn_model_file){.name = qn_strdup(name),
                                     .version = version,
                                     .path = qn_strdup(path.text),
                                     .in_folder = true},
                     err);
    }
    closedir(entries);
    qn_str_release(&path);
    return status;
}

static qn_status add_name(qn_model_files *files, const char *folder, const char *name,
                          qn_error *err)
{
    qn_str path = {0};
    if (!qn_served_name_is_valid(name)) return QN_OK;
    qn_str_addf(&path, "%s/%s", folder, name);
    qn_status status = QN_OK;
    if (path.failed) {
        status = qn_fail(err, QN_ERR_NOMEM, "no memory for the list of models");
    } else if (kind_of(path.text) == S_IFDIR) {
        status = add_versions(files, path.text, name, err);
    }
    qn_str_release(&path);
    return status;
}

qn_status qn_model_files_add_folder(qn_model_files *files, const char *folder, const char *name,
                                    qn_error *err)
{
    qn_status status = QN_OK;
    DIR *entries = opendir(folder);
    if (!entries) return fail_folder(folder, err);
    if (name) {
        status = add_name(files, folder, name, err);
    } else {
        for (const struct dirent *entry; status == QN_OK && (entry = readdir(entries));) {
            status = add_name(files, folder, entry->d_name, err);
        }
    }
    closedir(entries);
    return status;
}

/* Order. */

static int compare_files(const void *a, const void *b)
{
    const qn_model_file *x = a, *y = b;
    const int names = strcmp(x->name, y->name);
    return names ? names : qn_version_compare(x->version, y->version);
}

qn_status qn_model_files_sort(qn_model_files *files, qn_error *err)
{
    if (files->n > 0) qsort(files->files, (size_t)files->n, sizeof *files->files, compare_files);
    for (int64_t i = 1; i < files->n; i++) {
        const qn_model_file *one = &files->files[i - 1], *two = &files->files[i];
        if (compare_files(one, two) != 0) continue;
        return qn_fail(err, QN_ERR_ARG,
                       "%s and %s would both be '%s@%s'; tell them apart as NAME@VERSION=PATH",
                       one->path, two->path, two->name, two->version);
    }
    return QN_OK;
}
