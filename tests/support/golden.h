/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of reference implementations: tests/golden/FOLDER/cases.json. */
#ifndef TESTS_SUPPORT_GOLDEN_H
#define TESTS_SUPPORT_GOLDEN_H

#include "check.h"

#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>

static inline qn_json *read_golden(const char *folder)
{
    char path[512];
    qn_error err = {0};
    qn_file_map map;
    qn_json *json = NULL;
    snprintf(path, sizeof path, "%s/tests/golden/%s/cases.json", getenv("QUERN_SOURCE"), folder);
    CHECK_OK(qn_file_map_open(path, &map, &err));
    CHECK_OK(qn_json_parse((const char *)map.data, map.bytes, path, &json, &err));
    qn_file_unmap(&map);
    return json;
}

#endif
