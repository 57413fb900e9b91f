/* SPDX-License-Identifier: Apache-2.0 */
/* How a file is read in parallel:
 *   1. count quotes and newlines per block of bytes; an odd number of quotes before a block means
 *      that it begins within a quoted field, so every chunk can begin at a true record;
 *   2. guess types from the first records of every chunk;
 *   3. parse all chunks at once, each straight into its rows of the final columns (newlines bound
 *      the number of rows, so nothing is copied twice);
 *   4. columns whose type some value did not fit are parsed again, alone, with the wider type;
 *   5. close gaps between chunks, merge the chunks' dictionaries, make validity bitmaps.
 * Stray quotes inside unquoted fields can mislead step 1; then a chunk does not stop where the next
 * one begins, and the file is read again as one chunk. */
#include "source/csv.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "source/csv_chunk.h"
#include "source/names.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { CHUNK_BYTES_MIN = 1 << 18, CHUNKS_PER_THREAD = 4, SAMPLE_RECORDS = 100, PASSES_MAX = 8 };

struct reading {
    const qn_read_request *request;
    const qn_content *content;
    qn_csv_dialect dialect;
    qn_markers markers;
    char **names;
    int64_t n_cols;
    qn_csv_column *columns;
    const char *records; /* after the header */
    int64_t n_chunks;
    qn_csv_chunk *chunks;
    int64_t n_rows, room;
    qn_frame *frame;
    qn_str *warnings;
};

static qn_status no_memory(const struct reading *r, qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", r->dialect.name);
}

/* Names. */

static char *field_name(const qn_csv_field *field, int64_t col)
{
    if (field->bytes == 0) {
        qn_str name = {0};
        qn_str_addf(&name, "column_%" PRId64, col + 1);
        return qn_str_take_text(&name);
    }
    char *name = qn_alloc_array((int64_t)field->bytes + 1, 1);
    if (!name) return NULL;
    size_t bytes = field->bytes;
    if (field->doubled) {
        bytes = qn_csv_unescape(field, name);
    } else {
        memcpy(name, field->text, bytes);
    }
    if (!qn_utf8_first_invalid(name, bytes)) return name;
    char *repaired = qn_utf8_repair(name, bytes, &bytes);
    qn_free(name);
    return repaired;
}

static qn_status read_names(struct reading *r, qn_error *err)
{
    r->n_cols = r->dialect.n_fields;
    r->names = qn_alloc_array(r->n_cols, sizeof *r->names);
    r->columns = qn_alloc_array(r->n_cols, sizeof *r->columns);
    qn_map *seen = qn_map_create(r->n_cols);
    bool complete = r->names && r->columns && seen;
    const char *at = r->dialect.begin;
    for (int64_t col = 0; complete && col < r->n_cols; col++) {
        qn_csv_field field = {0};
        at = qn_csv_next_field(&r->dialect, at, &field);
        if (at < r->dialect.end && *at == r->dialect.delimiter) at++;
        if (!r->dialect.has_header) field.bytes = 0;
        r->names[col] = field_name(&field, col);
        complete = r->names[col] &&
                   qn_name_make_unique(seen, r->dialect.name, col, &r->names[col], r->warnings);
    }
    qn_map_free(seen);
    if (!complete) return no_memory(r, err);
    r->records = r->dialect.has_header ? qn_csv_skip_newline(&r->dialect, at) : r->dialect.begin;
    return QN_OK;
}

/* Chunks. */

struct tally {
    const struct reading *r;
    const char **bounds; /* n + 1 */
    int64_t *quotes, *newlines;
};

static int64_t count_byte(const char *at, const char *end, char wanted)
{
    int64_t n = 0;
#ifdef __SSE2__
    const __m128i pattern = _mm_set1_epi8(wanted), zero = _mm_setzero_si128();
    while (end - at >= 16) {
        __m128i sums = zero;
        for (int i = 0; i < 255 && end - at >= 16; i++, at += 16) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
            sums = _mm_sub_epi8(sums, _mm_cmpeq_epi8(bytes, pattern));
        }
        const __m128i wide = _mm_sad_epu8(sums, zero);
        n += _mm_cvtsi128_si64(wide) + _mm_cvtsi128_si64(_mm_srli_si128(wide, 8));
    }
