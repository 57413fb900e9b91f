/* SPDX-License-Identifier: Apache-2.0 */
/* Free text. Both views: counts of length, words, capitals, digits and punctuation.
 * Dense view: TF-IDF (sublinear tf, smooth idf, unit length, as scikit-learn's TfidfVectorizer) of
 * words, pairs of words and the 3- to 5-letter pieces of words, hashed into 2^16 columns.
 * Tree view: how often (a plain count) each of up to 60 such tokens occurs, those that go most with
 * the target in training. */
#include "recipe/transform.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKET_BITS = 16,
    N_BUCKETS = 1 << BUCKET_BITS,
    TOKENS_MAX = QN_TEXT_BYTES_MAX * 5,
    WORD_BYTES_MAX = 64,
    PIECE_LOW = 3,
    PIECE_HIGH = 5,
    N_COUNTS = 7,
    N_SELECTED = 60,
    ROWS_MIN = 2
};

static const char *const count_names[N_COUNTS] = {
    "~length", "~words", "~capitals", "~digits", "~punctuation", "~spaces", "~word_length"};

struct text {
    int32_t n_used;
    int32_t *buckets; /* increasing; sparse column i is bucket buckets[i] */
    float *idf;       /* per sparse column */
    int32_t *columns; /* N_BUCKETS: the sparse column of each, or -1 */
    int32_t n_selected;
    int32_t selected[N_SELECTED]; /* buckets */
    qn_scale scales[N_COUNTS];
};

static void free_state(void *memory)
{
    struct text *state = memory;
    if (!state) return;
    qn_free(state->buckets);
    qn_free(state->columns);
    qn_free(state->idf);
    qn_free(state);
}

/* Lower case of ASCII and of the Latin-1, Greek and Cyrillic letters of two bytes. */
static void lower(const char *text, size_t bytes, unsigned char *out)
{
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        out[i] = c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
        if (i == 0) continue;
        const unsigned char lead = out[i - 1];
        if (lead == 0xc3 && c >= 0x80 && c <= 0x9e && c != 0x97) out[i] = (unsigned char)(c + 32);
        if (lead == 0xce && c >= 0x91 && c <= 0x9f) out[i] = (unsigned char)(c + 32);
        if (lead == 0xd0 && c >= 0x90 && c <= 0x9f) out[i] = (unsigned char)(c + 32);
        /* The second halves of both alphabets have their small letters under the next lead. */
        const bool is_late_greek = lead == 0xce && c >= 0xa0 && c <= 0xa9 && c != 0xa2;
        if (is_late_greek || (lead == 0xd0 && c >= 0xa0 && c <= 0xaf)) {
            out[i - 1] = (unsigned char)(lead + 1);
            out[i] = (unsigned char)(c - 32);
        }
    }
}

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80 || c == '_';
}

static int32_t bucket(const unsigned char *text, size_t bytes, uint64_t seed)
{
    return (int32_t)(qn_hash64_seeded(text, bytes, seed) >> (64 - BUCKET_BITS));
}

/* Buckets of all tokens of a text, in their order. */
static int32_t tokens(const char *text, size_t bytes, int32_t *out, int32_t *n_words)
{
    unsigned char low[QN_TEXT_BYTES_MAX];
    int32_t n = 0;
    uint64_t previous = 0;
    if (bytes > QN_TEXT_BYTES_MAX) bytes = QN_TEXT_BYTES_MAX;
    lower(text, bytes, low);
    *n_words = 0;
    for (size_t i = 0; i < bytes;) {
        if (!is_letter(low[i])) {
            i++;
            continue;
        }
        size_t end = i;
        while (end < bytes && is_letter(low[end])) {
            end++;
        }
        const uint64_t hash = qn_hash64_seeded(low + i, end - i, 1);
        out[n++] = (int32_t)(hash >> (64 - BUCKET_BITS));
        if (*n_words > 0) {
            out[n++] = (int32_t)(qn_hash_mix(previous, hash) >> (64 - BUCKET_BITS));
        }
        previous = hash;
        ++*n_words;
        /* Pieces of the word with a space at both ends. */
        unsigned char padded[WORD_BYTES_MAX + 2] = {' '};
        const size_t length = end - i < WORD_BYTES_MAX ? end - i : WORD_BYTES_MAX;
        memcpy(padded + 1, low + i, length);
        padded[length + 1] = ' ';
        for (size_t size = PIECE_LOW; size <= PIECE_HIGH; size++) {
            for (size_t at = 0; at + size <= length + 2 && n < TOKENS_MAX; at++) {
                out[n++] = bucket(padded + at, size, 2);
            }
        }
        if (n > TOKENS_MAX - 2 * (WORD_BYTES_MAX + 2) * 3) break;
        i = end;
    }
    return n;
}

