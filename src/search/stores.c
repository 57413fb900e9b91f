/* SPDX-License-Identifier: Apache-2.0 */
/* The table of store backends. */
#include "base/alloc.h"
#include "search/store.h"

#include <string.h>

const qn_store_backend *const qn_store_backends[] = {&qn_store_sqlite, NULL};

static qn_status find(const char *url, const qn_store_backend **out, const char **place,
                      qn_error *err)
{
    for (int i = 0; qn_store_backends[i]; i++) {
        const size_t bytes = strlen(qn_store_backends[i]->scheme);
        if (strncmp(url, qn_store_backends[i]->scheme, bytes) != 0 || !url[bytes]) continue;
        *out = qn_store_backends[i];
        *place = url + bytes;
        return QN_OK;
    }
    return qn_fail(err, QN_ERR_ARG, "store '%s': expected sqlite:FILE", url);
}

qn_status qn_store_open(const char *url, const char *study, qn_store_mode mode, qn_store *out,
                        qn_error *err)
{
    const char *place = NULL;
    *out = (qn_store){0};
    QN_TRY(find(url, &out->backend, &place, err));
    const qn_status status =
        out->backend->open(place, study, mode, &out->state, &out->definition, err);
    if (status != QN_OK) qn_store_close(out);
    return status;
}

void qn_store_close(qn_store *store)
{
    if (store->state) store->backend->close(store->state);
    qn_free(store->definition);
    *store = (qn_store){0};
}

qn_status qn_store_list(const char *url, void (*visit)(void *context, const char *study),
                        void *context, qn_error *err)
{
    const qn_store_backend *backend;
    const char *place = NULL;
    QN_TRY(find(url, &backend, &place, err));
    return backend->list(place, visit, context, err);
}