#endif
    for (; at < end; at++) {
        n += *at == wanted;
    }
    return n;
}

static void tally_block(void *context, int64_t i)
{
    struct tally *tally = context;
    tally->quotes[i] = count_byte(tally->bounds[i], tally->bounds[i + 1], '"');
    tally->newlines[i] =
        count_byte(tally->bounds[i], tally->bounds[i + 1], tally->r->dialect.newline);
}

/* First record that begins at or after `at`, which stands inside a quoted field or not. */
static const char *next_record(const struct reading *r, const char *at, bool quoted)
{
    for (; at < r->dialect.end; at++) {
        if (*at == '"') {
            quoted = !quoted;
        } else if (*at == r->dialect.newline && !quoted) {
            return at + 1;
        }
    }
    return r->dialect.end;
}

static qn_status place_chunks(struct reading *r, const struct tally *tally, int64_t n,
                              qn_error *err)
{
    r->chunks = qn_alloc_array(n, sizeof *r->chunks);
    if (!r->chunks) return no_memory(r, err);
    r->n_chunks = n;
    int64_t n_quotes = 0;
    for (int64_t i = 0; i < n; i++) {
        const char *begin = tally->bounds[i];
        if (i > 0) begin = next_record(r, begin, n_quotes % 2 != 0);
        if (i > 0 && begin < r->chunks[i - 1].begin) begin = r->chunks[i - 1].begin;
        n_quotes += tally->quotes[i];
        r->chunks[i].begin = begin;
        if (i > 0) r->chunks[i - 1].end = begin;
    }
    r->chunks[n - 1].end = r->dialect.end;
    r->room = 0;
    for (int64_t i = 0; i < n; i++) {
        qn_csv_chunk *chunk = &r->chunks[i];
        chunk->first_row = r->room;
        chunk->room = count_byte(chunk->begin, chunk->end, r->dialect.newline) + 1;
        r->room += chunk->room;
        chunk->findings = qn_alloc_array(r->n_cols, sizeof *chunk->findings);
        if (!chunk->findings) return no_memory(r, err);
    }
    return QN_OK;
}

static void release_chunks(struct reading *r)
{
    for (int64_t i = 0; r->chunks && i < r->n_chunks; i++) {
        for (int64_t col = 0; r->chunks[i].findings && col < r->n_cols; col++) {
            qn_interner_release(&r->chunks[i].findings[col].texts);
        }
        qn_free(r->chunks[i].findings);
    }
    qn_free(r->chunks);
    r->chunks = NULL;
    r->n_chunks = 0;
}

static qn_status cut_chunks(struct reading *r, bool whole, qn_error *err)
{
    const size_t bytes = (size_t)(r->dialect.end - r->records);
    const size_t least = r->request->chunk_bytes > 0 ? r->request->chunk_bytes : CHUNK_BYTES_MIN;
    int64_t n = (int64_t)(bytes / least) + 1;
    const int64_t n_most = qn_pool_n_threads(r->request->pool) * CHUNKS_PER_THREAD;
    if (n > n_most) n = n_most;
    if (whole) n = 1;
    release_chunks(r);
    struct tally tally = {.r = r,
                          .bounds = qn_alloc_array(n + 1, sizeof *tally.bounds),
                          .quotes = qn_alloc_array(n, sizeof *tally.quotes),
                          .newlines = qn_alloc_array(n, sizeof *tally.newlines)};
    qn_status status = QN_OK;
    if (!tally.bounds || !tally.quotes || !tally.newlines) {
        status = no_memory(r, err);
    } else {
        for (int64_t i = 0; i <= n; i++) {
            tally.bounds[i] = r->records + bytes * (size_t)i / (size_t)n;
        }
        qn_pool_run(r->request->pool, n, tally_block, &tally);
        status = place_chunks(r, &tally, n, err);
    }
    qn_free(tally.bounds);
    qn_free(tally.quotes);
    qn_free(tally.newlines);
    return status;
}

