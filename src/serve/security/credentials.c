/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/credentials.h"

#include "base/alloc.h"
#include "base/file.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { N_FILES = 5 };

struct qn_credential_store {
    const qn_credential_files *files;
    pthread_mutex_t lock; /* held while `current` is taken or replaced */
    _Atomic(qn_credentials *) current;
    qn_file_identity read[N_FILES]; /* as they were when they were last looked at */
};

void qn_credentials_unref(qn_credentials *credentials)
{
    if (!credentials ||
        atomic_fetch_sub_explicit(&credentials->n_refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    qn_key_file_free(credentials->keys);
    qn_token_keys_free(credentials->tokens);
    qn_tls_config_unref(credentials->tls);
    qn_free(credentials);
}

static qn_status check_files(const qn_credential_files *files, qn_error *err)
{
    if (!files->tls.certificate != !files->tls.key) {
        return qn_fail(err, QN_ERR_ARG, "--tls-cert and --tls-key are given together");
    }
    if (files->tls.client_ca && !files->tls.certificate) {
        return qn_fail(err, QN_ERR_ARG, "--tls-client-ca needs --tls-cert and --tls-key");
    }
    if (!files->jwks != !files->issuer || !files->jwks != !files->audience) {
        return qn_fail(err, QN_ERR_ARG,
                       "--jwks, --jwt-issuer and --jwt-audience are given together: a token that "
                       "was made for another server must not be good for this one");
    }
    return QN_OK;
}

static qn_status read_all(const qn_credential_files *files, qn_credentials *out, qn_error *err)
{
    if (files->keys) QN_TRY(qn_key_file_open(files->keys, &out->keys, err));
    if (files->jwks) {
        QN_TRY(qn_token_keys_open(files->jwks, files->issuer, files->audience, &out->tokens, err));
    }
    if (files->tls.certificate) QN_TRY(qn_tls_config_create(&files->tls, &out->tls, err));
    return QN_OK;
}

static qn_status make(const qn_credential_store *store, qn_credentials **out, qn_error *err)
{
    qn_credentials *credentials = qn_alloc_array(1, sizeof *credentials);
    if (!credentials) return qn_fail(err, QN_ERR_NOMEM, "no memory for credentials");
    atomic_init(&credentials->n_refs, 1);
    const qn_status status = read_all(store->files, credentials, err);
    if (status != QN_OK) {
        qn_credentials_unref(credentials);
        return status;
    }
    *out = credentials;
    return QN_OK;
}

/* Looks at the files; true when one is not the one that was looked at last. */
static bool look(qn_credential_store *store)
{
    const qn_credential_files *files = store->files;
    const char *const paths[N_FILES] = {files->keys, files->jwks, files->tls.certificate,
                                        files->tls.key, files->tls.client_ca};
    bool changed = false;
    for (int i = 0; i < N_FILES; i++) {
        if (!paths[i]) continue;
        const qn_file_identity now = qn_file_identify(paths[i]);
        changed |= !qn_file_is_same(&now, &store->read[i]);
        store->read[i] = now;
    }
    return changed;
}

static void publish(qn_credential_store *store, qn_credentials *credentials)
{
    pthread_mutex_lock(&store->lock);
    qn_credentials *previous = atomic_load_explicit(&store->current, memory_order_relaxed);
    credentials->generation = previous ? previous->generation + 1 : 1;
    atomic_store_explicit(&store->current, credentials, memory_order_release);
    pthread_mutex_unlock(&store->lock);
    qn_credentials_unref(previous);
}

qn_status qn_credential_store_create(const qn_credential_files *files, qn_credential_store **out,
                                     qn_error *err)
{
    qn_credentials *credentials = NULL;
    *out = NULL;
    QN_TRY(check_files(files, err));
    QN_TRY(qn_crypto_begin(err));
    qn_credential_store *store = qn_alloc_array(1, sizeof *store);
    if (!store) return qn_fail(err, QN_ERR_NOMEM, "no memory for credentials");
    store->files = files;
    pthread_mutex_init(&store->lock, NULL);
    look(store);
    const qn_status status = make(store, &credentials, err);
    if (status != QN_OK) {
        qn_credential_store_free(store);
        return status;
    }
    publish(store, credentials);
    *out = store;
    return QN_OK;
}

void qn_credential_store_free(qn_credential_store *store)
{
    if (!store) return;
    qn_credentials_unref(atomic_load(&store->current));
    pthread_mutex_destroy(&store->lock);
    qn_free(store);
}

bool qn_credential_store_reload(qn_credential_store *store, qn_str *messages, bool *changed)
{
    qn_error err = {0};
    qn_credentials *credentials = NULL;
    *changed = false;
    if (!look(store)) return true;
    if (make(store, &credentials, &err) != QN_OK) {
        if (messages) {
            qn_str_addf(messages, "%s; the credentials read before go on\n", err.message);
        }
        return false;
    }
    publish(store, credentials);
    *changed = true;
    if (messages) qn_str_add(messages, "credentials: read anew\n");
    return true;
}

bool qn_credential_store_is_newer(const qn_credential_store *store,
                                  const qn_credentials *credentials)
{
    qn_credential_store *mutable = (qn_credential_store *)(uintptr_t)store;
    return atomic_load_explicit(&mutable->current, memory_order_acquire) != credentials;
}

qn_credentials *qn_credential_store_acquire(qn_credential_store *store)
{
    pthread_mutex_lock(&store->lock);
    qn_credentials *credentials = atomic_load_explicit(&store->current, memory_order_relaxed);
    atomic_fetch_add_explicit(&credentials->n_refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&store->lock);
    return credentials;
}