static int by_number(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* By the low byte, then by the high one; `spare` has room for n. Not qsort(), which may allocate.
 */
static void sort_tokens(int32_t *items, int32_t n, int32_t *spare)
{
    if (n > 32) {
        for (int shift = 0; shift < BUCKET_BITS; shift += 8) {
            int32_t starts[257] = {0};
            for (int32_t i = 0; i < n; i++) {
                starts[(items[i] >> shift & 255) + 1]++;
            }
            for (int byte = 0; byte < 256; byte++) {
                starts[byte + 1] += starts[byte];
            }
            for (int32_t i = 0; i < n; i++) {
                spare[starts[items[i] >> shift & 255]++] = items[i];
            }
            memcpy(items, spare, (size_t)n * sizeof *items);
        }
        return;
    }
    for (int32_t i = 1; i < n; i++) {
        const int32_t item = items[i];
        int32_t at = i;
        for (; at > 0 && item < items[at - 1]; at--) {
            items[at] = items[at - 1];
        }
        items[at] = item;
    }
}

static int32_t apply_sparse(const qn_step *step, const qn_cell *cell, int32_t *cols, float *values,
                            void *scratch)
{
    const struct text *state = step->state;
    int32_t *list = scratch, n_words, n = 0;
    if (!cell->text) return 0;
    const int32_t n_tokens = tokens(cell->text, cell->text_bytes, list, &n_words);
    sort_tokens(list, n_tokens, list + TOKENS_MAX);
    double squares = 0;
    for (int32_t i = 0; i < n_tokens;) {
        int32_t next = i + 1;
        while (next < n_tokens && list[next] == list[i]) {
            next++;
        }
        const int32_t column = state->columns[list[i]];
        if (column >= 0) {
            const double value = (1 + log((double)(next - i))) * (double)state->idf[column];
            cols[n] = column;
            values[n++] = (float)value;
            squares += value * value;
        }
        i = next;
    }
    const double scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (int32_t i = 0; i < n; i++) {
        values[i] = (float)((double)values[i] * scale);
    }
    return n;
}

static void count_signs(const qn_cell *cell, double *out)
{
    for (int c = 0; c < N_COUNTS; c++) {
        out[c] = cell->text ? 0 : QN_NA;
    }
    if (!cell->text) return;
    const size_t bytes =
        cell->text_bytes < QN_TEXT_BYTES_MAX ? cell->text_bytes : QN_TEXT_BYTES_MAX;
    bool in_word = false;
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)cell->text[i];
        const bool space = c == ' ' || (c >= '\t' && c <= '\r');
        const bool digit = c >= '0' && c <= '9', capital = c >= 'A' && c <= 'Z';
        const bool letter = capital || (c >= 'a' && c <= 'z') || c >= 0x80;
        out[0] += (c & 0xc0) != 0x80; /* characters, not bytes */
        out[1] += !space && !in_word;
        out[2] += capital;
        out[3] += digit;
        out[4] += !space && !digit && !letter;
        out[5] += space;
        in_word = !space;
    }
    out[6] = out[1] > 0 ? (out[0] - out[5]) / out[1] : 0;
}

/* Fitting. */

struct association {
    double strength;
    int32_t bucket;
};

static int by_strength(const void *left, const void *right)
{
    const struct association *a = left, *b = right;
    if (a->strength != b->strength) return a->strength > b->strength ? -1 : 1;
    return (a->bucket > b->bucket) - (a->bucket < b->bucket);
}

/* Rows that have each token, and the sum of their (centred) target. */
static void count_tokens(const qn_fit_column *column, int32_t *list, float *rows, double *sums)
{
    const int32_t n_classes = column->request->schema->n_classes;
    for (int64_t i = 0; i < column->n_rows; i++) {
        const qn_cell *cell = &column->cells[i];
        int32_t n_words;
        if (!cell->text) continue;
        const int32_t n = tokens(cell->text, cell->text_bytes, list, &n_words);
        const double y =
            (n_classes == 0 ? column->target[i] : column->target[i] == 1) - column->prior_mean;
        sort_tokens(list, n, list + TOKENS_MAX);
        for (int32_t t = 0; t < n; t++) {
            if (t > 0 && list[t] == list[t - 1]) continue;
            rows[list[t]] += 1;
            sums[list[t]] += y;
        }
    }
}