/* Types. */

static void sample_types(struct reading *r)
{
    for (int64_t col = 0; col < r->n_cols; col++) {
        r->columns[col].type = QN_FIELD_EMPTY;
    }
    for (int64_t i = 0; i < r->n_chunks; i++) {
        const char *at = r->chunks[i].begin, *end = r->chunks[i].end;
        for (int record = 0; record < SAMPLE_RECORDS && at < end; record++) {
            for (int64_t col = 0;; col++) {
                qn_csv_field field;
                at = qn_csv_next_field(&r->dialect, at, &field);
                if (field.fault != QN_CSV_OK) return; /* parsing will say so, with its place */
                if (col < r->n_cols && qn_markers_find(&r->markers, field.text, field.bytes,
                                                       r->columns[col].type) < 0) {
                    r->columns[col].type = qn_field_type_join(
                        r->columns[col].type, qn_field_type_of(field.text, field.bytes));
                }
                if (at == r->dialect.end || *at != r->dialect.delimiter) break;
                at++;
            }
            at = qn_csv_skip_newline(&r->dialect, at);
        }
    }
}

static void choose_types(struct reading *r)
{
    sample_types(r);
    const qn_schema *schema = r->request->schema;
    for (int64_t col = 0; col < r->n_cols; col++) {
        r->columns[col].active = true;
        const int64_t known = schema ? qn_schema_find(schema, r->names[col]) : -1;
        if (known < 0) continue;
        /* What the schema says, unless the sample shows that it cannot be; dates keep the form
         * that the sample has. */
        const qn_field_type wanted = qn_field_of_frame_type(schema->columns[known].type);
        const qn_field_type seen = r->columns[col].type;
        const bool dates = wanted == QN_FIELD_DATE_ISO && seen >= QN_FIELD_DATE_ISO;
        if (!dates) r->columns[col].type = qn_field_type_join(wanted, seen);
    }
}

static size_t width_of(qn_field_type type)
{
    switch (qn_field_frame_type(type)) {
    case QN_TYPE_BOOL:
        return 1;
    case QN_TYPE_STRING:
        return sizeof(int32_t);
    case QN_TYPE_INT64:
    case QN_TYPE_FLOAT64:
    case QN_TYPE_TIMESTAMP:
        break;
    }
    return 8;
}

static qn_status make_room(struct reading *r, qn_error *err)
{
    for (int64_t col = 0; col < r->n_cols; col++) {
        qn_csv_column *column = &r->columns[col];
        if (!column->active) continue;
        qn_free(column->values);
        column->value_bytes = width_of(column->type);
        column->values = qn_alloc_aligned(r->room, column->value_bytes);
        if (!column->values) return no_memory(r, err);
        for (int64_t i = 0; i < r->n_chunks; i++) {
            qn_csv_finding *finding = &r->chunks[i].findings[col];
            qn_interner_release(&finding->texts);
            *finding = (qn_csv_finding){0};
        }
    }
    return QN_OK;
}

struct parsing {
    const qn_csv_pass *pass;
    qn_csv_chunk *chunks;
};

static void parse_chunk(void *context, int64_t i)
{
    struct parsing *parsing = context;
    qn_csv_chunk_parse(parsing->pass, &parsing->chunks[i]);
}

/* True when every chunk stopped where the next one begins. */
static bool chunks_meet(const struct reading *r)
{
    for (int64_t i = 0; i < r->n_chunks; i++) {
        const qn_csv_chunk *chunk = &r->chunks[i];
        if (chunk->stopped_at != chunk->end && chunk->begin < chunk->end) return false;
    }
    return true;
}

