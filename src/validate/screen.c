/* SPDX-License-Identifier: Apache-2.0 */
/* Screening: how well each column alone predicts the target, and what else looks wrong.
 *
 * Association: the column is cut into groups (its levels, or equal parts of its order) on half of
 * a sample; the groups' mean targets then predict the other half. The share of the target's
 * variance that this explains (of all classes together) is the association: honest, since
 * measured on rows not used, and 1 only for a column that knows the answer. */
#include "validate/findings_internal.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

enum {
    SAMPLE_ROWS = 20000,
    SAMPLE_MIN = 40, /* fewer rows show nothing */
    GROUPS = 64,
    CLASSES_SCREENED = 32
};
/* One column that explains this much of a target is more likely an echo of it than a cause:
 * the best honest column of the tables this was tried on reached 0.89 (carat for diamonds). */
static const double leak_association = 0.93;

struct screen {
    const qn_frame *frame;
    const qn_schema *schema;
    qn_profile *profile;
    const double *target;
    int32_t *sample; /* rows; even positions fit, odd ones check */
    int64_t n_sample;
    int32_t screened[CLASSES_SCREENED], n_screened; /* classes that association looks at */
    qn_findings *findings;
};

/* Association. */

struct ranked {
    double value;
    int32_t at;
};

static int by_value(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->value != b->value) return a->value < b->value ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* What one column is worked on in: reused for every class and number of groups. */
struct work {
    double *values;        /* per sampled row */
    int32_t *groups;       /* per sampled row; 0 = missing, or a level the fitting half lacks */
    struct ranked *order;  /* fitting half, numbers only */
    double *sums, *counts; /* per group */
    int32_t n_groups;      /* counted with group 0 */
};

static void work_release(struct work *w)
{
    qn_free(w->values);
    qn_free(w->groups);
    qn_free(w->order);
    qn_free(w->sums);
    qn_free(w->counts);
}

static bool work_init(struct work *w, int64_t n_sample)
{
    /* Levels number at most one per fitting row. */
    const int64_t n_groups = 2 + (n_sample + 1) / 2 + GROUPS;
    *w = (struct work){.values = qn_alloc_array(n_sample, sizeof *w->values),
                       .groups = qn_alloc_array(n_sample, sizeof *w->groups),
                       .order = qn_alloc_array((n_sample + 1) / 2, sizeof *w->order),
                       .sums = qn_alloc_array(n_groups, sizeof *w->sums),
                       .counts = qn_alloc_array(n_groups, sizeof *w->counts)};
    return w->values && w->groups && w->order && w->sums && w->counts;
}

/* Sorts the fitting half by value; returns how many of it are present. */
static int64_t sort_numbers(const struct screen *s, const qn_column *column, struct work *w)
{
    int64_t n = 0;
    for (int64_t i = 0; i < s->n_sample; i++) {
        w->values[i] = qn_column_number(column, s->sample[i]);
        if (i % 2 == 0 && !isnan(w->values[i])) {
            w->order[n++] = (struct ranked){w->values[i], (int32_t)i};
        }
    }
    qsort(w->order, (size_t)n, sizeof *w->order, by_value);
    return n;
}

