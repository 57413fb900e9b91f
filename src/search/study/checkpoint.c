/* SPDX-License-Identifier: Apache-2.0 */
#include "search/study/checkpoint.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DESCRIPTORS_MAX = 16 }; /* of a walk through a folder */

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for a checkpoint");
}

/* PLACE/trial-NUMBER-HASH; false without memory. */
static bool add_path(const qn_checkpoints *checkpoints, const qn_space *space,
                     const qn_trial_record *trial, qn_str *path)
{
    qn_str params = {0};
    qn_space_write_values(space, trial->values, &(qn_json_writer){.out = &params});
    const bool written = !params.failed;
    if (written) {
        qn_str_addf(path, "%s/trial-%" PRId64 "-%016" PRIx64, checkpoints->place, trial->number,
                    qn_hash64(params.text, params.bytes));
    }
    qn_str_release(&params);
    return written && !path->failed;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

/* Links are removed, not followed. */
static void remove_folder(const char *path)
{
    nftw(path, remove_one, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS);
}

static void remove_of(const qn_checkpoints *checkpoints, const qn_space *space,
                      const qn_trial_record *trial)
{
    qn_str path = {0};
    if (add_path(checkpoints, space, trial, &path)) remove_folder(path.text);
    qn_str_release(&path);
}

static bool has_ended(const qn_trial_record *trial)
{
    return trial->state != QN_TRIAL_WAITING && trial->state != QN_TRIAL_RUNNING;
}

static void sweep(const qn_checkpoints *checkpoints, const qn_history *history, bool lasts)
{
    for (int64_t i = 0; i < history->n_trials; i++) {
        const qn_trial_record *trial = history->trials[i];
        if (!lasts || has_ended(trial)) remove_of(checkpoints, history->space, trial);
    }
}

qn_status qn_checkpoints_open(const char *place, const qn_history *history, qn_checkpoints *out,
                              qn_error *err)
{
    *out = (qn_checkpoints){0};
    if (!place) return QN_OK;
    char *path = mkdir(place, 0777) == 0 || errno == EEXIST ? realpath(place, NULL) : NULL;
    if (!path) return qn_fail(err, QN_ERR_IO, "%s: %s", place, strerror(errno));
    out->place = qn_strdup(path);
    free(path);
    if (!out->place) return no_memory(err);
    sweep(out, history, true);
    return QN_OK;
}

void qn_checkpoints_close(qn_checkpoints *checkpoints, const qn_history *history, bool lasts)
{
    if (checkpoints->place) sweep(checkpoints, history, lasts);
    qn_free(checkpoints->place);
    checkpoints->place = NULL;
}

qn_status qn_checkpoint_begin(const qn_checkpoints *checkpoints, const qn_space *space,
                              const qn_trial_record *trial, qn_arena *arena, const char **path,
                              qn_error *err)
{
    qn_str text = {0};
    *path = NULL;
    if (!checkpoints->place) return QN_OK;
    const bool again = trial->n_retries > 0;
    const char *copy = add_path(checkpoints, space, trial, &text)
                           ? qn_arena_strndup(arena, text.text, text.bytes)
                           : NULL;
    qn_str_release(&text);
    if (!copy) return no_memory(err);
    if (!again) remove_folder(copy);
    if (mkdir(copy, 0777) != 0 && !(again && errno == EEXIST)) {
        return qn_fail(err, QN_ERR_IO, "%s: %s", copy, strerror(errno));
    }
    *path = copy;
    return QN_OK;
}

void qn_checkpoint_end(const qn_checkpoints *checkpoints, const qn_space *space,
                       const qn_trial_record *trial)
{
    if (checkpoints->place && has_ended(trial)) remove_of(checkpoints, space, trial);
}
