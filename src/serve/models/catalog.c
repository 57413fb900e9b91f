/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/models/catalog.h"

#include "base/alloc.h"
#include "base/number.h"

#include <string.h>

/* Slots. */

void qn_model_slot_unref(qn_model_slot *slot)
{
    if (!slot || atomic_fetch_sub_explicit(&slot->n_refs, 1, memory_order_acq_rel) != 1) return;
    qn_free(slot->name);
    qn_free(slot->version);
    qn_free(slot->counters);
    qn_free(slot);
}

qn_model_slot *qn_model_slot_ref(qn_model_slot *slot)
{
    atomic_fetch_add_explicit(&slot->n_refs, 1, memory_order_relaxed);
    return slot;
}

qn_model_slot *qn_model_slot_create(const char *name, const char *version, int n_loops)
{
    qn_model_slot *slot = qn_alloc_array(1, sizeof *slot);
    if (!slot) return NULL;
    atomic_init(&slot->n_refs, 1);
    slot->name = qn_strdup(name);
    slot->version = qn_strdup(version);
    slot->counters = qn_alloc_aligned(n_loops + 1, sizeof *slot->counters);
    if (!slot->name || !slot->version || !slot->counters) {
        qn_model_slot_unref(slot);
        return NULL;
    }
    memset(slot->counters, 0, (size_t)(n_loops + 1) * sizeof *slot->counters);
    return slot;
}

/* Names. */

int qn_version_compare(const char *a, const char *b)
{
    int64_t x, y;
    const bool a_is_number = qn_parse_int64(a, strlen(a), &x);
    const bool b_is_number = qn_parse_int64(b, strlen(b), &y);
    if (a_is_number != b_is_number) return a_is_number ? 1 : -1;
    if (a_is_number && x != y) return x < y ? -1 : 1;
    return strcmp(a, b);
}

static int compare_name(const char *text, qn_span name)
{
    const int order = strncmp(text, name.text, name.bytes);
    return order == 0 && text[name.bytes] != '\0' ? 1 : order;
}

/* Catalogs. */

qn_catalog *qn_catalog_create(int64_t n_entries, qn_routing *routing, int64_t generation)
{
    qn_catalog *catalog = qn_alloc_array(1, sizeof *catalog);
    if (catalog) catalog->entries = qn_alloc_array(n_entries, sizeof *catalog->entries);
    if (!catalog || !catalog->entries) {
        qn_free(catalog);
        return NULL;
    }
    atomic_init(&catalog->n_refs, 1);
    catalog->generation = generation;
    catalog->routing = qn_routing_ref(routing);
    return catalog;
}

bool qn_catalog_add(qn_catalog *catalog, qn_model_slot *slot, qn_served_model *model,
                    const char *problem, bool unloaded)
{
    qn_catalog_entry *entry = &catalog->entries[catalog->n_entries++];
    *entry = (qn_catalog_entry){.slot = qn_model_slot_ref(slot),
                                .name = slot->name,
                                .version = slot->version,
                                .model = model ? qn_served_model_ref(model) : NULL,
                                .problem = problem ? qn_strdup(problem) : NULL,
                                .unloaded = unloaded,
                                .counters = slot->counters};
    return !problem || entry->problem;
}

/* The default of each name is the first of its route, else its last version that is loaded, else
 * its last. */
void qn_catalog_finish(qn_catalog *catalog)
{
    qn_catalog_entry *entries = catalog->entries;
    for (int64_t first = 0, next; first < catalog->n_entries; first = next) {
        const char *name = entries[first].name;
        const qn_model_routing *routing =
            qn_routing_find(catalog->routing, (qn_span){name, strlen(name)});
        int64_t chosen = -1;
        for (next = first; next < catalog->n_entries; next++) {
            if (strcmp(entries[next].name, name) != 0) break;
            entries[next].routing = routing;
            if (entries[next].model) chosen = next;
        }
        const char *routed = routing && routing->route ? qn_routing_target(routing, 0) : NULL;
        for (int64_t i = first; routed && i < next; i++) {
            if (entries[i].model && strcmp(entries[i].version, routed) == 0) chosen = i;
        }
        entries[chosen >= 0 ? chosen : next - 1].is_default = true;
    }
}

void qn_catalog_unref(qn_catalog *catalog)
{
    if (!catalog || atomic_fetch_sub_explicit(&catalog->n_refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (int64_t i = 0; i < catalog->n_entries; i++) {
        qn_served_model_unref(catalog->entries[i].model);
        qn_free(catalog->entries[i].problem);
        qn_model_slot_unref(catalog->entries[i].slot);
    }
    qn_routing_unref(catalog->routing);
    qn_free(catalog->entries);
    qn_free(catalog);
}

int64_t qn_catalog_first(const qn_catalog *catalog, qn_span name)
{
    int64_t low = 0, high = catalog->n_entries;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (compare_name(catalog->entries[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const bool found = low < catalog->n_entries && qn_span_equals(name, catalog->entries[low].name);
    return found ? low : catalog->n_entries;
}

const qn_catalog_entry *qn_catalog_find(const qn_catalog *catalog, qn_span name,
                                        const qn_span *version)
{
    const int64_t first = qn_catalog_first(catalog, name);
    if (first == catalog->n_entries) return NULL;
    const qn_model_routing *routing = catalog->entries[first].routing;
    const char *target = version && routing ? qn_routing_version(routing, *version) : NULL;
    for (int64_t i = first; i < catalog->n_entries; i++) {
        const qn_catalog_entry *entry = &catalog->entries[i];
        if (!qn_span_equals(name, entry->name)) return NULL;
        if (!version && entry->is_default) return entry;
        if (target && strcmp(entry->version, target) == 0) return entry;
        if (version && !target && qn_span_equals(*version, entry->version)) return entry;
    }
    return NULL;
}
