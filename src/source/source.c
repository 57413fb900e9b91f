/* SPDX-License-Identifier: Apache-2.0 */
/* The table of connectors, and the choice among them by URI and first bytes. */
#include "source/source.h"

#include "source/connectors.h"
#include "source/content.h"
#include "source/csv.h"

#include <string.h>

const qn_connector *const qn_connectors[] = {&qn_connector_sqlite, NULL};

/* A JSON-lines file begins with an object. */
static bool looks_like_json(const qn_content *content)
{
    size_t at = content->bytes >= 3 && memcmp(content->data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < content->bytes && strchr(" \t\r\n", content->data[at]) && content->data[at]) {
        at++;
    }
    return at < content->bytes && content->data[at] == '{';
}

static qn_status read_file(const qn_read_request *request, const char *path, qn_frame **out,
                           qn_str *warnings, qn_error *err)
{
    qn_content content;
    QN_TRY(qn_content_open(path, request->stop, &content, err));
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    const qn_status status = looks_like_json(&content)
                                 ? qn_jsonl_read(request, name, &content, out, warnings, err)
                                 : qn_csv_read(request, name, &content, out, warnings, err);
    qn_content_close(&content);
    return status;
}

/* "name:" as in a URI; not a Windows path, not a file called "a:b" that exists here. */
static const qn_connector *find_connector(const char *uri)
{
    for (int i = 0; qn_connectors[i]; i++) {
        const size_t n = strlen(qn_connectors[i]->scheme);
        if (strncmp(uri, qn_connectors[i]->scheme, n) == 0 && uri[n] == ':') {
            return qn_connectors[i];
        }
    }
    return NULL;
}

qn_status qn_source_read(const qn_read_request *request, qn_frame **out, qn_str *warnings,
                         qn_error *err)
{
    *out = NULL;
    const char *uri = request->uri;
    const qn_connector *connector = find_connector(uri);
    if (connector) return connector->read(request, uri, out, warnings, err);
    const char *colon = strstr(uri, "://");
    if (colon && colon - uri < 12 && strncmp(uri, "file://", 7) != 0) {
        return qn_fail(
            err, QN_ERR_UNSUPPORTED,
            "%s: this build reads files (.csv .tsv .jsonl, .gz .zst), '-' and sqlite:", uri);
    }
    return read_file(request, strncmp(uri, "file://", 7) == 0 ? uri + 7 : uri, out, warnings, err);
}

qn_status qn_frame_read(const char *uri, int n_threads, qn_frame **out, qn_error *err)
{
    *out = NULL;
    qn_pool *pool = qn_pool_create(n_threads);
    if (!pool) return qn_fail(err, QN_ERR_NOMEM, "no memory for the threads");
    const qn_read_request request = {.uri = uri, .pool = pool};
    const qn_status status = qn_source_read(&request, out, NULL, err);
    qn_pool_free(pool);
    return status;
}
