/* SPDX-License-Identifier: Apache-2.0 */
/* Every split works on units: single rows, or whole groups. Units are shuffled within strata (a
 * class, or a tenth of the target's order) and dealt out in turn, so that each part gets its share
 * of every stratum. */
#include "evaluate/split.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/rng.h"
#include "base/str.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STRATA_OF_NUMBERS = 10, HOLDOUT_ABOVE_ROWS = 100000, FOLDS_MAX = 20 };

struct keyed {
    double key;
    int32_t at;
};

static int by_key(const void *left, const void *right)
{
    const struct keyed *a = left, *b = right;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory to split the rows");
}

static int64_t column_of_role(const qn_split_request *request, qn_role role)
{
    for (int64_t col = 0; col < request->schema->n_cols; col++) {
        if (request->schema->columns[col].role == role) {
            return qn_frame_find(request->frame, request->schema->columns[col].name);
        }
    }
    return -1;
}

static qn_split_kind resolve_kind(const qn_split_request *request)
{
    if (request->kind != QN_SPLIT_AUTO) return request->kind;
    if (column_of_role(request, QN_ROLE_SPLIT) >= 0) return QN_SPLIT_COLUMN;
    if (column_of_role(request, QN_ROLE_TIME) >= 0) return QN_SPLIT_TIME;
    if (column_of_role(request, QN_ROLE_GROUP) >= 0) return QN_SPLIT_GROUP;
    return QN_SPLIT_STRATIFIED;
}

static int64_t row_at(const qn_split_request *request, int64_t i)
{
    return request->rows ? request->rows[i] : i;
}

static int64_t n_rows_of(const qn_split_request *request)
{
    return request->rows ? request->n_rows : request->frame->n_rows;
}

/* Stratum of every row: its class, or which tenth of the order of targets it stands in. */
static qn_status fill_strata(const qn_split_request *request, qn_split_kind kind, int32_t *strata,
                             int32_t *n_strata, qn_error *err)
{
    const int64_t n = n_rows_of(request);
    *n_strata = 1;
    if (kind != QN_SPLIT_STRATIFIED) {
        memset(strata, 0, (size_t)n * sizeof *strata);
        return QN_OK;
    }
    if (request->schema->n_classes > 0) {
        *n_strata = request->schema->n_classes;
        for (int64_t i = 0; i < n; i++) {
            const double y = request->target[row_at(request, i)];
            strata[i] = isnan(y) ? 0 : (int32_t)y;
        }
        return QN_OK;
    }
    struct keyed *order = qn_alloc_array(n, sizeof *order);
    if (!order) return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        order[i] = (struct keyed){request->target[row_at(request, i)], (int32_t)i};
    }
    qsort(order, (size_t)n, sizeof *order, by_key);
    *n_strata = n < 2 * STRATA_OF_NUMBERS ? 1 : STRATA_OF_NUMBERS;
    for (int64_t i = 0; i < n; i++) {
        strata[order[i].at] = (int32_t)(i * *n_strata / n);
    }
    qn_free(order);
    return QN_OK;
}

/* Number of every row's group, in order of first appearance; a missing group is one of its own. */
static qn_status fill_groups(const qn_split_request *request, int32_t *groups, int64_t *n_groups,
                             qn_error *err)
{
    const int64_t col = column_of_role(request, QN_ROLE_GROUP), n = n_rows_of(request);
    if (col < 0) {
        return qn_fail(err, QN_ERR_ARG, "a group split needs its column: --split group:COLUMN");
    }
    const qn_column *column = &request->frame->columns[col];
    qn_map *numbers = qn_map_create(1024);
    bool complete = numbers != NULL;
    *n_groups = 0;
    for (int64_t i = 0; complete && i < n; i++) {
        const int64_t row = row_at(request, i);
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes;
        if (qn_column_is_missing(column, row)) {
            groups[i] = (int32_t)(*n_groups)++;
            continue;
        }
        const char *text = qn_column_text(column, row, scratch, &bytes);
        const int64_t *slot = qn_map_slot(numbers, text, bytes, *n_groups);
        complete = slot != NULL;
        if (slot) {
            groups[i] = (int32_t)*slot;
            *n_groups += *slot == *n_groups;
        }
    }
    qn_map_free(numbers);
    return complete ? QN_OK : no_memory(err);
}

