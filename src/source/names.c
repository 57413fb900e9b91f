/* SPDX-License-Identifier: Apache-2.0 */
#include "source/names.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <string.h>

bool qn_name_make_unique(qn_map *seen, const char *source, int64_t col, char **name,
                         qn_str *warnings)
{
    int64_t *known = qn_map_slot(seen, *name, strlen(*name), 0);
    if (!known) return false;
    if (*known == 0) {
        *known = 1;
        return true;
    }
    /* "a_2" may be a column's own name: the first number that is free. */
    qn_str unique = {0};
    do {
        qn_str_clear(&unique);
        qn_str_addf(&unique, "%s_%" PRId64, *name, ++*known);
    } while (!unique.failed && qn_map_get(seen, unique.text, unique.bytes, 0) > 0);
    if (warnings && !unique.failed) {
        qn_str_addf(warnings, "%s: column %" PRId64 " is a second '%s'; it is called '%s' here\n",
                    source, col + 1, *name, unique.text);
    }
    qn_free(*name);
    *name = qn_str_take_text(&unique);
    return *name && qn_map_set(seen, *name, strlen(*name), 1);
}
