/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/derive.h"

#include "base/alloc.h"
#include "base/nearest.h"
#include "linalg/kernels.h"
#include "recipe/cluster/kmeans.h"
#include "recipe/project.h"
#include "recipe/reduce/decompose.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct qn_derivation {
    const char *name;       /* stored in bundles: never change it */
    bool of_words;          /* reads sparse columns, else dense ones */
    bool replaces;          /* see qn_derived_replaces() */
    bool takes_share;       /* sizes below 1 */
    double least, fallback; /* sizes; the greatest is QN_COMPONENTS_MAX or QN_CLUSTERS_MAX */
    /* Sets n, numbers and explained, and spreads each feature's make-up over the base columns:
     * parts[c * n_base + f] >= 0, an array that the caller frees. */
    qn_status (*fit)(const qn_derive_request *request, const qn_matrix *rows, double size,
                     qn_derived *out, double **parts, qn_error *err);
    int64_t (*n_numbers)(int64_t n, int64_t n_base);
    /* `sums` has room for a double a row. */
    void (*apply)(const qn_derived *derived, const qn_matrix *rows, double *out, double *sums);
};

enum {
    SIZE_MAX_EACH = 1000, /* features of one derivation */
    KMEANS_BEGINNINGS = 3,
    MINI_BATCH_ROWS = 100000, /* whole passes take too long beyond */
    COLUMNS_TOLD = 3
};

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for derived features");
}

/* Components: numbers are n_base × n, V column after column of the view, then the n of m V. */

static int64_t component_numbers(int64_t n, int64_t n_base)
{
    return n * (n_base + 1);
}

static void apply_components(const qn_derived *derived, const qn_matrix *rows, double *out,
                             double *sums)
{
    (void)sums;
    const double *origin = derived->numbers + (int64_t)derived->n * derived->n_base;
    qn_project_rows(derived->numbers, origin, derived->n, rows, out);
}

/* The squares of a unit vector's entries add up to 1: they are what its component is made of. */
static qn_status keep_components(const qn_decomposition *found, qn_derived *out, double **parts,
                                 qn_error *err)
{
    const int64_t k = found->n_components, n_base = found->n_features;
    out->n = (int32_t)k;
    out->numbers = qn_alloc_array(component_numbers(k, n_base), sizeof *out->numbers);
    *parts = qn_alloc_array(k * n_base, sizeof **parts);
    if (!out->numbers || !*parts) return no_memory(err);
    for (int64_t c = 0; c < k; c++) {
        const double *component = found->components + c * n_base;
        for (int64_t f = 0; f < n_base; f++) {
            out->numbers[f * k + c] = component[f];
            (*parts)[c * n_base + f] = component[f] * component[f];
        }
        out->numbers[k * n_base + c] = qn_dot(component, found->means, n_base);
        out->explained += found->variance[c];
    }
    out->explained /= found->total_variance;
    return QN_OK;
}

static qn_status fit_components(const qn_derive_request *request, const qn_matrix *rows,
                                double size, qn_derived *out, double **parts, qn_error *err)
{
    const qn_decompose_request question = {.rows = rows,
                                           .centre = rows->n_sparse == 0,
                                           .n_components = size < 1 ? 0 : (int32_t)size,
                                           .share = size < 1 ? size : 0,
                                           .seed = request->seed,
                                           .stop = request->stop,
                                           .pool = request->pool};
    qn_decomposition found = {0};
    qn_status status = qn_decompose(&question, &found, err);
    if (status == QN_OK) status = keep_components(&found, out, parts, err);
    qn_decomposition_release(&found);
    return status;
}

/* Clusters: numbers are the centres, n × n_base. */

static int64_t centre_numbers(int64_t n, int64_t n_base)
{
    return n * n_base;
}

static void apply_distances(const qn_derived *derived, const qn_matrix *rows, double *out,
                            double *sums)
{
    qn_centre_distances(derived->numbers, derived->n, derived->n_base, rows, out, sums);
}

/* A column's part in the squared distance to a centre is its mean over the training rows: its
 * variance, and the square of how far the centre is from its mean. */
