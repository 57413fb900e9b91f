/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/svm/kernel_cache.h"

#include "base/alloc.h"

#include <string.h>

enum { RING_MIN = 2 };

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ERR_NOMEM, "no memory for the cache of kernels; make cache_mb less");
}

void qn_kernel_cache_release(qn_kernel_cache *cache)
{
    qn_kernel_rows_release(&cache->laid_out);
    qn_free(cache->slots);
    qn_free(cache->places);
    *cache = (qn_kernel_cache){0};
}

qn_status qn_kernel_cache_init(qn_kernel_cache *cache, const qn_matrix *x, const int32_t *rows,
                               int64_t n, const qn_kernel *kernel, double bytes, int n_readers,
                               qn_error *err)
{
    const double fit = bytes / ((double)n * sizeof(float));
    *cache = (qn_kernel_cache){.x = x, .rows = rows, .kernel = *kernel, .n = n};
    cache->n_slots = fit >= (double)n ? n : (int64_t)(0.5 * fit);
    cache->reader_bytes = fit >= (double)n ? 0 : 0.5 * bytes / n_readers;
    QN_TRY(qn_kernel_rows_fill(x, rows, n, &cache->laid_out, err));
    cache->slots = qn_alloc_aligned(cache->n_slots * n, sizeof *cache->slots);
    cache->places = qn_alloc_array(n, sizeof *cache->places);
    if (cache->slots && cache->places) return QN_OK;
    qn_kernel_cache_release(cache);
    return no_memory(err);
}

double qn_kernel_cache_diagonal(const qn_kernel_cache *cache, int64_t i)
{
    const float square = cache->laid_out.squares[i];
    float value = square;
    qn_kernel_apply(&cache->kernel, square, &square, 1, &value);
    return (double)value;
}

void qn_kernel_reader_release(qn_kernel_reader *reader)
{
    qn_free(reader->slots);
    qn_free(reader->slot_of);
    qn_free(reader->row_of);
    qn_free(reader->dense);
    *reader = (qn_kernel_reader){0};
}

qn_status qn_kernel_reader_init(qn_kernel_reader *reader, qn_kernel_cache *cache, qn_error *err)
{
    const int64_t n = cache->n;
    *reader = (qn_kernel_reader){.cache = cache};
    reader->n_slots = (int64_t)(cache->reader_bytes / ((double)n * sizeof(float)));
    if (reader->n_slots < RING_MIN) reader->n_slots = RING_MIN;
    reader->slots = qn_alloc_aligned(reader->n_slots * n, sizeof *reader->slots);
    reader->slot_of = qn_alloc_array(n, sizeof *reader->slot_of);
    reader->row_of = qn_alloc_array(3 * (reader->n_slots + 1), sizeof *reader->row_of);
    reader->dense =
        qn_alloc_array(cache->laid_out.n_dense + cache->laid_out.n_sparse, sizeof *reader->dense);
    if (!reader->slots || !reader->slot_of || !reader->row_of || !reader->dense) {
        qn_kernel_reader_release(reader);
        return no_memory(err);
    }
    reader->sparse = reader->dense + cache->laid_out.n_dense;
    reader->before = reader->row_of + reader->n_slots + 1;
    reader->after = reader->before + reader->n_slots + 1;
    memset(reader->slot_of, 0xff, (size_t)n * sizeof *reader->slot_of);
    reader->before[reader->n_slots] = reader->after[reader->n_slots] = (int32_t)reader->n_slots;
    return QN_OK;
}

static void unlink_slot(qn_kernel_reader *r, int32_t slot)
{
    r->after[r->before[slot]] = r->after[slot];
    r->before[r->after[slot]] = r->before[slot];
}

static void link_last(qn_kernel_reader *r, int32_t slot)
{
    const int32_t ends = (int32_t)r->n_slots;
    r->before[slot] = r->before[ends];
    r->after[slot] = ends;
    r->after[r->before[ends]] = slot;
    r->before[ends] = slot;
}

static void compute(qn_kernel_reader *r, int64_t i, float *out)
{
    const qn_kernel_cache *c = r->cache;
    qn_kernel_point point = {.dense = r->dense, .sparse = r->sparse};
    point.square = qn_kernel_point_spread(c->x, c->rows[i], r->dense, r->sparse);
    qn_kernel_rows_apply(&c->laid_out, &c->kernel, &point, 0, c->n, out);
    qn_kernel_point_clear(c->x, c->rows[i], r->sparse);
}

/* The slot of a row in the ring, computed if it is not there: the one used longest ago goes. */
static const float *ring_row(qn_kernel_reader *r, int64_t i)
{
    int32_t slot = r->slot_of[i];
    if (slot >= 0) {
        unlink_slot(r, slot);
        link_last(r, slot);
        return r->slots + slot * r->cache->n;
    }
    if (r->n_used < r->n_slots) {
        slot = (int32_t)r->n_used++;
    } else {
        slot = r->after[r->n_slots];
        unlink_slot(r, slot);
        r->slot_of[r->row_of[slot]] = -1;
    }
    link_last(r, slot);
    r->slot_of[i] = slot;
    r->row_of[slot] = (int32_t)i;
    compute(r, i, r->slots + slot * r->cache->n);
    return r->slots + slot * r->cache->n;
}

const float *qn_kernel_reader_row(qn_kernel_reader *r, int64_t i)
{
    qn_kernel_cache *c = r->cache;
    const float *row = atomic_load_explicit(&c->places[i].row, memory_order_acquire);
    if (row) return row;
    if (r->slot_of[i] >= 0 || atomic_load(&c->n_taken) >= c->n_slots) return ring_row(r, i);
    const int64_t slot = atomic_fetch_add(&c->n_taken, 1);
    if (slot >= c->n_slots) return ring_row(r, i);
    float *out = c->slots + slot * c->n;
    compute(r, i, out);
    /* Two readers may have computed the row at once: both copies say the same. */
    atomic_store_explicit(&c->places[i].row, out, memory_order_release);
    return out;
}