/* Deals rows out: part_of[i] in 0 … n_parts-1, each stratum in turn where the last one stopped. */
static qn_status deal_rows(const qn_split_request *request, qn_split_kind kind, int32_t n_parts,
                           int32_t *part_of, qn_error *err)
{
    const int64_t n = n_rows_of(request);
    int32_t *strata = qn_alloc_array(n, sizeof *strata);
    int32_t *order = qn_alloc_array(n, sizeof *order);
    int32_t n_strata = 1;
    qn_status status =
        strata && order ? fill_strata(request, kind, strata, &n_strata, err) : no_memory(err);
    int64_t *starts = qn_alloc_array(n_strata + 1, sizeof *starts);
    if (status == QN_OK && !starts) status = no_memory(err);
    if (status == QN_OK) {
        qn_rng rng;
        qn_rng_init(&rng, request->seed, 0x73706c6974);
        for (int64_t i = 0; i < n; i++) {
            starts[strata[i] + 1]++;
        }
        for (int32_t s = 0; s < n_strata; s++) {
            starts[s + 1] += starts[s];
        }
        for (int64_t i = n; i-- > 0;) {
            order[--starts[strata[i] + 1]] = (int32_t)i; /* starts[s + 1] becomes the begin of s */
        }
        int32_t part = 0;
        for (int32_t s = 0; s < n_strata; s++) {
            const int64_t begin = starts[s + 1], end = s + 1 < n_strata ? starts[s + 2] : n;
            qn_rng_shuffle(&rng, order + begin, end - begin);
            for (int64_t i = begin; i < end; i++) {
                part_of[order[i]] = part;
                part = (part + 1) % n_parts;
            }
        }
    }
    qn_free(strata);
    qn_free(order);
    qn_free(starts);
    return status;
}

/* Deals whole groups out: the largest first, each to the part with the fewest rows. */
static qn_status deal_groups(const qn_split_request *request, int32_t n_parts, int32_t *part_of,
                             int64_t *n_groups, qn_error *err)
{
    const int64_t n = n_rows_of(request);
    int32_t *groups = qn_alloc_array(n, sizeof *groups);
    if (!groups) return no_memory(err);
    qn_status status = fill_groups(request, groups, n_groups, err);
    struct keyed *sizes = qn_alloc_array(status == QN_OK ? *n_groups : 0, sizeof *sizes);
    int32_t *part_of_group = qn_alloc_array(status == QN_OK ? *n_groups : 0, sizeof *part_of_group);
    int64_t *filled = qn_alloc_array(n_parts, sizeof *filled);
    if (status == QN_OK && (!sizes || !part_of_group || !filled)) status = no_memory(err);
    if (status == QN_OK) {
        qn_rng rng;
        qn_rng_init(&rng, request->seed, 0x67726f7570);
        for (int64_t g = 0; g < *n_groups; g++) {
            sizes[g] = (struct keyed){-0.5 * qn_rng_uniform(&rng), (int32_t)g};
        }
        for (int64_t i = 0; i < n; i++) {
            sizes[groups[i]].key -= 1;
        }
        qsort(sizes, (size_t)*n_groups, sizeof *sizes, by_key);
        for (int64_t g = 0; g < *n_groups; g++) {
            int32_t least = 0;
            for (int32_t p = 1; p < n_parts; p++) {
                if (filled[p] < filled[least]) least = p;
            }
            part_of_group[sizes[g].at] = least;
            filled[least] += (int64_t)ceil(-sizes[g].key);
        }
        for (int64_t i = 0; i < n; i++) {
            part_of[i] = part_of_group[groups[i]];
        }
    }
    qn_free(groups);
    qn_free(sizes);
    qn_free(part_of_group);
    qn_free(filled);
    return status;
}

