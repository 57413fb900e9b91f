/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Levenshtein distance without regard to case, two rows of the table at a time. */
static size_t edit_distance(const char *a, const char *b)
{
    enum { LENGTH_MAX = 64 };
    size_t row[LENGTH_MAX + 1];
    const size_t n_a = strlen(a), n_b = strlen(b);
    if (n_a > LENGTH_MAX || n_b > LENGTH_MAX) return SIZE_MAX;
    for (size_t j = 0; j <= n_b; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            const bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t best = diagonal + !same;
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n_b];
}

const char *qn_nearest_name(const char *wanted, const char *const *names, int64_t n_names)
{
    const char *nearest = NULL;
    size_t best = strlen(wanted) / 3 + 2; /* about every third character may differ */
    for (int64_t i = 0; i < n_names; i++) {
        const size_t distance = edit_distance(wanted, names[i]);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