/* Widens the columns that need it, and makes only them active; false when there is none. */
static bool widen(struct reading *r)
{
    bool any = false;
    for (int64_t col = 0; col < r->n_cols; col++) {
        qn_field_type needed = QN_FIELD_EMPTY;
        for (int64_t i = 0; i < r->n_chunks; i++) {
            needed = qn_field_type_join(needed, r->chunks[i].findings[col].needed);
        }
        qn_csv_column *column = &r->columns[col];
        column->active = column->active && needed != QN_FIELD_EMPTY;
        if (column->active) column->type = qn_field_type_join(column->type, needed);
        any |= column->active;
    }
    return any;
}

static qn_status parse_all(struct reading *r, qn_error *err)
{
    const qn_csv_pass pass = {.content = r->content,
                              .dialect = &r->dialect,
                              .markers = &r->markers,
                              .columns = r->columns,
                              .n_cols = r->n_cols,
                              .stop = r->request->stop};
    for (int i = 0; i < PASSES_MAX; i++) {
        QN_TRY(make_room(r, err));
        struct parsing parsing = {&pass, r->chunks};
        qn_pool_run(r->request->pool, r->n_chunks, parse_chunk, &parsing);
        /* Faults in a chunk that began at the wrong place say nothing: look at the first. */
        bool failed = false;
        for (int64_t c = 0; c < r->n_chunks; c++) {
            if (r->chunks[c].status == QN_ERR_NOMEM || r->chunks[c].status == QN_ERR_INTERRUPTED) {
                if (err) *err = r->chunks[c].err;
                return r->chunks[c].status;
            }
            failed |= r->chunks[c].status != QN_OK;
        }
        if (r->n_chunks > 1 && (failed || !chunks_meet(r))) {
            /* The types too were guessed from records that may be none. */
            QN_TRY(cut_chunks(r, true, err));
            choose_types(r);
            continue;
        }
        if (failed) {
            if (err) *err = r->chunks[0].err;
            return r->chunks[0].status;
        }
        if (!widen(r)) return QN_OK;
    }
    return qn_fail(err, QN_ERR_DATA, "%s: no types fit its columns", r->dialect.name);
}

/* Columns. */

struct finishing {
    struct reading *r;
    qn_status *statuses;
};

/* Moves the chunks' rows together. */
static void close_gaps(const struct reading *r, qn_csv_column *column)
{
    char *values = column->values;
    int64_t n_rows = 0;
    for (int64_t i = 0; i < r->n_chunks; i++) {
        const qn_csv_chunk *chunk = &r->chunks[i];
        if (n_rows != chunk->first_row) {
            memmove(values + (size_t)n_rows * column->value_bytes,
                    values + (size_t)chunk->first_row * column->value_bytes,
                    (size_t)chunk->n_rows * column->value_bytes);
        }
        n_rows += chunk->n_rows;
    }
}

/* One dictionary of all chunks' texts, in order of first appearance; codes are renumbered. */
static bool merge_texts(const struct reading *r, int64_t col, qn_dictionary *out)
{
    int32_t *codes = r->columns[col].values;
    qn_interner *all = &r->chunks[0].findings[col].texts;
    for (int64_t i = 1; i < r->n_chunks; i++) {
        qn_interner_close(&r->chunks[i].findings[col].texts);
    }
    int64_t first = r->chunks[0].n_rows;
    for (int64_t i = 1; i < r->n_chunks; i++) {
        qn_interner *part = &r->chunks[i].findings[col].texts;
        const int64_t n = part->texts.n;
        int32_t *renumbered = qn_alloc_aligned(n, sizeof *renumbered);
        bool complete = renumbered != NULL;
        for (int64_t t = 0; complete && t < n; t++) {
            size_t bytes;
            const char *text = qn_dictionary_text(&part->texts, t, &bytes);
            renumbered[t] = qn_interner_code(all, text, bytes);
            complete = renumbered[t] >= 0;
        }
        for (int64_t row = first; complete && row < first + r->chunks[i].n_rows; row++) {
            if (codes[row] >= 0) codes[row] = renumbered[codes[row]];
        }
        qn_free(renumbered);
        if (!complete) return false;
        first += r->chunks[i].n_rows;
        qn_interner_release(part);
    }
    return qn_interner_take(all, out);
}