/* Positions in order of time; a missing time comes first, equal times keep their order. */
static qn_status time_order(const qn_split_request *request, struct keyed **out, qn_error *err)
{
    const int64_t col = column_of_role(request, QN_ROLE_TIME), n = n_rows_of(request);
    *out = NULL;
    if (col < 0) {
        return qn_fail(err, QN_ERR_ARG, "a time split needs its column: --split time:COLUMN");
    }
    const qn_column *column = &request->frame->columns[col];
    if (column->type == QN_TYPE_STRING) {
        return qn_fail(err, QN_ERR_DATA, "time column '%s' holds texts, not dates or numbers",
                       column->name);
    }
    struct keyed *order = qn_alloc_array(n, sizeof *order);
    if (!order) return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        const double time = qn_column_number(column, row_at(request, i));
        order[i] = (struct keyed){isnan(time) ? -QN_INF : time, (int32_t)i};
    }
    qsort(order, (size_t)n, sizeof *order, by_key);
    *out = order;
    return QN_OK;
}

/* Where a cut at `at` must go so that rows of one moment stay together: the nearest change of time,
 * or `at` itself when all rows are of one moment. */
static int64_t time_cut(const struct keyed *order, int64_t n, int64_t at)
{
    if (at <= 0 || at >= n) return at <= 0 ? 0 : n;
    int64_t down = at, up = at;
    while (down > 0 && order[down].key == order[down - 1].key) {
        down--;
    }
    while (up < n && order[up].key == order[up - 1].key) {
        up++;
    }
    if (down == 0 && up == n) return at;
    if (down == 0) return up;
    if (up == n) return down;
    return at - down <= up - at ? down : up;
}

/* What the split column says of a row: 0 train, 1 validate, 2 test, -1 nothing it knows. */
static int part_named(const char *text, size_t bytes)
{
    static const struct {
        const char *name;
        int part;
    } names[] = {{"train", 0},      {"training", 0}, {"fit", 0},        {"validate", 1},
                 {"validation", 1}, {"valid", 1},    {"val", 1},        {"dev", 1},
                 {"test", 2},       {"testing", 2},  {"unassigned", 0}, {"holdout", 2}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i].name) == bytes && strncasecmp(names[i].name, text, bytes) == 0) {
            return names[i].part;
        }
    }
    return -1;
}

static qn_status read_parts(const qn_split_request *request, int32_t *parts, qn_error *err)
{
    const int64_t col = column_of_role(request, QN_ROLE_SPLIT);
    if (col < 0) {
        return qn_fail(err, QN_ERR_ARG, "a split by column needs it: --split column:COLUMN");
    }
    const qn_column *column = &request->frame->columns[col];
    for (int64_t i = 0; i < n_rows_of(request); i++) {
        const int64_t row = row_at(request, i);
        char scratch[QN_VALUE_TEXT_BYTES];
        size_t bytes = 0;
        const char *text = qn_column_is_missing(column, row)
                               ? "train"
                               : qn_column_text(column, row, scratch, &bytes);
        parts[i] = part_named(text, bytes ? bytes : strlen(text));
        if (parts[i] >= 0) continue;
        return qn_fail(err, QN_ERR_DATA,
                       "row %" PRId64
                       ": split column '%s' says '%.*s'; expected train, validate or "
                       "test",
                       row + 1, column->name, (int)(bytes > 40 ? 40 : bytes), text);
    }
    return QN_OK;
}

/* Test groups, drawn in random order: one is taken when that brings the part closer to its size,
 * so no group is sure to test for being large or small. */
