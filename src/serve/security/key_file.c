/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/key_file.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/map.h"
#include "crypto/private_file.h"
#include "frame/frame.h"
#include "serve/models/served_model.h"

#include <stdio.h>
#include <string.h>

static const char prefix[] = "quern_";

enum { PREFIX_BYTES = sizeof prefix - 1 };

struct qn_key_file {
    qn_arena memory; /* names and grants */
    int64_t n_keys;
    qn_key *keys;
    qn_map *by_id; /* id → index */
};

int64_t qn_key_file_n(const qn_key_file *file)
{
    return file->n_keys;
}

const qn_key *qn_key_file_at(const qn_key_file *file, int64_t i)
{
    return &file->keys[i];
}

void qn_key_file_free(qn_key_file *file)
{
    if (!file) return;
    qn_map_free(file->by_id);
    qn_free(file->keys);
    qn_arena_release(&file->memory);
    qn_free(file);
}

/* Reading. */

static qn_status wrong_key(const qn_key *key, const char *what, qn_error *err)
{
    return qn_fail(err, QN_ERR_DATA, "key '%s': %s", key->id, what);
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the keys");
}

static bool read_time(qn_json_value value, int64_t otherwise, int64_t *out)
{
    const char *text = qn_json_as_text(value, NULL);
    *out = otherwise;
    if (!value) return true;
    return text && qn_timestamp_parse(text, strlen(text), out);
}

static qn_status read_roles(qn_json_value roles, qn_key *key, qn_error *err)
{
    for (int64_t i = 0; i < qn_json_size(roles) && qn_json_is_array(roles); i++) {
        const char *word = qn_json_as_text(qn_json_at(roles, i), "");
        const unsigned role = qn_access_of((qn_span){word, strlen(word)});
        if (role == 0) return wrong_key(key, "a role is predict, read or admin", err);
        key->roles |= role;
    }
    return key->roles ? QN_OK : wrong_key(key, "it has no list of roles", err);
}

/* An empty list would look like "none" and mean "all". */
static qn_status read_grants(qn_arena *memory, qn_json_value models, qn_key *key, qn_error *err)
{
    const int64_t n = models ? qn_json_size(models) : 1;
    if (models && (!qn_json_is_array(models) || n == 0)) {
        return wrong_key(key, "'models' is a list of names; leave it out for all models", err);
    }
    qn_grant *grants = qn_arena_array(memory, n, sizeof *grants);
    if (!grants) return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        grants[i].roles = key->roles;
        if (!models) break;
        const char *model = qn_json_as_text(qn_json_at(models, i), "");
        if (!qn_served_name_is_valid(model)) return wrong_key(key, "no name of a model", err);
        grants[i].model = qn_arena_strdup(memory, model);
        if (!grants[i].model) return no_memory(err);
    }
    key->identity.grants = grants;
    key->identity.n_grants = n;
    return QN_OK;
}

static qn_status read_key(qn_key_file *file, qn_json_value json, qn_key *key, qn_error *err)
{
    const char *id = qn_json_as_text(qn_json_get(json, "id"), "");
    const char *name = qn_json_as_text(qn_json_get(json, "name"), "");
    const char *digest = qn_json_as_text(qn_json_get(json, "digest"), "");
    uint8_t id_bits[QN_KEY_ID_BYTES / 2];
    if (!qn_hex_read(id, strlen(id), id_bits, sizeof id_bits)) {
        return qn_fail(err, QN_ERR_DATA, "an 'id' is %d hexadecimal digits", QN_KEY_ID_BYTES);
    }
    qn_hex_write(id_bits, sizeof id_bits, key->id);
    if (!qn_served_name_is_valid(name) || strlen(name) > QN_KEY_NAME_BYTES_MAX) {
        return wrong_key(key, "its 'name' is not of letters, digits, '.', '_' and '-'", err);
    }
    if (!qn_hex_read(digest, strlen(digest), key->digest, sizeof key->digest)) {
        return wrong_key(key, "its 'digest' is not 64 hexadecimal digits", err);
    }
    if (!read_time(qn_json_get(json, "created"), 0, &key->created_us) ||
        !read_time(qn_json_get(json, "expires"), INT64_MAX, &key->expires_us)) {
        return wrong_key(key, "a time is written as 2026-03-01T00:00:00Z", err);
    }
    QN_TRY(read_roles(qn_json_get(json, "roles"), key, err));
    QN_TRY(read_grants(&file->memory, qn_json_get(json, "models"), key, err));
    key->name = qn_arena_strdup(&file->memory, name);
    snprintf(key->identity.name, sizeof key->identity.name, "key:%s %s", key->id, name);
    return key->name ? QN_OK : no_memory(err);
}

