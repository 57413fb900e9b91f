/* SPDX-License-Identifier: Apache-2.0 */
/* Making keys and taking them out. The file is replaced as a whole, under a lock, so that two who
 * edit it at once both get what they asked for, and a server that reads it sees one or the other
 * state. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "frame/frame.h"
#include "serve/models/served_model.h"
#include "serve/security/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static qn_status fail_io(const char *path, qn_error *err)
{
    return qn_fail(err, QN_ERR_IO, "%s: %s", path, strerror(errno));
}

/* The file open and locked, made when it is not there; -1 with errno. Whoever waited for the lock
 * may hold that of a file that was replaced meanwhile. */
static int lock_file(const char *path)
{
    for (;;) {
        const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
        struct stat opened, named;
        if (fd < 0) return -1;
        const bool locked = flock(fd, LOCK_EX) == 0 && fstat(fd, &opened) == 0;
        const int code = locked ? 0 : errno;
        if (locked && stat(path, &named) == 0 && opened.st_dev == named.st_dev &&
            opened.st_ino == named.st_ino) {
            return fd;
        }
        close(fd);
        errno = code;
        if (code != 0 && code != EINTR) return -1;
    }
}

static void write_time(qn_json_writer *json, const char *name, int64_t micros)
{
    char text[QN_VALUE_TEXT_BYTES];
    qn_timestamp_format_utc(micros, text);
    qn_json_put_text(json, name, text);
}

static void write_key(qn_json_writer *json, const qn_key *key)
{
    static const qn_access roles[] = {QN_ACCESS_PREDICT, QN_ACCESS_READ, QN_ACCESS_ADMIN};
    char digest[2 * QN_DIGEST_BYTES + 1];
    qn_hex_write(key->digest, sizeof key->digest, digest);
    qn_json_begin_object(json);
    qn_json_put_text(json, "id", key->id);
    qn_json_put_text(json, "name", key->name);
    qn_json_put_text(json, "digest", digest);
    qn_json_key(json, "roles");
    qn_json_begin_array(json);
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (key->roles & roles[i]) qn_json_text(json, qn_access_name(roles[i]));
    }
    qn_json_end_array(json);
    if (key->identity.grants[0].model) {
        qn_json_key(json, "models");
        qn_json_begin_array(json);
        for (int64_t i = 0; i < key->identity.n_grants; i++) {
            qn_json_text(json, key->identity.grants[i].model);
        }
        qn_json_end_array(json);
    }
    write_time(json, "created", key->created_us);
    if (key->expires_us != INT64_MAX) write_time(json, "expires", key->expires_us);
    qn_json_end_object(json);
}

/* All keys but the one of that id (may be NULL), then `added` (may be NULL). */
static qn_status write_file(const qn_key_file *file, const char *path, const char *without,
                            const qn_key *added, qn_error *err)
{
    qn_str text = {0};
    qn_json_writer json = {.out = &text, .indent = true};
    qn_json_begin_object(&json);
    qn_json_put_int(&json, "format", 1);
    qn_json_key(&json, "keys");
    qn_json_begin_array(&json);
    for (int64_t i = 0; file && i < qn_key_file_n(file); i++) {
        const qn_key *key = qn_key_file_at(file, i);
        if (!without || strcmp(key->id, without) != 0) write_key(&json, key);
    }
    if (added) write_key(&json, added);
    qn_json_end_array(&json);
    qn_json_end_object(&json);
    qn_str_add_char(&text, '\n');
    const qn_status status = text.failed
                                 ? qn_fail(err, QN_ERR_NOMEM, "%s: no memory to write it", path)
                                 : qn_file_write_private(path, text.text, text.bytes, err);
    qn_str_release(&text);
    return status;
}

/* An empty file is one that was just made. */
static qn_status open_locked(int fd, const char *path, qn_key_file **out, qn_error *err)
{
    struct stat info;
    *out = NULL;
    if (fstat(fd, &info) != 0) return fail_io(path, err);
    return S_ISREG(info.st_mode) && info.st_size == 0 ? QN_OK : qn_key_file_open(path, out, err);
}