static qn_status draw_groups(const qn_split_request *request, int32_t *in_test, int64_t *n_groups,
                             qn_error *err)
{
    const int64_t n = n_rows_of(request);
    QN_TRY(fill_groups(request, in_test, n_groups, err));
    if (*n_groups < 2) return qn_fail(err, QN_ERR_DATA, "the group column has a single group");
    int64_t *sizes = qn_alloc_array(*n_groups, sizeof *sizes);
    int32_t *order = qn_alloc_array(*n_groups, sizeof *order);
    bool *tests = qn_alloc_array(*n_groups, sizeof *tests);
    const bool complete = sizes && order && tests;
    if (complete) {
        const double wanted = request->test_fraction * (double)n;
        double filled = 0;
        qn_rng rng;
        qn_rng_init(&rng, request->seed, 0x67726f7570);
        for (int64_t i = 0; i < n; i++) {
            sizes[in_test[i]]++;
        }
        for (int64_t g = 0; g < *n_groups; g++) {
            order[g] = (int32_t)g;
        }
        qn_rng_shuffle(&rng, order, *n_groups);
        int32_t smallest = order[0];
        for (int64_t i = 0; i < *n_groups; i++) {
            const int32_t g = order[i];
            if (sizes[g] < sizes[smallest]) smallest = g;
            if (fabs(filled + (double)sizes[g] - wanted) >= fabs(filled - wanted)) continue;
            tests[g] = true;
            filled += (double)sizes[g];
        }
        if (filled == 0) tests[smallest] = true;
        for (int64_t i = 0; i < n; i++) {
            in_test[i] = tests[in_test[i]];
        }
    }
    qn_free(sizes);
    qn_free(order);
    qn_free(tests);
    return complete ? QN_OK : no_memory(err);
}

/* The first cut: in_test[i]. */
static qn_status mark_test(const qn_split_request *request, qn_split_kind kind, int32_t *in_test,
                           qn_str *reason, qn_error *err)
{
    const int64_t n = n_rows_of(request);
    const double fraction = request->test_fraction;
    if (kind == QN_SPLIT_COLUMN) {
        QN_TRY(read_parts(request, in_test, err));
        for (int64_t i = 0; i < n; i++) {
            in_test[i] = in_test[i] == 2;
        }
        qn_str_add(reason, "by the split column");
        return QN_OK;
    }
    if (kind == QN_SPLIT_TIME) {
        struct keyed *order;
        QN_TRY(time_order(request, &order, err));
        const int64_t first = time_cut(order, n, n - (int64_t)ceil(fraction * (double)n));
        for (int64_t i = first; i < n; i++) {
            in_test[order[i].at] = 1;
        }
        qn_free(order);
        qn_str_addf(reason, "the latest %.3g %% of rows test", 100 * fraction);
        return QN_OK;
    }
    /* A fraction is a number of parts of a finer deal. */
    enum { PARTS = 1000 };
    const int32_t n_tests = (int32_t)(fraction * PARTS + 0.5);
    if (kind == QN_SPLIT_GROUP) {
        int64_t n_groups, n_test = 0;
        QN_TRY(draw_groups(request, in_test, &n_groups, err));
        for (int64_t i = 0; i < n; i++) {
            n_test += in_test[i];
        }
        qn_str_addf(reason, "%.3g %% of rows test, whole groups of %" PRId64 ", seed %llu",
                    100.0 * (double)n_test / (double)n, n_groups,
                    (unsigned long long)request->seed);
        return QN_OK;
    }
    QN_TRY(deal_rows(request, kind, PARTS, in_test, err));
    for (int64_t i = 0; i < n; i++) {
        /* Parts are spread over the deal, so that short strata give their share too. */
        const int64_t part = in_test[i];
        in_test[i] = (part + 1) * n_tests / PARTS > part * n_tests / PARTS;
    }
    qn_str_addf(reason, "%.3g %% of rows test, %s, seed %llu", 100 * fraction,
                kind == QN_SPLIT_RANDOM ? "at random" : "stratified by the target",
                (unsigned long long)request->seed);
    return QN_OK;
}