static void select_tokens(const qn_fit_column *column, struct text *state, const float *counts,
                          const double *sums, struct association *order)
{
    const double rows_min = fmax(5, 0.005 * (double)column->n_rows);
    int32_t n = 0;
    for (int32_t b = 0; b < N_BUCKETS; b++) {
        const double rows = (double)counts[b];
        if (rows < rows_min || rows > 0.9 * (double)column->n_rows) continue;
        order[n++] = (struct association){fabs(sums[b]) / sqrt(rows), b};
    }
    qsort(order, (size_t)n, sizeof *order, by_strength);
    state->n_selected = n < N_SELECTED ? n : N_SELECTED;
    for (int32_t i = 0; i < state->n_selected; i++) {
        state->selected[i] = order[i].bucket;
    }
    qsort(state->selected, (size_t)state->n_selected, sizeof *state->selected, by_number);
}

/* Buckets of tokens that at least two texts have become columns. */
static bool number_columns(const qn_fit_column *column, struct text *state, const float *counts)
{
    const double n_texts = (double)column->n_rows;
    state->columns = qn_alloc_array(N_BUCKETS, sizeof *state->columns);
    state->buckets = qn_alloc_array(N_BUCKETS, sizeof *state->buckets);
    state->idf = qn_alloc_array(N_BUCKETS, sizeof *state->idf);
    if (!state->columns || !state->buckets || !state->idf) return false;
    for (int32_t b = 0; b < N_BUCKETS; b++) {
        state->columns[b] = -1;
        if (counts[b] < ROWS_MIN) continue;
        state->columns[b] = state->n_used;
        state->buckets[state->n_used] = b;
        state->idf[state->n_used++] = (float)(log((1 + n_texts) / (1 + (double)counts[b])) + 1);
    }
    return true;
}

static qn_status fit_tokens(const qn_fit_column *column, struct text *state, qn_error *err)
{
    int32_t *list = qn_alloc_array(2 * TOKENS_MAX, sizeof *list); /* half of it to sort */
    double *sums = qn_alloc_array(N_BUCKETS, sizeof *sums);
    float *counts = qn_alloc_array(N_BUCKETS, sizeof *counts);
    struct association *order = qn_alloc_array(N_BUCKETS, sizeof *order);
    bool complete = list && sums && counts && order;
    if (complete) {
        count_tokens(column, list, counts, sums);
        select_tokens(column, state, counts, sums, order);
        complete = number_columns(column, state, counts);
    }
    qn_free(list);
    qn_free(sums);
    qn_free(counts);
    qn_free(order);
    return complete ? QN_OK
                    : qn_fail(err, QN_ERR_NOMEM, "no memory for the words of '%s'",
                              column->schema_column->name);
}

static qn_status fit_counts(const qn_fit_column *column, struct text *state, qn_error *err)
{
    const int64_t n = column->n_rows;
    double *values = qn_alloc_array(n * N_COUNTS, sizeof *values);
    if (!values) return qn_fail(err, QN_ERR_NOMEM, "no memory for a column of texts");
    for (int64_t i = 0; i < n; i++) {
        double row[N_COUNTS];
        count_signs(&column->cells[i], row);
        for (int c = 0; c < N_COUNTS; c++) {
            values[c * n + i] = row[c];
        }
    }
    qn_status status = QN_OK;
    for (int c = 0; c < N_COUNTS && status == QN_OK; c++) {
        status = qn_scale_fit(values + c * n, n, true, &state->scales[c], err);
    }
    qn_free(values);
    return status;
}

static void set_sizes(qn_step *step)
{
    step->n_sparse = ((const struct text *)step->state)->n_used;
    step->sparse_max = TOKENS_MAX;
    step->scratch_bytes = 2 * TOKENS_MAX * sizeof(int32_t); /* half of it to sort */
}

static qn_status fit(const qn_fit_column *column, qn_step *step, qn_error *err)
{
    const char *name = column->schema_column->name;
    struct text *state = qn_alloc_array(1, sizeof *state);
    step->state = state;
    if (!state) return qn_fail(err, QN_ERR_NOMEM, "no memory for a column of texts");
    QN_TRY(fit_tokens(column, state, err));
    QN_TRY(fit_counts(column, state, err));
    for (int c = 0; c < N_COUNTS; c++) {
        QN_TRY(qn_step_add_feature(step, QN_VIEW_TREE, name, count_names[c], 0, err));
        QN_TRY(qn_step_add_feature(step, QN_VIEW_DENSE, name, count_names[c], 0, err));
    }
    for (int32_t i = 0; i < state->n_selected; i++) {
        char suffix[32];
        snprintf(suffix, sizeof suffix, "~token_%d", state->selected[i]);
        QN_TRY(qn_step_add_feature(step, QN_VIEW_TREE, name, suffix, 0, err));
    }
    set_sizes(step);
    return QN_OK;
}