/* Groups that are equal parts of the order of the fitting half; 0 for missing. */
static void group_numbers(const struct screen *s, int64_t n, int n_parts, struct work *w)
{
    double edges[GROUPS];
    int n_edges = 0;
    for (int g = 1; g < n_parts && n > 0; g++) {
        const double edge = w->order[n * g / n_parts].value;
        if (n_edges == 0 || edge > edges[n_edges - 1]) edges[n_edges++] = edge;
    }
    for (int64_t i = 0; i < s->n_sample; i++) {
        int low = 0, high = n_edges;
        while (low < high) {
            const int middle = (low + high) / 2;
            if (w->values[i] >= edges[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        w->groups[i] = isnan(w->values[i]) ? 0 : 1 + low;
    }
    w->n_groups = n_edges + 2;
}

/* Every level that the fitting half has is a group: pooling them would hide a perfect one. */
static bool group_levels(const struct screen *s, const qn_column *column, struct work *w)
{
    int32_t *group_of = qn_alloc_array(column->dictionary.n, sizeof *group_of);
    if (!group_of) return false;
    w->n_groups = 1;
    for (int64_t i = 0; i < s->n_sample; i += 2) {
        const int32_t code = column->data.codes[s->sample[i]];
        if (code >= 0 && group_of[code] == 0) group_of[code] = w->n_groups++;
    }
    for (int64_t i = 0; i < s->n_sample; i++) {
        const int32_t code = column->data.codes[s->sample[i]];
        w->groups[i] = code < 0 ? 0 : group_of[code];
    }
    qn_free(group_of);
    return true;
}

/* Class `c` or, for c < 0, the value of the target. */
static double target_at(const struct screen *s, int64_t i, int32_t c)
{
    const double y = s->target[s->sample[i]];
    return c < 0 ? y : y == c;
}

/* How far the fitting half's group means miss the checking half, and how far its mean does. */
static void add_errors(const struct screen *s, struct work *w, int32_t c, double *residual,
                       double *variance)
{
    double total = 0, n_fit = 0, mean = 0, n_check = 0;
    memset(w->sums, 0, (size_t)w->n_groups * sizeof *w->sums);
    memset(w->counts, 0, (size_t)w->n_groups * sizeof *w->counts);
    for (int64_t i = 0; i < s->n_sample; i += 2) {
        const double y = target_at(s, i, c);
        w->sums[w->groups[i]] += y;
        w->counts[w->groups[i]] += 1;
        total += y;
        n_fit += 1;
    }
    for (int64_t i = 1; i < s->n_sample; i += 2) {
        mean += target_at(s, i, c);
        n_check += 1;
    }
    mean /= n_check;
    for (int64_t i = 1; i < s->n_sample; i += 2) {
        const int32_t g = w->groups[i];
        const double y = target_at(s, i, c);
        const double predicted = w->counts[g] > 0 ? w->sums[g] / w->counts[g] : total / n_fit;
        *residual += (y - predicted) * (y - predicted);
        *variance += (y - mean) * (y - mean);
    }
}

/* Share of the variance explained out of sample, of all classes together: a column that gives away
 * one rare class of many is no echo of the target. */
static double explained(const struct screen *s, struct work *w)
{
    double residual = 0, variance = 0;
    if (s->schema->n_classes == 0) add_errors(s, w, -1, &residual, &variance);
    for (int32_t i = 0; i < s->n_screened; i++) {
        add_errors(s, w, s->screened[i], &residual, &variance);
    }
    return variance > 0 ? fmax(0, 1 - residual / variance) : QN_NA;
}

static bool associate(const struct screen *s, int64_t col, double *out)
{
    /* Many groups find a sharp edge, few do not mistake noise for one; the better is taken. */
    static const int n_parts[] = {GROUPS, 8};
    const qn_column *column = &s->frame->columns[col];
    struct work w;
    bool complete = work_init(&w, s->n_sample);
    *out = QN_NA;
    if (complete && s->n_sample >= SAMPLE_MIN && column->type == QN_TYPE_STRING) {
        complete = group_levels(s, column, &w);
        if (complete) *out = explained(s, &w);
    } else if (complete && s->n_sample >= SAMPLE_MIN) {
        const int64_t n = sort_numbers(s, column, &w);
        for (size_t i = 0; i < sizeof n_parts / sizeof *n_parts; i++) {
            group_numbers(s, n, n_parts[i], &w);
            *out = fmax(*out, explained(s, &w)); /* fmax() passes over a NaN */
        }
    }
    work_release(&w);
    return complete;
}

struct class_count {
    int64_t count;
    int32_t c;
};

static int by_class_count(const void *left, const void *right)
{
    const struct class_count *a = left, *b = right;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return (a->c > b->c) - (a->c < b->c);
}

/* The most frequent classes of the sample; one of two says all. */
static void choose_classes(struct screen *s)
{
    struct class_count counts[QN_CLASSES_MAX] = {{0}};
    const int32_t n = s->schema->n_classes;
    for (int32_t c = 0; c < n; c++) {
        counts[c].c = c;
    }
    for (int64_t i = 0; n > 0 && i < s->n_sample; i++) {
        const double y = s->target[s->sample[i]];
        if (!isnan(y)) counts[(int32_t)y].count++;
    }
    qsort(counts, (size_t)n, sizeof *counts, by_class_count);
    s->n_screened = n == 2 ? 1 : n < CLASSES_SCREENED ? n : CLASSES_SCREENED;
    for (int32_t i = 0; i < s->n_screened; i++) {
        s->screened[i] = counts[i].c;
    }
}

struct job {
    struct screen *s;
    qn_status *statuses;
};

static void associate_column(void *context, int64_t col)
{
    struct job *job = context;
    const qn_role role = job->s->schema->columns[col].role;
    job->statuses[col] = QN_OK;
    if (role == QN_ROLE_TARGET) return;
    if (!associate(job->s, col, &job->s->profile->columns[col].target_association)) {
        job->statuses[col] = QN_ERR_NOMEM;
    }
}

static bool is_used(const struct screen *s, int64_t col)
{
    const qn_schema_column *column = &s->schema->columns[col];
    return column->role == QN_ROLE_FEATURE || column->role == QN_ROLE_TIME;
}

/* Two numeric columns whose sum is the target in every sampled row. */
static qn_status find_sums(struct screen *s, qn_error *err)
{
    enum { COLUMNS_PAIRED = 60 };
    int64_t numeric[COLUMNS_PAIRED], n = 0;
    if (s->schema->n_classes > 0 || s->n_sample < SAMPLE_MIN) return QN_OK;
    for (int64_t col = 0; col < s->frame->n_cols && n < COLUMNS_PAIRED; col++) {
        const qn_type type = s->frame->columns[col].type;
        if (is_used(s, col) && (type == QN_TYPE_INT64 || type == QN_TYPE_FLOAT64))
            numeric[n++] = col;
    }
    for (int64_t a = 0; a < n; a++) {
        for (int64_t b = a + 1; b < n; b++) {
            bool equal = true;
            for (int64_t i = 0; equal && i < s->n_sample; i++) {
                const int32_t row = s->sample[i];
                const double sum = qn_column_number(&s->frame->columns[numeric[a]], row) +
                                   qn_column_number(&s->frame->columns[numeric[b]], row);
                equal = fabs(sum - s->target[row]) <= 1e-9 * fabs(s->target[row]);
            }
            if (!equal) continue;
            const char *first = s->frame->columns[numeric[a]].name;
            const char *second = s->frame->columns[numeric[b]].name;
            QN_TRY(qn_findings_add(
                s->findings, QN_FINDING_LEAK_SUSPECT, first, err,
                "'%s' + '%s' is the target in every row; if they are not known when "
                "predicting: --drop %s,%s",
                first, second, first, second));
        }
    }
    return QN_OK;
}

/* One column at a time. */

static qn_status screen_column(struct screen *s, int64_t col, qn_error *err)
{
    const qn_schema_column *column = &s->schema->columns[col];
    const qn_column_profile *p = &s->profile->columns[col];
    const char *name = column->name;
    if (column->role == QN_ROLE_DROPPED && !column->kind_given) {
        if (column->kind == QN_KIND_ID) {
            return qn_findings_add(
                s->findings, QN_FINDING_ID_LIKE, name, err,
                "'%s' looks like an id (%s) and is not used; --kind '%s=categorical' or "
                "numeric uses it",
                name, column->reason ? column->reason : "", name);
        }
        if (column->kind == QN_KIND_CONSTANT) {
            return qn_findings_add(s->findings, QN_FINDING_CONSTANT, name, err,
                                   "'%s' is not used: %s", name,
                                   column->reason ? column->reason : "constant");
        }
    }
    if (!is_used(s, col)) return QN_OK;
    if (p->target_association > leak_association) {
        QN_TRY(qn_findings_add(
            s->findings, QN_FINDING_LEAK_SUSPECT, name, err,
            "'%s' alone explains %.0f %% of the target: it may be known only afterwards; "
            "if so: --drop '%s'",
            name, 100 * p->target_association, name));
    }
    if (column->missing_fraction > 0.5) {
        QN_TRY(qn_findings_add(s->findings, QN_FINDING_MOSTLY_MISSING, name, err,
                               "'%s' is missing in %.0f %% of rows", name,
                               100 * column->missing_fraction));
    }
    if (column->kind == QN_KIND_CATEGORICAL && p->n_distinct > 1000) {
        QN_TRY(qn_findings_add(s->findings, QN_FINDING_HIGH_CARDINALITY, name, err,
                               "'%s' has %" PRId64
                               " levels; rare ones are pooled. --kind '%s=text' uses their "
                               "words instead",
                               name, p->n_distinct, name));
    }
    return QN_OK;
}

static bool same_values(const qn_frame *frame, const qn_column *a, const qn_column *b)
{
    if (a->type != b->type || a->n_missing != b->n_missing) return false;
    for (int64_t row = 0; row < frame->n_rows; row++) {
        if (a->type == QN_TYPE_STRING) {
            if (a->data.codes[row] != b->data.codes[row]) return false;
            continue;
        }
        const double x = qn_column_number(a, row), y = qn_column_number(b, row);
        if (!(x == y || (isnan(x) && isnan(y)))) return false;
    }
    if (a->type != QN_TYPE_STRING) return true;
    /* Codes are numbered by first appearance, so equal columns have equal dictionaries. */
    const qn_dictionary *d = &a->dictionary, *e = &b->dictionary;
    return d->n == e->n &&
           memcmp(d->offsets, e->offsets, (size_t)(d->n + 1) * sizeof *d->offsets) == 0 &&
           memcmp(d->bytes, e->bytes, (size_t)d->offsets[d->n]) == 0;
}

static qn_status find_duplicate_columns(struct screen *s, qn_error *err)
{
    const qn_frame *frame = s->frame;
    for (int64_t col = 1; col < frame->n_cols && frame->n_cols <= 2000; col++) {
        if (!is_used(s, col)) continue;
        const qn_column_profile *p = &s->profile->columns[col];
        for (int64_t other = 0; other < col; other++) {
            const qn_column_profile *q = &s->profile->columns[other];
            if (!is_used(s, other) || p->n_distinct != q->n_distinct || p->n_distinct < 2) continue;
            if (!isnan(p->mean) && p->mean != q->mean) continue;
            if (!same_values(frame, &frame->columns[col], &frame->columns[other])) continue;
            QN_TRY(qn_findings_add(
                s->findings, QN_FINDING_DUPLICATE_COLUMN, p->name, err,
                "'%s' has the values of '%s' in every row; one is enough: --drop '%s'", p->name,
                q->name, p->name));
            break;
        }
    }
    return QN_OK;
}

/* The table as a whole. */

static qn_status screen_classes(struct screen *s, const int32_t *rows, int64_t n_rows,
                                qn_error *err)
{
    const qn_schema *schema = s->schema;
    int64_t counts[QN_CLASSES_MAX] = {0};
    if (schema->n_classes == 0) return QN_OK;
    for (int64_t i = 0; i < n_rows; i++) {
        const double y = s->target[rows ? rows[i] : i];
        if (!isnan(y)) counts[(int32_t)y]++;
    }
    int32_t rarest = 0, n_rare = 0;
    for (int32_t c = 0; c < schema->n_classes; c++) {
        if (counts[c] < counts[rarest]) rarest = c;
        n_rare += counts[c] < 10;
    }
    const double share = (double)counts[rarest] / (double)n_rows;
    if (n_rare > 0) {
        QN_TRY(qn_findings_add(
            s->findings, QN_FINDING_RARE_CLASS, NULL, err,
            "%d of %d classes have fewer than 10 training rows (the rarest, '%s', has %" PRId64
            "): what is said of them is guesswork",
            n_rare, schema->n_classes, schema->classes[rarest], counts[rarest]));
    }
    if (schema->n_classes == 2 && share < 0.05) {
        QN_TRY(qn_findings_add(s->findings, QN_FINDING_IMBALANCE, NULL, err,
                               "only %.1f %% of rows are '%s': accuracy says little here; look at "
                               "average_precision, or choose it with --metric",
                               100 * share, schema->classes[rarest]));
    }
    return QN_OK;
}

static qn_status screen_table(struct screen *s, qn_error *err)
{
    const qn_schema_column *target = &s->schema->columns[s->schema->target];
    const double share = (double)s->profile->n_duplicate_rows / (double)s->profile->n_rows;
    if (target->reason && strstr(target->reason, "guessed to be the target")) {
        QN_TRY(qn_findings_add(s->findings, QN_FINDING_GUESS, target->name, err,
                               "the target was guessed to be '%s'; --target says otherwise",
                               target->name));
    }
    if (target->reason && strstr(target->reason, "are taken as")) {
        const bool classes = s->schema->n_classes > 0;
        QN_TRY(qn_findings_add(
            s->findings, QN_FINDING_GUESS, target->name, err,
            "the %" PRId64 " different numbers of '%s' were taken as %s; --task %s takes "
            "them as %s",
            s->profile->columns[s->schema->target].n_distinct, target->name,
            classes ? "classes" : "quantities", classes ? "regression" : "multiclass",
            classes ? "quantities" : "classes"));
    }
    if (share > 0.01) {
        QN_TRY(qn_findings_add(
            s->findings, QN_FINDING_DUPLICATE_ROWS, NULL, err,
            "%.1f %% of rows repeat an earlier one in every column: figures flatter when "
            "copies stand on both sides of a split",
            100 * share));
    }
    return QN_OK;
}

static bool draw_sample(struct screen *s, const int32_t *rows, int64_t n_rows)
{
    int32_t *all = qn_alloc_array(n_rows, sizeof *all);
    if (!all) return false;
    for (int64_t i = 0; i < n_rows; i++) {
        all[i] = rows ? rows[i] : (int32_t)i;
    }
    qn_rng rng;
    qn_rng_init(&rng, 0x73637265656eU, (uint64_t)n_rows);
    qn_rng_shuffle(&rng, all, n_rows);
    s->sample = all;
    s->n_sample = n_rows < SAMPLE_ROWS ? n_rows : SAMPLE_ROWS;
    return true;
}

static qn_status run(struct screen *s, const int32_t *rows, int64_t n_rows, qn_pool *pool,
                     qn_error *err)
{
    struct job job = {s, qn_alloc_array(s->frame->n_cols, sizeof(qn_status))};
    if (!job.statuses || !draw_sample(s, rows, n_rows)) {
        qn_free(job.statuses);
        return qn_fail(err, QN_ERR_NOMEM, "no memory to screen the columns");
    }
    choose_classes(s);
    qn_pool_run(pool, s->frame->n_cols, associate_column, &job);
    qn_status status = QN_OK;
    for (int64_t col = 0; col < s->frame->n_cols && status == QN_OK; col++) {
        status = job.statuses[col] == QN_OK
                     ? screen_column(s, col, err)
                     : qn_fail(err, QN_ERR_NOMEM, "no memory to screen the columns");
    }
    qn_free(job.statuses);
    if (status == QN_OK) status = find_sums(s, err);
    if (status == QN_OK) status = find_duplicate_columns(s, err);
    if (status == QN_OK) status = qn_findings_gather(s->findings, err);
    if (status == QN_OK) status = screen_classes(s, rows, n_rows, err);
    if (status == QN_OK) status = screen_table(s, err);
    return status;
}

qn_status qn_screen(const qn_frame *frame, const qn_schema *schema, qn_profile *profile,
                    const int32_t *rows, int64_t n_rows, const double *target, qn_pool *pool,
                    qn_findings *out, qn_error *err)
{
    *out = (qn_findings){0};
    struct screen s = {
        .frame = frame, .schema = schema, .profile = profile, .target = target, .findings = out};
    const qn_status status = run(&s, rows, rows ? n_rows : frame->n_rows, pool, err);
    qn_free(s.sample);
    if (status != QN_OK) qn_findings_release(out);
    return status;
}