/* A class must be trained on: if all its rows went to the test part, one comes back. */
static void keep_classes(const qn_split_request *request, int32_t *in_test)
{
    bool trained[QN_CLASSES_MAX] = {false};
    const int64_t n = n_rows_of(request);
    if (request->schema->n_classes == 0) return;
    for (int64_t i = 0; i < n; i++) {
        const double y = request->target[row_at(request, i)];
        if (!in_test[i] && !isnan(y)) trained[(int32_t)y] = true;
    }
    for (int64_t i = 0; i < n; i++) {
        const double y = request->target[row_at(request, i)];
        if (isnan(y) || trained[(int32_t)y]) continue;
        trained[(int32_t)y] = true;
        in_test[i] = 0;
    }
}

/* Where rows cannot be moved back (groups, time, a column), a class that only the test part has is
 * an error: no model could ever name it. */
static qn_status check_classes(const qn_split_request *request, const int32_t *in_test,
                               qn_error *err)
{
    int64_t trained[QN_CLASSES_MAX] = {0}, tested[QN_CLASSES_MAX] = {0};
    const qn_schema *schema = request->schema;
    if (schema->n_classes == 0) return QN_OK;
    for (int64_t i = 0; i < n_rows_of(request); i++) {
        const double y = request->target[row_at(request, i)];
        if (!isnan(y)) ++*(in_test[i] ? &tested[(int32_t)y] : &trained[(int32_t)y]);
    }
    for (int32_t c = 0; c < schema->n_classes; c++) {
        if (trained[c] > 0 || tested[c] == 0) continue;
        return qn_fail(err, QN_ERR_DATA,
                       "the split leaves class '%s' no row for training (%" PRId64
                       " for testing); choose another --split or --test-fraction",
                       schema->classes[c], tested[c]);
    }
    return QN_OK;
}

static qn_status gather(const qn_split_request *request, const int32_t *in_test, qn_split *out,
                        qn_error *err)
{
    const int64_t n = n_rows_of(request);
    for (int64_t i = 0; i < n; i++) {
        out->n_test += in_test[i];
    }
    out->n_train = n - out->n_test;
    if (out->n_test == 0 || out->n_train == 0) {
        return qn_fail(err, QN_ERR_DATA,
                       "the split leaves no row for %s; change --test-fraction or give --no-test",
                       out->n_test == 0 ? "testing" : "training");
    }
    out->train = qn_alloc_array(out->n_train, sizeof *out->train);
    out->test = qn_alloc_array(out->n_test, sizeof *out->test);
    if (!out->train || !out->test) return no_memory(err);
    int64_t n_train = 0, n_test = 0;
    for (int64_t i = 0; i < n; i++) {
        if (in_test[i]) {
            out->test[n_test++] = (int32_t)row_at(request, i);
        } else {
            out->train[n_train++] = (int32_t)row_at(request, i);
        }
    }
    return QN_OK;
}

qn_status qn_split_test(const qn_split_request *request, qn_split *out, qn_error *err)
{
    *out = (qn_split){.kind = resolve_kind(request)};
    if (out->kind != QN_SPLIT_COLUMN &&
        !(request->test_fraction > 0 && request->test_fraction < 1)) {
        return qn_fail(err, QN_ERR_ARG, "--test-fraction %g: expected more than 0 and less than 1",
                       request->test_fraction);
    }
    qn_str reason = {0};
    int32_t *in_test = qn_alloc_array(n_rows_of(request), sizeof *in_test);
    qn_status status =
        in_test ? mark_test(request, out->kind, in_test, &reason, err) : no_memory(err);
    if (status == QN_OK) {
        if (out->kind == QN_SPLIT_STRATIFIED || out->kind == QN_SPLIT_RANDOM) {
            keep_classes(request, in_test);
        }
        status = check_classes(request, in_test, err);
        if (status == QN_OK) status = gather(request, in_test, out, err);
    }
    qn_free(in_test);
    out->reason = qn_str_take_text(&reason);
    if (status == QN_OK && !out->reason) status = no_memory(err);
    if (status != QN_OK) qn_split_release(out);
    return status;
}