static bool stands_for_missing(const qn_column *column, int64_t row)
{
    switch (column->type) {
    case QN_TYPE_BOOL:
        return column->data.bools[row] == QN_BOOL_MISSING;
    case QN_TYPE_INT64:
    case QN_TYPE_TIMESTAMP:
        return column->data.ints[row] == INT64_MIN;
    case QN_TYPE_FLOAT64:
        return isnan(column->data.doubles[row]);
    case QN_TYPE_STRING:
        break;
    }
    return column->data.codes[row] < 0;
}

static bool make_validity(qn_column *column, int64_t n_rows)
{
    for (int64_t row = 0; row < n_rows; row++) {
        column->n_missing += stands_for_missing(column, row);
    }
    if (column->n_missing == 0) return true;
    column->valid = qn_alloc_array((n_rows + 7) / 8, 1);
    if (!column->valid) return false;
    for (int64_t row = 0; row < n_rows; row++) {
        if (!stands_for_missing(column, row)) {
            column->valid[row >> 3] |= (uint8_t)(1 << (row & 7));
        } else if (column->type == QN_TYPE_BOOL) {
            column->data.bools[row] = 0;
        } else if (column->type == QN_TYPE_INT64 || column->type == QN_TYPE_TIMESTAMP) {
            column->data.ints[row] = 0;
        }
    }
    return true;
}

static bool list_markers(const struct reading *r, int64_t col, qn_column *column)
{
    uint32_t seen = 0;
    for (int64_t i = 0; i < r->n_chunks; i++) {
        seen |= r->chunks[i].findings[col].markers;
    }
    seen &= ~1u; /* an empty field needs no mention */
    if (!seen) return true;
    qn_str list = {0};
    for (int m = 1; m < r->markers.n; m++) {
        if (!((seen >> m) & 1)) continue;
        if (list.bytes > 0) qn_str_add_char(&list, ',');
        qn_str_add_bytes(&list, r->markers.texts[m], r->markers.bytes[m]);
    }
    column->markers = qn_str_take_text(&list);
    return column->markers != NULL;
}

static void finish_column(void *context, int64_t col)
{
    struct finishing *finishing = context;
    struct reading *r = finishing->r;
    qn_csv_column *parsed = &r->columns[col];
    qn_column *column = &r->frame->columns[col];
    close_gaps(r, parsed);
    column->type = qn_field_frame_type(parsed->type);
    bool complete = list_markers(r, col, column);
    if (complete && parsed->type == QN_FIELD_TEXT) {
        complete = merge_texts(r, col, &column->dictionary);
    }
    /* Rows were counted by newlines: blank lines and quoted newlines leave room over. */
    if (r->n_rows < r->room) {
        void *fitted = NULL;
        if (r->room - r->n_rows > r->n_rows / 8) {
            fitted = qn_alloc_aligned(r->n_rows, parsed->value_bytes);
        }
        if (fitted) {
            memcpy(fitted, parsed->values, (size_t)r->n_rows * parsed->value_bytes);
            qn_free(parsed->values);
            parsed->values = fitted;
        }
    }
    column->data.bools = parsed->values;
    parsed->values = NULL;
    complete = complete && make_validity(column, r->n_rows);
    finishing->statuses[col] = complete ? QN_OK : QN_ERR_NOMEM;
}

static void warn_of_bytes(const struct reading *r)
{
    int64_t n = 0;
    const char *first = NULL;
    for (int64_t i = 0; i < r->n_chunks; i++) {
        for (int64_t col = 0; col < r->n_cols; col++) {
            const qn_csv_finding *finding = &r->chunks[i].findings[col];
            n += finding->n_invalid;
            if (finding->first_invalid && (!first || finding->first_invalid < first)) {
                first = finding->first_invalid;
            }
        }
    }
    if (n == 0 || !r->warnings) return;
    qn_error place = {0};
    (void)qn_csv_fail_at(
        &r->dialect, first, &place,
        "%" PRId64 " values are not UTF-8 text; wrong bytes were replaced by U+FFFD (perhaps the "
        "file is Latin-1: iconv -f LATIN1 -t UTF-8)",
        n);
    qn_str_add(r->warnings, place.message);
    qn_str_add_char(r->warnings, '\n');
}

