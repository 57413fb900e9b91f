/* SPDX-License-Identifier: Apache-2.0 */
/* The table of store backends. */
#include "base/alloc.h"
#include "base/str.h"
#include "search/stores/store.h"

#include <stdio.h>
#include <string.h>

const qn_store_backend *const qn_store_backends[] = {&qn_store_sqlite, &qn_store_postgres, NULL};

static qn_status find(const char *url, const qn_store_backend **out, qn_error *err)
{
    char forms[128] = "";
    for (int i = 0; qn_store_backends[i]; i++) {
        const qn_store_backend *backend = qn_store_backends[i];
        const size_t bytes = strlen(backend->scheme), used = strlen(forms);
        if (strncmp(url, backend->scheme, bytes) == 0 && url[bytes]) {
            *out = backend;
            return QN_OK;
        }
        snprintf(forms + used, sizeof forms - used, "%s%s", used ? " or " : "", backend->form);
    }
    return qn_fail(err, QN_ERR_ARG, "store '%s': expected %s", url, forms);
}

qn_status qn_store_open(const char *url, const char *study, qn_store_mode mode, qn_store *out,
                        qn_error *err)
{
    *out = (qn_store){0};
    QN_TRY(find(url, &out->backend, err));
    qn_status status = out->backend->open(url, study, mode, &out->state, &out->worker, err);
    if (status == QN_OK) status = out->backend->read_definition(out->state, &out->definition, err);
    if (status == QN_OK && mode == QN_STORE_READ && !out->definition) {
        status = qn_fail(err, QN_ERR_ARG, "%s: there is no study '%s'", url, study);
    }
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
    QN_TRY(find(url, &backend, err));
    return backend->list(url, visit, context, err);
}