void qn_split_release(qn_split *split)
{
    qn_free(split->train);
    qn_free(split->test);
    qn_free(split->reason);
    *split = (qn_split){0};
}

/* Folds. */

static int64_t default_folds(int64_t n_rows)
{
    if (n_rows > HOLDOUT_ABOVE_ROWS) return 1;
    if (n_rows > 10000) return 5;
    if (n_rows < 60) return 5; /* fewer rows a fold than that say nothing */
    return n_rows > 1000 ? 8 : 10;
}

/* A tenth of the rows, but no more than give a steady figure. */
static int64_t holdout_rows(int64_t n_rows)
{
    int64_t n = n_rows / 10;
    if (n > 40000) n = 40000;
    return n < 1 ? 1 : n;
}

static qn_status deal_holdout(const qn_split_request *request, qn_split_kind kind, int32_t *fold_of,
                              qn_error *err)
{
    const int64_t n = n_rows_of(request);
    const int32_t n_parts = (int32_t)(n / holdout_rows(n));
    int64_t n_groups;
    QN_TRY(kind == QN_SPLIT_GROUP
               ? deal_groups(request, n_parts, fold_of, &n_groups, err)
               : deal_rows(request, kind == QN_SPLIT_RANDOM ? kind : QN_SPLIT_STRATIFIED, n_parts,
                           fold_of, err));
    for (int64_t i = 0; i < n; i++) {
        fold_of[i] = fold_of[i] == 0 ? 0 : -1;
    }
    return QN_OK;
}

/* Expanding windows: rows in order of time in n + 1 parts; fold f trains on the first f + 1. */
static qn_status deal_time(const qn_split_request *request, qn_folds *out, qn_error *err)
{
    const int64_t n = n_rows_of(request);
    struct keyed *order;
    QN_TRY(time_order(request, &order, err));
    out->first_of = qn_alloc_array(n, sizeof *out->first_of);
    if (!out->first_of) {
        qn_free(order);
        return no_memory(err);
    }
    if (out->n_folds > 5) out->n_folds = 5;
    const int32_t n_parts = out->n_folds + 1;
    int64_t next = 0;
    for (int32_t part = 0; part < n_parts; part++) {
        /* One holdout is the latest rows, not half of all. */
        const int64_t cut = n_parts == 2 ? n - holdout_rows(n) : n * (part + 1) / n_parts;
        const int64_t end = part + 1 == n_parts ? n : time_cut(order, n, cut);
        for (; next < end; next++) {
            out->fold_of[order[next].at] = part - 1;
            out->first_of[order[next].at] = part;
        }
    }
    qn_free(order);
    return QN_OK;
}

/* A class whose only row validates would never be trained on in that fold. */
static void free_single_rows(const qn_split_request *request, int32_t *fold_of)
{
    int64_t counts[QN_CLASSES_MAX] = {0};
    const int64_t n = n_rows_of(request);
    if (request->schema->n_classes == 0) return;
    for (int64_t i = 0; i < n; i++) {
        const double y = request->target[row_at(request, i)];
        if (!isnan(y)) counts[(int32_t)y]++;
    }
    for (int64_t i = 0; i < n; i++) {
        const double y = request->target[row_at(request, i)];
        if (!isnan(y) && counts[(int32_t)y] == 1) fold_of[i] = -1;
    }
}