static qn_status spread_distances(const qn_matrix *rows, const double *centres, int64_t k,
                                  double **parts, qn_error *err)
{
    const int64_t n_base = rows->n_dense;
    *parts = qn_alloc_array(k * n_base, sizeof **parts);
    if (!*parts) return no_memory(err);
    for (int64_t f = 0; f < n_base; f++) {
        const double *values = rows->dense + f * rows->stride;
        const double mean = qn_sum(values, rows->n_rows) / (double)rows->n_rows;
        double squares = 0;
        for (int64_t i = 0; i < rows->n_rows; i++) {
            squares += (values[i] - mean) * (values[i] - mean);
        }
        for (int64_t c = 0; c < k; c++) {
            const double far = centres[c * n_base + f] - mean;
            (*parts)[c * n_base + f] = squares / (double)rows->n_rows + far * far;
        }
    }
    return QN_OK;
}

static qn_status fit_distances(const qn_derive_request *request, const qn_matrix *rows, double size,
                               qn_derived *out, double **parts, qn_error *err)
{
    const int64_t k = size < (double)rows->n_rows ? (int64_t)size : rows->n_rows;
    const qn_kmeans_request question = {.rows = rows,
                                        .k = (int32_t)k,
                                        .n_init = KMEANS_BEGINNINGS,
                                        .mini_batch = rows->n_rows > MINI_BATCH_ROWS,
                                        .seed = request->seed,
                                        .stop = request->stop,
                                        .pool = request->pool};
    qn_kmeans_result found;
    QN_TRY(qn_kmeans_fit(&question, &found, err));
    out->n = (int32_t)k;
    out->explained = found.total > 0 ? 1 - found.inertia / found.total : 0;
    out->numbers = found.centres;
    found.centres = NULL;
    qn_kmeans_result_release(&found);
    return spread_distances(rows, out->numbers, k, parts, err);
}

/* One a line. */
/* clang-format off */
static const qn_derivation methods[] = {
    {"pca", false, true, true, 1, 0.95, fit_components, component_numbers, apply_components},
    {"svd", true, false, true, 1, 50, fit_components, component_numbers, apply_components},
    {"kmeans", false, false, false, 2, 8, fit_distances, centre_numbers, apply_distances},
};
/* clang-format on */
enum { N_METHODS = sizeof methods / sizeof *methods };
_Static_assert((int)N_METHODS == (int)QN_DERIVED_MAX, "each method once");

