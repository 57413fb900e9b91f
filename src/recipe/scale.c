/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe/transform.h"

#include "base/sort.h"

/* Beyond this many standard deviations a value says no more. */
static const double clip = 8;
static const double skewness_bent = 1;
/* Values are held within this, so that sums of their cubes stay finite. */
static const double magnitude_max = 1e90;

/* Inverse of the normal distribution: Acklam's rational approximation (relative error 1.2e-9). */
static double normal_score(double p)
{
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                               -2.759285104469687e+02, 1.383577518672690e+02,
                               -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                               -1.556989798598866e+02, 6.680131188771972e+01,
                               -1.328068155288572e+01};
    static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                               -2.400758277161838e+00, -2.549732539343734e+00,
                               4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00};
    const double tail = 0.02425;
    if (p > 1 - tail) return -normal_score(1 - p);
    if (p < tail) {
        const double q = sqrt(-2 * log(p));
        return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
               ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    }
    const double q = p - 0.5, r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

/* Knots at equal steps of the order; equal knots share the mean of their scores. */
static void place_knots(const double *sorted, int64_t n, qn_scale *out)
{
    int32_t n_knots = 0;
    double shared = 0;
    for (int32_t i = 0; i < QN_SCALE_KNOTS; i++) {
        const double p = (double)i / (QN_SCALE_KNOTS - 1);
        const double knot = sorted[(int64_t)(p * (double)(n - 1) + 0.5)];
        const double score = normal_score(fmin(fmax(p, 0.002), 0.998));
        if (n_knots > 0 && knot == out->knots[n_knots - 1]) {
            shared += 1;
            out->scores[n_knots - 1] += (score - out->scores[n_knots - 1]) / (shared + 1);
            continue;
        }
        out->knots[n_knots] = knot;
        out->scores[n_knots++] = score;
        shared = 0;
    }
    out->n_knots = n_knots > 2 ? n_knots : 0;
}

static double bend(const qn_scale *scale, double value)
{
    const int32_t n = scale->n_knots;
    if (n == 0) return value;
    if (value <= scale->knots[0]) return scale->scores[0];
    if (value >= scale->knots[n - 1]) return scale->scores[n - 1];
    int32_t low = 0, high = n - 1;
    while (high - low > 1) {
        const int32_t middle = (low + high) / 2;
        if (value < scale->knots[middle]) {
            high = middle;
        } else {
            low = middle;
        }
    }
    const double share = (value - scale->knots[low]) / (scale->knots[high] - scale->knots[low]);
    return scale->scores[low] + share * (scale->scores[high] - scale->scores[low]);
}

static void moments(const qn_scale *scale, const double *values, int64_t n, double *mean,
                    double *std, double *skewness)
{
    double sum = 0, m2 = 0, m3 = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += bend(scale, values[i]);
    }
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double d = bend(scale, values[i]) - *mean;
        m2 += d * d;
        m3 += d * d * d;
    }
    *std = sqrt(m2 / (double)n);
    *skewness = *std > 0 ? m3 / (double)n / (*std * *std * *std) : 0;
}

qn_status qn_scale_fit(double *values, int64_t n, bool may_bend, qn_scale *out, qn_error *err)
{
    int64_t n_known = 0;
    *out = (qn_scale){.inverse_std = 1};
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) continue;
        values[n_known++] = fmin(fmax(values[i], -magnitude_max), magnitude_max);
    }
    if (n_known == 0) return QN_OK;
    if (!qn_sort_doubles(values, n_known)) {
        return qn_fail(err, QN_ERR_NOMEM, "no memory to scale a column");
    }
    double std, skewness;
    out->fill = values[n_known / 2];
    moments(out, values, n_known, &out->mean, &std, &skewness);
    if (may_bend && fabs(skewness) > skewness_bent) {
        place_knots(values, n_known, out);
        moments(out, values, n_known, &out->mean, &std, &skewness);
    }
    out->inverse_std = std > 1e-12 * fabs(out->mean) && std > 0 ? 1 / std : 0;
    return QN_OK;
}

double qn_scale_apply(const qn_scale *scale, double value)
{
    value = isnan(value) ? scale->fill : fmin(fmax(value, -magnitude_max), magnitude_max);
    const double scaled = (bend(scale, value) - scale->mean) * scale->inverse_std;
    return fmin(fmax(scaled, -clip), clip);
}

void qn_scale_write(const qn_scale *scale, qn_writer *writer)
{
    qn_write_f64(writer, scale->mean);
    qn_write_f64(writer, scale->inverse_std);
    qn_write_f64(writer, scale->fill);
    qn_write_array(writer, scale->knots, scale->n_knots, sizeof *scale->knots);
    qn_write_array(writer, scale->scores, scale->n_knots, sizeof *scale->scores);
}

bool qn_scale_read(qn_reader *reader, qn_scale *scale)
{
    int64_t n_knots, n_scores;
    scale->mean = qn_read_f64(reader);
    scale->inverse_std = qn_read_f64(reader);
    scale->fill = qn_read_f64(reader);
    const double *knots = qn_read_array(reader, sizeof *knots, &n_knots);
    const double *scores = qn_read_array(reader, sizeof *scores, &n_scores);
    if (reader->failed || n_knots != n_scores || n_knots > QN_SCALE_KNOTS || n_knots == 1) {
        return false;
    }
    scale->n_knots = (int32_t)n_knots;
    for (int64_t i = 0; i < n_knots; i++) {
        scale->knots[i] = knots[i];
        scale->scores[i] = scores[i];
        if (!isfinite(knots[i]) || !isfinite(scores[i]) || (i > 0 && knots[i] <= knots[i - 1]))
            return false;
    }
    return isfinite(scale->mean) && isfinite(scale->inverse_std) && isfinite(scale->fill);
}
