/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of samplers and pruners: one table each, over a struct of doubles, drives reading
 * ("tpe:startup=20,multivariate=false"), checking and help.
 *
 * Threads: pure functions. */
#ifndef QN_SEARCH_SPACE_SETTING_H
#define QN_SEARCH_SPACE_SETTING_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum qn_setting_kind {
    QN_SETTING_FLOAT,
    QN_SETTING_WHOLE,
    QN_SETTING_FLAG
} qn_setting_kind;

typedef struct qn_setting {
    const char *name; /* NULL ends the table */
    qn_setting_kind kind;
    size_t offset; /* of a double */
    double low, high;
    double fallback;
    const char *help;
} qn_setting;

/* Defaults, then "name=value,name=value" (NULL or empty: none). `owner` is for messages. Fails with
 * QN_ERR_ARG. */
QN_MUST_CHECK
qn_status qn_settings_read(const qn_setting *table, const char *text, const char *owner,
                           void *settings, qn_error *err);

#endif