static qn_status read_keys(qn_key_file *file, qn_json_value root, qn_error *err)
{
    const qn_json_value keys = qn_json_get(root, "keys");
    if (qn_json_as_int(qn_json_get(root, "format"), 0) != 1 || !qn_json_is_array(keys)) {
        return qn_fail(err, QN_ERR_DATA,
                       "no file of keys of format 1; make one with 'quern keys create'");
    }
    const int64_t n = qn_json_size(keys);
    if (n > QN_KEYS_MAX) return qn_fail(err, QN_ERR_DATA, "more than %d keys", QN_KEYS_MAX);
    file->keys = qn_alloc_array(n, sizeof *file->keys);
    file->by_id = qn_map_create(n);
    if (!file->keys || !file->by_id) return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        qn_key *key = &file->keys[i];
        QN_TRY(read_key(file, qn_json_at(keys, i), key, err));
        if (qn_map_get(file->by_id, key->id, QN_KEY_ID_BYTES, -1) >= 0) {
            return wrong_key(key, "its id is given twice", err);
        }
        if (!qn_map_set(file->by_id, key->id, QN_KEY_ID_BYTES, i)) return no_memory(err);
        file->n_keys++;
    }
    return QN_OK;
}

qn_status qn_key_file_parse(const char *text, size_t bytes, const char *name, qn_key_file **out,
                            qn_error *err)
{
    *out = NULL;
    qn_json *json = NULL;
    QN_TRY(qn_json_parse(text, bytes, name, &json, err));
    qn_key_file *file = qn_alloc_array(1, sizeof *file);
    const qn_status status = file ? read_keys(file, qn_json_root(json), err) : no_memory(err);
    qn_json_free(json);
    if (status != QN_OK) {
        qn_key_file_free(file);
        return qn_fail_context(err, status, "%s", name);
    }
    *out = file;
    return QN_OK;
}

qn_status qn_key_file_open(const char *path, qn_key_file **out, qn_error *err)
{
    char *text;
    size_t bytes;
    *out = NULL;
    QN_TRY(qn_private_file_read(path, QN_KEY_FILE_BYTES_MAX, &text, &bytes, err));
    const qn_status status = qn_key_file_parse(text, bytes, path, out, err);
    qn_private_text_free(text, bytes);
    return status;
}

/* Look-up. */

bool qn_key_is_key(qn_span text)
{
    return text.bytes > PREFIX_BYTES && memcmp(text.text, prefix, PREFIX_BYTES) == 0;
}

const qn_key *qn_key_file_find(const qn_key_file *file, qn_span text, int64_t now_us,
                               const char **wrong)
{
    static const qn_key nobody;
    uint8_t digest[QN_DIGEST_BYTES];
    const bool whole = qn_key_is_key(text) && text.bytes == QN_KEY_TEXT_BYTES - 1;
    const int64_t at =
        whole ? qn_map_get(file->by_id, text.text + PREFIX_BYTES, QN_KEY_ID_BYTES, -1) : -1;
    const qn_key *key = at >= 0 ? &file->keys[at] : &nobody;
    qn_digest(text.text, text.bytes, digest);
    const bool same = qn_secret_equals(digest, key->digest, sizeof digest);
    *wrong = NULL;
    if (!same || at < 0) {
        *wrong = "the key is not known";
    } else if (now_us >= key->expires_us) {
        *wrong = "the key has expired";
    }
    return *wrong ? NULL : key;
}