static qn_status finish(struct reading *r, qn_error *err)
{
    r->n_rows = 0;
    for (int64_t i = 0; i < r->n_chunks; i++) {
        r->n_rows += r->chunks[i].n_rows;
    }
    if (r->n_rows == 0) {
        return qn_fail(err, QN_ERR_DATA, "%s: there is a header and no row", r->dialect.name);
    }
    if (r->n_rows > INT32_MAX) {
        return qn_fail(err, QN_ERR_DATA, "%s: %" PRId64 " rows are more than the %d that fit",
                       r->dialect.name, r->n_rows, INT32_MAX);
    }
    warn_of_bytes(r);
    r->frame = qn_frame_create(r->n_rows, r->n_cols);
    struct finishing finishing = {r, qn_alloc_array(r->n_cols, sizeof(qn_status))};
    qn_status status = QN_OK;
    if (!r->frame || !finishing.statuses || !(r->frame->source = qn_strdup(r->dialect.name))) {
        status = no_memory(r, err);
    } else {
        for (int64_t col = 0; col < r->n_cols; col++) {
            r->frame->columns[col].name = r->names[col];
            r->names[col] = NULL;
        }
        qn_pool_run(r->request->pool, r->n_cols, finish_column, &finishing);
        for (int64_t col = 0; col < r->n_cols; col++) {
            if (finishing.statuses[col] != QN_OK) status = no_memory(r, err);
        }
    }
    qn_free(finishing.statuses);
    return status;
}

/* A name that is asked for tells a header where its look does not: y above y, n, y. */
static bool first_record_has(const qn_csv_dialect *dialect, const char *name)
{
    const char *at = dialect->begin;
    for (int64_t i = 0; i < dialect->n_fields; i++) {
        qn_csv_field field;
        at = qn_csv_next_field(dialect, at, &field);
        if (at < dialect->end && *at == dialect->delimiter) at++;
        if (field.bytes == strlen(name) && memcmp(field.text, name, field.bytes) == 0) return true;
    }
    return false;
}

static qn_status sniff(struct reading *r, const char *name, qn_error *err)
{
    const qn_read_request *request = r->request;
    QN_TRY(qn_csv_sniff(name, r->content->data, r->content->bytes, request->delimiter,
                        request->header, &r->dialect, err));
    const char *named = request->named    ? request->named
                        : request->schema ? request->schema->columns[0].name
                                          : NULL;
    if (!r->dialect.has_header && request->header == 0 && named) {
        r->dialect.has_header = first_record_has(&r->dialect, named);
    }
    return QN_OK;
}

static qn_status run(struct reading *r, const char *name, qn_error *err)
{
    const qn_read_request *request = r->request;
    QN_TRY(sniff(r, name, err));
    QN_TRY(qn_markers_init(&r->markers, request->markers, err));
    QN_TRY(read_names(r, err));
    QN_TRY(cut_chunks(r, false, err));
    choose_types(r);
    QN_TRY(parse_all(r, err));
    return finish(r, err);
}

qn_status qn_csv_read(const qn_read_request *request, const char *name, const qn_content *content,
                      qn_frame **out, qn_str *warnings, qn_error *err)
{
    struct reading r = {.request = request, .content = content, .warnings = warnings};
    r.dialect.name = name;
    const qn_status status = run(&r, name, err);
    release_chunks(&r);
    qn_markers_release(&r.markers);
    for (int64_t col = 0; col < r.n_cols; col++) {
        if (r.names) qn_free(r.names[col]);
        if (r.columns) qn_free(r.columns[col].values);
    }
    qn_free(r.names);
    qn_free(r.columns);
    if (status != QN_OK) {
        qn_frame_free(r.frame);
        r.frame = NULL;
    }
    *out = r.frame;
    return status;
}
