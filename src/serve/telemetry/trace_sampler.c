/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/trace_sampler.h"

#include "base/number.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t all = UINT64_C(1) << 63;
static const char by_parent[] = "parentbased_";

static qn_status read_ratio(const char *argument, uint64_t *below, qn_error *err)
{
    double ratio = 1;
    if (argument && *argument &&
        (!qn_parse_double(argument, strlen(argument), &ratio) || !(ratio >= 0 && ratio <= 1))) {
        return qn_fail(err, QN_ERR_ARG, "the traces' ratio '%s' is no number from 0 to 1",
                       argument);
    }
    *below = (uint64_t)(ratio * (double)all);
    return QN_OK;
}

qn_status qn_trace_sampler_read(const char *name, const char *argument, qn_trace_sampler *out,
                                qn_error *err)
{
    const char *kind = name ? name : "parentbased_always_on";
    *out = (qn_trace_sampler){.below = 0};
    if (strncmp(kind, by_parent, sizeof by_parent - 1) == 0) {
        out->asks_parent = true;
        kind += sizeof by_parent - 1;
    }
    if (strcmp(kind, "traceidratio") == 0) return read_ratio(argument, &out->below, err);
    if (strcmp(kind, "always_on") == 0) out->below = all;
    if (out->below == all || strcmp(kind, "always_off") == 0) return QN_OK;
    return qn_fail(err, QN_ERR_ARG,
                   "the traces' sampler '%s' is not known; there are always_on, always_off, "
                   "traceidratio, and each of them after 'parentbased_'",
                   name);
}

bool qn_trace_sampler_takes(const qn_trace_sampler *sampler, const char *trace, bool has_parent,
                            bool parent_sampled)
{
    if (has_parent && sampler->asks_parent) return parent_sampled;
    return strtoull(trace + 16, NULL, 16) >> 1 < sampler->below;
}