/* How often each selected token occurs. */
static void apply_selected(const struct text *state, const qn_cell *cell, double *out,
                           int64_t stride)
{
    int32_t list[TOKENS_MAX], n_words;
    for (int32_t s = 0; s < state->n_selected; s++) {
        out[s * stride] = 0;
    }
    if (!cell->text || state->n_selected == 0) return;
    const int32_t n = tokens(cell->text, cell->text_bytes, list, &n_words);
    for (int32_t t = 0; t < n; t++) {
        const int32_t *found = bsearch(&list[t], state->selected, (size_t)state->n_selected,
                                       sizeof *state->selected, by_number);
        if (found) out[(found - state->selected) * stride] += 1;
    }
}

static void apply(const qn_step *step, qn_view view, const qn_cell *cells, int64_t n_rows,
                  double *out, int64_t stride)
{
    const struct text *state = step->state;
    for (int64_t i = 0; i < n_rows; i++) {
        double counts[N_COUNTS];
        count_signs(&cells[i], counts);
        for (int c = 0; c < N_COUNTS; c++) {
            out[c * stride + i] =
                view == QN_VIEW_TREE ? counts[c] : qn_scale_apply(&state->scales[c], counts[c]);
        }
        if (view == QN_VIEW_TREE) {
            apply_selected(state, &cells[i], out + N_COUNTS * stride + i, stride);
        }
    }
}

static void write_state(const qn_step *step, qn_writer *writer)
{
    const struct text *state = step->state;
    qn_write_array(writer, state->buckets, state->n_used, sizeof *state->buckets);
    qn_write_array(writer, state->idf, state->n_used, sizeof *state->idf);
    qn_write_array(writer, state->selected, state->n_selected, sizeof *state->selected);
    for (int c = 0; c < N_COUNTS; c++) {
        qn_scale_write(&state->scales[c], writer);
    }
}

static qn_status read_state(qn_reader *reader, qn_step *step, qn_error *err)
{
    struct text *state = qn_alloc_array(1, sizeof *state);
    step->state = state;
    if (!state) return qn_fail(err, QN_ERR_NOMEM, "no memory for a column of texts");
    int64_t n_used, n_idf, n_selected;
    const int32_t *buckets = qn_read_array(reader, sizeof *buckets, &n_used);
    const float *idf = qn_read_array(reader, sizeof *idf, &n_idf);
    const int32_t *selected = qn_read_array(reader, sizeof *selected, &n_selected);
    bool good =
        !reader->failed && n_idf == n_used && n_used <= N_BUCKETS && n_selected <= N_SELECTED;
    for (int64_t i = 0; good && i < n_used; i++) {
        good = buckets[i] > (i ? buckets[i - 1] : -1) && buckets[i] < N_BUCKETS && isfinite(idf[i]);
    }
    for (int64_t i = 0; good && i < n_selected; i++) {
        state->selected[i] = selected[i];
        good = selected[i] >= 0 && selected[i] < N_BUCKETS;
    }
    for (int c = 0; good && c < N_COUNTS; c++) {
        good = qn_scale_read(reader, &state->scales[c]);
    }
    good = good && step->n_dense[QN_VIEW_TREE] == N_COUNTS + n_selected &&
           step->n_dense[QN_VIEW_DENSE] == N_COUNTS;
    if (!good) return qn_fail(err, QN_ERR_DATA, "recipe: a column of texts is damaged");
    state->n_selected = (int32_t)n_selected;
    state->idf = qn_alloc_array(n_used, sizeof *state->idf);
    state->buckets = qn_alloc_array(n_used, sizeof *state->buckets);
    state->columns = qn_alloc_array(N_BUCKETS, sizeof *state->columns);
    if (!state->idf || !state->buckets || !state->columns) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory for a column of texts");
    }
    memset(state->columns, 0xff, N_BUCKETS * sizeof *state->columns); /* -1 */
    for (int64_t i = 0; i < n_used; i++) {
        state->idf[i] = idf[i];
        state->buckets[i] = buckets[i];
        state->columns[buckets[i]] = (int32_t)i;
    }
    state->n_used = (int32_t)n_used;
    set_sizes(step);
    return QN_OK;
}

const qn_transform qn_transform_text = {
    .name = "text",
    .kinds = 1u << QN_KIND_TEXT,
    .fit = fit,
    .apply = apply,
    .apply_sparse = apply_sparse,
    .write = write_state,
    .read = read_state,
    .free_state = free_state,
};