/* The text of a new key, its id and digest. */
static void make_secret(qn_key *key, char text[QN_KEY_TEXT_BYTES])
{
    uint8_t id[QN_KEY_ID_BYTES / 2], secret[QN_KEY_SECRET_BYTES];
    char encoded[QN_BASE64URL_ROOM(QN_KEY_SECRET_BYTES)];
    qn_random_bytes(id, sizeof id);
    qn_random_bytes(secret, sizeof secret);
    qn_hex_write(id, sizeof id, key->id);
    qn_base64url_write(secret, sizeof secret, encoded, sizeof encoded);
    snprintf(text, QN_KEY_TEXT_BYTES, "quern_%s_%.43s", key->id, encoded);
    qn_digest(text, QN_KEY_TEXT_BYTES - 1, key->digest);
    qn_secret_wipe(secret, sizeof secret);
    qn_secret_wipe(encoded, sizeof encoded);
}

static qn_status check_request(const qn_key_request *request, qn_error *err)
{
    if (!qn_served_name_is_valid(request->name) || strlen(request->name) > QN_KEY_NAME_BYTES_MAX) {
        return qn_fail(err, QN_ERR_ARG,
                       "'%s' is no name for a key; use up to %d letters, digits, '.', '_' and '-'",
                       request->name, QN_KEY_NAME_BYTES_MAX);
    }
    for (int i = 0; request->models && request->models[i]; i++) {
        if (qn_served_name_is_valid(request->models[i])) continue;
        return qn_fail(err, QN_ERR_ARG, "'%s' is no name of a model", request->models[i]);
    }
    if (request->roles != 0) return QN_OK;
    return qn_fail(err, QN_ERR_ARG, "a key needs a role: predict, read, admin");
}

static qn_status add_key(int fd, const qn_key_request *request, const qn_key *key, qn_error *err)
{
    qn_key_file *file;
    QN_TRY(open_locked(fd, request->path, &file, err));
    const bool full = file && qn_key_file_n(file) >= QN_KEYS_MAX;
    const qn_status status = full ? qn_fail(err, QN_ERR_ARG, "%s: it has %d keys; revoke some",
                                            request->path, QN_KEYS_MAX)
                                  : write_file(file, request->path, NULL, key, err);
    qn_key_file_free(file);
    return status;
}

qn_status qn_key_create(const qn_key_request *request, char text[QN_KEY_TEXT_BYTES], qn_error *err)
{
    QN_TRY(check_request(request, err));
    QN_TRY(qn_crypto_begin(err));
    int64_t n = 0;
    while (request->models && request->models[n]) {
        n++;
    }
    qn_grant *grants = qn_alloc_array(n + 1, sizeof *grants);
    if (!grants) return qn_fail(err, QN_ERR_NOMEM, "no memory for the key");
    for (int64_t i = 0; i < n; i++) {
        grants[i].model = request->models[i];
    }
    qn_key key = {.name = request->name,
                  .roles = request->roles,
                  .created_us = request->created_us,
                  .expires_us = request->expires_us,
                  .identity = {.grants = grants, .n_grants = n}};
    make_secret(&key, text);
    const int fd = lock_file(request->path);
    const qn_status status = fd < 0 ? fail_io(request->path, err) : add_key(fd, request, &key, err);
    if (fd >= 0) close(fd);
    if (status != QN_OK) qn_secret_wipe(text, QN_KEY_TEXT_BYTES);
    qn_free(grants);
    return status;
}

static qn_status remove_key(const char *path, const char *id, qn_error *err)
{
    qn_key_file *file;
    bool found = false;
    QN_TRY(qn_key_file_open(path, &file, err));
    for (int64_t i = 0; i < qn_key_file_n(file); i++) {
        found |= strcmp(qn_key_file_at(file, i)->id, id) == 0;
    }
    const qn_status status =
        found
            ? write_file(file, path, id, NULL, err)
            : qn_fail(err, QN_ERR_ARG, "%s: there is no key '%s'; see 'quern keys list'", path, id);
    qn_key_file_free(file);
    return status;
}

qn_status qn_key_revoke(const char *path, const char *id, qn_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) return fail_io(path, err); /* do not make one to take out of */
    const int fd = lock_file(path);
    if (fd < 0) return fail_io(path, err);
    const qn_status status = remove_key(path, id, err);
    close(fd);
    return status;
}
