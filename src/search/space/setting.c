/* SPDX-License-Identifier: Apache-2.0 */
#include "search/space/setting.h"

#include "base/nearest.h"
#include "base/number.h"

#include <math.h>
#include <string.h>

enum { NAMES_MAX = 32 };

static const qn_setting *find(const qn_setting *table, const char *name, size_t bytes)
{
    for (const qn_setting *setting = table; setting->name; setting++) {
        if (strlen(setting->name) == bytes && memcmp(setting->name, name, bytes) == 0) {
            return setting;
        }
    }
    return NULL;
}

static qn_status refuse_name(const qn_setting *table, const char *name, size_t bytes,
                             const char *owner, qn_error *err)
{
    char wanted[64];
    const char *names[NAMES_MAX];
    int64_t n = 0;
    const size_t kept = bytes < sizeof wanted ? bytes : sizeof wanted - 1;
    memcpy(wanted, name, kept);
    wanted[kept] = '\0';
    for (const qn_setting *setting = table; setting->name && n < NAMES_MAX; setting++) {
        names[n++] = setting->name;
    }
    const char *near = qn_nearest_name(wanted, names, n);
    if (near) {
        return qn_fail(err, QN_ERR_ARG, "%s has no setting '%s'; did you mean '%s'?", owner, wanted,
                       near);
    }
    return qn_fail(err, QN_ERR_ARG, "%s has no setting '%s'", owner, wanted);
}

static bool parse(const qn_setting *setting, const char *text, size_t bytes, double *value)
{
    const bool is_true = bytes == 4 && memcmp(text, "true", 4) == 0;
    const bool is_false = bytes == 5 && memcmp(text, "false", 5) == 0;
    if (setting->kind == QN_SETTING_FLAG && (is_true || is_false)) {
        *value = is_true;
        return true;
    }
    if (setting->kind == QN_SETTING_FLAG || !qn_parse_double(text, bytes, value)) return false;
    if (setting->kind == QN_SETTING_WHOLE && *value != trunc(*value)) return false;
    return *value >= setting->low && *value <= setting->high;
}

static qn_status refuse_value(const qn_setting *setting, const char *text, size_t bytes,
                              const char *owner, qn_error *err)
{
    if (setting->kind == QN_SETTING_FLAG) {
        return qn_fail(err, QN_ERR_ARG, "%s: %s=%.*s: expected true or false", owner, setting->name,
                       (int)bytes, text);
    }
    return qn_fail(err, QN_ERR_ARG, "%s: %s=%.*s: expected a %snumber from %g to %g", owner,
                   setting->name, (int)bytes, text,
                   setting->kind == QN_SETTING_WHOLE ? "whole " : "", setting->low, setting->high);
}

qn_status qn_settings_read(const qn_setting *table, const char *text, const char *owner,
                           void *settings, qn_error *err)
{
    for (const qn_setting *setting = table; setting->name; setting++) {
        memcpy((char *)settings + setting->offset, &setting->fallback, sizeof(double));
    }
    while (text && *text) {
        const size_t bytes = strcspn(text, ","), name_bytes = strcspn(text, "=,");
        const qn_setting *setting = find(table, text, name_bytes);
        if (!setting) return refuse_name(table, text, name_bytes, owner, err);
        const bool has_value = name_bytes < bytes;
        const char *value = text + name_bytes + has_value;
        const size_t value_bytes = bytes - name_bytes - has_value;
        double number;
        if (!parse(setting, value, value_bytes, &number)) {
            return refuse_value(setting, value, value_bytes, owner, err);
        }
        memcpy((char *)settings + setting->offset, &number, sizeof number);
        text += bytes + (text[bytes] == ',');
    }
    return QN_OK;
}