static const qn_derivation *find_method(const char *name, size_t bytes)
{
    for (int i = 0; i < N_METHODS; i++) {
        if (strlen(methods[i].name) == bytes && memcmp(methods[i].name, name, bytes) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

/* The list. */

static qn_status unknown_step(const char *text, size_t bytes, qn_error *err)
{
    const char *names[N_METHODS];
    char wanted[64];
    const size_t kept = bytes < sizeof wanted - 1 ? bytes : sizeof wanted - 1;
    memcpy(wanted, text, kept);
    wanted[kept] = '\0';
    for (int i = 0; i < N_METHODS; i++) {
        names[i] = methods[i].name;
    }
    const char *near = qn_nearest_name(wanted, names, N_METHODS);
    return near ? qn_fail(err, QN_ERR_ARG, "--steps %s: there is no such step; did you mean '%s'?",
                          wanted, near)
                : qn_fail(err, QN_ERR_ARG,
                          "--steps %s: there is no such step; expected pca, svd or kmeans", wanted);
}

/* "=10" or nothing. */
static bool read_size(const qn_derivation *method, const char *text, size_t bytes, double *out)
{
    *out = method->fallback;
    if (bytes == 0) return true;
    if (!qn_parse_double(text + 1, bytes - 1, out)) return false;
    if (method->takes_share && *out > 0 && *out < 1) return true;
    return *out >= method->least && *out <= SIZE_MAX_EACH && *out == (double)(int32_t)*out;
}

qn_status qn_derive_parse(const char *text, qn_derive_step *out, int32_t *n, qn_error *err)
{
    *n = 0;
    for (const char *at = text; at && *at;) {
        const size_t bytes = strcspn(at, ","), name_bytes = strcspn(at, "=,");
        const qn_derivation *method = find_method(at, name_bytes);
        if (!method) return unknown_step(at, name_bytes, err);
        for (int32_t i = 0; i < *n; i++) {
            if (out[i].method != method) continue;
            return qn_fail(err, QN_ERR_ARG, "--steps: %s is asked for twice", method->name);
        }
        qn_derive_step *step = &out[(*n)++];
        step->method = method;
        if (!read_size(method, at + name_bytes, bytes - name_bytes, &step->size)) {
            return qn_fail(err, QN_ERR_ARG, "--steps %.*s: expected a whole number from %g to %d%s",
                           (int)(bytes > 64 ? 64 : bytes), at, method->least, SIZE_MAX_EACH,
                           method->takes_share ? ", or a share of the variance below 1" : "");
        }
        at += bytes + (at[bytes] == ',');
    }
    return QN_OK;
}

/* Fitting. */

void qn_derived_release(qn_derived *derived)
{
    for (int32_t c = 0; derived->features && c < derived->n; c++) {
        qn_free(derived->features[c].name);
    }
    qn_free(derived->features);
    qn_free(derived->numbers);
    qn_free(derived->shares);
    *derived = (qn_derived){0};
}

const char *qn_derived_name(const qn_derived *derived)
{
    return derived->method->name;
}

bool qn_derived_replaces(const qn_derived *derived)
{
    return derived->method->replaces;
}

/* The part of a view that a method reads. */
static qn_matrix part_of(const qn_derivation *method, const qn_matrix *rows)
{
    qn_matrix part = *rows;
    if (method->of_words) part.n_dense = 0;
    if (!method->of_words) part.n_sparse = 0;
    return part;
}

static qn_status name_features(qn_derived *derived, qn_error *err)
{
    derived->features = qn_alloc_array(derived->n, sizeof *derived->features);
    if (!derived->features) return no_memory(err);
    for (int32_t c = 0; c < derived->n; c++) {
        qn_str name = {0};
        qn_str_addf(&name, "%s %" PRId32, derived->method->name, c + 1);
        derived->features[c] =
            (qn_feature){.name = qn_str_take_text(&name), .input = QN_INPUT_DERIVED};
        if (!derived->features[c].name) return no_memory(err);
    }
    return QN_OK;
}

/* From parts of the view's columns to shares of the schema's. */
static qn_status add_up_shares(const qn_feature *base, const double *parts, qn_derived *derived,
                               qn_error *err)
{
    derived->shares = qn_alloc_array((int64_t)derived->n * derived->n_inputs, sizeof(double));
    if (!derived->shares) return no_memory(err);
    for (int32_t c = 0; c < derived->n; c++) {
        double *shares = derived->shares + (int64_t)c * derived->n_inputs, sum = 0;
        for (int32_t f = 0; f < derived->n_base; f++) {
            const double part = parts[(int64_t)c * derived->n_base + f];
            shares[base[f].input] += part;
            sum += part;
        }
        for (int32_t i = 0; sum > 0 && i < derived->n_inputs; i++) {
            shares[i] /= sum;
        }
    }
    return QN_OK;
}

qn_status qn_derive_fit(const qn_derive_request *request, const qn_derive_step *step,
                        qn_derived *out, qn_error *err)
{
    const qn_matrix part = part_of(step->method, request->rows);
    *out = (qn_derived){.method = step->method,
                        .n_base = (int32_t)(part.n_dense + part.n_sparse),
                        .n_inputs = request->n_inputs};
    if (out->n_base == 0) {
        return qn_fail(err, QN_ERR_DATA, "--steps %s: %s", step->method->name,
                       step->method->of_words
                           ? "no column has words; pca takes numbers and categories"
                           : "every column is text; svd takes words");
    }
    double *parts = NULL;
    qn_status status = step->method->fit(request, &part, step->size, out, &parts, err);
    if (status != QN_OK) {
        status = qn_fail_context(err, status, "--steps %s", step->method->name);
    }
    const qn_feature *words = request->features + request->rows->n_dense;
    if (status == QN_OK) {
        status = add_up_shares(step->method->of_words ? words : request->features, parts, out, err);
    }
    if (status == QN_OK) status = name_features(out, err);
    qn_free(parts);
    if (status != QN_OK) qn_derived_release(out);
    return status;
}

/* Applying. */

static size_t row_bytes(const qn_derived *derived, int64_t n_rows)
{
    return (size_t)(n_rows * derived->n) * sizeof(double);
}

size_t qn_derived_scratch_bytes(const qn_derived *derived, int64_t n_rows)
{
    return row_bytes(derived, n_rows) + (size_t)n_rows * sizeof(double);
}

void qn_derived_apply(const qn_derived *derived, const qn_matrix *rows, double *out, int64_t stride,
                      void *scratch)
{
    const qn_matrix part = part_of(derived->method, rows);
    const int64_t n = rows->n_rows, k = derived->n;
    double *by_row = scratch;
    derived->method->apply(derived, &part, by_row, by_row + n * k);
    for (int64_t c = 0; c < k; c++) {
        for (int64_t i = 0; i < n; i++) {
            out[c * stride + i] = by_row[i * k + c];
        }
    }
}

/* Bundle. */

static int64_t n_numbers(const qn_derived *derived)
{
    return derived->method->n_numbers(derived->n, derived->n_base);
}

void qn_derived_write(const qn_derived *derived, qn_writer *writer)
{
    qn_write_text(writer, derived->method->name, strlen(derived->method->name));
    qn_write_i32(writer, derived->n);
    qn_write_f64(writer, derived->explained);
    qn_write_array(writer, derived->numbers, n_numbers(derived), sizeof(double));
    qn_write_array(writer, derived->shares, (int64_t)derived->n * derived->n_inputs,
                   sizeof(double));
}

/* Finite numbers, as many as expected; copied. */
static qn_status read_numbers(qn_reader *reader, int64_t n, double least, double **out,
                              qn_error *err)
{
    int64_t n_found;
    const double *found = qn_read_array(reader, sizeof *found, &n_found);
    bool sound = !reader->failed && n_found == n;
    for (int64_t i = 0; sound && i < n; i++) {
        sound = found[i] >= least && found[i] <= 1e300;
    }
    if (!sound) return qn_fail(err, QN_ERR_DATA, "recipe: a derived feature is damaged");
    *out = qn_alloc_array(n, sizeof **out);
    if (!*out) return no_memory(err);
    memcpy(*out, found, (size_t)n * sizeof *found);
    return QN_OK;
}

static qn_status read_into(qn_reader *reader, int64_t n_dense, int64_t n_sparse, qn_derived *out,
                           qn_error *err)
{
    size_t bytes;
    const char *name = qn_read_text(reader, &bytes);
    out->n = qn_read_i32(reader);
    out->explained = qn_read_f64(reader);
    out->method = reader->failed ? NULL : find_method(name, bytes);
    if (!out->method || out->n < 1 || out->n > SIZE_MAX_EACH || !isfinite(out->explained)) {
        return qn_fail(err, QN_ERR_DATA, "recipe: a derived feature is damaged");
    }
    out->n_base = (int32_t)(out->method->of_words ? n_sparse : n_dense);
    QN_TRY(read_numbers(reader, n_numbers(out), -1e300, &out->numbers, err));
    QN_TRY(read_numbers(reader, (int64_t)out->n * out->n_inputs, 0, &out->shares, err));
    return name_features(out, err);
}

qn_status qn_derived_read(qn_reader *reader, int64_t n_dense, int64_t n_sparse, int32_t n_inputs,
                          qn_derived *out, qn_error *err)
{
    *out = (qn_derived){.n_inputs = n_inputs};
    const qn_status status = read_into(reader, n_dense, n_sparse, out, err);
    if (status != QN_OK) qn_derived_release(out);
    return status;
}

/* The columns that make up most of a feature, largest first. */
static void describe_shares(const double *shares, int32_t n_inputs, const qn_schema *schema,
                            qn_json_writer *json)
{
    double before = QN_INF;
    int32_t last = -1;
    for (int told = 0; told < COLUMNS_TOLD; told++) {
        int32_t next = -1;
        for (int32_t i = 0; i < n_inputs; i++) {
            const bool comes_later = shares[i] < before || (shares[i] == before && i > last);
            if (comes_later && (next < 0 || shares[i] > shares[next])) next = i;
        }
        if (next < 0 || shares[next] <= 0) break;
        qn_json_begin_object(json);
        qn_json_put_text(json, "column", schema->columns[qn_schema_feature(schema, next)].name);
        qn_json_put_double(json, "share", shares[next]);
        qn_json_end_object(json);
        before = shares[next];
        last = next;
    }
}

void qn_derived_describe(const qn_derived *derived, const qn_schema *schema, qn_json_writer *json)
{
    qn_json_begin_object(json);
    qn_json_put_text(json, "transform", derived->method->name);
    qn_json_put_int(json, "features", derived->n);
    qn_json_put_double(json, "explained_variance", derived->explained);
    qn_json_key(json, "made_of");
    qn_json_begin_array(json);
    for (int32_t c = 0; c < derived->n; c++) {
        qn_json_begin_object(json);
        qn_json_put_text(json, "feature", derived->features[c].name);
        qn_json_key(json, "columns");
        qn_json_begin_array(json);
        describe_shares(derived->shares + (int64_t)c * derived->n_inputs, derived->n_inputs, schema,
                        json);
        qn_json_end_array(json);
        qn_json_end_object(json);
    }
    qn_json_end_array(json);
    qn_json_end_object(json);
}