static qn_status deal_folds(const qn_split_request *request, qn_split_kind kind, qn_folds *out,
                            qn_str *reason, qn_error *err)
{
    const int64_t n = n_rows_of(request);
    if (kind == QN_SPLIT_COLUMN) {
        int64_t n_valid = 0;
        QN_TRY(read_parts(request, out->fold_of, err));
        for (int64_t i = 0; i < n; i++) {
            n_valid += out->fold_of[i] == 1;
            out->fold_of[i] = out->fold_of[i] == 1 ? 0 : -1;
        }
        if (n_valid > 0) {
            out->n_folds = 1;
            qn_str_add(reason, "the rows that the split column sets aside for validation");
            return QN_OK;
        }
        kind = QN_SPLIT_STRATIFIED;
    }
    if (kind == QN_SPLIT_TIME) {
        QN_TRY(deal_time(request, out, err));
        qn_str_addf(reason, "%d expanding windows in order of time", out->n_folds);
        return QN_OK;
    }
    if (out->n_folds == 1) {
        QN_TRY(deal_holdout(request, kind, out->fold_of, err));
        qn_str_addf(reason, "one holdout of about %" PRId64 " rows", holdout_rows(n));
    } else if (kind == QN_SPLIT_GROUP) {
        int64_t n_groups;
        QN_TRY(deal_groups(request, out->n_folds, out->fold_of, &n_groups, err));
        if (n_groups < 2) return qn_fail(err, QN_ERR_DATA, "the group column has a single group");
        if (n_groups < out->n_folds) out->n_folds = (int32_t)n_groups;
        qn_str_addf(reason, "%d folds of whole groups", out->n_folds);
    } else {
        QN_TRY(deal_rows(request, kind, out->n_folds, out->fold_of, err));
        qn_str_addf(reason, "%d folds, %s", out->n_folds,
                    kind == QN_SPLIT_RANDOM ? "at random" : "stratified by the target");
    }
    free_single_rows(request, out->fold_of);
    return QN_OK;
}

qn_status qn_folds_create(const qn_split_request *request, qn_folds *out, qn_error *err)
{
    const int64_t n = n_rows_of(request);
    *out = (qn_folds){0};
    if (n < 4) return qn_fail(err, QN_ERR_DATA, "%" PRId64 " training rows are too few", n);
    if (request->n_folds > FOLDS_MAX || request->n_folds < 0) {
        return qn_fail(err, QN_ERR_ARG, "--folds %" PRId64 ": expected 1 to %d", request->n_folds,
                       FOLDS_MAX);
    }
    out->n_folds = (int32_t)(request->n_folds > 0 ? request->n_folds : default_folds(n));
    if (out->n_folds > n / 2) out->n_folds = (int32_t)(n / 2);
    out->fold_of = qn_alloc_array(n, sizeof *out->fold_of);
    qn_str reason = {0};
    qn_status status = out->fold_of ? deal_folds(request, resolve_kind(request), out, &reason, err)
                                    : no_memory(err);
    out->reason = qn_str_take_text(&reason);
    if (status == QN_OK && !out->reason) status = no_memory(err);
    if (status != QN_OK) qn_folds_release(out);
    return status;
}

void qn_folds_release(qn_folds *folds)
{
    qn_free(folds->fold_of);
    qn_free(folds->first_of);
    qn_free(folds->reason);
    *folds = (qn_folds){0};
}

qn_status qn_folds_rows(const qn_folds *folds, int64_t n_rows, int32_t fold, bool validates,
                        int32_t **out, int64_t *n_out, qn_error *err)
{
    *out = qn_alloc_array(n_rows, sizeof **out);
    *n_out = 0;
    if (!*out) return no_memory(err);
    for (int64_t i = 0; i < n_rows; i++) {
        const bool in_fold = folds->fold_of[i] == fold;
        const bool trains = folds->first_of ? folds->first_of[i] <= fold : !in_fold;
        if (validates ? in_fold : trains) (*out)[(*n_out)++] = (int32_t)i;
    }
    return QN_OK;
}
